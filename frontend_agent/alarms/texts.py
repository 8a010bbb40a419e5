"""What an alarm says, in English and 简体中文: what is wrong, why that happens, and who mends it how.

The texts take the alarm's figures by name: {oldest:span} is a duration from seconds, {used:size} a size from bytes,
{skew:span} and plain {waiting} likewise. A figure that is not there is shown as a question mark, never as an error: an
alarm of an older version must still be readable.
"""

import string
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from frontend_agent.alarms.model import Alarm, Figures

Language = Literal["en", "zh"]


class Told(NamedTuple):
    """One alarm in one language: one line that says it, why it happens, and the mend."""

    title: str
    cause: str
    mend: str


class Said(NamedTuple):
    """The texts of one kind."""

    en: Told
    zh: Told


def tell(alarm: Alarm, language: Language) -> Told:
    """The texts of an alarm; of a kind that this version does not know, its bare name."""
    said = TEST_SAID if alarm.kind == TEST else TEXTS.get(alarm.kind)
    if said is None:
        return Told(f"{alarm.kind} {alarm.subject}".strip(), "", "")
    words = _Words(language)
    values = {**alarm.figures, "subject": alarm.subject}
    return Told(*(words.vformat(text, (), values) for text in (said.en if language == "en" else said.zh)))


def plain_texts(alarm: Alarm) -> dict[str, dict[str, str]]:
    """The same in both languages, as plain values: {"en": {title, cause, mend}, "zh": {…}}."""
    return {language: tell(alarm, language)._asdict() for language in LANGUAGES}


LANGUAGES: tuple[Language, ...] = ("en", "zh")
TEST = "test"  # no alarm: what a person sends to see whether it arrives

