"""Certificates of agents and platforms (RFC 5280) as values: what they say, and what is wrong with them. Pure.

An agent's certificate names the institutions that it may speak for, each as a URI among its subject's alternative names:

    urn:frontend-agent:institution:12345678-9

Nothing else in it, and nothing in a request, says who somebody is (threat C1).
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import quote, unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

INSTITUTION = "urn:frontend-agent:institution:"
LARGEST = 64 << 10  # bytes of PEM that is read
LEAST_RSA = 2048
WEAK_HASHES = (hashes.MD5, hashes.SHA1, hashes.SHA224)
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
CLOCKS_DIFFER = timedelta(minutes=5)  # from there on a clock is wrong (threat C4)
_TOKEN = "fa1"  # noqa: S105 - the form of tokens, no token

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class CertificateRefused(ValueError):
    """A certificate or a request for one that is not taken. Its text says why, and names nobody."""


class Token(NamedTuple):
    """What an administrator of the platform hands to a hospital: the secret, and by which root the platform is known."""

    secret: str
    root: str  # SHA-256 of the root certificate, hex


# --- reading -----------------------------------------------------------------------------------------------------------


def certificates_in(pem: bytes) -> list[x509.Certificate]:
    """All of a PEM file, in its order. CertificateRefused: there is none, or it is damaged."""
    if len(pem) > LARGEST:
        raise CertificateRefused(f"more than {LARGEST} bytes")
    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateRefused("no certificate can be read (PEM)") from None


def pem_of(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate as it is written (DER), in hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def shown_fingerprint(hexadecimal: str) -> str:
    """As people read it to one another: `3F:A2:…`."""
    return ":".join(hexadecimal[at : at + 2] for at in range(0, len(hexadecimal), 2)).upper()


def plain_fingerprint(text: str) -> str:
    """The hex of a fingerprint however it was written down; "" where it is none."""
    bare = text.strip().lower().removeprefix("sha256:").replace(":", "").replace(" ", "")
    return bare if len(bare) == 64 and all(one in "0123456789abcdef" for one in bare) else ""


def key_fingerprint(key: object) -> str:
    """SHA-256 of a public key (SubjectPublicKeyInfo), in hex."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return sha256(der).hexdigest()


def serial_of(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:x}"


def institutions_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Whom its holder may speak for, in the certificate's own order."""
    names = _alternative_names(certificate)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier) if names else []
    return tuple(unquote(uri.removeprefix(INSTITUTION)) for uri in uris if uri.startswith(INSTITUTION))


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names and addresses that a server has by its certificate."""
    names = _alternative_names(certificate)
    if names is None:
        return ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *(str(address) for address in addresses))


def half_life(certificate: x509.Certificate) -> datetime:
    """When it is time for the next one."""
    begun, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begun + (ends - begun) / 2


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None


# --- judging -----------------------------------------------------------------------------------------------------------


def weaknesses(certificate: x509.Certificate | x509.CertificateSigningRequest) -> list[str]:
    """What nobody may rely on: a short key, an old hash."""
    found = []
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return ["its key is of a kind that is not known here"]
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < LEAST_RSA:
            found.append(f"its RSA key has {key.key_size} bits, {LEAST_RSA} at least")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, CURVES):
            found.append(f"its key is on the curve {key.curve.name}; P-256, P-384 or P-521")
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        found.append("its key is neither RSA nor EC nor Ed25519")
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return [*found, "its signature is of a kind that is not known here"]
    if isinstance(algorithm, WEAK_HASHES):
        found.append(f"it is signed with {algorithm.name.upper()}")
    return found


def problems(certificate: x509.Certificate, now: datetime, usage: x509.ObjectIdentifier) -> list[str]:
    """Everything that is wrong with a certificate by itself, all at once; who signed it is another question.

    `usage`: ExtendedKeyUsageOID.CLIENT_AUTH or SERVER_AUTH, which it must have."""
    found = list(weaknesses(certificate))
    begun, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begun:
        found.append(f"it is valid from {_minute(begun)} on, and it is {_minute(now)} here: check the clocks")
    if now > ends:
        found.append(f"it has expired at {_minute(ends)}, and it is {_minute(now)} here")
    if certificate.version is not x509.Version.v3:
        found.append("it is not of version 3")
        return found
    try:
        usages = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except (x509.ExtensionNotFound, ValueError):
        usages = set()
    if usage not in usages:
        found.append(f"it is not made for {'clients' if usage == ExtendedKeyUsageOID.CLIENT_AUTH else 'servers'}")
    if _is_authority(certificate):
        found.append("it is the certificate of an authority")
    return found


def chain_problem(
    leaf: x509.Certificate, issuers: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
) -> str:
    """Why no path leads from it to a root; "" where one does. Paths of authorities that may sign (RFC 5280 §6.1), no time."""
    one = leaf
    for depth in range(len(issuers) + 1):
        for root in roots:
            if one.issuer == root.subject and _signed(one, root) and _may_sign(root, depth):
                return ""
        above = next(
            (other for other in issuers if other.subject == one.issuer and other != one and _signed(one, other)), None
        )
        if above is None:
            return "it is signed by nobody who is trusted here"
        if not _may_sign(above, depth):
            return "it is signed by one who may not sign"
        one = above
    return "it is signed by nobody who is trusted here"


def _signed(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _may_sign(certificate: x509.Certificate, depth: int) -> bool:
    """`depth`: authorities between it and the leaf."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.ca and (constraints.path_length is None or depth <= constraints.path_length)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


