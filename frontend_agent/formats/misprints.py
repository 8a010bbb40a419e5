"""Misprints seen in the wild: read as what they mean, never written.

The sample XML of the standard's annexes, and the vendors' templates made from it, print some codes wrong and some names in
two ways. What tells one entry from another is compared by what it means.
"""

import re
from functools import lru_cache

# A digit doubled (C0033); what the others print is not wrong in a way that could be told.
_CODES = {"HDSD00.12.1139": "HDSD00.12.139"}
_DATA_ELEMENT = re.compile(r"DE(\d\d)\.(\d\d)\.(\d+)\.(\d\d)\Z", re.ASCII)
_FRONT_PAGE = re.compile(r"HDSD?[O0]{2}\.(?=\d)", re.ASCII)
_ONE_WAY = str.maketrans("（），、：／“”‘’", "(),,:/\"\"''")


@lru_cache(maxsize=4096)
def meant(key: str) -> str:
    """A code or a name as it should have been written.

    `DE01.00.0014.00` and `DE01.00.14.00` are DE01.00.014.00; `HDSDOO.12.099`, with letters, and `HDS00.12.099` are
    HDSD00.12.099. Names are compared without spaces and with the brackets of ASCII.
    """
    if found := _DATA_ELEMENT.match(key):
        return f"DE{found[1]}.{found[2]}.{int(found[3]):03}.{found[4]}"
    key = _FRONT_PAGE.sub("HDSD00.", key)
    return _CODES.get(key) or re.sub(r"\s", "", key.translate(_ONE_WAY))
