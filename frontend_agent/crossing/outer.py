"""The outer half: it puts the inner half's requests to the platforms, with its own certificate, and sends the answers back.

    bundle ─▶ requests, in order ─▶ the platform ─▶ answers ─▶ one commit: requests done with, answers a bundle

It owns nothing that could not be given again: bundles that came stay sealed on its disk until their answers are bundles, and
those until they are acknowledged. A request that it puts twice, because it died in between, has no second effect (law 6). A
platform that cannot be reached is tried again for as long as it takes; the inner half is told, and no document is to blame.
"""

import base64
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import random
from typing import Any

from connectors.outlets.http import HttpEdge, Tls, Unanswered
from connectors.platform import DICTIONARIES, PARCELS, RECONCILIATION, SERIES_HEADS, checked_address
from frontend_agent.config import Config
from frontend_agent.config_outlets import DestinationConfig
from frontend_agent.crossing.facts import told_line
from frontend_agent.crossing.halving import LATER, NotNow, halve
from frontend_agent.crossing.line import Line
from frontend_agent.delivery import back_off
from frontend_agent.errors import DestinationError, FrontendAgentError
from frontend_agent.logs import event, failed, log
from frontend_agent.pulse import Pulse
from frontend_agent.renewing import LOOK_EVERY, Belonging, Renewing
from frontend_agent.spool import Spool
from frontend_agent.wire.bundles import Half, PublicHalf
from frontend_agent.wire.crossing import Answer, Far, Part, Request, answer_item, read_request
from frontend_agent.wire.heartbeat import PATH as HEARTBEAT
from frontend_agent.wire.parcel import MAGIC, ParcelMalformed, unpack
from frontend_agent.wire.receipts import ReplyMalformed, ReplyNotProven

# What the inner half may have put, and nothing else: whoever had its keys could not make the outer half ask anything it likes.
MAY_ASK = {
    ("POST", PARCELS),
    ("POST", "/v1/hello"),
    ("POST", SERIES_HEADS),
    ("GET", "/v1/receipts"),
    ("POST", HEARTBEAT),
    ("POST", f"{RECONCILIATION}/counts"),
    ("POST", f"{RECONCILIATION}/sets"),
    ("POST", f"{RECONCILIATION}/said"),
    ("GET", "/healthz"),
    ("GET", "/v1/key"),
    ("PUT", DICTIONARIES),
}
REFUSED_WHOLE = (400, 413, 500)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=1)
ITEMS_AT_ONCE = 100
IDLE = 0.2  # seconds between two looks into the folder
SLOW_TURN = 900.0  # seconds: one round of requests ends by their own time-outs


@dataclass
class Platform:
    """One platform as it fares. `due`: seconds of a clock that only goes forward, before which it is left alone."""

    name: str
    url: str
    http: HttpEdge
    member: Belonging
    failures: int = 0
    due: float = 0.0
    since: str = ""
    problem: str = ""


@dataclass
class Answers:
    """Answers that are not in a bundle yet, and the requests that are done with once they are."""

    items: list[bytes] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    size: int = 0
    since: float = 0.0


