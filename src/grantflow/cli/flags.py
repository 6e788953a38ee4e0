"""The flags that several commands take, in one spelling."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, Token
from cyclopts.validators import Number


def _path(_: object, tokens: Sequence[Token]) -> Path:
    """Raises ValueError where it is empty: that would be the current directory, which nobody has named."""
    if not tokens[0].value:
        raise ValueError("it is empty. Is a variable not set that it was to come from?")
    return Path(tokens[0].value)


def _port(_: object, tokens: Sequence[Token]) -> int:
    text = tokens[0].value
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise ValueError(f"{text!r} is no port, which is a number from 0 to 65535.")
    return int(text)


Data = Annotated[Path | None, Parameter(name="--data", converter=_path)]
File = Annotated[Path | None, Parameter(converter=_path)]
Json = Annotated[bool, Parameter(name="--json", negative="")]
Open = Annotated[bool, Parameter(name=("--open", "-o"), negative="")]
Switch = Annotated[bool, Parameter(negative="")]
Several = Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)]

PortNumber = Annotated[int, Parameter(name=("--port", "-p"), converter=_port)]
OtherPortNumber = Annotated[int, Parameter(converter=_port)]
OptionalPort = Annotated[int | None, Parameter(converter=_port)]
PortSetting = Annotated[int | None, Parameter(name=("--port", "-p"), converter=_port)]
Seconds = Annotated[int, Parameter(validator=Number(gte=1, lte=3_650 * 86_400))]
