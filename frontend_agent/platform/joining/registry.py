"""The durable state of joining: authorities, tokens, enrolments, certificates. Its only writer.

    joining/registry.sqlite       what registry.sql says
    joining/authority-1.key       the key of an intermediate, 0600. No root's key is ever here
    joining/server.pem            the platform's own certificate with its key, 0600

Commands write beside a running server, which takes up what they changed. Unlike the index this cannot be made anew from the
parcels: whoever loses it has every hospital join again. A certificate that is not in here opens nothing, whoever signed it.
"""

import contextlib
import json
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

import apsw
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from frontend_agent.certificates import (
    CLOCKS_DIFFER,
    CertificateRefused,
    Token,
    certificates_in,
    chain_problem,
    fingerprint,
    half_life,
    hosts_of,
    institutions_of,
    key_fingerprint,
    pem_of,
    problems,
    read_request,
    serial_of,
    token_digest,
)
from frontend_agent.errors import ConfigurationError, StateError
from frontend_agent.machine import sync_folder
from frontend_agent.platform.files import write_durably
from frontend_agent.platform.joining.authority import (
    LEAF_TERM,
    Authority,
    client_certificate,
    key_pem,
    new_key,
    read_key,
    revoked_list,
    server_certificate,
)
from frontend_agent.wire.joining import Authorities, Enrolled, EnrolmentAsked

FOLDER = "joining"
TRIES = 10  # failed enrolments of one address …
WITHIN = timedelta(minutes=15)  # … in so long
COLLECTED = timedelta(days=30)  # so long the same key is answered again
OVERLAP = timedelta(hours=24)  # a certificate is good for so long after its successor was first used
NOTED_EVERY = timedelta(minutes=1)  # that a certificate is in use
UNSEEN_AT_MOST = 10  # next certificates of one that nobody has used
REVOKED_EVERY = timedelta(days=30)
MOST_INCIDENTS = 10_000
NEXT, CURRENT, RETIRING, GONE = "next", "current", "retiring", "gone"
WAITING, APPROVED, REFUSED, ISSUED = "waiting", "approved", "refused", "issued"

_MIGRATIONS = re.split(
    r"^-- migration \d+ --$",
    resources.files(__package__).joinpath("registry.sql").read_text("utf-8"),
    flags=re.MULTILINE,
)[1:]


class JoiningRefused(Exception):
    """What is asked for is not given: status, a word for machines, a sentence for the person at the keyboard."""

    def __init__(self, status: int, error: str, detail: str):
        super().__init__(detail)
        self.status, self.error, self.detail = status, error, detail


