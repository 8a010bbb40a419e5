"""What was said before there was a log that could take it: a secret that is set before the agent's first start, or that opens the log.

    early.jsonl     one body per line, 0600; the next opening of the state chains them, in one commit, and drops the file

Nothing else is said so: where the log is there it is written itself, or nothing is done.
"""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from frontend_agent.durable import sync_folder
from frontend_agent.machine import give_to_owner_of

FILE = "early.jsonl"


class Early:
    """The file, in a state directory that is there."""

    def __init__(self, state: Path) -> None:
        self._path = state / FILE

    def put(self, body: Mapping[str, Any]) -> None:
        """On the disk when this returns. OSError: it is not."""
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "ab") as file:
            file.write(msgspec.json.encode(body) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        give_to_owner_of(self._path, self._path.parent)
        sync_folder(self._path.parent)

    def read(self) -> tuple[str, list[dict[str, Any]]]:
        """The file's digest and its bodies, the oldest first; a line that was torn was never answered for."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return "", []
        bodies = []
        for line in content.splitlines():
            try:
                bodies.append(msgspec.json.decode(line, type=dict[str, Any]))
            except msgspec.DecodeError:
                continue
        return sha256(content).hexdigest(), bodies

    def drop(self) -> None:
        self._path.unlink(missing_ok=True)
        sync_folder(self._path.parent)
