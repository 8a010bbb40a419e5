"""A pack in shadow decides nothing and says what it would; a pack in force judges; both sides see when they differ."""

import base64
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pipe import FEED, NOW, feed, rows

from frontend_agent.app import App, packs_in
from frontend_agent.config import Config, parse_config
from frontend_agent.demo.hospital import HIS, LIS, create_hospital
from frontend_agent.errors import ConfigurationError, StateError
from frontend_agent.feeds import compile_feed
from frontend_agent.formats import UnboundField
from frontend_agent.intake import take_in
from frontend_agent.model import Finding, Severity, SourceRecord
from frontend_agent.operations import operations
from frontend_agent.packs import Packs, build, open_pack
from frontend_agent.packs.content import everything
from frontend_agent.packs.shadow import NEWLY_HELD, NEWLY_PASSED, STILL_HELD, STILL_PASSED, compared, judging
from frontend_agent.platform.store import Store
from frontend_agent.spool import Spool
from frontend_agent.spool.packs import Chosen, PackFolder
from tests.platform_kit import running

ROOT = Path(__file__).parents[2]
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
HOLD = Severity.HOLD

# --- comparing --------------------------------------------------------------------------------------------------------


def test_one_record_is_compared_by_what_holds_it() -> None:
    old, new = Finding("A", HOLD, field="items[3].unit"), Finding("B", HOLD, field="value")
    noted = Finding("C", Severity.WARN, field="value")
    assert list(compared([noted], [])) == [(STILL_PASSED, "", "")]
    assert list(compared([old], [new])) == [(STILL_HELD, "", "")]
    assert list(compared([noted], [new])) == [(NEWLY_HELD, "", ""), (NEWLY_HELD, "B", "value")]
    assert list(compared([old, noted], [])) == [(NEWLY_PASSED, "", ""), (NEWLY_PASSED, "A", "items.unit")]


def test_what_the_mapping_said_is_weighed_by_the_pack_and_a_document_must_be_possible() -> None:
    def fails(record: object, envelope: object) -> bytes:
        raise KeyError("x")

    unmapped = Finding("MAP001", HOLD, field="patient.sex")
    source = SourceRecord("k", {"patient.name": "x"}, "h", findings=[unmapped])

    def judge(severity: Severity, render: object, off: frozenset[str] = frozenset()) -> list[Finding]:
        return judging(
            lambda _: severity, off, lambda *_: [], lambda record: (record, ()), render, {"MAP001": 1}  # type: ignore[arg-type]
        )(source)  # fmt: skip

    assert [one.rule for one in judge(HOLD, lambda *_: b"")] == ["MAP001"]
    assert judge(Severity.WARN, lambda *_: b"") == []
    assert judge(HOLD, lambda *_: b"", frozenset({"MAP001"})) == []
    assert [one.rule for one in judge(Severity.WARN, fails)] == ["AGT002"]

    def needs_sex(record: object, envelope: object) -> bytes:
        raise UnboundField("patient.sex")

    assert judge(Severity.WARN, needs_sex) == [
        unmapped
    ]  # what the document needs holds, whatever the pack thinks of it


# --- in the pipe ------------------------------------------------------------------------------------------------------


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


def shadow(source: SourceRecord) -> list[Finding]:
    return [Finding("NEW", HOLD, field="value")] if source.record["value"].startswith("odd") else []


def test_a_shadow_counts_and_decides_nothing(spool: Spool) -> None:
    by = feed(shadow=shadow, shadow_pack="gd-2026.2 aa")
    laps: list[str] = []
    given = (("a", "1"), ("b", "odd"), ("c", "odd"), ("d", "bad"))
    taken = take_in(by, rows(*given), None, spool, None, NOW, lap=laps.append)
    plain = take_in(feed(), rows(*given), None, Spool(spool.path.parent / "plain").open(), None, NOW)
    assert [made.sha256 for made in taken.documents] == [made.sha256 for made in plain.documents]
    assert "shadow" in laps
    counted = {(verdict, rule): n for _, _, verdict, rule, _, n, *_ in spool.shadowed("gd-2026.2 aa")}
    assert counted == {
        (STILL_PASSED, ""): 1,
        (NEWLY_HELD, ""): 2,
        (NEWLY_HELD, "NEW"): 2,
        (NEWLY_PASSED, ""): 1,
        (NEWLY_PASSED, "TST001"): 1,
    }
    take_in(by, rows(("e", "odd")), None, spool, None, NOW)
    (row,) = [row for row in spool.shadowed("gd-2026.2 aa") if row[3] == "NEW"]
    assert (row[0], row[4], row[5], row[6]) == (FEED, "value", 3, "e")


