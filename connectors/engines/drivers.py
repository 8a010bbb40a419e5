"""What ODBC drivers must be told when we connect, and which one reaches SQL Server.

A driver is recognised by its name or library. What the site's own connection string says already is never overridden.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.engines.engine import APPLICATION

if TYPE_CHECKING:
    from connectors.source import SourceOptions

Keywords = dict[str, str]


@dataclass(frozen=True)
class OdbcDriver:
    """One driver: a pattern for its name or library, and what its connection strings are completed with."""

    pattern: str
    keywords: Callable[[SourceOptions, float], Keywords]  # (options, seconds of grace)


def _wait(options: SourceOptions) -> str:
    return str(max(1, round(options.connect_timeout.total_seconds())))


def _answer(options: SourceOptions, grace: float) -> str:
    return str(max(1, round(options.statement_timeout.total_seconds() + grace)))


def _psqlodbc(options: SourceOptions, grace: float) -> Keywords:
    # Reads whole results into memory unless a cursor is declared; gives booleans as text. Around every statement it would
    # put a savepoint: a failed one ends our transaction anyway.
    return {
        "UseDeclareFetch": "1",
        "Fetch": "1000",
        "BoolsAsChar": "0",
        "ByteaAsLongVarBinary": "1",
        "Protocol": "7.4-1",
    }


def _mariadb(options: SourceOptions, grace: float) -> Keywords:
    # Waits for a frozen server for ever, while connecting too.
    answer = _answer(options, grace)
    return {"CONN_TIMEOUT": _wait(options), "READ_TIMEOUT": answer, "WRITE_TIMEOUT": answer}


def _sqlite(options: SourceOptions, grace: float) -> Keywords:
    # Halves 64-bit integers, and takes an alias for table.column.
    return {"BigInt": "1", "LongNames": "1"}


def _microsoft(options: SourceOptions, grace: float) -> Keywords:
    return {"APP": APPLICATION, "ApplicationIntent": "ReadOnly"}


def _freetds(options: SourceOptions, grace: float) -> Keywords:
    # The protocol is pinned: left to itself it may fall back to one of 1998, without nvarchar and dates.
    return {"TDS_Version": "7.4", "ClientCharset": "UTF-8", "APP": APPLICATION, "ApplicationIntent": "ReadOnly"}


def _informix(options: SourceOptions, grace: float) -> Keywords:
    return {"DELIMIDENT": "y"}  # or double quotes would be those of a text


DRIVERS = (
    OdbcDriver(r"psqlodbc|postgres", _psqlodbc),
    OdbcDriver(r"maria|maodbc", _mariadb),
    OdbcDriver(r"sqlite", _sqlite),
    OdbcDriver(r"freetds|tdsodbc", _freetds),
    OdbcDriver(r"msodbcsql|odbc driver \d+ for sql server|sql server native client", _microsoft),
    OdbcDriver(r"informix|gbase ?8s|gbasedbt|iclit", _informix),
)


def completed(text: str, library: str, options: SourceOptions, grace: float) -> str:
    """A connection string with what its driver needs to be told, unless the site already says it."""
    told = {name.strip().lower() for name in re.findall(r"(?:^|;)\s*([^;={}]+?)\s*=", text)}
    added: Keywords = {}
    for driver in DRIVERS:
        if re.search(driver.pattern, library, re.IGNORECASE):
            added = driver.keywords(options, grace)
            break
    settings = [f"{name}={value}" for name, value in added.items() if name.lower() not in told]
    return ";".join([text.rstrip("; "), *settings])


def driver_in(text: str) -> tuple[str, str]:
    """The driver and the data source that a connection string names, "" where it names none."""
    driver = re.search(r"(?i)(?:^|;)\s*driver\s*=\s*\{?([^;}]*)", text)
    named = re.search(r"(?i)(?:^|;)\s*dsn\s*=\s*\{?([^;}]*)", text)
    return (driver[1].strip() if driver else ""), (named[1].strip() if named else "")


def sql_server_driver(installed: Iterable[str]) -> str:
    """The newest of Microsoft's own drivers, else FreeTDS, else ""."""
    numbered = [(int(found[1]), name) for name in installed if (found := _MICROSOFT.fullmatch(name))]
    if numbered:
        return max(numbered)[1]
    return next((name for name in installed if "freetds" in name.lower()), "")


_MICROSOFT = re.compile(r"ODBC Driver (\d+) for SQL Server")


def sql_server_string(driver: str, host: str, port: int | None, database: str, user: str, more: Keywords) -> str:
    """The connection string of a `mssql://` URL. `more` are keywords of its query: `?Encrypt=optional`."""
    parts: Keywords = {"Driver": f"{{{driver}}}"}
    if "freetds" in driver.lower():
        parts |= {"Server": host} | ({} if "\\" in host else {"Port": str(port or 1433)})
    else:
        parts["Server"] = host if "\\" in host and not port else f"{host},{port or 1433}"
    if database:
        parts["Database"] = _braced(database)
    if user:
        parts["UID"] = _braced(user)
    else:
        parts["Trusted_Connection"] = "yes"
    parts |= {name: _braced(value) for name, value in more.items()}
    return ";".join(f"{name}={value}" for name, value in parts.items())


def _braced(value: str) -> str:
    """A value that ends no other: in braces where it holds what would."""
    return f"{{{value.replace('}', '}}')}}}" if re.search(r"[;{}=]", value) else value


_GRAMMARS_OF_SCHEMES = {
    "sqlite": "sqlite", "postgresql": "postgres", "postgres": "postgres", "mariadb": "mysql", "mysql": "mysql",
    "oracle": "oracle", "mssql": "tsql",
}  # fmt: skip


def grammar_of(url: str, odbc: str) -> str | None:
    """The grammar of a source's SQL as far as its address tells; None where only the server can say what it is."""
    if url:
        return _GRAMMARS_OF_SCHEMES.get(url.partition(":")[0].partition("+")[0])
    from connectors.engines import engine_of  # the table imports this module's neighbours
    from connectors.engines.others import OTHER

    name = driver_in(odbc)[0].lower()
    if re.search("psqlodbc", name):
        return "postgres"
    if re.search("maodbc|myodbc", name):
        return "mysql"
    if re.search("freetds|tdsodbc|msodbcsql|sql server", name):
        return "tsql"
    engine = engine_of(name) if name else OTHER
    return None if engine is OTHER else engine.grammar
