"""docs/walkthrough.md as the tests read it: what it tells to type, and the pictures that it shows."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.examples.running import serving
from tests.parts import ROOT
from tests.whole.running import grantflow

DOCUMENT = ROOT / "docs/walkthrough.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
#: Each command of the document by the name that the tests know it by: one more block, and these lines fail.
START, SERVE, SERVE_TLS, SERVE_PUBLIC, FLASK = re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
#: What is shown as JSON: the answer of the token endpoint, and that of the API to a dead access token.
TOKENS, INVALID_TOKEN = re.findall(r"^```json\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
#: The address that begins a grant, and the one that the browser is sent back to: a line for each parameter.
AUTHORIZATION_URL, ANSWER = re.findall(r"^```text\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
#: What sets up a terminal for the last three, which serve.
SET_UP = SERVE[: SERVE.index("./dev grantflow serve")]
#: Where the reader's own server listens.
PORT = "8001"
PICTURES = re.findall(r"!\[([^\]]*)\]\(images/walkthrough/([a-z-]+)\.png\)", TEXT)


def own_port(data: Path) -> int:
    """What stands in the place of 8001 where the sandbox has not the usual ports."""
    (port,) = re.findall(r"GRANTFLOW_PORT=(\d+)", grantflow("status", "-o", "env", "--data", str(data)).stdout)
    return int(port)


@contextmanager
def terminal(*blocks: str, checkout: Path, data: Path) -> Iterator[None]:
    """One shell in which these blocks are typed, until the last of them serves and is no longer needed."""
    port = own_port(data)
    typed = ["sh", "-c", "\n".join(blocks).replace(PORT, str(port))]
    with serving(typed, checkout, port=port, GRANTFLOW_DATA=str(data)):
        yield


def names_of(address: str) -> list[str]:
    """The parameters of an address that is shown a line each, in their order."""
    return re.findall(r"[?&](\w+)=", address)
