"""What proves a person at the console: a password kept as scrypt (RFC 7914), and one-time codes (TOTP, RFC 6238). Pure.

`salt` and `secret` are handed in: nothing here is random, and nothing here knows what time it is.
"""

import base64
import hmac
from datetime import timedelta
from hashlib import scrypt, sha1
from urllib.parse import quote, urlencode

COST, BLOCK, PARALLEL = 1 << 15, 8, 1  # RFC 7914: N, r, p; 32 MiB and about 80 ms
SHORTEST = 10  # characters
KINDS = 3  # of capitals, small letters, digits, others: so many at least, or LONG characters
LONG = 20
STEP = 30  # seconds that one code is for (RFC 6238, X)
DIGITS = 6
MOST_TRIES, TRIES_WITHIN = 10, timedelta(minutes=15)  # in vain, for one name or from one address (threats C7)
BEFORE, AFTER = 1, 1  # codes of the neighbouring steps are taken too: clocks of telephones differ


def weakness(password: str, name: str) -> str:
    """Why this password is not taken; empty: it is."""
    kinds = [
        any(one.isupper() for one in password),
        any(one.islower() for one in password),
        any(one.isdigit() for one in password),
        any(not one.isalnum() for one in password),
    ]
    if len(password) < SHORTEST:
        return f"shorter than {SHORTEST} characters"
    if name and name.lower() in password.lower():
        return "holds the name of its owner"
    if sum(kinds) < KINDS and len(password) < LONG:
        return f"needs {KINDS} of: capitals, small letters, digits, other signs; or {LONG} characters"
    if len(set(password)) < SHORTEST // 2:
        return "repeats too few characters"
    return ""


def keep(password: str, salt: bytes) -> str:
    """What is kept of a password: `scrypt$N$r$p$salt$hash`, base64."""
    kept = _scrypt(password, salt, COST, BLOCK, PARALLEL)
    return "$".join(["scrypt", str(COST), str(BLOCK), str(PARALLEL), _text(salt), _text(kept)])


def is_password(password: str, kept: str) -> bool:
    """Whether this is the password of which that was kept. Takes as long whether it is or not."""
    _, cost, block, parallel, salt, wanted = kept.split("$")
    found = _scrypt(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(found, base64.b64decode(wanted))


def code_at(secret: bytes, step: int) -> str:
    """RFC 4226, 5.3: HMAC-SHA-1 of the step, dynamically truncated to six digits."""
    digest = hmac.new(secret, step.to_bytes(8, "big"), sha1).digest()
    place = digest[-1] & 0x0F
    number = int.from_bytes(digest[place : place + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(secret: bytes, code: str, seconds: float, used: int) -> int | None:
    """The step that this code is of, near `seconds` since 1970; None: of none, or of one not later than `used`.

    RFC 6238, 5.2: a code is good once.
    """
    now = int(seconds) // STEP
    written = "".join(code.split())
    for step in range(now - BEFORE, now + AFTER + 1):
        if step > used and hmac.compare_digest(code_at(secret, step).encode(), written.encode()):
            return step
    return None


def proof(kept: str, totp: bytes, used: int, password: str, code: str, seconds: float) -> int | None:
    """The step that a login is proven with; None: it is not. `kept` and `totp` are empty for a name that is nobody's.

    Without a secret for codes the password is the proof, and the step stays `used`. A name that is nobody's takes as long as
    one that is known.
    """
    is_right = is_password(password, kept or _NOBODY)
    if not kept or not is_right:
        return None
    return step_of(totp, code, seconds, used) if totp else used


def secret_text(secret: bytes) -> str:
    """As authenticators take it when it is typed: base32 without padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def provisioning(secret: bytes, name: str, issuer: str) -> str:
    """The address that authenticators read from a picture (Key URI Format)."""
    asked = urlencode({"secret": secret_text(secret), "issuer": issuer, "digits": DIGITS, "period": STEP})
    return f"otpauth://totp/{quote(issuer)}:{quote(name)}?{asked}"


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=256 * cost * block, dklen=32)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


_NOBODY = keep("nobody has this password", bytes(16))
