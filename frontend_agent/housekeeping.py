"""What a running agent does by the calendar and asks no source for: months close, silence is noticed, years are missed.

Each is one look, called every so often by the daemon; each finds what it has to do in the state and the clock, so a look
that was missed, or one too many, changes nothing.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from zoneinfo import ZoneInfo

from frontend_agent.app import App
from frontend_agent.calendar import Calendar, load_calendar
from frontend_agent.closing import due, month_text
from frontend_agent.logs import event, failed, log
from frontend_agent.renewing import LOOK_EVERY, Renewing
from frontend_agent.schedules import Schedule, schedule_of
from frontend_agent.silence import turn
from frontend_agent.today import Today

SILENCE_EVERY = timedelta(minutes=1)
CLOSING_EVERY = timedelta(hours=1)
GUESTS_EVERY = timedelta(minutes=1)  # what the sources counted is written down
CALENDAR_EVERY = timedelta(hours=24)
MORNING_EVERY = timedelta(minutes=1)  # what today began with
AGENT = "frontend-agent"  # who closes a month by [closing] day

Beside = tuple[str, timedelta, Callable[[], None]]


def schedules(app: App) -> dict[str, Schedule]:
    """The times of each feed, by the institution's clock and calendar."""
    config = app.config
    zone, calendar = ZoneInfo(config.institution.timezone), load_calendar(config.calendar.file)
    return {feed.name: schedule_of(feed, zone, calendar, config.institution.id) for feed in config.feeds}


class Housekeeping:
    """The looks of one agent."""

    def __init__(self, app: App, times: Mapping[str, Schedule]) -> None:
        self._app = app
        self._times = times
        self._calendar: Calendar = next((one.calendar for one in times.values()), Calendar())
        self._zone = ZoneInfo(app.config.institution.timezone)
        self._today = Today(app)
        self._renewing = Renewing(app.state, app.clock, self._remember)

    def _remember(self, name: str, value: str) -> None:
        if (self._app.spool.meta.get(name) or "") != value:
            self._app.spool.meta.put(name, value)

    def looks(self) -> list[Beside]:
        """(name, how often, the look): for the scheduler. None of them raises."""
        looks: list[Beside] = [
            ("silence", SILENCE_EVERY, self.judge_silence),
            ("closing", CLOSING_EVERY, self.close_months),
            ("calendar", CALENDAR_EVERY, self.tell_years),
            ("guests", GUESTS_EVERY, self._app.guest_book.keep),
            ("certificates", LOOK_EVERY, self._renewing.look),
            ("morning", MORNING_EVERY, self.keep_morning),
        ]
        return [(name, every, _quietly(name, look)) for name, every, look in looks]

    def judge_silence(self) -> None:
        """Alarms about feeds from which nothing new comes begin and end."""
        now, silences = self._app.clock(), self._app.spool.silence
        for feed in self._app.config.feeds:
            standing = silences.standing(feed.name, now)
            match turn(self._times[feed.name], feed.silence, standing, now):
                case "begins":
                    silences.begin(feed.name, standing, now)
                    log.warning(
                        event("feed.silent", feed=feed.name, since=standing.new_at.isoformat(timespec="seconds"))
                    )
                case "ends":
                    silences.end(feed.name, now)
                    log.info(event("feed.silent_no_more", feed=feed.name))

    def close_months(self) -> None:
        """What [closing] day says."""
        day, now = self._app.config.closing.day, self._app.clock()
        closing = self._app.spool.closing
        for month in due(day, now.astimezone(self._zone).date(), closing.known):
            if closing.close(month, AGENT, f"[closing] day = {day}", now):
                log.info(event("closing.closed", month=month_text(month)))

    def keep_morning(self) -> None:
        """What the tallies were when the day began."""
        self._today.keep()

    def tell_years(self) -> None:
        """Years that the calendar's file does not cover are told a month before they begin."""
        today = self._app.clock().astimezone(self._zone).date()
        for year in self._calendar.uncovered(today):
            log.warning(event("calendar.uncovered", year=year, file=self._calendar.file))


def _quietly(name: str, look: Callable[[], None]) -> Callable[[], None]:
    def quiet() -> None:
        try:
            look()
        except Exception as error:  # noqa: BLE001 - said, and tried again with the next look; the feeds go on
            failed(f"{name}.failed", error)

    return quiet
