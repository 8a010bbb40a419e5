"""Between whoever asks and the operations: who is it, may he, for what reason; and it is said in the chained log first.

    question ─▶ person ─▶ may he? ─▶ one entry in the log ─▶ the operation

Every question of a person passes through `Door.ask`: from the control socket, where the operating system's kernel says whose
account asks (SO_PEERCRED), from the console with a session, and from a command that opens the state itself. The entry is
committed before anything is done: where the log cannot be written nothing is changed and nothing of a patient is shown,
while looking at states and figures goes on (threats L4).
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from frontend_agent.config_people import PeopleConfig
from frontend_agent.control import ControlError, Operation
from frontend_agent.errors import FrontendAgentError, StateError
from frontend_agent.people import (
    BESIDE,
    NotAllowedHere,
    Person,
    ReasonMissing,
    act_of,
    may,
    needs_reason,
    refusal,
    told_arguments,
)

ONCE_IN = timedelta(minutes=1)  # the same refusal of the same person is said in the log no more often
LONGEST_REASON = 500  # characters

Note = Callable[[Mapping[str, Any], datetime], int]


class LogCannotBeWritten(StateError):
    """The quality log takes no entry, so nothing was changed and nothing of a patient was shown. Looking goes on."""


@dataclass(frozen=True)
class Asker:
    """Whoever is at the other end: his account as the kernel says it, and what he says himself."""

    account: str
    session: str = ""  # of the console: whose it is, the agent knows
    why: str = ""
    through: str = ""  # the account that he has taken on: root, the service's


class Door:
    """One for an open agent. `note` chains an entry; `of_session` knows whom the console has let in."""

    def __init__(
        self,
        operations: Mapping[str, Operation],
        people: PeopleConfig,
        note: Note,
        clock: Callable[[], datetime],
        of_session: Callable[[str], Person] | None = None,
    ) -> None:
        self._operations = operations
        self._people = people
        self._note = note
        self._clock = clock
        self._of_session = of_session
        self._refused: dict[tuple[str, str], datetime] = {}

    def ask(self, asker: Asker, act: str, arguments: Mapping[str, Any]) -> Any:
        """Do it, if this person may, and say so in the log first."""
        if act == "whoami":
            return self._whoami(asker)
        operation = said_beside if act_of(act).beside else self._operations.get(act)
        if operation is None:
            raise ControlError("this daemon does not know that question: it is of another version than the command")
        person = self.person(asker)
        if not may(person, act):
            self._say_refused(person, act, asker)
            raise NotAllowedHere(refusal(person, act))
        reason = (asker.why or str(arguments.get("reason") or arguments.get("consent") or "")).strip()
        if needs_reason(person, act, arguments) and not reason:
            raise ReasonMissing(
                f"{act} shows what patients' records say: say why with --why TEXT; it goes into the log"
            )
        given = _signed(operation, person, arguments)
        if act_of(act).is_told(arguments):
            self._say(person, act, asker, reason, given)
        return operation(**given)

    def person(self, asker: Asker) -> Person:
        """Who asks: by the console's session, else by his account."""
        if not asker.session:
            return self._people.person(asker.account)
        if self._of_session is None:
            raise NotAllowedHere("nobody is logged in: this agent has no console")
        return self._of_session(asker.session)

    def _whoami(self, asker: Asker) -> dict[str, Any]:
        person = self.person(asker)
        return {
            "name": person.name,
            "account": person.account,
            "roles": sorted(person.roles),
            "people": self._people.is_configured,
            "acts": [name for name in sorted({*self._operations, *BESIDE}) if may(person, name)],
        }

    # --- what is said in the log --------------------------------------------------------------------------------------

    def _say(self, person: Person, act: str, asker: Asker, reason: str, arguments: Mapping[str, Any]) -> None:
        """The one entry of a person's act, before it is done."""
        shows = {"shows": True} if act_of(act).shows(arguments) else {}
        who = person.name if person.is_named else str(arguments.get("who") or person.name)
        told = told_arguments(act, arguments)
        body = {"event": "act", "act": act, "who": who, **_known_by(person, asker), **shows}
        self._write(
            {**body, **({"reason": reason[:LONGEST_REASON]} if reason else {}), **({"what": told} if told else {})}
        )

    def _say_refused(self, person: Person, act: str, asker: Asker) -> None:
        """That somebody tried. Not each of a thousand tries: the log is no place to fill for who may not even look."""
        now, which = self._clock(), (person.name, act)
        if (before := self._refused.get(which)) is not None and now - before < ONCE_IN:
            return
        self._refused = {one: at for one, at in self._refused.items() if now - at < ONCE_IN} | {which: now}
        self._write({"event": "act refused", "act": act, "who": person.name, **_known_by(person, asker)})

    def _write(self, body: Mapping[str, Any]) -> None:
        try:
            self._note(body, self._clock())
        except FrontendAgentError as error:
            raise LogCannotBeWritten(f"the quality log cannot be written, so nothing was done: {error}") from error


def _known_by(person: Person, asker: Asker) -> dict[str, str]:
    return {
        "role": person.role,
        "account": asker.account,
        **({"through": asker.through} if asker.through not in ("", asker.account) else {}),
        **({"by": "console"} if asker.session else {}),
    }


def said_beside(**arguments: Any) -> None:
    """What a command is about to do beside the agent: he may, and it stands in the log. The rest is the command's."""


def _signed(operation: Operation, person: Person, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, with `who` as the account says it: nobody acts in another's name."""
    if not person.is_named or "who" not in inspect.signature(operation).parameters:
        return dict(arguments)
    said = arguments.get("who") or person.name
    if said not in (person.name, person.account):
        raise NotAllowedHere(
            f"{person.name} cannot act as {said!r}: leave out --who, the account says who it is; nothing was done"
        )
    return {**arguments, "who": person.name}
