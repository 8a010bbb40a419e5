"""The intermediate tables of a kind, independent of any engine: which table, which column, what stands in it.

One table for the record, one for each of its groups (items, diagnoses …). What differs between records of one stay is told
by `record_key`: the vendor's own unchanging number of that document. Two tables serve all kinds:

    <prefix>_batch     a delivery of rows; it counts only once `completed_at` is written (批次完成标志)
    <prefix>_change    which record was written or withdrawn in which batch; we acknowledge its rows, nothing else (回执列)

Texts are wider than the standard asks for: a value that is too long is a finding with its mend, never a failed insert of a
whole batch. Times are text, because a column of times cannot say that only the day is known. Numbers with a fraction are
text, because 5.60 and 5.6 are two different results of a laboratory.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from frontend_agent.formats import Field, Kind, value_set
from frontend_agent.formats.enclosed import KIND as ENCLOSED
from frontend_agent.formats.skeleton import OUT_OF_THE_SCAN, SCAN

Form = Literal["tables", "views"]
Type = Literal["text", "long", "day", "moment", "stamp", "whole", "yes", "bytes", "number"]

LONGEST_NAME = 30  # bytes: Oracle before 12.2
LONGEST_TABLE = LONGEST_NAME - len("pk_")  # its constraint has a name, too
WIDEST = 1000  # characters of a text column; what may be longer is a large text
NARROWEST = 64
FEED_FIELDS = ("institution.id", "institution.name")  # said by the feed, never by a row
KEY = "record_key"

# Words that one of the engines keeps for itself.
_WORDS = """
access add all alter and any as asc audit between by case char check cluster column comment condition connect create current
count date day decimal default delete desc distinct drop else end exclusive exists file float for from function grant group groups
having hour identified immediate in increment index initial insert integer intersect interval into is key keys level like
limit lines lock long method minus minute mode month no not null number of offline on online operation option or order
percent pctfree position precision prior privileges public range rank raw read reference references rename resource result
revoke row rowid rownum rows schema second section select sequence session set share size source start state status
statistics successful synonym sysdate system table text then time timestamp to top transaction trigger type uid union unique
unit update usage use user using validate value values varchar varchar2 view when whenever where with year
"""
RESERVED = frozenset(_WORDS.split())


@dataclass(frozen=True)
class Column:
    """One column. `alias` is what the mapping calls it ("" where it only serves the tables themselves)."""

    name: str
    type: Type
    zh: str
    en: str
    alias: str = ""
    length: int = 0  # of a text, in characters
    must: bool = False  # the document cannot be made without it
    field: Field | None = None


@dataclass(frozen=True)
class Table:
    """One table. `key`: the columns of its primary key; `group`: the group that its rows are, "" for the record itself."""

    name: str
    zh: str
    en: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    kind: str = ""  # the code of the kind, "" for what all share
    group: str = ""
    grows: str = ""  # the key column that the database counts up by itself
    indexes: tuple[tuple[str, ...], ...] = ()

    def column(self, name: str) -> Column:
        """The column of this name; KeyError for another."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


# What rules need to know besides the document's own values.
FACTS: tuple[tuple[str, Type, int, str, str], ...] = (
    ("fact.visit_id", "text", 64, "就诊流水号：同一次就诊的各文档相同", "the visit's own number, the same on all of its documents"),
    ("fact.patient_id", "text", 64, "患者在本院的唯一编号", "the person's own number at the hospital"),
    ("fact.patient_class", "text", 16, "就诊类别：outpatient 门诊 | emergency 急诊 | inpatient 住院",
     "outpatient | emergency | inpatient"),
    ("fact.id_type", "text", 8, "身份证件类别代码 CV02.01.101", "type of the identity document, CV02.01.101"),
    ("fact.birth_date", "day", 0, "出生日期（文档中没有该项时供规则使用）", "birth date, for rules of kinds without a slot for it"),
    ("fact.newborn", "yes", 0, "新生儿 1 是 0 否", "a newborn: 1 or 0"),
    ("fact.foreigner", "yes", 0, "外籍 1 是 0 否", "a foreigner: 1 or 0"),
    ("fact.identity_unknown", "yes", 0, "身份不明 1 是 0 否", "identity unknown: 1 or 0"),
    ("fact.tcm", "yes", 0, "中医就诊 1 是 0 否", "traditional Chinese medicine: 1 or 0"),
)  # fmt: skip


def column_name(alias: str) -> str:
    """`patient.address.city` → `patient_address_city`: at most 30 bytes, no reserved word of any engine, always the same."""
    name = alias.removeprefix("fact.").replace(".", "_").lower()
    if name in RESERVED:
        name += "_"
    return _short(name, LONGEST_NAME)


def _short(name: str, longest: int) -> str:
    """The name, or its beginning and a hash of the whole, so that two that begin alike stay two."""
    if len(name) <= longest:
        return name
    return f"{name[: longest - 5].rstrip('_')}_{hashlib.sha256(name.encode()).hexdigest()[:4]}"


def tables_of(kind: Kind, prefix: str, form: Form = "tables") -> list[Table]:
    """The record's table first, then one for each group. A view says itself when a record changed."""
    base = f"{prefix}_{kind.code.lower().replace('.', '_')}"
    scalars = [f for f in kind.fields if not f.group and f.name not in FEED_FIELDS]
    return [
        Table(
            base,
            kind.name_zh,
            kind.name_en,
            (*_record_columns(kind, scalars), *_state_columns(form)),
            (KEY,),
            kind.code,
        ),
        *(
            Table(
                _short(f"{base}_{group.name}", LONGEST_TABLE),
                f"{kind.name_zh}：{group.name_zh or group.name}",
                f"{kind.name_en}: {group.name_en or group.name}",
                (_key_column(), _line_column(), *(_column(f, f.key) for f in group.fields)),
                (KEY, "line_no"),
                kind=kind.code,
                group=group.name,
            )
            for group in kind.groups.values()
        ),
    ]


