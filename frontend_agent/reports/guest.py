"""The guest report: what one source had to bear from us, for the hospital's IT and the vendor of its system.

Built of what the operation `source_report` answers. Every figure is one that we measured ourselves, but those under "told by
the source itself". Nothing of a patient is in it: statements are named as the mapping names them, never with their values.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from frontend_agent.reports.report import Cell, Chart, Column, Kind, Report, Table
from frontend_agent.reports.texts import Texts
from frontend_agent.usage import Usage, percentile

MIB = 1 << 20

Line = tuple[str, Usage]  # a day or an hour, and what it came to

# What every line says, in this order: (name, kind, value)
LINE: tuple[tuple[str, Kind, Any], ...] = (
    ("statements", "count", lambda usage: usage.statements),
    ("failed", "count", lambda usage: usage.failed),
    ("rows", "count", lambda usage: usage.rows),
    ("mib", "hours", lambda usage: usage.bytes / MIB),
    ("seconds", "hours", lambda usage: usage.seconds),
    ("slowest", "hours", lambda usage: usage.slowest if usage.statements else None),
    ("slowest_query", "text", lambda usage: usage.slowest_query),
    ("logins", "count", lambda usage: usage.logins),
    ("sessions", "count", lambda usage: usage.sessions),
    ("idle_p50", "hours", lambda usage: _milliseconds(usage.idle, 0.5)),
    ("idle_p95", "hours", lambda usage: _milliseconds(usage.idle, 0.95)),
    ("working_p50", "hours", lambda usage: _milliseconds(usage.working, 0.5)),
    ("working_p95", "hours", lambda usage: _milliseconds(usage.working, 0.95)),
    ("put_off", "count", lambda usage: usage.put_off),
    ("back_offs", "count", lambda usage: usage.back_offs),
    ("waited", "hours", lambda usage: usage.waited),
)


def build(told: Mapping[str, Any], t: Texts) -> Report:
    """The report in one language."""
    hours = [(hour["hour"], _usage(hour)) for hour in told["hours"]]
    whole = _sum(usage for _, usage in hours)
    return Report(
        title=t("guest.title", source=told["source"]),
        language=t.language,
        about=_about(told, t),
        tables=[
            _summary(told, whole, t),
            _lines("days", _by_day(hours), t),
            _lines("hours", [(hour[:16].replace("T", " "), usage) for hour, usage in hours], t),
            _pauses(told["pauses"], t),
            _statements(told["statements"], t),
        ],
        charts=_charts(_by_day(hours), t) if whole.statements else (),
        charts_title=t("sheet.charts"),
        notes=[t(f"guest.note.{name}") for name in ("measured", "bytes", "latency", "windows", "server")],
        cards=[
            (t("guest.statements"), f"{whole.statements:,}"),
            (t("guest.rows"), f"{whole.rows:,}"),
            (t("guest.seconds"), f"{whole.seconds:,.1f}"),
            (t("guest.slowest"), f"{whole.slowest:,.2f}"),
        ],
    )


def summarised(told: Mapping[str, Any]) -> dict[str, Any]:
    """For programs: what was answered, and the sum of it."""
    whole = _sum(_usage(hour) for hour in told["hours"])
    values = {name: value(whole) for name, _, value in LINE}
    return {**told, "total": {**values, "server": whole.server}}


def _about(told: Mapping[str, Any], t: Texts) -> list[tuple[str, str]]:
    terms = told["terms"]
    unbounded = t("guest.unbounded")
    rate = f"{terms['rows_per_second']:,}" if terms["rows_per_second"] else unbounded
    size = f"{terms['bytes_per_second'] / MIB:,.0f} MiB" if terms["bytes_per_second"] else unbounded
    return [
        (t("about.institution"), told["institution"]),
        (t("guest.source"), told["source"]),
        (t("guest.period"), told["first"] if told["first"] == told["last"] else f"{told['first']} – {told['last']}"),
        (t("guest.connections"), str(terms["connections"])),
        (t("guest.budget"), t("guest.budget_is", rows=rate, size=size)),
        (t("guest.protected"), ", ".join(terms["protected"]) or t("guest.none")),
        (t("guest.slow_down"), f"× {terms['slow_down']:g}" if terms["slow_down"] else t("guest.never")),
        (
            t("guest.timeouts"),
            t(
                "guest.timeouts_are",
                **{name: f"{terms[f'{name}_timeout']:g}" for name in ("statement", "lock", "idle")},
            ),
        ),
        (t("about.made"), told["made"].replace("T", " ")),
        (t("about.timezone"), told["timezone"]),
        (t("about.version"), told["version"]),
    ]


def _summary(told: Mapping[str, Any], whole: Usage, t: Texts) -> Table:
    rows: list[tuple[str, Cell]] = [(t(f"guest.{name}"), value(whole)) for name, _, value in LINE]
    rows += [
        (t("guest.at_the_source"), whole.seconds / (86400 * _days(told)) * 100),
        (t("guest.pauses"), len(told["pauses"])),
    ]
    rows += [(t("guest.server", name=name), value) for name, value in sorted(whole.server.items())]
    return Table(
        "base",
        t("guest.sheet.summary"),
        (Column(t("guest.figure"), width=44), Column(t("guest.value"), "hours", 18)),
        rows,
    )


def _lines(name: str, lines: Iterable[Line], t: Texts) -> Table:
    columns = [Column(t(f"guest.{name}"), width=18), *(Column(t(f"guest.{key}"), kind, 14) for key, kind, _ in LINE)]
    return Table(
        name,
        t(f"guest.sheet.{name}"),
        columns,
        [(when, *(value(usage) for _, _, value in LINE)) for when, usage in lines],
    )


def _pauses(pauses: Sequence[Mapping[str, Any]], t: Texts) -> Table:
    columns = [Column(t(f"guest.{name}"), width=22) for name in ("since", "until", "who", "reason", "ended_by")]
    rows = [
        (
            _minute(pause["since"]), _minute(pause["ended_at"] or pause["until"]) or t("guest.still"), pause["who"],
            pause["reason"], pause["ended_by"],
        )
        for pause in pauses
    ]  # fmt: skip
    return Table("pauses", t("guest.sheet.pauses"), columns, rows)


def _statements(statements: Sequence[Mapping[str, Any]], t: Texts) -> Table:
    """The slowest of the shapes of each statement's name: what it usually takes."""
    slowest: dict[str, Mapping[str, Any]] = {}
    for one in statements:
        known = slowest.get(one["query"])
        if known is None or one["seconds"] > known["seconds"]:
            slowest[one["query"]] = one
    columns = (
        Column(t("guest.query"), width=24), Column(t("guest.usual"), "hours", 18), Column(t("guest.scatter"), "hours", 18),
    )  # fmt: skip
    rows = [
        (name, one["seconds"] * 1000, one["scatter"] * 1000)
        for name, one in sorted(slowest.items(), key=lambda item: -item[1]["seconds"])
    ]
    return Table("statements", t("guest.sheet.statements"), columns, rows)


