"""Files as an inlet: what lies in a folder or on an SFTP server is handed over message by message, and then put away."""

from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from connectors.arrivals import Arrived, InboxFull, Judge, Keep, Kept, Tap
from connectors.folders.collecting import Away, Collector, InMemory, Memory, Picked
from connectors.folders.place import Place, shown
from connectors.folders.reasons import FileRefused, Reason, reason
from connectors.folders.unpacking import Format, Limits, Piece, digest, unpack
from connectors.folders.watching import FolderWatch, Told
from frontend_agent.config_files import Picking

MESSAGES_AT_ONCE = 1_000
BYTES_AT_ONCE = 16 << 20
_WORDS = {Kept.CONFLICT: "conflict", Kept.UNWANTED: "unwanted"}
KEPT_WITHIN = 600.0  # seconds; longer than any disk takes


class Settings(Protocol):
    """What an inlet of files is told beside what is picked up."""

    @property
    def largest(self) -> int: ...
    @property
    def format(self) -> Format: ...
    @property
    def charset(self) -> str: ...
    @property
    def ids(self) -> Literal["message", "file"]: ...


class FilesInlet(FolderWatch):
    """Files as messages."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        picking: Picking,
        place: Place,
        keep: Keep,
        tap: Tap,
        clock: Callable[[], datetime],
        *,
        memory: Memory | None = None,
        judge: Judge | None = None,
        timezone: str = "Asia/Shanghai",
        told: Told = lambda event, fields: None,
        remember: timedelta = timedelta(days=90),
    ) -> None:
        super().__init__(name, place, picking.every, picking.settle, picking.after != "leave", told)
        self._settings, self._keep, self._tap, self._clock = settings, keep, tap, clock
        self._judge = judge
        self._limits = Limits(settings.largest, picking.entries, picking.unpacked)
        self._collector = Collector(
            place,
            picking,
            settings.largest,
            self._take,
            memory or InMemory(),
            clock,
            timezone,
            told=self._tell,
            term=remember,
        )
        self._messages = self._duplicates = self._conflicts = 0

    def told(self) -> dict[str, Any]:
        return {
            "address": self._place.where,
            "messages": self._messages,
            "duplicates": self._duplicates,
            "conflicts": self._conflicts,
            "failures": self._failures,
            **asdict(self._collector.counts),
        }

    # -- handing over

    def _take(self, files: Sequence[Picked]) -> Sequence[Away | FileRefused]:
        """Everything of these files is on the disk when this returns, or they are refused."""
        found: list[list[Piece] | FileRefused] = []
        for file in files:
            try:
                unpacked = unpack(
                    file.path, file.content, self._settings.format, self._limits, self._judge, self._settings.charset
                )
            except FileRefused as refused:
                found.append(refused)
                continue
            found.append(list(unpacked.pieces))
            if unpacked.problems:
                self._tell("odd", file.sha256, unpacked.problems)
        arrived = [
            self._arrived(file, piece)
            for file, pieces in zip(files, found, strict=True)
            if not isinstance(pieces, FileRefused)
            for piece in pieces
        ]
        kept = iter(self._kept(arrived))
        return [
            pieces if isinstance(pieces, FileRefused) else Away(_reasons(pieces, [next(kept) for _ in pieces]))
            for pieces in found
        ]

    def _arrived(self, file: Picked, piece: Piece) -> Arrived:
        path = shown(file.path) + (f"!{piece.place}" if piece.place else "")
        by_itself = self._settings.ids == "message" and piece.control_id
        control_id = piece.control_id if by_itself else digest(file.path, piece.place, piece.body)
        self._tap(self.name, path, piece.body, "received")
        return Arrived(self.name, piece.body, self._clock(), control_id, path, piece.about, unreadable=piece.unreadable)

    def _kept(self, arrived: Sequence[Arrived]) -> list[Kept]:
        """What became of each. InboxFull: perhaps some are kept; all are handed over again, and then known there."""
        kept: list[Kept] = []
        for some in _together(arrived):
            try:
                kept += self._keep(some).result(KEPT_WITHIN)
            except NotInTime:
                raise InboxFull("nothing was kept in time") from None
        self._messages += sum(one is Kept.KEPT for one in kept)
        self._duplicates += sum(one is Kept.DUPLICATE for one in kept)
        self._conflicts += sum(one is Kept.CONFLICT for one in kept)
        return kept


def _reasons(pieces: Sequence[Piece], kept: Sequence[Kept]) -> tuple[Reason, ...]:
    """What is to be said of a file's messages; nothing where all were taken."""
    count = len(pieces)
    found = [
        reason("message", number, count, "; ".join(piece.unreadable))
        for number, piece in enumerate(pieces, 1)
        if piece.unreadable
    ]
    found += [
        reason(_WORDS[one], number, count)
        for number, (piece, one) in enumerate(zip(pieces, kept, strict=True), 1)
        if one in _WORDS and not piece.unreadable
    ]
    if found and len(found) < count:
        found.append(reason("others_taken", count - len(found)))
    return tuple(found)


def _together(arrived: Sequence[Arrived]) -> list[list[Arrived]]:
    groups: list[list[Arrived]] = []
    size = 0
    for one in arrived:
        if not groups or len(groups[-1]) >= MESSAGES_AT_ONCE or size + len(one.body) > BYTES_AT_ONCE:
            groups.append([])
            size = 0
        groups[-1].append(one)
        size += len(one.body)
    return groups
