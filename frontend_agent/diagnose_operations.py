"""What a support bundle is made of, asked of a running agent or of its state: see `operations.py`, which this is a part of."""

import os
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import msgspec

from frontend_agent import __version__
from frontend_agent.diagnosis import Part, as_text, causes, masked, newest_lines
from frontend_agent.errors import FrontendAgentError
from frontend_agent.logs import FILE, failed
from frontend_agent.telling import plain

LOG_CHARACTERS = 1 << 20  # of each file of the log
LOG_FILES = 3
LOG_ENTRIES = 2000  # of the quality log, counted by event


class DiagnoseOperations:
    """Each public method is a question that can be asked by its name."""

    _app: Any
    _spool: Any
    status: Callable[[], dict[str, Any]]
    quarantine_groups: Callable[[], dict[str, Any]]

    def diagnosis(self) -> Iterator[dict[str, Any]]:
        """The parts of a support bundle, one after another. What cannot be told is told to be so, and the rest goes on."""
        told: tuple[tuple[str, str, Callable[[], Any]], ...] = (
            (
                "configuration.json",
                "agent.toml as it was understood; accounts, passwords and people's names left out",
                self._configured,
            ),
            ("status.json", "what `frontend-agent status --json` says", self._status_told),
            (
                "counts.json",
                "what waits for a person by cause, and how often each rule spoke; no keys, no values",
                self._counted,
            ),
            ("plans.json", "which mapping, profile and statements each feed uses, by their digests", self._plans),
            ("schema.json", "the state: schema, tables, rows, bytes", self._schema_told),
            (
                "quality-log.json",
                "the newest entries of the quality log by event, and up to where it is proven",
                self._logged,
            ),
        )
        for name, about, make in told:
            yield plain(Part(name, about, _text_of(make)))
        yield from map(plain, log_parts(self._app.state))

    def _configured(self) -> Any:
        return masked(self._app.config)

    def _status_told(self) -> Any:
        return masked(self.status())

    def _counted(self) -> Any:
        rules = [
            {"feed": feed, "rule": rule, "severity": severity, "field": field, "count": count}
            for feed, rule, severity, field, count in self._spool.rules()
        ]
        return {
            "causes": causes(self.quarantine_groups()["groups"]),
            "rules": rules,
            "steps": plain(self._app.times.snapshot()),
        }

    def _plans(self) -> Any:
        if not self._app.feeds:  # asked without a daemon: nothing is compiled
            return [
                {"feed": one.name, "mapping": one.mapping, "profile": one.profile} for one in self._app.config.feeds
            ]
        return [
            {"feed": name, "kind": feed.kind.code, "mapping": feed.config.mapping, "profile": feed.config.profile,
             "destinations": list(feed.plan.destinations), "digests": feed.plan.digests}
            for name, feed in self._app.feeds.items()
        ]  # fmt: skip

    def _schema_told(self) -> Any:
        return self._spool.shape()

    def _logged(self) -> Any:
        entries = [msgspec.json.decode(entry.body) for entry in self._spool.log_newest(LOG_ENTRIES)]
        heads = self._spool.heads()
        return {
            "newest": self._spool.log_head()[0],
            "countersigned": heads[-1].seq if heads else 0,
            "events": dict(Counter(str(one.get("event")) for one in entries).most_common()),
            "acts": dict(Counter(str(one.get("act")) for one in entries if one.get("act")).most_common()),
        }


def _text_of(make: Callable[[], Any]) -> str:
    try:
        return as_text(make())
    except FrontendAgentError as error:
        return f"not to be had: {error}\n"
    except Exception as error:  # noqa: BLE001 - the agent is ill: whatever else can be told is what a bundle is for
        return f"not to be had: {failed('diagnose.failed', error)}\n"


def log_parts(state: Path) -> Iterator[Part]:
    """The newest of the program's own log: past facts with identifiers (law 9)."""
    for name in [FILE, *(f"{FILE}.{number}" for number in range(1, LOG_FILES))]:
        try:
            with (state / name).open("rb") as file:
                file.seek(max((state / name).stat().st_size - 4 * LOG_CHARACTERS, 0))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            continue
        yield Part(name, "the program's own log: events and identifiers", newest_lines(text, LOG_CHARACTERS))


def system_parts(state: Path) -> Iterator[Part]:
    """Versions, and the machine: asked of nobody, so that they are there when nothing else is."""
    packages = {one.metadata["Name"]: one.version for one in distributions()}
    versions = {
        "frontend-agent": __version__, "python": sys.version, "executable": sys.executable,
        "libc": " ".join(platform.libc_ver()), "packages": dict(sorted(packages.items())),
    }  # fmt: skip
    yield Part("versions.json", "the program, its interpreter and its libraries", as_text(versions))
    yield Part("system.json", "the machine: kernel, processors, memory, disk, limits", as_text(_machine(state)))


def _machine(state: Path) -> dict[str, Any]:
    machine: dict[str, Any] = {
        "system": platform.system(), "release": platform.release(), "machine": platform.machine(),
        "os": _first_lines("/etc/os-release"), "processors": os.cpu_count(),
        "memory": _first_lines("/proc/meminfo", 3), "load": _first_lines("/proc/loadavg", 1),
        "ip_forward": _first_lines("/proc/sys/net/ipv4/ip_forward", 1), "limits": _first_lines("/proc/self/limits", 20),
        "interfaces": sorted(os.listdir("/sys/class/net")) if Path("/sys/class/net").is_dir() else [],
        "account": f"{os.geteuid()}" if hasattr(os, "geteuid") else "",
        "systemd": Path("/run/systemd/system").is_dir(),
    }  # fmt: skip
    folder = state if state.is_dir() else state.absolute().parent
    if hasattr(os, "statvfs") and folder.is_dir():
        disk = os.statvfs(folder)
        machine["disk"] = {
            "bytes": disk.f_blocks * disk.f_frsize,
            "free": disk.f_bavail * disk.f_frsize,
            "inodes_free": disk.f_favail,
        }
    return machine


def _first_lines(path: str, most: int = 12) -> list[str]:
    try:
        return Path(path).read_text("utf-8", "replace").splitlines()[:most]
    except OSError:
        return []
