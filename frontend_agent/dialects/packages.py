"""All of a visit as the files of one package (dialect C, exchange.md §5): data sets as JSON, or the documents themselves.

What is made here is the same for the same documents: a package's id is the digest of what it carries. Zip, password and
upload are the edge's business (`connectors/outlets/packages.py`).

A platform knows a visit by institution, visit number and the visit's time to the millisecond. So all documents of a visit
must say the same time of it, and that is read from the record (`event_time`), never from when a document was written.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from frontend_agent.config_outlets import PackagesOutlet
from frontend_agent.dialects.data_sets import SHIPPED, DataSet, DataSets, data_sets_of, read_data_sets
from frontend_agent.dialects.values import Local, NotSaid, Opened, Region, check_format, written
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import Kind
from frontend_agent.model import Outcome, Receipt

STRUCTURED: Literal[1] = 1  # packType
FILES: Literal[2] = 2
MOMENT = "yyyy-MM-dd HH:mm:ss"
EVENT_TYPES = {"patient.outpatient_number": 0, "patient.inpatient_number": 1}  # by the number that a record has


class Visit(NamedTuple):
    """What a platform tells visits apart by, and its patient there."""

    org_code: str
    patient_id: str
    event_no: str
    event_time: str  # yyyy-MM-dd HH:mm:ss
    event_type: int | None


class Package(msgspec.Struct, frozen=True):
    """One package before it is zipped. The same documents make the same files under the same id."""

    id: str
    pack_type: Literal[1, 2]
    visit: Visit
    files: Mapping[str, bytes]
    documents: tuple[str, ...]  # their ids
    again: bool  # adds to, or replaces, what was sent of the visit before


class _Part(NamedTuple):
    opened: Opened
    visit: Visit
    sets: list[DataSet]


class Packer:
    """Makes packages of documents, by a destination's settings."""

    def __init__(
        self, options: PackagesOutlet, sets: DataSets, inner_version: str, local: Local, timezone: str
    ) -> None:
        self._options = options
        self._sets = sets
        self._inner_version = inner_version
        self._region = Region(options.date_format, options.datetime_format, local)
        self._zone = ZoneInfo(timezone)

    def packages(self, documents: Sequence[Opened]) -> tuple[list[Package], list[Receipt]]:
        """Packages in the order of their first documents, and what cannot be in any, refused with its reasons."""
        parts: list[_Part] = []
        refused: list[Receipt] = []
        for opened in documents:
            try:
                parts.append(self._part(opened))
            except (NotSaid, ConfigurationError) as reason:
                refused.append(Receipt(opened.document.document_id, Outcome.REFUSED, reasons=(str(reason),)))
        made: list[Package] = []
        for together in _together(parts):
            if self._options.carry == "files":
                made.append(self._of_files(together))
            else:
                made.append(self._of_data_sets(together))
        return made, refused

    def _part(self, opened: Opened) -> _Part:
        document = opened.document
        if document.void:
            raise NotSaid("a withdrawal: this dialect has no word for it; tell the platform, then discard the delivery")
        visit = self._visit(opened)
        wanted = self._sets.of(document.kind)
        if self._options.carry == "data-sets" and not any(not one.once for one in wanted) and not _of_kind(wanted):
            raise NotSaid(
                f"no data set is known for {document.kind}: name its elements in the destination's data_sets file, or "
                'send the document itself: carry = "files"'
            )
        return _Part(
            opened,
            visit,
            data_sets_of(wanted, opened, self._region, all_standard=self._options.origin == "standard"),
        )

    def _visit(self, opened: Opened) -> Visit:
        options, record = self._options, opened.record
        patient_id, event_no = _first(record, options.patient_id), _first(record, options.event_no)
        moment = _first(record, options.event_time)
        for key, found in (("patient_id", patient_id), ("event_no", event_no), ("event_time", moment)):
            if not found[1]:
                names = ", ".join(getattr(options, key))
                raise NotSaid(f"the record has none of {names}, of which the package's {key} is made")
        if len(moment[1]) == 8 and options.day_as_midnight:
            moment = (moment[0], moment[1] + "000000")
        try:
            at = written(moment[1], MOMENT)
        except NotSaid as reason:
            mend = "; day_as_midnight = true writes 00:00:00" if len(moment[1]) == 8 else ""
            raise NotSaid(f"event_time: {moment[0]} {reason}{mend}") from None
        return Visit(
            options.org_code or opened.document.institution,
            patient_id[1],
            event_no[1],
            at,
            EVENT_TYPES.get(event_no[0]),
        )

    def _again(self, parts: Sequence[_Part]) -> bool:
        """Whether a package adds to a visit that is there: it holds a new version, or no document that opens one."""
        opens = self._options.opens
        first = [part for part in parts if part.opened.document.version == 1]
        return len(first) < len(parts) or bool(opens and not any(p.opened.document.kind in opens for p in first))

    def _head(self, visit: Visit, parts: Sequence[_Part]) -> dict[str, Any]:
        newest = max(part.opened.document.made_at for part in parts)
        made = datetime.fromisoformat(newest).astimezone(self._zone)
        return {
            "inner_version": self._inner_version,
            "patient_id": visit.patient_id,
            "event_no": visit.event_no,
            "org_code": visit.org_code,
            "event_time": visit.event_time,
            "create_date": f"{made:%Y-%m-%d %H:%M:%S}",
        }

    def _of_data_sets(self, parts: Sequence[_Part]) -> Package:
        visit, again = parts[0].visit, self._again(parts)
        head = self._head(visit, parts)
        if again:
            head["reUploadFlg"] = "true"
        files: dict[str, bytes] = {}
        for one in _merged([part.sets for part in parts]):
            for folder, rows in (("standard", one.standard), ("origin", one.origin)):
                files[f"{folder}/{one.code}.json"] = _json({**head, "code": one.code, "data": rows})
        return self._package(STRUCTURED, parts, files, again)

    def _of_files(self, parts: Sequence[_Part]) -> Package:
        visit = parts[0].visit
        files: dict[str, bytes] = {}
        described = []
        for part in parts:
            document = part.opened.document
            name = f"{document.sha256[:32]}.xml"  # neither ',' nor ';', which the platform splits names at
            files[f"documents/{name}"] = part.opened.content
            content = {
                "mime_type": "text/xml",
                "name": name,
                "url": "",
                "url_scope": "",
                # The platform's reader of packages fails without these two, which its documentation leaves out.
                "emr_id": document.document_id,
                "emr_name": part.opened.kind_name,
            }
            if document.replaces_id:
                content["reference"] = document.replaces_id
            described.append({"cda_doc_id": document.document_id, "content": [content]})
        head = {"demographic_id": _first(parts[0].opened.record, ("patient.id_number",))[1], **self._head(visit, parts)}
        if visit.event_type is not None:
            head["event_type"] = visit.event_type
        summary = {one.code: one.standard for one in _merged([part.sets for part in parts])}
        files["documents.json"] = _json({**head, "data_sets": summary, "files": described})
        return self._package(FILES, parts, files, self._again(parts))

    def _package(
        self, pack_type: Literal[1, 2], parts: Sequence[_Part], files: dict[str, bytes], again: bool
    ) -> Package:
        digest = hashlib.sha256(f"{pack_type} {parts[0].visit}".encode())
        for name in sorted(files):
            digest.update(f"{len(name)} {name} {len(files[name])} ".encode() + files[name])
        ids = tuple(part.opened.document.document_id for part in parts)
        return Package(digest.hexdigest(), pack_type, parts[0].visit, files, ids, again)


