"""An authority of the region: a root that is kept apart, and an intermediate that signs while the platform runs.

The root's key is needed to begin, and to renew the intermediate; it belongs in a safe. The intermediate may sign leaves and
nothing else (path length 0). Takes values, returns values; keys are made here, and written by nobody but the registry.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from frontend_agent.certificates import (
    CertificateRefused,
    SigningKey,
    certificates_in,
    chain_problem,
    common_name,
    host_names,
    institution_names,
    weaknesses,
)

ROOT_TERM = timedelta(days=20 * 365)
ISSUER_TERM = timedelta(days=5 * 365)
LEAF_TERM = timedelta(days=90)  # half of it and 30 days without a platform still leave two weeks
SERVER_TERM = timedelta(days=180)
BACKDATED = timedelta(minutes=5)  # clocks differ a little, and nobody's certificate should be of tomorrow
REVOKED_TERM = timedelta(days=365)  # of a list of revoked certificates; agents fetch the new one with every change
LONGEST_NAME = 64  # of a common name (RFC 5280, upper bounds)


@dataclass(frozen=True)
class Authority:
    """Certificates of a root and of who signs in its name, that one first. `key` is None where the region signs itself."""

    root: x509.Certificate
    issuers: tuple[x509.Certificate, ...] = ()
    key: SigningKey | None = None

    @property
    def issuer(self) -> x509.Certificate:
        return self.issuers[0] if self.issuers else self.root


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def make_root(name: str, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A root of its own, over P-384: it is to last."""
    key = ec.generate_private_key(ec.SECP384R1())
    subject = common_name(f"{name} root {now:%Y}"[:LONGEST_NAME])
    made = _builder(subject, subject, key.public_key(), now - BACKDATED, now + ROOT_TERM)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
    made = made.add_extension(_usage(signs=True), critical=True)
    return made.sign(key, hashes.SHA384()), key


def make_issuer(name: str, root: x509.Certificate, root_key: SigningKey, now: datetime) -> Authority:
    """The intermediate that signs, below that root."""
    key = new_key()
    subject = common_name(f"{name} issuer {now:%Y-%m}"[:LONGEST_NAME])
    ends = min(now + ISSUER_TERM, root.not_valid_after_utc)
    made = _builder(subject, root.subject, key.public_key(), now - BACKDATED, ends)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = made.add_extension(_usage(signs=True), critical=True)
    made = made.add_extension(_of_issuer(root), critical=False)
    return Authority(root, (made.sign(root_key, hashes.SHA384()),), key)


def client_certificate(
    authority: Authority, public_key: PublicKeyTypes, institutions: Sequence[str], now: datetime, term: timedelta
) -> x509.Certificate:
    """A machine's certificate. Of its request nothing is taken but the key."""
    made = _leaf(authority, public_key, common_name(institutions[0][:LONGEST_NAME]), now, term)
    made = made.add_extension(institution_names(institutions), critical=False)
    made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    return _signed(authority, made)


def server_certificate(
    authority: Authority, public_key: PublicKeyTypes, hosts: Sequence[str], now: datetime, revoked_at: str = ""
) -> x509.Certificate:
    """The platform's own, for these names and addresses. `revoked_at`: where the list of revoked certificates is."""
    made = _leaf(authority, public_key, common_name(hosts[0][:LONGEST_NAME]), now, SERVER_TERM)
    made = made.add_extension(host_names(hosts), critical=False)
    made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    if revoked_at:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(revoked_at)], None, None, None)
        made = made.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    return _signed(authority, made)


def revoked_list(
    authority: Authority, serials: Sequence[tuple[int, datetime]], number: int, now: datetime
) -> x509.CertificateRevocationList:
    """What this authority has revoked (RFC 5280 §5)."""
    assert authority.key is not None
    made = x509.CertificateRevocationListBuilder().issuer_name(authority.issuer.subject)
    made = made.last_update(now - BACKDATED).next_update(now + REVOKED_TERM)
    for serial, at in serials:
        made = made.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
        )
    made = made.add_extension(x509.CRLNumber(number), critical=False)
    made = made.add_extension(_of_issuer(authority.issuer), critical=False)
    return made.sign(authority.key, hashes.SHA256())


def given_authority(chain: bytes, key: bytes | None, root: bytes, password: bytes | None, now: datetime) -> Authority:
    """The region's own authority from files: an intermediate with its key, or the root alone where the region signs by itself.

    CertificateRefused says what does not go together."""
    roots = certificates_in(root)
    if len(roots) != 1:
        raise CertificateRefused("the root's file holds more than one certificate")
    issuers = tuple(certificates_in(chain)) if chain else ()
    issuers = tuple(one for one in issuers if one != roots[0])
    problems = [problem for one in (*issuers, roots[0]) for problem in weaknesses(one)]
    problems += ["a certificate of it has expired" for one in (*issuers, roots[0]) if one.not_valid_after_utc < now]
    if issuers:
        problems += [problem for problem in [chain_problem(issuers[0], issuers[1:], roots)] if problem]
    if problems:
        raise CertificateRefused("; ".join(dict.fromkeys(problems)))
    if key is None:
        return Authority(roots[0], issuers)
    loaded = read_key(key, password)
    signer = issuers[0] if issuers else roots[0]
    if _public(loaded.public_key()) != _public(signer.public_key()):
        raise CertificateRefused("the key is not that of the first certificate")
    if not signer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
        raise CertificateRefused("the first certificate may not sign others (basicConstraints CA)")
    return Authority(roots[0], issuers, loaded)


def read_key(pem: bytes, password: bytes | None = None) -> SigningKey:
    """CertificateRefused: no key, a wrong password, or a kind that does not sign certificates here."""
    try:
        key = serialization.load_pem_private_key(pem, password)
    except (ValueError, TypeError):
        raise CertificateRefused("the key cannot be read (PEM), or its password is wrong or missing") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateRefused("the key is neither RSA nor EC")
    return key


def key_pem(key: SigningKey, password: bytes | None = None) -> bytes:
    kept = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kept)


def _leaf(
    authority: Authority, public_key: PublicKeyTypes, subject: x509.Name, now: datetime, term: timedelta
) -> x509.CertificateBuilder:
    ends = min(now + term, authority.issuer.not_valid_after_utc)
    made = _builder(subject, authority.issuer.subject, public_key, now - BACKDATED, ends)
    made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    made = made.add_extension(_usage(signs=False), critical=True)
    return made.add_extension(_of_issuer(authority.issuer), critical=False)


def _signed(authority: Authority, made: x509.CertificateBuilder) -> x509.Certificate:
    if authority.key is None:
        raise CertificateRefused("the region signs by itself: give the certificate that it made")
    return made.sign(authority.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: PublicKeyTypes, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)  # type: ignore[arg-type]  # kinds that cannot be certified were refused with the request
        .serial_number(int.from_bytes(secrets.token_bytes(16)) >> 1)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)  # type: ignore[arg-type]
    )


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _of_issuer(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
