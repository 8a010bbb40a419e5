"""Files are picked up whole, in order, never twice, and put away only when they are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.arrivals import InboxFull
from connectors.folders.collecting import Away, Collector, InMemory, Picked
from connectors.folders.local import LocalPlace
from connectors.folders.place import NoPermission, PlaceError
from connectors.folders.reasons import FileRefused, reason
from frontend_agent.config_files import Picking

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)  # the 21st in Shanghai
TODAY = "2026-11-21"


@dataclass
class Site:
    """A folder, a clock that is moved by hand, and who takes the files."""

    folder: Path
    picking: Picking
    place: LocalPlace
    memory: InMemory = field(default_factory=InMemory)
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    seconds: float = 0.0
    answer: Callable[[Picked], Away | FileRefused] = lambda file: Away()
    collector: Any = None

    def begin(self) -> None:
        """As after a start: what was watched is forgotten, what was remembered is not."""
        self.collector = Collector(
            self.place, self.picking, 1000, self.take, self.memory, lambda: NOW + timedelta(seconds=self.seconds),
            monotonic=lambda: self.seconds, told=lambda what, digest, reasons: self.told.append(what),
        )  # fmt: skip

    def take(self, files: Sequence[Picked]) -> list[Away | FileRefused]:
        answers = [self.answer(file) for file in files]
        self.taken += [
            (file.path, file.content) for file, one in zip(files, answers, strict=True) if isinstance(one, Away)
        ]
        return answers

    def look(self, after: float = 0.0) -> list[str]:
        """One look, so many seconds later: which files it took."""
        self.seconds += after
        before = len(self.taken)
        self.collector.look()
        return [path for path, _ in self.taken[before:]]

    def put(self, name: str, content: str = "content") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def there(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


def site(folder: Path, **settings: Any) -> Site:
    one = Site(folder, Picking(**settings), LocalPlace(folder))
    one.begin()
    return one


def test_a_file_is_whole_when_it_has_not_changed_for_a_while(tmp_path: Path) -> None:
    here = site(tmp_path)
    path = here.put("a.xml", "ha")
    assert here.look() == here.look(6) == []
    path.write_text("half")
    assert here.look(6) == here.look(6) == []
    path.write_text("half and half")
    assert here.look(6) == here.look(6) == []
    assert here.look(6) == ["a.xml"]
    assert here.taken == [("a.xml", b"half and half")]
    assert here.there() == [f"done/{TODAY}/a.xml"]
    assert here.look(20) == []


def test_one_that_changes_while_it_is_read_is_not_taken(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename")
    here.put("a.xml")

    class Changing(LocalPlace):
        def read(self, path: str, most: int) -> bytes:
            content = super().read(path, most)
            (tmp_path / path).write_text("something else")
            return content

    here.place = Changing(tmp_path)
    here.begin()
    assert here.look() == []
    here.place = LocalPlace(tmp_path)
    here.begin()
    assert here.look() == ["a.xml"]


@pytest.mark.parametrize("marker", ["a.xml.ok", "a.ok"])
def test_a_marker_says_that_a_file_is_whole_and_goes_with_it(tmp_path: Path, marker: str) -> None:
    here = site(tmp_path, whole="marker")
    here.put("a.xml")
    assert here.look() == here.look(1000) == []
    here.put(marker, "")
    assert here.look() == ["a.xml"]
    assert here.there() == [f"done/{TODAY}/a.xml"]


def test_unfinished_names_are_not_looked_at(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename")
    for name in ("a.xml.tmp", "b.part", ".hidden.xml", "c.filepart", "d~"):
        here.put(name)
    assert here.look() == []
    (tmp_path / "a.xml.tmp").rename(tmp_path / "a.xml")
    assert here.look() == ["a.xml"]


def test_order_is_by_name_or_by_time(tmp_path: Path) -> None:
    for folder, order, expected in (("n", "name", ["a", "b", "c"]), ("t", "time", ["c", "a", "b"])):
        here = site(tmp_path / folder, whole="rename", order=order)
        for number, name in enumerate(("c", "a", "b")):
            os.utime(here.put(name), (1000 + number, 1000 + number))
        assert here.look() == expected


def test_patterns_and_subfolders(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename", patterns=("*.xml", "lis/*.hl7"), subfolders=True)
    for name in ("a.xml", "a.txt", "lis/b.hl7", "ris/c.hl7", "ris/d.xml", "done/2020-01-01/e.xml", "refused/f.xml"):
        here.put(name)
    assert here.look() == ["a.xml", "lis/b.hl7", "ris/d.xml"]
    assert f"done/{TODAY}/lis/b.hl7" in here.there()
    flat = site(tmp_path / "ris", whole="rename")
    assert flat.look() == ["c.hl7"]


def test_deleted_where_the_settings_say_so(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename", after="delete")
    here.put("a")
    assert here.look() == ["a"]
    assert here.there() == []


def test_left_files_are_remembered_also_over_a_restart(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename", after="leave")
    path = here.put("a", "one")
    assert here.look() == ["a"]
    assert here.look() == []
    here.begin()
    assert here.look() == []
    path.write_text("two!")
    assert here.look() == ["a"]
    assert here.told == ["version"]
    assert here.there() == ["a"]


def test_other_bytes_under_one_name_are_a_new_version_and_the_same_ones_nothing(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename")
    for content in ("one", "one", "two"):
        here.put("a.xml", content)
        here.look(1)
    assert [content for _, content in here.taken] == [b"one", b"two"]
    assert here.told == ["version"]
    assert here.there() == [f"done/{TODAY}/a.xml", f"done/{TODAY}/a~2.xml", f"done/{TODAY}/a~3.xml"]
    assert here.collector.counts.versions == 1


def test_what_was_kept_when_we_died_is_put_away_and_not_taken_again(tmp_path: Path) -> None:
    here = site(tmp_path, whole="marker")

    class Dying(LocalPlace):
        def move(self, path: str, to: str) -> None:
            raise KeyboardInterrupt

    here.place = Dying(tmp_path)
    here.begin()
    here.put("a.xml", "one")
    here.put("a.xml.ok", "")
    with pytest.raises(KeyboardInterrupt):
        here.look()
    assert here.there() == ["a.xml"], "the marker goes first"
    here.place = LocalPlace(tmp_path)
    here.begin()
    here.look()
    assert [content for _, content in here.taken] == [b"one"]
    assert here.there() == [f"done/{TODAY}/a.xml"]


def test_a_marker_does_not_vouch_for_the_next_file_of_that_name(tmp_path: Path) -> None:
    here = site(tmp_path, whole="marker")
    here.put("a.xml", "one")
    here.put("a.xml.ok", "")
    assert here.look() == ["a.xml"]
    here.put("a.xml", "tw")  # half of the next
    assert here.look(1000) == []


def test_a_half_file_with_the_looks_of_one_that_was_taken_is_not_taken(tmp_path: Path) -> None:
    """A file server that keeps whole seconds: the same size, the same second, other bytes, and no marker yet."""
    here = site(tmp_path, whole="marker")
    first = here.put("a.xml", "one")
    os.utime(first, (1000, 1000))
    here.put("a.xml.ok", "")
    assert here.look() == ["a.xml"]
    os.utime(here.put("a.xml", "two"), (1000, 1000))
    assert here.look() == []
    assert (tmp_path / "a.xml").read_text() == "two"


def test_nothing_is_moved_when_nothing_could_be_kept(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename")
    here.put("a")

    def full(file: Picked) -> Away:
        raise InboxFull("the disk is full")

    here.answer = full
    with pytest.raises(InboxFull):
        here.look()
    assert here.there() == ["a"]
    assert here.collector.counts.problem == "the disk is full"
    here.answer = lambda file: Away()
    assert here.look() == ["a"]


def test_what_cannot_be_read_is_refused_with_its_reasons_in_both_languages(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename")
    here.answer = lambda file: FileRefused(reason("unreadable", "not well-formed XML at line 3, column 7"))
    here.put("张三.xml", "PATIENT-CANARY")
    assert here.look() == []
    assert here.there() == ["refused/张三.xml", "refused/张三.xml.reason.txt"]
    said = (tmp_path / "refused/张三.xml.reason.txt").read_text("utf-8-sig")
    assert "内容无法读取" in said
    assert "The content cannot be read: not well-formed XML at line 3, column 7." in said
    assert "CANARY" not in said
    assert here.told == ["refused"]
    assert here.look(1) == []


def test_what_may_be_half_written_is_given_time_before_it_is_refused(tmp_path: Path) -> None:
    here = site(tmp_path, settle=timedelta(seconds=10), patience=timedelta(minutes=5))
    asked: list[bytes] = []

    def judge(file: Picked) -> Away | FileRefused:
        asked.append(file.content)
        return Away() if file.content == b"whole" else FileRefused(reason("unreadable", "half"))

    here.answer = judge
    path = here.put("a", "half")
    for _ in range(20):
        assert here.look(10) == []
    assert here.there() == ["a"]
    assert asked == [b"half"], "it is read again only when it has changed or its time is over"
    path.write_text("whole")
    here.look(1)
    assert here.look(11) == ["a"]
    here.put("b", "half")
    for _ in range(40):
        here.look(10)
    assert "refused/b" in here.there()


def test_a_file_of_which_a_part_was_taken_is_refused_with_what_was_not(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename")
    here.answer = lambda file: Away((reason("conflict", 2, 3), reason("others_taken", 2)))
    here.put("a.hl7")
    here.look()
    assert here.there() == ["refused/a.hl7", "refused/a.hl7.reason.txt"]


def test_too_large_a_file_is_refused_unread(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename")
    here.put("a", "x" * 1001)
    assert here.look() == []
    assert here.there() == ["refused/a", "refused/a.reason.txt"]


def test_a_folder_that_may_only_be_read(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename", after="leave")
    here.answer = lambda file: FileRefused(reason("empty"))
    here.put("a")
    here.look()
    here.begin()
    here.look(1)
    assert here.there() == ["a"]
    assert here.told == ["refused"], "it is remembered, and told once"


def test_one_that_cannot_be_put_away_is_told_once_tried_again_and_taken_once(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename")

    class Stubborn(LocalPlace):
        def move(self, path: str, to: str) -> None:
            raise NoPermission("permission denied")

    here.place = Stubborn(tmp_path)
    here.begin()
    here.put("a")
    assert here.look() == ["a"]
    assert here.look(1) == here.look(70) == []
    assert (here.told, here.collector.counts.stuck) == (["stuck"], 1)
    assert "cannot be put away" in here.collector.counts.problem
    here.collector._place = LocalPlace(tmp_path)
    assert here.look(1) == []
    assert here.there() == ["a"], "not at each look"
    assert here.look(60) == []
    assert here.collector.counts.stuck == 0
    assert here.there() == [f"done/{TODAY}/a"]


def test_links_are_left_and_counted(tmp_path: Path) -> None:
    here = site(tmp_path / "in", whole="rename")
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "in" / "a.xml").symlink_to(tmp_path / "secret")
    assert here.look() == []
    assert here.collector.counts.skipped == 1
    assert (tmp_path / "secret").read_text() == "secret"


def test_thousands_of_files_in_one_look(tmp_path: Path) -> None:
    here = site(tmp_path, whole="rename")
    for number in range(3000):
        (tmp_path / f"{number:05}.xml").write_bytes(b"%d" % number)
    assert here.look() == [f"{number:05}.xml" for number in range(3000)]
    assert not list(tmp_path.glob("*.xml"))


def test_a_folder_that_is_away_is_told(tmp_path: Path) -> None:
    here = site(tmp_path / "nowhere")
    with pytest.raises(PlaceError, match="no such folder"):
        here.look()
    assert "no such folder" in here.collector.counts.problem
