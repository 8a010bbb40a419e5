"""[signing]: by whom the documents that we make are signed, and whom a signature on somebody else's is believed of."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from frontend_agent.config_types import Count

FIRST = Count(1)


@dataclass(frozen=True, kw_only=True)
class SignerConfig:
    """Who signs. `authors`: ids of authors (author.id of a document) whose documents this one signs."""

    certificate: str = ""  # a file: the signer's own first, then those above it; PEM, or DER of one
    secret: str = (
        ""  # the NAME of the secret: a passphrase, a password or a PIN; of a file without `key`: the key itself
    )
    authors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FileSigner(SignerConfig):
    """A key in a file of this machine, PEM beside `certificate` or PKCS#12; or the secret is the key."""

    type: Literal["file"]
    key: str = ""
    pkcs12: str = ""


@dataclass(frozen=True, kw_only=True)
class TokenSigner(SignerConfig):
    """A key in a token by PKCS#11: it never leaves it. `certificate` may be left out where the token has it, too."""

    type: Literal["pkcs11"]
    library: str  # /usr/lib/softhsm/libsofthsm2.so
    token: str  # its label
    key: str  # the label of private key and certificate


@dataclass(frozen=True, kw_only=True)
class DeviceSigner(SignerConfig):
    """A key of SM2 in a certified device, by the national interface SDF (GM/T 0018)."""

    type: Literal["sdf"]
    library: str
    index: Count = FIRST  # of the signing key in the device


SIGNERS: dict[str, type[SignerConfig]] = {"file": FileSigner, "pkcs11": TokenSigner, "sdf": DeviceSigner}


@dataclass(frozen=True, kw_only=True)
class SignatureTrustConfig:
    """Whom signatures are believed of: files of certificates of authorities, and of their lists of revoked ones."""

    anchors: tuple[str, ...] = ()
    others: tuple[str, ...] = ()  # authorities between, for documents that do not bring them
    revoked: tuple[str, ...] = ()  # CRL
    arrival: timedelta = timedelta(days=30)  # a document may arrive so long after its signer's certificate has expired


@dataclass(frozen=True, kw_only=True)
class SigningConfig:
    """`default` signs what no author's own certificate signs; without it such documents are held."""

    default: str = ""
    kinds: tuple[str, ...] = ()  # which are signed; empty: every document
    signers: dict[str, SignerConfig] = field(default_factory=dict)
    trust: SignatureTrustConfig = field(default_factory=SignatureTrustConfig)


def signing_problems(signing: SigningConfig) -> Iterable[str]:
    if signing.default and signing.default not in signing.signers:
        known = ", ".join(sorted(signing.signers)) or "none"
        yield f"default: no [signing.signers.{signing.default}] (known: {known})"
    if signing.kinds and not signing.signers:
        yield "kinds are to be signed, but there is no [signing.signers.NAME]"
    if signing.signers and not signing.default and not any(one.authors for one in signing.signers.values()):
        yield "nobody signs: name the default signer, or the authors of one"
    seen: dict[str, str] = {}
    for name, signer in signing.signers.items():
        for author in signer.authors:
            if (other := seen.setdefault(author, name)) != name:
                yield f"signers.{name}.authors: {author!r} signs as {other!r} already"


def file_problems(signer: FileSigner) -> Iterable[str]:
    if signer.pkcs12:
        if signer.certificate or signer.key:
            yield "pkcs12 holds certificate and key: leave these two out"
        if not signer.secret:
            yield "pkcs12 needs secret: the name of its password"
    elif not signer.certificate:
        yield "needs certificate (PEM) and key, or pkcs12"
    elif not signer.key and not signer.secret:
        yield "needs key: the file of the private key; or secret: the name of a secret that is the key in PEM"


def device_problems(signer: DeviceSigner) -> Iterable[str]:
    if not signer.certificate:
        yield "needs certificate: a device has none"


# Both are taken in by config.py.
PATHS: dict[type[Any], tuple[str, ...]] = {
    FileSigner: ("certificate", "key", "pkcs12"),
    TokenSigner: ("certificate",),
    DeviceSigner: ("certificate",),
    SignatureTrustConfig: ("anchors", "others", "revoked"),
}
CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {
    SigningConfig: signing_problems,
    FileSigner: file_problems,
    DeviceSigner: device_problems,
}
