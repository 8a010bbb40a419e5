"""What the local console asks besides what the command line asks: see operations.py. People come in here, and leave."""

import secrets
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from frontend_agent import passwords
from frontend_agent.app import App
from frontend_agent.config import unknown
from frontend_agent.config_console import ConsoleConfig
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.passwords import MOST_TRIES, TRIES_WITHIN
from frontend_agent.people import ACTS, Person, anybody, may
from frontend_agent.sessions import Sessions
from frontend_agent.spool import Spool
from frontend_agent.telling import told_case
from frontend_agent.today import Today


class NotIn(FrontendAgentError):
    """Nobody is logged in with that: the login has ended, or there never was one."""


class ConsoleOperations:
    """Questions and answers in plain values; part of Operations."""

    _app: App
    _spool: Spool
    _sessions: Sessions[Person]
    image_cases: Callable[[], Iterator[dict[str, Any]]]

    @cached_property
    def _so_far(self) -> Today:
        return Today(self._app)

    def today(self) -> dict[str, Any]:
        """What each feed read and made, and what each destination took, since midnight."""
        return self._so_far.told()

    def quarantine_case(self, case: str) -> dict[str, Any]:
        """One case with its findings in words, and nothing of the record itself."""
        if image := next((one for one in self.image_cases() if one["id"] == case), None):
            return image
        found = self._spool.quarantine_show(case)
        if found is None:
            raise FrontendAgentError(f"no case {case!r} waits in quarantine (frontend-agent quarantine list)")
        return told_case(found[0])

    def certificates(self) -> list[dict[str, Any]]:
        """As whom each platform knows this agent, until when, and what is wrong with that; and the console's own."""
        from frontend_agent.renewing import told_of  # loads what speaks to platforms: few ask
        from frontend_agent.spool.membership import memberships

        now = self._app.clock()
        joined = [told_of(one, now) for one in memberships(self._app.state) if one.is_joined()]
        return [*joined, *_own_certificate(self._app.config.console.certificate, now)]

    # --- coming in ----------------------------------------------------------------------------------------------------

    def console_login(self, name: str, password: str, code: str, address: str) -> dict[str, Any]:
        """Let somebody in by password and one-time code. What was wrong is not told: one sentence for all of it."""
        with self._sessions.one_at_a_time:
            return self._login(name, password, code, address)

    def _login(self, name: str, password: str, code: str, address: str) -> dict[str, Any]:
        now = self._app.clock()
        accounts = self._spool.console_accounts
        for_name, from_address = accounts.tries(name, address, now - TRIES_WITHIN)
        if max(for_name, from_address) >= MOST_TRIES:
            minutes = int(TRIES_WITHIN.total_seconds() // 60)
            raise NotIn(f"too many tries: wait {minutes} minutes, or have a link made (frontend-agent console link)")
        person, account = self._app.config.people.named(name), accounts.one(name)
        proofs = (account.password, account.totp, account.step) if account else ("", b"", 0)
        step = passwords.proof(*proofs, password, code, now.timestamp())
        if person is None or account is None or step is None or not accounts.entered(name, step):
            accounts.tried(name[:100], address[:100], now)
            # A name that is nobody's may be a password in the wrong field: it is not written down.
            accounts.log({"event": "console.refused", "who": name if account else "", "from": address}, now)
            raise NotIn("name, password or code is wrong")
        return self._let_in(person, "password and code", address)

    def console_link(self, who: str) -> dict[str, str]:
        """A link that lets whoever asks in once, within ten minutes: nobody else, and with no more than he may here."""
        people = self._app.config.people
        person = people.named(who) if people.is_configured else anybody(who)
        if person is None:
            raise NotIn(f"{who}: is none of [people] in agent.toml")
        console = self._app.config.console
        if not console.listen:
            raise ConfigurationError(
                'agent.toml: [console] listen is not set (listen = "127.0.0.1:8490"): there is no console'
            )
        return {"name": person.name, "key": self._sessions.link(person, self._app.clock())}

    def console_enter(self, key: str, address: str) -> dict[str, Any]:
        """Let somebody in by a link that was made for him."""
        person = self._sessions.enter(key, self._app.clock())
        if person is None:
            raise NotIn("this link was used, or is older than 10 minutes (frontend-agent console link makes another)")
        return self._let_in(person, "link", address)

    def console_logout(self, session: str) -> None:
        """He leaves."""
        if (person := self._sessions.end(session)) is not None:
            self._spool.console_accounts.log(
                {"event": "console.left", "who": person.name, "role": person.role}, self._app.clock()
            )

    def _let_in(self, person: Person, by: str, address: str) -> dict[str, Any]:
        now = self._app.clock()
        body = {"event": "console.entered", "who": person.name, "role": person.role, "by": by, "from": address}
        self._spool.console_accounts.log(body, now)
        return {"session": self._sessions.begin(person, now), "name": person.name}

    def console_visitor(self, session: str, is_there: bool = True) -> dict[str, Any]:
        """Who is logged in with that, and what he may ask."""
        person = self._person_in(session, is_there)
        return {"name": person.name, "role": person.role, "is_named": person.is_named,
                "acts": [act for act in ACTS if may(person, act)]}  # fmt: skip

    def _person_in(self, session: str, is_there: bool = False) -> Person:
        """Who asks through the console."""
        person = self._sessions.person(session, self._app.clock(), is_there)
        if person is None:
            raise NotIn("not logged in")
        return person

    # --- who has what -------------------------------------------------------------------------------------------------

    def console_accounts(self) -> list[dict[str, Any]]:
        """The people of agent.toml, and which of them have a password for the console."""
        kept = {one.name: one for one in self._spool.console_accounts.all()}
        people = self._app.config.people.persons
        known = [
            {"name": one.name, "role": one.role, "since": kept[one.name].changed_at.isoformat() if one.name in kept else ""}
            for one in people
        ]  # fmt: skip
        names = {one.name for one in people}
        return [*known, *({"name": n, "role": "", "since": one.changed_at.isoformat()} for n, one in kept.items() if n not in names)]  # fmt: skip

    def console_password(self, name: str, password: str, who: str) -> dict[str, str]:
        """Give somebody a password, and a new secret for his one-time codes, which is told this once."""
        people = self._app.config.people.persons
        if self._app.config.people.named(name) is None:
            raise ConfigurationError(unknown("person", name, [one.name for one in people]))
        if wrong := passwords.weakness(password, name):
            raise FrontendAgentError(f"this password is not taken: {wrong}")
        now, secret = self._app.clock(), secrets.token_bytes(20)
        accounts = self._spool.console_accounts
        accounts.put(name, passwords.keep(password, secrets.token_bytes(16)), secret, now)
        accounts.log({"event": "console.password", "who": who, "person": name}, now)
        self._sessions.end_all(name)
        issuer = f"前置机 {self._app.config.institution.name}"
        return {
            "name": name,
            "secret": passwords.secret_text(secret),
            "uri": passwords.provisioning(secret, name, issuer),
        }

    def console_remove(self, name: str, who: str) -> None:
        """Take somebody's password away; what he has open ends."""
        accounts = self._spool.console_accounts
        if not accounts.drop(name):
            raise FrontendAgentError(f"{name}: has no password for the console (frontend-agent console people)")
        accounts.log({"event": "console.removed", "who": who, "person": name}, self._app.clock())
        self._sessions.end_all(name)


def sessions_of(console: ConsoleConfig) -> Sessions[Person]:
    """Nobody is in yet; tokens are 256 bits of the system's randomness."""
    return Sessions(console.idle, console.longest, lambda: secrets.token_urlsafe(32))


def _own_certificate(path: str, now: datetime) -> Iterator[dict[str, Any]]:
    """What the console shows browsers: another may have signed it, so its dates alone are looked at."""
    if not path:
        return
    from frontend_agent.certificates import certificates_in, serial_of

    try:
        first = certificates_in(Path(path).read_bytes())[0]
    except (OSError, FrontendAgentError, IndexError, ValueError) as error:
        yield {
            "platform": "",
            "serial": "",
            "expires_at": "",
            "renews_from": "",
            "problems": [f"{path}: {type(error).__name__}"],
        }
        return
    until = first.not_valid_after_utc
    problems = ["expired"] if until < now else []
    yield {
        "platform": "",
        "serial": serial_of(first),
        "expires_at": until.isoformat(),
        "renews_from": "",
        "problems": problems,
    }