def _charts(days: Sequence[Line], t: Texts) -> list[Chart]:
    labels = [day for day, _ in days]
    return [
        Chart("time", t("guest.chart.seconds"), labels, [(t("guest.seconds"), [usage.seconds for _, usage in days])]),
        Chart(
            "latency",
            t("guest.chart.latency"),
            labels,
            [
                (t("guest.idle_p95"), [_milliseconds(usage.idle, 0.95) for _, usage in days]),
                (t("guest.working_p95"), [_milliseconds(usage.working, 0.95) for _, usage in days]),
            ],
        ),
    ]


def _usage(hour: Mapping[str, Any]) -> Usage:
    # Numbers that were keys came over the control socket as text.
    return msgspec.convert({name: value for name, value in hour.items() if name != "hour"}, Usage, strict=False)


def _sum(usages: Iterable[Usage]) -> Usage:
    whole = Usage()
    for usage in usages:
        whole.add(usage)
    return whole


def _by_day(hours: Sequence[Line]) -> list[Line]:
    days: dict[str, Usage] = {}
    for hour, usage in hours:
        days.setdefault(hour[:10], Usage()).add(usage)
    return list(days.items())


def _days(told: Mapping[str, Any]) -> int:
    return (date.fromisoformat(told["last"]) - date.fromisoformat(told["first"])).days + 1


def _milliseconds(counted: Mapping[int, int], share: float) -> float | None:
    found = percentile(counted, share)
    return None if found is None else found * 1000


def _minute(moment: str | None) -> str | None:
    return datetime.fromisoformat(moment).isoformat(" ", timespec="minutes") if moment else None
