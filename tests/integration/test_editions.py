"""One feed, three platforms: all of it, without what may not leave, and without whom it is about."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from frontend_agent.app import App
from frontend_agent.config import Config, parse_config
from frontend_agent.deidentifying import direct_identifiers
from frontend_agent.demo.hospital import HIS, LIS, create_hospital
from frontend_agent.formats import load_kind
from frontend_agent.operations import operations
from frontend_agent.platform.catalogue import Search
from frontend_agent.platform.store import Store
from tests.platform_kit import running

ROOT = Path(__file__).parents[2]
PRESCRIPTION = load_kind("C0004")
NAMES = ("platform", "insurer", "research")


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[dict[str, tuple[Store, str]]]:
    with ExitStack() as stack:
        found = {}
        for name in NAMES:
            store = Store(tmp_path / name).open()
            stack.callback(store.close)
            found[name] = (store, stack.enter_context(running(store)))
        yield found


def config_for(tmp_path: Path, stores: dict[str, tuple[Store, str]], more: str = "") -> Config:
    if not (tmp_path / "hospital").exists():
        create_hospital(tmp_path / "hospital", 40, seed=3)
    secrets = tmp_path / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / "research").write_text("a secret of this hospital alone")
    (secrets / "research").chmod(0o600)
    text = (ROOT / "agent.toml").read_text(encoding="utf-8").replace("# workers = 2", "workers = 0")
    for name in (HIS, LIS):
        text = text.replace(f"demo-state/hospital/{name}", f"hospital/{name}")
    text = text.replace("http://127.0.0.1:8480", stores["platform"][1])
    text += f"""
[destinations.insurer]
url = "{stores["insurer"][1]}"
edition = "insurer"
[destinations.research]
url = "{stores["research"][1]}"
deidentified = true
pseudonym_key = "research"
[[policy.may_leave]]
sharing = ["shared", "business"]
destinations = ["platform", "research"]
[[policy.may_leave]]
sharing = ["shared"]
destinations = ["insurer"]
[secrets]
folder = "{secrets}"
{more}"""
    return parse_config(text, folder=tmp_path)


def deliver(app: App) -> dict[str, int]:
    outcome = app.run_feed("prescription", threading.Event())
    assert outcome.error is None
    for name in NAMES:
        app.greet(name)
        while app.waiting(name):
            app.send(name)
    return outcome.counts


def test_each_platform_has_what_may_leave_for_it_and_nothing_else(
    tmp_path: Path, stores: dict[str, tuple[Store, str]]
) -> None:
    with App(config_for(tmp_path, stores), tmp_path / "state", alone=True) as app:
        made = deliver(app)["documents"]
        assert made > 10
        assert deliver(app)["documents"] == 0
        listed = {name: stores[name][0].documents(Search(), 1, 1000) for name in NAMES}
        assert {name: len(found) for name, found in listed.items()} == dict.fromkeys(NAMES, made)
        ids = [{one.document_id for one in found} for found in listed.values()]
        assert not ids[0] & ids[1] | ids[0] & ids[2] | ids[1] & ids[2]
        whole = {name: [stores[name][0].document(one.document_id) for one in listed[name]] for name in NAMES}
        records = [PRESCRIPTION.reader(body) for body in whole["platform"] if body]
        assert all("amount" in record for record in records)
        assert not any("amount" in PRESCRIPTION.reader(body) for body in whole["insurer"] if body)
        together = b"".join(body for body in whole["research"] if body).decode()
        identifiers = {text for record in records for text in direct_identifiers(PRESCRIPTION, record)}
        assert len(identifiers) > made
        assert not [text for text in identifiers if text in together]
        assert {one.patient_name for one in listed["research"]} == {""}
        assert {one.id_number[:1] for one in listed["research"]} <= {"P", ""}
        assert sum(bool(one.id_number) for one in listed["research"]) > made / 2
        asked = operations(app)
        trace = asked["trace"](document=listed["research"][0].document_id)
        assert [one["destination"] for one in trace["deliveries"]] == ["research"]
        assert "POL003" in {finding["rule"] for finding in trace["findings"]}
        trace = asked["trace"](document=listed["insurer"][0].document_id)
        assert [finding["arguments"] for finding in trace["findings"] if finding["rule"] == "POL001"]


def test_a_lost_state_finds_every_edition_again(tmp_path: Path, stores: dict[str, tuple[Store, str]]) -> None:
    config = config_for(tmp_path, stores)
    with App(config, tmp_path / "state", alone=True) as app:
        made = deliver(app)["documents"]
    with App(config, tmp_path / "another", alone=True) as app:
        counts = deliver(app)
        assert (counts["documents"], counts["unchanged"]) == (0, made)
    assert {len(store.documents(Search(), 1, 1000)) for store, _ in stores.values()} == {made}


def test_what_is_withheld_reaches_nobody(tmp_path: Path, stores: dict[str, tuple[Store, str]]) -> None:
    rule = '[[withhold]]\nname = "women"\nwhen = { "patient.sex" = ["2"] }\ndecided_by = "院办"\nreason = "a test"\n'
    with App(config_for(tmp_path, stores, rule), tmp_path / "state", alone=True) as app:
        counts = deliver(app)
        assert counts["withheld"] > 0
        asked = operations(app)
        kept = list(asked["withheld_list"]())
        assert len(kept) == counts["withheld"] == asked["status"]()["withheld"]["open"]
        shown = asked["preview"](feed="prescription", key=kept[0]["key"])["records"][0]
        assert (shown["would"], shown["withheld"]["rule"]) == ("withheld", "women")
        for store, _ in stores.values():
            found = store.documents(Search(), 1, 1000)
            assert len(found) == counts["documents"]
            assert {one.sex for one in found} == {"1"}
    with App(config_for(tmp_path, stores), tmp_path / "state", alone=True) as app:
        lifted = deliver(app)
        assert lifted["documents"] + lifted["held"] == counts["withheld"]
        assert list(operations(app)["withheld_list"]()) == []
