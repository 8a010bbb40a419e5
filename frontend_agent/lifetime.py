"""When this agent began and ended, and with which configuration: entries of the chained log.

    agent began     version, the digest of agent.toml, by which account
    agent ended     how: asked (by which signal), an error by its type, or "without a word": then the next start says so
    configuration changed    the digest before and after, and the keys that changed; values never

Digests of single values are kept beside the log, keyed by a number that never leaves the state: they tell that a value changed
and nothing of what it is.
"""

import hmac
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from frontend_agent import __version__
from frontend_agent.control import process_account
from frontend_agent.people import MOST_TOLD
from frontend_agent.spool import Spool

Clock = Callable[[], datetime]

LIFE, DIGEST, KEYS, SALT = "life", "config:digest", "config:keys", "config:salt"
WITHOUT_A_WORD = "without a word"  # killed, out of memory, power cut


class Written(NamedTuple):
    """agent.toml as it was read: the digest of the file, and of each value by the path to it."""

    digest: str
    keys: Mapping[str, str]


@contextmanager
def lived(spool: Spool, config_path: Path, heard: list[str], now: Clock) -> Iterator[None]:
    """From its beginning to its end. `heard`: the signals that asked it to end."""
    begin(spool, config_path, now)
    try:
        yield
    except BaseException as error:
        _end(spool, f"error {type(error).__name__}", now)
        raise
    _end(spool, f"asked ({heard[0]})" if heard else "by itself", now)


def begin(spool: Spool, config_path: Path, now: Clock) -> None:
    """Say that it runs; and first how it ended before, where nobody has said so, and what of its configuration changed."""
    marks, bodies = changed(spool, config_path)
    if before := spool.meta.get(LIFE):
        bodies.insert(0, {"event": "agent ended", "how": WITHOUT_A_WORD, **msgspec.json.decode(before)})
    body = {"version": __version__, "config": marks[DIGEST], "pid": os.getpid()}
    bodies.append({"event": "agent began", **body, "account": process_account()})
    spool.record_with(bodies, marks | {LIFE: msgspec.json.encode({"pid": os.getpid(), "version": __version__}).decode()}, now())  # fmt: skip


def note_changes(spool: Spool, config_path: Path, now: Clock) -> None:
    """The same of a configuration alone, for a command that works once."""
    marks, bodies = changed(spool, config_path)
    if bodies or spool.meta.get(DIGEST) is None:
        spool.record_with(bodies, marks, now())


def _end(spool: Spool, how: str, now: Clock) -> None:
    spool.record_with([{"event": "agent ended", "how": how, "pid": os.getpid()}], {LIFE: ""}, now())


def changed(spool: Spool, config_path: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """What is to be remembered of the configuration, and the entry that says what changed in it, if something did."""
    meta = spool.meta
    salt = meta.get(SALT) or os.urandom(32).hex()
    now, before = written(config_path.read_bytes(), bytes.fromhex(salt)), meta.get(DIGEST)
    marks = {SALT: salt, DIGEST: now.digest, KEYS: msgspec.json.encode(now.keys).decode()}
    if before in (None, now.digest):
        return marks, []
    keys = differing(msgspec.json.decode(meta.get(KEYS) or "{}"), now.keys)
    told = {name: _bounded(names) for name, names in keys.items() if names}
    return marks, [{"event": "configuration changed", "before": before, "after": now.digest, **told}]


# -- Pure -------------------------------------------------------------------------------------------------------------


def written(text: bytes, salt: bytes) -> Written:
    """The digest of the file is what `sha256sum agent.toml` says."""
    keys = {
        path: hmac.new(salt, msgspec.json.encode(str(value)), sha256).hexdigest()[:16]
        for path, value in _values(tomllib.loads(text.decode("utf-8")), "")
    }
    return Written(sha256(text).hexdigest(), keys)


def differing(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, list[str]]:
    """The paths whose value is another, is new, or is gone."""
    return {
        "changed": sorted(path for path in before.keys() & now.keys() if before[path] != now[path]),
        "added": sorted(now.keys() - before.keys()),
        "removed": sorted(before.keys() - now.keys()),
    }


def _values(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value by its path. A table of a list is known by its name where it has one: order is no change."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _values(one, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        for number, one in enumerate(value):
            yield from _values(one, f"{path}[{one.get('name', number)}]")
    else:
        yield path, value


def _bounded(names: list[str]) -> list[str]:
    return names if len(names) <= MOST_TOLD else [*names[:MOST_TOLD], f"… {len(names)}"]
