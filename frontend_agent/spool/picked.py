"""Files that were picked up, by inlet (or by who reads feedback): so that none is taken twice, also where all are left.

A file is known by its path's bytes, how it looked (size, time) and what it held. What its messages are is the inbox's business.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from connectors.folders.collecting import Known
from frontend_agent.spool.database import Database
from frontend_agent.spool.times import millis, moment


class PickedFiles:
    """What one inlet has picked up."""

    def __init__(self, database: Database, inlet: str) -> None:
        self._database, self._inlet = database, inlet

    def known(self, paths: Sequence[str]) -> Mapping[str, Known]:
        rows = self._database.rows("picked.known", inlet=self._inlet, paths=_names(paths))
        return {
            (path := _text(name)): Known(path, size, changed, sha256, moment(at), bool(refused))
            for name, size, changed, sha256, at, refused in rows
        }

    def remember(self, files: Sequence[Known]) -> None:
        if not files:
            return
        with self._database.write():
            for file in files:
                self._database.run(
                    "picked.remember", inlet=self._inlet, path=_name(file.path), size=file.size, changed=file.changed,
                    sha256=file.sha256, at=millis(file.taken_at), refused=int(file.refused),
                )  # fmt: skip

    def still_there(self, paths: Sequence[str], at: datetime) -> None:
        for start in range(0, len(paths), 5_000):  # some at a time: others write, too
            with self._database.write():
                some = _names(paths[start : start + 5_000])
                self._database.run("picked.still there", inlet=self._inlet, paths=some, at=millis(at))

    def forget(self, before: datetime) -> None:
        with self._database.write():
            self._database.run("picked.forget", inlet=self._inlet, before=millis(before))


def _name(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _text(name: bytes) -> str:
    return bytes(name).decode("utf-8", "surrogateescape")


def _names(paths: Sequence[str]) -> str:
    """As SQLite's JSON takes bytes: in hexadecimal."""
    return json.dumps([_name(path).hex() for path in paths])
