"""Upgrades that the platform carries to its hospitals: packages, offers, and how far they have come. Its only writer.

    upgrades/offers.sqlite        what upgrades.sql says
    upgrades/SHA256.tar.zst       packages, as their maker signed them

Commands write beside a running server, which asks anew at each heartbeat. A platform that offers nothing has none of it. What
an agent accepts is decided there by the maker's signature (decision 0055): whoever owns this folder can offer, not install.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO

import apsw
import msgspec

from frontend_agent.errors import FrontendAgentError, StateError
from frontend_agent.machine import give_to_owner_of, sync_folder
from frontend_agent.wire.heartbeat import Beat
from frontend_agent.wire.upgrades import CONFIRMED, ENDED, LARGEST, RETURNED, TRIAL, Offer, is_newer, order_of

FOLDER, FILE = "upgrades", "offers.sqlite"
LEAST_FREE = 1 << 30  # bytes on the disk that a package leaves
ALL = 100  # percent
BEGUN = ENDED | {TRIAL}  # who is so far is not held up by others

_MIGRATIONS = re.split(
    r"^-- migration \d+ --$",
    resources.files(__package__).joinpath("upgrades.sql").read_text("utf-8"),
    flags=re.MULTILINE,
)[1:]


class NotOffered(FrontendAgentError):
    """This cannot be offered, or is not. Nothing was changed."""


class Package(msgspec.Struct, frozen=True):
    """A file that the platform has. `size`: bytes."""

    sha256: str
    version: str
    machine: str
    size: int
    added_at: str
    added_by: str


class Offering(msgspec.Struct, frozen=True):
    """To whom a version is offered: to those that are named, and to so many percent of all."""

    version: str
    institutions: list[str]
    percent: int
    stop_after: int
    offered_at: str
    offered_by: str
    withdrawn_at: str = ""
    withdrawn_by: str = ""
    withdrawn_why: str = ""

    def means(self, institution: str) -> bool:
        """Whether a hospital is meant. A larger percentage means the same ones and more."""
        return institution in self.institutions or share_of(self.version, institution) < self.percent


class Progress(msgspec.Struct, frozen=True):
    """How far a version has come at a hospital."""

    version: str
    institution: str
    state: str
    reason: str
    at: str
    heard_at: str


_PACKAGE, _OFFERING, _PROGRESS = (", ".join(one.__struct_fields__) for one in (Package, Offering, Progress))


def share_of(version: str, institution: str) -> int:
    """0 to 99: where a hospital stands in the order in which a version is rolled out; another order for each version."""
    return int.from_bytes(sha256(f"{version} {institution}".encode()).digest()[:4]) % 100


class Upgrades:
    """Safe to use from several threads, and beside other processes. Everything is empty while nothing was ever added."""

    def __init__(self, state: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`state`: the platform's folder."""
        self.folder = state / FOLDER
        self._clock = clock
        self._lock = threading.RLock()
        self._db: apsw.Connection | None = None

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def __enter__(self) -> "Upgrades":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what administrators do ---------------------------------------------------------------------------------------

    def add(self, file: Path, version: str, machine: str, who: str) -> Package:
        """Keep a package whose signature was verified. NotOffered: another one of that name is there, or it is no upgrade."""
        if order_of(version) is None:
            raise NotOffered(f"{file}: {version!r} is no version that could be put in order")
        size = file.stat().st_size
        if size > LARGEST:
            raise NotOffered(f"{file}: larger than {LARGEST >> 30} GB")
        self._make()
        digest = self._copy(file, size)
        known = next((one for one in self.packages() if (one.version, one.machine) == (version, machine)), None)
        if known is not None and known.sha256 != digest:
            (self.folder / f"{digest}.tar.zst").unlink(missing_ok=True)
            raise NotOffered(
                f"{version} for {machine} is here with other bytes: drop that first, or give this another version"
            )
        if known is not None:
            return known
        package = Package(digest, version, machine, size, self._now(), who)
        with self._transaction() as db:
            db.execute("INSERT INTO package VALUES (?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(package))
        return package

    def offer(self, version: str, who: str, to: Iterable[str] = (), percent: int = 0, stop_after: int = 1) -> Offering:
        """Offer a version to more hospitals: named ones, or a share of all. One that was withdrawn begins anew."""
        if not any(one.version == version for one in self.packages()):
            raise NotOffered(f"{version}: there is no package of it here: frontend-agent platform upgrades add FILE")
        before = next((one for one in self.offerings() if one.version == version and not one.withdrawn_at), None)
        named = sorted({*(before.institutions if before else ()), *to})
        offering = Offering(version, named, max(percent, before.percent if before else 0), stop_after, self._now(), who)
        with self._transaction() as db:
            db.execute(
                "INSERT INTO offer (version, institutions, percent, stop_after, offered_at, offered_by) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (version) DO UPDATE SET institutions = excluded.institutions, percent = excluded.percent, "
                "stop_after = excluded.stop_after, offered_at = excluded.offered_at, offered_by = excluded.offered_by, "
                "withdrawn_at = '', withdrawn_by = '', withdrawn_why = ''",
                (version, json.dumps(named), offering.percent, stop_after, offering.offered_at, who),
            )
        return offering

    def withdraw(self, version: str, who: str, why: str = "") -> None:
        """Nobody is offered it any more; where it is installed it stays."""
        with self._transaction() as db:
            db.execute(
                "UPDATE offer SET withdrawn_at = ?, withdrawn_by = ?, withdrawn_why = ? WHERE version = ? AND withdrawn_at = ''",
                (self._now(), who, why, version),
            )
            if not db.changes():
                raise NotOffered(f"{version} is not offered")

    def drop(self, version: str) -> int:
        """Take the packages of a version away; it must not be offered. How many there were."""
        if any(one.version == version and not one.withdrawn_at for one in self.offerings()):
            raise NotOffered(f"{version} is offered: withdraw it first")
        gone = [one for one in self.packages() if one.version == version]
        if not gone:
            raise NotOffered(f"{version}: there is no package of it here")
        with self._transaction() as db:
            db.execute("DELETE FROM package WHERE version = ?", (version,))
        for one in gone:
            self._path(one.sha256).unlink(missing_ok=True)
        return len(gone)

    # --- what agents say and ask --------------------------------------------------------------------------------------

    def heard(self, beat: Beat) -> Offer | None:
        """Remember how far a hospital's upgrade is; what it is offered now: the newest that is newer than what runs there."""
        if self._opened() is None:
            return None
        self._keep(beat)
        if not beat.machine:
            return None
        packages = {(one.version, one.machine): one for one in self.packages()}
        for offering in self.standing_for(beat.institution):
            package = packages.get((offering.version, beat.machine))
            if package is not None and is_newer(offering.version, beat.version):
                return Offer(
                    version=package.version, machine=package.machine, size=package.size, sha256=package.sha256, at=offering.offered_at
                )  # fmt: skip
        return None

    def standing_for(self, institution: str) -> list[Offering]:
        """What a hospital is offered now, the newest version first."""
        offered = [one for one in self.offerings() if not one.withdrawn_at and one.means(institution)]
        return [one for one in offered if not self._is_held_up(one, institution)]

    def _is_held_up(self, offering: Offering, institution: str) -> bool:
        """Whether it was taken back at so many others that nobody else is to begin with it."""
        progress = self.progress(offering.version)
        begun = any(one.institution == institution and one.state in BEGUN for one in progress)
        return not begun and is_stopped(offering, progress)

    def may_fetch(self, institution: str, digest: str) -> Package | None:
        """The package, where this hospital is offered it."""
        versions = {one.version for one in self.standing_for(institution)} if self._opened() is not None else set()
        return next((one for one in self.packages() if one.sha256 == digest and one.version in versions), None)

    def read(self, package: Package) -> BinaryIO:
        """Its file. FileNotFoundError: it is not where it was laid."""
        return self._path(package.sha256).open("rb")

    def _keep(self, beat: Beat) -> None:
        told = beat.upgrade
        if told is None or order_of(told.version) is None:
            return
        said = (told.state, told.reason, told.at)
        known = self._rows(
            "SELECT state, reason, at FROM progress WHERE version = ? AND institution = ?",
            told.version,
            beat.institution,
        )
        if known and known[0] == said:
            return
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?, ?, ?)",
                (told.version, beat.institution, *said, self._now()),
            )

    # --- looking ------------------------------------------------------------------------------------------------------

    def packages(self) -> list[Package]:
        """All of them, the newest version first."""
        found = [Package(*row) for row in self._rows(f"SELECT {_PACKAGE} FROM package ORDER BY machine")]  # noqa: S608
        return sorted(found, key=lambda one: order_of(one.version) or ((), 0, 0, 0), reverse=True)

    def offerings(self) -> list[Offering]:
        """Every version that was ever offered, the newest first."""
        rows = self._rows(f"SELECT {_OFFERING} FROM offer")  # noqa: S608
        found = [Offering(version, json.loads(named), *rest) for version, named, *rest in rows]
        return sorted(found, key=lambda one: order_of(one.version) or ((), 0, 0, 0), reverse=True)

    def progress(self, version: str = "") -> list[Progress]:
        """How far a version has come, or all, by hospital."""
        rows = self._rows(
            f"SELECT {_PROGRESS} FROM progress WHERE version = ? OR ? = '' ORDER BY institution, heard_at DESC",  # noqa: S608
            version, version,
        )  # fmt: skip
        return [Progress(*row) for row in rows]

    # --- the disk -----------------------------------------------------------------------------------------------------

    def _make(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        give(self.folder)
        sync_folder(self.folder.parent)
        with self._lock:
            self._db = self._db or self._connected()

    def _opened(self) -> apsw.Connection | None:
        """Looked for each time: a command may have made it since."""
        with self._lock:
            if self._db is None and (self.folder / FILE).exists():
                self._db = self._connected()
            return self._db

    def _connected(self) -> apsw.Connection:
        path = self.folder / FILE
        before = os.umask(0o077)
        try:
            db = apsw.Connection(str(path))
            db.set_busy_timeout(10_000)
            db.pragma("journal_mode", "wal")
        finally:
            os.umask(before)
        db.pragma("synchronous", "full")
        give(path)
        version, newest = db.pragma("user_version"), len(_MIGRATIONS)
        if version > newest:
            raise StateError(f"{path}: written by a newer version (schema {version}, this knows {newest})")
        if version < newest:
            with _transaction(db):
                for migration in _MIGRATIONS[db.pragma("user_version") :]:
                    db.execute(migration)
                db.pragma("user_version", newest)
        return db

    def _copy(self, file: Path, size: int) -> str:
        """The file under its SHA-256, durable; the SHA-256."""
        if shutil.disk_usage(self.folder).free - size < LEAST_FREE:
            raise StateError(f"{self.folder}: the disk would be nearly full with {file.name} ({size >> 20} MB)")
        part = self.folder / f".{secrets.token_hex(8)}"
        digest = sha256()
        try:
            with (
                file.open("rb") as source,
                open(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as target,
            ):
                while piece := source.read(1 << 20):
                    digest.update(piece)
                    target.write(piece)
                target.flush()
                os.fsync(target.fileno())
            part.replace(self._path(digest.hexdigest()))
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        give(self._path(digest.hexdigest()))
        sync_folder(self.folder)
        return digest.hexdigest()

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}.tar.zst"

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            db = self._opened()
            return list(db.execute(sql, values)) if db is not None else []

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[apsw.Connection]:
        with self._lock:
            db = self._opened()
            if db is None:
                raise NotOffered("nothing is offered here: frontend-agent platform upgrades add FILE")
            with _transaction(db):
                yield db

    def _now(self) -> str:
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_stopped(offering: Offering, progress: Sequence[Progress]) -> bool:
    """Whether a version was taken back at so many hospitals that nobody else begins with it."""
    returned = sum(one.version == offering.version and one.state == RETURNED for one in progress)
    return bool(offering.stop_after) and returned >= offering.stop_after


def told_of(offering: Offering, progress: Sequence[Progress]) -> dict[str, int]:
    """How many hospitals are in which state with a version."""
    states = [one.state for one in progress if one.version == offering.version]
    return {state: states.count(state) for state in sorted(set(states), key=lambda one: (one != CONFIRMED, one))}


def give(path: Path) -> None:
    """What root makes in a service's folder is that service's."""
    give_to_owner_of(path, path.parent)


@contextlib.contextmanager
def _transaction(db: apsw.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
