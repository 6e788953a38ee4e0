"""The text of each help page, plain, so that it comes up at once. A test holds it against the commands as they are.

A file for each group of commands, and each text beside the words that call it. In here nothing else is imported.
"""

from grantflow.cli.help_texts import callers, grants, keys, own, platform, sandbox

#: In the order in which a group's page shows them.
COMMANDS = sandbox.COMMANDS | own.COMMANDS | grants.COMMANDS | callers.COMMANDS | keys.COMMANDS | platform.COMMANDS
