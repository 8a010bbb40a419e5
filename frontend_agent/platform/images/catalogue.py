"""Reading the index of images: studies, series, instances. Writes nothing, may run beside a server."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import Any, BinaryIO, Protocol

import apsw
import msgspec

from frontend_agent.errors import StateError
from frontend_agent.platform.images.blobs import Blobs

MOST_STUDIES = 1_000  # of one answer


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """One study of one hospital. Times of ours are ISO 8601 UTC; all else as DICOM writes it."""

    id: int
    institution: str
    study_instance_uid: str
    study_date: str
    study_time: str
    accession_number: str
    study_id: str
    study_description: str
    referring_physician_name: str
    institution_name: str
    patient_name: str
    patient_id: str
    issuer_of_patient_id: str
    patient_birth_date: str
    patient_sex: str
    modalities: str  # joined by a backslash
    series: int
    instances: int
    held: int  # of its instances, those whose files are here
    bytes: int
    first_at: str
    last_at: str
    indexed_at: str
    order_key: str
    visit_number: str
    id_number: str
    report_key: str
    report_set_id: str
    wanted_at: str
    wanted_why: str

    @property
    def availability(self) -> str:
        """Instance Availability (0008,0056): NEARLINE is what the hospital still has to send."""
        return "ONLINE" if self.held >= self.instances else "NEARLINE"


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One series of a study."""

    id: int
    study: int
    series_instance_uid: str
    modality: str
    series_number: str
    series_description: str
    series_date: str
    body_part_examined: str
    laterality: str
    manufacturer: str
    station_name: str
    instances: int
    held: int

    @property
    def availability(self) -> str:
        return "ONLINE" if self.held >= self.instances else "NEARLINE"


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One instance. Its file is here where it is `held`: `ImageCatalogue.read`."""

    id: int
    institution: str
    study: int
    series: int
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: str
    frames: int
    rows: int
    columns: int
    bits_allocated: int
    has_pixel_data: bool
    sha256: str
    size: int
    held: bool
    sender: str
    stored_at: str
    study_instance_uid: str
    series_instance_uid: str

    @property
    def availability(self) -> str:
        return "ONLINE" if self.held else "NEARLINE"


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that came again with other bytes and was refused (law 6)."""

    institution: str
    sop_instance_uid: str
    study_instance_uid: str
    sha256: str  # of what was refused
    size: int
    sender: str
    first_at: str
    last_at: str
    times: int


class ImageTally(msgspec.Struct, frozen=True, kw_only=True):
    """One hospital: how many images there are, without a scan."""

    institution: str
    institution_name: str
    studies: int
    instances: int
    held: int
    bytes: int
    last_stored: str


class StudySearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader of the study list asked for. Empty means: any."""

    institution: str = ""
    patient: str = (
        ""  # the beginning of a name (either script), or a whole patient, identity, accession or order number
    )
    modality: str = ""
    first_day: str = ""  # yyyymmdd
    last_day: str = ""
    wanted: bool = False  # only those whose pixels are asked for


_STUDY = ", ".join(f"t.{name}" for name in Study.__struct_fields__)
_SERIES = ", ".join(f"s.{name}" for name in Series.__struct_fields__)
_INSTANCE = ", ".join(
    f"s.{name}" if name == "series_instance_uid" else f"t.{name}" if name == "study_instance_uid"
    else "lower(hex(i.sha256))" if name == "sha256" else f'i."{name}"'
    for name in Instance.__struct_fields__
)  # fmt: skip
_INSTANCES = f"SELECT {_INSTANCE} FROM instance i JOIN series s ON s.id = i.series JOIN study t ON t.id = i.study"  # noqa: S608
# By number as people count, and by UID where there is none: the order of a study is always the same.
BY_NUMBER = (
    "ORDER BY i.study, CAST(s.series_number AS INTEGER), s.id, CAST(i.instance_number AS INTEGER), i.sop_instance_uid"
)


class Query(Protocol):
    """A question as platform/images/qido.py puts it: what stands behind SELECT …, all of it ours, and its parameters."""

    @property
    def sql(self) -> str: ...
    @property
    def values(self) -> tuple[Any, ...]: ...


Reading = Callable[[], AbstractContextManager[apsw.Connection]]


class ImageCatalogue:
    """What is stored of images, for those who read."""

    def __init__(self, blobs: Blobs, reading: Reading):
        self.blobs = blobs
        self._reading = reading

    # --- studies -----------------------------------------------------------------------------------------------------

    def studies(self, search: StudySearch, limit: int = 50, offset: int = 0) -> list[Study]:
        """The newest first, `limit` of them."""
        where, values = _searched(search)
        with self._reading() as db:
            rows = db.execute(
                f"SELECT {_STUDY} FROM study t {where} "  # noqa: S608 - names of ours
                "ORDER BY t.study_date DESC, t.study_time DESC, t.id DESC LIMIT ? OFFSET ?",
                (*values, min(limit, MOST_STUDIES), offset),
            )
            return [_study(row) for row in rows]

    def count_studies(self, search: StudySearch, up_to: int) -> int:
        """How many there are; it does not count beyond `up_to` + 1."""
        where, values = _searched(search)
        with self._reading() as db:
            sql = f"SELECT count(*) FROM (SELECT 1 FROM study t {where} LIMIT ?)"  # noqa: S608
            return int(db.execute(sql, (*values, up_to + 1)).get)

    def studies_of(self, study_instance_uid: str, institution: str = "") -> list[Study]:
        """By UID: one for each hospital that has it."""
        return self._some_studies(
            "t.study_instance_uid = ? AND ? IN ('', t.institution) ORDER BY t.id", study_instance_uid, institution
        )

    def study(self, study: int) -> Study | None:
        """By our own number."""
        return next(iter(self._some_studies("t.id = ?", study)), None)

    def studies_of_report(
        self, institution: str, set_id: str = "", accession_numbers: Sequence[str] = ()
    ) -> list[Study]:
        """The studies that a report speaks of: those whose agent says so, and those of its accession numbers."""
        return self._some_studies(
            "t.institution = ? AND ((? <> '' AND t.report_set_id = ?) OR (t.accession_number <> '' AND t.accession_number IN "
            "(SELECT value FROM json_each(?)))) ORDER BY t.study_date, t.study_time, t.id",
            institution, set_id, set_id, json.dumps([one for one in accession_numbers if one]),
        )  # fmt: skip

    def _some_studies(self, where: str, *values: Any) -> list[Study]:
        with self._reading() as db:
            sql = f"SELECT {_STUDY} FROM study t WHERE {where}"  # noqa: S608 - all of ours; values are parameters
            return [_study(row) for row in db.execute(sql, values)]

    # --- series and instances ----------------------------------------------------------------------------------------

    def series_of(self, study: int) -> list[Series]:
        """In their order."""
        with self._reading() as db:
            rows = db.execute(
                f"SELECT {_SERIES} FROM series s WHERE s.study = ? ORDER BY CAST(s.series_number AS INTEGER), s.id",  # noqa: S608
                (study,),
            )
            return [_series(row) for row in rows]

    def instances_of(self, study: int, series: int = 0) -> list[Instance]:
        """Of a study or of one series (both our own numbers), in their order; also those that are not held."""
        with self._reading() as db:
            rows = db.execute(
                f"{_INSTANCES} WHERE i.study = ? AND ? IN (0, i.series) {BY_NUMBER}", (study, series)
            )  # fmt: skip
            return [_instance(row) for row in rows]

    def find(
        self,
        study_instance_uid: str,
        series_instance_uid: str = "",
        sop_instance_uid: str = "",
        *,
        institution: str = "",
    ) -> list[Instance]:
        """What an address names, in the order of the study; of all hospitals that have it unless one is named."""
        sql = (
            f"{_INSTANCES} WHERE t.study_instance_uid = ? AND ? IN ('', t.institution) "
            f"AND ? IN ('', s.series_instance_uid) AND ? IN ('', i.sop_instance_uid) {BY_NUMBER}"
        )
        if sop_instance_uid:  # by its own index, however large the study is
            sql = sql.replace("FROM instance i", "FROM instance i INDEXED BY instance_uid").replace(
                "? IN ('', i.sop_instance_uid)", "i.sop_instance_uid = ?"
            )
        with self._reading() as db:
            rows = db.execute(sql, (study_instance_uid, institution, series_instance_uid, sop_instance_uid))
            return [_instance(row) for row in rows]

    def instances_by_uid(self, institution: str, sop_instance_uids: Sequence[str]) -> dict[str, Instance]:
        """SOP Instance UID -> the hospital's instance, of those that are here or known."""
        with self._reading() as db:
            rows = db.execute(
                f"{_INSTANCES} WHERE i.institution = ? AND i.sop_instance_uid IN (SELECT value FROM json_each(?))",  # noqa: S608
                (institution, json.dumps(list(sop_instance_uids))),
            )
            return {one.sop_instance_uid: one for one in map(_instance, rows)}

    def read(self, instance: Instance) -> BinaryIO:
        """Its file, open, as `dicom/part10.py` writes it. StateError: the index says it is here, and it is not."""
        try:
            return self.blobs.read(instance.institution, instance.study_instance_uid, instance.sha256)
        except FileNotFoundError:
            raise StateError(
                f"the file of instance {instance.sop_instance_uid} is missing: sha256 {instance.sha256}"
            ) from None

    def verified(self, institution: str = "") -> Iterator[tuple[Instance, str]]:
        """Every instance that is held, read whole: "" where it is as it was stored, else "missing" or "damaged"."""
        after = 0
        while True:
            with self._reading() as db:
                rows = list(
                    db.execute(
                        f"{_INSTANCES} WHERE i.id > ? AND i.held = 1 AND ? IN ('', i.institution) ORDER BY i.id LIMIT 1000",
                        (after, institution),
                    )
                )
            if not rows:
                return
            for instance in map(_instance, rows):
                after = instance.id
                yield instance, self._problem(instance)

    def _problem(self, instance: Instance) -> str:
        try:
            with self.read(instance) as file:
                digest = sha256()
                while piece := file.read(1 << 20):
                    digest.update(piece)
        except StateError:
            return "missing"
        return "" if digest.hexdigest() == instance.sha256 else "damaged"

    # --- QIDO-RS -----------------------------------------------------------------------------------------------------

    def asked_studies(self, query: Query) -> list[Study]:
        """One more than the question's limit where there are more."""
        return [_study(row) for row in self._asked(query, _STUDY)]

    def asked_series(self, query: Query) -> list[tuple[Series, Study]]:
        """Each with its study."""
        width = len(Series.__struct_fields__)
        rows = self._asked(query, f"{_SERIES}, {_STUDY}")
        return [(_series(row[:width]), _study(row[width:])) for row in rows]

    def asked_instances(self, query: Query) -> list[tuple[Instance, Series, Study]]:
        """Each with its series and study."""
        first, second = len(Instance.__struct_fields__), len(Series.__struct_fields__)
        rows = self._asked(query, f"{_INSTANCE}, {_SERIES}, {_STUDY}")
        return [
            (_instance(row[:first]), _series(row[first : first + second]), _study(row[first + second :]))
            for row in rows
        ]

    def _asked(self, query: Query, columns: str) -> list[tuple[Any, ...]]:
        with self._reading() as db:
            return list(db.execute(f"SELECT {columns} {query.sql}", query.values))

    # --- what is asked for, and counts ---------------------------------------------------------------------------------

    def wanted(self, institution: str = "", limit: int = 100) -> list[Study]:
        """Studies whose pixels are asked for, the oldest wish first."""
        return self._some_studies(
            "t.wanted_at <> '' AND ? IN ('', t.institution) ORDER BY t.wanted_at, t.id LIMIT ?", institution, limit
        )

    def conflicts(self, institution: str = "", limit: int = 100) -> list[Conflict]:
        """What came again with other bytes, the newest first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT institution, sop_instance_uid, study_instance_uid, lower(hex(sha256)), size, sender, first_at, last_at,"
                " times FROM image_conflict WHERE ? IN ('', institution) ORDER BY last_at DESC LIMIT ?",
                (institution, limit),
            )
            return [Conflict(**dict(zip(Conflict.__struct_fields__, row, strict=True))) for row in rows]

    def tallies(self) -> list[ImageTally]:
        """Of every hospital that has images here."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT t.institution, coalesce(n.name, ''), t.studies, t.instances, t.held, t.bytes, t.last_stored "
                "FROM image_tally t LEFT JOIN institution n ON n.id = t.institution ORDER BY t.institution"
            )
            return [ImageTally(**dict(zip(ImageTally.__struct_fields__, row, strict=True))) for row in rows]


