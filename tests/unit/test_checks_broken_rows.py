"""Ten thousand generated rows that break a rule: every one answered by a finding, none by a crash.

The way is the whole one: driver values in rows, the compiled mapping, all checks under the everyday profile. Each row is a
clean record broken in one known way, at a place chosen by a seeded generator, sometimes with more broken beside it.
"""

import datetime as dt
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from frontend_agent.checks import compile_checks, describe
from frontend_agent.formats.library import load_kind
from frontend_agent.mapping import FACTS, compile_mapping, load_mapping
from frontend_agent.model import Finding, RowSet, Severity, SourceRecord, SourceRows
from frontend_agent.profiles import load_profile
from tests.unit.records import clean, identity_number

KINDS = ("C0002", "C0004", "C0007")
KEYS = {"C0002": "patient.outpatient_number", "C0004": "prescription_number", "C0007": "report_number"}
TODAY = dt.date(2026, 10, 1)
ROWS = 10_000


class Pipe:
    """Rows in, findings out, for one kind; the query selects every field under its own name."""

    def __init__(self, code: str) -> None:
        self.kind = load_kind(code)
        self.key = "key_of_row"
        self.parent = (
            self.key,
            *(f.name for f in self.kind.fields if not f.group and not f.name.startswith("institution.")),
            *FACTS,
        )
        self.groups = {name: (self.key, *(f.key for f in group.fields)) for name, group in self.kind.groups.items()}
        details = "\n".join(f'{name} = "{name}.sql"' for name in self.groups)
        files = {
            "/m.toml": f'kind = "{code}"\nkey = "{self.key}"\n[queries]\nchanged = "c.sql"\nparent = "p.sql"\n'
            f'[queries.details]\n{details}\n[codes]\n"patient.sex" = "sex"',
            "/c.sql": 'SELECT 1 AS "cursor", 2 AS "key"',
            "/p.sql": self._select(self.parent),
            "/codes/sex.toml": '[map]\n"1" = "1"\n"2" = "2"\n"9" = "9"',
            **{f"/{name}.sql": self._select(columns) for name, columns in self.groups.items()},
        }
        mapping = load_mapping("/m.toml", read=files.__getitem__)
        self.convert = compile_mapping(mapping, self.kind, "91350100M000100Y43", "演示医院")
        self.profile = load_profile("regional")
        self.check = compile_checks(self.kind, self.profile, TODAY)

    @staticmethod
    def _select(columns: tuple[str, ...]) -> str:
        return "SELECT " + ", ".join(f'c{n} AS "{name}"' for n, name in enumerate(columns)) + " FROM t"

    def rows(self, values: dict[str, Any]) -> SourceRows:
        parent = tuple("K1" if name == self.key else values.get(name) for name in self.parent)
        details = {
            name: RowSet(
                columns,
                [tuple("K1" if c == self.key else row.get(c) for c in columns) for row in values.get(name) or ()],
            )
            for name, columns in self.groups.items()
        }
        return SourceRows(RowSet(self.parent, [parent]), details)

    def findings(self, values: dict[str, Any]) -> tuple[SourceRecord, list[Finding]]:
        [record] = self.convert(self.rows(values))
        return record, [*record.findings, *self.check(record.record, record.columns, record.findings)]


@pytest.fixture(scope="module")
def pipes() -> dict[str, Pipe]:
    return {code: Pipe(code) for code in KINDS}


Values = dict[str, Any]
Break = Callable[[Pipe, Values, random.Random], str]  # breaks the values, answers the field that must be spoken of


def _fields(pipe: Pipe, values: Values, wanted: Callable[[Any], bool]) -> list[tuple[dict[str, Any], str, str]]:
    """Every place with a value whose field is wanted: the row it stands in, its key there, its path."""
    places = []
    for field in pipe.kind.fields:
        if field.name.startswith("institution.") or not wanted(field):
            continue
        if not field.group:
            if field.name in values:
                places.append((values, field.name, field.name))
        else:
            places += [
                (row, field.key, f"{field.group}[{at}].{field.key}")
                for at, row in enumerate(values.get(field.group, ()))
                if field.key in row
            ]
    return places


def _put(
    pipe: Pipe, values: Values, rng: random.Random, wanted: Callable[[Any], bool], spoil: Callable[[Any], Any]
) -> str:
    places = _fields(pipe, values, wanted)
    if not places:
        return ""
    row, key, path = rng.choice(places)
    row[key] = spoil(row[key])
    return path


def _is_text(field: Any) -> bool:
    return field.value_type in ("ST", "II") and not field.value_set


