"""Taking images: each instance's file synced and placed, then its row committed, then answered (laws 1, 5 and 6).

begin ─▶ write … ─▶ keep: synced, header read ─▶ [all that wait: placed, one commit] ─▶ future done ─▶ answer

What waits together is committed together, so the cost of a commit is shared by all who send at a time. A crash before the commit
leaves a file that the index does not know: at start it is indexed, so the files alone give the index back.
"""

import logging
import mmap
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec

from frontend_agent.dicom.header import HeaderUnreadable, read_header
from frontend_agent.dicom.part10 import Meta, NoInstance, read_meta
from frontend_agent.instance_files import Written
from frontend_agent.model import Outcome
from frontend_agent.platform.images import rows
from frontend_agent.platform.images.arriving import (
    CONFLICT,
    LARGEST_INSTANCE,
    OUT_OF_RESOURCES,
    Arrived,
    Arriving,
    Refused,
)
from frontend_agent.platform.images.blobs import Blobs, Found, Placing, free
from frontend_agent.platform.images.catalogue import ImageCatalogue, Reading
from frontend_agent.wire.images import Indexed, StudyIndex

MOST_TOGETHER = 256  # instances of one commit
# A study folder's time may be a little before its rows' (another clock's second, a slow commit): looked at again all the same.
LOOK_BACK = 900

