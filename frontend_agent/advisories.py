"""Known weaknesses of what a program is made of, by advisories that somebody carried here (threat U4). Pure: values in, values out.

    components of a CycloneDX bill of materials  ×  advisories in OSV's format (https://ossf.github.io/osv-schema/, 1.6)

Two ecosystems: PyPI, whose versions are ordered by PEP 440, and Debian, whose versions are ordered by Debian Policy 5.6.12 and
whose advisories name source packages. A version is affected where it is listed, or lies in a range between `introduced` and
`fixed` (that one no more) or `last_affected` (that one still). Withdrawn advisories do not count.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cmp_to_key
from typing import Any

import msgspec
from packaging.version import InvalidVersion, Version

from frontend_agent.errors import ConfigurationError

PYPI, DEBIAN = "PyPI", "Debian"
_SOURCE = "frontend-agent:source"  # the source package, as our bill of materials names it
_RELEASES = {"bookworm": "12", "trixie": "13", "forky": "14"}


class NotAdvisories(ConfigurationError):
    """What was named holds no advisories in OSV's format, so nothing can be said about any weakness."""


@dataclass(frozen=True)
class Part:
    """One component: of which ecosystem, and by which name its advisories know it."""

    ecosystem: str
    name: str  # as advisories name it: normalised (PyPI), the source package (Debian)
    version: str
    component: str  # as the bill of materials names it
    release: str = ""  # of Debian: 12


class Event(msgspec.Struct, frozen=True):
    introduced: str = ""
    fixed: str = ""
    last_affected: str = ""
    limit: str = ""


class Range(msgspec.Struct, frozen=True):
    type: str = ""
    events: tuple[Event, ...] = ()


class Package(msgspec.Struct, frozen=True):
    name: str = ""
    ecosystem: str = ""


class Affected(msgspec.Struct, frozen=True):
    package: Package = Package()
    ranges: tuple[Range, ...] = ()
    versions: tuple[str, ...] = ()


class Advisory(msgspec.Struct, frozen=True):
    """One advisory, as far as it is looked at."""

    id: str
    modified: str
    withdrawn: str = ""
    aliases: tuple[str, ...] = ()
    summary: str = ""
    affected: tuple[Affected, ...] = ()


@dataclass(frozen=True)
class Weakness:
    """One component that an advisory speaks of."""

    part: Part
    advisory: str
    aliases: tuple[str, ...]
    fixed: str  # the first version without it; empty: there is none yet
    summary: str


class _Exception(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    advisory: str
    reason: str
    until: date
    package: str = ""


class _Exceptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"exceptions": "except"}):
    exceptions: tuple[_Exception, ...] = ()


@dataclass(frozen=True)
class Told:
    """What an audit came to. `newest` is when the newest of the advisories was last changed: what is younger is not known here."""

    parts: int
    advisories: int
    newest: datetime
    weaknesses: tuple[Weakness, ...]
    excepted: tuple[tuple[Weakness, str, date], ...]  # with the reason, and until when
    lapsed: tuple[str, ...]  # exceptions whose day is over
    unneeded: tuple[str, ...]  # exceptions that nothing needs


# -- What it is made of -----------------------------------------------------------------------------------------------


def parts_of(bill: Mapping[str, Any]) -> list[Part]:
    """The components of a CycloneDX document that advisories can speak of, by their package URLs."""
    found = []
    for one in bill.get("components", ()):
        kind, name, version, qualifiers = _purl(str(one.get("purl", "")))
        if kind == "pypi":
            found.append(Part(PYPI, normal(name), version, one["name"]))
        elif kind == "deb":
            source = next((p["value"] for p in one.get("properties", ()) if p["name"] == _SOURCE), one["name"])
            found.append(Part(DEBIAN, source, version, one["name"], _RELEASES.get(qualifiers.get("distro", ""), "")))
    if not found:
        raise ConfigurationError(
            "the bill of materials names no package of PyPI or Debian: there is nothing to compare"
        )
    return found


