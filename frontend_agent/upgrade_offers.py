"""Upgrades that platforms offer: shown, fetched, verified, and left to a person or to the unit that may install (decision 0055).

    heartbeat ─▶ offer ─▶ may it be? ─▶ fetched by and by ─▶ verified ─▶ waits for a person
                                                                      └▶ in its hours: asks frontend-agent-upgrade.path

The daemon never installs: it has no right to. Whoever does (a person as root, or the unit as root) trusts nothing of this: it
verifies the file again by the maker's signature and asks agent.toml itself whether it may.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec

from connectors.bandwidth import Bandwidth
from frontend_agent import __version__, program, upgrading
from frontend_agent.app import App
from frontend_agent.config_upgrades import BY_ITSELF, UpgradesConfig
from frontend_agent.errors import FrontendAgentError
from frontend_agent.logs import event, failed, log
from frontend_agent.spool.offered import OfferedFile
from frontend_agent.windows import open_until
from frontend_agent.wire.upgrades import (
    CONFIRMED,
    DUE,
    FETCHING,
    OFFERED,
    REFUSED,
    RETURNED,
    TRIAL,
    WAITING,
    Offer,
    UpgradeBeat,
    is_newer,
    order_of,
)

LOOK_EVERY = 15.0  # seconds
STINT = 64 << 20  # bytes that are fetched before it is looked again whether it may go on
TAKEN_UP_WITHIN = timedelta(minutes=10)  # else the unit that installs is not there
OFFERS, REFUSALS, NEWEST = "upgrades:offers", "upgrades:refused", "upgrades:newest"
SINCE, ASKED = "upgrades:since", "upgrades:asked"
MOST_REMEMBERED = 20  # files


class Stopping(Protocol):
    def wait(self, timeout: float, /) -> bool: ...
    def is_set(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How an upgrade stands at this hospital. `by`: the platform that offers it, or who began it."""

    version: str
    state: str  # one of wire.upgrades.STATES
    since: str = ""
    reason: str = ""
    by: str = ""
    came: int = 0  # bytes
    size: int = 0  # of the file that is offered; 0: nobody offers it now
    here: bool = False  # it was refused when it was to be laid: the disk, not the file

    @property
    def actor(self) -> str:
        """Who acts next: hospital, platform, agent; empty: nobody."""
        if self.state == REFUSED:
            return "hospital" if self.here else "platform"
        return {WAITING: "hospital", RETURNED: "platform", CONFIRMED: ""}.get(self.state, "agent")


# -- Pure -------------------------------------------------------------------------------------------------------------


def objection(offer: Offer, present: str, newest: str, machine: str, quota: int) -> str:
    """Why an offer is not accepted; "" for nothing. `newest`: the newest version that this machine ran or verified."""
    if offer.machine != machine:
        return f"made for {offer.machine}; this machine is {machine}"
    if not is_newer(offer.version, present):
        return f"{offer.version} is not newer than {present}, which runs: an offer never leads back"
    if is_newer(newest, offer.version):
        return f"{offer.version} is older than {newest}, which this machine has had: an old offer again"
    if quota and offer.size > quota:
        return f"the file has {offer.size >> 20} MB, [upgrades] quota allows {quota >> 20} MB"
    return ""


def of_disk(version: str, trial: upgrading.Trial | None, history: Sequence[Mapping[str, str]]) -> Standing | None:
    """What became of a version here, by what is written beside the program; None: nothing yet."""
    if trial is not None and trial.version == version:
        return Standing(version=version, state=TRIAL, since=trial.began, by=trial.who)
    for one in history:
        if one["version"] == version:
            return ended(one)
    return None


def ended(line: Mapping[str, str]) -> Standing:
    """One line of the history."""
    state = line["outcome"]
    return Standing(
        version=line["version"], state=state, since=line["at"], reason=line["reason"], by=line["who"], here=state == REFUSED
    )  # fmt: skip


