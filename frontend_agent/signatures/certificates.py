"""Whom a signature is believed of: certificates, the chain above them, and lists of revoked ones (RFC 5280). Pure.

    trust = Trust(anchors=certificates_in(pem), revoked=lists_in(pem))
    judged = trust.judge(certificate, others, signed_at, now)        all reasons at once

Nothing is fetched: neither a certificate nor a list is ever looked for at an address that a document names.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from frontend_agent.signatures import der, sm2
from frontend_agent.signatures.suites import HASHES, SMALLEST_RSA, Suite

DEEPEST = 6  # certificates between a signer and an anchor, both counted
LARGEST_CERTIFICATE = 32 << 10
CLOCK_MAY_DIFFER = timedelta(minutes=5)
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_SM2_WITH_SM3 = "1.2.156.10197.1.501"
_BROKEN = frozenset(("md5", "sha1", "md2"))
_UNDERSTOOD = frozenset(
    (
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    )
)
_PEM = re.compile(rb"-----BEGIN (CERTIFICATE|X509 CRL)-----.*?-----END \1-----", re.DOTALL)


class BadCertificate(ValueError):
    """The bytes are no certificate, or no list of revoked ones."""


@dataclass(frozen=True)
class Certificate:
    """One certificate. Its own bytes are what it is compared by."""

    content: bytes = field(repr=False)  # DER

    @cached_property
    def parsed(self) -> x509.Certificate:
        if len(self.content) > LARGEST_CERTIFICATE:
            raise BadCertificate("a certificate of more than 32 KiB")
        try:
            return x509.load_der_x509_certificate(self.content)
        except ValueError as error:
            raise BadCertificate("not an X.509 certificate") from error

    @cached_property
    def sha256(self) -> str:
        """Its fingerprint, hex."""
        return sha256(self.content).hexdigest()

    @property
    def subject(self) -> str:
        return self.parsed.subject.rfc4514_string()

    @property
    def issuer(self) -> str:
        return self.parsed.issuer.rfc4514_string()

    @property
    def serial(self) -> str:
        """As certification authorities print it: hex."""
        return f"{self.parsed.serial_number:x}"

    @property
    def common_name(self) -> str:
        return _said(self.parsed.subject, NameOID.COMMON_NAME) or self.subject

    @property
    def organization(self) -> str:
        return _said(self.parsed.subject, NameOID.ORGANIZATION_NAME)

    @cached_property
    def point(self) -> bytes | None:
        """The public key of SM2, None for any other kind."""
        try:
            return der.sm2_point(der.public_key_info(self.content))
        except der.NotDer:
            return None

    @cached_property
    def key(self) -> str:
        """RSA, P-256 … or SM2; what else it is, in words that say so."""
        if self.point is not None:
            return "SM2"
        try:
            public = self.parsed.public_key()
        except (ValueError, UnsupportedAlgorithm):
            return "a key that nothing here can use"
        if isinstance(public, rsa.RSAPublicKey):
            return "RSA" if public.key_size >= SMALLEST_RSA else f"RSA of {public.key_size} bits"
        if isinstance(public, ec.EllipticCurvePublicKey):
            return _CURVES.get(public.curve.name, f"a key on {public.curve.name}")
        return type(public).__name__

    def holds(self, suite: Suite, data: bytes, signature: bytes) -> bool:
        """Whether the holder of this certificate made the signature over data. Of another kind of key: never."""
        if suite.key != self.key:
            return False
        if self.point is not None:
            return sm2.verify(self.point, data, signature)
        public = self.parsed.public_key()
        try:
            if isinstance(public, rsa.RSAPublicKey):
                public.verify(signature, data, padding.PKCS1v15(), HASHES[suite.hash])
            elif isinstance(public, ec.EllipticCurvePublicKey):
                public.verify(_dss(signature, public.key_size), data, ec.ECDSA(HASHES[suite.hash]))
            else:
                return False
        except (InvalidSignature, ValueError):
            return False
        return True

    def issued(self, other: "Certificate") -> bool:
        """Whether it signed the other one, and is named as its issuer."""
        if other.parsed.issuer != self.parsed.subject:
            return False
        if self.point is not None:
            is_sm2 = other.parsed.signature_algorithm_oid.dotted_string == _SM2_WITH_SM3
            return is_sm2 and sm2.verify(self.point, other.parsed.tbs_certificate_bytes, other.parsed.signature)
        try:
            other.parsed.verify_directly_issued_by(self.parsed)
        except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
            return False
        return True

    def signed_list(self, revoked: x509.CertificateRevocationList) -> bool:
        """Whether the list of revoked certificates is its own."""
        if revoked.issuer != self.parsed.subject:
            return False
        if self.point is not None:
            is_sm2 = revoked.signature_algorithm_oid.dotted_string == _SM2_WITH_SM3
            return is_sm2 and sm2.verify(self.point, revoked.tbs_certlist_bytes, revoked.signature)
        try:
            return revoked.is_signature_valid(self.parsed.public_key())  # type: ignore[arg-type]  # it raises TypeError
        except (TypeError, ValueError, UnsupportedAlgorithm):
            return False


@lru_cache(maxsize=1024)
def _issued(one: Certificate, other: Certificate) -> bool:
    """A hospital's documents bring the same certificates again and again."""
    return one.issued(other)


