"""The packs that were installed, beside the spool's file: each as it came, and which of them were chosen.

They are files of their own, because whoever compiles feeds (the daemon before its workers are made, `check` while a daemon
runs) must be able to read them without the spool. What takes effect is said in the chained log when it does.
"""

import os
import re
from pathlib import Path

import msgspec

from frontend_agent.errors import ConfigurationError, StateError

_ID = re.compile(r"[a-z][a-z0-9_-]{0,39}-[0-9][0-9.]{0,40}")


class Chosen(msgspec.Struct, frozen=True):
    """Which packs judge: ids like `gd-2026.2`; empty: the national one, and none in shadow."""

    active: str = ""
    shadow: str = ""
    who: str = ""


class PackFolder:
    """`packs/` in the state directory."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "packs"

    def installed(self) -> list[str]:
        """The ids of what is here."""
        return sorted(path.stem for path in self._folder.glob("*.pack")) if self._folder.is_dir() else []

    def read(self, pack: str) -> bytes:
        """A pack as it came. Not proven yet."""
        try:
            return self._path(pack).read_bytes()
        except FileNotFoundError:
            known = ", ".join(self.installed()) or "none"
            raise ConfigurationError(
                f"pack {pack!r} is not installed (installed: {known}; frontend-agent rules pack install FILE)"
            ) from None

    def install(self, pack: str, body: bytes) -> None:
        """Keep a pack that was proven. One version has one content, for ever."""
        path = self._path(pack)
        if path.exists() and path.read_bytes() != body:
            raise StateError(f"pack {pack} is installed with other content; a change of a pack is a new version")
        self._write(path, body)

    def chosen(self) -> Chosen:
        try:
            return msgspec.json.decode((self._folder / "chosen.json").read_bytes(), type=Chosen)
        except FileNotFoundError:
            return Chosen()
        except msgspec.DecodeError as error:
            raise StateError(
                f"{self._folder / 'chosen.json'} cannot be read: {error}; choose the packs again"
            ) from None

    def choose(self, chosen: Chosen) -> None:
        """From the next start on."""
        self._write(self._folder / "chosen.json", msgspec.json.encode(chosen))

    def _path(self, pack: str) -> Path:
        if not _ID.fullmatch(pack):
            raise ConfigurationError(f"{pack!r} is no pack's name and version (for example gd-2026.2)")
        return self._folder / f"{pack}.pack"

    def _write(self, path: Path, body: bytes) -> None:
        """Whole or not at all, also after a power cut."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with open(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        if os.name != "nt":
            handle = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
