"""Signatures at the platform: required, recorded or let alone, per hospital; refused with all reasons; shown and listed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.config import load_config
from frontend_agent.daemon import Daemon
from frontend_agent.demo.hospital import create_hospital
from frontend_agent.demo.pacs import write_pacs
from frontend_agent.demo.run import agent_toml
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import load_kind
from frontend_agent.model import Document, Outcome
from frontend_agent.platform.catalogue import Search
from frontend_agent.platform.signatures import Signatures
from frontend_agent.platform.store import Store
from frontend_agent.signatures import signed
from frontend_agent.wire.frames import decompressor
from tests.platform_kit import HOSPITAL, FileMemory, destination, document, running, wrapped
from tests.signing_kit import (
    DAY,
    NOW,
    PIN,
    SOFTHSM,
    Holder,
    authority,
    ec_key,
    holder,
    revocation_list,
    rsa_key,
    token,
)
from tests.unit.test_foreign import other

ROOT = authority()
SIGNER = holder("示范县人民医院", ec_key(3), ROOT, organization="示范县人民医院")
STRANGER = holder("别家医院", ec_key(4), ROOT, organization="别家医院")
POLICY = """
policy = "{others}"
anchors = ["root.pem"]
revoked = [{revoked}]
[institutions."{hospital}"]
policy = "{policy}"
signers = ["O=示范县人民医院"]
"""


def policy(folder: Path, word: str, others: str = "off", *revoked: str) -> Path:
    (folder / "root.pem").write_bytes(ROOT.pem)
    named = ", ".join(f'"{one}"' for one in revoked)
    path = folder / "signatures.toml"
    path.write_text(POLICY.format(policy=word, others=others, hospital=HOSPITAL, revoked=named), encoding="utf-8")
    return path


def opened(folder: Path, path: Path) -> Store:
    return Store(folder / "platform", clock=lambda: NOW, signatures=Signatures(path)).open()


def content_of(one: Document) -> bytes:
    return decompressor(load_kind(one.kind).dictionary).decompress(one.frame)


def with_content(one: Document, content: bytes) -> Document:
    return wrapped(
        content, one.document_id, one.set_id, one.version, one.kind, one.institution, dictionary=load_kind(one.kind).dictionary
    )  # fmt: skip


def sealed(number: int, by: Holder = SIGNER) -> Document:
    one = document(number)
    return with_content(one, signed(content_of(one), by.signs(), NOW))


def test_what_must_be_signed_is_refused_with_every_reason_and_the_rest_is_taken(tmp_path):
    valid, plain = sealed(1), document(2)
    edited = with_content(sealed(4), content_of(sealed(4)).replace("张".encode(), "李".encode()))
    strange = sealed(5, STRANGER)
    commented = with_content(sealed(6), content_of(sealed(6)).replace(b"<typeId", b"<!-- <name>x</name> --><typeId"))
    store = opened(tmp_path, policy(tmp_path, "required"))
    with running(store) as url:
        receipts = destination(url, FileMemory(tmp_path / "agent.json")).send(
            [valid, plain, edited, strange, commented]
        )
        page = requests.get(f"{url}/documents/{valid.document_id}?lang=en", timeout=10).text
    store.close()
    told = [(receipt.outcome, receipt.reasons) for receipt in receipts]
    assert told[0] == (Outcome.STORED, ())
    assert told[1] == (Outcome.REFUSED, ("signature: none, and this hospital's must be signed",))
    assert told[2] == (Outcome.REFUSED, ("signature: the document was changed after it was signed",))
    assert told[3] == (Outcome.REFUSED, ("signature: 别家医院 (O=别家医院) may not sign for this hospital",))
    assert told[4][0] == Outcome.REFUSED
    assert "comments, which no signature covers" in told[4][1][0]
    assert 'data-signature="valid"' in page
    assert "ECDSA-P-256-SHA-256 · XAdES-BES" in page
    assert SIGNER.ours.sha256 in page


def test_what_is_recorded_is_taken_and_told(tmp_path, capsys):
    documents = [
        sealed(1),
        document(2),
        with_content(sealed(3), content_of(sealed(3)).replace("张".encode(), "李".encode())),
    ]
    store = opened(tmp_path, policy(tmp_path, "recorded"))
    with running(store) as url:
        receipts = destination(url, FileMemory(tmp_path / "agent.json")).send(documents)
        pages = [requests.get(f"{url}/documents/{one.document_id}", timeout=10).text for one in documents]
    store.close()
    assert {receipt.outcome for receipt in receipts} == {Outcome.STORED}
    for state, page in zip(("valid", "unsigned", "invalid"), pages, strict=True):
        assert f'data-signature="{state}"' in page
    assert "文书在签名后被改动" in pages[2]
    assert run(["--state", str(tmp_path / "platform"), "platform", "signatures", "--only", "invalid", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["document_id"], one["verdict"]["state"]) == (documents[2].document_id, "invalid")


def test_without_a_policy_nothing_is_asked_and_nothing_is_shown(tmp_path):
    store = Store(tmp_path / "platform", clock=lambda: NOW).open()
    with running(store) as url:
        destination(url, FileMemory(tmp_path / "agent.json")).send([sealed(1)])
        page = requests.get(f"{url}/documents/{sealed(1).document_id}", timeout=10).text
    assert store.verdicts() == []
    assert "data-signature" not in page
    store.close()


def test_another_hospitals_documents_are_judged_by_the_common_word(tmp_path):
    store = opened(tmp_path, policy(tmp_path, "off", "required"))
    with running(store) as url:
        ours = destination(url, FileMemory(tmp_path / "agent.json")).send([document(1)])
        posted = requests.post(
            f"{url}/v1/documents", data=other(), headers={"Content-Type": "application/xml"}, timeout=10
        )
        by_stranger = requests.post(
            f"{url}/v1/documents", data=signed(other(), STRANGER.signs(), NOW), headers={"Content-Type": "application/xml"},
            timeout=10,
        )  # fmt: skip
    store.close()
    assert ours[0].outcome == Outcome.STORED
    assert (posted.status_code, posted.json()["reasons"]) == (
        422,
        ["signature: none, and this hospital's must be signed"],
    )
    assert (by_stranger.status_code, by_stranger.json()["outcome"]) == (200, "stored")


def test_documents_that_are_added_from_files_are_asked_for_their_signatures_too(tmp_path, capsys):
    path = policy(tmp_path, "off", "required")
    (tmp_path / "plain.xml").write_bytes(other())
    add = ["--state", str(tmp_path / "platform"), "platform", "add", str(tmp_path / "plain.xml"), "--json"]
    assert run([*add, "--signatures", str(path)]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert told["reasons"] == ["signature: none, and this hospital's must be signed"]
    assert run(add) == 0


def test_a_lost_index_is_rebuilt_with_its_verdicts_and_takes_nothing_back(tmp_path):
    store = opened(tmp_path, policy(tmp_path, "recorded"))
    with running(store) as url:
        destination(url, FileMemory(tmp_path / "agent.json")).send([sealed(1), document(2)])
    store.close()
    for path in (tmp_path / "platform" / "parcels").rglob("*.fep"):
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    for leftover in (tmp_path / "platform").glob("index.sqlite*"):
        leftover.unlink()
    store = opened(tmp_path, policy(tmp_path, "required"))
    assert len(store.documents(Search(all_versions=True))) == 2
    assert {one.verdict.state for one in store.verdicts()} == {"valid", "unsigned"}
    store.close()


def test_a_list_of_revoked_certificates_counts_from_the_moment_it_is_laid_there(tmp_path):
    from cryptography.hazmat.primitives.serialization import Encoding

    (tmp_path / "root.crl").write_bytes(revocation_list(ROOT).public_bytes(Encoding.PEM))
    signatures = Signatures(policy(tmp_path, "required", "off", "root.crl"))
    content = content_of(sealed(1))

    def state() -> tuple[str, list[str]]:
        judged = signatures.judge(content, HOSPITAL, True, NOW)
        assert judged is not None
        return judged.verdict.state, judged.reasons

    assert state() == ("valid", [])
    (tmp_path / "root.crl").write_bytes(revocation_list(ROOT, SIGNER).public_bytes(Encoding.PEM))
    assert state() == ("invalid", ["signature: certificate revoked since 2026-11-17: 示范县人民医院"])
    (tmp_path / "root.crl").write_bytes(b"half a file")  # while it is being written: what was known stays in force
    assert state()[0] == "invalid"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('policy = "required"', "anchors: name the certificates"),
        ('policy = "perhaps"', "Invalid enum value"),
        ('anchors = ["none.pem"]', "none.pem cannot be read"),
        ('anchors = ["signatures.toml"]', "signatures.toml: not an X.509 certificate"),
        ('anchors = ["root.pem"]\nmaybe = 1', "unknown field `maybe`"),
        ('anchors = ["root.pem"]\n[institutions.a]\npolicy = "required"\nsigners = ["x"]', "neither O=ORGANIZATION nor sha256:"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_policy_is_told_before_the_platform_starts(tmp_path, text, said):
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    (tmp_path / "signatures.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"signatures\.toml") as caught:
        Signatures(tmp_path / "signatures.toml")
    assert said in str(caught.value)


# --- the whole way: a hospital's agent signs in its workers, the platform requires it, a receiving hospital verifies -------


def test_a_hospitals_documents_are_signed_in_the_workers_with_a_token_and_proven_at_the_platform(
    tmp_path, monkeypatch, capsys
):
    if not SOFTHSM.is_file():
        pytest.skip("SoftHSM is not installed (apt install softhsm2 opensc)")
    from datetime import UTC, datetime

    from frontend_agent.demo.hospital import HOSPITAL_CODE

    now = datetime.now(UTC)
    seal = holder("示范医院公章", rsa_key(), ROOT, first=now - DAY, last=now + 300 * DAY, organization="示范医院")
    token(tmp_path, monkeypatch, ("seal", seal))
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "pin").write_text(PIN)
    (tmp_path / "secrets" / "pin").chmod(0o600)
    (tmp_path / "signatures.toml").write_text(
        f'policy = "off"\nanchors = ["root.pem"]\n[institutions."{HOSPITAL_CODE}"]\npolicy = "required"\n'
        'signers = ["O=示范医院"]\n'
    )
    create_hospital(tmp_path / "hospital", 12, 7)
    write_pacs(tmp_path / "hospital")
    store = Store(tmp_path / "platform", signatures=Signatures(tmp_path / "signatures.toml")).open()
    with running(store) as url:
        text = (
            "workers = 2\n"
            + agent_toml(tmp_path / "hospital", url)
            + (
                f'\n[secrets]\nfolder = "{tmp_path}/secrets"\n[signing]\ndefault = "seal"\n'
                f'[signing.signers.seal]\ntype = "pkcs11"\nlibrary = "{SOFTHSM}"\ntoken = "hospital"\nkey = "seal"\nsecret = "pin"\n'
            )
        )
        (tmp_path / "agent.toml").write_text(text, encoding="utf-8")
        config = load_config(tmp_path / "agent.toml")
        with App(config, tmp_path / "agent") as app:
            Daemon(app).once()
            signed_pages = app.times.snapshot()["sign"].seconds
        found = store.documents(Search(all_versions=True), per_page=1000)
        verdicts = store.verdicts(limit=10_000)
        mine = [one for one in found if load_kind(one.kind).is_message is False]
        sealed_one = store.document(mine[0].document_id)
    store.close()
    assert signed_pages > 0
    assert len(mine) > 30
    assert {one.verdict.signer for one in verdicts} == {"示范医院公章"}
    assert {one.verdict.state for one in verdicts} == {"valid"}
    assert len(verdicts) == len(found)
    # the hospital that receives it
    (tmp_path / "referral.xml").write_bytes(sealed_one or b"")
    (tmp_path / "changed.xml").write_bytes((sealed_one or b"").replace(b'classCode="PSN"', b'classCode="ENT"', 1))
    assert run(["verify", str(tmp_path / "referral.xml"), "--anchor", str(tmp_path / "root.pem"), "--lang", "en"]) == 0
    assert "validly signed" in capsys.readouterr().out
    assert run(["verify", str(tmp_path / "changed.xml"), "--anchor", str(tmp_path / "root.pem"), "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["state"], told["reasons"]) == ("invalid", ["the document was changed after it was signed"])
    assert "PIN" not in json.dumps(told)


def test_the_platform_process_takes_the_policy_as_a_file(tmp_path):
    path = policy(tmp_path, "required")
    command = [
        sys.executable,
        "-m",
        "frontend_agent.cli.main",
        "--state",
        str(tmp_path / "p"),
        "platform",
        "serve",
        "--port",
        "0",
    ]
    with subprocess.Popen([*command, "--signatures", str(path)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            receipts = destination(url, FileMemory(tmp_path / "agent.json")).send([document(1)])
            assert receipts[0].outcome == Outcome.REFUSED
        finally:
            process.terminate()
            process.wait(20)
