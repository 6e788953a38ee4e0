"""What this command line is called where it runs, so that what it tells people to type can be typed."""

import os
import re
from collections.abc import Mapping

#: Set by whoever starts it under another name, as ``./dev`` does: "./dev grantflow".
VARIABLE = "GRANTFLOW_PROGRAM"
_WORDS = "up|status|serve|login|logout|whoami|api|token|doctor|callers|grants|keys?|platform|--help|--version"
_COMMAND = re.compile(rf"\bgrantflow(?= (?:{_WORDS})\b)")


#: A command within a sentence, as far as it can be told from the words behind it: its own, names in capitals, flags
#: with what is in capitals or digits behind them, addresses.
_IN_A_SENTENCE = re.compile(
    rf"""(?:\./dev[ ])? \b grantflow
      (?: [ ] (?: (?: {_WORDS} | new | rotate | add | list | remove | import | show | explain | refresh | retry | revoke
                    | expiring | keep-alive | person | app | bot | grant | delete | regenerate | password ) (?![\w-])
                | [A-Z]{{2,}}\b | --[a-z-]+ (?: [ ] [A-Z\d]+\b )? | [\w.+-]+@[\w.-]*\w ) )+
    | \b chmod [ ] \d+ [ ] (?: '[^']*' | \S+ )""",
    re.VERBOSE,
)


def unbroken(text: str) -> str:
    """With each command's spaces as such that no line ends at, so that it can be copied."""
    return _IN_A_SENTENCE.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def as_called(text: str, *, environ: Mapping[str, str] | None = None) -> str:
    """``text`` with each `grantflow COMMAND` in it as it has to be typed here; once, where it is shown."""
    program = (os.environ if environ is None else environ).get(VARIABLE)
    return _COMMAND.sub(lambda _: program, text) if program else text
