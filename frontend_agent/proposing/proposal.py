"""Which column is which field of a kind: a table for the record, tables for its groups, a column for every field.

    first_look   ──▶ the tables that may hold the kind's records, and those around them: what is worth a sample
    propose      ──▶ Proposal: for every field the best column with its evidence and the next best ones, or a gap

The best pairs are taken first; a column that is somebody's name is nobody's number. What was not found stays a gap.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec

from frontend_agent.formats.kind import Kind
from frontend_agent.proposing.joins import Subject, bare_name, prefixes_of, settled
from frontend_agent.proposing.keyed import settings, signing
from frontend_agent.proposing.lexicon import NUMBERS_OF_VISITS, Index, Target, index, phrases_of, targets, vocabulary
from frontend_agent.proposing.matching import (
    SAME_AS_RECORD,
    Said,
    composed,
    is_bookkeeping,
    looks,
    near,
    own_description,
    speaks_for_itself,
    type_factor,
    under_subject,
)
from frontend_agent.proposing.naming import letters, said, without_key_word, words
from frontend_agent.proposing.reaching import BESIDE, Hop, Place, Reaching
from frontend_agent.proposing.schema import TIME, Column, Schema, Table
from frontend_agent.proposing.values import NOTHING, Profile

ENOUGH = 0.5  # a score below this is a gap, with what came nearest
ANCHORS = 5  # tables that are tried as the record's own
Profiles = Mapping[str, Mapping[str, Profile]]  # table -> column -> profile

# Names of tables that hold no records, whatever their columns are called.
_NOT_RECORDS = (
    "template", "model", "dict", "log", "bak", "backup", "tmp", "temp", "catalog", "config", "rule", "statistic", "stat", "refund",
    "workload", "definition", "def", "history_log", "archive", "test_",
)  # fmt: skip
_NOT_RECORDS_ZH = (
    "模版",
    "模板",
    "字典",
    "日志",
    "备份",
    "目录",
    "统计",
    "定义",
    "配置",
    "临时",
    "规则",
    "退药",
    "草药",
    "草处方",
    "中药",
)


class Pick(msgspec.Struct, frozen=True):
    """One column for one field. `inner` is a name inside its JSON, `why` the evidence in words."""

    place: Place
    column: Column
    inner: str
    score: float
    why: tuple[str, ...]

    @property
    def name(self) -> str:
        """`table.column`, or `table.column#name` inside JSON."""
        return f"{self.place.table.name}.{self.column.name}" + (f"#{self.inner}" if self.inner else "")

    @property
    def full_name(self) -> str:
        """With the column by which its table was joined."""
        if not self.place.joined_by:
            return self.name
        before = self.place.hops[-2].table if len(self.place.hops) > 1 else ""
        return f"{self.name} < {before.split('.')[-1] + '.' if before else ''}{self.place.joined_by}"


class Answer(msgspec.Struct, frozen=True):
    """A field, what is proposed for it (None: a gap), and what came next."""

    field: str
    pick: Pick | None
    others: tuple[Pick, ...] = ()
    required: bool = False
    chosen: bool = False  # by a person
    doubt: str = ""  # what speaks against the pick: it is written as a comment only


class GroupRows(msgspec.Struct, frozen=True):
    """The table whose rows are a group's, and the way from it up to the record's table."""

    table: Table
    way: tuple[Hop, ...]


class Proposal(msgspec.Struct, frozen=True):
    """All that is proposed for one kind."""

    kind: str
    anchor: Table
    score: float
    answers: tuple[Answer, ...]
    groups: Mapping[str, GroupRows]
    lines: bool = False  # one record is all rows of the anchor that share its business key
    notes: tuple[str, ...] = ()

    def answer(self, field: str) -> Answer:
        return next(answer for answer in self.answers if answer.field == field)

    @property
    def found(self) -> dict[str, Pick]:
        return {answer.field: answer.pick for answer in self.answers if answer.pick is not None}

    @property
    def sure(self) -> dict[str, Pick]:
        """What is written in force."""
        return {answer.field: answer.pick for answer in self.answers if answer.pick is not None and not answer.doubt}

    @property
    def gaps(self) -> list[str]:
        return [answer.field for answer in self.answers if answer.pick is None]


# -- the first look --


def first_look(schema: Schema, about: Mapping[str, Subject], kind: Kind, most: int = 60) -> list[str]:
    """The tables worth a sample for a kind: where its records may be, and what belongs to them. The likeliest first."""
    about = settled(schema, about)
    found = targets(kind)
    known = index(found)
    hits = {table.id: _hits(table, known) for table in schema.values()}
    ranked = _ranked(schema, about, kind, found, hits)
    reaching = Reaching(schema, about)
    wanted: dict[str, float] = {}
    for place, anchor in enumerate(ranked[:ANCHORS]):
        for near_by in reaching.around(anchor, _relevant(schema, about, hits)):
            worth = near_by.nearness * (1 - 0.1 * place) + 0.05 * len(hits[near_by.table.id])
            wanted[near_by.table.id] = max(worth, wanted.get(near_by.table.id, 0.0))
        for table, _ in reaching.rows_below(anchor):
            if len(hits[table.id]) >= 2:
                wanted.setdefault(table.id, 0.5 + 0.05 * len(hits[table.id]))
    return sorted(wanted, key=lambda name: -wanted[name])[:most]


def _hits(table: Table, known: Index) -> dict[str, float]:
    """Fields that a column of the table is called like, exactly."""
    found: dict[str, float] = {}
    for column in table.columns:
        for fields in (
            known.zh.get(said(column.comment), {}),
            known.en.get(tuple(sorted(words(column.name))), {}),
            known.py.get(letters(column.name), {}),
        ):
            for field, worth in fields.items():
                found[field] = max(worth, found.get(field, 0.0))
    return found


def _relevant(schema: Schema, about: Mapping[str, Subject], hits: Mapping[str, Mapping[str, float]]) -> frozenset[str]:
    """Tables that may hold more of a record: not templates, logs and dictionaries."""
    return frozenset(
        table.id for table in schema.values() if _is_record(table) and (hits[table.id] or about[table.id].name)
    )


def _is_record(table: Table) -> bool:
    name = table.name.lower()
    return not any(word in name.split("_") for word in _NOT_RECORDS) and not any(
        word in table.comment for word in _NOT_RECORDS_ZH
    )


def _ranked(
    schema: Schema,
    about: Mapping[str, Subject],
    kind: Kind,
    found: Sequence[Target],
    hits: Mapping[str, Mapping[str, float]],
) -> list[Table]:
    """Tables that may be the record's own, the likeliest first."""
    wanted = {target.name: 1.0 if target.required else 0.5 for target in found if not target.group}
    children: dict[str, int] = {}
    for table in schema.values():
        for reference in table.references:
            children[reference.table] = children.get(reference.table, 0) + 1
    prefixes = prefixes_of(schema)
    scores = {}
    for table in schema.values():
        if not _is_record(table) or len(table.columns) < 4:
            continue
        score = 4.0 * _called(kind, table, prefixes)
        score += min(4.0, 0.5 * sum(worth * wanted.get(field, 0.0) for field, worth in hits[table.id].items()))
        score += 1.5 * hits[table.id].get(kind.key, 0.0)
        score += (
            1.0 if any(about[one.table].name == "patient" for one in table.references if one.table in about) else 0.0
        )
        score += min(1.0, 0.2 * children.get(table.id, 0))
        score += 0.5 if table.rows else 0.0
        score -= 2.5 if about[table.id].name in _PEOPLE_AND_THINGS and about[table.id].sure > 0.7 else 0.0
        scores[table.id] = score
    return [schema[name] for name in sorted(scores, key=lambda name: -scores[name])]


