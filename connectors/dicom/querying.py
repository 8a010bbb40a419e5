"""A PACS asked by DICOM (PS3.4 annex C, Study Root): C-FIND for what there is, C-GET or C-MOVE for its instances.

    C-GET    the instances come over the association that asks for them: nothing opens a connection to us
    C-MOVE   the PACS sends them to an inlet of type dicom of ours, whose AE title it must know

Answers are counted while they come: more than were asked for are cancelled (C-CANCEL), and who does not stop then is cut off.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import product

from connectors.arrivals import InboxFull, Kept
from connectors.dicom.requesting import Association, AssociationError, Lost, Peer, Rejected, Unreachable, associate
from connectors.instances import InstanceRefused, InstanceWriter
from connectors.pacs import (
    Begin,
    FoundStudy,
    NotThere,
    Retrieved,
    StudyQuery,
    Take,
    TooManyAnswers,
    study_time,
    written_stretch,
)
from frontend_agent.dicom.commands import Command, Operation, Status, answered, c_cancel, c_echo, c_query, is_warning
from frontend_agent.dicom.elements import DataSetMalformed
from frontend_agent.dicom.identifiers import Identifier, read_identifier, written_identifier
from frontend_agent.dicom.negotiation import VERIFICATION, ProposedContext, Role, proposed
from frontend_agent.dicom.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, encoding_of, is_uid
from frontend_agent.errors import SourceError, SourceRefused, SourceUnreachable
from frontend_agent.imaging.model import Expected

FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))  # Study Root
_NATIVE = (EXPLICIT_LE, IMPLICIT_LE)
# Each in a context of its own, so that the PACS sends what it has, as it has it (PS3.4 C.5.3: it chooses among what is accepted).
SYNTAXES = (
    *_NATIVE,
    *(f"1.2.840.10008.1.2.4.{number}" for number in (70, 90, 91, 80, 81, 50, 51, 57)),  # JPEG, 2000, LS
    "1.2.840.10008.1.2.5",  # RLE
    EXPLICIT_BE,
    *(
        f"1.2.840.10008.1.2.4.{number}" for number in (100, 101, 102, 103, 104, 105, 106, 107, 108)
    ),  # MPEG2, MPEG-4, HEVC
    *(f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203, 110, 112)),  # HTJ2K, JPEG XL
)
CONTEXTS_FOR_CLASSES = 127  # beside the one of C-GET
_STORAGE = "1.2.840.10008.5.1.4.1.1."
# What a study is fetched with whose PACS does not say which classes it has: the most usual ones.
USUAL_CLASSES = tuple(
    _STORAGE + one
    for one in (
        "1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "2", "2.1", "2.2", "3.1", "4", "4.1", "4.2", "4.3", "4.4", "6.1", "6.2", "7",
        "7.1", "7.2", "7.3", "7.4", "9.1.1", "9.1.2", "9.1.3", "11.1", "12.1", "12.1.1", "12.2", "12.2.1", "13.1.1", "13.1.2", "13.1.3",
        "20", "30", "66", "66.1", "66.4", "77.1.1", "77.1.1.1", "77.1.2", "77.1.4", "77.1.4.1", "77.1.5.1", "77.1.5.2", "77.1.6", "88.11",
        "88.22", "88.33", "88.34", "88.40", "88.50", "88.59", "88.65", "88.67", "104.1", "128", "130", "481.1", "481.2", "481.3", "481.5",
    )
)  # fmt: skip
LARGEST_ANSWER = 1 << 20  # bytes of one identifier
MOST_SERIES = 10_000  # of a study
MOST_INSTANCES = 200_000  # of a series that is counted one by one
STUBBORN = 2  # times as many answers as were asked for: who does not heed C-CANCEL by then is cut off
KEPT_WITHIN = 300.0  # seconds until an instance is on disk
SAMPLE = 20  # instances of a series that are asked of which class they are


@dataclass(frozen=True, kw_only=True)
class QueryOptions:
    """Who asks whom, and how."""

    peer: Peer
    ae_title: str  # ours
    timeout: float  # seconds without a word
    move_to: str = ""  # C-MOVE to this AE title of ours; "" is C-GET


class DicomPacs:
    """One PACS. It keeps one association for questions, until `close`; each retrieve has its own."""

    def __init__(
        self,
        options: QueryOptions,
        begin: Begin,
        take: Take = lambda size: None,
        arriving: Callable[[str], int] = lambda study: 0,
    ) -> None:
        """`arriving`: how many instances of a study are here, so that a silent C-MOVE that works is let work."""
        self.where = str(options.peer)
        self._options, self._begin, self._take, self._arriving = options, begin, take, arriving
        self._asking: Association | None = None
        self._used: Association | None = None  # what `cut` ends

    # -- what is asked

    def studies(self, query: StudyQuery, most: int) -> list[FoundStudy]:
        keys = {
            "QueryRetrieveLevel": "STUDY",
            "StudyInstanceUID": query.study_instance_uid,
            "AccessionNumber": query.accession_number,
            "StudyDate": "",
            "StudyTime": "",
            "NumberOfStudyRelatedSeries": "",
            "NumberOfStudyRelatedInstances": "",
        }
        if query.stretch is not None:
            keys["StudyDate"], keys["StudyTime"] = written_stretch(query.stretch)
        return [_study(one) for one in self._find(keys, most) if is_uid(one.get("StudyInstanceUID", ""))]

    def contents(self, study_instance_uid: str) -> Expected:
        found = self._find(
            {
                "QueryRetrieveLevel": "SERIES",
                "StudyInstanceUID": study_instance_uid,
                "SeriesInstanceUID": "",
                "NumberOfSeriesRelatedInstances": "",
            },
            MOST_SERIES,
        )
        series = {
            one["SeriesInstanceUID"]: _count(one.get("NumberOfSeriesRelatedInstances", ""))
            for one in found
            if is_uid(one.get("SeriesInstanceUID", ""))
        }
        if not series:
            raise NotThere(f"{self.where} does not have the study")
        for uid, count in series.items():
            if count < 0:  # a PACS that does not count: then we do
                series[uid] = len(self._instances(study_instance_uid, uid, MOST_INSTANCES))
        studies = self.studies(StudyQuery(study_instance_uid=study_instance_uid), 1)
        told = studies[0].instances if studies else -1
        return Expected(self.where, series, max(told, sum(series.values())))

    def _instances(self, study: str, series: str, most: int, *more: str) -> list[dict[str, str]]:
        keys = {
            "QueryRetrieveLevel": "IMAGE",
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "SOPInstanceUID": "",
            **dict.fromkeys(more, ""),
        }
        return [one for one in self._find(keys, most) if is_uid(one.get("SOPInstanceUID", ""))]

    def classes(self, study_instance_uid: str, series: Sequence[str]) -> tuple[str, ...]:
        """The SOP classes of a study as far as its PACS tells them; none where it does not."""
        said = self._find(
            {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study_instance_uid, "SOPClassesInStudy": ""}, 1
        )
        found = {one for answer in said for one in answer.get("SOPClassesInStudy", "").split("\\") if is_uid(one)}
        if not found:
            for uid in series:
                some = self._some_instances(study_instance_uid, uid)
                found |= {one.get("SOPClassUID", "") for one in some}
        return tuple(sorted(one for one in found if is_uid(one)))

    def _some_instances(self, study: str, series: str) -> list[dict[str, str]]:
        """The first instances of a series: the others are like them."""
        keys = {
            "QueryRetrieveLevel": "IMAGE",
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "SOPInstanceUID": "",
            "SOPClassUID": "",
        }
        found: list[dict[str, str]] = []
        with suppress(TooManyAnswers):
            self._find(keys, SAMPLE, found)
        return found

    # -- C-FIND

    def _find(self, keys: Identifier, most: int, found: list[dict[str, str]] | None = None) -> list[dict[str, str]]:
        """The answers to one question. TooManyAnswers: `found` has the first ones."""
        found = [] if found is None else found
        is_fresh = self._asking is None
        try:
            self._found(keys, most, found)
        except Lost as error:
            if is_fresh:
                raise self._meant(error) from None
            # The PACS has ended an association that had nothing to do: asking again changes nothing.
            found.clear()
            try:
                self._found(keys, most, found)
            except AssociationError as again:
                raise self._meant(again) from None
        except AssociationError as error:
            raise self._meant(error) from None
        return found

    def _found(self, keys: Identifier, most: int, found: list[dict[str, str]]) -> None:
        association = self._association()
        try:
            self._answers(association, keys, most, found)
        except TooManyAnswers:
            if association.is_over:
                self._asking = None
            raise
        except BaseException:
            self._asking = None
            association.abort()
            raise

    def _answers(self, association: Association, keys: Identifier, most: int, found: list[dict[str, str]]) -> None:
        context, syntax = self._context(association, FIND)
        message_id = association.next_message_id()
        association.send(
            context,
            c_query(Operation.C_FIND, message_id, FIND),
            written_identifier(keys, encoding_of(syntax)),
        )
        count, is_cancelled = 0, False
        while True:
            at, answer = association.receive()
            data = association.data_set(at, LARGEST_ANSWER) if answer.has_data_set else b""
            if not _is_pending(answer):
                break
            count += 1
            if count <= most:
                found.append(self._read(data, syntax))
            elif not is_cancelled:
                is_cancelled = True
                association.send(context, c_cancel(message_id))
            elif count > most * STUBBORN + SAMPLE:
                association.abort()
                raise TooManyAnswers
        status = -1 if answer.status is None else answer.status
        if is_cancelled or status in (Status.OUT_OF_RESOURCES, CANCELLED):
            raise TooManyAnswers  # also of a PACS that ends early by itself: it has not told all of them
        if status != Status.SUCCESS:
            raise SourceError(f"{self.where} could not answer what it was asked (C-FIND, {_named(status)})")

    def _read(self, data: bytes, syntax: str) -> dict[str, str]:
        try:
            return read_identifier(data, encoding_of(syntax))
        except DataSetMalformed as error:
            raise SourceError(f"{self.where} answered what cannot be read (C-FIND): {error}") from None

    # -- retrieving

    def retrieve(self, study_instance_uid: str, series_instance_uid: str = "") -> Retrieved:
        keys = {
            "QueryRetrieveLevel": "SERIES" if series_instance_uid else "STUDY",
            "StudyInstanceUID": study_instance_uid,
        }
        if series_instance_uid:
            keys["SeriesInstanceUID"] = series_instance_uid
        try:
            if self._options.move_to:
                return self._moved(study_instance_uid, keys)
            series = [series_instance_uid] if series_instance_uid else list(self.contents(study_instance_uid).series)
            return self._got(keys, self.classes(study_instance_uid, series))
        except AssociationError as error:
            raise self._meant(error) from None

    def _moved(self, study: str, keys: Identifier) -> Retrieved:
        """C-MOVE (PS3.4 C.4.2)."""
        with self._line(proposed([(MOVE, _NATIVE)])) as association:
            context, syntax = self._context(association, MOVE)
            association.send(
                context,
                c_query(Operation.C_MOVE, association.next_message_id(), MOVE, move_destination=self._options.move_to),
                written_identifier(keys, encoding_of(syntax)),
            )
            association.patience = _Arriving(lambda: self._arriving(study))
            while True:
                at, answer = association.receive()
                if answer.has_data_set:
                    association.data_set(at, LARGEST_ANSWER)
                if not _is_pending(answer):
                    return self._ended(answer, "C-MOVE")

    def _got(self, keys: Identifier, classes: Sequence[str]) -> Retrieved:
        """C-GET (PS3.4 C.4.3): we are the SCP of the storage that follows on the same association (PS3.7 D.3.3.4)."""
        contexts = storage_contexts(classes)
        roles = [Role(one, False, True) for one in dict.fromkeys(sop_class for sop_class, _ in contexts)]
        with self._line(proposed([(GET, _NATIVE), *contexts]), roles) as association:
            context, syntax = self._context(association, GET)
            association.send(
                context,
                c_query(Operation.C_GET, association.next_message_id(), GET),
                written_identifier(keys, encoding_of(syntax)),
            )
            refused = ""
            while True:
                at, command = association.receive()
                if command.operation is Operation.C_STORE and not command.is_response:
                    refused = self._stored(association, at, command) or refused
                    continue
                if command.has_data_set:
                    association.data_set(at, LARGEST_ANSWER)
                if command.operation is Operation.C_GET and not _is_pending(command):
                    ended = self._ended(command, "C-GET")
                    return ended._replace(problem=refused) if refused else ended

    def _stored(self, association: Association, context: int, command: Command) -> str:
        """One instance that the PACS stores with us, answered when it is on disk. Why we could not keep it, or ""."""
        sop_class, syntax = association.syntax_of(context)
        try:
            writer = self._begin(command.affected_sop_class_uid or sop_class, command.affected_sop_instance_uid, syntax)
        except InboxFull:
            association.abort()  # nothing more is taken now: the rest is asked for again later
            raise
        except InstanceRefused as error:
            for _ in association.pieces(context):
                pass
            association.send(context, answered(command, Status.CANNOT_UNDERSTAND))
            return str(error)
        problem = self._written(association, context, writer)
        if not problem:
            try:
                kept = writer.keep().result(KEPT_WITHIN)
                if kept.kept is Kept.CONFLICT:
                    problem = "an instance is here with other bytes already"
            except InstanceRefused as error:
                problem = str(error)
            except InboxFull:
                association.abort()
                raise
            except TimeoutError:
                association.abort()
                raise InboxFull("an instance was not on disk in time") from None
        status = Status.CANNOT_UNDERSTAND if problem else Status.SUCCESS
        association.send(context, answered(command, status))
        return problem

    def _written(self, association: Association, context: int, writer: InstanceWriter) -> str:
        """Its data set, to the writer; what a refused instance still sends is let pass."""
        problem = ""
        try:
            for piece in association.pieces(context):
                self._take(len(piece))
                if not problem:
                    try:
                        writer.write(piece)
                    except InstanceRefused as error:
                        writer.abort()
                        problem = str(error)
        except BaseException:
            if not problem:
                writer.abort()
            raise
        return problem

    def _ended(self, answer: Command, what: str) -> Retrieved:
        status = -1 if answer.status is None else answer.status
        completed = -1 if answer.number_of_completed_suboperations is None else answer.number_of_completed_suboperations
        warned = answer.number_of_warning_suboperations or 0
        failed = -1 if answer.number_of_failed_suboperations is None else answer.number_of_failed_suboperations
        if status == Status.SUCCESS or is_warning(status):
            if completed >= 0:
                completed += warned
            problem = f"{failed} instances could not be sent ({what}, {_named(status)})" if failed > 0 else ""
            return Retrieved(completed, failed, problem)
        if status == UNKNOWN_DESTINATION:
            raise SourceRefused(
                f"{self.where} does not know the AE title {self._options.move_to} (C-MOVE, {_named(status)}):"
                " the PACS's administrator enters it with our address and port"
            )
        to = self._options.move_to
        hint = f"; does it know the AE title {to}, with our address and port?" if to and completed <= 0 else ""
        raise SourceError(f"{self.where} could not send what it was asked for ({what}, {_named(status)}){hint}")

    # -- associations

    def probe(self) -> None:
        """An association with all that will be asked for, and C-ECHO where it takes one."""
        retrieve = MOVE if self._options.move_to else GET
        try:
            with self._line(proposed([(VERIFICATION, _NATIVE), (FIND, _NATIVE), (retrieve, _NATIVE)])) as association:
                self._context(association, FIND)
                self._context(association, retrieve)
                if (found := association.context_of(VERIFICATION)) is not None:
                    association.send(found[0], c_echo(association.next_message_id()))
                    association.receive()
        except AssociationError as error:
            raise self._meant(error) from None

    def close(self) -> None:
        if self._asking is not None:
            self._asking.release()
            self._asking = None

    def cut(self) -> None:
        for association in (self._asking, self._used):
            if association is not None:
                association.cut()

    def _association(self) -> Association:
        """The one that questions are asked over."""
        if self._asking is None or self._asking.is_over:
            self._asking = self._opened(proposed([(FIND, _NATIVE)]), ())
        return self._asking

    @contextmanager
    def _line(self, contexts: Sequence[ProposedContext], roles: Sequence[Role] = ()) -> Iterator[Association]:
        with self._opened(contexts, roles) as association:
            self._used = association
            try:
                yield association
            finally:
                self._used = None

    def _opened(self, contexts: Sequence[ProposedContext], roles: Sequence[Role]) -> Association:
        options = self._options
        return associate(options.peer, options.ae_title, contexts, roles, timeout=options.timeout)

    def _context(self, association: Association, sop_class: str) -> tuple[int, str]:
        found = association.context_of(sop_class)
        if found is None:
            association.abort()
            raise SourceRefused(
                f"{self.where} does not let us use {_SERVICES[sop_class]} (its context is not accepted)"
            )
        return found

    def _meant(self, error: AssociationError) -> SourceError:
        """In the words of a source: whether waiting helps, and who acts."""
        if isinstance(error, Unreachable | Lost) or (isinstance(error, Rejected) and error.is_for_now):
            return SourceUnreachable(f"{self.where}: {error}")
        return SourceRefused(f"{self.where}: {error}")


class _Arriving:
    """Whether more came since it was asked last."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count, self._last = count, count()

    def __call__(self) -> bool:
        before, self._last = self._last, self._count()
        return self._last > before


