"""Which fields a rule is asked of, wherever they stand: by data element, by value domain, by name.

A pulse is a pulse in every kind: one rule with `each=element("DE04.10.118.00")` speaks of all of them.
"""

from collections.abc import Callable
from typing import Any

import msgspec

ICD10 = "2.16.156.10011.2.3.3.11"  # and its parts .1 to .5
ICD9 = "2.16.156.10011.2.3.3.12"
TCM = "2.16.156.10011.2.3.3.14"  # GB/T 15657: diseases and syndromes share it


class Selector(msgspec.Struct, frozen=True):
    """Takes a kind's field or not; `said` is how the catalogue names what it takes."""

    takes: Callable[[Any], bool]
    said: str

    def __call__(self, field: Any) -> bool:
        return self.takes(field)

    def __or__(self, other: "Selector") -> "Selector":
        return Selector(lambda field: self.takes(field) or other.takes(field), f"{self.said}, {other.said}")

    def __and__(self, other: "Selector") -> "Selector":
        return Selector(lambda field: self.takes(field) and other.takes(field), f"{self.said} ({other.said})")

    def __sub__(self, other: "Selector") -> "Selector":
        return Selector(lambda field: self.takes(field) and not other.takes(field), self.said)


def element(*codes: str) -> Selector:
    """Fields of these data elements."""
    wanted = frozenset(codes)
    return Selector(lambda field: field.de in wanted, ", ".join(codes))


def coded_by(*oids: str) -> Selector:
    """Fields whose codes come from these value domains, or a part of one of them."""
    parts = tuple(f"{oid}." for oid in oids)
    return Selector(lambda field: field.value_set in oids or field.value_set.startswith(parts), ", ".join(oids))


def named(*names: str) -> Selector:
    """Fields of these names; in a row, of these keys."""
    wanted = frozenset(names)
    return Selector(
        lambda field: field.name in wanted or (bool(field.group) and field.name.partition(".")[2] in wanted),
        ", ".join(names),
    )


def ending(*ends: str) -> Selector:
    """Fields whose name ends so."""
    return Selector(lambda field: field.name.endswith(ends), ", ".join(f"*{end}" for end in ends))


def labelled(*words: str) -> Selector:
    """Fields whose Chinese name has one of these words."""
    return Selector(lambda field: any(word in field.name_zh for word in words), ", ".join(words))
