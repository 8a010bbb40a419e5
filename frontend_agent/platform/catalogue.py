"""Reading the platform's state: the list, the documents, the hospitals. Writes nothing, may run beside a server."""

import contextlib
import json
import queue
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import msgspec

from frontend_agent.errors import StateError
from frontend_agent.machine import read_at
from frontend_agent.model import SeriesHead
from frontend_agent.platform import fleet, reconciliations, signatures
from frontend_agent.platform.images.blobs import Blobs
from frontend_agent.platform.images.catalogue import ImageCatalogue
from frontend_agent.platform.images.objects import blobs_of
from frontend_agent.platform.leases import Agent
from frontend_agent.platform.reconciliations import Reconciled
from frontend_agent.wire.frames import decompressor, open_frame

AGENT_FIELDS = Agent.__struct_fields__
PER_FOLDER = 1_000
PAGE = 50
COUNT_TO = 10_000  # beyond this a search says "more than"
READERS = 4


def parcel_path(folder: Path, number: int) -> Path:
    return folder / "parcels" / f"{number // PER_FOLDER:04d}" / f"{number:08d}.fep"


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader of the list asked for. Empty means: any."""

    institution: str = ""
    patient: str = ""  # the beginning of a name, or a whole identity, outpatient or inpatient number
    kind: str = ""
    first_day: str = ""  # yyyyMMdd, by effective time
    last_day: str = ""
    all_versions: bool = False


class Listed(msgspec.Struct, frozen=True):
    """One line of the list."""

    document_id: str
    set_id: str
    version: int
    kind: str
    institution: str
    institution_name: str
    patient_name: str
    id_number: str
    outpatient_number: str
    inpatient_number: str
    sex: str
    birth_date: str
    effective_time: str
    author_name: str
    authored_at: str
    sha256: str
    size: int
    source_hash: str
    replaces_id: str
    void: bool
    newest: bool
    stored_at: str
    form: str = ""  # as-is: somebody else's document
    own_id: str = ""
    local_number: str = ""
    title: str = ""


class Tally(msgspec.Struct, frozen=True):
    """One hospital and kind: how much there is, and since when it has been silent."""

    institution: str
    institution_name: str
    kind: str
    documents: int
    voids: int
    last_stored: str


class Catalogue:
    """What is stored, for those who read. A few connections are shared among the threads that ask."""

    def __init__(self, folder: Path, blobs: Blobs | None = None):
        self.folder = folder
        self._readers: queue.LifoQueue[apsw.Connection] = queue.LifoQueue()
        self.images = ImageCatalogue(blobs or blobs_of(folder), self._reading)

    def open(self) -> "Catalogue":
        if not (self.folder / "index.sqlite").exists():
            raise StateError(f"{self.folder}: no platform has stored anything here")
        for _ in range(READERS):
            connection = apsw.Connection(str(self.folder / "index.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
            connection.set_busy_timeout(10_000)
            connection.pragma("cache_size", -4_000)
            self._readers.put(connection)
        return self

    def close(self) -> None:
        while not self._readers.empty():
            self._readers.get().close()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        connection = self._readers.get()
        try:
            yield connection
        finally:
            self._readers.put(connection)

    def heads(self, institution: str, set_ids: Sequence[str]) -> list[SeriesHead]:
        """The newest version of each set that is here (law 14: how a lost state directory is rebuilt)."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT set_id, version, source_hash, document_id, void FROM document "
                "WHERE institution = ? AND set_id IN (SELECT value FROM json_each(?)) AND newest = 1",
                (institution, json.dumps(list(set_ids))),
            )
            return [
                SeriesHead(
                    set_id=set_id, version=version, source_hash=source_hash, document_id=document_id, void=bool(void)
                )
                for set_id, version, source_hash, document_id, void in rows
            ]

    # --- reading -----------------------------------------------------------------------------------------------------

    def documents(self, search: Search, page: int = 1, per_page: int = PAGE) -> list[Listed]:
        """One page of the list, newest first."""
        source, conditions, values = _conditions(search)
        with self._reading() as db:
            rows = db.execute(
                f"SELECT {_LISTED} FROM {source} WHERE {conditions} "  # noqa: S608 - our own words; values are bound
                "ORDER BY document.authored_at DESC, document.id DESC LIMIT ? OFFSET ?",
                (*values, per_page, (page - 1) * per_page),
            )
            return [_listed(row) for row in rows]

    def count(self, search: Search) -> int:
        """How many a search finds, counted no further than COUNT_TO + 1."""
        source, conditions, values = _conditions(search)
        with self._reading() as db:
            counted: int = db.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {conditions} LIMIT ?)",  # noqa: S608
                (*values, COUNT_TO + 1),
            ).get
            return counted

    def listed(self, document_id: str) -> Listed | None:
        with self._reading() as db:
            rows = db.execute(f"SELECT {_LISTED} FROM {_FROM} WHERE document_id = ?", (document_id,))  # noqa: S608
            return next((_listed(row) for row in rows), None)

    def signature(self, document_id: str) -> signatures.Kept | None:
        """What was to be said of its signature when it came; None where nobody asked."""
        with self._reading() as db:
            return signatures.kept(db, document_id)

    def verdicts(self, institution: str = "", state: str = "", limit: int = 200) -> list[signatures.Kept]:
        """The newest verdicts, of one institution or one state, or all."""
        with self._reading() as db:
            return signatures.listed(db, institution, state, limit)

    def versions(self, institution: str, set_id: str) -> list[Listed]:
        """Every version of a set, in order of version, whatever the order of arrival."""
        with self._reading() as db:
            rows = db.execute(
                f"SELECT {_LISTED} FROM {_FROM} WHERE document.institution = ? AND set_id = ? ORDER BY version",  # noqa: S608
                (institution, set_id),
            )
            return [_listed(row) for row in rows]

    def document(self, document_id: str) -> bytes | None:
        """The document's bytes, proven on every read."""
        with self._reading() as db:
            row = db.execute(
                "SELECT parcel, offset, length, size, document.sha256, dictionary.sha256 FROM document "
                "LEFT JOIN dictionary ON dictionary.id = dictionary WHERE document_id = ?",
                (document_id,),
            ).fetchone()
        if row is None:
            return None
        parcel, offset, length, size, digest, dictionary = row
        try:
            with parcel_path(self.folder, parcel).open("rb") as file:
                frame = read_at(file.fileno(), length, offset)
            shared = (self.folder / "dictionaries" / dictionary).read_bytes() if dictionary else b""
            document = open_frame(frame, size, decompressor(shared))
        except (OSError, ValueError) as error:
            raise StateError(f"{document_id}: its parcel {parcel} is damaged") from error
        if sha256(document).digest() != digest:
            raise StateError(f"{document_id}: its parcel {parcel} is damaged")
        return document

    def tallies(self) -> list[Tally]:
        with self._reading() as db:
            rows = db.execute(
                "SELECT institution, coalesce(name, ''), kind, documents, voids, last_stored FROM tally "
                "LEFT JOIN institution ON institution.id = tally.institution ORDER BY institution, kind"
            )
            return [Tally(*row) for row in rows]

    def institutions(self) -> dict[str, str]:
        with self._reading() as db:
            return dict(db.execute("SELECT id, name FROM institution ORDER BY id"))

    def kinds(self) -> list[str]:
        with self._reading() as db:
            return [kind for (kind,) in db.execute("SELECT DISTINCT kind FROM tally ORDER BY kind")]

    def agents(self) -> list[Agent]:
        with self._reading() as db:
            rows = db.execute(f"SELECT {', '.join(AGENT_FIELDS)} FROM agent ORDER BY institution, first_seen")  # noqa: S608
            return [Agent(*row) for row in rows]

    def agents_packs(self) -> dict[str, dict[str, str]]:
        """Institution -> what its present agent judges by, as it last said."""
        with self._reading() as db:
            rows = db.execute("SELECT institution, packs FROM agent WHERE superseded_by = ''")
            return {institution: json.loads(packs) for institution, packs in rows}

    def reconciled(
        self, institution: str = "", first: int = 0, last: int = 99_991_231, differing: bool = False, limit: int = 1_000
    ) -> list[Reconciled]:
        """What the hospitals' own reconciliations found, with how many documents are here; the newest days first."""
        with self._reading() as db:
            return reconciliations.said(db, institution, first, last, differing, limit)

    def hospitals(self) -> list[fleet.Hospital]:
        """How each hospital stands, as its agent last said; those that are silent first."""
        with self._reading() as db:
            return fleet.hospitals(db)

    def hospital_silences(self, limit: int = 100) -> list[tuple[str, str, str, str]]:
        """(institution, since, began, ended) of hospitals that fell silent, the newest first."""
        with self._reading() as db:
            return fleet.silences(db, limit)

    def disputed_logs(self) -> dict[str, str]:
        """Institution -> when two different logs last claimed the same place: somebody rewrote one."""
        with self._reading() as db:
            return dict(db.execute("SELECT institution, log_disputed_at FROM agent WHERE log_disputed_at <> ''"))