_RELATED = {
    "item": ("specimen", "unit", "method", "section", "report"),
    "drug": ("dosage", "unit", "prescription", "dispense", "order"),
    "order": ("drug", "item", "examination", "prescription", "request"),
    "examination": ("order", "item", "visit"),
    "diagnosis": ("visit",),
}
_PEOPLE = frozenset({"staff", "department", "patient", "institution"})
_PEOPLE_AND_THINGS = frozenset(
    {
        "staff",
        "department",
        "patient",
        "drug",
        "unit",
        "method",
        "section",
        "dosage",
        "dictionary",
        "institution",
        "charge",
    }
)


@lru_cache(maxsize=64)
def _names_of(
    kind: str, name_zh: str, short_name: str
) -> tuple[tuple[str, ...], tuple[frozenset[str], ...], tuple[str, ...]]:
    zh, en, py = vocabulary().get(f"kind:{kind}", ((), (), ()))
    return (
        (*zh, said(name_zh.replace("(急)", ""))),
        tuple(frozenset(words(text)) for text in (*en, short_name)),
        py,
    )


def _called(kind: Kind, table: Table, prefixes: frozenset[str]) -> float:
    """How much a table is called like the kind."""
    zh, en, py = _names_of(kind.code, kind.name_zh, kind.short_name)
    bare = bare_name(table, prefixes)
    tokens = frozenset(words(bare)) - {"record", "info"}
    best = max((len(tokens & name) / len(tokens | name) for name in en if name), default=0.0)
    best = max(best, *(0.9 for form in py if form in (letters(bare), letters(table.name))), 0.0)
    comment = said(table.comment)
    for phrase in zh:
        if phrase in comment:
            best = max(best, 0.6 + 0.4 * len(phrase) / len(comment))
    return best


