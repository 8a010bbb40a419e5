"""Where the files of instances lie. Each hospital's apart from the others', so that the files alone tell whose they are.

images/KEY/institution      the hospital's name; KEY: the first 32 digits of its SHA-256
images/KEY/incoming/…       as in frontend_agent/instance_files.py
images/KEY/ab/STUDY/SHA256.dcm
"""

import shutil
import threading
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from frontend_agent.instance_files import Incoming, InstanceFiles, Written
from frontend_agent.machine import sync_folder
from frontend_agent.platform.files import write_durably


class Placing(NamedTuple):
    """A file that was finished, and whose it is."""

    institution: str
    study_instance_uid: str
    written: Written


class Found(NamedTuple):
    """A file that lies there, as a start finds it. `at`: when it was placed, seconds since 1970."""

    institution: str
    sha256: str
    size: int
    at: float
    folder: str  # of its study


class Blobs(Protocol):
    """Files of instances by (institution, Study Instance UID, SHA-256). Safe to use from several threads."""

    def open(self) -> "Blobs":
        """Ready to be used; what was being written when we died is swept."""

    def begin(self, institution: str, /) -> Incoming:
        """A file on its way in, on this machine's disk."""

    def drop_incoming(self, institution: str, token: str, /) -> None: ...

    def incoming(self, institution: str, token: str, /) -> Path: ...

    def place(self, files: Sequence[Placing], /) -> None:
        """Give them their names; durable when it returns. One that is there already is the same bytes. OSError: some may be there."""

    def read(self, institution: str, study_instance_uid: str, digest: str, /) -> BinaryIO:
        """The file, open: seekable, with a file descriptor (mmap). FileNotFoundError: it is not there."""

    def drop(self, institution: str, study_instance_uid: str, digests: Sequence[str], /) -> None: ...

    def found(self, since: float, /) -> Iterator[Found]:
        """Every file of studies to which something came since then (seconds since 1970; 0: all)."""

    def open_found(self, found: Found, /) -> BinaryIO: ...


class FolderBlobs:
    """Under one folder of this machine: local disk, or what is mounted there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[str, InstanceFiles] = {}
        self._making = threading.Lock()

    def open(self) -> "FolderBlobs":
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in self.root.iterdir():
            name = folder / "institution"
            if name.is_file():
                self._files[name.read_text("utf-8")] = InstanceFiles(folder).open()
        return self

    def begin(self, institution: str) -> Incoming:
        return self._of(institution).begin()

    def drop_incoming(self, institution: str, token: str) -> None:
        self._of(institution).drop_incoming(token)

    def incoming(self, institution: str, token: str) -> Path:
        return self._of(institution).incoming(token)

    def place(self, files: Sequence[Placing]) -> None:
        by_owner: dict[str, list[tuple[str, Written]]] = {}
        for one in files:
            by_owner.setdefault(one.institution, []).append((one.study_instance_uid, one.written))
        for institution, theirs in by_owner.items():
            self._of(institution).place(theirs)

    def read(self, institution: str, study_instance_uid: str, digest: str) -> BinaryIO:
        return self.path(institution, study_instance_uid, digest).open("rb")

    def path(self, institution: str, study_instance_uid: str, digest: str) -> Path:
        return InstanceFiles(self.root / key_of(institution)).path(study_instance_uid, digest)

    def drop(self, institution: str, study_instance_uid: str, digests: Sequence[str]) -> None:
        # Not by `_of`: this may be done beside the server, whose incoming/ is not to be swept.
        InstanceFiles(self.root / key_of(institution)).drop(study_instance_uid, digests)

    def found(self, since: float) -> Iterator[Found]:
        for institution, files in list(self._files.items()):
            for study in files.root.glob("[0-9a-f][0-9a-f]/*"):
                if study.stat().st_mtime < since:  # a name that comes into a folder changes the folder's time
                    continue
                for path in study.glob("*.dcm"):
                    stat = path.stat()
                    yield Found(institution, path.stem, stat.st_size, stat.st_mtime, study.name)

    def open_found(self, found: Found) -> BinaryIO:
        root = self._of(found.institution).root
        return (root / found.folder[:2] / found.folder / f"{found.sha256}.dcm").open("rb")

    def _of(self, institution: str) -> InstanceFiles:
        files = self._files.get(institution)
        if files is None:
            with self._making:
                files = self._files.get(institution) or self._made(institution)
                self._files[institution] = files
        return files

    def _made(self, institution: str) -> InstanceFiles:
        """Its name is durable before its first file: files whose owner nobody knows cannot be."""
        folder = self.root / key_of(institution)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not (folder / "institution").exists():
            write_durably(folder / "institution", institution.encode())
            sync_folder(self.root)
        return InstanceFiles(folder).open()


def key_of(institution: str) -> str:
    """No text of a peer becomes a name (threat D6)."""
    return sha256(institution.encode()).hexdigest()[:32]


def free(folder: Path) -> int:
    """Bytes of the disk that are left."""
    return shutil.disk_usage(folder).free