_FROM = "document JOIN parcel ON parcel.id = parcel LEFT JOIN institution ON institution.id = document.institution"
_LISTED = (
    "document_id, set_id, version, kind, document.institution, coalesce(institution.name, ''), patient_name, id_number, "
    "outpatient_number, inpatient_number, sex, birth_date, effective_time, author_name, authored_at, document.sha256, size, "
    "source_hash, replaces_id, void, newest, stored_at, form, own_id, local_number, title"
)
# The patient is looked for first, through its own indices, and what is found is filtered: left to itself SQLite may
# rather walk a million documents in order of time.
_OF_PATIENT = """(
    SELECT id FROM document WHERE patient_name >= ? AND patient_name < ?
    UNION SELECT id FROM document WHERE id_number = ? AND id_number <> ''
    UNION SELECT id FROM document WHERE outpatient_number = ? AND outpatient_number <> ''
    UNION SELECT id FROM document WHERE inpatient_number = ? AND inpatient_number <> ''
    UNION SELECT id FROM document WHERE local_number = ? AND local_number <> ''
) AS found CROSS JOIN """


def _conditions(search: Search) -> tuple[str, str, list[Any]]:
    """FROM, WHERE and the values to bind."""
    source, conditions, values = _FROM, ["1"], []
    if search.patient:
        source = _OF_PATIENT + _FROM
        conditions.append("document.id = found.id")
        name, number = search.patient, search.patient.upper()
        values += [name, name + "\U0010ffff", number, search.patient, search.patient, search.patient]
    if search.institution:
        conditions.append("document.institution = ?")
        values.append(search.institution)
    if search.kind:
        conditions.append("kind = ?")
        values.append(search.kind)
    if search.first_day:
        conditions.append("authored_at >= ?")
        values.append(search.first_day)
    if search.last_day:
        conditions.append("authored_at < ?")
        values.append(search.last_day + "~")  # after every time of that day
    if not search.all_versions:
        conditions.append("newest = 1")
    return source, " AND ".join(conditions), values


def _listed(row: Sequence[Any]) -> Listed:
    values = list(row)
    digest, void, newest = (Listed.__struct_fields__.index(name) for name in ("sha256", "void", "newest"))
    values[digest], values[void], values[newest] = values[digest].hex(), bool(values[void]), bool(values[newest])
    return Listed(*values)