_log = logging.getLogger("frontend_agent.platform")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an instance: stored now, stored already with the same bytes (duplicate), or refused with all reasons."""

    outcome: Outcome
    institution: str
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sha256: str = ""
    size: int = 0
    status: int = 0  # of a refusal, as DICOM numbers it
    reasons: tuple[str, ...] = ()

    @property
    def is_stored(self) -> bool:
        return self.outcome in (Outcome.STORED, Outcome.DUPLICATE)


class Writer:
    """One instance on its way in. After `keep` or `abort` it is done with."""

    def __init__(
        self, arriving: Arriving, institution: str, commit: Callable[[Sequence[Arrived]], Sequence["Future[Kept]"]]
    ):
        self._arriving = arriving
        self._institution = institution
        self._commit = commit
        self._refused: Refused | None = None

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """The next bytes. What is refused is refused at `keep`: the bytes that still come are passed over."""
        if self._refused is None:
            try:
                self._arriving.write(chunk)
            except Refused as refused:
                self._refused = refused
                self._arriving.abort()

    def keep(self) -> "Future[Kept]":
        """All of it was written: sync it in this thread. The future is done when it is committed, or refused.

        Its exception is OSError or StateError when it could not be kept: later it may be.
        """
        synced = self.sync()
        if isinstance(synced, Arrived):
            return self._commit([synced])[0]
        done: Future[Kept] = Future()
        done.set_result(synced)
        return done

    def sync(self) -> "Arrived | Kept":
        """The first half of `keep`, where many are then handed to `ImageStore.commit` together; or why it is refused. OSError."""
        try:
            if self._refused is not None:
                raise self._refused
            return self._arriving.finish()
        except Refused as refused:
            return Kept(
                outcome=Outcome.REFUSED,
                institution=self._institution,
                sop_class_uid=self._arriving.sop_class_uid,
                sop_instance_uid=self._arriving.sop_instance_uid,
                status=refused.status,
                reasons=refused.reasons,
            )

    def abort(self) -> None:
        """It will not come: nothing of it stays."""
        self._arriving.abort()

    def unable(self) -> Kept:
        """What is said of it where `keep` ended with an error of ours."""
        return Kept(
            outcome=Outcome.RETRY,
            institution=self._institution,
            sop_class_uid=self._arriving.sop_class_uid,
            sop_instance_uid=self._arriving.sop_instance_uid,
            status=OUT_OF_RESOURCES,
            reasons=("it cannot be stored now; later it may be",),
        )


class _Waiting(NamedTuple):
    arrived: Arrived
    future: "Future[Kept]"


class ImageStore(ImageCatalogue):
    """A platform's images. All methods may be called from any thread."""

    def __init__(
        self,
        blobs: Blobs,
        folder: Path,
        reading: Reading,
        writing: Callable[[], AbstractContextManager[apsw.Connection]],
        clock: Callable[[], datetime],
        least_free: int,
        is_full: Callable[[], Exception],
    ):
        """`writing` gives the index inside one transaction; `is_full` makes what is raised when the disk is nearly full."""
        super().__init__(blobs, reading)
        self._folder = folder
        self._writing = writing
        self._clock = clock
        self._least_free = least_free
        self._is_full = is_full
        self._waiting: queue.SimpleQueue[Sequence[_Waiting] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.adopted = 0  # files that the index did not know at start
        self.damaged = 0  # of them, those that are no instance: they are left where they are

    def open(self) -> "ImageStore":
        """Ready to take instances; what the index does not know of the files is indexed."""
        self.blobs.open()
        self._adopt()
        return self

    def close(self) -> None:
        """What waits is committed first."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    # --- taking instances --------------------------------------------------------------------------------------------

    def begin(
        self,
        institution: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        *,
        sender: str,
        largest: int = LARGEST_INSTANCE,
    ) -> Writer:
        """The bytes of a data set follow. Refused: these are no UIDs. StoreFull: the disk is nearly full."""
        known = Meta(sop_class_uid, sop_instance_uid, transfer_syntax_uid, 0)
        return self._writer(institution, sender, largest, known)

    def begin_file(
        self, institution: str, *, sender: str, largest: int = LARGEST_INSTANCE, study_instance_uid: str = ""
    ) -> Writer:
        """The bytes of a file follow, which says itself what it is; of which study it may be at all. StoreFull: the disk is nearly
        full."""
        return self._writer(institution, sender, largest, None, study_instance_uid)

    def refuse_when_full(self) -> None:
        """StoreFull: nothing more is taken now."""
        if free(self._folder) < self._least_free:
            raise self._is_full()

    def _writer(
        self, institution: str, sender: str, largest: int, known: Meta | None, study_instance_uid: str = ""
    ) -> Writer:
        self.refuse_when_full()
        arriving = Arriving(
            lambda: self.blobs.begin(institution), institution, sender, largest, known, study_instance_uid
        )
        return Writer(arriving, institution, self.commit)

    def commit(self, arrived: Sequence[Arrived]) -> "list[Future[Kept]]":
        """Place them and commit, together with all others that wait: what `Writer.sync` gave. Each future is as that of `keep`."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._commit_all, name="images", daemon=True)
                    self._thread.start()
        waiting = [_Waiting(one, Future()) for one in arrived]
        if waiting:
            self._waiting.put(waiting)
        return [one.future for one in waiting]

    def _commit_all(self) -> None:
        """The one thread that commits instances: what came while it was busy is the next group."""
        ends = False
        while not ends:
            together: list[_Waiting] = []
            while not together or (len(together) < MOST_TOGETHER and not self._waiting.empty()):
                some = self._waiting.get()
                if some is None:
                    ends = True
                    break
                together += some
            if together:
                self._commit(together)

    def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            kept = self._take([one.arrived for one in group])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to those who wait, and the next group goes on
            _log.error("images.unable error=%s instances=%d", type(error).__name__, len(group))
            for one in group:
                # If it was placed already it stays, and is indexed when the platform starts again.
                self.blobs.drop_incoming(one.arrived.institution, one.arrived.written.token)
                one.future.set_exception(error)
            return
        for one, result in zip(group, kept, strict=True):
            one.future.set_result(result)

    def _take(self, group: Sequence[Arrived]) -> list[Kept]:
        """Place and commit. Only this thread writes instances, so what it finds there before is there still when it commits."""
        with self._reading() as db:
            held = rows.held(db, {(one.institution, one.header.sop_instance_uid) for one in group})
        outcomes: list[Outcome] = []
        for one in group:
            before = held.setdefault((one.institution, one.header.sop_instance_uid), one)
            digest = before if isinstance(before, str) else before.written.sha256
            is_same = digest == one.written.sha256
            outcomes.append(Outcome.STORED if before is one else Outcome.DUPLICATE if is_same else Outcome.REFUSED)
        judged = list(zip(group, outcomes, strict=True))
        fresh = [one for one, outcome in judged if outcome == Outcome.STORED]
        refused = [one for one, outcome in judged if outcome == Outcome.REFUSED]
        if fresh:
            self.blobs.place([Placing(one.institution, one.header.study_instance_uid, one.written) for one in fresh])
        if fresh or refused:
            with self._writing() as db:
                now = _iso(self._clock())
                rows.insert(db, fresh, now)
                rows.note_conflicts(db, refused, now)
        for one, outcome in judged:
            if outcome != Outcome.STORED:
                self.blobs.drop_incoming(one.institution, one.written.token)
        return [_kept(one, outcome) for one, outcome in judged]

    # --- what agents and people say ------------------------------------------------------------------------------------

    def put_index(self, index: StudyIndex) -> Indexed:
        """What a hospital has of a study, the newest word whole. What is held here stays as it is."""
        with self._writing() as db:
            return rows.put_index(db, index, _iso(self._clock()))

    def want(self, study_instance_uid: str, institution: str = "", why: str = "") -> int:
        """Ask the hospital for the pixels of a study that it has not sent: how many studies are asked for now."""
        with self._writing() as db:
            return rows.want(db, study_instance_uid, institution, why, _iso(self._clock()))

    def unwant(self, study_instance_uid: str, institution: str = "") -> int:
        """It is not asked for any more."""
        with self._writing() as db:
            return rows.unwant(db, study_instance_uid, institution)

    def drop(self, study_instance_uid: str, institution: str) -> int:
        """A person takes a hospital's study away, files and rows: how many instances. Its receipts of before stay true of before."""
        with self._writing() as db:
            digests = rows.drop(db, study_instance_uid, institution)
        self.blobs.drop(institution, study_instance_uid, digests)
        return len(digests)

    # --- after a crash, or with a lost index ---------------------------------------------------------------------------

    def _adopt(self) -> None:
        """Index the files that the index does not know. Their names are given after they are synced, so a name is a whole file."""
        with self._reading() as db:
            last = rows.last_stored(db)
        since = datetime.fromisoformat(last).timestamp() - LOOK_BACK if last else 0.0
        batch: list[tuple[Arrived, str]] = []
        for found in self.blobs.found(since):
            arrived = self._found(found)
            if arrived is not None:
                batch.append((arrived, _iso(datetime.fromtimestamp(found.at, UTC))))
            if len(batch) >= MOST_TOGETHER:
                self._adopt_some(batch)
                batch.clear()
        self._adopt_some(batch)

    def _found(self, found: Found) -> Arrived | None:
        try:
            with self.blobs.open_found(found) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                said = read_meta(data)
                header = read_header(data, said.transfer_syntax_uid, said.data_set_at)
        except (NoInstance, HeaderUnreadable, ValueError, OSError):
            self.damaged += 1
            return None
        header = msgspec.structs.replace(header, sop_class_uid=header.sop_class_uid or said.sop_class_uid)
        return Arrived(found.institution, "", header, Written("", found.sha256, found.size))

    def _adopt_some(self, batch: Sequence[tuple[Arrived, str]]) -> None:
        with self._reading() as db:
            known = rows.held(db, {(one.institution, one.header.sop_instance_uid) for one, _ in batch})
        fresh: dict[str, list[Arrived]] = {}
        for one, at in batch:
            if known.setdefault((one.institution, one.header.sop_instance_uid), one) is one:
                fresh.setdefault(at, []).append(one)
        if fresh:
            with self._writing() as db:
                for at, some in fresh.items():
                    rows.insert(db, some, at)
                    self.adopted += len(some)


def _kept(one: Arrived, outcome: Outcome) -> Kept:
    header = one.header
    kept = Kept(
        outcome=outcome,
        institution=one.institution,
        sop_class_uid=header.sop_class_uid,
        sop_instance_uid=header.sop_instance_uid,
        study_instance_uid=header.study_instance_uid,
        series_instance_uid=header.series_instance_uid,
        sha256=one.written.sha256,
        size=one.written.size,
    )
    if outcome != Outcome.REFUSED:
        return kept
    reason = "conflict: this instance is here with other bytes"
    return msgspec.structs.replace(kept, status=CONFLICT, reasons=(reason,))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
