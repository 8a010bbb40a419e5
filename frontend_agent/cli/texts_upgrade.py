"""What the command line says about upgrades: (English, 简体中文). See `texts.py`."""

UPGRADE_TEXTS: dict[str, tuple[str, str]] = {
    "upgrade": (
        "Another version of this program: install it on trial, see how it does, confirm it or go back.",
        "升级本程序：试运行新版本、查看情况、确认或退回。",
    ),
    "upgrade.install": (
        "Verify a signed archive (frontend-agent-VERSION-MACHINE.tar.zst), lay it beside the present version, switch, and watch for ten"
        " minutes whether all that worked before works again; else the version before comes back by itself. --offered takes what the"
        " platform offered and the agent has fetched. Needs root.\n\n"
        "Examples: sudo frontend-agent upgrade install frontend-agent-1.2.0-x86_64.tar.zst · sudo frontend-agent upgrade install --offered",
        "核验签名的升级包（frontend-agent-版本-机型.tar.zst），与现版本并存，切换后观察十分钟：原先正常的若不再正常，则自动退回。"
        "--offered 安装平台下发、前置机已取回的升级包。需 root 权限。\n\n"
        "示例：sudo frontend-agent upgrade install frontend-agent-1.2.0-x86_64.tar.zst · sudo frontend-agent upgrade install --offered",
    ),
    "upgrade.file": ("The archive.", "升级包文件。"),
    "upgrade.offered": (
        "What the platform offered and the agent has fetched, instead of a file.",
        "安装平台下发并已取回的升级包，不另给文件。",
    ),
    "upgrade.take": (
        "What the unit frontend-agent-upgrade runs: install what was fetched, if agent.toml lets it be installed by itself now.",
        "由 frontend-agent-upgrade 服务执行：agent.toml 允许此时自动安装时，安装已取回的升级包。",
    ),
    "said.upgrade.file_or_offered": ("Name a file, or --offered.", "请指定文件，或使用 --offered。"),
    "said.upgrade.not_asked": (
        "Whether a platform offers an upgrade the agent alone can say, and it does not answer this account.",
        "平台是否下发升级须由前置机告知，当前账户未得到其答复。",
    ),
    "said.upgrade.offer.offered": (
        "{version} is offered by {by} since {since}; it is not fetched yet. The agent acts.",
        "平台 {by} 自 {since} 起下发 {version}，尚未取回。由前置机处理。",
    ),
    "said.upgrade.offer.fetching": (
        "{version} is offered by {by}; {mb} of {of} MB are here. The agent acts.",
        "平台 {by} 下发 {version}，已取回 {mb} / {of} MB。由前置机处理。",
    ),
    "said.upgrade.offer.waiting": (
        "{version}, offered by {by}, is here and its signature holds. The hospital acts: sudo frontend-agent upgrade install --offered",
        "平台 {by} 下发的 {version} 已取回，签名核验通过。由医院处理：sudo frontend-agent upgrade install --offered",
    ),
    "said.upgrade.offer.due": (
        "{version}, offered by {by}, is here and its signature holds. It is installed by itself in its hours: {hours}.",
        "平台 {by} 下发的 {version} 已取回，签名核验通过，将在规定时段自动安装：{hours}。",
    ),
    "said.upgrade.offer.trial": ("{version} is on trial since {since}.", "{version} 自 {since} 起试运行。"),
    "said.upgrade.offer.returned": (
        "{version} came back at {since}: {reason}. It is not installed again by itself. Whoever made it acts; to try again: sudo frontend-agent upgrade install --offered",
        "{version} 已于 {since} 退回：{reason}。不会再次自动安装，由发布方处理；如需重试：sudo frontend-agent upgrade install --offered",
    ),
    "said.upgrade.offer.refused": (
        "{version} is not taken ({by}): {reason}",
        "不接受 {version}（{by}）：{reason}",
    ),
    "said.upgrade.status": (
        "Upgrade to {version}: {state} (frontend-agent upgrade status)",
        "升级 {version}：{state}（frontend-agent upgrade status）",
    ),
    "said.upgrade.offer.problem": ("Just now: {reason}", "目前：{reason}"),
    "upgrade.watch_for": (
        "Minutes that it is watched before it counts as working.",
        "观察多少分钟后视为正常。",
    ),
    "upgrade.no_wait": (
        "Do not wait for the end: frontend-agent upgrade status tells it.",
        "不等待结束，稍后用 frontend-agent upgrade status 查看。",
    ),
    "upgrade.status": (
        "Which version runs, which are on this machine, what is being tried, and what became of earlier upgrades.",
        "当前版本、本机已有版本、正在试运行的版本以及历次升级的结果。",
    ),
    "upgrade.rollback": (
        "Go back to the version before, now: of a trial, or of what was confirmed. The state stays; nothing is lost. Needs root.",
        "立即退回上一版本（试运行中的或已确认的）。状态数据保留，不丢失任何内容。需 root 权限。",
    ),
    "upgrade.reason": ("Why, for the history.", "原因，记入历史。"),
    "upgrade.confirm": (
        "It works: do not watch it any longer. Needs root.",
        "确认新版本正常，不再观察。需 root 权限。",
    ),
    "upgrade.watch": (
        "What the unit frontend-agent-watch runs: switch, watch, confirm or return. It goes on from wherever it was ended.",
        "由 frontend-agent-watch 服务执行：切换、观察、确认或退回；中断后从断点继续。",
    ),
    "upgrade.schema": (
        "Which schemas of the state this version knows, and the oldest that can read what it writes.",
        "本版本支持的状态库结构版本，以及能读取其数据的最低版本。",
    ),
    "said.upgrade.staged": (
        "{version} is verified and lies beside {before}. It is switched to now and watched for {minutes} minutes.",
        "{version} 已核验并与 {before} 并存，现在切换并观察 {minutes} 分钟。",
    ),
    "said.upgrade.confirmed": ("{version} runs, and what worked before works.", "{version} 运行正常，原先正常的功能均正常。"),
    "said.upgrade.returned": (
        "{version} was taken back; {before} runs again. Why: {reason}",
        "{version} 已退回，现运行 {before}。原因：{reason}",
    ),
    "said.upgrade.returning": ("{version} is taken back; {before} comes again.", "正在退回 {version}，恢复 {before}。"),
    "said.upgrade.trial": (
        "{version} is on trial since {began}; {before} comes back by itself if it does not work.",
        "{version} 自 {began} 起试运行；若不正常将自动恢复 {before}。",
    ),
    "said.upgrade.only_root": (
        "Only root changes the program: sudo frontend-agent upgrade …",
        "更换程序需 root 权限：sudo frontend-agent upgrade …",
    ),
    "said.upgrade.is_running": ("{version} runs. On this machine: {versions}", "当前运行 {version}。本机已有版本：{versions}"),
    "head.before": ("before", "之前版本"),
    "head.outcome": ("outcome", "结果"),
}  # fmt: skip
