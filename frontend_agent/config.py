"""The agent's configuration: typed at the door, and strict.

The file is read once, into frozen dataclasses; nothing later looks at TOML. A mistake is caught before anything starts
and reads as file, place, what is wrong and the mend:

    agent.toml: feeds[0]: unknown key 'maping' (did you mean 'mapping'? known: batch, destinations, every, …)

The loader walks the dataclasses themselves: a new setting is one line in a class below, with its default and its type.
All problems of a file are found in one reading.
"""

import base64
import difflib
import os
import re
import tomllib
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from frontend_agent import (
    config_alarms,
    config_console,
    config_fetchers,
    config_files,
    config_gap,
    config_images,
    config_inlets,
    config_outlets,
    config_signing,
    config_upgrades,
)
from frontend_agent.calendar import time_of_day
from frontend_agent.config_alarms import DEFAULT_ALARMS, AlarmsConfig
from frontend_agent.config_at_rest import AtRestConfig
from frontend_agent.config_console import NO_CONSOLE, ConsoleConfig
from frontend_agent.config_gap import NO_GAP, GapConfig
from frontend_agent.config_images import NO_IMAGES, ImageInletConfig, ImageOutletConfig, ImagesConfig, OrdersConfig
from frontend_agent.config_inlets import INLETS, InletConfig, ListenerConfig
from frontend_agent.config_network import NetworkConfig
from frontend_agent.config_outlets import (
    OUTLETS,
    DestinationConfig,
    ForeignConfig,
    OutletConfig,
    PackagesOutlet,
    RequestConfig,
    TableOutlet,
    XdsOutlet,
    database_of,
)
from frontend_agent.config_people import PeopleConfig
from frontend_agent.config_people import problems as people_problems
from frontend_agent.config_signing import SignerConfig, SigningConfig
from frontend_agent.config_types import NAMES_A_SECRET, NONE, TWO, Count, GiB20, MiB10, MiB16, MiB32, Size
from frontend_agent.config_upgrades import DEFAULT_UPGRADES, UpgradesConfig
from frontend_agent.errors import ConfigurationError
from frontend_agent.machine.names import CONFIGURATION, STATE
from frontend_agent.qclog import TERM
from frontend_agent.windows import Window, leaves_time, window

DEFAULT_STATE = "state"


Sharing = Literal["internal", "shared", "public", "business"]
Domain = Literal["medical_service", "public_health", "insurance", "drugs", "administration", "information"]


ROWS_A_SECOND = 10_000  # of a server; a file on this machine has no bound by itself
SHARE = 2  # % of a server's time: one in twenty questions is what a P95 looks at
UNSAID = Count(-1)


# -- What may be written ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class InstitutionConfig:
    """The hospital this agent speaks for. `id` and `epoch` are part of every document's identity: changed, all is new."""

    id: str
    name: str
    epoch: str = "1"
    timezone: str = "Asia/Shanghai"


@dataclass(frozen=True, kw_only=True)
class WaiverConfig:
    """The account of a source can write, and somebody lets that be: who, why, and until which day."""

    who: str
    reason: str
    until: date


NO_WAIVER = WaiverConfig(who="", reason="", until=date.min)


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """A system of the hospital: a URL, or an ODBC connection string. `secret` is the name of the password."""

    url: str = ""
    odbc: str = ""
    secret: str = ""
    encoding: str = ""  # ODBC only: of the driver's narrow text, when it is not UTF-8
    oracle_client: str = ""  # folder of an Oracle client's libraries: thick mode, which Oracle 11g needs
    connections: int = 1  # at once; a second one is for work behind the real-time feeds
    statement_timeout: timedelta = timedelta(seconds=30)
    lock_timeout: timedelta = timedelta(seconds=5)  # we never queue behind the hospital's own work for longer
    idle_timeout: timedelta = timedelta(seconds=90)  # the server ends a transaction in which we are silent for longer
    connect_timeout: timedelta = timedelta(seconds=10)
    rows_per_second: Count = (
        UNSAID  # what we take at most, a page overdrawn and paid back; 0: not bounded (`most_rows`)
    )
    bytes_per_second: Size = MiB32
    share: int = UNSAID  # % of its time that work which can wait may take at most (`most_share`)
    protected: tuple[Window, ...] = ()  # local times in which nothing is sent: 零点计费, 日结, backup
    slow_down: float = 3.0  # back off when statements take so many times their own usual time; 0: never
    replica_lag: timedelta = timedelta()  # it is a replica, and so much behind; more counts if the engine says so
    nolock: bool = False  # the vendor imposes dirty reads: what is read may be rolled back yet
    settle: timedelta = timedelta(minutes=2)  # with nolock: a record is taken when it reads the same so much later
    acknowledge: tuple[str, ...] = ()  # schema.table.column[=value]: the columns of change tables that we may update
    max_rows: int = 200_000  # of one query for one batch: more means that a join lacks a condition
    max_bytes: Size = (
        MiB16  # of rows that are held at once; more is read in parts, one record alone may have eight times it
    )
    files: str = ""  # folder of the files that columns name by path (reader `file`)
    procedures: dict[str, str] = field(default_factory=dict)  # that may be called: digest of their definition (pinned)
    allow_functions: tuple[str, ...] = ()  # functions of the hospital's own that queries may call: dbo.fn_age
    waiver: WaiverConfig = NO_WAIVER  # the account can write, and somebody lets that be

    @property
    def most_rows(self) -> int:
        """Rows a second that we take at most; 0: not bounded, as a file on this machine is by itself."""
        if self.rows_per_second != UNSAID:
            return self.rows_per_second
        return 0 if self.url.startswith(SQLITE) else ROWS_A_SECOND

    @property
    def most_share(self) -> int:
        """% of the source's time that backfill and reconciliation may take; of a file on this machine by itself all of it."""
        if self.share != UNSAID:
            return self.share
        return 100 if self.url.startswith(SQLITE) else SHARE


