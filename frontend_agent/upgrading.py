"""Another version of the program, and back again (threats U2, U3).

    /opt/frontend-agent/versions/VERSION   a whole program; it never changes after it has its name
    /opt/frontend-agent/current            the one that runs: one rename decides
    /opt/frontend-agent/watching           the one that watches a trial: the version before, which is known to work
    /opt/frontend-agent/trial.json         a trial under way; written whole or not at all
    /opt/frontend-agent/upgrades.jsonl     what became of each
    /opt/frontend-agent/.offered           a copy of what was fetched for us, while it is verified and unpacked

An upgrade is a trial. `stage` verifies and unpacks, `begin` writes the trial down, and from then on `Watch` (a unit of its own, run by
the version before) does every step that is left, each of which may be done twice: switch, restart, look for ten minutes whether all
that worked before works again, confirm or go back. Killed anywhere, the next start of the watch goes on from what is written.
"""

import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from frontend_agent import program
from frontend_agent.errors import FrontendAgentError
from frontend_agent.machine import sync_folder
from frontend_agent.wire.upgrades import LARGEST, is_newer

TRIAL, HISTORY = "trial.json", "upgrades.jsonl"
WATCH_UNIT = "frontend-agent-watch.service"
UNITS = ("frontend-agent.service", "frontend-platform.service")
LOOK_EVERY = 5.0  # seconds
WATCH_FOR = 600.0  # seconds that a new version is watched
NO_ANSWER = 120.0  # seconds without an answer of a started agent: it may be bringing a large state up to date
RESTARTS = 3  # of the service by itself within a trial: then it does not work
GRACE = 60.0  # seconds at the end in which what does not work just then may come again: a platform begins anew, too
OFFERED, READY = "upgrades/offered.tar.zst", "upgrades/ready"  # beneath the agent's state (spool/offered.py)
SPARE = 1.2  # times what is unpacked has to be free on the disk

Phase = Literal["staged", "trial", "returning"]


class UpgradeProblem(FrontendAgentError):
    """This upgrade or return cannot be made. Nothing has changed."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is being tried. Times are ISO 8601, UTC."""

    version: str  # the new one
    before: str  # the one to go back to
    phase: Phase = "staged"
    who: str = ""
    began: str = ""
    reason: str = ""  # of a return
    watch_for: float = WATCH_FOR
    units: tuple[str, ...] = ()  # those that ran: the others are not started by an upgrade
    worked: tuple[str, ...] = ()  # what worked before, in the words of `working`
    restarts: Mapping[str, int] = field(default_factory=dict)  # unit -> how often systemd had begun it again by then


class Services(Protocol):
    """What is asked of systemd and of a running agent."""

    def restart(self, unit: str) -> None: ...
    def state(self, unit: str) -> tuple[str, int]:
        """Its ActiveState, and how often systemd has begun it again."""

    def status(self) -> Mapping[str, Any] | None:
        """What `status` says; None: no answer."""


# -- Versions on the disk ---------------------------------------------------------------------------------------------


def current_version(home: Path = program.HOME) -> str:
    """The version that `current` leads to; "" for none."""
    try:
        return Path(os.readlink(home / "current")).name
    except OSError:
        return ""


def versions(home: Path = program.HOME) -> list[str]:
    """Whole programs on this machine, the newest written first."""
    found = [one for one in (home / "versions").glob("*") if (one / program.MANIFEST).is_file() and one.name[0] != "."]
    return [one.name for one in sorted(found, key=lambda one: one.stat().st_mtime, reverse=True)]


def point(home: Path, link: str, version: str) -> None:
    """Let `link` lead to a version: one rename, durable when this returns."""
    new = home / f".{link}.new"
    new.unlink(missing_ok=True)
    new.symlink_to(Path("versions") / version)
    new.replace(home / link)
    sync_folder(home)


def stage(
    archive: Path,
    keys: program.Keys,
    home: Path = program.HOME,
    accept: Callable[[program.Manifest], object] = lambda manifest: None,
) -> str:
    """Unpack an archive that holds what was signed; its version. Until the last rename there is nothing but a folder with a dot.

    `accept` raises what else speaks against it."""
    manifest = program.verify_archive(archive, keys)
    accept(manifest)
    machine = platform.machine()
    if manifest.machine != machine:
        raise UpgradeProblem(
            f"{archive}: made for {manifest.machine}; this machine is {machine}: take the file that is made for it"
        )
    target = home / "versions" / manifest.version
    if manifest.version == current_version(home):
        raise UpgradeProblem(f"{manifest.version} is what runs already")
    if target.exists():
        with suppress(program.NotTheProgram):
            program.verify_folder(target, keys)
            return manifest.version
        shutil.rmtree(target)  # it is not what runs, and not what was signed
    _must_fit(home, sum(one.size for one in manifest.files.values()), archive)
    part = home / "versions" / f".{manifest.version}.part"
    shutil.rmtree(part, ignore_errors=True)
    _unpack(archive, part)
    program.verify_folder(part, keys)  # as it came back from the disk
    part.rename(target)
    sync_folder(target.parent)
    return manifest.version


