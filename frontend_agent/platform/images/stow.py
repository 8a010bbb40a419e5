"""Storing over the web (STOW-RS, PS3.18 §10.5): a body of any size taken apart as it comes, and an answer for each instance.

    body ─▶ parts ─▶ files in incoming/ ─▶ synced side by side ─▶ committed in groups ─▶ answered

In memory is a piece of the body, never an instance. What went wrong with one does not hold up the others.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

import apsw

from frontend_agent.dicom.multipart import MultipartMalformed, MultipartReader, PartBegins, PartData, PartEnds
from frontend_agent.dicom.multipart import content_type as media_type_of
from frontend_agent.errors import StateError
from frontend_agent.model import Outcome
from frontend_agent.platform.images.arriving import CANNOT_UNDERSTAND, Arrived
from frontend_agent.platform.images.store import ImageStore, Kept, Writer
from frontend_agent.wire.images import CREATOR, CREATOR_NAME, REASONS, RECEIPT, refused_leaf, stored_leaf
from frontend_agent.wire.receipts import Leaf

DICOM, DICOM_JSON = "application/dicom", "application/dicom+json"
MOST_UNSYNCED = 16  # instances of one request that are written and not synced yet
MOST_PARTS = 20_000  # of one request: what is said of each is in memory until the answer
MOST_UNCOMMITTED = 64  # of one request that wait for the others, to be committed with them


class TooManyParts(Exception):
    """More than one request may have."""


@dataclass(slots=True)
class _Keeping:
    """One instance of the request, whole. Once it is handed to the commit, or refused, `kept` is what becomes of it."""

    writer: Writer
    synced: Future[Arrived | Kept]
    kept: Future[Kept] | Kept | None = None


class Storing:
    """One request's body. `receive` and `end` in any thread, one at a time; `give_up` when the rest of it will not come."""

    def __init__(
        self,
        images: ImageStore,
        syncing: Executor,
        institution: str,
        sender: str,
        boundary: str,
        study_instance_uid: str,
    ):
        """`boundary` of a multipart body; "" where the body is one instance. `study_instance_uid`: the only one that it may be of."""
        self._images = images
        self._syncing = syncing
        self._institution = institution
        self._sender = sender
        self._study = study_instance_uid
        self._parts = MultipartReader(boundary) if boundary else None
        self._writer: Writer | None = None
        self._no_instances: list[Kept] = []  # parts of other types
        self._keeping: list[_Keeping] = []
        self._unsynced: deque[_Keeping] = deque()
        self._uncommitted: list[_Keeping] = []

    def receive(self, *chunks: bytes) -> None:
        """The next bytes. MultipartMalformed: the body is none; TooManyParts; StoreFull, OSError: nothing more can be taken."""
        if self._parts is None:
            self._writer = self._writer or self._begin()
            for chunk in chunks:
                self._writer.write(chunk)
            return
        for found in self._parts.receive(*chunks):
            match found:
                case PartBegins(headers):
                    self._part(headers.get("content-type", DICOM))
                case PartData(data):
                    if self._writer is not None:
                        self._writer.write(data)
                case PartEnds():
                    self._part_ends()

    def end(self) -> list[Kept]:
        """All of it came: what became of each instance, in the order of the body."""
        if self._parts is None:
            self._writer = self._writer or self._begin()  # an empty body is refused as what it is
            self._part_ends()
        elif not self._parts.is_whole:
            self.give_up()
            raise MultipartMalformed("the body ends before its closing boundary")
        self._commit()
        return [*map(_result, self._keeping), *self._no_instances]

    def give_up(self) -> int:
        """The rest will not come. What came whole stays: how many instances; what has begun is gone."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
        self._commit()
        return sum(_result(one).is_stored for one in self._keeping)

    # --- parts ---------------------------------------------------------------------------------------------------------

    def _begin(self) -> Writer:
        return self._images.begin_file(self._institution, sender=self._sender, study_instance_uid=self._study)

    def _part(self, header: str) -> None:
        if len(self._keeping) + len(self._no_instances) >= MOST_PARTS:
            raise TooManyParts(f"more than {MOST_PARTS} instances: send the others in another request")
        kind, _ = media_type_of(header)
        if kind == DICOM:
            self._writer = self._begin()
        else:
            self._no_instances.append(self._no_instance(f"a part is {kind[:60]}: only {DICOM} is stored"))

    def _part_ends(self) -> None:
        """Sync it beside what comes next; where the disk is slower than the line, what comes waits."""
        if self._writer is None:
            return
        keeping = _Keeping(self._writer, self._syncing.submit(self._writer.sync))
        self._writer = None
        self._keeping.append(keeping)
        self._unsynced.append(keeping)
        self._uncommitted.append(keeping)
        if len(self._unsynced) > MOST_UNSYNCED:
            self._unsynced.popleft().synced.exception()
        if len(self._uncommitted) >= MOST_UNCOMMITTED:
            self._commit()

    def _commit(self) -> None:
        """Hand what was synced to the commit, all of it at once."""
        together: list[tuple[_Keeping, Arrived]] = []
        waiting, self._uncommitted = self._uncommitted, []
        for one in waiting:
            error = one.synced.exception()
            if error is not None:  # told by _result: the others are kept all the same
                one.kept = Future()
                one.kept.set_exception(error)
            elif isinstance(synced := one.synced.result(), Arrived):
                together.append((one, synced))
            else:
                one.kept = synced
        futures = self._images.commit([synced for _, synced in together])
        for (one, _), future in zip(together, futures, strict=True):
            one.kept = future

    def _no_instance(self, reason: str) -> Kept:
        return Kept(
            outcome=Outcome.REFUSED,
            institution=self._institution,
            sop_class_uid="",
            sop_instance_uid="",
            status=CANNOT_UNDERSTAND,
            reasons=(reason,),
        )


def _result(keeping: _Keeping) -> Kept:
    """What became of one that was handed to the commit; waits for it."""
    kept = keeping.kept
    if isinstance(kept, Kept):
        return kept
    assert kept is not None
    try:
        return kept.result()
    except (OSError, StateError, apsw.Error):
        return keeping.writer.unable()


# --- the answer (PS3.18 §10.5.3, annex I) ---------------------------------------------------------------------------------


def status_of(kept: Sequence[Kept]) -> int:
    """200: all are stored. 202: some are. 409: none is. 503: none is, and later they may be."""
    stored = sum(one.is_stored for one in kept)
    if stored == len(kept):
        return 200
    if stored:
        return 202
    return 503 if all(one.outcome == Outcome.RETRY for one in kept) else 409


def answer(kept: Sequence[Kept], base: str, receipts: bytes = b"") -> dict[str, Any]:
    """The Store Instances Response Module as DICOM JSON. `base`: of the addresses; `receipts`: the signed reply, if it was asked for."""
    stored = [one for one in kept if one.is_stored]
    failed = [one for one in kept if not one.is_stored and one.sop_instance_uid]
    others = [one for one in kept if not one.is_stored and not one.sop_instance_uid]
    found: dict[str, Any] = {}
    if receipts:
        found[CREATOR] = element("LO", CREATOR_NAME)
        found[RECEIPT] = element("UT", receipts.decode())
    studies = {one.study_instance_uid for one in stored}
    if len(studies) == 1:
        found["00081190"] = element("UR", f"{base}/studies/{studies.pop()}")
    if failed:
        found["00081198"] = element("SQ", *map(_failed, failed))
    if stored:
        found["00081199"] = element("SQ", *(_stored(one, base) for one in stored))
    if others:
        found["0008119A"] = element("SQ", *map(_failed, others))
    return found


def element(vr: str, *values: Any) -> dict[str, Any]:
    """One attribute of a DICOM JSON object (PS3.18 F.2.2); without values it is there and empty."""
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def _stored(one: Kept, base: str) -> dict[str, Any]:
    address = (
        f"{base}/studies/{one.study_instance_uid}/series/{one.series_instance_uid}/instances/{one.sop_instance_uid}"
    )
    return {**_named(one), "00081190": element("UR", address)}


def _failed(one: Kept) -> dict[str, Any]:
    return {
        CREATOR: element("LO", CREATOR_NAME),
        REASONS: element("UT", "\n".join(one.reasons)),
        **(_named(one) if one.sop_instance_uid else {}),
        "00081197": element("US", one.status),
    }


def _named(one: Kept) -> dict[str, Any]:
    return {"00081150": element("UI", one.sop_class_uid), "00081155": element("UI", one.sop_instance_uid)}


def leaf(kept: Kept) -> Leaf:
    """What is signed of it."""
    if kept.is_stored:
        return stored_leaf(kept.institution, kept.sop_instance_uid, kept.study_instance_uid, kept.sha256, kept.size)
    if kept.outcome == Outcome.RETRY:
        return Leaf(kept.institution, kept.sop_instance_uid, str(Outcome.RETRY), reasons=list(kept.reasons))
    return refused_leaf(kept.institution, kept.sop_instance_uid, kept.sha256, kept.size, kept.reasons)