@dataclass(frozen=True, kw_only=True)
class FeedConfig:
    """One configured flow: a source read through a mapping, every so often, for these destinations (default: all)."""

    name: str
    source: str
    mapping: str
    profile: str = "regional"
    every: timedelta = timedelta(minutes=5)
    find: Literal["time", "key", "status", "changes", "compare"] = "time"  # how new rows are found
    overlap: timedelta = timedelta(minutes=10)
    vanished_at_most: int = 20  # more keys that are gone at once stop the feed
    batch: int = 100
    destinations: tuple[str, ...] = ()
    cron: str = ""  # instead of every: minute hour day month weekday
    from_: str = field(default="", metadata={"key": "from"})  # local times between which `every` counts
    to: str = ""
    jitter: timedelta = timedelta(0)
    days: Literal["all", "working", "holidays"] = "all"  # by [calendar]
    start: str = ""  # "now", or a day: what is older is left to a backfill; empty: everything is read
    silence: timedelta = timedelta(0)  # of its active hours without anything new: an alarm


@dataclass(frozen=True, kw_only=True)
class CalendarConfig:
    """Holidays and shifted working days (调休): a CSV that the institution keeps, date,kind,name."""

    file: str = ""


@dataclass(frozen=True, kw_only=True)
class BackfillConfig:
    """What a backfill may use of our own disk, and when it waits for the destinations."""

    share: int = 50  # % of the spool's quota: filled so far, a backfill waits
    backlog: int = 20_000  # documents that wait for a destination: with so many a backfill makes no more
    retention: timedelta = timedelta(days=2)  # of the bytes of what it made, after their proof
    ask_from: int = 100_000  # rows from which on a person is asked before it begins


@dataclass(frozen=True, kw_only=True)
class ClosingConfig:
    """Months close by themselves on this day of the next month; 0: only when a person closes them."""

    day: Count = NONE


@dataclass(frozen=True, kw_only=True)
class ReconciliationConfig:
    """Source, agent and platform are compared every night by themselves."""

    at: str = "03:30"  # local; empty: only when a person asks
    days: int = 3  # yesterday and those before it
    feeds: tuple[str, ...] = ()  # default: all
    resend: bool = True  # what was missed, changed or lost is mended at once; closed months are not


@dataclass(frozen=True, kw_only=True)
class CatalogueConfig:
    """A code table of the hospital's or the region's own (ICD-10, drugs …), in a file. Membership in it then decides.

    It is meant by value sets (OIDs), by fields (`drugs.code`), or both. Days are written 2022-01-01, both included.
    """

    path: str
    value_sets: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    code: str = "code"
    name: str = "name"
    sheet: str = ""  # of an .xlsx, when it is not the first
    version: str = ""
    valid_from: str = ""
    valid_to: str = ""


@dataclass(frozen=True, kw_only=True)
class SpoolConfig:
    """Our own disk: extraction stops at the quota, says so, and goes on alone once there is room."""

    quota: Size = GiB20
    retention: timedelta = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    level: Literal["debug", "info", "warning", "error"] = "info"
    size: Size = MiB10
    keep: int = 5


@dataclass(frozen=True, kw_only=True)
class Hl7Config:
    """What a region wants to see in the header of HL7 v2 messages, and its own message profiles (XML), if it has any."""

    sending_application: str = "FRONTEND-AGENT"
    receiving_application: str = "REGION"
    receiving_facility: str = ""
    processing: Literal["P", "T", "D"] = "P"
    character_set: Literal["UNICODE UTF-8", "GB 18030-2000"] = "UNICODE UTF-8"
    profiles: str = ""  # a folder: ORU_R01.xml …


