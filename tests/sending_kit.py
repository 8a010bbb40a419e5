"""What tests of sending images share: studies as files, a book in memory that keeps StudyBook's word, and pauses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from pydicom.dataset import Dataset

from frontend_agent.delivery import MOVING, State
from frontend_agent.dicom.header import read_header
from frontend_agent.dicom.part10 import meta, read_meta
from frontend_agent.dicom.uids import EXPLICIT_LE
from frontend_agent.imaging.model import ImageDelivery, Instance, Settled, Study, StudyState
from tests.dicom_kit import data_set, data_set_bytes

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def kept(found: Dataset, syntax: str = EXPLICIT_LE) -> bytes:
    """The file of an instance as we keep it."""
    return meta(found.SOPClassUID, found.SOPInstanceUID, syntax) + data_set_bytes(found, syntax)


def study_files(count: int, *, study: int = 1, series: int = 1, syntax: str = EXPLICIT_LE, **how: Any) -> list[bytes]:
    """The files of one synthetic study; instances go round its series. `how`: of dicom_kit.data_set."""
    return [kept(data_set(study, 1 + at % series, at + 1, **{"pixels": 512, **how}), syntax) for at in range(count)]


class Book:
    """Studies and their deliveries to one destination, in memory: the methods of StudyBook that a sender asks."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self._folder, self._clock = folder, clock
        self._lock = threading.RLock()
        self.studies: dict[int, Study] = {}
        self.all: dict[int, Instance] = {}
        self.state: dict[int, State] = {}
        self.reasons: dict[int, tuple[str, ...]] = {}
        self.proof: dict[int, str] = {}
        self.due: dict[int, datetime] = {}
        self.attempts: dict[int, int] = {}
        self.asked: dict[int, datetime] = {}  # study -> when it is asked for proof next
        self.sent_again: list[tuple[int, tuple[str, ...], str]] = []
        self.wanted: list[Any] = []
        self.marks: dict[str, str] = {}
        self.settles: list[Settled] = []
        self.gone: set[int] = set()

    def add(self, files: Sequence[bytes]) -> Study:
        """A study that is to be sent; the files are of one study."""
        number = len(self.studies) + 1
        instances = []
        for body in files:
            told = read_meta(body)
            identity = len(self.all) + 1
            digest = sha256(body).hexdigest()
            (self._folder / f"{digest}.dcm").write_bytes(body)
            instances.append(
                Instance(
                    id=identity, study=number, header=read_header(body, told.transfer_syntax_uid, told.data_set_at), sha256=digest, size=len(body),
                    sent_sha256=digest, sent_size=len(body), inlet="pacs", sender="PACS@10.0.0.1", received_at=NOW,
                )
            )  # fmt: skip
            self.all[identity], self.state[identity] = instances[-1], State.READY
        study = Study(
            id=number, study_instance_uid=instances[0].header.study_instance_uid, institution="45607654-1", inlet="pacs",
            state=StudyState.SENDING, first_at=NOW, last_at=NOW, due_at=None, series=1, instances=len(instances),
            size=sum(one.size for one in instances),
        )  # fmt: skip
        self.studies[number] = study
        return study

    def states(self) -> list[State]:
        return [self.state[number] for number in sorted(self.state)]

    # --- StudyBook

    def study(self, study: int, /) -> Study | None:
        return self.studies.get(study)

    def study_of(self, study_instance_uid: str, /) -> Study | None:
        return next((one for one in self.studies.values() if one.study_instance_uid == study_instance_uid), None)

    def instances(self, study: int, /) -> list[Instance]:
        return [one for one in self.all.values() if one.study == study]

    def path(self, instance: Instance, /, *, as_it_came: bool = False) -> Path | None:
        return None if instance.id in self.gone else self._folder / f"{instance.sent_sha256}.dcm"

    def claim(
        self,
        destination: str,
        now: datetime,
        /,
        *,
        limit: int,
        max_bytes: int,
        lease: timedelta,
        busy: Sequence[int] = (),
    ) -> ImageDelivery | None:
        with self._lock:
            due = [
                number
                for number, state in sorted(self.state.items())
                if state in (State.READY, State.WAITING, State.UNCERTAIN) and self.due.get(number, NOW) <= now
            ]
            if not due:
                return None
            study = self.all[due[0]].study
            claimed: list[Instance] = []
            for number in due:
                instance = self.all[number]
                fits = sum(one.sent_size for one in claimed) + instance.sent_size <= max_bytes
                if instance.study == study and len(claimed) < limit and (fits or not claimed):
                    claimed.append(instance)
            for one in claimed:
                self.state[one.id] = State.SENDING
                self.attempts[one.id] = self.attempts.get(one.id, 0) + 1
            attempts = max(self.attempts[one.id] for one in claimed)
            return ImageDelivery(
                study=self.studies[study], destination=destination, instances=tuple(claimed), attempts=attempts
            )

    def claim_unproven(
        self, destination: str, now: datetime, /, *, first: timedelta, every: timedelta, until: timedelta
    ) -> ImageDelivery | None:
        with self._lock:
            for study in self.studies.values():
                accepted = [one for one in self.instances(study.id) if self.state[one.id] is State.ACCEPTED]
                moving = any(self.state[one.id] in MOVING for one in self.instances(study.id))
                if accepted and not moving and self.asked.get(study.id, NOW) <= now:
                    self.asked[study.id] = now + every
                    return ImageDelivery(
                        study=study, destination=destination, instances=tuple(accepted), attempts=1, unproven=True
                    )
            return None

    def settle(self, destination: str, settled: Sequence[Settled], now: datetime, /) -> int:
        with self._lock:
            for one in settled:
                self.settles.append(one)
                self.state[one.instance] = one.state
                self.reasons[one.instance] = one.reasons
                self.proof[one.instance] = one.proof
                if one.state in (State.WAITING, State.UNCERTAIN):
                    self.due[one.instance] = now + timedelta(seconds=10) * self.attempts.get(one.instance, 1)
            return len(settled)

    def send_again(self, study: int, destinations: Sequence[str], who: str, now: datetime, /) -> int:
        with self._lock:
            self.sent_again.append((study, tuple(destinations), who))
            again = self.instances(study)
            for one in again:
                self.state[one.id] = State.READY
            return len(again)

    def want(self, wants: Sequence[Any], /) -> int:
        self.wanted += wants
        return len(wants)

    def mark(self, name: str, /) -> str:
        return self.marks.get(name, "")

    def renamed(self, study: Study, destination: str, uid: str, now: datetime, /) -> None:
        self.marks[f"renamed {study.study_instance_uid} {destination}"] = uid

    def drop_mark(self, name: str, /) -> None:
        raise AssertionError

    def drop_marks(self, beginning: str, below: str, /) -> None:
        raise AssertionError

    def put_mark(self, name: str, value: str, /) -> None:
        self.marks[name] = value


@dataclass
class Paused:
    failures: int = 0
    due_at: datetime | None = None
    problem: str = ""
    blame: str = ""


class Pauses:
    """As the spool keeps them."""

    def __init__(self) -> None:
        self.by_name: dict[str, Paused] = {}

    def pause(self, destination: str, /) -> Paused:
        return self.by_name.get(destination, Paused())

    def failed(self, destination: str, until: datetime, problem: str, blame: str, /, *, now: datetime) -> None:
        self.by_name[destination] = Paused(self.pause(destination).failures + 1, until, problem, blame)

    def recovered(self, destination: str, /) -> None:
        self.by_name.pop(destination, None)


class Clock:
    """A clock that a test moves."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


def headed(instance: Instance, **changes: Any) -> Instance:
    """The same instance with another header."""
    return msgspec.structs.replace(instance, header=msgspec.structs.replace(instance.header, **changes))
