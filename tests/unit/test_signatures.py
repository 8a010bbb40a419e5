"""Signatures over documents: what we sign others verify, what others sign we verify, and nothing changed is believed."""

import random
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import signxml
import signxml.xades
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from lxml import etree

from frontend_agent.cli import output
from frontend_agent.cli.texts import Texts
from frontend_agent.config import parse_config
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import headline, kind_codes, load_kind, message_codes
from frontend_agent.formats.foreign import examine
from frontend_agent.signatures import certificates_in, signed, sm2, verified
from frontend_agent.signatures.der import is_signature
from frontend_agent.signatures.words import in_chinese, of_receipt
from frontend_agent.signatures.writing import CannotBeSigned
from frontend_agent.signing import Signers
from tests.signing_kit import (
    DAY,
    NOW,
    Sm2Region,
    authority,
    ec_key,
    holder,
    openssl,
    rendered,
    revocation_list,
    rsa_key,
    sm2_region,
    trusting,
    usage,
)

ROOT = authority()
INTERMEDIATE = authority("示范区域二级 CA", ROOT)
HOSPITAL = holder("示范医院", rsa_key(), INTERMEDIATE)
DOCTOR = holder("李医生", ec_key(1), ROOT)
TRUST = trusting(ROOT)
PLAIN = rendered()
SIGNED = signed(PLAIN, DOCTOR.signs(), NOW)


def reasons(content: bytes, trust=TRUST, now=NOW) -> str:
    verdict = verified(content, trust, now)
    assert verdict.state == "invalid"
    untranslated = [reason for reason in (*verdict.reasons, *verdict.notes) if in_chinese(reason) == reason]
    assert not untranslated
    return "; ".join(verdict.reasons)


# --- what we sign ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", [ec.SECP256R1, ec.SECP384R1, ec.SECP521R1, None], ids=["P-256", "P-384", "P-521", "RSA"]
)
def test_what_we_sign_holds_and_says_who_signed_when(key):
    who = holder("王医生", ec_key(7, key) if key else rsa_key(), INTERMEDIATE)
    verdict = verified(signed(PLAIN, who.signs(INTERMEDIATE), NOW), TRUST, NOW)
    assert (verdict.state, verdict.reasons) == ("valid", ())
    assert (verdict.signer, verdict.organization, verdict.form) == ("王医生", "示范医院", "XAdES-BES")
    assert verdict.signed_at == "2026-11-20T08:00:00Z"
    assert verdict.serial == f"{who.certificate.serial_number:x}"
    assert verdict.notes == (
        "whether it is revoked was not checked: no list of 示范区域二级 CA",
        "whether it is revoked was not checked: no list of 示范区域根 CA",
    )


def test_all_but_the_signature_stays_byte_for_byte():
    start, end = SIGNED.index(b"<ds:Signature "), SIGNED.index(b"</ds:Signature>") + len(b"</ds:Signature>")
    assert SIGNED[:start] + SIGNED[end:] == PLAIN


@pytest.mark.parametrize("code", [code for code in kind_codes() if code not in message_codes()])
def test_every_kind_of_document_is_signed_read_back_and_classified_as_before(code):
    kind = load_kind(code)
    plain = rendered(code)
    sealed = signed(plain, DOCTOR.signs(), NOW)
    assert verified(sealed, TRUST, NOW).state == "valid"
    assert kind.reader(sealed) == kind.reader(plain)
    assert headline(sealed) == headline(plain)
    before, after = examine(plain), examine(sealed)
    assert (after.kind, after.form, after.reasons, after.notes) == (
        before.kind,
        before.form,
        before.reasons,
        before.notes,
    )