# -- the proposal --


def propose(
    schema: Schema,
    about: Mapping[str, Subject],
    kind: Kind,
    profiles: Profiles,
    anchor: str = "",
) -> Proposal | None:
    """The best proposal for a kind; `anchor` says which table holds its records, where a person knows. None: no table fits."""
    about = settled(schema, about)
    found = targets(kind)
    known = index(found)
    hits = {table.id: _hits(table, known) for table in schema.values()}
    ranked = [schema[anchor]] if anchor else _ranked(schema, about, kind, found, hits)[:ANCHORS]
    relevant = _relevant(schema, about, hits)
    prefixes = prefixes_of(schema)
    proposing = _Proposing(schema, about, kind, found, profiles, relevant)  # one for all: what names say stays the same
    made = [proposing.of(table) for table in ranked]
    return max(made, key=lambda one: one.score + 2.0 * _called(kind, one.anchor, prefixes), default=None)


class _Proposing:
    def __init__(
        self,
        schema: Schema,
        about: Mapping[str, Subject],
        kind: Kind,
        found: Sequence[Target],
        profiles: Profiles,
        relevant: frozenset[str],
    ) -> None:
        self.schema, self.about, self.kind, self.profiles, self.relevant = schema, about, kind, profiles, relevant
        self.targets = found
        self.referred: set[str] = set()  # what the record's own row refers to
        self.prefixes = prefixes_of(schema)
        self._known: dict[tuple[str, str, str, str], Said] = {}
        self._known_columns: dict[str, list[tuple[Column, str]]] = {}
        self.reaching = Reaching(schema, about, profiles)

    def of(self, anchor: Table) -> Proposal:
        scalars = [target for target in self.targets if not target.group]
        places = self.reaching.around(anchor, self.relevant)
        self.referred = {place.subject for place in places if place.hops and all(hop.way == "up" for hop in place.hops)}
        candidates = {target.name: self._candidates(target, places, anchor) for target in scalars}
        self._without_doubles(candidates)
        self._keyed(scalars, candidates, places)
        lines = self._lines(anchor, candidates.get(self.kind.key, []))
        first = _assigned(scalars, candidates)
        self._written(first, candidates, places, anchor)
        answers = _assigned(scalars, _in_company(candidates, first))
        groups: dict[str, GroupRows] = {}
        used: dict[str, str] = {}
        for group in self._groups():
            wanted = [target for target in self.targets if target.group == group]
            said_already = {one.pick.name for one in answers if one.pick is not None and one.pick.inner}
            rows, found = self._rows_of(group, wanted, anchor, lines, used, said_already)
            if rows is not None:
                groups[group] = rows
                used[rows.table.id] = group
            answers += found
        answers = _with_fallbacks(self.kind, answers)
        order = {field.name: place for place, field in enumerate(self.kind.fields)}
        answers.sort(key=lambda answer: order[answer.field])
        score = sum((1.0 if one.required else 0.5) * one.pick.score for one in answers if one.pick)
        return Proposal(self.kind.code, anchor, score, tuple(answers), groups, lines)

    def _groups(self) -> list[str]:
        """Groups in the order in which they may take a table: the one that says less of itself waits."""
        names = list(dict.fromkeys(target.group for target in self.targets if target.group))
        return sorted(names, key=lambda name: name.startswith("tcm"))

    def _profile(self, table: Table, column: str) -> Profile:
        return self.profiles.get(table.id, {}).get(column, NOTHING)

    def _filled(self, table: Table) -> bool:
        return any(profile.rows for profile in self.profiles.get(table.id, {}).values())

    def _lines(self, anchor: Table, keys: Sequence[Pick]) -> bool:
        """Whether several rows of the table share one business key: lines without a head."""
        best = next((pick for pick in keys if pick.score >= 0.7), None)
        if best is None or best.place.hops or not anchor.only_key or best.column.name == anchor.only_key:
            return False
        seen = self._profile(anchor, best.column.name)
        return seen.filled > 3 and not seen.is_unique and best.column.name not in anchor.unique

    # -- one field

    def _candidates(self, target: Target, places: Iterable[Place], row: Table) -> list[Pick]:
        found = [
            pick
            for place in places
            for column, inner in self._columns(place.table)
            if (pick := self._pick(target, place, column, inner, row)) is not None
        ]
        return sorted(found, key=lambda pick: (-pick.score, len(pick.place.hops)))[:12]

    def _columns(self, table: Table) -> list[tuple[Column, str]]:
        """Every column, and what stands inside of those that hold JSON."""
        known = self._known_columns.get(table.id)
        if known is None:
            known = [(column, "") for column in table.columns]
            for name in self.profiles.get(table.id, {}):
                outer, hash_, inner = name.partition("#")
                column = table.column(outer)
                if hash_ and column is not None:
                    known.append((column, inner))
            self._known_columns[table.id] = known
        return known

    def _pick(self, target: Target, place: Place, column: Column, inner: str, row: Table) -> Pick | None:
        seen = self._profile(place.table, f"{column.name}#{inner}" if inner else column.name)
        score, why = self._words(target, place, column, inner, row)
        if score < 0.6 and speaks_for_itself(target, seen) and place.subject in (target.subject, ""):
            score, why = 0.65, why or "its values"
        if score < 0.3:
            return None
        factor = (0.97 if inner else type_factor(target, column, seen)) * self._standing(target, place, column)
        by_values, told = looks(target, seen)
        score = min(1.0, score * by_values) * factor * place.nearness
        if place.hops and not seen.rows and self._filled(row):
            score *= 0.8
        if score < 0.3:
            return None
        path = " ".join(f"{'↑' if hop.way == 'up' else '↓'}{hop.table}" for hop in place.hops)
        return Pick(place, column, inner, score, tuple(part for part in (why, told, path) if part))

    def _standing(self, target: Target, place: Place, column: Column) -> float:
        """What keys may be: of whom they are the number, and nothing else."""
        factor = 0.74 if is_bookkeeping(column) else 1.0
        if place.subject in _PEOPLE and place.subject != target.subject:
            is_theirs = target.role and place.subject == "staff" and target.attribute in ("id", "name")
            if not is_theirs and not ("department" in target.name and place.subject == "department"):
                factor *= 0.9 if place.subject == "patient" and not target.subject and not target.role else 0.3
        if target.subject == "patient" and any(self.about[hop.table].name == "staff" for hop in place.hops):
            factor *= 0.3  # the person behind a doctor is not the patient
        refers = next((one.table for one in place.table.references if one.column == column.name), "")
        whose = self.about[refers].name if refers in self.about else ""
        is_key = column.name == place.table.only_key
        if target.role and target.attribute in ("id", "name"):
            if is_key:
                return factor * (
                    0.95 if place.subject == "staff" and place.joined_by and target.attribute == "id" else 0.0
                )
            if refers:
                return factor * (1.0 if whose == "staff" and target.attribute == "id" else 0.3)
            if place.subject == "staff" and place.joined_by:
                named = set(words(column.name))
                return factor * (
                    1.0
                    if named & ({"name"} if target.attribute == "name" else {"code", "number"}) or not named <= _ENGLISH
                    else 0.5
                )
            return factor * (1.0 if _is_staff(column) else 0.6)
        if target.attribute == "department_id" or target.name == "department.id":
            if is_key:
                return factor * (0.95 if place.subject == "department" else 0.4)
            return factor * (1.05 if whose == "department" else 0.9)
        if is_key and target.name != self.kind.key:
            return factor * (0.8 if place.joined_by and target.attribute == "code" else 0.3)
        if is_key and place.hops:
            return factor * 0.5
        if target.field.value_type == "II" and words(column.name)[-1:] in (
            ("type",),
            ("name",),
            ("status",),
            ("flag",),
        ):
            factor *= 0.5
        coded = target.attribute in ("code", "id") or target.field.value_type == "CD"
        return factor * (0.85 if refers and coded else 0.6 if refers else 1.0)

    def _words(self, target: Target, place: Place, column: Column, inner: str, row: Table) -> tuple[float, str]:
        """What the names say: the column's own, as one of its table's subject, and through the column that joins it."""
        same = self._same(target, place, row)
        own = self._own(target, place.table, column, inner)
        best, why = own.score * (same if own.generic else 0.5 + 0.5 * same if same < 0.9 else 1.0), own.why
        if inner:
            return best, why
        joined = self._joining(place, row)
        if place.subject and not target.role and same >= 0.6:
            told = self._under(target, place, column)
            plain = (
                0.78
                if joined is not None and place.subject in _PEOPLE and not self._says_no_more(joined, place)
                else 1.0
            )
            if told.score * plain > best and (place.subject == target.subject or not told.generic):
                best, why = told.score * plain, told.why
        if joined is not None:
            told = self._through(target, joined, column, place.subject)
            if told.score > best and not told.generic:
                best, why = told.score, f"{told.why} (by {joined.name})"
        is_main = target.attribute in ("name", "content", "item")
        if best < 0.66 and is_main and self._is_what_it_means(target, place, column):
            best, why = 0.66, "the name of what the row refers to"
        return best, why

    def _is_what_it_means(self, target: Target, place: Place, column: Column) -> bool:
        """A row's main word may be the name of the one thing that it refers to."""
        if not target.group or place.subject in _PEOPLE or len(place.hops) != 1 or target.role:
            return False
        if target.subject == "diagnosis" and place.subject != "diagnosis":
            return False
        is_list = place.subject in ("drug", "item", "diagnosis", "examination", "order", "operation")
        if not is_list and not set(words(place.table.name)) & {"definition", "item", "catalog", "dict", "project"}:
            return False
        return words(column.name) == ("name",) and bool(self._shares_word(place.hops[0].column, place.table))

    def _shares_word(self, column: str, table: Table) -> bool:
        return bool(set(words(column)) & set(words(table.name)) - {"id", "type", "status"})

    def _own(self, target: Target, table: Table, column: Column, inner: str) -> Said:
        key = (target.name, table.id, column.name, inner)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = near(target, own_description(column, inner))
        return found

    def _under(self, target: Target, place: Place, column: Column) -> Said:
        key = (target.name, place.table.id, column.name, "<")
        found = self._known.get(key)
        if found is None:
            chinese, _ = _subject_words(place.subject)
            bare = tuple(
                word for word in words(bare_name(place.table, self.prefixes)) if word not in ("info", "record")
            )
            found = near(target, under_subject(chinese, bare, column))
            if bare != (place.subject,) and not {"status", "history"} & set(bare):
                simple = near(target, under_subject(chinese, (place.subject,), column))
                found = max(found, simple._replace(score=simple.score * 0.88))
            self._known[key] = found
        return found

    def _through(self, target: Target, joined: Column, column: Column, subject: str) -> Said:
        key = (target.name, joined.name + joined.comment, column.name + column.comment, subject)
        found = self._known.get(key)
        if found is None:
            _, spelt = _subject_words(subject)
            found = self._known[key] = near(target, composed(joined, column, spelt))
        return found

    def _joining(self, place: Place, row: Table) -> Column | None:
        if not place.joined_by:
            return None
        before = self.schema[place.hops[-2].table] if len(place.hops) > 1 else row
        return before.column(place.joined_by)

    def _says_no_more(self, joined: Column, place: Place) -> bool:
        """Whether the joining column only names the subject (`dept_id`), without saying which of them (`perform_org`)."""
        more = set(words(joined.name)) - {place.subject, "id", "code", "number"} - set(words(place.table.name))
        comment = without_key_word(said(joined.comment))
        return not more or comment in phrases_of(f"subject:{place.subject}").zh

    def _same(self, target: Target, place: Place, row: Table) -> float:
        """How well a table may hold what the field is about, 0 to 1."""
        if place.table.id == row.id:
            if place.subject in _PEOPLE and place.subject != target.subject:
                return 0.5
            return 0.6 if target.subject in _PEOPLE and target.subject in self.referred else 1.0
        if place.subject in _RELATED.get(target.subject, ()):
            return 0.9
        if place.subject and target.subject and place.subject != target.subject:
            return 0.1 if {place.subject, target.subject} & _PEOPLE else 0.35
        if target.subject and place.subject == target.subject:
            return 1.0
        if target.role and target.attribute in ("id", "name"):
            return 1.0 if place.subject == "staff" and place.joined_by else 0.6
        if target.name in NUMBERS_OF_VISITS and place.subject not in (*SAME_AS_RECORD, "patient"):
            return 0.2  # the number of a tube is nobody's
        if target.field.value_type == "MO":
            return 1.0 if place.subject == "charge" else 0.7
        if place.subject in _PEOPLE:
            return 0.2 if place.subject != "patient" else 0.7
        if target.group:
            return 0.8 if not place.subject else 0.6
        return 0.9 if place.subject in SAME_AS_RECORD - {""} else 0.6

    def _written(
        self, first: Sequence[Answer], candidates: dict[str, list[Pick]], places: Sequence[Place], anchor: Table
    ) -> None:
        """Where a record's texts stand in a table of their own, that row's own times say when they were written."""
        counted: dict[str, int] = {}
        texts = {t.name for t in self.targets if t.field.value_type == "ST" and (t.field.max_length or 0) >= 100}
        for answer in first:
            if answer.pick is not None and answer.field in texts:
                counted[answer.pick.place.table.id] = counted.get(answer.pick.place.table.id, 0) + 1
        table, times = max(counted.items(), key=lambda one: one[1], default=("", 0))
        place = next((one for one in places if one.table.id == table), None)
        if times < 3 or place is None or table == anchor.id:
            return
        for target in self.targets:
            if target.role in ("author", "doctor") and target.attribute == "time":
                for column in place.table.columns:
                    if is_bookkeeping(column) and column.family == TIME:
                        why = ("when the row with the texts was written", f"{column.name}")
                        candidates[target.name].append(Pick(place, column, "", 0.72, why))
                candidates[target.name].sort(key=lambda pick: -pick.score)

    def _without_doubles(self, candidates: dict[str, list[Pick]]) -> None:
        """A column whose values are the record's own number once more says nothing new: less for what else is a number."""
        key = next((pick for pick in candidates.get(self.kind.key, ()) if not pick.place.hops), None)
        if key is None:
            return
        own = self._profile(key.place.table, key.column.name)
        for name, picks in candidates.items():
            if name != self.kind.key:
                candidates[name] = sorted(
                    (
                        msgspec.structs.replace(pick, score=pick.score * 0.8)
                        if pick.column is not key.column and _says_the_same(own, self._seen(pick))
                        else pick
                        for pick in picks
                    ),
                    key=lambda pick: -pick.score,
                )

    def _seen(self, pick: Pick) -> Profile:
        return self._profile(pick.place.table, pick.column.name)

    def _keyed(self, scalars: Sequence[Target], candidates: dict[str, list[Pick]], places: Sequence[Place]) -> None:
        """What stands in one row among others: a setting of the house, a signature."""
        for target in scalars:
            ways = [
                *settings(target, self.schema, self.profiles),
                *signing(target, scalars, places, self.schema, self.about, self.profiles),
            ]
            if ways:
                picks = [Pick(way.place, way.column, "", way.worth, way.why) for way in ways]
                candidates[target.name] = sorted([*candidates[target.name], *picks], key=lambda pick: -pick.score)

    # -- groups

    def _rows_of(
        self,
        group: str,
        wanted: Sequence[Target],
        anchor: Table,
        lines: bool,
        used: Mapping[str, str],
        said_already: set[str],
    ) -> tuple[GroupRows | None, list[Answer]]:
        """The table whose rows are the group's, and its fields."""
        best: tuple[float, GroupRows | None, list[Answer]] = (0.0, None, [_gap(target) for target in wanted])
        below = list(self.reaching.rows_below(anchor))
        if lines:
            below.append((anchor, ()))
        for table, way in below:
            if not _is_record(table) or (table.id in used and not _distinct(used[table.id], group)):
                continue
            start = Place(table, (), 1.0, self.about[table.id].name)
            places = [start, *self.reaching.up_from(start, 3 if way else 4)]
            candidates = {
                target.name: [pick for pick in self._candidates(target, places, table) if pick.name not in said_already]
                for target in wanted
            }
            answers = _assigned(wanted, _in_company(candidates, _assigned(wanted, candidates)))
            own = [
                one for one in answers
                if one.pick and ((lines and not way) or anchor.id not in (one.pick.place.table.id, *(h.table for h in one.pick.place.hops)))
            ]  # fmt: skip
            main = next((one for one in own if one.field in _mains(group, wanted)), None)
            if main is None or (len(own) < min(2, len(wanted)) and main.pick and main.pick.score < 0.65):
                continue
            total = sum((1.0 if one.required else 0.5) * one.pick.score for one in own if one.pick)
            total += 1.5 * _about_group(self.about[table.id], wanted[0]) + 0.3 * bool(table.rows)
            total += 0.3 * sum(not one.pick.place.hops for one in own if one.pick)
            total += 3.0 * (lines and not way)
            total *= 0.97 ** max(0, len(way) - 1)
            if total > best[0]:
                best = total, GroupRows(table, way), answers
        return best[1], best[2]


