"""What the server under ours can do at best: it answers constants, with ``--durable`` after one row is on disk.

The same HTTP server and limits as Grantflow's, without a framework on top. It serves each workload's requests: a
redirect with a code, a token answer, a person. One row is written for each of the first two, in a commit that all
waiting requests share, with ``synchronous=FULL``. Prints its address, as ``grantflow platform serve --json`` does.
"""

import argparse
import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from grantflow import serving, workers
from grantflow.app import Storage
from grantflow.serving import Listener
from grantflow.storage.engine import Engine, Statement, Work

_TOKEN = "M2FmYzVkNzMtOWZiYi00ZTM4LTlkMTItYzk3YjY1ZDQ5ZjNlZTIyYjYyNmEtYWIx_LG01_6f0b0a0e-0000-4000-8000-000000000000"
_TOKENS = json.dumps(
    {
        "access_token": _TOKEN,
        "expires_in": 1_209_600,
        "refresh_token": _TOKEN,
        "refresh_token_expires_in": 7_776_000,
        "token_type": "Bearer",
        "scope": "spark:people_read spark:kms",
    }
).encode()
_PERSON = json.dumps({"id": "Y2lzY29zcGFyazovL3VzL1BFT1BMRS8x", "displayName": "Ada", "emails": ["ada@x.example"]})
_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_LENGTH = b"content-length"

CREATE = "CREATE TABLE IF NOT EXISTS written (token_hash BLOB PRIMARY KEY) WITHOUT ROWID"
INSERT = "INSERT INTO written (token_hash) VALUES (:token_hash)"


class Limit(Starlette):
    """An ASGI app in Starlette's clothes, which our server asks for: none of Starlette's code runs for a request."""

    def __init__(self, redirect_uri: str, engine: Engine | None) -> None:
        super().__init__()
        self.location = f"{redirect_uri}?code={_TOKEN}&state=s".encode()
        self.engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if method == "POST":
            while (await receive()).get("more_body"):
                pass
            await self._write()
            await _answer(send, 200, _JSON, _TOKENS)
        elif path.endswith("/authorize"):
            await self._write()
            await _answer(send, 303, [(b"location", self.location)], b"")
        else:
            await _answer(send, 200, _JSON, _PERSON.encode())

    async def _write(self) -> None:
        if self.engine is not None:
            await self.engine.write(_work(Statement(INSERT, {"token_hash": secrets.token_bytes(32)})))


async def _answer(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
    length = (_LENGTH, str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def _work(statement: Statement) -> Work[None]:
    yield statement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redirect-uri", required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--durable", type=Path, help="the database, with its table; without it nothing is written")
    arguments = parser.parse_args()
    sockets = serving.bind("127.0.0.1", 0)

    def begin() -> Sequence[Listener]:
        engine = Storage.open(arguments.durable).engine if arguments.durable else None
        return [Listener(Limit(arguments.redirect_uri, engine), sockets)]

    def on_ready() -> None:
        print(json.dumps({"platform_url": f"http://127.0.0.1:{serving.port_of(sockets)}"}), flush=True)

    if arguments.workers == 1:
        serving.run(begin(), on_ready=on_ready)
    else:
        workers.run(arguments.workers, begin, on_ready=on_ready)


if __name__ == "__main__":
    main()