def _must_fit(home: Path, size: int, archive: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < size * SPARE:
        raise UpgradeProblem(
            f"{home}: {free >> 20} MB are free, {archive.name} needs {int(size * SPARE) >> 20} MB: make room, then again"
        )


def _unpack(archive: Path, folder: Path) -> None:
    """Every file and every folder on the disk, contents and names."""
    folder.mkdir(mode=0o755)
    with program.opened(archive) as (_, content, members):
        _write(folder / program.MANIFEST, [content], 0o644)
        for path, file, data in members:
            target = folder / path
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            _write(target, iter(lambda data=data: data.read(1 << 20), b""), 0o755 if file.runs else 0o644)  # type: ignore[misc]
    for one, _, _ in os.walk(folder, topdown=False):
        sync_folder(Path(one))


def _write(path: Path, blocks: Any, mode: int) -> None:
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
        for block in blocks:
            file.write(block)
        file.flush()
        if sys.platform != "win32":
            os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def drop_older(home: Path, keep: set[str]) -> list[str]:
    """Versions that an upgrade laid and nobody goes back to any more. What a package manager laid is his to take away."""
    laid = {one["version"] for one in history(home)} - {*keep, current_version(home)}
    gone = [one for one in sorted(laid) if (home / "versions" / one).is_dir()]
    for version in gone:
        shutil.rmtree(home / "versions" / version, ignore_errors=True)
    return gone


# -- What was fetched for us ------------------------------------------------------------------------------------------


@contextmanager
def taken_offered(state: Path, home: Path = program.HOME) -> Iterator[Path]:
    """A copy of the file that the agent fetched, where nobody but root can change it while it is verified and unpacked.

    The agent's account owns the folder, so it is believed nothing of: a link, a pipe or a file without end is refused.
    """
    source, copy = state / OFFERED, home / ".offered"
    if sys.platform == "win32":
        raise UpgradeProblem("versions side by side are for Linux alone")
    try:
        handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise UpgradeProblem(f"{source}: nothing that was offered waits here ({error.strerror})") from None
    with open(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_size > LARGEST:
            raise UpgradeProblem(f"{source}: this is no file that was fetched")
        if shutil.disk_usage(home).free < about.st_size * SPARE:
            raise UpgradeProblem(
                f"{home}: no room for a copy of {source} ({about.st_size >> 20} MB): make room, then again"
            )
        copy.unlink(missing_ok=True)
        try:
            with open(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as target:
                shutil.copyfileobj(file, target, 1 << 20)
            yield copy
        finally:
            copy.unlink(missing_ok=True)


def consume_request(state: Path) -> bool:
    """Take the agent's word that an installation is due, so that it is one word; whether there was one."""
    if sys.platform == "win32":
        return False
    try:
        folder = os.open((state / READY).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        os.unlink(Path(READY).name, dir_fd=folder)
    except OSError:
        return False
    finally:
        os.close(folder)
    return True


def newest_of(found: Iterable[str]) -> str:
    """The newest of these versions; "" where none of them is one."""
    newest = ""
    for version in found:
        if is_newer(version, newest):
            newest = version
    return newest


def had(home: Path = program.HOME) -> list[str]:
    """Versions that ran on this machine, as far as it is written down: no offer leads behind the newest of them."""
    return [current_version(home), *(one["version"] for one in history(home) if one["outcome"] != "refused")]


def must_lead_on(manifest: program.Manifest, home: Path = program.HOME, again: bool = False) -> None:
    """UpgradeProblem: what was offered is older than what this machine has had (threat U3: an old offer again).

    `again`: a person wants one that was taken back here; by itself it is not tried twice.
    """
    newest = newest_of(had(home))
    if not (is_newer(manifest.version, newest) or (again and manifest.version == newest)):
        raise UpgradeProblem(
            f"{manifest.version} was offered, and this machine has had {newest}: an offer never leads back. "
            "Who wants it all the same brings the file: frontend-agent upgrade install FILE"
        )


def note_refused(home: Path, version: str, who: str, reason: str) -> None:
    """Into the history: it was to be installed, and nothing was changed."""
    _into_history(home, {"at": _now(), "version": version, "before": current_version(home), "outcome": "refused", "reason": reason, "who": who})  # fmt: skip


# -- The trial on the disk --------------------------------------------------------------------------------------------


def read_trial(home: Path = program.HOME) -> Trial | None:
    try:
        told = json.loads((home / TRIAL).read_text("utf-8"))
    except FileNotFoundError:
        return None
    return Trial(**{**told, "units": tuple(told["units"]), "worked": tuple(told["worked"])})


def write_trial(home: Path, trial: Trial) -> None:
    """Whole, or as it was before."""
    part = home / f".{TRIAL}.new"
    part.unlink(missing_ok=True)
    _write(part, [json.dumps(asdict(trial), ensure_ascii=False).encode()], 0o644)
    part.replace(home / TRIAL)
    sync_folder(home)


def end_trial(home: Path, trial: Trial, outcome: str, reason: str = "") -> None:
    """Into the history, then no trial any more. Ended twice it stands there twice: better than not at all."""
    line = {
        "at": _now(), "version": trial.version, "before": trial.before, "outcome": outcome, "reason": reason, "who": trial.who,
    }  # fmt: skip
    _into_history(home, line)
    (home / TRIAL).unlink(missing_ok=True)
    sync_folder(home)


def _into_history(home: Path, line: Mapping[str, str]) -> None:
    with open(os.open(home / HISTORY, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644), "ab") as file:
        file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def history(home: Path = program.HOME) -> list[dict[str, str]]:
    """What became of each, the newest first. A line that was torn by a power cut is not told."""
    try:
        lines = (home / HISTORY).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found[::-1]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


# -- Does it work? Pure -----------------------------------------------------------------------------------------------


def working(status: Mapping[str, Any], since: str = "") -> set[str]:
    """What works, as `status` says: feeds whose last run (after `since`) had no problem, destinations without one."""
    found = {"agent"}
    for feed in status["feeds"]:
        run = feed.get("last_run")
        if run and not run.get("problem") and str(run.get("ended_at") or run.get("started_at") or "") >= since:
            found.add(f"feed {feed['name']}")
    found |= {f"destination {one['name']}" for one in status["destinations"] if not one["problem"]}
    return found


def verdict(
    trial: Trial, states: Mapping[str, tuple[str, int]], works: set[str] | None, silent: float, watched: float
) -> str | None:
    """ "" = it works, a sentence = go back and why, None = not known yet. Seconds: without an answer, and since the switch."""
    for unit, (state, restarts) in states.items():
        if state == "failed":
            return f"{unit} does not start"
        if restarts - trial.restarts.get(unit, 0) >= RESTARTS:
            return f"{unit} was begun again {restarts - trial.restarts.get(unit, 0)} times"
    if silent > NO_ANSWER:
        return f"the agent has not answered for {int(silent)} s"
    if watched < trial.watch_for:
        return None
    if works is None:
        return None  # it does not answer just now; for how long was looked at above
    missing = sorted(set(trial.worked) - works)
    if missing and watched < trial.watch_for + GRACE:
        return None
    if missing:
        return f"what worked before does not work any more: {', '.join(missing)}"
    return "" if all(state == "active" for state, _ in states.values()) else "a service is not running"


_VERDICT = re.compile(
    r"[\w.-]+\.service (does not start|was begun again \d+ times)|the agent has not answered for \d+ s|a service is not running"
    r"|what worked before does not work any more: (agent|(feed|destination) [\w.-]+)(, (agent|(feed|destination) [\w.-]+))*"
)


def is_verdict(reason: str) -> bool:
    """Whether the watch says so, in words of `verdict`: a person's reason stays in the hospital."""
    return _VERDICT.fullmatch(reason) is not None


# -- Steps ------------------------------------------------------------------------------------------------------------


def begin(home: Path, version: str, who: str, services: Services, watch_for: float = WATCH_FOR) -> Trial:
    """Write down what is tried. Nothing runs differently yet; from here on the watch does it all."""
    if (running := read_trial(home)) is not None:
        raise UpgradeProblem(
            f"{running.version} is being tried since {running.began}: frontend-agent upgrade confirm, or rollback"
        )
    before = current_version(home)
    units = running_units(services)
    status = services.status() if UNITS[0] in units else None
    trial = Trial(
        version=version, before=before, who=who, began=_now(), watch_for=watch_for, units=units,
        worked=tuple(sorted(working(status))) if status else (),
    )  # fmt: skip
    point(home, "watching", before or version)
    write_trial(home, trial)
    return trial


def running_units(services: Services) -> tuple[str, ...]:
    """Those that run, or should: what was stopped by a person stays stopped."""
    return tuple(unit for unit in UNITS if services.state(unit)[0] in ("active", "activating", "failed", "reloading"))


class Watch:
    """Everything after `begin`. Each step is written before the next is taken, and may be taken again."""

    def __init__(
        self,
        home: Path,
        services: Services,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        say: Callable[[str, dict[str, str]], object] = lambda name, fields: None,
    ) -> None:
        self._home, self._services, self._clock, self._sleep, self._say = home, services, clock, sleep, say

    def run(self) -> str:
        """How it ended: confirmed, returned, or nothing (there was no trial)."""
        trial = read_trial(self._home)
        if trial is None:
            return ""
        if trial.phase == "returning":
            return self._return(trial, trial.reason)
        if trial.phase == "staged":
            point(self._home, "current", trial.version)
            restarts = {unit: self._services.state(unit)[1] for unit in trial.units}
            trial = replace(trial, phase="trial", restarts=restarts)
            write_trial(self._home, trial)
        self._say("upgrade.trial", {"version": trial.version, "before": trial.before})
        self._restart(trial)
        return self._judge(trial)

    def _judge(self, trial: Trial) -> str:
        since, began = _now(), self._clock()
        heard = began
        works: set[str] = set()
        while True:
            asked = read_trial(self._home)
            if asked is None:
                return "confirmed"  # by a person
            if asked.phase == "returning":
                return self._return(asked, asked.reason)
            status = self._services.status() if UNITS[0] in trial.units else {"feeds": [], "destinations": []}
            now = self._clock()
            if status is not None:
                heard = now
                works |= {one for one in working(status, since) if one.startswith("feed ")}
            standing = (
                None if status is None else works | {one for one in working(status) if not one.startswith("feed ")}
            )
            states = {unit: self._services.state(unit) for unit in trial.units}
            told = verdict(trial, states, standing, now - heard, now - began)
            if told == "":
                end_trial(self._home, trial, "confirmed")
                drop_older(self._home, {trial.version, trial.before})
                return "confirmed"
            if told:
                return self._return(trial, told)
            self._sleep(LOOK_EVERY)

    def _return(self, trial: Trial, reason: str) -> str:
        self._say("upgrade.returned", {"version": trial.version, "before": trial.before, "reason": reason})
        write_trial(self._home, replace(trial, phase="returning", reason=reason))
        point(self._home, "current", trial.before)
        self._restart(trial)
        end_trial(self._home, trial, "returned", reason)
        return "returned"

    def _restart(self, trial: Trial) -> None:
        for unit in trial.units:
            self._services.restart(unit)


def confirm(home: Path, who: str) -> Trial:
    """A person says that it works: no more is watched."""
    trial = read_trial(home)
    if trial is None:
        raise UpgradeProblem("nothing is being tried")
    if trial.phase != "trial":
        raise UpgradeProblem(f"{trial.version} does not run yet, or is being taken back: frontend-agent upgrade status")
    end_trial(home, replace(trial, who=who), "confirmed", "by a person")
    return trial


def previous(home: Path) -> str:
    """The version that was confirmed before the present one, if it is still there."""
    present, there = current_version(home), set(versions(home))
    for one in history(home):
        if one["outcome"] == "confirmed" and one["version"] == present and one["before"] in there:
            return one["before"]
    return next((one for one in versions(home) if one != present), "")


def roll_back(home: Path, who: str, reason: str, services: Services) -> Trial:
    """Ask for the version before: of a trial that runs, or of what was confirmed. The watch does it."""
    trial = read_trial(home)
    if trial is None:
        before, present = previous(home), current_version(home)
        if not before:
            raise UpgradeProblem(f"there is no version before {present} on this machine")
        trial = Trial(version=present, before=before, who=who, began=_now(), units=running_units(services))
    asked = replace(trial, phase="returning", who=who, reason=reason)
    point(home, "watching", trial.before)
    write_trial(home, asked)
    return asked


# -- What a version can read (docs/decisions/0046) --------------------------------------------------------------------


def must_read(known: Mapping[str, int], written: Mapping[str, int], version: str, present: str) -> None:
    """UpgradeProblem: `version` cannot work with what `present` has written. Schemas and floors as `upgrade schema` says them."""
    for state in ("spool", "platform"):
        newest, floor = known.get(state, 0), written.get(f"{state}_reads_from", 0)
        if newest < floor:
            raise UpgradeProblem(
                f"{version} knows the {state}'s schema up to {newest}; {present} writes what only {floor} and later can read. "
                f"Go by a version between them, or let {version} begin with an empty state directory: nothing that was delivered is lost"
            )


def probe(folder: Path) -> dict[str, int]:
    """What a version on the disk says that it can read: it is started for this, so it is known to start at all."""
    command = [str(folder / "bin" / "frontend-agent"), "upgrade", "schema", "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpgradeProblem(f"{folder}: it does not start here: {type(error).__name__}") from None
    if done.returncode:
        raise UpgradeProblem(
            f"{folder}: it does not start here: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
        )
    found: dict[str, int] = json.loads(done.stdout)
    return found
