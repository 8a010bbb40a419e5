"""Keeps what comes in, a group per commit: one thread takes all that waits and commits it once.

A message is acknowledged when its future is done, and that is after its commit is on disk. However many senders there are, they
share one commit; it takes its turn at the spool's one writer like everybody else.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta

from connectors.arrivals import Arrived, InboxFull, Kept
from frontend_agent.errors import FrontendAgentError
from frontend_agent.pulse import Pulse
from frontend_agent.spool.inbox import Inbox, Parcel, parcel

MOST_WAITING = 64 << 20  # bytes that wait for their commit; more are asked to come again
MOST_AT_ONCE = 16 << 20  # of one commit
MESSAGES_AT_ONCE = 500
SLOW_COMMIT = 600.0  # seconds after which a commit hangs

Wanted = Callable[[bytes], bool]  # whether some feed of the inlet wants a message


class _Group:
    """What one call handed over."""

    __slots__ = ("future", "parcels", "size")

    def __init__(self, parcels: list[Parcel], size: int) -> None:
        self.parcels, self.size = parcels, size
        self.future: Future[list[Kept]] = Future()


class Keeper:
    """A `Keep` (connectors/arrivals.py) over an inbox. `start` it, `stop` it when nobody hands over any more."""

    def __init__(
        self,
        inbox: Inbox,
        *,
        arrived: Callable[[set[str]], None] = lambda inlets: None,
        failed: Callable[[Exception], str] = lambda error: f"unexpected {type(error).__name__}",
        remember: Mapping[str, timedelta] | None = None,
        wanted: Mapping[str, Wanted] | None = None,
    ) -> None:
        """`arrived` is told the inlets of which something new is there; `failed` of what nobody expected; `wanted` judges for the
        inlets that refuse what no feed wants."""
        self._inbox, self._arrived, self._failed = inbox, arrived, failed
        self._remember, self._wanted = dict(remember or {}), dict(wanted or {})
        self._changed = threading.Condition()
        self._waiting: list[_Group] = []
        self._bytes = 0
        self._stopped = False
        self._pulse = Pulse(SLOW_COMMIT)
        self._thread = threading.Thread(target=self._work, name="inbox", daemon=True)

    def start(self) -> "Keeper":
        self._thread.start()
        return self

    def stop(self) -> None:
        """Keep what was handed over, and end."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def is_alive(self) -> bool:
        """Whether its thread lives and gets on."""
        return self._thread.is_alive() and not self._pulse.is_late

    def __call__(self, arrived: Sequence[Arrived]) -> "Future[list[Kept]]":
        group = _Group([self._parcel(one) for one in arrived], sum(len(one.body) for one in arrived))
        with self._changed:
            if self._stopped:
                group.future.set_exception(InboxFull("the agent stops; nothing of it was kept"))
            elif self._waiting and self._bytes + group.size > MOST_WAITING:
                group.future.set_exception(InboxFull("too much waits to be written; nothing of it was kept"))
            else:
                self._waiting.append(group)
                self._bytes += group.size
                self._changed.notify()
        return group.future

    def _parcel(self, arrived: Arrived) -> Parcel:
        wanted = self._wanted.get(arrived.inlet)
        return parcel(arrived, unwanted=wanted is not None and not arrived.unreadable and not wanted(arrived.body))

    def _work(self) -> None:
        while groups := self._next():
            with self._pulse.at_work():
                self._keep(groups)

    def _next(self) -> list[_Group]:
        """All that waits, as far as it goes into one commit; nothing when it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopped)
            size = count = place = 0
            for place, group in enumerate(self._waiting, 1):  # noqa: B007 - how many go is used below
                size, count = size + group.size, count + len(group.parcels)
                if size >= MOST_AT_ONCE or count >= MESSAGES_AT_ONCE:
                    break
            taken, self._waiting = self._waiting[:place], self._waiting[place:]
            self._bytes -= size
            return taken

    def _keep(self, groups: list[_Group]) -> None:
        """One commit. Should it fail in a way that nobody expected, each is tried alone: one must not keep out all others."""
        try:
            answers = self._inbox.keep([one for group in groups for one in group.parcels], self._remember)
        except FrontendAgentError as error:
            self._refuse(groups, str(error))
            return
        except Exception as error:  # noqa: BLE001  told and answered; the thread lives on, and senders come again
            if len(groups) > 1:
                for group in groups:
                    self._keep([group])
            else:
                self._refuse(groups, self._failed(error))
            return
        start, fresh = 0, set()
        for group in groups:
            mine = answers[start : start + len(group.parcels)]
            start += len(mine)
            fresh |= {one.arrived.inlet for one, kept in zip(group.parcels, mine, strict=True) if kept is Kept.KEPT}
            group.future.set_result(mine)
        if fresh:
            self._arrived(fresh)

    def _refuse(self, groups: list[_Group], reason: str) -> None:
        for group in groups:
            group.future.set_exception(InboxFull(reason))