def _says_the_same(one: Profile, other: Profile) -> bool:
    return one is not other and one.filled >= 5 and one.is_unique and one.values == other.values


_ENGLISH = frozenset(
    [
        "name",
        "code",
        "number",
        "id",
        "time",
        "status",
        "type",
        "flag",
        "sex",
        "birth",
        "staff",
        "user",
        "address",
        "telephone",
        "description",
        "create",
        "update",
    ]
)


def _is_staff(column: Column) -> bool:
    """Whether a column says that it is somebody of the staff: operator_name, 审核医师, shys."""
    comment = without_key_word(said(column.comment)).removesuffix("姓名")
    spelt = letters(column.name).removesuffix("xm").removesuffix("dm")
    return (
        "staff" in words(column.name)
        or comment.endswith(("人", "者", "医生", "医师", "药师", "护士", "人员", "技师", "员"))
        or (not comment and spelt.endswith(("ys", "r", "ry", "hs", "y")))
    )


def _distinct(one: str, other: str) -> bool:
    """Whether two groups can be two readings of one table's rows: an order is also an examination, a diagnosis is not two."""
    return not {one, other} <= {"diagnoses", "tcm_diseases", "tcm_syndromes", "other_diagnoses"}


def _mains(group: str, wanted: Sequence[Target]) -> set[str]:
    """The fields without which a row of the group is none."""
    names = {f"{group}.{last}" for last in ("name", "code", "content", "result", "value", "item")}
    known = {target.name for target in wanted}
    return (names & known) or {target.name for target in wanted if target.required} or known


