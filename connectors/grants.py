"""The first layer against writing: what the account of a source may do beside reading, read from its own grants.

    read_grants(session, family) -> Grants        nothing is tried, only asked
    grants.writes                                  rights to change what is the hospital's: refused without a waiver
    grants.doubts                                  rights that leave room (own tables, functions of others): told
    grants.mend                                    the statements for the hospital's administrator

A right to change rows, tables, sequences, accounts or the server's files is one to write, wherever it comes from: the
account itself, a role it is in (also one that it would have to set first), PUBLIC, ownership. PostgreSQL, MariaDB and
SQLite are tested against real servers; SQL Server and Oracle only as text, untested against a server. What another engine
grants we cannot read, and say so.
"""

# ruff: noqa: S608 - the statements are put together of constants
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from connectors.statements import Own
from frontend_agent.errors import SourceError, SourceRefused
from frontend_agent.model import RowSet

Session = Callable[[], AbstractContextManager[Callable[[str, Sequence[Any], str], RowSet]]]
MOST_SHOWN = 20  # rights and mends; an administrator's account has thousands


class Right(msgspec.Struct, frozen=True):
    """One right: `INSERT` on `his.patient`, come by way of `PUBLIC` or a role ("" is the account itself)."""

    what: str
    where: str = ""
    by: str = ""

    def __str__(self) -> str:
        where, by = f" on {self.where}" if self.where else "", f" (by {self.by})" if self.by else ""
        return f"{self.what}{where}{by}"


class Grants(msgspec.Struct, frozen=True):
    """What an account may do beside reading. `known` is False where the engine's grants cannot be read: `why` says so."""

    account: str = ""
    known: bool = True
    why: str = ""
    writes: tuple[Right, ...] = ()
    doubts: tuple[Right, ...] = ()
    mend: tuple[str, ...] = ()


def shown(rights: Sequence[Right]) -> str:
    """Rights in one line."""
    some = "; ".join(str(right) for right in rights[:3])
    return some + (f" and {len(rights) - 3} more" if len(rights) > 3 else "")


class AccountCanWrite(SourceRefused):
    """The account of a source may change the hospital's data. Give it an account that may only read, or record a waiver."""


def read_grants(session: Session, family: str, tables: Iterable[str] = ()) -> Grants:
    """The grants of the account that the session has. `tables` are those that the feeds read, for the mend."""
    reader = READERS.get(family)
    if reader is None:
        return Grants(known=False, why=f"we do not know how {family} tells what an account may do")
    try:
        return reader(_Asker(session), sorted(tables))
    except SourceRefused:
        return Grants(known=False, why="the account may not read its own grants")


