"""A kind as the meaning needs it, for tests that want a field list of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FieldDouble:
    name: str
    group: str = ""
    de: str = ""
    name_zh: str = ""
    name_en: str = ""
    value_type: str = "ST"
    format: str = "AN..50"
    max_length: int | None = 50
    cardinality: str = "0..1"
    required: str = ""
    value_set: str = ""
    unit: str = ""
    section_code: str = ""
    confidence: str = "verified"
    path: str = ""


@dataclass(frozen=True)
class GroupDouble:
    name: str
    fields: tuple[FieldDouble, ...]
    required: str = "always"


@dataclass(frozen=True)
class KindDouble:
    code: str
    fields: tuple[FieldDouble, ...]
    name_zh: str = "检验报告"
    name_en: str = "Laboratory report"
    groups: Mapping[str, GroupDouble] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        rows: dict[str, list[FieldDouble]] = {}
        for f in self.fields:
            if f.group:
                rows.setdefault(f.group, []).append(f)
        groups = {name: GroupDouble(name, tuple(fields)) for name, fields in rows.items()}
        object.__setattr__(self, "groups", groups)

    def field(self, name: str) -> FieldDouble:
        return next(f for f in self.fields if f.name == name)


def lab_kind() -> KindDouble:
    """C0007 in small."""
    F = FieldDouble
    return KindDouble(
        "C0007",
        (
            F("institution.id"),
            F("institution.name"),
            F("patient.outpatient_number", required="unless patient.inpatient_number"),
            F("patient.inpatient_number", required="unless patient.outpatient_number"),
            F("patient.name", de="DE02.01.039.00", required="always", cardinality="1..1"),
            F("patient.sex", value_type="CD", format="N1", max_length=1, value_set="2.16.156.10011.2.3.3.4",
              de="DE02.01.040.00", required="always", cardinality="1..1"),
            F("patient.id_number", format="AN18", max_length=18, required="always", cardinality="1..1"),
            F("patient.birth_date", format="D8", max_length=None),
            F("patient.age", format="N..3", max_length=3),
            F("patient.telephone", max_length=20),
            F("report_number", max_length=20, required="always", cardinality="1..1"),
            F("request_number", max_length=20),
            F("author.time", value_type="TS", format="DT15", max_length=None, required="always", cardinality="1..1"),
            F("report_note", max_length=100),
            F("diagnoses.code", "diagnoses", value_type="CD", format="AN..5", max_length=None,
              value_set="2.16.156.10011.2.3.3.11.3", required="always"),
            F("diagnoses.name", "diagnoses"),
            F("items.code", "items", max_length=20, required="always"),
            F("items.name", "items", max_length=80),
            F("items.value", "items", value_type="REAL", format="N..10", max_length=10, required="unless items.text_value"),
            F("items.text_value", "items", max_length=200),
            F("items.unit", "items", max_length=20),
            F("items.result_code", "items", value_type="CD", format="N1", max_length=1,
              value_set="2.16.156.10011.2.3.2.38"),
            F("items.collected_at", "items", value_type="TS", format="DT15", max_length=None),
            F("items.received_at", "items", value_type="TS", format="DT15", max_length=None),
            F("items.tested_at", "items", value_type="TS", format="D8", max_length=None),
            F("items.specimen", "items", max_length=20),
            F("items.reference_range", "items", max_length=None),
            F("items.abnormal_flag", "items", max_length=None),
        ),
    )  # fmt: skip
