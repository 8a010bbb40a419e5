"""An auditor finds the original of what was sent without its identity, and the other way round, on this machine."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.config import parse_config
from frontend_agent.delivery import State
from frontend_agent.errors import DestinationUnreachable
from frontend_agent.image_operations import NoStudy
from frontend_agent.imaging.model import Checked, ImageDelivery, Settled
from frontend_agent.imaging.sending import StudySender
from frontend_agent.imaging.variants import variants
from frontend_agent.operations import operations
from frontend_agent.secrets import secrets_of
from frontend_agent.spool.image_desk import Desk
from tests.instances_made import as_file, ct
from tests.study_kit import NOW, Clock

CONFIG = """
[institution]
id = "H1"
name = "测试医院"
[secrets]
folder = "SECRETS"
[images.inlets.pacs]
type = "dicom-query"
url = "dicom://PACS@127.0.0.1:11112"
[images.destinations.research]
type = "stow"
url = "http://127.0.0.1:9/dicom-web"
deidentified = true
pseudonym_key = "research"
"""


class Region:
    """Remembers what it was sent."""

    def __init__(self) -> None:
        self.name, self.got, self.is_there = "research", [], True  # type: ignore[var-annotated]

    def send(self, delivery: ImageDelivery, path: Any, settle: Any) -> None:
        self.got += [(delivery.study.study_instance_uid, one.header) for one in delivery.instances]
        if not self.is_there:
            raise DestinationUnreachable("gone in the middle")
        settle([Settled(one.id, State.ACCEPTED) for one in delivery.instances])

    def prove(self, delivery: ImageDelivery) -> list[Settled]:
        return []

    def probe(self) -> None: ...

    def told(self) -> dict[str, Any]:
        return {}

    def close(self) -> None: ...


class Site:
    def __init__(self, folder: Path) -> None:
        secret = folder / "secrets" / "research"
        secret.parent.mkdir(mode=0o700)
        secret.write_text("a secret of the hospital, 32 bytes", "utf-8")
        secret.chmod(0o600)
        text = CONFIG.replace("SECRETS", str(secret.parent))
        self.file = folder / "agent.toml"
        self.file.write_text(text, "utf-8")
        self.state, self.clock = folder / "state", Clock()
        config = parse_config(text)
        self.app = App(config, self.state, clock=self.clock, alone=True).open_state()
        self.book = self.app.spool.images.open(self.app.spool.images.rules, NOW)
        desk = Desk(self.book, self.clock).start()
        for number in (1, 2):
            one = ct(1, rows=32, SOPInstanceUID=f"1.2.826.0.1.3680043.10.99.1.1.{number}", InstanceNumber=number)
            writer = desk.begin_file("pacs", sender="PACS")
            writer.write(as_file(one))
            writer.keep().result(10)
        desk.stop()
        self.uid, self.patient = str(one.StudyInstanceUID), str(one.PatientID)
        study = self.book.study_of(self.uid)
        assert study is not None
        seen = max(each.id for each in self.book.instances(study.id))
        assert self.book.checked(Checked(study=study.id, seen=seen, at=NOW, destinations=("research",)))
        options = config.images.destinations["research"]
        instead = variants("research", options, self.state, secrets_of(config), lambda uid: False, self.book.room)
        self.region = Region()
        self.sender = StudySender(
            "research", options, self.region, self.book, self.app.spool, self.clock, "Asia/Shanghai", instead
        )
        self.ask: dict[str, Any] = operations(self.app)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.app.close()


def test_both_ways_lead_through_this_machine(site: Site) -> None:
    assert site.sender.send_once() == 2
    (there, header), (_, other) = site.region.got
    assert there != site.uid

    for name in (there, header.sop_instance_uid, site.uid):
        told = site.ask["images_show"](name)
        assert told["study_instance_uid"] == site.uid
        assert told["known_as"] == {"research": there}
        assert told["pseudonyms"] == {"research": header.patient_id}
        assert header.patient_id != site.patient
    asked = site.ask["images_show"](other.sop_instance_uid)["asked_for"]
    rows = list(site.ask["images_instances"](there))
    assert {row["known_as"]["research"]: row["sop_instance_uid"] for row in rows} == {
        header.sop_instance_uid: "1.2.826.0.1.3680043.10.99.1.1.1",
        other.sop_instance_uid: "1.2.826.0.1.3680043.10.99.1.1.2",
    }
    assert asked == {"sop_instance_uid": "1.2.826.0.1.3680043.10.99.1.1.2", "destination": "research"}
    with pytest.raises(NoStudy):
        site.ask["images_show"]("2.25.1234")


def test_it_is_in_the_log_once_before_it_leaves_and_names_nobody(site: Site) -> None:
    site.region.is_there = False
    site.sender.send_once()  # cut in the middle: something of it may be there
    there = site.region.got[0][0]
    site.region.is_there = True
    site.clock.now += timedelta(hours=1)
    site.sender.send_once()
    entries = [one for one in site.book.log_of(site.uid) if one["event"] == "study sent under another uid"]
    assert [(one["study"], one["destination"], one["as"]) for one in entries] == [(site.uid, "research", there)]
    assert site.patient not in json.dumps(entries)
    assert site.region.got[0][1].patient_id not in json.dumps(entries)


def test_the_command_line_says_it(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.sender.send_once()
    there, header = site.region.got[0]
    site.app.close()
    assert run(["--config", str(site.file), "--state", str(site.state), "--lang", "en", "images", "show", there]) == 0
    out = capsys.readouterr().out
    assert site.uid in out
    assert f"research knows it as {there}, its patient as {header.patient_id}" in out
