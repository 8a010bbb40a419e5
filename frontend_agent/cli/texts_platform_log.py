"""What the command line says of the platform's own log: (English, 简体中文). See `texts.py`."""

PLATFORM_LOG_TEXTS: dict[str, tuple[str, str]] = {
    "platform.log": (
        "What people did on this platform, and when it began and ended: its own chained log, the newest first.\n\n"
        "Example: frontend-agent platform log --state /var/lib/frontend-platform",
        "平台自身的链式日志：人员在平台上的操作，以及平台的启动与停止，最新的在前。\n\n"
        "示例：frontend-agent platform log --state /var/lib/frontend-platform",
    ),
    "platform.log.export": (
        "All of it as JSON lines, as `qc verify FILE` and the stand-alone verifier read them.",
        "以 JSON 行输出全部内容，可由 qc verify FILE 或独立校验程序校验。",
    ),
    "platform.log.verify": (
        "Verify the chain where it lies; exit 1 if it was tampered with.",
        "就地校验链条；被篡改时退出码为 1。",
    ),
    "said.platform_log.none": (
        "{folder}: nothing was ever done or served here; name the platform's folder with --state",
        "{folder}：此处没有平台日志；请用 --state 指明平台目录",
    ),
    "said.platform_log.whole": ("Whole: {entries} entries.", "完整：共 {entries} 条。"),
    "said.platform_log.broken": ("Tampered with at entry {first}: {reason}.", "自第 {first} 条起被篡改：{reason}。"),
}
