"""Files that a hospital's tables name by path: scans and reports in a folder beside the database."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path, PureWindowsPath
from stat import S_ISREG
from typing import Any

from frontend_agent.model import NotFetched, RowSet

LARGEST = 8 << 20  # bytes; what a column that is read on may hold


def with_files(rows: RowSet, aliases: Sequence[str], folder: str | PathLike[str]) -> RowSet:
    """The rows with the bytes of the files in place of their paths. A file that cannot be read is a NotFetched, saying why.

    Paths are relative to `folder`, or absolute below it; nothing outside of it is read, whatever a path or a link says.
    """
    places = [rows.columns.index(alias) for alias in aliases if alias in rows.columns]
    if not places:
        return rows
    root = Path(folder).resolve()
    return RowSet(rows.columns, [_fetched(row, places, root) for row in rows.rows])


def _fetched(row: tuple[Any, ...], places: Sequence[int], root: Path) -> tuple[Any, ...]:
    cells = list(row)
    for place in places:
        if isinstance(cells[place], str) and cells[place].strip():
            cells[place] = read_file(cells[place].strip(), root)
    return tuple(cells)


def read_file(name: str, root: Path) -> bytes | NotFetched:
    """The bytes of a file below `root`, or why there are none. The reason never quotes the path: it may name a patient."""
    try:
        path = _below(name, root)
        if path is None:
            return NotFetched("the path leads out of the folder that the source names")
        with path.open("rb") as file:
            status = path.stat()
            if not S_ISREG(status.st_mode):
                return NotFetched("no regular file")
            if status.st_size > LARGEST:
                return NotFetched(f"{status.st_size} bytes are more than {LARGEST}")
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        return NotFetched("there is no such file")
    except (OSError, ValueError) as error:  # a share that is gone, a name with a NUL
        return NotFetched(f"the file cannot be read ({type(error).__name__})")
    return content if len(content) <= LARGEST else NotFetched(f"more than {LARGEST} bytes")


def _below(name: str, root: Path) -> Path | None:
    parts = PureWindowsPath(name) if "\\" in name else Path(name)  # systems on Windows keep their own paths
    path = (root / Path(*parts.parts)).resolve() if not parts.is_absolute() else Path(*parts.parts).resolve()
    return path if path.is_relative_to(root) else None
