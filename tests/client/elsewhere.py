"""An integration in a process of its own: `python -m tests.client.elsewhere '{...}'`. Each line that it reads is one
thing to do (begin, complete, get), each line that it says what came of it; both JSON."""

import json
import sys
from typing import Any

from grantflow import GrantflowError, Integration, KeyRing, open_vault
from tests.client.conftest import REDIRECT_URI, SCOPES


def do(own: Integration, asked: dict[str, Any]) -> dict[str, Any]:
    if "begin" in asked:
        begun = own.authorization_request(**asked["begin"])
        return {"url": begun.url, "cookies": {begun.cookie.name: begun.cookie.value}}
    if "complete" in asked:
        grant = own.complete_authorization(asked["complete"], asked["cookies"])
        return {name: getattr(grant, name) for name in ("person_id", "owner", "return_to", "generation")}
    with own.client_for("id-ada", owner=asked.get("owner")) as client:
        answer = client.get(asked["get"])
        return {"status": answer.status_code, "id": answer.json().get("id")}


def main(options: dict[str, Any]) -> None:
    vault = open_vault(options.pop("vault"), keys=KeyRing(options.pop("key")))
    with Integration(**options, redirect_uri=REDIRECT_URI, scopes=SCOPES, vault=vault) as own:
        for line in sys.stdin:
            try:
                said = do(own, json.loads(line))
            except GrantflowError as error:
                said = {"error": error.code}
            print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
