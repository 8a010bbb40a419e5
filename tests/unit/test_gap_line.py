"""The line between two halves: what a ferry may do with files, and what is refused. Two spools, real folders, a clock of the test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from frontend_agent.config_gap import GapConfig
from frontend_agent.config_types import Size
from frontend_agent.crossing import line as lines
from frontend_agent.crossing.facts import ahead_of, proven_skew, told_line
from frontend_agent.crossing.line import Line
from frontend_agent.spool import Spool
from frontend_agent.spool.gap_keys import own_half
from frontend_agent.wire.bundles import Role, seal
from frontend_agent.wire.crossing import Index, pack
from tests.gap_kit import Ferry

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
LATE, AGAIN = timedelta(seconds=60), timedelta(minutes=10)


class End:
    """One half: its spool, its line, and what was put back by it."""

    def __init__(self, folder: Path, role: Role, clock: Clock, largest: int = 256 << 10) -> None:
        self.folder, self.role, self.clock = folder, role, clock
        self.config = GapConfig(
            role=role,
            out=str(folder / role / "out"),
            in_=str(folder / role / "in"),
            largest=Size(largest),
            late=LATE,
            again=AGAIN,
        )
        for way in ("out", "in"):
            (folder / role / way).mkdir(parents=True, exist_ok=True)
        self.state = folder / f"{role}-state"
        self.half = own_half(self.state, role, "", str, make=True)
        self.anew = 0
        self.spool = Spool(self.state).open()

    def join(self, other: End) -> None:
        self.other = other
        self.line = Line(
            self.config, self.spool.gap, self.half, other.half.public, lambda: self.clock.now(self.role), self._anew
        )

    def _anew(self) -> None:
        self.anew += 1

    def lose(self) -> None:
        """An empty half with the same keys."""
        self.spool.close()
        for path in self.state.glob("spool.db*"):
            path.unlink()
        self.spool = Spool(self.state).open()
        self.join(self.other)

    def restart(self) -> None:
        self.spool.close()
        self.spool = Spool(self.state).open()
        self.join(self.other)

    def took(self) -> list[bytes]:
        """Everything that came whole since the last time, in order; it is done with."""
        found = []
        while some := self.line.items(100):
            found += [item for _, item in some]
            self.line.done(*(number for number, _ in some))
        return found

    def files(self, way: str) -> list[Path]:
        return sorted(path for path in (self.folder / self.role / way).iterdir() if path.is_file())

    def aside(self) -> list[str]:
        folder = self.folder / self.role / "in" / "set-aside"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    @property
    def told(self) -> dict[str, object]:
        return told_line(
            self.config, self.spool.gap, ("a" * 32, "b" * 32), self.line.problems, (), self.clock.now(self.role)
        )


class Clock:
    """Both halves' clocks: the outer one is `ahead`."""

    def __init__(self) -> None:
        self.at, self.ahead = START, timedelta()

    def now(self, role: Role) -> datetime:
        return self.at + (self.ahead if role == "outer" else timedelta())

    def on(self, **span: float) -> None:
        self.at += timedelta(**span)


class Both:
    def __init__(self, folder: Path, largest: int = 256 << 10) -> None:
        self.clock = Clock()
        self.inner, self.outer = (End(folder, role, self.clock, largest) for role in ("inner", "outer"))
        self.inner.join(self.outer)
        self.outer.join(self.inner)
        self.out = Ferry(folder / "inner/out", folder / "outer/in")
        self.back = Ferry(folder / "outer/out", folder / "inner/in")

    def round(self, seconds: float = 3.0) -> None:
        """Both look, the ferry goes once both ways, both look again."""
        for _ in range(2):
            self.inner.line.turn()
            self.outer.line.turn()
            self.out.trip(self.clock.at.timestamp())
            self.back.trip(self.clock.at.timestamp())
            self.clock.on(seconds=seconds)

    def close(self) -> None:
        self.inner.spool.close()
        self.outer.spool.close()


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    yield made
    made.close()


