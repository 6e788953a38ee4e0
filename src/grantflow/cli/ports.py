"""Says who listens at a port that we wanted, as far as this person may know."""

import subprocess
from pathlib import Path

_LISTENING = "0A"


def holder_of(port: int) -> str | None:
    """``nginx (process 812)``, or None where the system does not tell."""
    found = _from_proc(port) if Path("/proc/net/tcp").exists() else _from_lsof(port)
    return f"{found[1]} (process {found[0]})" if found else None


def _from_proc(port: int) -> tuple[str, str] | None:
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if sockets else ():
        try:
            if str(descriptor.readlink()) in sockets:
                process = descriptor.parent.parent
                return process.name, (process / "comm").read_text().strip()
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _from_lsof(port: int) -> tuple[str, str] | None:
    command = ["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout.splitlines()  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    fields = {line[:1]: line[1:] for line in reversed(lines)}
    return (fields["p"], fields["c"]) if {"p", "c"} <= fields.keys() else None
