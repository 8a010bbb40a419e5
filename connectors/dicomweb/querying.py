"""A PACS asked by DICOMweb: QIDO-RS for what there is (PS3.18 §10.6), WADO-RS for its instances (§10.4), streamed part by part.

Every question says how many answers it takes (`limit`), and goes on by `offset`, for a server may tell fewer at a time than it is asked for.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from typing import NoReturn
from urllib.parse import quote, urlencode

from connectors.arrivals import InboxFull, Kept
from connectors.dicomweb.answers import JSON, AnswerUnreadable, DataSet, read_data_sets, text
from connectors.instances import InstanceRefused, InstanceWriter, KeptInstance
from connectors.outlets.http import Answer, HttpEdge, Opened, Tls, Unanswered
from connectors.pacs import (
    BeginFile,
    FoundStudy,
    NotThere,
    Retrieved,
    StudyQuery,
    Take,
    TooManyAnswers,
    study_time,
    written_stretch,
)
from frontend_agent.dicom.multipart import (
    MultipartMalformed,
    MultipartReader,
    PartBegins,
    PartData,
    PartEnds,
    boundary_of,
    content_type,
)
from frontend_agent.dicom.uids import is_uid
from frontend_agent.errors import DestinationUnreachable, NotAllowed, SourceError, SourceRefused, SourceUnreachable
from frontend_agent.imaging.model import Expected

STUDY_DATE, STUDY_TIME, ACCESSION_NUMBER = "00080020", "00080030", "00080050"
STUDY_UID, SERIES_UID, INSTANCE_UID = "0020000D", "0020000E", "00080018"
STUDY_SERIES, STUDY_INSTANCES, SERIES_INSTANCES = "00201206", "00201208", "00201209"
PAGE = 500  # answers of one request, where all of them are wanted
MOST_SERIES = 10_000
MOST_INSTANCES = 200_000
IN_FLIGHT = 16  # instances that are not on disk yet while the next ones come
KEPT_WITHIN = 300.0  # seconds until an instance is on disk
_FILE = "application/dicom"
# As it is kept, whatever transfer syntax that is (PS3.18 §8.7.3.5.2); servers that do not know `*` are asked without.
_AS_IT_IS = f'multipart/related; type="{_FILE}"; transfer-syntax=*'
_PLAIN = f'multipart/related; type="{_FILE}"'


class DicomwebPacs:
    """One origin server."""

    def __init__(
        self,
        url: str,
        begin: BeginFile,
        take: Take = lambda size: None,
        *,
        name: str = "pacs",
        tls: Tls | None = None,
        timeout: timedelta = timedelta(seconds=60),
        authorization: Callable[[], str] = lambda: "",
    ) -> None:
        """`authorization`: the header, with its secret."""
        self.where = url.rstrip("/")
        self._begin, self._take, self._authorization = begin, take, authorization
        self._http = HttpEdge(name, tls or Tls(), timeout, "images.inlets")
        self._accept = _AS_IT_IS
        self._opened: Opened | None = None  # what `cut` ends

    # -- what is asked

    def studies(self, query: StudyQuery, most: int) -> list[FoundStudy]:
        keys = {"includefield": f"{STUDY_SERIES},{STUDY_INSTANCES}"}
        if query.study_instance_uid:
            keys["StudyInstanceUID"] = query.study_instance_uid
        if query.accession_number:
            keys["AccessionNumber"] = query.accession_number
        if query.stretch is not None:
            keys["StudyDate"], time = written_stretch(query.stretch)
            if time:
                keys["StudyTime"] = time
        return [_study(one) for one in self._find("/studies", keys, STUDY_UID, most)]

    def contents(self, study_instance_uid: str) -> Expected:
        path = f"/studies/{quote(study_instance_uid)}/series"
        found = self._find(path, {"includefield": SERIES_INSTANCES}, SERIES_UID, MOST_SERIES)
        if not found:
            raise NotThere(f"{self.where} does not have the study")
        series = {text(one, SERIES_UID): _count(one, SERIES_INSTANCES) for one in found}
        for uid, count in series.items():
            if count < 0:
                series[uid] = len(self._find(f"{path}/{quote(uid)}/instances", {}, INSTANCE_UID, MOST_INSTANCES))
        studies = self.studies(StudyQuery(study_instance_uid=study_instance_uid), 1)
        told = studies[0].instances if studies else -1
        return Expected(self.where, series, max(told, sum(series.values())))

    def _find(self, path: str, keys: Mapping[str, str], named_by: str, most: int) -> list[DataSet]:
        """All data sets that match, each once. TooManyAnswers: there are more than `most`."""
        found: dict[str, DataSet] = {}
        offset = 0
        while True:
            limit = min(PAGE, most + 1 - len(found))
            data_sets, is_cut = self._page(path, {**keys, "limit": str(limit), "offset": str(offset)})
            fresh = {uid: one for one in data_sets if is_uid(uid := text(one, named_by)) and uid not in found}
            found.update(fresh)
            if len(found) > most:
                raise TooManyAnswers
            if not fresh:
                if is_cut and data_sets:
                    raise TooManyAnswers  # it has more, and does not let us page
                return list(found.values())
            offset += len(data_sets)

    def _page(self, path: str, keys: Mapping[str, str]) -> tuple[list[DataSet], bool]:
        """One answer, and whether the server says that there are more."""
        with self._meant():
            answer = self._http.ask(
                "GET", f"{self.where}{path}?{urlencode(keys)}", headers={"Accept": JSON, **self._headers()}
            )
        if answer.status == 204 or (answer.status == 404 and path != "/studies"):
            return [], False
        if answer.status == 413:
            raise TooManyAnswers  # PS3.18 §10.6.3.2: the question is too broad
        if answer.status != 200:
            self._refused(answer.status, "QIDO-RS")
        try:
            return [one for one in read_data_sets(answer) if one], _is_cut(answer)
        except AnswerUnreadable as error:
            raise SourceError(f"{self.where}: {error}") from error

    # -- retrieving

    def retrieve(self, study_instance_uid: str, series_instance_uid: str = "") -> Retrieved:
        path = f"/studies/{quote(study_instance_uid)}"
        if series_instance_uid:
            path += f"/series/{quote(series_instance_uid)}"
        with self._meant(), self._asked(path) as opened:
            if opened.status == 404:
                raise NotThere(f"{self.where} does not have it")
            if opened.status == 204:
                return Retrieved(0, 0)
            if opened.status not in (200, 206):
                self._refused(opened.status, "WADO-RS")
            kind, _ = content_type(opened.headers.get("content-type", ""))
            landing = _Landing(self._begin)
            try:
                if kind == _FILE:
                    self._one(opened, landing)
                else:
                    self._parts(opened, landing)
                landing.wait()
            except BaseException:
                landing.abort()
                raise
        # 206: the server could not send all of them (PS3.18 §10.4.3).
        problem = landing.problem or ("it could not send all of it (206)" if opened.status == 206 else "")
        return Retrieved(landing.count, -1 if opened.status == 206 else landing.refused, problem)

    @contextmanager
    def _asked(self, path: str) -> Iterator[Opened]:
        with self._http.opened("GET", self.where + path, headers={"Accept": self._accept, **self._headers()}) as opened:
            if opened.status not in (400, 406) or self._accept == _PLAIN:
                self._opened = opened
                yield opened
                return
        self._accept = _PLAIN
        with self._http.opened("GET", self.where + path, headers={"Accept": _PLAIN, **self._headers()}) as opened:
            self._opened = opened
            yield opened

    def _parts(self, opened: Opened, landing: "_Landing") -> None:
        reader = MultipartReader(boundary_of(opened.headers.get("content-type", "")))
        for piece in opened.pieces():
            self._take(len(piece))
            for found in reader.receive(piece):
                if isinstance(found, PartBegins):
                    kind, _ = content_type(found.headers.get("content-type", _FILE))
                    if kind == _FILE:
                        landing.begin()
                elif isinstance(found, PartData):
                    landing.write(found.data)
                elif isinstance(found, PartEnds):
                    landing.end()
        if not reader.is_whole:
            raise Unanswered("the answer ends within a part")

    def _one(self, opened: Opened, landing: "_Landing") -> None:
        landing.begin()
        for piece in opened.pieces():
            self._take(len(piece))
            landing.write(piece)
        landing.end()

    # -- the rest

    def probe(self) -> None:
        """Ask for one study that does not exist: the least that there is to ask."""
        self.studies(StudyQuery(study_instance_uid="2.25.0"), 1)

    def close(self) -> None:
        self._http.close()

    def cut(self) -> None:
        if self._opened is not None:
            self._opened.cut()

    def _headers(self) -> dict[str, str]:
        authorization = self._authorization()
        return {"Authorization": authorization} if authorization else {}

    def _refused(self, status: int, what: str) -> NoReturn:
        said = f"{self.where} answered {status} ({what})"
        if status in (401, 403, 405, 407) or 300 <= status < 400:
            raise SourceRefused(f"{said}: address and rights must be set right")
        if status in (408, 425, 429, 502, 503, 504):
            raise SourceUnreachable(f"{said}: it asks for time")
        raise SourceError(said)

    @contextmanager
    def _meant(self) -> Iterator[None]:
        """In the words of a source: whether waiting helps, and who acts."""
        try:
            yield
        except DestinationUnreachable as error:
            raise SourceUnreachable(str(error)) from error
        except NotAllowed as error:
            raise SourceRefused(str(error)) from error
        except Unanswered as error:
            raise SourceUnreachable(f"{self.where}: {error}") from error
        except MultipartMalformed as error:
            raise SourceError(f"{self.where} answered what cannot be read: {error}") from error


class _Landing:
    """The instances of one answer on their way to the desk: some are still being written to disk while the next ones come."""

    def __init__(self, begin: BeginFile) -> None:
        self._begin = begin
        self._writer: InstanceWriter | None = None
        self._kept: deque[Future[KeptInstance]] = deque()
        self.count = self.refused = 0
        self.problem = ""

    def begin(self) -> None:
        self._writer = self._begin()

    def write(self, data: bytes | memoryview) -> None:
        if self._writer is None:
            return
        try:
            self._writer.write(data)
        except InstanceRefused as error:
            self._writer.abort()
            self._writer = None
            self._refuse(str(error))

    def end(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            self._kept.append(writer.keep())
        while len(self._kept) > IN_FLIGHT:
            self._settle(self._kept.popleft())

    def wait(self) -> None:
        """Until all of them are on disk. InboxFull."""
        while self._kept:
            self._settle(self._kept.popleft())

    def abort(self) -> None:
        """What has not come whole is dropped; what has stays."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None

    def _settle(self, kept: "Future[KeptInstance]") -> None:
        try:
            if kept.result(KEPT_WITHIN).kept is Kept.CONFLICT:
                self._refuse("an instance is here with other bytes already")
            else:
                self.count += 1
        except InstanceRefused as error:
            self._refuse(str(error))
        except TimeoutError:
            raise InboxFull("an instance was not on disk in time") from None

    def _refuse(self, problem: str) -> None:
        self.refused += 1
        self.problem = problem


def _study(found: DataSet) -> FoundStudy:
    at, has_time = study_time(text(found, STUDY_DATE), text(found, STUDY_TIME))
    return FoundStudy(
        text(found, STUDY_UID),
        text(found, ACCESSION_NUMBER),
        at,
        has_time,
        _count(found, STUDY_SERIES),
        _count(found, STUDY_INSTANCES),
    )


def _count(found: DataSet, tag: str) -> int:
    """An IS: DICOM JSON writes it as a number, some servers as a text."""
    values = found.get(tag, {}).get("Value", [])
    first = values[0] if isinstance(values, list) and values else None
    if isinstance(first, int):
        return first
    return int(first) if isinstance(first, str) and first.isascii() and first.strip().isdigit() else -1


def _is_cut(answer: Answer) -> bool:
    """PS3.18 §8.3.4.4: a warning of code 299 says that there are more."""
    return answer.headers.get("warning", "").lstrip().startswith("299") and "additional" in answer.headers["warning"]