def held_when_missing(pipe: Pipe, values: Values, rng: random.Random) -> str:
    held = {
        n
        for n, e in pipe.profile.for_kind(pipe.kind).elements.items()
        if e.missing is Severity.HOLD and not e.conditional
    }
    return _put(
        pipe,
        values,
        rng,
        lambda f: f.name in held,
        lambda _: rng.choice((None, "", "  ", "\u3000", "--", "NULL", "暂无")),
    )


def too_long(pipe: Pipe, values: Values, rng: random.Random) -> str:
    return _put(
        pipe, values, rng, lambda f: _is_text(f) and f.max_length, lambda v: "长" * rng.choice((1001, 2000, 20_000))
    )


def not_a_date(pipe: Pipe, values: Values, rng: random.Random) -> str:
    junk = (
        "2026-02-30",
        "tomorrow",
        "20261332",
        "26-1-1",
        b"20260930",
        "2026-09-30 25:00:00",
        12,
        True,
        "张三",
        3.7,
        ("x",),
    )
    return _put(pipe, values, rng, lambda f: f.value_type == "TS", lambda _: rng.choice(junk))


def not_a_number(pipe: Pipe, values: Values, rng: random.Random) -> str:
    junk = (
        "1,5",
        "1.2.3",
        "十",
        "<5",
        "1e9",
        "--5",
        "5 mg",
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        b"5",
        dt.date(2026, 1, 1),
    )
    return _put(pipe, values, rng, lambda f: f.value_type in ("PQ", "REAL", "MO", "INT"), lambda _: rng.choice(junk))


def control_character(pipe: Pipe, values: Values, rng: random.Random) -> str:
    character = rng.choice(("\x00", "\x07", "\x1b", "\ud83d", "\ufffe", "\x0b"))
    return _put(pipe, values, rng, _is_text, lambda v: f"{v[:1]}{character}{v[1:]}x")


def mojibake(pipe: Pipe, values: Values, rng: random.Random) -> str:
    text = rng.choice(("张三", "反复咳嗽、咳痰", "内科门诊"))
    garbled = rng.choice((
        text.encode("gbk").decode("latin-1"), text.encode().decode("gbk", "replace"), text.encode("gbk").decode("utf-8", "replace"),
        "锟斤拷锟斤拷", "\ufffd\ufffd",
    ))  # fmt: skip
    return _put(pipe, values, rng, _is_text, lambda _: garbled)


def unmapped_code(pipe: Pipe, values: Values, rng: random.Random) -> str:
    values["patient.sex"] = rng.choice(("男", "X", 7, "３", b"1", 1.5, "13800138000"))
    return "patient.sex"


def outside_the_value_domain(pipe: Pipe, values: Values, rng: random.Random) -> str:
    codes = {"C0002": "orders.type", "C0004": "drugs.route", "C0007": "items.result_code"}
    return _put(
        pipe, values, rng, lambda f: f.name == codes[pipe.kind.code], lambda _: rng.choice(("88", "QT", "口服", 777))
    )


def bytes_for_text(pipe: Pipe, values: Values, rng: random.Random) -> str:
    return _put(
        pipe,
        values,
        rng,
        lambda f: True,
        lambda v: rng.choice((b"\xd5\xc5", bytearray(b"x"), memoryview(b"y"), object())),
    )


def identity_number_broken(pipe: Pipe, values: Values, rng: random.Random) -> str:
    good = identity_number()
    values["patient.id_number"] = rng.choice((
        good[:-1] + rng.choice([c for c in "0123456789X" if c != good[-1]]), good.lower().replace("2", "z"), "1" * 18, "0" * 15,
        good + "1", "身份证号", good[:9], "abcdefghijklmnopqr", identity_number("19850230"),
        int("9" * 18), "９" * 18,
    ))  # fmt: skip
    return "patient.id_number"


def birth_or_sex_against_number(pipe: Pipe, values: Values, rng: random.Random) -> str:
    if rng.random() < 0.5:
        values["patient.sex"] = "2"
        return "patient.sex"
    field = "patient.birth_date" if "patient.birth_date" in values else "fact.birth_date"
    values[field] = dt.date(1985, 3, 12) + dt.timedelta(days=rng.choice((-400, -1, 1, 90)))
    return field


def before_birth(pipe: Pipe, values: Values, rng: random.Random) -> str:
    field = rng.choice([name for name in ("visit.time", "author.time", "prescribed_on") if name in values])
    values[field] = dt.datetime(rng.randrange(1901, 1985), 1, 1, 8)
    return field


