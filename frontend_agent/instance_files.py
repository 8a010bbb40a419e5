"""Instances as files, for the agent and the platform: written as they arrive, whole and durable under their own name or not there.

    incoming/TOKEN              being written; swept at the start
    ab/STUDY/SHA256.dcm         STUDY: the first 32 digits of the SHA-256 of its Study Instance UID, `ab` its first two

No text of a file or a peer ever becomes a name (threat D6), and a study is one folder: its names are durable with one fsync. With keys
they lie sealed from their first byte on (instance_reading.py); sizes and SHA-256 are always those of what was received.
"""

import itertools
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

from frontend_agent.dicom.elements import Buffer
from frontend_agent.instance_reading import ABOUT, InstanceFile, KeyedFile
from frontend_agent.machine import BINARY, NAMES_OPEN_FILES, sync_data, sync_folder
from frontend_agent.sealed_files import FileKey, Window, Writer

# Of names in incoming/: with the time and the process no two are the same, and none costs a call of the system.
_NUMBERS = itertools.count()


class StateKeys(Protocol):
    """What files of the state are sealed with."""

    @property
    def current(self) -> FileKey | None: ...
    def key(self, id: str, /) -> FileKey: ...


class Written(NamedTuple):
    """One file in incoming/, whole and synced."""

    token: str
    sha256: str
    size: int
    is_placed: bool = False  # it has its name already, durably


