"""Deletes without bound, a portion at a time: between two of them everybody else gets the writer."""

from collections.abc import Mapping

from grantflow.storage.engine import Engine, Statement, Work

#: Rows that one unit of work takes away at the most, with whatever hangs on them.
PORTION = 500


async def in_portions(engine: Engine, sql: str, values: Mapping[str, object], *, portion: int = PORTION) -> int:
    """Run `sql`, which changes up to ``:portion`` rows and returns one for each, until there were fewer than that: so
    it ends, however many come meanwhile. Answers how many rows in all.
    """
    statement = Statement(sql, {**values, "portion": portion})
    total = 0
    while True:
        gone = await engine.write(_run(statement), is_long=True)
        total += gone
        if gone < portion:
            return total


def _run(statement: Statement) -> Work[int]:
    return len((yield statement))