def in_the_future(pipe: Pipe, values: Values, rng: random.Random) -> str:
    values["author.time"] = TODAY + dt.timedelta(days=rng.randrange(2, 900))
    return "author.time"


def blank_in_a_number(pipe: Pipe, values: Values, rng: random.Random) -> str:
    key = KEYS[pipe.kind.code]
    values[key] = f"{values[key][:3]}{rng.choice((' ', chr(0x3000), chr(9), chr(10)))}{values[key][3:8]}"
    return key


def group_gone(pipe: Pipe, values: Values, rng: random.Random) -> str:
    group = {"C0002": "diagnoses", "C0004": "drugs", "C0007": "items"}[pipe.kind.code]
    if pipe.kind.code == "C0002":
        values["tcm_diseases"] = []
    values[group] = rng.choice(([], None, [{}]))
    return group


def times_reversed(pipe: Pipe, values: Values, rng: random.Random) -> str:
    match pipe.kind.code:
        case "C0007":
            at = rng.randrange(len(values["items"]))
            values["items"][at]["received_at"] = "2026-09-29 07:00:00"
            return f"items[{at}].received_at"
        case "C0004":
            values["issuing_pharmacist.time"] = dt.datetime(2026, 9, 29, 8)
            return "issuing_pharmacist.time"
        case _:
            values["orders"][0]["end"] = "2026/9/1"
            return "orders[0].end"


def nothing_left(pipe: Pipe, values: Values, rng: random.Random) -> str:
    if pipe.kind.code != "C0004":
        return ""
    values["drugs"][0]["total_dose"] = rng.choice((0, -1, "-0.5", Decimal("-3.00"), -2.5))
    return "drugs[0].total_dose"


BREAKS: tuple[Break, ...] = (
    held_when_missing, too_long, not_a_date, not_a_number, control_character, mojibake, unmapped_code, bytes_for_text,
    outside_the_value_domain, identity_number_broken, birth_or_sex_against_number, before_birth, in_the_future,
    blank_in_a_number, group_gone, times_reversed, nothing_left,
)  # fmt: skip


def test_ten_thousand_broken_rows_each_get_a_finding_and_none_a_crash(pipes):
    rng = random.Random(20260930)
    broken = 0
    while broken < ROWS:
        pipe, breaking = pipes[rng.choice(KINDS)], rng.choice(BREAKS)
        values: Values = clean(pipe.kind.code)
        field = breaking(pipe, values, rng)
        if not field:
            continue
        broken += 1
        record, findings = pipe.findings(values)
        about = [
            f
            for f in findings
            if f.field == field or (f.rule == "DE-ONE-OF" and f.field.startswith(field.partition("[")[0]))
        ]
        assert about, (pipe.kind.code, breaking.__name__, field, [f.rule for f in findings])
        assert any(f.severity is not Severity.NOTE for f in about) or breaking is held_when_missing
        assert len(record.source_hash) == 64


def test_what_is_held_when_missing_is_held(pipes):
    rng = random.Random(1)
    for pipe in pipes.values():
        for _ in range(100):
            values = clean(pipe.kind.code)
            field = held_when_missing(pipe, values, rng)
            held = [f for f in pipe.findings(values)[1] if f.field == field and f.severity is Severity.HOLD]
            assert held, field


JUNK = (
    None, "", " ", 0, -1, 10**40, 1.5, float("nan"), True, False, Decimal("1E+30"), Decimal("-0.00"), b"", b"\xff\x00", bytearray(b"a"),
    dt.datetime.min, dt.datetime.max, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC), dt.date.min,
    dt.time(1, 2), dt.timedelta(days=1), "\x00", "\ud800", "😀", "a" * 100_000, "锟斤拷", "-", "无", "<script>", "\r\n", "%s{0}", "'; --",
    [1], {"a": 1}, object(), "٣", "2026-09-30T08:00:00+99:99", "9999-12-31 23:59:59Z", "0001-01-01", "1" * 5000,
)  # fmt: skip


def test_whatever_a_driver_may_say_nothing_crashes_and_every_finding_can_be_read(pipes):
    rng = random.Random(7)
    for _ in range(600):
        pipe = pipes[rng.choice(KINDS)]
        values: Values = clean(pipe.kind.code)
        for name in list(values):
            if isinstance(values[name], list):
                for row in values[name]:
                    row.update({key: rng.choice(JUNK) for key in row if rng.random() < 0.3})
            elif rng.random() < 0.3:
                values[name] = rng.choice(JUNK)
        _, findings = pipe.findings(values)
        for finding in findings:
            assert describe(finding, "zh")
            assert describe(finding, "en")
