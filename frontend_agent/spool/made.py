"""Files that are made of instances for one destination, until it has proven that it has them.

    incoming/TOKEN                     being made
    ab/KEY-SHA256-SIZE.dcm             KEY: of what it was made of, and how; `ab` its first two digits
    ab/KEY-SHA256-SIZE.gone            it was let go to make room: what it was is still known, for its proof

The same is always made of the same: what is lost here is made again. So nothing waits for a disk. They count against the quota of images;
where it is used up, and where they are too many, the oldest that nobody sends just now give way.
"""

import os
import shutil
import threading
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from frontend_agent.errors import SpoolFull
from frontend_agent.instance_files import InstanceFiles, StateKeys, Written
from frontend_agent.instance_reading import InstanceFile
from frontend_agent.spool.image_room import Counted, Room

MOST = 2 << 30  # bytes of all that lie here
NO_END = 1 << 62


class MadeFile(NamedTuple):
    """What was made. `path` is None where it gave way."""

    path: InstanceFile | None
    sha256: str
    size: int


class MadeFiles:
    """Those of one destination. Safe to use from several threads."""

    def __init__(self, root: Path, room: Room | None = None, most: int = MOST, keys: StateKeys | None = None) -> None:
        """What lies here already counts from now on. `keys`: what is made is sealed with."""
        self._root, self._most = root, most
        self._room = room or Room(lambda: NO_END)
        self._files = InstanceFiles(root, keys)
        self._lock = threading.RLock()
        self._is_open = False
        self._in_use: set[str] = set()  # keys
        self._begun: dict[str, Counted] = {}  # by their tokens: what they reserved
        self._count()

    # --- making -------------------------------------------------------------------------------------------------------

    def begin(self) -> Counted:
        """A file to write to. SpoolFull, also of each `write`: there is no room, and nothing left that could give way."""
        with self._lock:
            if not self._is_open:  # not before: who only asks how a destination stands sweeps nothing
                self._files.open()
                self._count()
                self._is_open = True
        incoming = Counted(self._files.incoming_folder, self, arrives=False, key=self._files.key)
        with self._lock:
            self._begun = {token: one for token, one in self._begun.items() if one.is_reserving}
            self._begun[incoming.token] = incoming
        return incoming

    def incoming(self, written: Written) -> InstanceFile:
        """A file that was finished and is not kept yet."""
        return self._files.reading(self._files.incoming(written.token), written.sha256)

    def discard(self, written: Written) -> None:
        """It is not kept."""
        self._files.drop_incoming(written.token)
        self._done(written)

    def keep(self, key: str, written: Written) -> MadeFile:
        """What was written, under its key; in use."""
        path = self._folder(key) / f"{key}-{written.sha256}-{written.size}.dcm"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock:
            self._in_use.add(key)
            os.replace(self._files.incoming(written.token), path)
            self._room.learn_made(str(self._root), path.stat().st_size)
            self._done(written)
            path.with_suffix(".gone").unlink(missing_ok=True)
            while sum(size for _, size, _ in self._all()) > self._most and self._give_way():
                pass
        return MadeFile(self._files.reading(path, written.sha256), written.sha256, written.size)

    # --- what was made ------------------------------------------------------------------------------------------------

    def find(self, key: str) -> MadeFile | None:
        for path in self._folder(key).glob(f"{key}-*"):
            _, digest, size = path.stem.split("-")
            is_here = path.suffix == ".dcm"
            return MadeFile(self._files.reading(path, digest) if is_here else None, digest, int(size))
        return None

    def use(self, key: str) -> MadeFile | None:
        """The same; it gives way to nothing until it is released."""
        with self._lock:
            self._in_use.add(key)
            return self.find(key)

    def release(self, keys: Iterable[str]) -> None:
        with self._lock:
            self._in_use.difference_update(keys)

    def drop(self, key: str) -> None:
        """It is proven, or will not be sent."""
        with self._lock:
            self._in_use.discard(key)
            for path in self._folder(key).glob(f"{key}-*"):
                self._unlink(path)

    def sweep(self, seconds: float) -> None:
        """Drop what is older than that: nobody proves it any more."""
        before = time.time() - seconds
        with self._lock:
            for path in self._root.glob("[0-9a-f][0-9a-f]/*"):
                if path.stat().st_mtime < before:
                    self._unlink(path)

    # --- room ---------------------------------------------------------------------------------------------------------

    def reserve(self, size: int, arrives: bool) -> None:
        while True:
            try:
                self._room.reserve(size, arrives)
                return
            except SpoolFull:
                if not self._give_way():
                    raise

    def give_back(self, size: int) -> None:
        self._room.give_back(size)

    def _done(self, written: Written) -> None:
        begun = self._begun.pop(written.token, None)
        if begun is not None:
            begun.done()

    def _count(self) -> None:
        self._room.count_made(str(self._root), sum(path.stat().st_size for path in self._root.glob("*/*")))

    def _all(self) -> list[tuple[float, int, Path]]:
        """When each was made, its bytes, where it is; the oldest first."""
        return sorted(
            (path.stat().st_mtime, path.stat().st_size, path) for path in self._root.glob("[0-9a-f][0-9a-f]/*.dcm")
        )

    def _give_way(self) -> bool:
        """Let the oldest go that nobody sends; False: there is none."""
        with self._lock:
            for _, _, path in self._all():
                if path.stem.partition("-")[0] not in self._in_use:
                    path.with_suffix(".gone").touch(mode=0o600)
                    self._unlink(path)
                    return True
        return False

    def _unlink(self, path: Path) -> None:
        size = path.stat().st_size
        path.unlink()
        self._room.learn_made(str(self._root), -size)

    def _folder(self, key: str) -> Path:
        return self._root / key[:2]


def drop_folders(root: Path, wanted: Collection[str]) -> None:
    """What was made for destinations that there are no more."""
    for folder in root.glob("*"):
        if folder.is_dir() and folder.name not in wanted:
            shutil.rmtree(folder, ignore_errors=True)
