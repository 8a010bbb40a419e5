"""The texts of people and their roles: a part of the table in texts.py."""

PEOPLE_TEXTS: dict[str, tuple[str, str]] = {
    "option.why": (
        "For what reason patients' records are looked at; it goes into the quality log.",
        "查看患者内容的原因；记入质控日志。",
    ),
    "qc.verifier": (
        "Print the stand-alone verifier: one readable Python file that checks an exported log anywhere, without this program.\n\n"
        "Example: frontend-agent qc verifier > verify.py",
        "输出独立校验程序：一个可读的 Python 文件，无需本程序即可在任何计算机上校验导出的日志。\n\n"
        "示例：frontend-agent qc verifier > verify.py",
    ),
    "diagnose": (
        "Make a support bundle: versions, configuration, status, counts, log, schema, system. No patient's content, no "
        "secret; what is in it is listed.\n\nExample: frontend-agent diagnose --out bundle.zip",
        "生成支持包：版本、配置、状态、数量、日志、结构与系统信息。不含患者内容与密钥，并列出其内容。\n\n"
        "示例：frontend-agent diagnose --out bundle.zip",
    ),
    "diagnose.out": ("The bundle's file (default: here, by the time).", "支持包文件（默认当前目录，按时间命名）。"),
    "said.diagnosed": (
        "{path}: look into it before you send it; MANIFEST.txt lists what is in it.",
        "{path}：发送前请先查看；MANIFEST.txt 列出全部内容。",
    ),
    "people": (
        "The three administrators (三员): who they are, and who may do what.",
        "三员：系统管理员、安全管理员、审计管理员，以及各自的权限。",
    ),
    "people.list": (
        "The people of agent.toml, each with his account and role.\n\nExample: frontend-agent people list",
        "agent.toml 中的人员及其账户与角色。\n\n示例：frontend-agent people list",
    ),
    "people.me": (
        "Who the agent takes you for, and what you may do.\n\nExample: frontend-agent people me",
        "本前置机识别的当前用户，以及其权限。\n\n示例：frontend-agent people me",
    ),
    "people.acts": (
        "Every act, who may do it, whether it is written into the log, and whether it shows what patients' records say.\n\n"
        "Example: frontend-agent people acts --role audit",
        "全部操作：由谁执行、是否记入日志、是否显示患者内容。\n\n示例：frontend-agent people acts --role audit",
    ),
    "people.role": (
        "Only what this role may: system, security, audit.",
        "仅列出该角色可执行的：system、security、audit。",
    ),
    "head.role.system": ("system administrator", "系统管理员"),
    "head.role.security": ("security administrator", "安全管理员"),
    "head.role.audit": ("audit administrator", "审计管理员"),
    "people.everybody": ("everybody", "所有人"),
    "people.with_reason": ("yes, with --why", "是，需 --why"),
    "people.logged": ("yes", "是"),
    "said.people.none": (
        "No people are configured: whoever may use the service's account is all three administrators at once "
        "([[people.persons]] in agent.toml).",
        "未配置人员：能使用服务账户者同时具有三员的全部权限（agent.toml 的 [[people.persons]]）。",
    ),
    "said.people.me": ("{name} ({account}): {roles}", "{name}（{account}）：{roles}"),
    "said.people.nobody": (
        "{account}: none of the people in agent.toml; may see how it goes, and no more",
        "{account}：不在 agent.toml 的人员之列，仅可查看运行状态",
    ),
    "head.act": ("act", "操作"),
    "head.role": ("role", "角色"),
    "head.account": ("account", "账户"),
    "head.person": ("person", "人员"),
    "head.logged": ("in the log", "记入日志"),
    "head.shows": ("shows patients' records", "显示患者内容"),
}
