"""What the command line says about a region's shared tables: (English, 简体中文). See `texts.py`."""

TABLES_TEXTS: dict[str, tuple[str, str]] = {
    "tables": (
        'Print the tables that a destination of type "table" writes to, as SQL with comments: for the region to make them, or to'
        " hold them against what it has.\n\nExample: frontend-agent tables region --engine mysql > region.sql",
        "输出 table 类目的地所写入的共享表的建表脚本（含注释），供区域建表或与现有表核对。\n\n"
        "示例：frontend-agent tables region --engine mysql > region.sql",
    ),
    "tables.destination": ("The destination's name in agent.toml.", "agent.toml 中目的地的名称。"),
    "tables.engine": (
        "The database they are made in (default: that of the destination's url).",
        "建表所用的数据库（默认取目的地 url 的数据库）。",
    ),
}
