"""`grantflow grants import`: whatever shape the file has, what can be used comes in, and nothing of it is printed."""

import io
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from authlib.oauth2.rfc6749 import OAuth2Token

from grantflow import Grant, Status
from tests.cli.conftest import CommandLine
from tests.cli.grants import Own, own
from tests.client.foreign import Answer
from tests.parts import ROOT

AHEAD = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)


@pytest.fixture
def here(grantflow: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Own]:
    with own(tmp_path, monkeypatch) as made:
        yield made


def written(folder: Path, text: str, *, name: str = "tokens") -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def grants(here: Own) -> list[Grant]:
    with here.integration() as integration:
        return list(integration.grants())


OURS: dict[str, Any] = {
    "refresh_token": "refresh-of-ada",
    "access_token": "access-of-ada",
    "access_expires_at": AHEAD.isoformat(),
    "refresh_expires_at": AHEAD.timestamp(),
    "scopes": ["spark:people_read"],
    "person_id": "id-ada",
    "display_name": "Ada Lovelace",
    "email": "ada@example.org",
    "owner": 17,
    "issued_at": "2026-11-01T12:00:00Z",
    "note": {"of another": ["program"]},
}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([OURS]),
        json.dumps([OURS], indent=2),
        "\ufeff" + json.dumps(OURS),
        json.dumps(OURS, indent=2),
        f"\n{json.dumps(OURS)}\n\n",
        json.dumps({"17": {**OURS, "owner": None}}),
        yaml.safe_dump(OURS),
        yaml.safe_dump({17: {**OURS, "owner": None}}),
    ],
    ids=["list", "indented", "with a mark", "one", "a line", "by user", "yaml", "yaml by user"],
)
def test_every_shape_comes_in_with_all_that_it_knows(
    grantflow: CommandLine, here: Own, tmp_path: Path, text: str
) -> None:
    ended = grantflow("grants", "import", written(tmp_path, text))
    assert (ended.code, ended.out) == (0, "")
    assert "1 entry: 1 new." in ended.err
    (grant,) = grants(here)
    assert (grant.owner, grant.person_id, grant.display_name, grant.email) == (
        *("17", "id-ada", "Ada Lovelace"),
        "ada@example.org",
    )
    assert (grant.access_expires_at, grant.refresh_expires_at) == (AHEAD, AHEAD)
    assert (str(grant.scopes), grant.granted_at) == ("spark:people_read", datetime(2026, 11, 1, 12, tzinfo=UTC))
    assert not here.platform.counts


@pytest.mark.slow  # wxc-sdk takes seconds to import
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="wxc-sdk is not for this Python")
def test_a_token_file_of_wxc_sdk_comes_in_as_its_own_class_writes_it(
    grantflow: CommandLine, here: Own, tmp_path: Path
) -> None:
    from wxc_sdk.tokens import Tokens

    tokens = Tokens(
        access_token="access-of-ada",
        expires_in=1_209_600,
        refresh_token="refresh-of-ada",
        refresh_token_expires_in=7_776_000,
        token_type="Bearer",
        scope="spark:people_read",
    )
    tokens.set_expiration()
    here.line("ada", access="access-of-ada")
    path = written(tmp_path, yaml.safe_dump(json.loads(tokens.model_dump_json())), name="tokens.yml")
    assert grantflow("grants", "import", path).code == 0
    (grant,) = grants(here)
    assert (grant.person_id, grant.owner, grant.access_expires_at) == ("id-ada", "id-ada", tokens.expires_at)
    assert grant.refresh_expires_at == tokens.refresh_token_expires_at
    assert here.platform.counts["token"] == 0


@pytest.mark.parametrize("names", ["owner", "person"])
def test_authlibs_tokens_by_user_come_in_for_the_users_or_the_people_that_their_names_are(
    grantflow: CommandLine, here: Own, tmp_path: Path, names: str
) -> None:
    answer = {
        "access_token": "access-of-ada",
        "expires_in": 3600,
        "refresh_token": "refresh-of-ada",
        "token_type": "Bearer",
    }
    token = OAuth2Token.from_dict(answer)
    here.line("ada", access="access-of-ada")
    path = written(tmp_path, json.dumps({"id-ada": token}))
    assert grantflow("grants", "import", path, "--names", names).code == 0
    (grant,) = grants(here)
    assert (grant.person_id, grant.owner) == ("id-ada", "id-ada")
    assert grant.access_expires_at is not None
    assert grant.access_expires_at.timestamp() == token["expires_at"]
    assert here.platform.counts["call"] == (1 if names == "owner" else 0)


