"""What one page tells the next, sealed into the address.

A redirect follows every change, so that neither a code in the address bar nor a reload does harm. What the next page
shall say travels in its address: twenty tabs cannot mix it up, and nobody can forge it.
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request

from grantflow.client.pages.sealed import SealedTexts

PARAMETER = "note"
LIFETIME_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Notes:
    texts: SealedTexts

    def address(self, path: str, **fields: str | None) -> str:
        """The path with a note for the page that lies there, good for a quarter of an hour; bare if nothing is said."""
        said = {name: text for name, text in fields.items() if text}
        return f"{path}?{urlencode({PARAMETER: self.texts.write(said, place=path)})}" if said else path

    def read(self, request: Request, path: str) -> dict[str, str] | None:
        """The note in this request's address; None where there is none, or it is old, forged or another page's."""
        return self.texts.read(request.query_params.get(PARAMETER), place=path, seconds=LIFETIME_SECONDS)
