"""Whom a command speaks to: the daemon that runs on the state, or the state itself when none does.

The parts of the agent are imported where a command needs them: asking a daemon, or for help, loads none of them.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frontend_agent import control
from frontend_agent.cli.texts import Texts
from frontend_agent.config import Config, load_config, state_folder
from frontend_agent.errors import StateError
from frontend_agent.machine import another_owner

if TYPE_CHECKING:
    from frontend_agent.door import Asker

Ask = Callable[..., Any]

# Questions that need the feeds compiled and the sources at hand; the others look at the state alone.
NEED_FEEDS = frozenset(
    {
        "backfill_plan", "backfill_start", "preview", "rehearse", "quarantine_release", "trace", "trace_element", "trace_key", "document", "report_sample", "terms_unmapped",
        "terms_list", "terms_show",
        "terms_targets", "terms_decide", "terms_problems", "terms_undo", "shadow_report", "visits_rebuild",
        "reconcile",
        "vanished_void",
        "inlet_read",
        "images_backfill_begin",
    }
)  # fmt: skip


@dataclass
class Settings:
    """The options that every command shares."""

    config_path: Path
    state_option: Path | None
    t: Texts
    why: str = ""  # for what reason, where what patients' records say is shown

    def config(self) -> Config:
        return load_config(self.config_path)

    def state(self, config: Config) -> Path:
        return state_folder(self.state_option, config, self.config_path)

    def log_folder(self) -> Path | None:
        """Where an unexpected error is written, if the configuration can be read at all."""
        try:
            folder = self.state(self.config())
        except Exception:  # noqa: BLE001 - asked while another error is being told: it must not hide that one
            return None
        return folder if folder.is_dir() else None

    @contextmanager
    def asking(self, *questions: str) -> Iterator[Ask]:
        """A function that answers these questions while the context lasts."""
        config = self.config()
        state = self.state(config)
        if (daemon := self.daemon(config)) is not None:
            yield daemon
            return
        from frontend_agent.app import App, has_state
        from frontend_agent.operations import door

        app = App(config, state, alone=True)
        if NEED_FEEDS.isdisjoint(questions):
            if not has_state(state):
                raise StateError(f"{state}: no agent has run with this state directory yet")
            app.open_state()
        else:
            app.open()
        try:
            opened, asker = door(app), self.asker()
            yield lambda question, **arguments: opened.ask(asker, question, arguments)
        finally:
            app.close()

    def asker(self) -> "Asker":
        """Who sits here, where no daemon sees it."""
        from frontend_agent.door import Asker

        return Asker(control.this_account(), why=self.why, through=control.process_account())

    def say(self, act: str, /, config: Config | None = None, **arguments: Any) -> None:
        """What this command is about to do by itself: may he, and it stands in the chained log before it is done.

        By the daemon where one runs, else at the state itself. NotAllowedHere, ReasonMissing, LogCannotBeWritten: nothing was done.
        """
        config = config or self.config()
        if (daemon := self.daemon(config)) is not None:
            daemon(act, **arguments)
            return
        from frontend_agent.saying import say

        say(config, self.state(config), act, arguments, self.asker())

    def daemon(self, config: Config) -> Ask | None:
        """A function that asks the daemon which runs on this state; None when none does.

        People ask at a socket of their own: the state directory is the service's alone.
        """
        people = config.people
        for socket in [*([Path(people.socket)] if people.is_configured else []), self.state(config) / control.SOCKET]:
            closed = os.path.isdir(socket.parent) and not os.access(socket.parent, os.X_OK)
            if people.is_configured and socket.name == control.SOCKET and closed:
                raise control.NoDaemon(
                    f"the agent is not running (nobody answers at {people.socket}): start it, and ask again"
                )
            if control.answers_at(socket):
                return partial(self._ask, socket)
        return None

    def _ask(self, socket: Path, question: str, **arguments: Any) -> Any:
        return control.ask_at(socket, control.Question(question, arguments, self.why))


def must_be_its_owner(state: Path) -> None:
    """root who works on a service's state leaves files there that the service cannot open: told before there is one."""
    if not (account := another_owner(state)):
        return
    raise StateError(
        f"{state} belongs to {account}: run this as {account} (runuser -u {account} -- frontend-agent …), not as root"
    )


def this_user() -> str:
    """Who decides at this shell, for the quality log: the account of whoever sits there."""
    return control.this_account()
