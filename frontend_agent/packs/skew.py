"""Agent and platform say at every exchange what they judge by; here is told where they do not judge alike."""

from collections.abc import Iterable, Mapping

import msgspec

PACK = "pack"


class Skew(msgspec.Struct, frozen=True):
    """One thing that two sides have in different versions."""

    what: str  # pack, rules, profile:regional, kind:C0007
    ours: str
    theirs: str


def names(pack: str, digest: str, rules: str, profiles: Mapping[str, str], kinds: Mapping[str, str]) -> dict[str, str]:
    """What one side judges by, as it travels: the pack by its name, everything by the beginning of its digest."""
    return {
        PACK: f"{pack} {digest[:16]}",
        "rules": rules[:16],
        **{f"profile:{name}": digest[:16] for name, digest in profiles.items()},
        **{f"kind:{code}": digest[:16] for code, digest in kinds.items()},
    }


def compared(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[Skew]:
    """Where both name a thing and differ. Who names nothing (an older version, a foreign platform) cannot be compared."""
    return [Skew(what, ours[what], theirs[what]) for what in sorted(_both(ours, theirs)) if ours[what] != theirs[what]]


def _both(ours: Iterable[str], theirs: Iterable[str]) -> set[str]:
    return set(ours) & set(theirs)
