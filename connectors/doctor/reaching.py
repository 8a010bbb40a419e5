"""Why a source cannot be reached or entered: each cause told apart, and what mends it.

    line(url, odbc, wait) -> Ailment      the way to the server: name, route, port
    entry(code, text, …)  -> Ailment      what a driver said when it was let in or not; pure

What drivers say of SQL Server and Oracle is known from their documentation and issue trackers: those are golden texts,
untested against a server.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from connectors.doctor.ailment import Ailment
from connectors.engines.drivers import grammar_of

PORTS = {"postgres": 5432, "mysql": 3306, "tsql": 1433, "oracle": 1521}
PACKAGES = {
    "postgres": "apt install odbc-postgresql",
    "mysql": "apt install odbc-mariadb",
    "sqlite": "apt install libsqliteodbc",
    "tsql": "apt install msodbcsql18  # packages.microsoft.com; or: apt install tdsodbc",
    "oracle": "oracle-instantclient-odbc",
}
_CHINESE = (
    (
        re.compile(r"(?i)dm\s*8|dameng|达梦|libdodbc"),
        "libdodbc.so: the driver folder of the 达梦 client (dmdbms/drivers/odbc)",
    ),
    (re.compile(r"(?i)kingbase|kdbodbc"), "kdbodbcw.so: the interface folder of 人大金仓 KingbaseES"),
    (re.compile(r"(?i)gbase|gsodbc"), "libgsodbc.so: GBase 8a ODBC; GBase 8s: iclit09b.so of its client SDK"),
    (re.compile(r"(?i)iris|cache|intersystems"), "libirisodbcu35.so: InterSystems ODBC"),
)


def address_of(url: str, odbc: str) -> tuple[str, int] | None:
    """Host and port of a source; None for a file, or a data source whose address stands elsewhere."""
    grammar = grammar_of(url, odbc) or ""
    if url:
        try:
            parts = make_url(url)
        except ArgumentError:
            return None
        return (parts.host, parts.port or PORTS.get(grammar, 0)) if parts.host and grammar != "sqlite" else None
    keys = {
        name.strip().lower(): value.strip("{} ") for name, _, value in (part.partition("=") for part in odbc.split(";"))
    }
    host = keys.get("server") or keys.get("servername") or keys.get("host") or ""
    host = re.sub(r"^tcp:", "", host).partition("\\")[0]
    host, _, port = host.partition(",") if "," in host else host.partition(":")
    number = port or keys.get("port") or str(PORTS.get(grammar, 0))
    return (host, int(number)) if host and number.isdigit() and int(number) else None


def line(
    url: str,
    odbc: str,
    wait: float,
    resolve: Callable[..., Any] = socket.getaddrinfo,
    connect: Callable[..., Any] = socket.create_connection,
) -> Ailment | None:
    """Whether the server's port answers. None where there is no address to try."""
    address = address_of(url, odbc)
    if address is None:
        return None
    host, port = address
    where = f"{host}:{port}"
    try:
        resolve(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return Ailment("reach.name", "wrong", where, {"host": host}, (f"getent hosts {host}",))
    try:
        connect((host, port), timeout=wait).close()
    except OSError as error:
        return _unreached(error, where, host, port, wait)
    return Ailment("reach.fine", "fine", where)


def _unreached(error: OSError, where: str, host: str, port: int, wait: float) -> Ailment:
    values = {"host": host, "port": str(port), "seconds": f"{wait:g}"}
    if isinstance(error, ConnectionRefusedError):
        return Ailment("reach.refused", "wrong", where, values, (f"ss -ltn 'sport = :{port}'  # on {host}",))
    if isinstance(error, TimeoutError):
        return Ailment("reach.silent", "wrong", where, values, (f"nc -vz -w 5 {host} {port}",))
    if error.errno in (errno.EHOSTUNREACH, errno.EACCES, errno.EPERM):
        return Ailment("reach.forbidden", "wrong", where, values, (f"nc -vz -w 5 {host} {port}",))
    if error.errno == errno.ENETUNREACH:
        return Ailment("reach.no_route", "wrong", where, values, (f"ip route get {host}",))
    return Ailment("reach.other", "wrong", where, {**values, "code": errno.errorcode.get(error.errno or 0, "?")})


# -- what a driver says when it connects --

_OPENSSL = (
    "[openssl_init]\nssl_conf = ssl_sect\n[ssl_sect]\nsystem_default = weak\n[weak]\n"
    "MinProtocol = TLSv1\nCipherString = DEFAULT@SECLEVEL=0",
    "Environment=OPENSSL_CONF=/etc/frontend-agent/openssl-weak.cnf",
)
_SAID: tuple[tuple[str, str], ...] = (  # (pattern over code and text, code of the ailment); the first that is found
    (r"IM002|IM003|Can't open lib|Data source name not found|file not found.*\(0\)", "driver.none"),
    (r"DPY-3010|ORA-28040", "oracle.thin"),
    (r"DPY-3001|ORA-12660", "oracle.encryption"),
    (r"DPY-3015", "oracle.verifier"),
    (r"DPY-6001|DPY-6003|ORA-12514|ORA-12505", "oracle.service"),
    (r"DPI-1047", "oracle.client"),
    (
        r"unsupported protocol|dh key too small|no protocols available|legacy sigalg|wrong signature type|version too low"
        r"|0A000102|1408F10B|SSL routines.*(?:internal error|handshake failure)|10054.*SSL|TCP Provider: Error code 0x2746",
        "tls.old",
    ),
    (
        r"certificate verify failed|not trusted|self.signed|unable to get local issuer|hostname mismatch",
        "tls.untrusted",
    ),
    (r"no pg_hba\.conf entry|1130\b.*not allowed|Host '.*' is not allowed", "login.machine"),
    (r"ORA-28000|ORA-28001|18487|18488|account is locked|password.*expired", "login.locked"),
    (r"53300|\b1040\b|ORA-00018|ORA-00020|too many c", "login.full"),
    (r"3D000|\b1049\b|\b4060\b|database .* does not exist|Unknown database|Cannot open database", "login.database"),
    (
        r"28000|28P01|\b1045\b|\b1698\b|18456|ORA-01017|ORA-1017|Login failed|password authentication failed|Access denied",
        "login.refused",
    ),
    (r"HYT00|HYT01|timeout expired|timed out|DPY-6005|\b2003\b|08001|08S01", "driver.silent"),
)


def entry(
    code: str, text: str, url: str = "", odbc: str = "", drivers: Iterable[str] = (), address: str = ""
) -> Ailment:
    """What a driver's error means when it connects. Nothing of its text is passed on."""
    said = f"{code} {text}"
    found = next((name for pattern, name in _SAID if re.search(pattern, said, re.IGNORECASE)), "driver.other")
    grammar = grammar_of(url, odbc) or ""
    values = {"code": code, "drivers": ", ".join(sorted(drivers)) or "-", "address": address or "-"}
    return Ailment(found, "wrong", address, values, _mend(found, grammar, odbc))


def _mend(found: str, grammar: str, odbc: str) -> tuple[str, ...]:
    match found:
        case "driver.none":
            named = next((package for pattern, package in _CHINESE if pattern.search(odbc)), "")
            return (named or PACKAGES.get(grammar, "odbcinst -q -d; odbcinst -q -s"),)
        case "oracle.thin" | "oracle.encryption":
            return ('oracle_client = "/opt/oracle/instantclient_19_24"',)
        case "oracle.verifier":
            return ('ALTER USER … IDENTIFIED BY "…";',)
        case "oracle.service":
            return ("lsnrctl services",)
        case "oracle.client":
            return ("apt install libaio1; ldd /opt/oracle/instantclient_19_24/libclntsh.so",)
        case "tls.old":
            return _OPENSSL
        case "tls.untrusted":
            return ("TrustServerCertificate=yes" if grammar == "tsql" else "sslmode=require",)
        case "login.machine" if grammar == "postgres":
            return ("host  his  frontend_reader  …/32  scram-sha-256   # pg_hba.conf, then: SELECT pg_reload_conf();",)
        case "login.machine":
            return ("CREATE USER 'frontend_reader'@'…' IDENTIFIED BY '…';",)
    return ()
