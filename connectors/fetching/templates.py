"""What is asked, filled in: `{since}`, `{until}`, `{page}` … in addresses, parameters and bodies. Pure.

A name in braces that is none of ours is a mistake of configuration; braces with anything else between them (JSON) are text.
"""

import html
import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from urllib.parse import quote

from frontend_agent.errors import ConfigurationError

NAMES = ("since", "until", "now", "page", "offset", "limit", "cursor", "user", "secret", "uuid")
SIGNING = ("method", "path", "query", "body", "timestamp", "nonce")
ISO = "iso"
EPOCH, EPOCH_MS = "seconds", "milliseconds"  # since 1970
_NAMED = re.compile(r"\{([a-z]+)\}")

Values = Mapping[str, str]


def filled(template: str, values: Values, written: Callable[[str], str] = str) -> str:
    """The template with each of our names replaced, written as its place needs it."""
    return _NAMED.sub(lambda name: written(values[name[1]]), template)


def names_in(template: str) -> set[str]:
    return set(_NAMED.findall(template))


def check_template(template: str, where: str, known: Iterable[str] = NAMES) -> None:
    """Raise ConfigurationError for a name that nothing stands for."""
    strange = sorted(names_in(template) - set(known))
    if strange:
        raise ConfigurationError(f"{where}: unknown name {{{strange[0]}}} (known: {', '.join(sorted(known))})")


def in_url(text: str) -> str:
    return quote(text, safe="")


def in_json(text: str) -> str:
    """Within a text in quotes: `"{since}"`. A bare `{page}` is digits, which need nothing."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def in_xml(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&apos;")


def as_it_is(text: str) -> str:
    return text


def in_header(text: str) -> str:
    """A header's value holds no line break: it would begin another header."""
    if any(ord(character) < 32 for character in text):
        raise ConfigurationError("a value for a header holds control characters")
    return text


def new_uuid() -> str:
    return str(uuid.uuid4())


# -- times as the other side writes them ------------------------------------------------------------------------------


def written_time(moment: datetime, form: str, zone: tzinfo) -> str:
    """A moment in a sender's words: `iso` (with its offset), `seconds`, `milliseconds`, or strftime in the zone."""
    if form == ISO:
        return moment.astimezone(zone).isoformat(timespec="milliseconds")
    if form == EPOCH:
        return str(int(moment.timestamp()))
    if form == EPOCH_MS:
        return str(int(moment.timestamp() * 1000))
    return moment.astimezone(zone).strftime(form)


def read_time(text: str, form: str, zone: tzinfo) -> datetime:
    """The moment that a sender wrote; without an offset it is of the zone. Raises ValueError, which quotes nothing."""
    text = text.strip()
    try:
        if form in (EPOCH, EPOCH_MS):
            return datetime.fromtimestamp(float(Decimal(text) / (1000 if form == EPOCH_MS else 1)), UTC)
        moment = datetime.fromisoformat(text) if form == ISO else datetime.strptime(text, form)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError, InvalidOperation):
        raise ValueError(f"is not written as {form}") from None
