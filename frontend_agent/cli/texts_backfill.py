"""The texts of backfill, closing and schedules: a part of the table in texts.py."""

BACKFILL_TEXTS: dict[str, tuple[str, str]] = {
    # -- backfill
    "backfill": (
        "Read a stretch of the past behind everything that is new: planned, bounded, resumable at any point.\n\n"
        "Examples: frontend-agent backfill lab_report --from 2024-01-01 --to 2025-12-31 --window 22:00-06:00 · "
        "frontend-agent backfill plan lab_report --from 2024-01-01 --to 2025-12-31 · frontend-agent backfill list",
        "补采：在实时数据之后读取一段历史数据，先估算、有上限、随时可中断续采。\n\n"
        "示例：frontend-agent backfill lab_report --from 2024-01-01 --to 2025-12-31 --window 22:00-06:00 · "
        "frontend-agent backfill plan lab_report --from 2024-01-01 --to 2025-12-31 · frontend-agent backfill list",
    ),
    "backfill.start": (
        "Plan it, ask where it is large, begin and watch. The word start may be left out. A running daemon works on it, "
        "and goes on when watching is broken off (Ctrl-C); without one this command works, and the next run goes on.\n\n"
        "Example: frontend-agent backfill lab_report --from 2024-01-01 --to 2025-12-31 --rate 200 --window 22:00-06:00",
        "先估算，量大时请求确认，然后开始并显示进度；start 可省略。由正在运行的服务执行，Ctrl-C 只停止观看；"
        "没有服务时由本命令执行，中断后下次 run 继续。\n\n"
        "示例：frontend-agent backfill lab_report --from 2024-01-01 --to 2025-12-31 --rate 200 --window 22:00-06:00",
    ),
    "backfill.plan": (
        "What it will take: rows by month, time, nights, bytes, room. Reads a few pages; keeps and sends nothing.\n\n"
        "Example: frontend-agent backfill plan lab_report --from 2024-01-01 --to 2025-12-31 --window 22:00-06:00",
        "只估算：按月行数、时间、所需夜数、数据量与占用空间。仅读取少量样本，不保存、不发送。\n\n"
        "示例：frontend-agent backfill plan lab_report --from 2024-01-01 --to 2025-12-31 --window 22:00-06:00",
    ),
    "backfill.list": (
        "The backfills there were, the newest first.\n\nExample: frontend-agent backfill list",
        "列出补采任务，最近的在前。\n\n示例：frontend-agent backfill list",
    ),
    "backfill.show": (
        "How far one is, and what came of it.\n\nExample: frontend-agent backfill show 3",
        "查看一个补采任务的进度与结果。\n\n示例：frontend-agent backfill show 3",
    ),
    "backfill.stop": (
        "No more of it until it is resumed; what was read is sent.\n\nExample: frontend-agent backfill stop 3",
        "停止，直到 resume；已读取的照常发送。\n\n示例：frontend-agent backfill stop 3",
    ),
    "backfill.resume": (
        "Go on where it was stopped.\n\nExample: frontend-agent backfill resume 3",
        "从停止处继续。\n\n示例：frontend-agent backfill resume 3",
    ),
    "backfill.number": ("Its number (backfill list).", "任务编号（见 backfill list）。"),
    "backfill.from": (
        "The first day, moment or key, by the feed's cursor.",
        "起始日、时刻或键，按数据流的游标。",
    ),
    "backfill.to": (
        "The last day (included), or the moment or key before which it ends.",
        "截止日（含），或在其之前结束的时刻、键。",
    ),
    "backfill.rate": ("Rows a second at most; 0: as fast as it goes.", "每秒最多行数；0 表示不限。"),
    "backfill.window": (
        "Local hours in which it works, for example 22:00-06:00. May be repeated.",
        "允许工作的时段，例如 22:00-06:00，可重复。",
    ),
    "backfill.only_plan": ("Plan it and end.", "只估算。"),
    "backfill.yes": ("Begin without asking, however large it is.", "无论多大都不再询问，直接开始。"),
    "backfill.wait": ("Watch until it is done, or only begin.", "观看直至完成，或仅启动。"),
    "backfill.closed": (
        "Send documents of closed months, too; needs --reason.",
        "已封账月份的文档也发送；须有 --reason。",
    ),
    "backfill.exact": ("counted", "实计"),
    "backfill.sampled": ("seven days counted", "按七天推算"),
    "backfill.guessed": ("taken to be like the others", "按其他部分推算"),
    "backfill.about": ("about ", "约 "),
    "backfill.running": ("running", "进行中"),
    "backfill.stopped": ("stopped", "已停止"),
    "backfill.done": ("done", "已完成"),
    "said.closed_and_reason": (
        "--closed needs --reason, and --reason is only said with --closed",
        "--closed 须同时给出 --reason；--reason 仅与 --closed 同用",
    ),
    "said.planning": ("planning …", "正在估算 …"),
    "said.planning_parts": ("planning: {counted} of {parts} parts counted", "正在估算：已计 {counted}/{parts} 段"),
    "said.plan_rows": (
        "{about}{rows:,} rows, {documents:,} documents that are not there yet",
        "{about}{rows:,} 行，其中尚未生成的文档 {documents:,} 份",
    ),
    "said.plan_keys": (
        "This feed's cursor is no time: the stretch is one of keys, from {low} to before {high}.",
        "该数据流的游标不是时间：范围按键，从 {low} 到 {high} 之前。",
    ),
    "said.plan_time": (
        "about {took} of work at {pace:,.0f} rows/s (what bounds it: {slowest})",
        "约需工作 {took}，每秒 {pace:,.0f} 行（受限于：{slowest}）",
    ),
    "said.plan_nights": (
        "about {nights:,.1f} nights of {hours:.1f} hours (window {windows}, less protected hours)",
        "约 {nights:,.1f} 夜，每夜 {hours:.1f} 小时（时段 {windows}，已扣除保护时段）",
    ),
    "said.plan_no_sample": ("No page could be tried: how long it takes is not known.", "未能试读样本：所需时间未知。"),
    "said.plan_bytes": (
        "{source} of source rows; {sent} of compressed documents to send",
        "来源数据 {source}；需发送压缩文档 {sent}",
    ),
    "said.plan_spool": (
        "the spool grows to about {peak} (of which {stays} stay as index), never beyond {limit} for a backfill",
        "缓存约增至 {peak}（其中 {stays} 为长期保留的索引），补采占用不超过 {limit}",
    ),
    "said.plan_too_small": (
        "The room is too small: it would wait when its share is full. Raise [spool] quota or [backfill] share for {needed}, "
        "or shorten [backfill] retention.",
        "空间不足：占满份额后将等待。请提高 [spool] quota 或 [backfill] share 以容纳 {needed}，或缩短 [backfill] retention。",
    ),
    "said.plan_closed": (
        "Closed months in it: {months}. Their documents are refused without --closed --reason.",
        "其中已封账月份：{months}；未给出 --closed --reason 时，这些月份的文档将被拒绝。",
    ),
    "said.plan_cost": (
        "planned with {statements} statements in {seconds:.1f} s",
        "估算用了 {statements} 条语句、{seconds:.1f} 秒",
    ),
    "said.say_yes": ("this is large: look at the plan and say --yes", "数据量较大：请查看估算并加 --yes"),
    "said.begin": ("Begin?", "开始吗？"),
    "said.backfill_begun": (
        "Backfill {number} has begun (frontend-agent backfill show {number}).",
        "补采任务 {number} 已开始（frontend-agent backfill show {number}）。",
    ),
    "said.backfill_goes_on": (
        "Backfill {number} goes on in the daemon (frontend-agent backfill stop {number}).",
        "补采任务 {number} 由服务继续执行（frontend-agent backfill stop {number} 可停止）。",
    ),
    "said.backfill_later": (
        "Not done yet: the next run, or backfill resume {number}, goes on from here.",
        "尚未完成：下次 run 或 backfill resume {number} 从此处继续。",
    ),
    "said.backfill_stopped": ("Backfill {number} is stopped.", "补采任务 {number} 已停止。"),
    "said.backfill_as_it_was": (
        "Backfill {number} does not stand so that this changes anything.",
        "补采任务 {number} 的状态无需更改。",
    ),
    "said.backfill_bar": (
        "{rows:,} rows · {documents:,} documents · {pace:,.0f} rows/s",
        "{rows:,} 行 · {documents:,} 份文档 · {pace:,.0f} 行/秒",
    ),
    "said.backfill": (
        "backfill {number} of {feed}: {low} … {high}, by {who}",
        "补采任务 {number}，数据流 {feed}：{low} … {high}，{who}",
    ),
    "said.backfill_state": (
        "{state}, {part:.1f} % (all before {reached} is done)",
        "{state}，{part:.1f} %（{reached} 之前已完成）",
    ),
    "said.backfill_waits": ("waits for: {waiting}", "等待：{waiting}"),
    "said.backfill_left": ("about {left} of work left, {days:.1f} days", "约剩工作 {left}，{days:.1f} 天"),
    "said.backfill_status": ("backfill {number} of {feed}: {part:.1f} %", "补采任务 {number}（{feed}）：{part:.1f} %"),
    "unit.days": ("days", "天"),
    "unit.hours": ("hours", "小时"),
    "unit.minutes": ("minutes", "分钟"),
    "unit.seconds": ("seconds", "秒"),
    "head.part": ("part", "部分"),
    "head.rows": ("rows", "行数"),
    "head.how": ("how it is known", "依据"),
    "head.begin": ("from", "起"),
    "head.end": ("to", "止"),
    "head.left": ("left", "剩余"),
    "head.backfill_keys": ("rows read", "已读行数"),
    "head.backfill_documents": ("documents", "文档"),
    "head.backfill_unchanged": ("there already", "已存在"),
    "head.backfill_held": ("held", "扣留"),
    "head.backfill_refused": ("of closed months, not sent", "已封账，未发送"),
    "head.backfill_others": ("not final, withheld or waiting", "未终结、不外发或等待"),
    # -- closing
    "closing": (
        "Closed months (封账): nothing of them is sent again, unless somebody says so and why.",
        "封账：已封账月份的文档不再补传，除非有人说明原因并明确同意。",
    ),
    "closing.list": (
        "Who closed or opened which month, when and why, and how many documents were made of it since.\n\n"
        "Example: frontend-agent closing list",
        "何人、何时、为何封账或解封，以及封账后仍产生的文档数。\n\n示例：frontend-agent closing list",
    ),
    "closing.close": (
        "Close a month that is over: backfill, resend and release refuse its documents. What the source corrects by itself "
        "still goes in real time, and is counted.\n\nExample: frontend-agent closing close 2026-10",
        "将已结束的月份封账：补采、补传与放行均拒绝该月文档；来源自行更正的内容仍实时上传，并计数。\n\n"
        "示例：frontend-agent closing close 2026-10",
    ),
    "closing.open": (
        "Open a closed month again; the reason goes into the quality log.\n\n"
        'Example: frontend-agent closing open 2026-10 --reason "missing rows, ticket 4711"',
        '解除封账；原因记入质控日志。\n\n示例：frontend-agent closing open 2026-10 --reason "missing rows, ticket 4711"',
    ),
    "closing.month": ("The month, for example 2026-10.", "月份，例如 2026-10。"),
    "closing.closed": ("closed", "封账"),
    "closing.opened": ("opened", "解封"),
    "said.month_closed": (
        "{month} is closed; its documents are sent again only with --closed --reason.",
        "{month} 已封账；其文档仅在使用 --closed --reason 时才能重新发送。",
    ),
    "said.month_opened": ("{month} is open again.", "{month} 已解除封账。"),
    "said.month_as_it_was": ("{month} is so already; nothing was changed.", "{month} 原本如此，未作更改。"),
    "said.release_closed": (
        "{cases:,} are of closed months and stay held (--closed --reason lets them go).",
        "{cases:,} 条属于已封账月份，仍予扣留（使用 --closed --reason 可放行）。",
    ),
    "said.closed_months": ("closed months: {months}", "已封账月份：{months}"),
    # -- schedules
    "said.silent": (
        "{feed}: nothing new since {since}, longer than its silence allows",
        "{feed}：自 {since} 起没有新数据，已超过允许的静默时间",
    ),
    "said.calendar_missing": (
        "The calendar of holidays does not cover {years}: enter that year's holidays and shifted working days (调休).",
        "节假日日历未覆盖 {years} 年：请录入该年的节假日与调休。",
    ),
    "qc.silence": (
        "Alarms about feeds from which nothing new came for longer than their silence allows.\n\n"
        "Example: frontend-agent qc silence --days 7",
        "数据流静默告警：超过允许时间没有新数据。\n\n示例：frontend-agent qc silence --days 7",
    ),
    "qc.silence.days": ("So many days back.", "回看天数。"),
    "head.silent_since": ("nothing new since", "最近一次新数据"),
    "head.told": ("told", "告警"),
    "head.over": ("over", "解除"),
    "head.month": ("month", "月份"),
    "head.late": ("made since", "封账后产生"),
}
