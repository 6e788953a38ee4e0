"""What may be registered as a bot, and the token that it is given."""

import secrets
from dataclasses import replace

import pytest

from grantflow.developer_portal.bots import BotApplication, new_bot_token, read_username, register_bot
from grantflow.developer_portal.registration import InvalidRegistration
from tests.authorization_server.given import NOW

ORG = "8b1d7f52-52c5-4f0a-9a3c-0f6f4b1f8c11"
APPLICATION = BotApplication("lockbot", "LockBot")


def test_w04_a_bot_is_given_an_email_and_a_token_of_288_random_bits() -> None:
    made = [register_bot(APPLICATION, org_id=ORG, now=NOW, mint=secrets.token_bytes) for _ in range(20)]
    assert {each.bot.email for each in made} == {"lockbot@webex.bot"}
    assert len({each.token.reveal() for each in made} | {each.bot.id for each in made}) == 40
    assert all(each.token.reveal().endswith(f"_LG01_{ORG}") for each in made)


def test_s57_only_the_hash_of_a_bot_s_token_is_kept() -> None:
    token, kept = new_bot_token(ORG, now=NOW, mint=secrets.token_bytes)
    assert token.matches(kept.digest)
    assert token.reveal() not in repr(kept)
    assert (kept.expires_at - kept.issued_at).days == 36_525


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"username": ""}, "username", "1 to 60 letters"),
        ({"username": "x" * 61}, "username", "1 to 60 letters"),
        ({"username": "lock bot"}, "username", "1 to 60 letters"),
        ({"username": "lock..bot"}, "username", "single dots"),
        ({"username": ".lockbot"}, "username", "between them"),
        ({"username": "lockbot@example.com"}, "username", "1 to 60 letters"),
        ({"username": "löckbot"}, "username", "1 to 60 letters"),
        ({"name": "  "}, "name", "needs a name"),
        ({"icon": "skull"}, "icon", "one of these icons"),
        ({"name": "x" * 121}, "name", "at most 120"),
        ({"name": "a\u202eb"}, "name", "printable"),
        ({"description": "x" * 1_001}, "description", "at most 1000"),
        ({"description": "\x1b]0;owned\x07"}, "description", "control character"),
        ({"description": "x\u202ey"}, "description", "control character"),
    ],
)
def test_what_may_not_be_a_bot_is_told_field_by_field(changed: dict[str, str], field: str, words: str) -> None:
    with pytest.raises(InvalidRegistration) as caught:
        register_bot(replace(APPLICATION, **changed), org_id=ORG, now=NOW, mint=secrets.token_bytes)
    assert list(caught.value.problems) == [field]
    assert words in caught.value.problems[field]


@pytest.mark.parametrize("typed", ["lock.bot-2_x", " Lock.Bot-2_X ", "lock.bot-2_x@webex.bot"])
def test_a_username_may_be_typed_in_capitals_or_as_the_whole_email(typed: str) -> None:
    assert read_username(typed) == "lock.bot-2_x"
    made = register_bot(replace(APPLICATION, username=typed), org_id=ORG, now=NOW, mint=secrets.token_bytes)
    assert made.bot.email == "lock.bot-2_x@webex.bot"
