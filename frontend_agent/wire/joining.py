"""Joining a platform, as both sides write it: JSON over TLS.

    GET  /v1/authorities    anybody                  whom to trust: roots, and what is revoked
    POST /v1/enrolments     with a one-time token    a certificate for a new machine, or "wait for approval"
    POST /v1/renewals       with the certificate     the next certificate

A token is good for one key: the same key may ask again (an answer may be lost), another one never. Who is enrolled follows
from the token alone; `institution` is what the machine believes, so that a mistyped one is told at once.
"""

from typing import Annotated

import msgspec

AUTHORITIES = "/v1/authorities"
ENROLMENTS = "/v1/enrolments"
RENEWALS = "/v1/renewals"

# Headers of every request and answer over TLS. Clocks: when the asking machine believes it is, ISO 8601 in UTC.
TIME_HEADER = "Agent-Time"
TRUST_HEADER = "Agent-Trusts"  # of a request: digest of the authorities that the agent trusts
SKEW_HEADER = "Clock-Skew"  # of an answer: seconds that the asking machine's clock is ahead, where it is too many
RENEW_HEADER = (
    "Renew-Certificate"  # of an answer: 1 where the certificate in use is signed by an authority that retires
)

Pem = Annotated[str, msgspec.Meta(max_length=1 << 16)]
Short = Annotated[str, msgspec.Meta(max_length=200)]


class Authorities(msgspec.Struct, frozen=True):
    """Whom an agent trusts. `digest` names this very list."""

    digest: str
    roots: str  # PEM, one after another
    revoked: str = ""  # lists of revoked certificates (RFC 5280 §5), PEM, one per authority


class EnrolmentAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    token: Short
    request: Pem  # PKCS#10
    institution: Short = ""
    machine: Short = ""


class RenewalAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    request: Pem


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """`certificate` is empty while somebody has to approve: ask again with the same key."""

    institutions: list[str]
    key: str  # SHA-256 of the public key: what both sides read to one another before somebody approves
    certificate: str = ""  # PEM: its own first, then those between it and the root
    authorities: Authorities | None = None