@dataclass(frozen=True, kw_only=True)
class QcLogConfig:
    """The quality log. What is older is dropped up to a countersigned checkpoint; six months at least, by law."""

    retention: timedelta = timedelta(days=1096)


@dataclass(frozen=True, kw_only=True)
class ReportsConfig:
    """Reports that are written by themselves, for auditors and department heads. `folder`: inside of the state directory."""

    folder: str = "reports"
    daily: bool = True  # every day, of the day before
    monthly: bool = True  # on the third of a month, of the month before
    at: str = "02:30"  # local time
    formats: tuple[Literal["xlsx", "html", "csv"], ...] = ("xlsx", "html")
    language: Literal["zh", "en"] = "zh"
    keep: timedelta = timedelta(days=400)


@dataclass(frozen=True, kw_only=True)
class SecretsConfig:
    """Where secrets are kept beside the keyring: a folder of files readable by the service alone, and what systemd-creds encrypted for
    the unit of this service. What systemd handed over is asked for first."""

    folder: str = ""
    credentials: str = "/etc/frontend-agent/credentials"
    unit: str = "frontend-agent.service"


@dataclass(frozen=True, kw_only=True)
class MayLeaveConfig:
    """One line of the list of what may leave: these classes, for these destinations (default: all)."""

    sharing: tuple[Sharing, ...]
    domains: tuple[Domain, ...] = ()  # default: all
    destinations: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """What may leave, by data class (law 9). Without a list: what is shared, public or business, for everybody."""

    may_leave: tuple[MayLeaveConfig, ...] = ()
    classes: str = ""  # a site's own table of classes, a CSV beside the national one


@dataclass(frozen=True, kw_only=True)
class WithholdConfig:
    """Records that are neither rendered nor sent: whose decision, and why. All of `when` must hold.

    `when` is field (or data element) -> beginnings (`F`), ranges of beginnings (`B20..B24`) or patterns (`*HIV*`).
    `patients` is a file of identity numbers, each as its SHA-256, or HMAC-SHA-256 by the secret named `patients_key`.
    """

    name: str
    decided_by: str
    reason: str
    when: dict[str, tuple[str, ...]] = field(default_factory=dict)
    patients: str = ""
    patients_key: str = field(default="", metadata=NAMES_A_SECRET)
    kinds: tuple[str, ...] = ()  # default: all
    feeds: tuple[str, ...] = ()  # default: all
    until: date = date.max  # the last day on which it applies


@dataclass(frozen=True, kw_only=True)
class TrustConfig:
    """Who may sign packs: the public key, 32 bytes in base64 (`rules pack key` shows it)."""

    name: str
    key: str