class Certificate(msgspec.Struct, frozen=True):
    """One that was given, with what is known of its use."""

    sha256: str
    serial: str
    institutions: list[str]
    machine: str
    authority: int
    issued_at: str
    expires_at: str
    first_seen: str
    last_seen: str
    skew: int
    trusts: str
    replaced_at: str
    revoked_at: str
    revoked_by: str
    revoked_why: str

    def state(self, now: datetime) -> str:
        """valid, replaced, revoked or expired."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at < _iso(now):
            return "expired"
        if self.replaced_at and _moment(self.replaced_at) + OVERLAP < now:
            return "replaced"
        return "valid"


class Enrolment(msgspec.Struct, frozen=True):
    id: int
    institutions: list[str]
    key_sha256: str
    machine: str
    address: str
    asked_at: str
    state: str
    decided_at: str
    decided_by: str
    certificate: str


class Kept(msgspec.Struct, frozen=True):
    """An authority as it is kept."""

    id: int
    state: str
    root: str
    issuers: str
    has_key: bool
    made_at: str
    revoked_list: str

    def certificates(self) -> Authority:
        issuers = tuple(certificates_in(self.issuers.encode())) if self.issuers else ()
        return Authority(certificates_in(self.root.encode())[0], issuers)


class Incident(msgspec.Struct, frozen=True):
    """Somebody with a certificate asked for what is not theirs."""

    at: str
    certificate: str
    address: str
    what: str
    named: str
    times: int


class Standing(msgspec.Struct, frozen=True):
    """Whom a certificate speaks for now; `problem` where it does for nobody."""

    institutions: frozenset[str]
    problem: str = ""
    is_retiring: bool = False  # its authority signs no more: its holder should ask for the next one


_CERTIFICATE = ", ".join(Certificate.__struct_fields__)
_ENROLMENT = ", ".join(Enrolment.__struct_fields__)
_KEPT = ", ".join(Kept.__struct_fields__)


class Registry:
    """Safe to use from several threads, and beside other processes."""

    def __init__(self, state: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)):
        """`state`: the platform's folder."""
        self.folder = state / FOLDER
        self._clock = clock
        self._lock = threading.RLock()

    def open(self) -> "Registry":
        """ConfigurationError: nothing was made here yet."""
        if not (self.folder / "registry.sqlite").exists():
            raise ConfigurationError(
                f"{self.folder}: this platform has no authority yet; make one: frontend-agent platform ca init --root-key FILE"
            )
        return self._opened()

    def make(self) -> "Registry":
        """Open, and make the folder first where there is none."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(self.folder.parent)
        return self._opened()

    def _opened(self) -> "Registry":
        before = os.umask(0o077)
        try:
            self._db = apsw.Connection(str(self.folder / "registry.sqlite"))
            self._db.set_busy_timeout(10_000)
            self._db.pragma("journal_mode", "wal")
        finally:
            os.umask(before)
        self._db.pragma("synchronous", "full")
        version, newest = self._db.pragma("user_version"), len(_MIGRATIONS)
        if version > newest:
            raise StateError(f"{self.folder}: written by a newer version (schema {version}, this knows {newest})")
        if version < newest:
            with self._transaction():
                for migration in _MIGRATIONS[self._db.pragma("user_version") :]:
                    self._db.execute(migration)
                self._db.pragma("user_version", newest)
        return self

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            return list(self._db.execute(sql, values))

    @property
    def standing_of_authorities(self) -> str:
        """Another text whenever somebody else is trusted, something is revoked, or another one signs."""
        signs = next((one.id for one in self.authorities() if one.state == CURRENT), 0)
        return f"{signs} {self.list_of_trusted().digest}"

    # --- authorities -------------------------------------------------------------------------------------------------

    def authorities(self) -> list[Kept]:
        """All of them, the newest first."""
        return [_kept(row) for row in self._rows(f"SELECT {_KEPT} FROM authority ORDER BY id DESC")]  # noqa: S608

    def trusted(self) -> list[Kept]:
        return [one for one in self.authorities() if one.state != GONE]

    def current(self) -> Kept:
        """Who signs now. StateError: nobody does."""
        for one in self.authorities():
            if one.state == CURRENT:
                return one
        raise StateError(f"{self.folder}: no authority signs; frontend-agent platform ca init --root-key FILE")

    def add_authority(self, authority: Authority, state: str) -> int:
        """Keep it, with its key where it has one. As `current` it takes the present one's place at once."""
        now = _iso(self._clock())
        with self._transaction():
            if state == NEXT and any(one.state == NEXT for one in self.authorities()):
                raise StateError("a rotation is under way already: platform ca rotate --switch, or --cancel")
            if state == CURRENT:
                self._db.execute("UPDATE authority SET state = ? WHERE state = ?", (RETIRING, CURRENT))
            self._db.execute(
                "INSERT INTO authority (state, root, issuers, has_key, made_at) VALUES (?, ?, ?, ?, ?)",
                (state, pem_of([authority.root]).decode(), pem_of(authority.issuers).decode(), int(authority.key is not None), now),
            )  # fmt: skip
            number = self._db.last_insert_rowid()
            if authority.key is not None:
                write_durably(self._key_path(number), key_pem(authority.key))
            self._write_revoked_list(number)
        return number

    def switch(self, force: bool = False) -> list[str]:
        """The next authority signs from now on. Unless forced, not before every agent trusts it; those that do not are returned."""
        kept = self.authorities()
        following = next((one for one in kept if one.state == NEXT), None)
        if following is None:
            raise StateError("no rotation is under way: platform ca rotate --root-key FILE begins one")
        behind = self.behind()
        if behind and not force:
            return behind
        with self._transaction():
            self._db.execute("UPDATE authority SET state = ? WHERE state = ?", (RETIRING, CURRENT))
            self._db.execute("UPDATE authority SET state = ? WHERE id = ?", (CURRENT, following.id))
        return []

    def retire(self, force: bool = False) -> list[str]:
        """Trust only who signs now. Unless forced, not before no agent needs the old one; those that do are returned."""
        gone = [one.id for one in self.authorities() if one.state == RETIRING]
        if not gone:
            raise StateError("no authority retires")
        still = self._still_on(gone)
        if still and not force:
            return still
        with self._transaction():
            self._db.execute("UPDATE authority SET state = ? WHERE state = ?", (GONE, RETIRING))
        for number in gone:
            self._key_path(number).unlink(missing_ok=True)
        sync_folder(self.folder)
        return []

    def cancel(self) -> None:
        """The rotation that began is none: the present authority stays."""
        with self._transaction():
            self._db.execute("UPDATE authority SET state = ? WHERE state = ?", (GONE, NEXT))

    def behind(self) -> list[str]:
        """Whose machines do not trust yet whom they should: institution and machine."""
        digest = self.list_of_trusted().digest
        return [_who(one) for one in self._in_use() if one.trusts != digest]

    def _still_on(self, authorities: Sequence[int]) -> list[str]:
        """Whose machines have no newer certificate than one of theirs."""
        return [_who(one) for one in self._in_use() if one.authority in authorities]

    def _in_use(self) -> list[Certificate]:
        """The certificate that each machine uses: the last of its chain that was ever seen, or was never seen at all."""
        now = self._clock()
        valid = [one for one in self.certificates() if one.state(now) == "valid" and not one.replaced_at]
        unseen_renewals = {sha for (sha,) in self._rows("SELECT sha256 FROM certificate WHERE replaces <> '' AND first_seen = ''")}  # fmt: skip
        return [one for one in valid if one.sha256 not in unseen_renewals]

    def list_of_trusted(self) -> Authorities:
        """What agents are told."""
        kept = sorted(self.trusted(), key=lambda one: one.id)
        roots = "".join(dict.fromkeys(one.root for one in kept))
        revoked = "".join(one.revoked_list for one in kept)
        return Authorities(sha256(f"{roots}{revoked}".encode()).hexdigest(), roots, revoked)

    def _key_path(self, number: int) -> Path:
        return self.folder / f"authority-{number}.key"

    def _signing(self, kept: Kept) -> Authority:
        found = kept.certificates()
        if not kept.has_key:
            return found
        try:
            key = read_key(self._key_path(kept.id).read_bytes())
        except (OSError, CertificateRefused) as error:
            raise StateError(f"{self._key_path(kept.id)}: the authority's key cannot be read") from error
        return Authority(found.root, found.issuers, key)

    def _write_revoked_list(self, number: int) -> None:
        """Within a transaction."""
        kept = next(one for one in self.authorities() if one.id == number)
        if not kept.has_key:
            return
        rows = self._db.execute(
            "SELECT serial, revoked_at FROM certificate WHERE authority = ? AND revoked_at <> ''", (number,)
        )
        serials = [(int(serial, 16), _moment(at)) for serial, at in rows]
        count = self._db.execute("SELECT revoked_lists + 1 FROM authority WHERE id = ?", (number,)).get
        made = revoked_list(self._signing(kept), serials, count, self._clock())
        pem = made.public_bytes(serialization.Encoding.PEM).decode()
        self._db.execute("UPDATE authority SET revoked_lists = ?, revoked_list = ? WHERE id = ?", (count, pem, number))  # fmt: skip

    def refresh_revoked_lists(self) -> None:
        """Lists do not grow older than a month, so that whoever reads one knows that nothing is kept from it."""
        now = self._clock()
        for one in self.trusted():
            if one.has_key and x509.load_pem_x509_crl(one.revoked_list.encode()).last_update_utc + REVOKED_EVERY < now:
                with self._transaction():
                    self._write_revoked_list(one.id)

    # --- the platform's own certificate ------------------------------------------------------------------------------

    def server_file(self, hosts: Sequence[str], revoked_at: str = "") -> Path:
        """A PEM file of the platform's key and certificate for these names: a new one where the last is past its half-life,
        of other names, or signed by an authority that does not sign any more."""
        path, now, kept = self.folder / "server.pem", self._clock(), self.current()
        if not kept.has_key:
            raise ConfigurationError("the region signs by itself: give its certificate for this server (--certificate, --key)")  # fmt: skip
        authority = self._signing(kept)
        with self._lock:
            if not self._is_fit(path, authority, hosts, now):
                key = new_key()
                made = server_certificate(authority, key.public_key(), hosts, now, revoked_at)
                write_durably(path, key_pem(key) + pem_of([made, *authority.issuers]))
        return path

    def _is_fit(self, path: Path, authority: Authority, hosts: Sequence[str], now: datetime) -> bool:
        try:
            own = certificates_in(path.read_bytes())[0]
        except (OSError, CertificateRefused):
            return False
        wanted = {host.strip("[]").lower() for host in hosts}
        is_ours = not chain_problem(own, authority.issuers, [authority.root]) and own.issuer == authority.issuer.subject
        return is_ours and {host.lower() for host in hosts_of(own)} == wanted and now < half_life(own)

    # --- tokens ------------------------------------------------------------------------------------------------------

    def make_token(self, institutions: Sequence[str], good_for: timedelta, needs_approval: bool = False) -> Token:
        """A token, shown this once: only its hash is kept."""
        root = fingerprint(self.current().certificates().root)
        token = Token(secrets.token_urlsafe(32), root)
        now = self._clock()
        with self._transaction():
            self._db.execute(
                "INSERT INTO token (sha256, institutions, needs_approval, made_at, expires_at) VALUES (?, ?, ?, ?, ?)",
                (token_digest(token.secret), json.dumps(list(institutions), ensure_ascii=False), int(needs_approval), _iso(now), _iso(now + good_for)),
            )  # fmt: skip
        return token

    def withdraw_tokens(self, institution: str) -> int:
        """What was given and not used yet opens nothing any more."""
        with self._transaction():
            rows = self._db.execute(
                "UPDATE token SET withdrawn_at = ? WHERE used_at = '' AND withdrawn_at = '' AND EXISTS "
                "(SELECT 1 FROM json_each(institutions) WHERE value = ?) RETURNING sha256",
                (_iso(self._clock()), institution),
            )
            return len(list(rows))

    # --- enrolling ---------------------------------------------------------------------------------------------------

    def enrol(self, asked: EnrolmentAsked, address: str) -> Enrolled:
        """A certificate for the key of this request, or word that somebody must approve it. JoiningRefused."""
        now = self._clock()
        self._count_tries(address, now)
        try:
            enrolment = self._enrolment(asked, address, now)
        except JoiningRefused as refused:
            if refused.error == "token":
                with self._transaction():
                    self._db.execute("INSERT INTO failure VALUES (?, ?)", (address, _iso(now)))
            raise
        return self._answered(enrolment)

    def _count_tries(self, address: str, now: datetime) -> None:
        since = _iso(now - WITHIN)
        ((failures, first),) = self._rows("SELECT count(*), min(at) FROM failure WHERE address = ? AND at > ?", address, since)  # fmt: skip
        if failures >= TRIES:
            left = int((_moment(first) + WITHIN - now).total_seconds() // 60) + 1
            raise JoiningRefused(
                429, "too-many-tries", f"{TRIES} tries with wrong tokens: come again in {left} minutes"
            )

    def _enrolment(self, asked: EnrolmentAsked, address: str, now: datetime) -> Enrolment:
        digest = token_digest(asked.token)
        rows = self._rows("SELECT institutions, needs_approval, expires_at, withdrawn_at FROM token WHERE sha256 = ?", digest)  # fmt: skip
        if not rows:
            raise JoiningRefused(403, "token", "this token is not known here")
        institutions_json, needs_approval, expires_at, withdrawn_at = rows[0]
        institutions = json.loads(institutions_json)
        if withdrawn_at:
            raise JoiningRefused(403, "token", "this token was withdrawn")
        try:
            request = read_request(asked.request.encode())
        except CertificateRefused as error:
            raise JoiningRefused(400, "request", str(error)) from error
        key = key_fingerprint(request.public_key())
        known = self._rows(f"SELECT {_ENROLMENT} FROM enrolment WHERE token = ?", digest)  # noqa: S608
        if known:
            found = _enrolment(known[0])
            if found.key_sha256 != key:
                raise JoiningRefused(403, "token", f"this token was used at {found.asked_at} by another machine: have a new one made")  # fmt: skip
            if _moment(found.asked_at) + COLLECTED < now:
                raise JoiningRefused(403, "token", "this token was used long ago: have a new one made")
            return found
        if expires_at < _iso(now):
            raise JoiningRefused(403, "token", f"this token has expired at {expires_at}: have a new one made")
        if asked.institution and asked.institution not in institutions:
            raise JoiningRefused(
                409, "institution", f"this token is for {', '.join(institutions)}, and agent.toml says {asked.institution}: mend what is wrong"
            )  # fmt: skip
        waits = bool(needs_approval) or not self.current().has_key
        return self._keep_enrolment(digest, institutions, key, asked, address, WAITING if waits else APPROVED)

    def _keep_enrolment(
        self, token: str, institutions: Sequence[str], key: str, asked: EnrolmentAsked, address: str, state: str
    ) -> Enrolment:
        now = _iso(self._clock())
        named = json.dumps(list(institutions), ensure_ascii=False)
        with self._transaction():
            self._db.execute("UPDATE token SET used_at = ? WHERE sha256 = ?", (now, token))
            self._db.execute(
                "INSERT INTO enrolment (token, institutions, key_sha256, request, machine, address, asked_at, state) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (token) DO NOTHING",
                (token, named, key, asked.request, asked.machine, address, now, state),
            )
        found = _enrolment(self._rows(f"SELECT {_ENROLMENT} FROM enrolment WHERE token = ?", token)[0])  # noqa: S608
        if found.key_sha256 != key:  # two machines at the same moment: one of them was first
            raise JoiningRefused(403, "token", "this token was used by another machine: have a new one made")
        return found

    def _answered(self, enrolment: Enrolment) -> Enrolled:
        if enrolment.state == REFUSED:
            raise JoiningRefused(403, "refused", f"the platform's administrator refused it at {enrolment.decided_at}")
        told = Enrolled(
            institutions=enrolment.institutions, key=enrolment.key_sha256, authorities=self.list_of_trusted()
        )
        if enrolment.state == WAITING:
            return told
        chain = self._issued(enrolment)
        return msgspec.structs.replace(told, certificate=chain)

    def _issued(self, enrolment: Enrolment, replaces: str = "") -> str:
        """The certificate of an approved enrolment, made now if it was not yet: the same answer however often it is asked for."""
        with self._transaction():
            ((state, request, known),) = self._db.execute("SELECT state, request, certificate FROM enrolment WHERE id = ?", (enrolment.id,))  # fmt: skip
            if state == ISSUED:
                ((chain,),) = self._db.execute("SELECT chain FROM certificate WHERE sha256 = ?", (known,))
                return str(chain)
            kept = self.current()
            authority, key = self._signing(kept), read_request(request.encode()).public_key()
            made = client_certificate(authority, key, enrolment.institutions, self._clock(), LEAF_TERM)
            return self._keep_certificate(made, authority.issuers, kept.id, enrolment.machine, enrolment.institutions, enrolment, replaces)  # fmt: skip

    def _keep_certificate(
        self,
        made: x509.Certificate,
        issuers: Sequence[x509.Certificate],
        authority: int,
        machine: str,
        institutions: Sequence[str],
        enrolment: Enrolment | None,
        replaces: str = "",
    ) -> str:
        """Within a transaction."""
        chain, name = pem_of([made, *issuers]).decode(), fingerprint(made)
        self._db.execute(
            "INSERT INTO certificate (sha256, serial, institutions, chain, key_sha256, authority, machine, issued_at, expires_at, replaces) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                name, serial_of(made), json.dumps(list(institutions), ensure_ascii=False), chain, key_fingerprint(made.public_key()),
                authority, machine, _iso(self._clock()), _iso(made.not_valid_after_utc), replaces,
            ),
        )  # fmt: skip
        if enrolment is not None:
            self._db.execute(
                "UPDATE enrolment SET state = ?, certificate = ? WHERE id = ?", (ISSUED, name, enrolment.id)
            )
        return chain

    def enrolments(self, waiting: bool = False) -> list[Enrolment]:
        where = "WHERE state = 'waiting'" if waiting else ""
        return [_enrolment(row) for row in self._rows(f"SELECT {_ENROLMENT} FROM enrolment {where} ORDER BY id DESC")]  # noqa: S608

    def request(self, number: int) -> str:
        """The request itself, for a region that signs by itself."""
        rows = self._rows("SELECT request FROM enrolment WHERE id = ?", number)
        if not rows:
            raise StateError(f"there is no enrolment {number}")
        return str(rows[0][0])

    def approve(self, number: int, who: str, certificate: bytes = b"") -> Enrolment:
        """A person lets that machine in. `certificate`: what the region has signed, where it signs by itself. StateError."""
        found = self._waiting(number)
        kept = self.current()
        if not certificate and not kept.has_key:
            raise StateError("the region signs by itself: --certificate FILE, made of `platform enrolments --request`")
        chain = self._given(certificate, kept, found) if certificate else []
        with self._transaction():
            self._db.execute(
                "UPDATE enrolment SET state = ?, decided_at = ?, decided_by = ? WHERE id = ? AND state = ?",
                (APPROVED, _iso(self._clock()), who, number, WAITING),
            )
            if chain:
                ((token,),) = self._db.execute("SELECT token FROM enrolment WHERE id = ?", (number,))
                replaces = token.removeprefix("renewal:") if token.startswith("renewal:") else ""
                self._keep_certificate(chain[0], chain[1:], kept.id, found.machine, found.institutions, found, replaces)
        return next(one for one in self.enrolments() if one.id == number)

    def _given(self, pem: bytes, kept: Kept, enrolment: Enrolment) -> list[x509.Certificate]:
        try:
            chain = certificates_in(pem)
        except CertificateRefused as error:
            raise StateError(f"the certificate: {error}") from error
        authority = kept.certificates()
        issuers = [*chain[1:], *authority.issuers]
        found = problems(chain[0], self._clock(), ExtendedKeyUsageOID.CLIENT_AUTH)
        found += [one for one in [chain_problem(chain[0], issuers, [authority.root])] if one]
        if key_fingerprint(chain[0].public_key()) != enrolment.key_sha256:
            found.append("it is for another key")
        said = institutions_of(chain[0])
        if said and set(said) != set(enrolment.institutions):
            found.append(f"it speaks for {', '.join(said)}")
        if found:
            raise StateError(f"the certificate: {'; '.join(found)}")
        between = [one for one in issuers if one != authority.root]
        return [chain[0], *dict.fromkeys(between)]

    def refuse(self, number: int, who: str) -> Enrolment:
        """A person does not let that machine in."""
        self._waiting(number)
        with self._transaction():
            self._db.execute(
                "UPDATE enrolment SET state = ?, decided_at = ?, decided_by = ? WHERE id = ? AND state = ?",
                (REFUSED, _iso(self._clock()), who, number, WAITING),
            )
        return next(one for one in self.enrolments() if one.id == number)

    def _waiting(self, number: int) -> Enrolment:
        found = next((one for one in self.enrolments() if one.id == number), None)
        if found is None:
            raise StateError(f"there is no enrolment {number}; platform enrolments lists them")
        if found.state != WAITING:
            raise StateError(f"enrolment {number} is {found.state} already")
        return found

    # --- renewing ----------------------------------------------------------------------------------------------------

    def renew(self, holder: str, request: str, address: str) -> Enrolled:
        """The next certificate of who shows `holder` (SHA-256), for another key of theirs. JoiningRefused."""
        try:
            key = key_fingerprint(read_request(request.encode()).public_key())
        except CertificateRefused as error:
            raise JoiningRefused(400, "request", str(error)) from error
        (own,) = self.certificates(sha256=holder)
        token = f"renewal:{holder}"
        given = self._rows("SELECT key_sha256, chain, first_seen FROM certificate WHERE replaces = ?", holder)
        told = Enrolled(institutions=own.institutions, key=key, authorities=self.list_of_trusted())
        for known, chain, _ in given:
            if known == key:
                return msgspec.structs.replace(told, certificate=chain)
        if sum(not seen for _, _, seen in given) >= UNSEEN_AT_MOST:
            raise JoiningRefused(429, "too-many-renewals", f"{UNSEEN_AT_MOST} certificates were renewed for it and none is in use")  # fmt: skip
        kept = self.current()
        if not kept.has_key:
            asked = EnrolmentAsked(token=token, request=request, machine=own.machine)
            with self._transaction():  # a machine that lost its key before the region signed asks with another one
                self._db.execute("DELETE FROM enrolment WHERE token = ? AND state = ? AND key_sha256 <> ?", (token, WAITING, key))  # fmt: skip
            return self._answered(self._keep_enrolment(token, own.institutions, key, asked, address, WAITING))
        authority = self._signing(kept)
        with self._transaction():
            public = read_request(request.encode()).public_key()
            made = client_certificate(authority, public, own.institutions, self._clock(), LEAF_TERM)
            chain = self._keep_certificate(
                made, authority.issuers, kept.id, own.machine, own.institutions, None, holder
            )
        return msgspec.structs.replace(told, certificate=chain)

    # --- certificates ------------------------------------------------------------------------------------------------

    def certificates(self, institution: str = "", sha256: str = "") -> list[Certificate]:
        """Those that were given, the newest first."""
        rows = self._rows(
            f"SELECT {_CERTIFICATE} FROM certificate WHERE (? = '' OR sha256 = ?) AND "  # noqa: S608 - our own words
            "(? = '' OR EXISTS (SELECT 1 FROM json_each(institutions) WHERE value = ?)) ORDER BY issued_at DESC, rowid DESC",
            sha256, sha256, institution, institution,
        )  # fmt: skip
        return [_certificate(row) for row in rows]

    def standing(self, sha256: str) -> Standing:
        """Whom the certificate speaks for at this moment."""
        rows = self._rows(
            "SELECT institutions, expires_at, replaced_at, revoked_at, revoked_why, authority.state FROM certificate "
            "JOIN authority ON authority.id = authority WHERE sha256 = ?",
            sha256,
        )
        if not rows:
            return Standing(
                frozenset(), "this platform did not give this certificate, or has forgotten it: enroll anew"
            )
        institutions, expires_at, replaced_at, revoked_at, why, state = rows[0]
        now = self._clock()
        problem = ""
        if revoked_at:
            problem = f"this certificate was revoked at {revoked_at}" + (f": {why}" if why else "")
        elif expires_at < _iso(now):
            problem = f"this certificate has expired at {expires_at}: enroll anew"
        elif replaced_at and _moment(replaced_at) + OVERLAP < now:
            problem = f"this certificate was replaced at {replaced_at} by its successor"
        elif state == GONE:
            problem = "the authority of this certificate is not trusted any more: enroll anew"
        return Standing(frozenset(json.loads(institutions)), problem, state == RETIRING)

    def seen(self, sha256: str, trusts: str, skew: int) -> None:
        """It was used. Its predecessor, if this is the first time, has its end from now on."""
        now = _iso(self._clock())
        with self._transaction():
            rows = list(self._db.execute("SELECT first_seen, replaces FROM certificate WHERE sha256 = ?", (sha256,)))
            if not rows:
                return
            first_seen, replaces = rows[0]
            if not first_seen and replaces:
                self._db.execute("UPDATE certificate SET replaced_at = ? WHERE sha256 = ? AND replaced_at = ''", (now, replaces))  # fmt: skip
            self._db.execute(
                "UPDATE certificate SET first_seen = ?, last_seen = ?, trusts = ?, skew = ? WHERE sha256 = ?",
                (first_seen or now, now, trusts, skew, sha256),
            )

    def revoke(self, name: str, who: str, why: str) -> list[Certificate]:
        """By serial, fingerprint, or all of an institution's that are valid. They open nothing from the next request on."""
        now = self._clock()
        named = [
            one
            for one in self.certificates()
            if name.lower().replace(":", "") in (one.serial, one.sha256) or name in one.institutions
        ]
        if not named:
            raise StateError(f"no certificate has that serial number or institution: {name}")
        valid = [one for one in named if not one.revoked_at and one.expires_at >= _iso(now)]
        with self._transaction():
            for one in valid:
                self._db.execute(
                    "UPDATE certificate SET revoked_at = ?, revoked_by = ?, revoked_why = ? WHERE sha256 = ?",
                    (_iso(now), who, why, one.sha256),
                )
            for number in sorted({one.authority for one in valid}):
                self._write_revoked_list(number)
        return [one for one in self.certificates() if one.sha256 in {revoked.sha256 for revoked in valid}]

    # --- incidents ---------------------------------------------------------------------------------------------------

    def incident(self, certificate: str, address: str, what: str, named: str) -> None:
        """Remember who asked for what is not theirs; the same again is counted."""
        now = _iso(self._clock())
        with self._transaction():
            rows = self._db.execute(
                "UPDATE incident SET times = times + 1, at = ? WHERE certificate = ? AND what = ? AND named = ? AND address = ? RETURNING id",
                (now, certificate, what, named, address),
            )  # fmt: skip
            if not list(rows):
                self._db.execute(
                    "INSERT INTO incident (at, certificate, address, what, named) VALUES (?, ?, ?, ?, ?)",
                    (now, certificate, address, what, named),
                )
                self._db.execute("DELETE FROM incident WHERE id <= (SELECT max(id) - ? FROM incident)", (MOST_INCIDENTS,))  # fmt: skip

    def incidents(self) -> list[Incident]:
        rows = self._rows("SELECT at, certificate, address, what, named, times FROM incident ORDER BY at DESC, id DESC")
        return [Incident(*row) for row in rows]


def clock_is_wrong(skew: int) -> bool:
    """`skew`: seconds ahead."""
    return abs(skew) > CLOCKS_DIFFER.total_seconds()


def _who(one: Certificate) -> str:
    return f"{', '.join(one.institutions)} ({one.machine or one.serial}, last seen {one.last_seen or 'never'})"


def _kept(row: Sequence[Any]) -> Kept:
    number, state, root, issuers, has_key, made_at, revoked = row
    return Kept(number, state, root, issuers, bool(has_key), made_at, revoked)


def _certificate(row: Sequence[Any]) -> Certificate:
    values = list(row)
    values[2] = json.loads(values[2])
    return Certificate(*values)


def _enrolment(row: Sequence[Any]) -> Enrolment:
    values = list(row)
    values[1] = json.loads(values[1])
    return Enrolment(*values)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
