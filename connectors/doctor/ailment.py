"""What the doctor of a source finds: a code, where, the values of its sentence, and the exact mend."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["wrong", "doubt", "fine"]


class Ailment(msgspec.Struct, frozen=True):
    """One finding. `code` is the key of its sentence in both languages; `mend` is statements or lines to write, verbatim.

    Never the content of a row: of text at most two characters from a list of harmless ones (`reading.HARMLESS`).
    """

    code: str
    severity: Severity
    where: str = ""  # an address, a query, a table, a column
    values: dict[str, str] = {}
    mend: tuple[str, ...] = ()
