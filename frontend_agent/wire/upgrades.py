"""A signed upgrade that a platform offers its hospitals, and how far it has come at one of them (decision 0055).

The platform is only the carrier: whose signature counts is decided by the keys of the program that runs at the hospital. An
offer comes with the answer to a heartbeat, the file is fetched by GET with a range, and how it went is said with the next
heartbeats. What leaves the hospital is a version, a state and a sentence of ours: what a person wrote as a reason stays there.
"""

import re
from typing import Annotated

import msgspec

PATH = "/v1/upgrades/{sha256}"  # GET ?institution=…, with Range: bytes=N-
LARGEST = 4 << 30  # bytes of a package

OFFERED, FETCHING, WAITING, DUE, TRIAL = "offered", "fetching", "waiting", "due", "trial"
CONFIRMED, RETURNED, REFUSED = "confirmed", "returned", "refused"
STATES = (OFFERED, FETCHING, WAITING, DUE, TRIAL, CONFIRMED, RETURNED, REFUSED)
ENDED = frozenset((CONFIRMED, RETURNED))

Version = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z][0-9A-Za-z.+~-]*$")]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A package that this hospital may have. Nothing in it is believed that the package's own signature does not say."""

    version: Version
    machine: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]  # x86_64 or aarch64
    size: Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]  # bytes
    sha256: Digest  # of the file
    at: Annotated[str, msgspec.Meta(max_length=40)] = ""  # when it was offered, by the platform's clock


class UpgradeBeat(msgspec.Struct, frozen=True, kw_only=True):
    """How far the newest upgrade of a hospital has come."""

    version: Version
    state: Annotated[str, msgspec.Meta(max_length=20)]  # one of STATES, or a word of a later version
    at: Annotated[str, msgspec.Meta(max_length=40)] = ""  # since when, ISO 8601
    reason: Annotated[str, msgspec.Meta(max_length=300)] = ""  # of a return or a refusal


_VERSION = re.compile(r"(\d+(?:\.\d+)*)(?:[.~-]?(dev|a|b|rc)(\d*))?(?:\.post(\d+))?(?:\+.*)?")
_BEFORE_RELEASE = {"dev": 0, "a": 1, "b": 2, "rc": 3}
_RELEASE = 4


def order_of(version: str) -> tuple[tuple[int, ...], int, int, int] | None:
    """By what versions are put in order (PEP 440, as far as ours go): 1.2rc1 < 1.2 < 1.2.1. None: this is no version."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return None
    numbers = [int(one) for one in found[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:  # 1.2.0 is 1.2
        numbers.pop()
    return tuple(numbers), _BEFORE_RELEASE.get(found[2], _RELEASE), int(found[3] or 0), int(found[4] or 0)


def is_newer(version: str, than: str) -> bool:
    """Whether a version comes after another; a text that is no version comes after nothing, and before everything."""
    one, other = order_of(version), order_of(than)
    return one is not None and (other is None or one > other)
