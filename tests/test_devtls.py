"""A development authority made on the spot: what it vouches for, what it speaks, and when it is made anew."""

import socket
import ssl
import stat
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from grantflow.devtls import LOCAL_NAMES, Certificates, certificates

NOW = datetime.now(UTC)


def handshake(files: Certificates, *, name: str = "localhost", version: ssl.TLSVersion | None = None) -> str | None:
    """The version agreed on. Raises ssl.SSLError where there is no agreement."""
    context = ssl.create_default_context(cafile=str(files.authority))
    if version is not None:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # so that the server alone refuses old versions
        context.minimum_version = context.maximum_version = version
    ours, theirs = socket.socketpair()
    served = threading.Thread(target=_serve, args=(files, theirs))
    served.start()
    try:
        with context.wrap_socket(ours, server_hostname=name) as connection:
            return connection.version()
    finally:
        served.join()


def _serve(files: Certificates, connection: socket.socket) -> None:
    try:
        files.server_context().wrap_socket(connection, server_side=True).close()
    except (ssl.SSLError, OSError):
        connection.close()


@pytest.mark.parametrize("name", LOCAL_NAMES)
def test_w13_whoever_trusts_the_authority_reaches_this_machine_by_each_of_its_names(tmp_path: Path, name: str) -> None:
    assert handshake(certificates(tmp_path, now=NOW), name=name) == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_w13_versions_of_tls_before_1_2_are_refused(tmp_path: Path, version: ssl.TLSVersion) -> None:
    files = certificates(tmp_path, now=NOW)
    with pytest.raises(ssl.SSLError):
        handshake(files, version=version)


def test_w13_tls_1_2_is_spoken(tmp_path: Path) -> None:
    assert handshake(certificates(tmp_path, now=NOW), version=ssl.TLSVersion.TLSv1_2) == "TLSv1.2"


def test_a_name_that_it_was_not_made_for_is_not_vouched_for(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(certificates(tmp_path, now=NOW), name="webexapis.com")


def test_the_authority_cannot_vouch_for_other_names(tmp_path: Path) -> None:
    authority = x509.load_pem_x509_certificate(certificates(tmp_path, now=NOW).authority.read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert [str(name.value) for name in constraints.value.permitted_subtrees or ()] == [
        "localhost",
        "127.0.0.1/32",
        "::1/128",
    ]


def test_the_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    files = certificates(tmp_path / "tls", now=NOW)
    assert stat.S_IMODE(files.key.stat().st_mode) == stat.S_IMODE(files.authority_key.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("later", "names", "changed"),
    [
        (timedelta(days=1), LOCAL_NAMES, []),
        (timedelta(days=340), LOCAL_NAMES, ["server.pem", "server-key.pem"]),
        (timedelta(days=3_640), LOCAL_NAMES, ["authority.pem", "authority-key.pem", "server.pem", "server-key.pem"]),
        (
            timedelta(0),
            (*LOCAL_NAMES, "laptop.example"),
            ["authority.pem", "authority-key.pem", "server.pem", "server-key.pem"],
        ),
    ],
    ids=["a day later", "before the server's ends", "before the authority's ends", "for other names"],
)
def test_only_what_is_old_or_for_other_names_is_made_anew(
    tmp_path: Path, later: timedelta, names: Sequence[str], changed: list[str]
) -> None:
    certificates(tmp_path, now=NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    certificates(tmp_path, now=NOW + later, names=names)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name for name in after if after[name] != before[name]} == set(changed)
