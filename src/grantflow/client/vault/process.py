"""The name of a process by which another can see that it is gone for good (docs/decisions/0005).

A process id means something only within one boot of one machine and one namespace of process ids, so these are part of
the name: containers that share a file cannot see one another's processes, and must not take a living one for dead.
"""

import os
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


def this_process() -> str | None:
    """Such as `f3a1c2e4-...:4026531836:731`; None where the system does not tell, which is everywhere but on Linux."""
    try:
        return f"{_BOOT.read_text().strip()}:{_NAMESPACE.stat().st_ino}:{os.getpid()}"
    except OSError:
        return None


def is_gone(process: str | None) -> bool:
    """Whether that process has surely ended. An id that another process has by now counts as alive."""
    here = this_process()
    if process is None or here is None:
        return False
    place, _, pid = process.rpartition(":")
    if place != here.rpartition(":")[0]:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it is there, and another account's
    return False
