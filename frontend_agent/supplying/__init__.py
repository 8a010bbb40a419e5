"""What a vendor must supply so that a kind can be read without knowing its system: intermediate tables (中间表, 前置库).

    tables_of(kind, prefix)            the tables and their columns, from the kind's declaration
    ddl(engine, tables, form)          as SQL of one engine: tables with comments, or views to be filled in
    mapping_files(kind, engine, …)     the mapping that reads exactly these tables
    sheet(file, kinds, …)              the same as a spreadsheet of fields for those who fill them

PostgreSQL and MariaDB texts are run against real servers by the tests; SQL Server, Oracle and 达梦 are text only.
"""

from frontend_agent.supplying.ddl import ENGINES, Engine, ddl, grants, purge
from frontend_agent.supplying.feed import agent_toml, mapping_files
from frontend_agent.supplying.filling import filling
from frontend_agent.supplying.sheet import sheet
from frontend_agent.supplying.tables import Column, Form, Table, control_tables, tables_of

__all__ = [
    "ENGINES",
    "Column",
    "Engine",
    "Form",
    "Table",
    "agent_toml",
    "control_tables",
    "ddl",
    "filling",
    "grants",
    "mapping_files",
    "purge",
    "sheet",
    "tables_of",
]
