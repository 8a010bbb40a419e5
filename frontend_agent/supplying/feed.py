"""The mapping and the feed that read exactly the tables that were specified. Pure: tables in, texts out."""

from collections.abc import Sequence

from frontend_agent.formats import Kind
from frontend_agent.formats.enclosed import KIND as ENCLOSED
from frontend_agent.formats.skeleton import OUT_OF_THE_SCAN, SCAN
from frontend_agent.supplying.ddl import Engine
from frontend_agent.supplying.tables import KEY, Form, Table

URLS = {
    "postgresql": "postgresql://fep_reader@10.0.0.5/fep",
    "mysql": "mariadb://fep_reader@10.0.0.5/fep",
    "sqlserver": "mssql://fep_reader@10.0.0.5/fep",
    "oracle": "oracle://fep_reader@10.0.0.5:1521/fep",
    "dameng": "",
}


def mapping_files(kind: Kind, tables: Sequence[Table], control: Sequence[Table], form: Form) -> dict[str, str]:
    """The files of the mapping by name: TOML and its SQL. `tables` are those of the kind, the record's first."""
    record, details = tables[0], tables[1:]
    name = kind.short_name
    files = {
        f"{name}.toml": _toml(kind, name, [table.group for table in details], form),
        f"{name}.sql": _query(record),
        **{f"{name}.{table.group}.sql": _query(table) for table in details},
    }
    if form == "tables":
        files[f"{name}.changes.sql"] = _changes(record, control)
    files[f"{name}.changed.sql"] = _changed(record, control, form)
    return files


def _toml(kind: Kind, name: str, groups: Sequence[str], form: Form) -> str:
    lines = [
        f"# {kind.code} {kind.name_zh}: read from the intermediate tables that `frontend-agent spec {kind.code}` describes.",
        f'kind = "{kind.code}"',
        f'key  = "{KEY}"',
        "",
        "[queries]",
        f'changed = "{name}.changed.sql"',
        *([f'changes = "{name}.changes.sql"'] if form == "tables" else []),
        f'parent  = "{name}.sql"',
    ]
    if groups:
        lines += ["", "[queries.details]", *(f'{group} = "{name}.{group}.sql"' for group in groups)]
    if kind.code == ENCLOSED:
        paths = ", ".join(f'"{field}" = "{path}"' for field, path in OUT_OF_THE_SCAN.items())
        lines += ["", "[read]", f'"{SCAN}" = {{ reader = "enclosed", fields = {{ {paths} }} }}']
    return "\n".join(lines) + "\n"


def _query(table: Table) -> str:
    columns = [column for column in table.columns if column.alias]
    width = max(len(column.name) for column in columns)
    lines = [f'    t.{column.name:<{width}} AS "{column.alias}"' for column in columns]
    return f"-- {table.zh}\nSELECT\n" + ",\n".join(lines) + f"\nFROM {table.name} t\n"


def _changed(record: Table, control: Sequence[Table], form: Form) -> str:
    if form == "views":
        return (
            "-- Which records changed, and when: the view says so itself.\n"
            f'SELECT v.changed_at AS "cursor", v.{KEY} AS "key" FROM {record.name} v\n'
        )
    batch, change = control
    return (
        "-- By the time at which the batch was complete: an unfinished batch is not there yet.\n"
        f'SELECT b.completed_at AS "cursor", c.{KEY} AS "key"\n'
        f"FROM {change.name} c JOIN {batch.name} b ON b.batch_id = c.batch_id\n"
        f"WHERE c.kind = '{record.kind}' AND b.completed_at IS NOT NULL\n"
    )


def _changes(record: Table, control: Sequence[Table]) -> str:
    batch, change = control
    return (
        "-- The changes by their own number; those of unfinished batches are not there yet, those acknowledged are done with.\n"
        f'SELECT c.change_id AS "cursor", c.{KEY} AS "key"\n'
        f"FROM {change.name} c JOIN {batch.name} b ON b.batch_id = c.batch_id\n"
        f"WHERE c.kind = '{record.kind}' AND c.acknowledged = '0' AND b.completed_at IS NOT NULL\n"
    )


def agent_toml(
    engine: Engine, kinds: Sequence[Kind], control: Sequence[Table], form: Form, source: str, folder: str
) -> str:
    """What to paste into agent.toml: the source and one feed for each kind."""
    url = URLS[engine.name]
    reach = (
        f'url = "{url}"' if url else 'odbc = "Driver={DM8 ODBC DRIVER};Server=10.0.0.5;TCP_PORT=5236;UID=fep_reader"'
    )
    lines = [
        f"# {engine.title}: the intermediate tables.  前置库",
        f"[sources.{source}]",
        reach,
        f'secret = "{source}_password"',
    ]
    if form == "tables":
        change = control[1]
        lines.append(f'acknowledge = ["{change.name}.acknowledged"]   # 回执列：唯一允许更新的列')
    for kind in kinds:
        lines += [
            "",
            "[[feeds]]",
            f'name    = "{source}_{kind.short_name}"',
            f'source  = "{source}"',
            f'mapping = "{folder}/{kind.short_name}.toml"',
            *(['find    = "changes"'] if form == "tables" else []),
        ]
    return "\n".join(lines) + "\n"
