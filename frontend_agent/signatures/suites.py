"""What signatures are made with. One table; whatever is not in it is refused by its name.

A suite binds the kind of key, the algorithm of the signature and its hash, so that neither can be exchanged for a weaker one:
the certificate's key decides which suites may be used with it, never the document.

SM2 with SM3 has no URI of the W3C: its object identifiers are used (GM/T 0006: 1.2.156.10197.1.501 and .401), and
the value is the ASN.1 SEQUENCE of GB/T 35276-2017. The signer's ID is the usual one of GM/T 0009.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes

DSIG = "http://www.w3.org/2000/09/xmldsig#"
DSIG_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
XMLENC = "http://www.w3.org/2001/04/xmlenc#"

SM3_URI = "urn:oid:1.2.156.10197.1.401"
SM2_SM3_URI = "urn:oid:1.2.156.10197.1.501"

SMALLEST_RSA = 2048  # bits


def sm3(data: bytes) -> bytes:
    """GB/T 32905-2016."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


def _by(name: str) -> Callable[[bytes], bytes]:
    return lambda data: hashlib.new(name, data).digest()


# URI -> (name, function).
DIGESTS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    XMLENC + "sha256": ("SHA-256", _by("sha256")),
    DSIG_MORE + "sha384": ("SHA-384", _by("sha384")),
    XMLENC + "sha512": ("SHA-512", _by("sha512")),
    SM3_URI: ("SM3", sm3),
}


@dataclass(frozen=True)
class Suite:
    """One way to sign."""

    name: str
    uri: str
    key: str  # RSA, P-256, P-384, P-521, SM2: of a certificate that may be used with it
    hash: str  # SHA-256 …: what the algorithm hashes with
    digest_uri: str  # of the references, where we write them


def _ec(curve: str, hashed: str, short: str, digest_uri: str) -> Suite:
    return Suite(f"ECDSA-{curve}-{hashed}", f"{DSIG_MORE}ecdsa-{short}", curve, hashed, digest_uri)


_SHA256, _SHA384, _SHA512 = XMLENC + "sha256", DSIG_MORE + "sha384", XMLENC + "sha512"

# The first of a kind of key is the one that we sign with.
SUITES = (
    Suite("RSA-SHA-256", DSIG_MORE + "rsa-sha256", "RSA", "SHA-256", _SHA256),
    Suite("RSA-SHA-384", DSIG_MORE + "rsa-sha384", "RSA", "SHA-384", _SHA384),
    Suite("RSA-SHA-512", DSIG_MORE + "rsa-sha512", "RSA", "SHA-512", _SHA512),
    _ec("P-256", "SHA-256", "sha256", _SHA256),
    _ec("P-256", "SHA-384", "sha384", _SHA384),
    _ec("P-256", "SHA-512", "sha512", _SHA512),
    _ec("P-384", "SHA-384", "sha384", _SHA384),
    _ec("P-384", "SHA-256", "sha256", _SHA256),
    _ec("P-384", "SHA-512", "sha512", _SHA512),
    _ec("P-521", "SHA-512", "sha512", _SHA512),
    _ec("P-521", "SHA-256", "sha256", _SHA256),
    _ec("P-521", "SHA-384", "sha384", _SHA384),
    Suite("SM2-SM3", SM2_SM3_URI, "SM2", "SM3", SM3_URI),
)

HASHES: dict[str, hashes.HashAlgorithm] = {
    "SHA-256": hashes.SHA256(),
    "SHA-384": hashes.SHA384(),
    "SHA-512": hashes.SHA512(),
}


def suite_for(key: str) -> Suite:
    """What we sign with when the key is of that kind; KeyError for a kind that no suite has."""
    for suite in SUITES:
        if suite.key == key:
            return suite
    raise KeyError(key)


def suite_of(uri: str, key: str) -> Suite | None:
    """The suite that a document names, if a key of this kind may be used with it."""
    return next((suite for suite in SUITES if suite.uri == uri and suite.key == key), None)


def known_uri(uri: str) -> bool:
    """Whether any suite is named so."""
    return any(suite.uri == uri for suite in SUITES)
