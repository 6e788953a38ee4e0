"""The name of a process by which another can see that it is gone for good (docs/decisions/0005).

A process id means something only within one boot of one machine and one namespace of process ids, so these are part of
the name: containers that share a file cannot see one another's processes, and must not take a living one for dead.

With it goes until when the process holds something, in seconds since the machine was started: a time that no setting of
a clock changes, and that processes of one place read alike, even where one believes in another hour than the others.
"""

import os
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")
_SINCE_START = Path("/proc/uptime")


def this_process() -> str | None:
    """Such as `f3a1c2e4-...:4026531836:731`; None where the system does not tell, which is everywhere but on Linux."""
    try:
        return f"{_BOOT.read_text().strip()}:{_NAMESPACE.stat().st_ino}:{os.getpid()}"
    except OSError:
        return None


def this_process_for(seconds: float) -> str | None:
    """The same with the end of that time: `f3a1c2e4-...:4026531836:731@23981.4`."""
    here, now = this_process(), _since_start()
    return here if here is None or now is None else f"{here}@{now + seconds}"


def seconds_left(process: str | None) -> float | None:
    """Of the time that goes with the name; less than 0 where it is over, None where it cannot be told from here."""
    name, _, until = (process or "").partition("@")
    now = _since_start()
    if not until or now is None or not _is_of_this_place(name):
        return None
    return float(until) - now


def _since_start() -> float | None:
    # As a file: what the C library answers is what a process is made to believe (libfaketime).
    try:
        return float(_SINCE_START.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _is_of_this_place(name: str) -> bool:
    here = this_process()
    return here is not None and name.rpartition(":")[0] == here.rpartition(":")[0]


def is_gone(process: str | None) -> bool:
    """Whether that process has surely ended. An id that another process has by now counts as alive."""
    name = (process or "").partition("@")[0]
    if not name or not _is_of_this_place(name):
        return False
    pid = name.rpartition(":")[2]
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it is there, and another account's
    return False
