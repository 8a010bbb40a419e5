"""The alarms as a monitoring system asks for them (Nagios, Icinga, Zabbix): an exit code, one line, figures.

    FRONTEND-AGENT WARNING: 1 alarm - Backlog at platform: 120 wait, the oldest for 42 min | oldest=2520s;1800;14400;0 …

Exit codes and the form of figures are those of the Monitoring Plugins' guidelines (sections "Plugin Return Codes" and
"Performance data"): 'label'=value[unit];[warning];[critical];[least];[most].
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from frontend_agent.alarms.model import Facts
from frontend_agent.alarms.rules import GAP_CRITICAL
from frontend_agent.config_alarms import AlarmsConfig

OK, WARNING, CRITICAL, UNKNOWN = range(4)
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
NAME = "FRONTEND-AGENT"
STALE = timedelta(minutes=5)  # nobody has judged anything for longer
LINE_ENDS = str.maketrans({"|": "/", "\n": " ", "\r": " "})  # what ends a line, or begins its figures


class Figure(NamedTuple):
    """One figure, with its limits where it has any."""

    value: float
    unit: str = ""
    warning: float | None = None
    critical: float | None = None


class Verdict(NamedTuple):
    """What a monitoring system is answered. `lines`: the alarms, one a line."""

    code: int
    text: str
    lines: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        return WORDS[self.code]


def figures_of(facts: Facts, limits: AlarmsConfig) -> dict[str, Figure]:
    """The figures of an agent that are worth a curve. None of them says anything of a patient."""
    now = facts.now
    documents = [one for one in facts.destinations if not one.images]
    oldest = [(now - one.oldest).total_seconds() for one in facts.destinations if one.oldest is not None]
    found = {
        "oldest": Figure(
            max(oldest, default=0.0), "s", limits.backlog.total_seconds(), limits.backlog_critical.total_seconds()
        ),
        "waiting": Figure(sum(one.waiting for one in documents)),
        "stuck": Figure(sum(one.stuck for one in documents), "", limits.refused),
        "held": Figure(facts.quarantine),
        "unmapped": Figure(facts.unmapped, "", limits.unmapped),
        "silent": Figure(sum(one.silent_since is not None for one in facts.feeds)),
        "unreachable": Figure(
            sum(one.well is False and not one.paused for one in (*facts.sources, *facts.inlets))
            + sum(bool(one.failures) for one in facts.destinations)
        ),
        "log": Figure(
            (now - facts.log.since).total_seconds() if facts.log.since and facts.log.entries else 0.0,
            "s", limits.log.total_seconds(), limits.log_critical.total_seconds(),
        ),
    }  # fmt: skip
    if facts.images:
        found["images_waiting"] = Figure(sum(one.waiting for one in facts.destinations if one.images))
    for room in facts.rooms:
        if room.total > 0:
            warning, critical = (
                (limits.disk, limits.disk_critical) if room.of == "disk" else (limits.quota, limits.quota_critical)
            )
            found[room.of] = Figure(100 * room.used / room.total, "%", warning, critical)
    if facts.gap is not None:
        away = (now - facts.gap.awaited_since).total_seconds() if facts.gap.awaited_since else 0.0
        silence = facts.gap.silence.total_seconds()
        found["gap_silent"] = Figure(away, "s", silence, GAP_CRITICAL * silence)
        found["gap_waiting"] = Figure(facts.gap.waiting)
        found["gap_missing"] = Figure(facts.gap.missing)
    ends = [one.ends for one in facts.certificates if one.ends is not None]
    if ends:
        found["certificate_days"] = Figure((min(ends) - now).days)
    skews = [abs(one.skew) for one in facts.destinations if one.skew is not None]
    if skews:
        found["clock"] = Figure(
            max(skews).total_seconds(), "s", limits.clock.total_seconds(), limits.clock_critical.total_seconds()
        )
    return found


def verdict(told: Mapping[str, Any], language: str, now: datetime) -> Verdict:
    """From the answer to the question `alarms`."""
    if not told["running"]:
        return Verdict(CRITICAL, "the agent is not running: nothing is read, nothing is sent")
    looked = told["looked_at"]
    if looked is None or now - datetime.fromisoformat(looked) > STALE:
        return Verdict(UNKNOWN, f"alarms have not been judged since {looked or 'the start'}: see agent.log")
    alarms = [one for one in told["alarms"] if not one["muted"]]
    muted = len(told["alarms"]) - len(alarms)
    titles = tuple(one["texts"][language]["title"].translate(LINE_ENDS) for one in alarms)
    code = CRITICAL if any(one["level"] == "critical" for one in alarms) else WARNING if alarms else OK
    counted = f"{len(alarms)} alarm{'s' if len(alarms) != 1 else ''}" if alarms else "no alarm"
    beside = f" ({muted} muted)" if muted else ""
    first = f" - {titles[0]}" if titles else ""
    lines = tuple(f"{one['level'].upper()} {title}" for one, title in zip(alarms, titles, strict=True))
    return Verdict(code, counted + beside + first, lines)


def told_line(answer: Verdict, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole answer: status, figures after a bar, then the alarms."""
    curves = " ".join(_curve(name, one) for name, one in figures.items())
    first = f"{NAME} {answer.word}: {answer.text.translate(LINE_ENDS)}" + (f" | {curves}" if curves else "")
    return "\n".join([first, *(answer.lines if len(answer.lines) > 1 else ())])


def _curve(name: str, figure: Mapping[str, Any]) -> str:
    limits = (_number(figure[key]) for key in ("warning", "critical"))
    most = "100" if figure["unit"] == "%" else ""
    return f"{name}={_number(figure['value'])}{figure['unit']};{';'.join(limits)};0;{most}".rstrip(";")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}".removesuffix(".0")


def plain_figures(figures: Mapping[str, Figure]) -> dict[str, dict[str, Any]]:
    """As plain values."""
    return {name: one._asdict() for name, one in figures.items()}


def worst(levels: Iterable[str]) -> str:
    """The worst of several levels; empty: none."""
    return max(levels, key=("", "warning", "critical").index, default="")