@dataclass(frozen=True, kw_only=True)
class PacksConfig:
    """Packs of rules. `active` and `shadow` pin what `rules pack activate` and `rules pack shadow` otherwise choose."""

    active: str = ""
    shadow: str = ""
    one_of: int = 1  # every so-manieth record is also judged by the pack in shadow
    trust: tuple[TrustConfig, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VisitsConfig:
    """Rules over a visit: by which profile they are judged, and how far back they are told anew from the sources."""

    profile: str = "regional"
    rebuild: timedelta = timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole file."""

    institution: InstitutionConfig
    sources: dict[str, SourceConfig] = field(default_factory=dict)
    destinations: dict[str, OutletConfig] = field(default_factory=dict)
    feeds: tuple[FeedConfig, ...] = ()
    state: str = ""
    workers: Count = TWO  # processes that read, check and render beside the one that keeps the spool; 0: none
    catalogues: dict[str, CatalogueConfig] = field(default_factory=dict)
    spool: SpoolConfig = field(default_factory=SpoolConfig)
    log: LogConfig = field(default_factory=LogConfig)
    secrets: SecretsConfig = field(default_factory=SecretsConfig)
    at_rest: AtRestConfig = field(default_factory=AtRestConfig)
    reports: ReportsConfig = field(default_factory=ReportsConfig)
    qc_log: QcLogConfig = field(default_factory=QcLogConfig)
    hl7: Hl7Config = field(default_factory=Hl7Config)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    withhold: tuple[WithholdConfig, ...] = ()
    packs: PacksConfig = field(default_factory=PacksConfig)
    visits: VisitsConfig = field(default_factory=VisitsConfig)
    calendar: CalendarConfig = field(default_factory=CalendarConfig)
    closing: ClosingConfig = field(default_factory=ClosingConfig)
    reconciliation: ReconciliationConfig = field(default_factory=ReconciliationConfig)
    backfill: BackfillConfig = field(default_factory=BackfillConfig)
    inlets: dict[str, InletConfig] = field(default_factory=dict)
    images: ImagesConfig = NO_IMAGES
    people: PeopleConfig = field(default_factory=PeopleConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    alarms: AlarmsConfig = DEFAULT_ALARMS
    signing: SigningConfig = field(default_factory=SigningConfig)
    console: ConsoleConfig = NO_CONSOLE
    gap: GapConfig = NO_GAP
    upgrades: UpgradesConfig = DEFAULT_UPGRADES

    @property
    def has_images(self) -> bool:
        """Whether this agent has anything to do with images: who has none loads nothing of them."""
        return bool(self.images.inlets or self.images.destinations)

    def hears(self, name: str) -> bool:
        """Whether that feed reads messages of an inlet, and no database."""
        return self.feed(name).source in self.inlets

    def feed(self, name: str) -> FeedConfig:
        """The feed of that name; an unknown one is answered with those there are."""
        for feed in self.feeds:
            if feed.name == name:
                return feed
        raise ConfigurationError(unknown("feed", name, [feed.name for feed in self.feeds]))


class ConfigurationProblems(ConfigurationError):
    """Everything wrong with one file. Its text is the first problem and how many more there are."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        more = f" (and {len(problems) - 1} more: frontend-agent check)" if len(problems) > 1 else ""
        super().__init__(problems[0] + more)


# -- Reading it -------------------------------------------------------------------------------------------------------


def load_config(path: Path) -> Config:
    """Read the file, or raise ConfigurationProblems with everything that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file (frontend-agent init writes one)") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_config(text, str(path), path.absolute().parent)


def parse_config(text: str, name: str = "agent.toml", folder: Path = Path()) -> Config:
    """The text of a configuration as a Config. Relative paths in it are meant from `folder`, the file's own."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}: not TOML: {_sentence(error)}") from None
    reader = _Reader(name, folder, table)
    config: Config | None = reader.build(Config, table, "")
    if reader.problems or config is None:
        raise ConfigurationProblems(reader.problems)
    return config


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """`unknown feed 'lab' (did you mean 'labs'? known: his, labs)`: the one way we say it."""
    names = sorted(known)
    guess = difflib.get_close_matches(word, names, 1)
    hint = f"did you mean {guess[0]!r}? " if guess else ""
    return f"unknown {what} {word!r} ({hint}known: {', '.join(names) or 'none'})"


LONGEST_NIGHT = 31  # days that are reconciled every night
DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB)\s*")
POWERS = {"B": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4}


def duration(text: object) -> timedelta:
    """`90s`, `5m`, `1.5h`, `7d`."""
    match = DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('a duration like "30s", "5m", "2h" or "7d"')
    return timedelta(seconds=float(match[1]) * UNITS[match[2]])


def size(text: object) -> Size:
    """`512 MiB`, `20 GiB`."""
    match = SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('a size like "512 MiB" or "20 GiB"')
    return Size(float(match[1]) * 1024 ** POWERS[match[2]])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text in quotes")
    return value


