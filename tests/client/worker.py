"""Processes of their own that call the API for one person: `python -m tests.client.worker '{...}'`, see `main`."""

import json
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

from grantflow import GrantflowError, Integration, KeyRing, open_vault

CONTEXT = multiprocessing.get_context("fork")


def integration(options: dict[str, Any]) -> Integration:
    return Integration(
        options["client_id"],
        options["client_secret"],
        redirect_uri="http://localhost:8000/oauth",
        scopes="spark:people_read",
        api_url=options["api_url"],
        vault=open_vault(options["vault"], keys=KeyRing(options["key"])),
        deadline=options["deadline"],
        _lease_margin=options["lease_margin"],
    )


def run(options: dict[str, Any], start: Barrier, told: Connection) -> None:
    """One process: its own vault, its own connections, many callers at once, each with the token of before."""
    ends: list[str] = []
    with integration(options) as own:
        if options.get("dies_before_saving"):
            own._parts.vault.save = _die  # type: ignore[method-assign]
        client = own.client_for("id-ada")
        key = own._parts.key("id-ada", None)
        stored = own._parts.vault.find(key)
        assert stored is not None
        own._parts.live.keep(key, stored, now=own._shell._now())
        together = threading.Barrier(options["callers"] + 1)

        def call() -> None:
            together.wait()
            try:
                ends.append(str(client.get("people/me").status_code))
            except GrantflowError as error:
                ends.append(type(error).__name__)

        threads = [threading.Thread(target=call) for _ in range(options["callers"])]
        for thread in threads:
            thread.start()
        start.wait()
        together.wait()
        for thread in threads:
            thread.join()
    told.send(ends)


def _die(*_: object, **__: object) -> bool:
    """The answer is in this process and nowhere else: killed as by `kill -9`, with no chance to tidy up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed before this")


def main(options: dict[str, Any]) -> None:
    """Print the process ids, wait for a line, let all processes begin, and print what each caller got, as JSON."""
    start = CONTEXT.Barrier(options["processes"] + 1)
    children, tellers = [], []
    for _ in range(options["processes"]):
        told, telling = CONTEXT.Pipe(duplex=False)
        child = CONTEXT.Process(target=run, args=(options, start, telling))
        child.start()
        telling.close()
        children.append(child)
        tellers.append(told)
    print(json.dumps([child.pid for child in children]), flush=True)
    sys.stdin.readline()
    start.wait(60)
    ends: list[str] = []
    for child, told in zip(children, tellers, strict=True):
        try:
            ends += told.recv()
        except EOFError:
            ends.append("killed")
        child.join()
    print(json.dumps(ends))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
