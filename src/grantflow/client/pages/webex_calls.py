"""The few calls that the pages make in the person's name (developer.webex.com: People, Rooms, Messages)."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from grantflow.client.shells.clients import AsyncGrantClient, NoAnswer
from grantflow.protocol.errors import printable

#: The most that the text of a message may hold, in bytes.
MESSAGE_LIMIT = 7_439
#: The call behind the button, as a developer would write it.
CODE = """\
webex = integration.client_for(person_id)
await webex.post("messages", json={
    "roomId": space_id,
    "text": "Hello from Grantflow",
})"""
_SPACES = 100
#: The most that one answer may hold, in bytes: far more than a hundred spaces do.
_ANSWER_LIMIT = 4 * 1024 * 1024
#: Of one operation of a call: connect, send, read.
_PATIENCE_SECONDS = 10.0
#: The most that a page waits for all that it asks for. Whoever refreshes the grant just now, here or in another
#: process, may take up to the deadline of the token endpoint, and goes on when the page does not wait any more.
_PAGE_WAITS_SECONDS = 5.0


class CallFailed(Exception):
    """The API gave no usable answer; `status` is that of its answer, None where none came."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Space:
    id: str
    title: str


class WebexCalls:
    """What one page asks for. Raises CallFailed where the API fails, and whatever the client raises where the grant
    does."""

    def __init__(self, client: AsyncGrantClient) -> None:
        self._client = client
        client.timeout = _PATIENCE_SECONDS
        self._until = asyncio.get_running_loop().time() + _PAGE_WAITS_SECONDS

    async def display_name(self) -> str:
        """What `people/me` calls the person; empty where it does not."""
        return _text(await self._look("people/me"), "displayName")

    async def spaces(self) -> list[Space]:
        """The person's spaces, the liveliest first."""
        items = (await self._look("rooms", params={"max": _SPACES, "sortBy": "lastactivity"})).get("items")
        named = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        return [Space(_text(item, "id"), _text(item, "title") or "(no title)") for item in named]

    async def post(self, space: str, *, text: str) -> str:
        """Post the text; the id of the new message."""
        return _text(await self._ask("POST", "messages", json={"roomId": space, "text": text}), "id")

    async def _look(self, path: str, **options: Any) -> dict[str, Any]:
        """A call that changes nothing, so it can be given up."""
        try:
            async with asyncio.timeout_at(self._until):
                return await self._ask("GET", path, **options)
        except TimeoutError:
            raise CallFailed(f"GET {path} had no answer while the page could wait") from None

    async def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            async with self._client.stream(method, path, **options) as answer:
                body = await _read(answer)
        except NoAnswer as error:
            raise CallFailed(f"{method} {path} had no answer: {type(error).__name__}") from error
        if not answer.is_success:
            tracking_id = printable(answer.headers.get("trackingid", "none"))
            raise CallFailed(
                f"{method} {path} was answered {answer.status_code} (tracking id {tracking_id})",
                status=answer.status_code,
            )
        try:
            members = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise CallFailed(f"{method} {path} was answered with something else than JSON", status=502) from error
        return members if isinstance(members, dict) else {}


async def _read(answer: Any) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > _ANSWER_LIMIT:
            raise CallFailed(f"{answer.request.url.path} was answered with more than {_ANSWER_LIMIT} bytes", status=502)
    return bytes(body)


def _text(members: dict[str, Any], name: str) -> str:
    """A member that is text, empty otherwise; JSON may hold halves of characters that no page can show."""
    value = members.get(name)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
