"""Looking at a study when it seems whole: what it is sent as, or why it is held.

    study, instances ─▶ orders ─▶ facts of every file (in a child process: threat D5) ─▶ findings ─▶ changed tags ─▶ Checked

Nothing is written but the files of instances whose tags really change, and those lie in incoming/ until the book takes them.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

import msgspec

from frontend_agent.checks.catalogue import rules_digest
from frontend_agent.config import InstitutionConfig
from frontend_agent.config_images import ImagesConfig
from frontend_agent.dicom.nesting import Span
from frontend_agent.dicom.rewriting import Piece, chunks
from frontend_agent.dicom.uids import IMPLEMENTATION_VERSION_NAME
from frontend_agent.imaging.aligning import KEYWORDS, cannot_write, values
from frontend_agent.imaging.changing import Change
from frontend_agent.imaging.examining import Examiner, Facts
from frontend_agent.imaging.model import Checked, Instance, Order, Rewritten, Study
from frontend_agent.imaging.rules import Seen, Severities, View, judged, several_patients
from frontend_agent.instance_files import Incoming
from frontend_agent.instance_reading import InstanceFile, opened, path_of
from frontend_agent.model import Finding, Severity

AGAIN = timedelta(minutes=10)  # a study that is not complete is looked at so often, should nothing come
_WAITED_FOR = ("IMG-INCOMPLETE", "IMG-NO-ORDER")  # time may mend these
# Never aligned, and never written anew: it is not known whose study it is, or what its texts say.
_UNSURE = ("IMG-PATIENT-OTHER", "IMG-PATIENTS", "IMG-ORDERS-SEVERAL", "IMG-CHARSET", "IMG-UNREADABLE", "IMG-FAILED")

AsItCame = Callable[[Instance], InstanceFile | None]


class FindOrder(Protocol):
    """`StudyBook.find_order`."""

    def __call__(
        self, *, study_instance_uid: str = "", accession_number: str = "", key: str = ""
    ) -> Sequence[Order]: ...


class _Found(NamedTuple):
    """The orders of a study, the first by key before the others. `by_uid`: they name it by its Study Instance UID."""

    orders: Sequence[Order] = ()
    by_uid: bool = False


class Looking:
    """Looks at one study after the other. One thread at a time; `close` ends its child process."""

    def __init__(
        self,
        images: ImagesConfig,
        institution: InstitutionConfig,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        examiner: Examiner | None = None,
    ) -> None:
        """ConfigurationError: [images.rules] names a rule that there is not. `examiner`: one that is there already."""
        self._images = images
        self._institution = institution
        self._clock = clock
        self._zone = ZoneInfo(institution.timezone)
        self._severities = Severities(images.rules)
        self._examiner = examiner or Examiner()
        self.digests = _digest(images, institution)

    def look(
        self,
        study: Study,
        instances: Sequence[Instance],
        path: AsItCame,
        orders: FindOrder,
        begin: Callable[[], Incoming],
    ) -> Checked:
        """What came of it. `path` is of a file as it came. Raises what the book, or a disk, raises; then nothing is left behind."""
        now = self._clock()
        sound = [one for one in instances if not one.is_conflict]
        found = self._orders(study, sound, orders)
        destinations = self._destinations(sound)
        seen = self._seen(sound, path, found.orders)
        view = View(
            study, seen, [one for one in instances if one.is_conflict], found.orders, self._images,
            now.astimezone(self._zone).date(), destinations,
        )  # fmt: skip
        findings = judged(view, self._severities)
        order = found.orders[0] if found.orders and not several_patients(found.orders) else None
        checked = Checked(
            study=study.id,
            seen=max((one.id for one in instances), default=0),
            due_at=study.due_at,
            at=now,
            order=order,
            expected=study.expected,
            findings=tuple(findings),
            destinations=destinations,
            digests=self.digests,
        )
        wait_until = self._wait_until(study, findings, now)
        if wait_until is not None:
            return msgspec.structs.replace(checked, wait_until=wait_until)
        changes, more = self._changes(study, seen, order, found.by_uid, findings)
        findings += more
        # A held study is aligned as well: a person may release it, and it leaves as it was judged.
        rewritten, failed = self._rewritten(changes, path, begin)
        findings += failed
        held = any(one.severity is Severity.HOLD for one in findings)
        return msgspec.structs.replace(checked, findings=tuple(findings), held=held, rewritten=rewritten)

    def close(self) -> None:
        """Nothing is looked at any more."""
        self._examiner.close()

    # --- what is known ------------------------------------------------------------------------------------------------

    def _orders(self, study: Study, instances: Sequence[Instance], orders: FindOrder) -> _Found:
        """By the study's UID; else by its accession numbers, which may also be the orders' own keys."""
        if by_uid := list(orders(study_instance_uid=study.study_instance_uid)):
            return _Found(_in_order(by_uid), by_uid=True)
        found: dict[str, Order] = {}
        for number in sorted({one.header.accession_number.strip() for one in instances}):
            if number:
                some = orders(accession_number=number) or orders(key=number)
                found |= {one.key: one for one in some}
        return _Found(_in_order(list(found.values())))

    def _seen(self, instances: Sequence[Instance], path: AsItCame, orders: Sequence[Order]) -> list[Seen]:
        paths = [path(one) if one.has_file else None for one in instances]
        there = [one for one in paths if one is not None and path_of(one).is_file()]
        names = [one.patient_name for one in orders if one.patient_name]
        facts = self._examiner.examine(there, names, repair=self._images.repair_character_sets)
        of = dict(zip(there, facts, strict=True))
        gone = Facts(problem="its file is not there", failed=True)
        return [
            # What is retired was judged when it was here, and counts as what the study has.
            Seen(one, Facts() if not one.has_file else of.get(at, gone) if at else gone)
            for one, at in zip(instances, paths, strict=True)
        ]

    def _destinations(self, instances: Sequence[Instance]) -> tuple[str, ...]:
        """Those that take one of its modalities; not those that come after one that does not: what they say would never be true."""
        modalities = {one.header.modality for one in instances}
        taking = {
            name: getattr(outlet, "after", "")
            for name, outlet in self._images.destinations.items()
            if not outlet.modalities or modalities & set(outlet.modalities)
        }
        return tuple(name for name, after in taking.items() if not after or after in taking)

    def _wait_until(self, study: Study, findings: Sequence[Finding], now: datetime) -> datetime | None:
        """When it is looked at again, where what is wrong may mend itself; None once it has had its time.

        An order that need not be there is waited for as long as two looks at RIS take, so that it does not come just too late.
        """
        patience = timedelta()
        for one in findings:
            if one.rule not in _WAITED_FOR:
                continue
            holds = one.severity is Severity.HOLD
            every = self._images.orders.every if self._images.orders else timedelta()
            patience = max(
                patience, self._images.patience if holds else 2 * every if one.rule == "IMG-NO-ORDER" else timedelta()
            )
        until = study.first_at + patience
        return min(until, now + AGAIN) if now < until else None

    # --- what becomes of it ---------------------------------------------------------------------------------------------

    def _changes(
        self, study: Study, seen: Sequence[Seen], order: Order | None, by_uid: bool, findings: Sequence[Finding]
    ) -> tuple[list[tuple[Instance, Change]], list[Finding]]:
        """What is to be changed of which instance, and what is to be said of that."""
        unsure = [one.rule for one in findings if one.rule in _UNSURE and one.severity is Severity.HOLD]
        changes: list[tuple[Instance, Change]] = []
        tags: dict[int, int] = {}
        later: set[int] = set()
        problems: dict[str, list[Seen]] = {}
        for one in seen:
            if unsure or one.facts.header is None:
                continue
            change = self._change(one, order, by_uid)
            for problem in cannot_write(change.values):
                problems.setdefault(problem, []).append(one)
            if problems or not change:
                continue
            if one.instance.left:
                # What was sent keeps its bytes: other bytes under the same UID are refused wherever they come (law 6).
                before = self._change(one, study.order, by_uid)
                later |= {
                    tag for tag in {*change.values, *before.values} if change.values.get(tag) != before.values.get(tag)
                }
                continue
            changes.append((one.instance, change))
            for tag in change.values:
                tags[tag] = tags.get(tag, 0) + 1
        return [] if problems else changes, [
            *self._told(tags),
            *(self._severities.finding("IMG-NOT-ALIGNED", ("", "", why, str(len(some)), some[0].uid)) for why, some in problems.items()),
            *self._told_later(order, later),
        ]  # fmt: skip

    def _change(self, one: Seen, order: Order | None, by_uid: bool) -> Change:
        wanted: Mapping[int, str] = {}
        if self._images.align:
            issuer = self._images.issuer_of_patient_id
            wanted = values(one.header, order, self._institution.name, issuer, by_uid=by_uid)
        oid = self._images.assigning_oid if 0x0010_0021 in wanted else ""
        # When it came, not when it was looked at: the same change is the same bytes, however often it is looked at.
        at = one.instance.received_at.astimezone(self._zone).strftime("%Y%m%d%H%M%S.%f%z")
        return Change(
            wanted, oid, one.facts.charset, at, f"{IMPLEMENTATION_VERSION_NAME} {self._institution.id}",
            one.instance.sender.partition("@")[0] if one.instance.sender.isascii() else "",
        )  # fmt: skip

    def _told(self, tags: Mapping[int, int]) -> list[Finding]:
        if not tags:
            return []
        named = ", ".join(KEYWORDS[tag] for tag in sorted(tags))
        return [self._severities.finding("IMG-ALIGNED", ("", "", named, str(max(tags.values()))))]

    def _told_later(self, order: Order | None, tags: set[int]) -> list[Finding]:
        if order is None or not tags:
            return []
        named = ", ".join(KEYWORDS[tag] for tag in sorted(tags))
        return [self._severities.finding("IMG-ORDER-LATER", ("", "", order.key, named))]

    def _rewritten(
        self, changes: Sequence[tuple[Instance, Change]], path: AsItCame, begin: Callable[[], Incoming]
    ) -> tuple[list[Rewritten], list[Finding]]:
        """The new files. The child says what stands where; the bytes are copied here, a MiB at a time."""
        written: list[Rewritten] = []
        made: list[Incoming] = []
        problems: dict[str, list[Instance]] = {}
        try:
            for instance, change in changes:
                source = path(instance)
                if source is None:
                    continue
                plan = self._examiner.plan(source, change)
                if plan.problem:
                    problems.setdefault(plan.problem, []).append(instance)
                else:
                    made.append(begin())
                    written.append(_copied(instance, source, plan.pieces, made[-1]))
        except BaseException:
            for incoming in made:  # a disk that is full in the middle: their room is given back with them
                incoming.abort()
            raise
        return written, [
            self._severities.finding("IMG-NOT-ALIGNED", ("", "", why, str(len(some)), some[0].header.sop_instance_uid))
            for why, some in problems.items()
        ]


def _copied(
    instance: Instance, source: InstanceFile, parts: Sequence[bytes | tuple[int, int]], incoming: Incoming
) -> Rewritten:
    pieces: list[Piece] = [part if isinstance(part, bytes) else Span(*part) for part in parts]
    with opened(source) as file:

        def read(start: int, end: int) -> bytes:
            file.seek(start)
            return file.read(end - start)

        for chunk in chunks(pieces, read):
            incoming.write(chunk)
    done = incoming.finish()
    return Rewritten(instance.id, done.token, done.sha256, done.size)


def _in_order(orders: Sequence[Order]) -> Sequence[Order]:
    """Those that stand before those that are cancelled, by their keys."""
    return sorted(orders, key=lambda one: (one.cancelled, one.key))


def _digest(images: ImagesConfig, institution: InstitutionConfig) -> str:
    """What studies are judged and changed with."""
    said = (
        rules_digest(), images.align, images.issuer_of_patient_id, images.assigning_oid, images.repair_character_sets,
        sorted(images.rules.items()), institution.name,
    )  # fmt: skip
    return "looking=" + hashlib.sha256(repr(said).encode()).hexdigest()[:16]
