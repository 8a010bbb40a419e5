"""Whether a platform countersigned a head of our log, and when: what `qclog` takes a signature's word for."""

from collections.abc import Iterable
from datetime import datetime

from frontend_agent import qclog
from frontend_agent.wire.receipts import ReplyMalformed, ReplyNotProven, read_countersignature


def genuine_by(keys: Iterable[bytes]) -> qclog.Genuine:
    """What a head's signature says, if it was made with one of these keys of the platform."""
    known = list(keys)

    def genuine(head: qclog.Head) -> bool | datetime:
        for key in known:
            try:
                statement = read_countersignature(head.evidence, key)
            except (ReplyMalformed, ReplyNotProven):
                continue
            signed = statement.log_head
            if signed is not None and (signed.seq, signed.hash) == (head.seq, head.hash):
                return _moment(statement.time) or True
        return False

    return genuine


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
