"""Our own OpenAPI document of the API, held against a running platform by Schemathesis: all of its phases.

Not checked is what the document cannot say: of two parameters exactly one is taken, and an id is more than its shape
(`positive_data_acceptance`); a long list is cut, and what is unknown let pass (`negative_data_rejection`); a room goes
with its last membership, so it may be gone though nobody deleted it (`ensure_resource_availability`).
"""

import json
import os
import random
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2

from grantflow import Integration, KeyRing, SqliteVault
from grantflow.protocol.scope import MEANINGS
from tests.parts import free_port
from tests.soak.looking import Logs, watched
from tests.soak.proof import Play, Proof
from tests.whole.apart import Process
from tests.whole.person import Person
from tests.whole.running import grantflow, json_of

ADMIN = {"email": "ada@example.com", "password": "a sentence of many words"}
REDIRECT_URI = "http://127.0.0.1:8765/oauth"
UNSAYABLE = "positive_data_acceptance,negative_data_rejection,ensure_resource_availability"
#: Of each operation and phase: a round takes about a minute.
EXAMPLES = 60
#: Where ./dev soak has put the program, which is in an environment of its own.
PROGRAM = "GRANTFLOW_SOAK_SCHEMATHESIS"


@contextmanager
def api(folder: Path) -> Iterator[Play]:
    watched()
    logs = Logs(folder)
    port, data = free_port(), ("--data", str(folder / "state"))
    adding = ("platform", "person", "add", ADMIN["email"], "--name", "Ada", "--admin", "--password-stdin")
    grantflow(*adding, *data, stdin=ADMIN["password"])
    platform = Process(("platform", "serve", "--port", str(port), *data), {}, folder / "platform.stderr")
    try:
        platform.begin()
        url = f"http://127.0.0.1:{port}/v1"

        def play(number: int, chance: random.Random) -> Mapping[str, object]:
            seed, token = chance.getrandbits(32), _token(folder, url, number)
            calls = _checked(url, token, seed=seed, folder=folder, only_ending=False)
            me = httpx2.get(f"{url}/people/me", headers={"authorization": f"Bearer {token}"}, trust_env=False)
            assert me.status_code == 200, "the token died, and most of what was answered was 401"
            calls += _checked(url, token, seed=seed, folder=folder, only_ending=True)
            logs.check()
            return {"schemathesis_seed": seed, "calls": calls}

        yield play
    finally:
        platform.kill()


def _token(folder: Path, url: str, number: int) -> str:
    """An access token of an administrator with every scope that there is."""
    scopes = " ".join(MEANINGS)
    adding = ("platform", "app", "add", f"Schemathesis {number}", "--redirect-uri", REDIRECT_URI, "--scopes", scopes)
    app = json_of(*adding, "--data", str(folder / "state"), "--json")
    vault = SqliteVault(folder / f"vault-{number}.db", keys=KeyRing(KeyRing.new_key()))
    credentials = (app["client_id"], app["client_secret"])
    with Integration(*credentials, redirect_uri=REDIRECT_URI, scopes=scopes, vault=vault, api_url=url) as own:
        begun = own.authorization_request()
        with Person(ADMIN, stops=(REDIRECT_URI,)) as ada:
            answer = ada.grant(begun.url)
        grant = own.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})
        stored = vault.find(grant.key)
        assert stored is not None
        assert stored.access_token is not None
        return stored.access_token.reveal()


#: What may end the very token that the rest is tried with.
ENDING = ("deleteAuthorization", "deleteAuthorizationsOfClient")


def _checked(url: str, token: str, *, seed: int, folder: Path, only_ending: bool) -> int:
    """How many calls were made; fails where one is not answered as the document says."""
    report = folder / f"{seed}-{only_ending}.json"
    chosen = "--include-operation-id" if only_ending else "--exclude-operation-id"
    phases = "examples,coverage,fuzzing" if only_ending else "examples,coverage,fuzzing,stateful"  # two lead nowhere
    command = [
        *(os.environ[PROGRAM], "run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {token}"),
        *(word for name in ENDING for word in (chosen, name)),
        *("--phases", phases, "--exclude-checks", UNSAYABLE, "--max-examples", str(EXAMPLES)),
        *("--seed", str(seed), "--no-color"),
        *("--report", "json", "--report-json-path", str(report), "--warnings", "off"),
        *("--suppress-health-check", "all"),
    ]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout.replace(token, "***")[-1_900:]
    made: int = json.loads(report.read_text())["test_cases"]["generated"]
    return made


API = [Proof("api", "S31: the API answers what its own description says, whatever it is asked", 3, api)]
