"""How DICOM instances come in: what every edge of images is given to hand them over with, whatever its protocol.

edge ─▶ begin ─▶ write … ─▶ keep (durable) ─▶ only then is it acknowledged

An edge never holds an instance in memory, and never sees where its file lies.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Protocol

import msgspec

from connectors.arrivals import Kept
from frontend_agent.dicom.header import Header


class InstanceRefused(Exception):
    """The instance cannot be kept, whoever sends it again: all reasons, without a value of it. It is counted, and not kept."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


class KeptInstance(msgspec.Struct, frozen=True):
    """What became of an instance. CONFLICT: its UID is there with other bytes; it is kept for a person, and acknowledged as refused."""

    kept: Kept
    header: Header
    sha256: str
    size: int


class InstanceWriter(Protocol):
    """One instance on its way in. After `keep` or `abort` it is done with."""

    def write(self, chunk: bytes | bytearray | memoryview, /) -> None:
        """The next bytes of its data set, as they came. InstanceRefused: it is larger than its inlet says it may be."""

    def keep(self) -> "Future[KeptInstance]":
        """All of it was written. The future is done when it is on disk and committed; its exception is InstanceRefused, or
        InboxFull (connectors/arrivals.py) when nothing more can be kept now. Syncs the file in the caller's thread."""

    def abort(self) -> None:
        """It will not come: nothing of it stays."""


class InstanceDesk(Protocol):
    """Where instances are handed over. Safe to use from several threads."""

    def begin(
        self,
        inlet: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        *,
        sender: str,
        largest: int = 0,
    ) -> InstanceWriter:
        """An instance begins. `sender`: `AE@address`, or a file's name. `largest`: bytes, 0 for no limit of its own. InboxFull: the
        quota is used up, or the disk."""

    def begin_file(self, inlet: str, *, sender: str, largest: int = 0) -> InstanceWriter:
        """The same for the bytes of a whole file (Part 10, or without its meta information): what it is, it says itself."""


class Tally(Protocol):
    """What is known here of a study, for who has fetched it."""

    def counts(self, study_instance_uid: str, /) -> Mapping[str, int]:
        """SeriesInstanceUID -> instances that are here (and were here, where their term is over). Empty: none."""