BROKEN = [
    OURS,
    {"access_token": "access-secret-2", "person_id": "id-2"},
    "nonsense-secret-3",
    {"refresh_token": "refresh-secret-4", "person_id": "id-4", "expires_at": "secret-time"},
    {"refresh_token": "refresh-secret-5", "person_id": "id-5", "refresh_expires_at": 1_600_000_000},
    {"refresh_token": "refresh secret\n6", "person_id": "id-6"},
    {"refresh_token": ["refresh-secret-7"], "person_id": "id-7"},
    {"refresh_token": "refresh-secret-8", "person_id": "id-8", "scopes": 'a"secret'},
    {"refresh_token": "refresh-secret-9", "person_id": "id\u202e9"},
    {"refresh_token": "refresh-secret-10", "person_id": "id-10", "owner": "u-secret-\ud800"},
    {"refresh_token": "refresh-of-grace", "person_id": "id-grace"},
]
TOLD = {
    2: "holds no refresh_token",
    3: "is no JSON object",
    4: "has no time in its expires_at",
    5: "ended on 2020-09-13",
    6: "refresh_token is no token",
    7: "has no text in its refresh_token",
    8: "A scope holds a character",
    9: "The person's id is empty, too long, or holds characters",
    10: "owner holds half a character",
}


@pytest.mark.parametrize("form", ["list", "lines"])
def test_each_entry_that_cannot_be_used_is_named_with_what_to_do_and_all_others_come_in(
    grantflow: CommandLine, here: Own, tmp_path: Path, form: str
) -> None:
    text = json.dumps(BROKEN) if form == "list" else "\n".join(map(json.dumps, BROKEN))
    ended = grantflow("grants", "import", written(tmp_path, text))
    assert ended.code == 1
    place = "entry" if form == "list" else "line"
    told = [line for line in ended.err.splitlines() if line.startswith(place)]
    assert len(told) == len(TOLD)
    for line, (number, says) in zip(told, TOLD.items(), strict=True):
        assert line.startswith(f"{place} {number}: it ")
        assert says in line
        assert line.endswith(".")
    assert "11 entries: 2 new, 9 failed." in ended.err
    assert {grant.person_id for grant in grants(here)} == {"id-ada", "id-grace"}
    assert "secret" not in ended.out + ended.err
    assert "refresh-of" not in ended.out + ended.err
    again = grantflow("grants", "import", written(tmp_path, text), "--json")
    assert (again.json["unchanged"], len(again.json["failed"])) == (2, 9)
    assert "secret" not in again.out + again.err


def test_a_broken_line_is_named_and_the_lines_after_it_are_read(
    grantflow: CommandLine, here: Own, tmp_path: Path
) -> None:
    lines = [json.dumps(OURS), '{"refresh_token": "torn-secret', json.dumps({"refresh_token": "r", "person_id": "p"})]
    ended = grantflow("grants", "import", written(tmp_path, "\n".join(lines)))
    assert "line 2:" in ended.err
    assert "3 entries: 2 new, 1 failed." in ended.err
    assert "secret" not in ended.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "It is empty."),
        ("  \n\n", "It is empty."),
        ('[{"refresh_token": "a-secret"', "It begins as JSON and is none"),
        ('{"a-secret": ', "It begins as JSON and is none"),
        ("[" * 100_000, "nested too deeply"),
        ("a: a-secret\n b: c: d", "cannot be read on in line 2"),
        ("a-secret", "It holds neither a list"),
        ("{}", "It holds neither a list"),
        ('{"a": "a-secret"}', "It holds neither a list"),
        ("!!python/object/apply:os.system ['a-secret']", "cannot be read on in line 1"),
    ],
)
def test_what_is_no_file_of_tokens_is_told_without_quoting_it(
    grantflow: CommandLine, here: Own, tmp_path: Path, text: str, says: str
) -> None:
    ended = grantflow("grants", "import", written(tmp_path, text))
    assert ended.code == 2
    assert says in " ".join(ended.err.split())
    assert "secret" not in ended.err
    assert grants(here) == []


