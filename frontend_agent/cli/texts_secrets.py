"""What the command line says about secrets: (English, 简体中文). See `texts.py`."""

SECRETS_TEXTS: dict[str, tuple[str, str]] = {
    "secret": (
        "Passwords, tokens and keys that agent.toml names and never holds: keep one, list them, try them.",
        "agent.toml 中只写名称、从不写内容的密码、令牌与密钥：保存、列出、试用。",
    ),
    "secret.set": (
        "Keep a secret in the best place this machine has: encrypted by systemd, the Windows Credential Locker, or (with --in file)"
        " a file of mode 0600. The value is typed twice, or read from standard input; it is never an argument.\n\n"
        "Example: frontend-agent secret set his_password",
        "把密钥保存到本机最合适的位置：由 systemd 加密，或 Windows 凭据管理器，或（加 --in file）权限 0600 的文件。"
        "内容须键入两次，或取自标准输入，绝不写在命令行参数中。\n\n示例：frontend-agent secret set his_password",
    ),
    "secret.list": (
        "Which secrets agent.toml names, where each is found, and which are missing. Shows no value. Exit 78 if one is missing.",
        "列出 agent.toml 引用的密钥、各自所在位置以及缺失的密钥。不显示内容。有缺失时退出码为 78。",
    ),
    "secret.test": (
        "Try each secret where it is used: log in at the source, ask the destination or the system behind an inlet.",
        "在使用处逐一试用密钥：登录来源，访问目的地或接入口对应的系统。",
    ),
    "secret.name": ("Its name, as agent.toml has it.", "名称，与 agent.toml 中一致。"),
    "secret.test_name": ("Only this one.", "只试用这一个。"),
    "secret.in": (
        "Keep it there, and nowhere else: systemd, keyring or file.",
        "指定保存位置：systemd、keyring 或 file。",
    ),
    "secret.random": (
        "Make the value here: 32 random bytes in base64. It is shown nowhere; keep a copy of the place, or of the key, as your"
        " rules say.",
        "在此随机生成内容：32 字节，以 base64 表示。不显示；请按本单位规定备份其保存位置或密钥。",
    ),
    "said.secret_type": ("{name}: ", "{name}："),
    "said.secret_type_again": ("Once more: ", "再次输入："),
    "said.secret_differs": ("the two are not the same", "两次输入不一致"),
    "said.secret_empty": ("nothing was given, or more than {most} characters", "没有内容，或超过 {most} 个字符"),
    "said.secret_kept": ("{name} is kept: {place}", "{name} 已保存：{place}"),
    "said.secret_passed_over": ("not in {place}: {problem}", "未使用 {place}：{problem}"),
    "said.secret_next": ("Now run: {command}", "接着执行：{command}"),
    "said.secret_unused": ("agent.toml names no secret {name}", "agent.toml 中没有引用密钥 {name}"),
    "said.secret_missing": ("missing", "缺失"),
    "said.secret_works": ("works", "可用"),
    "said.secret_found": ("found; nothing to try it at", "已找到；无可试用之处"),
    "said.secret_fails": ("fails", "失败"),
    "head.secret": ("secret", "密钥"),
    "head.found_in": ("found in", "所在位置"),
    "head.used_at": ("used at", "使用处"),
    "head.result": ("result", "结果"),
    "at_rest": (
        "Encryption of the state directory: how it stands, another key, another secret.",
        "状态目录的加密：现状、更换密钥、更换口令密钥。",
    ),
    "at_rest.status": (
        "What agent.toml wants, and how many files lie under which key. Needs no secret.",
        "agent.toml 的要求，以及各密钥下的文件数。无需密钥内容。",
    ),
    "at_rest.rekey": (
        "Write everything anew under a new key. The daemon must be stopped; what is killed in between goes on when it is started again.",
        "用新密钥重新加密全部内容。须先停止守护进程；中途被终止，下次启动时继续。",
    ),
    "at_rest.secret": (
        "Let another secret open the state, too; then name it in agent.toml ([at_rest] key): from then on it alone does.",
        "让另一个密钥也能打开状态目录；随后在 agent.toml 的 [at_rest] key 中写上它，此后只认它。",
    ),
    "said.at_rest": ("suite {suite} · secret {secret}", "算法套件 {suite} · 密钥名称 {secret}"),
    "said.at_rest_plain": (
        "{folder}/: {files} files lie plain, for people to take away: they name no patient",
        "{folder}/：{files} 个文件为明文，供人员取用，不含患者信息",
    ),
    "said.at_rest_running": (
        "{state}: the daemon is running; stop it first (systemctl stop frontend-agent)",
        "{state}：守护进程正在运行，请先停止（systemctl stop frontend-agent）",
    ),
    "said.at_rest_rekeyed": ("{files} files have a new key.", "{files} 个文件已改用新密钥。"),
    "said.at_rest_admitted": (
        'Now write [at_rest] key = "{name}" in agent.toml and restart the service.',
        '请在 agent.toml 中写 [at_rest] key = "{name}"，并重启服务。',
    ),
    "head.key_id": ("key", "密钥"),
    "head.suite": ("suite", "算法套件"),
    "head.files": ("files", "文件数"),
}