def _said(name: x509.Name, what: x509.ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(what)
    return str(found[0].value) if found else ""


def _dss(signature: bytes, bits: int) -> bytes:
    """r and s side by side (RFC 9231 2.3.6) as DER."""
    half = (bits + 7) // 8
    if len(signature) != 2 * half:
        raise ValueError("another length than the curve has")
    return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))


def certificates_in(content: bytes) -> tuple[Certificate, ...]:
    """The certificates of a file: PEM, as many as there are, or one in DER. BadCertificate when there is none."""
    found = [Certificate(_der(match[0])) for match in _PEM.finditer(content) if match[1] == b"CERTIFICATE"]
    found = found or [Certificate(content)]
    for one in found:
        _ = one.parsed
    return tuple(found)


def _der(pem: bytes) -> bytes:
    try:
        return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except ValueError as error:
        raise BadCertificate("not an X.509 certificate") from error


def lists_in(content: bytes) -> tuple[x509.CertificateRevocationList, ...]:
    """The lists of revoked certificates in a file, PEM or DER. BadCertificate when there is none."""
    try:
        found = [x509.load_pem_x509_crl(match[0]) for match in _PEM.finditer(content) if match[1] == b"X509 CRL"]
        return tuple(found) or (x509.load_der_x509_crl(content),)
    except ValueError as error:
        raise BadCertificate("not a list of revoked certificates (CRL)") from error


@dataclass(frozen=True)
class Believed:
    """What is to be said of a signer's certificate: nothing in `reasons` means that it is believed."""

    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trust:
    """Whom we believe. `arrival`: how long after its certificate has expired a document may still arrive (law 7: what
    waited for a network is not worse for it); it must have been signed while the certificate was valid."""

    anchors: tuple[Certificate, ...] = ()
    others: tuple[Certificate, ...] = ()  # between anchors and signers, for documents that bring none
    revoked: tuple[x509.CertificateRevocationList, ...] = field(default=(), repr=False)
    arrival: timedelta = timedelta(days=30)

    def judge(
        self, certificate: Certificate, brought: Sequence[Certificate], signed_at: datetime, now: datetime
    ) -> Believed:
        """All that stands against it, as of `now`. `brought`: the certificates that the document brings along."""
        reasons = list(_of_signer(certificate))
        notes: list[str] = []
        chain = self._chain(certificate, brought)
        if chain is None:
            reasons.append(f"signer unknown: no trusted authority stands behind {certificate.issuer}")
            chain = [certificate]
        for depth, one in enumerate(chain):
            reasons += _dates(one, signed_at, now, self.arrival)
            if depth:
                reasons += _of_authority(one, depth - 1)
            if one in self.anchors and depth:
                continue
            reasons += _weak(one)
            if depth + 1 < len(chain):
                told = self._revocation(one, chain[depth + 1], now)
                reasons += told.reasons
                notes += told.notes
        return Believed(tuple(dict.fromkeys(reasons)), tuple(dict.fromkeys(notes)))

    def _chain(self, certificate: Certificate, brought: Sequence[Certificate]) -> list[Certificate] | None:
        """From the certificate up to an anchor; None when there is no such way. An anchor itself is one."""
        pool = [*self.anchors, *self.others, *brought[:DEEPEST]]

        def above(chain: list[Certificate]) -> list[Certificate] | None:
            if chain[-1] in self.anchors:
                return chain
            if len(chain) >= DEEPEST:
                return None
            for one in pool:
                if one not in chain and _issued(one, chain[-1]) and (found := above([*chain, one])):
                    return found
            return None

        return above([certificate])

    def _revocation(self, certificate: Certificate, issuer: Certificate, now: datetime) -> Believed:
        lists = [one for one in self.revoked if issuer.signed_list(one)]
        if not lists:
            return Believed((), (f"whether it is revoked was not checked: no list of {issuer.common_name}",))
        for one in lists:
            entry = one.get_revoked_certificate_by_serial_number(certificate.parsed.serial_number)
            if entry is not None:
                day = entry.revocation_date_utc.strftime("%Y-%m-%d")
                return Believed((f"certificate revoked since {day}: {certificate.common_name}",))
        nexts = [one.next_update_utc for one in lists]
        newest = max((moment for moment in nexts if moment is not None), default=now)
        if newest < now:
            day = newest.strftime("%Y-%m-%d")
            return Believed(
                (), (f"the list of revoked certificates of {issuer.common_name} is out of date since {day}",)
            )
        return Believed(())


