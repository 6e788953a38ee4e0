"""One node of an integration with a foreign server: `python -m tests.interop.servers.node '{...}'`.

It says `ready`, waits for a line, then calls the API in Ada's name from many threads at once, and says for each whom
the API took it for, or which error ended the call.
"""

import json
import sys
import threading
from typing import Any

from grantflow import GrantflowError
from tests.interop.servers.running import integration


def main(options: dict[str, Any]) -> None:
    ends: list[str] = []
    together = threading.Barrier(options["threads"])
    with integration(options) as own, own.client_for("ada") as client:

        def call() -> None:
            together.wait()
            try:
                ends.append(client.get("me").raise_for_status().json()["person"])
            except GrantflowError as error:
                ends.append(type(error).__name__)

        threads = [threading.Thread(target=call) for _ in range(options["threads"])]
        print("ready", flush=True)
        sys.stdin.readline()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print("\n".join(ends))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
