"""Which secrets a configuration names, and where: by the settings' own names, so that a new one is found by itself.

A setting names a secret where it is called `secret` or `…_secret`, or its field says so (`NAMES_A_SECRET`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple, TypeVar

from frontend_agent.config import Config
from frontend_agent.config_types import SECRET


class Use(NamedTuple):
    """One setting that names a secret."""

    secret: str
    path: tuple[str, ...]  # as agent.toml has it: sources, his, secret

    @property
    def place(self) -> str:
        return ".".join(self.path)


def uses(config: Any) -> list[Use]:
    """Every one of them, in the order of the settings."""
    return list(_in(config, ()))


def by_secret(found: Iterable[Use]) -> dict[str, list[Use]]:
    """The uses of each secret."""
    grouped: dict[str, list[Use]] = {}
    for use in found:
        grouped.setdefault(use.secret, []).append(use)
    return grouped


def _in(value: Any, path: tuple[str, ...]) -> Iterator[Use]:
    if is_dataclass(value):
        for member in fields(value):
            key = member.metadata.get("key", member.name)
            inner = getattr(value, member.name)
            if not isinstance(inner, str):
                yield from _in(inner, (*path, key))
            elif inner and (key == SECRET or key.endswith(f"_{SECRET}") or member.metadata.get(SECRET)):
                yield Use(inner, (*path, key))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _in(inner, (*path, name))
    elif isinstance(value, tuple):
        for number, inner in enumerate(value):
            yield from _in(inner, (*path, str(number)))


# -- What a secret is tried at ----------------------------------------------------------------------------------------

T = TypeVar("T")
TRIED = ("sources", "destinations", "inlets")  # tables of which `check` tries each


def trial(config: Config, chosen: Sequence[Use]) -> tuple[Config, dict[str, list[Use]]]:
    """The configuration with nothing in it but what uses these secrets, and what `check` calls each of them.

    Uses that are tried nowhere (a key of our own) are not among them.
    """
    told: dict[str, list[Use]] = {}
    kept: dict[str, set[str]] = {table: set() for table in TRIED}
    images: dict[str, set[str]] = {table: set() for table in TRIED}
    for use in chosen:
        table, *rest = use.path
        if table in TRIED:
            kept[table].add(rest[0])
            told.setdefault(f"{table.removesuffix('s')} {rest[0]}", []).append(use)
        elif table == "images" and rest[0] in TRIED:
            images[rest[0]].add(rest[1])
            told.setdefault(f"images: {rest[0].removesuffix('s')} {rest[1]}", []).append(use)
    studies = replace(
        config.images,
        orders=None,
        inlets=_only(config.images.inlets, images["inlets"]),
        destinations=_only(config.images.destinations, images["destinations"]),
    )
    smaller = replace(
        config,
        feeds=(),
        withhold=(),
        images=studies,
        sources=_only(config.sources, kept["sources"]),
        destinations=_only(config.destinations, kept["destinations"]),
        inlets=_only(config.inlets, kept["inlets"]),
    )
    return smaller, told


def _only(table: Mapping[str, T], names: set[str]) -> dict[str, T]:
    return {name: one for name, one in table.items() if name in names}
