"""How an agent says every minute that it lives, and how it stands. Figures, names and numbers: nothing of a patient (law 9).

The platform answers with its own time: so each side learns how far the clocks differ (threat C4), and the platform stamps what
it keeps by its own clock alone. What an agent of a later version says beyond this is not refused.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from frontend_agent.wire.upgrades import Offer, UpgradeBeat

MOST_FEEDS = 500
MOST_ALARMS = 200
MOST_FIGURES = 64
PATH = "/v1/heartbeat"

Named = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Short = Annotated[str, msgspec.Meta(max_length=200)]
Figures = Annotated[dict[Annotated[str, msgspec.Meta(max_length=40)], float], msgspec.Meta(max_length=MOST_FIGURES)]


class FeedBeat(msgspec.Struct, frozen=True, kw_only=True):
    """One feed: seconds since it was last asked, and since something new came from it; None where it never was."""

    name: Named
    asked: float | None = None
    new: float | None = None
    silent: bool = False
    failing: bool = False


class AlarmBeat(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm that stands there. `figures`: its numbers alone; what another program said stays where it is."""

    id: int
    kind: Named
    subject: Short
    level: Named
    since: Short
    began_at: Short
    figures: Figures = {}
    muted: bool = False


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """Who, since when, and how it stands. `figures` are those of `status --check`."""

    institution: Named
    instance: Named
    lease: Short
    at: Short  # by the agent's clock, ISO 8601
    version: Short = ""
    started: Short = ""
    figures: Figures = {}
    feeds: Annotated[list[FeedBeat], msgspec.Meta(max_length=MOST_FEEDS)] = []
    alarms: Annotated[list[AlarmBeat], msgspec.Meta(max_length=MOST_ALARMS)] = []
    machine: Short = ""  # x86_64 or aarch64, where another version could be installed; empty: nothing is to be offered
    upgrade: UpgradeBeat | None = None  # the newest one, whoever began it


class Heard(msgspec.Struct, frozen=True):
    """The platform's answer: its time, ISO 8601, and the upgrade that it offers this hospital."""

    time: str
    offer: Offer | None = None


def skew_of(heard: Heard, asked: datetime, answered: datetime) -> timedelta:
    """How far the platform's clock is ahead of ours, if its answer was made halfway between question and answer."""
    theirs = datetime.fromisoformat(heard.time)
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    return theirs - (asked + (answered - asked) / 2)
