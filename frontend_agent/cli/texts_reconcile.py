"""The texts of reconciliation: a part of the table in texts.py."""

RECONCILE_TEXTS: dict[str, tuple[str, str]] = {
    "reconcile": (
        "Reconciliation (对账): the days of a feed at the source, in the agent and at the platform.",
        "对账：按日核对来源、前置机与平台三方的数据。",
    ),
    "reconcile.feed": (
        "Compare the days of a feed at the source, in the agent and at the platform; with --resend mend what differs (补传). "
        "Exit 1 while something differs.\n\n"
        "Examples: frontend-agent reconcile lab_report --day 2026-09-29 · "
        "frontend-agent reconcile lab_report --from 2026-09-01 --to 2026-09-30 --department 内科 --resend",
        "核对某数据流某日（或某段时间）在来源、前置机与平台的数量与内容；加 --resend 则补传差异。仍有差异时退出码为 1。\n\n"
        "示例：frontend-agent reconcile lab_report --day 2026-09-29 · "
        "frontend-agent reconcile lab_report --from 2026-09-01 --to 2026-09-30 --department 内科 --resend",
    ),
    "reconcile.name": ("The feed's name in agent.toml.", "agent.toml 中的数据流名称。"),
    "reconcile.day": ("The day, for example 2026-09-29 (default: yesterday).", "日期，例如 2026-09-29（默认：昨天）。"),
    "reconcile.first": ("The first day, with --to.", "起始日期，与 --to 同用。"),
    "reconcile.last": ("The last day, with --from.", "结束日期，与 --from 同用。"),
    "reconcile.department": ("Only this department.", "仅此科室。"),
    "reconcile.resend": (
        "Read again what was missed or has changed, send again what the platform lost, and look once more.",
        "重新读取漏采或有变化的记录，重新发送平台丢失的文档，并再次核对。",
    ),
    "reconcile.closed": (
        "Also of closed months; with --reason, which goes into the quality log.",
        "包括已封账的月份；须同时给出 --reason，原因记入质控日志。",
    ),
    "reconcile.list": (
        "Past reconciliations, those of the nights among them.\n\nExample: frontend-agent reconcile list lab_report",
        "历次对账，包括每晚自动进行的对账。\n\n示例：frontend-agent reconcile list lab_report",
    ),
    "reconcile.show": (
        "One of them, as it was told then.\n\nExample: frontend-agent reconcile show 17",
        "查看某次对账的结果。\n\n示例：frontend-agent reconcile show 17",
    ),
    "reconcile.number": ("Its number, as the list shows it.", "对账编号，见列表。"),
    "reconcile.limit": ("How many.", "条数。"),
    "reconcile.by_itself": ("by itself", "自动"),
    "said.reconciling": ("comparing", "正在核对"),
    "said.reconcile_read": (
        "{walked} keys walked, {read} records read at the source",
        "来源已遍历 {walked} 个主键，读取 {read} 条记录",
    ),
    "said.reconcile_asking": ("asking {destination}", "正在询问 {destination}"),
    "said.reconcile_mending": (
        "resending: {to_read} to read, {to_send} to send",
        "正在补传：待读取 {to_read}，待发送 {to_send}",
    ),
    "said.reconcile_equal": (
        "Nothing differs between source, agent and platform.",
        "来源、前置机与平台一致，无差异。",
    ),
    "said.reconcile_differs": (
        "{differing} differences, {mended} of them mended. The watermark would have missed {missed} rows.",
        "差异 {differing} 条，其中已补传 {mended} 条。水位线本会遗漏 {missed} 行。",
    ),
    "said.reconcile_unasked": (
        "{destination} cannot be asked: {why}. What it has is not compared.",
        "{destination} 无法询问：{why}。未核对其数据。",
    ),
    "said.reconcile_by_id": (
        "{destination}: {count} documents are there without their day; proven one by one.",
        "{destination}：{count} 份文档未登记日期，已逐一取得凭证。",
    ),
    "said.reconcile_not_walked": (
        "The cursor is no time: rows that the agent does not know were not looked for. Name a query of days: "
        '[queries] day = "x.sql".',
        '游标不是时间：未查找前置机未知的记录。请在映射中配置按日查询：[queries] day = "x.sql"。',
    ),
    "said.reconcile_closed": (
        "Closed months, not sent again: {months}. With --closed --reason they are.",
        "已封账月份未补传：{months}。使用 --closed --reason 方可补传。",
    ),
    "said.reconcile_cost": (
        "At the source: {statements} statements, {rows} rows, {seconds} s.",
        "来源开销：{statements} 条语句，{rows} 行，{seconds} 秒。",
    ),
    "said.reconcile_more": ("… and {count} more: --json shows all.", "……另有 {count} 条，--json 可显示全部。"),
    "said.reconcile_alarm": (
        "Reconciliation of {feed}, night of {day}: {missed} rows missed by the watermark, {differing} differences, {mended} "
        "mended {problem}(frontend-agent reconcile show {id})",
        "数据流 {feed} {day} 夜间对账：水位线遗漏 {missed} 行，差异 {differing} 条，已补传 {mended} 条 {problem}"
        "（frontend-agent reconcile show {id}）",
    ),
    "platform.reconciliations": (
        "What the hospitals' own reconciliations found, per day and department, beside what is here.\n\n"
        "Example: frontend-agent platform reconciliations --from 20260901 --differing",
        "各医院对账结果，按日期与科室，并列出平台现存数量。\n\n"
        "示例：frontend-agent platform reconciliations --from 20260901 --differing",
    ),
    "platform.differing": ("Only where something differs or was missed.", "仅列出有差异或有遗漏的。"),
    # -- headings
    "head.department": ("department", "科室"),
    "head.day": ("day", "日期"),
    "head.at_source": ("source", "来源"),
    "head.at_agent": ("agent", "前置机"),
    "head.content": ("content", "内容"),
    "head.proven": ("delivered", "已送达"),
    "head.at_platform": ("platform", "平台"),
    "head.explained": ("explained", "已说明"),
    "head.differing": ("differences", "差异"),
    "head.missed": ("missed", "遗漏"),
    "head.mended": ("mended", "已补传"),
    "head.blame": ("blame", "责任方"),
    "head.gap": ("what", "情况"),
    "head.days": ("days", "日期范围"),
    "head.blame_source data": ("source data", "来源数据"),
    "head.blame_mapping": ("mapping", "映射"),
    "head.blame_agent": ("agent", "前置机"),
    "head.blame_network": ("network", "网络"),
    "head.blame_platform": ("platform", "平台"),
    "head.gap_missed": ("missed by the watermark", "水位线遗漏"),
    "head.gap_stale": ("changed, the cursor did not move", "内容已变而游标未变"),
    "head.gap_vanished": ("no longer at the source", "来源已无此记录"),
    "head.gap_lost": ("lost at the platform", "平台丢失"),
    "head.gap_other bytes": ("other bytes at the platform", "平台内容不一致"),
    "head.gap_unknown here": ("at the platform, unknown here", "平台有而前置机无"),
    "head.gap_unread": ("not yet read", "尚未读取"),
    "head.gap_not final": ("not final", "未定稿"),
    "head.gap_withdrawn": ("withdrawn", "已作废"),
    "head.gap_held": ("held", "待处理"),
    "head.gap_withheld": ("withheld", "不予外发"),
    "head.gap_waiting": ("waits for another system", "等待关联数据"),
    "head.gap_discarded": ("discarded", "已放弃"),
    "head.gap_on its way": ("on its way", "发送中"),
    "head.gap_unproven": ("accepted, unproven", "已接受未证实"),
    "head.gap_stuck": ("not taken by the platform", "平台未接收"),
}