class Incoming:
    """One file that is being written. `finish` it or `abort` it; both may be called from any thread, one at a time."""

    __slots__ = ("_digest", "_file", "_path", "_sealing", "size", "token")

    def __init__(self, folder: Path, key: FileKey | None = None) -> None:
        """`key`: it lies sealed with it."""
        self.token = f"{time.time_ns():x}-{os.getpid():x}-{next(_NUMBERS):x}"
        self.size = 0
        self._path = folder / self.token
        self._digest = sha256()
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o600)
        self._sealing = Writer(self._put, key, ABOUT) if key else None

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self._digest.update(chunk)
        self.size += len(chunk)
        if self._sealing is None:
            self._put(chunk)
        else:
            self._sealing.write(chunk)

    def _put(self, chunk: bytes | bytearray | memoryview) -> None:
        view = memoryview(chunk)
        while view:
            view = view[os.write(self._file, view) :]

    @contextmanager
    def mapped(self) -> Iterator[Buffer]:
        """What was written so far."""
        if self._sealing is None:
            with mmap.mmap(self._file, 0, access=mmap.ACCESS_READ) as data:
                yield data
            return
        sealing, file = self._sealing, self._file
        yield Window(self.size, lambda number: sealing.segment(file, number))

    def finish(self, place: Callable[[Path, str], Path | None] | None = None) -> Written:
        """Sync and close it. With `place` (InstanceFiles.placing) it gets its name before it is synced: the file system commits file and
        name at once then, which takes half as long as one after the other."""
        digest = self._digest.hexdigest()
        if self._sealing is not None:
            self._sealing.finish(digest.encode())
        named = place(self._path, digest) if place is not None else None
        sync_data(self._file)
        if named is not None:
            sync_folder(named.parent)
        os.close(self._file)
        self._file = -1
        return Written(self.token, digest, self.size, named is not None)

    def abort(self) -> None:
        """Close it and take it away."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._path.unlink(missing_ok=True)


class InstanceFiles:
    """All of them under one folder."""

    def __init__(self, root: Path, keys: StateKeys | None = None) -> None:
        """`keys`: what they are sealed with; without any they are plain."""
        self.root = root
        self.keys = keys
        self._incoming = root / "incoming"
        self._making = threading.Lock()

    def open(self) -> "InstanceFiles":
        """Make the folders; what was being written when we died is swept."""
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in self._incoming.iterdir():
            leftover.unlink()
        return self

    @property
    def incoming_folder(self) -> Path:
        """Where files are written before they have their names."""
        return self._incoming

    @property
    def key(self) -> FileKey | None:
        """What is written now is sealed with it."""
        return self.keys.current if self.keys else None

    def begin(self) -> Incoming:
        return Incoming(self._incoming, self.key)

    def reading(self, path: Path, digest: str) -> InstanceFile:
        """A file of ours, to be read."""
        return KeyedFile(path, digest, self.keys.key) if self.keys and self.keys.current else path

    def drop_incoming(self, token: str) -> None:
        (self._incoming / token).unlink(missing_ok=True)

    def incoming(self, token: str) -> Path:
        """A file that was finished and not placed yet."""
        return self._incoming / token

    def place(self, files: Iterable[tuple[str, Written]]) -> None:
        """Give (study_instance_uid, file) their names; durable when it returns. One that is there already is the same bytes."""
        folders: set[Path] = set()
        for study_instance_uid, written in files:
            path = self.path(study_instance_uid, written.sha256)
            if written.is_placed:
                continue
            if path.parent not in folders and not path.parent.is_dir():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                folders |= {path.parent.parent, self.root}
            os.replace(self._incoming / written.token, path)
            folders.add(path.parent)
        for folder in folders:
            sync_folder(folder)

    def placing(self, study_instance_uid: str) -> Callable[[Path, str], Path | None]:
        """Gives a file of a study its name while it is not synced yet. None: there is a file of that name, which stays as it is, or it
        cannot be named so here; `place` does it then."""

        def named(file: Path, digest: str) -> Path | None:
            if not NAMES_OPEN_FILES:
                return None
            path = self.path(study_instance_uid, digest)
            try:
                with self._making:  # nobody else's file is in a folder that is not durable yet
                    if not path.parent.is_dir():
                        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                        sync_folder(path.parent.parent)
                        sync_folder(self.root)
                os.link(file, path)  # never in place of a file that is durable
                os.unlink(file)
            except (
                OSError
            ):  # it is there; its folder has just been taken away; or there are no links on this file system
                return None
            return path

        return named

    def take_back(self, files: Iterable[tuple[str, Written]]) -> None:
        """`place` undone: they lie in incoming/ again. Those that had their names before keep them."""
        for study_instance_uid, written in files:
            path = self.path(study_instance_uid, written.sha256)
            if not written.is_placed and path.exists() and not self.incoming(written.token).exists():
                os.rename(path, self.incoming(written.token))
                self.drop(study_instance_uid, [])

    def path(self, study_instance_uid: str, digest: str) -> Path:
        """Where an instance's file is, or would be."""
        folder = self.folder_name(study_instance_uid)
        return self.root / folder[:2] / folder / f"{digest}.dcm"

    @staticmethod
    def folder_name(study_instance_uid: str) -> str:
        """The name of a study's folder."""
        return sha256(study_instance_uid.encode()).hexdigest()[:32]

    def drop(self, study_instance_uid: str, digests: Sequence[str]) -> None:
        """Take files away, and the study's folder with the last of them."""
        self.drop_in(self.folder_name(study_instance_uid), digests)

    def drop_in(self, name: str, digests: Sequence[str]) -> None:
        """The same, where only the folder's name is known."""
        folder = self.root / name[:2] / name
        for digest in digests:
            (folder / f"{digest}.dcm").unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def folders(self) -> Iterator[tuple[str, list[str]]]:
        """(folder of a study, the SHA-256 of every file in it), without a look at the files themselves."""
        for folder in self.root.glob("[0-9a-f][0-9a-f]/*"):
            yield folder.name, [path.stem for path in folder.glob("*.dcm")]

    def names(self) -> Iterator[tuple[str, str, int]]:
        """(folder of the study, SHA-256, bytes) of every file that lies here: what a start compares with its rows."""
        for path in self.root.glob("[0-9a-f][0-9a-f]/*/*.dcm"):
            yield path.parent.name, path.stem, path.stat().st_size
