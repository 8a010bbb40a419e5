"""A destination that says later, in files, what became of what it accepted: laid in a folder or on an SFTP server.

Its files are picked up whole like any others; what they say is kept first (confirmed, or reopened with the reasons), and only then
are they put away. What is not understood, or speaks of no delivery of ours, goes to the refused with the numbers of the answers.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

from connectors.folders.collecting import Away, Collector, InMemory, Picked
from connectors.folders.collecting import Memory as PickedFiles
from connectors.folders.making import sftp_place, tell
from connectors.folders.place import Place, PlaceError
from connectors.folders.reasons import FileRefused, Reason, reason
from connectors.folders.this_machine import LocalPlace
from connectors.outlets import Around, Feedback, Outlet
from frontend_agent.config_files import FeedbackConfig, SftpServer, folder_of
from frontend_agent.config_outlets import ForeignConfig
from frontend_agent.delivery import SignedReply
from frontend_agent.errors import DestinationUnreachable
from frontend_agent.model import Document, Receipt

NEVER = timedelta(days=3650)


class Answer(Protocol):
    """What a file says of one document."""

    @property
    def number(self) -> int: ...
    @property
    def document_id(self) -> str: ...
    @property
    def stored(self) -> bool: ...
    @property
    def again(self) -> bool: ...
    @property
    def reasons(self) -> tuple[str, ...]: ...


class Answers(Protocol):
    """What one file says, and what of it cannot be understood."""

    @property
    def answers(self) -> Sequence[Answer]: ...
    @property
    def problems(self) -> tuple[Reason, ...]: ...


Read = Callable[[bytes], Answers]


class WithFeedback:
    """An outlet, and the files in which its other side answers."""

    def __init__(
        self,
        outlet: Outlet,
        options: ForeignConfig,
        around: Around,
        read: Read,
        picked: PickedFiles | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.at_once = outlet.name, outlet.at_once
        self._outlet, self._settings, self._read = outlet, options.feedback, read
        self._place = place_of(options, around)
        self._collector = Collector(
            self._place, options.feedback, options.feedback.largest, _nobody, picked or InMemory(), around.clock,
            around.timezone, monotonic, self._tell, term=options.retention,
        )  # fmt: skip
        self._under_way: dict[str, tuple[str, Answers]] = {}  # told_by -> path, what it says
        self._not_ours: dict[str, set[str]] = {}
        self._monotonic = monotonic
        self._ask_outlet_at = 0.0

    # -- as the outlet

    def send(self, documents: Sequence[Document], /) -> Sequence[Receipt]:
        return self._outlet.send(documents)

    def take_replies(self) -> Sequence[SignedReply]:
        return self._outlet.take_replies()

    def probe(self) -> None:
        self._outlet.probe()
        try:
            self._place.probe(self._settings.after != "leave")
        except PlaceError as error:
            raise DestinationUnreachable(f"feedback: {error}") from None

    # -- asking

    @property
    def asks_every(self) -> timedelta:
        own: timedelta | None = getattr(self._outlet, "asks_every", None)
        return min(own, self._settings.every) if own is not None else self._settings.every

    @property
    def asks_first(self) -> timedelta:
        own: timedelta | None = getattr(self._outlet, "asks_every", None)
        return self._asking.asks_first if own is not None else NEVER  # files speak without being asked

    @property
    def asks_until(self) -> timedelta:
        own: timedelta | None = getattr(self._outlet, "asks_every", None)
        return self._asking.asks_until if own is not None else timedelta(0)

    def ask(self, documents: Sequence[Document], /) -> Sequence[Feedback]:
        """What files say, some at a time; and what the outlet says by itself, when it is its time."""
        said = [*self._asked(documents)]
        self._under_way.clear()
        self._not_ours.clear()
        try:
            for picked in self._collector.peek():
                said += self._said(picked)
        except PlaceError as error:
            self._collector.counts.problem = str(error)
            if not said:
                raise DestinationUnreachable(f"feedback: {error}") from None
        return said

    def not_ours(self, told_by: str, document_ids: Sequence[str], /) -> None:
        """What a file says of documents that were not delivered there."""
        self._not_ours.setdefault(told_by, set()).update(document_ids)

    @property
    def not_asked(self) -> frozenset[str]:
        """Those that its time was not enough for."""
        left: frozenset[str] = getattr(self._outlet, "not_asked", frozenset())
        return left

    def heard(self, told_by: str, /) -> None:
        """What a file says is kept: it is put away."""
        if told_by not in self._under_way:
            if getattr(self._outlet, "asks_every", None) is not None:
                self._asking.heard(told_by)
            return
        path, found = self._under_way.pop(told_by)
        strange = self._not_ours.pop(told_by, set())
        numbers = [answer.number for answer in found.answers if answer.document_id in strange]
        problems = [*found.problems, *(reason("not_ours", number) for number in numbers[:50])]
        heard = len(found.answers) - len(numbers)
        if problems and heard:
            problems.append(reason("others_heard", heard))
        self._collector.settle(path, Away(tuple(problems)))

    # -- inside

    @property
    def _asking(self) -> Any:
        return self._outlet

    def _asked(self, documents: Sequence[Document]) -> Sequence[Feedback]:
        every: timedelta | None = getattr(self._outlet, "asks_every", None)
        if every is None or self._monotonic() < self._ask_outlet_at:
            return []
        self._ask_outlet_at = self._monotonic() + every.total_seconds()
        found: Sequence[Feedback] = self._asking.ask(documents)
        return found

    def _said(self, picked: Picked) -> list[Feedback]:
        try:
            found = self._read(picked.content)
        except FileRefused as refused:
            self._collector.settle(picked.path, refused)
            return []
        if not found.answers:
            self._collector.settle(picked.path, Away(found.problems))
            return []
        told_by = f"feedback file, sha256 {picked.sha256[:32]}"
        if told_by in self._under_way:  # the same bytes under two names: its turn comes at the next look
            return []
        self._under_way[told_by] = (picked.path, found)
        return [
            Feedback(answer.document_id, answer.stored, answer.reasons, answer.again, told_by)
            for answer in found.answers
        ]

    def _tell(self, what: str, digest: str, reasons: Sequence[Reason]) -> None:
        said = "; ".join(one.said("en") for one in reasons)
        tell(f"feedback.file_{what}", {"destination": self.name, "sha256": digest[:16], "problem": said})


def place_of(options: ForeignConfig, around: Around) -> Place:
    """Where the files lie. What is not said of an SFTP server is the destination's own, if that is one, too."""
    feedback = options.feedback
    if not feedback.url.startswith("sftp:"):
        return LocalPlace(folder_of(feedback.url), feedback.mount)
    said = SftpServer(
        url=feedback.url,
        secret=feedback.secret,
        key_secret=feedback.key_secret,
        passphrase_secret=feedback.passphrase_secret,
        known_hosts=feedback.known_hosts,
        host_key=feedback.host_key,
    )
    return sftp_place(_completed(said, feedback, options), options.timeout, around.secret)


def _completed(said: SftpServer, feedback: FeedbackConfig, options: ForeignConfig) -> SftpServer:
    if isinstance(options, SftpServer):
        if not (feedback.secret or feedback.key_secret):
            said = replace(
                said, secret=options.secret, key_secret=options.key_secret, passphrase_secret=options.passphrase_secret
            )
        if not (feedback.known_hosts or feedback.host_key):
            said = replace(said, known_hosts=options.known_hosts, host_key=options.host_key)
    return said


def _nobody(files: Sequence[Picked]) -> Sequence[Away]:
    raise AssertionError("feedback is settled when it is kept")
