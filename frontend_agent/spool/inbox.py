"""The inbox: what came in by itself, kept as it came, in the order in which it came.

    keep      a group of messages, each once, in one commit; with each what became of it
    next      what a feed has not read yet; `take` marks it in the commit of what was made of it (law 1)

How far a feed has read its inlet is its watermark: the number of a message. States are for people:

    new ─▶ taken          some feed made records of it
        ─▶ unwanted       no feed of the inlet wants it
        ─▶ unreadable     some feed could not read it, or its own edge could not: with all reasons, for a person
    conflict              the id of another message: for a person, and no feed gets it
    discarded             a person decided that it is not to be read; or it was refused, came again, and could be read
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import zstandard

from connectors.arrivals import Arrived, Kept
from frontend_agent.spool.database import Bodies, Undo
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis, moment
from frontend_agent.spool.words import Heard, KeptMessage, Message, Taken

NEW, TAKEN, UNWANTED, UNREADABLE, CONFLICT, DISCARDED = (
    "new", "taken", "unwanted", "unreadable", "conflict", "discarded"
)  # fmt: skip
STATES = (NEW, TAKEN, UNWANTED, UNREADABLE, CONFLICT, DISCARDED)
FOR_A_PERSON = (UNREADABLE, CONFLICT)
LARGE = 1 << 20  # longer bytes are a file beside the database
MOST_REASONS = 50
_LONGEST = 250  # characters of an id, an address, a name
_BYTES_AT_ONCE = 16 << 20
_KEEP_FOR = timedelta(days=90)
_OWN = threading.local()  # each thread's compressor: to make one takes as long as to compress a message

Feeds = Sequence[str]
Holds = Callable[[Sequence[tuple[str, str]]], set[tuple[str, str]]]  # (feed, key) -> those of them that are held


class Parcel(NamedTuple):
    """A message on its way into the inbox, made ready by the thread that hands it over."""

    arrived: Arrived
    digest: str  # hex SHA-256 of the body
    frame: bytes  # the body, zstd
    unwanted: bool = False  # no feed wants it, and its inlet refuses such


def parcel(arrived: Arrived, unwanted: bool = False) -> Parcel:
    """Compress and hash: what needs no lock."""
    if not hasattr(_OWN, "compressor"):
        _OWN.compressor = zstandard.ZstdCompressor(level=3)
    frame = _OWN.compressor.compress(arrived.body)
    return Parcel(arrived, sha256(arrived.body).hexdigest(), frame, unwanted)


class Earlier(NamedTuple):
    """A message of the same id (or the same bytes, without one) that is remembered."""

    id: int
    digest: str
    state: str
    refused: bool


class Verdict(NamedTuple):
    """What is answered, the state of the row that is written (none: it is there already), and the row that it replaces."""

    kept: Kept
    state: str = ""
    replaces: int = 0


def verdict(one: Parcel, earlier: Sequence[Earlier]) -> Verdict:
    """The same bytes under the same id have one effect; what was refused is judged anew when it comes again."""
    others = [e for e in earlier if e.digest != one.digest and not e.refused and e.state != DISCARDED]
    if one.arrived.unreadable:
        fresh = Verdict(Kept.KEPT, UNREADABLE)
    elif others:
        fresh = Verdict(Kept.CONFLICT, CONFLICT)
    elif one.unwanted:
        fresh = Verdict(Kept.UNWANTED, UNWANTED)
    else:
        fresh = Verdict(Kept.KEPT, NEW)
    same = [e for e in earlier if e.digest == one.digest]
    if not same:
        return fresh
    if not same[-1].refused:
        return Verdict(Kept.DUPLICATE)
    return fresh._replace(replaces=same[-1].id) if fresh.state == NEW else Verdict(fresh.kept)


class Inbox:
    """All that came in. Safe to use from several threads, like the spool."""

    def __init__(self, ledger: Ledger, bodies: Bodies, room: Callable[[], None]) -> None:
        """`room` raises SpoolFull while no more is to be kept."""
        self._ledger, self._bodies, self._room = ledger, bodies, room
        self._database = ledger.database
        row = self._database.row("inbox.last")
        self._next = (int(row[0]) if row else 0) + 1
        self._drop_orphans()

    def _drop_orphans(self) -> None:
        """Files whose commit never happened, or whose row is gone."""
        self._bodies.drop_parts()
        for name in self._bodies.names():
            row = self._database.row("inbox.has body", message=int(name)) if name.isdigit() else None
            if not (row and row[0]):
                self._bodies.drop(name)

    # --- keeping ------------------------------------------------------------------------------------------------------

    def keep(self, parcels: Sequence[Parcel], remember: Mapping[str, timedelta] | None = None) -> list[Kept]:
        """One commit: when it returns, all of it is on disk, and how far the fetchers have got with it.

        `remember`: for how long each inlet's ids are known. SpoolFull: nothing of it was kept.
        """
        self._room()
        windows = remember or {}
        with Undo(self._bodies) as files, self._database.write():
            known = self._known(parcels, windows)
            rows: list[tuple[Any, ...]] = []
            frames: list[bytes] = []
            replaced: list[int] = []
            changes: Counter[tuple[str, str]] = Counter()
            answers, start = [], 1
            for one in parcels:
                arrived = one.arrived
                name = _name(one)
                said = verdict(one, known.get(name, ()))
                answers.append(said.kept)
                if said.replaces:
                    replaced.append(said.replaces)
                if not said.state:
                    continue
                number, length = self._next + len(rows), len(one.frame)
                is_large = length > LARGE
                if is_large:
                    files.write(str(number), one.frame)
                    changes["bytes", "files"] += length
                else:
                    frames.append(one.frame)
                refused = said.state == CONFLICT or bool(arrived.unreadable) or said.kept is Kept.UNWANTED
                rows.append(
                    (
                        number, arrived.inlet, name[1], one.digest, len(arrived.body), length, millis(arrived.received_at),
                        _clean(arrived.sender), _clean(arrived.about), said.state, int(refused),
                        _reasons(arrived.unreadable) if arrived.unreadable else None, None if is_large else start,
                    )
                )  # fmt: skip
                start += 0 if is_large else length
                changes[_scope(arrived.inlet), said.state] += 1
                known.setdefault(name, []).append(Earlier(number, one.digest, said.state, refused))
            if rows:
                self._database.run("inbox.add", rows=as_json(rows))
                self._database.run("inbox.add bodies", rows=as_json(rows), bodies=b"".join(frames))
            if replaced:
                self._put(replaced, DISCARDED, ("it came again, and could be read",), changes)
            for inlet, mark in {one.arrived.inlet: one.arrived.mark for one in parcels if one.arrived.mark}.items():
                self._database.run("meta.put", name=_mark(inlet), value=mark)
            self._ledger.change(changes)
            self._next += len(rows)
        return answers

    def _known(
        self, parcels: Sequence[Parcel], windows: Mapping[str, timedelta]
    ) -> dict[tuple[str, str, str], list[Earlier]]:
        names = list(dict.fromkeys(map(_name, parcels)))
        since = {
            one.arrived.inlet: millis(one.arrived.received_at - windows.get(one.arrived.inlet, _KEEP_FOR))
            for one in parcels
        }
        wanted = as_json([(*name, since[name[0]]) for name in names])
        found: dict[tuple[str, str, str], list[Earlier]] = {}
        for place, number, digest, state, refused in self._database.batch("inbox.known", wanted=wanted):
            found.setdefault(names[place], []).append(Earlier(number, digest, state, bool(refused)))
        return found

    def put_mark(self, inlet: str, mark: str) -> None:
        """A mark that no message carries: where a fetcher began, and how far it got in quiet times."""
        with self._database.write():
            self._database.run("meta.put", name=_mark(inlet), value=mark)

    def mark(self, inlet: str) -> str:
        """How far the fetcher of this inlet has got: the mark of the newest that it handed over. Empty at first."""
        row = self._database.row("meta.get", name=_mark(inlet))
        return str(row[0]) if row else ""

    # --- reading ------------------------------------------------------------------------------------------------------

    def newest(self, inlet: str) -> int:
        """The number of the last message of an inlet; 0 for none."""
        row = self._database.row("inbox.newest", inlet=inlet)
        return int(row[0] or 0) if row else 0

    def newest_before(self, inlet: str, when: datetime) -> int:
        """The number of the last message that came before that time; 0 for none."""
        row = self._database.row("inbox.newest before", inlet=inlet, before=millis(when))
        return int(row[0]) if row else 0

    def next(self, inlet: str, after: int, last: int, limit: int, most: int = _BYTES_AT_ONCE) -> list[Message]:
        """The messages behind number `after`, up to `last`, in the order in which they came: not more bytes than `most`, one at least."""
        found = self._database.batch("inbox.next", inlet=inlet, after=after, last=last, limit=limit)
        numbers: list[int] = []
        for number, size in found:
            if numbers and size > most:
                break
            numbers.append(number)
            most -= size
        return self.messages(numbers)

    def messages(self, numbers: Sequence[int]) -> list[Message]:
        """These messages; those whose bytes are here no more, or are damaged, have none."""
        if not numbers:
            return []
        row = self._database.row("inbox.bodies", messages=as_json(list(numbers)))
        assert row is not None
        frames, start, found = bytes(row[1] or b""), 0, []
        for number, received_at, digest, length, is_here in msgspec.json.decode(
            row[0], type=list[tuple[int, int, str, int, int]]
        ):
            frame = frames[start : start + max(length, 0)]
            start += max(length, 0)
            if length < 0 and is_here:
                frame = self._bodies.read(str(number))
            found.append(Message(number, _opened(frame, digest), moment(received_at)))
        return found

    def again(self, feed: str, limit: int, after: int = 0) -> list[int]:
        """The numbers of messages that a feed is to read once more."""
        return self._database.batch("inbox.again", feed=feed, after=after, limit=limit)

    def newest_of(self, feed: str, keys: Sequence[str]) -> dict[str, int]:
        """The newest message that speaks of each of these keys, as far as one is known."""
        return dict(self._database.batch("inbox.newest of keys", feed=feed, keys=as_json(list(keys))))

    def keys_between(
        self, feed: str, inlet: str, after: tuple[int, str], last: int, limit: int
    ) -> list[tuple[int, str]]:
        """(message, key) of the records of a feed whose newest message lies behind a place, up to `last`, in that order."""
        found = self._database.batch(
            "inbox.keys between", feed=feed, inlet=inlet, after=after[0], key=after[1], last=last, limit=limit
        )
        return [(message, key) for message, key in found]

    # --- marking ------------------------------------------------------------------------------------------------------

    def take(self, taken: Taken) -> None:
        """What a batch says of its messages, inside its transaction and before the feed's watermark moves."""
        heard = taken.heard
        if heard is None:
            return
        changes: Counter[tuple[str, str]] = Counter()
        feed = taken.feed
        unread = [number for number, _ in heard.unreadable]
        read = [number for number in {*heard.again, *(number for _, number in heard.keys)} if number not in set(unread)]
        if heard.keys:
            self._database.run("inbox.put keys", feed=feed, keys=as_json([list(pair) for pair in heard.keys]))
        if read:
            self._database.run("inbox.read", feed=feed, messages=as_json(read))
            self._settle(read, changes)
        if unread:
            self._database.run("inbox.unread", feed=feed, messages=as_json(unread))
            for number, reasons in heard.unreadable:
                self._put([number], UNREADABLE, reasons, changes)
        if taken.watermark and not taken.mark:
            self._go_past(heard, feed, int(taken.watermark.cursor), changes)
        self._ledger.change(changes)

    def _settle(self, numbers: Sequence[int], changes: Counter[tuple[str, str]]) -> None:
        """What these messages are now that a feed has read them: what another one could not read goes on waiting for a person."""
        taken: list[int] = []
        unwanted: list[int] = []
        for number, is_unread, has_keys in self._database.batch("inbox.still unread", messages=as_json(list(numbers))):
            if not is_unread:
                (taken if has_keys else unwanted).append(number)
        self._put(taken, TAKEN, (), changes)
        self._put(unwanted, UNWANTED, (), changes)

    def _go_past(self, heard: Heard, feed: str, upto: int, changes: Counter[tuple[str, str]]) -> None:
        row = self._database.row("watermark", feed=feed)
        before = int(row[0]) if row and row[0] else 0
        others = [name for name in heard.feeds if name != feed]
        slowest = self._database.row("inbox.passed", feeds=as_json(others)) if others else None
        passed = min(upto, int(slowest[0])) if slowest else upto
        if passed > before:
            gone = self._database.changed("inbox.unwanted", inlet=heard.inlet, after=before, upto=passed)
            changes[_scope(heard.inlet), NEW] -= gone
            changes[_scope(heard.inlet), UNWANTED] += gone

    def _put(
        self, numbers: Sequence[int], state: str, reasons: Sequence[str], changes: Counter[tuple[str, str]]
    ) -> None:
        rows = []
        for number, inlet, before in self._database.batch("inbox.states", messages=as_json(list(numbers))):
            if before != state or reasons:
                rows.append((number, state, _reasons(reasons) if reasons else None))
            changes[_scope(inlet), before] -= 1
            changes[_scope(inlet), state] += 1
        if rows:
            self._database.run("inbox.put states", rows=as_json(rows))

    # --- by people ----------------------------------------------------------------------------------------------------

    def counts(self) -> dict[str, dict[str, int]]:
        """How many messages of each inlet are in each state."""
        found: dict[str, dict[str, int]] = {}
        for scope, state, n in self._ledger.tallies():
            if scope.startswith("inbox:") and n:
                found.setdefault(scope.removeprefix("inbox:"), {})[state] = n
        return found

    def listed(self, inlet: str, state: str = "", limit: int = 100, before: int = 1 << 62) -> list[KeptMessage]:
        """Messages of an inlet, the newest first."""
        query = "inbox.list person" if state in FOR_A_PERSON else "inbox.list"
        return [_kept(row) for row in self._database.rows(query, inlet=inlet, state=state, limit=limit, before=before)]

    def one(self, number: int) -> KeptMessage | None:
        """What is known of a message."""
        row = self._database.row("inbox.one", id=number)
        return _kept(row) if row else None

    def keys_of(self, number: int, limit: int = 100) -> list[tuple[str, str]]:
        """(feed, business key) of the records that a message speaks of."""
        return [(feed, key) for feed, key in self._database.rows("inbox.keys of", message=number, limit=limit)]

    def messages_of(self, feed: str, key: str, limit: int = 20) -> list[KeptMessage]:
        """The messages that speak of a record of a feed, the newest first."""
        return [_kept(row) for row in self._database.rows("inbox.messages of", feed=feed, key=key, limit=limit)]

    def read_again(self, numbers: Sequence[int], feeds: Feeds, who: str, now: datetime) -> int:
        """A person wants these feeds to read these messages, whatever became of them. How many."""
        with self._database.write():
            told = self._database.batch("inbox.states", messages=as_json(list(numbers)))
            found = [number for number, _, _ in told]
            if found:
                changes: Counter[tuple[str, str]] = Counter()
                for _, inlet, state in told:
                    changes[_scope(inlet), state] -= 1
                    changes[_scope(inlet), NEW] += 1
                self._database.run("inbox.accept", messages=as_json(found))
                self._database.run("inbox.read again", feeds=as_json(list(feeds)), messages=as_json(found))
                self._ledger.change(changes)
                self._ledger.log({"event": "messages read again", "messages": found, "who": who}, now)
        return len(found)

    def discard(self, numbers: Sequence[int], who: str, reason: str, now: datetime) -> int:
        """A person decides that these messages are not to be read. How many."""
        with self._database.write():
            told = self._database.batch("inbox.states", messages=as_json(list(numbers)))
            found = [number for number, _, state in told if state not in (TAKEN, DISCARDED)]
            if found:
                changes: Counter[tuple[str, str]] = Counter()
                self._put(found, DISCARDED, (f"{who}: {reason}",), changes)
                self._database.run("inbox.forget unread", messages=as_json(found))
                self._ledger.change(changes)
                self._ledger.log({"event": "messages discarded", "messages": found, "who": who, "reason": reason}, now)
        return len(found)

    # --- retention ----------------------------------------------------------------------------------------------------

    def retire(
        self, inlet: str, retention: timedelta, remember: timedelta, holds: Holds, now: datetime, feeds: Feeds = ()
    ) -> int:
        """Drop the bytes of what is done with and older than its term, and the rows of what need not be remembered. How many messages.

        What waits for a person stays, and so does the newest word about a record that is held, and what one of `feeds`, which read
        this inlet, has not read yet: it may rest for long.
        """
        dropped = self._retire_bodies(inlet, millis(now - retention), holds, now, self._passed(feeds))
        self._retire_rows(inlet, millis(now - max(retention, remember)))
        return dropped

    def _passed(self, feeds: Feeds) -> int:
        """The number up to which all of these feeds have read."""
        row = self._database.row("inbox.passed", feeds=as_json(list(feeds))) if feeds else None
        return int(row[0]) if row else 1 << 62

    def _retire_bodies(self, inlet: str, before: int, holds: Holds, now: datetime, upto: int) -> int:
        dropped, after = 0, 0
        while page := self._database.batch("inbox.retire bodies", inlet=inlet, after=after, before=before):
            after = page[-1][0]
            over = {row[0] for row in page if row[3] and row[4] and row[0] <= upto}
            over -= self._needed(over, holds)
            if over:
                files = [(row[0], row[2]) for row in page if row[0] in over and row[1]]
                with self._database.write():
                    self._database.run("inbox.drop bodies", messages=as_json(sorted(over)))
                    self._ledger.change({("bytes", "files"): -sum(length for _, length in files)})
                    self._ledger.log(
                        {
                            "event": "messages retired",
                            "inlet": inlet,
                            "messages": len(over),
                            "first": min(over),
                            "last": max(over),
                        },
                        now,
                    )
                for number, _ in files:  # one that outlives its row is swept at the next start
                    self._bodies.drop(str(number))
                dropped += len(over)
            if not all(row[3] for row in page):
                break
        return dropped

    def _needed(self, numbers: set[int], holds: Holds) -> set[int]:
        pairs = self._database.batch("inbox.newest keys of", messages=as_json(sorted(numbers)))
        held = holds([(feed, key) for _, feed, key in pairs]) if pairs else set()
        return {number for number, feed, key in pairs if (feed, key) in held}

    def _retire_rows(self, inlet: str, before: int) -> None:
        after = 0
        while page := self._database.batch("inbox.retire rows", inlet=inlet, after=after, before=before):
            after = page[-1][0]
            over = [(number, state) for number, state, is_old, is_here in page if is_old and not is_here]
            if over:
                numbers = as_json([number for number, _ in over])
                gone = Counter((_scope(inlet), state) for _, state in over)
                with self._database.write():
                    for query in ("inbox.drop keys", "inbox.forget unread", "inbox.drop rows"):
                        self._database.run(query, messages=numbers)
                    self._ledger.change({name: -n for name, n in gone.items()})
            if not all(row[2] for row in page):
                break


