"""What the command line says about records that are no longer at their source: (English, 简体中文). See `texts.py`."""

VANISHED_TEXTS: dict[str, tuple[str, str]] = {
    "vanished": (
        "Records that were reported and are no longer at their source.",
        "已上报但在来源中找不到的记录。",
    ),
    "vanished.list": (
        "Feeds that stand still because too many are gone at once, and what is held for it.\n\n"
        "Example: frontend-agent vanished list --feed lab",
        "因一次消失过多而停止的数据流，以及因此暂存的记录。\n\n示例：frontend-agent vanished list --feed lab",
    ),
    "vanished.accept": (
        "They are gone indeed: the feed goes on, and each of them is held for a decision of its own.\n\n"
        'Example: frontend-agent vanished accept lab --reason "moved to the archive by the vendor"',
        "确已不在来源：数据流继续运行，逐条暂存待处理。\n\n"
        '示例：frontend-agent vanished accept lab --reason "厂商已迁入归档库"',
    ),
    "vanished.look_again": (
        "The source was mended: the feed looks for all of them again.\n\n"
        "Example: frontend-agent vanished look-again lab",
        "来源已修复：数据流重新查找全部记录。\n\n示例：frontend-agent vanished look-again lab",
    ),
    "vanished.void": (
        "These records are void indeed: a void version replaces what the region has.\n\n"
        'Example: frontend-agent vanished void Q17 --reason "entered twice, Dr Li"',
        "这些记录确已作废：向区域发送作废版本替换原文书。\n\n"
        '示例：frontend-agent vanished void Q17 --reason "重复录入，李主任确认"',
    ),
    "said.vanished_stopped": (
        "{feed} stands still: {count} keys are gone at once (at most {most} pass): accept or look-again",
        "数据流 {feed} 已停止：一次消失 {count} 条（上限 {most}）；请执行 accept 或 look-again",
    ),
    "said.vanished_accepted": (
        "{feed}: {count} keys are gone (at most {most} pass); accepted by {who}, held with the next run",
        "数据流 {feed}：消失 {count} 条（上限 {most}），{who} 已确认，下次运行时逐条暂存",
    ),
    "said.vanished_decided": ("{feed} goes on with its next run", "数据流 {feed} 将在下次运行时继续"),
    "said.vanished_not_stopped": (
        "{feed} does not stand still; nothing was changed",
        "数据流 {feed} 并未停止，未作更改",
    ),
    "said.vanished_voided": ("declared void: {cases}", "已作废：{cases}"),
}
