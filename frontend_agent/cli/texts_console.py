"""What the command line says about the console and `status --watch`: (English, 简体中文). See `texts.py`."""

CONSOLE_TEXTS: dict[str, tuple[str, str]] = {
    "console": ("The web page of this agent, and who may come in there.", "本机控制台网页，以及谁可以登录。"),
    "console.serve": (
        "Serve the console, as [console] of agent.toml says. The daemon does this by itself.\n\n"
        "Example: frontend-agent console serve",
        "按 agent.toml 的 [console] 提供控制台网页。守护进程会自动执行。\n\n示例：frontend-agent console serve",
    ),
    "console.link": (
        "A link that lets you in at the console, once, within ten minutes.\n\nExample: frontend-agent console link",
        "给出一次性登录链接，十分钟内有效。\n\n示例：frontend-agent console link",
    ),
    "console.people": (
        "The people of agent.toml, and which of them have a password.\n\nExample: frontend-agent console people",
        "列出 agent.toml 中的人员，以及谁已设置口令。\n\n示例：frontend-agent console people",
    ),
    "console.password": (
        "Give somebody a password (asked for, or one line of standard input) and a new secret for one-time codes.\n\n"
        "Example: frontend-agent console password 王芳",
        "为某人设置口令（提示输入，或标准输入一行），并生成新的动态验证码密钥。\n\n"
        "示例：frontend-agent console password 王芳",
    ),
    "console.remove": (
        "Take somebody's password away, and end what he has open.\n\nExample: frontend-agent console remove 王芳",
        "取消某人的口令，并结束其登录。\n\n示例：frontend-agent console remove 王芳",
    ),
    "console.name": ("A person of [people] in agent.toml.", "agent.toml 的 [people] 中的人员。"),
    "console.who": ("Who does this, for the quality log.", "操作人，写入质控日志。"),
    "said.console_ready": ("console ready {address}", "控制台已就绪 {address}"),
    "said.console_no_daemon": (
        "No daemon is running on this state: start it (systemctl start frontend-agent), then make the link.",
        "没有守护进程在运行：先启动（systemctl start frontend-agent），再生成链接。",
    ),
    "said.console_link": (
        "Open it within ten minutes; it lets {name} in once. Whoever has it is {name}: send it to nobody.",
        "请在十分钟内打开；它让 {name} 登录一次。持有链接即为 {name}，请勿转发。",
    ),
    "said.console_password": (
        "{name} may log in. For the authenticator, shown this once:\n  {secret}\n  {uri}",
        "{name} 可以登录。验证器密钥，只显示这一次：\n  {secret}\n  {uri}",
    ),
    "said.console_removed": ("{name} has no password any more.", "{name} 的口令已取消。"),
    "said.console_prompt": ("Password", "口令"),
    "status.watch": ("Go on looking: renewed every second, until q.", "持续显示，每秒更新，按 q 退出。"),
    "head.role": ("role", "角色"),
    "head.password_since": ("password since", "口令设置于"),
}
