"""A region makes a pack, a hospital proves it, tries it beside the old and puts it in force; the platform sees who has it."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from frontend_agent.app import packs_in
from frontend_agent.cli.main import run
from frontend_agent.config import load_config
from frontend_agent.platform.store import Store
from frontend_agent.wire.greeting import Hello

ROOT = Path(__file__).parents[2]
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gd" / "profiles").mkdir(parents=True)
    (tmp_path / "gd" / "evaluation").mkdir()
    (tmp_path / "gd" / "pack.toml").write_text(
        'name = "gd"\nversion = "2026.2"\ndate = 2026-01-01\n[profiles]\nregional = "profiles/gd.toml"\n',
        encoding="utf-8",
    )
    (tmp_path / "gd" / "profiles" / "gd.toml").write_text('extends = "regional"\n', encoding="utf-8")
    (tmp_path / "gd" / "evaluation" / "gd.toml").write_text('score = "其一"\n', encoding="utf-8")
    (tmp_path / "gd.pem").write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "gd.pub").write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert run([*arguments, "--lang", "en"]) == code
    out = capsys.readouterr()
    return out.out + out.err


def trusting(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = said(capsys, "rules", "pack", "key", "gd.pem").strip()
    assert key == said(capsys, "rules", "pack", "key", "gd.pub").strip()
    text = (ROOT / "agent.toml").read_text(encoding="utf-8")
    (folder / "agent.toml").write_text(f'{text}\n[[packs.trust]]\nname = "gd"\nkey = "{key}"\n', encoding="utf-8")


def test_the_way_of_a_pack(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "gd-2026.2.pack" in said(capsys, "rules", "pack", "build", "gd", "--key", "gd.pem")
    (folder / "agent.toml").write_text((ROOT / "agent.toml").read_text(encoding="utf-8"), encoding="utf-8")
    assert "not signed by a key" in said(capsys, "rules", "pack", "verify", "gd-2026.2.pack", code=1)
    trusting(folder, capsys)
    told = json.loads(said(capsys, "rules", "pack", "verify", "gd-2026.2.pack", "--json"))
    assert (told["pack"], told["signer"]) == ("gd-2026.2", "gd")
    assert "not installed" in said(capsys, "rules", "pack", "activate", "gd-2026.2", code=78)
    said(capsys, "rules", "pack", "install", "gd-2026.2.pack")
    said(capsys, "rules", "pack", "shadow", "gd-2026.2")
    listed = json.loads(said(capsys, "rules", "pack", "list", "--json"))
    assert [one["pack"] for one in listed if one["shadow"]] == ["gd-2026.2"]
    assert [one["pack"] for one in listed if one["active"]] == ["national"]
    assert said(capsys, "rules", "pack", "show", "gd-2026.2", "--file", "evaluation/gd.toml") == 'score = "其一"\n'
    assert "there is no x" in said(capsys, "rules", "pack", "show", "gd-2026.2", "--file", "x", code=1)
    said(capsys, "rules", "pack", "activate", "gd-2026.2", "--who", "admin")
    used = packs_in(folder / "state", load_config(folder / "agent.toml"))
    assert (used.active.id if used.active else "", used.shadow) == ("gd-2026.2", None)
    said(capsys, "rules", "pack", "activate", "national")
    assert packs_in(folder / "state", load_config(folder / "agent.toml")).active is None


def test_rows_and_past_periods_are_rehearsed_under_any_pack(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The fragment lacks nearly all: what the pack lets pass is not among its findings."""
    manifest = (folder / "gd" / "pack.toml").read_text(encoding="utf-8")
    (folder / "gd" / "pack.toml").write_text(manifest + '[rules]\noff = ["DE-MISSING"]\n', encoding="utf-8")
    said(capsys, "rules", "pack", "build", "gd", "--key", "gd.pem")
    trusting(folder, capsys)
    (folder / "rows.json").write_text('[{"report_number": "R1", "patient.name": "张三"}]', encoding="utf-8")

    def rules(*more: str) -> set[str]:
        told = json.loads(said(capsys, "try", "demo_lis/lab_report", "--rows", "rows.json", "--json", *more, code=1))
        return {finding["rule"] for finding in told[0]["findings"]}

    assert "DE-MISSING" in rules()
    assert "DE-MISSING" not in rules("--pack", "gd-2026.2.pack")
    assert "not installed" in said(
        capsys, "try", "demo_lis/lab_report", "--rows", "rows.json", "--pack", "gd-2026.2", code=78
    )
    said(capsys, "rules", "pack", "install", "gd-2026.2.pack")
    said(capsys, "rules", "pack", "activate", "gd-2026.2")
    assert "DE-MISSING" not in rules()  # the one in force judges
    assert "DE-MISSING" in rules("--pack", "national")


