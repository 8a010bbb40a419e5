"""The texts of `source engines` and `source procedures`, a part of the table in texts.py."""

ENGINES_TEXTS: dict[str, tuple[str, str]] = {
    "source.engines": (
        "The database engines that a source may run on, and how far each is tested.\n\n"
        "Examples: frontend-agent source engines · frontend-agent source engines --json",
        "列出来源可用的数据库引擎，以及各自经过何种测试。\n\n"
        "示例：frontend-agent source engines · frontend-agent source engines --json",
    ),
    "source.procedures": (
        "The stored procedures that mappings call at this source: the digest of each definition now, and the one that is"
        " pinned. Exit code 1 when one is not pinned, was changed, or cannot be read.\n\n"
        "Examples: frontend-agent source procedures his · frontend-agent source procedures his --json",
        "列出映射在该来源调用的存储过程：当前定义的摘要与已固定的摘要。有未固定、已变更或无法读取者，退出码为 1。\n\n"
        "示例：frontend-agent source procedures his · frontend-agent source procedures his --json",
    ),
    "head.engine": ("engine", "引擎"),
    "head.product": ("product", "产品"),
    "head.connect_by": ("reached by", "连接方式"),
    "head.tested": ("tested", "测试"),
    "head.procedure": ("procedure", "存储过程"),
    "engine.tested": ("real server, natively and by ODBC", "真实服务器，原生与 ODBC"),
    "engine.text": ("as text only, no server", "仅比对语句文本，未连服务器"),
    "engine.native": ("url, ODBC", "url、ODBC"),
    "engine.odbc": ("ODBC", "ODBC"),
    "procedure.pinned": ("pinned", "已固定"),
    "procedure.unpinned": ("not pinned", "未固定"),
    "procedure.changed": ("CHANGED since it was pinned", "固定之后已变更"),
    "procedure.unread": ("cannot be read", "无法读取"),
    "said.no_procedures": ("{source}: no mapping calls a stored procedure.", "{source}：没有映射调用存储过程。"),
    "said.pin_procedures": (
        "To pin what you have looked at, in [sources.{source}] of agent.toml:\n{line}",
        "确认定义无误后，在 agent.toml 的 [sources.{source}] 中固定：\n{line}",
    ),
}
