"""Studies on their way to one destination: claimed, sent, settled each by its own answer, and proven (law 5).

    claim ─▶ outlet.send ─▶ settled one by one ─▶ ACCEPTED ─▶ claim_unproven ─▶ outlet.prove ─▶ DELIVERED

As many connections side by side as the destination's settings say, each with instances of its own; of one study, or of several. When
a destination fails, it is left alone for a while by the same words as those of documents (`spool.pause`), and one connection tries
first. What was not settled when something failed goes later, and is not to blame (law 7).
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple, Protocol, runtime_checkable
from zoneinfo import ZoneInfo

import msgspec

from frontend_agent.config_images import ImageOutletConfig
from frontend_agent.delivery import State, back_off
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, NotAllowed, RefusedWhole, SpoolFull
from frontend_agent.imaging.keeping import StudyBook
from frontend_agent.imaging.model import ImageDelivery, Instance, Settled, Want
from frontend_agent.imaging.outlets import ImageOutlet
from frontend_agent.imaging.pausing import pause_name
from frontend_agent.instance_reading import InstanceFile
from frontend_agent.logs import event, failed, log
from frontend_agent.model import Blame
from frontend_agent.sending import FIRST_PAUSE, LONGEST_PAUSE, NOT_ALLOWED_PAUSE
from frontend_agent.windows import window
from frontend_agent.wire.images import WantedStudy

INSTANCES_AT_ONCE = 64  # of one claim
A_FEW = 4  # are risked when the last attempt failed
LEAST_BYTES, MOST_BYTES = 4 << 20, 256 << 20  # of one claim, unless one instance is larger
SECONDS_OF_A_CLAIM = 20.0  # as the line has been so far: a window that closes is kept, a stop is soon
LEASE = timedelta(hours=24)  # longer than the largest instance takes; one of ours that dies settles what it holds
FIRST_PROOF = timedelta(seconds=2)  # after it was accepted
IDLE = 1.0  # seconds between looks for what is due
WANTED_EVERY = timedelta(seconds=10)  # it is asked which pixels it wants
WANTED_AGAIN = timedelta(minutes=15)  # a study that is still wanted is taken up anew
MOST_WANTED = 1000  # studies that are remembered


class Pause(Protocol):
    """How a destination fares."""

    @property
    def failures(self) -> int: ...
    @property
    def due_at(self) -> datetime | None: ...


class Pauses(Protocol):
    """Until when destinations are left alone: the spool's words."""

    def pause(self, destination: str, /) -> Pause: ...
    def failed(self, destination: str, until: datetime, problem: str, blame: str, /, *, now: datetime) -> None: ...
    def recovered(self, destination: str, /) -> None: ...


class Variants(Protocol):
    """What is made of instances for one destination: de-identified, or compressed. Its own UIDs are what the destination knows."""

    def made(self, instance: Instance, path: InstanceFile, /) -> tuple[Instance, InstanceFile]:
        """The instance as this destination gets it, and its file. ConfigurationError: a key is missing. ValueError: it must not leave,
        or cannot be made, and why. SpoolFull: there is no room to make it now."""

    def sent(self, instances: Sequence[Instance], /) -> None:
        """They were sent, or will be later: their files are not read any more."""

    def named(self, instance: Instance, /) -> Instance:
        """Its UIDs at this destination, without making anything."""

    def proven(self, instances: Sequence[Instance], /) -> None:
        """They are there, or refused: what was made of them can go."""


@runtime_checkable
class Wanting(Protocol):
    """A destination that says which studies' pixels it wants: our platform, which was sent their index alone, or has lost them."""

    def wanted(self) -> Sequence[WantedStudy]: ...


@runtime_checkable
class Renaming(Protocol):
    """A destination that hears of instances later, by the UIDs that they have there."""

    def known_as(self, named: Callable[[Instance], Instance], /) -> None: ...


class Failure(NamedTuple):
    """Why nothing more goes for now."""

    problem: str
    blame: Blame
    least: timedelta = timedelta(0)


