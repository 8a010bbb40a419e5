"""DICOM files in a folder: exports, and media with a DICOMDIR. Each is read once, piece by piece, and put away when it is kept.

What a file is, it says itself: neither its name nor its ending counts. A DICOMDIR is no instance; what it lists is what its studies are
held against, so that a medium that was half copied is noticed.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from connectors.arrivals import InboxFull, Kept
from connectors.folders.collecting import Away, Collector, Loaded, Memory, Picked
from connectors.folders.place import shown
from connectors.folders.reasons import FileRefused, Reason, reason
from connectors.folders.this_machine import LocalPlace
from connectors.folders.watching import FolderWatch, Told
from connectors.instances import InstanceDesk, InstanceRefused, InstanceWriter, KeptInstance
from frontend_agent.config_images import DicomFolderInlet
from frontend_agent.dicom.directory import read_directory
from frontend_agent.dicom.elements import DataSetMalformed
from frontend_agent.dicom.part10 import NoInstance
from frontend_agent.imaging.model import Expected

DICOMDIR = "DICOMDIR"  # its name, on every medium (PS3.10 §8.6)
LARGEST_DICOMDIR = 64 << 20
KEPT_WITHIN = 300.0  # seconds until an instance is on disk
REMEMBERED = timedelta(days=90)  # of a file that is left where it lies, once it is gone


class DicomFolder(FolderWatch):
    """One folder with DICOM files."""

    def __init__(
        self,
        name: str,
        options: DicomFolderInlet,
        desk: InstanceDesk,
        expect: Callable[[str, Expected], None],
        memory: Memory,
        clock: Callable[[], datetime],
        timezone: str,
        told: Told = lambda event, fields: None,
    ) -> None:
        """`expect`: told what a DICOMDIR says of a study."""
        place = LocalPlace(options.path, options.mount)
        super().__init__(name, place, options.every, options.settle, options.after != "leave", told)
        self._local, self._options, self._desk, self._expect = place, options, desk, expect
        self._writers: dict[str, InstanceWriter] = {}
        self._instances = self._duplicates = self._conflicts = self._directories = 0
        self._collector = Collector(
            place,
            options,
            options.largest,
            self._take,
            memory,
            clock,
            timezone,
            told=self._tell,
            term=REMEMBERED,
            load=self._load,
        )

    def told(self) -> dict[str, Any]:
        return {
            "address": self._place.where,
            "messages": self._instances,
            "duplicates": self._duplicates,
            "conflicts": self._conflicts,
            "directories": self._directories,
            "failures": self._failures,
            **asdict(self._collector.counts),
        }

    # -- one file

    def _load(self, path: str, most: int) -> Loaded:
        """Its bytes, to the desk: nothing of them is held here. They are kept by `_take`, or dropped."""
        if path.rpartition("/")[2].upper() == DICOMDIR:
            content = self._local.read(path, min(most, LARGEST_DICOMDIR))
            return Loaded(len(content), sha256(content).hexdigest(), content)
        writer = self._desk.begin_file(self.name, sender=shown(path), largest=self._options.largest)
        digest, size = sha256(), 0
        try:
            for piece in self._local.pieces(path, most):
                digest.update(piece)
                size += len(piece)
                writer.write(piece)
        except InstanceRefused as error:
            writer.abort()
            raise FileRefused(*_reasons(error)) from None
        except BaseException:
            writer.abort()
            raise
        self._writers[path] = writer
        return Loaded(size, digest.hexdigest(), drop=lambda: self._drop(path))

    def _drop(self, path: str) -> None:
        writer = self._writers.pop(path, None)
        if writer is not None:
            writer.abort()

    # -- handing over

    def _take(self, files: Sequence[Picked]) -> Sequence[Away | FileRefused]:
        """All of these are on disk when this returns, or refused. InboxFull: some may be; they are known there when they come again."""
        kept = [self._begun(file) for file in files]
        answers: list[Away | FileRefused] = []
        full: InboxFull | None = None
        for one in kept:
            try:
                answers.append(one if isinstance(one, Away | FileRefused) else self._settled(one))
            except InboxFull as error:
                full = error
        if full is not None:
            raise full
        return answers

    def _begun(self, file: Picked) -> "Future[KeptInstance] | Away | FileRefused":
        if file.path not in self._writers:
            return self._listed(file)
        return self._writers.pop(file.path).keep()

    def _settled(self, kept: "Future[KeptInstance]") -> Away | FileRefused:
        try:
            found = kept.result(KEPT_WITHIN).kept
        except InstanceRefused as error:
            return FileRefused(*_reasons(error))
        except TimeoutError:
            raise InboxFull("an instance was not on disk in time") from None
        self._instances += found is Kept.KEPT
        self._duplicates += found is Kept.DUPLICATE
        self._conflicts += found is Kept.CONFLICT
        return Away((reason("other_bytes"),)) if found is Kept.CONFLICT else Away()

    def _listed(self, file: Picked) -> Away | FileRefused:
        """A DICOMDIR: what its studies are held against."""
        try:
            contents = read_directory(file.content)
        except (DataSetMalformed, NoInstance) as error:
            return FileRefused(reason("no_dicomdir", error))
        self._directories += 1
        for study, series in contents.items():
            self._expect(study, Expected(self.name, series, sum(series.values())))
        return Away()


def _reasons(error: InstanceRefused) -> list[Reason]:
    return [reason("not_dicom", one) for one in error.reasons] or [reason("not_dicom", "")]
