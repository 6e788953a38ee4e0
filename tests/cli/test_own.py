"""One's own integration is made from the same settings by every command; what is wrong is told in the same words."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.postgres import Postgres
from grantflow.cli.output import USAGE, Failure
from grantflow.cli.own import own_integration
from grantflow.client.vault.opening import shown
from grantflow.client.vault.sqlite import SqliteVault
from grantflow.data_directory import DataDirectory
from grantflow.sealing import KeyRing
from tests.cli.conftest import CommandLine
from tests.client.vault_records import stored
from tests.engines import OnServer
from tests.parts import free_port

SETTINGS = {
    "GRANTFLOW_CLIENT_ID": "C1",
    "GRANTFLOW_CLIENT_SECRET": "s" * 64,
    "GRANTFLOW_SCOPES": "spark:people_read",
    "GRANTFLOW_KEY": KeyRing.new_key(),
}


def write_env(path: Path, **settings: str) -> Path:
    path.write_text("".join(f"{name}={value!r}\n" for name, value in settings.items()))
    return path


def test_it_has_the_vault_that_serve_would_have_and_the_redirect_uri(grantflow: CommandLine, tmp_path: Path) -> None:
    file = write_env(tmp_path / "my.env", **SETTINGS)
    with own_integration(file, data=tmp_path / "data", create=True) as integration:
        assert integration.client_id == "C1"
        assert integration.redirect_uri == "http://localhost:8000/oauth"
        assert integration.grants() == []
    assert DataDirectory(tmp_path / "data").vault_of("C1").exists()
    elsewhere = SETTINGS | {
        "GRANTFLOW_VAULT": str(tmp_path / "mine.db"),
        "GRANTFLOW_REDIRECT_URI": "https://me.example/oauth",
    }
    file = write_env(tmp_path / "elsewhere.env", **elsewhere)
    with own_integration(file, data=tmp_path / "data", create=True) as integration:
        assert integration.redirect_uri == "https://me.example/oauth"
    assert (tmp_path / "mine.db").exists()


NEEDS_A_VAULT = [
    *(["grants", "list"], ["grants", "expiring"], ["grants", "keep-alive"], ["grants", "retry", "--all-refused"]),
    *(["grants", each, "ada@example.com"] for each in ("show", "explain", "refresh", "retry", "revoke")),
    *(["whoami"], ["token"], ["api", "GET", "people/me"], ["logout"], ["keys", "status"], ["keys", "rotate"]),
    *(["callers", "list"], ["callers", "add", "deploy", "--grant", "ada@example.com"], ["callers", "remove", "deploy"]),
]


@pytest.mark.parametrize("command", NEEDS_A_VAULT, ids=" ".join)
def test_a_place_that_was_mistyped_is_told_and_no_empty_vault_is_made_there(
    grantflow: CommandLine, tmp_path: Path, command: list[str]
) -> None:
    mistyped = tmp_path / "valut.db"
    file = write_env(tmp_path / "my.env", **SETTINGS | {"GRANTFLOW_VAULT": str(mistyped)})
    ended = grantflow(*command, "--env-file", str(file), "--data", str(tmp_path / "data"))
    assert (ended.code, ended.out) == (1, "")
    told = " ".join(ended.err.split())
    assert f"There is no vault at {mistyped}, so no grant of anybody either." in told
    assert "correct GRANTFLOW_VAULT. If nobody has granted yet, grantflow login" in told
    assert list(tmp_path.iterdir()) == [file], "nothing was made, not even the folder of the data"


@pytest.mark.slow
def test_a_database_that_was_named_by_mistake_is_told_and_no_table_is_made_in_it(
    grantflow: CommandLine, tmp_path: Path, postgres: Postgres
) -> None:
    home = OnServer.new(postgres.shared)
    elsewhere = {"GRANTFLOW_VAULT": home.where, "GRANTFLOW_API_URL": f"http://127.0.0.1:{free_port()}/v1"}
    settings = SETTINGS | elsewhere | {"GRANTFLOW_REDIRECT_URI": f"http://127.0.0.1:{free_port()}/oauth"}
    file = write_env(tmp_path / "my.env", **settings)
    (tmp_path / "tokens.json").write_text("[]")
    own = ("--env-file", str(file), "--data", str(tmp_path / "data"))
    for command in NEEDS_A_VAULT:
        ended = grantflow(*command, *own)
        assert (ended.code, ended.out) == (1, ""), command
        told = " ".join(ended.err.split())
        assert f"There is no vault at {shown(home.where)}, so no grant of anybody either." in told
        assert "no table of a vault" in told
        assert "correct GRANTFLOW_VAULT. If nobody has granted yet, grantflow login" in told
    (vault,) = (each for each in grantflow("doctor", "--json", *own).json if each["check"] == "vault")
    assert (vault["verdict"], vault["found"].startswith("there is none at postgresql://")) == ("WARN", True)
    assert grantflow("grants", "import", str(tmp_path / "tokens.json"), "--dry-run", *own).code == 0
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = :schema"
    assert home.ask(tables, schema=home.schema) == [(0,)]
    assert grantflow("grants", "import", str(tmp_path / "tokens.json"), *own).code == 0, "this begins one"
    assert grantflow("grants", "list", *own).code == 0


def test_an_empty_file_is_no_vault_in_which_nobody_has_granted(grantflow: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "cut.db").touch()
    file = write_env(tmp_path / "my.env", **SETTINGS | {"GRANTFLOW_VAULT": str(tmp_path / "cut.db")})
    ended = grantflow("grants", "list", "--env-file", str(file))
    assert (ended.code, ended.out) == (1, "")
    told = " ".join(ended.err.split())
    assert f"There is no vault at {tmp_path / 'cut.db'}" in told
    assert "The file there is empty: if it held grants, put it back from a backup." in told
    assert (tmp_path / "cut.db").stat().st_size == 0


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_a_log_whose_file_is_lost_stays_though_sqlite_would_delete_it(
    grantflow: CommandLine, tmp_path: Path, left: str
) -> None:
    vault, log = tmp_path / "mine.db", tmp_path / "mine.db-wal"
    redirect_uri = f"http://127.0.0.1:{free_port()}/oauth"
    settings = SETTINGS | {"GRANTFLOW_VAULT": str(vault), "GRANTFLOW_REDIRECT_URI": redirect_uri}
    file = write_env(tmp_path / "my.env", **settings)
    (tmp_path / "tokens.json").write_text("[]")
    with closing(SqliteVault(vault, keys=KeyRing(SETTINGS["GRANTFLOW_KEY"]))) as open_vault:
        open_vault.enter(stored("ada"))
        written, whole = log.read_bytes(), vault.read_bytes()
    assert len(written) > 4096, "as a process leaves it that is killed"
    log.write_bytes(written)
    vault.write_bytes(b"") if left == "an empty file" else vault.unlink()
    importing = ["grants", "import", str(tmp_path / "tokens.json")]
    for command in (["grants", "list"], [*importing, "--dry-run"], importing, ["login"], ["serve", "--port", "0"]):
        ended = grantflow(*command, "--env-file", str(file), "--data", str(tmp_path / "data"))
        assert (ended.code, ended.out) == (1, ""), command
        told = " ".join(ended.err.split())
        assert (
            f"The vault {vault} is {'empty' if left == 'an empty file' else 'not there'}, but its log is: {log}" in told
        )
        assert "Put back the very file that the log belongs to." in told
    ended = grantflow("doctor", "--json", "--env-file", str(file), "--data", str(tmp_path / "data"))
    (found,) = (each for each in ended.json if each["check"] == "vault")
    assert (found["verdict"], "move the log away" in found["fix"]) == ("FAIL", True)
    assert log.read_bytes() == written
    vault.write_bytes(whole)
    assert grantflow("grants", "list", "--env-file", str(file)).out.count("\n") == 1


def test_a_file_of_the_key_that_is_empty_is_named_and_no_new_key_is_advised(
    grantflow: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "my.key").touch()
    settings = {name: value for name, value in SETTINGS.items() if name != "GRANTFLOW_KEY"}
    file = write_env(tmp_path / "my.env", **settings, GRANTFLOW_KEY_FILE=str(tmp_path / "my.key"))
    ended = grantflow("grants", "list", "--env-file", str(file))
    assert ended.code == 2
    told = " ".join(ended.err.split())
    assert f"GRANTFLOW_KEY_FILE {tmp_path / 'my.key'} is empty. Put the key back into it" in told
    assert "keys new" not in told
    assert "is not set" not in told


def test_where_nothing_names_the_vault_all_that_it_is_found_by_is_told(grantflow: CommandLine, tmp_path: Path) -> None:
    file = write_env(tmp_path / "my.env", **SETTINGS)
    ended = grantflow("whoami", "--env-file", str(file), "--data", str(tmp_path / "data"))
    assert ended.code == 1
    told = " ".join(ended.err.split())
    assert f"There is no vault at {DataDirectory(tmp_path / 'data').vault_of('C1')}" in told
    assert "correct --data DIR, GRANTFLOW_VAULT or GRANTFLOW_CLIENT_ID" in told


def test_bringing_in_begins_a_vault(grantflow: CommandLine, tmp_path: Path) -> None:
    file = write_env(tmp_path / "my.env", **SETTINGS | {"GRANTFLOW_VAULT": str(tmp_path / "mine.db")})
    (tmp_path / "tokens.json").write_text("[]")
    assert grantflow("grants", "import", str(tmp_path / "tokens.json"), "--env-file", str(file)).code == 0
    assert (tmp_path / "mine.db").exists()
    assert grantflow("grants", "list", "--env-file", str(file)).code == 0


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_is_missing_is_named(grantflow: CommandLine, tmp_path: Path, name: str) -> None:
    left = {other: value for other, value in SETTINGS.items() if other != name}
    file = write_env(tmp_path / "my.env", **left)
    with pytest.raises(Failure) as refused, own_integration(file, data=tmp_path / "data"):
        pass
    assert refused.value.code == USAGE
    assert [where for where, _ in refused.value.details] == [name]
    assert "grantflow serve --help lists all." in refused.value.fix
    assert "--env-file" in refused.value.fix
    beside_up = 'eval "$(grantflow status -o env)"' in refused.value.fix
    assert beside_up is (name == "GRANTFLOW_CLIENT_ID")


def test_a_text_that_is_no_key_is_refused_without_being_shown(grantflow: CommandLine, tmp_path: Path) -> None:
    file = write_env(tmp_path / "my.env", **SETTINGS | {"GRANTFLOW_KEY": "horse"})
    with pytest.raises(Failure) as refused, own_integration(file, data=tmp_path / "data"):
        pass
    ((where, what),) = refused.value.details
    assert where == "GRANTFLOW_KEY"
    assert what.endswith("Make one with:\n  grantflow keys new")
    said, _, last = what.partition("so a new one serves only where nothing has been sealed yet.")
    assert said.startswith("A key begins with gfk_; this text does not. A key is gfk_ and 43 letters, digits, - or _")
    assert "copy it again, whole. What is sealed already opens with its own key alone" in said
    assert last.startswith(" Make one with:")
    assert "horse" not in what


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://ada:se@cret@host/db", "GRANTFLOW_VAULT The address of the vault falls into the wrong parts."),
        ("postgresql://ada:se%cret@host/db", "GRANTFLOW_VAULT The address of the vault cannot be read."),
        (
            "postgresql://ada:secret@127.0.0.1:1/db",
            "The vault postgresql://ada@127.0.0.1:1/db cannot be opened: the server",
        ),
        ("mysql://ada:secret@host/db", "GRANTFLOW_VAULT That is no path of a file, and no address of a vault either"),
        ("postgresq://ada:secret@host/db", "GRANTFLOW_VAULT That is no path of a file"),
        ("postgresql:/ada:secret@host/db", "GRANTFLOW_VAULT That is no path of a file"),
        ("postgresql//ada:secret@host/db", "GRANTFLOW_VAULT That is no path of a file"),
        (" postgresql://ada:secret@host/db", "GRANTFLOW_VAULT That is no path of a file"),
        ("POSTGRESQL://ada:secret@host/db", "GRANTFLOW_VAULT That is no path of a file"),
        ("host=h user=ada password=secret", "GRANTFLOW_VAULT That is no path of a file"),
    ],
)
def test_the_address_of_a_vault_is_told_without_its_password(
    grantflow: CommandLine, tmp_path: Path, address: str, says: str
) -> None:
    own = {"GRANTFLOW_VAULT": address, "GRANTFLOW_REDIRECT_URI": f"http://127.0.0.1:{free_port()}/oauth"}
    file = write_env(tmp_path / "my.env", **SETTINGS | own)
    for command in (["serve"], ["keys", "status"], ["doctor"], ["grants", "list"]):
        ended = grantflow(*command, "--env-file", str(file), "--debug")
        assert ended.code != 0, command
        told = ended.out + ended.err
        assert "cret" not in re.sub("client[ _]secret", "", told, flags=re.IGNORECASE), command
        assert command == ["doctor"] or says in " ".join(told.split()).replace(
            "GRANTFLOW_VAULT The", "GRANTFLOW_VAULT The"
        )
