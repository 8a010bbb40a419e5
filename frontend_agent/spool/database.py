"""The spool's SQLite file: opening, migrating, transactions, and the named queries.

One connection, held exclusively: a second process is refused at the door, and SQLite needs no shared memory. Threads of
this process take turns by a lock, in the order in which they come. After any crash SQLite rolls the file back to the last commit by itself.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any

import apsw
import msgspec

from frontend_agent.durable import take_over
from frontend_agent.errors import SpoolFull, StateError
from frontend_agent.sealed_files import HEAD, Reader, is_sealed, sealed
from frontend_agent.sealing import NotGenuine
from frontend_agent.spool.at_rest import about
from frontend_agent.spool.fair import FairLock
from frontend_agent.spool.sealed_database import RESERVED, SealedFiles
from frontend_agent.spool.vault import Key, Vault

FILE = "spool.db"
_SECTION = re.compile(r"^-- ([a-z][a-z0-9_. ]*) --$", re.MULTILINE)

# 8 KiB pages: frames of about 2 kB pack well, and a random index page costs half of what it would with 16.
# The cache is what bounds our memory, whatever the backlog.
_SETTINGS = """
PRAGMA page_size = 8192;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -16384;
PRAGMA wal_autocheckpoint = 1000;
PRAGMA journal_size_limit = 33554432;
PRAGMA secure_delete = FAST;
"""

_SCRATCH = """
CREATE TEMP TABLE incoming (
    id INTEGER PRIMARY KEY, set_id TEXT, key TEXT, version INTEGER, source_hash TEXT, sha256 TEXT, size INTEGER,
    length INTEGER, crc INTEGER, made_at INTEGER, replaces_id TEXT, void INTEGER, findings TEXT, order_key TEXT,
    follows INTEGER, start INTEGER, plan INTEGER, day INTEGER, event_at INTEGER, scope INTEGER
);
"""


def sections(text: str) -> dict[str, str]:
    """The parts of an SQL file by the names in its `-- name --` lines."""
    found = _SECTION.split(text)
    return {name: body.strip() for name, body in zip(found[1::2], found[2::2], strict=True)}


def _sql(name: str) -> dict[str, str]:
    return sections(resources.files("frontend_agent.spool").joinpath(name).read_text(encoding="utf-8"))


MIGRATIONS = _sql("schema.sql")
# A program that knows this schema can work with what we write: every later migration only adds (decision 0046). Kept in the
# file as its application_id, so that the program before us knows it, too.
READS_FROM = 22
QUERIES = {**_sql("queries.sql"), **_sql("images.sql"), **_sql("alarms.sql"), **_sql("gap.sql")}


class Damaged(StateError):
    """A page of the file is not what SQLite wrote. It may be one document's, or everybody's."""


class Database:
    """The open file. Every query is asked by its name in `queries.sql`."""

    def __init__(self, connection: apsw.Connection, path: Path, files: SealedFiles | None = None) -> None:
        self.path = path
        self._connection = connection
        self._files = files
        self._lock = FairLock()

    @classmethod
    def open(cls, path: Path, key: Key | None = None) -> "Database":
        """Open or create it, and bring its schema up to date. `key`: what its pages are sealed with."""
        _create_private(path)
        connection: apsw.Connection | None = None
        files = SealedFiles(key) if key else None
        try:
            connection = apsw.Connection(str(path), vfs=files.name if files else None)
            if files:
                connection.reserve_bytes("main", RESERVED)
            connection.set_busy_timeout(200)
            connection.execute(_SETTINGS).fetchall()
            connection.execute("BEGIN EXCLUSIVE; COMMIT")  # takes the lock now, and keeps it
            database = cls(connection, path, files)
            database._migrate()
            connection.execute(_SCRATCH)
        except apsw.BusyError as error:
            _close(connection, files)
            raise StateError(f"{path} is in use: a daemon is running on this state") from error
        except (apsw.NotADBError, apsw.CorruptError) as error:
            _close(connection, files)
            raise StateError(
                f"{path} is damaged ({error}): restore it, or move it away and let all be read again"
            ) from error
        except apsw.CantOpenError as error:
            _close(connection, files)
            raise StateError(f"{path} cannot be opened ({error})") from error
        except BaseException:
            _close(connection, files)
            raise
        return database

    def close(self) -> None:
        with self._lock:
            _close(self._connection, self._files)
            self._files = None

    def _migrate(self) -> None:
        newest = len(MIGRATIONS)
        current, floor = (int(self._connection.pragma(name)) for name in ("user_version", "application_id"))
        if current > newest and 0 < floor <= newest:
            return  # a later version, which was taken back, has only added to it
        if current > newest:
            raise StateError(
                f"{self.path} has schema {current}, this program knows up to {newest}: it is from a newer version"
            )
        if current == newest and floor == READS_FROM:
            return
        with self.write():
            for number in range(current + 1, newest + 1):
                self._connection.execute(MIGRATIONS[f"migration {number}"])
            self._connection.execute(f"PRAGMA user_version = {newest}; PRAGMA application_id = {READS_FROM}")

    # --- asking -------------------------------------------------------------------------------------------------------

    def run(self, query: str, **values: Any) -> None:
        with self._lock:
            self._execute(QUERIES[query], values).fetchall()

    def changed(self, query: str, **values: Any) -> int:
        """Run it; how many rows it touched."""
        with self._lock:
            self._execute(QUERIES[query], values).fetchall()
            return self._connection.changes()

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._execute(QUERIES[query], values).fetchall()

    def row(self, query: str, **values: Any) -> tuple[Any, ...] | None:
        with self._lock:
            return self._execute(QUERIES[query], values).fetchone()

    def batch(self, query: str, **values: Any) -> list[Any]:
        """The one JSON array that the query answers."""
        with self._lock:
            return msgspec.json.decode(self._execute(QUERIES[query], values).get, type=list[Any])

    def execute(self, statement: str) -> None:
        """A statement of our own scratch table, or of a test."""
        with self._lock:
            self._execute(statement).fetchall()

    def _execute(self, statement: str, values: dict[str, Any] | None = None) -> apsw.Cursor:
        """Other people's exceptions are translated here, where they are met."""
        try:
            return self._connection.execute(statement, values)
        except apsw.FullError as error:
            raise SpoolFull(f"the disk of {self.path} is full") from error
        except apsw.CorruptError as error:
            raise Damaged(f"{self.path} is damaged: restore it, or move it away and let all be read again") from error
        except (apsw.IOError, apsw.ReadOnlyError) as error:
            raise StateError(f"{self.path} cannot be read or written: {error}") from error

    @contextmanager
    def write(self) -> Iterator[None]:
        """One transaction: all of what is inside, or none of it. Inside another one it is part of that."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._execute("ROLLBACK")
                raise

    @contextmanager
    def held(self) -> Iterator[None]:
        """Several reads that belong together."""
        with self._lock:
            yield

    def shape(self) -> dict[str, Any]:
        """Schema, SQLite, pages, and how many rows each table has."""
        with self._lock:
            named = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
            names = [str(row[0]) for row in self._execute(named)]
            told = {
                "schema": int(self._connection.pragma("user_version")),
                "sqlite": apsw.sqlite_lib_version(),
                "pages": int(self._connection.pragma("page_count")),
                "free_pages": int(self._connection.pragma("freelist_count")),
                "page_size": int(self._connection.pragma("page_size")),
            }
        return told | {"rows": {name: self._count(name) for name in names}}  # the others have their turn in between

    def _count(self, table: str) -> int:
        with self._lock:
            return int(self._execute(f'SELECT count(*) FROM "{table}"').get)  # noqa: S608 - a table of its own

    # --- size ---------------------------------------------------------------------------------------------------------

    def used(self) -> int:
        """Bytes in use: pages that hold something, and the write-ahead log."""
        with self._lock:
            pages = int(self._connection.pragma("page_count")) - int(self._connection.pragma("freelist_count"))
            size = int(self._connection.pragma("page_size"))
        wal = self.path.with_name(self.path.name + "-wal")
        return pages * size + (wal.stat().st_size if wal.exists() else 0)


def _close(connection: apsw.Connection | None, files: SealedFiles | None) -> None:
    if connection is not None:
        connection.close(True)
    if files is not None:
        files.unregister()


def _create_private(path: Path) -> None:
    """Patients' data: readable by our own account only, from the first byte."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError as error:
        if not path.is_file():
            raise StateError(f"{path.parent} is no folder") from error
    except OSError as error:
        raise StateError(f"{path} cannot be created ({error.strerror})") from error