Named = Sequence[tuple[str, bytes]]  # file name, content


def trust_in(anchors: Named, others: Named = (), revoked: Named = (), arrival: timedelta = timedelta(days=30)) -> Trust:
    """The trust that the contents of files say, or BadCertificate with the name of the one that cannot be used."""

    def certificates(named: Named) -> tuple[Certificate, ...]:
        found: list[Certificate] = []
        for name, content in named:
            try:
                found += certificates_in(content)
            except BadCertificate as error:
                raise BadCertificate(f"{name}: {error}") from None
        return tuple(found)

    lists: list[x509.CertificateRevocationList] = []
    for name, content in revoked:
        try:
            lists += lists_in(content)
        except BadCertificate as error:
            raise BadCertificate(f"{name}: {error}") from None
    return Trust(certificates(anchors), certificates(others), tuple(lists), arrival)


def _extensions(certificate: Certificate) -> Mapping[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]:
    try:
        return {one.oid: one for one in certificate.parsed.extensions}
    except ValueError:
        return {}


def _of_signer(certificate: Certificate) -> Iterator[str]:
    """What a certificate must allow for a signature on a document to be its holder's word."""
    found = _extensions(certificate)
    usage = found.get(ExtensionOID.KEY_USAGE)
    if usage is not None:
        allowed = usage.value
        assert isinstance(allowed, x509.KeyUsage)
        if not (allowed.digital_signature or allowed.content_commitment):
            yield "the certificate is not for signatures (keyUsage has neither digitalSignature nor nonRepudiation)"
    purpose = found.get(ExtensionOID.EXTENDED_KEY_USAGE)
    if purpose is not None:
        assert isinstance(purpose.value, x509.ExtendedKeyUsage)
        if {*purpose.value} <= {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.OCSP_SIGNING}:
            yield "the certificate is a server's (extendedKeyUsage), not a signer's"
    constraint = found.get(ExtensionOID.BASIC_CONSTRAINTS)
    if constraint is not None:
        assert isinstance(constraint.value, x509.BasicConstraints)
        if constraint.value.ca:
            yield "the certificate is an authority's, not a signer's"
    yield from _not_understood(found)


def _of_authority(certificate: Certificate, below: int) -> Iterator[str]:
    """RFC 5280 6.1.4: it may issue, and so many authorities may stand below it."""
    name = certificate.common_name
    found = _extensions(certificate)
    constraint = found.get(ExtensionOID.BASIC_CONSTRAINTS)
    if constraint is None or not isinstance(constraint.value, x509.BasicConstraints) or not constraint.value.ca:
        yield f"{name} is no authority (basicConstraints), and has issued a certificate"
    elif constraint.value.path_length is not None and below > constraint.value.path_length:
        yield f"{name} may not stand so far above a signer (pathLen {constraint.value.path_length})"
    usage = found.get(ExtensionOID.KEY_USAGE)
    if usage is not None and isinstance(usage.value, x509.KeyUsage) and not usage.value.key_cert_sign:
        yield f"{name} may not issue certificates (keyUsage)"
    yield from _not_understood(found)


def _not_understood(
    found: Mapping[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]],
) -> Iterator[str]:
    for oid, extension in found.items():
        if extension.critical and oid not in _UNDERSTOOD:
            yield f"the certificate has a critical extension that is not understood here ({oid.dotted_string})"


def _dates(certificate: Certificate, signed_at: datetime, now: datetime, arrival: timedelta) -> Iterator[str]:
    first, last = certificate.parsed.not_valid_before_utc, certificate.parsed.not_valid_after_utc
    name = certificate.common_name
    if signed_at + CLOCK_MAY_DIFFER < first:
        yield f"signed before the certificate of {name} was valid ({_day(first)}); check the signer's clock"
    if signed_at > last:
        yield f"signed after the certificate of {name} had expired ({_day(last)})"
    elif now > last + arrival:
        yield f"certificate expired ({_day(last)}): {name}"


def _weak(certificate: Certificate) -> Iterator[str]:
    if certificate.point is not None:
        return
    hashed = None
    try:
        algorithm = certificate.parsed.signature_hash_algorithm
        hashed = algorithm.name if algorithm else None
    except UnsupportedAlgorithm:
        hashed = "md2"
    if hashed in _BROKEN:
        yield f"the certificate of {certificate.common_name} was signed with {hashed.upper()}, which is broken"
    if certificate.key.startswith("RSA of"):
        yield f"the key of {certificate.common_name} is too short ({certificate.key})"


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d")
