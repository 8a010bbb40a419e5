"""Documents of any kind as an outlet gets them: rendered, compressed, and opened again."""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from connectors.outlets import Around, OpenedDocument
from frontend_agent.demo.samples import sample
from frontend_agent.formats import Kind, load_kind
from frontend_agent.model import Document, Envelope
from frontend_agent.outlets import opener
from frontend_agent.packs.content import content_of
from frontend_agent.wire.frames import compressor

CONTENT = content_of(None)


def a_document(
    code: str = "C0007", number: int = 1, version: int = 1, void: bool = False, key: str = "", **changes: Any
) -> Document:
    """A document of the kind; `changes` are fields of its record, with `__` for the dot. None takes one away."""
    kind = load_kind(code)
    record = {name: value for name, value in sample(kind, number).items() if not name.startswith("fact.")}
    for name, value in changes.items():
        if value is None:
            record.pop(name.replace("__", "."), None)
        else:
            record[name.replace("__", ".")] = value
    set_id = key or f"{code}-{number}"
    previous = f"{set_id}-{version - 1}" if version > 1 else ""
    envelope = Envelope(f"{set_id}-{version}", set_id, version, "20260930120000", previous)
    content = _rendered(kind, record, envelope)
    return Document(
        document_id=envelope.document_id,
        set_id=set_id,
        version=version,
        kind=code,
        institution="999000013",
        feed="feed",
        key=set_id,
        source_hash="",
        sha256=sha256(content).hexdigest(),
        size=len(content),
        frame=compressor(kind.dictionary).compress(content),
        dictionary=kind.dictionary_sha256,
        made_at="2026-09-30T04:00:00+00:00",
        replaces_id=previous,
        void=void,
    )


def _rendered(kind: Kind, record: dict[str, Any], envelope: Envelope) -> bytes:
    return kind.renderer({field.name: "omit" for field in kind.fields})(record, envelope)


def dictionary(name: str) -> bytes | None:
    return next((load_kind(c).dictionary for c in ("C0002", "C0007", "C0032", "C0034") if load_kind(c).dictionary_sha256 == name), None)  # fmt: skip


open_one: Callable[[Document], OpenedDocument] = opener(CONTENT, dictionary)


def around(**changes: Any) -> Around:
    """What an outlet is given."""
    given: dict[str, Any] = {
        "opened": open_one,
        "secret": lambda name: f"<{name}>",
        "clock": lambda: datetime(2026, 10, 1, 1, 0, tzinfo=UTC),
        "institution": "999000013",
        "institution_name": "示范市第一人民医院",
    }
    return Around(**(given | changes))
