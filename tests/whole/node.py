"""One node of an integration that calls the API for one person: `python -m tests.whole.node '{...}'`.

It says `ready`, waits for a line, then calls from eight threads, and says how each call ended, a line each.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from grantflow import GrantflowError, Integration, KeyRing, SqliteVault

THREADS = 8


def main(options: dict[str, Any]) -> None:
    vault = SqliteVault(options["vault"], keys=KeyRing(options["key"]))
    with Integration(**options["integration"], vault=vault) as own, own.client_for(options["person_id"]) as client:

        def call(_: int) -> None:
            try:
                ended = str(client.get("people/me").status_code)
            except GrantflowError as error:
                ended = type(error).__name__
            sys.stdout.write(f"{ended}\n")  # at once: print writes the line and its end apart, and threads mix them
            sys.stdout.flush()

        print("ready", flush=True)
        sys.stdin.readline()
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(call, range(options["calls"])))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
