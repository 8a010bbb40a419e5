"""What makes a machine a member of a platform: a key that was made here and never leaves, and the certificate for it.

identity/region.example_8443/own.pem      key and certificate chain in one file, 0600: they change together or not at all
identity/region.example_8443/ca.pem       whom we trust there, and nobody else: the pinned roots
identity/region.example_8443/revoked.pem  what those have revoked
identity/region.example_8443/next.key     the key of a certificate that is asked for: the same until it is there
identity/region.example_8443/joined.json  what was agreed
"""

import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from frontend_agent.certificates import (
    CertificateRefused,
    certificates_in,
    chain_problem,
    half_life,
    institutions_of,
    key_fingerprint,
)
from frontend_agent.durable import take_over
from frontend_agent.errors import StateError
from frontend_agent.machine import give_to_owner_of
from frontend_agent.wire.joining import Authorities

FOLDER = "identity"


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of joining."""

    url: str
    institutions: tuple[str, ...] = ()
    joined_at: str = ""
    digest: str = ""  # of the authorities that are trusted


def origin_of(url: str) -> str:
    """Host and port, as the folder of a platform is named."""
    parts = urlsplit(url)
    host = (parts.hostname or "").replace(":", "-")  # an IPv6 address
    return f"{host}_{parts.port or 443}"


def memberships(state: Path) -> "Iterator[Membership]":
    """Of every platform that this machine has joined."""
    for path in sorted((state / FOLDER).glob("*/joined.json")):
        yield Membership(state, msgspec.json.decode(path.read_bytes(), type=Agreed).url)


class Membership:
    """This machine at one platform."""

    def __init__(self, state: Path, url: str) -> None:
        self.folder = state / FOLDER / origin_of(url)
        self.url = url.rstrip("/")
        self._state = state

    @property
    def own_file(self) -> Path:
        return self.folder / "own.pem"

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def revoked_file(self) -> Path:
        return self.folder / "revoked.pem"

    def is_joined(self) -> bool:
        return self.own_file.exists() and self.ca_file.exists()

    @property
    def agreed(self) -> Agreed:
        try:
            return msgspec.json.decode((self.folder / "joined.json").read_bytes(), type=Agreed)
        except FileNotFoundError:
            return Agreed(url=self.url)

    def chain(self) -> list[x509.Certificate]:
        """Our own certificate, and those between it and the root. StateError: it is damaged."""
        try:
            return certificates_in(self.own_file.read_bytes())
        except (OSError, CertificateRefused) as error:
            raise StateError(
                f"{self.own_file}: the certificate cannot be read; frontend-agent enroll makes a new one"
            ) from error

    def roots(self) -> list[x509.Certificate]:
        return certificates_in(self.ca_file.read_bytes())

    def is_due(self, now: datetime) -> bool:
        """Whether it is time for the next certificate."""
        return now >= half_life(self.chain()[0])

    # --- changing ------------------------------------------------------------------------------------------------------

    def next_key(self) -> ec.EllipticCurvePrivateKey:
        """The key of the certificate that is asked for, made the first time: an answer that is lost is asked for again with it."""
        self._make_folder()
        path = self.folder / "next.key"
        try:
            loaded = serialization.load_pem_private_key(path.read_bytes(), None)
            if isinstance(loaded, ec.EllipticCurvePrivateKey):
                return loaded
        except (FileNotFoundError, ValueError):
            pass  # there is none, or a power cut left half of one, which nobody was told of
        key = ec.generate_private_key(ec.SECP256R1())
        self._write("next.key", _key_pem(key))
        return key

    def forget_next_key(self) -> None:
        (self.folder / "next.key").unlink(missing_ok=True)

    def keep(
        self, certificate: str, institutions: tuple[str, ...], authorities: Authorities | None, now: datetime
    ) -> None:
        """The certificate that was asked for is there: from now on it is the one in use. StateError: it is not for our key."""
        key = self.next_key()
        if authorities is not None:
            self.trust(authorities)
        try:
            chain = certificates_in(certificate.encode())
        except CertificateRefused as error:
            raise StateError(f"the platform's certificate for us: {error}") from error
        if key_fingerprint(chain[0].public_key()) != key_fingerprint(key.public_key()):
            raise StateError("the platform's certificate is not for our key")
        problem = chain_problem(chain[0], chain[1:], self.roots())
        if problem:
            raise StateError(f"the platform's certificate for us: {problem}")
        self._write("own.pem", _key_pem(key) + certificate.encode())
        told = institutions_of(chain[0]) or institutions
        joined_at = self.agreed.joined_at or now.isoformat(timespec="seconds")
        self._agree(msgspec.structs.replace(self.agreed, institutions=told, joined_at=joined_at))
        self.forget_next_key()

    def trust(self, authorities: Authorities) -> None:
        """Trust these, and nobody else. StateError: they are none."""
        try:
            certificates_in(authorities.roots.encode())
        except CertificateRefused as error:
            raise StateError(f"the platform's list of authorities: {error}") from error
        self._make_folder()
        self._write("ca.pem", authorities.roots.encode())
        self._write("revoked.pem", authorities.revoked.encode())
        self._agree(msgspec.structs.replace(self.agreed, digest=authorities.digest))

    def leave(self) -> None:
        """Forget the platform: key, certificate and roots."""
        for name in ("own.pem", "next.key", "ca.pem", "revoked.pem", "joined.json"):
            (self.folder / name).unlink(missing_ok=True)
        self.folder.rmdir()

    def _agree(self, agreed: Agreed) -> None:
        self._write("joined.json", msgspec.json.encode(agreed))

    def _make_folder(self) -> None:
        for folder in (self._state, self._state / FOLDER, self.folder):
            if not folder.exists():
                folder.mkdir(mode=0o700, parents=True)
                self._give(folder)

    def _write(self, name: str, content: bytes) -> None:
        """All of it, durably, or nothing; readable by the service alone, also where root runs the command."""
        path = self.folder / name
        draft = path.with_name(f".{name}.{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._give(draft)
        take_over(draft, path)

    def _give(self, path: Path) -> None:
        """To whom the state belongs: the service's account."""
        give_to_owner_of(path, self._state)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
