"""Every hash that is stored or sent names its algorithm: in its name, by a word before the value, or in the list beside it."""

import importlib
import pkgutil
import re
from contextlib import closing
from pathlib import Path

import apsw
import msgspec
import pytest

from frontend_agent import wire
from frontend_agent.platform.store import Store
from frontend_agent.spool import Spool
from frontend_agent.wire.hashes import SENT, algorithm_of

LOOKS_LIKE_ONE = re.compile(
    r"hash|digest|fingerprint|checksum|sha\d|sm3|merkle|^root$|^path$|^packs$|^dictionary$|^prev"
)
SAYS_SO = re.compile(r"sha256|sha384|sha512|sm3")
# Other than by name: they hold no hash.
NO_HASH = {
    "spool": {"plan.dictionary", "picked.path"},  # the number of a row that is named sha256; where a file lies
    "platform": {"document.dictionary"},
    "sent": {"crossing.Request.path"},  # of a URL
}


def stored(folder: Path, which: str) -> Path:
    if which == "spool":
        with Spool(folder / "spool").open():
            pass
        return next(path for path in (folder / "spool").iterdir() if path.suffix in (".db", ".sqlite", ".sqlite3"))
    Store(folder / "platform").open().close()
    return folder / "platform" / "index.sqlite"


@pytest.mark.parametrize("which", ["spool", "platform"])
def test_every_stored_hash_names_its_algorithm(tmp_path, which):
    path = stored(tmp_path, which)
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as database:
        places = {
            f"{table}.{column}"
            for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            for _, column, *_ in database.execute(f"PRAGMA table_info({table})")
        }
        listed = dict(database.execute("SELECT place, algorithm FROM hash_algorithm").fetchall())
    unsaid = {
        place
        for place in places
        if LOOKS_LIKE_ONE.search(place.partition(".")[2]) and not SAYS_SO.search(place.partition(".")[2])
    }
    unsaid -= NO_HASH[which] | {place for place in places if place.startswith("hash_algorithm.")}
    assert unsaid <= listed.keys(), "add a row to hash_algorithm in a migration, or name the column after its algorithm"
    assert listed.keys() <= places
    assert all(algorithm.startswith(("SHA-", "SM3", "HMAC-")) for algorithm in listed.values())


def test_every_sent_hash_names_its_algorithm():
    sent = set()
    for found in pkgutil.iter_modules(wire.__path__):
        module = importlib.import_module(f"{wire.__name__}.{found.name}")
        for name, struct in vars(module).items():
            if isinstance(struct, type) and issubclass(struct, msgspec.Struct) and struct.__module__ == module.__name__:
                sent |= {f"{found.name}.{name}.{field}" for field in struct.__struct_fields__}
    unsaid = {
        place
        for place in sent
        if LOOKS_LIKE_ONE.search(place.rpartition(".")[2]) and not SAYS_SO.search(place.rpartition(".")[2])
    }
    unsaid -= NO_HASH["sent"]
    assert unsaid == SENT.keys(), "say in wire/hashes.py with what it is made, or name the field after its algorithm"


def test_a_value_may_name_another_algorithm_than_its_place_does():
    assert algorithm_of("ab" * 32) == "SHA-256"
    assert algorithm_of("sm3:" + "ab" * 32) == "SM3"
    with pytest.raises(ValueError, match="not known here: 'md5'"):
        algorithm_of("md5:" + "ab" * 16)
