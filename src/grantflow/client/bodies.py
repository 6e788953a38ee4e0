"""Which request bodies can be sent a second time, and how each is brought back to where it began."""

import inspect
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, TypeGuard

from grantflow.client.errors import BodyNotReplayable

#: The extension of a request that tells of its body.
BODY: Final = "grantflow.body"


@dataclass(frozen=True, slots=True)
class Body:
    """`files` are rewound to the positions at which they stood when the request was built.

    `begins_anew`: each reading asks it for an iterator of its own. Nobody can know whether that holds everything again,
    so a call is not sent once more with it, but an HTTP library that reads it again by itself may, if it finds any.
    """

    replayable: bool
    files: tuple[tuple[BinaryIO, int], ...] = ()
    begins_anew: bool = False

    def rewind(self) -> None:
        for file, position in self.files:
            file.seek(position)


@dataclass(slots=True)
class Reading:
    """Counts how often an HTTP library begins to read a body. Where a redirect keeps it (307 and 308, RFC 9110 section
    15.4.8) a library reads it once more by itself, and would send what is left of it: nothing."""

    body: Body
    has_begun: bool = False
    held_something: bool = False

    def begin(self) -> None:
        """Bring the body back to where it began. Raises BodyNotReplayable."""
        if self.has_begun:
            self.check()
            self.body.rewind()
        self.has_begun = True

    def check(self) -> None:
        """Raises BodyNotReplayable."""
        if self.has_begun and not (self.body.replayable or self.body.begins_anew):
            raise _sent_already()

    def watch(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Raises BodyNotReplayable at the end of a reading that found nothing where an earlier one did: the library has
        not ended the body then."""
        found = False
        for chunk in chunks:
            found = found or bool(chunk)
            self.held_something = self.held_something or found
            yield chunk
        self._end(found)

    async def watch_awaiting(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same for awaiting callers."""
        found = False
        async for chunk in chunks:
            found = found or bool(chunk)
            self.held_something = self.held_something or found
            yield chunk
        self._end(found)

    def _end(self, found: bool) -> None:
        if self.held_something and not found:
            raise _sent_already()


def _sent_already() -> BodyNotReplayable:
    return BodyNotReplayable(
        "The body came from a generator or stream that can be read only once, and it was sent already: now it "
        "would be empty. Most often the API has redirected the call (307 or 308). Give the body as bytes or as "
        "a seekable file, then it is sent along; or call the new address with a fresh one."
    )


_IN_MEMORY = Body(replayable=True)


def body_of(content: object, files: object) -> Body:
    """What was given to the HTTP client as `content=` and `files=`; everything else it holds in memory.

    Text, bytes, lists of bytes and seekable files can be sent again; generators, pipes and async streams cannot.
    """
    if content is None and files is None:
        return _IN_MEMORY
    uploads = _uploads(files)
    if not all(isinstance(upload, str | bytes) or _is_seekable(upload) for upload in uploads):
        return Body(replayable=False)
    # The HTTP client itself begins each file of a multipart body at its start, the second time as the first.
    if content is None or isinstance(content, str | bytes | bytearray | list | tuple):
        return _IN_MEMORY
    if _is_seekable(content):
        return Body(replayable=True, files=((content, content.tell()),))
    return Body(replayable=False, begins_anew=not is_spent_by_reading(content))


def is_spent_by_reading(content: object) -> bool:
    """Iterators, generators among them, and what is read like a file."""
    return any(hasattr(content, name) for name in ("__next__", "__anext__", "read", "aread"))


def _uploads(files: object) -> Iterable[Any]:
    parts = files.items() if isinstance(files, Mapping) else files or ()
    assert isinstance(parts, Iterable)
    for _, part in parts:
        yield part[1] if isinstance(part, tuple) else part


def _is_seekable(file: object) -> TypeGuard[BinaryIO]:
    seek = getattr(file, "seek", None)
    if seek is None or inspect.iscoroutinefunction(seek):
        return False
    seekable = getattr(file, "seekable", None)
    return bool(seekable()) if callable(seekable) else isinstance(file, io.IOBase)
