"""The stand-alone verifier: says the same as our own, over real signatures, with nothing but Python's standard library."""

import ast
import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from test_qclog import KINDS, log, rechained

from frontend_agent import qc_verifier, qclog
from frontend_agent.cli.main import run
from frontend_agent.proving import genuine_by
from frontend_agent.qclog import Entry, Head, Title
from frontend_agent.wire.parcel import LogHead
from frontend_agent.wire.receipts import Leaf, prove, public_bytes, read_reply, seal

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_bytes(KEY)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
LENGTH = 210
QUICK, ALL = 20, 200
START = datetime(2026, 1, 1, tzinfo=UTC)

Forge = Callable[[list[Entry], int], tuple[list[Entry], int]]


def countersigned(entry: Entry, at: datetime = START, key: Ed25519PrivateKey = KEY) -> Head:
    reply = seal(key, [], [], "H1", "i", at.isoformat(), LogHead(entry.seq, entry.hash))
    return Head(entry.seq, entry.hash, read_reply(reply, public_bytes(key)).countersignature)


WHOLE = log(LENGTH)
HEADS = [countersigned(entry) for entry in WHOLE]


def exported(path: Path, entries: list[Entry], heads: list[Head], **title: Any) -> Path:
    path.write_bytes(b"".join(qclog.export(Title(instance="i", **title), entries, heads)))
    return path


def by_the_verifier(path: Path) -> dict[str, Any]:
    return qc_verifier.verify(qc_verifier.Log(str(path), [PUBLIC]))


def by_ourselves(path: Path) -> dict[str, Any]:
    verdict = qclog.verify_export(lambda: path.read_bytes().splitlines(keepends=True), genuine_by([PUBLIC]))
    return {name: verdict.ok if name == "ok" else getattr(verdict, name) for name in by_the_verifier(path)}


# --- tampering --------------------------------------------------------------------------------------------------------


def found_at_every_place(forge: Forge, tmp_path: Path, places: list[int]) -> None:
    for at in places:
        forged, first_bad = forge(WHOLE, at)
        path = exported(tmp_path / "log.jsonl", forged, HEADS)
        verdict = by_the_verifier(path)
        assert (verdict["ok"], verdict["first_bad"]) == (False, first_bad), (at, verdict)
        assert verdict["proven"] == first_bad - 1
        assert at % 4 or verdict == by_ourselves(path)


