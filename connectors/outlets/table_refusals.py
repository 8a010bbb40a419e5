"""What a database means that does not take a row, told by its code and by names of columns; never by a driver's text,
which quotes what the row holds."""

import re
from enum import Enum
from typing import Any


class Whose(Enum):
    """Whose fault a refusal is."""

    DOCUMENT = "this document's row"
    SITE = "tables, columns, account: a person must act"
    LATER = "nobody's: it passes by itself"


_TOO_LONG = "a value is longer than its column"
_EMPTY = "a column that must not be empty would be"
_DUPLICATE = "another row has the same value where the table wants it unique"
_FOREIGN = "it names something that is not in the table it refers to: register that first"
_CHECK = "a check of the table fails"
_CHARSET = "a character does not exist in the table's character set: it has to be utf8mb4 (or GB18030, AL32UTF8)"
_TYPE = "a value is not what the column's type takes (number, date)"
_DENIED = (
    "the account may not do that: it needs SELECT, INSERT and UPDATE (and DELETE for details without a void column)"
)
_NAME = "there is no such table or column"
_LOGIN = "the login was refused: user or password is wrong, or this machine is not let in"
_BUSY = "the row or the server was busy"
_CONFLICT = "the table has no primary key or unique index over the key that is named here"
_SYNTAX = "the database does not understand the statement: a name may be a reserved word"

WHOSE: dict[str, tuple[Whose, str]] = {
    code: (whose, sentence)
    for whose, sentence, codes in (
        (Whose.DOCUMENT, _TOO_LONG, "22001 1406 ORA-12899 ORA-01401 8152 2628"),
        (Whose.DOCUMENT, _EMPTY, "23502 1048 1364 ORA-01400 515"),
        (Whose.DOCUMENT, _DUPLICATE, "23505 1062 ORA-00001 2627 2601"),
        (Whose.DOCUMENT, _FOREIGN, "23503 1452 ORA-02291 547"),
        (Whose.DOCUMENT, _CHECK, "23514 4025 3819 ORA-02290"),
        (Whose.DOCUMENT, _CHARSET, "22P05 22021 1366 1300"),
        (Whose.DOCUMENT, _TYPE, "22P02 22007 22008 22003 1292 1264 1265 ORA-01722 ORA-01843 ORA-01861 ORA-01438 42804"),
        (Whose.SITE, _DENIED, "42501 1142 1143 1044 1370 ORA-01031 229 230"),
        (Whose.SITE, _NAME, "42P01 42703 3F000 3D000 1146 1054 1049 ORA-00942 ORA-00904 208 207"),
        (Whose.SITE, _LOGIN, "28P01 28000 1045 1698 ORA-01017 18456"),
        (Whose.SITE, _CONFLICT, "42P10"),
        (Whose.SITE, _SYNTAX, "42601 1064 ORA-00933 ORA-00936 102"),
        (
            Whose.LATER,
            _BUSY,
            "40001 40P01 55P03 57014 53300 1205 1213 1040 3024 1969 ORA-00060 ORA-00054 ORA-30006 1222",
        ),
    )
    for code in codes.split()
}
_COLUMN = re.compile(r"(?:column|字段|列)\s+(?:[\"'`]?\w+[\"'`]?\.)*[\"'`]?(\w+)[\"'`]?", re.IGNORECASE)
# psycopg has no code for what fails while it connects.
_REFUSED_LOGIN = re.compile(r"authentication failed|no pg_hba\.conf entry|role .* does not exist|no password supplied")
_QUOTED_COLUMN = re.compile(r"\"\w+\"\.\"\w+\"\.\"(\w+)\"")  # ORA-12899, ORA-01400


def code_of(error: BaseException | None) -> str:
    """The vendor's number, or SQLSTATE; "" where there is none."""
    first: Any = error.args[0] if error is not None and error.args else ""
    if isinstance(first, int):  # PyMySQL, whose SQLSTATEs say less
        return str(first)
    found = getattr(error, "sqlstate", None) or getattr(first, "full_code", None)
    if found:
        return str(found)
    return first if isinstance(first, str) and re.fullmatch(r"[0-9A-Z]{5}", first) else ""  # pyodbc


def told(error: BaseException | None, names: set[str]) -> tuple[Whose, str]:
    """Whose fault it is and the sentence for it. `names`: our tables and columns in small letters, which may be named."""
    code = code_of(error)
    if not code and _REFUSED_LOGIN.search(str(error)):
        return Whose.SITE, _LOGIN
    whose, sentence = WHOSE.get(code, (Whose.DOCUMENT, "the database refused the row"))
    column = str(getattr(getattr(error, "diag", None), "column_name", "") or "")
    for pattern in (_COLUMN, _QUOTED_COLUMN):
        found = pattern.search(str(error))
        column = column or (found[1] if found and found[1].lower() in names else "")
    return whose, f"{sentence}{f' ({column})' if column else ''}{f' [{code}]' if code else ''}"
