"""A vault in real trouble under both kinds of integration: each cause is told, and no grant is missing afterwards."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import grantflow
from grantflow import (
    GrantflowError,
    KeyRing,
    SchemaTooNew,
    SqliteVault,
    Status,
    Tampered,
    VaultNotOpened,
    VaultUnavailable,
    WrongKey,
    database_file,
)
from grantflow.client.vault import sqlite
from grantflow.client.vault.opening import shown
from tests.client.conftest import World
from tests.client.shells import Kinds, granted, jar
from tests.client.vault_troubles import TROUBLES, Trouble, full, locked_by_another_process

pytestmark = pytest.mark.slow

NOBODY = 65_534


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_WAIT_FOR_LOCK_SECONDS", 0.3)
    monkeypatch.setattr(database_file, "_BELIEVED", 0.0)


def change(world: World, statement: str) -> None:
    with sqlite3.connect(world.path) as other:
        other.execute(statement)
    other.close()


def may_mount() -> bool:
    unshare = shutil.which("unshare")
    return unshare is not None and subprocess.call([unshare, "-m", "true"], stderr=subprocess.DEVNULL) == 0


small_disk = pytest.mark.skipif(not may_mount(), reason="a disk of its own needs the right to mount one")


@contextmanager
def disk_of_its_own(world: World) -> Iterator[None]:
    folder = world.folder / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], check=True)
    world.folder = folder
    try:
        yield
        for integration in world.made:
            integration.close()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def live_through(world: World, either: Kinds, trouble: Trouble, says: str) -> None:
    integration = either(revocation_url=f"{world.api_url}/revoke")
    granted(integration, world)
    granted(integration, world, person="edsger")
    begun = integration.begin(return_to="/home")
    answer = world.platform.accept(begun.url, person="grace")
    world.platform.expire_access_tokens()
    world.clock.advance(seconds=5)
    acts: dict[str, Callable[[], object]] = {
        "call": lambda: integration.get("people/me"),
        "refresh": integration.refresh,
        "complete": lambda: integration.complete(answer, jar(begun)),
        "revoke": lambda: integration.revoke("id-edsger"),
    }
    with trouble(world):
        for name, act in acts.items():
            with pytest.raises(VaultUnavailable, match=says) as caught:
                act()
            assert str(caught.value).startswith(f"The vault {shown(world.where)} "), name
            assert caught.value.retry_after >= 1
    assert world.platform.counts["refresh"] == 0, "no token is spent that could not be kept"
    assert world.platform.counts["exchange"] == 2, "and no code"
    assert integration.complete(answer, jar(begun)).person_id == "id-grace"
    assert integration.get("people/me").json()["id"] == "id-ada"
    assert integration.revoke("id-edsger").at_platform
    statuses = {grant.person_id: grant.status for grant in integration.grants()}
    assert statuses == {"id-ada": Status.ACTIVE, "id-edsger": Status.REVOKED, "id-grace": Status.ACTIVE}


@pytest.mark.parametrize(("trouble", "says"), TROUBLES.values(), ids=TROUBLES)
def test_a_vault_in_trouble_says_so_and_when_it_is_well_no_grant_is_missing(
    world: World, either: Kinds, trouble: Trouble, says: str
) -> None:
    live_through(world, either, trouble, says)


@small_disk
def test_a_vault_on_a_full_disk_says_so_and_when_there_is_room_no_grant_is_missing(world: World, either: Kinds) -> None:
    with disk_of_its_own(world), ExitStack() as stack:
        stack.callback(either.close)
        live_through(world, either, full, r"the disk is full .*Nothing was changed\. Make room on it, then try again")


@pytest.mark.parametrize("rotates", [False, True])
def test_s101_tokens_that_came_while_the_vault_failed_are_kept_as_soon_as_it_is_well(
    world: World, either: Kinds, rotates: bool
) -> None:
    """With a server that swaps refresh tokens, they are all that is left of the grant."""
    integration = either()
    granted(integration, world)
    world.platform.expire_access_tokens()
    world.platform.rotates = rotates
    with ExitStack() as trouble:
        world.platform.on_refresh = lambda: trouble.enter_context(locked_by_another_process(world))
        with pytest.raises(VaultUnavailable, match="another program keeps it locked"):
            integration.get("people/me")
        world.platform.on_refresh = lambda: None
        with pytest.raises(VaultUnavailable):
            integration.get("people/me")
    assert integration.get("people/me").json()["id"] == "id-ada"
    assert world.platform.counts["refresh"] == 1
    assert world.stored_tokens(world.integration())[1] == world.platform.line().refresh
    assert integration.grants()[0].status is Status.ACTIVE


# --- who may read and write ------------------------------------------------------------------------------------------


@contextmanager
def as_an_ordinary_account() -> Iterator[None]:
    """Permissions hold for everybody but root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        if not _is_readable(Path(grantflow.__file__)):
            pytest.skip("an ordinary account may not read this checkout")
        yield
    finally:
        os.seteuid(0)


