"""The statements that write the index of images. Each is part of somebody's transaction."""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import apsw

from frontend_agent.platform.images.arriving import Arrived
from frontend_agent.wire.images import Indexed, IndexedInstance, StudyIndex

# What an instance's header says of its study and series, by the standard's keywords. The first word that is said stays: what
# contradicts it within a study is the hospital's to mend, and the instances themselves keep it.
OF_STUDY = (
    "study_date", "study_time", "accession_number", "study_id", "study_description", "referring_physician_name",
    "institution_name", "patient_name", "patient_id", "issuer_of_patient_id", "patient_birth_date", "patient_sex",
)  # fmt: skip
OF_SERIES = (
    "modality", "series_number", "series_description", "series_date", "body_part_examined", "laterality", "manufacturer",
    "station_name",
)  # fmt: skip
OF_ORDER = ("order_key", "visit_number", "id_number", "report_key", "report_set_id")


def _upsert(table: str, key: Sequence[str], names: Sequence[str], *, replacing: bool = False) -> str:
    """One row by its key; what is known of it is filled up, or (`replacing`) what is said now counts."""
    taken = "iif(excluded.{0} <> '', excluded.{0}, {0})" if replacing else "iif({0} = '', excluded.{0}, {0})"
    updates = ", ".join(f"{name} = {taken.format(name)}" for name in names)
    times = ("first_at", "last_at") if table == "study" else ()
    columns = (*key, *names, *times)
    last = ", last_at = excluded.last_at" if times else ""
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "  # noqa: S608 - names of ours
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {updates}{last} RETURNING id"
    )


_STUDY = _upsert("study", ("study_instance_uid", "institution"), OF_STUDY)
_SAID_STUDY = _upsert("study", ("study_instance_uid", "institution"), (*OF_STUDY, *OF_ORDER), replacing=True)
_SERIES = _upsert("series", ("study", "series_instance_uid"), OF_SERIES)
_SAID_SERIES = _upsert("series", ("study", "series_instance_uid"), OF_SERIES, replacing=True)
_COLUMNS = (
    "institution", "study", "series", "sop_instance_uid", "sop_class_uid", "transfer_syntax_uid", "instance_number", "frames",
    '"rows"', "columns", "bits_allocated", "has_pixel_data", "sha256", "size", "held", "sender", "stored_at",
)  # fmt: skip
_INSTANCE = (
    f"INSERT INTO instance ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608 - names of ours
    "ON CONFLICT (sop_instance_uid, institution) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:] if name != "sop_instance_uid")
    + " WHERE held = 0"
)


