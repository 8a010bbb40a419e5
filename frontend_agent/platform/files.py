"""Files that are whole or not there, also after a power cut. Used by the store alone."""

import os
import secrets
from pathlib import Path

from frontend_agent.machine import BINARY, NAMES_OPEN_FILES, read_at, sync_folder
from frontend_agent.wire.parcel import LARGEST_PARCEL, ParcelTooLarge


class Upload:
    """A parcel on its way in: written as it arrives, so that its size costs disk and not memory."""

    def __init__(self, path: Path):
        self.path = path
        self.size = 0
        self._placed = False
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o600)

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > LARGEST_PARCEL:
            raise ParcelTooLarge(f"a parcel of more than {LARGEST_PARCEL} bytes")
        while chunk:
            chunk = chunk[os.write(self._file, chunk) :]

    def read(self) -> bytes:
        return read_at(self._file, self.size, 0)

    def place(self, path: Path) -> None:
        """Make it durable under its final name. From here on it stays, even if the commit fails in an unclear way."""
        os.fsync(self._file)
        if not NAMES_OPEN_FILES:
            self._end()
        os.replace(self.path, path)
        self._placed = True
        sync_folder(path.parent)

    def _end(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def close(self) -> None:
        self._end()
        if not self._placed:
            self.path.unlink(missing_ok=True)


def write_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """All of it under its name, or nothing."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    sync_folder(path.parent)
