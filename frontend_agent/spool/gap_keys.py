"""The keys of one half of an agent across a gap: its own, made here, and the public ones of the other half.

identity/gap.key         32 random bytes in base64, 0600: both private keys come of them (where no secret is named)
identity/gap-other.json  the other half's public keys, once a person has compared the fingerprints
"""

import base64
import binascii
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from frontend_agent.durable import take_over
from frontend_agent.errors import ConfigurationError, StateError
from frontend_agent.sealing import derived
from frontend_agent.spool.membership import FOLDER
from frontend_agent.wire.bundles import Half, PublicHalf, Role, read_public_half

OWN, OTHER = "gap.key", "gap-other.json"
SEED = 32  # bytes


def own_half(state: Path, role: Role, secret: str, find: Callable[[str], str], make: bool = False) -> Half:
    """Who we are. `secret`: the name of the secret that both keys come of; empty: a file, made when `make` says so.

    ConfigurationError: the secret is none, or there is no key yet."""
    seed = _of_secret(find(secret), secret) if secret else _of_file(state / FOLDER / OWN, make)
    return Half(
        role,
        Ed25519PrivateKey.from_private_bytes(derived("AES-256-GCM", seed, f"gap signing {role}")),
        X25519PrivateKey.from_private_bytes(derived("AES-256-GCM", seed, f"gap agreement {role}")),
    )


def _of_secret(text: str, name: str) -> bytes:
    seed = _seed(text)
    if seed is None:
        raise ConfigurationError(
            f"[gap] key: the secret {name!r} is not 32 bytes in base64: frontend-agent secret set {name} --random"
        )
    return seed


def _seed(text: str) -> bytes | None:
    try:
        seed = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return seed if len(seed) == SEED else None


def _of_file(path: Path, make: bool) -> bytes:
    try:
        seed = _seed(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        if not make:
            raise ConfigurationError(
                "[gap]: this half has no keys yet: frontend-agent gap keys makes them, and shows their fingerprint"
            ) from None
        seed = secrets.token_bytes(SEED)
        _write(path, base64.b64encode(seed))
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"{path}: the key of this half cannot be read ({type(error).__name__})") from None
    if seed is None:
        raise StateError(f"{path}: the key of this half is damaged: take it away, and pair the two halves anew")
    return seed


def has_keys(state: Path) -> bool:
    """Whether this half has keys in a file."""
    return (state / FOLDER / OWN).exists()


def other_half(state: Path) -> PublicHalf | None:
    """Whom we are paired with; None: nobody yet."""
    try:
        return read_public_half((state / FOLDER / OTHER).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise StateError(f"{state / FOLDER / OTHER}: cannot be read: frontend-agent gap pair writes it anew") from None


def keep_other_half(state: Path, half: PublicHalf) -> None:
    _write(state / FOLDER / OTHER, msgspec.json.encode(half))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with open(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    take_over(part, path)
