"""Who the two halves are: keys, pairing, and what is wrong before anything starts."""

from collections.abc import Iterator
from pathlib import Path

from connectors.folders.place import PlaceError
from connectors.folders.this_machine import LocalPlace
from frontend_agent.config import Config
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.secrets import secrets_of
from frontend_agent.spool.gap_keys import other_half, own_half
from frontend_agent.wire.bundles import Half, PublicHalf, Role, shown


def role_of(config: Config) -> Role:
    """ConfigurationError: there is no gap."""
    if not config.gap.role:
        raise ConfigurationError(
            'agent.toml: missing table [gap]: role = "inner" or "outer", and the folders out and in'
        )
    return config.gap.role


def own(config: Config, state: Path, make: bool = False) -> Half:
    """Our own half; its keys are made where `make` says so."""
    return own_half(state, role_of(config), config.gap.key, secrets_of(config), make)


def paired(config: Config, state: Path) -> tuple[Half, PublicHalf]:
    """Both halves. ConfigurationError: a person has to pair them first."""
    ours, other = own(config, state), other_half(state)
    if other is None:
        raise ConfigurationError(
            "[gap]: this half is not paired yet: write the other half's public keys there with frontend-agent gap keys, "
            "bring the file here, and frontend-agent gap pair FILE"
        )
    return ours, other


def must_fit(ours: Half, other: PublicHalf) -> None:
    """Whether these two can be paired. ConfigurationError."""
    if other.role == ours.role:
        raise ConfigurationError(
            f"these are the keys of an {other.role} half, and this is the {ours.role} one: bring the other half's file"
        )
    if other.fingerprint == ours.public.fingerprint or other.signing == ours.public.signing:
        raise ConfigurationError("these are our own keys: bring the other half's file")


def checked_gap(config: Config, state: Path) -> Iterator[tuple[str, FrontendAgentError | None]]:
    """What `check` says of it: keys, pairing, both folders."""
    try:
        _, other = paired(config, state)
    except FrontendAgentError as error:
        yield "gap: keys", error
    else:
        yield f"gap: keys, paired with {shown(other.fingerprint)}", None
    for key, folder in (("out", config.gap.out), ("in", config.gap.in_)):
        yield f"gap: {key} {folder}", _folder_problem(key, folder)


def _folder_problem(key: str, folder: str) -> FrontendAgentError | None:
    """We write into both: ours into `out`, and what came is taken away from `in`."""
    try:
        LocalPlace(folder).probe(writing=True)
    except PlaceError as error:
        return ConfigurationError(
            f"[gap] {key}: {error}: the folder must be there, and the service's account must read and write in it"
        )
    return None
