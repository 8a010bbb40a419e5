"""What a database's error means, told once and without the values in it.

A driver's own text may carry what a row holds (`invalid input syntax for type bigint: "…"`), so none of it is passed on.
Only names are taken out of it, by patterns for the messages in which the quoted word is an identifier of the mapping's SQL.
"""

import re

from frontend_agent.errors import SourceError, SourceRefused, SourceUnreachable


class StatementTooSlow(SourceUnreachable):
    """The source did not answer within the statement time-out. It may be busy; or an index is missing."""


_UNKNOWN_NAME = tuple(
    (re.compile(pattern, re.IGNORECASE), what)
    for pattern, what in (
        (r'column "?([^\s"]+(?:\."?[^\s"]+)?)"? does not exist', "column"),  # PostgreSQL
        (r'relation "([^"]+)" does not exist', "table"),
        (r'missing FROM-clause entry for table "([^"]+)"', "table"),
        (r'schema "([^"]+)" does not exist', "schema"),
        (r"function ([\w.]+)\(.*?\) does not exist", "function"),
        (r"Unknown column '([^']+)' in", "column"),  # MariaDB, MySQL
        (r"Table '([^']+)' doesn't exist", "table"),
        (r"Unknown database '([^']+)'", "database"),
        (r"no such column: \"?([^\s\"]+)\"?", "column"),  # SQLite
        (r"no such table: ([^\s\"]+)", "table"),
        (r"no such function: (\w+)", "function"),
        (r"Invalid column name '([^']+)'", "column"),  # SQL Server
        (r"Invalid object name '([^']+)'", "table"),
        (r'ORA-00904: ((?:"[^"]+"\.?)+)', "column"),  # Oracle
        (r'database "([^"]+)" does not exist', "database"),
    )
)

_LOGIN = re.compile(
    r"password authentication failed|认证失败|no pg_hba\.conf entry|role \"[^\"]*\" does not exist|no password supplied"
    r"|Access denied for user|Login failed for user|ORA-01017",
    re.IGNORECASE,
)
_DENIED = re.compile(r"permission denied|command denied|ORA-01031|SELECT permission was denied", re.IGNORECASE)
_READ_ONLY = re.compile(r"read-?\s?only", re.IGNORECASE)
_SLOW = re.compile(
    r"statement timeout|DPY-4024|ORA-01013|max_statement_time|maximum statement execution time|interrupted|canceling statement|HYT00|query timeout",
    re.IGNORECASE,
)
_LOCKED = re.compile(r"lock timeout|lock request time ?out|Lock wait timeout", re.IGNORECASE)
_NO_DRIVER = re.compile(r"IM002|IM003|01000.*Can't open lib", re.IGNORECASE | re.DOTALL)
_SYNTAX = re.compile(r"syntax error|error in your SQL syntax|incorrect syntax|ORA-009", re.IGNORECASE)

_GONE = re.compile(r"DPY-(?:6005|6000|4011|1001)|DPI-1010|DPI-1080|ORA-(?:12541|12170|03113|03114|12537|02396|00028)")
_ORACLE = tuple(
    (re.compile(pattern), advice)
    for pattern, advice in (
        (
            r"DPY-3010|ORA-28040",
            "this Oracle is older than 12.1, which thin mode does not speak to: unpack an Oracle Instant Client (19 or older)"
            ' and name its folder: oracle_client = "/opt/oracle/instantclient_19_24"',
        ),
        (
            r"DPY-3001|ORA-12660",
            "this Oracle demands native network encryption, which only thick mode has: name an Oracle Instant Client:"
            ' oracle_client = "…"',
        ),
        (
            r"DPY-3015|ORA-01017.*10G",
            "the account has only a password verifier of Oracle 10g: let its password be set anew, or use oracle_client",
        ),
        (r"DPY-6001|ORA-12514", "the listener knows no such service: see `lsnrctl services` for its name"),
        (r"DPY-6003|ORA-12505", "the listener knows no such SID: use a service name instead"),
        (r"DPY-4000|ORA-12154", "the name of the database cannot be resolved: write host:port/service"),
    )
)

