"""What `check` says of the people: accounts that are not there, a socket that has no place, and that there are none."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from frontend_agent.config_people import PeopleConfig
from frontend_agent.errors import ConfigurationError, FrontendAgentError

NONE = "people: none configured: whoever may use the service's account is all three administrators (三员) at once"


def checked_people(people: PeopleConfig) -> Iterator[tuple[str, FrontendAgentError | None]]:
    """(what, what is wrong with it or None)."""
    if not people.is_configured:
        yield NONE, None
        return
    folder = Path(people.socket).parent
    place = f"people: socket {people.socket}"
    if folder.is_dir() or folder.parent == Path("/run"):  # systemd makes it when the service begins (RuntimeDirectory=)
        yield place, None
    else:
        yield place, ConfigurationError(f"people.socket: {folder} does not exist; make it, or name another")
    for one in people.persons:
        if one.account:
            yield f"people: {one.name}, {one.role}", _account_problem(one.account)


def _account_problem(account: str) -> ConfigurationError | None:
    if sys.platform == "win32":
        return None
    import pwd

    try:
        uid = pwd.getpwnam(account).pw_uid
    except KeyError:
        return ConfigurationError(
            f"people.persons: this machine has no account {account!r} (useradd {account}, and usermod -aG of the service's group)"
        )
    if uid == os.getuid() and uid:
        return ConfigurationError(
            f"people.persons: {account!r} is the account that the service runs as; it is nobody's own"
        )
    return None