def _number_from(value: object, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("a whole number")
    if value < least:
        raise ValueError(f"a number from {least} up")
    return value


def _number(value: object) -> int:
    return _number_from(value, 1)


def _count(value: object) -> Count:
    return Count(_number_from(value, 0))


def _factor(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise ValueError("a number like 2.5")
    return float(value)


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _day(value: object) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("a day without quotes, like 2027-12-31")
    return value


SCALARS: dict[Any, Callable[[object], Any]] = {
    str: _text,
    int: _number,
    Count: _count,
    float: _factor,
    bool: _yes_or_no,
    Window: window,
    timedelta: duration,
    Size: size,
    date: _day,
}


# Tables of which each says by its `type` which settings it has, and the type of those that say none.
BY_TYPE: dict[type[Any], tuple[Mapping[str, type[Any]], str | None]] = {
    InletConfig: (INLETS, None),
    OutletConfig: (OUTLETS, "platform"),
    ImageInletConfig: (config_images.INLETS, None),
    ImageOutletConfig: (config_images.OUTLETS, None),
    SignerConfig: (config_signing.SIGNERS, None),
}


class _Reader:
    """Builds dataclasses from tables and keeps every problem it meets on the way."""

    def __init__(self, name: str, folder: Path, table: dict[str, Any]) -> None:
        self.name = name
        self.folder = folder
        self.problems: list[str] = []
        self._sources = _names_in(table, "sources")
        self._inlets = _names_in(table, "inlets")
        self._destinations = _names_in(table, "destinations")
        self._feeds: set[str] = set()
        self._all_feeds = _feeds_in(table)

    def build(self, cls: type[Any], table: object, place: str) -> Any:
        """An instance of `cls`, or None when something in it is wrong (and said)."""
        if not isinstance(table, dict):
            return self._wrong(place, f"expected a table [{place}]")
        before = len(self.problems)
        known = {member.metadata.get("key", member.name): member for member in fields(cls)}
        hints = get_type_hints(cls)
        for key in table:
            if key not in known:
                self._wrong(place, unknown("key", key, known))
        values: dict[str, Any] = {}
        for key, member in known.items():
            where = f"{place}.{key}" if place else key
            hint = hints[member.name]
            if key in table:
                values[member.name] = self._value(hint, table[key], where)
            elif member.default is MISSING and member.default_factory is MISSING:
                self._wrong(place, self._missing(hint, key))
        if len(self.problems) > before:
            return None
        for key in (name for of in cls.__mro__ for name in PATHS.get(of, ())):
            if values.get(key):
                always = key in ALWAYS_PATHS
                if isinstance(values[key], tuple):
                    values[key] = tuple(str(self.folder / one) for one in values[key])
                else:
                    values[key] = str(self.folder / values[key]) if always else _from_folder(values[key], self.folder)
        instance = cls(**values)
        for problem in CHECKS.get(cls, _nothing)(instance):
            self._wrong(place, problem)
        if cls is FeedConfig:
            self._names(instance, place)
        elif cls in (MayLeaveConfig, WithholdConfig, ReconciliationConfig):
            self._known(instance, place)
        elif cls is OrdersConfig and instance.source not in self._sources:
            self._wrong(f"{place}.source", unknown("source", instance.source, self._sources))
        return instance

    def _known(self, instance: Any, place: str) -> None:
        """What else names destinations or feeds."""
        for key, known in (("destinations", self._destinations), ("feeds", self._all_feeds)):
            for name in getattr(instance, key, ()):
                if name not in known:
                    self._wrong(f"{place}.{key}", unknown(key.removesuffix("s"), name, known))

    def _names(self, feed: FeedConfig, place: str) -> None:
        """A feed names a source and destinations; they must be in the file, even in one with other mistakes."""
        if feed.source not in (*self._sources, *self._inlets):
            self._wrong(f"{place}.source", unknown("source or inlet", feed.source, [*self._sources, *self._inlets]))
        for name in feed.destinations:
            if name not in self._destinations:
                self._wrong(f"{place}.destinations", unknown("destination", name, self._destinations))
        if feed.name in self._feeds:
            self._wrong(f"{place}.name", f"{feed.name!r} is used twice; a feed's name is its identity")
        self._feeds.add(feed.name)

    def _value(self, hint: Any, value: object, where: str) -> Any:
        if isinstance(hint, UnionType):  # what may be left out altogether
            hint = next(one for one in get_args(hint) if one is not NoneType)
        origin = get_origin(hint)
        if origin is dict:
            if not isinstance(value, dict):
                return self._wrong(where, f"expected tables [{where}.NAME]")
            of: Any = get_args(hint)[1]
            if of in BY_TYPE:
                return {name: self._of_type(of, item, f"{where}.{name}") for name, item in value.items()}
            if not is_dataclass(of):
                return {name: self._value(of, item, f'{where}."{name}"') for name, item in value.items()}
            return {
                name: self.build(typing.cast(type[Any], of), item, f"{where}.{name}") for name, item in value.items()
            }
        if origin is tuple:
            if not isinstance(value, list):
                return self._wrong(where, f"expected a list, not {_shown(value)}")
            return tuple(self._value(get_args(hint)[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        if origin is Literal:
            if value not in get_args(hint):
                return self._wrong(where, unknown("value", str(value), [str(word) for word in get_args(hint)]))
            return value
        if is_dataclass(hint):
            return self.build(typing.cast(type[Any], hint), value, where)
        try:
            return SCALARS[hint](value)
        except ValueError as error:
            return self._wrong(where, f"expected {error}, not {_shown(value)}")

    def _of_type(self, family: type[Any], table: object, where: str) -> Any:
        """A table whose `type` says which settings it has."""
        if not isinstance(table, dict):
            return self._wrong(where, f"expected a table [{where}]")
        types, usual = BY_TYPE[family]
        word = table.get("type", usual)
        if word is None:
            return self._wrong(where, f"missing key 'type' (one of: {', '.join(sorted(types))})")
        if word not in types:
            return self._wrong(f"{where}.type", unknown("type", str(word), types))
        return self.build(types[word], table, where)

    def _missing(self, hint: Any, key: str) -> str:
        if get_origin(hint) is dict:
            return f"missing table [{key}.NAME]"
        if get_origin(hint) is tuple:
            return f"missing table [[{key}]]"
        if is_dataclass(hint):
            return f"missing table [{key}]"
        return f"missing key {key!r}"

    def _wrong(self, place: str, sentence: str) -> None:
        self.problems.append(f"{self.name}: {place}: {sentence}" if place else f"{self.name}: {sentence}")


def _names_in(table: dict[str, Any], key: str) -> list[str]:
    return list(table[key]) if isinstance(table.get(key), dict) else []


def _feeds_in(table: dict[str, Any]) -> list[str]:
    feeds = table.get("feeds")
    return [str(feed.get("name")) for feed in feeds if isinstance(feed, dict)] if isinstance(feeds, list) else []


def _shown(value: object) -> str:
    """What was written there, short; never a whole table."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return repr(value) if len(repr(value)) <= 40 else type(value).__name__


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].lower() + text[1:]


# What may be a path, and is then meant from the file's folder, wherever the program was started.
PATHS: dict[type[Any], tuple[str, ...]] = {
    CalendarConfig: ("file",),
    CatalogueConfig: ("path",),
    SourceConfig: ("url",),
    FeedConfig: ("mapping", "profile"),
    PolicyConfig: ("classes",),
    VisitsConfig: ("profile",),
    WithholdConfig: ("patients",),
    ForeignConfig: ("certificate", "key", "ca"),
    DestinationConfig: ("certificate", "key", "ca"),
    RequestConfig: ("template",),
    PackagesOutlet: ("data_sets", "public_key"),
    TableOutlet: ("tables",),
    XdsOutlet: ("codes",),
    **config_fetchers.PATHS,
    ListenerConfig: ("certificate", "key", "client_ca"),
    **config_files.PATHS,
    **config_images.PATHS,
    **config_alarms.PATHS,
    **config_signing.PATHS,
    **config_console.PATHS,
    **config_gap.PATHS,
}
ALWAYS_PATHS = (
    "ca",
    "certificate",
    "classes",
    "client_ca",
    "codes",
    "data_sets",
    "file",
    "in_",
    "key",
    "known_hosts",
    "out",
    "path",
    "patients",
    "pkcs12",
    "public_key",
    "tables",
    "template",
    "wsdl_file",
)
SQLITE = "sqlite:///"


def _from_folder(value: str, folder: Path) -> str:
    if value.startswith(SQLITE):
        path = value.removeprefix(SQLITE)
        return SQLITE + str((folder / path).resolve()) if path else value
    if value.endswith(".toml"):  # a site's own file; anything else is the name of one that ships with us
        return str(folder / value)
    return value


# -- What no single key can be wrong about ----------------------------------------------------------------------------


def _nothing(instance: object) -> Iterable[str]:
    return ()


def _whole(config: Config) -> Iterable[str]:
    yield from config_gap.across(config.gap, config)
    if config.gap.is_outer:
        return  # it reads nothing, and has nothing of its own to say
    if not config.sources and not config.inlets and not config.images.inlets:
        yield "missing table [sources.NAME] or [inlets.NAME]"
    if not config.images.inlets or config.feeds:  # an agent may be there for images alone
        if not config.feeds:
            yield "missing table [[feeds]]"
        if not config.destinations:
            yield "missing table [destinations.NAME]"
    for name, outlet in config.destinations.items():
        for source, hospital in config.sources.items():
            if (
                isinstance(outlet, TableOutlet)
                and hospital.url
                and database_of(hospital.url) == database_of(outlet.url)
            ):
                yield f"destinations.{name}.url: this is the source {source!r}: we write into no system of the hospital"
    console = config.console
    if console.listen and not console.is_loopback and not config.people.is_configured:
        yield "console.listen is not this machine alone, and nobody could log in: name the people in [people]"
    givers = [one for one in config.people.persons if one.role == "security" and one.account]
    if console.listen and config.people.is_configured and not givers:
        yield "people.persons: no security administrator has an account of this machine: nobody could give passwords for the console"
    for name in sorted(config.sources.keys() & config.inlets.keys()):
        yield f"inlets.{name}: a source has that name, too; a feed would not know which one is meant"
    hearing = [feed.name for feed in config.feeds if feed.source in config.inlets]
    for name in sorted({*config.reconciliation.feeds} & {*hearing}):
        yield f"reconciliation.feeds: feed {name!r} hears messages: there is no database to compare with"
    for feed in config.feeds:
        if feed.name in hearing and (feed.find != "time" or feed.cron or feed.from_ or feed.days != "all"):
            yield f"feeds: {feed.name!r} hears messages, whenever they come: find, cron, from, to and days are for databases"
    for family, others, images in (
        ("inlets", {*config.sources, *config.inlets}, config.images.inlets),
        ("destinations", {*config.destinations}, config.images.destinations),
    ):
        for name in sorted(others & images.keys()):
            yield f"images.{family}.{name}: that name is used outside of images, too; `status` would not know which one is meant"
    names = [rule.name for rule in config.withhold]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"withhold: {name!r} is used twice; a rule's name is its identity"


def _institution(institution: InstitutionConfig) -> Iterable[str]:
    for key in ("id", "name", "epoch"):
        if not getattr(institution, key).strip():
            yield f"{key} is empty"
    try:
        ZoneInfo(institution.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield f"unknown timezone {institution.timezone!r} (for example Asia/Shanghai)"


def _source(source: SourceConfig) -> Iterable[str]:
    if bool(source.url) == bool(source.odbc):
        yield "needs either url or odbc"
    if source.url and "://" not in source.url:
        yield "url is not one (for example postgresql://reader@10.0.0.5/his, or sqlite:///his.db)"
    elif source.url and not source.url.startswith("sqlite") and _password_in(source.url):
        yield 'url holds a password; name it instead: secret = "…", and keep it outside this file'
    if re.search(r"(?i)\b(pwd|password)\s*=", source.odbc):
        yield 'odbc holds a password; name it instead: secret = "…", and keep it outside this file'
    for name in source.allow_functions:
        if not re.fullmatch(r"[^\s().;'\"]+(\.[^\s().;'\"]+){0,3}", name):
            yield f'allow_functions: {name!r} is no name of a function (for example "dbo.fn_age")'
    for name, digest in source.procedures.items():
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            yield f'procedures: {name!r} needs the digest of its definition, "sha256:…" (see `source procedures`)'
    if not leaves_time(source.protected):
        yield "protected leaves no minute of the day in which the source may be read"
    if source.rows_per_second < UNSAID:
        yield "rows_per_second must be 0 (not bounded) or more"
    if source.share != UNSAID and not 1 <= source.share <= 100:
        yield "share must be 1 to 100 (% of the source's time that backfill and reconciliation may take), or left out"
    for key in ("statement_timeout", "lock_timeout", "idle_timeout", "connect_timeout"):
        if not getattr(source, key):
            yield f"{key} must be longer than nothing: servers take 0 for a time-out that never comes"
    if source.slow_down and not 1 < source.slow_down < 1e6:  # nan is neither
        yield "slow_down must be more than 1 (3.0: back off when statements take three times as long), or 0 for never"
    if source.connections > 2:
        yield "connections must be 1 or 2 (the second is for backfill and reconciliation beside the real-time feeds)"


def _waiver(waiver: WaiverConfig) -> Iterable[str]:
    for key in ("who", "reason"):
        if not getattr(waiver, key).strip():
            yield f"{key} is empty: an account that can write is let be by somebody, for a reason"


def _may_leave(line: MayLeaveConfig) -> Iterable[str]:
    if "internal" in line.sharing:
        yield "sharing: what is internal never leaves; give the kind or element another class in [policy] classes"
    if not line.sharing:
        yield "sharing is empty: say which classes may leave (shared, public, business)"


def _withhold(rule: WithholdConfig) -> Iterable[str]:
    for key in ("name", "decided_by", "reason"):
        if not getattr(rule, key).strip():
            yield f"{key} is empty: what is withheld is withheld by somebody's decision, for a reason"
    if not rule.when and not rule.patients:
        yield "needs when or patients: a rule without a condition would withhold everything"
    for name, words in rule.when.items():
        if not words or not all(word.strip() for word in words):
            yield f'when."{name}": an empty list or word; say which values are meant, for example ["B20..B24"]'
    if rule.patients_key and not rule.patients:
        yield "patients_key does nothing without patients"


def _trust(trust: TrustConfig) -> Iterable[str]:
    try:
        raw = base64.b64decode(trust.key, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        yield "key is not a public key: 32 bytes in base64 (frontend-agent rules pack key FILE shows it)"


def _feed(feed: FeedConfig) -> Iterable[str]:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", feed.name):
        yield f"name {feed.name!r} may hold letters, digits, '-' and '_' only, 40 at most"
    if feed.every < timedelta(seconds=1):
        yield "every must be at least 1s"
    yield from _schedule(feed)
    if feed.start not in ("", "now"):
        try:
            if len(feed.start) != 10:
                raise ValueError
            date.fromisoformat(feed.start)
        except ValueError:
            yield f'start: {feed.start!r} is neither "now" nor a day (for example "2026-11-01")'
    if feed.start and feed.find in ("status", "compare"):
        yield f'start does nothing with find = "{feed.find}": each run comes by everything there is'


def _schedule(feed: FeedConfig) -> Iterable[str]:
    if feed.cron:
        from frontend_agent.schedules import problem_of_cron  # loads APScheduler: only who needs it waits for it

        if problem := problem_of_cron(feed.cron):
            yield f"cron = {problem}"
        for key, value in (("every", feed.every != timedelta(minutes=5)), ("from", feed.from_), ("to", feed.to)):
            if value:
                yield f"cron and {key} cannot both say when; keep one of them"
    if bool(feed.from_) != bool(feed.to):
        yield 'from and to belong together (for example from = "07:00", to = "19:00")'
    for key, value in (("from", feed.from_), ("to", feed.to)):
        try:
            if value:
                time_of_day(value)
        except ValueError as error:
            yield f"{key}: {error}"
    if feed.jitter >= feed.every:
        yield "jitter must be shorter than every"
    if feed.silence and not feed.cron and feed.silence <= feed.every:
        yield "silence must be longer than every: between two runs nothing can come, and it would always be an alarm"


def _backfill(backfill: BackfillConfig) -> Iterable[str]:
    if backfill.share > 90:
        yield "share must be at most 90: what is new needs room beside a backfill"


def _closing(closing: ClosingConfig) -> Iterable[str]:
    if closing.day > 28:
        yield "day must lie in 1..28, or 0 for none: every month has it"


def _qc_log(log: QcLogConfig) -> Iterable[str]:
    if log.retention < TERM:
        yield f'retention must be at least "{TERM.days}d": logs are kept for six months by law'


def _reports(reports: ReportsConfig) -> Iterable[str]:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", reports.at):
        yield f'at = "{reports.at}" is no time of day (for example "02:30")'
    if not reports.folder or Path(reports.folder).is_absolute() or ".." in Path(reports.folder).parts:
        yield f'folder = "{reports.folder}" must be a folder inside of the state directory (for example "reports")'
    if reports.keep < timedelta(days=1):
        yield "keep must be at least 1d"
    if not reports.formats:
        yield "formats: there is none; for no reports at all say daily = false and monthly = false"


def _secrets(secrets: SecretsConfig) -> Iterable[str]:
    if secrets.folder and not secrets.folder.startswith("/"):
        yield "folder must be an absolute path (for example /etc/frontend-agent/secrets)"
    if secrets.credentials and not secrets.credentials.startswith("/"):
        yield "credentials must be an absolute path (for example /etc/frontend-agent/credentials)"
    if not re.fullmatch(r"[A-Za-z0-9@._-]+\.service", secrets.unit):
        yield f"unit = {secrets.unit!r} is no name of a service (for example frontend-agent.service)"


def _catalogue(catalogue: CatalogueConfig) -> Iterable[str]:
    if not catalogue.path.lower().endswith((".csv", ".xlsx")):
        yield "path must be a .csv or an .xlsx file"
    if not catalogue.value_sets and not catalogue.fields:
        yield 'says for what it is neither by value_sets = ["2.16…"] nor by fields = ["drugs.code"]'
    for key in ("valid_from", "valid_to"):
        day = getattr(catalogue, key)
        try:
            if day and (len(day) != 10 or not date.fromisoformat(day)):
                raise ValueError
        except ValueError:
            yield f"{key} must be a day like 2022-01-01, not {day!r}"
    if catalogue.valid_from and catalogue.valid_to and catalogue.valid_to < catalogue.valid_from:
        yield "valid_to is before valid_from"


def _reconciliation(settings: ReconciliationConfig) -> Iterable[str]:
    if settings.at and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", settings.at):
        yield 'at must be a local time of day like "03:30", or "" for never'
    if settings.days > LONGEST_NIGHT:
        yield f"days must be at most {LONGEST_NIGHT}: frontend-agent reconcile FEED --from --to looks further back"


CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {
    CatalogueConfig: _catalogue,
    Config: _whole,
    InstitutionConfig: _institution,
    SourceConfig: _source,
    WaiverConfig: _waiver,
    **config_inlets.CHECKS,
    **config_outlets.CHECKS,
    **config_images.CHECKS,
    PeopleConfig: people_problems,
    **config_alarms.CHECKS,
    **config_signing.CHECKS,
    **config_console.CHECKS,
    GapConfig: config_gap.problems,
    **config_upgrades.CHECKS,
    SecretsConfig: _secrets,
    ReportsConfig: _reports,
    QcLogConfig: _qc_log,
    FeedConfig: _feed,
    BackfillConfig: _backfill,
    ClosingConfig: _closing,
    ReconciliationConfig: _reconciliation,
    MayLeaveConfig: _may_leave,
    WithholdConfig: _withhold,
    TrustConfig: _trust,
}


def _password_in(url: str) -> bool:
    try:
        return urlsplit(url).password is not None
    except ValueError:
        return False  # the driver will say what is wrong with it


INSTALLED_CONFIG = Path(CONFIGURATION)  # of the service that a package lays
INSTALLED_STATE = Path(STATE)


def state_folder(option: Path | None, config: Config, config_path: Path) -> Path:
    """Where the agent keeps its state: the option, what the file says, what systemd gives, or `state` beside the file."""
    if option is not None:
        return option.absolute()
    folder = config_path.absolute().parent
    if config.state:
        return (folder / config.state).absolute()
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    return INSTALLED_STATE if config_path.absolute() == INSTALLED_CONFIG else folder / DEFAULT_STATE
