"""How tables hang together: declared foreign keys, and what names, comments and values say where none is declared.

A reference found by us carries its reason. Values alone are no reason (small numbers are in every table); together with a
name they are a good one.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from frontend_agent.proposing.lexicon import Phrases, phrases_of, vocabulary
from frontend_agent.proposing.naming import is_word, letters, said, without_key_word, words
from frontend_agent.proposing.schema import DATE, LONG, NUMBER, TIME, Column, Reference, Schema, Table
from frontend_agent.proposing.values import Profile

KEY_WORDS = frozenset({"id", "code", "number", "key"})
_HOLLOW = frozenset({"info", "table", "tab", "t", "tb", "base", "main", "record", "information", "basic"})
_CONTENT = frozenset(
    {"test", "result", "item", "unit", "panel", "method", "order", "bill", "fee", "bed", "ward", "room"}
)
_ALL_SAME = frozenset({"id", "code", "dm", "xh", "bh", "no", "uuid", "guid", "oid"})  # a key's name that says nothing
LOOKED_UP = 20  # values of one column that are looked up: the most frequent
_REFERRED = ("staff", "department", "patient", "visit", "drug", "diagnosis", "specimen", "unit")
_ENDS = {  # letters and comments that end so point at such a table
    "staff": (("ys", "r", "ry", "hs", "yh", "zg"), ("医生", "医师", "人", "人员", "者", "员", "药师", "护士", "技师", "职工")),
    "department": (("ks", "bq", "jg"), ("科室", "部门", "机构", "病区")),
}  # fmt: skip

Contained = Mapping[tuple[str, str], frozenset[str]]  # (table, key) -> the sampled values that are in it


class Subject(NamedTuple):
    """What a table is about, and how sure that is."""

    name: str
    sure: float


def subjects(schema: Schema) -> dict[str, Subject]:
    """Table -> what it is about, by its name and comment; "" where nothing says it."""
    known = {about.partition(":")[2]: phrases_of(about) for about in vocabulary() if about.startswith("subject:")}
    prefixes = prefixes_of(schema)
    found = {}
    for table in schema.values():
        best = max(((_about(table, prefixes, phrases), name) for name, phrases in known.items()), default=(0.0, ""))
        found[table.id] = Subject(best[1], best[0]) if best[0] >= 0.5 else Subject("", 0.0)
    return found


def prefixes_of(schema: Schema) -> frozenset[str]:
    """First parts of names that several tables share: they name a module (`sms_dept`), not what a table is."""
    counted = Counter(table.name.split("_")[0].lower() for table in schema.values() if "_" in table.name)
    return frozenset(
        prefix for prefix, times in counted.items() if times >= 2 and not (is_word(prefix) or prefix in _CONTENT)
    )


def bare_name(table: Table, prefixes: frozenset[str]) -> str:
    head, _, rest = table.name.partition("_")
    return rest if rest and head.lower() in prefixes else table.name


def _about(table: Table, prefixes: frozenset[str], phrases: Phrases) -> float:
    bare = bare_name(table, prefixes)
    tokens = frozenset(words(bare)) - _HOLLOW
    best = 0.0
    for phrase, worth in phrases.en.items():
        wanted = frozenset(phrase)
        if wanted == tokens:
            best = max(best, worth)
        elif wanted and wanted < tokens:
            best = max(best, worth * (0.55 + 0.25 * len(wanted) / len(tokens)))
    for form in {letters(bare), letters(table.name)}:
        best = max(best, phrases.py.get(form, 0.0) * (0.95 if len(form) > 3 else 0.9 if len(form) > 1 else 0.4))
    comment = said(table.comment)
    for ending in ("表", "信息表", "信息", "管理", "记录", "记录表", "基本信息管理"):
        comment = comment.removesuffix(ending) or comment
    for text, worth in phrases.zh.items():
        if comment and (text in (comment, said(table.comment))):
            best = max(best, worth)
        elif len(text) > 1 and text in comment:
            best = max(best, worth * (0.5 + 0.4 * len(text) / len(comment)))
    return best


def with_references(
    schema: Schema,
    about: Mapping[str, Subject],
    profiles: Mapping[str, Mapping[str, Profile]] | None = None,
    contained: Contained | None = None,
) -> dict[str, Table]:
    """The schema with the references that nobody declared."""
    finder = _Finder(schema, about, profiles or {}, contained or {})
    return {table.id: msgspec.structs.replace(table, references=finder.of(table)) for table in schema.values()}


def settled(schema: Schema, about: Mapping[str, Subject]) -> dict[str, Subject]:
    """What tables are about, once it is known to what they refer: a table of whom a visit had is not a table of the staff."""
    return {
        name: Subject("", 0.0)
        if words(schema[name].name) != (subject.name,)  # a patient who is also a person stays a patient
        and any(
            one.table != name and about[one.table].name == subject.name and subject.name in _SINGLE
            for one in schema[name].references
            if one.table in about
        )
        else subject
        for name, subject in about.items()
    }


_SINGLE = frozenset({"staff", "department", "patient"})


class _Finder:
    def __init__(
        self,
        schema: Schema,
        about: Mapping[str, Subject],
        profiles: Mapping[str, Mapping[str, Profile]],
        contained: Contained,
    ) -> None:
        self.schema, self.about, self.profiles, self.contained = schema, about, profiles, contained
        self.prefixes = prefixes_of(schema)
        self.by_words: dict[frozenset[str], list[Table]] = defaultdict(list)
        self.by_word: dict[str, list[Table]] = defaultdict(list)
        self.by_key: dict[str, list[Table]] = defaultdict(list)
        for table in schema.values():
            if not table.only_key:
                continue
            tokens = self.tokens(table)
            self.by_words[tokens].append(table)
            for token in tokens:
                self.by_word[token].append(table)
            if table.only_key.lower() not in _ALL_SAME:
                self.by_key[table.only_key.lower()].append(table)
        self.main = {subject: self._main(subject) for subject in _REFERRED}

    def tokens(self, table: Table) -> frozenset[str]:
        return frozenset(words(bare_name(table, self.prefixes))) - _HOLLOW

    def _main(self, subject: str) -> Table | None:
        fitting = [table for table in self.schema.values() if table.only_key and self.about[table.id].name == subject]
        return max(fitting, key=lambda table: (self.about[table.id].sure, table.rows or 0), default=None)

    def of(self, table: Table) -> tuple[Reference, ...]:
        declared = {reference.column for reference in table.references}
        found = list(table.references)
        for column in table.columns:
            if column.name in declared or column.family in (TIME, DATE, LONG):
                continue
            best = max(self._candidates(table, column), key=lambda one: one.sure, default=None)
            if best is not None and best.sure >= 0.45:
                found.append(best)
        return tuple(found)

    def _candidates(self, table: Table, column: Column) -> Iterable[Reference]:
        own_key = column.name == table.only_key
        for target in self.by_key.get(column.name.lower(), ()):
            if target.id != table.id and not (own_key and self.by_key[column.name.lower()][0].id == table.id):
                sure = 0.9 if self._fits(target) else 0.75
                yield from self._weighed(table, column, target, f"has the name of its key, {target.only_key}", sure)
        if own_key:
            return
        named = words(column.name)
        if is_time_like(column):
            return
        if KEY_WORDS & set(named) or named[-1:] == ("staff",):
            yield from self._by_words(table, column, frozenset(named) - KEY_WORDS)
        yield from self._by_role(table, column)

    def _fits(self, target: Table) -> bool:
        return self.about[target.id].sure >= 0.8

    def _by_words(self, table: Table, column: Column, stem: frozenset[str]) -> Iterable[Reference]:
        if not stem:
            return
        own = self.tokens(table)
        near = {target.id: target for word in stem for target in self.by_word.get(word, ())[:50]}
        for target in near.values():
            tokens = self.tokens(target)
            if target.id == table.id and not stem & {"parent", "replace", "previous"}:
                continue
            if tokens == stem:
                sure = 0.95
            elif tokens < stem:
                sure = 0.86 if "staff" in tokens or "department" in tokens else 0.7
                sure *= 1.0 if words(column.name)[-2:-1] == () or words(column.name)[-2] in tokens else 0.55
            elif stem < tokens and tokens - stem <= own:
                sure = 0.85
            elif stem < tokens:
                sure = 0.4 + 0.2 * len(stem) / len(tokens)
            else:
                continue
            if words(column.name)[-1] == "code" and target.only_key.lower() == "id":
                sure *= 0.5  # a code is not the number of a row
            if self.about[target.id].name != "staff" and _whose(column):
                sure *= 0.5
            said_so = f"the name says so ({column.name} – {target.name})"
            yield from self._weighed(table, column, target, said_so, sure)

    def _by_role(self, table: Table, column: Column) -> Iterable[Reference]:
        """`kfys`, `记录人`: whose number it is, only the ending says."""
        comment, form = without_key_word(said(column.comment)), letters(column.name)
        plain = form == column.name.lower() and not set(words(column.name)) & {"staff", "department"}
        for subject, (ends, chinese) in _ENDS.items():
            target = self.main[subject]
            if target is None or target.id == table.id:
                continue
            told = comment.endswith(chinese) and len(comment) >= 2 and not comment.endswith(_PATIENTS)
            told = told or (subject == "staff" and _whose(column))
            spelt = plain and len(form) >= 3 and form.removesuffix("dm").endswith(ends)
            if told or spelt:
                share = self._share(table, column, target)
                sure = 0.6 if told else 0.3
                if share is not None and share >= 0.9 and (told or self._telling(table, column)):
                    sure = 0.9
                if share is not None and share < 0.5 and not told:
                    continue
                why = f"comment “{comment}”" if told else f"the letters end like {subject}"
                if share is not None:
                    why += f"; {share:.0%} of the sampled values are keys there"
                yield from self._weighed(table, column, target, why, sure)

    def _telling(self, table: Table, column: Column) -> bool:
        """Whether values say anything: small numbers are keys of every table."""
        seen = self.profiles.get(table.id, {}).get(column.name)
        return seen is not None and any(not text.isdigit() or len(text) >= 4 for text in seen.values)

    def _share(self, table: Table, column: Column, target: Table) -> float | None:
        seen = self.profiles.get(table.id, {}).get(column.name)
        there = self.contained.get((target.id, target.only_key))
        if seen is None or there is None or not seen.values:
            return None
        wanted = [text for text in seen.values[:LOOKED_UP] if text not in ("0", "-1")]
        return sum(text in there for text in wanted) / len(wanted) if wanted else None

    def _weighed(self, table: Table, column: Column, target: Table, why: str, sure: float) -> Iterable[Reference]:
        key = target.column(target.only_key)
        if key is None or (key.family == NUMBER) != (column.family == NUMBER):
            return
        share = self._share(table, column, target)
        if share is not None:
            # Rows without their parent are everyday: a name that is exact stands against them.
            kept = 0.85 if sure >= 0.84 or why.startswith("comment") else 0.5
            sure = min(0.97, sure + 0.05) if share >= 0.9 else sure * (kept + (1 - kept) * share)
        if target.name.split("_")[0] == table.name.split("_")[0]:
            sure += 0.005
        yield Reference(column.name, target.id, target.only_key, why, sure)


_PATIENTS = ("患者", "病人", "联系人", "使用者")  # whom it is done to, not who does it
_DOERS = re.compile(
    r"(^|_)(perform|request|record|operat|execut|excut|review|approv|check|order|creat|auth|verif|collect|send|receiv|issu"
    r"|dispens|prescrib|enter|sign|validat|provid|audit|cancel|conduct|report|examin|anesthet)i?(er|or)(_|$)",
    re.IGNORECASE,
)


def _whose(column: Column) -> bool:
    """Whether a key is somebody's who does something: requester_id, 记录人."""
    doing = _DOERS.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.name))
    comment = without_key_word(said(column.comment))
    told = comment.endswith(("人", "者", "医生", "医师", "药师", "护士", "人员")) and not comment.endswith(_PATIENTS)
    return bool(doing and "order_id" not in column.name.lower()) or told


def is_time_like(column: Column) -> bool:
    return bool({"time", "birth"} & set(words(column.name))) or said(column.comment).endswith(("时间", "日期"))


def asked_of(
    schema: Schema, about: Mapping[str, Subject], tables: Iterable[Table], seen: Mapping[str, Mapping[str, Profile]]
) -> dict[tuple[str, str], list[str]]:
    """(table, key) -> the sampled values that should be looked up in it: one question for each table that is referred to."""
    finder = _Finder(schema, about, seen, {})
    wanted: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for table in tables:
        for column in table.columns:
            profile = seen.get(table.id, {}).get(column.name)
            if profile is None or not profile.values or column.family in (TIME, DATE, LONG):
                continue
            for reference in finder._candidates(table, column):
                for text in profile.values[:LOOKED_UP]:
                    wanted[reference.table, reference.target].setdefault(text)
    return {place: list(values) for place, values in wanted.items()}
