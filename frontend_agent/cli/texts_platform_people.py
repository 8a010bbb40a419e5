"""What the command line says about the people of a platform: (English, 简体中文). See `texts.py`."""

PLATFORM_PEOPLE_TEXTS: dict[str, tuple[str, str]] = {
    "platform.people_at": (
        "Serve the pages to people over the network here, by TLS and with a login: ADDRESS:PORT (platform people add). May be"
        " repeated. Certificate: --people-certificate and --people-key; without them that of the platform's own authority, for --name.",
        "在此地址通过 TLS 向网络上的人员提供页面，须登录：地址:端口（platform people add）。可重复。"
        "证书：--people-certificate 与 --people-key；不给时用平台自己的 CA 为 --name 签发的证书。",
    ),
    "platform.people_certificate": (
        "PEM file of the certificate that browsers are shown, with its chain.",
        "出示给浏览器的证书及证书链（PEM）。",
    ),
    "platform.people_key": ("PEM file of its private key.", "其私钥（PEM）。"),
    "platform.people": ("Who may log in at the platform's pages over the network.", "谁可以通过网络登录平台页面。"),
    "platform.people.add": (
        "Make an account. The password is asked for, or read from standard input; the secret of one-time codes is shown once.\n\n"
        "Example: frontend-agent platform people add 王芳 --role reader",
        "建立账号。密码在提示后输入或从标准输入读取；一次性验证码的密钥只显示一次。\n\n"
        "示例：frontend-agent platform people add 王芳 --role reader",
    ),
    "platform.people.password": (
        "Give somebody a new password and new codes; what he has open ends.",
        "重设密码与验证码；其已有登录立即失效。",
    ),
    "platform.people.remove": ("Take an account away; what he has open ends.", "删除账号；其已有登录立即失效。"),
    "platform.people.list": ("The accounts, their roles, and who uses one-time codes.", "账号、角色、是否使用验证码。"),
    "platform.people.name": ("The person's name.", "姓名。"),
    "platform.people.role": (
        "reader (documents and images of patients), quality (hospitals and how they stand), administrator (the same, and who"
        " looked at what). Only a reader sees patients.",
        "reader（患者文书与影像）、quality（医疗机构及其运行状况）、administrator（同上，另可看查阅记录）。只有 reader 能看患者资料。",
    ),
    "platform.people.no_code": (
        "Without one-time codes; not for an administrator.",
        "不使用一次性验证码；administrator 不可。",
    ),
    "said.platform_people.no_role": (
        "--role {role}: no such role ({roles}).",
        "--role {role}：没有此角色（{roles}）。",
    ),
    "said.platform_people.there": (
        "{name} has an account already (platform people password gives a new password).",
        "{name} 已有账号（platform people password 可重设密码）。",
    ),
    "said.platform_people.no_name": (
        "a name has 1 to 100 printable characters, and no space around it",
        "姓名为 1 至 100 个可见字符，首尾不得有空格",
    ),
    "said.platform_people.unknown": (
        "{name}: no such account (platform people list).",
        "{name}：没有此账号（platform people list）。",
    ),
    "said.platform_people.needs_code": (
        "an administrator always has one-time codes: leave out --no-code",
        "administrator 必须使用一次性验证码：请去掉 --no-code",
    ),
    "said.platform_people.weak": ("this password is not taken: {why}", "密码不符合要求：{why}"),
    "said.platform_people.kept": (
        "{name} ({role}) has a password. Secret of the one-time codes, shown this once:\n  {secret}\n  {uri}",
        "{name}（{role}）的密码已设。一次性验证码密钥，仅此一次显示：\n  {secret}\n  {uri}",
    ),
    "said.platform_people.kept_no_code": (
        "{name} ({role}) has a password, and no one-time codes.",
        "{name}（{role}）的密码已设，不使用一次性验证码。",
    ),
    "said.platform_people.removed": ("{name} has no account any more.", "{name} 的账号已删除。"),
    "said.platform_people.no_platform": (
        "{folder}: no platform has run there (--state, or platform serve first)",
        "{folder}：此处没有运行过平台（用 --state 指定，或先运行 platform serve）",
    ),
    "head.one_time_codes": ("One-time codes", "验证码"),
}
