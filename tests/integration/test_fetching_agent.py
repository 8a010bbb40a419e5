"""A whole agent and a real PACS: a report that is made, a poll and a backfill bring studies here."""

import json
import signal
import subprocess
import sys
import time
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
from tests.dicom_kit import data_set, file_bytes, storescp, uid
from tests.orthanc_kit import needs_orthanc, orthanc
from tests.ports import free_port
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
            capsys,
            "images",
            "backfill",
            "begin",
            "--from",
            "2020-01-01",
            "--to",
            "2020-01-31",
            "--no-wait",
            "--json",
            *settings,
        )
        assert (told["inlet"], told["state"], told["part"]) == ("pacs", "running", 0.0)
        assert said(capsys, "images", "backfill", "stop", "--json", *settings)["state"] == "stopped"
        assert said(capsys, "images", "backfill", "resume", "--no-wait", "--json", *settings)["state"] == "running"
        assert [one["begin"] for one in said(capsys, "images", "backfill", "list", "--json", *settings)] == [
            "2020-01-01"
        ]
        assert run(["images", "backfill", "begin", "--from", "soon", "--to", "2020-01-31", *settings]) == 78
        assert "yyyy-mm-dd" in capsys.readouterr().err
        assert run(["images", "backfill", "begin", "--from", "2019-01-01", "--to", "2019-01-31", *settings]) == 78
        assert "stop it first" in capsys.readouterr().err


@pytest.mark.parametrize("retrieve", ["get", "move"])
def test_without_a_daemon_a_backfill_is_worked_on_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], retrieve: str
) -> None:
    with orthanc() as pacs, storescp(tmp_path / "region") as region:
        port = free_port()
        pacs.knows("FRONTEND", port)
        for study in range(1, 8):
            pacs.add(*(file_bytes(data_set(study, 1, number)) for number in (1, 2)))
        path = settled(tmp_path, pacs.address, '"orders"')
        path.write_text(
            path.read_text("utf-8").replace("[images.inlets.pacs]", '[images]\nsettle = "1s"\nalign = false\n[images.inlets.pacs]')
            + f'retrieve = "{retrieve}"\n' + ('move_to = "arrivals"\n' if retrieve == "move" else "")
            + f'[images.inlets.arrivals]\ntype = "dicom"\nport = {port}\nhost = "127.0.0.1"\n'
            + f'[images.destinations.region]\ntype = "dicom"\nurl = "dicom://STORESCP@127.0.0.1:{region}"\nproof = "none"\n',
            "utf-8",
        )  # fmt: skip
        settings = ["--config", str(path)]
        day = data_set().StudyDate
        stretch = ["--from", f"{day[:4]}-{day[4:6]}-{day[6:]}", "--to", f"{day[:4]}-{day[4:6]}-{day[6:]}"]
        told = said(capsys, "images", "backfill", "begin", *stretch, "--json", *settings)
        assert (told["state"], told["part"], told["studies"], told["wanted"], told["waiting"]) == ("done", 1.0, 7, 7, 0)
        (listed,) = said(capsys, "images", "backfill", "list", "--json", *settings)
        assert listed == told
        assert len(said(capsys, "images", "list", "--json", *settings)) == 7
        assert len(list((tmp_path / "region").iterdir())) == 14  # and sent on

        # A second time nothing is wanted; the table says so, and nothing is asked of a daemon.
        assert run(["images", "backfill", "begin", *stretch, *settings]) == 0
        assert " 0 " in capsys.readouterr().out


def test_a_backfill_that_is_broken_off_goes_on_where_it_was(tmp_path: Path) -> None:
    with orthanc() as pacs:
        pacs.add(*(file_bytes(data_set(study, 1, 1)) for study in range(1, 4)))
        pacs.stop()  # the PACS does not answer: the command would wait for it for ever
        path = settled(tmp_path, pacs.address, '"orders"')
        command = [sys.executable, "-m", "frontend_agent.cli.main", "--config", str(path), "images", "backfill"]
        working = subprocess.Popen(
            [*command, "begin", "--from", "2020-01-01", "--to", "2020-12-31"], stdout=subprocess.PIPE, text=True
        )
        listed = [*command, "list", "--json"]

        def is_begun() -> bool:
            done = subprocess.run(listed, capture_output=True, text=True, check=False)
            return done.returncode == 0 and json.loads(done.stdout)[0]["state"] == "running"

        assert until(is_begun, 60)
        time.sleep(1)
        assert working.poll() is None
        working.send_signal(signal.SIGINT)
        out, _ = working.communicate(timeout=60)
        assert working.returncode == 0
        assert "images backfill resume --inlet pacs" in out
        assert is_begun()
