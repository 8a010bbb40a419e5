"""[gap]: an agent in two halves with a 网闸 between them that passes nothing but files (decision 0053)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from frontend_agent.config_types import NAMES_A_SECRET, MiB16, Size

LEAST_FILE = 256 << 10  # bytes
LARGEST_FILE = 1 << 30
MOST_DOCUMENTS = 20_000
LONGEST_WAIT = timedelta(minutes=9)
MiB256 = Size(256 << 20)


@dataclass(frozen=True, kw_only=True)
class GapConfig:
    """Without a `role` the agent is one whole, and none of this is used."""

    role: Literal["", "inner", "outer"] = ""
    out: str = ""  # the folder that the ferry takes our files from
    in_: str = field(default="", metadata={"key": "in"})  # and the one that it lays the other half's into
    key: str = field(
        default="", metadata=NAMES_A_SECRET
    )  # the NAME of a secret, 32 random bytes in base64; empty: a file
    suite: Literal["AES-256-GCM", "SM4-GCM"] = "AES-256-GCM"
    largest: Size = MiB16  # of one file: what is longer goes in several
    unfinished: str = ".part"  # how the name of a file ends that is not whole yet: no ferry may take it
    every: timedelta = timedelta(seconds=2)  # how long acknowledgements and answers wait for others to go with
    late: timedelta = timedelta(minutes=1)  # a number that others overtook by so much is asked for again
    again: timedelta = timedelta(
        minutes=10
    )  # the last file of a silent stretch goes again after so long, at the earliest
    wait: timedelta = timedelta(minutes=5)  # that who asks the platform something waits for its answer
    answer_within: timedelta = timedelta(hours=24)  # a parcel without an answer for so long goes again
    window: Size = MiB256  # bytes on their way without an answer: with so many nothing more goes
    documents: int = MOST_DOCUMENTS  # and so many documents
    silence: timedelta = timedelta(hours=1)  # nothing from the other half for so long, while an answer is due: an alarm

    @property
    def is_inner(self) -> bool:
        return self.role == "inner"

    @property
    def is_outer(self) -> bool:
        return self.role == "outer"


NO_GAP = GapConfig()


def problems(gap: GapConfig) -> Iterable[str]:
    """What no single key can be wrong about."""
    if not gap.role:
        if gap != NO_GAP:
            yield 'role is missing: "inner" in the hospital\'s network, "outer" on the other side of the gap'
        return
    for key, folder in (("out", gap.out), ("in", gap.in_)):
        if not folder:
            yield f"missing key {key!r}: the folder that the ferry {'takes our files from' if key == 'out' else 'lays files into'}"
    if gap.out and gap.out == gap.in_:
        yield "out and in are the same folder: what we lay down would be read as what came"
    if not LEAST_FILE <= gap.largest <= LARGEST_FILE:
        yield 'largest must lie between "256 KiB" and "1 GiB"'
    if (
        not gap.unfinished.startswith(".")
        or "/" in gap.unfinished
        or len(gap.unfinished) < 2
        or gap.unfinished == ".feb"
    ):
        yield f'unfinished {gap.unfinished!r} must be an ending like ".part", and not ".feb"'
    for key in ("late", "again", "wait", "answer_within", "silence"):
        if getattr(gap, key) <= timedelta(0):
            yield f"{key} must be longer than nothing"
    if gap.wait > LONGEST_WAIT:
        yield 'wait must be at most "9m": who waits longer no longer seems to make progress'
    if gap.answer_within < gap.again:
        yield "answer_within must not be shorter than again: a parcel would go twice before its bundle is missed"
    if gap.window < gap.largest:
        yield "window must not be smaller than largest"


def across(gap: GapConfig, config: Any) -> Iterable[str]:
    """What `[gap]` and the rest of the file say against one another. `config`: the whole of it."""
    platforms = {name: one for name, one in config.destinations.items() if one.type == "platform"}
    if not gap.is_inner:
        yield from (f"destinations.{name}: missing key 'url'" for name, one in platforms.items() if not one.url)
    if gap.role and not platforms:
        yield f"gap: no destination of the type platform: there is nothing for the {gap.role} half to do"
    if gap.is_inner:
        yield from _inner(config, platforms)
    if gap.is_outer:
        yield from _outer(config)


def _inner(config: Any, platforms: dict[str, Any]) -> Iterable[str]:
    for name, one in platforms.items():
        for key in ("url", "certificate", "key", "ca"):
            if getattr(one, key):
                yield f'destinations.{name}.{key}: with [gap] role = "inner" it stands in the outer half\'s agent.toml, and not here'
    for name in config.images.destinations:
        yield (
            f"images.destinations.{name}: studies do not cross a gap: send them by an agent of their own on the outer side, "
            "or by a ferry for DICOM; documents go as they are"
        )


def _outer(config: Any) -> Iterable[str]:
    for key, there in (
        ("sources", config.sources),
        ("inlets", config.inlets),
        ("feeds", config.feeds),
        ("images.inlets", config.images.inlets),
        ("images.destinations", config.images.destinations),
    ):
        if there:
            yield f'{key}: with [gap] role = "outer" nothing is read here: it stands in the inner half\'s agent.toml'
    for name, one in config.destinations.items():
        if one.type != "platform":
            yield f"destinations.{name}: of the type {one.type}: the outer half speaks to platforms alone; the inner half does the rest"


PATHS: dict[type[Any], tuple[str, ...]] = {GapConfig: ("out", "in_")}
