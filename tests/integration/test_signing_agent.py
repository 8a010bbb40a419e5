"""An agent that signs: who has no certificate is held and told so, a key that is away is nobody's fault, and the signature
of a hospital's own finished document is looked at."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from frontend_agent.cli.main import run
from frontend_agent.config import parse_config
from frontend_agent.errors import SigningUnavailable
from frontend_agent.feeds import compile_feed
from frontend_agent.model import RowSet, SourceRows
from frontend_agent.platform.signatures import Signatures
from frontend_agent.signatures import signed
from frontend_agent.signing import SoftKey, trust_of
from tests.integration.finding_site import Site
from tests.signing_kit import NOW, authority, ec_key, holder, rendered, revocation_list

ROOT = authority()
DOCTOR = holder("李医生", ec_key(1), ROOT)
SIGNER = '[signing]\n{default}\n[signing.signers.one]\ntype = "file"\ncertificate = "c.pem"\nkey = "k.pem"\n{authors}\n'
BY_ALL = SIGNER.format(default='default = "one"', authors="")
BY_NOBODY = SIGNER.format(default="", authors='authors = ["nobody"]')


def hospital(folder: Path, signing: str) -> Site:
    (folder / "c.pem").write_bytes(DOCTOR.pem)
    (folder / "k.pem").write_bytes(DOCTOR.key_pem)
    (folder / "k.pem").chmod(0o600)
    site = Site(folder, "sqlite", feed=signing).prepare()
    site.report("R1")
    return site


def rules(site: Site) -> dict[str, set[str]]:
    with site.app() as app:
        return {case.key: {finding.rule for finding in case.findings} for case in app.spool.cases()}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_record_whose_author_has_no_certificate_is_held_until_he_has_one(tmp_path: Path, workers: int) -> None:
    site = hospital(tmp_path, BY_NOBODY)
    site.run(workers)
    assert "AGT005" in rules(site)["R1"]
    site.run(workers)
    site.feed = BY_ALL
    site.sql("UPDATE report SET updated = '2026-09-30 10:00:01'")  # it is read again, and is the same
    site.run(workers)
    assert (rules(site), site.versions()) == ({}, {"R1": (1, False)})


def test_a_key_that_is_away_ends_the_page_and_holds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = hospital(tmp_path, BY_ALL)
    sign, away = SoftKey.sign, []

    def now_and_then(key: SoftKey, data: bytes) -> bytes:
        if away:
            raise SigningUnavailable("[signing.signers.one]: no token 'hospital' is there; plug it in")
        away.append(data)  # it is there when the agent starts
        return sign(key, data)

    monkeypatch.setattr(SoftKey, "sign", now_and_then)
    with pytest.raises(SigningUnavailable, match="plug it in"):
        site.run()
    monkeypatch.setattr(SoftKey, "sign", sign)
    assert (rules(site), site.versions()) == ({}, {})
    site.run()
    assert site.versions() == {"R1": (1, False)}


def test_a_finished_documents_own_signature_is_looked_at_where_somebody_is_believed(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    (tmp_path / "changed.sql").write_text('SELECT changed AS "cursor", no AS "key" FROM doc')
    (tmp_path / "parent.sql").write_text('SELECT no AS "no", content AS "content" FROM doc')
    (tmp_path / "m.toml").write_text(
        'kind = "C0006"\nkey = "no"\ndocument = "content"\n[queries]\nchanged = "changed.sql"\nparent = "parent.sql"\n'
    )
    sealed = signed(rendered(), DOCTOR.signs(), NOW)
    with closing(sqlite3.connect(tmp_path / "cdr.db", isolation_level=None)) as database:
        database.execute("CREATE TABLE doc (no TEXT, content BLOB, changed TEXT)")
        rows = [
            ("plain", rendered()),
            ("valid", sealed),
            ("changed", sealed.replace("检查报告".encode(), "检验报告".encode())),
        ]
        database.executemany("INSERT INTO doc VALUES (?, ?, '2026-09-30')", rows)
    text = """
[institution]
id = "999000013"
name = "x"
[sources.cdr]
url = "sqlite:///cdr.db"
[destinations.platform]
url = "http://127.0.0.1:9"
[[feeds]]
name = "lab"
source = "cdr"
mapping = "m.toml"
[signing.trust]
anchors = ["root.pem"]
"""
    config = parse_config(text, "agent.toml", tmp_path)
    feed = compile_feed(config, config.feed("lab"), lambda: NOW.date())
    with closing(sqlite3.connect(tmp_path / "cdr.db")) as database:
        parent = RowSet(("no", "content"), database.execute("SELECT no, content FROM doc").fetchall())
    told = {
        record.key: [finding.arguments[0] for finding in record.findings if finding.rule == "CDA-SIGNATURE"]
        for record in feed.plan.normalise(SourceRows(parent, {}))
    }
    assert told == {"plain": [], "valid": [], "changed": ["the document was changed after it was signed"]}


def test_check_opens_the_key_and_tells_what_is_wrong_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = hospital(tmp_path, BY_ALL)
    (tmp_path / "k.pem").write_bytes(holder("x", ec_key(2)).key_pem)
    (tmp_path / "agent.toml").write_text(site.text(), encoding="utf-8")
    assert run(["--config", str(tmp_path / "agent.toml"), "--lang", "en", "check"]) == 78
    assert "the key is not that of the certificate of 李医生" in " ".join("".join(capsys.readouterr()).split())


GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide"


@pytest.mark.parametrize("page", ["signatures.md", "signatures.en.md"])
def test_the_examples_of_the_guide_are_understood(page: str, tmp_path: Path) -> None:
    """Each by whoever reads it: agent.toml's by the agent, the policy by the platform."""
    blocks = re.findall(r"```toml\n(.*?)```", (GUIDE / page).read_text("utf-8"), re.DOTALL)
    (policy,) = [block for block in blocks if "policy" in block]
    crl = revocation_list(ROOT).public_bytes(Encoding.PEM)
    for name, content in (("region-root.pem", ROOT.pem), ("hospital-ca.pem", ROOT.pem), ("region.crl", crl)):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "signatures.toml").write_text(policy.replace("FINGERPRINT", "0" * 64), encoding="utf-8")
    assert Signatures(tmp_path / "signatures.toml").judge(rendered(), "91350100M000100Y43", True, NOW) is not None
    site = Site(tmp_path, "sqlite").text()
    for block in blocks:
        if block != policy:
            config = parse_config(site + block, "agent.toml", tmp_path)
            assert config.signing.signers or trust_of(config.signing.trust).anchors