def _searched(search: StudySearch) -> tuple[str, list[str]]:
    clauses, values = [], []
    if search.institution:
        clauses.append("t.institution = ?")
        values.append(search.institution)
    if search.patient:
        # 张^小满 is found as 张小满, Zhang^Xiaoman as it is written or spoken: ^ and spaces part names, and nobody types them alike.
        start = like(search.patient.replace("^", "").replace(" ", "")) + "%"
        name = "replace(replace(t.patient_name, '^', ''), ' ', '')"
        clauses.append(
            f"({name} LIKE ? ESCAPE '!' OR {name} LIKE ? ESCAPE '!' OR t.patient_id = ? OR t.id_number = ?"
            " OR t.accession_number = ? OR t.order_key = ?)"
        )
        values += [start, f"%={start}", *[search.patient] * 4]
    if search.modality:
        clauses.append(r"'\' || t.modalities || '\' LIKE ? ESCAPE '!'")
        values.append(f"%\\{like(search.modality)}\\%")
    if search.wanted:
        clauses.append("t.wanted_at <> ''")
    if search.first_day:
        clauses.append("t.study_date >= ?")
        values.append(search.first_day)
    if search.last_day:
        clauses.append("t.study_date <= ?")
        values.append(search.last_day)
    return ("WHERE " + " AND ".join(clauses) if clauses else ""), values


def like(text: str) -> str:
    """A text as it stands in a LIKE pattern with ESCAPE '!'."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _study(row: Sequence[Any]) -> Study:
    return Study(**dict(zip(Study.__struct_fields__, row, strict=True)))


def _series(row: Sequence[Any]) -> Series:
    return Series(**dict(zip(Series.__struct_fields__, row, strict=True)))


def _instance(row: Sequence[Any]) -> Instance:
    values = dict(zip(Instance.__struct_fields__, row, strict=True))
    return Instance(**{**values, "has_pixel_data": bool(values["has_pixel_data"]), "held": bool(values["held"])})