def _name(one: Parcel) -> tuple[str, str, str]:
    """Under what a message is known: inlet, id, and its bytes where it has no id."""
    control_id = _clean(one.arrived.control_id)
    return one.arrived.inlet, control_id, "" if control_id else one.digest


def _clean(said: str) -> str:
    """What a sender says of itself, so that it can be kept: whole if it is short, else its beginning and a digest."""
    plain = "".join(c if c.isprintable() else "\ufffd" for c in said.encode("utf-8", "replace").decode("utf-8"))
    if len(plain) <= _LONGEST:
        return plain
    return f"{plain[:_LONGEST]}…{sha256(plain.encode()).hexdigest()[:16]}"


def _reasons(reasons: Sequence[str]) -> str:
    return as_json([_clean(reason) for reason in reasons[:MOST_REASONS]])


def _opened(frame: bytes, digest: str) -> bytes:
    try:
        body = zstandard.ZstdDecompressor().decompress(frame) if frame else b""
    except zstandard.ZstdError:
        return b""
    return body if sha256(body).hexdigest() == digest else b""


def _kept(row: Sequence[Any]) -> KeptMessage:
    number, inlet, control_id, digest, size, received_at, sender, about, state, refused, problem, is_here = row
    return KeptMessage(
        id=number, inlet=inlet, control_id=control_id, sha256=digest, size=size, received_at=moment(received_at),
        sender=sender, about=about, state=state, refused=bool(refused),
        problem=tuple(msgspec.json.decode(problem, type=list[str])) if problem else (), is_here=bool(is_here),
    )  # fmt: skip


def _scope(inlet: str) -> str:
    return f"inbox:{inlet}"


def _mark(inlet: str) -> str:
    return f"inlet:{inlet}"