def test_what_is_sent_comes_once_and_in_order_and_is_forgotten_when_it_is_acknowledged(both: Both) -> None:
    for number in range(5):
        both.inner.line.send([b"request %d" % number])
    both.round()
    assert both.outer.took() == [b"request %d" % number for number in range(5)]
    both.round()
    told = both.inner.told
    assert (told["sent"], told["acknowledged"], told["unacknowledged"]) == (5, 5, 0)
    assert not both.inner.files("out")
    assert both.outer.took() == []


def test_a_ferry_that_copies_instead_of_moving_makes_no_second_effect(both: Both, tmp_path: Path) -> None:
    both.inner.line.send([b"once"])
    both.inner.line.turn()
    [file] = both.inner.files("out")
    for _ in range(3):
        (tmp_path / "outer/in" / file.name).write_bytes(file.read_bytes())
        both.outer.line.turn()
    assert both.outer.took() == [b"once"]
    assert both.outer.told["duplicates"] == 2
    both.round()
    assert not both.inner.files("out"), "what came is taken out of the folder, though the ferry left it"


def test_what_came_too_early_waits(both: Both, tmp_path: Path) -> None:
    for number in range(1, 4):
        both.inner.line.send([b"%d" % number])
    both.inner.line.turn()
    first, second, third = both.inner.files("out")
    for file in (third, second):
        file.rename(tmp_path / "outer/in" / file.name)
        both.outer.line.turn()
    assert both.outer.took() == []
    assert (both.outer.told["received"], both.outer.told["highest"], both.outer.told["missing"]) == (0, 3, [1])
    first.rename(tmp_path / "outer/in" / first.name)
    both.outer.line.turn()
    assert both.outer.took() == [b"1", b"2", b"3"]


def test_a_lost_one_is_asked_for_and_sent_again_with_the_same_bytes(both: Both) -> None:
    both.inner.line.send([b"1"])
    both.inner.line.turn()
    [lost] = both.inner.files("out")
    before = lost.read_bytes()
    lost.unlink()
    both.inner.line.send([b"2"])
    both.round()
    assert both.outer.took() == []
    both.clock.on(seconds=61)
    both.outer.line.turn()
    both.back.trip(both.clock.at.timestamp())
    both.inner.line.turn()
    [again] = both.inner.files("out")
    assert (again.name, again.read_bytes()) == (lost.name, before)
    both.round()
    assert both.outer.took() == [b"1", b"2"]


def test_the_last_one_of_a_silent_stretch_goes_again_by_itself(both: Both) -> None:
    both.inner.line.send([b"the last"])
    both.inner.line.turn()
    [lost] = both.inner.files("out")
    lost.unlink()
    both.round()
    assert both.outer.took() == []
    both.clock.on(minutes=10)
    both.round()
    assert both.outer.took() == [b"the last"]
    assert both.inner.told["resent"] == 1


def test_an_acknowledgement_that_was_lost_is_made_up_for(both: Both) -> None:
    both.inner.line.send([b"1"])
    both.round()
    for file in both.outer.files("out"):
        file.unlink()
    both.inner.line.turn()
    both.clock.on(minutes=10)
    both.round()
    both.round()
    assert both.outer.took() == [b"1"]
    assert both.inner.told["unacknowledged"] == 0


def test_acknowledgements_alone_do_not_answer_one_another_for_ever(both: Both) -> None:
    both.inner.line.send([b"1"])
    for _ in range(20):
        both.round(seconds=60)
    assert both.inner.told["sent"] == 1
    assert both.outer.told["sent"] == 1


@pytest.mark.parametrize("seed", range(2))
def test_whatever_a_ferry_does_all_comes_once_and_in_order(tmp_path: Path, seed: int) -> None:
    both, random = Both(tmp_path), Random(seed)
    for ferry in (both.out, both.back):
        ferry.random, ferry.delay, ferry.duplicates, ferry.loses = Random(random.random()), 100.0, 0.15, 0.2
    sent: dict[str, list[bytes]] = {"inner": [], "outer": []}
    came: dict[str, list[bytes]] = {"inner": [], "outer": []}
    for step in range(500):
        for end in (both.inner, both.outer):
            if step < 40 and random.random() < 0.5:
                item = random.randbytes(random.choice((10, 3000, 270_000)))
                end.line.send([item])
                sent[end.role].append(item)
            if random.random() < 0.05:
                end.restart()
            came[end.role] += end.took()
        both.round(seconds=20)
        if step > 40 and came["outer"] == sent["inner"] and came["inner"] == sent["outer"]:
            break
    assert came["outer"] == sent["inner"]
    assert came["inner"] == sent["outer"]
    assert both.out.lost, "the ferry lost some"
    assert both.out.twice, "and brought some twice"
    both.close()


