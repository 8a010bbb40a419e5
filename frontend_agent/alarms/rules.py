"""The rules: from facts and limits to what is wrong now. One function for each kind, or for kinds that look at the same.

What stands already ends a little below the limit at which it began, so that a figure that moves around the limit is one alarm
and not a hundred (`EASE`); time does the rest (`turns`, `settle`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta

from frontend_agent.alarms.model import (
    CertificateFacts,
    DestinationFacts,
    Facts,
    Figure,
    Level,
    Raised,
    SourceFacts,
)
from frontend_agent.config_alarms import AlarmsConfig

EASE = 5  # percentage points
HELD_WINDOW = timedelta(hours=4)
RESTARTS_WINDOW = timedelta(hours=1)
DAY = timedelta(days=1)
GAP_CRITICAL = 4  # times the silence of the other half that is a warning
PLENTY = 50 << 30  # bytes that a disk has left: then nobody is alarmed, whatever share of it that is

Standing = Collection[tuple[str, str]]
Rule = Callable[[Facts, AlarmsConfig, Standing], Iterable[Raised]]


def judge(facts: Facts, limits: AlarmsConfig, standing: Standing = ()) -> list[Raised]:
    """Everything that is wrong now. `standing`: (kind, subject) of the alarms that have not ended."""
    return [raised for rule in RULES for raised in rule(facts, limits, standing)]


# -- The rules --------------------------------------------------------------------------------------------------------


def backlog(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """The oldest document that waits for a destination has waited for too long."""
    for one in facts.destinations:
        if one.oldest is not None:
            level = _level(facts.now - one.oldest, limits.backlog, limits.backlog_critical)
            if level:
                oldest = (facts.now - one.oldest).total_seconds()
                figures: dict[str, Figure] = {"waiting": one.waiting, "oldest": oldest, "problem": one.problem}
                yield Raised("backlog", one.name, level, one.oldest, figures)


def destination(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """A destination that cannot be reached, or takes nothing."""
    for one in facts.destinations:
        if one.failures and one.since is not None:
            level = _level(facts.now - one.since, limits.unreachable, limits.unreachable_critical)
            if level:
                yield Raised("destination", one.name, level, one.since, _away(facts.now, one))


def _away(now: datetime, one: DestinationFacts | SourceFacts) -> dict[str, Figure]:
    away = (now - one.since).total_seconds() if one.since else 0
    failures = {"failures": one.failures} if isinstance(one, DestinationFacts) else {}
    return {"away": away, "problem": one.problem, **failures}


def sources_and_inlets(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """What we read from is away. What was not asked yet since the start may be away still, but is no new alarm."""
    for kind, several in (("source", facts.sources), ("inlet", facts.inlets)):
        for one in several:
            if one.paused:
                continue
            if one.well is None:
                if (kind, one.name) in standing:
                    yield Raised(kind, one.name, Level.WARNING, facts.now, sure=False)
            elif not one.well and one.since is not None:
                level = _level(facts.now - one.since, limits.unreachable, limits.unreachable_critical)
                if level:
                    yield Raised(kind, one.name, level, one.since, _away(facts.now, one))


def feeds(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """A feed that fails for its own reasons, stands still, or has fallen silent."""
    for one in facts.feeds:
        if one.failing_since is not None:
            level = _level(facts.now - one.failing_since, limits.unreachable, limits.unreachable_critical)
            if level:
                failing = (facts.now - one.failing_since).total_seconds()
                yield Raised("feed", one.name, level, one.failing_since, {"failing": failing, "problem": one.problem})
        if one.stopped_since is not None:
            yield Raised("vanished", one.name, Level.CRITICAL, one.stopped_since, {"vanished": one.vanished})
        if one.silent_since is not None:
            silent = (facts.now - one.silent_since).total_seconds()
            yield Raised("silence", one.name, Level.WARNING, one.silent_since, {"silent": silent, "usual": one.usual})
        if one.reconciliation:
            yield Raised("reconciliation", one.name, Level.WARNING, facts.now, {"problem": one.reconciliation})


def held(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """Much of what a feed brings is held."""
    for one in facts.feeds:
        if not one.taken or one.held < limits.held_least:
            continue
        share = one.held / one.taken
        level = _share(share, limits.held, limits.held_critical, ("held", one.name) in standing)
        if level:
            figures: dict[str, Figure] = {
                "share": share,
                "held": one.held,
                "taken": one.taken,
                "window": HELD_WINDOW.total_seconds(),
            }
            yield Raised("held", one.name, level, facts.now, figures)


def refused(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """Documents that a destination did not take, and that wait for a person."""
    for one in facts.destinations:
        if not one.images and one.stuck >= limits.refused:
            yield Raised("refused", one.name, Level.WARNING, facts.now, {"stuck": one.stuck})


def unmapped(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """Local codes without a map: many, or one for long."""
    since = facts.unmapped_since
    if facts.unmapped and since is not None:
        waited = facts.now - since
        least = limits.unmapped if ("unmapped", "") not in standing else max(limits.unmapped * 9 // 10, 1)
        if facts.unmapped >= least or waited >= limits.unmapped_age:
            figures: dict[str, Figure] = {"codes": facts.unmapped, "waited": waited.total_seconds()}
            yield Raised("unmapped", "", Level.WARNING, since, figures)


def certificates(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """A certificate ends soon, is over, is not valid yet, or cannot be read."""
    for one in facts.certificates:
        level, days = _certificate(one, facts.now, limits)
        if level:
            figures: dict[str, Figure] = {"file": one.file, "problem": one.problem or _too_early(one, facts.now)}
            if one.ends is not None and days is not None:
                figures |= {"days": days, "ends": one.ends.date().isoformat()}
            yield Raised("certificate", one.name, level, facts.now, figures)


def _certificate(one: CertificateFacts, now: datetime, limits: AlarmsConfig) -> tuple[Level | None, int | None]:
    if one.ends is None or one.problem:
        return Level.CRITICAL if one.problem else None, None
    days = (one.ends - now) // DAY
    if days < limits.certificate_days_critical or _too_early(one, now):
        return Level.CRITICAL, days
    return Level.WARNING if days < limits.certificate_days else None, days


def _too_early(one: CertificateFacts, now: datetime) -> str:
    if one.begins is not None and one.begins > now:
        return f"It is valid from {one.begins:%Y-%m-%d %H:%M} UTC on: check the clock."
    return ""


def clocks(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """Our clock and a platform's differ."""
    for one in facts.destinations:
        if one.skew is not None:
            level = _level(abs(one.skew), limits.clock, limits.clock_critical)
            if level:
                yield Raised("clock", one.name, level, facts.now, {"skew": one.skew.total_seconds()})


