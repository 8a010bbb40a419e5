"""Files that are made of instances for one destination, until it has proven that it has them.

    incoming/TOKEN                     being made
    ab/KEY-SHA256-SIZE.dcm             KEY: of what it was made of, and how; `ab` its first two digits
    ab/KEY-SHA256-SIZE.gone            it was let go to make room: what it was is still known, for its proof

The same is always made of the same: what is lost here is made again. So nothing waits for a disk, and the oldest give way.
"""

import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

from frontend_agent.instance_files import Incoming, InstanceFiles, Written

MOST = 2 << 30  # bytes of all that lie here; what is in use is younger than this
IN_USE = 3600.0  # seconds


class MadeFile(NamedTuple):
    """What was made. `path` is None where it gave way."""

    path: Path | None
    sha256: str
    size: int


class MadeFiles:
    """Those of one destination. Safe to use from several threads."""

    def __init__(self, root: Path, most: int = MOST) -> None:
        self._root, self._most = root, most
        self._files = InstanceFiles(root)
        self._lock = threading.Lock()
        self._is_open = False

    def begin(self) -> Incoming:
        with self._lock:
            if not self._is_open:  # not before: who only asks how a destination stands sweeps nothing
                self._files.open()
                self._is_open = True
        return self._files.begin()

    def incoming(self, written: Written) -> Path:
        """A file that was finished and is not kept yet."""
        return self._files.incoming(written.token)

    def discard(self, written: Written) -> None:
        """It is not kept."""
        self._files.drop_incoming(written.token)

    def keep(self, key: str, written: Written) -> MadeFile:
        """What was written, under its key."""
        path = self._folder(key) / f"{key}-{written.sha256}-{written.size}.dcm"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.replace(self._files.incoming(written.token), path)
        path.with_suffix(".gone").unlink(missing_ok=True)
        self._make_room()
        return MadeFile(path, written.sha256, written.size)

    def find(self, key: str) -> MadeFile | None:
        for path in self._folder(key).glob(f"{key}-*"):
            _, digest, size = path.stem.split("-")
            return MadeFile(path if path.suffix == ".dcm" else None, digest, int(size))
        return None

    def drop(self, key: str) -> None:
        """It is proven, or will not be sent."""
        for path in self._folder(key).glob(f"{key}-*"):
            path.unlink(missing_ok=True)

    def sweep(self, seconds: float) -> None:
        """Drop what is older than that: nobody proves it any more."""
        before = time.time() - seconds
        for path in self._root.glob("[0-9a-f][0-9a-f]/*"):
            if path.stat().st_mtime < before:
                path.unlink(missing_ok=True)

    def _folder(self, key: str) -> Path:
        return self._root / key[:2]

    def _make_room(self) -> None:
        files = sorted(
            (path.stat().st_mtime, path.stat().st_size, path) for path in self._root.glob("[0-9a-f][0-9a-f]/*.dcm")
        )
        used, young = sum(size for _, size, _ in files), time.time() - IN_USE
        for changed, size, path in files:
            if used <= self._most or changed > young:
                return
            path.with_suffix(".gone").touch(mode=0o600)
            path.unlink(missing_ok=True)
            used -= size
