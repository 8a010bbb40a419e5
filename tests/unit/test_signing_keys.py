"""Where signing keys lie: files, PKCS#12, secrets, a token by PKCS#11 (SoftHSM), a device by SDF. Mistakes are told with their mend."""

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from connectors import pkcs11
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.errors import ConfigurationError, NoSigner, SigningUnavailable
from frontend_agent.signatures import Trust, certificates_in, verified
from frontend_agent.signing import Signers, signing_digest, signing_of
from tests.signing_kit import (
    NOW,
    PIN,
    SOFTHSM,
    authority,
    ec_key,
    holder,
    rendered,
    rsa_key,
    sm2_region,
    token,
    trusting,
)

ROOT = authority()
HOSPITAL = holder("示范医院", rsa_key(), ROOT)
DOCTOR = holder("李医生", ec_key(1), ROOT)
TRUST = trusting(ROOT)
PLAIN = rendered()
SITE = """
[institution]
id = "1"
name = "x"
[sources.s]
url = "sqlite:///x"
[destinations.d]
url = "http://127.0.0.1:9"
[[feeds]]
name = "f"
source = "s"
mapping = "m.toml"
[secrets]
folder = "{folder}"
[signing]
default = "one"
"""


def config(folder: Path, settings: str, **secrets: str):
    for name, value in secrets.items():
        (folder / name).write_text(value)
        (folder / name).chmod(0o600)
    return parse_config(SITE.format(folder=folder) + settings, "agent.toml", folder)


def laid(folder: Path, name: str, content: bytes, mode: int = 0o600) -> None:
    (folder / name).write_bytes(content)
    (folder / name).chmod(mode)


def said(folder: Path, settings: str, **secrets: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Signers(config(folder, settings, **secrets)).all_keys()
    assert caught.value.exit_code == 78
    return str(caught.value)


def valid(sealed: bytes, who: str) -> None:
    verdict = verified(sealed, TRUST, NOW)
    assert (verdict.state, verdict.reasons, verdict.signer) == ("valid", (), who)


# --- files -------------------------------------------------------------------------------------------------------------


def test_a_key_lies_in_a_file_in_pkcs12_or_is_the_secret_itself(tmp_path):
    laid(tmp_path, "h.pem", HOSPITAL.pem, 0o644)
    laid(tmp_path, "h.key", HOSPITAL.key_pem)
    encrypted = HOSPITAL.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pass phrase"),
    )
    laid(tmp_path, "e.key", encrypted)
    bag = pkcs12.serialize_key_and_certificates(
        b"h", DOCTOR.private, DOCTOR.certificate, [ROOT.certificate], serialization.BestAvailableEncryption(b"pw")
    )  # type: ignore[arg-type]
    laid(tmp_path, "d.p12", bag)
    for settings, who in (
        ('certificate = "h.pem"\nkey = "h.key"', "示范医院"),
        ('certificate = "h.pem"\nkey = "e.key"\nsecret = "phrase"', "示范医院"),
        ('certificate = "h.pem"\nsecret = "whole"', "示范医院"),
        ('pkcs12 = "d.p12"\nsecret = "pw"', "李医生"),
    ):
        made = config(
            tmp_path, f'[signing.signers.one]\ntype = "file"\n{settings}', phrase="pass phrase", pw="pw",
            whole=HOSPITAL.key_pem.decode(),
        )  # fmt: skip
        valid(Signers(made)(PLAIN, {}, NOW), who)