def test_one_of_many_is_enough_when_a_site_says_so(spool: Spool) -> None:
    by = feed(shadow=shadow, shadow_pack="p", shadow_one_of=4)
    take_in(by, rows(*((f"k{n}", "odd") for n in range(200))), None, spool, None, NOW)
    judged = sum(row[5] for row in spool.shadowed("p") if not row[3])
    assert 25 <= judged <= 75


def test_another_pack_in_shadow_starts_anew_and_the_log_says_who_chose(spool: Spool) -> None:
    take_in(feed(shadow=shadow, shadow_pack="one"), rows(("a", "odd")), None, spool, None, NOW)
    assert spool.in_force("gd-1 aa", "one", "admin", NOW)
    assert not spool.in_force("gd-1 aa", "one", "admin", NOW)
    assert spool.shadowed("one")
    assert spool.in_force("gd-1 aa", "two", "admin", NOW)
    assert not spool.shadowed("one")
    (entry,) = spool.log_newest(1)
    assert msgspec.json.decode(entry.body)["before"] == {"active": "gd-1 aa", "shadow": "one"}


# --- the folder -------------------------------------------------------------------------------------------------------


def test_a_version_has_one_content_for_ever(tmp_path: Path) -> None:
    folder = PackFolder(tmp_path)
    assert (folder.installed(), folder.chosen()) == ([], Chosen())
    folder.install("gd-2026.2", b"one")
    folder.install("gd-2026.2", b"one")
    with pytest.raises(StateError, match="new version"):
        folder.install("gd-2026.2", b"two")
    assert (folder.installed(), folder.read("gd-2026.2")) == (["gd-2026.2"], b"one")
    with pytest.raises(ConfigurationError, match=r"not installed \(installed: gd-2026\.2"):
        folder.read("gd-2026.3")
    with pytest.raises(ConfigurationError, match="no pack's name"):
        folder.read("../../etc/passwd-1")
    folder.choose(Chosen(active="gd-2026.2", who="admin"))
    assert PackFolder(tmp_path).chosen().active == "gd-2026.2"
    assert not list((tmp_path / "packs").glob("*.part"))


# --- with everything around it ----------------------------------------------------------------------------------------


def packed(version: str, profile: str, until: str = "2027-12-31") -> bytes:
    source = f'name = "gd"\nversion = "{version}"\ndate = 2026-01-01\nuntil = {until}\n[profiles]\nregional = "profiles/gd.toml"\n'
    return build({"pack.toml": source.encode(), "profiles/gd.toml": profile.encode()}, KEY)


STRICT = 'extends = "regional"\n[C0007]\n"report_note" = { missing = "hold" }\n"report_number" = { missing = "hold" }\n'


@pytest.fixture
def config(tmp_path: Path) -> Config:
    create_hospital(tmp_path / "hospital", 40, seed=3)
    key = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
    text = (ROOT / "agent.toml").read_text(encoding="utf-8").replace("# workers = 2", "workers = 0")
    for name in (HIS, LIS):
        text = text.replace(f"demo-state/hospital/{name}", f"hospital/{name}")
    return parse_config(f'{text}\n[[packs.trust]]\nname = "gd"\nkey = "{key}"\n', folder=tmp_path)


def install(tmp_path: Path, body: bytes, **chosen: str) -> None:
    folder = PackFolder(tmp_path / "state")
    folder.install(chosen.get("active") or chosen["shadow"], body)
    folder.choose(Chosen(**chosen))


