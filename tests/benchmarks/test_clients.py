"""./dev bench clients plays what it says through each library, and the documentation shows what was played."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from benchmarks.clients import peers, report
from benchmarks.clients.foreign import CLIENT_ID, CLIENT_SECRET, Grant, Outage, Platform, platform
from benchmarks.clients.run import run
from benchmarks.clients.scenarios import CONTENT, MIDDLE, SCENARIOS, SMALL, what_arrived
from benchmarks.run import Results
from tests.parts import ROOT, require

pytestmark = pytest.mark.slow

OURS = next(peer for peer in peers.PEERS if peer.name == "Grantflow")
PEER = next(peer for peer in peers.PEERS if peer.name == "requests-oauthlib")

MACHINE = {"date": "today", "cores": 2, "processor": "P", "python": "3", "src": "0" * 40, "src_changed": False}


# --- played in small ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """Every scenario of the clients, for Grantflow and one peer: each cell by scenario and row."""
    require("uv")
    peers.install([PEER])
    if not PEER.python.exists():
        pytest.skip("requests-oauthlib could not be installed: its package registry must be in reach.")
    results = Results.in_(tmp_path_factory.mktemp("clients"))
    run([OURS, PEER], list(SCENARIOS), SMALL, results)
    assert report.tables(_with_machine(results.folder))
    return {(cell["scenario"], cell["row"]): cell for cell in results.cells if "scenario" in cell}


def _with_machine(folder: Path) -> Path:
    (folder / "machine.json").write_text(json.dumps(MACHINE))
    return folder


@pytest.mark.slow
def test_every_scenario_is_played_through_each_library(cells: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert set(cells) == {(scenario, row) for scenario in SCENARIOS for row in ("Grantflow", "requests-oauthlib")}
    assert [cell for cell in cells.values() if "failed" in cell] == []


@pytest.mark.slow
def test_our_row_is_what_is_promised(cells: dict[tuple[str, str], dict[str, Any]]) -> None:
    ours = {scenario: cell for (scenario, row), cell in cells.items() if row == "Grantflow"}
    for name in ("expired", "revoked"):
        assert (ours[name]["ends"], ours[name]["refreshes"]) == ({"200": 3}, 1)
    for name in ("together, stays", "together, rotates", "together, revoked", "processes"):
        for each in ours[name]["rounds"]:
            assert set(each["ends"]) == {"200"}
            assert (each["refreshes"], each["afterwards"], each["alive"]) == (1, "200", True)
    for trial in ours["kills"]["trials"]:
        assert trial["afterwards"] == "200" or trial["afterwards"].startswith("RefreshOutcomeUnknown"), trial
    for name in ("outage, 503", "outage, 429, Retry-After: 2", "outage, 429"):
        # Whoever needs longer for all calls than the first wait lasts asks once more.
        assert ours[name]["requests"] == 1 or ours[name]["seconds"] > 0.9
        assert (ours[name]["last"], ours[name]["afterwards"]) == ("200", "200")
    assert [ours[f"upload, {kind}"]["arrived"] for kind in ("bytes", "file", "multipart")] == [["right"]] * 3
    assert ours["upload, generator"]["arrived"] == []
    assert ours["upload, generator"]["end"].startswith("BodyNotReplayable")
    assert ours["gone"]["requests"] == 1


@pytest.mark.slow
def test_a_peer_is_played_by_the_same_scenarios(cells: dict[tuple[str, str], dict[str, Any]]) -> None:
    """What holds of it whatever the machine does: it refreshes by its own clock, and not because of a 401."""
    assert cells["expired", "requests-oauthlib"]["ends"] == {"200": 3}
    assert cells["revoked", "requests-oauthlib"]["ends"] == {"401": 3}
    assert cells["upload, file", "requests-oauthlib"]["arrived"] == []
    assert cells["gone", "requests-oauthlib"]["requests"] == 10


# --- the platform that they meet ---------------------------------------------------------------------------------


@pytest.fixture
def meeting() -> Iterator[Platform]:
    with platform() as made:
        yield made


def refresh(meeting: Platform, token: str) -> httpx2.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return httpx2.post(meeting.token_url, data=form, auth=(CLIENT_ID, CLIENT_SECRET), trust_env=False)


def called(meeting: Platform, access_token: str) -> int:
    headers = {"authorization": f"Bearer {access_token}"}
    return httpx2.get(f"{meeting.api_url}/me", headers=headers, trust_env=False).status_code


def access_of(grant: Grant) -> str:
    return str(grant.first["access_token"])


def test_a_swapped_refresh_token_that_comes_again_revokes_the_whole_grant(meeting: Platform) -> None:
    grant = meeting.grant(rotates=True)
    renewed = refresh(meeting, grant.first["refresh_token"]).json()
    assert called(meeting, renewed["access_token"]) == 200
    assert refresh(meeting, grant.first["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(meeting, renewed["refresh_token"]).status_code == 400
    assert called(meeting, renewed["access_token"]) == 401
    assert not grant.alive


def test_a_refresh_token_that_stays_serves_as_often_as_it_comes(meeting: Platform) -> None:
    grant = meeting.grant()
    answers = [refresh(meeting, grant.first["refresh_token"]) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.json()["access_token"] for answer in answers}) == 3
    assert (grant.requests, grant.issued, meeting.counts["token"]) == (3, 3, 3)


def test_an_access_token_ends_by_the_clock_or_by_the_platform_and_the_grant_lives_on(meeting: Platform) -> None:
    over, taken = meeting.grant(expires_in=0), meeting.grant()
    assert called(meeting, access_of(over)) == 401
    assert called(meeting, access_of(taken)) == 200
    meeting.revoke_access_tokens(taken)
    assert called(meeting, access_of(taken)) == 401
    assert refresh(meeting, taken.refresh).status_code == 200


def test_the_platform_knows_its_client_by_form_or_by_basic_and_nobody_else(meeting: Platform) -> None:
    token = meeting.grant().refresh
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": CLIENT_ID}
    for secret, status in ((CLIENT_SECRET, 200), ("another secret of this test", 401)):
        sent = {**form, "client_secret": secret}
        assert httpx2.post(meeting.token_url, data=sent, trust_env=False).status_code == status


def test_a_token_endpoint_that_is_out_of_order_says_so_to_everybody_and_counts(meeting: Platform) -> None:
    grant = meeting.grant(rotates=True)
    meeting.outage = Outage(429, "{}", {"Retry-After": "2"})
    answer = refresh(meeting, grant.refresh)
    assert (answer.status_code, answer.headers["retry-after"], meeting.counts["token"]) == (429, "2", 1)
    meeting.begin()
    assert refresh(meeting, grant.refresh).status_code == 200, "and nothing was swapped meanwhile"


# --- what is installed, and what a library may reach -------------------------------------------------------------


def test_the_libraries_are_pinned_by_their_hashes_and_no_host_is_named() -> None:
    for lock in {peer.lock for peer in peers.PEERS if peer.lock}:
        pinned = (peers.LOCKS / f"{lock}.lock").read_text()
        parts = [part for part in pinned.replace("\\\n", "").splitlines() if "==" in part]
        assert parts
        assert all("--hash=sha256:" in part for part in parts)
        assert "://" not in pinned


def test_each_library_has_its_driver_and_its_lock() -> None:
    assert [peer.name for peer in peers.PEERS if not peer.program.exists()] == []
    assert {peer.lock for peer in peers.PEERS if peer.lock} == {path.stem for path in peers.LOCKS.glob("*.in")}
    used = {peer.program.name for peer in peers.PEERS} | {"calls.py", "authlib_table.py"}
    assert {path.name for path in peers.DRIVERS.glob("*.py")} == used


def test_a_library_that_is_played_reaches_nothing_but_this_machine() -> None:
    words = "import socket, benchmarks.clients.player as p; p.stay_on_this_machine(); "
    for host, reached in (("localhost", True), ("127.0.0.1", True), ("example.org", False), ("192.0.2.1", False)):
        asked = [sys.executable, "-c", words + f"socket.getaddrinfo({host!r}, 80)"]
        ended = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (ended.returncode == 0) is reached, host
        assert reached or "is not on this machine" in ended.stderr


def test_a_library_that_could_not_be_installed_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    away = peers.Peer("away", "no_driver", ("away",), "no_such_lock")
    results = Results.in_(tmp_path)
    run([away], ["expired"], SMALL, results)
    assert results.cells == [{"row": "away", "missing": "its packages could not be installed"}]
    assert "- away: not installed: its packages" in report.tables(_with_machine(tmp_path))


def test_a_name_that_there_is_not_is_told_and_nothing_is_begun() -> None:
    asked = [sys.executable, "-m", "benchmarks", "clients", "--only", "nosuchlibrary"]
    ended = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--only names nothing that there is: expired, revoked," in ended.stderr


# --- the tables --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("bytes", CONTENT, "right"),
        ("bytes", CONTENT[1:], "wrong"),
        ("bytes", "", "empty"),
        ("file", CONTENT[MIDDLE:], "right"),
        ("file", CONTENT, "wrong"),
        ("file", "", "empty"),
        ("multipart", f"--b\r\nContent-Disposition: form-data\r\n\r\n{CONTENT}\r\n--b--", "right"),
        ("multipart", "--b\r\nContent-Disposition: form-data\r\n\r\n\r\n--b--", "empty"),
        ("multipart", f"--b\r\nContent-Disposition: form-data\r\n\r\n{CONTENT[9:]}\r\n--b--", "wrong"),
    ],
    ids=lambda words: words if words.isalpha() else f"{len(words)} characters",
)
def test_a_body_is_right_where_it_is_what_the_caller_gave(kind: str, body: str, said: str) -> None:
    assert what_arrived(body.encode(), kind) == said


def test_an_error_of_the_drivers_own_is_told_in_words_and_a_librarys_by_its_name() -> None:
    common = {"scenario": "gone", "requests": 10}
    ends = {"a": {"NobodyIsThere": 9, "401": 1}, "b": {"OAuthError: invalid_grant: it is over": 10}}
    kept = [{**common, "row": row, "ends": each} for row, each in ends.items()]
    shown = report.tables_of(MACHINE, kept, where="here")
    assert "| a | - | - | wants to open a browser, 401 | 10 |" in shown
    assert "| b | - | - | `OAuthError` | 10 |" in shown


def good(scenario: str) -> dict[str, Any]:
    """A cell of a library that does everything well."""
    each = {"refreshes": 1, "ends": {"200": 4}, "alive": True, "afterwards": "200"}
    return {
        **{"scenario": scenario, "row": "MSAL", "ends": {"200": 3}, "end": "200", "refreshes": 1, "requests": 1},
        **{"recovered_after": 1.0, "afterwards": "200", "arrived": ["right"], "rounds": [each, each]},
    }


def shown_in_short(cells: list[dict[str, Any]]) -> list[str]:
    text = report.tables_of(MACHINE, cells, where="here").partition("### One caller")[0]
    (line,) = [line for line in text.splitlines() if line.startswith("| MSAL |")]
    return line.strip("| ").split(" | ")[1:]


@pytest.mark.parametrize(
    ("column", "scenario", "worse"),
    [
        (0, "revoked", {"ends": {"200": 2, "401": 1}}),
        (1, "together, rotates", {"rounds": [{"refreshes": 2, "ends": {"200": 4}, "alive": True}]}),
        (1, "together, stays", {"rounds": [{"refreshes": 1, "ends": {"200": 3, "401": 1}, "alive": True}]}),
        (2, "processes", {"rounds": [{"refreshes": 4, "ends": {"200": 4}, "alive": True, "afterwards": "200"}]}),
        (3, "outage, 503", {"requests": 3}),
        (3, "outage, 429", {"recovered_after": None}),
        (4, "upload, file", {"arrived": ["empty"]}),
        (4, "upload, multipart", {"arrived": ["wrong"]}),
        (5, "gone", {"requests": 10}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_in_short_it_is_yes_only_where_every_count_says_so(column: int, scenario: str, worse: dict[str, Any]) -> None:
    cells = [good(each) for each in SCENARIOS if each != "kills"]
    assert shown_in_short(cells) == ["yes"] * 6
    answer = shown_in_short([cell | worse if cell["scenario"] == scenario else cell for cell in cells])
    assert [at for at, word in enumerate(answer) if word == "no"] == [column]


def test_tables_are_written_between_their_marks_and_nothing_else_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    folder, shown = report.written(report.DOCS.read_text())
    report.write(folder, into=page)
    assert page.read_text() == f"before\n{report.BEGIN}\n\n{shown}\n\n{report.END}\nafter\n"


def test_the_documentations_tables_are_what_the_committed_raw_output_gives() -> None:
    folder, shown = report.written(report.DOCS.read_text())
    assert folder.is_dir(), "the raw output that they come from must be committed"
    assert shown == report.tables(folder), "write them anew: ./dev bench clients --write"


def test_every_library_and_every_scenario_is_in_the_documentations_tables() -> None:
    folder, shown = report.written(report.DOCS.read_text())
    kept = [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()]
    assert [peer.name for peer in peers.PEERS if f"| {peer.name} |" not in shown] == []
    assert {cell["scenario"] for cell in kept if "scenario" in cell} == {*SCENARIOS, "servers"}
    assert [cell for cell in kept if "failed" in cell or "missing" in cell] == []