def test_what_is_wrong_with_a_key_is_told_with_its_mend_and_without_its_content(tmp_path):
    laid(tmp_path, "h.pem", HOSPITAL.pem)
    laid(tmp_path, "h.key", HOSPITAL.key_pem)
    laid(tmp_path, "d.key", DOCTOR.key_pem)
    laid(tmp_path, "open.key", HOSPITAL.key_pem, 0o644)
    laid(tmp_path, "weak.pem", holder("weak", rsa_key(1024), ROOT).pem)
    laid(tmp_path, "weak.key", holder("weak", rsa_key(1024), ROOT).key_pem)
    signer = '[signing.signers.one]\ntype = "file"\n'
    assert "chmod 600" in said(tmp_path, signer + 'certificate = "h.pem"\nkey = "open.key"')
    assert "cannot be read: No such file" in said(tmp_path, signer + 'certificate = "none.pem"\nkey = "h.key"')
    assert "not an X.509 certificate" in said(tmp_path, signer + 'certificate = "h.key"\nkey = "h.key"')
    assert "is no private key in PEM" in said(tmp_path, signer + 'certificate = "h.pem"\nkey = "h.pem"')
    assert "RSA of 1024 bits" in said(tmp_path, signer + 'certificate = "weak.pem"\nkey = "weak.key"')
    assert "is not its password" in said(tmp_path, signer + 'pkcs12 = "h.pem"\nsecret = "pw"', pw="x")
    assert "not found in systemd credentials" in said(tmp_path, signer + 'certificate = "h.pem"\nsecret = "missing"')
    laid(tmp_path, "other.key", holder("x", rsa_key(2048, 1)).key_pem)
    assert "not that of the certificate of 示范医院" in said(
        tmp_path, signer + 'certificate = "h.pem"\nkey = "other.key"'
    )
    assert "not that of the certificate" in said(tmp_path, signer + 'certificate = "h.pem"\nkey = "d.key"')


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ('[signing.signers.two]\ntype = "file"\ncertificate = "h.pem"\nkey = "k"', "default: no [signing.signers.one] (known: two)"),
        ('[signing.signers.one]\ntype = "file"\nkey = "k"', "needs certificate (PEM) and key, or pkcs12"),
        ('[signing.signers.one]\ntype = "file"\ncertificate = "h.pem"', "needs key"),
        ('[signing.signers.one]\ntype = "file"\npkcs12 = "h.p12"', "pkcs12 needs secret"),
        ('[signing.signers.one]\ntype = "usb"', "unknown type 'usb'"),
        ('[signing.signers.one]\ntype = "pkcs11"\ntoken = "t"\nkey = "k"', "missing key 'library'"),
        ('[signing.signers.one]\ntype = "sdf"\nlibrary = "l.so"', "needs certificate: a device has none"),
        (
            '[signing.signers.one]\ntype = "file"\ncertificate = "h.pem"\nkey = "k"\nauthors = ["D1"]\n'
            '[signing.signers.two]\ntype = "file"\ncertificate = "h.pem"\nkey = "k"\nauthors = ["D1"]',
            "signers.two.authors: 'D1' signs as 'one' already",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_the_table_is_told_before_anything_starts(tmp_path, settings, wrong):
    with pytest.raises(ConfigurationProblems) as caught:
        config(tmp_path, settings)
    assert any(wrong in problem for problem in caught.value.problems), caught.value.problems


# --- whose certificate -------------------------------------------------------------------------------------------------


def test_the_author_chooses_the_certificate(tmp_path):
    for name, one in (("h", HOSPITAL), ("d", DOCTOR)):
        laid(tmp_path, f"{name}.pem", one.pem)
        laid(tmp_path, f"{name}.key", one.key_pem)
    doctor = '[signing.signers.li]\ntype = "file"\ncertificate = "d.pem"\nkey = "d.key"\nauthors = ["D102", "D103"]\n'
    made = config(tmp_path, doctor + '[signing.signers.one]\ntype = "file"\ncertificate = "h.pem"\nkey = "h.key"\n')
    sign = signing_of(made, "C0006")
    assert sign is not None
    valid(sign(PLAIN, {"author.id": "D103"}, NOW), "李医生")
    valid(sign(PLAIN, {"author.id": "D999"}, NOW), "示范医院")
    alone = parse_config((SITE.replace('default = "one"', "") + doctor).format(folder=tmp_path), "agent.toml", tmp_path)
    with pytest.raises(NoSigner):
        Signers(alone)(PLAIN, {"author.id": "D999"}, NOW)
    assert signing_digest(made, "C0006") != signing_digest(alone, "C0006")  # what was held for it is looked at again


def test_only_the_kinds_that_are_named_are_signed(tmp_path):
    laid(tmp_path, "h.pem", HOSPITAL.pem)
    laid(tmp_path, "h.key", HOSPITAL.key_pem)
    signer = 'kinds = ["C0006"]\n[signing.signers.one]\ntype = "file"\ncertificate = "h.pem"\nkey = "h.key"\n'
    made = config(tmp_path, signer)
    assert signing_of(made, "C0006") is not None
    assert signing_of(made, "C0007") is None
    assert (bool(signing_digest(made, "C0006")), signing_digest(made, "C0007")) == (True, "")


# --- a token ---------------------------------------------------------------------------------------------------------

TOKEN = f'[signing.signers.one]\ntype = "pkcs11"\nlibrary = "{SOFTHSM}"\ntoken = "hospital"\nsecret = "pin"\nkey = '
needs_token = pytest.mark.skipif(
    not SOFTHSM.is_file() or shutil.which("pkcs11-tool") is None,
    reason="SoftHSM is not installed (apt install softhsm2 opensc)",
)


@needs_token
def test_a_token_signs_with_rsa_and_on_a_curve_and_survives_its_library_and_a_fork(tmp_path, monkeypatch):
    token(tmp_path, monkeypatch, ("hospital-2026", HOSPITAL), ("doctor", DOCTOR))
    rsa_signers = Signers(config(tmp_path, TOKEN + '"hospital-2026"', pin=PIN))
    ec_signers = Signers(config(tmp_path, TOKEN + '"doctor"', pin=PIN))
    valid(rsa_signers(PLAIN, {}, NOW), "示范医院")
    valid(ec_signers(PLAIN, {}, NOW), "李医生")
    # the session is lost: the token was pulled out and put in again
    for session in pkcs11._sessions.values():
        session.close()
    valid(rsa_signers(PLAIN, {}, NOW), "示范医院")
    # a worker is a fork: it opens a session of its own, and the parent's goes on
    child = os.fork()
    if not child:
        try:
            state = verified(ec_signers(PLAIN, {}, NOW), TRUST, NOW).state
        except Exception:  # noqa: BLE001 - a child of a test must end here
            os._exit(2)
        os._exit(0 if state == "valid" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    valid(ec_signers(PLAIN, {}, NOW), "李医生")
    # the token is gone: waiting may help, and no document is to blame
    shutil.rmtree(tmp_path / "tokens")
    (tmp_path / "tokens").mkdir()
    with pytest.raises(SigningUnavailable, match="token"):
        rsa_signers(PLAIN, {}, NOW)


@needs_token
def test_what_is_wrong_with_a_token_is_told_with_its_mend(tmp_path, monkeypatch):
    token(tmp_path, monkeypatch, ("hospital-2026", HOSPITAL))
    assert "the secret is not the PIN of token 'hospital'" in said(tmp_path, TOKEN + '"hospital-2026"', pin="0000")
    assert "holds 0 certificates named 'other'" in said(tmp_path, TOKEN + '"other"', pin=PIN)
    laid(tmp_path, "h.pem", HOSPITAL.pem)
    beside = TOKEN + '"other"\ncertificate = "h.pem"'
    assert "has not exactly one private key named 'other'" in said(tmp_path, beside, pin=PIN)
    assert "install the token's driver" in said(tmp_path, TOKEN.replace(str(SOFTHSM), "/none.so") + '"other"', pin=PIN)
    assert "is no PKCS#11 library" in said(tmp_path, TOKEN.replace(str(SOFTHSM), "/bin/true") + '"other"', pin=PIN)
    with pytest.raises(SigningUnavailable, match="no token 'elsewhere' is there"):
        Signers(config(tmp_path, TOKEN.replace('"hospital"', '"elsewhere"') + '"k"', pin=PIN)).all_keys()


# --- a device ---------------------------------------------------------------------------------------------------------

# A library with the interface of GM/T 0018 that hands the work to a program: what a certified device does inside.
DEVICE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef struct { unsigned char r[64]; unsigned char s[64]; } ECCSignature;
static int allowed = 0;
int SDF_OpenDevice(void **d) { *d = (void *)0x1234; return getenv("SDF_GONE") ? 0x01000004 : 0; }
int SDF_CloseDevice(void *d) { return 0; }
int SDF_OpenSession(void *d, void **s) { *s = (void *)0x5678; return d == (void *)0x1234 ? 0 : 0x01000001; }
int SDF_CloseSession(void *s) { allowed = 0; return 0; }
int SDF_GetPrivateKeyAccessRight(void *s, unsigned int i, unsigned char *p, unsigned int n) {
    allowed = n == 6 && !memcmp(p, "letme!", 6); return allowed ? 0 : 0x01000010; }
int SDF_InternalSign_ECC(void *s, unsigned int i, unsigned char *e, unsigned int n, ECCSignature *out) {
    if (getenv("SDF_GONE")) return 0x01000004;
    if (s != (void *)0x5678 || i != 1 || n != 32 || !allowed) return 0x01000010;
    char command[4096] = ""; strcat(command, getenv("SDF_SIGNER"));
    for (int k = 0; k < 32; k++) sprintf(command + strlen(command), k ? "%02x" : " %02x", e[k]);
    FILE *f = popen(command, "r"); memset(out, 0, sizeof *out);
    for (int k = 0; k < 64; k++) { unsigned b; if (fscanf(f, "%2x", &b) != 1) return 1; (k < 32 ? out->r : out->s)[32 + k % 32] = b; }
    return pclose(f) ? 1 : 0; }
"""
SIGNER = """
import sys, gmssl_pyx
from frontend_agent.signatures.der import numbers_of, sm2_private
import base64, re
pem = open(sys.argv[1]).read()
number = next(n for n in (sm2_private(base64.b64decode(m)) for m in re.findall(r"PRIVATE KEY-----(.*?)-----END", pem, re.S)) if n)
r, s = numbers_of(gmssl_pyx.sm2_sign_sm3_digest(number, bytes.fromhex(sys.argv[2])))
print((r + s).hex())
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to make a device of")
def test_a_device_signs_by_sdf_and_its_absence_is_nobodys_fault(tmp_path, monkeypatch):
    region = sm2_region(tmp_path)
    (tmp_path / "device.c").write_text(DEVICE)
    (tmp_path / "signer.py").write_text(SIGNER)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-w", "-o", str(tmp_path / "libsdf.so"), str(tmp_path / "device.c")], check=True
    )
    monkeypatch.setenv("SDF_SIGNER", f"{sys.executable} {tmp_path / 'signer.py'} {region.key}")
    device = f'[signing.signers.one]\ntype = "sdf"\nlibrary = "{tmp_path}/libsdf.so"\ncertificate = "hospital.pem"\nsecret = "right"\n'
    signers = Signers(config(tmp_path, device, right="letme!"))
    moment = signers.key("one").chain[0].parsed.not_valid_before_utc + timedelta(hours=1)
    sealed = signers(PLAIN, {}, moment)
    trust = Trust(certificates_in(region.anchor.read_bytes()))
    assert verified(sealed, trust, moment).state == "valid"
    monkeypatch.setenv("SDF_GONE", "1")
    with pytest.raises(SigningUnavailable, match="0x01000004"):
        signers(PLAIN, {}, moment)
    monkeypatch.delenv("SDF_GONE")
    assert verified(signers(PLAIN, {}, moment), trust, moment).state == "valid"
    with pytest.raises(SigningUnavailable, match="SDF_GetPrivateKeyAccessRight with 0x01000010"):
        Signers(config(tmp_path, device, right="wrong")).all_keys()
    (tmp_path / "empty.c").write_text("int nothing;\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(tmp_path / "empty.so"), str(tmp_path / "empty.c")], check=True)
    assert "no SDF library: it has no SDF_OpenDevice" in said(tmp_path, device.replace("libsdf.so", "empty.so"))
