"""`frontend-agent platform studies`, beside a server that runs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontend_agent.cli.main import run
from frontend_agent.platform.store import Store
from frontend_agent.wire import images as wire
from tests.dicom_kit import data_set, file_bytes, uid
from tests.platform_kit import HOSPITAL


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "platform").open()
    for number in (1, 2):
        writer = opened.images.begin_file(HOSPITAL, sender="test")
        writer.write(file_bytes(data_set(1, 1, number)))
        writer.keep().result(10)
    one = wire.IndexedInstance(sop_instance_uid=uid(2, 1, 1), sha256="0" * 64)
    series = (wire.IndexedSeries(series_instance_uid=uid(2, 1), modality="MR", instances=(one,)),)
    opened.images.put_index(wire.StudyIndex(institution=HOSPITAL, study_instance_uid=uid(2), series=series))
    yield opened
    opened.close()


class Said:
    """The command line beside a server on the same folder."""

    def __init__(self, store: Store, capsys: pytest.CaptureFixture[str]):
        self._store, self._capsys = store, capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        self._capsys.readouterr()
        ended = run(["--lang", "en", "--state", str(self._store.folder), "platform", "studies", *arguments])
        output = self._capsys.readouterr().out
        assert ended == code, output
        return output


@pytest.fixture
def said(store: Store, capsys: pytest.CaptureFixture[str]) -> Said:
    return Said(store, capsys)


def test_studies_are_listed_shown_and_asked_for(said: Said) -> None:
    listed = json.loads(said("list", "--json"))
    assert [(one["study_instance_uid"], one["instances"], one["held"]) for one in listed] == [
        (uid(1), 2, 2),
        (uid(2), 1, 0),
    ]
    assert uid(1) in said("list", "--modality", "CT")
    assert uid(2) not in said("list", "--modality", "CT")
    assert uid(1) in said("list", "--from", "2026-09-30", "--to", "20260930")
    assert uid(1) not in said("list", "--from", "2026-10-01")
    said("list", "--from", "30.9.2026", code=2)
    (shown,) = json.loads(said("show", uid(1), "--json"))
    assert [one["instances"] for one in shown["series_of_it"]] == [2]
    assert uid(1, 1) in said("show", uid(1))
    said("show", "9.9.9", code=1)
    said("want", uid(2), "--why", "consultation")
    assert [one["wanted_why"] for one in json.loads(said("list", "--wanted", "--json"))] == ["consultation"]
    assert json.loads(said("list", "--wanted", "--modality", "CT", "--json")) == []
    said("want", uid(2), "--undo")
    assert json.loads(said("list", "--wanted", "--json")) == []


def test_damaged_and_missing_files_are_found(store: Store, said: Said) -> None:
    assert json.loads(said("verify", "--json")) == {"verified": 2, "problems": []}
    first, second = sorted((store.folder / "images").rglob("*.dcm"))
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    second.unlink()

    told = json.loads(said("verify", "--json", code=1))

    assert told["verified"] == 0
    assert {one["problem"] for one in told["problems"]} == {"damaged", "missing"}


def test_a_study_is_dropped_only_when_it_is_meant_and_disturbs_no_upload(store: Store, said: Said) -> None:
    writer = store.images.begin_file(HOSPITAL, sender="test")
    writer.write(file_bytes(data_set(3, 1, 1)))
    said("drop", uid(1), "--institution", HOSPITAL, code=1)
    assert len(store.images.find(uid(1))) == 2
    said("drop", uid(1), "--institution", HOSPITAL, "--yes")
    assert store.images.find(uid(1)) == []
    assert writer.keep().result(10).is_stored
