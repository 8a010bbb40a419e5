"""How each engine is told to call a stored procedure, and how it tells what the procedure is."""

# ruff: noqa: S608 - the statements are put together of constants and of names that were checked

from __future__ import annotations

from collections.abc import Callable, Sequence

from connectors.engines.dialect import Dialect

Arguments = Sequence[tuple[str, str]]  # (the parameter's own name or "", place-holder)
Calling = Callable[[str, Arguments], str]
Defining = Callable[[str, Dialect], tuple[str, tuple[str, ...]]]  # -> question and its parameters


def function(name: str, arguments: Arguments) -> str:
    """PostgreSQL: a function that returns rows."""
    return f"SELECT * FROM {name}({_named(arguments, ' => ')})"


def call(name: str, arguments: Arguments) -> str:
    """MariaDB, MySQL: no names, and as many results as the procedure selects."""
    return f"CALL {name}({', '.join(mark for _, mark in arguments)})"


def execute(name: str, arguments: Arguments) -> str:
    """SQL Server, Sybase."""
    return f"EXEC {name} {_named(arguments, ' = ')}".rstrip()


def escape(name: str, arguments: Arguments) -> str:
    """ODBC's own way, in which Oracle's driver gives a REF CURSOR as a result."""
    return f"{{CALL {name}({', '.join(mark for _, mark in arguments)})}}"


def ref_cursor(name: str, arguments: Arguments) -> str:
    """Oracle natively: the rows come by a cursor that is the last parameter, bound by us."""
    bound = [_named([one], " => ") for one in arguments] + [f":{len(arguments) + 1}"]
    return f"BEGIN {name}({', '.join(bound)}); END;"


def _named(arguments: Arguments, sign: str) -> str:
    return ", ".join(f"{name}{sign}{mark}" if name else mark for name, mark in arguments)


def in_postgresql(name: str, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    whole, alone = dialect.marks(2)
    return (
        "SELECT pg_catalog.pg_get_functiondef(p.oid) FROM pg_catalog.pg_proc p"
        " JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p')"
        f" AND (n.nspname || '.' || p.proname = {whole}"
        f" OR (p.proname = {alone} AND pg_catalog.pg_function_is_visible(p.oid))) ORDER BY 1",
        (name.lower(), name.lower()),
    )


def in_mysql(name: str, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    whole, alone = dialect.marks(2)
    return (  # NULL, and so nothing, for an account that may not see it
        "SELECT CONCAT(r.routine_type, ' ', r.routine_definition, (SELECT COALESCE(GROUP_CONCAT(CONCAT_WS(' ',"
        " p.parameter_mode, p.parameter_name, p.dtd_identifier) ORDER BY p.ordinal_position), '')"
        " FROM information_schema.parameters p"
        " WHERE p.specific_schema = r.routine_schema AND p.specific_name = r.specific_name))"
        " FROM information_schema.routines r"
        f" WHERE CONCAT(r.routine_schema, '.', r.routine_name) = {whole}"
        f" OR (r.routine_schema = DATABASE() AND r.routine_name = {alone}) ORDER BY 1",
        (name, name),
    )


def in_sqlserver(name: str, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    return f"SELECT definition FROM sys.sql_modules WHERE object_id = OBJECT_ID({dialect.marks(1)[0]})", (name,)


def in_oracle(name: str, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    """`pkg.changed` is the package, or the procedure of an owner: the definitions of both are taken."""
    parts = name.upper().split(".")
    owned, alone = dialect.marks(2)
    return (
        f"SELECT text FROM all_source WHERE owner || '.' || name = {owned}"
        f" OR (owner = SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') AND name = {alone}) ORDER BY owner, name, type, line",
        (".".join(parts[:2]), parts[0]),
    )
