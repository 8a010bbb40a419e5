"""One invented record as INSERT statements: how a vendor fills the tables, in the order that keeps every promise."""

from base64 import b64decode
from collections.abc import Mapping, Sequence

from frontend_agent.formats.enclosed import DATA
from frontend_agent.formats.skeleton import SCAN
from frontend_agent.model import Record
from frontend_agent.supplying.ddl import Engine
from frontend_agent.supplying.tables import KEY, Column, Table


def filling(
    engine: Engine, tables: Sequence[Table], control: Sequence[Table], records: Mapping[str, Record], batch: int
) -> str:
    """A whole batch: opened, records and their details, the changes, and last of all the mark that it is complete."""
    opened, change = control
    lines = [
        "-- 写入顺序：开批次 → 写记录与明细 → 写变更 → 提交批次完成标志。虚构数据，仅作示例。",
        "-- The order: open the batch, write records and details, write the changes, then say that the batch is complete.",
        _insert(engine, opened, {"batch_id": str(batch), "records": str(len(records))}),
    ]
    for key, record in records.items():
        record_table = tables[0]
        lines.append(
            _insert(engine, record_table, {**_said(record_table, record), KEY: key, "is_final": "1", "is_void": "0"})
        )
        for table in tables[1:]:
            rows = record.get(table.group)
            for number, row in enumerate(rows if isinstance(rows, list) else [], 1):
                lines.append(_insert(engine, table, {**_said(table, row), KEY: key, "line_no": str(number)}))
        said = {"kind": record_table.kind, KEY: key, "operation_type": "I", "batch_id": str(batch)}
        lines.append(_insert(engine, change, said))
    lines.append(f"UPDATE {opened.name} SET completed_at = {engine.now} WHERE batch_id = {batch}{engine.ends}")
    return "\n".join(lines) + "\n"


def _said(table: Table, row: Mapping[str, object]) -> dict[str, str]:
    """Column name → the record's value, where it has one. The bytes of a scan stand in it under another name."""
    row = {**row, SCAN: row.get(DATA)}
    values = ((column.name, row.get(column.alias)) for column in table.columns if column.alias)
    return {name: value for name, value in values if isinstance(value, str)}


def _insert(engine: Engine, table: Table, values: Mapping[str, str]) -> str:
    columns = [column for column in table.columns if column.name in values]
    names = ", ".join(column.name for column in columns)
    cells = ", ".join(_literal(engine, column, values[column.name]) for column in columns)
    return f"INSERT INTO {table.name} ({names})\nVALUES ({cells}){engine.ends}"


def _literal(engine: Engine, column: Column, value: str) -> str:
    match column.type:
        case "day":
            return f"{'' if engine.name == 'sqlserver' else 'DATE '}'{value[:4]}-{value[4:6]}-{value[6:8]}'"
        case "whole" | "number":
            return value
        case "yes":
            return "'1'" if value in ("true", "1") else "'0'"
        case "bytes":
            return engine.binary.format(hex=b64decode(value).hex())
    return engine.national + "'" + value.replace("'", "''") + "'"