def _about_group(about: Subject, target: Target) -> float:
    if about.name == target.subject:
        return about.sure
    return 0.0


def _gap(target: Target) -> Answer:
    return Answer(target.name, None, (), target.required)


@lru_cache(maxsize=256)
def _subject_words(subject: str) -> tuple[str, tuple[str, ...]]:
    phrases = phrases_of(f"subject:{subject}")
    return next(iter(phrases.zh), ""), tuple(form for form in phrases.py if len(form) >= 2)


# -- the whole --


def _assigned(wanted: Sequence[Target], candidates: Mapping[str, Sequence[Pick]]) -> list[Answer]:
    """Every field its column, the best pairs first. A column may serve two fields only if they are the same of two things."""
    by_name = {target.name: target for target in wanted}
    pairs = sorted(
        ((pick.score, name, pick) for name, picks in candidates.items() for pick in picks if pick.score >= ENOUGH),
        key=lambda pair: (-pair[0], pair[1]),
    )
    taken: dict[tuple[str, str, tuple[Hop, ...]], list[Target]] = {}
    chosen: dict[str, Pick] = {}
    for _, name, pick in pairs:
        target, place = by_name[name], (pick.place.table.id, pick.column.name + pick.inner, pick.place.hops)
        if name in chosen:
            continue
        is_setting = bool(pick.place.hops) and pick.place.hops[-1].way == BESIDE  # the same for whoever asks
        if not is_setting and not all(_shareable(target, other) for other in taken.get(place, ())):
            continue
        chosen[name] = pick
        taken.setdefault(place, []).append(target)
    return [
        Answer(
            target.name,
            chosen.get(target.name),
            tuple(pick for pick in candidates.get(target.name, ()) if pick is not chosen.get(target.name))[:4],
            target.required,
        )
        for target in wanted
    ]