class StudySender:
    """One destination: its connections, and the proving of what it accepted. `send_once` and `prove_once` need no threads."""

    def __init__(
        self,
        name: str,
        options: ImageOutletConfig,
        outlet: ImageOutlet,
        book: StudyBook,
        pauses: Pauses,
        clock: Callable[[], datetime],
        timezone: str,
        variants: Variants | None = None,
        random: Random | None = None,
    ) -> None:
        self.name = name
        self.outlet = outlet
        self._options, self._book, self._pauses, self._clock = options, book, pauses, clock
        self._pause_name = pause_name(name)
        self._zone = ZoneInfo(timezone)
        self._windows = tuple(map(window, options.windows))
        self._variants = variants
        if variants is not None and isinstance(outlet, Renaming):
            outlet.known_as(variants.named)
        self._random = random or Random()  # noqa: S311 - spreads waits
        self._rate = 0.0  # bytes a second of one connection, as it was lately
        self._trying = threading.Lock()  # held by the one connection that tries a destination that failed
        self._wake = threading.Condition()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._proof_problem = ""
        self._asked_wanted: datetime | None = None
        self._wanted: dict[str, datetime] = {}  # study -> when its wish was taken up

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A thread for each connection, and one that asks for proof."""
        self._stopping.clear()
        steps = {f"images-{self.name}-{number}": self.send_once for number in range(max(self._options.connections, 1))}
        steps[f"images-{self.name}-proof"] = self.prove_once
        self._threads = [
            threading.Thread(target=self._work, args=(step,), name=name, daemon=True) for name, step in steps.items()
        ]
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Something may be due."""
        with self._wake:
            self._wake.notify_all()

    def stop(self, patience: float) -> None:
        """Claim nothing more; what is under way may end within so many seconds, then its connections are cut."""
        ends = time.monotonic() + patience
        self._stopping.set()
        self.wake()
        for thread in self._threads:
            thread.join(max(ends - time.monotonic(), 0.0))
        self.outlet.close()
        for thread in self._threads:
            thread.join(2.0)  # seconds: to put back what it holds

    def is_well(self) -> bool:
        """Whether its threads live. One that hears nothing ends by its outlet's time-out; a large object may take hours."""
        return all(thread.is_alive() for thread in self._threads)

    def told(self) -> dict[str, Any]:
        """How it stands, in plain values."""
        said = {**self.outlet.told(), "bytes_a_second": int(self._rate)}
        return {**said, "proof_problem": self._proof_problem} if self._proof_problem else said

    def _work(self, step: Callable[[], int]) -> None:
        while not self._stopping.is_set():
            try:
                moved = step()
            except Exception as error:  # noqa: BLE001 - a fault of ours: tried again after a while, and told by status
                told = f"a fault of the agent: {failed('images.send.failed', error)}; see its log"
                self._fail(Failure(told, Blame.AGENT, NOT_ALLOWED_PAUSE))
                moved = 0
            if not moved:
                with self._wake:
                    if not self._stopping.is_set():
                        self._wake.wait(IDLE)

    # --- sending ------------------------------------------------------------------------------------------------------

    def send_once(self) -> int:
        """Claim instances of one study that are due, send and settle them. How many were settled; 0: nothing is due, or may go now."""
        now = self._clock()
        if not self.is_open(now):
            return 0
        pause = self._pauses.pause(self._pause_name)
        if not pause.failures:
            return self._carry(now, INSTANCES_AT_ONCE)
        if pause.due_at and now < pause.due_at <= now + LONGEST_PAUSE:  # further away: the clock was set back
            return 0
        if not self._trying.acquire(blocking=False):
            return 0  # another one tries
        try:
            return self._carry(now, A_FEW)
        finally:
            self._trying.release()

    def is_open(self, now: datetime) -> bool:
        """Whether it is sent to at this moment, by its windows."""
        local = now.astimezone(self._zone)
        return not self._windows or any(one.covers(local) for one in self._windows)

    def _carry(self, now: datetime, limit: int) -> int:
        most = min(max(int(self._rate * SECONDS_OF_A_CLAIM), LEAST_BYTES), MOST_BYTES)
        delivery = self._book.claim(self.name, now, limit=limit, max_bytes=most, lease=LEASE)
        if delivery is None:
            return 0
        carried = _Carried(self.name, self._book, self._clock, delivery)
        began = time.monotonic()
        failure: Failure | None = Failure("the agent stopped in the middle", Blame.AGENT)
        try:
            failure = self._send(delivery, carried)
        finally:
            carried.put_back(State.READY if failure else State.UNCERTAIN)
            if self._variants is not None:
                self._variants.sent(delivery.instances)
        if carried.sent_bytes:
            rate = carried.sent_bytes / max(time.monotonic() - began, 0.001)
            self._rate = (self._rate + rate) / 2 if self._rate else rate
        if failure:
            if not self._stopping.is_set():  # then it was we who cut it
                self._fail(failure)
        elif carried.answered:
            self._recover()
        elif carried.problem:
            self._fail(Failure(carried.problem, Blame.PLATFORM))
        return carried.settled

    def _send(self, delivery: ImageDelivery, carried: "_Carried") -> Failure | None:
        """None: all of it was tried."""
        try:
            sendable, paths = self._files(delivery, carried)
            if sendable.study.study_instance_uid != delivery.study.study_instance_uid:
                self._book.renamed(delivery.study, self.name, sendable.study.study_instance_uid, self._clock())
            if sendable.instances:
                self.outlet.send(sendable, lambda instance: paths[instance.id], carried.settle)
        except DestinationUnreachable as error:
            return Failure(str(error), Blame.NETWORK)
        except RefusedWhole as error:
            return Failure(str(error), Blame.PLATFORM)
        except (NotAllowed, ConfigurationError) as error:
            return Failure(str(error), Blame.PLATFORM, NOT_ALLOWED_PAUSE)
        except SpoolFull as error:
            return Failure(f"what goes there cannot be made now: {error}", Blame.AGENT)
        return None

    def _files(self, delivery: ImageDelivery, carried: "_Carried") -> tuple[ImageDelivery, Mapping[int, InstanceFile]]:
        """The delivery as this destination gets it, and the files. What has none is refused here."""
        instances: list[Instance] = []
        paths: dict[int, InstanceFile] = {}
        for instance in delivery.instances:
            path = self._book.path(instance)
            if path is None:
                gone = "its file is not here any more: its term is over, or the disk lost it"
                carried.refuse(instance, gone)
                continue
            if self._variants is not None:
                try:
                    instance, path = self._variants.made(instance, path)
                except ValueError as error:
                    carried.refuse(instance, str(error))
                    continue
                except SpoolFull:
                    if not instances:
                        raise
                    break  # what was made goes, and makes room for the others
            instances.append(instance)
            paths[instance.id] = path
        carried.leave([one for one in delivery.instances if one.id not in paths])
        return as_sent(delivery, instances), paths

    def _recover(self) -> None:
        if self._pauses.pause(self._pause_name).failures:
            self._pauses.recovered(self._pause_name)
            log.info(event("images.destination.recovered", destination=self.name))
            self.wake()

    def _fail(self, failure: Failure) -> None:
        now = self._clock()
        failures = self._pauses.pause(self._pause_name).failures + 1
        wait = max(back_off(failures, self._random.random(), FIRST_PAUSE, LONGEST_PAUSE), failure.least)
        self._pauses.failed(self._pause_name, now + wait, failure.problem, failure.blame, now=now)
        log.warning(
            event("images.destination.failed", destination=self.name, blame=failure.blame, problem=failure.problem)
        )

    # --- proving ------------------------------------------------------------------------------------------------------

    def prove_once(self) -> int:
        """Ask for proof of one study that was accepted. How many of its instances it settled."""
        now = self._clock()
        if not self.is_open(now) or self._pauses.pause(self._pause_name).failures:
            return 0
        self._take_up_wishes(now)
        options = self._options
        delivery = self._book.claim_unproven(
            self.name,
            now,
            first=min(FIRST_PROOF, options.ask_every),
            every=options.ask_every,
            until=options.ask_until,
        )
        if delivery is None:
            return 0
        if self._variants is not None:
            delivery = as_sent(delivery, [self._variants.named(one) for one in delivery.instances])
        try:
            settled = self.outlet.prove(delivery)
        except (DestinationUnreachable, NotAllowed, RefusedWhole, ConfigurationError) as error:
            # It was accepted, and is asked for again by `ask_every`: what can be sent still goes.
            self._proof_problem = str(error)
            log.warning(event("images.proof.failed", destination=self.name, problem=str(error)))
            return 0
        self._proof_problem = ""
        if not settled:
            return 0
        if self._variants is not None:
            ended = {one.instance for one in settled if one.state in (State.DELIVERED, State.REFUSED)}
            self._variants.proven([one for one in delivery.instances if one.id in ended])
        self._book.settle(self.name, settled, self._clock())
        return len(settled)

    # --- what it wants ------------------------------------------------------------------------------------------------

    def _take_up_wishes(self, now: datetime) -> None:
        """Studies whose pixels it asks for: those that are here go again, the others are wanted of whoever can fetch them."""
        asked = self._asked_wanted
        if not isinstance(self.outlet, Wanting) or (asked and asked <= now < asked + WANTED_EVERY):
            return
        self._asked_wanted = now
        try:
            wanted = self.outlet.wanted()
        except (DestinationUnreachable, NotAllowed, ConfigurationError) as error:
            self._proof_problem = str(error)
            return
        wishes = {one.study_instance_uid: one for one in wanted[:MOST_WANTED]}
        self._wanted = {uid: at for uid, at in self._wanted.items() if uid in wishes}
        for uid, wish in wishes.items():
            at = self._wanted.get(uid)
            if at is None or not at <= now < at + WANTED_AGAIN:
                self._wanted[uid] = now
                self._take_up(wish, now)

    def _take_up(self, wish: WantedStudy, now: datetime) -> None:
        study = self._book.study_of(wish.study_instance_uid)
        instances = [one for one in self._book.instances(study.id) if not one.is_conflict] if study else []
        if study and instances and self._book.path(instances[0]) is not None:
            sent = self._book.send_again(study.id, [self.name], f"platform {self.name}", now)
            log.info(event("images.wanted", destination=self.name, study=wish.study_instance_uid, instances=sent))
            self.wake()
            return
        want = Want(
            study_instance_uid=wish.study_instance_uid,
            accession_number=wish.accession_number,
            why=f"platform {self.name}",
            since=now,
        )
        self._book.want([want])
        log.info(event("images.wanted", destination=self.name, study=wish.study_instance_uid, fetched=True))