def test_a_document_is_signed_once_and_only_if_it_has_an_end_tag():
    with pytest.raises(CannotBeSigned, match="signed already"):
        signed(SIGNED, DOCTOR.signs(), NOW)
    with pytest.raises(CannotBeSigned, match="no end tag"):
        signed(b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>', DOCTOR.signs(), NOW)


def test_signxml_verifies_what_we_sign(tmp_path):
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    for who, above in ((DOCTOR, ()), (HOSPITAL, (INTERMEDIATE,))):
        found = signxml.xades.XAdESVerifier().verify(
            signed(PLAIN, who.signs(*above), NOW), ca_pem_file=str(tmp_path / "root.pem"), expect_references=2,
            expect_signature_policy=None,
        )  # fmt: skip
        assert found[0].signed_xml.tag == "{urn:hl7-org:v3}ClinicalDocument"


@pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="xmlsec1 is not installed (apt install xmlsec1)")
def test_xmlsec_verifies_what_we_sign_and_refuses_what_was_changed(tmp_path):
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    command = ["xmlsec1", "--verify", "--id-attr:Id", "SignedProperties", "--verification-time", "2026-11-20 08:00:00"]
    command += ["--enabled-key-data", "x509", "--trusted-pem", str(tmp_path / "root.pem")]
    for number, (who, above) in enumerate(((DOCTOR, ()), (HOSPITAL, (INTERMEDIATE,)))):
        path = tmp_path / f"{number}.xml"
        path.write_bytes(signed(PLAIN, who.signs(*above), NOW))
        done = subprocess.run([*command, str(path)], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        path.write_bytes(path.read_bytes().replace(b'<versionNumber value="1"', b'<versionNumber value="2"'))
        assert subprocess.run([*command, str(path)], capture_output=True, check=False).returncode != 0


# --- what others sign ---------------------------------------------------------------------------------------------------


# signxml's XAdES hashes SignedProperties by the method of SignedInfo without naming a transform; by the standard that is
# Canonical XML 1.0 (XML-DSig 4.4.3.2), so only its inclusive form is one.
@pytest.mark.parametrize(
    ("form", "c14n"), [("xml-dsig", "INCLUSIVE"), ("xml-dsig", "EXCLUSIVE"), ("xades", "INCLUSIVE")]
)
def test_what_signxml_signs_is_verified_here(c14n, form):
    algorithm = {
        "INCLUSIVE": signxml.CanonicalizationMethod.CANONICAL_XML_1_0,
        "EXCLUSIVE": signxml.CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    }[c14n]
    maker = signxml.XMLSigner if form == "xml-dsig" else signxml.xades.XAdESSigner
    signer = maker(c14n_algorithm=algorithm)
    sealed = etree.tostring(
        signer.sign(
            etree.fromstring(PLAIN), key=HOSPITAL.key_pem, cert=[HOSPITAL.certificate, INTERMEDIATE.certificate]
        ),
        encoding="UTF-8",
    )
    now = NOW if form == "xml-dsig" else NOW + 20 * DAY
    verdict = verified(sealed, TRUST, now)
    assert (verdict.state, verdict.reasons) == ("valid", ())
    assert verdict.signer == "示范医院"
    changed = sealed.replace("门诊".encode(), "住院".encode(), 1)
    assert changed != sealed
    assert "was changed after it was signed" in reasons(changed, now=now)


# --- changed ------------------------------------------------------------------------------------------------------------


def test_a_changed_byte_is_noticed_wherever_it_is():
    """At 200 places; what is left unnoticed is the same document (a space in a tag that became a line end)."""
    chance = random.Random(7)
    places = chance.sample(range(len(SIGNED)), 200)
    unnoticed = []
    for place in places:
        other = chance.choice([b for b in b" \n<>\"'&=/0aZ\xe4" if b != SIGNED[place]])
        changed = SIGNED[:place] + bytes((other,)) + SIGNED[place + 1 :]
        if verified(changed, TRUST, NOW).state == "valid":
            unnoticed.append(place)
            assert canonical(changed) == canonical(SIGNED), f"at {place}"
    assert len(unnoticed) < 10


def canonical(content: bytes) -> bytes:
    return etree.tostring(etree.fromstring(content).getroottree(), method="c14n")


def test_every_bit_of_a_value_of_the_signature_counts():
    start = SIGNED.index(b"<ds:SignatureValue>") + 19
    for place in range(start, start + 80, 4):
        changed = SIGNED[:place] + (b"A" if SIGNED[place : place + 1] != b"A" else b"B") + SIGNED[place + 1 :]
        assert verified(changed, TRUST, NOW).state == "invalid"


def test_an_unsigned_document_is_unsigned_and_rubbish_is_invalid():
    assert verified(PLAIN, TRUST, NOW).state == "unsigned"
    assert "not well-formed" in reasons(b"<a>")
    assert "DOCTYPE" in reasons(b"<!DOCTYPE a><a/>")


# --- wrapping and other games ----------------------------------------------------------------------------------------------

SIGNATURE = re.search(rb"<ds:Signature .*?</ds:Signature>", SIGNED, re.DOTALL)[0]  # type: ignore[index]
DS = b'xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
EVIL = PLAIN.replace("门诊".encode(), "住院".encode())


def inside(root: bytes, content: bytes) -> bytes:
    """Put something before the end tag of the root."""
    at = root.rindex(b"</ClinicalDocument>")
    return root[:at] + content + root[at:]


def without_declaration(content: bytes) -> bytes:
    return content[content.index(b"?>") + 2 :].lstrip()


def with_reference(old: bytes, new: bytes) -> bytes:
    assert old in SIGNED
    return SIGNED.replace(old, new)


WRAPPED = {
    "the signed document inside another": inside(EVIL, without_declaration(SIGNED)),
    "the signed document inside the signature's object": inside(
        EVIL, SIGNATURE.replace(b"</ds:Signature>", b"<ds:Object>" + without_declaration(PLAIN) + b"</ds:Object></ds:Signature>")
    ),
    "the signature moved to another document": inside(EVIL, SIGNATURE),
    "the signature in an element of its own": inside(PLAIN, b"<extra>" + SIGNATURE + b"</extra>"),
    "the signature as the root": SIGNATURE.replace(
        b"</ds:Signature>", b"<ds:Object>" + without_declaration(PLAIN) + b"</ds:Object></ds:Signature>"
    ),
    "two signatures": inside(SIGNED, SIGNATURE),
    "a reference to a part by Id": with_reference(b'URI=""', b'URI="#signed-properties"'),
    "a reference to an element with a second Id": inside(
        with_reference(b'URI=""', b'URI="#original"').replace(b"<ClinicalDocument ", b'<ClinicalDocument ID="evil" ', 1),
        b'<component ID="original"/>',
    ),
    "the same Id twice": with_reference(b"<realmCode ", b'<realmCode ID="signed-properties" '),
    "a reference to a file": with_reference(b'URI=""', b'URI="file:///etc/passwd"'),
    "a reference to the web": with_reference(b'URI=""', b'URI="http://127.0.0.1:9/other.xml"'),
    "an xpointer": with_reference(b'URI=""', b'URI="#xpointer(/ClinicalDocument/id)"'),
    "no URI at all": with_reference(b' URI=""', b""),
    "no reference to the document": re.sub(
        rb'<ds:Reference Id="signed-document".*?</ds:Reference>', b"", SIGNED, count=1, flags=re.DOTALL
    ),
    "an XPath transform": with_reference(
        b'<ds:Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"></ds:Transform>',
        b'<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>self::text()</ds:XPath></ds:Transform>',
    ),
    "an XSLT transform": with_reference(
        b'<ds:Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"></ds:Transform>',
        b'<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/>',
    ),
    "the enveloped transform twice": with_reference(
        b'<ds:Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"></ds:Transform>',
        b'<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>',
    ),
    "SignedProperties of somebody else besides": inside(
        SIGNED, re.search(rb"<xades:SignedProperties .*?</xades:SignedProperties>", SIGNED, re.DOTALL)[0]  # type: ignore[index]
    ),
    "a manifest in the place of the document": with_reference(
        b'<ds:Reference Id="signed-document" URI="">', b'<ds:Reference Type="http://www.w3.org/2000/09/xmldsig#Manifest" URI="#x">'
    ),
    "two SignedInfo": with_reference(b"<ds:SignatureValue>", b"<ds:SignedInfo/><ds:SignatureValue>"),
    "a bare key instead of a certificate": re.sub(
        rb"<ds:X509Data>.*?</ds:X509Data>", b"<ds:KeyValue><ds:RSAKeyValue/></ds:KeyValue>", SIGNED, flags=re.DOTALL
    ),
    "another certificate in KeyInfo": re.sub(
        rb"<ds:X509Certificate>.*?</ds:X509Certificate>",
        re.search(
            rb"<ds:X509Certificate>.*?</ds:X509Certificate>", signed(PLAIN, holder("x", ec_key(1), ROOT).signs(), NOW), re.DOTALL
        )[0],  # type: ignore[index]
        SIGNED,
        flags=re.DOTALL,
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", WRAPPED)
def test_signature_wrapping_is_refused(shape):
    """No shape in which a signature covers something else than what is read."""
    verdict = verified(WRAPPED[shape], TRUST, NOW)
    assert verdict.state == "invalid"
    assert all(len(reason) < 300 and "住院" not in reason for reason in verdict.reasons)
    assert all(in_chinese(reason) != reason for reason in verdict.reasons)


def test_an_attackers_own_whole_signature_beside_is_refused():
    attacker = holder("攻击者", ec_key(9))
    assert "signatures in one document" in reasons(inside(signed(EVIL, attacker.signs(), NOW), SIGNATURE))
    assert "signer unknown" in reasons(signed(EVIL, attacker.signs(), NOW))


ALGORITHMS = {
    "HMAC with the public key": (b"xmldsig-more#ecdsa-sha256", b"xmldsig-more#hmac-sha256", "hmac-sha256 is not one that is taken"),
    "RSA for a key on a curve": (b"xmldsig-more#ecdsa-sha256", b"xmldsig-more#rsa-sha256", "does not go with the certificate's key"),
    "SM2 for a key on a curve": (
        b"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", b"urn:oid:1.2.156.10197.1.501", "does not go with",
    ),
    "SHA-1 in the signature": (
        b"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", b"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1", "not one that is taken",
    ),
    "SHA-1 in the digests": (
        b"http://www.w3.org/2001/04/xmlenc#sha256", b"http://www.w3.org/2000/09/xmldsig#sha1", "sha1 is not one that is taken",
    ),
    "MD5 in the digests": (
        b"http://www.w3.org/2001/04/xmlenc#sha256", b"http://www.w3.org/2001/04/xmldsig-more#md5", "md5 is not one that is taken",
    ),
    "no canonicalization": (
        b'CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"', b'CanonicalizationMethod Algorithm=""', "canonicalization",
    ),
    "another hash than was signed with": (b"#ecdsa-sha256", b"#ecdsa-sha512", "does not hold"),
}  # fmt: skip


@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithms_are_not_confused(name):
    old, new, said = ALGORITHMS[name]
    assert old in SIGNED
    assert said in reasons(SIGNED.replace(old, new))


# --- whose signature ----------------------------------------------------------------------------------------------------


def of(who, *above, trust=TRUST, now=NOW, at=NOW) -> str:
    return reasons(signed(PLAIN, who.signs(*above), at), trust, now)


def test_certificates_that_are_not_believed_each_with_its_reason():
    assert "signer unknown" in of(holder("x", ec_key(2), authority("另一个根", None)))
    assert "signer unknown" in of(holder("自签", ec_key(2)))
    assert "signed after the certificate of x had expired" in of(holder("x", ec_key(2), ROOT, last=NOW - DAY))
    old = holder("x", ec_key(2), ROOT, last=NOW - 40 * DAY)
    assert "certificate expired (2026-10-11)" in of(old, at=NOW - 60 * DAY)
    assert verified(signed(PLAIN, old.signs(), NOW - 60 * DAY), TRUST, NOW - 15 * DAY).state == "valid"
    assert "check the signer's clock" in of(holder("x", ec_key(2), ROOT, first=NOW + DAY))
    assert "signed in the future" in of(DOCTOR, at=NOW + DAY)
    assert "not for signatures" in of(holder("x", ec_key(2), ROOT, extensions=((usage(key_agreement=True), True),)))
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    assert "a server's" in of(holder("x", ec_key(2), ROOT, extensions=((server, False),)))
    assert "an authority's" in of(INTERMEDIATE)
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    assert "critical extension" in of(holder("x", ec_key(2), ROOT, extensions=((strange, True),)))
    assert "is no authority" in of(holder("x", ec_key(2), DOCTOR), DOCTOR)
    assert "RSA of 1024 bits" in of(Weak(holder("x", rsa_key(1024), ROOT)))
    narrow = authority("窄 CA", ROOT, path_length=0)
    below = authority("更下级的 CA", narrow)
    assert "may not stand so far above" in of(holder("x", ec_key(2), below), below, narrow)
    sealer = authority("不签证书的 CA", ROOT, extensions=((usage(crl_sign=True), True),))
    assert "may not issue certificates" in of(holder("x", ec_key(2), sealer), sealer)


class Weak:
    """A short key signs as if it were a proper one."""

    def __init__(self, who):
        self.who = who

    def signs(self):
        from frontend_agent.signatures.suites import suite_for
        from frontend_agent.signing import SoftKey

        key = SoftKey([self.who.ours], self.who.private)
        key.__dict__["suite"] = suite_for("RSA")
        return key


def test_a_revoked_signer_is_refused_and_an_old_list_is_told():
    lists = (revocation_list(ROOT, DOCTOR),)
    assert "certificate revoked since 2026-11-17: 李医生" in reasons(SIGNED, trusting(ROOT, revoked=lists))
    clean = (revocation_list(ROOT),)
    assert verified(SIGNED, trusting(ROOT, revoked=clean), NOW).notes == ()
    old = (revocation_list(ROOT, next_update=NOW - DAY),)
    assert "out of date since 2026-11-19" in verified(SIGNED, trusting(ROOT, revoked=old), NOW).notes[0]
    # somebody else's list, even of the same name, revokes nobody
    namesake = holder("示范区域根 CA", ec_key(55), ca=True, organization="示范区域")
    assert verified(SIGNED, trusting(ROOT, revoked=(revocation_list(namesake, DOCTOR),)), NOW).state == "valid"


def test_a_revoked_authority_takes_everybody_below_with_it():
    sealed = signed(PLAIN, HOSPITAL.signs(INTERMEDIATE), NOW)
    lists = (revocation_list(ROOT, INTERMEDIATE),)
    assert "certificate revoked since 2026-11-17: 示范区域二级 CA" in reasons(sealed, trusting(ROOT, revoked=lists))


def test_certificates_between_may_be_known_instead_of_brought():
    sealed = signed(PLAIN, HOSPITAL.signs(), NOW)
    assert "signer unknown" in reasons(sealed)
    assert verified(sealed, trusting(ROOT, others=(INTERMEDIATE.ours,)), NOW).state == "valid"


def test_a_broken_hash_in_a_certificate_is_refused(tmp_path):
    """openssl still makes them."""
    for name, subject, extra in (("ca", "/CN=Old CA", ()), ("leaf", "/O=Old/CN=Old doctor", ())):
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / f"{name}.key", "-subj", subject, "-out", tmp_path / f"{name}.csr", *extra)  # fmt: skip
    (tmp_path / "ca.cnf").write_text("basicConstraints=critical,CA:TRUE\n")
    openssl("x509", "-req", "-in", tmp_path / "ca.csr", "-signkey", tmp_path / "ca.key", "-extfile", tmp_path / "ca.cnf", "-days", "900", "-out", tmp_path / "ca.pem")  # fmt: skip
    openssl("x509", "-req", "-sha1", "-in", tmp_path / "leaf.csr", "-CA", tmp_path / "ca.pem", "-CAkey", tmp_path / "ca.key", "-CAcreateserial", "-days", "900", "-out", tmp_path / "leaf.pem")  # fmt: skip
    (tmp_path / "leaf.key").chmod(0o600)
    key = signers(tmp_path, 'certificate = "leaf.pem"\nkey = "leaf.key"').key("one")
    trust = type(TRUST)(certificates_in((tmp_path / "ca.pem").read_bytes()))
    moment = key.chain[0].parsed.not_valid_before_utc + timedelta(hours=1)
    assert "SHA1, which is broken" in reasons(signed(PLAIN, key, moment), trust, moment)


# --- SM2 with SM3 ------------------------------------------------------------------------------------------------------


def signers(folder: Path, settings: str, secrets: str = "") -> Signers:
    text = f'[institution]\nid = "1"\nname = "x"\n[sources.s]\nurl = "sqlite:///x"\n[destinations.d]\nurl = "http://127.0.0.1:9"\n[[feeds]]\nname = "f"\nsource = "s"\nmapping = "m.toml"\n{secrets}[signing]\ndefault = "one"\n[signing.signers.one]\ntype = "file"\n{settings}\n'
    return Signers(parse_config(text, "agent.toml", folder))


@pytest.fixture(scope="module")
def sm2_made(tmp_path_factory) -> Sm2Region:
    return sm2_region(tmp_path_factory.mktemp("sm2"))


def test_sm2_with_sm3_signs_and_openssl_agrees(sm2_made, tmp_path):
    key = signers(sm2_made.folder, 'certificate = "hospital.pem"\nkey = "hospital.key"').key("one")
    moment = key.chain[0].parsed.not_valid_before_utc + timedelta(hours=1)
    sealed = signed(PLAIN, key, moment)
    trust = type(TRUST)(certificates_in(sm2_made.anchor.read_bytes()))
    verdict = verified(sealed, trust, moment)
    assert (verdict.state, verdict.reasons, verdict.suite, verdict.signer) == ("valid", (), "SM2-SM3", "Hospital SM2")
    # by openssl: the value is the SEQUENCE of GB/T 35276 over SM3 of Z and SignedInfo
    info = re.search(rb"<ds:SignedInfo .*?</ds:SignedInfo>", sealed, re.DOTALL)[0]  # type: ignore[index]
    value = re.search(rb"<ds:SignatureValue>(.*?)</ds:SignatureValue>", sealed)[1]  # type: ignore[index]
    import base64

    (tmp_path / "value").write_bytes(base64.b64decode(value))
    (tmp_path / "info").write_bytes(info)
    assert is_signature(base64.b64decode(value))
    said = openssl(
        "pkeyutl", "-verify", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678", "-certin", "-inkey",
        sm2_made.certificate, "-in", tmp_path / "info", "-sigfile", tmp_path / "value",
    )  # fmt: skip
    assert b"Signature Verified Successfully" in said
    assert "was changed after" in reasons(sealed.replace("门诊".encode(), "住院".encode()), trust, moment)
    other = type(TRUST)(certificates_in(ROOT.pem))
    assert "signer unknown" in reasons(sealed, other, moment)
    for old, new in ((b"urn:oid:1.2.156.10197.1.501", b"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"),):
        assert "does not go with the certificate's key (SM2)" in reasons(sealed.replace(old, new), trust, moment)


def test_both_libraries_of_sm2_agree(sm2_made, monkeypatch):
    import gmalg
    import gmssl_pyx

    key = signers(sm2_made.folder, 'certificate = "hospital.pem"\nkey = "hospital.key"').key("one")
    point = key.chain[0].point
    assert point is not None
    private = key._private  # type: ignore[attr-defined]
    made = {}
    for name, library in (("gmssl", gmssl_pyx), ("gmalg", gmalg)):
        monkeypatch.setattr(sm2, "_library", lambda name=name, library=library: (name, library))
        made[name] = sm2.sign(private, point, b"data")
    for name, library in (("gmssl", gmssl_pyx), ("gmalg", gmalg)):
        monkeypatch.setattr(sm2, "_library", lambda name=name, library=library: (name, library))
        for signature in made.values():
            assert sm2.verify(point, b"data", signature)
            assert not sm2.verify(point, b"other", signature)
            assert not sm2.verify(point, b"data", signature[:-1])
            assert not sm2.verify(bytes(64), b"data", signature)


def test_without_a_library_sm2_says_what_is_missing(sm2_made, monkeypatch):
    def missing():
        raise sm2.NoSm2(sm2.NEEDED)

    monkeypatch.setattr(sm2, "_library", missing)
    with pytest.raises(ConfigurationError, match=r"pip install 'frontend-agent\[sm\]'"):
        signers(sm2_made.folder, 'certificate = "hospital.pem"\nkey = "hospital.key"').key("one")


def test_reasons_are_told_in_chinese_with_what_they_name():
    assert in_chinese("certificate revoked since 2026-11-17: 李医生") == "证书已于 2026-11-17 吊销：李医生"
    assert in_chinese("a reason of another version") == "a reason of another version"
    assert in_chinese("{a} may not sign for this hospital") == "{a} 无权代表该机构签名"  # a name is not a template


def test_what_a_receipt_says_of_a_signature_is_said_in_the_readers_language() -> None:
    missing = "signature: none, and this hospital's must be signed"
    assert of_receipt(missing, "zh") == "签名：没有签名，而该机构的文书必须签名"
    assert of_receipt("signature: the document was changed after it was signed", "zh") == "签名：文书在签名后被改动"
    assert of_receipt(missing, "en") == missing
    assert of_receipt("XSD: line 3", "zh") == "XSD: line 3"
    shown = output.reasons(Texts("zh"), [missing, "XSD: line 3"])
    assert shown == "签名：没有签名，而该机构的文书必须签名; XSD: line 3"
    assert output.reasons(Texts("en"), [missing]) == missing
