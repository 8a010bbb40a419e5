"""Does a document's signature cover the document, does it hold, and whose is it? All reasons at once. Pure.

Only one shape is believed, which leaves nothing to wrap: one ds:Signature, a child of the root, with one reference to the
whole document, and at most one each to its own SignedProperties and KeyInfo. Transforms, algorithms and places are lists of what may be; a
document names among them, and everything else is refused by name. Nothing that a document names is fetched, and no key is
taken from it but that of a certificate which a trusted authority stands behind.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from lxml import etree

from frontend_agent.formats.errors import UnsafeDocument
from frontend_agent.formats.xml import parse, parse_with_instructions
from frontend_agent.signatures.certificates import CLOCK_MAY_DIFFER, BadCertificate, Certificate, Trust
from frontend_agent.signatures.sm2 import NoSm2
from frontend_agent.signatures.suites import DIGESTS, DSIG, Suite, known_uri, suite_of
from frontend_agent.signatures.uris import C14N, C14N_11, ENVELOPED, EXC_C14N, SIGNED_PROPERTIES, XADES

State = Literal["valid", "invalid", "unsigned"]

MOST_CERTIFICATES = 10  # that a document brings
LARGEST_VALUE = 64 << 10  # characters of one base64 value
_WHOLE = {C14N, C14N + "#WithComments", C14N_11, C14N_11 + "#WithComments"}
_EXCLUSIVE = {EXC_C14N, EXC_C14N + "WithComments"}
_IDS = ("Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be said of the signature of one document. `reasons` are empty exactly when it is valid or there is none."""

    state: State
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    suite: str = ""
    form: str = ""  # XAdES-BES, XML-DSig
    signed_at: str = ""  # ISO 8601 UTC, as the signer says
    signer: str = ""  # common name
    organization: str = ""
    issuer: str = ""
    serial: str = ""  # hex
    certificate_sha256: str = ""


def verified(document: bytes, trust: Trust, now: datetime) -> Verdict:
    """The verdict as of `now`. Never raises for what the document is; no reason quotes its content."""
    try:
        tree = parse_with_instructions(document)
    except UnsafeDocument as error:
        return Verdict("invalid", (str(error),))
    found = list(tree.iter(_ds("Signature")))
    if not found:
        return Verdict("unsigned")
    if len(found) > 1:
        return Verdict(
            "invalid", (f"{len(found)} signatures in one document: which of them speaks for it is not decided",)
        )
    return _Judging(tree, found[0], trust, now).verdict()


class _Refused(Exception):
    """The signature's shape does not let us go on."""


@dataclass
class _Reference:
    uri: str
    type: str
    transforms: list[tuple[str, tuple[str, ...]]]  # algorithm, prefixes of an InclusiveNamespaces
    digest_uri: str
    digest: bytes