@pytest.mark.parametrize("forge", KINDS)
def test_every_kind_of_tampering_is_found_and_placed(forge: Forge, tmp_path: Path) -> None:
    found_at_every_place(forge, tmp_path, [n * LENGTH // QUICK for n in range(QUICK)])


@pytest.mark.release
@pytest.mark.parametrize("forge", KINDS)
def test_every_kind_of_tampering_is_found_and_placed_at_two_hundred_places(forge: Forge, tmp_path: Path) -> None:
    found_at_every_place(forge, tmp_path, list(range(ALL)))


@pytest.mark.parametrize("forge", KINDS)
def test_with_rarer_heads_it_says_what_we_say(forge: Forge, tmp_path: Path) -> None:
    for at in range(3, LENGTH, 67):
        forged, first_bad = forge(WHOLE, at)
        path = exported(tmp_path / "log.jsonl", forged, HEADS[9::10])
        verdict = by_the_verifier(path)
        assert verdict == by_ourselves(path)
        assert verdict["first_bad"] <= first_bad <= max(verdict["first_bad"], verdict["last_bad"])


def test_heads_of_another_key_prove_nothing(tmp_path: Path) -> None:
    forged = rechained([*WHOLE[:50], qclog.chained(51, WHOLE[49].hash, {"event": "invented"}), *WHOLE[51:]], 51)
    mine = [countersigned(entry, key=Ed25519PrivateKey.generate()) for entry in forged[::10]]
    verdict = by_the_verifier(exported(tmp_path / "log.jsonl", forged, mine))
    assert (verdict["ok"], verdict["proven"]) == (True, 0)
    verdict = by_the_verifier(exported(tmp_path / "log.jsonl", forged, [*mine, *HEADS[::20]]))
    assert (verdict["ok"], verdict["first_bad"], verdict["last_bad"]) == (False, 42, 61)


def test_a_head_with_a_genuine_signature_of_another_head_proves_nothing(tmp_path: Path) -> None:
    stolen = [Head(100, "5a" * 32, HEADS[99].evidence), Head(101, WHOLE[100].hash, HEADS[99].evidence)]
    verdict = by_the_verifier(exported(tmp_path / "log.jsonl", WHOLE, stolen))
    assert (verdict["ok"], verdict["proven"]) == (True, 0)


@pytest.mark.parametrize("cut", [1, 2, 30, 80])
def test_a_torn_last_record_is_incomplete_and_not_tampered_with(tmp_path: Path, cut: int) -> None:
    path = exported(tmp_path / "log.jsonl", WHOLE, [])
    path.write_bytes(path.read_bytes()[:-cut])
    verdict = by_the_verifier(path)
    assert verdict["ok"]
    assert verdict["incomplete"] == (cut > 1)
    assert verdict["entries"] == LENGTH - (cut > 1)
    assert verdict == by_ourselves(path)


# --- a log whose beginning was dropped --------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "ok"), [(183, True), (400, True), (182, False)])
def test_what_was_dropped_was_old_enough_by_the_platforms_clock(tmp_path: Path, days: int, ok: bool) -> None:
    heads = [HEADS[99], countersigned(WHOLE[-1], START + timedelta(days=days))]
    path = exported(tmp_path / "log.jsonl", WHOLE[100:], heads, first=101, prev=WHOLE[99].hash)
    verdict = by_the_verifier(path)
    assert verdict["ok"] == ok
    assert verdict == by_ourselves(path)


def test_a_beginning_without_a_countersigned_checkpoint_is_missing(tmp_path: Path) -> None:
    path = exported(tmp_path / "log.jsonl", WHOLE[100:], HEADS[150:], first=101, prev=WHOLE[99].hash)
    verdict = by_the_verifier(path)
    assert not verdict["ok"]
    assert "entries 1 to 100 are missing" in verdict["reason"]
    assert verdict == by_ourselves(path)


# --- Ed25519 ----------------------------------------------------------------------------------------------------------

# RFC 8032, 7.1: tests 1, 2 and 3 (public key, message, signature).
VECTORS = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_signatures_of_the_standard_hold(key: str, message: str, signature: str) -> None:
    texts = [bytes.fromhex(text) for text in (key, message, signature)]
    assert qc_verifier.is_signature(*texts)
    assert not qc_verifier.is_signature(texts[0], texts[1] + b"x", texts[2])


def test_a_signature_with_any_bit_changed_does_not_hold() -> None:
    signature = bytearray(KEY.sign(b"message"))
    assert qc_verifier.is_signature(PUBLIC, b"message", bytes(signature))
    for bit in range(0, 512, 17):
        signature[bit // 8] ^= 1 << bit % 8
        assert not qc_verifier.is_signature(PUBLIC, b"message", bytes(signature)), bit
        signature[bit // 8] ^= 1 << bit % 8
    larger = int.from_bytes(signature[32:], "little") + qc_verifier.L  # the same point, written another way
    assert not qc_verifier.is_signature(PUBLIC, b"message", bytes(signature[:32]) + larger.to_bytes(32, "little"))


def test_keys_are_read_from_pem_and_nothing_else_passes_for_one() -> None:
    assert qc_verifier.key_of(PEM) == PUBLIC
    assert qc_verifier.key_of(PUBLIC.hex().encode() + b"\n") == PUBLIC
    body = base64.b64encode(b"\x30\x2a" + bytes(42)).decode()
    assert qc_verifier.key_of(f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n".encode()) == b""
    assert qc_verifier.key_of(b"platform") == b""


# --- as an auditor meets it -------------------------------------------------------------------------------------------


def test_it_needs_nothing_of_ours_and_an_old_python() -> None:
    text = Path(qc_verifier.__file__).read_text("utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    assert imported <= sys.stdlib_module_names
    assert not re.search(r"\bmatch \w+:|removeprefix|removesuffix|zip\([^)]*strict", text)  # of later versions


@pytest.fixture
def printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """verify.py as `qc verifier` prints it, with the platform's key beside it."""
    assert run(["qc", "verifier"]) == 0
    (tmp_path / "verify.py").write_text(capsys.readouterr().out, "utf-8")
    (tmp_path / "platform.pub").write_bytes(PEM)
    return tmp_path


def verify_py(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "verify.py", *arguments]  # isolated: no module of ours can be found
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_an_auditor_runs_the_printed_file(printed: Path) -> None:
    exported(printed / "log.jsonl", WHOLE, HEADS[:150:10])
    done = verify_py(printed, "log.jsonl", "--key", "platform.pub")
    assert (done.returncode, done.stderr) == (0, "")
    assert "WHOLE 完整: 210 entries; countersigned up to 141 已会签至; not yet proven 尚未证明: 69" in done.stdout
    exported(printed / "log.jsonl", KINDS[0](WHOLE, 99)[0], HEADS)
    forged = verify_py(printed, "log.jsonl", "--key", "platform.pub")
    assert forged.returncode == 1
    assert "TAMPERED WITH 被篡改: first bad entry 首个异常记录 100" in forged.stdout


def test_who_did_what_is_listed(printed: Path) -> None:
    body = {"event": "act", "act": "preview", "who": "王芳", "role": "system", "reason": "投诉", "what": {"key": "L1"}}
    entry = qclog.chained(1, qclog.GENESIS, body)
    exported(printed / "log.jsonl", [entry], [countersigned(entry)])
    done = verify_py(printed, "log.jsonl", "--key", "platform.pub", "--acts")
    assert '王芳\tsystem\t\t投诉\t{"key": "L1"}' in done.stdout


def test_a_whole_log_of_which_nothing_is_proven_is_no_good_answer(printed: Path) -> None:
    exported(printed / "log.jsonl", WHOLE, [])
    done = verify_py(printed, "log.jsonl", "--key", "platform.pub")
    assert done.returncode == 1
    assert "NOTHING IS PROVEN" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("log.jsonl",), ("log.jsonl", "--key"), ("log.jsonl", "--wrong")])
def test_used_wrongly_it_says_how(printed: Path, arguments: tuple[str, ...]) -> None:
    done = verify_py(printed, *arguments)
    assert done.returncode == 2
    assert "python3 verify.py log.jsonl --key platform.pub" in done.stderr or "No such file" in done.stderr


def test_what_is_no_log_is_said_to_be_none(printed: Path) -> None:
    (printed / "log.jsonl").write_text("<html>", "utf-8")
    done = verify_py(printed, "log.jsonl", "--key", "platform.pub")
    assert done.returncode == 2
    assert "not the title of a quality log" in done.stderr


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_a_receipt_of_the_platform_is_checked_with_its_document(printed: Path, count: int) -> None:
    document = printed / "document.xml"
    document.write_text("<ClinicalDocument/>", "utf-8")
    digest = qc_verifier.hashlib.sha256(document.read_bytes()).hexdigest()
    leaves = [Leaf("H1", f"D{n}", "stored", f"S{n}", 1, "C0007", digest, 19) for n in range(count)]
    reply = seal(KEY, leaves, [], "H1", "i", START.isoformat())
    for position in range(count):
        receipt = prove(reply, position)
        says = qc_verifier.check_receipt(receipt, [PUBLIC])
        assert says is not None
        assert says["document_id"] == f"D{position}"
        for altered in (receipt.replace(b'"D', b'"X'), receipt.replace(digest.encode(), b"0" * 64)):
            assert qc_verifier.check_receipt(altered, [PUBLIC]) is None
        moved = json.loads(receipt) | {"position": position + 1}
        assert qc_verifier.check_receipt(json.dumps(moved, separators=(",", ":")).encode(), [PUBLIC]) is None
    (printed / "receipt.json").write_bytes(receipt)
    done = verify_py(printed, "--receipt", "receipt.json", "--key", "platform.pub", "document.xml")
    assert (done.returncode, "THE SAME BYTES" in done.stdout) == (0, True)
    document.write_text("<ClinicalDocument />", "utf-8")
    assert verify_py(printed, "--receipt", "receipt.json", "--key", "platform.pub", "document.xml").returncode == 1
