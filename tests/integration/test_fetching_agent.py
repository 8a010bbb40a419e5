"""A whole agent and a real PACS: a report that is made, a poll and a backfill bring studies here."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.config import load_config
from frontend_agent.daemon import imaging_of
from frontend_agent.formats import load_kind
from frontend_agent.identity import document_id, set_id
from frontend_agent.imaging.running import Imaging
from frontend_agent.spool import Taken
from tests.dicom_kit import data_set, file_bytes, uid
from tests.orthanc_kit import needs_orthanc, orthanc
from tests.study_kit import until
from tests.unit.opened_documents import a_document

pytestmark = [pytest.mark.slow, needs_orthanc]
HOSPITAL = "999000013"


def settled(folder: Path, address: str, asks_for: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(
        f'[institution]\nid = "{HOSPITAL}"\nname = "测试医院"\n'
        f'[images.inlets.pacs]\ntype = "dicom-query"\nurl = "{address}"\nasks_for = [{asks_for}]\nlookback = "3650d"\n',
        "utf-8",
    )
    return path


def reported(app: App, key: str, accession: str) -> None:
    """The agent made an exam report."""
    made = a_document("C0006", key=key, request_number=accession)
    named = set_id(HOSPITAL, "1", "C0006", key)
    kind = load_kind("C0006")
    made = msgspec.structs.replace(
        made, document_id=document_id(named, 1), set_id=named, version=1, key=key, replaces_id="",
        institution=HOSPITAL, source_hash=sha256(key.encode()).hexdigest(), digests="d", order_key=named,
    )  # fmt: skip
    app._dictionaries[kind.dictionary_sha256] = kind.dictionary  # as a feed of that kind has it
    app.spool.commit(
        Taken(
            feed="exam", kind="C0006", institution=HOSPITAL, digests="d", at=datetime.now(UTC), destinations=("platform",), documents=(made,)
        )
    )  # fmt: skip


def test_a_report_brings_its_study(tmp_path: Path) -> None:
    with orthanc() as pacs:
        pacs.add(*(file_bytes(data_set(1, 1, number, AccessionNumber="REQ77")) for number in (1, 2, 3)))
        pacs.add(file_bytes(data_set(2, 1, 1)))
        config = load_config(settled(tmp_path, pacs.address, '"reports"'))
        app = App(config, tmp_path / "state", alone=True)
        app.open()
        try:
            imaging = imaging_of(app)
            assert isinstance(imaging, Imaging)
            imaging.start()
            try:
                until(lambda: imaging.book.mark("reports"), 20)  # what was made before is a backfill's business
                reported(app, "B1", "REQ77")
                until(lambda: sum(imaging.book.counts(uid(1)).values()) == 3, 30)
                until(lambda: not imaging.book.wants(), 10)
                study = imaging.book.study_of(uid(1))
                assert study is not None
                assert study.expected is not None
                assert study.expected.instances == 3
                assert imaging.book.study_of(uid(2)) is None
            finally:
                imaging.stop(10)
        finally:
            app.close()


def said(capsys: pytest.CaptureFixture[str], *command: str) -> Any:
    assert run(list(command)) == 0
    return json.loads(capsys.readouterr().out)


def test_once_polls_and_a_backfill_is_begun_shown_stopped_and_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with orthanc() as pacs:
        pacs.add(*(file_bytes(data_set(study, 1, 1)) for study in (1, 2)))
        settings = ["--config", str(settled(tmp_path, pacs.address, '"poll"'))]
        assert run(["once", *settings]) == 0
        capsys.readouterr()
        config = load_config(Path(settings[1]))
        app = App(config, tmp_path / "state", alone=True)
        app.open_state()
        assert {one.study_instance_uid for one in app.spool.images.studies()} == {uid(1), uid(2)}
        app.close()
        told = said(
            capsys, "images", "backfill", "begin", "--from", "2020-01-01", "--to", "2020-01-31", "--json", *settings
        )
        assert (told["inlet"], told["state"], told["part"]) == ("pacs", "running", 0.0)
        assert said(capsys, "images", "backfill", "stop", "--json", *settings)["state"] == "stopped"
        assert said(capsys, "images", "backfill", "resume", "--json", *settings)["state"] == "running"
        assert [one["begin"] for one in said(capsys, "images", "backfill", "list", "--json", *settings)] == [
            "2020-01-01"
        ]
        assert run(["images", "backfill", "begin", "--from", "soon", "--to", "2020-01-31", *settings]) == 78
        assert "yyyy-mm-dd" in capsys.readouterr().err
        assert run(["images", "backfill", "begin", "--from", "2019-01-01", "--to", "2019-01-31", *settings]) == 78
        assert "stop it first" in capsys.readouterr().err
