"""Who signs a document: chosen by its author, the key opened once, wherever it lies.

    sign = signing_of(config, kind)            None where nothing is to be signed
    sealed = sign(document, record, now)       the bytes with the signature in them

What cannot be signed now (a token that was pulled out) is nobody's document's fault: `SigningUnavailable` ends the page,
which is read again. An author without a signer is: the record is held, and says who mends it.
"""

import base64
import os
import re
import stat
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import pkcs12

from frontend_agent.config import Config
from frontend_agent.config_signing import DeviceSigner, FileSigner, SignatureTrustConfig, SignerConfig, TokenSigner
from frontend_agent.errors import ConfigurationError, NoSigner, SigningUnavailable
from frontend_agent.model import Record
from frontend_agent.secrets import secrets_of
from frontend_agent.signatures import Certificate, SigningKey, Trust, certificates_in, signed, sm2
from frontend_agent.signatures.certificates import BadCertificate, trust_in
from frontend_agent.signatures.der import sm2_private
from frontend_agent.signatures.suites import HASHES, Suite, suite_for

PROBE = b"frontend-agent: is this the key of that certificate?"

Secret = Callable[[str], str]


class Sign(Protocol):
    def __call__(self, document: bytes, record: Record, now: datetime, /) -> bytes: ...


class SoftKey:
    """A private key in memory."""

    def __init__(self, chain: Sequence[Certificate], private: "rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | bytes"):
        self.chain = tuple(chain)
        self._private = private

    @cached_property
    def suite(self) -> Suite:
        return suite_for(self.chain[0].key)

    def sign(self, data: bytes) -> bytes:
        if isinstance(self._private, bytes):
            return sm2.sign(self._private, self.chain[0].point or b"", data)
        if isinstance(self._private, rsa.RSAPrivateKey):
            return self._private.sign(data, padding.PKCS1v15(), HASHES[self.suite.hash])
        r, s = decode_dss_signature(self._private.sign(data, ec.ECDSA(HASHES[self.suite.hash])))
        half = (self._private.key_size + 7) // 8
        return r.to_bytes(half, "big") + s.to_bytes(half, "big")


class Signers:
    """The signers of a configuration, opened when they are first asked."""

    def __init__(self, config: Config) -> None:
        self._signing = config.signing
        self._secrets = secrets_of(config)
        self._by_author = {author: name for name, one in config.signing.signers.items() for author in one.authors}
        self._keys: dict[str, SigningKey] = {}

    def key(self, name: str) -> SigningKey:
        """The key of that name, proven to be that of its certificate. ConfigurationError names what is wrong and the mend."""
        if name not in self._keys:
            self._keys[name] = opened(name, self._signing.signers[name], self._secrets)
        return self._keys[name]

    def all_keys(self) -> dict[str, SigningKey]:
        return {name: self.key(name) for name in self._signing.signers}

    def __call__(self, document: bytes, record: Record, now: datetime) -> bytes:
        author = str(record.get("author.id", ""))
        name = self._by_author.get(author) or self._signing.default
        if not name:
            raise NoSigner("the author has no signer, and there is none by default ([signing] default)")
        return signed(document, self.key(name), now)


def signing_of(config: Config, kind: str) -> Sign | None:
    """What signs documents of a kind; None where nobody does. Messages and finished documents are not asked for."""
    signing = config.signing
    if not signing.signers or (signing.kinds and kind not in signing.kinds):
        return None
    signers = Signers(config)
    signers.all_keys()  # a mistake is told when the agent starts, not when the first doctor has written something
    return signers


def signing_digest(config: Config, kind: str) -> str:
    """By what settings documents of a kind are signed (law 13); empty where nobody signs."""
    signing = config.signing
    if not signing.signers or (signing.kinds and kind not in signing.kinds):
        return ""
    lines = [signing.default]
    for name, one in sorted(signing.signers.items()):
        path = one.certificate or (one.pkcs12 if isinstance(one, FileSigner) else "")
        lines.append(f"{name} {' '.join(one.authors)} {sha256(_content(path, name)).hexdigest() if path else ''}")
    return sha256("\n".join(lines).encode()).hexdigest()


