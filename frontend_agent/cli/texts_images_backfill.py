"""The texts of `images backfill`: a part of the table in texts.py."""

IMAGES_BACKFILL_TEXTS: dict[str, tuple[str, str]] = {
    "images.backfill": (
        "Studies of the past, fetched from a PACS behind everything that is new.\n\n"
        "Examples: frontend-agent images backfill begin --from 2020-01-01 --to 2025-12-31 · frontend-agent images backfill list",
        "补采影像：在实时影像之后，从 PACS 取回一段历史检查。\n\n"
        "示例：frontend-agent images backfill begin --from 2020-01-01 --to 2025-12-31 · frontend-agent images backfill list",
    ),
    "images.backfill.begin": (
        "Begin: all studies of these days, from the newest to the oldest. The daemon works on it; without one this command does. It goes on after a restart.",
        "开始补采这些日期的全部检查，从新到旧。由守护进程执行；没有守护进程时由本命令执行。重启后接着进行。",
    ),
    "images.backfill.wait": (
        "With a daemon: watch it until it is done. Without one: do the work here (--no-wait: leave it to the next run).",
        "有守护进程时：看着它直到完成；没有时：在本命令中执行（--no-wait：留给下次运行）。",
    ),
    "said.images_backfill_bar": (
        "down to {reached} · {studies:,} studies, {wanted:,} not here, {waiting:,} to fetch",
        "已到 {reached} · 检查 {studies:,} 个，缺少 {wanted:,} 个，待取 {waiting:,} 个",
    ),
    "said.images_backfill_daemon": (
        "The daemon goes on with it: frontend-agent images backfill list",
        "守护进程继续执行：frontend-agent images backfill list",
    ),
    "said.images_backfill_later": (
        "It is not done: the next run goes on with it, or frontend-agent images backfill resume --inlet {inlet}.",
        "尚未完成：下次运行时接着进行，或执行 frontend-agent images backfill resume --inlet {inlet}。",
    ),
    "images.backfill.list": ("How far each backfill is.", "查看各补采的进度。"),
    "images.backfill.stop": (
        "Ask for no more of it; what is wanted already is still fetched.",
        "停止补采；已列入待取的检查仍会取回。",
    ),
    "images.backfill.resume": ("Go on where it was.", "从停下的地方继续。"),
    "images.backfill.from": ("The first day of studies: yyyy-mm-dd.", "检查的起始日期：yyyy-mm-dd。"),
    "images.backfill.to": ("The last day of studies: yyyy-mm-dd.", "检查的截止日期：yyyy-mm-dd。"),
    "images.backfill.inlet": (
        "The inlet whose PACS is asked; need not be said where only one can ask.",
        "向哪个接入的 PACS 查询；只有一个时可以省略。",
    ),
    "images.backfill.running": ("running", "进行中"),
    "images.backfill.stopped": ("stopped", "已停止"),
    "images.backfill.done": ("done", "已完成"),
    "head.walked": ("walked", "已遍历"),
    "head.walked_to": ("down to", "已到"),
    "head.questions": ("queries", "查询次数"),
    "head.studies": ("studies", "检查数"),
    "head.studies_wanted": ("not here", "缺少"),
    "head.studies_waiting": ("to fetch", "待取"),
    "head.pacs_inlet": ("inlet", "接入"),
}
