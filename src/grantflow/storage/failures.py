"""Failed sign-ins and client authentications, counted by account and address (behind web's throttle)."""

from datetime import datetime

from grantflow.storage.engine import Engine, Statement, Work
from grantflow.storage.times import from_milliseconds, milliseconds
from grantflow.web.throttle import Failures, What

_FIND = "SELECT count, last_at FROM failures WHERE what = :what AND subject = :subject AND address = :address"
_FORGET = "DELETE FROM failures WHERE what = :what AND last_at < :forget_before"
_ADD = """
INSERT INTO failures (what, subject, address, count, last_at) VALUES (:what, :subject, :address, 1, :now)
ON CONFLICT (what, subject, address) DO UPDATE SET count = failures.count + 1, last_at = excluded.last_at
"""
_CLEAR = "DELETE FROM failures WHERE what = :what AND subject = :subject AND address = :address"


class FailureStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, what: What, subject: str, *, address: str) -> Failures | None:
        rows = await self._engine.read(Statement(_FIND, {"what": what, "subject": subject, "address": address}))
        return Failures(rows[0]["count"], from_milliseconds(rows[0]["last_at"])) if rows else None

    async def add(self, what: What, subject: str, *, address: str, now: datetime, forget_before: datetime) -> None:
        def work() -> Work[None]:
            yield Statement(_FORGET, {"what": what, "forget_before": milliseconds(forget_before)})
            yield Statement(_ADD, {"what": what, "subject": subject, "address": address, "now": milliseconds(now)})

        await self._engine.write(work())

    async def clear(self, what: What, subject: str, *, address: str) -> None:
        def work() -> Work[None]:
            yield Statement(_CLEAR, {"what": what, "subject": subject, "address": address})

        await self._engine.write(work())