def _is_readable(file: Path) -> bool:
    try:
        return bool(file.read_bytes())
    except PermissionError:
        return False


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that belongs to an ordinary account."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield folder
        folder.chmod(0o700)


posix = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")


@posix
@pytest.mark.parametrize("what", ["file", "folder", "new file in it"])
def test_a_vault_that_may_not_be_written_is_told_and_when_it_may_no_grant_is_missing(
    world: World, either: Kinds, shared_folder: Path, what: str
) -> None:
    world.folder = shared_folder
    with as_an_ordinary_account():
        first = world.integration()
        world.grant(first)
        first.close()
        shut = world.path if what == "file" else shared_folder
        mode = shut.stat().st_mode
        shut.chmod(0o444 if what == "file" else 0o555)
        path = shared_folder / "other.db" if what == "new file in it" else world.path
        with pytest.raises(VaultUnavailable, match="Let the account that the integration runs under write") as caught:
            SqliteVault(path, keys=KeyRing(world.key))
        assert str(path) in str(caught.value)
        assert isinstance(caught.value, VaultNotOpened) is (what != "folder")
        assert caught.value.retry_after == 60
        shut.chmod(mode)
        integration = either()
        assert integration.get("people/me").json()["id"] == "id-ada"
        assert integration.refresh().status is Status.ACTIVE
        either.close()
        for each in world.made:
            each.close()


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_records_that_were_swapped_open_for_nobody_until_they_are_put_back(world: World, either: Kinds) -> None:
    integration = either()
    for person in ("ada", "grace", "edsger"):
        granted(integration, world, person=person)
    before = world.folder / "before.db"
    with sqlite3.connect(world.path) as other:
        other.execute(f"VACUUM INTO '{before}'")
    other.close()
    change(
        world,
        "UPDATE grants SET tokens = (SELECT tokens FROM grants WHERE person_id = 'id-grace') "
        "WHERE person_id = 'id-ada'",
    )
    world.clock.advance(seconds=5)
    fresh = either()
    calls = world.platform.counts["call"]
    for act in (lambda: fresh.get("people/me"), fresh.refresh):
        with pytest.raises(Tampered, match=r"changed, cut short, or moved.*restore the record from a backup") as caught:
            act()
        assert any("the record of grant" in note for note in caught.value.__notes__)
    assert world.platform.counts["call"] == calls
    assert fresh.get("people/me", person="id-edsger").json()["id"] == "id-edsger"
    with sqlite3.connect(world.path, isolation_level=None) as other:
        other.execute(f"ATTACH '{before}' AS before")
        other.execute("UPDATE grants SET tokens = (SELECT tokens FROM before.grants AS b WHERE b.id = grants.id)")
    other.close()
    for person in ("ada", "grace", "edsger"):
        assert fresh.get("people/me", person=f"id-{person}").json()["id"] == f"id-{person}"


def test_under_a_wrong_key_nothing_opens_and_nothing_is_changed(world: World, either: Kinds) -> None:
    granted(either(), world)
    before = world.stored_tokens(world.integration())
    right, world.key = world.key, KeyRing.new_key()
    with pytest.raises(WrongKey, match=r"was sealed under key .*Put that key back"):
        either()
    world.key = right
    assert world.stored_tokens(world.integration()) == before
    assert either().get("people/me").json()["id"] == "id-ada"


def test_a_vault_of_a_newer_grantflow_is_left_alone(world: World, either: Kinds) -> None:
    granted(either(), world)
    change(world, "UPDATE grantflow_schema SET version = version + 1")
    with pytest.raises(SchemaTooNew, match=r"a newer one has written it\. Upgrade this installation") as caught:
        either()
    assert isinstance(caught.value, GrantflowError)
    change(world, "UPDATE grantflow_schema SET version = version - 1")
    assert either().get("people/me").json()["id"] == "id-ada"
