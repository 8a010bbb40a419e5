"""The platform's durable state: parcels as they came, and an index over them. The only writer of both.

    platform.key            Ed25519, made at first start, 0600; platform.pub beside it for auditors
    incoming/               uploads not yet accepted; emptied at start
    parcels/0000/00000001.fep   accepted parcels, byte for byte as they came
    dictionaries/<sha256>   the kinds' shared zstd dictionaries
    images/                 instances of images (platform/images/)
    index.sqlite            which document lies where, who sent it, leases, log heads

Order of a delivery: parcel verified → fsync → renamed into parcels/ → folder fsync → index rows committed → answered.
A crash before the commit leaves a whole parcel that the index does not know. At start it is indexed (law 5: it may be
known to the index's backup only), so nothing that was ever answered can be lost with the index: deleting
index.sqlite rebuilds it from the parcels. Leases alone are then begun anew.
"""

import base64
import contextlib
import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

import apsw
import msgspec
import zstandard
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from frontend_agent.errors import StateError
from frontend_agent.formats.foreign import Examined, examine
from frontend_agent.formats.headline import Headline
from frontend_agent.machine import lock, sync_folder
from frontend_agent.model import Outcome
from frontend_agent.platform import fleet, leases, reconciliations, signatures
from frontend_agent.platform.catalogue import AGENT_FIELDS, PER_FOLDER, Catalogue, parcel_path
from frontend_agent.platform.files import Upload, write_durably
from frontend_agent.platform.images.blobs import Blobs
from frontend_agent.platform.images.store import ImageStore
from frontend_agent.platform.judging import Foreign, Judged, is_institution, judge
from frontend_agent.platform.leases import Agent
from frontend_agent.platform.signatures import Judgement, Signatures
from frontend_agent.platform.upgrades import Upgrades
from frontend_agent.wire.frames import compressor, decompressor
from frontend_agent.wire.greeting import Hello, seal_welcome
from frontend_agent.wire.heartbeat import Beat
from frontend_agent.wire.parcel import Entry, Index, LogHead, Parcel, ParcelMalformed, ParcelTooLarge, assemble, unpack
from frontend_agent.wire.receipts import ABSENT, Leaf, public_bytes, seal
from frontend_agent.wire.reconciliation import Count, CountsAsked, KeptSet, Said, SetsAsked, Speaker

LARGEST_DICTIONARY = 1 << 20
ALL_DICTIONARIES = 16 << 20  # bytes of all of them: they stay in memory
_FULL = "the platform's disk is nearly full"
LEAST_FREE = 256 << 20  # bytes on the disk below which nothing more is taken

READS_FROM = 5  # a program that knows this schema can work with what we write (decision 0046)
_MIGRATIONS = re.split(
    r"^-- migration \d+ --$", resources.files(__package__).joinpath("index.sql").read_text("utf-8"), flags=re.MULTILINE
)[1:]
NEWEST = len(_MIGRATIONS)

_INSERT_DOCUMENT = f"INSERT INTO document VALUES (NULL{', ?' * 30})"  # noqa: S608 - a constant


class UnknownDictionaries(Exception):
    """The parcel needs dictionaries that the platform does not hold. The agent sends them and repeats."""

    def __init__(self, ids: list[str]):
        super().__init__(", ".join(ids))
        self.ids = ids


class StoreFull(StateError):
    """The platform's disk is nearly full. Nothing was taken; waiting may help."""


class Taken(msgspec.Struct, frozen=True):
    """What became of one parcel."""

    reply: bytes
    stored: int
    duplicates: int
    refused: int
    documents_bytes: int


