"""Images at the command line and over the control socket: what a person sees of studies, and what he decides about them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.config import parse_config
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.imaging.model import Expected, Order, StudyState
from frontend_agent.model import Finding, Severity
from frontend_agent.operations import operations
from frontend_agent.spool.image_desk import Desk
from tests.study_kit import NOW, SETTLED, Clock, hand_over

ONE, TWO = "1.2.3.1", "1.2.3.2"
CONFIG = """
[institution]
id = "H1"
name = "测试医院"
[images.inlets.pacs]
type = "dicom-query"
url = "dicom://PACS@127.0.0.1:11112"
[images.destinations.region]
type = "stow"
url = "http://127.0.0.1:9/dicom-web"
"""
HELD = Finding("IMG-TEST", Severity.HOLD, field="patient_sex")


class Site:
    """An agent with two studies: one held, one on its way."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.file = folder / "agent.toml"
        self.file.write_text(CONFIG, encoding="utf-8")
        self.state = folder / "state"
        self.app = App(parse_config(CONFIG), self.state, clock=self.clock, alone=True).open_state()
        self.book = self.app.spool.images.open(self.app.spool.images.rules, NOW)
        self.desk = Desk(self.book, self.clock).start()
        self.ask: dict[str, Any] = operations(self.app)
        hand_over(self.desk, ONE, 1)
        hand_over(self.desk, ONE, 2)
        hand_over(self.desk, TWO, 1, accession="A2")
        self.judge(ONE, held=True, findings=(HELD,))
        self.judge(TWO)

    def judge(self, uid: str, **said: Any) -> None:
        from frontend_agent.imaging.model import Checked

        study = self.book.study_of(uid)
        assert study is not None
        seen = max(one.id for one in self.book.instances(study.id))
        said = {"order": Order(key=f"E-{uid}", patient_id="P1"), "destinations": ("region",), **said}
        assert self.book.checked(Checked(study=study.id, seen=seen, at=self.clock(), **said))

    def state_of(self, uid: str) -> StudyState:
        study = self.book.study_of(uid)
        assert study is not None
        return study.state

    def close(self) -> None:
        self.desk.stop()
        self.app.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


def cli(site: Site, *arguments: str) -> int:
    return run(["--config", str(site.file), "--state", str(site.state), "--lang", "en", *arguments])


def test_studies_are_listed_by_state_patient_and_accession_number(site: Site) -> None:
    assert [one["study_instance_uid"] for one in site.ask["images_list"]()] == [TWO, ONE]
    assert [one["study_instance_uid"] for one in site.ask["images_list"](state="held")] == [ONE]
    assert [one["study_instance_uid"] for one in site.ask["images_list"](accession="A2")] == [TWO]
    assert len(site.ask["images_list"](patient="P1")) == 2
    assert [one["study_instance_uid"] for one in site.ask["images_list"](limit=1, before=2)] == [ONE]
    with pytest.raises(ConfigurationError, match="collecting"):
        site.ask["images_list"](state="holding")


def test_a_study_is_shown_with_its_series_order_findings_and_destinations(site: Site) -> None:
    site.book.expect(ONE, Expected(by="pacs", series={f"{ONE}.1": 5}, instances=5), NOW)
    told = site.ask["images_show"](ONE)
    assert told == site.ask["images_show"]("1")
    assert (told["state"], told["rules"], told["order"]["key"], told["expected"]["instances"]) == (
        "collecting", [HELD.rule], f"E-{ONE}", 5
    )  # fmt: skip
    assert [(one["instances"], one["expected"]) for one in told["series"]] == [(2, 5)]
    assert site.ask["images_show"](TWO)["destinations"] == {"region": {"ready": 1}}
    with pytest.raises(FrontendAgentError, match=r"no study '9\.9'"):
        site.ask["images_show"]("9.9")


def test_instances_are_told_by_hash_and_never_by_patient(site: Site) -> None:
    told = list(site.ask["images_instances"](ONE))
    assert [one["instance_number"] for one in told] == ["1", "2"]
    assert "测试" not in json.dumps(told, ensure_ascii=False)


def test_a_held_study_is_a_case_and_can_be_let_go_judged_again_or_discarded(site: Site) -> None:
    (case,) = list(site.ask["quarantine_list"]())
    assert (case["id"], case["state"], [one["rule"] for one in case["findings"]]) == ("I1", "held", [HELD.rule])
    assert site.ask["quarantine_show"]("I1")["study"]["study_instance_uid"] == ONE
    groups = site.ask["quarantine_groups"]()["images"]
    assert [(one["rule"], one["count"], one["example"]) for one in groups] == [(HELD.rule, 1, "I1")]

    assert list(site.ask["quarantine_release"](["I1"], "王工")) == [{"images": 1}]
    assert site.state_of(ONE) is StudyState.COLLECTING
    site.judge(ONE, held=True, findings=(HELD,))
    assert site.ask["images_release"]([ONE], "王工") == {"released": 1}
    site.judge(ONE, held=True, findings=(HELD,))
    assert site.state_of(ONE) is StudyState.SENDING
    assert not list(site.ask["quarantine_list"]())


