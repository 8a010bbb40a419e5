"""Encryption at rest by agent.toml: what the spool is told of it, and what a person does with the keys."""

from datetime import datetime
from pathlib import Path
from typing import Any

from frontend_agent.config import Config
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.secrets import secrets_of
from frontend_agent.spool import Spool
from frontend_agent.spool.at_rest import settle, under
from frontend_agent.spool.vault import AtRest, Vault, kept_keys

PLAIN = ("reports",)  # lie plain whatever agent.toml says: figures and masked findings, no patient


def at_rest_of(config: Config) -> AtRest | None:
    """None: agent.toml says nothing of it, and no secret is looked for."""
    settings = config.at_rest
    if not settings.key:
        return None
    return AtRest(None if settings.suite == "none" else settings.suite, settings.key, secrets_of(config))


def standing(config: Config, state: Path) -> dict[str, Any]:
    """What agent.toml wants, which keys there are, and how many files are under which. Needs no secret, and disturbs no daemon."""
    return {
        "suite": config.at_rest.suite if config.at_rest.key else "none",
        "secret": config.at_rest.key,
        **kept_keys(state),
        "files": under(state),
        "not_sealed": {name: count for name in PLAIN if (count := _files_in(state / name))},
    }


def rekey(config: Config, state: Path, who: str, now: datetime) -> int:
    """A new key for all that lies here, nobody else having it open. Whatever was begun before is brought to its end first. How many files."""
    settings = _wanted(config)
    vault = Vault(state, settings)
    settle(state, vault)
    if settings.suite is None:
        raise ConfigurationError('[at_rest] suite = "none": the state is plain and has no key')
    vault.renew(settings.suite)
    return _record(config, state, who, now)


def admit(config: Config, state: Path, secret: str, who: str, now: datetime) -> None:
    """Another secret opens what lies here, too, until agent.toml names it: then it alone does."""
    settings = _wanted(config)
    Vault(state, settings).admit(settings._replace(secret=secret))
    _record(config, state, who, now, secret)


def sealing_problem(config: Config, state: Path) -> FrontendAgentError | None:
    """Why the state cannot be opened with the secret that agent.toml names, or be encrypted with it. Changes nothing."""
    try:
        Vault(state, at_rest_of(config))
    except FrontendAgentError as error:
        return error
    return None


def _files_in(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


def _wanted(config: Config) -> AtRest:
    settings = at_rest_of(config)
    if settings is None:
        raise ConfigurationError('nothing is encrypted here: agent.toml has no [at_rest] key = "NAME"')
    return settings


def _record(config: Config, state: Path, who: str, now: datetime, secret: str = "") -> int:
    with Spool(state, quota=config.spool.quota, at_rest=at_rest_of(config)).open() as spool:  # it settles
        spool.record_sealing(spool.sealed_anew, who, now, secret)
        return spool.sealed_anew
