"""Whoever looks at studies when it is time: one thread, one study after the other.

due ─▶ look (heavy work in a child process) ─▶ checked ─▶ destinations are woken
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from frontend_agent.errors import FrontendAgentError
from frontend_agent.imaging.looking import Looking
from frontend_agent.imaging.model import Study
from frontend_agent.logs import event, failed, log
from frontend_agent.pulse import Pulse
from frontend_agent.spool.images import Images

AT_ONCE = 10
LONGEST_WAIT = 5.0  # seconds between looks for what is due: the clock may have been set
SLOW_STUDY = 4 * 3600.0  # seconds after which looking at one study hangs: some have ten thousand instances
AGAIN_AFTER = timedelta(minutes=10)  # a study that could not be looked at


class Looks(Protocol):
    """`Looking`, or what stands for it."""

    look: Callable[..., Any]

    def close(self) -> None: ...


class Watcher:
    """The thread, and the step it takes. `work` needs no thread."""

    def __init__(
        self, book: Images, looking: Looking | Looks, clock: Callable[[], datetime], judged: Callable[[], None]
    ) -> None:
        """`judged` is told after each study that deliveries may be due."""
        self._book, self._looking, self._clock, self._judged = book, looking, clock, judged
        self._changed = threading.Condition()
        self._asked = self._stopping = False
        self._pulse = Pulse(SLOW_STUDY)
        self._looks = threading.Lock()  # one study at a time, whoever asks
        self._thread: threading.Thread | None = None
        self.problem = ""  # why the last study could not be looked at

    def start(self) -> None:
        self._stopping = False
        self._thread = threading.Thread(target=self._watch, name="studies", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something may be due now."""
        with self._changed:
            self._asked = True
            self._changed.notify()

    def stop(self, patience: float) -> None:
        """Look at no more; what is being looked at is dropped whole, or written whole."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(patience)
        self._looking.close()

    def is_alive(self) -> bool:
        """Whether its thread lives and gets on."""
        return self._thread is None or (self._thread.is_alive() and not self._pulse.is_late)

    def work(self, ahead: timedelta = timedelta(0), stopping: Callable[[], bool] = lambda: False) -> int:
        """Look at everything that is due by now (or `ahead` of it). How many studies were judged, or wait."""
        count = 0
        looked: set[int] = set()
        while due := [
            one for one in self._book.due(self._clock() + ahead, AT_ONCE + len(looked)) if one.id not in looked
        ]:
            for study in due:
                with self._looks:
                    if self._stopping or stopping():
                        return count
                    with self._pulse.at_work():
                        count += self.look(study)
                if ahead:  # what waits for more may be due by then once more
                    looked.add(study.id)
        return count

    def look(self, study: Study) -> bool:
        """One study. False: it was overtaken, or could not be looked at, and has its turn again."""
        began = self._clock()
        try:
            checked = self._looking.look(
                study, self._book.instances(study.id), self._came, self._book.find_order, self._book.begin
            )
            written = self._book.checked(checked)
        except Exception as error:  # noqa: BLE001  one study's fault is its own: it is told, and looked at again later
            told = str(error) if isinstance(error, FrontendAgentError) else failed("study.look.failed", error)
            self.problem = f"study {study.study_instance_uid}: {told}"
            log.warning(event("study.not_looked_at", study=study.study_instance_uid, problem=told))
            self._book.put_off(study.id, self._clock() + AGAIN_AFTER, told)
            return False
        if written:
            self.problem = ""
            found = self._book.study(study.id)
            log.info(
                event(
                    "study.looked_at",
                    study=study.study_instance_uid,
                    became=found.state if found else "",
                    instances=study.instances,
                    findings=len(checked.findings),
                    seconds=(self._clock() - began).total_seconds(),
                )
            )
            self._judged()
        return written

    def _came(self, instance: Any) -> Any:
        return self._book.path(instance, as_it_came=True)

    def _watch(self) -> None:
        while not self._stopping:
            try:
                self.work()
            except Exception as error:  # noqa: BLE001  a disk that is full for a moment: tried again with the next look
                self.problem = failed("studies.failed", error)
            with self._changed:
                self._changed.wait_for(lambda: self._asked or self._stopping, self._wait())
                self._asked = False

    def _wait(self) -> float:
        due = self._book.next_due()
        if due is None:
            return LONGEST_WAIT
        return min(max(due / 1000 - self._clock().timestamp(), 0.05), LONGEST_WAIT)