def test_a_file_that_is_not_there_or_no_text_is_told(grantflow: CommandLine, here: Own, tmp_path: Path) -> None:
    assert "cannot be read: No such file" in grantflow("grants", "import", "nowhere.json").err
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe{")
    told = grantflow("grants", "import", str(path)).err
    assert "is no text in UTF-8" in " ".join(told.split()), "a long path breaks the line anywhere"


def test_standard_input_is_read_where_the_file_is_a_dash(
    grantflow: CommandLine, here: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps([OURS]).encode())))
    ended = grantflow("grants", "import", "-")
    assert (ended.code, ended.err) == (0, "1 entry: 1 new.\n")


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_file_that_others_may_read_is_warned_of(grantflow: CommandLine, here: Own, tmp_path: Path) -> None:
    path = Path(written(tmp_path, json.dumps([OURS])))
    assert "warning" not in grantflow("grants", "import", str(path)).err
    path.chmod(0o644)
    warned = " ".join(grantflow("grants", "import", str(path)).err.split())
    assert f"others on this machine may read it (mode 644). Make it yours alone: chmod 600 {path}" in warned
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_dry_run_begins_no_vault(grantflow: CommandLine, here: Own, tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps([OURS]))
    before = {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*")}
    assert here.vault not in before
    ended = grantflow("grants", "import", path, "--dry-run")
    assert (ended.code, ended.err) == (0, "1 entry: 1 new.\nNothing was changed.\n")
    assert {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*")} == before


def test_a_dry_run_tells_what_would_come_in_and_changes_nothing(
    grantflow: CommandLine, here: Own, tmp_path: Path
) -> None:
    here.adopt("grace")
    entries = [OURS, {"refresh_token": "refresh-of-x"}, {"refresh_token": "other", "person_id": "id-grace"}]
    path = written(tmp_path, json.dumps(entries))
    before = grants(here), dict(here.platform.counts)
    ended = grantflow("grants", "import", path, "--dry-run")
    assert "3 entries: 1 new, 1 left out for a grant that is here, 1 to ask the platform about." in ended.err
    assert "Nothing was changed." in ended.err
    assert (grants(here), dict(here.platform.counts)) == before
    replaced = grantflow("grants", "import", path, "--dry-run", "--replace", "--json").json
    assert (replaced["adopted"], replaced["replaced"], replaced["nameless"]) == (1, 1, 1)


def test_whose_they_are_is_asked_after_all_are_kept_and_each_failure_is_told(
    grantflow: CommandLine, here: Own, tmp_path: Path
) -> None:
    for person in ("ada", "grace"):
        here.line(person)
    here.line("edsger").alive = False
    entries = [{"refresh_token": f"refresh-of-{person}"} for person in ("edsger", "ada", "grace")]
    kept: list[int] = []
    here.platform.on_refresh = lambda: kept.append(len(grants(here)))
    ended = grantflow("grants", "import", written(tmp_path, json.dumps(entries)))
    assert kept == [3, 2, 2], "what is refused before anybody knows whose it is goes"
    assert ended.code == 1
    refused = "the refresh token is no longer accepted (the token endpoint answered 400: invalid_grant)"
    assert f"entry 1: {refused}. This person must grant again.\n" in ended.err
    assert "3 entries: 2 new, 1 failed." in ended.err
    assert {grant.person_id for grant in grants(here)} == {"id-ada", "id-grace"}


def test_a_refusal_is_told_once_with_the_id_by_which_the_platform_finds_it(
    grantflow: CommandLine, here: Own, tmp_path: Path
) -> None:
    here.line("ada")
    words = "The token is no longer valid; send the person through the grant again."
    body = json.dumps({"error": "invalid_grant", "error_description": words, "trackingId": "T_1-a"})
    here.platform.answers = [Answer(400, body)]
    ended = grantflow("grants", "import", written(tmp_path, json.dumps({"refresh_token": "refresh-of-ada"})))
    told = "the refresh token is no longer accepted (tracking id T_1-a). This person must grant again.\n"
    assert ended.err.startswith(f"entry 1: {told}")


def test_where_the_platform_says_slow_down_it_is_waited_for(grantflow: CommandLine, here: Own, tmp_path: Path) -> None:
    here.line("ada", access="access-of-ada")
    here.platform.api_answers = [Answer(429, headers={"Retry-After": "1"})]
    entry = {"refresh_token": "refresh-of-ada", "access_token": "access-of-ada"}
    ended = grantflow("grants", "import", written(tmp_path, json.dumps(entry)))
    assert (ended.code, here.platform.counts["call"]) == (0, 2)


def test_where_the_platform_is_out_of_order_the_rest_waits_for_the_next_run(
    grantflow: CommandLine, here: Own, tmp_path: Path
) -> None:
    people = [f"person-{number}" for number in range(9)]
    for person in people:
        here.line(person, access=f"access-of-{person}")
    entries = [{"refresh_token": f"refresh-of-{each}", "access_token": f"access-of-{each}"} for each in people]
    path = written(tmp_path, json.dumps(entries))
    here.platform.api_answers = [Answer(502)] * 5
    ended = grantflow("grants", "import", path)
    assert ended.code == 5
    assert "9 entries: 4 waiting for a name, 5 failed." in ended.err
    assert "run the same command again to go on" in ended.err
    assert "9 entries: 9 new." in grantflow("grants", "import", path).err
    assert {grant.person_id for grant in grants(here)} == {f"id-{person}" for person in people}


def test_a_wrong_client_secret_stops_at_once_and_harms_nothing(
    grantflow: CommandLine, here: Own, tmp_path: Path
) -> None:
    for person in ("ada", "grace"):
        here.line(person)
    path = written(tmp_path, json.dumps([{"refresh_token": f"refresh-of-{each}"} for each in ("ada", "grace")]))
    here.platform.client_secret = "regenerated"
    ended = grantflow("grants", "import", path)
    assert (ended.code, here.platform.counts["token"]) == (5, 1)
    assert "refuses the integration itself" in ended.err
    assert {grant.status for grant in grants(here)} == {Status.ACTIVE}


@pytest.mark.slow
def test_after_kill_9_the_same_command_goes_on_and_nothing_comes_in_twice(here: Own, tmp_path: Path) -> None:
    count = 20_000
    lines = (json.dumps({"refresh_token": f"refresh-{number}", "person_id": f"id-{number}"}) for number in range(count))
    path = written(tmp_path, "\n".join(lines))
    command = [sys.executable, "-c", "from grantflow.cli import main; main()", "grants", "import", path]
    killed = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    while not grants(here):
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = len(grants(here))
    assert 0 < before < count
    ended = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(ended.stdout)
    assert (told["entries"], told["unchanged"], told["adopted"]) == (count, before, count - before)
    assert len({grant.person_id for grant in grants(here)}) == count


@pytest.mark.slow
def test_killed_at_any_point_while_it_asks_whose_they_are_it_loses_no_token(here: Own, tmp_path: Path) -> None:
    people = [f"person-{number:02}" for number in range(40)]
    lines = {person: here.line(person) for person in people}
    path = written(tmp_path, json.dumps([{"refresh_token": line.refresh} for line in lines.values()]))
    command = [sys.executable, "-c", "from grantflow.cli import main; main()", "grants", "import", path]
    chance = random.Random(7)
    for _ in range(5):
        asked = here.platform.counts["token"]
        killed = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        while here.platform.counts["token"] == asked and killed.poll() is None:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.06))
        killed.kill()
        killed.wait()
    ended = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(ended.stdout)
    assert (told["entries"], told["failed"], told["nameless"]) == (40, [], 0)
    with here.integration() as integration:
        found = {grant.person_id: grant for grant in integration.grants()}
        assert set(found) == {f"id-{person}" for person in people}
        for person, line in lines.items():
            stored = integration._parts.vault.find(found[f"id-{person}"].key)
            assert stored is not None
            assert stored.refresh_token is not None
            assert stored.refresh_token.reveal() == line.refresh
            assert integration.client_for(f"id-{person}").get("people/me").status_code == 200


