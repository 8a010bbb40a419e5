"""Keys, certificates and documents for tests of signatures: a small region with an authority, a hospital and its doctors."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from connectors import pkcs11
from frontend_agent.demo.samples import sample
from frontend_agent.formats import load_kind
from frontend_agent.model import Envelope
from frontend_agent.signatures import Certificate, SigningKey, Trust
from frontend_agent.signing import SoftKey

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(number: int = 0, curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


@dataclass(frozen=True)
class Holder:
    """A key and its certificate."""

    private: Private
    certificate: x509.Certificate

    @property
    def ours(self) -> Certificate:
        return Certificate(self.certificate.public_bytes(serialization.Encoding.DER))

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def signs(self, *above: "Holder") -> SigningKey:
        return SoftKey([self.ours, *(one.ours for one in above)], self.private)


def named(common_name: str, organization: str = "示范医院") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def usage(**said: bool) -> x509.KeyUsage:
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: said.get(name, False) for name in names})


def holder(
    name: str,
    private: Private,
    issuer: Holder | None = None,
    *,
    first: datetime = NOW - 300 * DAY,
    last: datetime = NOW + 300 * DAY,
    ca: bool = False,
    path_length: int | None = None,
    organization: str = "示范医院",
    hashed: hashes.HashAlgorithm | None = None,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> Holder:
    """A certificate of that name, of its own issue where there is no other."""
    subject = named(name, organization)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length if ca else None), critical=True)
    )
    if not any(isinstance(extension, x509.KeyUsage) for extension, _ in extensions):
        builder = builder.add_extension(usage(key_cert_sign=ca, crl_sign=ca, digital_signature=not ca), critical=True)
    above = (issuer.private if issuer else private).public_key()
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Holder(private, builder.sign(issuer.private if issuer else private, hashed or hashes.SHA256()))


def authority(name: str = "示范区域根 CA", issuer: Holder | None = None, **more: object) -> Holder:
    years = 3650 * DAY
    key = ec_key(100 + len(name)) if issuer is None else ec_key(200 + len(name))
    return holder(name, key, issuer, ca=True, first=NOW - years, last=NOW + years, organization="示范区域", **more)  # type: ignore[arg-type]


def revocation_list(
    issuer: Holder, *revoked: Holder, next_update: datetime = NOW + 7 * DAY
) -> x509.CertificateRevocationList:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(NOW - 30 * DAY)
        .next_update(next_update)
    )
    for one in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(one.certificate.serial_number)
            .revocation_date(NOW - 3 * DAY)
            .build()
        )
    return builder.sign(issuer.private, hashes.SHA256())


def rendered(code: str = "C0006") -> bytes:
    """A document of that kind, as the agent renders it. C0006: an outpatient record."""
    kind = load_kind(code)
    set_id = f"{code}-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    absences = dict.fromkeys([*(field.name for field in kind.fields), *kind.groups], "omit")
    return kind.renderer(absences)(sample(kind), Envelope(f"{set_id}-1", set_id, 1, "20261120160000"))


def trusting(*anchors: Holder, **more: object) -> Trust:
    return Trust(tuple(one.ours for one in anchors), **more)  # type: ignore[arg-type]


def openssl(*arguments: str | Path, given: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *map(str, arguments)], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@dataclass(frozen=True)
class Sm2Region:
    """An authority and a hospital with SM2 certificates, made by openssl."""

    folder: Path

    @property
    def anchor(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "hospital.pem"

    @property
    def key(self) -> Path:
        return self.folder / "hospital.key"


def sm2_region(folder: Path) -> Sm2Region:
    """SM2 with SM3, the signer's ID of GM/T 0009 throughout."""
    ids = ("-sigopt", "distid:1234567812345678")
    for name in ("ca", "hospital"):
        openssl("ecparam", "-name", "SM2", "-genkey", "-noout", "-out", folder / f"{name}.key")
        (folder / f"{name}.key").chmod(0o600)
    openssl(
        "req", "-x509", "-new", "-key", folder / "ca.key", "-sm3", *ids, "-subj", "/C=CN/O=Region/CN=Region SM2 CA", "-days",
        "3650", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", folder / "ca.pem",
    )  # fmt: skip
    openssl(
        "req", "-new", "-key", folder / "hospital.key", "-sm3", *ids, "-subj", "/C=CN/O=Hospital/CN=Hospital SM2", "-out",
        folder / "hospital.csr",
    )  # fmt: skip
    (folder / "leaf.cnf").write_text(
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,nonRepudiation\n"
    )
    openssl(
        "x509", "-req", "-in", folder / "hospital.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial",
        "-sm3", *ids, "-vfyopt", "distid:1234567812345678", "-days", "365", "-extfile", folder / "leaf.cnf", "-out",
        folder / "hospital.pem",
    )  # fmt: skip
    return Sm2Region(folder)


SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "4321"


def token(folder: Path, monkeypatch: object, *holders: tuple[str, Holder]) -> None:
    """A token named hospital in SoftHSM, with these keys and their certificates under their labels."""
    tokens = folder / "tokens"
    tokens.mkdir()
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))  # type: ignore[attr-defined]

    pkcs11.forget()  # sessions of the tests before

    def run(*command: str | Path) -> None:
        done = subprocess.run([str(one) for one in command], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    run("softhsm2-util", "--init-token", "--free", "--label", "hospital", "--pin", PIN, "--so-pin", "12345678")
    for number, (label, holder_) in enumerate(holders, 1):
        (folder / "key.pem").write_bytes(holder_.key_pem)
        (folder / "certificate.der").write_bytes(holder_.ours.content)
        run("softhsm2-util", "--import", folder / "key.pem", "--token", "hospital", "--label", label, "--id", f"0{number}", "--pin", PIN)  # fmt: skip
        run("pkcs11-tool", "--module", SOFTHSM, "--token-label", "hospital", "--login", "--pin", PIN, "--write-object",
            folder / "certificate.der", "--type", "cert", "--label", label, "--id", f"0{number}")  # fmt: skip
        (folder / "key.pem").unlink()
