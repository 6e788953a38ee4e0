"""Bots: accounts that act with a token of their own. One that is deleted stays as the author of what it wrote."""

from collections.abc import Sequence
from datetime import datetime

from grantflow.developer_portal.records import Bot, NewBotToken
from grantflow.storage.engine import Engine, Row, Stale, Statement, Work
from grantflow.storage.portions import PORTION
from grantflow.storage.rooms import remove_member
from grantflow.storage.searching import pattern_of
from grantflow.storage.times import from_milliseconds, milliseconds

# An email that is taken, by a person or by a bot that was deleted, inserts no row and raises nothing.
_ADD_ACCOUNT = """
INSERT INTO people (id, email, display_name, org_id, type, created_at)
VALUES (:id, :email, :name, :org_id, 'bot', :created_at)
ON CONFLICT (email) DO NOTHING
RETURNING id
"""
_ADD = """
INSERT INTO bots (person_id, username, description, owner_id, icon)
VALUES (:id, :username, :description, :owner_id, :icon)
"""
_ADD_TOKEN = """
INSERT INTO access_tokens (token_hash, person_id, scopes, issued_at, expires_at)
SELECT :token_hash, p.id, :scopes, :issued_at, :expires_at FROM people p JOIN bots b ON b.person_id = p.id
WHERE p.id = :id AND p.deleted_at IS NULL
RETURNING person_id
"""
_COUNT_TOKEN = """
UPDATE bots SET version = version + 1
WHERE person_id = :id AND EXISTS (SELECT 1 FROM people p WHERE p.id = :id AND p.deleted_at IS NULL)
RETURNING version
"""
_END_TOKENS = "DELETE FROM access_tokens WHERE person_id = :id AND grant_id IS NULL"
_SELECT = """
SELECT p.id, b.username, p.email, p.display_name, p.org_id, p.created_at, b.description, b.owner_id, b.icon,
       b.version
FROM bots b JOIN people p ON p.id = b.person_id
WHERE p.deleted_at IS NULL
"""
_FIND = f"{_SELECT} AND b.username = :username"
_LIST = f"{_SELECT} AND b.username > :after ORDER BY b.username LIMIT :limit"
_OF_OWNER = f"""
{_SELECT} AND b.owner_id = :owner_id AND lower(p.display_name) LIKE :pattern ESCAPE '!'
ORDER BY b.username LIMIT :limit
"""
_COUNT = "SELECT count(*) AS total FROM bots WHERE owner_id = :owner_id"
_COUNT_ROOMS = "SELECT count(*) AS total FROM memberships WHERE person_id = :id"
_LIVES = "SELECT 1 FROM people WHERE id = :id AND type = 'bot' AND deleted_at IS NULL"
_DELETE = "UPDATE people SET deleted_at = :now WHERE id = :id AND type = 'bot' AND deleted_at IS NULL RETURNING id"
_GROUP_ROOMS = """
SELECT r.id FROM memberships m JOIN rooms r ON r.id = m.room_id WHERE m.person_id = :id AND r.type = 'group'
LIMIT :portion
"""
# A locked room without a moderator could never be changed again.
_UNLOCK_IF_UNMODERATED = """
UPDATE rooms SET is_locked = 0
WHERE id = :room_id AND is_locked = 1
  AND NOT EXISTS (SELECT 1 FROM memberships WHERE room_id = :room_id AND is_moderator = 1)
"""


class BotStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, bot: Bot, token: NewBotToken) -> bool:
        def work() -> Work[bool]:
            values = _values(bot)
            if not (yield Statement(_ADD_ACCOUNT, values)):
                return False
            yield Statement(_ADD, values)
            yield _add_token(bot.id, token)
            return True

        return await self._engine.write(work(), is_long=True)

    async def find(self, username: str) -> Bot | None:
        rows = await self._engine.read(Statement(_FIND, {"username": username}))
        return _bot(rows[0]) if rows else None

    async def list(self, *, limit: int, after: str = "") -> Sequence[Bot]:
        """Up to `limit` bots in the order of their usernames, beginning behind `after`."""
        return [_bot(row) for row in await self._engine.read(Statement(_LIST, {"after": after, "limit": limit}))]

    async def of_owner(self, owner_id: str, *, search: str, limit: int) -> Sequence[Bot]:
        values = {"owner_id": owner_id, "pattern": pattern_of(search), "limit": limit}
        return [_bot(row) for row in await self._engine.read(Statement(_OF_OWNER, values))]

    async def count(self, owner_id: str) -> int:
        (row,) = await self._engine.read(Statement(_COUNT, {"owner_id": owner_id}))
        return int(row["total"])

    async def replace_token(self, bot_id: str, token: NewBotToken, *, version: int | None = None) -> bool:
        def work() -> Work[None]:
            rows = yield Statement(_COUNT_TOKEN, {"id": bot_id})
            if not rows or version not in (None, rows[0]["version"] - 1):
                raise Stale
            yield Statement(_END_TOKENS, {"id": bot_id})
            yield _add_token(bot_id, token)

        try:
            await self._engine.write(work())
        except Stale:
            return False
        return True

    async def rooms_of(self, bot_id: str) -> int:
        (row,) = await self._engine.read(Statement(_COUNT_ROOMS, {"id": bot_id}))
        return int(row["total"])

    async def delete(self, bot_id: str, *, now: datetime) -> bool:
        """It acts no more from the first moment, and leaves its rooms in portions; where that is interrupted, it is
        still there and can be deleted again.
        """

        def end_tokens() -> Work[bool]:
            lives = bool((yield Statement(_LIVES, {"id": bot_id})))
            if lives:
                yield Statement(_END_TOKENS, {"id": bot_id})
            return lives

        def delete() -> Work[bool]:
            while (yield from _leave_rooms(bot_id)) == PORTION:
                pass
            yield Statement(_END_TOKENS, {"id": bot_id})
            return bool((yield Statement(_DELETE, {"id": bot_id, "now": milliseconds(now)})))

        if not await self._engine.write(end_tokens()):
            return False
        while await self._engine.write(_leave_rooms(bot_id), is_long=True) == PORTION:
            pass
        return await self._engine.write(delete(), is_long=True)


def _leave_rooms(bot_id: str) -> Work[int]:
    """A portion of them; answers how many."""
    rooms = yield Statement(_GROUP_ROOMS, {"id": bot_id, "portion": PORTION})
    for room in rooms:
        yield from remove_member(bot_id, room_id=room["id"])
        yield Statement(_UNLOCK_IF_UNMODERATED, {"room_id": room["id"]})
    return len(rooms)


def _add_token(bot_id: str, token: NewBotToken) -> Statement:
    return Statement(
        _ADD_TOKEN,
        {
            "id": bot_id,
            "token_hash": token.digest,
            "scopes": str(token.scopes),
            "issued_at": milliseconds(token.issued_at),
            "expires_at": milliseconds(token.expires_at),
        },
    )


def _values(bot: Bot) -> dict[str, object]:
    return {
        "id": bot.id,
        "username": bot.username,
        "email": bot.email,
        "name": bot.name,
        "org_id": bot.org_id,
        "created_at": milliseconds(bot.created_at),
        "description": bot.description,
        "owner_id": bot.owner_id,
        "icon": bot.icon,
    }


def _bot(row: Row) -> Bot:
    return Bot(
        id=row["id"],
        username=row["username"],
        email=row["email"],
        name=row["display_name"],
        org_id=row["org_id"],
        created_at=from_milliseconds(row["created_at"]),
        description=row["description"],
        owner_id=row["owner_id"],
        icon=row["icon"],
        version=row["version"],
    )
