"""Whether a message can be read at all: what a listener asks before it answers. As `read` judges it, without splitting anything.

Stricter in one thing: a header that is cut off before it says what the message is and which (MSH-9 and MSH-10, both required by HL7
v2.5.1, 2.15.9) is not acknowledged: no feed could tell it from what it does not want.
"""

import re

from frontend_agent.er7.charset import Decoded, decode
from frontend_agent.er7.errors import MessageUnreadable
from frontend_agent.er7.reader import MOST_SEGMENTS, delimiters_of

_BLANK = " \t\r\n\0\ufeff"
_ANOTHER = re.compile(r"[\r\n]MSH")
_ENDS = re.compile(r"[\r\n]")
_HEAD = 4096  # characters in which MSH-9 and MSH-10 stand, if they are there


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
    header = _ENDS.split(text[:_HEAD], maxsplit=1)[0]
    if len(header) < _HEAD and not any(one.strip() for one in header.split(delimiters.field)[8:10]):
        reasons.append("cut off within its header: neither MSH-9 nor MSH-10")
    if len(text) > MOST_SEGMENTS and text.count("\r") + text.count("\n") > 2 * MOST_SEGMENTS:
        reasons.append(f"more than {MOST_SEGMENTS} segments")
    if ("\rMSH" in text or "\nMSH" in text) and any(
        text[one.end() : one.end() + 1] in ("", delimiters.field, "\r", "\n") for one in _ANOTHER.finditer(text)
    ):
        reasons.append("more than one MSH: several messages in one frame, and no batch around them")
    return tuple(reasons)
