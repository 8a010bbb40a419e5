"""The book of studies: what came, what it was judged, where it goes and what proves that it is there.

    keep      instances, a group per commit: files get their names, then their rows are written
    checked   what came of looking at a study, whole or not at all (law 1)
    claim     due instances of one study, under a lease; settle writes what became of them
    retire    files of studies that are proven everywhere, or discarded, and older than their term

`imaging/keeping.py` says what each method means. Orders, expectations and wants are in `image_wants.py`, files and quota in
`image_room.py`; the group commit is `image_desk.py`.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from connectors.arrivals import Kept
from frontend_agent.delivery import MOVING, STUCK, State, back_off
from frontend_agent.identity import document_id as make_document_id
from frontend_agent.imaging.letting import holding, passes
from frontend_agent.imaging.model import (
    Checked,
    Expected,
    ImageDelivery,
    Instance,
    Order,
    Reported,
    Settled,
    Study,
    StudyState,
    Want,
)
from frontend_agent.instance_files import Incoming, InstanceFiles, StateKeys, Written
from frontend_agent.instance_reading import InstanceFile, size_of
from frontend_agent.spool.image_room import CHANGED, Counted, Room
from frontend_agent.spool.image_wants import Wanting
from frontend_agent.spool.image_words import (
    ENDED,
    Known,
    Parcel,
    Rules,
    Verdict,
    by_series_and_number,
    difference,
    instance_of,
    moved,
    packed_header,
    root,
    study_of,
    verdict,
)
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis

FOLDER = "images"
USED, UNJUDGED = ("images", "bytes"), ("images", "unjudged")
URGENCIES = (0, 1, 2)  # somebody waits, real time, backfill
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=2), timedelta(minutes=30)
PROVEN_AT_ONCE = 10_000
RENAMED, NAMED = "sent as ", "known as "  # marks: STUDY DESTINATION -> its UID there; that UID -> STUDY
STUDIES_AT_ONCE = 20  # retired in one commit
_STATES_AGAIN = ("delivered", "accepted", "refused", "blocked", "damaged", "discarded", "awaiting")


class Images:
    """All of it. Safe to use from several threads, like the spool."""

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        destination: Callable[[str], int],
        free: Callable[[], int],
        random: Random,
        keys: StateKeys | None = None,
    ) -> None:
        """`destination`: the number of a destination by its name. `keys`: what files are sealed with. Nothing is read or made before
        `open`."""
        self._ledger, self._destination, self._random = ledger, destination, random
        self._database = ledger.database
        self.files = InstanceFiles(folder / FOLDER, keys)
        self.room = Room(free)
        self.rules = Rules()
        self._wanting = Wanting(ledger)
        self._placing = (
            threading.RLock()
        )  # names are given and taken by one thread at a time; taken before the database's
        self._names: dict[int, str] = {}
        self._origins: dict[tuple[str, str], int] = {}
        self._learned: list[tuple[int, int]] = []  # of the transaction under way
        self._is_open = False

    def open(self, rules: Rules, now: datetime) -> "Images":
        """Begin: what was being written when we died is swept, what was being sent is uncertain."""
        self.rules = rules
        self.room.quota, self.room.may_change, self.room.for_making = rules.quota, rules.may_change, rules.for_making
        if self._is_open:
            return self
        self.files.open()
        self._drop_orphans()
        self._lapse_all()
        self._wanting.end_leases(now)
        self.room.learn(self._ledger.tally(*USED), self._ledger.tally(*UNJUDGED))
        self._is_open = True
        return self

    @property
    def is_open(self) -> bool:
        return self._is_open

    def _drop_orphans(self) -> None:
        """Files whose commit never happened, or whose rows are gone."""
        folders: dict[str, int] = {}
        after = 0
        while page := self._database.rows("image.with files", after=after):
            after = page[-1][1]
            folders |= {self.files.folder_name(uid): number for uid, number in page}
        for name, digests in self.files.folders():
            known: set[str] = set()
            if name in folders:
                for digest, sent, *_ in self._database.rows("image.files of", study=folders[name]):
                    known |= {digest, sent}
            if strangers := [digest for digest in digests if digest not in known]:
                self.files.drop_in(name, strangers)

    def _lapse_all(self) -> None:
        """No other process can hold a lease: the file is ours alone."""
        with self._database.write():
            for destination, n in self._database.rows("image.deliveries left"):
                self._database.run("image.lapse", destination=destination)
                self._move(destination, {State.SENDING: -n, State.UNCERTAIN: n})

    @contextmanager
    def _write(self) -> Iterator[None]:
        """One transaction; what it says of bytes counts once it is committed."""
        learned: list[tuple[int, int]] = []
        with self._database.write():  # nobody else is in here meanwhile
            self._learned = learned
            yield
        for used, unjudged in learned:
            self.room.learn(used, unjudged)

    def _bytes(self, used: int, unjudged: int = 0) -> None:
        self._ledger.change({USED: used, UNJUDGED: unjudged})
        self._learned.append((used, unjudged))

    def _move(self, destination: int, states: Mapping[State, int]) -> None:
        """Instances of a destination went from state to state."""
        name = self._name(destination)
        self._ledger.change({("image:" + name, state): n for state, n in states.items()})

    def _name(self, destination: int) -> str:
        if destination not in self._names:
            self._names = {row[0]: row[1] for row in self._database.rows("destination.all")}
        return self._names[destination]

    def _stand(self, changes: Mapping[str, int]) -> None:
        """Studies went from state to state."""
        self._ledger.change({("study", state): n for state, n in changes.items()})

    # --- taking in ----------------------------------------------------------------------------------------------------

    def begin_arrival(self) -> Counted:
        """A file for an instance that arrives. SpoolFull: there is no room."""
        return Counted(self.files.incoming_folder, self.room, arrives=True, key=self.files.key)

    def keep(self, parcels: Sequence[Parcel]) -> list[Kept]:
        """One commit: when it returns, all of it is on disk under its own name, and in the book. Nothing of it is, if it raises."""
        with self._placing:
            verdicts = self._verdicts(parcels)
            kept = [
                (parcel.header.study_instance_uid, parcel.written)
                for parcel, said in zip(parcels, verdicts, strict=True)
                if said.takes_file
            ]
            try:
                self.files.place(kept)
                with self._write():
                    self._add(parcels, verdicts)
            except BaseException:
                self.files.take_back(kept)  # each may be tried alone
                raise
            for parcel, said in zip(parcels, verdicts, strict=True):
                if not said.takes_file:
                    self.files.drop_incoming(parcel.written.token)
        return [said.kept for said in verdicts]

    def drop_unkept(self, parcels: Sequence[Parcel]) -> None:
        """Their commit failed: what had its name before goes, unless it is one that is known."""
        with self._placing:
            for parcel in parcels:
                said = self._verdicts([parcel])[0]
                if parcel.written.is_placed and (said.is_new or said.restores):
                    self.files.drop(parcel.header.study_instance_uid, [parcel.written.sha256])

    def _verdicts(self, parcels: Sequence[Parcel]) -> list[Verdict]:
        """Of each, in the order in which they came: also of what came twice in one group."""
        known: dict[str, list[Known]] = {}
        uids = as_json(list({parcel.header.sop_instance_uid for parcel in parcels}))
        for uid, number, digest, conflict, files in self._database.rows("image.known", uids=uids):
            known.setdefault(uid, []).append(Known(number, digest, bool(conflict), bool(files)))
        found = []
        for parcel in parcels:
            here = known.setdefault(parcel.header.sop_instance_uid, [])
            said = verdict(parcel.written.sha256, here, partial(self._lies_there, parcel))
            found.append(said)
            if said.mends:
                continue
            if said.restores:
                here[:] = [one._replace(has_files=True) if one.id == said.restores else one for one in here]
            elif said.is_new:
                here.append(Known(0, parcel.written.sha256, said.kept is Kept.CONFLICT, True))
        return found

    def _lies_there(self, parcel: Parcel) -> bool:
        """Whether the file of one that is known is where it should be. One that got its name just now was not there."""
        if parcel.written.is_placed:
            return False
        path = self.files.path(parcel.header.study_instance_uid, parcel.written.sha256)
        try:
            return size_of(self.files.reading(path, parcel.written.sha256)) == parcel.written.size
        except OSError:
            return False

    def _add(self, parcels: Sequence[Parcel], verdicts: Sequence[Verdict]) -> None:
        arrived: dict[int, _Arrival] = {}
        series: dict[tuple[int, str], tuple[int, bytes]] = {}
        counted: Counter[int] = Counter()
        studies: dict[str, int] = {}
        for parcel, said in zip(parcels, verdicts, strict=True):
            now = millis(parcel.received_at)
            if said.restores:
                row = self._database.row("image.restore", id=said.restores)
                assert row is not None
                arrived.setdefault(row[0], _Arrival()).add(now, said.restores, row[1], counts=False)
                self._come_again(row[0], said.restores)
            elif said.mends:
                study = self._study_for(parcel, now)
                arrived.setdefault(study, _Arrival()).add(now, said.mends, 0, counts=False)
                self._come_again(study, said.mends)
            elif said.is_new:
                uid = parcel.header.study_instance_uid
                study = studies.get(uid) or studies.setdefault(uid, self._study_for(parcel, now))
                of = (study, parcel.header.series_instance_uid)
                number, base = series.get(of) or series.setdefault(of, self._series_for(study, parcel))
                is_conflict = said.kept is Kept.CONFLICT
                row = self._database.row(
                    "image.add instance", study=study, series=number, uid=parcel.header.sop_instance_uid,
                    sha256=parcel.written.sha256, size=parcel.written.size, now=now, conflict=int(is_conflict),
                    origin=self._origin(parcel.inlet, parcel.sender), differs=difference(base, parcel.header),
                )  # fmt: skip
                assert row is not None
                counted[number] += not is_conflict
                arrived.setdefault(study, _Arrival()).add(now, row[0], parcel.written.size, counts=not is_conflict)
        for number, n in counted.items():
            if n:
                self._database.run("image.count series", series=number, n=n)
        for study, one in arrived.items():
            self._arrived(study, one)

    def _come_again(self, study: int, instance: int) -> None:
        """What could not go because its file was lost goes once it was looked at."""
        for (destination,) in self._database.rows("image.mended", study=study, instance=instance):
            self._move(destination, {State.DAMAGED: -1, State.AWAITING: 1})

    def _arrived(self, study: int, one: "_Arrival") -> None:
        before = self._database.row("image.state of", study=study)
        assert before is not None
        self._stand(_from_to(before[0]))
        unjudged = one.size + CHANGED * one.files
        self._database.run(
            "image.arrived", study=study, now=one.at, due=one.at + _millis(self.rules.settle), newest=one.newest,
            instances=one.instances, size=one.counted, unjudged=unjudged,
        )  # fmt: skip
        self._bytes(one.size, unjudged)

    def _study_for(self, parcel: Parcel, now: int) -> int:
        header = parcel.header
        row = self._database.row("image.study of", uid=header.study_instance_uid)
        if row is None:
            wanted = self._database.row(
                "image.urgency wanted", uid=header.study_instance_uid, accession=header.accession_number
            )
            urgency = wanted[0] if wanted and wanted[0] is not None else 1
            row = self._database.row(
                "image.add study", uid=header.study_instance_uid, institution=self.rules.institution, inlet=parcel.inlet,
                urgency=urgency, now=now, patient_id=header.patient_id, accession=header.accession_number,
            )  # fmt: skip
            self._stand({StudyState.COLLECTING: 1})
        assert row is not None
        return int(row[0])

    def _series_for(self, study: int, parcel: Parcel) -> tuple[int, bytes]:
        uid = parcel.header.series_instance_uid
        row = self._database.row("image.series of", study=study, uid=uid)
        if row is None:
            header = packed_header(parcel.header)
            added = self._database.row("image.add series", study=study, uid=uid, header=header)
            assert added is not None
            return int(added[0]), header
        return int(row[0]), bytes(row[1])

    def _origin(self, inlet: str, sender: str) -> int:
        """Who sent something: said once. Only remembered of what is committed for sure: a sender of before is found again."""
        known = self._origins.get((inlet, sender))
        if known is None:
            row = self._database.row("image.origin of", inlet=inlet, sender=sender)
            if row is not None:
                known = int(row[0])
                if len(self._origins) > 1000:
                    self._origins.clear()
                self._origins[inlet, sender] = known
            else:
                row = self._database.row("image.add origin", inlet=inlet, sender=sender)
                assert row is not None
                known = int(row[0])
        return known

    # --- looking ------------------------------------------------------------------------------------------------------

    def study(self, study: int) -> Study | None:
        row = self._database.row("image.one", id=study)
        return study_of(row) if row else None

    def study_of(self, study_instance_uid: str) -> Study | None:
        row = self._database.row("image.study of", uid=study_instance_uid)
        return self.study(row[0]) if row else None

    def studies(
        self,
        state: StudyState | None = None,
        *,
        limit: int = 100,
        after: int = 0,
        patient_id: str = "",
        accession: str = "",
    ) -> list[Study]:
        """The newest first; the next ones with `after` = the last one's number."""
        asked: dict[str, Any] = {"before": after or 1 << 62, "limit": limit}
        said = str(state) if state else ""
        if patient_id:
            rows = self._database.rows(
                "image.list patient", patient_id=patient_id, accession=accession, state=said, **asked
            )
        elif accession:
            rows = self._database.rows("image.list accession", accession=accession, state=said, **asked)
        elif state:
            rows = self._database.rows("image.list state", state=said, **asked)
        else:
            rows = self._database.rows("image.list", **asked)
        return [study_of(row) for row in rows]

    def instances(self, study: int) -> list[Instance]:
        with self._database.held():
            headers = self._headers([study])
            rows = self._database.rows("image.instances", study=study)
            left = {row[0] for row in self._database.rows("image.have left", study=study)}
        return sorted((instance_of(row, headers, left) for row in rows), key=by_series_and_number)

    def _some(self, study: int, numbers: Sequence[int]) -> tuple[Instance, ...]:
        headers = self._headers([study])
        rows = self._database.rows("image.some instances", ids=as_json(list(numbers)))
        return tuple(sorted((instance_of(row, headers) for row in rows), key=by_series_and_number))

    def _headers(self, studies: Sequence[int]) -> dict[int, dict[str, Any]]:
        return {
            number: msgspec.json.decode(header, type=dict[str, Any])
            for study in studies
            for number, _, header in self._database.rows("image.series headers", study=study)
        }

    def path(self, instance: Instance, *, as_it_came: bool = False) -> InstanceFile | None:
        digest = instance.sha256 if as_it_came else instance.sent_sha256
        path = self.files.path(instance.header.study_instance_uid, digest)
        return self.files.reading(path, digest) if path.exists() else None

    def study_with(self, sop_instance_uid: str) -> Study | None:
        """The study of an instance."""
        rows = self._database.rows("image.study with", uid=sop_instance_uid)
        return self.study(rows[0][0]) if rows else None

    def log_of(self, study_instance_uid: str, most: int = 5000) -> list[dict[str, Any]]:
        """What the newest entries of the log say of a study, the newest first."""
        found = []
        for entry in self._ledger.newest(most, 1 << 62):
            if study_instance_uid.encode() in entry.body:
                found.append({"seq": entry.seq, **msgspec.json.decode(entry.body, type=dict[str, Any])})
        return found

    def want_counts(self) -> dict[str, int]:
        """How many studies are wanted, and how many were given up."""
        return {state: n for state in ("open", "stuck") if (n := self._ledger.tally("wants", state))}

    def counts(self, study_instance_uid: str) -> Mapping[str, int]:
        return dict(self._database.rows("image.counts", uid=study_instance_uid))

    def stands(self, study: int) -> dict[str, dict[str, int]]:
        """How a study's instances stand: destination -> state -> how many."""
        found: dict[str, dict[str, int]] = {}
        for destination, state, n in self._database.rows("image.stands", study=study):
            found.setdefault(self._name(destination), {})[state] = n
        return found

    def reasons(self, study: int, limit: int = 100) -> list[tuple[str, str, str, list[str]]]:
        """Why instances of a study wait for a person: destination, SOP Instance UID, state, what was said."""
        return [
            (self._name(destination), uid, state, msgspec.json.decode(reasons) if reasons else [])
            for destination, _, uid, state, reasons in self._database.rows("image.reasons", study=study, limit=limit)
        ]

    def stuck(self, after: int = 0, limit: int = 1000) -> list[tuple[int, str, int]]:
        """Studies of which something waits for a person at a destination: study, destination, how many."""
        rows = self._database.rows("image.stuck", after=after, limit=limit)
        return [(study, self._name(destination), n) for study, destination, n in rows]

    # --- documents, beside the studies

    def newest_document(self) -> int:
        """The row of the newest document of any kind; 0 where there is none."""
        row = self._database.row("image.newest document")
        return int(row[0]) if row else 0

    def made(self, kind: str, after: int, limit: int) -> list[Reported]:
        """Documents of a kind that were made after that row."""
        rows = self._database.rows("image.made", kind=kind, after=after, limit=limit)
        return [Reported(row, make_document_id(set_id, version), key) for row, set_id, version, key in rows]

    # --- orders, and what a PACS says ---------------------------------------------------------------------------------

    def put_orders(self, orders: Sequence[Order], now: datetime) -> int:
        with self._write():
            changed = self._wanting.put_orders(orders, now)
            for order in changed:
                self._about(order.study_instance_uid, order.accession_number, now)
        return len(changed)

    def find_order(self, *, study_instance_uid: str = "", accession_number: str = "", key: str = "") -> list[Order]:
        return self._wanting.find_order(study_instance_uid, accession_number, key)

    def expect(self, study_instance_uid: str, expected: Expected, now: datetime) -> None:
        with self._write():
            if self._wanting.expect(study_instance_uid, expected, now):
                self._about(study_instance_uid, "", now)

    def _about(self, uid: str, accession: str, now: datetime) -> None:
        """Somebody says something new about studies: those that are here are looked at once nothing more comes."""
        for (study,) in self._database.rows("image.look by order", uid=uid, accession=accession):
            row = self._database.row("image.newest", study=study)
            assert row is not None
            self._look(study, row[1], max(millis(now), row[3] + _millis(self.rules.settle)))

    def _look(self, study: int, state: str, due: int) -> None:
        self._stand(_from_to(state))
        self._database.run("image.look", study=study, due=due)

    # --- deciding -----------------------------------------------------------------------------------------------------

    def due(self, now: datetime, limit: int = 10) -> list[Study]:
        found: list[int] = []
        for urgency in URGENCIES:
            if len(found) < limit:
                rows = self._database.rows(
                    "image.due", urgency=urgency, now=millis(now), limit=limit - len(found)
                )  # fmt: skip
                found += [row[0] for row in rows]
        return [study for number in found if (study := self.study(number))]

    def next_due(self) -> int | None:
        """When the next study is to be looked at, in milliseconds; None: none is waited for."""
        times = [row[0] for one in URGENCIES if (row := self._database.row("image.next due", urgency=one)) and row[0]]
        return min(times, default=None)

    def begin(self) -> Incoming:
        return Counted(self.files.incoming_folder, self.room, arrives=False, key=self.files.key)

    def checked(self, checked: Checked) -> bool:
        try:
            with self._placing, self._write():
                row = self._database.row("image.newest", study=checked.study)
                if row is None or row[0] > checked.seen or row[1] != StudyState.COLLECTING:
                    return False
                if checked.due_at is not None and row[8] != millis(checked.due_at):
                    return False  # somebody said something about it meanwhile
                return self._judged(checked, row)
        finally:
            for one in checked.rewritten:  # what was not taken is gone, also when this raised
                self.files.drop_incoming(one.token)
                self.room.give_back(one.size)

    def _judged(self, checked: Checked, row: Sequence[Any]) -> bool:
        _, state, unjudged, _, note, _, uid, let_go, _ = row
        if checked.wait_until is not None:
            self._database.run("image.waits", study=checked.study, due=millis(checked.wait_until), **_said(checked))
            return True
        held = checked.held and bool(holding(checked.findings, msgspec.json.decode(let_go)) or not checked.findings)
        if held:
            ended = StudyState.HELD
            self._stop(checked.study)
        else:
            self._change(checked, uid)
            is_open = self._deliver(checked)
            ended = StudyState.SENDING if is_open else StudyState.DONE
            self._bytes(0, -unjudged)
        if ended is StudyState.DONE and not checked.destinations:
            note = "no destination takes it"
        order = checked.order
        self._database.run(
            "image.judged", study=checked.study, state=ended, destinations=as_json(checked.destinations), seen=checked.seen,
            unjudged=unjudged if held else 0, ended_at=millis(checked.at) if ended is StudyState.DONE else None, note=note,
            patient_id=order.patient_id if order else "", accession=order.accession_number if order else "",
            **_said(checked),
        )  # fmt: skip
        self._stand({state: -1, ended: 1} if state != ended else {})
        self._log_judged(checked, uid, ended)
        return True

    def _log_judged(self, checked: Checked, uid: str, ended: StudyState) -> None:
        rows = self._database.rows("image.instances", study=checked.study)
        body: dict[str, Any] = {
            "event": "study judged", "study": uid, "became": ended, "instances": sum(not row[10] for row in rows),
            "conflicts": sum(bool(row[10]) for row in rows), "changed": sum(bool(row[5]) for row in rows),
            "root": root({f"{row[0]}": row[5] or row[3] for row in rows if not row[10]}),
            "findings": [(one.rule, one.severity, one.field) for one in checked.findings],
            "order": checked.order.key if checked.order else "", "destinations": list(checked.destinations),
            "digests": checked.digests,
        }  # fmt: skip
        self._ledger.log({name: value for name, value in body.items() if value not in ("", [], 0)}, checked.at)

    def _stop(self, study: int) -> None:
        """A held study goes nowhere, also what was to go before."""
        for destination, states in self._standing(study).items():
            for state in (State.READY, State.WAITING, State.UNCERTAIN):
                if n := states.get(state):
                    self._database.run(
                        "image.move", study=study, destination=destination, before=state, state=State.BEHIND
                    )
                    self._move(destination, {state: -n, State.BEHIND: n})

    def _standing(self, study: int) -> dict[int, dict[State, int]]:
        found: dict[int, dict[State, int]] = {}
        for destination, state, n in self._database.rows("image.stands", study=study):
            found.setdefault(destination, {})[State(state)] = n
        return found

    def _change(self, checked: Checked, uid: str) -> None:
        """What is sent of each instance from now on. What a destination has, or may have, stays the bytes that it is (law 6)."""
        rows = {row[0]: row for row in self._database.rows("image.instances", study=checked.study)}
        left = {row[0] for row in self._database.rows("image.have left", study=checked.study)}
        anew = {one.instance: one for one in checked.rewritten if one.instance in rows}
        drop: list[str] = []
        bytes_more = 0
        place = []
        for number, row in rows.items():
            digest, sent, sent_size, has_files = row[3], row[5], row[6], row[11]
            one = anew.get(number)
            is_here = not sent or sent_size is not None
            if not has_files or (number in left and is_here) or (one is None and not sent):
                continue
            if one is not None and is_here and one.sha256 == (sent or digest):
                continue
            if sent and is_here:
                drop.append(sent)
                bytes_more -= sent_size
            if one is None or one.sha256 == digest:
                self._database.run("image.sent as it came", id=number)
                continue
            place.append((uid, Written(one.token, one.sha256, one.size)))
            bytes_more += one.size
            self._database.run("image.sent as", id=number, sha256=one.sha256, size=one.size)
        self.files.place(place)
        self.files.drop(uid, sorted(set(drop) - {written.sha256 for _, written in place}))
        self._bytes(bytes_more)

    def _deliver(self, checked: Checked) -> bool:
        """Everything that is new goes to the destinations; what waited behind goes on. Whether anything is to be done yet."""
        row = self._database.row("image.newest", study=checked.study)
        assert row is not None
        urgency = row[5]
        numbers = {name: self._destination(name) for name in checked.destinations}
        for name, number in numbers.items():
            first = self.rules.after.get(name)
            waits = first in numbers if first else False
            state = State.BEHIND if waits else State.READY
            added = self._database.changed(
                "image.deliver",
                destination=number,
                study=checked.study,
                state=state,
                urgency=urgency,
                seen=checked.seen,
            )
            if added:
                self._database.run("image.journey", study=checked.study, destination=number, total=added, open=added)
                self._move(number, {state: added})
        for number, states in self._standing(checked.study).items():
            if n := states.get(State.AWAITING):
                come = self._database.changed("image.awaited", study=checked.study, destination=number)
                self._move(number, {State.AWAITING: -come, State.READY: come} if n else {})
        for name, number in numbers.items():
            self._let_go_on(checked.study, name, number)
        return self._is_on_its_way(checked.study)

    def _let_go_on(self, study: int, name: str, number: int) -> None:
        """What stands behind goes, if nothing has to be there before."""
        if self._has_to_wait(study, name):
            return
        n = self._database.changed(
            "image.move", study=study, destination=number, before=State.BEHIND, state=State.READY
        )  # fmt: skip
        self._move(number, {State.BEHIND: -n, State.READY: n})

    def _has_to_wait(self, study: int, name: str) -> bool:
        """Whether another destination must have the study first, and does not: it goes there, and is not proven yet."""
        first = self.rules.after.get(name)
        if not first:
            return False
        number = self._destination(first)
        if number not in {row[0] for row in self._database.rows("image.journeys", study=study)}:
            return False
        accepted = int(first in self.rules.never_prove)
        row = self._database.row("image.arrives there", study=study, destination=number, accepted=accepted)
        return not (row and row[0])

    def _those_behind_go_on(self, study: int, destination: str) -> None:
        """Something ended at a destination: those that waited for it may go. What is held goes nowhere."""
        row = self._database.row("image.state of", study=study)
        if row is None or row[0] == StudyState.HELD:
            return
        for name, first in self.rules.after.items():
            if first == destination:
                self._let_go_on(study, name, self._destination(name))

    def _is_on_its_way(self, study: int) -> bool:
        return any(open_ for _, _, open_ in self._database.rows("image.journeys", study=study))

    def put_off(self, study: int, until: datetime, note: str) -> None:
        """It could not be looked at: it is tried again then. Nothing else changes."""
        with self._database.write():
            self._database.run("image.put off", study=study, due=millis(until), note=note)

    def release(self, study: int, who: str, now: datetime) -> bool:
        with self._write():
            found = self.study(study)
            if found is None or found.state is not StudyState.HELD:
                return False
            let_go = sorted({*found.let_go, *map(passes, holding(found.findings))})
            self._database.run("image.let go", study=study, let_go=as_json(let_go), note=f"released by {who}")
            self._look(study, found.state, millis(now))
            self._ledger.log(
                {"event": "study released", "study": found.study_instance_uid, "findings": let_go, "who": who}, now
            )
        return True

    def look_again(self, study: int, now: datetime) -> bool:
        with self._write():
            found = self.study(study)
            if found is None or not found.has_files:
                return False
            self._look(study, found.state, millis(now))
        return True

    def discard(self, study: int, who: str, reason: str, now: datetime) -> bool:
        with self._write():
            found = self.study(study)
            if found is None or found.state in (StudyState.DISCARDED, StudyState.DONE):
                return False
            row = self._database.row("image.state of", study=study)
            assert row is not None
            for destination, states in self._standing(study).items():
                gone = {state: n for state, n in states.items() if state not in (*ENDED, State.ACCEPTED)}
                n = sum(gone.values())
                self._database.run("image.discarded", study=study, destination=destination, now=millis(now))
                self._database.run("image.journey", study=study, destination=destination, total=0, open=-n)
                self._move(destination, {**{state: -n for state, n in gone.items()}, State.DISCARDED: n})
            self._database.run("image.discard", study=study, now=millis(now), note=f"{who}: {reason}")
            self._bytes(0, -row[1])
            self._stand({found.state: -1, StudyState.DISCARDED: 1})
            self._ledger.log(
                {"event": "study discarded", "study": found.study_instance_uid, "instances": found.instances, "who": who,
                 "reason": reason}, now
            )  # fmt: skip
        return True

    def send_again(self, study: int, destinations: Sequence[str], who: str, now: datetime) -> int:
        """Deliver it (again) to these: how many instances. Those whose files are gone wait until they were fetched again."""
        with self._write():
            found = self.study(study)
            if found is None or found.state in (StudyState.HELD, StudyState.DISCARDED, StudyState.COLLECTING):
                return 0
            count = sum(self._send_again(found, self._destination(name), _STATES_AGAIN) for name in destinations)
            self._stand_behind(study, destinations)
            if count:
                self._database.run("image.sending", study=study)
                self._stand({found.state: -1, StudyState.SENDING: 1} if found.state != StudyState.SENDING else {})
                self._ledger.log(
                    {"event": "study sent again", "study": found.study_instance_uid, "destinations": list(destinations),
                     "instances": count, "who": who}, now
                )  # fmt: skip
        return count

    def send_stuck(self, study: int, destinations: Sequence[str], who: str, now: datetime) -> int:
        """Send again what these destinations did not take: how many instances."""
        with self._write():
            found = self.study(study)
            if found is None:
                return 0
            count = sum(self._send_again(found, self._destination(name), STUCK, only=True) for name in destinations)
            self._stand_behind(study, destinations)
            if count:
                self._ledger.log(
                    {"event": "instances sent again", "study": found.study_instance_uid, "destinations": list(destinations),
                     "instances": count, "who": who}, now
                )  # fmt: skip
        return count

    def _stand_behind(self, study: int, destinations: Sequence[str]) -> None:
        """What is to go again where another must have it first waits for that."""
        for name in destinations:
            if self._has_to_wait(study, name):
                number = self._destination(name)
                n = self._database.changed(
                    "image.move", study=study, destination=number, before=State.READY, state=State.BEHIND
                )  # fmt: skip
                self._move(number, {State.READY: -n, State.BEHIND: n})

    def discard_stuck(self, study: int, destination: str, who: str, reason: str, now: datetime) -> int:
        """What a destination did not take need not go there: how many instances."""
        number = self._destination(destination)
        with self._write():
            found, count = self.study(study), 0
            for state in STUCK:
                n = self._database.changed(
                    "image.move", study=study, destination=number, before=state, state=State.DISCARDED
                )
                self._move(number, {state: -n, State.DISCARDED: n})
                count += n
            if found is None or not count:
                return 0
            self._database.run("image.journey", study=study, destination=number, total=0, open=-count)
            self._those_behind_go_on(study, destination)
            if self._database.changed("image.done", study=study, now=millis(now), note=f"{who}: {reason}"):
                self._stand({StudyState.SENDING: -1, StudyState.DONE: 1})
            self._ledger.log(
                {"event": "instances discarded", "study": found.study_instance_uid, "destination": destination,
                 "instances": count, "who": who, "reason": reason}, now
            )  # fmt: skip
        return count

    def _send_again(self, study: Study, destination: int, states: Sequence[str], only: bool = False) -> int:
        """`only` what stands so; otherwise also what never was to go there."""
        before = self._standing(study.id).get(destination, {})
        rows = self._database.rows(
            "image.again", destination=destination, study=study.id, states=as_json(states), urgency=study.urgency
        )
        after = Counter(State(state) for (state,) in rows)
        changes = Counter({state: -n for state, n in before.items() if state in states})
        changes.update(after)
        opened = sum(n for state, n in before.items() if state in states and state in ENDED)
        added = 0
        if not only:
            added = self._database.changed(
                "image.deliver", destination=destination, study=study.id, state=State.READY, urgency=study.urgency, seen=1 << 62
            )  # fmt: skip
        changes[State.READY] += added
        self._database.run(
            "image.journey", study=study.id, destination=destination, total=added, open=opened + added
        )  # fmt: skip
        self._move(destination, changes)
        return len(rows) + added

    # --- sending ------------------------------------------------------------------------------------------------------

    def claim(
        self,
        destination: str,
        now: datetime,
        *,
        limit: int,
        max_bytes: int,
        lease: timedelta,
        busy: Sequence[int] = (),
    ) -> ImageDelivery | None:
        number = self._destination(destination)
        with self._write():
            self._come_due(number, now)
            place = self._next_study(number, (-1, 0), busy)
            while place is not None:
                claimed = self._claim(destination, number, place, now, limit, max_bytes, lease)
                if claimed is not None:
                    return claimed
                place = self._next_study(number, place, busy)
        return None

    def _come_due(self, number: int, now: datetime) -> None:
        at = millis(now)
        due = self._database.rows("image.due deliveries", destination=number, now=at)
        lapsed = self._database.rows("image.lapsed deliveries", destination=number, now=at)
        again = [(row[0], State(row[1])) for row in due] + [(row[0], State.SENDING) for row in lapsed]
        if again:
            self._database.run("image.ready", destination=number, instances=as_json([row[0] for row in again]))
            changes = Counter({State.READY: len(again)})
            changes.subtract(state for _, state in again)
            self._move(number, changes)

    def _next_study(self, number: int, place: tuple[int, int], busy: Sequence[int]) -> tuple[int, int] | None:
        """(urgency, study) behind a place. Costs a step for each busy study, however many instances of it wait."""
        while row := self._database.row("image.next study", destination=number, urgency=place[0], study=place[1]):
            place = row[0], row[1]
            if row[1] not in busy:
                return place
        return None

    def _claim(
        self,
        destination: str,
        number: int,
        place: tuple[int, int],
        now: datetime,
        limit: int,
        max_bytes: int,
        lease: timedelta,
    ) -> ImageDelivery | None:
        picked: list[int] = []
        total = attempts = 0
        for instance, size, tried in self._database.rows(
            "image.pick", destination=number, urgency=place[0], study=place[1], limit=limit
        ):
            total += size
            if picked and total > max_bytes:
                break
            picked.append(instance)
            attempts = max(attempts, tried)
        instances = self._some(place[1], picked)
        lost = [one.id for one in instances if self.path(one) is None]
        if lost:
            self._damaged(destination, number, place[1], lost, now)
            instances = tuple(one for one in instances if one.id not in lost)
        study = self.study(place[1])
        if not instances or study is None:
            return None
        self._database.run(
            "image.claim",
            destination=number,
            instances=as_json([one.id for one in instances]),
            until=millis(now + lease),
        )
        self._move(number, {State.READY: -len(instances), State.SENDING: len(instances)})
        return ImageDelivery(study=study, destination=destination, instances=instances, attempts=attempts + 1)

    def _damaged(self, destination: str, number: int, study: int, lost: Sequence[int], now: datetime) -> None:
        """Files that should lie here and do not: for a person."""
        reasons = as_json(["its file is no longer on our disk; fetch the study again (images pull)"])
        self._database.run(
            "image.damaged", destination=number, instances=as_json(list(lost)), now=millis(now), reasons=reasons
        )
        self._move(number, {State.READY: -len(lost), State.DAMAGED: len(lost)})
        self._ledger.log(
            {"event": "instances lost", "study": self._uid(study), "destination": destination, "instances": len(lost),
             "blame": "agent"}, now
        )  # fmt: skip

    def _uid(self, study: int) -> str:
        row = self._database.row("image.newest", study=study)
        return str(row[6]) if row else ""

    def claim_unproven(
        self, destination: str, now: datetime, *, first: timedelta, every: timedelta, until: timedelta
    ) -> ImageDelivery | None:
        number, at = self._destination(destination), millis(now)
        with self._write():
            while row := self._database.row("image.unproven", destination=number, due=at - _millis(first)):
                study, settled_at, instance = row
                if settled_at < at - _millis(until):  # it was asked for long enough
                    self._database.run("image.asked", destination=number, instances=as_json([instance]), due_at=None)
                    continue
                rows = self._database.rows(
                    "image.unproven of", study=study, destination=number, due=at - _millis(first), limit=PROVEN_AT_ONCE
                )
                numbers = [row[0] for row in rows]
                self._database.run(
                    "image.asked", destination=number, instances=as_json(numbers), due_at=at + _millis(every - first)
                )
                found = self.study(study)
                assert found is not None
                return ImageDelivery(
                    study=found, destination=destination, instances=self._some(study, numbers),
                    attempts=max(row[1] for row in rows), unproven=True,
                )  # fmt: skip
        return None

    def settle(self, destination: str, settled: Sequence[Settled], now: datetime) -> int:
        number, at = self._destination(destination), millis(now)
        said = {one.instance: one for one in settled}  # of what is said twice, the last word counts
        with self._write():
            rows = self._database.rows("image.settle find", destination=number, instances=as_json(list(said)))
            changes: Counter[State] = Counter()
            alike: dict[tuple[State, str], list[int]] = {}
            studies: dict[int, _Settling] = {}
            for instance, study, before, attempts, uid, digest in rows:
                one = said[instance]
                became = moved(State(before), one.state)
                if became is None:
                    continue
                if became is State.READY and before in (State.ACCEPTED, State.DELIVERED):
                    became = State.WAITING  # it is lost there: sent again, after a while if it is lost again and again
                changes[State(before)] -= 1
                changes[became] += 1
                studies.setdefault(study, _Settling()).add(State(before), became, uid, digest, one)
                if became in (State.DELIVERED, State.ACCEPTED) and not one.reasons:
                    alike.setdefault((became, one.proof), []).append(instance)
                else:
                    self._settle_one(number, instance, became, State(before), attempts, one, at)
            for (became, proof), instances in alike.items():
                self._database.run(
                    "image.settle alike", destination=number, instances=as_json(instances), state=became, settled_at=at,
                    due_at=at if became is State.ACCEPTED else None, proof=proof or None,
                )  # fmt: skip
            self._move(number, changes)
            for study, told in studies.items():
                self._settled(destination, number, study, told, now)
        ended = (State.DELIVERED, State.ACCEPTED, State.REFUSED)
        return sum(told.became[state] for told in studies.values() for state in ended)

    def _settle_one(
        self, number: int, instance: int, became: State, before: State, attempts: int, one: Settled, at: int
    ) -> None:
        due_at, settled_at = None, None
        if became in (State.WAITING, State.UNCERTAIN):
            delay = back_off(attempts, self._random.random(), FIRST_DELAY, LONGEST_DELAY)
            due_at = at + _millis(delay)
        elif became is State.READY:
            attempts = max(attempts - (before is State.SENDING), 0)  # it was no attempt at this instance
        else:
            settled_at = at
            due_at = at if became is State.ACCEPTED else None
        self._database.run(
            "image.settle", destination=number, instance=instance, state=became, attempts=attempts, due_at=due_at,
            settled_at=settled_at, reasons=as_json(one.reasons) if one.reasons else None, proof=one.proof or None,
        )  # fmt: skip

    def _settled(self, destination: str, number: int, study: int, told: "_Settling", now: datetime) -> None:
        if told.opened:
            self._database.run("image.journey", study=study, destination=number, total=0, open=told.opened)
        row = self._database.row("image.newest", study=study)
        assert row is not None
        state, note, uid = row[1], row[4], row[6]
        self._those_behind_go_on(study, destination)
        if state == StudyState.HELD:
            self._stop(study)  # it was under way when it was held
        if told.opened > 0 and state == StudyState.DONE:
            self._database.run("image.sending", study=study)
            self._stand({StudyState.DONE: -1, StudyState.SENDING: 1})
        elif told.opened < 0 and self._database.changed("image.done", study=study, now=millis(now), note=note):
            self._stand({StudyState.SENDING: -1, StudyState.DONE: 1})
        if told.logged():
            self._ledger.log(told.logged() | {"study": uid, "destination": destination}, now)

    def waiting(self, destination: str) -> int:
        return sum(self._ledger.tally("image:" + destination, state) for state in MOVING)

    def unproven(self, destination: str) -> int:
        """Instances that were accepted there and are not proven."""
        return self._ledger.tally("image:" + destination, State.ACCEPTED)

    # --- what is wanted -----------------------------------------------------------------------------------------------

    def want(self, wants: Sequence[Want]) -> int:
        with self._write():
            fresh = 0
            for one in wants:
                is_new, studies = self._wanting.want(one)
                fresh += is_new
                if is_new and one.since is not None and one.why.startswith("platform "):  # its act on this agent
                    named = {"study": one.study_instance_uid, "accession": one.accession_number}
                    told = {name: value for name, value in named.items() if value}
                    self._ledger.log({"event": "study wanted", **told, "who": one.why, "role": "platform"}, one.since)
                for study in studies:  # those that are here, or come, go first then
                    self._database.run("image.hurry", study=study, urgency=one.urgency)
                    self._database.run("image.hurry deliveries", study=study, urgency=one.urgency)
        return fresh

    def next_want(self, inlet: str, now: datetime, lease: timedelta) -> Want | None:
        return self._wanting.next_want(inlet, now, lease)

    def want_done(self, want: int, now: datetime, problem: str = "", retry_at: datetime | None = None) -> None:
        self._wanting.done(want, now, problem, retry_at)

    def wants(self, *, open_only: bool = True, limit: int = 100) -> list[Want]:
        return self._wanting.wants(open_only, limit)

    # --- under other UIDs

    def renamed(self, study: Study, destination: str, uid: str, now: datetime) -> None:
        """It leaves for a destination under another UID. Said in the log once, before it is sent, and remembered for both ways."""
        mark = f"{RENAMED}{study.study_instance_uid} {destination}"
        if self.mark(mark) == uid:
            return
        with self._database.write():
            for name, value in ((mark, uid), (f"{NAMED}{uid}", study.study_instance_uid)):
                self._database.run("meta.put", name=f"images:{name}", value=value)
            self._ledger.log(
                {"event": "study sent under another uid", "study": study.study_instance_uid, "destination": destination, "as": uid}, now
            )  # fmt: skip

    def known_as(self, study_instance_uid: str) -> dict[str, str]:
        """Destination -> the UID that a study has there, where it is another."""
        return self.marks(f"{RENAMED}{study_instance_uid} ")

    def original_of(self, study_instance_uid: str) -> str:
        """The study that has this UID at some destination; "" where none was sent under it."""
        return self.mark(f"{NAMED}{study_instance_uid}")

    def every_instance(self, at_once: int = 10_000) -> Iterator[tuple[str, int]]:
        """SOP Instance UID and study of all that are known, page by page."""
        after = 0
        while rows := self._database.rows("image.every instance", after=after, limit=at_once):
            after = rows[-1][0]
            yield from ((uid, study) for _, uid, study in rows)

    # --- marks --------------------------------------------------------------------------------------------------------

    def mark(self, name: str) -> str:
        row = self._database.row("meta.get", name=f"images:{name}")
        return str(row[0]) if row else ""

    def put_mark(self, name: str, value: str) -> None:
        with self._database.write():
            self._database.run("meta.put", name=f"images:{name}", value=value)

    def marks(self, beginning: str) -> dict[str, str]:
        """Those whose names begin so: the rest of their names, and their values."""
        first = f"images:{beginning}"
        rows = self._database.rows("image.marks", first=first, behind=first + "\U0010ffff")
        return {name.removeprefix(first): value for name, value in rows}

    def drop_mark(self, name: str) -> None:
        if self.mark(name):
            with self._database.write():
                self._database.run("meta.drop", name=f"images:{name}")

    def drop_marks(self, beginning: str, below: str) -> None:
        first = f"images:{beginning}"
        with self._database.write():
            self._database.run("image.drop marks", first=first, behind=first + "\U0010ffff", below=below)

    # --- room ---------------------------------------------------------------------------------------------------------

    def used(self) -> int:
        return self.room.taken() if self._is_open else self._ledger.tally(*USED)

    def retire(self, retention: timedelta, remember: timedelta, now: datetime) -> int:
        """Drop the files of studies that every destination has proven for so long; those that were accepted and never proven have their
        own term. Forget what need not be remembered. How many studies lost their files."""
        self._end_unproven(now)
        dropped = 0
        while some := self._drop_files(millis(now - retention), now):
            dropped += some
        self._forget(millis(now - max(remember, retention)))
        return dropped

    def _drop_files(self, before: int, now: datetime) -> int:
        """The rows first: a file that outlives them is swept at the next start. Which studies is asked in the same transaction: what
        comes to one of them meanwhile has opened it again. How many."""
        with self._placing:
            gone: list[tuple[str, list[str]]] = []
            with self._write():
                studies = self._database.rows("image.over", before=before, limit=STUDIES_AT_ONCE)
                if not studies:
                    return 0
                for study, uid in studies:
                    files = self._database.rows("image.files of", study=study)
                    gone.append((uid, [digest for row in files for digest in row[:2] if digest]))
                    self._bytes(-sum(row[2] + (row[3] or 0) for row in files))
                    self._database.run("image.gone", study=study)
                    self._database.run("image.gone study", study=study)
                self._ledger.log({"event": "studies retired", "studies": [uid for _, uid in studies]}, now)
            for uid, digests in gone:
                self.files.drop(uid, digests)
        return len(gone)

    def _end_unproven(self, now: datetime) -> None:
        """What a destination accepted and will not prove any more ends with its own term."""
        for name, term in self.rules.kept_unproven.items():
            number = self._destination(name)
            before = millis(now - term)
            while rows := self._database.rows("image.unproven studies", destination=number, before=before):
                for (study,) in rows:
                    with self._write():
                        self._end_unproven_study(name, number, study, before, now)

    def _end_unproven_study(self, name: str, number: int, study: int, before: int, now: datetime) -> None:
        """Only what was accepted so long ago: what came to it later may still be proven."""
        n = self._database.changed("image.end unproven", study=study, destination=number, before=before)
        self._move(number, {State.ACCEPTED: -n, State.DISCARDED: n})
        self._database.run("image.journey", study=study, destination=number, total=0, open=-n)
        self._those_behind_go_on(study, name)
        row = self._database.row("image.newest", study=study)
        assert row is not None
        note = f"{name} accepted it, and never proved that it is stored"
        if self._database.changed("image.done", study=study, now=millis(now), note=note):
            self._stand({StudyState.SENDING: -1, StudyState.DONE: 1})
        self._ledger.log(
            {"event": "study ended unproven", "study": row[6], "destination": name, "instances": n}, now
        )  # fmt: skip

    def _forget(self, before: int) -> None:
        while rows := self._database.rows("image.forgotten", before=before):
            with self._write():
                studies = as_json([row[0] for row in rows])
                gone: dict[int, Counter[State]] = {}
                for destination, state in self._database.rows("image.forget deliveries", studies=studies):
                    gone.setdefault(destination, Counter())[State(state)] -= 1
                for destination, changes in gone.items():
                    self._move(destination, changes)
                for query in ("journeys", "instances", "series", "studies"):
                    self._database.run(f"image.forget {query}", studies=studies)
                self._stand(Counter({state: -n for state, n in Counter(row[1] for row in rows).items()}))
        self._wanting.forget(before)

    def tallies(self) -> Mapping[str, Mapping[str, int]]:
        """`studies` by state, `image:DESTINATION` by state, `images` bytes."""
        found: dict[str, dict[str, int]] = {"studies": {}}
        for scope, name, n in self._ledger.tallies():
            if scope == "study":
                found["studies"][name] = n
            elif scope.startswith("image:"):
                found.setdefault(scope.removeprefix("image:"), {})[name] = n
        return found