class Posted(msgspec.Struct, frozen=True):
    """What became of one document that came by itself. `reply` is the signed receipt; empty when it was refused."""

    outcome: Outcome
    examined: Examined
    reasons: tuple[str, ...]
    document_id: str = ""
    reply: bytes = b""


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_exact(moment: datetime) -> str:
    """With milliseconds, so that no two replies are the same."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store(Catalogue):
    """One platform's state. `take`, `hello` and `keep_dictionary` may be called from any thread, one at a time inside."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        packs: dict[str, str] | None = None,
        least_free: int = LEAST_FREE,
        foreign: Foreign = examine,
        blobs: Blobs | None = None,
        signatures: Signatures | None = None,
    ):
        """`blobs`: where images lie; None for images/ in the folder. `signatures`: what is asked of them; None for nothing."""
        super().__init__(folder, blobs)
        self._foreign = foreign
        self._signatures = signatures
        self._clock = clock
        self._packs = packs or {}
        self._least_free = least_free
        self._writing = threading.Lock()
        self._openers: dict[str, zstandard.ZstdDecompressor] = {}
        self._dictionaries: dict[str, int | None] = {}
        self._dictionary_bytes = 0
        self._names: dict[str, str] = {}
        self.adopted = 0  # parcels that the index did not know at start
        self.damaged: list[Path] = []  # of them, those that cannot be read
        self._last_number = 0
        self.upgrades = Upgrades(folder, clock)
        self.images: ImageStore = ImageStore(
            self.images.blobs, folder, self._reading, self._write, clock, least_free, lambda: StoreFull(_FULL)
        )

    # --- opening -----------------------------------------------------------------------------------------------------

    def open(self, alone: bool = True) -> "Store":
        """Open after anything: a crash, a lost index. `alone` is how a server opens it; a command beside it does not."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("incoming", "parcels", "dictionaries"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        if alone:
            self._lock_folder()
        self.key = self._load_key()
        self._db = self._connect()
        self._migrate()
        super().open()
        self._load_dictionaries()
        self._names = dict(self._db.execute("SELECT id, name FROM institution"))
        if alone:
            for leftover in (self.folder / "incoming").iterdir():
                leftover.unlink()
            self.adopted = self._adopt_orphans()
            self.images.open()
        return self

    def close(self) -> None:
        self.upgrades.close()
        self.images.close()
        super().close()
        self._db.close()
        if hasattr(self, "_lock_file"):
            os.close(self._lock_file)

    def _lock_folder(self) -> None:
        self._lock_file = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        if not lock(self._lock_file):
            os.close(self._lock_file)
            del self._lock_file
            raise StateError(f"{self.folder}: another platform is running on it")

    def _load_key(self) -> Ed25519PrivateKey:
        path = self.folder / "platform.key"
        if not path.exists():
            key = Ed25519PrivateKey.generate()
            private = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            write_durably(path, private)
        loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(loaded, Ed25519PrivateKey):
            raise StateError(f"{path}: not an Ed25519 key")
        if not (self.folder / "platform.pub").exists():
            write_durably(self.folder / "platform.pub", _pem(loaded), 0o644)
        return loaded

    @property
    def packs(self) -> dict[str, str]:
        """What this platform judges by, as it says in every answer."""
        return self._packs

    @property
    def public_key(self) -> bytes:
        return public_bytes(self.key)

    def public_key_text(self) -> bytes:
        """As auditors' tools read it."""
        return _pem(self.key)

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self.folder / "index.sqlite"))
        connection.set_busy_timeout(10_000)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        connection.pragma("wal_autocheckpoint", 4_000)
        connection.pragma("cache_size", -32_000)
        return connection

    def _migrate(self) -> None:
        version, floor = (int(self._db.pragma(name)) for name in ("user_version", "application_id"))
        newest = len(_MIGRATIONS)
        if version > newest and 0 < floor <= newest:
            return  # a later version, which was taken back, has only added to it
        if version > newest:
            raise StateError(f"{self.folder}: written by a newer version (schema {version}, this knows {newest})")
        if version < newest or floor != READS_FROM:
            with self._transaction():
                for migration in _MIGRATIONS[version:]:
                    self._db.execute(migration)
                self._db.pragma("user_version", newest)
                self._db.pragma("application_id", READS_FROM)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._names.clear()  # may hold what is now undone; it is only there to save writes
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _write(self) -> Iterator[apsw.Connection]:
        """The index, inside one transaction of its one writer."""
        with self._writing, self._transaction():
            yield self._db

    # --- dictionaries ------------------------------------------------------------------------------------------------

    def keep_dictionary(self, name: str, content: bytes) -> None:
        """Idempotent. The name is the content's SHA-256, so nobody can put another in its place."""
        if len(content) > LARGEST_DICTIONARY:
            raise ParcelTooLarge(f"a dictionary of more than {LARGEST_DICTIONARY} bytes")
        if not content or sha256(content).hexdigest() != name:
            raise ParcelMalformed("the dictionary's SHA-256 is not its name")
        with self._writing:
            if name in self._openers:
                return
            if self._dictionary_bytes + len(content) > ALL_DICTIONARIES:
                raise ParcelTooLarge(f"more than {ALL_DICTIONARIES} bytes of dictionaries")
            self._refuse_when_full()
            write_durably(self.folder / "dictionaries" / name, content)
            self._know_dictionary(name, content)

    def _load_dictionaries(self) -> None:
        self._openers[""] = decompressor()
        self._dictionaries[""] = None
        for path in (self.folder / "dictionaries").glob("[0-9a-f]*"):
            content = path.read_bytes()
            if sha256(content).hexdigest() == path.name:  # a damaged one is asked for again
                self._know_dictionary(path.name, content)

    def _know_dictionary(self, name: str, content: bytes) -> None:
        self._db.execute("INSERT OR IGNORE INTO dictionary (sha256) VALUES (?)", (name,))
        self._dictionaries[name] = self._db.execute("SELECT id FROM dictionary WHERE sha256 = ?", (name,)).get
        self._openers[name] = decompressor(content)
        self._dictionary_bytes += len(content)

    # --- taking parcels ----------------------------------------------------------------------------------------------

    def begin_upload(self) -> Upload:
        self._refuse_when_full()
        return Upload(self.folder / "incoming" / secrets.token_hex(8))

    def _refuse_when_full(self) -> None:
        if shutil.disk_usage(self.folder).free < self._least_free:
            raise StoreFull(_FULL)

    def take(self, upload: Upload, allowed: Callable[[str], None] = lambda institution: None) -> Taken:
        """Store what is new of a parcel, durably, and answer for every document of it.

        Raises ParcelMalformed, LeaseRefused or UnknownDictionaries when the parcel as a whole cannot be taken; then
        nothing of it was. `allowed` raises what speaks against a parcel of that institution.
        """
        body = upload.read()
        parcel = unpack(body)
        index = parcel.index
        allowed(index.institution)
        with self._writing:
            agent = self._speaking(index.institution, index.instance, index.lease)
            moment = self._clock()
            judged = self._judge(parcel, moment)
            now = iso(moment)
            number = self._next_number()
            with self._transaction():
                outcomes = self._outcomes(index.institution, judged)
                fresh = [i for i, outcome in enumerate(outcomes) if outcome == Outcome.STORED]
                if fresh:
                    upload.place(self._new_path(number))
                    self._insert(number, len(body), parcel, judged, fresh, now)
                countersigned = self._note_agent(agent, index.log_head, now)
                self._note_packs(agent, index.packs)
        leaves = [_leaf(index.institution, one, outcome) for one, outcome in zip(judged, outcomes, strict=True)]
        duplicates = [i for i, outcome in enumerate(outcomes) if outcome == Outcome.DUPLICATE]
        reply = seal(
            self.key,
            leaves,
            duplicates,
            index.institution,
            index.instance,
            iso_exact(moment),
            countersigned,
            self._packs,
        )
        return Taken(
            reply=reply,
            stored=len(fresh),
            duplicates=len(duplicates),
            refused=len(outcomes) - len(fresh) - len(duplicates),
            documents_bytes=sum(judged[i].entry.size for i in fresh),
        )

    def take_document(self, document: bytes, institution: str = "") -> Posted:
        """Store one document that came by itself, from a sender who is no agent of ours; it becomes a parcel of one.

        `institution` is who sends it, if that is known; the document's custodian otherwise. Its series is its own setId.
        """
        examined = self._foreign(document)
        found = examined.headline
        named = institution or (found.institution_id if found else "")
        reasons = list(examined.reasons)
        if found and not is_institution(named):
            reasons.append("custodian: its organization has no id that can stand for an institution")
        if found is None or reasons:
            return Posted(Outcome.REFUSED, examined, tuple(reasons))
        entry, frame = _as_entry(document, examined, named)
        body = assemble(Index(institution=named, instance="", lease="", documents=[entry]), [frame])
        upload = self.begin_upload()
        try:
            upload.write(body)
            parcel = unpack(body)
            with self._writing:
                moment = self._clock()
                judged = self._judge(parcel, moment)
                with self._transaction():
                    (outcome,) = self._outcomes(named, judged)
                    if outcome == Outcome.STORED:
                        number = self._next_number()
                        upload.place(self._new_path(number))
                        self._insert(number, len(body), parcel, judged, [0], iso(moment))
        finally:
            upload.close()
        duplicates = [0] if outcome == Outcome.DUPLICATE else []
        leaves = [_leaf(named, judged[0], outcome)]
        reply = seal(self.key, leaves, duplicates, named, "", iso_exact(moment), None, self._packs)
        return Posted(outcome, examined, tuple(judged[0].reasons), entry.document_id, reply)

    def _judge(self, parcel: Parcel, now: datetime, refuse_unsigned: bool = True) -> list[Judged]:
        entries, institution = parcel.index.documents, parcel.index.institution
        if not is_institution(institution):
            raise ParcelMalformed("its institution is not a name")
        missing = {entry.dictionary for entry in entries} - self._openers.keys()
        if missing:
            raise UnknownDictionaries(sorted(missing))

        def signature(document: bytes, entry: Entry) -> Judgement | None:
            if self._signatures is None:
                return None
            return self._signatures.judge(document, institution, not entry.form, now, refuse_unsigned)

        return [
            judge(entry, frame, institution, self._openers, self._foreign, signature)
            for entry, frame in zip(entries, parcel.frames, strict=True)
        ]

    def _outcomes(self, institution: str, judged: Sequence[Judged]) -> list[Outcome]:
        """Law 6, per document: new, there already, or in contradiction to what is there. Adds its reason to the latter."""
        sets = list({one.entry.set_id for one in judged})
        ids = list({one.entry.document_id for one in judged})
        held = {
            (set_id, version): bytes(digest)
            for set_id, version, digest in self._db.execute(
                "SELECT set_id, version, sha256 FROM document "
                "WHERE institution = ? AND set_id IN (SELECT value FROM json_each(?))",
                (institution, json.dumps(sets)),
            )
        }
        owners = {
            document_id: (owner, set_id, version)
            for document_id, owner, set_id, version in self._db.execute(
                "SELECT document_id, institution, set_id, version FROM document "
                "WHERE document_id IN (SELECT value FROM json_each(?))",
                (json.dumps(ids),),
            )
        }
        outcomes = []
        for one in judged:
            entry = one.entry
            if one.reasons:
                outcomes.append(Outcome.REFUSED)
                continue
            digest = bytes.fromhex(entry.sha256)
            identity = (entry.set_id, entry.version)
            owner = owners.setdefault(entry.document_id, (institution, *identity))
            if held.setdefault(identity, b"") == digest and owner == (institution, *identity):
                outcomes.append(Outcome.DUPLICATE)
            elif held[identity]:
                one.reasons.append("conflict: this set and version is here with other bytes")
                outcomes.append(Outcome.REFUSED)
            elif owner != (institution, *identity):
                one.reasons.append("conflict: this document id belongs to another document")
                outcomes.append(Outcome.REFUSED)
            else:
                held[identity] = digest
                outcomes.append(Outcome.STORED)
        return outcomes

    def _insert(
        self, number: int, size: int, parcel: Parcel, judged: Sequence[Judged], fresh: Sequence[int], now: str
    ) -> None:
        index = parcel.index
        self._db.execute(
            "INSERT INTO parcel VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, index.institution, index.instance, size, len(fresh), json.dumps(index.packs), now),
        )
        heads = self._newest([judged[i].entry for i in fresh], index.institution)
        rows = []
        for i in fresh:
            rows.append(self._row(index.institution, judged[i], number, parcel.offsets[i], heads))
        self._db.executemany(_INSERT_DOCUMENT, rows)
        verdicts = [(one.entry.document_id, one.signature) for one in (judged[i] for i in fresh) if one.signature]
        signatures.keep(self._db, index.institution, verdicts, now)
        self._keep_name(index.institution, judged[fresh[-1]].headline)
        self._count(index.institution, [judged[i].entry for i in fresh], now)

    def _newest(self, entries: Sequence[Entry], institution: str) -> dict[str, int]:
        """The highest version of each set once these are in; the rows that were it until now are told so."""
        before = dict(
            self._db.execute(
                "SELECT set_id, max(version) FROM document "
                "WHERE institution = ? AND set_id IN (SELECT value FROM json_each(?)) GROUP BY set_id",
                (institution, json.dumps([entry.set_id for entry in entries])),
            )
        )
        after = dict(before)
        for entry in entries:
            after[entry.set_id] = max(entry.version, after.get(entry.set_id, 0))
        replaced = [(institution, set_id, before[set_id]) for set_id in before if after[set_id] > before[set_id]]
        self._db.executemany(
            "UPDATE document SET newest = 0 WHERE institution = ? AND set_id = ? AND version = ?", replaced
        )
        return after

    def _row(
        self, institution: str, judged: Judged, number: int, offset: int, heads: dict[str, int]
    ) -> tuple[Any, ...]:
        entry, headline, examined = judged.entry, judged.headline, judged.examined
        assert headline is not None
        return (
            institution,
            entry.set_id,
            entry.version,
            entry.document_id,
            entry.kind,
            bytes.fromhex(entry.sha256),
            entry.size,
            number,
            offset,
            entry.length,
            self._dictionaries[entry.dictionary],
            entry.source_hash,
            entry.replaces_id,
            int(entry.void),
            int(entry.version == heads[entry.set_id]),
            headline.patient_name,
            headline.patient_id_number,
            headline.outpatient_number,
            headline.inpatient_number,
            headline.sex,
            headline.birth_date,
            headline.effective_time,
            headline.author_name,
            headline.authored_at or headline.effective_time,
            entry.form,
            examined.own_id if examined else "",
            examined.local_number if examined else "",
            headline.title if examined else "",
            entry.day,
            entry.department,
        )

    def _keep_name(self, institution: str, headline: Headline | None) -> None:
        name = headline.institution_name if headline else ""
        if not name and institution in self._names:
            return
        if self._names.get(institution) != name:
            self._db.execute("INSERT OR REPLACE INTO institution VALUES (?, ?)", (institution, name))
            self._names[institution] = name

    def _count(self, institution: str, entries: Iterable[Entry], now: str) -> None:
        counts: dict[str, list[int]] = {}
        for entry in entries:
            count = counts.setdefault(entry.kind, [0, 0])
            count[0] += 1
            count[1] += entry.void
        self._db.executemany(
            "INSERT INTO tally VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "documents = documents + excluded.documents, voids = voids + excluded.voids, last_stored = excluded.last_stored",
            [(institution, kind, documents, voids, now) for kind, (documents, voids) in counts.items()],
        )

    # --- parcel files ------------------------------------------------------------------------------------------------

    def _new_path(self, number: int) -> Path:
        path = parcel_path(self.folder, number)
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700)
            sync_folder(path.parent.parent)
        return path

    def _next_number(self) -> int:
        # The greatest of table and folder: a number is never given twice, not even to a parcel that could not be committed.
        self._last_number = max(self._last_number, self._db.execute("SELECT coalesce(max(id), 0) FROM parcel").get) + 1
        return self._last_number

    def _adopt_orphans(self) -> int:
        """Index the parcels that the index does not know: a crash before the commit, or an index lost or restored."""
        adopted, self._last_number = 0, 0
        for folder in sorted((self.folder / "parcels").glob("[0-9]*")):
            first = int(folder.name) * PER_FOLDER
            ids = self._db.execute("SELECT id FROM parcel WHERE id >= ? AND id < ?", (first, first + PER_FOLDER))
            known = {number for (number,) in ids}
            for path in sorted(folder.glob("[0-9]*.fep")):
                self._last_number = int(path.stem)
                if self._last_number not in known:
                    adopted += self._adopt(path)
        return adopted

    def _adopt(self, path: Path) -> bool:
        number, body = int(path.stem), path.read_bytes()
        moment = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        stored_at = iso(moment)
        try:
            parcel = unpack(body)
            judged = self._judge(parcel, moment, refuse_unsigned=False)  # it was taken once
        except (ParcelMalformed, UnknownDictionaries):
            self.damaged.append(path)  # left where it is, for a person
            return False
        with self._transaction():
            outcomes = self._outcomes(parcel.index.institution, judged)
            fresh = [i for i, outcome in enumerate(outcomes) if outcome == Outcome.STORED]
            if fresh:
                self._insert(number, len(body), parcel, judged, fresh, stored_at)
        if not fresh:
            path.unlink()  # all of it is in other parcels: the agent has repeated it in the meantime
        return bool(fresh)

    # --- agents ------------------------------------------------------------------------------------------------------

    def hello(self, hello: Hello) -> bytes:
        """The signed welcome with the next lease, or LeaseRefused."""
        if not is_institution(hello.institution):
            raise ParcelMalformed("its institution is not a name")
        lease, now = secrets.token_hex(32), iso(self._clock())
        with self._writing, self._transaction():
            known = self._agent(hello.institution, hello.instance)
            newcomer = Agent(
                institution=hello.institution,
                instance=hello.instance,
                machine=hello.machine,
                current=_hashed(lease),
                previous=_hashed(hello.lease),
                first_seen=now,
                last_seen=now,
            )
            agent = leases.greet(known, newcomer, now)
            if known is None:
                self._db.execute(
                    "UPDATE agent SET superseded_by = ?, superseded_at = ? WHERE institution = ? AND superseded_by = ''",
                    (hello.instance, now, hello.institution),
                )
            self._keep_agent(agent)
            if hello.packs:
                self._note_packs(agent, hello.packs)
        return seal_welcome(self.key, hello, lease, now, self._packs)

    def admit(self, institution: str) -> bool:
        """An operator's word: whatever lease the institution's present instance shows next is taken. After a restore."""
        with self._writing, self._transaction():
            self._db.execute(
                "UPDATE agent SET current = '', previous = '' WHERE institution = ? AND superseded_by = ''",
                (institution,),
            )
            return self._db.changes() > 0

    def _agent(self, institution: str, instance: str) -> Agent | None:
        rows = self._db.execute(
            f"SELECT {', '.join(AGENT_FIELDS)} FROM agent WHERE institution = ? AND instance = ?",  # noqa: S608
            (institution, instance),
        )
        return next((Agent(*row) for row in rows), None)

    def _keep_agent(self, agent: Agent) -> None:
        names = ", ".join(AGENT_FIELDS)
        values = ", ".join("?" * len(AGENT_FIELDS))
        update = ", ".join(f"{name} = excluded.{name}" for name in AGENT_FIELDS)
        self._db.execute(
            f"INSERT INTO agent ({names}) VALUES ({values}) ON CONFLICT DO UPDATE SET {update}",  # noqa: S608
            msgspec.structs.astuple(agent),
        )

    def _speaking(self, institution: str, instance: str, lease: str) -> Agent:
        return leases.speaks(self._agent(institution, instance), _hashed(lease))

    def _note_packs(self, agent: Agent, packs: Mapping[str, str]) -> None:
        """What it judges by; mostly the same as last time."""
        said = json.dumps(dict(packs), sort_keys=True)
        self._db.execute(
            "UPDATE agent SET packs = ? WHERE institution = ? AND instance = ? AND packs <> ?",
            (said, agent.institution, agent.instance, said),
        )

    def _note_agent(self, agent: Agent, head: LogHead | None, now: str) -> LogHead | None:
        """Remember that it spoke, and its log's head. Returns the head if it can be countersigned.

        The same place with another hash is a rewritten log and is remembered as a dispute; a lower place is an old
        request that came late. Neither is signed.
        """
        self._keep_agent(msgspec.structs.replace(agent, last_seen=now))
        if head is None:
            return None
        key = (agent.institution, agent.instance)
        seq, digest = self._db.execute(
            "SELECT log_seq, log_hash FROM agent WHERE institution = ? AND instance = ?", key
        ).get
        if head.seq > seq or not digest:
            self._db.execute(
                "UPDATE agent SET log_seq = ?, log_hash = ? WHERE institution = ? AND instance = ?",
                (head.seq, head.hash, *key),
            )
            return head
        if head.seq == seq and head.hash != digest:
            self._db.execute("UPDATE agent SET log_disputed_at = ? WHERE institution = ? AND instance = ?", (now, *key))
        return head if (head.seq, head.hash) == (seq, digest) else None

    # --- what agents ask ---------------------------------------------------------------------------------------------

    def receipts(self, institution: str, document_ids: Sequence[str]) -> bytes:
        """A signed reply about documents asked for by id: stored, with the same leaf as ever, or absent."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT document_id, set_id, version, kind, sha256, size FROM document "
                "WHERE institution = ? AND document_id IN (SELECT value FROM json_each(?))",
                (institution, json.dumps(list(document_ids))),
            )
            found = {
                document_id: Leaf(institution, document_id, Outcome.STORED, set_id, version, kind, digest.hex(), size)
                for document_id, set_id, version, kind, digest, size in rows
            }
        leaves = [found.get(one) or Leaf(institution, one, ABSENT) for one in document_ids]
        return seal(self.key, leaves, [], institution, "", iso_exact(self._clock()), None, self._packs)

    def sealed(self, institution: str, instance: str, leaves: Sequence[Leaf], duplicates: Sequence[int] = ()) -> bytes:
        """A signed reply about what was decided elsewhere."""
        return seal(self.key, leaves, duplicates, institution, instance, iso_exact(self._clock()), None, self._packs)

    def must_speak(self, institution: str, instance: str, lease: str) -> None:
        """LeaseRefused unless this agent may speak for the institution."""
        with self._writing:
            self._speaking(institution, instance, lease)

    # --- reconciliation ----------------------------------------------------------------------------------------------

    def _must_speak(self, speaker: Speaker) -> None:
        """Only the institution's own agent, by its lease: nobody learns what another hospital has."""
        self.must_speak(speaker.institution, speaker.instance, speaker.lease)

    def counted(self, asked: CountsAsked) -> list[Count]:
        """The institution's newest documents of a kind, per day and department, or LeaseRefused."""
        self._must_speak(asked)
        with self._reading() as db:
            return reconciliations.counted(db, asked)

    def kept_sets(self, asked: SetsAsked) -> list[KeptSet]:
        """A page of them, set by set, or LeaseRefused."""
        self._must_speak(asked)
        with self._reading() as db:
            return reconciliations.kept_sets(db, asked)

    def keep_beat(self, beat: Beat) -> datetime:
        """Remember how an agent stands, or LeaseRefused. Our time."""
        with self._writing:
            agent = self._speaking(beat.institution, beat.instance, beat.lease)
            moment = self._clock()
            with self._transaction():
                self._keep_agent(msgspec.structs.replace(agent, last_seen=iso(moment)))
                fleet.keep(self._db, beat, iso(moment))
        return moment

    def watch(self) -> fleet.Watch:
        """Who looks which hospitals are silent."""
        return fleet.Watch(self._write, self._clock)

    def keep_said(self, said: Said) -> None:
        """Remember what an agent found, or LeaseRefused."""
        with self._writing:
            self._speaking(said.institution, said.instance, said.lease)
            with self._transaction():
                reconciliations.keep(self._db, said)


