"""Staying a member of a platform: the next certificate at half-life, and whom to trust, without a restart.

One look every five minutes. It takes up the platform's authorities, so that an exchange of its root is noticed long before
the old one ends, and asks for the next certificate when it is time or when the platform says so. A platform that cannot be
reached is asked again; between half-life and the end there is time for that (45 days of 90).
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID

from connectors.joining import Joining, spoken
from connectors.outlets.http import Tls
from frontend_agent.certificates import (
    CertificateRefused,
    SigningKey,
    fingerprint,
    half_life,
    institutions_of,
    problems,
    request_of,
    serial_of,
    shown_fingerprint,
)
from frontend_agent.errors import FrontendAgentError
from frontend_agent.logs import event, log
from frontend_agent.spool.membership import Membership, memberships
from frontend_agent.wire.joining import RenewalAsked

LOOK_EVERY = timedelta(minutes=5)
SAID_EVERY = timedelta(hours=6)  # a warning that stays the same
SOON = timedelta(days=14)  # before its end a certificate is a warning


def tls_of(membership: Membership, otherwise: Tls) -> Tls:
    """With which certificate a platform knows us, and whom we trust there: what `enroll` made, as it is now."""
    if not membership.is_joined():
        return otherwise
    own, revoked = str(membership.own_file), membership.revoked_file
    return Tls(own, own, str(membership.ca_file), str(revoked) if revoked.exists() else "")


class Belonging:
    """As whom a platform knows us, for those who speak with it (connectors/platform.py: Member)."""

    def __init__(self, state: Path, url: str, otherwise: Tls, clock: Callable[[], datetime]) -> None:
        """`otherwise`: what agent.toml names, where this machine has not joined by `enroll`."""
        self._membership = Membership(state, url)
        self._otherwise, self._clock = otherwise, clock

    def tls(self) -> Tls:
        return tls_of(self._membership, self._otherwise)

    def speaks(self) -> Mapping[str, str]:
        if not self._membership.is_joined():
            return {}
        return spoken(self._clock(), self._membership.agreed.digest)


class Renewing:
    """The looks of one agent."""

    def __init__(
        self,
        state: Path,
        clock: Callable[[], datetime],
        remember: Callable[[str, str], None] = lambda name, value: None,
    ) -> None:
        """`remember`: what outlives a restart, by name: how wrong the clock is, what went wrong last."""
        self._state, self._clock, self._remember = state, clock, remember
        self._said: dict[tuple[str, str], datetime] = {}

    def look(self) -> None:
        """At every platform that was joined. Nothing of it raises."""
        for one in memberships(self._state):
            if one.is_joined():
                self._look_at(one)

    def _look_at(self, one: Membership) -> None:
        problem = ""
        try:
            self.renew(one)
        except (FrontendAgentError, CertificateRefused, OSError) as error:
            problem = str(error)
        self._remember(f"certificate:{one.folder.name}", problem)
        if problem:
            self._warn("certificate.not_renewed", one, problem=problem)
        wrong = problems(one.chain()[0], self._clock(), ExtendedKeyUsageOID.CLIENT_AUTH) if not problem else []
        if wrong:
            self._warn("certificate.wrong", one, problem="; ".join(wrong))

    def renew(self, one: Membership, now: bool = False) -> bool:
        """Whom to trust, and, when it is time, the next certificate. `now`: a person does not want to wait. Whether it came."""
        asking = Joining(one.url, lambda: tls_of(one, Tls()))
        try:
            told = asking.authorities(one.agreed.digest)
            self._note_skew(one, told.skew)
            if told.authorities.digest != one.agreed.digest:
                one.trust(told.authorities)
                log.info(event("authorities.taken_up", platform=one.folder.name))
            if not (now or told.renew or one.is_due(self._clock())):
                return False
            key: SigningKey = one.next_key()
            answered = asking.renew(RenewalAsked(request=request_of(key).decode()), one.agreed.digest)
            enrolled = answered.enrolled
            if not enrolled.certificate:
                self._warn("certificate.waits", one, problem="somebody at the platform has to approve it")
                return False
            one.keep(enrolled.certificate, tuple(enrolled.institutions), enrolled.authorities, self._clock())
            log.info(event("certificate.renewed", platform=one.folder.name, serial=serial_of(one.chain()[0])))
            asking.authorities(one.agreed.digest)  # with it: from here on the old one has its end
            return True
        finally:
            asking.close()

    def _note_skew(self, one: Membership, skew: int) -> None:
        self._remember(f"skew:{one.folder.name}", str(skew) if skew else "")
        if skew:
            self._warn("clock.wrong", one, seconds=skew)

    def _warn(self, what: str, one: Membership, **more: Any) -> None:
        key, now = (what, one.folder.name), self._clock()
        if key not in self._said or now - self._said[key] >= SAID_EVERY:
            self._said[key] = now
            log.warning(event(what, platform=one.folder.name, **more))


def told_of(one: Membership, now: datetime) -> dict[str, Any]:
    """How a membership stands, in plain values."""
    own = one.chain()[0]
    ends = own.not_valid_after_utc
    return {
        "platform": one.url,
        "institutions": list(institutions_of(own) or one.agreed.institutions),
        "serial": serial_of(own),
        "sha256": fingerprint(own),
        "valid_from": own.not_valid_before_utc.isoformat(timespec="seconds"),
        "expires_at": ends.isoformat(timespec="seconds"),
        "days_left": round((ends - now) / timedelta(days=1), 1),
        "renews_from": half_life(own).isoformat(timespec="seconds"),
        "roots": [shown_fingerprint(fingerprint(root)) for root in one.roots()],
        "problems": problems(own, now, ExtendedKeyUsageOID.CLIENT_AUTH),
    }