def as_sent(delivery: ImageDelivery, instances: Sequence[Instance]) -> ImageDelivery:
    """The same delivery with instances as the destination knows them, under the study UID that they have there."""
    study = delivery.study
    if instances and instances[0].header.study_instance_uid != study.study_instance_uid:
        study = msgspec.structs.replace(study, study_instance_uid=instances[0].header.study_instance_uid)
    return msgspec.structs.replace(delivery, study=study, instances=tuple(instances))


class _Carried:
    """One claim, until each of its instances is settled or put back."""

    def __init__(self, name: str, book: StudyBook, clock: Callable[[], datetime], delivery: ImageDelivery) -> None:
        self._name, self._book, self._clock = name, book, clock
        self._open = {instance.id: instance for instance in delivery.instances}
        self.settled = 0
        self.sent_bytes = 0
        self.answered = False  # the destination said something of an instance that is more than "come again"
        self.problem = ""

    def settle(self, settled: Sequence[Settled]) -> None:
        """What became of some of them; said twice, the first word counts."""
        counting = [one for one in settled if one.instance in self._open]
        if not counting:
            return
        self._book.settle(self._name, counting, self._clock())
        self.settled += len(counting)
        for one in counting:
            instance = self._open.pop(one.instance)
            if one.state in (State.ACCEPTED, State.DELIVERED):
                self.sent_bytes += instance.sent_size
            if one.state not in (State.WAITING, State.UNCERTAIN, State.READY):
                self.answered = True
            else:
                self.problem = one.reasons[0] if one.reasons else "an instance was not answered"

    def refuse(self, instance: Instance, reason: str) -> None:
        """It cannot go from here; the destination has no part in that."""
        del self._open[instance.id]
        self._book.settle(self._name, [Settled(instance.id, State.REFUSED, (reason,))], self._clock())
        self.settled += 1

    def leave(self, instances: Sequence[Instance]) -> None:
        """Those of them that nothing was said of go with a later claim."""
        left = [one.id for one in instances if self._open.pop(one.id, None) is not None]
        if left:
            self._book.settle(self._name, [Settled(number, State.READY) for number in left], self._clock())

    def put_back(self, state: State) -> None:
        """What nobody spoke of. READY: it did not go; UNCERTAIN: it may have arrived."""
        if self._open:
            self.problem = self.problem or "instances were not answered"
            left, self._open = list(self._open), {}
            self._book.settle(self._name, [Settled(number, state) for number in left], self._clock())
