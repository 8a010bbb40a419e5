"""The file of an upgrade while it is fetched and waits: the only place of the state directory that root reads from.

upgrades/SHA256.part        as far as it has come; it goes on from there
upgrades/offered.tar.zst    whole, and verified by us; whoever installs it verifies it again
upgrades/offered.sha256     which one that is
upgrades/ready              asks the unit frontend-agent-upgrade to install it: its path unit waits for this name
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from frontend_agent.durable import sync_folder, take_over

FOLDER, WHOLE, WHICH, READY = "upgrades", "offered.tar.zst", "offered.sha256", "ready"


class OfferedFile:
    """One at a time. OSError is its users' business: the disk is full, or not ours."""

    def __init__(self, state: Path) -> None:
        self.folder = state / FOLDER

    @property
    def whole(self) -> Path:
        return self.folder / WHOLE

    def part(self, digest: str) -> Path:
        return self.folder / f"{digest}.part"

    def has(self, digest: str) -> bool:
        """Whether this file is here, whole and verified."""
        with suppress(OSError):
            return (self.folder / WHICH).read_text("ascii") == digest and self.whole.is_file()
        return False

    def come(self, digest: str) -> int:
        """Bytes of it that are here."""
        with suppress(OSError):
            return self.part(digest).stat().st_size
        return 0

    def free(self) -> int:
        """Bytes of the disk that are left."""
        return shutil.disk_usage(self.folder.parent).free

    def begin(self, digest: str) -> None:
        """Room for this one: what was there of another is gone."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for path in self._all():
            if path.name != f"{digest}.part":
                path.unlink(missing_ok=True)
        sync_folder(self.folder)

    def append(self, digest: str, pieces: Iterator[bytes], most: int) -> int:
        """Add pieces until there are `most` bytes, or no more come; how many there are. Never one more."""
        path = self.part(digest)
        size = self.come(digest)
        with open(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab") as file:
            for piece in pieces:
                file.write(piece[: most - size])
                size += min(len(piece), most - size)
                if size >= most:
                    break
            file.flush()
            os.fsync(file.fileno())
        return size

    def is_as_named(self, digest: str) -> bool:
        """Whether what has come is the file that was offered."""
        with self.part(digest).open("rb") as file:
            found = sha256()
            while piece := file.read(1 << 20):
                found.update(piece)
        return found.hexdigest() == digest

    def accept(self, digest: str) -> None:
        """It was verified: from now on it can be installed."""
        take_over(self.part(digest), self.whole)
        name = self.folder / f".{WHICH}"
        name.write_text(digest, "ascii")
        take_over(name, self.folder / WHICH)

    def ask_for_installation(self, ask: bool) -> None:
        """Begin to ask the unit, or ask it no more."""
        path = self.folder / READY
        if not ask:
            path.unlink(missing_ok=True)
        elif not path.exists():
            path.touch(mode=0o600)

    @property
    def is_asked_for(self) -> bool:
        return (self.folder / READY).exists()

    def drop(self) -> None:
        """Nothing is offered any more, or what came is not what was signed."""
        for path in self._all():
            path.unlink(missing_ok=True)

    def _all(self) -> list[Path]:
        return (
            [one for one in self.folder.glob("*") if one.is_file() or one.is_symlink()] if self.folder.is_dir() else []
        )