class Bodies:
    """Frames too long for the database, each a file beside it, written whole before its row is."""

    def __init__(self, folder: Path, vault: Vault | None = None) -> None:
        """`vault`: the keys that they are sealed with; without one they are plain."""
        self._folder = folder
        self._vault = vault

    def write(self, document_id: str, frame: bytes) -> None:
        """Write it durably: contents, name and folder."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(document_id)
        if path.exists():  # orphans are swept at the start: this one belongs to a committed document
            raise StateError(f"{document_id} is in the spool already")
        part = path.with_suffix(".part")
        with open(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            key = self._vault.current if self._vault else None
            file.write(sealed(frame, key, about(path)) if key else frame)
            file.flush()
            os.fsync(file.fileno())
        take_over(part, path)

    def read(self, document_id: str) -> bytes:
        path = self._path(document_id)
        try:
            with path.open("rb") as file:
                if self._vault is None or not is_sealed(file.read(HEAD)):
                    file.seek(0)
                    return file.read()
                return Reader(file, self._vault.key, about(path)).read()
        except (OSError, NotGenuine):
            return b""  # it does not match its checksum then

    def drop(self, document_id: str) -> None:
        self._path(document_id).unlink(missing_ok=True)

    def names(self) -> list[str]:
        return [path.stem for path in self._folder.glob("*.zst")] if self._folder.is_dir() else []

    def drop_parts(self) -> None:
        """Files that were being written when we died."""
        if self._folder.is_dir():
            for path in self._folder.glob("*.part"):
                path.unlink(missing_ok=True)

    def _path(self, document_id: str) -> Path:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,80}", document_id) or document_id.startswith("."):
            raise StateError("a document id that cannot be a file name")
        return self._folder / f"{document_id}.zst"


class Undo:
    """Files written for a commit that did not happen are taken away again."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._written: list[str] = []

    def write(self, document_id: str, frame: bytes) -> None:
        self._bodies.write(document_id, frame)
        self._written.append(document_id)

    def __enter__(self) -> "Undo":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for document_id in self._written:
                self._bodies.drop(document_id)
