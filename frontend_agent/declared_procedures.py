"""The table [procedures] of a mapping: stored procedures that stand in place of queries. See `connectors/procedures.py`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.procedures import NAME, PARAMETER, PURPOSES, Call, text_of
from frontend_agent.errors import ConfigurationError
from frontend_agent.shipped import did_you_mean, only_known_keys


def declared(table: Any, path: str) -> dict[str, Call]:
    """The procedures a mapping declares. Raises ConfigurationError naming file, key and mend."""
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: [procedures] must be a table of tables [procedures.NAME]")
    return {name: _declared(value, f"{path}: [procedures.{name}]") for name, value in table.items()}


def called(procedures: Mapping[str, Call], asked: Mapping[str, Any], where: str) -> str:
    """`{ procedure = "NAME" }` as the text of a query."""
    only_known_keys(dict(asked), ("procedure",), where)
    name = asked.get("procedure")
    call = procedures.get(name) if isinstance(name, str) else None
    if call is None:
        raise ConfigurationError(
            f"{where}: there is no [procedures.{name}]{did_you_mean(str(name), procedures)}"
            f" (declared: {', '.join(procedures) or 'none'})"
        )
    return text_of(call)


def _declared(table: Any, where: str) -> Call:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where} must be a table")
    only_known_keys(table, ("name", "parameters", "columns", "result", "list", "since"), where)
    name = table.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigurationError(f'{where}: name must be the name of a procedure, like "dbo.usp_changed"')
    parameters = table.get("parameters", [])
    if not isinstance(parameters, list) or not parameters:
        raise ConfigurationError(f'{where}: parameters must be a list, like ["from", "to"] or ["@von = from"]')
    columns = table.get("columns")
    if not isinstance(columns, dict) or not columns or not all(isinstance(c, str) and c for c in columns.values()):
        raise ConfigurationError(
            f'{where}: columns must say alias = "column of its rows", like {{ key = "REPORT_NO" }}'
        )
    result = table.get("result", 1)
    if not isinstance(result, int) or isinstance(result, bool) or result < 1:
        raise ConfigurationError(f"{where}: result must be a number from 1 on: which of its results is meant")
    listed = table.get("list", "json")
    if listed != "json" and not (isinstance(listed, str) and len(listed) == 1):
        raise ConfigurationError(f'{where}: list must be "json", or the one sign that separates the keys')
    return Call(
        name=name,
        parameters=tuple(_parameter(one, where) for one in parameters),
        columns=tuple(columns.items()),
        result=result,
        list_as=listed,
        since=_since(table.get("since", ""), where),
    )


def _parameter(text: Any, where: str) -> tuple[str, str]:
    name, equals, purpose = str(text).rpartition("=")
    name, purpose = name.strip(), purpose.strip()
    if purpose not in PURPOSES or (equals and not PARAMETER.fullmatch(name)):
        raise ConfigurationError(
            f'{where}: parameter {text!r} must be one of {", ".join(PURPOSES)}, or its own name before it: "@von = from"'
        )
    return name, purpose


def _since(value: Any, where: str) -> str:
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    try:
        return datetime.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise ConfigurationError(f"{where}: since must be a day, like 2024-01-01") from None