def test_a_pack_in_force_judges_the_feeds_and_is_part_of_every_documents_digests(
    tmp_path: Path, config: Config
) -> None:
    pack = open_pack(packed("1", STRICT), {"gd": KEY.public_key().public_bytes_raw()}, None, "0.1.0")
    lab = config.feed("lab_report")
    plain, under = (compile_feed(config, lab, date.today, packs) for packs in (Packs(), Packs(pack)))
    assert f"pack={pack.digest[:16]}" in under.plan.digests
    assert "pack=" not in plain.plan.digests
    held = [one.rule for one in under.plan.check({"patient.sex": "1"}, {}, ()) if one.severity is HOLD]
    assert held.count("DE-MISSING") > [
        one.rule for one in plain.plan.check({"patient.sex": "1"}, {}, ()) if one.severity is HOLD
    ].count("DE-MISSING")


def test_the_report_speaks_of_what_was_taken_what_is_held_and_what_was_sent(tmp_path: Path, config: Config) -> None:
    install(tmp_path, packed("1", STRICT), shadow="gd-1", who="admin")
    with App(config, tmp_path / "state", alone=True) as app:
        app.spool.meta.heads_known = True  # no platform is asked
        outcome = app.run_feed("lab_report", threading.Event())
        assert outcome.error is None
        asked = operations(app)
        taken = asked["shadow_report"]()
        assert taken["judged"] == outcome.counts["documents"] + outcome.counts["held"]
        assert taken["newly_held"] > 0
        assert {(one["kind"], one["rule"]) for one in taken["reasons"]} == {("C0007", "DE-MISSING")}
        assert taken["pack"].startswith("gd-1 ")
        recent = asked["shadow_report"](over="recent")
        assert recent["newly_held"] == taken["newly_held"]
        held = asked["shadow_report"](over="held")
        assert (held["judged"], held["newly_held"]) == (outcome.counts["held"], 0)
        assert outcome.counts["documents"] > 0  # nothing was decided by it


def test_a_pack_that_was_tampered_with_stops_the_start_and_an_expired_one_does_not(
    tmp_path: Path, config: Config
) -> None:
    install(tmp_path, packed("1", STRICT, until="2026-01-02"), active="gd-1", who="admin")
    used = packs_in(tmp_path / "state", config)
    assert used.active
    assert used.active.expired(date(2026, 11, 21))
    with App(config, tmp_path / "state", alone=True) as app:
        assert operations(app)["status"]()["packs"]["expired"] == "2026-01-02"
    path = tmp_path / "state" / "packs" / "gd-1.pack"
    path.write_bytes(path.read_bytes().replace(b"PK", b"XX", 1))
    with pytest.raises(ConfigurationError, match="gd-1"):
        packs_in(tmp_path / "state", config)


def test_agent_and_platform_see_that_they_judge_differently_before_anything_is_sent(
    tmp_path: Path, config: Config
) -> None:
    store = Store(tmp_path / "platform", packs=everything(None)).open()
    try:
        with running(store) as url:
            destinations = {"platform": config.destinations["platform"].__class__(url=url)}
            here = replace(config, destinations=destinations)
            with App(here, tmp_path / "state", alone=True) as app:
                assert app.greet("platform")
                assert app.skew("platform") == []
            assert store.agents_packs()["999000013"]["pack"].startswith("national-")
            install(tmp_path, packed("1", STRICT), active="gd-1", who="admin")
            with App(here, tmp_path / "state", alone=True) as app:
                assert app.greet("platform")
                assert {one.what for one in app.skew("platform")} == {"pack", "profile:regional"}
                told = operations(app)["status"]()
                assert told["packs"]["active"].startswith("gd-1 ")
                assert {one["what"] for one in told["destinations"][0]["skew"]} == {"pack", "profile:regional"}
            assert store.agents_packs()["999000013"]["pack"].startswith("gd-1 ")
    finally:
        store.close()