def _in_company(candidates: Mapping[str, Sequence[Pick]], first: Sequence[Answer]) -> dict[str, list[Pick]]:
    """The candidates again: a little better where much of the record was found, and whose name belongs to the number."""
    counted: dict[str, float] = {}
    chosen = {answer.field: answer.pick for answer in first if answer.pick is not None}
    for pick in chosen.values():
        counted[pick.place.table.id] = counted.get(pick.place.table.id, 0.0) + pick.score
    most = max(counted.values(), default=0.0) or 1.0
    again = {}
    for name, picks in candidates.items():
        partner = chosen.get(_number_of(name))
        better = []
        for pick in picks:
            share = (counted.get(pick.place.table.id, 0.0) - _part_of(name, pick, first)) / most
            score = min(1.0, pick.score * (0.96 + 0.08 * share))
            if partner is not None and _is_named_by(pick, partner):
                score = min(1.0, score * 1.2)
            better.append(msgspec.structs.replace(pick, score=score))
        again[name] = sorted(better, key=lambda pick: (-pick.score, len(pick.place.hops)))
    return again


def _number_of(name: str) -> str:
    """The field that holds the number of whom this one names: author.name -> author.id."""
    head, _, last = name.rpartition(".")
    if last == "name":
        return f"{head}.id"
    if last.endswith("_name"):
        return f"{head}.{last.removesuffix('_name')}_id"
    return ""


