"""Reports by themselves: which are due, made by a process of their own, and dropped when their term is over.

A report is made by the command that a person would use, which asks the running daemon: its memory and its time are not
the daemon's, and nothing that goes wrong in it stops anything. What exists is not made again; what was missed while the
machine was off is made up for.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import NamedTuple

from frontend_agent.config import ReportsConfig
from frontend_agent.logs import event, failed, log

MADE_UP_FOR = 7  # days that are looked back for reports that were not made
MONTHLY_ON = 3  # of the next month: late documents of the month have come by then
LONGEST = 1800.0  # seconds that one report may take


class Order(NamedTuple):
    """One report to be made."""

    name: str  # of its files, without the ending
    first: date
    last: date


def due(config: ReportsConfig, now: datetime, there: set[str]) -> list[Order]:
    """What should exist by now, local time, and does not. Without a clock or a disk: `there` are the names of files."""
    hour, minute = map(int, config.at.split(":"))
    today = now.date() if now.time() >= time(hour, minute) else now.date() - timedelta(days=1)
    wanted: list[Order] = []
    if config.daily:
        for back in range(1, MADE_UP_FOR + 1):
            day = today - timedelta(days=back)
            wanted.append(Order(f"daily-{day}", day, day))
    if config.monthly:
        last = (today - timedelta(days=MONTHLY_ON - 1)).replace(day=1) - timedelta(days=1)
        wanted.append(Order(f"monthly-{last:%Y-%m}", last.replace(day=1), last))
    return [one for one in wanted if any(f"{one.name}.{form}" not in there for form in config.formats)]


def over(config: ReportsConfig, today: date, there: set[str]) -> list[str]:
    """Files of ours whose term is over; nothing else in the folder is touched."""
    found = []
    for name in there:
        kind, _, rest = name.partition("-")
        day = _day(rest[:10]) if kind == "daily" else _day(f"{rest[:7]}-28") if kind == "monthly" else None
        if day is not None and today - day > config.keep:
            found.append(name)
    return sorted(found)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


class Reporting:
    """The edge: a folder, a clock that is handed in, and child processes."""

    def __init__(self, config: ReportsConfig, state: Path, zone: tzinfo, config_path: Path) -> None:
        self._config = config
        self._state = state
        self._zone = zone
        self._config_path = config_path
        self.folder = state / config.folder
        self._child: subprocess.Popen[bytes] | None = None

    def work(self, now: datetime) -> None:
        """Make what is due, drop what is over. Never raises: a report is never worth the pipe."""
        if not (self._config.daily or self._config.monthly):
            return
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            local = now.astimezone(self._zone)
            there = {path.name for path in self.folder.iterdir()}
            for name in over(self._config, local.date(), there):
                (self.folder / name).unlink(missing_ok=True)
            for order in due(self._config, local, there):
                self._make(order)
        except Exception as error:  # noqa: BLE001  said, and tried again with the next look
            failed("report.failed", error)

    def stop(self) -> None:
        """Whatever is being made is made again after the next start."""
        if self._child is not None:
            self._child.kill()

    def _make(self, order: Order) -> None:
        code = self._run(self.command(order))
        if code:
            log.warning(event("report.failed", report=order.name, exit_code=code))
        else:
            log.info(event("report.written", report=order.name))

    def command(self, order: Order) -> Sequence[str]:
        """What a person would type."""
        files = [f"--out={self.folder / f'{order.name}.{form}'}" for form in self._config.formats]
        return [
            sys.executable, "-m", "frontend_agent.cli.main", "--config", str(self._config_path), "--state",
            str(self._state), "--lang", self._config.language, "qc", "report", "--from", str(order.first), "--to",
            str(order.last), *files,
        ]  # fmt: skip

    def _run(self, command: Sequence[str]) -> int:
        nicely = ["nice", "-n", "10"] if os.name == "posix" else []
        with subprocess.Popen([*nicely, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            self._child = child
            try:
                return child.wait(timeout=LONGEST)
            except subprocess.TimeoutExpired:
                child.kill()
                return -1
            finally:
                self._child = None
