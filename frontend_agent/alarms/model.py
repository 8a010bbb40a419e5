"""What an alarm is, and the facts that rules look at."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, NamedTuple

import msgspec

Figure = str | int | float
Figures = Mapping[str, Figure]


class Level(StrEnum):
    """How soon somebody must act: `warning` today, `critical` now (documents are late, or will be lost to view)."""

    WARNING = "warning"
    CRITICAL = "critical"


class Raised(msgspec.Struct, frozen=True):
    """What a rule says of the facts: this is wrong with `subject` ("" for the agent itself), since then.

    `sure` is False where nothing new is known (a source that was not asked since the start): such a word lets an alarm that
    stands go on, and begins none. `figures` are what the texts need; durations are seconds, sizes bytes.
    """

    kind: str
    subject: str
    level: Level
    since: datetime
    figures: Figures = {}
    sure: bool = True


class Alarm(msgspec.Struct, frozen=True):
    """One alarm as it is kept: number, what it is about, and when it began and ended.

    `since` is when what is wrong went wrong, `began_at` when it was told. `figures` are the newest while it stands, those of
    its end afterwards. `quiet_since`: nothing raises it any more since then; it ends when that lasted for a while.
    """

    id: int
    kind: str
    subject: str
    level: Level
    since: datetime
    began_at: datetime
    figures: Figures = {}
    ended_at: datetime | None = None
    quiet_since: datetime | None = None

    @property
    def name(self) -> tuple[str, str]:
        """What it is about: of one name at most one stands."""
        return self.kind, self.subject


Turn = Literal["begins", "worsens", "ends"]


class Change(NamedTuple):
    """What became of one alarm in one look, and what is told: it begins, becomes critical, or ends."""

    turn: Turn
    alarm: Alarm


# -- Facts ------------------------------------------------------------------------------------------------------------


class FeedFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One feed. `silent_since`: by its own limit (`silence =`) or by what its hour and weekday usually bring."""

    name: str
    failing_since: datetime | None = None  # its runs fail since then, for another reason than a source that is away
    problem: str = ""
    stopped_since: datetime | None = None  # it stands still: too many keys vanished at the source
    vanished: int = 0
    silent_since: datetime | None = None  # nothing new since then, and that is too long
    usual: float = 0.0  # records that the same hours of the same weekday usually bring; 0: its own limit speaks
    taken: int = 0  # records that came in the last while (`HELD_WINDOW`)
    held: int = 0  # of these
    reconciliation: str = ""  # what its last night says against it; empty: nothing


class SourceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A source, or an inlet that listens or asks. `well` is None while nothing was tried since the start."""

    name: str
    well: bool | None = None
    since: datetime | None = None  # when it is not well: since then
    problem: str = ""
    paused: bool = False  # a person says so, or its protected hours: nobody is alarmed


class DestinationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A destination of documents, or of images (`images`)."""

    name: str
    images: bool = False
    waiting: int = 0
    oldest: datetime | None = None  # when the oldest real-time document was made that still has to reach it
    failures: int = 0
    since: datetime | None = None  # the first of these failures
    problem: str = ""
    stuck: int = 0  # documents that it refused, or that could not be sent: they wait for a person
    skew: timedelta | None = None  # its clock less ours; None: not known


class CertificateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that we show, or trust. `ends` is the last moment at which it holds; None: it cannot be read."""

    name: str  # of what: inlets.his, destinations.platform, or its file
    file: str
    begins: datetime | None = None
    ends: datetime | None = None
    problem: str = ""


class RoomFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Room for what is kept, bytes. `of`: spool (our quota), images (their quota) or disk (the file system's)."""

    of: Literal["spool", "images", "disk"]
    used: int
    total: int


class UpgradeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An upgrade that a platform offers, where somebody must act: it waits, came back, or was not taken."""

    version: str
    state: Literal["waiting", "returned", "refused"]
    since: datetime
    problem: str = ""


class LogFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The chained log: entries that no platform has countersigned, and since when the oldest of them waits for it."""

    entries: int = 0
    since: datetime | None = None


class GapFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The line to the other half across a gap. `awaited_since`: it owes us a word since then; None: it owes none."""

    awaited_since: datetime | None = None
    silence: timedelta = timedelta(hours=1)  # so long is too long
    waiting: int = 0  # documents on their way without an answer
    missing: int = 0  # numbers of the other half's that others have overtaken
    stopped: str = ""  # why nothing is taken, here or there
    stopped_since: datetime | None = None
    folder: str = ""  # what is wrong with one of the two folders


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of an agent at one moment. What is not known is left out, and raises nothing."""

    now: datetime
    started: datetime | None = None  # of this process; None: nobody runs it
    feeds: tuple[FeedFacts, ...] = ()
    sources: tuple[SourceFacts, ...] = ()
    inlets: tuple[SourceFacts, ...] = ()
    destinations: tuple[DestinationFacts, ...] = ()
    certificates: tuple[CertificateFacts, ...] = ()
    rooms: tuple[RoomFacts, ...] = ()
    log: LogFacts = LogFacts()
    quarantine: int = 0  # records that wait for a person
    images: bool = False  # this agent has to do with images
    damaged: int = 0  # documents whose bytes cannot be read any more
    unmapped: int = 0  # local codes without a map, that records wait for
    unmapped_since: datetime | None = None
    killed: tuple[datetime, ...] = ()  # starts after an end that nobody asked for (watchdog, crash, power)
    stuck_studies: int = 0
    stuck_studies_since: datetime | None = None
    withheld: int = 0  # records of which a destination still has a version, though a rule withholds them now
    pack_expired: str = ""
    upgrade: UpgradeFacts | None = None
    gap: GapFacts | None = None  # None: this agent is one whole
