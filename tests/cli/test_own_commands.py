"""`whoami`, `api` and `token` on one's own integration, against a sandbox over sockets."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from grantflow.cli.api import code_of
from tests.cli.own import Own, on_a_terminal, registered
from tests.whole.running import up

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    """Grace and Ada have granted."""
    folder = tmp_path_factory.mktemp("own")
    with up(folder / "sandbox") as sandbox:
        own = registered(sandbox, folder)
        for who in (0, 1):
            assert own.grant(who).returncode == 0
        yield own


def people_me(own: Own, token: str) -> httpx2.Response:
    bearer = {"authorization": f"Bearer {token}"}
    return httpx2.get(f"{own.up.api_url}/people/me", headers=bearer, trust_env=False)


# --- who is meant ------------------------------------------------------------------------------------------------


def test_where_several_have_granted_one_has_to_be_named(own: Own) -> None:
    ended = own("token")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "More than one grant is here: say which is meant." in ended.stderr
    for row in (r"ada@example.com +Ada Lovelace\n", r"grace@example.com +Grace Hopper\n"):
        assert re.search(row, ended.stderr)


def test_a_person_is_meant_by_id_email_or_grant(own: Own) -> None:
    grace = own.json("whoami", "grace@example.com")[0]
    for name in ("GRACE@example.com", grace["person_id"], grace["grant_id"]):
        assert own.json("whoami", name)[0]["grant_id"] == grace["grant_id"]
    ended = own("whoami", "nobody@example.com")
    assert ended.returncode == 4
    assert "No grant of nobody@example.com is here." in ended.stderr
    assert "grantflow login" in ended.stderr


# --- whoami ------------------------------------------------------------------------------------------------------


def test_w29_whoami_shows_who_granted_and_what_the_api_says(own: Own) -> None:
    ended = own("whoami")
    assert ended.returncode == 0
    assert sorted(ended.stdout.splitlines()) == [
        "ada@example.com\tAda Lovelace\tactive\tAda Lovelace <ada@example.com>",
        "grace@example.com\tGrace Hopper\tactive\tGrace Hopper <grace@example.com>",
    ]
    code, seen = on_a_terminal(own, "whoami", NO_COLOR="1")
    assert code == 0
    assert re.search(r"PERSON +NAME +STATUS +THE API SAYS", seen)
    assert "\x1b" not in seen


def test_w34_whoami_tells_who_must_grant_again_and_which_answer_was_none(own: Own, tmp_path: Path) -> None:
    other = registered(own.up, tmp_path, name="Revoked")
    other.grant(1)
    away = other("whoami", GRANTFLOW_API_URL="http://127.0.0.1:1/v1")
    assert away.returncode == 5
    assert "\tnot asked: " in away.stdout
    own.up.platform("grant", "revoke", "--app", "Revoked", "--yes")
    ended = other("whoami")
    assert ended.returncode == 4
    assert re.search(r"refused\tmust grant again: .*400", ended.stdout)
    assert ended.stderr == "", "the table has said it"


# --- token -------------------------------------------------------------------------------------------------------


def test_a_person_of_whom_the_id_alone_is_known_is_named_by_it_once(own: Own, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    tokens.write_text('[{"refresh_token": "unknown", "person_id": "an-id-alone"}]')
    elsewhere = {"GRANTFLOW_VAULT": str(tmp_path / "vault.db")}
    assert own("grants", "import", str(tokens), **elsewhere).returncode == 0
    ended = own("whoami", **elsewhere)
    assert ended.stdout.split("\t")[:3] == ["an-id-alone", "", "refused"]


def test_a_living_token_is_printed_alone(own: Own) -> None:
    ended = own("token", "grace@example.com")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert people_me(own, ended.stdout.strip()).json()["displayName"] == "Grace Hopper"
    assert ended.stdout.count("\n") == 1


def test_a_token_comes_with_its_lifetime_as_json(own: Own) -> None:
    told = own.json("token", "grace@example.com")
    assert told["token_type"] == "Bearer"
    assert 0 < told["expires_in"] <= 1_209_600
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", told["expires_at"])
    assert told["email"] == "grace@example.com"


def test_on_a_terminal_a_token_is_warned_about(own: Own) -> None:
    code, seen = on_a_terminal(own, "token", "grace@example.com")
    assert code == 0
    assert seen.startswith("warning: Whoever sees this token can act in the person's name.")


def test_w32_a_token_that_the_platform_has_ended_is_renewed_where_the_api_is_asked(own: Own) -> None:
    dead = own.json("token", "grace@example.com")["access_token"]
    own.up.expire_access_tokens()
    assert people_me(own, dead).status_code == 401
    assert own.json("token", "grace@example.com")["access_token"] == dead, "nothing here can know"
    living = own.json("token", "grace@example.com", "--check")["access_token"]
    assert people_me(own, living).status_code == 200


# --- api ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_written_as_it_came(own: Own) -> None:
    ended = own("api", "get", "people/me", "--person", "grace@example.com")
    assert (ended.returncode, ended.stderr) == (0, "")
    token = own.json("token", "grace@example.com")["access_token"]
    assert ended.stdout == people_me(own, token).text


def test_on_a_terminal_json_stands_in_lines_and_colour_only_where_it_is_wanted(own: Own) -> None:
    code, plain = on_a_terminal(own, "api", "GET", "people/me", "--person", "grace@example.com", NO_COLOR="1")
    assert code == 0
    assert '{\n  "id": "' in plain
    assert json.loads(plain)["displayName"] == "Grace Hopper"
    _, bold = on_a_terminal(own, "api", "GET", "people/me", "--person", "grace@example.com")
    assert '\n  \x1b[1m"displayName"\x1b[0m: "Grace Hopper"' in bold


def test_what_is_sent_comes_from_fields_text_file_or_stdin(own: Own, tmp_path: Path) -> None:
    (tmp_path / "message.json").write_text('{"toPersonEmail": "ada@example.com", "text": "from a file"}')
    by_stdin = '{"toPersonEmail": "ada@example.com", "text": "from stdin"}'
    for text, arguments in [
        ("from fields", ("-f", "toPersonEmail=ada@example.com", "-f", "text=from fields")),
        ("from a file", ("--body", f"@{tmp_path / 'message.json'}")),
        ("from stdin", ("--body", "@-")),
        ("given", ("--body", '{"toPersonEmail": "ada@example.com", "text": "given"}')),
    ]:
        ended = own("api", "POST", "messages", "--person", "grace@example.com", *arguments, stdin=by_stdin)
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["text"] == text


def test_fields_of_a_get_are_its_query_and_pages_are_followed(own: Own) -> None:
    one = own("api", "GET", "rooms", "-f", "max=1", "--person", "ada@example.com")
    assert len(json.loads(one.stdout)["items"]) == 1
    every = own("api", "GET", "rooms", "-f", "max=1", "--paginate", "--person", "ada@example.com")
    at_once = own("api", "GET", "rooms", "--person", "ada@example.com")
    ids = [[room["id"] for room in json.loads(shown.stdout)["items"]] for shown in (every, at_once)]
    assert ids[0] == ids[1]
    assert len(ids[0]) > 1


def test_a_refusal_is_shown_with_the_apis_own_words_and_told_to_the_shell(own: Own) -> None:
    ended = own("api", "GET", "rooms/nothing", "--person", "ada@example.com")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["trackingId"]
    assert "error: GET /v1/rooms/nothing was answered 4" in ended.stderr
    assert json.loads(ended.stdout)["message"] in " ".join(ended.stderr.split())
    assert ended.stderr.count(json.loads(ended.stdout)["message"][:30]) == 1, "the same is said once"
    refused = own("api", "POST", "memberships", "-f", "roomId=x", "--person", "ada@example.com")
    (cause,) = json.loads(refused.stdout)["errors"]
    assert cause["description"] != json.loads(refused.stdout)["message"]
    assert cause["description"] in " ".join(refused.stderr.split()), "and what it says of the cause"
    assert [code_of(status) for status in (200, 304, 400, 401, 403, 404, 429, 500, 503)] == [0, 0, 1, 4, 1, 1, 5, 5, 5]


def test_status_and_headers_are_shown_where_they_are_asked_for(own: Own) -> None:
    ended = own("api", "GET", "people/me", "-i", "--person", "ada@example.com")
    head, _, body = ended.stdout.partition("\n\n")
    assert head.startswith("HTTP/1.1 200 OK\n")
    assert "content-type: application/json" in head
    assert json.loads(body)["displayName"] == "Ada Lovelace"


def test_s102_a_token_goes_nowhere_but_to_the_api(own: Own) -> None:
    ended = own("api", "GET", "https://elsewhere.example/people/me", "--person", "ada@example.com")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "is not the API of this integration, so nothing was sent there" in " ".join(ended.stderr.split())
    assert "api_origins" not in ended.stderr, "the command line has no such thing"
    assert "Name a path below GRANTFLOW_API_URL" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("POST", "messages", "-f", "text"), "--field text is not understood. Write NAME=TEXT, or NAME:=JSON"),
        (("POST", "messages", "-f", "n:={"), "What --field n:= is to be is not valid JSON"),
        (("POST", "messages", "-f", "a=b", "--body", "{}"), "Leave one of them out."),
        (("POST", "messages", "--body", "@missing"), "missing cannot be read: No such file or directory."),
        (("POST", "messages", "--paginate"), "--paginate goes on from one GET to the next."),
        (("GET", "rooms", "-H", "nonsense"), "--header is not understood. Write it like 'Accept: text/csv'."),
        (("GET", "rooms", "-H", "Authorization: Bearer x"), "The token is sent by itself."),
        (("G T", "rooms"), "G T is no method, such as GET or POST."),
        (("foo", "rooms"), "FOO is no method, such as GET or POST."),
        (("GET", "people/me", "--paginate", "--person", "ada@example.com"), "does not answer in pages of items."),
    ],
)
def test_slips_are_told_before_anything_is_sent(own: Own, arguments: tuple[str, ...], what: str) -> None:
    ended = own("api", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert what in " ".join(ended.stderr.split())


def test_an_api_that_is_away_is_told_and_nothing_of_the_call_is_lost_in_a_traceback(own: Own) -> None:
    ended = own("api", "GET", "people/me", "--person", "ada@example.com", GRANTFLOW_API_URL="http://127.0.0.1:1/v1")
    assert (ended.returncode, ended.stdout) == (5, "")
    assert "The API gave no usable answer: " in ended.stderr
