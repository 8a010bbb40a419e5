"""Who a document is. Deterministic: a lost state directory makes the same ids again (laws 13 and 14)."""

import base64
from hashlib import sha256

_BYTES = 17  # 136 bits make the 26 characters (130 bits) that are kept
_CHARACTERS = 26


def set_id(institution: str, epoch: str, kind: str, key: str, edition: str = "") -> str:
    """All versions of one business record share it. `epoch` tells two lives of a source apart that reuse their keys.

    An edition is the same record with other content, for destinations that may not have all of it: other documents.
    """
    # Lengths, not separators: a key may contain anything, and ("a", "bc") must not meet ("ab", "c").
    named = "".join(f"{len(part)}:{part}" for part in (institution, epoch, kind, key, *([edition] if edition else [])))
    digest = sha256(named.encode()).digest()
    return f"{kind}-{base64.b32encode(digest[:_BYTES])[:_CHARACTERS].decode()}"


def document_id(set_id: str, version: int) -> str:
    """One version of a set. At most 50 characters for kinds of up to 8."""
    return f"{set_id}-{version}"


def parts(document_id: str) -> tuple[str, int] | None:
    """Back to set and version; None when it is not an id of ours."""
    set_id, dash, version = document_id.rpartition("-")
    if not dash or not set_id or not version.isascii() or not version.isdigit() or len(version) > 9:
        return None
    return set_id, int(version)