class Outer:
    """One outer half at work."""

    def __init__(
        self, config: Config, state: Path, spool: Spool, half: Half, other: PublicHalf, clock: Callable[[], datetime]
    ) -> None:
        self._config, self._spool, self._clock = config, spool, clock
        self._halves = half.public.fingerprint, other.fingerprint
        self._platforms = {
            name: self._platform(name, one, state)
            for name, one in config.destinations.items()
            if isinstance(one, DestinationConfig)
        }
        self.line = Line(config.gap, spool.gap, half, other, clock, tells=self._tells)
        self._answers = Answers()
        self._skipped: set[str] = set()
        self._renewing = Renewing(state, clock)
        self._renewed = -LOOK_EVERY.total_seconds()
        self.stopping = threading.Event()
        self.pulse = Pulse(SLOW_TURN)

    def _platform(self, name: str, one: DestinationConfig, state: Path) -> Platform:
        member = Belonging(state, one.url, Tls(one.certificate, one.key, one.ca), self._clock)
        return Platform(name, checked_address(one.url), HttpEdge(name, member.tls, one.timeout), member)

    # --- life ---------------------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Until it is told to stop. What fails is said, and tried again."""
        while not self.stopping.is_set():
            self.pulse.beat()
            try:
                moved = self.turn()
            except Exception as error:  # noqa: BLE001 - said, and tried again; bundles are kept as they are
                failed("gap.failed", error)
                moved = 0
                self.stopping.wait(5.0)
            if not moved:
                self.stopping.wait(IDLE)
        self._send()

    def turn(self) -> int:
        """Bundles in, requests put, answers out. How much there was to do."""
        if time.monotonic() - self._renewed >= LOOK_EVERY.total_seconds():
            self._renewed = time.monotonic()
            self._renewing.look()
        return self.line.turn() + self._put_all()

    def told(self) -> dict[str, Any]:
        return told_line(self._config.gap, self._spool.gap, self._halves, self.line.problems, (), self._clock()) | {
            "platforms": [
                {"name": one.name, "url": one.url, "since": one.since, "problem": one.problem, "failures": one.failures}
                for one in self._platforms.values()
            ]
        }

    def _tells(self) -> tuple[list[Far], int]:
        away = [Far(destination=one.name, since=one.since, problem=one.problem) for one in self._platforms.values()]
        return away, self._spool.gap.items_waiting()[0]

    # --- requests -----------------------------------------------------------------------------------------------------

    def _put_all(self) -> int:
        """Every request that came, in order for each platform; those of one that is away wait for it alone."""
        count, after = 0, 0
        waits = {one.name for one in self._platforms.values() if one.due > time.monotonic()}
        finished = set(self._answers.done)
        while not self.stopping.is_set() and (some := self.line.items(ITEMS_AT_ONCE, after)):
            for number, item in some:
                after = number
                if number in finished or self.stopping.is_set():
                    continue
                self.pulse.beat()
                request, body = read_request(item)
                if request.destination in waits:
                    continue
                answered = self._answer(request, body)
                if answered is None:
                    waits.add(request.destination)
                    continue
                self._add(number, answer_item(*answered).bytes)
                count += 1
                if self._is_due():
                    self._send()
                    self.line.turn()
                    finished = set()
        if self._answers.items and self._is_due(idle=not count):
            self._send()
        return count

    def _add(self, number: int, item: bytes) -> None:
        if not self._answers.items:
            self._answers.since = time.monotonic()
        self._answers.items.append(item)
        self._answers.done.append(number)
        self._answers.size += len(item)

    def _is_due(self, idle: bool = False) -> bool:
        waited = time.monotonic() - self._answers.since
        return (
            self._answers.size >= self._config.gap.largest // 2
            or waited >= self._config.gap.every.total_seconds()
            or (idle and waited >= IDLE)
        )

    def _send(self) -> None:
        """The answers become bundles in the commit in which their requests are done with."""
        answers, self._answers = self._answers, Answers()
        if not answers.items:
            return
        try:
            with self._spool.gap.writing():
                self.line.send(answers.items)
                self.line.done(*answers.done)
        except FrontendAgentError:
            self._answers = answers  # a full disk: they are kept, and go when there is room
            raise

    def _answer(self, request: Request, body: bytes) -> tuple[Answer, bytes] | None:
        """What the platform says. None: it says nothing now, and is asked again."""
        platform = self._platforms.get(request.destination)
        if platform is None:
            said = f"the outer half has no destination {request.destination!r}: both agent.toml must name the same"
            return Answer(id=request.id, problem=said), b""
        if not _may_ask(request):
            log.warning(event("gap.request_refused", method=request.method, path=request.path.partition("?")[0][:100]))
            return Answer(id=request.id, problem="the outer half does not put such a request"), b""
        asked = self._clock()
        try:
            status, answered = self._put(platform, request, body)
            if status in LATER:
                self._away(platform, f"the platform answered {status}")
                return None
            answer = Answer(id=request.id, status=status, asked=asked.isoformat(), answered=self._clock().isoformat())
            if status in REFUSED_WHOLE and body[:4] == MAGIC:
                answer, answered = self._halved(platform, request, body, answer, answered)
        except (Unanswered, NotNow, DestinationError) as error:
            self._away(platform, str(error))
            return None
        self._well(platform)
        return answer, answered

    def _put(self, platform: Platform, request: Request, body: bytes) -> tuple[int, bytes]:
        headers = dict(platform.member.speaks())
        if request.media_type:
            headers["Content-Type"] = request.media_type
        answer = platform.http.ask(request.method, platform.url + request.path, body or None, headers)
        return answer.status, answer.body

    def _halved(
        self, platform: Platform, request: Request, body: bytes, answer: Answer, answered: bytes
    ) -> tuple[Answer, bytes]:
        """A parcel that was refused whole. An empty one, or one that is none, is refused as it is."""
        try:
            if not unpack(body).index.documents:
                return answer, answered
            found = halve(
                body, base64.b64decode(request.key), lambda part: self._put(platform, request, part), self._clock()
            )
        except (ParcelMalformed, ReplyMalformed, ReplyNotProven) as error:
            log.warning(event("gap.not_halved", problem=str(error)))
            return answer, answered
        log.info(event("gap.halved", replies=len(found.replies), alone=len(found.alone)))
        if not found.replies and not found.alone:
            return _with(answer, found.suspects, found.problem), answered
        parts = tuple(Part(len(reply)) for reply in found.replies)
        told = Answer(
            id=answer.id, status=answer.status, asked=answer.asked, answered=self._clock().isoformat(),
            problem=found.problem, parts=parts, alone=found.alone, suspects=found.suspects,
        )  # fmt: skip
        return told, b"".join(found.replies)

    def _away(self, platform: Platform, problem: str) -> None:
        platform.failures += 1
        wait = back_off(platform.failures, random(), FIRST_PAUSE, LONGEST_PAUSE)  # noqa: S311 - spreads retries
        platform.due = time.monotonic() + wait.total_seconds()
        if problem != platform.problem:
            log.warning(event("gap.platform_away", destination=platform.name, problem=problem))
            platform.problem, platform.since = problem, platform.since or self._clock().isoformat()
            self.line.owe()

    def _well(self, platform: Platform) -> None:
        if platform.failures:
            log.info(event("gap.platform_answers", destination=platform.name))
        platform.failures, platform.due, platform.problem, platform.since = 0, 0.0, "", ""

    # --- what people ask ----------------------------------------------------------------------------------------------

    def operations(self) -> Mapping[str, Callable[..., Any]]:
        return {"gap_status": self.told, "gap_restart": self.restart}

    def restart(self, who: str = "") -> dict[str, Any]:
        self._answers = Answers()
        self.line.begin_anew(who)
        return self.told()


def _may_ask(request: Request) -> bool:
    path = request.path.partition("?")[0]
    known = path.rpartition("/")[0] if request.method == "PUT" else path
    return (request.method, known) in MAY_ASK and ".." not in path


def _with(answer: Answer, suspects: tuple[str, ...], problem: str) -> Answer:
    return Answer(
        id=answer.id,
        status=answer.status,
        asked=answer.asked,
        answered=answer.answered,
        problem=problem,
        suspects=suspects,
    )
