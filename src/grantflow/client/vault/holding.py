"""A signal handler may raise between any two steps: KeyboardInterrupt, the time limit of a task queue.

`contextlib.contextmanager` leaves a gap there: what has begun when the handler raises, before `with` knows of it, stays
begun for as long as anybody keeps the exception. A transaction would lock the file for everybody as long.

The gap at the other end, where `__exit__` is called and has not begun, is Python's own: what is met there ends with the
exception, and not before.
"""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def holding(steps: Callable[P, Generator[T, None, None]]) -> Callable[P, AbstractContextManager[T, None]]:
    """Like `contextmanager`, without that gap. `steps` may raise another error than the one that it meets, and hides
    none."""

    @wraps(steps)
    def made(*args: P.args, **options: P.kwargs) -> AbstractContextManager[T, None]:
        return _Held(steps(*args, **options))

    return made


class _Held(AbstractContextManager[T, None], Generic[T]):
    def __init__(self, steps: Generator[T, None, None]) -> None:
        self._steps = steps

    def __enter__(self) -> T:
        try:
            begun = next(self._steps)
            return begun  # noqa: RET504 - a line apart, so that what interrupts it is met here
        except BaseException:
            self._steps.close()
            raise

    def __exit__(self, _: object, error: BaseException | None, __: Any) -> None:
        if error is None:
            next(self._steps, None)
        else:
            self._steps.throw(error)