def _leaf(institution: str, judged: Judged, outcome: Outcome) -> Leaf:
    entry = judged.entry
    return Leaf(
        institution=institution,
        document_id=entry.document_id,
        outcome=Outcome.REFUSED if outcome == Outcome.REFUSED else Outcome.STORED,
        set_id=entry.set_id,
        version=entry.version,
        kind=entry.kind,
        sha256=entry.sha256,
        size=entry.size,
        reasons=judged.reasons,
    )


def _as_entry(document: bytes, examined: Examined, institution: str) -> tuple[Entry, bytes]:
    """The index entry of somebody else's document: its own setId (else its id) names the series, law 13's way."""
    assert examined.headline is not None
    named = f"{institution}\n{examined.own_set or examined.own_id}"
    set_id = "X-" + base64.b32encode(sha256(named.encode()).digest()).decode()[:26]
    version = max(examined.headline.version, 1) if examined.own_set else 1
    frame = compressor().compress(document)
    entry = Entry(
        document_id=f"{set_id}-{version}",
        set_id=set_id,
        version=version,
        kind=examined.kind,
        sha256=sha256(document).hexdigest(),
        size=len(document),
        length=len(frame),
        form="as-is",
    )
    return entry, frame


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _hashed(lease: str) -> str:
    return sha256(lease.encode()).hexdigest() if lease else ""