def test_a_case_that_is_not_there_changes_nothing(site: Site) -> None:
    for question in ("quarantine_show",):
        with pytest.raises(FrontendAgentError, match="I9"):
            site.ask[question]("I9")
    with pytest.raises(FrontendAgentError, match="nothing was changed"):
        site.ask["quarantine_discard"](["I1", "I9"], "王工", "test")
    assert site.state_of(ONE) is StudyState.HELD
    assert site.ask["quarantine_discard"](["I1"], "王工", "a phantom") == {"discarded": 1}
    assert site.state_of(ONE) is StudyState.DISCARDED
    assert site.ask["images_look"]([ONE]) == {"looked_at": 1}


def test_what_a_destination_refused_is_a_case_of_its_own(site: Site) -> None:
    from datetime import timedelta

    from frontend_agent.delivery import State
    from frontend_agent.imaging.model import Settled

    claimed = site.book.claim("region", NOW, limit=9, max_bytes=1 << 30, lease=timedelta(hours=1))
    assert claimed is not None
    site.book.settle("region", [Settled(claimed.instances[0].id, State.REFUSED, ("0xA900",))], NOW)
    cases = {one["id"]: one for one in site.ask["quarantine_list"]()}
    assert cases["I2@region"]["reasons"] == ["0xA900"]
    assert list(site.ask["quarantine_release"](["I2@region"], "王工")) == [{"images": 1}]
    assert site.ask["images_show"](TWO)["destinations"] == {"region": {"ready": 1}}
    claimed = site.book.claim("region", NOW, limit=9, max_bytes=1 << 30, lease=timedelta(hours=1))
    assert claimed is not None
    site.book.settle("region", [Settled(claimed.instances[0].id, State.REFUSED, ("0xA900",))], NOW)
    assert site.ask["quarantine_discard"](["I2@region"], "王工", "known") == {"discarded": 1}
    assert site.state_of(TWO) is StudyState.DONE


def test_studies_are_sent_again_and_pulled(site: Site) -> None:
    assert site.ask["images_send"]([TWO], [], "王工") == {"instances": 0, "wanted": 0}, "it is on its way"
    with pytest.raises(ConfigurationError, match="region"):
        site.ask["images_send"]([TWO], ["regoin"], "王工")
    assert site.ask["images_pull"](["A77", "1.2.9"], "王工") == {"wanted": 2}
    wants = site.ask["images_wants"]()
    assert [(one.get("study_instance_uid"), one.get("accession_number"), one["inlet"]) for one in wants] == [
        ("1.2.9", "", "pacs"), ("", "A77", "pacs"),
    ]  # fmt: skip
    assert site.ask["images_pull"](["A77"], "王工") == {"wanted": 0}


def test_status_tells_images_in_one_block_and_an_agent_without_them_nothing(site: Site, tmp_path: Path) -> None:
    told = site.ask["status"]()["images"]
    assert told["studies"] == {"held": 1, "sending": 1}
    assert [(one["name"], one["waiting"]) for one in told["destinations"]] == [("region", 1)]
    assert [(one["name"], one["running"]) for one in told["inlets"]] == [("pacs", False)]
    assert 0 < told["bytes"] < told["quota"]
    region = site.app.config.images.destinations.pop("region")
    (gone,) = site.ask["status"]()["images"]["destinations"]
    assert (gone["name"], gone["waiting"], "any more" in gone["problem"]) == ("region", 1, True)
    site.app.config.images.destinations["region"] = region
    site.app.config.images.inlets.clear()
    site.app.config.images.destinations.clear()
    assert site.ask["status"]()["images"] is None


def test_a_trace_by_a_uid_tells_the_study_and_its_log(site: Site) -> None:
    told = site.ask["trace"](f"{ONE}.1.1")["images"]
    assert told["study_instance_uid"] == ONE
    assert [one["event"] for one in told["log"]] == ["study judged"]


def test_the_command_line_shows_and_decides(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.clock.now += SETTLED
    site.close()
    for arguments in (
        ("images", "list"), ("images", "show", "1"), ("images", "instances", "1"), ("images", "wants", "--all"),
        ("images", "orders", "E-1"), ("images", "inlets"), ("inlet", "list"), ("quarantine", "list"), ("quarantine", "list", "--all"),
        ("quarantine", "show", "I1"), ("status",), ("trace", ONE),
    ):  # fmt: skip
        assert cli(site, *arguments) == 0, arguments
        told = capsys.readouterr()
        assert told.out, arguments
        assert told.err == "", arguments
    assert cli(site, "images", "release", "1", "--who", "王工") == 0
    assert cli(site, "images", "release", "1", "--who", "王工") == 1, "it is not held any more"
    assert "1 of 1" in capsys.readouterr().out
    assert cli(site, "images", "discard", "2", "--reason", "a phantom", "--who", "王工") == 0
    assert cli(site, "images", "list", "--only", "discarded", "--json") == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index("[") :])[0]["study_instance_uid"] == TWO
    site.app = App(parse_config(CONFIG), site.state, clock=site.clock, alone=True).open_state()