TEXTS: dict[str, Said] = {
    "backlog": Said(
        Told(
            "Backlog at {subject}: {waiting} wait, the oldest for {oldest:span}",
            "More is made than the destination takes, or it takes nothing: it is away, slow, or pauses us. {problem}",
            "Look at `frontend-agent status` (destinations). If {subject} cannot be reached, mend the network or tell the "
            "platform's administrator. Nothing is lost: what waits goes by itself once it can.",
        ),
        Told(
            "{subject} 积压：{waiting} 份等待，最早的已等待 {oldest:span}",
            "生成快于目的地接收，或目的地根本没有接收：不可达、过慢，或要求暂停。{problem}",
            "查看 `frontend-agent status` 的目的地部分。若 {subject} 不可达，请检修网络或通知平台管理员。"
            "数据不会丢失：恢复后等待的文档会自动送达。",
        ),
    ),
    "silence": Said(
        Told(
            "Nothing new from feed {subject} for {silent:span}",
            "These hours usually bring {usual:count} records (0: the feed's own limit, `silence`, is over). The source's system does "
            "not write any more, its view or interface is broken, or nobody works there today.",
            "Ask the department whether it works. If it does, look for its newest record in its own system, then "
            "`frontend-agent preview {subject} --newest 3`. An unusual holiday belongs into [calendar].",
        ),
        Told(
            "数据流 {subject} 已有 {silent:span} 没有新数据",
            "这段时间通常有 {usual:count} 条记录（0：超过该数据流自身的 `silence` 限制）。来源系统不再写入、视图或接口损坏，或今天该科室未上班。",
            "先询问科室是否在工作。若在工作，请在其系统中查找最新记录，再执行 "
            "`frontend-agent preview {subject} --newest 3`。特殊休息日请写入 [calendar]。",
        ),
    ),
    "feed": Said(
        Told(
            "Feed {subject} has failed for {failing:span}",
            "{problem}",
            "The message names what must be mended (a query, a mapping, a grant of the account). Try "
            "`frontend-agent check`, then `frontend-agent once`. What was not read is read when it works again.",
        ),
        Told(
            "数据流 {subject} 已连续失败 {failing:span}",
            "{problem}",
            "错误信息已指出需要修改之处（查询、映射或账号权限）。先执行 `frontend-agent check`，再执行 "
            "`frontend-agent once`。未读取的数据在恢复后会继续读取。",
        ),
    ),
    "vanished": Said(
        Told(
            "Feed {subject} stands still: {vanished} records are gone at the source",
            "So many at once is no clean-up: a database was restored, a view was changed, or an account sees less than before.",
            "`frontend-agent vanished list --feed {subject}` lists them. Mend the source, or say that they are really gone: "
            "`frontend-agent vanished accept {subject} --reason '…'`. Until then the feed reads nothing more.",
        ),
        Told(
            "数据流 {subject} 已停止：来源中有 {vanished} 条记录消失",
            "一次消失这么多不像正常清理：数据库被恢复、视图被修改，或账号可见范围变小。",
            "用 `frontend-agent vanished list --feed {subject}` 查看。修复来源，或确认这些记录确已删除："
            "`frontend-agent vanished accept {subject} --reason '…'`。在此之前该数据流不再读取。",
        ),
    ),
    "source": Said(
        Told(
            "Source {subject} has not been reachable for {away:span}",
            "The database, the network between, or the account: {problem}",
            "Ask whether the system is down for maintenance (`frontend-agent source pause {subject} --for 2h` then says so). "
            "Otherwise `frontend-agent doctor {subject}` finds the place where it breaks. It is tried again by itself.",
        ),
        Told(
            "来源 {subject} 已有 {away:span} 无法连接",
            "数据库、中间网络或账号：{problem}",
            "先确认该系统是否在维护（可执行 `frontend-agent source pause {subject} --for 2h` 说明）。"
            "否则用 `frontend-agent doctor {subject}` 查找断点。系统会自动重试。",
        ),
    ),
    "inlet": Said(
        Told(
            "Inlet {subject} has not been well for {away:span}",
            "It cannot listen, fetch or read its folder: {problem}",
            "`frontend-agent inlet show {subject}` says more. A port that is taken, a folder without rights and a peer that "
            "is away are the usual reasons. Who sends keeps what was not acknowledged.",
        ),
        Told(
            "入口 {subject} 已异常 {away:span}",
            "无法监听、拉取或读取目录：{problem}",
            "用 `frontend-agent inlet show {subject}` 查看详情。常见原因：端口被占用、目录无权限、对方不可达。"
            "未被确认的消息仍在发送方。",
        ),
    ),
    "destination": Said(
        Told(
            "{subject} has not been reachable for {away:span} ({failures} tries)",
            "The network, the platform itself, or our certificate: {problem}",
            "`frontend-agent check` tries it step by step. If the network is ours, mend it; if not, tell the platform's "
            "administrator. Documents are kept and go by themselves once it answers.",
        ),
        Told(
            "目的地 {subject} 已有 {away:span} 无法送达（尝试 {failures} 次）",
            "网络、平台本身或我方证书：{problem}",
            "执行 `frontend-agent check` 逐步检查。属本院网络的请检修，否则通知平台管理员。文档已保存，恢复后自动送达。",
        ),
    ),
    "refused": Said(
        Told(
            "{subject} refused {stuck} documents; they wait for a person",
            "The platform judges by other rules than we do, or a document has a fault that only it sees.",
            "`frontend-agent quarantine list` says all reasons; mend the source or the mapping and release them: "
            "`frontend-agent quarantine release`.",
        ),
        Told(
            "{subject} 拒绝了 {stuck} 份文档，需要人工处理",
            "平台的规则与本机不同，或文档存在只有平台能发现的问题。",
            "用 `frontend-agent quarantine list` 查看全部原因；修正来源或映射后执行 `frontend-agent quarantine release`。",
        ),
    ),
    "held": Said(
        Told(
            "{share:percent} of what feed {subject} brought in the last {window:span} is held ({held} of {taken})",
            "So much at once has one cause: a changed view, a new code, a mapping that no longer fits.",
            "`frontend-agent quarantine list --feed {subject}` groups them by cause, with who must act. Mend it once, then release "
            "the group.",
        ),
        Told(
            "数据流 {subject} 最近 {window:span} 的数据有 {share:percent} 被扣留（{taken} 条中的 {held} 条）",
            "同时这么多通常只有一个原因：视图变更、新增代码或映射不再适用。",
            "用 `frontend-agent quarantine list --feed {subject}` 按原因分组查看责任方，修正一次后按组放行。",
        ),
    ),
    "unmapped": Said(
        Told(
            "{codes} local codes have no map, the oldest for {waited:span}",
            "The hospital's system uses codes that no table maps to the standard ones; records that carry them are held.",
            "`frontend-agent terms unmapped` lists them with examples and a suggestion; who is responsible approves with "
            "`frontend-agent terms approve`, and what waited is released.",
        ),
        Told(
            "有 {codes} 个本地代码没有对照，最早的已 {waited:span}",
            "医院系统使用了没有对照到标准的代码；含这些代码的记录被扣留。",
            "用 `frontend-agent terms unmapped` 查看示例与建议；负责人用 `frontend-agent terms approve` 审批后，等待的记录即放行。",
        ),
    ),
    "certificate": Said(
        Told(
            "The certificate of {subject}: {days} days left",
            "Certificates have a term. When it is over, the other side refuses us, or we it. {file}, until {ends}. {problem}",
            "One that the platform gave us renews itself at half of its term: if it has not, look whether the platform can be reached. "
            "Any other: ask whoever issued it for a new one, and put that in its place.",
        ),
        Told(
            "{subject} 的证书：剩余 {days} 天",
            "证书有有效期。到期后对方会拒绝我方，或我方拒绝对方。{file}，至 {ends}。{problem}",
            "平台签发的证书会在有效期过半时自动续期：若没有续期，请检查能否连接平台。其他证书：向签发方申请新证书并替换。",
        ),
    ),
    "clock": Said(
        Told(
            "The clocks differ by {skew:span}: ours and that of {subject}",
            "One of the two machines keeps no time. Certificates then seem not yet valid or over, and documents carry wrong times.",
            "Compare both with a third (`timedatectl`, `chronyc tracking`). Set up NTP with the hospital's own time server; it "
            "does not need the internet.",
        ),
        Told(
            "本机与 {subject} 的时钟相差 {skew:span}",
            "两台机器之一的时间不准。证书会显得尚未生效或已过期，文档时间也会有误。",
            "与第三方时间比对（`timedatectl`、`chronyc tracking`）。请配置院内 NTP 时间服务器，无需互联网。",
        ),
    ),
    "quota": Said(
        Told(
            "The room of {subject} is {share:percent} full ({used:size} of {total:size})",
            "What cannot be delivered stays here, or the quota in agent.toml is small for this hospital. At the quota nothing more is "
            "read; at the sources nothing is lost.",
            "First mend what keeps documents from going (see backlog and destination). Otherwise raise the quota: [spool] quota "
            "or [images] quota in agent.toml, and restart.",
        ),
        Told(
            "{subject} 的空间已用 {share:percent}（{used:size} / {total:size}）",
            "无法送达的数据留在本机，或 agent.toml 中的配额对本院过小。达到配额后停止读取；来源中的数据不会丢失。",
            "先处理文档无法送出的原因（见积压与目的地告警）。否则在 agent.toml 中提高 [spool] quota 或 [images] quota 并重启。",
        ),
    ),
    "disk": Said(
        Told(
            "The disk of the state directory has {free:size} left ({share:percent} used)",
            "Something else fills it, or the quota is larger than the disk.",
            "Find what grows (`du -xh --max-depth=2 /var | sort -h | tail`), and make room. The agent stops reading before "
            "the disk is full and goes on by itself.",
        ),
        Told(
            "状态目录所在磁盘仅剩 {free:size}（已用 {share:percent}）",
            "其他程序占满磁盘，或配额大于磁盘。",
            "查找占用（`du -xh --max-depth=2 /var | sort -h | tail`）并清理。磁盘将满时前置机停止读取，腾出空间后自动恢复。",
        ),
    ),
    "log": Said(
        Told(
            "{entries} entries of the log have waited for a countersignature for {waited:span}",
            "No platform has signed the head of the log since then: none can be reached, or it does not answer as it should.",
            "Mend what keeps the platform away (see destination). Until then the newest entries are proven by this machine alone; "
            "`frontend-agent qc verify` says from where on.",
        ),
        Told(
            "日志有 {entries} 条记录等待平台会签，最早的已等待 {waited:span}",
            "此后没有平台签署日志链头：不可达，或应答异常。",
            "处理平台不可达的原因（见目的地告警）。在此之前，最新记录仅由本机证明；`frontend-agent qc verify` 会说明从哪里开始。",
        ),
    ),
    "damage": Said(
        Told(
            "{damaged} documents can no longer be read from the spool",
            "The disk or the file system changed bytes that were written: a failing disk, a full or torn volume, or another program.",
            "Look at the disk first (`dmesg`, SMART). The documents are in `frontend-agent quarantine list`; releasing them reads "
            "them again from the source.",
        ),
        Told(
            "存储区中有 {damaged} 份文档已无法读取",
            "磁盘或文件系统改变了已写入的内容：磁盘故障、卷已满或损坏，或其他程序改动。",
            "先检查磁盘（`dmesg`、SMART）。这些文档列在 `frontend-agent quarantine list` 中；放行后会重新从来源读取。",
        ),
    ),
    "restarts": Said(
        Told(
            "The agent ended {killed} times without being asked to, within {window:span}",
            "The watchdog ended it, it was killed (memory, an administrator), or the machine lost power.",
            "`journalctl -u frontend-agent` around these times says which; see MemoryMax and the watchdog in the guide of "
            "the service. Nothing is lost: each start goes on from the last commit.",
        ),
        Told(
            "前置机在 {window:span} 内异常终止 {killed} 次",
            "被看门狗终止、被杀死（内存、管理员），或机器断电。",
            "用 `journalctl -u frontend-agent` 查看这些时间点的原因；MemoryMax 与看门狗见服务指南。数据不会丢失：每次启动都从最后一次提交继续。",
        ),
    ),
    "studies": Said(
        Told(
            "{stuck} studies wait for a person",
            "Their findings hold them, or a destination refused some of their instances.",
            "`frontend-agent images list --only held` and `frontend-agent images show STUDY` say why; mend the order or the PACS, "
            "then `frontend-agent images release STUDY`.",
        ),
        Told(
            "有 {stuck} 个检查等待人工处理",
            "质控发现问题而被扣留，或目的地拒绝了其中的实例。",
            "用 `frontend-agent images list --only held` 与 `frontend-agent images show STUDY` 查看原因；修正医嘱或 PACS 后执行 "
            "`frontend-agent images release STUDY`。",
        ),
    ),
    "withheld": Said(
        Told(
            "A destination still has {records} records that are withheld now",
            "They were sent before the rule of withholding applied to them.",
            "Tell the region to keep them closed, then say so: `frontend-agent withheld acknowledge`.",
        ),
        Told(
            "目的地仍有 {records} 条现已不予上报的记录",
            "这些记录在不予上报规则生效前已送出。",
            "请通知区域平台封存，然后登记：`frontend-agent withheld acknowledge`。",
        ),
    ),
    "reconciliation": Said(
        Told(
            "The nightly reconciliation of feed {subject} found differences, or could not be done",
            "Records differ between source, agent and platform, or one of them could not be asked. {problem}",
            "`frontend-agent reconcile list` shows what; most of it is mended by itself in the next run. What stays after two nights "
            "needs a person.",
        ),
        Told(
            "数据流 {subject} 的夜间对账发现差异或未能完成",
            "来源、前置机与平台的记录不一致，或其中一方无法查询。{problem}",
            "用 `frontend-agent reconcile list` 查看；多数会在下次运行时自动修复。连续两夜仍存在的需要人工处理。",
        ),
    ),
    "pack": Said(
        Told(
            "The rule pack in force has expired",
            "The last day that the region gave its rules was {until}, and no newer pack was installed. It goes on judging.",
            "Get the newer pack from the region: `frontend-agent rules pack list`.",
        ),
        Told(
            "现行规则包已过期",
            "区域为规则设定的截止日期为 {until}，尚未安装新的规则包。现行规则包仍在使用。",
            "向区域索取新的规则包：`frontend-agent rules pack list`。",
        ),
    ),
    "upgrade": Said(
        Told(
            "An upgrade of the program waits for somebody",
            "A platform offers {version}. Either it is here, its signature holds, and this hospital installs by hand; or it was tried and came "
            "back, or it is not taken. {problem}",
            "`frontend-agent upgrade status` says which of these, and who acts. To install what is here: "
            "`sudo frontend-agent upgrade install --offered`.",
        ),
        Told(
            "程序升级需要有人处理",
            "平台下发了 {version}。或已取回且签名核验通过，等待医院人工安装；或已试运行后退回，或未被接受。{problem}",
            "`frontend-agent upgrade status` 说明属于哪种情况、由谁处理。安装已取回的升级："
            "`sudo frontend-agent upgrade install --offered`。",
        ),
    ),
    "gap_silent": Said(
        Told(
            "Nothing has come across the gap for {away:span}, and answers are due ({waiting} documents are on their way)",
            "The ferry does not carry files, in one direction or both, or the other half is not running.",
            "Look whether files stay in our folder out (`frontend-agent gap status`): then the ferry does not take them. At the other half: "
            "`systemctl status frontend-agent`, and the same command. Nothing is lost; all goes on by itself.",
        ),
        Told(
            "网闸另一侧已有 {away:span} 没有数据包，且有应答未回（在途文档 {waiting} 份）",
            "网闸某一方向或两个方向没有摆渡文件，或另一侧没有运行。",
            "查看本侧 out 文件夹中的文件是否一直未被取走（`frontend-agent gap status`）：若是，则网闸没有工作。在另一侧执行 "
            "`systemctl status frontend-agent` 及同一命令。数据不会丢失，恢复后自动继续。",
        ),
    ),
    "gap_stopped": Said(
        Told(
            "Nothing is taken across the gap any more",
            "A number came twice with different contents: the other half was set back to an older copy, runs twice, or somebody has its keys. "
            "{problem}",
            "Find out which before anything else; the file is in `set-aside` below the folder in. If the keys may be known to others, make new "
            "ones and pair again (`frontend-agent gap keys`, `frontend-agent gap pair FILE`); else `frontend-agent gap restart`.",
        ),
        Told(
            "网闸方向已停止接收",
            "同一编号出现了不同内容：另一侧被恢复到旧副本、同时运行了两份，或有人掌握了其密钥。{problem}",
            "先查明是哪一种；该文件在 in 文件夹下的 `set-aside` 中。若密钥可能泄露，请重新生成并配对（`frontend-agent gap keys`、"
            "`frontend-agent gap pair FILE`）；否则执行 `frontend-agent gap restart`。",
        ),
    ),
    "gap_folder": Said(
        Told(
            "A folder of the gap cannot be used",
            "The folder is full, not mounted, or the service's account may not write there. {problem}",
            "`frontend-agent check` says which one. Make room, mount it, or give the service's account the right to read and write; what waits "
            "goes by itself.",
        ),
        Told(
            "网闸文件夹无法使用",
            "文件夹已满、未挂载，或服务账号没有写入权限。{problem}",
            "`frontend-agent check` 会指明是哪一个。清理空间、重新挂载，或授予服务账号读写权限；等待的内容会自动发出。",
        ),
    ),
    "heartbeat": Said(
        Told(
            "Hospital {subject} has not been heard of for {silent:span}",
            "Its agent, its machine or the line between is down, or it was stopped.",
            "Call the hospital's IT: is the machine on, does `systemctl status frontend-agent` say active, does `frontend-agent "
            "check` reach us? Its documents wait there and come by themselves.",
        ),
        Told(
            "医院 {subject} 已有 {silent:span} 没有心跳",
            "其前置机、机器或中间线路故障，或已被停止。",
            "联系医院信息科：机器是否开机，`systemctl status frontend-agent` 是否 active，`frontend-agent check` 能否连到平台？"
            "文档保存在医院，恢复后自动送达。",
        ),
    ),
}