def test_an_unknown_rule_is_not_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'ID-SEX'" in said(capsys, "rules", "show", "ID-SEXX", code=1)


def test_a_tampered_pack_is_not_installed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "rules", "pack", "build", "gd", "--key", "gd.pem")
    trusting(folder, capsys)
    body = bytearray((folder / "gd-2026.2.pack").read_bytes())
    body[120] ^= 1
    (folder / "gd-2026.2.pack").write_bytes(body)
    assert "refused" in said(capsys, "rules", "pack", "install", "gd-2026.2.pack", code=1)
    assert not (folder / "state" / "packs").exists()


def test_what_the_file_pins_the_command_does_not_change(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "rules", "pack", "build", "gd", "--key", "gd.pem")
    trusting(folder, capsys)
    said(capsys, "rules", "pack", "install", "gd-2026.2.pack")
    head, _, trust = (folder / "agent.toml").read_text(encoding="utf-8").rpartition("[[packs.trust]]")
    pinned = f'{head}[packs]\nactive = "gd-2026.2"\n[[packs.trust]]{trust}'
    (folder / "agent.toml").write_text(pinned, encoding="utf-8")
    assert "says otherwise" in said(capsys, "rules", "pack", "activate", "national", code=78)
    used = packs_in(folder / "state", load_config(folder / "agent.toml"))
    assert used.active
    assert used.active.id == "gd-2026.2"


def test_a_mistake_in_a_pack_is_told_when_it_is_built(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gd" / "profiles" / "gd.toml").write_text('extends = "regional"\n[severity]\n"NO-SUCH" = "hold"\n')
    assert "NO-SUCH" in said(capsys, "rules", "pack", "build", "gd", "--key", "gd.pem", code=1)
    assert not (folder / "gd-2026.2.pack").exists()
    assert "no Ed25519 key" in said(capsys, "rules", "pack", "build", "gd", "--key", "gd.pub", code=78)


def test_the_platform_lists_what_each_hospital_judges_by(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "rules", "pack", "build", "gd", "--key", "gd.pem")
    store = Store(folder / "platform").open()
    store.hello(Hello("H1", "i1", packs={"pack": "gd-2026.1 aa", "rules": "bb"}))
    store.close()
    shown = ("platform", "hospitals", "--state", str(folder / "platform"))
    (told,) = json.loads(said(capsys, *shown, "--json"))
    assert told["institution"] == "H1"
    assert {skew["what"] for skew in told["skew"]} == {"pack", "rules"}
    assert "gd-2026.1" in said(capsys, *shown)
    (told,) = json.loads(said(capsys, *shown, "--json", "--pack", "gd-2026.2.pack", "--trust", "gd.pub"))
    assert next(skew for skew in told["skew"] if skew["what"] == "pack")["ours"].startswith("gd-2026.2 ")
    assert "--trust" in said(capsys, *shown, "--pack", "gd-2026.2.pack", code=78)


def test_without_a_shadow_there_is_nothing_to_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trusting(folder, capsys)
    assert "--over" in said(capsys, "rules", "shadow", "--over", "everything", code=2)
    assert "no pack is in shadow" in said(capsys, "rules", "shadow", code=1)
