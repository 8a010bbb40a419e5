"""One signature, put into a document: XML-DSig enveloped (W3C, Second Edition), XAdES-BES (ETSI EN 319 132-1).

It stands before the end tag of the root, after everything else; all other bytes stay as they were rendered. What is hashed
is the document in Canonical XML 1.0. SignedInfo and SignedProperties are written here in the canonical form that they are
hashed in (Exclusive C14N): two strings, no tree.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from lxml import etree

from frontend_agent.formats.xml import parse_with_instructions
from frontend_agent.signatures.certificates import Certificate
from frontend_agent.signatures.suites import DIGESTS, DSIG, Suite
from frontend_agent.signatures.uris import C14N, ENVELOPED, EXC_C14N, SIGNED_PROPERTIES, XADES

PREFIX = b"<ds:Signature"


class SigningKey(Protocol):
    """Whoever signs: a file, a token, a device. Its private key never comes out."""

    @property
    def chain(self) -> Sequence[Certificate]:
        """The signer's certificate first, then those above it, without the anchor."""

    @property
    def suite(self) -> Suite: ...

    def sign(self, data: bytes) -> bytes:
        """The signature as XML-DSig writes it: RSA PKCS#1 v1.5, r and s side by side for ECDSA, DER for SM2."""


class CannotBeSigned(ValueError):
    """The document is no XML that a signature can be put into, or has one already."""


def signed(document: bytes, key: SigningKey, now: datetime) -> bytes:
    """The document with a signature in it. Everything of it but the signature is as it was."""
    root = parse_with_instructions(document).getroot()
    name = etree.QName(root)
    prefix = f"{root.prefix}:" if root.prefix else ""
    end = document.rstrip()
    closing = f"</{prefix}{name.localname}>".encode()
    if not end.endswith(closing):
        raise CannotBeSigned("its root has no end tag of its own")
    if next(root.iter(f"{{{DSIG}}}Signature"), None) is not None:
        raise CannotBeSigned("it is signed already")
    digest = DIGESTS[key.suite.digest_uri][1](etree.tostring(root.getroottree(), method="c14n"))
    at = len(end) - len(closing)
    return document[:at] + _signature(digest, key, now) + document[at:]


def _signature(digest: bytes, key: SigningKey, now: datetime) -> bytes:
    suite = key.suite
    hash_of = DIGESTS[suite.digest_uri][1]
    method = f'<ds:DigestMethod Algorithm="{suite.digest_uri}"></ds:DigestMethod>'
    properties = _properties(suite, hash_of(key.chain[0].content), now)
    info = (
        f'<ds:SignedInfo xmlns:ds="{DSIG}">'
        f'<ds:CanonicalizationMethod Algorithm="{EXC_C14N}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{suite.uri}"></ds:SignatureMethod>'
        '<ds:Reference Id="signed-document" URI=""><ds:Transforms>'
        f'<ds:Transform Algorithm="{ENVELOPED}"></ds:Transform><ds:Transform Algorithm="{C14N}"></ds:Transform>'
        f"</ds:Transforms>{method}<ds:DigestValue>{_base64(digest)}</ds:DigestValue></ds:Reference>"
        f'<ds:Reference Type="{SIGNED_PROPERTIES}" URI="#signed-properties"><ds:Transforms>'
        f'<ds:Transform Algorithm="{EXC_C14N}"></ds:Transform></ds:Transforms>'
        f"{method}<ds:DigestValue>{_base64(hash_of(properties.encode()))}</ds:DigestValue></ds:Reference>"
        "</ds:SignedInfo>"
    )
    certificates = "".join(f"<ds:X509Certificate>{_base64(one.content)}</ds:X509Certificate>" for one in key.chain)
    return (
        f'<ds:Signature xmlns:ds="{DSIG}" Id="signature">{info}'
        f"<ds:SignatureValue>{_base64(key.sign(info.encode()))}</ds:SignatureValue>"
        f"<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo>"
        f'<ds:Object><xades:QualifyingProperties xmlns:xades="{XADES}" Target="#signature">{properties}'
        "</xades:QualifyingProperties></ds:Object></ds:Signature>"
    ).encode()


def _properties(suite: Suite, fingerprint: bytes, now: datetime) -> str:
    """When, and by which certificate: both under the signature (EN 319 132-1 5.2.1, 5.2.2)."""
    return (
        f'<xades:SignedProperties xmlns:xades="{XADES}" Id="signed-properties"><xades:SignedSignatureProperties>'
        f"<xades:SigningTime>{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}</xades:SigningTime>"
        "<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>"
        f'<ds:DigestMethod xmlns:ds="{DSIG}" Algorithm="{suite.digest_uri}"></ds:DigestMethod>'
        f'<ds:DigestValue xmlns:ds="{DSIG}">{_base64(fingerprint)}</ds:DigestValue>'
        "</xades:CertDigest></xades:Cert></xades:SigningCertificateV2></xades:SignedSignatureProperties>"
        "<xades:SignedDataObjectProperties>"
        '<xades:DataObjectFormat ObjectReference="#signed-document"><xades:MimeType>text/xml</xades:MimeType>'
        "</xades:DataObjectFormat></xades:SignedDataObjectProperties></xades:SignedProperties>"
    )


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
