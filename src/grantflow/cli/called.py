"""What this command line is called where it runs, so that what it tells people to type can be typed."""

import os
import re
from collections.abc import Mapping

#: Set by whoever starts it under another name, as ``./dev`` does: "./dev grantflow".
VARIABLE = "GRANTFLOW_PROGRAM"
_WORDS = "up|status|serve|login|logout|whoami|api|token|doctor|callers|grants|keys?|platform|--help|--version"
_COMMAND = re.compile(rf"\bgrantflow(?= (?:{_WORDS})\b)")


def as_called(text: str, *, environ: Mapping[str, str] | None = None) -> str:
    """``text`` with each `grantflow COMMAND` in it as it has to be typed here; once, where it is shown."""
    program = (os.environ if environ is None else environ).get(VARIABLE)
    return _COMMAND.sub(lambda _: program, text) if program else text
