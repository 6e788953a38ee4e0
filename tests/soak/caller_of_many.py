"""A node that calls and refreshes over a large vault until a line comes: `python -m tests.soak.caller_of_many '{...}'`,
whose options `Fleet` in rotation.py makes."""

import json
import random
import sys
import threading
from typing import Any

from benchmarks.many_grants import grant_number
from grantflow import GrantflowError, Integration, KeyRing, open_vault

THREADS = 3


def main(options: dict[str, Any]) -> None:
    """Prints a line when it is ready, and at the end what came of it, as JSON."""
    primary, *previous = options["keys"]
    told: dict[str, Any] = {"calls": 0, "lookups": 0, "refreshes": 0, "failures": []}
    lock, over = threading.Lock(), threading.Event()
    with Integration(
        options["client_id"],
        options["client_secret"],
        redirect_uri="http://localhost:8000/oauth",
        scopes="spark:people_read",
        api_url=options["api_url"],
        vault=open_vault(options["vault"], keys=KeyRing(primary, previous)),
    ) as own:

        def call(chance: random.Random) -> str:
            person = chance.choice(options["people"])
            answer = own.client_for(person).get("people/me")
            assert answer.status_code == 200, answer.status_code
            return "calls"

        def look_up(chance: random.Random) -> str:
            expected = grant_number(chance.randrange(options["grants"]))
            assert own._parts.vault.find(expected.grant.key) == expected, expected.grant.id
            return "lookups"

        def refresh(chance: random.Random) -> str:
            assert own.refresh(chance.choice(options["people"])).generation > 1
            return "refreshes"

        def work(seed: int) -> None:
            chance = random.Random(seed)
            while not over.is_set():
                act = chance.choice([call, call, look_up, look_up, refresh])
                try:
                    counted = act(chance)
                except (GrantflowError, AssertionError) as error:
                    with lock:
                        told["failures"].append(f"{act.__name__}: {type(error).__name__}: {error}")
                else:
                    with lock:
                        told[counted] += 1

        threads = [threading.Thread(target=work, args=(options["seed"] + number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        print("ready", flush=True)
        sys.stdin.readline()
        over.set()
        for thread in threads:
            thread.join()
    print(json.dumps(told))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
