"""A document's XDS metadata, made of its record and of a site's table of codes (ITI TF-3 §4.2.3.2).

    [defaults]                                    # of every kind
    confidentiality  = ["N", "2.16.840.1.113883.5.25", "正常"]
    facility         = ["A1", "2.16.156.10011.2.3.4.1", "综合医院"]
    practice_setting = ["01", "2.16.156.10011.2.3.1.1", "全科"]
    content_type     = ["1", "2.16.156.10011.2.3.1.2", "医疗文书"]

    [kinds.C0007]
    class  = ["C0007", "2.16.156.10011.2.4", "检验报告"]    # the standard's own code of the kind, where left out
    type   = […]                                            # likewise
    format = ["urn:…", "1.3.6.1.4.1.19376.1.2.3", "…"]

Which codes an affinity domain takes is its own decision: nothing but the kind's own code is assumed.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from frontend_agent.config_outlets import XdsOutlet
from frontend_agent.dialects.ebxml import SCHEMES, Code, Entry, entry_uuid, oid_of
from frontend_agent.dialects.values import NotSaid, Opened
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import Kind
from frontend_agent.shipped import only_known_keys, toml_of

DOCUMENT_ROOT = "2.16.156.10011.1.1"  # of ClinicalDocument/id
KINDS_ROOT = "2.16.156.10011.2.4"  # 卫生信息共享文档规范编码体系
EVERY = (*SCHEMES, "content_type")
SEXES = {"0": "U", "1": "M", "2": "F", "9": "O"}  # GB/T 2261.1 → HL7 table 0001
_SIGNS = re.compile(r"[|^&~\\]")


class Describer:
    """Makes the metadata of documents, by a destination's settings."""

    def __init__(
        self,
        options: XdsOutlet,
        codes: Mapping[str, Mapping[str, Code]],
        kind: Callable[[str], Kind],
        timezone: str,
        institution: tuple[str, str],
    ) -> None:
        self._options = options
        self._codes = codes
        self._kind = kind
        self._zone = ZoneInfo(timezone)
        self._institution = institution

    def entry(self, opened: Opened, now: datetime) -> Entry:
        """What is said of a document. Raises NotSaid where something that must be said is not known."""
        document, record, options = opened.document, opened.record, self._options
        if document.void:
            raise NotSaid("a withdrawal: ITI-41 cannot take a document back; have the registry's operator deprecate it")
        patient = next((str(record[name]) for name in options.patient_id if record.get(name)), "")
        if not patient:
            raise NotSaid(f"the record has none of {', '.join(options.patient_id)}, of which patientId is made")
        written = str(record.get("author.time") or "")
        unique_id = self.unique_id(document.document_id)
        start = next((str(record[name]) for name in options.service_start if record.get(name)), "")
        stop = next((str(record[name]) for name in options.service_stop if record.get(name)), "")
        return Entry(
            entry_uuid=entry_uuid(unique_id),
            unique_id=unique_id,
            set_uuid=entry_uuid(f"{unique_id} submission"),
            set_unique_id=oid_of(f"{unique_id} submission"),
            source_id=options.source_id,
            patient_id=cx(patient, options.assigning_authority),
            source_patient_id=cx(patient, options.source_authority or options.assigning_authority),
            title=opened.kind_name,
            language="zh-CN",
            creation_time=self._utc(written)
            or datetime.fromisoformat(document.made_at).astimezone(UTC).strftime("%Y%m%d%H%M%S"),
            submission_time=now.astimezone(UTC).strftime("%Y%m%d%H%M%S"),
            hash=hashlib.sha1(opened.content, usedforsecurity=False).hexdigest(),
            size=len(opened.content),
            codes={name: self._code(name, document.kind) for name in SCHEMES},
            content_type=self._code("content_type", document.kind),
            authors=self._authors(record),
            service_start=self._utc(start),
            service_stop=self._utc(stop),
            patient_info=_patient_info(record, cx(patient, options.source_authority or options.assigning_authority))
            if options.patient_info
            else [],
            replaces=entry_uuid(self.unique_id(document.replaces_id)) if document.replaces_id else "",
        )

    def unique_id(self, document_id: str) -> str:
        """What the registry knows a document by: root and extension of the CDA's id, or an OID made of them."""
        of_cda = f"{DOCUMENT_ROOT}^{document_id}"
        return of_cda if self._options.unique_id == "cda" else oid_of(of_cda)

    def _code(self, name: str, kind: str) -> Code:
        said = self._codes.get(kind, {}).get(name) or self._codes[""].get(name)
        if said:
            return said
        if name in ("class", "type"):
            return Code(kind, KINDS_ROOT, self._kind(kind).name_zh)
        raise NotSaid(f"no {name} code is known for {kind}: name it in the destination's codes file")

    def _utc(self, digits: str) -> str:
        """A time of the hospital's in UTC; a day stays that day, for nobody said at what time."""
        if len(digits) == 14 and digits.isdigit():
            try:
                moment = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=self._zone)
            except ValueError:
                raise NotSaid("a time of its record is no time: the registry would refuse it") from None
            return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")
        return digits if len(digits) == 8 and digits.isdigit() else ""

    def _authors(self, record: Mapping[str, Any]) -> list[dict[str, list[str]]]:
        person, name = str(record.get("author.id") or ""), str(record.get("author.name") or "")
        code, title = self._institution
        author = {}
        if name or person:
            author["authorPerson"] = [f"{_clean(person)}^{_clean(name)}^^^^^^^"]
        author["authorInstitution"] = [
            f"{_clean(title)}^^^^^&{DOCUMENT_ROOT.rpartition('.')[0]}.5&ISO^^^^{_clean(code)}"
        ]
        return [author]


def describer(
    options: XdsOutlet,
    text: str,
    kind: Callable[[str], Kind],
    timezone: str,
    institution: tuple[str, str],
) -> Describer:
    """The describer of a destination; `text`: its table of codes. Raises ConfigurationError."""
    table = toml_of(text, options.codes)
    only_known_keys(table, ("defaults", "kinds"), options.codes)
    codes = {"": read_codes(table.get("defaults", {}), f"{options.codes}: defaults")}
    for code, said in table.get("kinds", {}).items():
        codes[kind(code).code] = read_codes(said, f"{options.codes}: kinds.{code}")
    return Describer(options, codes, kind, timezone, institution)


def read_codes(table: Any, where: str) -> dict[str, Code]:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where}: is a table of codes")
    only_known_keys(table, EVERY, where)
    found = {}
    for name, said in table.items():
        if not (isinstance(said, list) and len(said) == 3 and all(isinstance(one, str) and one for one in said)):
            raise ConfigurationError(f'{where}: {name} = ["code", "OID of its scheme", "what it is called"]')
        found[name] = Code(*said)
    return found


def cx(number: str, authority: str) -> str:
    """An identifier with who gave it (HL7 CX)."""
    return f"{_clean(number)}^^^&{authority}&ISO"


def _patient_info(record: Mapping[str, Any], patient: str) -> list[str]:
    name, sex = str(record.get("patient.name") or ""), SEXES.get(str(record.get("patient.sex") or ""), "")
    birth = str(record.get("patient.birth_date") or "")
    said = (("PID-3", patient), ("PID-5", _clean(name)), ("PID-7", birth[:8]), ("PID-8", sex))
    return [f"{field}|{value}" for field, value in said if value]


def _clean(text: str) -> str:
    """Without the signs that would end a component."""
    return _SIGNS.sub(" ", text).strip()