class _Arrival:
    """What came to one study in one commit."""

    def __init__(self) -> None:
        self.at = self.newest = self.size = self.counted = self.instances = self.files = 0

    def add(self, at: int, number: int, size: int, counts: bool) -> None:
        self.at, self.newest = max(self.at, at), max(self.newest, number)
        self.size += size
        self.files += 1
        if counts:
            self.counted += size
            self.instances += 1


class _Settling:
    """What became of one study's instances in one commit."""

    def __init__(self) -> None:
        self.became: Counter[State] = Counter()
        self.opened = 0  # how many more (or fewer) have not ended
        self._digests: dict[str, str] = {}
        self._stuck: list[str] = []
        self._proofs: set[str] = set()

    def add(self, before: State, became: State, uid: str, digest: str, one: Settled) -> None:
        self.became[became] += 1
        self.opened += (became not in ENDED) - (before not in ENDED)
        if became is State.DELIVERED:
            self._digests[uid] = digest
            self._proofs.add(one.proof)
        if became in STUCK:
            self._stuck.append(uid)
        if before in (State.ACCEPTED, State.DELIVERED) and became not in ENDED:
            self.became[State.READY] += 1  # lost there, or refused later

    def logged(self) -> dict[str, Any]:
        """What the log says of it: what was proven, and what waits for a person. What was only sent says nothing yet."""
        if not (self._digests or self._stuck or self.became[State.READY]):
            return {}
        body = {
            "event": "instances settled", "delivered": len(self._digests), "root": root(self._digests) if self._digests else "",
            "proofs": len(self._proofs), "proof": min(self._proofs, default=""), "stuck": self._stuck[:100],
            "refused": self.became[State.REFUSED],
        }  # fmt: skip
        return {name: value for name, value in body.items() if value}


def _from_to(state: str) -> dict[str, int]:
    return {} if state == StudyState.COLLECTING else {state: -1, StudyState.COLLECTING: 1}


def _said(checked: Checked) -> dict[str, Any]:
    return {
        "orders": msgspec.json.encode(checked.order).decode() if checked.order else None,
        "findings": as_json(checked.findings),
        "digests": checked.digests,
    }


def _millis(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
