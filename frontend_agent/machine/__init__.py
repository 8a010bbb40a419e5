"""What differs between operating systems: the same names in `posix.py` and `windows.py`, and everything else is written once.

    calls of the system    posix.py      windows.py
    the control channel    sockets.py    pipes.py        (what both give: lines.py)
    places and names       names.py

Nothing here knows what it is used for. The Windows half was never run on Windows (docs/guide/windows.md): it is kept small
enough to be read, is checked by mypy against pywin32's declarations, and what can be run elsewhere is.
"""

import sys

if sys.platform == "win32":
    from frontend_agent.machine.pipes import connect, listen
    from frontend_agent.machine.windows import (
        BINARY,
        NAMES_OPEN_FILES,
        account_of,
        another_owner,
        ended,
        give_to_owner_of,
        is_administrator,
        is_readable,
        limit_memory,
        lock,
        lower_priority,
        machine_id,
        process_account,
        read_at,
        sync_data,
        sync_folder,
    )
else:
    from frontend_agent.machine.posix import (
        BINARY,
        NAMES_OPEN_FILES,
        account_of,
        another_owner,
        ended,
        give_to_owner_of,
        is_administrator,
        is_readable,
        limit_memory,
        lock,
        lower_priority,
        machine_id,
        process_account,
        read_at,
        sync_data,
        sync_folder,
    )
    from frontend_agent.machine.sockets import connect, listen

__all__ = [
    "BINARY",
    "NAMES_OPEN_FILES",
    "account_of",
    "another_owner",
    "connect",
    "ended",
    "give_to_owner_of",
    "is_administrator",
    "is_readable",
    "limit_memory",
    "listen",
    "lock",
    "lower_priority",
    "machine_id",
    "process_account",
    "read_at",
    "sync_data",
    "sync_folder",
]
