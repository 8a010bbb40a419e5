"""Whose state this is: instance, machine, lease, generation (law 14).

Three nets catch a copied state directory. A plain copy lands on another machine or in another folder: the binding below
notices before anything is sent. A cloned disk brings machine id and inode with it: then the two copies take turns with
one lease, and the platform notices. A restored backup looks exactly like a copy, so a person has to say which it is:
`adopt` makes it a new instance that trusts none of its version numbers until the platform has confirmed them.
"""

import os
import platform
import uuid
from hashlib import sha256

from frontend_agent.errors import StateError
from frontend_agent.machine import machine_id
from frontend_agent.spool.database import Database


def this_machine() -> str:
    """What stays the same on one machine across restarts, and differs on another one."""
    return machine_id() or f"{platform.node()}-{uuid.getnode():x}"


class Meta:
    """Single values that outlive a restart."""

    def __init__(self, database: Database) -> None:
        self._database = database
        if self.get("instance") is None:
            self.put_all({"instance": uuid.uuid4().hex, "generation": "1"})

    def get(self, name: str) -> str | None:
        row = self._database.row("meta.get", name=name)
        return str(row[0]) if row else None

    def put(self, name: str, value: str) -> None:
        self.put_all({name: value})

    def put_all(self, values: dict[str, str]) -> None:
        with self._database.write():
            for name, value in values.items():
                self._database.run("meta.put", name=name, value=value)

    def drop(self, name: str) -> None:
        with self._database.write():
            self._database.run("meta.drop", name=name)

    @property
    def instance(self) -> str:
        """This life of this state. It is part of every exchange with the platform."""
        return self.get("instance") or ""

    @property
    def generation(self) -> int:
        """Counts adoptions: version heads of an older generation are asked for again."""
        return int(self.get("generation") or 1)

    @property
    def heads_known(self) -> bool:
        """Whether a set that is not here is new. A fresh state cannot tell until the platform has been asked."""
        return self.get("heads_known") == "true"

    @heads_known.setter
    def heads_known(self, known: bool) -> None:
        self.put("heads_known", "true" if known else "false")

    def lease(self, destination: str) -> str:
        """The token that a platform gave at the last hello."""
        return self.get(f"lease:{destination}") or ""

    def put_lease(self, destination: str, token: str) -> None:
        self.put(f"lease:{destination}", token)

    # --- whose --------------------------------------------------------------------------------------------------------

    def bind(self, machine_id: str) -> None:
        """Refuse a state that was made elsewhere. The first call makes it ours."""
        stamp = self._stamp(machine_id)
        bound = self.get("machine")
        if bound is None:
            self.put("machine", stamp)
            return
        if bound == stamp:
            return
        where = (
            "in another folder of this machine" if bound.split(":")[0] == stamp.split(":")[0] else "on another machine"
        )
        raise StateError(
            f"{self._database.path.parent} was made {where}: a copy must not run beside its original. If this is a "
            "restored backup or a moved disk and the original is gone for good, say so with 'frontend-agent adopt'; "
            "otherwise start with an empty state directory, everything is read again"
        )

    def _stamp(self, machine_id: str) -> str:
        # The machine id itself stays out of the file (its makers ask for that). The folder's inode tells a copy on the
        # same machine; not the device: its number may change with a reboot.
        machine = sha256(f"frontend-agent state {machine_id}".encode()).hexdigest()[:32]
        return f"{machine}:{os.stat(self._database.path.parent).st_ino}"

    def adopt(self, machine_id: str) -> str:
        """A person says that this state lives here now. Returns the new instance. Called by the spool, which logs it."""
        instance = uuid.uuid4().hex
        self.put_all(
            {
                "machine": self._stamp(machine_id),
                "instance": instance,
                "generation": str(self.generation + 1),
                "heads_known": "false",
            }
        )
        return instance