def locked(text: str) -> list[Part]:
    """The same of a lock file: lines `name==version`."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    if not found:
        raise ConfigurationError("no line says name==version: not a lock file")
    return [Part(PYPI, normal(name), version, name) for name, version in found]


def normal(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _purl(text: str) -> tuple[str, str, str, dict[str, str]]:
    """(type, name, version, qualifiers) of pkg:type/namespace/name@version?a=b."""
    from urllib.parse import parse_qsl, unquote

    head, _, query = text.removeprefix("pkg:").partition("?")
    path, _, version = head.rpartition("@")
    kind, _, name = path.partition("/")
    return kind, unquote(name.rpartition("/")[2]), unquote(version), dict(parse_qsl(query))


# -- Comparing --------------------------------------------------------------------------------------------------------


def read_advisory(content: bytes, name: str) -> Advisory:
    """NotAdvisories: it is none."""
    try:
        return msgspec.json.decode(content, type=Advisory)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotAdvisories(f"{name}: not an advisory in OSV's format ({error})") from None


def audited(
    parts: Sequence[Part], advisories: Iterable[Advisory], exceptions: Sequence[_Exception], today: date
) -> Told:
    """Every weakness that the advisories know of, but those that are excepted until a day that is not over."""
    by_name: dict[tuple[str, str], list[Part]] = {}
    for part in parts:
        by_name.setdefault((part.ecosystem, part.name), []).append(part)
    found: dict[tuple[Part, str], Weakness] = {}
    count, newest = 0, datetime.min.replace(tzinfo=UTC)
    for advisory in advisories:
        count += 1
        newest = max(newest, _moment(advisory))
        for weakness in _weaknesses(advisory, by_name):
            found.setdefault((weakness.part, weakness.advisory), weakness)
    if not count:
        raise NotAdvisories("no advisory is there: nothing can be said about any weakness")
    return _judged(len(parts), count, newest, list(found.values()), exceptions, today)


def _judged(
    parts: int, count: int, newest: datetime, found: Sequence[Weakness], exceptions: Sequence[_Exception], today: date
) -> Told:
    weaknesses, excepted = [], []
    used: set[str] = set()
    for one in sorted(found, key=lambda one: (one.part.component, one.advisory)):
        fitting = [rule for rule in exceptions if _fits(rule, one)]
        used.update(rule.advisory for rule in fitting)
        good = next((rule for rule in fitting if rule.until >= today), None)
        if good is None:
            weaknesses.append(one)
        else:
            excepted.append((one, good.reason, good.until))
    lapsed = tuple(f"{rule.advisory} ({rule.until})" for rule in exceptions if rule.until < today)
    unneeded = tuple(rule.advisory for rule in exceptions if rule.advisory not in used)
    return Told(parts, count, newest, tuple(weaknesses), tuple(excepted), lapsed, unneeded)


def _fits(rule: _Exception, one: Weakness) -> bool:
    names = {one.part.component, one.part.name}
    return rule.advisory in (one.advisory, *one.aliases) and (not rule.package or rule.package in names)


def _weaknesses(advisory: Advisory, by_name: Mapping[tuple[str, str], Sequence[Part]]) -> Iterator[Weakness]:
    if advisory.withdrawn:
        return
    for affected in advisory.affected:
        ecosystem, _, release = affected.package.ecosystem.partition(":")
        name = normal(affected.package.name) if ecosystem == PYPI else affected.package.name
        for part in by_name.get((ecosystem, name), ()):
            if (not release or not part.release or release == part.release) and is_affected(part, affected):
                yield Weakness(part, advisory.id, advisory.aliases, _fixed(part, affected), advisory.summary)


def is_affected(part: Part, affected: Affected) -> bool:
    """OSV schema, "evaluation algorithm"."""
    order = ORDERS[part.ecosystem]
    if any(order(part.version, listed) == 0 for listed in affected.versions):
        return True
    return any(_is_within(part, one) for one in affected.ranges if one.type == "ECOSYSTEM")


def _is_within(part: Part, one: Range) -> bool:
    order, within = ORDERS[part.ecosystem], False
    for event in _sorted(one.events, part.ecosystem):
        if event.introduced:
            within = within or event.introduced == "0" or order(part.version, event.introduced) >= 0
        elif (event.fixed and order(part.version, event.fixed) >= 0) or (
            event.last_affected and order(part.version, event.last_affected) > 0
        ):
            within = False
    return within


def _sorted(events: Iterable[Event], ecosystem: str) -> list[Event]:
    """By version, the beginning of all first. Where two are of one version, what fixes comes before what introduces."""
    order = ORDERS[ecosystem]

    def compared(one: Event, other: Event) -> int:
        mine, theirs = _of(one), _of(other)
        if "0" in (mine, theirs):
            return (mine != "0") - (theirs != "0")
        return order(mine, theirs) or bool(one.introduced) - bool(other.introduced)

    return sorted(events, key=cmp_to_key(compared))


def _of(event: Event) -> str:
    return event.introduced or event.fixed or event.last_affected or event.limit


def _fixed(part: Part, affected: Affected) -> str:
    """The first version after this one that is said to be without it."""
    order = ORDERS[part.ecosystem]
    later = [
        event.fixed
        for one in affected.ranges
        if one.type == "ECOSYSTEM"
        for event in one.events
        if event.fixed and order(event.fixed, part.version) > 0
    ]
    return min(later, key=cmp_to_key(order), default="")


def _moment(advisory: Advisory) -> datetime:
    try:
        found = datetime.fromisoformat(advisory.modified)
    except ValueError:
        raise NotAdvisories(f"{advisory.id}: modified = {advisory.modified!r} is no time") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# -- Exceptions -------------------------------------------------------------------------------------------------------


def read_exceptions(text: str, name: str) -> tuple[_Exception, ...]:
    """[[except]] advisory, reason, until, and package where not all. ConfigurationError names what is wrong."""
    import tomllib

    try:
        rules = msgspec.convert(tomllib.loads(text), _Exceptions).exceptions
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{name}: {error}") from None
    for rule in rules:
        if not rule.reason.strip():
            raise ConfigurationError(f"{name}: {rule.advisory}: reason is empty; say why it may stay")
    return rules


# -- The order of versions --------------------------------------------------------------------------------------------


def python_order(one: str, other: str) -> int:
    """PEP 440; what is no such version is only equal to itself, and otherwise before all others."""
    if one == other:
        return 0
    mine, theirs = _python(one), _python(other)
    if mine is None or theirs is None:
        return (mine is not None) - (theirs is not None) or (one > other) - (one < other)
    return (mine > theirs) - (mine < theirs)


def _python(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def debian_order(one: str, other: str) -> int:
    """Debian Policy 5.6.12: epoch, upstream version, revision; `~` sorts before the end of a part."""
    for mine, theirs in zip(_debian(one), _debian(other), strict=True):
        if found := _part_order(mine, theirs):
            return found
    return 0


def _debian(text: str) -> tuple[str, str, str]:
    epoch, colon, rest = text.strip().partition(":")
    if not colon:
        epoch, rest = "0", text.strip()
    upstream, dash, revision = rest.rpartition("-")
    return (epoch, upstream, revision) if dash else (epoch, rest, "")


def _part_order(one: str, other: str) -> int:
    """Stretches of no digits by letters before all others, stretches of digits as numbers, in turn."""
    while one or other:
        mine, theirs = (re.match(r"\D*", text)[0] for text in (one, other))  # type: ignore[index]
        for number in range(max(len(mine), len(theirs))):
            a, b = (_weight(text[number : number + 1]) for text in (mine, theirs))
            if a != b:
                return (a > b) - (a < b)
        one, other = one[len(mine) :], other[len(theirs) :]
        mine, theirs = (re.match(r"\d*", text)[0] for text in (one, other))  # type: ignore[index]
        if int(mine or 0) != int(theirs or 0):
            return 1 if int(mine or 0) > int(theirs or 0) else -1
        one, other = one[len(mine) :], other[len(theirs) :]
    return 0


def _weight(letter: str) -> int:
    if letter == "~":
        return -1
    if not letter:
        return 0
    return ord(letter) if letter.isalpha() else ord(letter) + 256


ORDERS = {PYPI: python_order, DEBIAN: debian_order}
