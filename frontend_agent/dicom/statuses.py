"""What the answer to a C-STORE means (PS3.4 B.2.3, PS3.7 annex C); STOW-RS gives the same codes as reasons (PS3.18 I.2.2).

0000, Bxxx, 0001 0107 0116   stored; the warnings say what was noticed
0111                         stored: the receiver has this SOP Instance UID already
A7xx, 0213                   later: it is out of resources
0110 0106 …                  later, at first: it failed while processing, and may not next time
0124                         not allowed: no instance is to blame
A9xx, Cxxx, 0117 0119 0122   refused: the same bytes would be refused again
anything else, or nothing    unknown: it may be stored, the same goes again
"""

from enum import StrEnum

SUCCESS = 0x0000
DUPLICATE = 0x0111
PROCESSING_FAILURE = 0x0110
NOT_AUTHORIZED = 0x0124
NO_SUCH_INSTANCE = 0x0112
RESOURCE_LIMITATION = 0x0213
PENDING = (0xFF00, 0xFF01)


class Said(StrEnum):
    STORED = "stored"
    LATER = "later"
    REFUSED = "refused"
    NOT_ALLOWED = "not allowed"
    UNKNOWN = "unknown"


_TEXTS = {
    0x0106: "invalid attribute value",
    0x0107: "attribute list error",
    0x0110: "processing failure",
    0x0111: "it has an instance of this UID already",
    0x0112: "no such instance",
    0x0116: "attribute value out of range",
    0x0117: "invalid SOP instance",
    0x0118: "no such SOP class",
    0x0119: "the instance is of another SOP class there",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0x0131: "duplicate transaction UID",
    0x0210: "duplicate invocation",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
    0x0272: "the study is not the one of the request",
    0xB000: "it changed data elements",
    0xB006: "it discarded elements",
    0xB007: "the data set does not match the SOP class",
    0xC122: "transfer syntax not supported",
}
_STORED = frozenset((0x0000, 0x0001, 0x0107, 0x0111, 0x0116))
_LATER = frozenset((0x0106, 0x0110, 0x0210, 0x0213))
_REFUSED = frozenset((0x0117, 0x0118, 0x0119, 0x0120, 0x0121, 0x0122, 0x0211, 0x0212, 0x0272))


def said_of_storing(status: int | None) -> Said:
    """What a status of C-STORE, or a Failure Reason of STOW-RS, means for the instance. None: the answer had none."""
    if status is None:
        return Said.UNKNOWN
    if status in _STORED or status >> 12 == 0xB:
        return Said.STORED
    if status in _LATER or status >> 8 == 0xA7:
        return Said.LATER
    if status in _REFUSED or status >> 8 == 0xA9 or status >> 12 == 0xC:
        return Said.REFUSED
    return Said.NOT_ALLOWED if status == NOT_AUTHORIZED else Said.UNKNOWN


def named(status: int | None) -> str:
    """`0xA700 (out of resources)`: what may stand in a log."""
    if status is None:
        return "no status"
    text = _TEXTS.get(status) or _BY_CLASS.get(status >> 8) or _BY_CLASS.get(status >> 12, "")
    return f"0x{status:04X} ({text})" if text else f"0x{status:04X}"


_BY_CLASS = {
    0xA7: "out of resources",
    0xA9: "the data set does not match the SOP class",
    0xB: "a warning",
    0xC: "it cannot understand the instance",
}
