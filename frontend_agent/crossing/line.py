"""One half's end of the line: bundles through two folders, whatever the ferry between them does with files.

    send ─▶ book (numbered, sealed) ─▶ folder out ═ ferry ═ folder in ─▶ verified ─▶ book ─▶ requests or answers, in order

A bundle is the book's before its file is laid, and it is the book's before the file that came is taken away: a process that
is killed anywhere goes on where it was. What was sent is kept, byte for byte, until the other half has it; what came twice
has no second effect; what came too early waits. A file that is no bundle for us is set aside, and stops nothing.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from connectors.folders.place import FILE, PlaceError, Seen, Taken, TooLarge, shown
from connectors.folders.this_machine import LocalPlace
from frontend_agent import __version__
from frontend_agent.config_gap import GapConfig
from frontend_agent.errors import ConfigurationError
from frontend_agent.logs import event, log
from frontend_agent.spool.gap import Gap, LineState
from frontend_agent.spool.times import moment
from frontend_agent.wire.bundles import OUT, BundleRefused, Half, Head, PublicHalf, file_name, open_bundle, seal, verify
from frontend_agent.wire.crossing import MOST_MISSING, ROOM, Far, Got, Index, into_bundles, pack, unpack

ASIDE = "set-aside"  # below the folder in
MOST_ASIDE = 200  # files: the oldest go first
FILES_AT_ONCE = 500  # of one look
SEALED_MORE = 16 << 10  # bytes of a file beside its content
CONTENTS = 8  # opened bundles that are remembered
SETTLED = 10.0  # seconds in which a file that is cut off must not have changed: then it is not being written
MOST_ENDED = 50  # streams that are remembered to be over
BOUNDS_FOR = timedelta(days=1)  # clocks drift: what was proven of them is proven anew

Clock = Callable[[], datetime]


class NotPaired(ConfigurationError):
    """Nobody has said yet who the other half is."""


class Line:
    """One half's end. `turn` is called again and again by one thread; `send` by any."""

    def __init__(
        self,
        config: GapConfig,
        book: Gap,
        half: Half,
        other: PublicHalf,
        clock: Clock,
        begun_anew: Callable[[], None] = lambda: None,
        tells: Callable[[], tuple[Sequence[Far], int]] = lambda: ((), 0),
    ) -> None:
        """`begun_anew` is told, inside of its transaction, that all that was on its way must go again. `tells`: how platforms fare,
        and how many requests wait, for each bundle that is made."""
        self._config, self._book, self._half, self._other = config, book, half, other
        self._clock, self._begun_anew, self._tells = clock, begun_anew, tells
        self._out = LocalPlace(config.out, passing=lambda name: f".{name}{config.unfinished}")
        self._in = LocalPlace(config.in_)
        self._turn = threading.Lock()
        self._contents: OrderedDict[int, bytes] = OrderedDict()
        self._cut: dict[str, tuple[int, int, float]] = {}  # files that are cut off: how they looked, and since when
        self._left: dict[str, tuple[int, int]] = {}  # files that are done with and could not be taken away
        self._said: dict[str, str] = {}
        self._missing: dict[int, datetime] = {}  # numbers, since when they are missed
        self._asked_at: datetime | None = None  # when missing ones were last asked for
        self._owes: datetime | None = None  # since when the other half should hear that we have something
        self.problems: dict[str, str] = {}  # of the folders, as they are now
        with book.writing():
            self._open()

    def _open(self) -> None:
        """The first life of this book, or another one, where the other half is another."""
        state = self._book.state()
        if state is None:
            self._book.keep(LineState(stream=uuid4().hex, peer=self._other.fingerprint))
        elif state.peer != self._other.fingerprint:
            self._anew(state, "another half was paired")

    # --- sending ------------------------------------------------------------------------------------------------------

    def send(self, items: Sequence[bytes], asks: bool = True) -> None:
        """Make bundles of these. Part of the transaction around it, if there is one: then they are sent with it, or not."""
        with self._book.writing():
            state = self._now()
            pieces = list(into_bundles(items, self._config.largest - ROOM)) or [[]]
            for some in pieces:
                self._make(state, some, asks)
            self._book.keep(state)

    def owe(self) -> None:
        """Something is to be told: by the next bundle, or one of its own."""
        self._owes = self._owes or self._clock()

    def _make(self, state: LineState, pieces: list[tuple[bytes, bool]], asks: bool) -> None:
        now = self._clock()
        far, waiting = self._tells()
        last, at = self._book.last()
        index = Index(
            at=now.isoformat(),
            version=__version__,
            got=Got(
                stream=state.theirs,
                whole=state.whole,
                missing=tuple(self._late(now))[:MOST_MISSING],
                last=last,
                at=at.isoformat() if at else "",
            ),
            far=tuple(far),
            waiting=waiting,
            stopped=state.stopped,
        )
        body = seal(
            self._half, self._other, state.stream, state.next, pack(index, pieces), X25519PrivateKey.generate(), self._config.suite
        )  # fmt: skip
        self._book.add(state.next, body, asks, now)
        state.next += 1
        state.last_out = now.isoformat()
        self._owes = None

    def _now(self) -> LineState:
        state = self._book.state()
        assert state is not None  # made when the line was opened
        return state

    # --- one turn -----------------------------------------------------------------------------------------------------

    def turn(self) -> int:
        """Read what came, answer for it, lay down what is to go. How many bundles were new."""
        with self._turn:
            new = self._read()
            self._watch_missing()
            self._send_last_again()
            if self._owes is not None and self._clock() - self._owes >= self._config.every:
                self.send([], asks=False)
            self._lay()
            return new

    def _lay(self) -> None:
        """Files for what is not in the folder yet, in the order of their numbers."""
        try:
            for number in self._book.unlaid(FILES_AT_ONCE):
                body = self._book.body(number)
                if body is None:
                    continue  # acknowledged meanwhile
                name = file_name(OUT[self._half.role], self._now().stream, number)
                try:
                    self._out.write(name, body)
                except Taken:  # what is left of another life of ours, or of a write that a full disk cut off
                    self._out.remove(name)
                    self._out.write(name, body)
                self._book.laid(number, self._clock())
        except PlaceError as error:
            self._problem("out", str(error))
        else:
            self._problem("out", "")

    def _problem(self, folder: str, said: str) -> None:
        """Once, when it changes."""
        if said != self.problems.get(folder, ""):
            told = {"folder": folder, "problem": said}
            log.warning(event("gap.folder", **told)) if said else log.info(event("gap.folder_well", folder=folder))
        self.problems[folder] = said

    # --- what came ----------------------------------------------------------------------------------------------------

    def _read(self) -> int:
        if self._now().stopped:
            return 0
        try:
            found = sorted(
                (seen for seen in self._in.entries("") if self._is_ours_to_read(seen)), key=lambda one: one.path
            )
        except PlaceError as error:
            self._problem("in", str(error))
            return 0
        self._problem("in", "")
        names = {seen.path for seen in found}
        self._cut = {name: how for name, how in self._cut.items() if name in names}
        self._left = {name: how for name, how in self._left.items() if name in names}
        return sum(self._look_at(seen) for seen in found[:FILES_AT_ONCE] if not self._now().stopped)

    def _is_ours_to_read(self, seen: Seen) -> bool:
        name = seen.path
        unfinished = name.startswith(".") or name.endswith(self._config.unfinished)
        return seen.what == FILE and not unfinished and self._left.get(name) != (seen.size, seen.changed)

    def _look_at(self, seen: Seen) -> bool:
        """One file. Whether it was a bundle that is new."""
        try:
            file = self._in.read(seen.path, self._config.largest + SEALED_MORE)
            head = verify(file, self._half.public, self._other)
        except TooLarge:
            self._set_aside(seen, "too-large", f"{seen.size} bytes are more than one bundle may have ([gap] largest)")
            return False
        except PlaceError as error:  # taken away meanwhile, or not ours to read
            self._say_once(seen.path, str(error))
            return False
        except BundleRefused as refused:
            if refused.reason != "truncated" or self._has_settled(seen):
                self._set_aside(seen, refused.reason, str(refused))
            return False
        return self._take(seen, head, file)

    def _has_settled(self, seen: Seen) -> bool:
        """Whether a file that is cut off is not just being written."""
        look = (seen.size, seen.changed)
        size, changed, since = self._cut.get(seen.path, (*look, time.monotonic()))
        if (size, changed) != look:
            since = time.monotonic()
        self._cut[seen.path] = (*look, since)
        return time.monotonic() - since >= SETTLED

    def _take(self, seen: Seen, head: Head, file: bytes) -> bool:
        """A bundle of the other half: new, known, or somebody else's work in its name."""
        try:
            content = open_bundle(file, self._half)
            index, pieces = unpack(content)
        except BundleRefused as refused:
            if refused.reason == "content":  # it waits for a version of ours that can read it
                self._say_once(seen.path, str(refused))
                self._problem("in", f"{shown(seen.path)}: {refused}")
            else:
                self._set_aside(seen, refused.reason, str(refused))
            return False
        digest, now = sha256(file).digest(), self._clock()
        with self._book.writing():
            state = self._now()
            if head.stream in state.ended or head.stream == state.stream:
                verdict = "ended-stream"
            else:
                if head.stream != state.theirs:
                    self._other_began_anew(state, head, index, now)
                verdict = self._verdict(state, head, digest)
                if verdict in ("new", "again"):
                    self._learn(state, head, index, now)
                if verdict == "new":
                    self._book.take(head.number, digest, file, now)
                    self._remember(head.number, content)
                    self._come_whole(state)
                    if any(True for _ in pieces) and self._owes is None:
                        self._owes = now
                elif verdict == "again":
                    state.duplicates += 1
                    self._owes = self._owes or now  # our acknowledgement was lost, or is under way
                elif verdict == "other-bytes":
                    self._stop(state, head, now)
            self._book.keep(state)
        if verdict == "ended-stream":
            self._set_aside(
                seen, verdict, "it is of a life of the other half that is over: an old one that came late, or a replay"
            )
        elif verdict == "other-bytes":
            self._set_aside(seen, verdict, f"number {head.number} came before with other bytes")
        else:
            self._take_away(seen)
        return verdict == "new"

    def _verdict(self, state: LineState, head: Head, digest: bytes) -> str:
        before = self._book.digest(head.number)
        if before is not None:
            return "again" if before == digest else "other-bytes"
        return "again" if head.number <= state.whole else "new"  # so old that only its number is known

    def _learn(self, state: LineState, head: Head, index: Index, now: datetime) -> None:
        """What a bundle says beside its pieces counts at once, also of one that came too early or once more."""
        if not state.last_made or index.made_at >= datetime.fromisoformat(state.last_made):
            state.last_made, state.version, state.waiting_there = index.at, index.version, index.waiting
            state.stopped_there = index.stopped
            state.far = msgspec.json.encode(index.far).decode()
        state.last_in = now.isoformat()
        self._learn_clock(state, index, now)
        got = index.got
        if got.stream != state.stream:
            return
        if got.whole > state.acknowledged:
            state.acknowledged = got.whole
        self._time(state, got.last, now)
        for sent in self._book.drop_acknowledged(state.acknowledged):
            self._forget_file(state, sent)
        if got.missing:
            wait = max(self._config.late, timedelta(seconds=state.there_and_back))
            state.resent += self._book.again(got.missing, now - wait)

    def _time(self, state: LineState, number: int, now: datetime) -> None:
        """How long the way there and back takes: of the newest that they have, when we first hear that they have it.

        Of one that went twice nobody knows which of the two was meant (Karn)."""
        if number <= state.timed:
            return
        state.timed = number
        sent = self._book.sent(number)
        if sent is not None and sent.times == 1:
            took = max((now - moment(sent.sent_at)).total_seconds(), 0.0)
            state.there_and_back = max(took, state.there_and_back * 0.9)

    def _learn_clock(self, state: LineState, index: Index, now: datetime) -> None:
        """A bundle comes after it was made: how far apart the clocks are at least, or at most, follows from that."""
        since = datetime.fromisoformat(state.bounds_since) if state.bounds_since else None
        if since is None or abs(now - since) > BOUNDS_FOR:
            state.bounds_since, state.ahead_least, state.ahead_most = now.isoformat(), None, None
        least = (index.made_at - now).total_seconds()
        state.ahead_least = least if state.ahead_least is None else max(least, state.ahead_least)
        sent = self._book.sent(index.got.last) if index.got.stream == state.stream else None
        if sent is not None and index.got.at:
            # Ours was made before it came there: their clock then, less ours.
            most = (datetime.fromisoformat(index.got.at) - moment(sent.made_at)).total_seconds()
            state.ahead_most = most if state.ahead_most is None else min(most, state.ahead_most)

    def _come_whole(self, state: LineState) -> None:
        """Everything that now stands without a gap is opened, in the order of the numbers."""
        while (file := self._book.got(state.whole + 1)) is not None:
            number = state.whole + 1
            _, pieces = unpack(self._content(number, file))
            ended = 0
            for _, ends in pieces:
                if not ends:
                    state.begun = state.begun or number
                    continue
                self._book.add_item(state.begun or number, number, ended)
                state.begun = 0
                ended += 1
            state.whole = number
        self._missing = {number: since for number, since in self._missing.items() if number > state.whole}
        self._drop_done(state)

    def _drop_done(self, state: LineState) -> None:
        _, first = self._book.items_waiting()
        self._book.done_before(min(one for one in (first, state.begun, state.whole + 1) if one))

    def _content(self, number: int, file: bytes) -> bytes:
        found = self._contents.get(number)
        if found is None:
            found = open_bundle(file, self._half)
            self._remember(number, found)
        return found

    def _remember(self, number: int, content: bytes) -> None:
        self._contents[number] = content
        while len(self._contents) > CONTENTS:
            self._contents.popitem(last=False)

    # --- requests and answers -----------------------------------------------------------------------------------------

    def items(self, limit: int, after: int = 0) -> list[tuple[int, bytes]]:
        """(number, request or answer) of what came whole and is not done with, in order, from behind that number on."""
        return [(one.id, self._item(one.first, one.last, one.place)) for one in self._book.items(limit, after)]

    def _item(self, first: int, last: int, place: int) -> bytes:
        def pieces(number: int) -> list[tuple[bytes, bool]]:
            file = self._book.got(number)
            assert file is not None  # it is kept until its items are done with
            return unpack(self._content(number, file))[1]

        if first == last:
            return [piece for piece, ends in pieces(first) if ends][place]
        middle = (piece for number in range(first + 1, last) for piece, _ in pieces(number))
        return b"".join((pieces(first)[-1][0], *middle, pieces(last)[0][0]))

    def done(self, *items: int) -> None:
        """These are done with, in the transaction around it."""
        with self._book.writing():
            for item in items:
                self._book.drop_item(item)
            self._drop_done(self._now())

    # --- asking again -------------------------------------------------------------------------------------------------

    def _late(self, now: datetime) -> list[int]:
        """Numbers that have been missing for long enough to be asked for."""
        return sorted(number for number, since in self._missing.items() if now - since >= self._config.late)

    def _watch_missing(self) -> None:
        state, now = self._now(), self._clock()
        early = self._book.early(state.whole, MOST_MISSING)
        gaps: list[int] = []
        before = state.whole
        for number in early:
            gaps += range(before + 1, min(number, before + 1 + MOST_MISSING))
            before = number
        self._missing = {number: self._missing.get(number, now) for number in gaps[:MOST_MISSING]}
        late = self._late(now)
        wait = max(self._config.late, timedelta(seconds=state.there_and_back))
        if late and (self._asked_at is None or now - self._asked_at >= wait):
            self._asked_at = now
            log.warning(event("gap.missing", numbers=",".join(map(str, late[:20])), count=len(late)))
            self.send([], asks=False)

    def _send_last_again(self) -> None:
        """The last bundle of a silent stretch may be lost, and nothing after it tells: it goes once more, with the same bytes."""
        newest = self._book.newest_asking()
        if newest is None or not newest[3]:
            return
        number, sent_at, times, _ = newest
        with self._book.writing():
            state, now = self._now(), self._clock()
            wait = max(self._config.again.total_seconds(), 2 * state.there_and_back) * 2 ** min(times - 1, 4)
            state.resent += self._book.again([number], now - timedelta(seconds=wait))
            if number and now >= moment(sent_at) + timedelta(seconds=wait):
                log.info(event("gap.sent_again", number=number, times=times + 1))
                self._book.keep(state)

    # --- lives --------------------------------------------------------------------------------------------------------

    def _other_began_anew(self, state: LineState, head: Head, index: Index, now: datetime) -> None:
        """The other half is an empty one, or began another life. What it had of us is gone with it, if it does not say otherwise."""
        if not state.theirs:
            state.theirs = head.stream
            return
        log.warning(event("gap.other_began_anew", number=head.number))
        self._book.note({"event": "gap began anew", "by": "the other half", "stream": head.stream[:8]}, now)
        self._end_theirs(state)
        state.theirs = head.stream
        if index.got.stream != state.stream or index.got.whole < state.acknowledged:
            self._begin_ours(state)

    def _end_theirs(self, state: LineState) -> None:
        if state.theirs:
            state.ended = [*state.ended, state.theirs][-MOST_ENDED:]
        state.theirs, state.whole, state.begun, state.last_made = "", 0, 0, ""
        self._book.clear_got()
        self._contents.clear()
        self._missing.clear()

    def _begin_ours(self, state: LineState) -> None:
        """Another life of our own: nothing that was on its way counts any more, and all of it goes again."""
        for number in range(state.acknowledged + 1, state.next):
            self._forget_file(state, number)
        state.ended = [*state.ended, state.stream][-MOST_ENDED:]
        state.stream, state.next, state.acknowledged, state.timed = uuid4().hex, 1, 0, 0
        self._book.clear_sent()
        self._begun_anew()
        self._book.clear_asked()

    def _anew(self, state: LineState, why: str, who: str = "") -> None:
        self._book.note({"event": "gap began anew", "by": who or "this half", "why": why}, self._clock())
        self._end_theirs(state)
        self._begin_ours(state)
        state.peer, state.stopped, state.stopped_at, state.stopped_there = self._other.fingerprint, "", "", ""
        self._book.keep(state)
        self._owes = self._clock()  # the other half learns of it by the first bundle of the new life

    def begin_anew(self, who: str) -> None:
        """A person's word, after a direction was stopped or a half was restored from a copy."""
        with self._turn, self._book.writing():
            self._anew(self._now(), "a person says so", who)

    def _stop(self, state: LineState, head: Head, now: datetime) -> None:
        """Two bundles of one number: two machines have the other half's keys, or it was set back to an older state."""
        state.stopped = f"number {head.number} came with other bytes than before"
        state.stopped_at = now.isoformat()
        log.error(event("gap.stopped", number=head.number))
        self._book.note({"event": "gap stopped", "number": head.number}, now)
        self._owes = now

    # --- files --------------------------------------------------------------------------------------------------------

    def _forget_file(self, state: LineState, number: int) -> None:
        """A ferry that copies leaves our files where they are: those that came are of no use to anybody."""
        try:
            self._out.remove(file_name(OUT[self._half.role], state.stream, number))
        except PlaceError as error:
            self._say_once("out", str(error))

    def _take_away(self, seen: Seen) -> None:
        try:
            self._in.remove(seen.path)
        except PlaceError as error:
            self._left[seen.path] = (seen.size, seen.changed)
            self._say_once(seen.path, str(error))

    def _set_aside(self, seen: Seen, reason: str, told: str) -> None:
        """What is no bundle for us, where a person may look at it."""
        name = shown(seen.path)
        log.warning(event("gap.set_aside", file=name, reason=reason, told=told))
        with self._book.writing():
            state = self._now()
            state.set_aside += 1
            self._book.keep(state)
        try:
            kept = sorted((one for one in self._in.entries(ASIDE) if one.what == FILE), key=lambda one: one.changed)
        except PlaceError:
            kept = []  # the first one
        try:
            for one in kept[: max(len(kept) - MOST_ASIDE + 1, 0)]:
                self._in.remove(one.path)
            self._in.move(seen.path, f"{ASIDE}/{uuid4().hex[:8]}-{seen.path}")
        except PlaceError as error:
            self._left[seen.path] = (seen.size, seen.changed)
            self._say_once(seen.path, str(error))

    def _say_once(self, what: str, said: str) -> None:
        if self._said.get(what) != said:
            if len(self._said) > MOST_ASIDE:
                self._said.clear()
            self._said[what] = said
            log.warning(event("gap.file", file=shown(what), problem=said))
