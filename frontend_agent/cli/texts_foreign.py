"""What the command line says about destinations that are not our platform: (English, 简体中文). See `texts.py`."""

FOREIGN_TEXTS: dict[str, tuple[str, str]] = {
    "receipts": (
        "What the destinations answered, document by document. 'accepted' is a yes that proves no storage; 'confirmed' was "
        "said later.\n\nExample: frontend-agent receipts --destination region",
        "各目的地对每份文档的回执。accepted：已接受未证实；confirmed：事后证实。\n\n示例：frontend-agent receipts --destination region",
    ),
    "receipts.confirm": (
        "The destination has these documents, somebody who asked there says: accepted becomes delivered.\n\n"
        'Example: frontend-agent receipts confirm region DOCUMENT… --reason "seen in their portal, Wang"',
        "经向对方核实，文档已入库：由“已接受未证实”转为“已送达”。\n\n"
        '示例：frontend-agent receipts confirm region DOCUMENT… --reason "王工在其门户核实"',
    ),
    "receipts.reopen": (
        "The destination does not have these documents: the same bytes go again, or wait for a person.\n\n"
        'Example: frontend-agent receipts reopen region DOCUMENT… --reason "lost in their migration"',
        "对方没有这些文档：原样重发，或转待人工处理。\n\n"
        '示例：frontend-agent receipts reopen region DOCUMENT… --reason "对方迁移时丢失"',
    ),
    "receipts.documents": ("Documents, by their ids.", "文档标识。"),
    "receipts.who": ("Who says so.", "核实人。"),
    "receipts.reason": ("Why: it is kept in the log.", "原因，记入质量日志。"),
    "receipts.refused": ("They wait for a person instead of going again.", "不重发，转待人工处理。"),
    "registrations": (
        "Patients, institutions and staff that documents wait for, where these go first.",
        "先注册后上传：文档所等待的患者、机构、人员注册。",
    ),
    "registrations.list": (
        "What is waited for, the longest first.\n\nExample: frontend-agent registrations list --destination region",
        "正在等待的注册，时间最长者在前。\n\n示例：frontend-agent registrations list --destination region",
    ),
    "registrations.known": (
        "The destination knows these by another way than ours: what waits for them goes.\n\n"
        'Example: frontend-agent registrations known region institution:91350100M000100Y43 --reason "entered by their operator"',
        "对方已通过其他途径注册：等待它们的文档即可发送。\n\n"
        '示例：frontend-agent registrations known region institution:91350100M000100Y43 --reason "平台方已录入"',
    ),
    "registrations.names": ("Registrations, like patient:0012345.", "注册，如 patient:0012345。"),
    "head.accepted": ("accepted, unproven", "已接受未证实"),
    "head.release_accepted": ("of them accepted, unproven", "其中已接受未证实"),
    "said.release_overtaken": (
        "Not sent, because a newer version may be there already: {cases}. Discard them: frontend-agent quarantine discard",
        "未发送，对方可能已有更新版本：{cases}。可执行 frontend-agent quarantine discard 丢弃",
    ),
    "head.waits_for": ("waits for registrations", "等待注册"),
    "head.registration": ("registration", "注册"),
    "said.confirmed": (
        "confirmed: {confirmed} (unchanged: {unchanged})",
        "已证实：{confirmed} 份（未变：{unchanged} 份）",
    ),
    "said.reopened": (
        "go again: {again}; wait for a person: {refused}; read again, their bytes are no longer kept: {made_again}; "
        "unchanged: {unchanged}",
        "重发：{again} 份；待人工：{refused} 份；原文已过保存期、重新读取：{made_again} 份；未变：{unchanged} 份",
    ),
    "said.registered": (
        "known there now: {known}; documents that go: {let_go}",
        "新认定：{known} 项；可发送文档：{let_go} 份",
    ),
    "said.unproven": (
        "{name}: {accepted} documents are accepted, unproven: delivered is only what a later answer or a person confirms",
        "{name}：{accepted} 份文档已接受未证实；须由对方后续答复或人工证实后才算送达",
    ),
    "said.unread": (
        "{name}: {unread} documents were sent at least five times and never got an answer that [answer] understands: "
        "compare its patterns with what the platform answers",
        "{name}：{unread} 份文档已发送五次以上仍无可识别的答复，请对照平台实际答复核对 [answer] 的判定规则",
    ),
    "said.awaiting": (
        "{name}: {awaiting} documents wait for {registrations} registrations, since {since}: {wanted}",
        "{name}：{awaiting} 份文档等待 {registrations} 项注册，自 {since}：{wanted}",
    ),
    "said.impatient": (
        "{name}: registrations do not come; see: frontend-agent registrations list --destination {name}",
        "{name}：注册迟迟未到，请查看：frontend-agent registrations list --destination {name}",
    ),
}
