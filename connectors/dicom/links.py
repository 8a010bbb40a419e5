"""The associations with one application entity that we send to: taken, given back, released when they have rested for a while.

What goes wrong is said in the words of a destination: DestinationUnreachable (waiting may help), NotAllowed (a person must act).
"""

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from connectors.dicom.requesting import Association, AssociationError, Peer, Rejected, Untrusted, associate
from connectors.outlets.http import Tls, tls_context
from frontend_agent.config_images import DicomOutlet, dicom_address
from frontend_agent.dicom.commands import Command
from frontend_agent.dicom.negotiation import MOST_CONTEXTS, proposed
from frontend_agent.errors import DestinationUnreachable, NotAllowed

Pair = tuple[str, str]  # abstract syntax, transfer syntax

IDLE_FOR = 3.0  # seconds that an association stays open for what may come next
LARGEST_DATA_SET = 8 << 20  # bytes of an answer


class Message(NamedTuple):
    """One that came whole."""

    context: int
    command: Command
    data: bytes  # its data set; b"" without one


class Link:
    """An open association, one thread's at a time."""

    def __init__(self, association: Association) -> None:
        self.association = association
        self.stored = 0  # instances, over this association
        self.rests_since = 0.0

    def knows(self, pairs: Sequence[Pair]) -> bool:
        """Whether all of them were proposed."""
        return all(pair in self.association.accepted or pair in self.association.refused for pair in pairs)

    def answer(self) -> Message:
        """The next message. AssociationError: the association is over."""
        context, command = self.association.receive()
        data = self.association.data_set(context, LARGEST_DATA_SET) if command.has_data_set else b""
        return Message(context, command, data)


class Links:
    """Those with one peer. Safe to use from several threads."""

    def __init__(self, name: str, peer: Peer, calling: str, timeout: float) -> None:
        self.peer = peer
        self._name, self._calling, self._timeout = name, calling, timeout
        self._idle: list[Link] = []
        self._busy: set[Link] = set()
        self._pairs: dict[Pair, None] = {}  # of use lately, the newest last: what is proposed
        self._lock = threading.Lock()
        self._closed = False
        self._reaper: threading.Timer | None = None

    def __len__(self) -> int:
        return len(self._idle) + len(self._busy)

    def take(self, pairs: Sequence[Pair], *, fresh: bool = False) -> Link:
        """A link on which all of these were proposed, each in a context of its own: one that rests and still lives, or a new one.
        DestinationUnreachable, NotAllowed."""
        while not fresh and (link := self._take_resting(pairs)):
            if not link.association.is_readable():  # otherwise it was ended: nothing else is due to be said
                return link
            self.drop(link)
        with self._lock:
            if self._closed:
                raise DestinationUnreachable(f"{self._name}: the agent stops")
            for pair in pairs:
                self._pairs.pop(pair, None)
                self._pairs[pair] = None
            while len(self._pairs) > MOST_CONTEXTS:
                del self._pairs[next(iter(self._pairs))]
            wanted = list(self._pairs)
        link = Link(self._associated(wanted))
        with self._lock:
            self._busy.add(link)
        return link

    def _associated(self, pairs: Sequence[Pair]) -> Association:
        contexts = proposed((abstract, (syntax,)) for abstract, syntax in pairs)
        try:
            return associate(self.peer, self._calling, contexts, timeout=self._timeout)
        except Untrusted as error:
            raise NotAllowed(f"{self._name}: {error}") from error
        except Rejected as error:  # congestion passes by itself; an AE title that is not known does not
            told = f"{self._name}: {self.peer}: {error}"
            raise (DestinationUnreachable(told) if error.is_for_now else NotAllowed(told)) from error
        except AssociationError as error:
            raise DestinationUnreachable(f"{self._name}: {error}") from error

    def _take_resting(self, pairs: Sequence[Pair]) -> Link | None:
        with self._lock:
            found = next((link for link in reversed(self._idle) if link.knows(pairs)), None)
            if found:
                self._idle.remove(found)
                self._busy.add(found)
            return found

    def give_back(self, link: Link) -> None:
        """It is in order, and may be of use again soon."""
        link.rests_since = time.monotonic()
        with self._lock:
            self._busy.discard(link)
            if not self._closed:
                self._idle.append(link)
                self._look_after()
                return
        link.association.release()

    def drop(self, link: Link) -> None:
        """It has ended, or can be trusted no more."""
        with self._lock:
            self._busy.discard(link)
        link.association.abort()

    def close(self) -> None:
        """Those that rest are released, those under way are cut."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
            if self._reaper is not None:
                self._reaper.cancel()
        for link in busy:
            link.association.cut()
        for link in idle:
            link.association.release()

    def _look_after(self) -> None:
        """Under the lock: see to it that those that rest are released."""
        if self._reaper is None and self._idle and not self._closed:
            self._reaper = threading.Timer(IDLE_FOR, self._release_rested)
            self._reaper.daemon = True
            self._reaper.start()

    def _release_rested(self) -> None:
        now = time.monotonic()
        with self._lock:
            rested = [link for link in self._idle if now - link.rests_since >= IDLE_FOR * 0.9]
            self._idle = [link for link in self._idle if link not in rested]
            self._reaper = None
            self._look_after()
        for link in rested:
            link.association.release()


def links_of(name: str, options: DicomOutlet, url: str = "") -> Links:
    """The associations with the application entity of a destination, or with another one that it names (`url`)."""
    title, host, port, is_tls = dicom_address(url or options.url)
    context = tls_context(name, Tls(options.certificate, options.key, options.ca)) if is_tls else None
    return Links(name, Peer(title, host, port, context), options.ae_title, options.timeout.total_seconds())