CANCELLED, UNKNOWN_DESTINATION = 0xFE00, 0xA801
_SERVICES = {FIND: "C-FIND", GET: "C-GET", MOVE: "C-MOVE"}
_STATUSES = {
    0xA700: "out of resources",
    0xA701: "out of resources",
    0xA702: "out of resources",
    0xA801: "move destination unknown",
    0xA900: "the question does not match the SOP class",
    0x0124: "not authorized",
    0x0122: "SOP class not supported",
    0xB000: "some could not be sent",
    0xFE00: "cancelled",
    -1: "no status",
}


def storage_contexts(classes: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """(SOP class, transfer syntaxes) to propose for what a PACS is to send, no more than an association has room for."""
    every: list[tuple[str, tuple[str, ...]]]
    if classes:
        every = [(one, (syntax,)) for syntax, one in product(SYNTAXES, classes)]
        if len(every) <= CONTEXTS_FOR_CLASSES:
            return every
    # One context for native pixels, and as far as there is room one for each compression, the usual ones first.
    known = list(classes[:CONTEXTS_FOR_CLASSES]) or list(USUAL_CLASSES)
    contexts: list[tuple[str, tuple[str, ...]]] = [(one, _NATIVE) for one in known]
    compressed: list[tuple[str, tuple[str, ...]]] = [
        (one, (syntax,)) for syntax, one in product(SYNTAXES[len(_NATIVE) :], known)
    ]
    return contexts + compressed[: CONTEXTS_FOR_CLASSES - len(contexts)]


def _is_pending(answer: Command) -> bool:
    return answer.status in (0xFF00, 0xFF01)


def _study(found: Identifier) -> FoundStudy:
    at, has_time = study_time(found.get("StudyDate", ""), found.get("StudyTime", ""))
    return FoundStudy(
        found["StudyInstanceUID"],
        found.get("AccessionNumber", ""),
        at,
        has_time,
        _count(found.get("NumberOfStudyRelatedSeries", "")),
        _count(found.get("NumberOfStudyRelatedInstances", "")),
    )


def _count(text: str) -> int:
    return int(text) if text.strip().isdigit() and text.isascii() else -1


def _named(status: int) -> str:
    return f"0x{status:04X} ({_STATUSES[status]})" if status in _STATUSES else f"0x{status & 0xFFFF:04X}"
