"""Code tables: what a site's local code is in the national table.

    # mappings/<system>/codes/sex.toml
    value_set = "2.16.156.10011.2.3.3.4"      # GB/T 2261.1
    [map]
    "男" = "1"

A local code that is not in the table is a finding (MAP001), never a guess.
"""

from collections.abc import Mapping as Map
from typing import Any

import msgspec

from frontend_agent.errors import ConfigurationError
from frontend_agent.shipped import only_known_keys, toml_of


class CodeTable(msgspec.Struct, frozen=True):
    """One table: local code -> standard code, and the value set the standard codes belong to."""

    name: str
    path: str
    value_set: str
    codes: Map[str, str]

    def standard(self, local: str) -> str | None:
        return self.codes.get(local)


def parse_code_table(name: str, path: str, text: str) -> CodeTable:
    """Read one code table's text."""
    table = toml_of(text, path)
    only_known_keys(table, ("value_set", "title", "map"), path)
    codes = table.get("map")
    if not isinstance(codes, dict) or not codes:
        raise ConfigurationError(f'{path}: needs a table [map] of local code = standard code, e.g. "男" = "1"')
    for local, standard in codes.items():
        if not isinstance(standard, str) or not standard:
            raise ConfigurationError(f'{path}: [map] "{local}": the standard code must be text in quotes, e.g. "1"')
    value_set = table.get("value_set", "")
    if not isinstance(value_set, str):
        raise ConfigurationError(f"{path}: value_set must be text in quotes (an OID)")
    return CodeTable(name=name, path=path, value_set=value_set, codes={k.strip(): v for k, v in codes.items()})


def foreign_codes(table: CodeTable, known: Any) -> list[str]:
    """The standard codes of a table that its value set does not have: typing errors to be told at start."""
    return sorted({code for code in table.codes.values() if code not in known})