def control_tables(prefix: str) -> list[Table]:
    """The two tables that all kinds share."""
    return [
        Table(
            f"{prefix}_batch",
            "批次：写完全部数据后填写完成时间，未完成的批次不会被读取",
            "a delivery of rows; without completed_at it is not read",
            (
                Column("batch_id", "number", "批次号，由供数方给出，递增", "the batch's number, given by the vendor, growing"),
                Column("opened_at", "stamp", "开始写入的时间", "when writing began"),
                Column("completed_at", "stamp", "批次完成标志：全部写完后填写的时间", "batch complete: when all of it was written"),
                Column("records", "whole", "本批次的变更行数，用于核对", "how many changes are in it, to be compared"),
            ),
            ("batch_id",),
        ),
        Table(
            f"{prefix}_change",
            "变更：哪条记录在哪个批次中写入或作废",
            "which record was written or withdrawn in which batch",
            (
                Column("change_id", "number", "变更号，数据库自动递增", "counted up by the database"),
                Column("kind", "text", "文档类型代码，如 C0007", "the kind of document, such as C0007", length=16, must=True),
                Column(KEY, "text", "记录主键", "the record's key", length=128, must=True),
                Column("operation_type", "text", "I 新增 U 修改 D 删除（删除不等于作废）",
                       "I inserted, U changed, D deleted (which is not withdrawn)", length=1, must=True),
                Column("batch_id", "number", "所属批次", "its batch", must=True),
                Column("changed_at", "stamp", "写入时间", "when it was written"),
                Column("acknowledged", "yes", "回执列：前置机读取并提交后置 1；只有这一列允许前置机更新",
                       "the acknowledge column: 1 once we have committed what we read; the only column that we may update"),
            ),
            ("change_id",),
            grows="change_id",
            indexes=(("kind", "change_id"), ("batch_id",)),
        ),
    ]  # fmt: skip


def _record_columns(kind: Kind, scalars: list[Field]) -> list[Column]:
    columns = [_key_column()]
    if kind.code == ENCLOSED:
        columns.append(
            Column(SCAN, "bytes", "扫描件或报告文件的内容", "the bytes of the scan or report", SCAN, must=True)
        )
        scalars = [f for f in scalars if f.name not in OUT_OF_THE_SCAN]
    columns += [_column(f, f.name) for f in scalars]
    taken = {column.alias for column in columns}
    columns += [
        Column(column_name(alias), type_, zh, en, alias, length)
        for alias, type_, length, zh, en in FACTS
        if alias not in taken
    ]
    return columns


def _state_columns(form: Form) -> list[Column]:
    changed = Column(
        "changed_at",
        "stamp",
        "记录或其任一明细最近一次变更的时间",
        "when the record or one of its details changed last",
        must=True,
    )
    return [
        *([changed] if form == "views" else []),
        Column("is_final", "yes", "1 已完成（已审核、已归档），0 尚未完成：未完成的不上传", "1 when the record is final; else it is not sent",
               "final", must=True),
        Column("is_void", "yes", "1 已作废：上传作废版本", "1 when it was withdrawn: a voided version is sent", "void", must=True),
    ]  # fmt: skip


def _key_column() -> Column:
    return Column(
        KEY, "text", "记录主键：文档在本院的唯一编号，永不改变", "the document's own unchanging number", KEY, 128, True
    )


def _line_column() -> Column:
    return Column(
        "line_no", "whole", "行号，从 1 起，顺序固定", "the row's number from 1, in a stable order", "line", must=True
    )


def _column(field: Field, alias: str) -> Column:
    type_, length = _type_of(field)
    name = column_name(alias)
    zh = f"{field.name_zh}{_domain(field)}{f'，单位 {field.unit}' if field.unit else ''}{_how(type_)}"
    return Column(name, type_, zh, field.name_en or field.name, alias, length, field.required == "always", field)


def _how(type_: Type) -> str:
    return {"moment": "，yyyyMMddHHmmss，只知道日期时 yyyyMMdd", "yes": "，1 是 0 否"}.get(type_, "")


def _domain(field: Field) -> str:
    if not field.value_set:
        return ""
    table = value_set(field.value_set)
    return f"［{table.id or table.oid} {table.name_zh}］"


def _type_of(field: Field) -> tuple[Type, int]:
    """What a column of this field is, and how wide a text is."""
    if "BL" in (field.value_type, field.format):
        return "yes", 0
    if field.format == "D8":
        return "day", 0
    if field.value_type == "TS" or field.format.startswith(("DT", "D1")):
        return "moment", 0
    if field.value_type == "INT" and re.fullmatch(r"N(\.\.)?\d", field.format):
        return "whole", 0
    if field.value_type in ("PQ", "REAL", "INT", "MO"):
        return "text", NARROWEST
    asked = max(field.max_length or 0, *(int(number) for number in re.findall(r"\d+", field.format) or ["0"]))
    if not asked and field.value_type == "ST":
        return "long", 0
    width = max(2 * asked, NARROWEST)
    return ("text", width) if width <= WIDEST else ("long", 0)
