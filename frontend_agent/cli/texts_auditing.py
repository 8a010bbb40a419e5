"""What `program audit` says: (English, 简体中文). See `texts.py`."""

AUDITING_TEXTS: dict[str, tuple[str, str]] = {
    "program.audit": (
        "Known weaknesses of what the program is made of, by advisories in OSV's format that somebody carried here."
        " Exit 1 where one is found.\n\nExample: frontend-agent program audit --advisories /media/usb/osv",
        "按带来的 OSV 格式漏洞公告核对程序的全部组件；发现已知漏洞时退出码为 1。\n\n"
        "示例：frontend-agent program audit --advisories /media/usb/osv",
    ),
    "audit.advisories": (
        "Folder of advisories: .json files, or the .zip of an ecosystem (PyPI, Debian) as OSV hands it out.",
        "公告目录：.json 文件，或 OSV 按生态（PyPI、Debian）提供的 .zip。",
    ),
    "audit.bill": (
        "Another bill of materials (CycloneDX) or a lock file; default: that of the running program.",
        "另一份物料清单（CycloneDX）或锁定文件；默认：当前程序自带的清单。",
    ),
    "audit.except": (
        "TOML file of what may stay, until when and why: [[except]] advisory, reason, until, package.",
        "允许保留的漏洞（TOML）：[[except]] 的 advisory、reason、until、package。",
    ),
    "audit.most_days": (
        "Exit 1, too, where the newest advisory is older than so many days (0: however old).",
        "最新公告早于此天数时也以退出码 1 结束（0：不限）。",
    ),
    "said.audit.looked": (
        "{parts} parts held against {advisories} advisories; the newest of them is of {newest} ({days} days ago):"
        " what became known since is not looked for.",
        "已按 {advisories} 条公告核对 {parts} 个组件；最新公告日期 {newest}（{days} 天前），此后公布的漏洞未核对。",
    ),
    "said.audit.too_old": (
        "The advisories are {days} days old, and at most {most} are wanted: carry newer ones here.",
        "公告已有 {days} 天，超过允许的 {most} 天：请带来更新的公告。",
    ),
    "said.audit.none": ("No known weakness.", "未发现已知漏洞。"),
    "said.audit.not_fixed": ("none yet", "尚无"),
    "said.audit.excepted": (
        "{package}: {advisory} may stay until {until}: {reason}",
        "{package}：{advisory} 允许保留至 {until}：{reason}",
    ),
    "said.audit.lapsed": ("The exception {rule} is over.", "例外 {rule} 已到期。"),
    "said.audit.unneeded": ("The exception {rule} is needed by nothing: take it out.", "例外 {rule} 已无用，请删除。"),
    "head.package": ("package", "组件"),
    "head.advisory": ("advisory", "公告"),
    "head.fixed_in": ("fixed in", "修复版本"),
}
