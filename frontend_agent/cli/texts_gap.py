"""What the command line says about an agent in two halves across a gap: (English, 简体中文). See `texts.py`."""

GAP_TEXTS: dict[str, tuple[str, str]] = {
    "gap": (
        "An agent in two halves across a gap (网闸) that passes nothing but files: keys, pairing, how it stands.",
        "网闸两侧的前置机（只摆渡文件）：密钥、配对、运行情况。",
    ),
    "gap.keys": (
        "The public keys of this half, made the first time, and the fingerprint that the other half's administrator compares.\n\n"
        "Example: frontend-agent gap keys --write inner.keys",
        "本侧的公钥（首次执行时生成）及供另一侧管理员核对的指纹。\n\n示例：frontend-agent gap keys --write inner.keys",
    ),
    "gap.write": (
        "Write the public keys into this file, to be brought to the other half.",
        "把公钥写入该文件，带到另一侧。",
    ),
    "gap.pair": (
        "Take the other half's public keys, after its fingerprint was compared: only bundles signed by them are taken from then on."
        " Restart the service afterwards.\n\nExample: frontend-agent gap pair outer.keys",
        "登记另一侧的公钥；须先核对指纹，此后只接收由其签名的数据包。完成后请重启服务。\n\n示例：frontend-agent gap pair outer.keys",
    ),
    "gap.pair_file": ("What `gap keys --write` wrote at the other half.", "另一侧由 `gap keys --write` 写出的文件。"),
    "gap.fingerprint": (
        "The fingerprint as the other half shows it; asked for without this option.",
        "另一侧显示的指纹；未给出时会询问。",
    ),
    "gap.status": (
        "Both directions: numbers sent and received, what is missing, the oldest that waits, the last bundle that came. Exit 1 where"
        " something is wrong.",
        "两个方向的情况：已发出与已收到的编号、缺失编号、等待最久的、最近收到的。有异常时退出码为 1。",
    ),
    "gap.restart": (
        "Begin another life of the line, after it was stopped by a number with other bytes, or a half was restored from a copy:"
        " all that was on its way goes again, and has no second effect.",
        "重新开始编号：用于同一编号出现不同内容而停止之后，或一侧由备份恢复之后。在途内容全部重发，不会产生重复效果。",
    ),
    "gap.outer": (
        "The outer half, in the foreground, as `run` does where agent.toml says that this is the outer half: takes bundles from the folder, puts their requests to the platform, lays the answers down."
        ' Its agent.toml has [gap] role = "outer" and the platform, and nothing else.',
        '在前台运行外侧：从文件夹取数据包，向平台提交请求，并写回应答。其 agent.toml 只需 [gap] role = "outer" 与平台。',
    ),
    "gap.asked": ("The fingerprint that the other half shows", "请输入另一侧显示的指纹"),
    "said.gap_is_outer": (
        'agent.toml: [gap] role = "outer": this is the outer half, it reads nothing: frontend-agent run runs it',
        'agent.toml：[gap] role = "outer"：本机为外侧，不读取数据，请执行 frontend-agent run',
    ),
    "said.gap_is_not_outer": (
        'agent.toml: [gap] role is not "outer": the inner half is run by frontend-agent run',
        'agent.toml：[gap] role 不是 "outer"：内侧由 frontend-agent run 运行',
    ),
    "said.gap_keys": ("{role} half, fingerprint {fingerprint}", "{role} 侧，指纹 {fingerprint}"),
    "said.gap_written": ("public keys written: {file}", "公钥已写入：{file}"),
    "said.gap_exists": ("{file} is there already", "{file} 已存在"),
    "said.gap_other_fingerprint": (
        "the file's fingerprint is {fingerprint}, and not the one that was given: nothing was paired",
        "文件指纹为 {fingerprint}，与所给不符：未配对",
    ),
    "said.gap_running": (
        "{state}: the service is running; stop it, pair, and start it again",
        "{state}：服务正在运行；请停止服务，配对后再启动",
    ),
    "said.gap_paired": ("paired with {fingerprint}; start the service", "已与 {fingerprint} 配对；请启动服务"),
    "said.gap_anew": (
        "the line begins anew; all that was on its way goes again",
        "已重新开始编号；在途内容全部重发",
    ),
    "said.gap_stopped": ("STOPPED: {why}. frontend-agent gap restart", "已停止：{why}。frontend-agent gap restart"),
    "said.gap_stopped_there": ("the other half takes nothing from us: {why}", "另一侧已停止接收：{why}"),
    "said.gap_silent": (
        "nothing from the other half since {since}, and an answer is due",
        "自 {since} 起未收到另一侧的数据包，且有应答未回",
    ),
    "said.gap_clock": ("the other half's clock is at least {seconds} s off", "另一侧时钟至少相差 {seconds} 秒"),
    "said.gap_folder": ("folder {folder}: {problem}", "文件夹 {folder}：{problem}"),
    "said.gap_line": (
        "gap: sent {sent}, acknowledged {acknowledged}, received {received}, missing {missing}",
        "网闸：已发出 {sent}，已确认 {acknowledged}，已收到 {received}，缺失 {missing}",
    ),
    "said.gap_set_aside": (
        "{count} files were set aside ({folder}/set-aside), each named in the log",
        "{count} 个文件已移至 {folder}/set-aside，逐一记入日志",
    ),
    "head.direction": ("direction", "方向"),
    "head.last": ("last", "最近"),
    "head.unacknowledged": ("not acknowledged", "未确认"),
    "head.oldest": ("oldest", "最早"),
    "head.missing": ("missing", "缺失"),
    "head.parcels": ("on the way", "在途批次"),
    "gap.outward": ("ours", "发出"),
    "gap.inward": ("theirs", "收到"),
}
