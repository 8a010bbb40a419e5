"""`[people]` of agent.toml: who the three administrators are, and by which account of the operating system each is known.

[people]
socket = "/run/frontend-agent/people.sock"

[[people.persons]]
name    = "王芳"
account = "wangfang"
role    = "system"
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from frontend_agent.machine.names import PEOPLE_SOCKET, is_same_account
from frontend_agent.people import ROLE_NAMES, Person, Role, anybody, nobody


@dataclass(frozen=True, kw_only=True)
class PersonConfig:
    """One person, and which of the three he is. `account` is his own, of this machine: nobody shares one."""

    name: str
    role: Literal["system", "security", "audit"]
    account: str = ""  # of the operating system; empty: he has none, and uses the console alone


@dataclass(frozen=True, kw_only=True)
class PeopleConfig:
    """Without persons, the local account that may open the state directory is all three."""

    socket: str = PEOPLE_SOCKET  # where they ask: the state directory is the service's alone
    persons: tuple[PersonConfig, ...] = ()

    @property
    def is_configured(self) -> bool:
        return bool(self.persons)

    def person(self, account: str) -> Person:
        """Whose account that is. Somebody else's is nobody's: he may see how it goes, and no more."""
        if not self.persons:
            return anybody(account)
        found = next(
            (one for one in self.persons if account and one.account and is_same_account(one.account, account)), None
        )
        return nobody(account) if found is None else _person(found)

    def named(self, name: str) -> Person | None:
        """The person of that name, whom the console has let in."""
        return next((_person(one) for one in self.persons if one.name == name), None)


def _person(one: PersonConfig) -> Person:
    return Person(one.name, frozenset({Role(one.role)}), one.account)


def problems(people: PeopleConfig) -> Iterable[str]:
    """What is wrong with the people as a whole."""
    if not people.persons:
        return
    if not Path(people.socket).is_absolute():
        yield f"socket must be a whole path ({PEOPLE_SOCKET}), not {people.socket!r}"
    for role in Role:
        if role not in {one.role for one in people.persons}:
            yield f"persons: nobody is the {ROLE_NAMES[role][0]} ({ROLE_NAMES[role][1]}); each of the three has at least one"
    for one in people.persons:
        if not one.name.strip():
            yield "persons: a name is empty"
    for name, count in Counter(one.name for one in people.persons).items():
        if count > 1:
            yield f"persons: {name!r} is there twice; nobody has two of the three roles"
    for account, count in Counter(one.account for one in people.persons if one.account).items():
        if count > 1:
            yield f"persons: the account {account!r} is given to {count} people; each has his own, and nobody two roles"
    for one in people.persons:
        if one.account == "root":
            yield f"persons: {one.name!r} is known by root, which is nobody's own account"
