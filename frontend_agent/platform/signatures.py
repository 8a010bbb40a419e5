"""What the platform makes of signatures: one file says of which hospital they are required, recorded or let alone.

    policy  = "recorded"          # required, recorded or off: of hospitals that are not named below
    anchors = ["region-root.pem"] # whom certificates are believed of; paths beside this file
    others  = ["hospitals.pem"]   # authorities between, for documents that do not bring them
    revoked = ["region.crl"]      # lists of revoked certificates, fetched by whoever fetches them: read again when they change
    arrival_days = 30             # a document may arrive so long after its signer's certificate has expired

    [institutions.91350100M000100Y43]
    policy  = "required"
    signers = ["O=示范县人民医院", "sha256:9b0f…"]   # who may sign for it; empty: whoever an anchor stands behind

The verdict is made once, when a document arrives, as of that moment, and kept; a document that was taken is not taken back.
"""

import json
import logging
import threading
import tomllib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import apsw
import msgspec

from frontend_agent.errors import ConfigurationError
from frontend_agent.signatures import Trust, Verdict, verified
from frontend_agent.signatures.certificates import BadCertificate, trust_in

Policy = Literal["required", "recorded", "off"]

_log = logging.getLogger("frontend_agent.platform")


class _Institution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    policy: Policy
    signers: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    policy: Policy = "recorded"
    anchors: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()
    arrival_days: int = 30
    institutions: dict[str, _Institution] = {}


class Judgement(msgspec.Struct, frozen=True):
    """What became of one document's signature: the verdict, and the reasons that refuse the document."""

    verdict: Verdict
    reasons: list[str]


class Kept(msgspec.Struct, frozen=True):
    """A verdict as it is kept."""

    document_id: str
    institution: str
    judged_at: str
    verdict: Verdict


class Signatures:
    """The policy of a file, read again when it or one of the files that it names has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: list[tuple[str, int, int]] = []
        self._files: list[Path] = [path]
        self._file, self._trust = self._read()

    def judge(
        self, document: bytes, institution: str, ours: bool, now: datetime, refuse: bool = True
    ) -> Judgement | None:
        """The verdict on a document's signature; None where nobody asks for one.

        `ours`: an agent of ours rendered it. `refuse`: what is required is refused without; not so what was taken before.
        """
        file, trust = self._current()
        said = file.institutions.get(institution) or _Institution(file.policy)
        if said.policy == "off":
            return None
        verdict = _within(verified(document, trust, now), said.signers)
        if ours and verdict.state == "valid" and b"<!--" in document:
            reason = "comments, which no signature covers, have no place in a document of an agent"
            verdict = msgspec.structs.replace(verdict, state="invalid", reasons=(reason,))
        reasons: list[str] = []
        if refuse and said.policy == "required" and verdict.state != "valid":
            reasons = [
                f"signature: {reason}" for reason in verdict.reasons or ("none, and this hospital's must be signed",)
            ]
        return Judgement(verdict, reasons)

    def _current(self) -> tuple[_File, Trust]:
        with self._lock:
            if self._stamps() != self._seen:
                try:
                    self._file, self._trust = self._read()
                except ConfigurationError as error:
                    # What was good stays in force: a list that is being written must not open or close the door.
                    self._seen = self._stamps()
                    _log.error("signatures.unreadable error=%s", error)
            return self._file, self._trust

    def _stamps(self) -> list[tuple[str, int, int]]:
        stamps = []
        for path in self._files:
            try:
                found = path.stat()
                stamps.append((str(path), found.st_mtime_ns, found.st_size))
            except OSError:
                stamps.append((str(path), 0, 0))
        return stamps

    def _read(self) -> tuple[_File, Trust]:
        try:
            file = msgspec.convert(tomllib.loads(self._path.read_text("utf-8")), _File)
        except OSError as error:
            raise ConfigurationError(f"{self._path}: cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise ConfigurationError(f"{self._path}: {error}") from error
        asked = {file.policy, *(one.policy for one in file.institutions.values())}
        if asked != {"off"} and not file.anchors:
            raise ConfigurationError(
                f"{self._path}: anchors: name the certificates of the authorities that are believed"
            )
        for name, one in file.institutions.items():
            for signer in one.signers:
                if not signer.startswith(("O=", "sha256:")):
                    raise ConfigurationError(
                        f"{self._path}: institutions.{name}.signers: {signer!r} is neither O=ORGANIZATION nor sha256:FINGERPRINT"
                    )

        def contents(names: Sequence[str]) -> list[tuple[str, bytes]]:
            found = []
            for name in names:
                try:
                    found.append((name, (self._path.parent / name).read_bytes()))
                except OSError as error:
                    raise ConfigurationError(f"{self._path}: {name} cannot be read: {error.strerror}") from error
            return found

        try:
            trust = trust_in(
                contents(file.anchors), contents(file.others), contents(file.revoked), timedelta(days=file.arrival_days)
            )
        except BadCertificate as error:
            raise ConfigurationError(f"{self._path}: {error}") from error
        self._files = [self._path, *(self._path.parent / name for name in (*file.anchors, *file.others, *file.revoked))]
        self._seen = self._stamps()
        return file, trust


def _within(verdict: Verdict, signers: Sequence[str]) -> Verdict:
    """A signature is no good for a hospital for which its signer may not sign, however good it is."""
    if verdict.state != "valid" or not signers:
        return verdict
    if f"O={verdict.organization}" in signers or f"sha256:{verdict.certificate_sha256}" in signers:
        return verdict
    reason = f"{verdict.signer} (O={verdict.organization}) may not sign for this hospital"
    return msgspec.structs.replace(verdict, state="invalid", reasons=(reason,))


# --- keeping -----------------------------------------------------------------------------------------------------------


def keep(db: apsw.Connection, institution: str, verdicts: Sequence[tuple[str, Verdict]], now: str) -> None:
    """With the documents that they are of, in their transaction."""
    db.executemany(
        "INSERT OR REPLACE INTO signature VALUES (?, ?, ?, ?, ?)",
        [
            (document_id, institution, verdict.state, msgspec.json.encode(verdict).decode(), now)
            for document_id, verdict in verdicts
        ],
    )


def kept(db: apsw.Connection, document_id: str) -> Kept | None:
    """The verdict on a document; None where nobody asked for one when it came."""
    row = db.execute(
        "SELECT document_id, institution, judged_at, verdict FROM signature WHERE document_id = ?", (document_id,)
    ).fetchone()
    return _kept(row) if row else None


def listed(db: apsw.Connection, institution: str, state: str, limit: int) -> list[Kept]:
    """The newest verdicts, of one institution or one state, or all."""
    rows = db.execute(
        "SELECT document_id, institution, judged_at, verdict FROM signature"
        " WHERE (?1 = '' OR institution = ?1) AND (?2 = '' OR state = ?2) ORDER BY judged_at DESC, document_id LIMIT ?3",
        (institution, state, limit),
    )
    return [_kept(row) for row in rows]


def counted(db: apsw.Connection) -> dict[str, dict[str, int]]:
    """Institution -> state -> how many documents."""
    found: dict[str, dict[str, int]] = {}
    for institution, state, n in db.execute("SELECT institution, state, count(*) FROM signature GROUP BY 1, 2"):
        found.setdefault(institution, {})[state] = n
    return found


def _kept(row: Sequence[str]) -> Kept:
    document_id, institution, judged_at, verdict = row
    return Kept(document_id, institution, judged_at, msgspec.convert(json.loads(verdict), Verdict))
