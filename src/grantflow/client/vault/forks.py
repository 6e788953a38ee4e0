"""What SQLite has open does not survive a fork: the child inherits its notes of locks that only the parent holds, and
what it wrote would be lost as soon as the parent has gone (sqlite.org/howtocorrupt.html, section 2.6).

So before a fork every vault in a file is closed. Parent and child open it anew, each when it next uses it.
"""

import os
import threading
from contextlib import ExitStack, suppress
from typing import Final, Protocol
from weakref import WeakSet


class Closes(Protocol):
    def close(self) -> None: ...


#: Held by whoever opens one, and during a fork: so none is opened meanwhile.
opening: Final = threading.RLock()
_OPENED: Final[WeakSet[Closes]] = WeakSet()


def close_before_forks(vault: Closes) -> None:
    """Call it with `opening` held. The vault is forgotten with its last user."""
    _OPENED.add(vault)


def _close_all() -> None:
    try:
        opening.acquire()  # until the fork is over, in parent and child
    finally:  # Python forks whatever a signal handler raises here: then each is closed by a second try
        with ExitStack() as closing:
            for vault in list(_OPENED):
                closing.callback(vault.close)
                closing.callback(vault.close)


def _open_again() -> None:
    with suppress(RuntimeError):  # that was interrupted, or whoever forks told Python only afterwards
        opening.release()


if hasattr(os, "register_at_fork"):  # it is POSIX's
    os.register_at_fork(before=_close_all, after_in_parent=_open_again, after_in_child=_open_again)
