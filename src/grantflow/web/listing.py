"""Long lists: a page at a time, with a search by name; all that is asked for stands in the address."""

from dataclasses import dataclass

from starlette.requests import Request

#: Characters of a name that are looked for at most.
SEARCH_LIMIT = 120


@dataclass(frozen=True, slots=True)
class Listing:
    """Where somebody is in a list; `here` is its address with what is searched, and without the page."""

    here: str
    page: int
    pages: int

    @classmethod
    def of(cls, request: Request, total: int, *, here: str, size: int) -> "Listing":
        return cls(here, page_number(request), max(1, -(-total // size)))

    @property
    def last_page(self) -> str | None:
        """Where to go from beyond the end, which what was deleted meanwhile may have moved; None within the list."""
        separator = "&" if "?" in self.here else "?"
        return f"{self.here}{separator}page={self.pages}" if self.page > self.pages else None


def page_number(request: Request) -> int:
    """From `?page=N`; 1 for whatever is no page."""
    text = request.query_params.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def searched(request: Request) -> str:
    """From `?q=...`; no database takes a NUL or half of a surrogate pair."""
    typed = " ".join(request.query_params.get("q", "").split())[:SEARCH_LIMIT]
    return "".join(character for character in typed if character.isprintable())
