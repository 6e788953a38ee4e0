"""A development certificate authority of one's own, so that a server on this machine can speak https (W13).

Its name constraints (RFC 5280 section 4.2.1.10) hold it to the names that it was made for: whoever trusts it can be
fooled about those alone. All lies in one folder; the private keys are readable by their owner alone.
"""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from grantflow.data_directory import write_private

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")

_AUTHORITY_DAYS = 3_650
#: Safari refuses server certificates that live longer than 825 days, also those of a private authority.
_SERVER_DAYS = 365
_RENEW_DAYS_BEFORE = 30


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where the files lie. ``authority`` is what browsers must trust; ``chain`` and ``key`` are the server's."""

    authority: Path
    authority_key: Path
    chain: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """For a server: TLS 1.2 or higher."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.chain, self.key)
        return context


def certificates(folder: Path, *, now: datetime, names: Iterable[str] = LOCAL_NAMES) -> Certificates:
    """The certificates of that folder for these host names and addresses; what is missing or old is made.

    The server's certificate is renewed under the same authority, so that it has to be trusted once. Only for other
    names than before there is a new authority.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = Certificates(
        folder / "authority.pem", folder / "authority-key.pem", folder / "server.pem", folder / "server-key.pem"
    )
    wanted = [_general_name(name) for name in dict.fromkeys(names)]
    if not _serves(files.authority, wanted, now=now) or not files.authority_key.exists():
        _make_authority(files, wanted, now=now)
    if not _serves(files.chain, wanted, now=now) or not files.key.exists():
        _make_server(files, wanted, now=now)
    return files


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _constraint(name: x509.GeneralName) -> x509.GeneralName:
    return x509.IPAddress(ip_network(name.value)) if isinstance(name, x509.IPAddress) else name


def _serves(path: Path, names: list[x509.GeneralName], *, now: datetime) -> bool:
    """Whether the certificate is there, fit for the names, and good for another while."""
    if not path.exists():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    if certificate.not_valid_after_utc - now < timedelta(days=_RENEW_DAYS_BEFORE):
        return False
    if certificate.issuer != certificate.subject:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == names
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    return constraints.permitted_subtrees == [_constraint(name) for name in names]


def _make_authority(files: Certificates, names: list[x509.GeneralName], *, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Grantflow development authority, made {now:%Y-%m-%d}")
    builder = (
        _certificate(name, name, key.public_key(), now=now, days=_AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints([_constraint(name) for name in names], None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    write_private(files.authority_key, _pem(key))
    files.authority.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    files.chain.unlink(missing_ok=True)


def _make_server(files: Certificates, names: list[x509.GeneralName], *, now: datetime) -> None:
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    authority_key = load_pem_private_key(files.authority_key.read_bytes(), password=None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _certificate(
            _name("Grantflow development server"), authority.subject, key.public_key(), now=now, days=_SERVER_DAYS
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    certificate = builder.sign(authority_key, hashes.SHA256())
    write_private(files.key, _pem(key))
    files.chain.write_bytes(certificate.public_bytes(Encoding.PEM) + files.authority.read_bytes())


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, now: datetime, days: int
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(hours=1),  # clocks differ
        not_valid_after=now + timedelta(days=days),
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
