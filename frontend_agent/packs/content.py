"""What takes effect of a pack: kinds, profiles, value sets, switches and classes, each falling back to the national ones."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from hashlib import sha256
from typing import NamedTuple

from frontend_agent import shipped
from frontend_agent.checks import rules_digest
from frontend_agent.checks.catalogue import rules_version
from frontend_agent.checks.registry import all_rules
from frontend_agent.errors import FrontendAgentError
from frontend_agent.formats import Kind, kind_codes, load_kind
from frontend_agent.formats.library import kind_digest, kind_with
from frontend_agent.formats.tables import table, text
from frontend_agent.formats.value_sets import ValueSet, indexed, packed, read
from frontend_agent.model import Finding, Record
from frontend_agent.packs.archive import Pack
from frontend_agent.packs.skew import names
from frontend_agent.profiles import Profile, load_profile
from frontend_agent.profiles.profile import parse_profile, profile_names
from frontend_agent.shipped import did_you_mean

NATIONAL = "national"
_TEMPLATES, _VALUE_SETS, CLASSES = "templates/", "value_sets/", "data_classes.csv"


class Packs(NamedTuple):
    """What judges now, and what is only asked how it would judge. None: the national pack that ships with us; nothing."""

    active: Pack | None = None
    shadow: Pack | None = None


@cache
def national_version() -> tuple[str, str]:
    """Version and digest of the pack that ships with us: rules, profiles, templates and value sets together."""
    parts = [rules_digest(), *shipped.shipped_texts("frontend_agent.profiles", ".toml").values()]
    for suffix in (".xml", ".csv"):
        parts += shipped.shipped_texts("cda_templates", suffix).values()
    parts += [text(f"value_sets/{row['file']}") for row in table("value_sets/index.csv") if row["file"]]
    return rules_version(), sha256("\x1e".join(parts).encode()).hexdigest()


def name_of(pack: Pack | None) -> tuple[str, str]:
    """`gd-2026.2` and its digest; of no pack the national one's."""
    if pack is not None:
        return pack.id, pack.digest
    version, digest = national_version()
    return f"{NATIONAL}-{version}", digest


def everything(pack: Pack | None) -> dict[str, str]:
    """What a side that makes any kind under any shipped profile judges by, as it says in every exchange."""
    content = content_of(pack)
    with content.compiling():
        kinds = {code: content.digest(code) for code in kind_codes()}
    profiles = {name: content.profile(name).digest for name in profile_names()}
    profiles |= {name: content.profile(name).digest for name in (pack.manifest.profiles if pack else ())}
    return names(*name_of(pack), rules_digest(), profiles, kinds)


class Content:
    """What a pack says, and the national pack where it says nothing. Each thing is read once."""

    def __init__(self, pack: Pack | None) -> None:
        self.pack = pack
        self.off = frozenset(pack.manifest.off) if pack else frozenset()
        self._files = pack.files if pack else {}
        self._tables = indexed(list(self._value_sets()))
        self._kinds: dict[str, Kind] = {}
        self._profiles: dict[str, Profile] = {}

    def compiling(self) -> AbstractContextManager[None]:
        """While this lasts, what is compiled knows the pack's value sets."""
        return packed(self._tables)

    def kind(self, code: str) -> Kind:
        """A kind as the pack has it. One that the pack does not touch is the national one itself."""
        if not self._touches(code):
            return load_kind(code)
        if code not in self._kinds:
            own = {
                path.removeprefix(_TEMPLATES): self._text(path) for path in self._files if path.startswith(_TEMPLATES)
            }
            self._kinds[code] = kind_with(code, own)
        return self._kinds[code]

    def digest(self, code: str) -> str:
        """A kind's digest, without compiling one that the pack does not touch."""
        return self.kind(code).digest if self._touches(code) else kind_digest(code)

    def _touches(self, code: str) -> bool:
        own = [path.removeprefix(_TEMPLATES) for path in self._files if path.startswith(_TEMPLATES)]
        return bool(self._tables) or any(name.startswith((f"{code}.", "documents.csv")) for name in own)

    def profile(self, name: str) -> Profile:
        """The profile that judges a feed which names this one. A site's own file is never replaced."""
        path = self.pack.manifest.profiles.get(name) if self.pack else None
        if path is None or shipped.is_site_file(name):
            return load_profile(name)
        if name not in self._profiles:
            self._profiles[name] = parse_profile(name, self._text(path), f"{self._id}: {path}")
        return self._profiles[name]

    def classes(self) -> str:
        """Its table of data classes; empty where it has none."""
        return self._text(CLASSES) if CLASSES in self._files else ""

    def read(self, path: str) -> str:
        """A file of the pack, for what a site's files name in it; FileNotFoundError where there is none such."""
        if path not in self._files:
            raise FileNotFoundError(path)
        return self._text(path)

    def problems(self) -> Iterator[str]:
        """Why it cannot take effect here, to the end: what it has is not what this program can use."""
        rules = all_rules()
        yield from (
            f"[rules] off: no rule '{rule}'{did_you_mean(rule, rules)}" for rule in sorted(self.off - set(rules))
        )
        try:
            with self.compiling():
                kinds = [self.kind(code) for code in kind_codes()]
        except (FrontendAgentError, ValueError, KeyError) as error:
            yield f"templates: {error}"
            return
        for name in self.pack.manifest.profiles if self.pack else ():
            try:
                profile = self.profile(name)
                for kind in kinds:
                    profile.for_kind(kind)
            except FrontendAgentError as error:
                yield str(error)

    @property
    def _id(self) -> str:
        return self.pack.id if self.pack else NATIONAL

    def _text(self, path: str) -> str:
        return self._files[path].decode("utf-8-sig")

    def _value_sets(self) -> Iterator[ValueSet]:
        if f"{_VALUE_SETS}index.csv" not in self._files:
            return
        for row in csv.DictReader(io.StringIO(self._text(f"{_VALUE_SETS}index.csv"))):
            rows = csv.DictReader(io.StringIO(self._text(f"{_VALUE_SETS}{row['file']}"))) if row["file"] else ()
            yield read(row, list(rows))


_read: dict[str, Content] = {}


def content_of(pack: Pack | None) -> Content:
    """What a pack says; read once."""
    name = pack.digest if pack else ""
    if name not in _read:
        _read[name] = Content(pack)
    return _read[name]


Check = Callable[[Record, Mapping[str, str], Sequence[Finding]], list[Finding]]


def silenced(off: frozenset[str], check: Check) -> Check:
    """The checks, silent about what a region does not ask."""
    if not off:
        return check
    return lambda record, columns, said: [one for one in check(record, columns, said) if one.rule not in off]
