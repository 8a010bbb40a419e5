"""Times in the spool: whole milliseconds since 1970 UTC, so that they compare and stay small."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def millis(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def moment(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND


def moment_or_none(milliseconds: int | None) -> datetime | None:
    return moment(milliseconds) if milliseconds else None


@lru_cache(maxsize=64)
def millis_of_text(text: str) -> int:
    """Of ISO 8601 with a zone. The documents of a batch share theirs."""
    return millis(datetime.fromisoformat(text))


def text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
