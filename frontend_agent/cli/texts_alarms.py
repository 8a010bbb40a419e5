"""Texts of `frontend-agent alarms` and `status --check`, in English and 简体中文."""

ALARMS_TEXTS: dict[str, tuple[str, str]] = {
    "alarms": (
        "What is wrong now, what was, and who is told of it.",
        "告警：当前存在的问题、历史，以及通知对象。",
    ),
    "alarms.list": (
        "What is wrong now, the worst first: what it is, why that happens, and the mend.",
        "当前的告警，最严重的在前：问题、原因与处理办法。",
    ),
    "alarms.history": (
        "What began and ended, the newest first.\n\n"
        "Examples: frontend-agent alarms history · frontend-agent alarms history --kind source --subject his",
        "告警的开始与结束，最新的在前。\n\n"
        "示例：frontend-agent alarms history · frontend-agent alarms history --kind source --subject his",
    ),
    "alarms.kind": ("Of this kind only (see the guide of alarms).", "仅此类告警（见告警指南）。"),
    "alarms.subject": (
        "About this feed, source, destination … only.",
        "仅关于该数据流、来源、目的地等的告警。",
    ),
    "alarms.mute": (
        "Tell nobody of these alarms for a while: they are judged, listed and logged all the same. Without --kind and "
        "--subject: of none at all.\n\n"
        "Example: frontend-agent alarms mute --kind source --subject his --for 2h --reason 'storage migration'",
        "一段时间内不通知这些告警：仍会判断、列出并记录。不写 --kind 与 --subject 表示全部。\n\n"
        "示例：frontend-agent alarms mute --kind source --subject his --for 2h --reason 存储迁移",
    ),
    "alarms.for": ("For so long (default: until unmute).", "持续时间（默认：直到 unmute）。"),
    "alarms.reason": ("Why: written in the quality log.", "原因：写入质控日志。"),
    "alarms.unmute": (
        "Tell of them again: one mute by its number, or all of a kind or subject, or all.",
        "恢复通知：按编号恢复一条，或某类、某对象的全部，或所有。",
    ),
    "alarms.number": ("The mute's number (alarms list).", "静音编号（见 alarms list）。"),
    "alarms.test": (
        "Send a test message to who is told (mail, webhooks), and say how each answered. Exit 1 if one did not take it.",
        "向各通知渠道（邮件、webhook）发送测试消息并报告结果。任一渠道未接收则退出码为 1。",
    ),
    "alarms.channel": ("Only this one (default: all).", "仅此渠道（默认：全部）。"),
    "status.check": (
        "One line for a monitoring system (Nagios, Zabbix), and its exit code: 0 all is well, 1 warning, 2 critical, 3 it "
        "cannot be said.",
        "为监控系统（Nagios、Zabbix）输出一行，并以退出码表示：0 正常，1 警告，2 严重，3 无法判断。",
    ),
    "said.no_alarms": ("No alarm.", "没有告警。"),
    "said.alarm_since": ("since {since}", "自 {since}"),
    "said.alarm_muted": ("nobody is told: {reason}", "不通知：{reason}"),
    "said.cause": ("cause: {text}", "原因：{text}"),
    "said.mend": ("mend: {text}", "处理：{text}"),
    "said.muted": ("Nobody is told of these any more (mute {id}){until}.", "已静音（编号 {id}）{until}。"),
    "said.muted_until": (" until {until}", "，至 {until}"),
    "said.unmuted": ("{ended} mutes ended.", "已结束 {ended} 条静音。"),
    "said.mute_line": (
        "mute {id}: {kind} {subject}, {who}: {reason}{until}",
        "静音 {id}：{kind} {subject}，{who}：{reason}{until}",
    ),
    "said.alarm_channel": ("{name} ({type}): {problem}", "{name}（{type}）：{problem}"),
    "said.no_channels": (
        "Nobody is told: agent.toml has neither [alarms.mail.NAME] nor [alarms.webhooks.NAME].",
        "没有通知对象：agent.toml 中没有 [alarms.mail.NAME] 或 [alarms.webhooks.NAME]。",
    ),
    "level.warning": ("WARNING", "警告"),
    "level.critical": ("CRITICAL", "严重"),
    "head.level": ("level", "级别"),
    "head.alarm": ("alarm", "告警"),
    "head.began": ("began", "开始"),
    "head.ended": ("ended", "结束"),
    "head.heartbeat": ("last heartbeat", "最近心跳"),
    "head.channel": ("channel", "渠道"),
}
