"""Files that are there whole or not at all, whatever happens: names follow contents to the disk."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """The names in it are on the disk when this returns."""
    if os.name == "nt":
        return  # no such thing there: NTFS journals names
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def take_over(part: Path, path: Path) -> None:
    """A file that is whole and synced in place of the one of that name."""
    part.replace(path)
    sync_folder(path.parent)
