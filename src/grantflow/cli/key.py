"""`grantflow key ...`: the key that seals tokens."""

from grantflow.cli.output import write
from grantflow.sealing import KeyRing


def new() -> None:
    write(KeyRing.new_key())
