"""The outer half as a process: its state, its control socket, what systemd is told."""

import threading
from pathlib import Path
from typing import Any

from frontend_agent import logs
from frontend_agent.app import utc_now
from frontend_agent.config import Config
from frontend_agent.control import SOCKET, ControlServer, Question
from frontend_agent.crossing.halves import paired
from frontend_agent.crossing.outer import Outer
from frontend_agent.daemon import on_signals
from frontend_agent.door import Asker, Door
from frontend_agent.keeping_sealed import at_rest_of
from frontend_agent.logs import event, failed, log
from frontend_agent.notify import Notifier
from frontend_agent.spool import Spool, this_machine

LOOK_EVERY = 5.0  # seconds


def run_outer(config: Config, state: Path) -> None:
    """Until SIGTERM. ConfigurationError: the two halves are not paired yet, or a platform is not well named."""
    half, other = paired(config, state)
    with Spool(state, quota=config.spool.quota, at_rest=at_rest_of(config)).open() as spool:
        spool.bind(this_machine())
        logs.to_file(state, config.log.level, config.log.size, config.log.keep)
        outer = Outer(config, state, spool, half, other, utc_now)
        door = Door(outer.operations(), config.people, spool.record_act, utc_now)
        controls = [ControlServer(state / SOCKET, _asker(door), _failed)]
        if config.people.is_configured:
            controls.append(ControlServer(Path(config.people.socket), _asker(door), _failed, group=True))
        on_signals(outer.stopping.set)
        for control in controls:
            control.start()
        try:
            _work(outer)
        finally:
            for control in controls:
                control.close()


def _asker(door: Door) -> Any:
    def asked(account: str, question: Question) -> Any:
        return door.ask(Asker(account, question.session, question.why), question.ask, question.arguments)

    return asked


def _failed(error: Exception) -> str:
    return failed("control.failed", error)


def _work(outer: Outer) -> None:
    notifier = Notifier()
    worker = threading.Thread(target=outer.work, name="gap", daemon=True)
    worker.start()
    notifier.say("READY=1", "STATUS=the outer half")
    log.info(event("gap.outer_ready"))
    while not outer.stopping.wait(min(notifier.interval or LOOK_EVERY, LOOK_EVERY)):
        if not worker.is_alive():
            break  # ended by what nobody foresaw: systemd begins it again
        if not outer.pulse.is_late:
            notifier.say("WATCHDOG=1")
    notifier.say("STOPPING=1")
    outer.stopping.set()
    worker.join(10.0)
    log.info(event("gap.outer_stopped"))