def _is_named_by(pick: Pick, number: Pick) -> bool:
    """Whether a column stands in the row that the number means."""
    hops = pick.place.hops
    if hops and hops == number.place.hops:
        return True
    if not hops or hops[-1].way != "up":
        return False
    return (*number.place.hops,) == hops[:-1] and number.column.name == hops[-1].column


def _part_of(name: str, pick: Pick, first: Sequence[Answer]) -> float:
    """What the field itself has brought to the count of that table."""
    chosen = next((one.pick for one in first if one.field == name), None)
    return chosen.score if chosen is not None and chosen.place.table.id == pick.place.table.id else 0.0


_ALIKE = frozenset({frozenset({"frequency", "frequency_text"}), frozenset({"value", "text_value"}), frozenset({"abnormal_flag", "result_code"}),
    frozenset({"code", "loinc"}), frozenset({"time", "prescribed_on"}), frozenset({"id", "department_id"}), frozenset({"name", "department"})})  # fmt: skip


def _shareable(one: Target, other: Target) -> bool:
    if one.attribute == other.attribute:
        return not (one.role and other.role and one.attribute in ("id", "name")) and one.attribute not in (
            "item",
            "result",
        )
    return frozenset({one.attribute, other.attribute}) in _ALIKE


def _with_fallbacks(kind: Kind, answers: Sequence[Answer]) -> list[Answer]:
    """Where nobody else is named: who saw the patient is also who is responsible. Said as what it is, for a person to confirm."""
    by_name = {answer.field: answer for answer in answers}
    made = []
    for answer in answers:
        head, _, last = answer.field.rpartition(".")
        instead = vocabulary().get(f"same:{head}@{kind.code}", ((), (), ()))[1]
        picks = [by_name[f"{other}.{last}"].pick for other in instead if f"{other}.{last}" in by_name]
        pick = next((one for one in picks if one is not None), None)
        if answer.pick is None and pick is not None:
            why = ("no column of its own: the same person as " + instead[0], *pick.why)
            answer = msgspec.structs.replace(
                answer, pick=msgspec.structs.replace(pick, score=pick.score * 0.8, why=why)
            )
        made.append(answer)
    return made
