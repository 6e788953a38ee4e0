"""The flags that several commands take, in one spelling."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

Data = Annotated[Path | None, Parameter(name="--data")]
Json = Annotated[bool, Parameter(name="--json", negative="")]
Open = Annotated[bool, Parameter(name=("--open", "-o"), negative="")]
Switch = Annotated[bool, Parameter(negative="")]

_PORT = Number(gte=0, lte=65_535)
PortNumber = Annotated[int, Parameter(name=("--port", "-p"), validator=_PORT)]
OtherPortNumber = Annotated[int, Parameter(validator=_PORT)]
Seconds = Annotated[int, Parameter(validator=Number(gte=1, lte=3_650 * 86_400))]
