"""Whether the database takes writes just now: it may answer every read while its disk is full or its lock is held."""

import asyncio
import math

from grantflow.storage.engine import Engine, Statement, StorageUnavailable, Work

#: Seconds that a good and a bad finding are believed, so that asking often costs nothing.
BELIEVED, DOUBTED = 5.0, 1.0
#: Seconds after which a write that still waits is trouble enough.
PATIENCE = 2.0
#: More than a page of its own, so that the file must have room to grow and not only to change.
_CONTENT = bytes(16_384)


class WriteProbe:
    """Writes a little and takes it away again, whoever asks and however many."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._looking: asyncio.Task[StorageUnavailable | None] | None = None
        self._believed_until = -math.inf

    async def check(self) -> None:
        """Raises StorageUnavailable while writes fail, or take longer than ``PATIENCE``."""
        looking = self._looking
        if looking is None or (looking.done() and asyncio.get_running_loop().time() >= self._believed_until):
            looking = self._looking = asyncio.create_task(self._look())
        try:
            trouble = await asyncio.wait_for(asyncio.shield(looking), PATIENCE)
        except TimeoutError:
            raise StorageUnavailable(f"a write has waited longer than {PATIENCE:.0f} seconds") from None
        if trouble is not None:
            raise trouble

    async def _look(self) -> StorageUnavailable | None:
        trouble = await self._trouble()
        self._believed_until = asyncio.get_running_loop().time() + (DOUBTED if trouble else BELIEVED)
        return trouble

    async def _trouble(self) -> StorageUnavailable | None:
        try:
            await self._engine.write(_write_and_take_away())
        except StorageUnavailable as trouble:
            return trouble
        return None


def _write_and_take_away() -> Work[None]:
    yield Statement("INSERT INTO probes (content) VALUES (:content)", {"content": _CONTENT})
    yield Statement("DELETE FROM probes")
