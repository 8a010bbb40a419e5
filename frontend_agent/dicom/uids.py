"""UIDs: what one may look like (PS3.5 §9.1), and the transfer syntaxes by what we must know of them (PS3.5 annex A)."""

import re
from typing import NamedTuple

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"

# Ours, in every file that we write (PS3.10 §7.1). They never change: the same instance stays the same bytes (law 2).
# A UID from a UUID (PS3.5 B.2), so that no root has to be registered.
IMPLEMENTATION_CLASS_UID = "2.25.201735916374402884115526331927049873761"
IMPLEMENTATION_VERSION_NAME = "FRONTEND_AGENT"

# Stricter than the standard in nothing, more lenient in one: a component may begin with 0, as real modalities write it.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
LONGEST = 64


def is_uid(text: str) -> bool:
    """Whether it can stand as a UID: digits and dots, 64 characters at most. Nothing else of a file becomes a name or a key."""
    return len(text) <= LONGEST and _UID.fullmatch(text) is not None


class Encoding(NamedTuple):
    """How a data set is written in a transfer syntax."""

    is_implicit: bool = False
    is_big_endian: bool = False
    is_deflated: bool = False


_PLAIN = {
    IMPLICIT_LE: Encoding(is_implicit=True),
    DEFLATED_LE: Encoding(is_deflated=True),
    EXPLICIT_BE: Encoding(is_big_endian=True),
}


def encoding_of(transfer_syntax: str) -> Encoding:
    """Everything that is not said here, also what we have never heard of, is explicit VR little endian (PS3.5 A.4)."""
    return _PLAIN.get(transfer_syntax, Encoding())


def is_encapsulated(transfer_syntax: str) -> bool:
    """Whether its pixel data are compressed fragments (PS3.5 A.4)."""
    return transfer_syntax not in (*_PLAIN, EXPLICIT_LE)