class _Asker:
    """Each question in a session of its own: one that is refused spoils no other."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, sql: str) -> list[tuple[Any, ...]]:
        with self._session() as ask:
            return [tuple(row) for row in ask(Own(sql), (), "grants").rows]

    def together(self, *statements: str) -> list[list[tuple[Any, ...]]]:
        """Several in one session. Raises a SourceError with the first that is refused."""
        with self._session() as ask:
            return [[tuple(row) for row in ask(Own(sql), (), "grants").rows] for sql in statements]

    def maybe(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            return self(sql)
        except SourceError:
            return []


# -- PostgreSQL -------------------------------------------------------------------------------------------------------

_MINE = "(a.grantee = 0 OR pg_has_role(current_user, a.grantee, 'MEMBER'))"
_FROM = "CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END"
_OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'"
POSTGRESQL = {
    "role": (
        "SELECT current_user, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolbypassrls"
        " FROM pg_roles r WHERE r.rolname = current_user"
    ),
    "roles": "SELECT r.rolname, r.rolsuper FROM pg_roles r WHERE pg_has_role(current_user, r.oid, 'MEMBER') AND r.rolname <> current_user",
    "tables": (
        f"SELECT DISTINCT a.privilege_type, quote_ident(n.nspname) || '.' || quote_ident(c.relname), {_FROM}, c.relkind = 'S'"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " CROSS JOIN LATERAL aclexplode(COALESCE(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END, c.relowner))) a"
        f" WHERE c.relkind IN ('r', 'v', 'p', 'f', 'm', 'S') AND {_OURS} AND {_MINE}"
        " AND a.privilege_type NOT IN ('SELECT', 'REFERENCES', 'MAINTAIN') AND NOT (c.relkind = 'v' AND a.privilege_type IN ('TRUNCATE', 'TRIGGER'))"
        " ORDER BY 2, 1"
    ),
    "columns": (
        f"SELECT DISTINCT a.privilege_type, quote_ident(n.nspname) || '.' || quote_ident(c.relname) || ' (' || quote_ident(t.attname) || ')', {_FROM}, FALSE"
        " FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        f" CROSS JOIN LATERAL aclexplode(t.attacl) a WHERE t.attacl IS NOT NULL AND {_OURS} AND {_MINE}"
        " AND a.privilege_type IN ('INSERT', 'UPDATE') ORDER BY 2, 1"
    ),
    "schemas": (
        f"SELECT 'CREATE', 'SCHEMA ' || quote_ident(n.nspname), {_FROM}, TRUE FROM pg_namespace n"
        " CROSS JOIN LATERAL aclexplode(COALESCE(n.nspacl, acldefault('n', n.nspowner))) a"
        f" WHERE a.privilege_type = 'CREATE' AND {_OURS} AND {_MINE}"
        f" UNION SELECT 'CREATE', 'DATABASE ' || quote_ident(d.datname), {_FROM}, TRUE FROM pg_database d"
        " CROSS JOIN LATERAL aclexplode(COALESCE(d.datacl, acldefault('d', d.datdba))) a"
        f" WHERE d.datname = current_database() AND a.privilege_type = 'CREATE' AND {_MINE}"
    ),
    "functions": (
        f"SELECT DISTINCT 'EXECUTE', 'FUNCTION ' || p.oid::regprocedure::text, {_FROM}, TRUE FROM pg_proc p"
        " JOIN pg_namespace n ON n.oid = p.pronamespace"
        " CROSS JOIN LATERAL aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) a"
        f" WHERE p.prosecdef AND p.provolatile = 'v' AND {_OURS} AND {_MINE}"
    ),
}
_POSTGRES_ROLES = {
    "pg_write_all_data": "writes every table",
    "pg_execute_server_program": "runs programs on the server",
    "pg_write_server_files": "writes files on the server",
    "pg_signal_backend": "ends other sessions",
    "pg_maintain": "runs VACUUM, CLUSTER and LOCK",
    "pg_create_subscription": "creates subscriptions",
}


def _postgresql(ask: _Asker, tables: Sequence[str]) -> Grants:
    account, superuser, *attributes = ask(POSTGRESQL["role"])[0]
    writes: list[Right] = [Right("SUPERUSER")] if superuser else []
    for name, has in zip(("CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS"), attributes, strict=True):
        if has and name != "BYPASSRLS" and not superuser:
            writes.append(Right(name))
    member = [] if superuser else ask(POSTGRESQL["roles"])
    for role, is_super in member:
        if is_super or role in _POSTGRES_ROLES:
            writes.append(Right("SUPERUSER" if is_super else f"ROLE {role}", by=role))
    doubts: list[Right] = []
    if not superuser:
        for question in ("tables", "columns", "schemas", "functions"):
            for what, where, by, lesser in ask(POSTGRESQL[question]):
                right = Right(what, where, "" if by == account else by)
                if question in ("schemas", "functions"):
                    doubts.append(right)
                elif not lesser or what in ("UPDATE", "USAGE"):
                    writes.append(right)
    return Grants(account, True, "", tuple(writes), tuple(doubts), _postgres_mend(account, writes, doubts, tables))


def _postgres_mend(
    account: str, writes: Sequence[Right], doubts: Sequence[Right], tables: Sequence[str]
) -> tuple[str, ...]:
    if not writes and not doubts:
        return ()
    mends = [_postgres_revoke(right, account) for right in [*writes, *doubts] if not _of_its_own(right)]
    if any(right.by not in ("", "PUBLIC") for right in writes) and tables:  # a role may be what let it read
        mends.append(f'GRANT SELECT ON {", ".join(tables)} TO "{account}"')
    if any(_of_its_own(right) for right in writes):
        mends = []
    if not mends or len(mends) > MOST_SHOWN:
        mends = ["CREATE ROLE frontend_reader LOGIN PASSWORD '…' NOSUPERUSER NOCREATEDB NOCREATEROLE"]
        for schema in sorted({table.rpartition(".")[0] or "public" for table in tables} or {"public"}):
            mends.append(f"GRANT USAGE ON SCHEMA {schema} TO frontend_reader")
        mends.append(f"GRANT SELECT ON {', '.join(tables) or '…'} TO frontend_reader")
    return tuple(f"{mend};" for mend in dict.fromkeys(mends))


def _of_its_own(right: Right) -> bool:
    """What no REVOKE takes away: it is in the account itself."""
    return not right.where and not right.by


def _postgres_revoke(right: Right, account: str) -> str:
    if right.by not in ("", "PUBLIC"):  # not from the role itself: others work with it
        return f'REVOKE "{right.by}" FROM "{account}"'
    grantee = right.by or f'"{account}"'
    column = re.fullmatch(r"(.+) \((.+)\)", right.where)
    if column and not right.where.startswith("FUNCTION "):
        return f"REVOKE {right.what} ({column[2]}) ON {column[1]} FROM {grantee}"
    return f"REVOKE {right.what} ON {right.where} FROM {grantee}"


# -- MariaDB and MySQL ------------------------------------------------------------------------------------------------

_GRANT = re.compile(
    r"GRANT (?P<what>.+?) ON (?P<where>.+?) TO (?P<whom>.+?)(?P<more>(?: (?:REQUIRE|IDENTIFIED|WITH)\b.*)?)$"
)
_ROLE = re.compile(r"GRANT (?P<role>[`'\"].+?[`'\"](?:@[`'\"].*?[`'\"])?(?:,\s*[`'\"].+?)*) TO ")
_READING = frozenset(
    [
        "SHOW VIEW",
        "SHOW DATABASES",
        "PROCESS",
        "REPLICATION CLIENT",
        "BINLOG MONITOR",
        "SLAVE MONITOR",
        "REPLICA MONITOR",
        "REFERENCES",
        "SELECT",
        "USAGE",
        "SHOW_ROUTINE",
        "ALLOW_NONEXISTENT_DEFINER",
        "SHOW CREATE ROUTINE",
    ]
)
_ROOM = frozenset(["CREATE TEMPORARY TABLES", "EXECUTE"])


def judged_mysql(lines: Iterable[str], by: str = "") -> tuple[list[Right], list[Right], list[str]]:
    """The lines of SHOW GRANTS as rights to write, rights that leave room, and roles granted. Pure."""
    writes: list[Right] = []
    doubts: list[Right] = []
    roles: list[str] = []
    for line in lines:
        if found := _GRANT.match(line):
            where = found["where"].strip()
            for what in _privileges(found["what"]):
                name, _, columns = what.partition(" (")
                place = f"{where} ({columns}" if columns else where
                if name == "PROXY":
                    if found["whom"].split("@")[0] != where.split("@")[0]:
                        writes.append(Right("PROXY", where, by))
                elif name in _ROOM:
                    doubts.append(Right(name, place, by))
                elif name not in _READING:
                    writes.append(Right(name, place, by))
            if "GRANT OPTION" in found["more"]:
                writes.append(Right("GRANT OPTION", where, by))
        elif found := _ROLE.match(line):
            roles += [role.strip() for role in found["role"].split(",")]
    return writes, doubts, roles


def _privileges(text: str) -> list[str]:
    """`SELECT, INSERT (a, b), UPDATE` as three."""
    return [part.strip() for part in re.split(r",(?![^()]*\))", text)]


def _mysql(ask: _Asker, tables: Sequence[str]) -> Grants:
    account = str(ask("SELECT CURRENT_USER()")[0][0])
    writes, doubts, roles = judged_mysql(str(row[0]) for row in ask("SHOW GRANTS"))
    seen: set[str] = set()
    while roles:
        role = roles.pop()
        if role in seen:
            continue
        seen.add(role)
        lines = _role_grants(ask, role)
        more, further, inner = judged_mysql(lines, role)
        writes, doubts, roles = [*writes, *more], [*doubts, *further], [*roles, *inner]
        if not lines:
            doubts.append(Right(f"ROLE {role}"))
    writes, doubts = list(dict.fromkeys(writes)), list(dict.fromkeys(doubts))
    return Grants(account, True, "", tuple(writes), tuple(doubts), _mysql_mend(account, writes, tables))


def _role_grants(ask: _Asker, role: str) -> list[str]:
    """What a role grants. MySQL tells it by itself; in MariaDB an account sees it only while it has the role set."""
    try:
        told = [str(row[0]) for row in ask(f"SHOW GRANTS FOR CURRENT_USER USING {role}")]
        return [line for line in told if not _ROLE.match(line)]
    except SourceError:
        pass
    try:
        before = str(ask("SELECT CURRENT_ROLE()")[0][0] or "NONE")
        back = "NONE" if before in ("None", "NONE") else f"`{before}`"
        told_role = ask.together(f"SET ROLE {role}", "SHOW GRANTS FOR CURRENT_ROLE", f"SET ROLE {back}")[1]
        return [str(row[0]) for row in told_role]
    except SourceError:
        return []


def _mysql_mend(account: str, writes: Sequence[Right], tables: Sequence[str]) -> tuple[str, ...]:
    if not writes:
        return ()
    user, _, host = account.partition("@")
    whom = f"'{user}'@'{host}'"
    if any(right.what == "ALL PRIVILEGES" and right.where == "*.*" for right in writes) or len(writes) > MOST_SHOWN:
        made = [f"CREATE USER 'frontend_reader'@'{host}' IDENTIFIED BY '…'"]
        made += [f"GRANT SELECT ON {table} TO 'frontend_reader'@'{host}'" for table in tables or ("….…",)]
        return tuple(f"{mend};" for mend in made)
    mends = []
    for right in writes:
        what, grantee = right.what, whom
        if right.by:  # not from the role itself: others work with it
            mends.append(f"REVOKE {right.by} FROM {whom}")
            mends += [f"GRANT SELECT ON {table} TO {whom}" for table in tables]
        elif column := re.fullmatch(r"(.+) \((.+)\)", right.where):
            mends.append(f"REVOKE {what} ({column[2]}) ON {column[1]} FROM {grantee}")
        elif what == "PROXY":
            mends.append(f"REVOKE PROXY ON {right.where} FROM {grantee}")
        else:
            mends.append(f"REVOKE {what} ON {right.where} FROM {grantee}")
            if what == "ALL PRIVILEGES":
                mends.append(f"GRANT SELECT ON {right.where} TO {grantee}")
    return tuple(f"{mend};" for mend in dict.fromkeys(mends))


# -- SQLite -----------------------------------------------------------------------------------------------------------


def _sqlite(ask: _Asker, tables: Sequence[str]) -> Grants:
    """SQLite has no accounts: natively the file is opened for reading only, over ODBC the session is told to write nothing."""
    told = ask("PRAGMA query_only")
    if told and int(told[0][0]):
        return Grants()
    return Grants(writes=(Right("WRITE", "the file"),), mend=("chmod a-w …",))


# -- SQL Server and Oracle: as text, untested against a server ---------------------------------------------------------

SQLSERVER = {
    "account": "SELECT SUSER_SNAME(), USER_NAME(), IS_SRVROLEMEMBER('sysadmin')",
    "database": "SELECT permission_name FROM fn_my_permissions(NULL, 'DATABASE')",
    "server": "SELECT permission_name FROM fn_my_permissions(NULL, 'SERVER')",
    "objects": (
        "SELECT p.permission_name, s.name + '.' + o.name, pr.name FROM sys.database_permissions p"
        " JOIN sys.objects o ON o.object_id = p.major_id JOIN sys.schemas s ON s.schema_id = o.schema_id"
        " JOIN sys.database_principals pr ON pr.principal_id = p.grantee_principal_id"
        " WHERE p.class = 1 AND p.state IN ('G', 'W') AND p.permission_name NOT IN ('SELECT', 'VIEW DEFINITION', 'REFERENCES')"
        " AND (pr.name = USER_NAME() OR pr.name = 'public' OR IS_MEMBER(pr.name) = 1)"
    ),
}
_SQLSERVER_READING = frozenset(
    [
        "CONNECT",
        "CONNECT SQL",
        "SELECT",
        "VIEW DEFINITION",
        "VIEW DATABASE STATE",
        "VIEW SERVER STATE",
        "VIEW ANY DATABASE",
        "VIEW ANY DEFINITION",
        "VIEW ANY COLUMN ENCRYPTION KEY DEFINITION",
        "VIEW ANY COLUMN MASTER KEY DEFINITION",
        "REFERENCES",
        "SHOWPLAN",
        "UNMASK",
        "VIEW DATABASE PERFORMANCE STATE",
        "VIEW SERVER PERFORMANCE STATE",
        "VIEW SECURITY DEFINITION",
        "VIEW PERFORMANCE DEFINITION",
        "CONNECT ANY DATABASE",
        "SELECT ALL USER SECURABLES",
        "VIEW DATABASE SECURITY STATE",
        "VIEW SERVER SECURITY STATE",
    ]
)


def _sqlserver(ask: _Asker, tables: Sequence[str]) -> Grants:
    login, user, sysadmin = ask(SQLSERVER["account"])[0]
    questions = {name: ask.maybe(SQLSERVER[name]) for name in ("server", "database", "objects")}
    return judged_sqlserver(str(login), str(user), bool(sysadmin), questions, tables)


def judged_sqlserver(
    login: str, user: str, sysadmin: bool, answers: dict[str, list[tuple[Any, ...]]], tables: Sequence[str] = ()
) -> Grants:
    """What the answers to `SQLSERVER` mean. Pure. Untested against a server."""
    writes = [Right("sysadmin")] if sysadmin else []
    doubts: list[Right] = []
    for scope in ("server", "database"):
        for (what,) in answers.get(scope, ()):
            if what == "EXECUTE":
                doubts.append(Right(what, scope.upper()))
            elif what not in _SQLSERVER_READING and not sysadmin:
                writes.append(Right(str(what), scope.upper()))
    for what, where, by in answers.get("objects", ()):
        right = Right(str(what), str(where), "" if by == user else str(by))
        (doubts if what in ("EXECUTE", "VIEW CHANGE TRACKING") else writes).append(right)
    mend: list[str] = []
    if writes:
        mend = [
            "CREATE LOGIN frontend_reader WITH PASSWORD = '…';",
            "CREATE USER frontend_reader FOR LOGIN frontend_reader;",
        ]
        mend += [f"GRANT SELECT ON {table} TO frontend_reader;" for table in tables or ("dbo.…",)]
    return Grants(login or user, True, "", tuple(writes), tuple(doubts), tuple(mend))


ORACLE = {
    "account": "SELECT USER FROM DUAL",
    "session": "SELECT privilege FROM session_privs",
    "objects": (
        "SELECT privilege, owner || '.' || table_name, grantee FROM user_tab_privs WHERE grantee IN (USER, 'PUBLIC')"
        " UNION SELECT privilege, owner || '.' || table_name, role FROM role_tab_privs"
    ),
    "own": "SELECT COUNT(*) FROM user_tables",
}
_ORACLE_READING = frozenset(
    [
        "CREATE SESSION",
        "SELECT ANY TABLE",
        "SELECT ANY DICTIONARY",
        "READ ANY TABLE",
        "SELECT ANY SEQUENCE",
        "ALTER SESSION",
        "SET CONTAINER",
        "FLASHBACK ANY TABLE",
        "INHERIT PRIVILEGES",
        "EXEMPT ACCESS POLICY",
        "SELECT ANY TRANSACTION",
    ]
)
_ORACLE_OBJECTS_READING = frozenset(
    ["SELECT", "READ", "REFERENCES", "QUERY REWRITE", "DEBUG", "INHERIT PRIVILEGES", "FLASHBACK", "MERGE VIEW"]
)


def _oracle(ask: _Asker, tables: Sequence[str]) -> Grants:
    account = str(ask(ORACLE["account"])[0][0])
    return judged_oracle(account, {name: ask.maybe(ORACLE[name]) for name in ("session", "objects", "own")}, tables)


def judged_oracle(account: str, answers: dict[str, list[tuple[Any, ...]]], tables: Sequence[str] = ()) -> Grants:
    """What the answers to `ORACLE` mean. Pure. Untested against a server."""
    writes: list[Right] = []
    doubts: list[Right] = []
    for (what,) in answers.get("session", ()):
        if what not in _ORACLE_READING:
            room = re.fullmatch(
                r"CREATE (TABLE|VIEW|PROCEDURE|SEQUENCE|SYNONYM|TRIGGER|TYPE|CLUSTER|OPERATOR|INDEXTYPE)", what
            )
            (doubts if room else writes).append(Right(str(what)))
    for what, where, by in answers.get("objects", ()):
        if what in _ORACLE_OBJECTS_READING:
            continue
        right = Right(str(what), str(where), "" if by == account else str(by))
        if what == "EXECUTE":
            if by != "PUBLIC":  # thousands of Oracle's own packages are everybody's
                doubts.append(right)
        else:
            writes.append(right)
    if any(int(count) for (count,) in answers.get("own", ())):
        writes.append(Right("OWNER", "tables of its own"))
    mend: list[str] = []
    if writes:
        mend = ['CREATE USER frontend_reader IDENTIFIED BY "…";', "GRANT CREATE SESSION TO frontend_reader;"]
        mend += [f"GRANT SELECT ON {table} TO frontend_reader;" for table in tables or ("HIS.…",)]
    return Grants(account, True, "", tuple(writes), tuple(doubts), tuple(mend))


READERS: dict[str, Callable[[_Asker, Sequence[str]], Grants]] = {
    "postgresql": _postgresql,
    "kingbase": _postgresql,
    "opengauss": _postgresql,
    "mariadb": _mysql,
    "mysql": _mysql,
    "oceanbase": _mysql,
    "gbase8a": _mysql,
    "sqlite": _sqlite,
    "sqlserver": _sqlserver,
    "oracle": _oracle,
    "dameng": _oracle,
}
