"""What is picked up from a place: whole, in order, never twice; and put away only when it is kept.

    look ─▶ whole? ─▶ read ─▶ take (durable) ─▶ remember ─▶ away: done/ by day · removed · left and known

Nothing is lost and nothing has two effects, wherever we die:

    before `take` is durable     the file is where it was, and is read again
    between take and away        it is read again, and whoever takes it answers that it has it already; then it is put away
    between marker and file      the marker goes first, so that it never vouches for the next file of that name; what is known
                                 here needs no marker to be put away

Times of the place are compared with each other and never with our clock: a file server keeps its own.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec

from connectors.arrivals import InboxFull
from connectors.folders.place import FILE, FOLDER, Gone, NoPermission, Place, PlaceError, Seen, Taken, TooLarge
from connectors.folders.reasons import FileRefused, Reason, reason, reason_file
from frontend_agent.config_files import Picking

DEEPEST = 16  # folders below the place
MOST = 100_000  # files of one look; what is beyond has its turn when these are away
FILES_AT_ONCE = 200  # handed over together
BYTES_AT_ONCE = 32 << 20
REMIND_EVERY = 3600.0  # seconds
STUCK_FOR = 60.0  # seconds until a file that cannot be put away is tried again
REASON = ".reason.txt"
SAME_NAMES = 1_000  # files of one name put away on one day


class Known(msgspec.Struct, frozen=True):
    """A file that was taken (or refused, where it had to be left): by its path, how it looked, and what it held."""

    path: str
    size: int
    changed: int
    sha256: str
    taken_at: datetime
    refused: bool = False


class Memory(Protocol):
    """What was picked up, beyond a restart."""

    def known(self, paths: Sequence[str]) -> Mapping[str, Known]: ...

    def remember(self, files: Sequence[Known]) -> None: ...

    def forget(self, before: datetime) -> None:
        """Drop what was not there any more before that time."""

    def still_there(self, paths: Sequence[str], at: datetime) -> None:
        """These lie there still: they are not forgotten."""


class InMemory:
    """A memory that ends with the process: for probes, and where files are moved away anyway."""

    def __init__(self) -> None:
        self._files: dict[str, Known] = {}

    def known(self, paths: Sequence[str]) -> Mapping[str, Known]:
        return {path: self._files[path] for path in paths if path in self._files}

    def remember(self, files: Sequence[Known]) -> None:
        self._files.update((file.path, file) for file in files)

    def forget(self, before: datetime) -> None:
        self._files = {path: file for path, file in self._files.items() if file.taken_at >= before}

    def still_there(self, paths: Sequence[str], at: datetime) -> None:
        for path in paths:
            if path in self._files:
                self._files[path] = msgspec.structs.replace(self._files[path], taken_at=at)


class Picked(msgspec.Struct, frozen=True):
    """A file that is whole, with its bytes."""

    path: str
    content: bytes
    sha256: str
    again: bool = False  # a file of that name was taken before, with other bytes
    drop: Callable[[], None] = lambda: None  # nothing is to come of it after all


class Away(msgspec.Struct, frozen=True):
    """What became of a file. Without reasons it was taken, and what was taken is on the disk."""

    reasons: tuple[Reason, ...] = ()


class Later(msgspec.Struct, frozen=True):
    """It waits for something that is not there yet: it is left, and read again in so many seconds. How long it may wait, its taker
    says: Away with reasons then."""

    seconds: float
    since: datetime  # by the taker's memory: a restart begins nothing anew


Take = Callable[[Sequence[Picked]], Sequence[Away | FileRefused | Later]]


class Loaded(msgspec.Struct, frozen=True):
    """A file that was read to its end: its bytes, or where they are by now."""

    size: int
    sha256: str
    content: bytes = b""
    drop: Callable[[], None] = lambda: None  # nothing is to come of it after all


Load = Callable[[str, int], Loaded]  # path, bytes at most; FileRefused, TooLarge, PlaceError


@dataclass
class Counts:
    """How picking up has gone, since the start."""

    taken: int = 0
    refused: int = 0
    versions: int = 0  # files whose name had been taken with other bytes
    skipped: int = 0  # at the last look: links, devices, names that are none
    waiting: int = 0  # at the last look: not whole yet, or for what is not there yet
    for_later: int = 0  # of them: whole, and waiting for what is not there yet
    waits_since: str = ""  # the one of those that has waited longest
    problem: str = ""  # of the last look
    looked_at: str = ""
    stuck: int = 0  # taken, and could not be put away


@dataclass
class _Watched:
    """A file that is not known to be whole yet."""

    size: int
    changed: int
    since: float  # on our own monotonic clock: as it is now
    is_doubtful: bool = False  # it was read, and could not be: it may be half a file


@dataclass
class _Look:
    """What one look found."""

    files: list[Seen] = field(default_factory=list)
    markers: dict[str, str] = field(default_factory=dict)  # what a marker vouches for -> the marker
    skipped: int = 0


@dataclass(frozen=True)
class _Whole:
    """A file that may be read now, and what is known of it. `vouched`: it is whole by the settings, and not by what is known."""

    seen: Seen
    known: Known | None
    vouched: bool


class Collector:
    """One place and what is picked up from it. Used by one thread."""

    def __init__(
        self,
        place: Place,
        picking: Picking,
        largest: int,
        take: Take,
        memory: Memory,
        clock: Callable[[], datetime],
        timezone: str = "Asia/Shanghai",
        monotonic: Callable[[], float] = time.monotonic,
        told: Callable[[str, str, Sequence[Reason]], None] = lambda what, digest, reasons: None,
        term: timedelta = timedelta(days=30),
        load: Load | None = None,
    ) -> None:
        """`load` reads a file where it is not to be held in memory; what it gives is dropped, or is part of what `take` gets next.

        `take` makes files durable before it returns, and may answer that it has them already; InboxFull: none of these.

        `told`: "refused", "version" or "stuck", by a file's digest: names of files may name patients.
        `term`: how long a file is known that is not there any more."""
        self._place, self._picking, self._largest = place, picking, largest
        self._take, self._memory, self._clock, self._monotonic, self._told = take, memory, clock, monotonic, told
        self._load = load or self._whole_file
        self._zone = ZoneInfo(timezone)
        self._watched: dict[str, _Watched] = {}
        self._open: dict[str, tuple[Seen, Picked, Mapping[str, str]]] = {}  # peeked at, and not settled
        self._stuck: dict[str, float] = {}  # taken and still there, and told: when it is tried again
        self._later: dict[str, tuple[Seen, datetime, float]] = {}  # waits: as it is, since when, when it is read again
        self._term, self._reminded = term, -REMIND_EVERY
        self.counts = Counts()

    def look(self, is_stopping: Callable[[], bool] = lambda: False) -> int:
        """One look: everything that is whole is taken and put away. How many files. PlaceError, InboxFull: as far as it got."""
        self.counts.looked_at = self._clock().isoformat(timespec="seconds")
        self.counts.problem = ""
        try:
            return self._look(is_stopping)
        except (PlaceError, InboxFull) as error:
            self.counts.problem = str(error) or "nothing more can be kept now"
            raise

    def _look(self, is_stopping: Callable[[], bool]) -> int:
        found = self._listed()
        self.counts.skipped = found.skipped
        here = {file.path for file in found.files}
        self._watched = {path: watched for path, watched in self._watched.items() if path in here}
        self._stuck = {path: again for path, again in self._stuck.items() if path in here}
        self._later = {path: waits for path, waits in self._later.items() if path in here}
        count = 0
        for files in _together(self._whole(found)):
            if is_stopping():
                break
            count += self._pick_up(files, found.markers)
        self.counts.stuck = len(self._stuck)
        self.counts.for_later = len(self._later)
        since = min((since for _, since, _ in self._later.values()), default=None)
        self.counts.waits_since = since.astimezone(self._zone).isoformat(timespec="seconds") if since else ""
        self._remind(here)
        return count

    # -- in two steps: for who makes it durable later

    def peek(self) -> list[Picked]:
        """The first files that are whole, as many as are handed over together. None of them is put away before `settle`."""
        found = self._listed()
        here = {file.path for file in found.files}
        self._watched = {path: watched for path, watched in self._watched.items() if path in here}
        self._remind(here)
        for files in _together(self._whole(found)):
            read = self._read_all(files, found.markers)
            if read:
                self._open = {picked.path: (seen, picked, found.markers) for seen, picked in read}
                return [picked for _, picked in read]
        return []

    def settle(self, path: str, answer: Away | FileRefused) -> None:
        """What became of a file that `peek` gave: durable by now, or refused."""
        seen, picked, markers = self._open.pop(path)
        self._settle([(seen, picked)], [answer], markers)

    # -- looking

    def _listed(self) -> _Look:
        look = _Look()
        self._list("", 0, look)
        if self._picking.order == "time":
            look.files.sort(key=lambda file: (file.changed, file.path))
        else:
            look.files.sort(key=lambda file: file.path)
        return look

    def _list(self, folder: str, depth: int, look: _Look) -> None:
        inside: list[str] = []
        for seen in self._place.entries(folder):
            name = seen.path.rpartition("/")[2]
            if seen.what == FOLDER:
                if self._picking.subfolders and not name.startswith(".") and not self._is_ours(seen.path):
                    inside.append(seen.path)
            elif name.startswith(".") or name.endswith((*self._picking.ignore, REASON)):
                continue
            elif seen.what != FILE:
                look.skipped += 1
            elif self._picking.whole == "marker" and name.endswith(self._picking.marker):
                look.markers[seen.path.removesuffix(self._picking.marker)] = seen.path
            elif len(look.files) < MOST and self._is_wanted(seen.path, name):
                look.files.append(seen)
        for path in sorted(inside):
            if depth < DEEPEST and len(look.files) < MOST:
                with suppress(Gone, NoPermission):  # a folder that somebody moved away, or that is not for us
                    self._list(path, depth + 1, look)

    def _is_ours(self, path: str) -> bool:
        return any(path == own or path.startswith(own + "/") for own in (self._picking.done, self._picking.refused))

    def _is_wanted(self, path: str, name: str) -> bool:
        return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in self._picking.patterns)

    def _whole(self, look: _Look) -> list[_Whole]:
        """The files that may be read now, in order."""
        whole: list[_Whole] = []
        waiting = 0
        for some in _pieces(look.files, 1_000):
            known = self._memory.known([file.path for file in some])
            for file in some:
                had = known.get(file.path)
                is_same = had is not None and (had.size, had.changed) == (file.size, file.changed)
                if is_same and had is not None and (self._picking.after == "leave" or had.refused):
                    continue  # taken, or refused where it could not be moved: until it is another file
                if is_same and self._stuck.get(file.path, 0.0) > self._monotonic():
                    self.counts.problem = self.counts.problem or "a file that was taken cannot be put away"
                    continue
                if self._waits_for_later(file):
                    waiting += 1
                    continue
                vouched = self._is_whole(file, look.markers)
                if vouched or is_same:  # taken, and we died before it was away
                    whole.append(_Whole(file, had, vouched))
                else:
                    waiting += 1
        self.counts.waiting = waiting
        return whole

    def _is_whole(self, file: Seen, markers: Mapping[str, str]) -> bool:
        if self._picking.whole == "rename":
            return True
        if self._picking.whole == "marker":
            return _marker_of(file.path, markers) is not None
        unchanged = self._unchanged_for(file)
        if self._watched[file.path].is_doubtful:
            return unchanged >= self._picking.patience.total_seconds()
        return unchanged >= self._picking.settle.total_seconds()

    def _unchanged_for(self, file: Seen) -> float:
        """Seconds that a file has looked the same, by our own clock; -1 at first sight."""
        now, watched = self._monotonic(), self._watched.get(file.path)
        if watched is None or (watched.size, watched.changed) != (file.size, file.changed):
            self._watched[file.path] = _Watched(file.size, file.changed, now)
            return -1.0
        return now - watched.since

    # -- picking up

    def _pick_up(self, files: Sequence[_Whole], markers: Mapping[str, str]) -> int:
        read = self._read_all(files, markers)
        if not read:
            return 0
        answers = self._take([picked for _, picked in read])
        return self._settle(read, answers, markers)

    def _read_all(self, files: Sequence[_Whole], markers: Mapping[str, str]) -> list[tuple[Seen, Picked]]:
        read: list[tuple[Seen, Picked]] = []
        try:
            for file in files:
                picked = self._read(file, markers)
                if picked is None:
                    continue
                if file.known is not None and file.known.sha256 == picked.sha256 and not file.known.refused:
                    picked.drop()
                    self._put_away(file.seen, picked, markers)  # taken before: the same name, the same bytes
                elif file.vouched:
                    read.append((file.seen, picked))
                else:
                    picked.drop()
        except BaseException:
            for _, picked in read:
                picked.drop()
            raise
        return read

    def _settle(
        self,
        read: Sequence[tuple[Seen, Picked]],
        answers: Sequence[Away | FileRefused | Later],
        markers: Mapping[str, str],
    ) -> int:
        taken = []
        for (seen, picked), answer in zip(read, answers, strict=True):
            if isinstance(answer, Later):
                self._put_off(seen, answer)
                continue
            self._later.pop(seen.path, None)
            if isinstance(answer, FileRefused):
                self._refuse(seen, picked.sha256, answer.reasons, markers)
            elif answer.reasons:
                self._refuse(seen, picked.sha256, answer.reasons, markers, partly=True)
            else:
                taken.append((seen, picked))
        at = self._clock()
        self._memory.remember([Known(seen.path, seen.size, seen.changed, picked.sha256, at) for seen, picked in taken])
        for seen, picked in taken:
            self.counts.taken += 1
            if picked.again:
                self.counts.versions += 1
                self._told("version", picked.sha256, ())
            self._put_away(seen, picked, markers)
        return len(taken)

    def _waits_for_later(self, file: Seen) -> bool:
        """Whether it waits, and is not to be read yet. Another file of that name waits for nothing."""
        waits = self._later.get(file.path)
        if waits is None:
            return False
        seen, _, again = waits
        if (seen.size, seen.changed) != (file.size, file.changed):
            del self._later[file.path]
            return False
        return again > self._monotonic()

    def _put_off(self, seen: Seen, later: Later) -> None:
        self._later[seen.path] = (seen, later.since, self._monotonic() + later.seconds)
        self.counts.waiting += 1

    def _read(self, whole: _Whole, markers: Mapping[str, str]) -> Picked | None:
        """The file with its bytes; None where it is not whole after all, is gone, or was refused."""
        file = whole.seen
        try:
            loaded = self._load(file.path, self._largest)
            after = self._place.look(file.path)
        except Gone:
            return None
        except FileRefused as refused:
            self._refuse(file, "", refused.reasons, markers)
            return None
        except TooLarge:
            self._refuse(file, "", (reason("too_large", self._largest),), markers)
            return None
        except NoPermission as error:
            self.counts.problem = str(error)
            return None
        if after is None or (after.size, after.changed) != (file.size, file.changed) or loaded.size != file.size:
            self._watched.pop(file.path, None)  # somebody writes to it: from the beginning
            loaded.drop()
            return None
        again = whole.known is not None and whole.known.sha256 != loaded.sha256
        return Picked(file.path, loaded.content, loaded.sha256, again, loaded.drop)

    def _whole_file(self, path: str, most: int) -> Loaded:
        content = self._place.read(path, most)
        return Loaded(len(content), sha256(content).hexdigest(), content)

    def _has_waited(self, file: Seen) -> bool:
        """Whether what cannot be read may be refused: it is not being written any more, as far as one can know."""
        return self._picking.whole != "settle" or self._unchanged_for(file) >= self._picking.patience.total_seconds()

    # -- putting away

    def _put_away(self, file: Seen, picked: Picked, markers: Mapping[str, str]) -> None:
        """The marker first: it must not vouch for the next file of that name."""
        if self._picking.after == "leave":
            return
        try:
            self._remove_marker(file.path, markers)
            if self._picking.after == "delete":
                self._place.remove(file.path)
            else:
                self._move(file.path, f"{self._picking.done}/{self._today()}/{file.path}")
            self._stuck.pop(file.path, None)
        except Gone:
            return
        except PlaceError as error:
            # It is taken and known: it is tried again later, and no second effect comes of it.
            self.counts.problem = f"a file that was taken cannot be put away: {error}"
            if file.path not in self._stuck:
                self._told("stuck", picked.sha256, ())
            self._stuck[file.path] = self._monotonic() + STUCK_FOR

    def _refuse(
        self, file: Seen, digest: str, reasons: Sequence[Reason], markers: Mapping[str, str], partly: bool = False
    ) -> None:
        """To the refused, with the reasons beside it; where that cannot be, it is left and known."""
        if not partly and not self._has_waited(file):
            self._watched[file.path].is_doubtful = True
            self.counts.waiting += 1
            return
        self.counts.refused += 1
        self._told("refused", digest, reasons)
        if self._picking.after != "leave" and self._moved_to_refused(file, reasons, markers):
            return
        self._memory.remember([Known(file.path, file.size, file.changed, digest, self._clock(), refused=True)])

    def _moved_to_refused(self, file: Seen, reasons: Sequence[Reason], markers: Mapping[str, str]) -> bool:
        at = self._clock().astimezone(self._zone).isoformat(timespec="seconds")
        try:
            self._remove_marker(file.path, markers)
            for name in _names(f"{self._picking.refused}/{file.path}"):
                if self._place.look(name) is None:
                    with suppress(Taken):  # we died when it had been written and the file was not moved
                        self._place.write(name + REASON, reason_file(tuple(reasons), at))
                    self._place.move(file.path, name)
                    return True
        except Gone:
            return True
        except PlaceError as error:
            self.counts.problem = f"a file that was refused cannot be put away: {error}"
        return False

    def _remove_marker(self, path: str, markers: Mapping[str, str]) -> None:
        marker = _marker_of(path, markers)
        if marker is not None:
            self._place.remove(marker)

    def _move(self, path: str, to: str) -> None:
        """Names that are there already are counted up; nothing is replaced."""
        for name in _names(to):
            with suppress(Taken):
                self._place.move(path, name)
                return
        raise Taken(f"{SAME_NAMES} files of one name")

    def _today(self) -> str:
        return self._clock().astimezone(self._zone).date().isoformat()

    def _remind(self, here: Collection[str]) -> None:
        """Now and then: what lies there still stays known, what went long ago is forgotten."""
        now = self._monotonic()
        if now - self._reminded >= REMIND_EVERY:
            self._reminded = now
            at = self._clock()
            self._memory.still_there(sorted(here), at)
            self._memory.forget(at - self._term)


def _marker_of(path: str, markers: Mapping[str, str]) -> str | None:
    """X.xml is vouched for by X.xml.ok, or by X.ok."""
    stem, dot, ending = path.rpartition(".")
    return markers.get(path) or (markers.get(stem) if dot and "/" not in ending else None)


def _names(name: str) -> Iterator[str]:
    """a.xml, a~2.xml, a~3.xml …"""
    yield name
    stem, dot, ending = name.rpartition(".")
    if not dot or "/" in ending:
        stem, dot, ending = name, "", ""
    for number in range(2, SAME_NAMES + 1):
        yield f"{stem}~{number}{dot}{ending}"


def _together(files: Sequence[_Whole]) -> Iterator[list[_Whole]]:
    """Some files at a time, by number and by size; a large one by itself."""
    some: list[_Whole] = []
    size = 0
    for file in files:
        if some and (len(some) >= FILES_AT_ONCE or size + file.seen.size > BYTES_AT_ONCE):
            yield some
            some, size = [], 0
        some.append(file)
        size += file.seen.size
    if some:
        yield some


def _pieces(files: Sequence[Seen], count: int) -> Iterator[Sequence[Seen]]:
    for start in range(0, len(files), count):
        yield files[start : start + count]
