"""What can be looked up: one document's whole way, and receipts."""

import zlib

import msgspec
import zstandard

from frontend_agent.delivery import State
from frontend_agent.identity import document_id as make_document_id
from frontend_agent.identity import parts
from frontend_agent.model import Finding
from frontend_agent.spool import withheld
from frontend_agent.spool.database import Bodies, Damaged, Database
from frontend_agent.spool.times import moment, moment_or_none
from frontend_agent.spool.words import AwaitedRegistration, KeptReceipt, Trace, TracedDelivery

_DESTINATIONS = 1_000  # more than anybody has: a receipt's place in the list is one number

_FINDINGS = msgspec.json.Decoder(tuple[Finding, ...])
_REASONS = msgspec.json.Decoder(tuple[str, ...])


def trace(database: Database, document_id: str) -> Trace | None:
    named = parts(document_id)
    if named is None:
        return None
    with database.held():
        row = database.row("trace.document", set_id=named[0], version=named[1])
        if row is None:
            return None
        deliveries = database.rows("trace.deliveries", document=row[0])
        needs = database.rows("registering.of", document=row[0])
    (_, set_id, version, feed, kind, institution, key, source_hash, sha256, size, length, dictionary, digests, made_at,
     replaces_id, void, findings, log, kept, newest) = row  # fmt: skip
    return Trace(
        document_id=document_id,
        set_id=set_id,
        version=version,
        newest_version=newest,
        feed=feed,
        kind=kind,
        institution=institution,
        key=key,
        source_hash=source_hash,
        sha256=sha256,
        size=size,
        length=length,
        dictionary=dictionary,
        digests=digests,
        made_at=moment(made_at),
        replaces_id=replaces_id,
        void=bool(void),
        findings=_FINDINGS.decode(findings),
        log=log,
        kept=bool(kept),
        withheld=withheld.of(database, set_id),
        deliveries=tuple(
            TracedDelivery(
                destination=name,
                state=State(state),
                attempts=attempts,
                due_at=moment_or_none(due_at),
                claimed_at=moment_or_none(claimed_at),
                settled_at=moment_or_none(settled_at),
                outcome=outcome,
                reasons=_REASONS.decode(reasons),
                reply=reply,
                position=position,
                reply_body=zstandard.ZstdDecompressor().decompress(body) if body else b"",
                waits_for=tuple(AwaitedRegistration(what, moment(at)) for where, what, at in needs if where == name),
            )
            for name, state, attempts, due_at, claimed_at, settled_at, outcome, reasons, reply, position, body in deliveries
        ),
    )


def receipts(database: Database, destination: str | None, after: int, limit: int) -> list[KeptReceipt]:
    document, place = divmod(after, _DESTINATIONS)
    rows = database.rows("receipts", destination=destination, document=document, place=place, limit=limit)
    return [
        KeptReceipt(
            row=row * _DESTINATIONS + place,
            document_id=make_document_id(set_id, version),
            destination=name,
            outcome=outcome,
            sha256=sha256,
            reasons=_REASONS.decode(reasons),
            reply=reply,
            position=position,
            settled_at=moment(settled_at or 0),
            state=State(state),
        )
        for row, place, set_id, version, name, outcome, sha256, reasons, reply, position, settled_at, state in rows
    ]


def frame(database: Database, bodies: Bodies, document_id: str) -> bytes | None:
    named = parts(document_id)
    if named is None:
        return None
    try:
        row = database.row("frame.one", set_id=named[0], version=named[1])
    except Damaged:
        return None
    if row is None or not row[2]:
        return None
    found = bodies.read(document_id) if row[3] is None else bytes(row[3])
    return found if zlib.crc32(found) == row[1] else None
