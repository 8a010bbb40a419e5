"""Rows that a value of their own tells apart: settings by their name, who signed as what, numbers of a patient by their type.

What a column means then depends on the row: `value` WHERE `name` = 'SiteName', `signer` WHERE `is_supervisor`. Such a row is
one more way to a column (a hop with `where`), and is weighed like every other.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from frontend_agent.proposing.joins import Subject
from frontend_agent.proposing.lexicon import Target, vocabulary
from frontend_agent.proposing.matching import near, own_description
from frontend_agent.proposing.naming import said, words
from frontend_agent.proposing.reaching import BESIDE, DOWN, UP, Hop, Place
from frontend_agent.proposing.schema import BINARY, FLAG, TEXT, Column, Schema, Table
from frontend_agent.proposing.values import NOTHING, Profile

Profiles = Mapping[str, Mapping[str, Profile]]
_KEYS = (
    {"name"},
    {"key"},
    {"code"},
    {"parameter"},
    {"parameter", "name"},
    {"config", "key"},
    {"config", "name"},
    {"item"},
)
_VALUES = ({"value"}, {"parameter", "value"}, {"config", "value"}, {"setting", "value"})
_SETTINGS = frozenset({"setting", "settings", "parameter", "parameters", "config", "property", "properties", "option", "options", "institution"})  # fmt: skip
_SETTINGS_ZH = ("参数", "配置", "设置", "选项")
MOST_SETTINGS = 3  # tables of settings that are sampled
_SIGNING = frozenset({"sign", "signatory", "participant"})
_SIGNING_ZH = ("签名", "签章", "签字", "参与者")
_WORKED = {"reviewer": "technician"}  # whose work somebody looks over: the rows without the reviewer's mark


class Way(NamedTuple):
    """A column by a way of its own, with the worth of the way and the evidence."""

    place: Place
    column: Column
    worth: float
    why: tuple[str, ...]


# -- settings --


def key_and_value(table: Table) -> tuple[Column, Column] | None:
    """The two columns of a table of settings; None where it is no such table."""
    if not (_SETTINGS & set(words(table.name)) or any(word in table.comment for word in _SETTINGS_ZH)):
        return None
    keys = [column for column in table.columns if set(words(column.name)) in _KEYS and column.family == TEXT]
    values = [column for column in table.columns if set(words(column.name)) in _VALUES and column.family != BINARY]
    return (keys[0], values[0]) if keys and values else None


def settings_tables(schema: Schema) -> list[str]:
    """Tables of settings worth a sample: where a hospital's own name may stand."""
    return [table.id for table in schema.values() if key_and_value(table)][:MOST_SETTINGS]


def settings(target: Target, schema: Schema, profiles: Profiles) -> Iterable[Way]:
    """A field of the house itself (its name, its code) as one row of a table of settings."""
    if not target.name.endswith(("institution", "institution_name", "institution_id")):
        return
    for name, seen in profiles.items():
        columns = key_and_value(schema[name])
        if columns is None:
            continue
        key, value = columns
        for row, there in seen.items():
            column, at, called = row.partition("@")
            if not at or column != value.name or not there.filled:
                continue
            worth = near(target, own_description(Column(called, key.type))).score
            if worth >= 0.8:
                hop = Hop(name, BESIDE, key.name, "", "a setting", (key.name, called))
                yield Way(Place(schema[name], (hop,), 1.0, "institution"), value, 0.8 * worth, (f"setting {called}",))


# -- who signs --


def signing(
    target: Target, targets: Sequence[Target], places: Iterable[Place], schema: Schema, about: Mapping[str, Subject],
    profiles: Profiles,
) -> Iterable[Way]:  # fmt: skip
    """Who signed as what, from a table of signatures below the record: `reviewer` where it says `is_supervisor`."""
    if not target.role or target.attribute not in ("id", "name"):
        return
    for place in places:
        if not place.hops or any(hop.way != DOWN for hop in place.hops) or not _is_signing(place.table):
            continue
        marked = _marked(target, targets, place.table, profiles.get(place.table.id, {}))
        if marked is None:
            continue
        where, why = marked
        by = place.hops[-1]._replace(where=where)
        own = Place(place.table, (*place.hops[:-1], by), 1.0, place.subject)
        for column, way, worth in _signers(target, own, schema, about, profiles):
            yield Way(way, column, worth, ("who signed", why))


def _is_signing(table: Table) -> bool:
    return bool(_SIGNING & set(words(table.name))) or any(word in table.comment for word in _SIGNING_ZH)


def _signers(
    target: Target, place: Place, schema: Schema, about: Mapping[str, Subject], profiles: Profiles
) -> Iterable[tuple[Column, Place, float]]:
    """The signer's number in the signature's row; the name there, or in the staff's own row."""
    table = place.table
    for reference in table.references:
        staff = schema.get(reference.table)
        column = table.column(reference.column)
        if staff is None or column is None or about[staff.id].name != "staff":
            continue
        if target.attribute == "id":
            yield column, place, 0.78
            continue
        hop = Hop(staff.id, UP, reference.column, reference.target, reference.why)
        for name in staff.columns:
            if words(name.name)[-1:] == ("name",) and not {"login", "user", "account"} & set(words(name.name)[:-1]):
                first = "first" in words(name.name)
                yield name, Place(staff, (*place.hops, hop), 1.0, "staff"), 0.62 if first else 0.66
    if target.attribute == "name":
        for column in table.columns:
            seen = profiles.get(table.id, {}).get(column.name, NOTHING)
            if words(column.name)[-1:] == ("name",) or said(column.comment).endswith("姓名"):
                yield column, place, 0.6 + 0.16 * seen.completeness


def _marked(
    target: Target, targets: Sequence[Target], table: Table, seen: Mapping[str, Profile]
) -> tuple[tuple[str, str], str] | None:
    """How the rows of a role are told from others': a flag named after it, or a value that says it."""
    for column in table.columns:
        there = seen.get(column.name, NOTHING)
        if column.family == FLAG or there.share("yes or no") >= 0.95:
            named = set(words(column.name))
            if named & _verbs(target.role, targets):
                return (column.name, _yes(there, True)), f"{column.name} is set"
            for reviewer, worker in _WORKED.items():
                if target.role == worker and named & _verbs(reviewer, targets):
                    return (column.name, _yes(there, False)), f"{column.name} is not set"
        elif column.family == TEXT and 1 < there.distinct <= 10 and there.distinct == len(there.values):
            verbs = _verbs(target.role, targets)
            value = next((text for text in there.values if verbs & set(words(text)) or _says(text, target.role)), None)
            if value is not None:
                return (column.name, value), f"{column.name} = {value}"
    return None


def _verbs(role: str, targets: Sequence[Target]) -> set[str]:
    """The English words of a role that no other role of the kind has."""
    others = {target.role for target in targets if target.role and target.role != role}
    return set(_words_of(role)) - {word for other in others for word in _words_of(other)}


def _words_of(role: str) -> Iterable[str]:
    for about, (_, english, _) in vocabulary().items():
        if about.partition("@")[0] == f"role:{role}":
            for text in english:
                yield from words(text)


def _says(text: str, role: str) -> bool:
    zh = vocabulary().get(f"role:{role}", ((), (), ()))[0]
    return any(verb in text for verb in zh)


def _yes(seen: Profile, yes: bool) -> str:
    """The value that says yes, or no, as the rows write it."""
    words_ = ("1", "Y", "T", "true", "是") if yes else ("0", "N", "F", "false", "否")
    return next((text for text in seen.values if text in words_), words_[0])