class _Judging:
    """One signature, step by step."""

    def __init__(self, tree: etree._ElementTree, signature: etree._Element, trust: Trust, now: datetime) -> None:
        self._tree, self._root, self._signature = tree, tree.getroot(), signature
        self._trust, self._now = trust, now
        self._reasons: list[str] = []
        self._notes: list[str] = []
        self._about: dict[str, str] = {}

    def verdict(self) -> Verdict:
        try:
            self._judge()
        except _Refused as refused:
            self._reasons.append(str(refused))
        except NoSm2 as error:
            self._reasons.append(str(error))
        reasons = tuple(dict.fromkeys(self._reasons))
        return Verdict("invalid" if reasons else "valid", reasons, tuple(self._notes), **self._about)

    def _judge(self) -> None:
        self._reasons += self._misplaced()
        info = self._only(self._signature, _ds("SignedInfo"))
        canonical = self._canonical_info(info)
        # What is read from here on is what is hashed, not what stands beside it.
        read = parse(canonical)
        references = [self._reference(one) for one in read.findall(_ds("Reference"))]
        document, properties, key_info = self._told_apart(references)
        said = self._properties(properties)
        certificate, brought = self._certificates(said)
        self._describe(certificate, said)
        self._holds(read, canonical, certificate)
        if properties is not None and said is not None:
            self._reasons += self._digest_differs(properties, said, "what is said of the signature (SignedProperties)")
        if key_info is not None:
            self._reasons += self._digest_differs(key_info, self._only(self._signature, _ds("KeyInfo")), "KeyInfo")
        self._document_holds(document)
        signed_at = self._signed_at(said)
        believed = self._trust.judge(certificate, brought, signed_at, self._now)
        self._reasons += believed.reasons
        self._notes += believed.notes

    # --- shape ----------------------------------------------------------------------------------------------------------

    def _misplaced(self) -> Iterator[str]:
        parent = self._signature.getparent()
        if parent is None:
            raise _Refused("the signature is the document itself: what it signs is inside of it")
        if parent is not self._root:
            where = etree.QName(parent).localname
            yield f"the signature stands in {where}, not directly in the document"
        if [child.tag for child in self._signature][:3] != [_ds("SignedInfo"), _ds("SignatureValue"), _ds("KeyInfo")]:
            yield "the signature does not begin with SignedInfo, SignatureValue and KeyInfo"
        if any(child.tag != _ds("Object") for child in list(self._signature)[3:]):
            yield "the signature holds more than SignedInfo, SignatureValue, KeyInfo and Object"
        for child in self._signature.findall(_ds("Object")):
            if any(inner.tag != _xades("QualifyingProperties") for inner in child):
                yield "the signature brings an Object of its own: content that is not the document's"
        ids = [element.get(name) for element in self._root.iter(etree.Element) for name in _IDS]
        given = [one for one in ids if one]
        own = {
            one
            for one in (element.get(name) for element in self._signature.iter(etree.Element) for name in _IDS)
            if one
        }
        own |= {one for one in (self._root.get(name) for name in _IDS) if one}
        if any(given.count(one) > 1 for one in own):
            yield "an Id that the signature refers to stands there twice"

    def _only(self, parent: etree._Element, tag: str) -> etree._Element:
        found = parent.findall(tag)
        if len(found) != 1:
            raise _Refused(f"{etree.QName(tag).localname} stands there {len(found)} times")
        return found[0]

    def _canonical_info(self, info: etree._Element) -> bytes:
        method = self._only(info, _ds("CanonicalizationMethod"))
        others = {child.tag for child in info} - {
            _ds(n) for n in ("CanonicalizationMethod", "SignatureMethod", "Reference")
        }
        if others:
            raise _Refused("SignedInfo holds elements that do not belong there")
        canonical = _canonical(info, method.get("Algorithm", ""), _prefixes(method))
        if canonical is None:
            raise _Refused(f"canonicalization {_named(method.get('Algorithm', ''))} is not one that is taken")
        return canonical

    def _reference(self, element: etree._Element) -> _Reference:
        tags = [child.tag for child in element]
        if tags not in (
            [_ds("Transforms"), _ds("DigestMethod"), _ds("DigestValue")],
            [_ds("DigestMethod"), _ds("DigestValue")],
        ):
            raise _Refused("a reference is not made of Transforms, DigestMethod and DigestValue")
        transforms = []
        for one in element.iter(_ds("Transform")):
            if any(child.tag != f"{{{EXC_C14N}}}InclusiveNamespaces" for child in one):
                raise _Refused(f"transform {_named(one.get('Algorithm', ''))} brings a program of its own")
            transforms.append((one.get("Algorithm", ""), _prefixes(one)))
        digest_uri = self._only(element, _ds("DigestMethod")).get("Algorithm", "")
        digest = _decoded(self._only(element, _ds("DigestValue")).text)
        if digest_uri not in DIGESTS:
            raise _Refused(f"digest algorithm {_named(digest_uri)} is not one that is taken")
        uri = element.get("URI")
        if uri is None:
            raise _Refused("a reference does not say what it refers to (no URI)")
        return _Reference(uri, element.get("Type", ""), transforms, digest_uri, digest)

    def _told_apart(self, references: list[_Reference]) -> tuple[_Reference, _Reference | None, _Reference | None]:
        """The reference to the document, and those to SignedProperties and to the signature's own KeyInfo if there are any."""
        for one in references:
            if one.uri and not re.fullmatch(r"#[\w.\-]{1,200}", one.uri):
                raise _Refused("a reference names something outside of the document, which is never fetched")
        key_info = self._only(self._signature, _ds("KeyInfo")).get("Id")
        properties = [one for one in references if one.type == SIGNED_PROPERTIES]
        keys = [one for one in references if one not in properties and key_info and one.uri == f"#{key_info}"]
        rest = [one for one in references if one not in properties and one not in keys]
        if len(rest) != 1 or len(properties) > 1 or len(keys) > 1:
            raise _Refused(
                f"{len(rest)} references to content and {len(properties)} to SignedProperties:"
                " one to the whole document is needed"
            )
        return rest[0], (properties[0] if properties else None), (keys[0] if keys else None)

    # --- what is said of the signature -----------------------------------------------------------------------------------

    def _properties(self, reference: _Reference | None) -> etree._Element | None:
        """SignedProperties, at the one place where they may stand, and there only if the signature covers them."""
        found = list(self._root.iter(_xades("SignedProperties")))
        if reference is None:
            if found:
                self._reasons.append("SignedProperties stand there, and the signature does not cover them")
            return None
        path = "/".join((_ds("Object"), _xades("QualifyingProperties"), _xades("SignedProperties")))
        own = self._signature.findall(path)
        if len(found) != 1 or own != found:
            raise _Refused("the SignedProperties that the signature covers are not its own, or not the only ones")
        qualifying = own[0].getparent()
        target = qualifying.get("Target", "") if qualifying is not None else ""
        if target != f"#{self._signature.get('Id', '')}":
            self._reasons.append("the qualifying properties speak of another signature (Target)")
        if reference.uri != f"#{own[0].get('Id', '')}":
            raise _Refused("the reference to SignedProperties names another element")
        return own[0]

    def _certificates(self, said: etree._Element | None) -> tuple[Certificate, list[Certificate]]:
        """The signer's certificate, and the others that the document brings. Which it is, XAdES says under the signature."""
        key_info = self._only(self._signature, _ds("KeyInfo"))
        values = key_info.findall(f"{_ds('X509Data')}/{_ds('X509Certificate')}")
        if not values:
            raise _Refused("the signature brings no certificate (KeyInfo/X509Data): a bare key is nobody's")
        if len(values) > MOST_CERTIFICATES:
            raise _Refused(f"{len(values)} certificates: more than {MOST_CERTIFICATES}")
        try:
            brought = [Certificate(_decoded(one.text)) for one in values]
            for one in brought:
                _ = one.parsed
        except BadCertificate as error:
            raise _Refused(f"KeyInfo: {error}") from None
        if said is None:
            return brought[0], brought[1:]
        for digest_uri, digest in self._fingerprints(said):
            for one in brought:
                if DIGESTS[digest_uri][1](one.content) == digest:
                    return one, [other for other in brought if other is not one]
        raise _Refused("the certificate in KeyInfo is not the one that was signed with (SigningCertificate)")

    def _fingerprints(self, said: etree._Element) -> Iterator[tuple[str, bytes]]:
        of = _xades("SignedSignatureProperties")
        found = [
            one
            for name in ("SigningCertificateV2", "SigningCertificate")
            for one in said.findall(f"{of}/{_xades(name)}/{_xades('Cert')}/{_xades('CertDigest')}")
        ]
        if not found:
            raise _Refused("SignedProperties do not say which certificate was signed with")
        for one in found[:1]:  # the first is the signer's (EN 319 132-1 5.2.2)
            uri = self._only(one, _ds("DigestMethod")).get("Algorithm", "")
            if uri not in DIGESTS:
                raise _Refused(f"digest algorithm {_named(uri)} is not one that is taken")
            yield uri, _decoded(self._only(one, _ds("DigestValue")).text)

    def _describe(self, certificate: Certificate, said: etree._Element | None) -> None:
        self._about = {
            "form": "XML-DSig" if said is None else "XAdES-BES",
            "signer": certificate.common_name,
            "organization": certificate.organization,
            "issuer": certificate.issuer,
            "serial": certificate.serial,
            "certificate_sha256": certificate.sha256,
        }

    def _signed_at(self, said: etree._Element | None) -> datetime:
        """As the signer says; a plain XML-DSig does not say when: then it counts as of now."""
        if said is None:
            self._notes.append("the signature does not say when it was made (no XAdES)")
            return self._now
        path = f"{_xades('SignedSignatureProperties')}/{_xades('SigningTime')}"
        found = _TIME.fullmatch(said.findtext(path, "").strip())
        moment = _moment(found) if found else None
        if moment is None:
            self._reasons.append("SigningTime is missing, or no time")
            return self._now
        self._about["signed_at"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        if moment > self._now + CLOCK_MAY_DIFFER:
            self._reasons.append("signed in the future: check the signer's clock")
        return moment

    # --- what holds -------------------------------------------------------------------------------------------------------

    def _holds(self, info: etree._Element, canonical: bytes, certificate: Certificate) -> None:
        uri = self._only(info, _ds("SignatureMethod")).get("Algorithm", "")
        suite: Suite | None = suite_of(uri, certificate.key)
        if suite is None and not known_uri(uri):
            self._reasons.append(f"signature algorithm {_named(uri)} is not one that is taken")
            return
        if suite is None:
            self._reasons.append(
                f"signature algorithm {_named(uri)} does not go with the certificate's key ({certificate.key})"
            )
            return
        self._about["suite"] = suite.name
        value = _decoded(self._only(self._signature, _ds("SignatureValue")).text)
        if not certificate.holds(suite, canonical, value):
            self._reasons.append("the signature does not hold: SignedInfo was changed, or somebody else signed it")

    def _digest_differs(self, reference: _Reference, element: etree._Element, what: str) -> Iterator[str]:
        if len(reference.transforms) > 1:
            raise _Refused("a reference to a part of the signature has more than one transform")
        algorithm, prefixes = reference.transforms[0] if reference.transforms else (C14N, ())
        canonical = _canonical(element, algorithm, prefixes)
        if canonical is None:
            raise _Refused(f"transform {_named(algorithm)} is not one that is taken")
        if DIGESTS[reference.digest_uri][1](canonical) != reference.digest:
            yield f"{what}: was changed after it was signed"

    def _document_holds(self, reference: _Reference) -> None:
        """The last, for it takes the signature out of the tree."""
        own = {self._root.get(name) for name in _IDS} - {None}
        if reference.uri and reference.uri[1:] not in own:
            self._reasons.append("the signature covers a part of the document, not the whole")
            return
        algorithms = [algorithm for algorithm, _ in reference.transforms]
        if algorithms[:1] != [ENVELOPED] or algorithms.count(ENVELOPED) != 1 or len(algorithms) > 2:
            told = ", ".join(_named(one) for one in algorithms) or "none"
            self._reasons.append(f"transforms are not enveloped-signature and one canonicalization, but: {told}")
            return
        algorithm, prefixes = reference.transforms[1] if len(algorithms) == 2 else (C14N, ())
        _take_out(self._signature)
        # By its Id, what stands beside the root (processing instructions) is not of it; by "" it is.
        canonical = _canonical(deepcopy(self._root) if reference.uri else self._tree, algorithm, prefixes)
        if canonical is None:
            self._reasons.append(f"transform {_named(algorithm)} is not one that is taken")
        elif DIGESTS[reference.digest_uri][1](canonical) != reference.digest:
            self._reasons.append("the document was changed after it was signed")


def _take_out(signature: etree._Element) -> None:
    """The enveloped-signature transform: the element goes, the text after it stays (W3C XML-DSig 6.6.4)."""
    parent, before = signature.getparent(), signature.getprevious()
    assert parent is not None
    tail = signature.tail or ""
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    signature.tail = None
    parent.remove(signature)


def _canonical(node: Any, algorithm: str, prefixes: tuple[str, ...]) -> bytes | None:
    """The bytes that are hashed; None for a canonicalization that is not taken. Comments are gone from the tree already."""
    if algorithm in _WHOLE and not prefixes:
        return etree.tostring(node, method="c14n", with_tail=False)
    if algorithm in _EXCLUSIVE:
        return etree.tostring(
            node, method="c14n", exclusive=True, inclusive_ns_prefixes=list(prefixes) or None, with_tail=False
        )
    return None


def _prefixes(method: etree._Element) -> tuple[str, ...]:
    found = method.find(f"{{{EXC_C14N}}}InclusiveNamespaces")
    return tuple((found.get("PrefixList") or "").split()) if found is not None else ()


def _decoded(text: str | None) -> bytes:
    value = "".join((text or "").split())
    if len(value) > LARGEST_VALUE:
        raise _Refused("a base64 value of enormous length")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _Refused("a value of the signature is not base64") from None


def _moment(found: re.Match[str]) -> datetime | None:
    zone = found[2] or "+08:00"  # without one it is the hospital's: Beijing
    try:
        return datetime.fromisoformat(found[1] + ("+00:00" if zone == "Z" else zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _named(uri: str) -> str:
    """What a document calls an algorithm, in so far as it may be shown: our own sentence never quotes at length."""
    return uri if re.fullmatch(r"[\w:/.#+\-]{1,120}", uri, re.ASCII) else "of a strange name"


def _ds(name: str) -> str:
    return f"{{{DSIG}}}{name}"


def _xades(name: str) -> str:
    return f"{{{XADES}}}{name}"
