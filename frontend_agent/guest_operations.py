"""What can be asked about the sources as our hosts: see operations.py."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from frontend_agent import __version__
from frontend_agent.app import App
from frontend_agent.config import SourceConfig, duration, unknown
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.sources import told_reached
from frontend_agent.spool import SourcePause, Spool
from frontend_agent.telling import plain
from frontend_agent.usage import Baseline, Tally, Usage, percentile
from frontend_agent.windows import open_until

LONGEST = 400  # days of one report


class GuestOperations:
    """Questions and answers in plain values; part of Operations."""

    _app: App
    _spool: Spool
    _daemon: Any

    def source_list(self) -> list[dict[str, Any]]:
        """Every source, how it stands, and what it cost today."""
        paused = self._spool.guests.paused(self._app.clock())
        return [self._told_source(name, paused.get(name)) for name in self._app.config.sources]

    def source_show(self, source: str) -> dict[str, Any]:
        """One source: its terms, how it stands, today's cost, and what its statements usually take."""
        config = self._source_config(source)
        paused = self._spool.guests.paused(self._app.clock())
        self._app.guest_book.keep()
        usual = sorted(self._usual(source), key=lambda one: -one.seconds)
        return {
            **self._told_source(source, paused.get(source)),
            "terms": _told_terms(config),
            "statements": [plain(one) for one in usual],
        }

    def source_pause(self, source: str, who: str, length: str | None = None, reason: str = "") -> dict[str, Any]:
        """Leave it alone from now on: for so long (`2h`), or until `source_resume`. What runs there now is ended."""
        self._source_config(source)
        now = self._app.clock()
        try:
            until = now + duration(length) if length else None
        except (ValueError, OverflowError) as error:
            raise FrontendAgentError(f"--for: expected {error}, not {length!r}") from None
        return dict(plain(self._app.guest_book.pause(source, until, who, reason, now)))

    def source_pauses(self) -> list[dict[str, Any]]:
        """Those that hold now, for commands that open a source themselves."""
        sources = self._app.config.sources
        return [
            {
                "name": name, "until": _text(pause.until), "who": pause.who, "reason": pause.reason,
                "address": (sources[name].url or sources[name].odbc) if name in sources else None,
            }
            for name, pause in self._spool.guests.paused(self._app.clock()).items()
        ]  # fmt: skip

    def source_visited(self, source: str, hours: dict[str, Any]) -> None:
        """What a command cost it that opened it beside us, for the report."""
        self._source_config(source)
        counted = msgspec.convert(hours, dict[int, Usage], strict=False)
        self._spool.guests.keep({source: Tally(counted, {})})

    def source_resume(self, source: str, who: str) -> dict[str, Any]:
        """It may be asked again; its feeds are run at once."""
        self._source_config(source)
        was = self._app.guest_book.resume(source, who, self._app.clock())
        if was and self._daemon is not None:
            self._daemon.wake([feed.name for feed in self._app.config.feeds if feed.source == source])
        return {"source": source, "changed": was}

    def source_report(self, source: str, first: str, last: str) -> dict[str, Any]:
        """What we were as guests on some days (ISO 8601, local, both included), hour by hour."""
        config = self._source_config(source)
        zone = self._zone()
        begin, end = _midnight(first, zone), _midnight(last, zone) + timedelta(days=1)
        if not timedelta(0) < end - begin <= timedelta(days=LONGEST):
            raise FrontendAgentError(f"a report is of 1 to {LONGEST} days")
        self._app.guest_book.keep()
        hours = self._spool.guests.usage(source, begin, end)
        hospital = self._app.config.institution
        return {
            "source": source,
            "institution": f"{hospital.name} ({hospital.id})",
            "timezone": hospital.timezone,
            "first": first,
            "last": last,
            "made": self._app.clock().astimezone(zone).isoformat(timespec="seconds"),
            "version": __version__,
            "terms": _told_terms(config),
            "hours": [
                {"hour": hour.astimezone(zone).isoformat(timespec="minutes"), **plain(usage)} for hour, usage in hours
            ],
            "pauses": [_local(pause, zone) for pause in self._spool.guests.pauses(source, begin, end)],
            "statements": [plain(one) for one in self._usual(source)],
        }

    def _usual(self, source: str) -> list[Baseline]:
        """Of statements that have a name: the mapping's."""
        return [one for one in self._spool.guests.baselines(source).values() if one.query]

    def _told_source(self, name: str, pause: SourcePause | None) -> dict[str, Any]:
        now = self._app.clock()
        source, config = self._app.sources.get(name), self._app.config.sources[name]
        local = now.astimezone(self._zone())
        protected = open_until(config.protected, local)
        return {
            "name": name,
            "feeds": [feed.name for feed in self._app.config.feeds if feed.source == name],
            "state": "paused" if pause else "protected" if protected else "slow" if _is_slow(source) else "open",
            "until": _text(
                pause.until.astimezone(self._zone()) if pause and pause.until else None if pause else protected
            ),
            "who": pause.who if pause else "",
            "reason": pause.reason if pause else "",
            "share": source.guest.share if source else 1.0,
            **told_reached(self._app.remotes.get(name)),
            "today": self._today_of(name, local),
        }

    def _today_of(self, name: str, local: datetime) -> dict[str, Any]:
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        whole = Usage()
        for _, usage in self._spool.guests.usage(name, midnight, midnight + timedelta(days=1)):
            whole.add(usage)
        if source := self._app.sources.get(name):
            for usage in source.guest.fresh():
                whole.add(usage)
        return {
            **{key: getattr(whole, key) for key in ("statements", "failed", "rows", "bytes", "seconds", "slowest")},
            "slowest_query": whole.slowest_query,
            "idle_p95": percentile(whole.idle, 0.95),
            "working_p95": percentile(whole.working, 0.95),
        }

    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self._app.config.institution.timezone)

    def _source_config(self, name: str) -> SourceConfig:
        found = self._app.config.sources.get(name)
        if found is None:
            raise ConfigurationError(unknown("source", name, self._app.config.sources))
        return found


def _local(pause: SourcePause, zone: ZoneInfo) -> dict[str, Any]:
    """With its times as the wall's clock shows them."""
    times = {name: getattr(pause, name) for name in ("since", "until", "ended_at")}
    return {**plain(pause), **{name: at.astimezone(zone).isoformat() if at else None for name, at in times.items()}}


def _is_slow(source: Any) -> bool:
    return source is not None and source.guest.share < 1.0


def _told_terms(config: SourceConfig) -> dict[str, Any]:
    """What the configuration promises the hospital."""
    return {
        "connections": config.connections,
        "rows_per_second": config.most_rows,
        "bytes_per_second": int(config.bytes_per_second),
        "protected": [str(one) for one in config.protected],
        "slow_down": config.slow_down,
        "statement_timeout": config.statement_timeout.total_seconds(),
        "lock_timeout": config.lock_timeout.total_seconds(),
        "idle_timeout": config.idle_timeout.total_seconds(),
    }


def _midnight(day: str, zone: ZoneInfo) -> datetime:
    try:
        found = date.fromisoformat(day)
    except ValueError:
        raise FrontendAgentError(f"{day!r} is no day (for example 2026-03-16)") from None
    return datetime(found.year, found.month, found.day, tzinfo=zone)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="minutes") if moment else None