def told(standing: Standing) -> UpgradeBeat:
    """What a platform hears: a reason only where it is ours and not a person's words."""
    reason = standing.reason if standing.state != RETURNED or upgrading.is_verdict(standing.reason) else "by a person"
    return UpgradeBeat(version=standing.version, state=standing.state, at=standing.since, reason=reason[:300])


# -- The thread --------------------------------------------------------------------------------------------------------


class Offers:
    """Those of one running agent. `home`: where its versions lie; one that was not installed so is offered nothing."""

    def __init__(
        self,
        app: App,
        stopping: Stopping | None = None,
        home: Path = program.HOME,
        keys: Callable[[], program.Keys] = program.trusted_keys,
        present: str = __version__,
        machine: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._home, self._keys, self._present = app, home, keys, present
        self._machine = machine or (os.uname().machine if hasattr(os, "uname") else "")
        self._stopping: Stopping = stopping or threading.Event()
        self._woken = threading.Event()
        self._file = OfferedFile(app.state)
        self._bandwidth = Bandwidth(int(self._config.bandwidth), monotonic)
        self._zone = ZoneInfo(app.config.institution.timezone)
        self._problem = ""  # why it is not fetched just now
        self._looking = threading.Lock()

    @property
    def _config(self) -> UpgradesConfig:
        return self._app.config.upgrades

    @property
    def machine(self) -> str:
        """What platforms are told of this machine; "" where no other version can be laid beside the one that runs."""
        return self._machine if (self._home / "current").is_symlink() else ""

    # --- what is offered ----------------------------------------------------------------------------------------------

    def heard(self, platform: str, offer: Offer | None) -> None:
        """What a platform offers now; None: nothing, or nothing any more."""
        offers = {name: one for name, one in self._offers().items() if name != platform}
        if self._offers().get(platform) == offer:
            return
        if offer is None:
            self._tell("upgrade.withdrawn", destination=platform)
        else:
            offers[platform] = offer
            if not self._since(offer):
                known = dict(list(self._get(SINCE, {}).items())[-MOST_REMEMBERED:])
                self._put(SINCE, known | {offer.sha256: self._app.clock().isoformat(timespec="seconds")})
            self._tell("upgrade.offered", destination=platform, version=offer.version)
        self._put(OFFERS, {name: msgspec.to_builtins(one) for name, one in offers.items()})
        self._woken.set()

    def _offers(self) -> dict[str, Offer]:
        """By platform. What runs already is no offer."""
        offers = {name: msgspec.convert(one, Offer) for name, one in self._get(OFFERS, {}).items()}
        return {
            name: one for name, one in offers.items() if name in self._app.platforms and one.version != self._present
        }

    def chosen(self) -> tuple[str, Offer] | None:
        """(platform, offer): the newest one that nothing speaks against, else one that is to be refused aloud."""
        offers = sorted(self._offers().items())
        good = [one for one in offers if not self._objection(one[1])]
        best: tuple[str, Offer] | None = None
        for one in good or offers:
            if best is None or is_newer(one[1].version, best[1].version):
                best = one
        return best

    def _objection(self, offer: Offer) -> str:
        known = self._get(REFUSALS, {}).get(offer.sha256)
        return known or objection(offer, self._present, self._newest(), self._machine, int(self._config.quota))

    def _newest(self) -> str:
        """The newest version that this machine ran, tried or verified: nothing older is taken from an offer."""
        return upgrading.newest_of([self._present, self._get(NEWEST, ""), *upgrading.had(self._home)])

    # --- how it stands ------------------------------------------------------------------------------------------------

    def standing(self) -> Standing | None:
        """The offer as it stands, else the newest upgrade that there was; None: neither."""
        trial, history = upgrading.read_trial(self._home), upgrading.history(self._home)
        chosen = self.chosen() if self.machine else None
        if trial is not None:
            return of_disk(trial.version, trial, history)
        if chosen is None:
            # A file that could not be read has no version: no platform would hear of one.
            return next((ended(one) for one in history if order_of(one["version"])), None)
        platform, offer = chosen
        since = self._since(offer)
        if (found := of_disk(offer.version, trial, history)) is not None and found.state != CONFIRMED:
            return replace(found, size=offer.size)
        if self._objection(offer):
            return Standing(
                version=offer.version, state=REFUSED, since=since, reason=self._objection(offer), by=platform, size=offer.size
            )  # fmt: skip
        return Standing(
            version=offer.version, state=self._state(offer), since=since, reason=self._problem, by=platform,
            came=offer.size if self._file.has(offer.sha256) else self._file.come(offer.sha256), size=offer.size,
        )  # fmt: skip

    def _state(self, offer: Offer) -> str:
        if self._file.has(offer.sha256):
            return DUE if self._config.install == BY_ITSELF else WAITING
        return FETCHING if self._config.fetch and self._file.come(offer.sha256) else OFFERED

    def _since(self, offer: Offer) -> str:
        """When we first heard of it."""
        return str(self._get(SINCE, {}).get(offer.sha256, ""))

    def told(self) -> dict[str, Any]:
        """For people: what runs, what is offered and how it stands, who acts, what there was."""
        standing, trial = self.standing(), upgrading.read_trial(self._home)
        last = next((one for one in upgrading.history(self._home) if one["outcome"] == RETURNED), None)
        return {
            "version": self._present,
            "installable": bool(self.machine),
            "install": self._config.install,
            "hours": [str(one) for one in self._config.hours],
            "offer": None if standing is None else {**_plain(standing), "actor": standing.actor},
            "trial": None
            if trial is None
            else {"version": trial.version, "before": trial.before, "began": trial.began},
            "returned": last,
        }

    # --- work ---------------------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Look every so often until the agent stops. Never raises."""
        while not self._stopping.is_set():
            self._woken.wait(LOOK_EVERY)
            self._woken.clear()
            if self._stopping.is_set():
                return
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - said, and tried again with the next look; the feeds go on
                failed("upgrade.failed", error)

    def stop(self) -> None:
        self._bandwidth.close()
        self._woken.set()

    def look(self) -> None:
        """One step: fetch on, verify, or ask for the installation."""
        with self._looking:
            chosen = self.chosen() if self.machine else None
            if chosen is None or upgrading.read_trial(self._home) is not None:
                self._leave(everything=chosen is None)
                return
            platform, offer = chosen
            if self._objection(offer):
                self._leave(everything=True)
                return
            try:
                self._step(platform, offer)
            except (FrontendAgentError, OSError) as error:
                self._say(
                    str(error) if isinstance(error, FrontendAgentError) else f"{self._file.folder}: {error.strerror}"
                )

    def _leave(self, everything: bool) -> None:
        self._problem = ""
        if everything:
            self._file.drop()
        else:
            self._file.ask_for_installation(False)

    def _step(self, platform: str, offer: Offer) -> None:
        if self._file.has(offer.sha256):
            self._ask(offer)
        elif self._config.fetch:
            self._fetch(platform, offer)

    def _ask(self, offer: Offer) -> None:
        """In its hours the unit is asked; one that came back here is not installed again by itself."""
        self._say("")
        now = self._app.clock()
        tried = of_disk(offer.version, None, upgrading.history(self._home))
        wanted = self._config.may_install(now.astimezone(self._zone)) and tried is None
        asked_at = self._get(ASKED, {}).get(offer.sha256, "")
        lately = bool(asked_at) and now - datetime.fromisoformat(asked_at) < TAKEN_UP_WITHIN
        if wanted and not lately and not self._file.is_asked_for:
            self._put(ASKED, {offer.sha256: now.isoformat()})
            self._tell("upgrade.asked_for", version=offer.version)
        elif wanted and not lately:
            self._say(
                "nobody takes it up: the unit frontend-agent-upgrade.path does not run. Install the package of the present version once, or: sudo frontend-agent upgrade install --offered"
            )
        if (
            not wanted or not lately
        ):  # the word is taken at once, and what comes of it takes a minute: not said again meanwhile
            self._file.ask_for_installation(wanted)

    # --- fetching -----------------------------------------------------------------------------------------------------

    def _fetch(self, platform: str, offer: Offer) -> None:
        if (why := self._not_now(offer)) is not None:
            self._say(why)
            return
        self._file.begin(offer.sha256)
        came = self._file.come(offer.sha256)
        if came < offer.size:
            with self._app.platforms[platform].upgrade(offer, came) as pieces:
                came = self._file.append(offer.sha256, self._as_it_may(pieces, offer), offer.size)
        self._say("")
        if came < offer.size:
            self._woken.set()  # go on; looked at again before
            return
        self._verify(platform, offer)

    def _not_now(self, offer: Offer) -> str | None:
        """Why it is not fetched at this moment; None: it may be."""
        local = self._app.clock().astimezone(self._zone)
        for name, source in self._app.config.sources.items():
            if open_until(source.protected, local) is not None:
                return f"not in the protected hours of source {name}"
        left = self._file.free() - (offer.size - self._file.come(offer.sha256))
        if left < int(self._config.keep_free):
            return f"the disk would have {max(left, 0) >> 20} MB left, [upgrades] keep_free wants {int(self._config.keep_free) >> 20} MB"
        return None

    def _as_it_may(self, pieces: Iterator[bytes], offer: Offer) -> Iterator[bytes]:
        """At its bandwidth; a stint of it, so that hours and disk are looked at again."""
        taken = 0
        for piece in pieces:
            self._bandwidth.take(len(piece))
            if self._stopping.is_set():
                return
            yield piece
            taken += len(piece)
            if taken >= STINT:
                return

    def _verify(self, platform: str, offer: Offer) -> None:
        """By the maker's signature. What does not hold is dropped, and not fetched again."""
        part = self._file.part(offer.sha256)
        try:
            if not self._file.is_as_named(offer.sha256):
                raise program.NotTheProgram("what came is not the file that was offered (SHA-256)")
            manifest = program.verify_archive(part, self._keys())
            if (manifest.version, manifest.machine) != (offer.version, offer.machine):
                raise program.NotTheProgram(
                    f"offered as {offer.version} for {offer.machine}, and signed as {manifest.version} for {manifest.machine}"
                )
        except program.NotTheProgram as error:
            self._refuse(platform, offer, str(error).replace(str(part), "the file"))
            return
        self._file.accept(offer.sha256)
        self._put(NEWEST, upgrading.newest_of([self._get(NEWEST, ""), offer.version]))
        self._tell("upgrade.verified", destination=platform, version=offer.version)
        self._woken.set()

    def _refuse(self, platform: str, offer: Offer, reason: str) -> None:
        refusals = dict(list(self._get(REFUSALS, {}).items())[-MOST_REMEMBERED:])
        self._put(REFUSALS, refusals | {offer.sha256: reason})
        self._file.drop()
        self._tell("upgrade.refused", destination=platform, version=offer.version, problem=reason)

    def _tell(self, name: str, **values: str) -> None:
        """What a platform does with this machine, and what we make of it: in the journal and in the chained log."""
        log.info(event(name, **values))
        self._app.spool.record_act({"event": name.replace(".", " "), **values}, self._app.clock())

    def _say(self, problem: str) -> None:
        """Once, when it changes."""
        if problem and problem != self._problem:
            log.info(event("upgrade.not_fetched", problem=problem))
        self._problem = problem

    # --- what outlives a restart --------------------------------------------------------------------------------------

    def _get(self, name: str, default: Any) -> Any:
        text = self._app.spool.meta.get(name)
        return json.loads(text) if text else default

    def _put(self, name: str, value: Any) -> None:
        self._app.spool.meta.put(name, json.dumps(value))


def _plain(standing: Standing) -> dict[str, Any]:
    return {name: getattr(standing, name) for name in standing.__dataclass_fields__}
