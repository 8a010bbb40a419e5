"""The texts of backfill, closing and schedules: a part of the table in texts.py."""

BACKFILL_TEXTS: dict[str, tuple[str, str]] = {
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
    "head.month": ("month", "月份"),
    "head.late": ("made since", "封账后产生"),
}