# --- requests ----------------------------------------------------------------------------------------------------------


def request_of(key: SigningKey) -> bytes:
    """A request (PKCS#10, PEM) that proves the key and names nobody: who its holder is, the platform knows by the token."""
    hash_of = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hash_of)
    return request.public_bytes(serialization.Encoding.PEM)


def read_request(pem: bytes) -> x509.CertificateSigningRequest:
    """A request whose sender has the key. CertificateRefused: it is damaged, weak, or proves nothing. Its names are ignored."""
    if len(pem) > LARGEST:
        raise CertificateRefused(f"more than {LARGEST} bytes")
    try:
        request = x509.load_pem_x509_csr(pem)
        proven = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateRefused("the request cannot be read (PKCS#10 in PEM)") from None
    if not proven:
        raise CertificateRefused("the request is not signed with its own key")
    weak = weaknesses(request)
    if weak:
        raise CertificateRefused("; ".join(weak))
    return request


# --- making the parts of certificates ----------------------------------------------------------------------------------


def institution_names(institutions: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(INSTITUTION + quote(one, safe="")) for one in institutions]
    )


def host_names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    """Names and addresses of a server: a front-end machine with two cards is known by the address of each."""
    return x509.SubjectAlternativeName([_host(host) for host in hosts])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host.lower())


def common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


# --- tokens ------------------------------------------------------------------------------------------------------------


def token_text(token: Token) -> str:
    root = base64.urlsafe_b64encode(bytes.fromhex(token.root)).rstrip(b"=").decode()
    return f"{_TOKEN}.{token.secret}.{root}"


def read_token(text: str) -> Token:
    """CertificateRefused: it was not copied whole."""
    parts = text.strip().split(".")
    try:
        form, secret, root = parts
        digest = base64.urlsafe_b64decode(root + "=" * (-len(root) % 4)).hex()
    except (ValueError, binascii.Error):
        form, secret, digest = "", "", ""
    if form != _TOKEN or len(secret) < 40 or len(digest) != 64:
        raise CertificateRefused("this is no token of a platform, or not all of it (fa1.….…)")
    return Token(secret, digest)


def token_digest(secret: str) -> str:
    """What the platform keeps of a token: SHA-256, hex. A token is 256 random bits, so no salt and no slow hash is needed."""
    return sha256(secret.encode()).hexdigest()
