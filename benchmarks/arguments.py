"""Command lines, by argparse: help that may be read in part, and numbers that are not 0.

0 would read as if nothing had been given.
"""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from typing import Any


class Parser(ArgumentParser):
    def print_help(self, file: Any = None) -> None:
        write_lines([self.format_help().rstrip()]) if file is None else super().print_help(file)


def write_lines(lines: Sequence[str]) -> None:
    """Also where whoever reads has seen enough: what Python still holds of them then goes nowhere."""
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def whole(text: str) -> int:
    """A whole number from 1 on. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def positive(text: str) -> float:
    """A finite number above 0. Raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is no number above 0")
    return number