# SQLSTATEs and MariaDB numbers that say the same in any language of the server.
_LOGIN_CODES = {"28000", "28P01", "1045", "1698"}
_DENIED_CODES = {"42501", "1044", "1142", "1143", "1227"}
_READ_ONLY_CODES = {"25006", "1792"}
_SLOW_CODES = {"57014", "1969", "3024", "HYT00", "70100"}
_LOCKED_CODES = {"55P03", "1205", "1222", "ORA-00054", "ORA-30006"}
_SYNTAX_CODES = {"42601", "1064"}
_NO_DRIVER_CODES = {"IM002", "IM003"}
_NAME_CODES = {"42P01", "42703", "42S02", "42S22", "3D000", "3F000", "42883", "1054", "1146", "1049"}
_GONE_CODES = {
    "2002",
    "2003",
    "2006",
    "2013",
    "4031",
    "5014",
    "25P03",
    "HYT01",
    "1213",
    "40001",
    "40P01",
    "1040",
    "53300",
}


def explained(source: str, query: str, code: str, text: str, gone: bool = False) -> SourceError:
    """The error for what a driver said: `code` is the SQLSTATE or the vendor's number, `text` its message.

    `gone` says that the driver knows the connection to be lost.
    """
    where = f"source {source}" + (f": query {query!r}" if query else "")
    if code in _LOCKED_CODES or _LOCKED.search(text):
        return SourceUnreachable(
            f"{where}: the hospital's own work holds a lock on it; we let go after lock_timeout, and come back"
        )
    if code in _SLOW_CODES or (_SLOW.search(text) and not gone):
        return StatementTooSlow(
            f"{where}: no answer within the statement time-out; the source is busy or lacks an index"
        )
    if advice := _oracle_advice(text):
        return SourceRefused(f"{where}: {advice}")
    if code in _LOGIN_CODES or _LOGIN.search(text):
        return SourceRefused(
            f"{where}: the login was refused: user or password is wrong, or this machine is not let in"
        )
    if code in _DENIED_CODES or _DENIED.search(text):
        return SourceRefused(f"{where}: the account may not read this{_named(text)}: it needs SELECT on it")
    if name := _unknown(text):
        return SourceRefused(f"{where}: unknown {name}")
    if code in _NAME_CODES:
        return SourceRefused(f"{where}: a table or column in it is unknown to the source ({code})")
    if code in _NO_DRIVER_CODES or _NO_DRIVER.search(text):
        return SourceRefused(
            f"{where}: no such ODBC data source or driver on this machine (odbcinst -q -s, odbcinst -q -d)"
        )
    if code in _READ_ONLY_CODES or _READ_ONLY.search(text):
        return SourceRefused(f"{where}: it would write; the session is read-only")
    if code in _SYNTAX_CODES or _SYNTAX.search(text):
        return SourceRefused(f"{where}: the source does not understand the SQL (syntax)")
    if gone or _GONE.search(text) or code in _GONE_CODES or code.startswith(("08", "57P", "53", "58")):
        return SourceUnreachable(f"{where}: the source cannot be reached, or dropped the connection{_coded(code)}")
    return SourceRefused(f"{where}: the source refused it{_coded(code)}")


def _oracle_advice(text: str) -> str:
    """What python-oracledb's own numbers and Oracle's mean, where only the site can mend it."""
    return next((advice for pattern, advice in _ORACLE if pattern.search(text)), "")


def _unknown(text: str) -> str:
    for pattern, what in _UNKNOWN_NAME:
        if found := pattern.search(text):
            return f"{what} {found[1]}"
    return ""


def _named(text: str) -> str:
    found = re.search(r"(?:for (?:table|view|relation|schema) )[\"'`]?([\w.]+)", text)
    return f" ({found[1]})" if found else ""


def _coded(code: str) -> str:
    return f" ({code})" if code else ""