def chained(form: str) -> str:
    """Mappings, each with nine of the one before."""
    lines = (form.format(name, ",".join([f"*{chr(ord(name) - 1)}"] * 9)) for name in "bcdefghi")
    return "a: &a {k: 1}\n" + "".join(lines)


HOSTILE = {
    "lists without end": "x: " + "[" * 50_000,
    "mappings without end": "x: " + "{" * 100_000,
    "blocks without end": "".join(f"{' ' * depth}a:\n" for depth in range(3_000)),
    "merged": chained("{0}: &{0} {{<<: [{1}]}}\n"),
    "merged by tag": chained("{0}: &{0} {{!!merge x: [{1}]}}\n"),
    "a date that is none": "refresh_token: abc\nexpires_at: 2026-02-31\n",
    "a number that is none": "refresh_token: abc\nexpires_in: !!int ''\n",
    "a truth that is none": "refresh_token: abc\nexpires_in: !!bool x\n",
    "a long name": f"? 0x{'f' * 100_000}\n: {{refresh_token: abc}}\n",
    "a long file": "refresh_token: abc\nnote: " + "y" * 5_000_000,
    "a long number in JSON": f'{{"refresh_token": "abc", "expires_at": {"9" * 5_000}}}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_s104_a_file_made_to_harm_is_refused_at_once_and_with_a_reason(
    grantflow: CommandLine, here: Own, tmp_path: Path, text: str
) -> None:
    began = time.monotonic()
    ended = grantflow("grants", "import", "--dry-run", written(tmp_path, text))
    assert time.monotonic() - began < 60, "it would take hours"
    assert ended.code == 2, ended.err
    assert "is no file of tokens." in " ".join(ended.err.split())


@pytest.mark.parametrize(
    "members", [{"expires_in": 1e300}, {"expires_at": "9999-12-31T23:59:59-14:00"}, {"expires_in": float("nan")}]
)
def test_s104_an_entry_with_an_impossible_time_is_told_and_the_rest_comes_in(
    grantflow: CommandLine, here: Own, tmp_path: Path, members: dict[str, Any]
) -> None:
    wrong = {key: value for key, value in OURS.items() if key != "access_expires_at"} | members
    ended = grantflow("grants", "import", written(tmp_path, json.dumps([wrong, OURS])))
    assert "entry 1: it cannot be used" in " ".join(ended.err.split())
    assert len(grants(here)) == 1