TEST_SAID = Said(
    Told("A test: no alarm", "Somebody asked for it (`frontend-agent alarms test`).", "Nothing is to be done."),
    Told("测试消息：并非告警", "有人执行了 `frontend-agent alarms test`。", "无需处理。"),
)


# -- Figures in words -------------------------------------------------------------------------------------------------

_UNITS: dict[Language, Sequence[tuple[int, str]]] = {
    "en": ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")),
    "zh": ((86400, "天"), (3600, "小时"), (60, "分钟"), (1, "秒")),
}


def span(seconds: float, language: Language) -> str:
    """`2 h 5 min`, `3 天 4 小时`: the two largest units."""
    rest, parts = int(abs(seconds)), list[str]()
    for size, unit in _UNITS[language]:
        number, rest = divmod(rest, size)
        if number or (parts and len(parts) < 2) or (size == 1 and not parts):
            parts.append(f"{number} {unit}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 ") or len(parts) == 1)


def size(number: float) -> str:
    """`1.4 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


class _Words(string.Formatter):
    """Figures by name, in the words of one language."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return kwargs.get(str(key))

    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None:
            return "?"
        if isinstance(value, str):
            return value
        match format_spec:
            case "span":
                return span(value, self._language)
            case "size":
                return size(value)
            case "percent":
                return f"{value * 100:.0f} %"
            case "count":
                return f"{value:.0f}"
        return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def figures_named(text: str) -> set[str]:
    """The figures that a text wants, `subject` aside: a test compares them with what the rules give."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name} - {"subject"}


def only_numbers(figures: Figures) -> dict[str, int | float]:
    """What of an alarm's figures may leave the machine: numbers. Texts may quote what another program said."""
    return {name: value for name, value in figures.items() if not isinstance(value, str)}
