"""What a command is about to do beside the agent, said in the agent's chained log while no agent runs.

    command ─▶ the state's lock ─▶ the door: may he, for what reason, one entry ─▶ the lock is let go ─▶ the command

A state that somebody else has open, that cannot be read or takes no entry: nothing is done (threats L4). Two exceptions, because
else nobody could begin: a state directory without a log yet, and a secret without which the log cannot be opened. There the
entry waits in a file of its own (`spool/early.py`), and the next opening of the state chains it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from frontend_agent.config import Config
from frontend_agent.door import Asker, Door, LogCannotBeWritten
from frontend_agent.errors import FrontendAgentError
from frontend_agent.keeping_sealed import at_rest_of
from frontend_agent.spool import Spool
from frontend_agent.spool.database import FILE
from frontend_agent.spool.early import Early
from frontend_agent.spool.vault import Vault

OPENS_THE_LOG = "secret_set"


def say(config: Config, state: Path, act: str, arguments: Mapping[str, Any], asker: Asker) -> None:
    """NotAllowedHere, ReasonMissing, LogCannotBeWritten: nothing was written but a refusal, and nothing is to be done."""
    if (state / FILE).exists() and not (act == OPENS_THE_LOG and not _opens_as_it_is(config, state)):
        _in_the_log(config, state, act, arguments, asker)
    else:
        Door({}, config.people, _early(state), _now).ask(asker, act, arguments)


def _in_the_log(config: Config, state: Path, act: str, arguments: Mapping[str, Any], asker: Asker) -> None:
    try:
        spool = Spool(state, quota=config.spool.quota, at_rest=at_rest_of(config)).open()
    except FrontendAgentError as error:
        raise LogCannotBeWritten(f"the quality log cannot be written, so nothing was done: {error}") from error
    with spool:
        if spool.sealed_anew:
            spool.record_sealing(spool.sealed_anew, "agent.toml", _now())
        spool.take_early(_now())
        Door({}, config.people, spool.record_act, _now).ask(asker, act, arguments)


def _opens_as_it_is(config: Config, state: Path) -> bool:
    """Whether the log can be opened, and would not be sealed by that: a secret that is only being set seals nothing yet."""
    wanted = at_rest_of(config)
    try:
        vault = Vault(state, wanted)
    except FrontendAgentError:
        return False
    suite = vault.current.suite if vault.current else None
    return vault.whole and suite == (wanted.suite if wanted else None)


def _early(state: Path) -> Any:
    """Where no state directory is, no agent was ever: who may is asked, and there is nothing to say it in."""

    def note(body: Mapping[str, Any], now: datetime) -> int:
        if not state.is_dir():
            return 0
        try:
            Early(state).put({**body, "said_at": now.isoformat(timespec="milliseconds")})
        except OSError as error:
            raise LogCannotBeWritten(f"{state}: {error.strerror}") from error
        return 0

    return note


def _now() -> datetime:
    return datetime.now(UTC)
