"""What the command line says about upgrades that a region offers: (English, 简体中文). See `texts.py`."""

REGION_UPGRADES_TEXTS: dict[str, tuple[str, str]] = {
    "fleet": (
        "Upgrades for the region's hospitals: keep signed packages, offer them, see how far they have come.",
        "面向辖区医院的升级：保存签名升级包、下发、查看各医院进度。",
    ),
    "fleet.add": (
        "Keep a signed archive (frontend-agent-VERSION-MACHINE.tar.zst), one for each kind of machine. Nobody is offered it yet.\n\n"
        "Example: frontend-agent platform upgrades add frontend-agent-1.2.0-x86_64.tar.zst",
        "保存签名的升级包（frontend-agent-版本-机型.tar.zst），每种机型各一个；此时尚未下发。\n\n"
        "示例：frontend-agent platform upgrades add frontend-agent-1.2.0-x86_64.tar.zst",
    ),
    "fleet.key": (
        "Public key (PEM, Ed25519) of the maker, instead of those that this program trusts.",
        "发布方公钥（PEM，Ed25519），替代本程序信任的公钥。",
    ),
    "fleet.list": ("The packages that are here, and whether they are offered.", "已保存的升级包及其下发状态。"),
    "fleet.drop": ("Take the packages of a version away.", "删除某一版本的升级包。"),
    "fleet.version": ("A version.", "版本号。"),
    "fleet.offer": (
        "Offer a version to hospitals, or to more of them. Each decides by itself who installs it; it is tried there, and comes back by"
        " itself if it does not work.\n\n"
        "Examples: frontend-agent platform upgrades offer 1.2.0 --to 470000001 · frontend-agent platform upgrades offer 1.2.0 --percent 10"
        " · frontend-agent platform upgrades offer 1.2.0 --all",
        "向医院下发某一版本，或扩大下发范围。由谁安装由各医院自行决定；安装后试运行，不正常则自动退回。\n\n"
        "示例：frontend-agent platform upgrades offer 1.2.0 --to 470000001 · frontend-agent platform upgrades offer 1.2.0 --percent 10"
        " · frontend-agent platform upgrades offer 1.2.0 --all",
    ),
    "fleet.to": ("A hospital's institution id; may be repeated.", "医疗机构代码，可重复。"),
    "fleet.all": ("Every hospital.", "全部医院。"),
    "fleet.percent": (
        "A wave: so many percent of all hospitals. A larger number later means the same ones and more.",
        "分批：占全部医院的百分比；之后增大时包含原有医院。",
    ),
    "fleet.stop_after": (
        "When it came back at so many hospitals, no other begins with it; 0: never.",
        "已有这么多家医院退回时，其余医院不再开始；0 表示不停止。",
    ),
    "fleet.withdraw": (
        "Offer a version to nobody any more. Where it is installed it stays.",
        "停止下发某一版本；已安装的保持不变。",
    ),
    "fleet.status": (
        "How far each version has come at each hospital: offered, fetched, waiting, on trial, confirmed, returned and why.",
        "各版本在各医院的进度：已下发、取回中、等待安装、试运行、已确认、已退回及原因。",
    ),
    "fleet.added": ("{version} for {machine} is here ({mb} MB), its signature holds. Offer it: platform upgrades offer {version}", "已保存 {version}（{machine}，{mb} MB），签名核验通过。下发：platform upgrades offer {version}"),
    "fleet.dropped": ("{version}: {count} packages are gone.", "{version}：已删除 {count} 个升级包。"),
    "fleet.to_nobody": ("Say to whom: --to INSTITUTION, --percent N or --all.", "请指定对象：--to 机构、--percent N 或 --all。"),
    "fleet.offered": (
        "{version} is offered to {named} named hospitals and {percent} % of all. They hear of it with their next heartbeat.",
        "{version} 已向指定的 {named} 家及全部医院的 {percent}% 下发，各医院在下次心跳时得知。",
    ),
    "fleet.withdrawn": ("{version} is offered to nobody any more.", "已停止下发 {version}。"),
    "fleet.never_offered": ("{version} was never offered: platform upgrades list", "从未下发 {version}：platform upgrades list"),
    "fleet.nothing": ("Nothing was ever offered.", "尚未下发任何版本。"),
    "fleet.of": ("{version}: {state}; to {named} named, {percent} % of all", "{version}：{state}；指定 {named} 家，全部医院的 {percent}%"),
    "fleet.offer.none": ("not offered", "未下发"),
    "fleet.offer.offered": ("offered", "下发中"),
    "fleet.offer.stopped": ("stopped: it came back", "已暂停：有医院退回"),
    "fleet.offer.withdrawn": ("withdrawn", "已停止"),
    "fleet.state.unheard": ("not heard of yet", "尚无回应"),
    "fleet.state.offered": ("offered", "已下发"),
    "fleet.state.fetching": ("being fetched", "取回中"),
    "fleet.state.waiting": ("waits for a person", "等待人工安装"),
    "fleet.state.due": ("waits for its hours", "等待安装时段"),
    "fleet.state.trial": ("on trial", "试运行"),
    "fleet.state.confirmed": ("confirmed", "已确认"),
    "fleet.state.returned": ("returned", "已退回"),
    "fleet.state.refused": ("not taken", "未接受"),
    "fleet.state.later": ("in a state of a later version", "处于较新版本才有的状态"),
    "head.made_for": ("made for", "适用机型"),
    "head.megabytes": ("MB", "MB"),
    "head.added_at": ("added", "加入时间"),
    "head.runs": ("runs", "当前版本"),
}  # fmt: skip
