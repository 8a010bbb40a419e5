"""Commands that open a source themselves (doctor, check, init, source procedures), beside the agent that reads it.

What was agreed with the hospital holds for both together: a source that somebody paused is not opened, one that is paused
meanwhile is let go of at once, two connections in all is the most, and what the command cost is in the guest report.

    with visiting(settings, config) as opened:      # opened(config, names): like sources.open_sources
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frontend_agent import control
from frontend_agent.cli.session import Settings
from frontend_agent.errors import FrontendAgentError, SourceResting

if TYPE_CHECKING:
    from connectors import Source
    from connectors.guest import Pause
    from connectors.pulse import Listening
    from frontend_agent.config import Config, SourceConfig

MOST = 2  # connections to one source, whoever has them
LOOKED = 1.0  # seconds between two looks at what people said of the sources
LET_GO = 2.5  # seconds that a paused source has to come back from a login or a driver, before the command ends
PAUSED = 75  # what a command ends with that had to be cut (sysexits: try again later)


@contextmanager
def visiting(settings: Settings, config: Config | None = None) -> Iterator[Callable[..., dict[str, Source]]]:
    """A function that opens sources as a guest beside the agent. Raises SourceResting where they are to be left alone.

    `config` where the agent has none yet: its state is then where that says.
    """
    visits = _Visits(settings.state(config or settings.config()))
    try:
        yield visits.opened
    finally:
        visits.end()
    if visits.resting:  # what it found is not all there is
        raise visits.resting


class _Visits:
    def __init__(self, state: Path) -> None:
        self._state = state
        self._sources: dict[str, Source] = {}
        self._pulses: dict[str, Listening] = {}
        self._places: list[socket.socket] = []
        self._ended = threading.Event()
        self.resting: SourceResting | None = None  # a source was paused while we asked it

    def opened(self, config: Config, names: Iterable[str] | None = None) -> dict[str, Source]:
        from connectors.pulse import Listening
        from frontend_agent.sources import open_sources

        wanted = list(config.sources if names is None else names)
        runs = control.is_running(self._state)
        paused = _paused(self._state, config, runs)
        for name in wanted:
            if pause := paused.get(name):
                until = f" until {pause.until.astimezone():%Y-%m-%d %H:%M}" if pause.until else ""
                raise SourceResting(f"source {name}: paused{until} ({pause.reason}); see: frontend-agent source list")
            self._take_place(name, config, runs)
        opened = open_sources(config, wanted)
        for name, source in opened.items():
            source.pulse = self._pulses[name] = Listening()
        if not self._sources:
            threading.Thread(target=self._watch, args=(config,), name="visiting", daemon=True).start()
        self._sources |= opened
        return opened

    def end(self) -> None:
        self._ended.set()
        spent = {name: source.guest.take() for name, source in self._sources.items()}
        for place in self._places:
            place.close()
        _report(self._state, {name: tally for name, tally in spent.items() if tally.hours})

    def _take_place(self, name: str, config: Config, runs: bool) -> None:
        """One command at a time, beside one connection of the agent's."""
        same = [one for one in config.sources.values() if _address(one) == _address(config.sources[name])]
        if runs and any(one.connections >= MOST for one in same):
            raise SourceResting(
                f"source {name}: the running agent has its {MOST} connections, and more are never made; stop the agent,"
                f" or set connections = 1 in [sources.{name}], before this command"
            )
        if sys.platform != "linux":
            return
        place = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        known = hashlib.sha256(f"{self._state.absolute()}\n{name}".encode()).hexdigest()
        try:
            place.bind(f"\0frontend-agent-{known}")  # a name that ends with us, whatever ends us
        except OSError:
            place.close()
            raise SourceResting(f"source {name}: another command is asking it; one at a time") from None
        self._places.append(place)

    def _watch(self, config: Config) -> None:
        while not self._ended.wait(LOOKED):
            with suppress(FrontendAgentError, OSError):  # an agent that just ended pauses nothing
                if control.is_running(self._state):
                    for name, pause in _paused(self._state, config, True).items():
                        self._let_go(name, pause)

    def _let_go(self, name: str, pause: Pause) -> None:
        source = self._sources.get(name)
        if source is None or source.guest.paused:
            return
        beat = self._pulses[name].beats
        source.pause(pause)
        self.resting = SourceResting(f"source {name}: paused ({pause.reason}) before everything was asked")
        if self._ended.wait(LET_GO) or not self._pulses[name].busy or self._pulses[name].beats != beat:
            return
        sys.stderr.write(f"source {name}: paused ({pause.reason}); the connection was cut\n")
        sys.stderr.flush()
        os._exit(PAUSED)


def _paused(state: Path, config: Config, runs: bool) -> Mapping[str, Pause]:
    """Who paused which source, by what the running agent or its state says; by address too, under whatever name."""
    from connectors.guest import Pause
    from frontend_agent.app import has_state
    from frontend_agent.keeping_sealed import at_rest_of
    from frontend_agent.spool import Spool

    found: dict[str, Pause] = {}
    addresses: dict[str, str] = {}
    if runs:
        for one in control.ask(state, "source_pauses"):
            until = datetime.fromisoformat(one["until"]) if one["until"] else None
            found[one["name"]] = Pause(until, _why(one["who"], one["reason"]))
            addresses[one["address"]] = one["name"]
    elif has_state(state):
        with Spool(state, quota=config.spool.quota, at_rest=at_rest_of(config)).open() as spool:
            for name, pause in spool.guests.paused(datetime.now(UTC)).items():
                found[name] = Pause(pause.until, _why(pause.who, pause.reason))
        addresses = {_address(config.sources[name]): name for name in found if name in config.sources}
    for name, source in config.sources.items():
        if paused := addresses.get(_address(source)):
            found.setdefault(name, found[paused])
    return found


def _address(source: SourceConfig) -> str:
    return source.url or source.odbc or ""


def _why(who: str, reason: str) -> str:
    return ": ".join(word for word in (who, reason) if word)


def _report(state: Path, spent: Mapping[str, Any]) -> None:
    """What it cost goes into the guest report of the agent that runs."""
    import msgspec

    with suppress(FrontendAgentError, OSError):  # one of another version, or that has just ended
        if spent and control.is_running(state):
            for name, tally in spent.items():
                control.ask(state, "source_visited", source=name, hours=msgspec.to_builtins(tally.hours, str_keys=True))
