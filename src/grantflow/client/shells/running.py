"""A flow under way: which step it asks for now, and what came of the last one."""

from contextlib import suppress
from typing import Generic, TypeVar, cast

from grantflow.client.steps import Flow, Step

T = TypeVar("T")


class Run(Generic[T]):
    """`step` is what the flow waits for, None when it is done; then `value` is what came of it.

    Feed it the result of each step, or the error that performing it met: the flow may know what to do about it. What
    it does not know comes out of `feed` and `fail`.
    """

    __slots__ = ("_flow", "_value", "step")

    def __init__(self, flow: Flow[T]) -> None:
        self._flow = flow
        self._value: T | None = None
        self.step: Step | None = None
        self.feed(None)

    @property
    def value(self) -> T:
        return cast(T, self._value)

    def feed(self, result: object) -> None:
        try:
            self.step = self._flow.send(result)
        except StopIteration as done:
            self._finish(done)

    def fail(self, error: BaseException) -> None:
        try:
            self.step = self._flow.throw(error)
        except StopIteration as done:
            self._finish(done)

    def close(self) -> None:
        """Give the flow up where it stands; nothing where it is done. Whoever observes it is told here and now, and not
        whenever what the error holds on to is forgotten."""
        self.step = None
        with suppress(RuntimeError):  # it had more steps to take on its way out; the error under way is the one to tell
            self._flow.close()

    def _finish(self, done: StopIteration) -> None:
        self.step, self._value = None, done.value