def held(db: apsw.Connection, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    """(institution, SOP Instance UID) -> SHA-256 of those whose files are here."""
    if not keys:
        return {}
    found = db.execute(
        "SELECT i.institution, i.sop_instance_uid, lower(hex(i.sha256)) FROM json_each(?) k "
        "JOIN instance i INDEXED BY instance_uid ON i.sop_instance_uid = k.value ->> 1 AND i.institution = k.value ->> 0 "
        "WHERE i.held = 1",
        (json.dumps(list(keys)),),
    )
    return {(institution, uid): digest for institution, uid, digest in found}


def last_stored(db: apsw.Connection) -> str:
    """When the newest row of an instance was committed; "" where there is none."""
    return str(db.execute("SELECT coalesce(max(last_stored), '') FROM image_tally").get)


def insert(db: apsw.Connection, fresh: Sequence[Arrived], now: str) -> None:
    """Rows of instances whose files are placed."""
    studies: dict[tuple[str, str], int] = {}
    series: dict[tuple[int, str], int] = {}
    for one in fresh:
        header = one.header
        of_study = (header.study_instance_uid, one.institution)
        if of_study not in studies:
            said = [getattr(header, name) for name in OF_STUDY]
            studies[of_study] = db.execute(_STUDY, (*of_study, *said, now, now)).get
        of_series = (studies[of_study], header.series_instance_uid)
        if of_series not in series:
            said = [getattr(header, name) for name in OF_SERIES]
            series[of_series] = db.execute(_SERIES, (*of_series, *said)).get
        row = (
            one.institution, studies[of_study], series[of_series], header.sop_instance_uid, header.sop_class_uid,
            header.transfer_syntax_uid, header.instance_number, max(header.frames, 1), header.rows, header.columns,
            header.bits_allocated, int(header.has_pixel_data), bytes.fromhex(one.written.sha256), one.written.size, 1,
            one.sender, now,
        )  # fmt: skip
        db.execute(_INSTANCE, row)
    for study in studies.values():
        _settle(db, study)
    db.executemany(
        "UPDATE image_tally SET last_stored = max(last_stored, ?) WHERE institution = ?",
        [(now, institution) for institution in {institution for _, institution in studies}],
    )


def _settle(db: apsw.Connection, study: int) -> None:
    """What follows from a study's rows: its modalities; and that it is whole, so that nothing of it is asked for."""
    db.execute(
        "UPDATE study SET modalities = (SELECT coalesce(group_concat(modality, char(92)), '') FROM (SELECT DISTINCT modality "
        "FROM series WHERE study = study.id AND modality <> '' ORDER BY modality)) WHERE id = ?",
        (study,),
    )
    db.execute(
        "UPDATE study SET wanted_at = '', wanted_why = '' WHERE id = ? AND wanted_at <> '' AND held = instances",
        (study,),
    )


def note_conflicts(db: apsw.Connection, refused: Iterable[Arrived], now: str) -> None:
    """What came with other bytes than what is here."""
    db.executemany(
        "INSERT INTO image_conflict VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET "
        "last_at = excluded.last_at, sender = excluded.sender, times = times + 1",
        [
            (
                one.institution, one.header.sop_instance_uid, one.header.study_instance_uid,
                bytes.fromhex(one.written.sha256), one.written.size, one.sender, now, now,
            )
            for one in refused
        ],
    )  # fmt: skip


# --- the index of a study that its agent tells ----------------------------------------------------------------------------


def put_index(db: apsw.Connection, index: StudyIndex, now: str) -> Indexed:
    """The newest word whole: what it does not name any more, and is not held, is gone."""
    said = [getattr(index, name) for name in (*OF_STUDY, *OF_ORDER)]
    study = db.execute(_SAID_STUDY, (index.study_instance_uid, index.institution, *said, now, now)).get
    db.execute("UPDATE study SET indexed_at = ? WHERE id = ?", (now, study))
    named = [one.sop_instance_uid for series in index.series for one in series.instances]
    if index.series:
        db.execute(
            "DELETE FROM instance WHERE study = ? AND held = 0 AND sop_instance_uid NOT IN (SELECT value FROM json_each(?))",
            (study, json.dumps(named)),
        )
    for series in index.series:
        about = [getattr(series, name) for name in OF_SERIES]
        number = db.execute(_SAID_SERIES, (study, series.series_instance_uid, *about)).get
        db.executemany(_INSTANCE, [_indexed(index.institution, study, number, one, now) for one in series.instances])
    db.execute(
        "DELETE FROM series WHERE study = ? AND id NOT IN (SELECT series FROM instance WHERE study = ?)", (study, study)
    )
    _settle(db, study)
    instances, held, wanted = db.execute(
        "SELECT instances, held, wanted_at <> '' FROM study WHERE id = ?", (study,)
    ).get
    return Indexed(instances, held, bool(wanted))


def _indexed(institution: str, study: int, series: int, one: IndexedInstance, now: str) -> tuple[Any, ...]:
    return (
        institution, study, series, one.sop_instance_uid, one.sop_class_uid, one.transfer_syntax_uid, one.instance_number,
        max(one.frames, 1), one.rows, one.columns, 0, int(one.rows > 0), bytes.fromhex(one.sha256), one.size, 0, "", now,
    )  # fmt: skip


# --- what is asked for, and what is taken away ------------------------------------------------------------------------------


def want(db: apsw.Connection, study_instance_uid: str, institution: str, why: str, now: str) -> int:
    """Those that lack files; one that is asked for already keeps its place."""
    db.execute(
        "UPDATE study SET wanted_at = iif(wanted_at = '', ?, wanted_at), wanted_why = ? WHERE study_instance_uid = ? "
        "AND ? IN ('', institution) AND (held < instances OR instances = 0)",
        (now, why, study_instance_uid, institution),
    )
    return db.changes()


def unwant(db: apsw.Connection, study_instance_uid: str, institution: str) -> int:
    db.execute(
        "UPDATE study SET wanted_at = '', wanted_why = '' WHERE study_instance_uid = ? AND ? IN ('', institution) "
        "AND wanted_at <> ''",
        (study_instance_uid, institution),
    )
    return db.changes()


def drop(db: apsw.Connection, study_instance_uid: str, institution: str) -> list[str]:
    """Take a study's rows away: the SHA-256 of the files that were here."""
    key = (study_instance_uid, institution)
    study = db.execute("SELECT id FROM study WHERE study_instance_uid = ? AND institution = ?", key).get
    if study is None:
        return []
    digests = db.execute("SELECT lower(hex(sha256)) FROM instance WHERE study = ? AND held = 1", (study,))
    found = [digest for (digest,) in digests]
    for table in ("instance", "series"):
        db.execute(f"DELETE FROM {table} WHERE study = ?", (study,))  # noqa: S608 - names of ours
    db.execute("DELETE FROM study WHERE id = ?", (study,))
    return found
