"""What comes in by itself, beside the daemon: the inlets, whoever keeps what they hand over, and the feeds that hear of it at once.

inlets ─▶ keeper ─▶ inbox        arrived: the feeds of that inlet are woken, each in a thread of its own
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from frontend_agent.app import App, Outcome
from frontend_agent.config import unknown
from frontend_agent.er7 import MessageUnreadable
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.feeds import Feed
from frontend_agent.inlets import open_inlets
from frontend_agent.logs import event, failed, log
from frontend_agent.spool.keeping import Keeper, Wanted
from frontend_agent.tapping import Taps

LINGER = 2.0  # seconds that a run goes on listening once it has taken everything
LONGEST_RUN = 60.0  # seconds: what came of it is told by then
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # after a run that failed

Run = Callable[[str, Callable[[], bool]], Outcome]  # feed, whether more has come


class Hearer:
    """One feed's thread: runs when something has come, when somebody asks, and every so often."""

    def __init__(self, name: str, every: float, run: Run) -> None:
        self.name = name
        self._every, self._run = every, run
        self._changed = threading.Condition()
        self._asked = False
        self._arrived = True  # what came before the start is waiting
        self._stopping = self._lingers = False
        self._failures = 0
        self._began = 0.0
        self._thread = threading.Thread(target=self._work, name=f"hear-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; who began it waits for what is under way."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def arrived(self) -> None:
        """Something has come."""
        with self._changed:
            self._arrived = True
            self._changed.notify_all()

    def ask(self) -> None:
        """Somebody wants a whole run: what was released, too, and without waiting for the end of a pause."""
        with self._changed:
            self._asked = True
            self._changed.notify_all()

    def _work(self) -> None:
        while self._wait():
            self._began = time.monotonic()
            outcome = self._run(self.name, self._more)
            self._failures = self._failures + 1 if outcome.error else 0

    def _wait(self) -> bool:
        """Until it is time for a run. False: it is time to end."""
        with self._changed:
            if self._failures:  # what goes wrong with everything must not be tried as often as something comes
                pause = min(FIRST_PAUSE * 2 ** min(self._failures - 1, 16), LONGEST_PAUSE, self._every)
                self._changed.wait_for(lambda: self._stopping or self._asked, pause)
            else:
                self._changed.wait_for(lambda: self._stopping or self._asked or self._arrived, self._every)
            self._lingers = not self._asked  # who asked waits for the end
            self._asked = self._arrived = False
            return not self._stopping

    def _more(self) -> bool:
        """Asked by a run that has taken everything: whether more has come, or comes soon."""
        with self._changed:
            if not self._lingers or time.monotonic() - self._began > LONGEST_RUN:
                return False
            self._changed.wait_for(lambda: self._stopping or self._asked or self._arrived, LINGER)
            if self._stopping or self._asked or not self._arrived:
                return False
            self._arrived = False
            return True


class Receiving:
    """All of it, for one open App."""

    def __init__(self, app: App, run: Run) -> None:
        config = app.config
        self._app = app
        self.taps = Taps()
        self.closing = threading.Event()
        self.keeper = Keeper(
            app.spool.inbox,
            arrived=self._arrived,
            failed=lambda error: failed("inbox.failed", error),
            remember={name: inlet.remember for name, inlet in config.inlets.items()},
            wanted={name: wanted_by(app, name) for name, inlet in config.inlets.items() if inlet.unwanted == "refuse"},
        )
        self.inlets = open_inlets(
            config, self.keeper, self.taps, app.clock, app.spool.inbox.mark, app.spool.picked, app.spool.inbox.put_mark
        )
        self.hearers = {
            feed.name: Hearer(feed.name, feed.every.total_seconds(), run)
            for feed in config.feeds
            if feed.source in config.inlets
        }
        self._of = {
            name: [self.hearers[feed.name] for feed in config.feeds if feed.source == name] for name in config.inlets
        }

    def start(self) -> None:
        """The feeds first: what came before is waiting for them. Then whoever hands over."""
        self.keeper.start()
        for hearer in self.hearers.values():
            hearer.start()
        self.inlets.start()

    def fetch(self) -> Iterator[tuple[str, FrontendAgentError]]:
        """Instead of `start`: let the fetchers ask once; what went wrong, by inlet."""
        self.keeper.start()
        for name, count, error in self.inlets.fetch():
            log.info(event("inlet.fetched", inlet=name, messages=count, problem=str(error or "")))
            if error is not None:
                yield name, error

    def stop(self, patience: float) -> None:
        """Take no more first: what is under way is kept and acknowledged. The feeds end with what they are doing. Once is enough."""
        if self.closing.is_set():
            return
        self.closing.set()
        self.inlets.stop(patience)
        self.keeper.stop()
        for hearer in self.hearers.values():
            hearer.stop()

    def is_well(self) -> bool:
        """Whether all its threads live: the watchdog's question."""
        return (
            self.keeper.is_alive()
            and self.inlets.is_well()
            and all(hearer.is_alive() for hearer in self.hearers.values())
        )

    def told(self) -> Mapping[str, Mapping[str, Any]]:
        """How each inlet stands."""
        return self.inlets.told()

    def tap(self, inlet: str) -> Iterator[dict[str, Any]]:
        """What comes and what is answered, masked, as it happens."""
        if inlet not in self._app.config.inlets:
            raise ConfigurationError(unknown("inlet", inlet, self._app.config.inlets))
        return self.taps.rows(inlet, self.closing)

    def _arrived(self, inlets: set[str]) -> None:
        for name in inlets:
            for hearer in self._of.get(name, ()):
                hearer.arrived()


def wanted_by(app: App, inlet: str) -> Wanted:
    """Whether some feed of an inlet wants a message. What cannot be read is somebody's to look at, and never unwanted."""

    def wanted(body: bytes) -> bool:
        return any(_wants(feed, body) for feed in app.feeds.values() if feed.config.source == inlet)

    return wanted


def _wants(feed: Feed, body: bytes) -> bool:
    assert feed.hear is not None
    try:
        return feed.hear(body).rows is not None
    except MessageUnreadable:
        return True
    except Exception as error:  # noqa: BLE001  the feed will say what it cannot do with it; the sender is not to blame
        failed("message.failed", error)
        return True
