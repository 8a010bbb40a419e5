"""Files that are there whole or not at all, whatever happens: names follow contents to the disk."""

from pathlib import Path

from frontend_agent.machine import sync_folder

__all__ = ["sync_folder", "take_over"]


def take_over(part: Path, path: Path) -> None:
    """A file that is whole and synced in place of the one of that name."""
    part.replace(path)
    sync_folder(path.parent)