def rooms(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """Our quotas, and the disk."""
    for one in facts.rooms:
        if one.total <= 0:
            continue
        kind, subject = ("disk", "") if one.of == "disk" else ("quota", one.of)
        warning, critical = (
            (limits.disk, limits.disk_critical) if one.of == "disk" else (limits.quota, limits.quota_critical)
        )
        if one.of == "disk" and one.total - one.used >= PLENTY:
            continue
        share = one.used / one.total
        level = _share(share, warning, critical, (kind, subject) in standing)
        if level:
            figures: dict[str, Figure] = {
                "share": share, "used": one.used, "total": one.total, "free": max(one.total - one.used, 0),
            }  # fmt: skip
            yield Raised(kind, subject, level, facts.now, figures)


def log(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """Entries of the log that nobody but we can prove."""
    if facts.log.entries and facts.log.since is not None:
        level = _level(facts.now - facts.log.since, limits.log, limits.log_critical)
        if level:
            waited = (facts.now - facts.log.since).total_seconds()
            yield Raised("log", "", level, facts.log.since, {"entries": facts.log.entries, "waited": waited})


def agent(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """The agent itself: damage, unasked ends, what was withheld too late, a pack that is over."""
    if facts.damaged:
        yield Raised("damage", "", Level.CRITICAL, facts.now, {"damaged": facts.damaged})
    killed = [at for at in facts.killed if timedelta() <= facts.now - at < RESTARTS_WINDOW]
    if len(killed) >= limits.restarts:
        window = RESTARTS_WINDOW.total_seconds()
        yield Raised("restarts", "", Level.CRITICAL, min(killed), {"killed": len(killed), "window": window})
    if facts.withheld:
        yield Raised("withheld", "", Level.WARNING, facts.now, {"records": facts.withheld})
    if facts.pack_expired:
        yield Raised("pack", "", Level.WARNING, facts.now, {"until": facts.pack_expired})


def upgrades(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """An upgrade that is offered waits for a person, came back, or is not what its maker signed."""
    one = facts.upgrade
    if one is not None:
        figures: dict[str, Figure] = {"version": one.version, "problem": one.problem}
        yield Raised("upgrade", "", Level.WARNING, one.since, figures)


def studies(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """Studies that wait for a person."""
    since = facts.stuck_studies_since
    if facts.stuck_studies and since is not None and facts.now - since >= limits.studies:
        waited = (facts.now - since).total_seconds()
        yield Raised("studies", "", Level.WARNING, since, {"stuck": facts.stuck_studies, "waited": waited})


def gap(facts: Facts, limits: AlarmsConfig, standing: Standing) -> Iterator[Raised]:
    """The line to the other half: nothing comes, nothing is taken any more, or files cannot be laid down or read."""
    one = facts.gap
    if one is None:
        return
    if one.awaited_since is not None:
        level = _level(facts.now - one.awaited_since, one.silence, GAP_CRITICAL * one.silence)
        if level:
            away = (facts.now - one.awaited_since).total_seconds()
            yield Raised("gap_silent", "", level, one.awaited_since, {"away": away, "waiting": one.waiting})
    if one.stopped:
        yield Raised("gap_stopped", "", Level.CRITICAL, one.stopped_since or facts.now, {"problem": one.stopped})
    if one.folder:
        yield Raised("gap_folder", "", Level.CRITICAL, facts.now, {"problem": one.folder})


RULES: tuple[Rule, ...] = (
    backlog,
    destination,
    sources_and_inlets,
    feeds,
    held,
    refused,
    unmapped,
    certificates,
    clocks,
    rooms,
    log,
    agent,
    upgrades,
    studies,
    gap,
)


# -- Limits -----------------------------------------------------------------------------------------------------------


def _level(length: timedelta, warning: timedelta, critical: timedelta) -> Level | None:
    if length >= critical:
        return Level.CRITICAL
    return Level.WARNING if length >= warning else None


def _share(share: float, warning: int, critical: int, stands: bool) -> Level | None:
    percent = share * 100
    if percent >= critical:
        return Level.CRITICAL
    return Level.WARNING if percent >= warning - (EASE if stands else 0) else None
