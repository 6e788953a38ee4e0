"""What the command line writes: results to stdout, everything else to stderr, colour only where it is wanted."""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, TextIO
from unicodedata import category

from grantflow.cli.called import as_called, unbroken

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
#: A person must grant first; refused by the other side, or out of order for now.
GRANT_FIRST, REFUSED = 4, 5

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_WIDEST = 100


class Failure(Exception):
    """Ends a command: what happened and why, a line each for details, and what to do. ``code`` is the exit code."""

    def __init__(
        self, what: str, *, fix: str = "", details: Iterable[tuple[str, str]] = (), code: int = FAILED
    ) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.details = tuple(details)
        self.code = code


def has_colour(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """As no-color.org and bixense.com/clicolors have it."""
    environ = os.environ if environ is None else environ
    if environ.get("NO_COLOR"):
        return False
    if environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    plain = environ.get("CLICOLOR") == "0" or environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


def styled(text: str, style: str, *, stream: TextIO) -> str:
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if text and has_colour(stream) else text


def say(text: str) -> None:
    """Chatter: to stderr, with each command as it is typed here; on a terminal broken between words, but for what
    begins with two spaces.
    """
    text = as_called(text)
    if sys.stderr.isatty():
        width = _width(sys.stderr)
        lines = text.split("\n")
        text = "\n".join(
            line if line.startswith("  ") or len(line) <= width else "\n".join(_filled(line, width)) for line in lines
        )
    _to_stderr(text)


def say_of(label: str, text: str) -> None:
    """Chatter about one of many: on a terminal in two columns, else in one line."""
    label, text = one_line(label), one_line(text)
    if not sys.stderr.isatty():
        say(f"{label} {text}")
        return
    say(aligned([(label, text)], width=_width(sys.stderr))[0].removeprefix("  "))


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def say_interrupted() -> None:
    """End the line in which the terminal has shown ^C."""
    if sys.stderr.isatty():
        say("")


def say_failure(failure: Failure) -> None:
    label = "error: "
    _to_stderr(styled(label, "red", stream=sys.stderr) + wrapped(as_called(failure.what), indent=len(label)))
    if failure.details:
        details = [(where, as_called(what)) for where, what in failure.details]
        _to_stderr("\n".join(["", *aligned(details, width=_width(sys.stderr)), ""]))
    if failure.fix:
        _to_stderr(" " * len(label) + wrapped(as_called(failure.fix), indent=len(label)))


def wrapped(text: str, *, indent: int, stream: TextIO | None = None) -> str:
    """Broken at the terminal's width, but never within a word: addresses stay whole."""
    return ("\n" + " " * indent).join(_broken(text, _width(stream or sys.stderr) - indent))


def commands(*lines: str) -> str:
    """To end a text with, or to stand within it: each on a line of its own, which is never broken, to be pasted."""
    return "".join(f"\n  {line}" for line in lines)


def _broken(text: str, width: int) -> list[str]:
    """Lines no wider than that, but for words and `commands` that are."""
    lines: list[str] = []
    for is_command, found in groupby(text.split("\n"), key=lambda line: line.startswith("  ")):
        part = list(found)
        if not is_command:
            part = _filled(" ".join(part), width)
        lines += part
    return lines


def _filled(text: str, width: int) -> list[str]:
    """Broken between words, but for those of a command: it is there to be pasted."""
    filled = textwrap.wrap(unbroken(text), width, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in filled]


#: Columns that a text has at the least, however long the label is: a path may be wider than the terminal.
_LEAST_ROOM = 30
#: Between the columns of a table.
_GAP = 3


def _width(stream: TextIO) -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST) if stream.isatty() else _WIDEST


def aligned(rows: Iterable[tuple[str, str]], *, width: int | None = None) -> list[str]:
    """Labels in one column, texts in the next; with ``width`` long texts go on below themselves, and a label that
    leaves no room has its text below.
    """
    rows = list(rows)
    column = 2 + max(len(label) for label, _ in rows) + 2
    column = min(column, width - _LEAST_ROOM) if width else column
    lines = []
    for label, text in rows:
        if not text:
            lines.append(f"  {label}")
            continue
        parts = _broken(text, width - column) if width else [text]
        beside = f"  {label}".ljust(column) if len(label) + 4 <= column else f"  {label}\n" + " " * column
        lines.append(beside + ("\n" + " " * column).join(parts))
    return lines