def test_what_is_longer_than_a_file_may_be_goes_in_several(both: Both) -> None:
    item = Random(3).randbytes(1_000_000)
    both.inner.line.send([b"before", item, b"after"])
    both.inner.line.turn()
    assert all(path.stat().st_size <= (256 << 10) + lines.SEALED_MORE for path in both.inner.files("out"))
    assert len(both.inner.files("out")) > 4
    both.round()
    assert both.outer.took() == [b"before", item, b"after"]


def test_a_file_that_is_not_whole_yet_is_left_alone_and_one_that_stays_so_is_set_aside(
    both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.inner.line.send([b"1"])
    both.inner.line.turn()
    [file] = both.inner.files("out")
    whole = file.read_bytes()
    there = tmp_path / "outer/in" / file.name
    there.write_bytes(whole[:50])
    both.outer.line.turn()
    assert there.exists()
    there.write_bytes(whole)
    both.outer.line.turn()
    assert both.outer.took() == [b"1"]
    monkeypatch.setattr(lines, "SETTLED", 0.0)
    (tmp_path / "outer/in/cut.feb").write_bytes(whole[:50])
    both.outer.line.turn()
    assert [name.partition("-")[2] for name in both.outer.aside()] == ["cut.feb"]


def test_foreign_files_are_set_aside_and_stop_nobody(
    both: Both, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "outer/in"
    (folder / "0-report.docx").write_bytes(b"PK somebody's")
    (folder / "large.feb").write_bytes(bytes(600 << 10))
    (folder / "not-yet.part").write_bytes(b"the ferry is writing")
    (folder / ".hidden").write_bytes(b"")
    both.inner.line.send([b"1"])
    both.round()
    assert both.outer.took() == [b"1"]
    assert sorted(name.partition("-")[2] for name in both.outer.aside()) == ["0-report.docx", "large.feb"]
    assert "gap.set_aside" in caplog.text
    assert "0-report.docx" in caplog.text
    assert (folder / "not-yet.part").exists()


def laid(both: Both, number: int, content: bytes, maker: End | None = None, stream: str = "") -> None:
    """A bundle in the outer half's folder, as who has the inner half's keys could make it."""
    maker = maker or both.inner
    state = both.inner.spool.gap.state()
    assert state is not None
    index = Index(at=both.clock.at.isoformat())
    file = seal(
        maker.half, both.outer.half.public, stream or state.stream, number, pack(index, [(content, True)]),
        X25519PrivateKey.generate(), "AES-256-GCM",
    )  # fmt: skip
    (both.outer.folder / f"outer/in/forged-{number}.feb").write_bytes(file)


def test_a_number_that_comes_with_other_bytes_stops_the_direction_until_a_person_begins_it_anew(both: Both) -> None:
    both.inner.line.send([b"ours"])
    both.round()
    assert both.outer.took() == [b"ours"]
    laid(both, 1, b"somebody in our name")
    both.outer.line.turn()
    assert "number 1" in str(both.outer.told["stopped"])
    assert len(both.outer.aside()) == 1
    both.inner.line.send([b"more"])
    both.round()
    both.round()
    assert both.outer.took() == [], "nothing more is taken"
    assert both.inner.told["stopped_there"], "and the inner half knows why"
    both.outer.line.begin_anew("王芳")
    both.inner.anew = 0
    both.round()
    both.round()
    assert both.inner.anew == 1, "all that was on its way goes again"
    both.inner.line.send([b"again"])
    both.round()
    assert both.outer.took() == [b"again"]
    told = [json.loads(entry.body) for entry in both.outer.spool.log_entries()]
    assert [one["event"] for one in told if "gap" in one["event"]] == ["gap stopped", "gap began anew"]


def test_a_replay_of_an_old_bundle_has_no_effect(both: Both, tmp_path: Path) -> None:
    both.inner.line.send([b"1"])
    both.inner.line.turn()
    [file] = both.inner.files("out")
    old = file.read_bytes()
    both.round()
    assert both.outer.took() == [b"1"]
    (tmp_path / "outer/in" / file.name).write_bytes(old)
    both.outer.line.turn()
    assert both.outer.took() == []
    both.inner.line.begin_anew("王芳")
    both.round()
    both.outer.line.turn()  # hears of the new life
    (tmp_path / "outer/in" / file.name).write_bytes(old)
    both.outer.line.turn()
    assert both.outer.took() == []
    assert len(both.outer.aside()) == 1, "of a life that is over"


def test_bundles_of_another_key_or_the_other_way_are_set_aside(
    both: Both, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = End(tmp_path / "stranger", "inner", both.clock)
    laid(both, 1, b"x", stranger)
    both.outer.line.turn()
    assert "another-key" in caplog.text
    both.outer.line.send([b"inward"])
    both.outer.line.turn()
    [own] = both.outer.files("out")
    own.rename(tmp_path / "outer/in" / own.name)
    both.outer.line.turn()
    assert "other-direction" in caplog.text
    assert both.outer.took() == []
    stranger.spool.close()


def test_a_lost_outer_half_is_replaced_by_an_empty_one(both: Both) -> None:
    for number in range(3):
        both.inner.line.send([b"%d" % number])
    both.round()
    both.round()
    assert len(both.outer.took()) == 3
    both.outer.lose()
    both.inner.line.send([b"after"])
    both.round()
    both.clock.on(seconds=61)
    both.round()
    both.round()
    assert both.inner.anew == 1, "what was not answered is sent again by who knows it"
    both.inner.line.send([b"all again"])
    both.round()
    assert both.outer.took()[-1] == b"all again"
    both.outer.line.send([b"answer"])
    both.round()
    assert both.inner.took() == [b"answer"]


def test_a_half_that_is_paired_with_another_begins_anew(both: Both, tmp_path: Path) -> None:
    both.inner.line.send([b"1"])
    both.round()
    other = End(tmp_path / "new", "outer", both.clock)
    both.inner.join(other)
    assert both.inner.anew == 1
    assert both.inner.told["sent"] == 0
    other.spool.close()


def test_a_full_or_missing_folder_is_told_and_waited_for(both: Both, tmp_path: Path) -> None:
    (tmp_path / "inner/out").rename(tmp_path / "away")
    both.inner.line.send([b"1"])
    both.inner.line.turn()
    assert "no such folder" in str(both.inner.told["problems"])
    (tmp_path / "away").rename(tmp_path / "inner/out")
    both.round()
    assert both.outer.took() == [b"1"]
    assert both.inner.told["problems"] == {}


def test_clocks_that_differ_are_told_as_far_as_it_is_proven(both: Both) -> None:
    both.clock.ahead = timedelta(minutes=7)
    for _ in range(3):
        both.inner.line.send([b"1"])
        both.outer.line.send([b"2"])
        both.round(seconds=10)
    least, most = ahead_of(both.inner.spool.gap.state())
    assert least is not None
    assert most is not None
    assert timedelta(minutes=6) < least <= timedelta(minutes=7) <= most < timedelta(minutes=8)
    assert proven_skew(least, most) == least
    back = proven_skew(*ahead_of(both.outer.spool.gap.state()))
    assert timedelta(minutes=-8) < back < timedelta(minutes=-6)


def test_clocks_that_may_be_equal_are_not_said_to_differ(both: Both) -> None:
    for _ in range(3):
        both.inner.line.send([b"1"])
        both.outer.line.send([b"2"])
        both.round(seconds=600)
    assert proven_skew(*ahead_of(both.inner.spool.gap.state())) == timedelta()
