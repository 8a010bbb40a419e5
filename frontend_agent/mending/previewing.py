"""What one record would become now: its findings, its human-readable form, its document. Keeps nothing, sends nothing."""

from datetime import datetime
from typing import Any

import msgspec

from frontend_agent.feeds import Feed
from frontend_agent.formats import FormatError, UnboundField, view
from frontend_agent.identity import document_id, set_id
from frontend_agent.intake import judged, may_wait, next_step
from frontend_agent.model import Envelope, Record, SeriesHead, Severity, SourceRecord
from frontend_agent.telling import told
from frontend_agent.unmade import unmade
from frontend_agent.withholding import Decision

_WOULD = {
    "MAKE": "document",
    "UNCHANGED": "unchanged",
    "NOT_FINAL": "not_final",
    "WITHDRAWN": "withdrawn",
    "RETURNED": "unchanged",
}


def set_of(feed: Feed, key: str) -> str:
    """The set that all versions of a key's record share."""
    return set_id(feed.plan.institution, feed.plan.epoch, feed.plan.kind, key)


def previewed(
    feed: Feed, source: SourceRecord, head: SeriesHead | None, now: datetime, withheld: Decision | None = None
) -> tuple[dict[str, Any], Record, Envelope]:
    """The answer in plain values, with the record as it would be rendered and its envelope."""
    plan = feed.plan
    step = next_step(head, source, plan.digests)
    waits = step.name == "MAKE" and may_wait(source, head)
    source.findings += [one.finding for one in source.awaited]
    findings = judged(plan.check, source)
    record, notes = plan.complete(source.record)
    if plan.leave_out:
        record, left = plan.leave_out(record)
        notes = [*notes, *left]
    named, version = set_of(feed, source.key), head.version + 1 if head else 1
    envelope = Envelope(
        document_id=document_id(named, version),
        set_id=named,
        version=version,
        effective_time=now.astimezone(plan.timezone).strftime("%Y%m%d%H%M%S"),
        replaces_id=document_id(named, head.version) if head and head.version else "",
    )
    document, problem = "", ""
    try:
        document = plan.render(record, envelope).decode()
    except (FormatError, UnboundField) as error:
        problem = str(error)
        findings = unmade(error, findings)
    holds = any(finding.severity is Severity.HOLD for finding in findings) or bool(withheld and withheld.undecided)
    would = "held" if step.name == "MAKE" and (holds or problem) else _WOULD[step.name]
    would = "withheld" if withheld and not withheld.undecided else would
    return (
        {
            "key": source.key,
            "document_id": envelope.document_id,
            "kind": feed.kind.code,
            "version": version,
            "final": source.final,
            "void": source.void,
            "would": "waiting" if waits else would,
            "withheld": {"rule": withheld.rule.name, "field": withheld.field, "decided_by": withheld.rule.decided_by}
            if withheld
            else None,
            "editions": [
                {
                    "edition": edition.name,
                    "destinations": edition.destinations,
                    "document_id": f"{edition.set_of(source.key)}-…",
                }
                for edition in plan.editions
            ],
            "problem": problem,
            "findings": [told(finding) for finding in [*findings, *notes]],
            "record": record,
            "document": document,
            "view": msgspec.to_builtins(view(feed.kind, record)),
        },
        record,
        envelope,
    )