def write(text: str) -> None:
    """A result: to stdout, at once, since it may be a pipe that somebody waits at."""
    print(text, flush=True)


def write_bytes(content: bytes) -> None:
    """A result as it came, to the byte."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def write_no_more() -> None:
    """Nobody reads our results any more; what Python still holds of them would make its exit code 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(text: str) -> str:
    """What people typed elsewhere, with its control characters in letters: none of it moves a cursor, turns a line
    about or begins another. Spaces of every width, such as the one in a Japanese name, stay.
    """
    return text if text.isprintable() else "".join(c if _is_shown(c) else repr(c)[1:-1] for c in text)


def _is_shown(character: str) -> bool:
    return character.isprintable() or category(character) == "Zs"


def write_json(value: Any) -> None:
    """One line; keys keep their order. Escaped is what a terminal might act on, and nothing else."""
    write(_json(value))


def _json(value: Any) -> str:
    written = json.dumps(value, ensure_ascii=False)
    if written.isprintable():
        return written
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in written)


def write_json_list(values: Iterable[Any]) -> None:
    """As `write_json` a list of them, each as soon as it is there."""
    before = "["
    for value in values:
        sys.stdout.write(before + _json(value))
        before = ", "
    write("[]" if before == "[" else "]")


def write_pages(headings: Sequence[str], pages: Iterable[Iterable[Sequence[str]]]) -> int:
    """A table that may be longer than memory: page by page, the headings once. Answers with the number of rows."""
    count, widths = 0, [len(heading) for heading in headings]
    for page in pages:
        rows = [[one_line(cell) for cell in row] for row in page]
        for row in rows:
            widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
        write_table(headings, rows, widths=widths, headed=count == 0)
        count += len(rows)
    return count


def write_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    widths: Sequence[int] | None = None,
    headed: bool = True,
    nothing: str = "",
) -> None:
    """A table for people on a terminal, where the last column goes on below itself, and what leaves no room in the
    first one stands above its row; for programs tab-separated lines without headings. `widths`: each column is so wide
    at least. `nothing` is said where there is no row."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    if not rows:
        if nothing:
            say(nothing)
        return
    if not sys.stdout.isatty():
        write("\n".join("\t".join(row) for row in rows))
        return
    from rich.console import Console
    from rich.table import Column, Table

    widest = [max(len(heading), *map(len, cells)) for heading, *cells in zip(headings, *rows, strict=True)]
    widths = [max(pair) for pair in zip(widest, widths or widest, strict=True)]
    across = shutil.get_terminal_size().columns
    if sum(width + _GAP for width in widths[:-1]) > across:
        widths[0] = max(len(headings[0]), *(len(row[0]) for row in rows if len(row[0]) <= across // 2), 0)
    room = across - sum(width + _GAP for width in widths[:-1])
    if widths[-1] > room >= _LEAST_ROOM:
        widths[-1] = room
        rows = [[*row[:-1], "\n".join(_filled(row[-1], room))] for row in rows]
    rows, above = _set_apart(rows, width=widths[0], first=int(headed))
    columns = [Column(name, min_width=width) for name, width in zip(headings, widths, strict=True)]
    table = Table(*columns, box=None, pad_edge=False, show_header=headed, header_style="", padding=(0, _GAP, 0, 0))
    for row in rows:
        table.add_row(*row)
    # Wider than any terminal: an id that was cut short could not be copied. Without a height a dumb one has 80 columns.
    console = Console(width=1_000, height=25, no_color=True, highlight=False, markup=False, emoji=False)
    with console.capture() as written:
        console.print(table)
    # Spaces beyond the terminal's width would be a line of their own.
    lines = [line.rstrip() for line in written.get().rstrip("\n").split("\n")]
    if headed:
        lines[0] = styled(lines[0], "dim", stream=sys.stdout)
    write("\n".join(f"{above[number]}\n{line}" if number in above else line for number, line in enumerate(lines)))


def _set_apart(rows: Sequence[Sequence[str]], *, width: int, first: int) -> tuple[list[Sequence[str]], dict[int, str]]:
    """The rows, without what is wider than the first column, and that by the number of the line that it stands above;
    `first` is the first row's."""
    narrow, above, number = [], {}, first
    for row in rows:
        is_wide = len(row[0]) > width
        if is_wide:
            above[number] = row[0]
        narrow.append(["", *row[1:]] if is_wide else row)
        number += row[-1].count("\n") + 1
    return narrow, above