def opened(name: str, signer: SignerConfig, secrets: Secret) -> SigningKey:
    """One signer's key, tried: what it signs must hold by its certificate."""
    where = f"[signing.signers.{name}]"
    key: SigningKey
    if isinstance(signer, FileSigner):
        key = _from_pkcs12(signer, secrets, where) if signer.pkcs12 else _from_files(signer, secrets, where)
    elif isinstance(signer, TokenSigner):
        from connectors.pkcs11 import TokenKey  # here: its library is an extra

        chain = _chain(signer.certificate, where) if signer.certificate else ()
        key = TokenKey(
            where, signer.library, signer.token, signer.key, secrets(signer.secret), chain, SigningUnavailable
        )
    else:
        from connectors.sdf import DeviceKey  # here: few have such a device

        assert isinstance(signer, DeviceSigner)
        password = secrets(signer.secret) if signer.secret else ""
        chain = _chain(signer.certificate, where)
        key = DeviceKey(where, signer.library, int(signer.index), password, chain, SigningUnavailable)
    _must_fit(key, where)
    return key


def _must_fit(key: SigningKey, where: str) -> None:
    certificate = key.chain[0]
    try:
        suite = suite_for(certificate.key)
    except KeyError:
        raise ConfigurationError(
            f"{where}: its certificate has {certificate.key}; RSA of 2048 bits or more, P-256, P-384, P-521 or SM2 is needed"
        ) from None
    try:
        holds = certificate.holds(suite, PROBE, key.sign(PROBE))
    except sm2.NoSm2 as error:
        raise ConfigurationError(f"{where}: {error}") from None
    if not holds:
        raise ConfigurationError(f"{where}: the key is not that of the certificate of {certificate.common_name}")


def _from_pkcs12(signer: FileSigner, secrets: Secret, where: str) -> SoftKey:
    content = _private(signer.pkcs12, where)
    try:
        key, certificate, above = pkcs12.load_key_and_certificates(content, secrets(signer.secret).encode())
    except ValueError:
        raise ConfigurationError(
            f"{where}: {signer.pkcs12} cannot be opened: it is no PKCS#12, or the secret {signer.secret!r} is not its password"
        ) from None
    if certificate is None or not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigurationError(f"{where}: {signer.pkcs12} holds no certificate with a key of RSA or ECDSA")
    der = serialization.Encoding.DER
    return SoftKey([Certificate(one.public_bytes(der)) for one in (certificate, *above)], key)


def _from_files(signer: FileSigner, secrets: Secret, where: str) -> SoftKey:
    chain = _chain(signer.certificate, where)
    passphrase = secrets(signer.secret).encode() if signer.secret else None
    content = _private(signer.key, where) if signer.key else (passphrase or b"")
    if not signer.key:
        passphrase = None
    named = signer.key or f"secret {signer.secret!r}"
    if chain[0].key == "SM2":
        return SoftKey(chain, _sm2_number(content, f"{where}: {named}"))
    try:
        key = serialization.load_pem_private_key(content, passphrase)
    except (ValueError, TypeError):
        raise ConfigurationError(
            f"{where}: {named} is no private key in PEM, or its passphrase (secret) is missing, wrong or not needed"
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigurationError(f"{where}: {named} is a key of another kind than RSA, ECDSA or SM2")
    return SoftKey(chain, key)


def _sm2_number(content: bytes, named: str) -> bytes:
    """`cryptography` does not know the curve: the key is read from PEM without a passphrase."""
    for found in re.finditer(rb"-----BEGIN (?:EC )?PRIVATE KEY-----(.*?)-----END", content, re.DOTALL):
        if number := sm2_private(base64.b64decode(found[1])):
            return number
    raise ConfigurationError(
        f"{named} is no SM2 key in PEM (PKCS#8 or EC PRIVATE KEY, without a passphrase: keep it as a secret)"
    )


def trust_of(trust: SignatureTrustConfig, where: str = "[signing.trust]") -> Trust:
    """The trust that files say. ConfigurationError names the one that cannot be used."""

    def named(paths: Sequence[str]) -> list[tuple[str, bytes]]:
        return [(path, _content(path, where)) for path in paths]

    try:
        return trust_in(named(trust.anchors), named(trust.others), named(trust.revoked), trust.arrival)
    except BadCertificate as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _chain(path: str, where: str) -> tuple[Certificate, ...]:
    try:
        return certificates_in(_content(path, where))
    except BadCertificate as error:
        raise ConfigurationError(f"{where}: {path}: {error}") from None


def _content(path: str, where: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{where}: {path} cannot be read: {error.strerror}") from None


def _private(path: str, where: str) -> bytes:
    """A file with a private key: its owner alone may read it."""
    content = _content(path, where)
    if os.name != "nt" and Path(path).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"{where}: {path} can be read by others; chmod 600 {path}")
    return content