def packer(
    options: PackagesOutlet,
    kind: Callable[[str], Kind],
    local: Local,
    timezone: str,
    texts: Mapping[str, str],
    compiling: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Packer:
    """The packer of a destination. `texts`: the shipped table of data sets and then the site's, by name."""
    sets, inner_version = read_data_sets(texts, kind, compiling)
    version = options.inner_version or inner_version
    if not version:
        raise ConfigurationError(
            "inner_version: the version of the platform's data standard must be said, here or in data_sets"
        )
    for key in ("date_format", "datetime_format"):
        check_format(getattr(options, key), key)
    return Packer(options, sets, version, local, timezone)


def _of_kind(wanted: Sequence[Any]) -> bool:
    """Whether a table speaks of this kind itself, beside the demographics that every kind has."""
    return any(one.code != "HDSA00_01" for one in wanted)


def _first(record: Mapping[str, Any], names: Sequence[str]) -> tuple[str, str]:
    """The first of these fields that a record has, and its value."""
    return next(((name, str(record[name])) for name in names if record.get(name)), ("", ""))


def _together(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Documents of one visit go together, but neither two versions of one, nor two that contradict each other."""
    groups: list[list[_Part]] = []
    for part in parts:
        for group in reversed(groups):
            if group[0].visit == part.visit:
                if _agree(group, part):
                    group.append(part)
                    break
                groups.append([part])
                break
        else:
            groups.append([part])
    return groups


def _agree(group: Sequence[_Part], part: _Part) -> bool:
    if any(one.opened.document.set_id == part.opened.document.set_id for one in group):
        return False
    said: dict[tuple[str, str], str] = {}
    for one in [*group, part]:
        for data_set in one.sets:
            for row in data_set.standard if data_set.once else ():
                for element, text in row.items():
                    if said.setdefault((data_set.code, element), text) != text:
                        return False
    return True


def _merged(sets: Sequence[Sequence[DataSet]]) -> list[DataSet]:
    """The data sets of several documents as one list: rows under one another, those that are there once as one row."""
    found: dict[str, DataSet] = {}
    for one in (one for of_document in sets for one in of_document):
        before = found.get(one.code)
        if before is None:
            found[one.code] = one
        elif one.once:
            found[one.code] = DataSet(
                one.code, True, [_one(before.standard, one.standard)], [_one(before.origin, one.origin)]
            )
        else:
            found[one.code] = DataSet(one.code, False, before.standard + one.standard, before.origin + one.origin)
    return list(found.values())


def _one(before: Sequence[Mapping[str, str]], after: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {key: text for row in (*after, *before) for key, text in row.items()}


def _json(what: Mapping[str, Any]) -> bytes:
    return json.dumps(what, ensure_ascii=False, separators=(",", ":")).encode()


__all__ = ["SHIPPED", "Package", "Packer", "Visit", "packer"]
