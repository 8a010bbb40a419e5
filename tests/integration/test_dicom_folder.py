"""DICOM files of a folder come in whole, once, whatever they are called; what cannot be taken lies apart with its reason."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydicom.fileset import FileSet

from connectors.dicom.folder import DicomFolder
from connectors.folders.collecting import InMemory
from frontend_agent.config_images import DicomFolderInlet
from frontend_agent.config_types import Size
from frontend_agent.dicom.directory import read_directory
from frontend_agent.dicom.elements import DataSetMalformed
from frontend_agent.dicom.part10 import NoInstance
from tests.conftest import shared_folder
from tests.dicom_kit import EXPLICIT_BE, IMPLICIT_LE, data_set, data_set_bytes, file_bytes, uid
from tests.pacs_kit import Shelf
from tests.study_kit import Clock


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "export"
    found.mkdir()
    return found


class Looking:
    """An inlet over a folder, and what it was told to expect."""

    def __init__(self, folder: Path, shelf: Shelf, **more: Any) -> None:
        options = DicomFolderInlet(**{"type": "dicom-folder", "path": str(folder), "whole": "rename", **more})
        self.expected: dict[str, dict[str, int]] = {}
        self.lines: list[str] = []
        self.inlet = DicomFolder(
            "export",
            options,
            shelf,
            lambda study, said: self.expected.update({study: dict(said.series)}),
            InMemory(),
            Clock(),
            "Asia/Shanghai",
            lambda what, fields: self.lines.append(f"{what} {fields}"),
        )

    def look(self) -> int:
        return self.inlet.fetch()


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_files_come_in_by_what_they_are_and_are_moved_when_they_are_kept(folder: Path, shelf: Shelf) -> None:
    (folder / "IM1").write_bytes(file_bytes(data_set(1, 1, 1)))
    (folder / "a").mkdir()
    (folder / "a" / "图像.dcm").write_bytes(file_bytes(data_set(1, 1, 2), IMPLICIT_LE))
    (folder / "bare.bin").write_bytes(data_set_bytes(data_set(1, 1, 3), IMPLICIT_LE))
    (folder / "big.dcm").write_bytes(file_bytes(data_set(1, 2, 1), EXPLICIT_BE))
    looking = Looking(folder, shelf)
    assert looking.look() == 4
    assert set(shelf.kept) == {uid(1, 1, 1), uid(1, 1, 2), uid(1, 1, 3), uid(1, 2, 1)}
    assert shelf.data_set(uid(1, 2, 1)) == data_set_bytes(data_set(1, 2, 1), EXPLICIT_BE)
    day = "done/2026-03-05"
    assert names(folder) == sorted(f"{day}/{name}" for name in ("IM1", "a/图像.dcm", "bare.bin", "big.dcm"))
    assert looking.look() == 0
    assert not shelf.left_behind


def test_what_cannot_be_taken_lies_apart_with_its_reason(folder: Path, shelf: Shelf) -> None:
    (folder / "autorun.inf").write_bytes(b"[autorun]")
    (folder / "cut.dcm").write_bytes(file_bytes(data_set(1, 1, 1))[:-700])
    (folder / "large.dcm").write_bytes(file_bytes(data_set(1, 1, 2, pixels=50_000)))
    (folder / "other.dcm").write_bytes(file_bytes(data_set(1, 1, 3, PatientName="OTHER^ONE")))
    (folder / "other2.dcm").write_bytes(file_bytes(data_set(1, 1, 3)))
    looking = Looking(folder, shelf, largest=Size(20_000))
    assert looking.look() == 1
    assert set(shelf.kept) == {uid(1, 1, 3)}
    refused = [name for name in names(folder) if name.startswith("refused/")]
    assert refused == sorted(
        f"refused/{name}{ending}" for name in ("autorun.inf", "cut.dcm", "large.dcm", "other2.dcm") for ending in ("", ".reason.txt")
    )  # fmt: skip
    said = {
        name: (folder / f"refused/{name}.reason.txt").read_text("utf-8-sig") for name in ("autorun.inf", "cut.dcm", "large.dcm", "other2.dcm")
    }  # fmt: skip
    assert "neither a file meta information" in said["autorun.inf"]
    assert "cut off" in said["cut.dcm"]
    assert "20000" in said["large.dcm"]
    assert "other bytes" in said["other2.dcm"]
    assert "OTHER" not in "".join(looking.lines) + "".join(said.values())
    assert not shelf.left_behind


def test_a_dicomdir_is_no_instance_and_says_what_its_studies_have(folder: Path, shelf: Shelf, tmp_path: Path) -> None:
    medium = FileSet()
    for series, count in ((1, 3), (2, 2)):
        for number in range(1, count + 1):
            medium.add(data_set_file(tmp_path, 1, series, number))
    medium.add(data_set_file(tmp_path, 2, 1, 1))
    medium.write(folder)
    whole = {uid(1): {uid(1, 1): 3, uid(1, 2): 2}, uid(2): {uid(2, 1): 1}}
    assert read_directory((folder / "DICOMDIR").read_bytes()) == whole
    looking = Looking(folder, shelf)
    assert looking.look() == 7
    assert looking.expected == whole
    assert len(shelf.kept) == 6
    assert looking.inlet.told()["directories"] == 1


def data_set_file(folder: Path, *numbers: int) -> Path:
    path = folder / f"{'-'.join(map(str, numbers))}.dcm"
    path.write_bytes(file_bytes(data_set(*numbers)))
    return path


def test_a_dicomdir_that_is_none_is_refused(folder: Path, shelf: Shelf) -> None:
    (folder / "DICOMDIR").write_bytes(b"nothing")
    assert Looking(folder, shelf).look() == 0
    assert "DICOMDIR" in (folder / "refused/DICOMDIR.reason.txt").read_text("utf-8-sig")


def test_a_full_disk_leaves_the_files_and_takes_them_later_once(folder: Path, shelf: Shelf) -> None:
    from connectors.arrivals import InboxFull

    for number in range(1, 6):
        (folder / f"{number}.dcm").write_bytes(file_bytes(data_set(1, 1, number)))
    looking = Looking(folder, shelf)
    shelf.room = 0
    with pytest.raises(InboxFull):
        looking.look()
    assert len(names(folder)) == 5
    assert not shelf.left_behind
    shelf.room = 100
    assert looking.look() == 5
    assert len(shelf.kept) == 5


def test_a_file_that_grows_is_not_taken_before_it_is_whole(folder: Path, shelf: Shelf) -> None:
    content = file_bytes(data_set(1, 1, 1))
    path = folder / "growing.dcm"
    path.write_bytes(content[:500])
    looking = Looking(folder, shelf, whole="settle")
    looking.inlet._collector.look()
    path.write_bytes(content)
    looking.inlet._collector.look()
    assert not shelf.kept
    assert path.is_file()
    assert not shelf.left_behind


def test_links_are_not_followed(folder: Path, shelf: Shelf, tmp_path: Path) -> None:
    outside = data_set_file(tmp_path, 1, 1, 1)
    os.symlink(outside, folder / "link.dcm")
    assert Looking(folder, shelf).look() == 0
    assert outside.is_file()


def test_dicomdirs_of_real_media_are_read_or_refused() -> None:
    folder = shared_folder() / "realdata" / "dicom"
    found = [path for path in folder.rglob("DICOMDIR*") if path.is_file()] if folder.is_dir() else []
    if not found:
        pytest.skip("no DICOMDIR in realdata/dicom")
    counts: dict[str, set[int]] = {}
    for path in found:
        try:
            count = sum(sum(series.values()) for series in read_directory(path.read_bytes()).values())
        except (DataSetMalformed, NoInstance):
            count = -1
        counts.setdefault(path.name, set()).add(count)
    # One medium in three encodings, with its records in another order, and with what makes it unreadable.
    expected = {"bigEnd": 31, "implicit": 31, "reordered": 31, "empty.dcm": 0, "nooffset": -1}
    assert {ending: counts.get(f"DICOMDIR-{ending}", {count}) for ending, count in expected.items()} == {
        ending: {count} for ending, count in expected.items()
    }
    assert 31 in counts["DICOMDIR"]
