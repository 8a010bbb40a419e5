"""Whether a message can be read at all: what a listener asks before it answers. As `read` judges it, without splitting anything."""

import re

from frontend_agent.er7.charset import Decoded, decode
from frontend_agent.er7.errors import MessageUnreadable
from frontend_agent.er7.reader import MOST_SEGMENTS, delimiters_of

_BLANK = " \t\r\n\0\ufeff"
_ANOTHER = re.compile(r"[\r\n]MSH")


def why_unreadable(content: bytes, fixed: str = "") -> tuple[str, ...]:
    """All reasons why nobody can read it; none if it can be. `fixed`: the set a site has settled for its sender."""
    found = decode(content, fixed)
    if not isinstance(found, Decoded):
        return found.reasons
    text = found.text.lstrip(_BLANK)
    try:
        delimiters, _ = delimiters_of(text)
    except MessageUnreadable as error:
        return error.reasons
    reasons = []
    if len(text) > MOST_SEGMENTS and text.count("\r") + text.count("\n") > 2 * MOST_SEGMENTS:
        reasons.append(f"more than {MOST_SEGMENTS} segments")
    if ("\rMSH" in text or "\nMSH" in text) and any(
        text[one.end() : one.end() + 1] in ("", delimiters.field, "\r", "\n") for one in _ANOTHER.finditer(text)
    ):
        reasons.append("more than one MSH: several messages in one frame, and no batch around them")
    return tuple(reasons)
