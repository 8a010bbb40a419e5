"""Every text that the command line shows, in English and 简体中文, in one table."""

from collections.abc import Mapping, Sequence
from typing import Literal

from frontend_agent.cli.texts_alarms import ALARMS_TEXTS
from frontend_agent.cli.texts_auditing import AUDITING_TEXTS
from frontend_agent.cli.texts_backfill import BACKFILL_TEXTS
from frontend_agent.cli.texts_console import CONSOLE_TEXTS
from frontend_agent.cli.texts_doctor import DOCTOR_TEXTS
from frontend_agent.cli.texts_engines import ENGINES_TEXTS
from frontend_agent.cli.texts_foreign import FOREIGN_TEXTS
from frontend_agent.cli.texts_gap import GAP_TEXTS
from frontend_agent.cli.texts_images import IMAGE_TEXTS
from frontend_agent.cli.texts_images_backfill import IMAGES_BACKFILL_TEXTS
from frontend_agent.cli.texts_init import INIT_TEXTS
from frontend_agent.cli.texts_inlets import INLET_TEXTS
from frontend_agent.cli.texts_joining import JOINING_TEXTS
from frontend_agent.cli.texts_people import PEOPLE_TEXTS
from frontend_agent.cli.texts_platform_log import PLATFORM_LOG_TEXTS
from frontend_agent.cli.texts_platform_people import PLATFORM_PEOPLE_TEXTS
from frontend_agent.cli.texts_program import PROGRAM_TEXTS
from frontend_agent.cli.texts_reconcile import RECONCILE_TEXTS
from frontend_agent.cli.texts_region_upgrades import REGION_UPGRADES_TEXTS
from frontend_agent.cli.texts_secrets import SECRETS_TEXTS
from frontend_agent.cli.texts_signatures import SIGNATURE_TEXTS
from frontend_agent.cli.texts_studies import STUDIES_TEXTS
from frontend_agent.cli.texts_tables import TABLES_TEXTS
from frontend_agent.cli.texts_upgrade import UPGRADE_TEXTS
from frontend_agent.cli.texts_vanished import VANISHED_TEXTS

Language = Literal["zh", "en"]

TEXTS: dict[str, tuple[str, str]] = {
    # -- the program
    "about": (
        "The front-end machine (前置机) between a hospital and its regional platform.\n\n"
        "Reads the hospital's systems, checks and renders documents, delivers them and keeps the proofs.",
        "医院与区域平台之间的前置机。\n\n从医院系统读取数据，校验并生成文档，送达平台并保存凭证。",
    ),
    "epilog": (
        "Exit codes: 0 done · 1 it could not be done now (source or platform unreachable, not found) · 2 the command was "
        "used wrongly · 78 a configuration file needs mending. --config, --state, --lang and --why may stand anywhere.",
        "退出码：0 完成 · 1 目前无法完成（来源或平台不可达、未找到）· 2 命令用法有误 · 78 配置文件需要修改。"
        "--config、--state、--lang、--why 可以写在任何位置。",
    ),
    "option.config": ("The configuration file.", "配置文件。"),
    "option.state": (
        "The state directory (default: as agent.toml says, or 'state' beside it).",
        "状态目录（默认：按 agent.toml，或其旁边的 state）。",
    ),
    "option.lang": ("zh or en (default: from LANG).", "zh 或 en（默认取自 LANG）。"),
    "option.version": ("Print the version.", "显示版本。"),
    "option.json": ("One JSON value, for programs.", "输出一个 JSON 值，供程序读取。"),
    # -- commands
    "demo": (
        "A demonstration hospital, a platform, and the agent between them.",
        "演示：一家示范医院、一个平台，以及两者之间的前置机。",
    ),
    "demo.visits": ("How many visits the hospital has.", "医院的就诊次数。"),
    "demo.seed": ("The same seed makes the same hospital.", "相同的种子生成相同的医院。"),
    "demo.exit": ("End instead of leaving the platform's page running.", "完成后退出，不保留平台网页。"),
    "check": (
        "Try everything that is configured and print all problems at once: file, mappings, sources, destinations.",
        "检查全部配置并一次列出所有问题：文件、映射、来源、目的地。",
    ),
    "run": (
        "The daemon, in the foreground: reads every feed when it is due and delivers. SIGTERM drains and stops in 10 s.",
        "在前台运行守护进程：按计划读取各数据流并送达。收到 SIGTERM 后排空并在 10 秒内停止。",
    ),
    "once": (
        "Run each feed once and deliver everything, then end.",
        "每个数据流执行一次，全部送达后结束。",
    ),
    "preview": (
        "What one source row becomes: findings, human-readable form, document. Keeps nothing, sends nothing.\n\n"
        "Example: frontend-agent preview lab_report --key L20260316000017 --xml",
        "查看一条来源记录会生成什么：问题、可读形式、文档。不保存，不发送。\n\n"
        "示例：frontend-agent preview lab_report --key L20260316000017 --xml",
    ),
    "preview.feed": ("The feed's name in agent.toml.", "agent.toml 中的数据流名称。"),
    "preview.key": ("The business key.", "业务主键。"),
    "preview.hl7": ("The HL7 v2 messages of the same record.", "同一记录的 HL7 v2 消息。"),
    "said.no_messages": (
        "No HL7 v2 message is declared for this kind (frontend-agent kinds messages).",
        "该文书没有对应的 HL7 v2 消息（frontend-agent kinds messages）。",
    ),
    "kinds.messages": (
        "HL7 v2 messages that are made of the same records.",
        "由同一记录生成的 HL7 v2 消息。",
    ),
    "preview.newest": ("The N rows that changed last, instead of one key.", "最近变化的 N 条记录，代替主键。"),
    "try": (
        "Rehearse, keeping and sending nothing. With --rows: what rows of a file become through a mapping, no database "
        "needed (exit 1 if any would be held). With --from: what a past period of a feed would come to now, or under "
        "another mapping or profile: what would be sent and held, and in which elements documents differ from those sent.\n\n"
        "Examples: frontend-agent try demo_lis/lab_report --rows report.csv --rows items=items.csv · "
        "frontend-agent try lab_report --from 2026-03-01 --to 2026-03-31 --mapping new/lab_report.toml",
        "演练：不保存、不发送。--rows：文件中的行经映射会成为什么，无需数据库（如有记录会被扣留，退出码为 1）。"
        "--from：某数据流过去一段时间按现在（或另一映射、配置）会怎样：发送与扣留的数量，以及与已发文档不同的数据元。\n\n"
        "示例：frontend-agent try demo_lis/lab_report --rows report.csv --rows items=items.csv · "
        "frontend-agent try lab_report --from 2026-03-01 --to 2026-03-31 --mapping new/lab_report.toml",
    ),
    "try.what": ("With --rows a mapping, else the feed's name.", "与 --rows 同用时为映射，否则为数据流名称。"),
    "try.rows": (
        "A CSV or JSON file of the parent query's rows; NAME=FILE for a detail query's. May be repeated.",
        "主查询行的 CSV 或 JSON 文件；明细查询用 名称=文件。可重复。",
    ),
    "try.from": ("First day (or moment) of the period.", "起始日（或时刻）。"),
    "try.to": ("Last day of the period (default: up to now).", "截止日（默认：至今）。"),
    "try.now": ("today", "今天"),
    "try.mapping": ("Under this mapping instead of the feed's.", "改用此映射。"),
    "try.profile": ("Under this profile instead.", "改用此区域配置。"),
    "try.pack": (
        "Under this pack: installed (gd-2026.2), a .pack file, or national (default: the one in force).",
        "改用此规则包：已安装的（gd-2026.2）、.pack 文件或 national（默认为现行规则包）。",
    ),
    "preview.xml": ("The document itself, nothing else.", "只输出文档本身。"),
    "source": ("The hospital's systems that we read as guests.", "作为“客人”读取的医院系统（来源）。"),
    "source.list": (
        "Every source: how it stands, and what it cost today.",
        "列出各来源：当前状态与今日访问量。",
    ),
    "source.show": (
        "One source: what was agreed, how it stands, what its statements usually take.",
        "查看一个来源：约定的限制、当前状态、各语句的常态耗时。",
    ),
    "source.pause": (
        "Leave a source alone: within seconds nothing more is sent, a statement that runs is ended. Holds over restarts until "
        "its time is over or somebody resumes it.\n\n"
        "Examples: frontend-agent source pause his --for 2h --reason 'storage migration' · frontend-agent source pause his",
        "暂停一个来源：数秒内不再发送任何语句，正在执行的语句被终止。重启后仍有效，直到到期或有人恢复。\n\n"
        "示例：frontend-agent source pause his --for 2h --reason 存储迁移 · frontend-agent source pause his",
    ),
    "source.resume": ("It may be asked again; its feeds run at once.", "恢复来源；其数据流立即执行。"),
    "source.report": (
        "The guest report of a source, for the hospital's IT and the vendor of its system: statements, rows, time, slowest, "
        "latency before us and beside us, pauses, back-offs.\n\n"
        "Examples: frontend-agent source report his · frontend-agent source report his --from 2026-03-01 --to 2026-03-31 "
        "--format xlsx --out his.xlsx",
        "某来源的访问报告，可交给医院信息科与系统厂商：语句数、行数、用时、最慢语句、空闲时与读取时的延迟、暂停、退让。\n\n"
        "示例：frontend-agent source report his · frontend-agent source report his --from 2026-03-01 --to 2026-03-31 "
        "--format xlsx --out his.xlsx",
    ),
    "source.name": ("The source's name in agent.toml.", "agent.toml 中的来源名称。"),
    "source.for": (
        "For so long: 30m, 2h, 1d (default: until it is resumed).",
        "暂停时长：30m、2h、1d（默认直到恢复）。",
    ),
    "source.reason": ("Why; shown in status, kept in the quality log.", "原因；显示在状态中并记入质控日志。"),
    "source.day": ("One day (default: today).", "某一天（默认今天）。"),
    "source.from": ("First day.", "起始日。"),
    "source.to": ("Last day.", "截止日。"),
    "source.format": (
        "table, json, csv, html or xlsx (xlsx: to --out).",
        "table、json、csv、html 或 xlsx（xlsx 需 --out）。",
    ),
    "source.out": ("Into this file instead of the terminal.", "写入该文件，而不是终端。"),
    "source.state.open": ("open", "可读取"),
    "source.state.slow": ("slow: read at {share:.0%}", "较慢：以 {share:.0%} 读取"),
    "source.state.paused": ("paused", "已暂停"),
    "source.state.protected": ("protected", "受保护时段"),
    "said.source_paused": ("{source}: paused until {until}.", "{source}：已暂停至 {until}。"),
    "said.source_paused_open": (
        "{source}: paused until somebody resumes it (frontend-agent source resume {source}).",
        "{source}：已暂停，直到有人恢复（frontend-agent source resume {source}）。",
    ),
    "said.source_resumed": ("{source}: may be asked again.", "{source}：已恢复。"),
    "said.source_not_paused": ("{source}: was not paused.", "{source}：未处于暂停状态。"),
    "said.source_rests": ("{source}: {state}{until} {why}", "{source}：{state}{until} {why}"),
    "status": ("Feeds, destinations, quarantine, spool.", "数据流、目的地、隔离区、缓存。"),
    "quarantine": ("What waits for a person.", "等待人工处理的内容。"),
    "quarantine.list": (
        "What is held, by cause: one line per cause, with an example and how to mend it; --all for every case.\n\n"
        "Examples: frontend-agent quarantine list · frontend-agent quarantine list --all --rule MAP001",
        "按原因列出被扣留的内容：一个原因一行，附示例与改正办法；--all 逐条列出。\n\n"
        "示例：frontend-agent quarantine list · frontend-agent quarantine list --all --rule MAP001",
    ),
    "quarantine.each": ("Every case on a line of its own, the oldest first.", "逐条列出，最早的在前。"),
    "quarantine.actor": (
        "Only what these must mend: hospital, mapping, vendor, makers, nobody.",
        "仅列出应由其处理的：hospital、mapping、vendor、makers、nobody。",
    ),
    "quarantine.people": (
        "Who must act, on how much, since when.\n\nExample: frontend-agent quarantine who",
        "由谁处理、有多少、自何时起。\n\n示例：frontend-agent quarantine who",
    ),
    "quarantine.show": (
        "One case with all its findings and the record, or the cases of one group.\n\n"
        "Examples: frontend-agent quarantine show Q12 · frontend-agent quarantine show G3",
        "一个条目及其全部问题与记录内容，或一个原因下的各条目。\n\n"
        "示例：frontend-agent quarantine show Q12 · frontend-agent quarantine show G3",
    ),
    "quarantine.release": (
        "After a mend (code table, mapping, source): read the records again at their source, judge them by the rules of "
        "today, and say what became of them. Refused documents are sent again. Cut off, it goes on when asked again.\n\n"
        "Examples: frontend-agent quarantine release --group G3 · frontend-agent quarantine release Q12 Q15 · "
        "frontend-agent quarantine release --all --rule MAP001",
        "改正（对照表、映射、来源）之后：按主键从来源重新读取并按当前规则判断，说明各条结果；被拒绝的文档重新发送。"
        "中断后再次执行即可继续。\n\n"
        "示例：frontend-agent quarantine release --group G3 · frontend-agent quarantine release Q12 Q15 · "
        "frontend-agent quarantine release --all --rule MAP001",
    ),
    "quarantine.group": ("All that waits for this cause; may be repeated.", "此原因下的全部内容；可重复。"),
    "quarantine.wait": (
        "Wait until all is read and delivered, or only start it.",
        "等待全部读取并送达，或仅启动。",
    ),
    "quarantine.releases": (
        "Who released what, the newest first; of one release, what became of it.\n\n"
        "Example: frontend-agent quarantine releases 7",
        "释放记录，最新的在前；给出编号则显示其结果。\n\n示例：frontend-agent quarantine releases 7",
    ),
    "quarantine.release_number": ("Its number, as the list shows it.", "释放编号，见列表。"),
    "quarantine.discard": (
        "This content is known and not wanted.",
        "此内容已知且不需要。",
    ),
    "quarantine.case": ("Its number, as the list shows it.", "条目编号，见列表。"),
    "quarantine.all": ("All that --feed and --rule select.", "由 --feed 与 --rule 选出的全部条目。"),
    "quarantine.feed": ("Only of this feed.", "仅此数据流。"),
    "quarantine.rule": ("Only where this rule spoke.", "仅包含此规则的条目。"),
    "quarantine.reason": ("Why; it goes into the quality log.", "原因；记入质控日志。"),
    "quarantine.who": ("Who decides (default: the user of this shell).", "决定人（默认：当前用户）。"),
    "withheld": (
        "Records that rules keep back ([[withhold]] in agent.toml): what, why, by whose decision.",
        "按规则不予外发的记录（agent.toml 的 [[withhold]]）：内容、原因与决定人。",
    ),
    "withheld.list": (
        "All of them, the oldest first. They are taken again by themselves once their rule is lifted.\n\n"
        "Examples: frontend-agent withheld list --rule hiv · frontend-agent withheld list --alarms",
        "全部条目，最早的在前。规则解除后会自动重新读取。\n\n"
        "示例：frontend-agent withheld list --rule hiv · frontend-agent withheld list --alarms",
    ),
    "withheld.rule": ("Only by this rule.", "仅此规则。"),
    "withheld.everything": ("Also those that are lifted or overtaken.", "包括已解除或已被替代的。"),
    "withheld.alarms": (
        "Only those of which the region has, or may have, an earlier version.",
        "仅列出区域平台已有（或可能已有）较早版本的。",
    ),
    "withheld.acknowledge": (
        "The region was told that it keeps an earlier version of these.\n\n"
        'Example: frontend-agent withheld acknowledge W12 --reason "call to the platform, ticket 4711"',
        "确认已通知区域平台处理其保存的较早版本。\n\n"
        '示例：frontend-agent withheld acknowledge W12 --reason "已电话通知平台，工单 4711"',
    ),
    "withheld.case": ("Its number, as the list shows it.", "条目编号，见列表。"),
    "said.acknowledged": ("{cases} acknowledged", "已确认 {cases} 条"),
    "said.alarms": (
        "{alarms} of them are at the region in an earlier version: tell it, then: frontend-agent withheld acknowledge",
        "其中 {alarms} 条在区域平台已有较早版本：请通知平台，然后执行 frontend-agent withheld acknowledge",
    ),
    "head.withheld": ("withheld", "不予外发"),
    "head.decided_by": ("decided by", "决定人"),
    "head.reason": ("reason", "原因"),
    "head.reached": ("at the region", "平台已有"),
    "qc": (
        "Quality: reports, evidence for evaluations, and the log that proves them (append-only, hash-chained, countersigned).",
        "质控：质量报告、测评证据，以及可验证的质控日志（只追加、哈希链、平台会签）。",
    ),
    "qc.report": (
        "Report the quality of a period to auditors and department heads: completeness, timeliness, pass rate, trend, "
        "by kind, department, rule and data element. Without --out the summary is shown.\n\n"
        "Examples: frontend-agent qc report --month 2026-09 --out september.xlsx --out september.html · "
        "frontend-agent qc report --from 2026-09-01 --to 2026-09-15 --department 内科 --out half.csv",
        "生成供审计与科主任使用的质量报告：完整率、及时性、通过率与趋势，按文档类型、科室、规则与数据元。"
        "不带 --out 时显示总览。\n\n"
        "示例：frontend-agent qc report --month 2026-09 --out 九月.xlsx --out 九月.html · "
        "frontend-agent qc report --from 2026-09-01 --to 2026-09-15 --department 内科 --out 上半月.csv",
    ),
    "qc.report.from": ("First day of the events (default: as --to).", "起始日期（事件日期；默认同 --to）。"),
    "qc.report.to": ("Last day (default: yesterday).", "截止日期（默认昨天）。"),
    "qc.report.month": ("A whole month, 2026-09.", "整月，例如 2026-09。"),
    "qc.report.kind": ("Only this kind; may be repeated.", "仅此文档类型；可重复。"),
    "qc.report.department": ("Only this department; may be repeated.", "仅此科室；可重复。"),
    "qc.report.out": (
        ".xlsx, .html (one file, nothing fetched) or .csv; may be repeated.",
        ".xlsx、.html（单个文件，不访问网络）或 .csv；可重复。",
    ),
    "qc.visits": (
        "Visits, and what the rules over a visit found once they had closed.\n\n"
        "Example: frontend-agent qc visits --with-findings",
        "就诊及其结束后就诊规则发现的问题。\n\n示例：frontend-agent qc visits --with-findings",
    ),
    "qc.visits.open": ("Only visits that have not been judged yet.", "仅尚未判定的就诊。"),
    "qc.visits.findings": ("Only visits with findings.", "仅有问题的就诊。"),
    "qc.visits.rebuild": (
        "Forget what is known of visits and read it anew from the sources.",
        "清除就诊状态并从来源重新读取。",
    ),
    "said.visits.rebuilt": ("read anew: {feeds}", "已重新读取：{feeds}"),
    "said.visits.rebuilding": ("will be read anew with the next run: {feeds}", "将在下次运行时重新读取：{feeds}"),
    "qc.log": ("The newest entries.", "最新的条目。"),
    "qc.limit": ("How many.", "条数。"),
    "qc.export": (
        "The whole log as an auditor takes it away.\n\nExample: frontend-agent qc export > log.jsonl",
        "导出完整日志供审计。\n\n示例：frontend-agent qc export > log.jsonl",
    ),
    "qc.verify": (
        "Find any edit, cut or rewrite. Of this state, or of an exported FILE, offline.\n\n"
        "Example: frontend-agent qc verify log.jsonl --key platform.pub",
        "查找任何修改、截断或改写；可校验本机状态，或离线校验导出的文件。\n\n"
        "示例：frontend-agent qc verify log.jsonl --key platform.pub",
    ),
    "qc.file": ("An export.", "导出文件。"),
    "qc.key": ("The platform's public key (PEM), for a FILE.", "平台公钥（PEM），用于校验文件。"),
    "qc.output": ("Write to this file instead.", "写入此文件。"),
    "trace": (
        "One document from its source rows to its receipts: queries, versions, findings, attempts; or one element of it, "
        "with its column and the code map entry it came from.\n\n"
        "Examples: frontend-agent trace C0007-…-1 · frontend-agent trace C0007 L20260316000017 · "
        "frontend-agent trace C0007-…-1 --element patient.sex",
        "追溯一份文档：来源记录、查询、版本、问题、发送与回执；或其中一个数据元的来源列与代码对照。\n\n"
        "示例：frontend-agent trace C0007-…-1 · frontend-agent trace C0007 L20260316000017 · "
        "frontend-agent trace C0007-…-1 --element patient.sex",
    ),
    "trace.document": (
        "The document's id, its set's (the newest version), or with KEY a kind. Or a study's UID, or that of an instance.",
        "文档编号、文档集编号（取最新版本），或与主键同用的种类代码；也可以是检查或影像实例的 UID。",
    ),
    "trace.of_key": ("The business key, after a kind.", "业务主键，写在种类之后。"),
    "trace.element": (
        "One element: its field (items[2].value) or data element (DE02.01.040.00).",
        "一个数据元：字段名（items[2].value）或数据元标识符（DE02.01.040.00）。",
    ),
    "trace.show": ("The value itself, not masked.", "显示原值，不遮蔽。"),
    "receipts.destination": ("Only of this destination.", "仅此目的地。"),
    "receipts.after": ("Go on after this row.", "从此行之后继续。"),
    "kinds": ("Kinds of document.", "文档种类。"),
    "kinds.list": (
        "Every kind: those that can be made, and those whose body nobody has published.\n\nExample: frontend-agent kinds list --json",
        "全部种类：可生成的，以及正文尚无公开来源的。\n\n示例：frontend-agent kinds list --json",
    ),
    "kinds.show": (
        "The sections and elements of a kind.\n\nExample: frontend-agent kinds show C0007 · frontend-agent kinds show HSDC00.05 --json",
        "一个种类的章节与数据元。\n\n示例：frontend-agent kinds show C0007 · frontend-agent kinds show HSDC00.05 --json",
    ),
    "kinds.kind": ("Its code, for example C0007.", "代码，例如 C0007。"),
    "kinds.page": ("Print one page of the reference, HTML.", "输出单页参考（HTML）。"),
    "kinds.printed": ("Print a mapping to fill in, TOML and SQL.", "输出待填写的映射（TOML 与 SQL）。"),
    "kinds.gap": ("body not known", "正文未知"),
    "spec": (
        "Write what a vendor must supply for these kinds: intermediate tables (or views) as SQL with comments, the sheet of"
        " fields, an example to fill them, the purge rule, and the mapping and feed that read exactly that.\n\n"
        "Example: frontend-agent spec C0002 C0007 --engine oracle --out spec",
        "写出供数方须提供的内容：中间表（或视图）的建表脚本与注释、字段说明表、填写示例、清理规则，以及恰好读取它们的映射与数据流。\n\n"
        "示例：frontend-agent spec C0002 C0007 --engine oracle --out spec",
    ),
    "spec.kinds": ("The kinds of document, such as C0007 (kinds list).", "文档种类，如 C0007（见 kinds list）。"),
    "spec.engine": (
        "The database that the tables are made in. PostgreSQL and MySQL/MariaDB are tested against servers, the others are text only.",
        "建表所用的数据库。PostgreSQL、MySQL/MariaDB 已在真实服务器上测试，其余仅为文本。",
    ),
    "spec.form": (
        "tables: the vendor writes batches into them; views: the vendor defines them over its own tables.",
        "tables：供数方按批次写入；views：供数方在自有表上定义视图。",
    ),
    "spec.prefix": ("How the names of the tables begin.", "表名前缀。"),
    "spec.out": ("The folder to write to; no file there is replaced.", "写入的目录；已有文件不会被覆盖。"),
    "said.spec_prefix": (
        "--prefix {prefix}: a small letter, then at most seven small letters or digits",
        "--prefix {prefix}：以小写字母开头，其后最多七个小写字母或数字",
    ),
    "spec.written": ("{files} files in {folder}.", "已写入 {folder}，共 {files} 个文件。"),
    "spec.untested": (
        "{engine}: these texts have never been run against a real server; have the DBA read them first.",
        "{engine}：这些脚本未在真实服务器上执行过，请先由数据库管理员核对。",
    ),
    "spec.file.fields": ("the sheet of fields, for those who fill the tables", "字段说明表，供填写人员使用"),
    "spec.file.tables": ("the tables with comments", "建表脚本与注释"),
    "spec.file.views": ("views to be defined", "待定义的视图"),
    "spec.file.grants": ("the rights of the account we read with", "前置机读取账号所需的权限"),
    "spec.file.purge": ("the purge rule", "清理规则"),
    "spec.file.example": ("an invented record, as it is to be written", "一条虚构记录的写入示例"),
    "spec.file.mappings": ("of the mapping that reads them", "读取它们的映射"),
    "spec.file.agent": ("the source and feeds, to be pasted into agent.toml", "来源与数据流，粘贴到 agent.toml"),
    "kinds.skeleton": (
        "Write a mapping to fill in: TOML and SQL.\n\nExample: frontend-agent kinds skeleton C0034 --out mappings",
        "写出待填写的映射（TOML 与 SQL）。\n\n示例：frontend-agent kinds skeleton C0034 --out mappings",
    ),
    "kinds.skeleton.out": ("The folder to write to; no file there is replaced.", "写入的目录；已有文件不会被覆盖。"),
    "kinds.reference": (
        "Write the reference manual of all kinds: HTML with a search, no network needed. Where agent.toml is there, each"
        " element says which feed fills it from which column.\n\nExample: frontend-agent kinds reference --out manual",
        "写出全部种类的参考手册：可检索的 HTML，无需网络。有 agent.toml 时，每个数据元注明由哪个数据流的哪一列填写。\n\n"
        "示例：frontend-agent kinds reference --out manual",
    ),
    "kinds.reference.out": ("The folder to write to.", "写入的目录。"),
    "kinds.written": ("{files} files written to {folder}.", "已写入 {files} 个文件：{folder}。"),
    "rules": ("The quality rules.", "质控规则。"),
    "rules.list": (
        "Every rule and what it does under a profile.\n\n"
        "Examples: frontend-agent rules list --kind C0032 --dimension consistency · frontend-agent rules list --severity hold",
        "全部规则及其在某一配置下的作用。\n\n"
        "示例：frontend-agent rules list --kind C0032 --dimension consistency · frontend-agent rules list --severity hold",
    ),
    "rules.show": (
        "One rule: what it says, how to mend it, what it lets pass and what it objects to.\n\n"
        "Example: frontend-agent rules show FP-FEE-SUM",
        "一条规则：内容、处理办法、通过与不通过的示例。\n\n示例：frontend-agent rules show FP-FEE-SUM",
    ),
    "rules.reference": (
        "All rules as one page of Markdown, in the language of --lang.\n\nExample: frontend-agent rules reference > rules.md",
        "全部规则的一览页（Markdown），语言由 --lang 决定。\n\n示例：frontend-agent rules reference > rules.md",
    ),
    "rules.profile": ("The region profile.", "区域配置。"),
    "rules.kind": ("Only those asked of this kind, for example C0007.", "仅适用于该种类的规则，例如 C0007。"),
    "rules.category": (
        "Only conformance, completeness or plausibility.",
        "仅 conformance、completeness 或 plausibility。",
    ),
    "rules.dimension": (
        "Only completeness, conformity, consistency, timeliness, uniqueness or plausibility.",
        "仅 completeness（完整性）、conformity（规范性）、consistency（一致性）、timeliness（及时性）、"
        "uniqueness（唯一性）或 plausibility（合理性）。",
    ),
    "rules.severity": (
        "Only those that hold, warn or note under the profile.",
        "仅在该配置下为 hold、warn 或 note 的规则。",
    ),
    "rules.id": ("Its id.", "规则编号。"),
    "rules.mend": ("To mend", "处理"),
    "rules.judges": ("judges", "评价"),
    "rules.does": ("does", "作用"),
    "rules.basis": ("basis", "依据"),
    "rules.since": ("since pack", "规则包版本自"),
    "rules.fields": ("fields", "字段"),
    "rules.kinds": ("asked of", "适用种类"),
    "rules.passing": ("Passes", "通过"),
    "rules.failing": ("Objected to", "不通过"),
    "rules.shadow": (
        "What the pack in shadow would newly hold and newly pass: of which kinds, for which reasons.\n\n"
        "Examples: frontend-agent rules shadow · frontend-agent rules shadow --over held",
        "影子规则包会新增扣留、会新放行哪些记录：种类与原因。\n\n"
        "示例：frontend-agent rules shadow · frontend-agent rules shadow --over held",
    ),
    "shadow.over": (
        "taken: what was taken in since it is in shadow. held: what waits in quarantine now. recent: the newest documents.",
        "taken：影子包启用以来读取的记录；held：当前隔离区的记录；recent：最近的文档。",
    ),
    "shadow.limit": ("How many held records or recent documents.", "隔离记录或最近文档的条数。"),
    "said.shadow": (
        "{pack} would newly hold {held} and newly pass {passed} of {judged} records, against {against}.",
        "与 {against} 相比，{pack} 在 {judged} 条记录中会新扣留 {held} 条，新放行 {passed} 条。",
    ),
    "verdict.newly_held": ("would newly hold", "新扣留"),
    "verdict.newly_passed": ("would newly pass", "新放行"),
    "head.verdict": ("verdict", "结果"),
    "head.times": ("times", "次数"),
    "head.example": ("example", "示例"),
    "head.pack": ("pack", "规则包"),
    "pack": (
        "Packs: rules, value sets, profiles and templates of a region, versioned together, signed, dated.",
        "规则包：区域的规则、值域、配置与模板，统一版本、签名并注明日期。",
    ),
    "pack.build": (
        "Make a pack of a folder with a pack.toml, and sign it.\n\n"
        "Example: frontend-agent rules pack build gd/ --key gd.pem -o gd-2026.2.pack",
        "由含 pack.toml 的目录生成并签名规则包。\n\n"
        "示例：frontend-agent rules pack build gd/ --key gd.pem -o gd-2026.2.pack",
    ),
    "pack.folder": ("The folder with pack.toml.", "含 pack.toml 的目录。"),
    "pack.private": ("The signer's private key (PEM, Ed25519).", "签名者私钥（PEM，Ed25519）。"),
    "pack.key": (
        "The public key of a key file, as [[packs.trust]] wants it.",
        "显示密钥文件的公钥，供 [[packs.trust]] 填写。",
    ),
    "pack.keyfile": ("A private or public key (PEM, Ed25519).", "私钥或公钥（PEM，Ed25519）。"),
    "pack.verify": (
        "Is it signed by a trusted key, whole, of this time, and of use to this program? All reasons if not.",
        "检查签名、完整性、有效期以及本程序能否使用；不通过时列出全部原因。",
    ),
    "pack.file": ("A pack's file.", "规则包文件。"),
    "pack.show": ("What is in a pack.", "查看规则包内容。"),
    "pack.inner": (
        "One of its files, for example evaluation/gd.toml, to standard output.",
        "输出其中一个文件，例如 evaluation/gd.toml。",
    ),
    "pack.which": (
        "Name and version, for example gd-2026.2; or national.",
        "名称与版本，例如 gd-2026.2；或 national。",
    ),
    "pack.list": ("The packs that are installed, and which judge.", "已安装的规则包及当前生效者。"),
    "pack.active": ("in force", "生效"),
    "pack.beside": ("in shadow", "影子"),
    "pack.install": (
        "Prove a pack and keep it. It does nothing before it is put in shadow or in force.",
        "校验并保存规则包；设为影子或生效之前不起作用。",
    ),
    "pack.shadow": (
        "Let a pack judge beside the one in force, without deciding anything; `none` ends it. From the next start on.",
        "让规则包与现行规则包并行判断但不作决定；none 取消。下次启动生效。",
    ),
    "pack.activate": (
        "Put a pack in force; `national` goes back to the one that ships with us. From the next start on.",
        "使规则包生效；national 恢复随附规则包。下次启动生效。",
    ),
    "said.pack_chosen": (
        "From the next start on (systemctl restart frontend-agent): in force {active}, in shadow {shadow}.",
        "下次启动后（systemctl restart frontend-agent）：生效 {active}，影子 {shadow}。",
    ),
    "said.skew": (
        "{destination} judges by other versions than we do: {differ}",
        "{destination} 使用的规则版本与本机不同：{differ}",
    ),
    "said.visits_with_findings": (
        "visits with findings: {visits:,} (frontend-agent qc visits --with-findings)",
        "有问题的就诊：{visits:,}（frontend-agent qc visits --with-findings）",
    ),
    "said.pack_expired": (
        "the pack in force was valid until {until} and goes on judging: install the next (frontend-agent rules pack install)",
        "现行规则包有效期至 {until}，已过期，仍在使用：请安装新版（frontend-agent rules pack install）",
    ),
    "said.account_writes": (
        "The account of {source} ({account}) can write: {let}",
        "来源 {source} 的账号（{account}）有写权限：{let}",
    ),
    "said.waived": ("let be by {who} until {until}: {reason}", "由 {who} 豁免至 {until}：{reason}"),
    "said.not_waived": (
        "its feeds do not run (frontend-agent doctor {source})",
        "其数据流不运行（frontend-agent doctor {source}）",
    ),
    "said.packs": ("rules: {active}; in shadow: {shadow}", "规则包：{active}；影子：{shadow}"),
    "platform.hospitals": (
        "Every hospital's agent, what it judges by, and where that differs from this platform (--state: its folder).",
        "各医院前置机及其规则版本，与本平台的差异（--state：其目录）。",
    ),
    "platform.pack": ("A pack that this platform expects of its hospitals.", "本平台要求各医院使用的规则包。"),
    "platform.trust": ("The public key (PEM) that signed it.", "其签名公钥（PEM）。"),
    "head.skew": ("differs", "差异"),
    "head.last_seen": ("last seen", "最近通信"),
    "platform": ("The receiving side.", "接收端平台。"),
    "platform.serve": ("Run a platform on this machine (--state: its folder).", "在本机运行平台（--state：其目录）。"),
    "platform.host": ("Address to listen on.", "监听地址。"),
    "platform.port": ("Port to listen on; 0 takes a free one.", "监听端口；0 为任意空闲端口。"),
    "platform.schema": (
        "XML Schema asked about documents that are not national ones (for instance CDA_SDTC.xsd).",
        "对非国家文书使用的 XML Schema（如 CDA_SDTC.xsd）。",
    ),
    "platform.examine": (
        "Classify and check CDA files of any sender; stores nothing. Example: platform examine *.xml",
        "识别并检查任意来源的 CDA 文件，不存储。例：platform examine *.xml",
    ),
    "platform.add": (
        "Store CDA files of any sender (--state: the platform's folder; the platform must not be running).",
        "存入任意来源的 CDA 文件（--state：平台目录；平台须未在运行）。",
    ),
    "platform.files": ("CDA files.", "CDA 文件。"),
    "platform.sender": ("Who sends them; each document's custodian if left out.", "发送机构；缺省为文书的保管机构。"),
    "platform.fit": ("can be taken", "可接收"),
    "platform.refused": ("refused", "拒收"),
    "platform.documents": ("What a platform has stored (--state: its folder).", "平台已存的文档（--state：其目录）。"),
    "platform.show": ("One stored document, as a person reads it.", "一份已存文档的可读形式。"),
    "platform.patient": ("Beginning of a name, or a whole number.", "姓名开头，或完整号码。"),
    "platform.institution": ("Only of this hospital.", "仅此医院。"),
    "platform.kind": ("Only of this kind.", "仅此种类。"),
    "platform.day": ("Only from / up to this day, yyyyMMdd or yyyy-MM-dd.", "起止日期，yyyyMMdd 或 yyyy-MM-dd。"),
    "platform.no_day": ("{given} is no day: yyyyMMdd or yyyy-MM-dd", "{given} 不是日期：应为 yyyyMMdd 或 yyyy-MM-dd"),
    "adopt": (
        "A restored or moved state directory is the one that lives on. The platform is asked for every version again.",
        "确认恢复或迁移后的状态目录为唯一有效者；此后所有版本将重新向平台核对。",
    ),
    # -- what is said
    # -- terminology
    "terms": (
        "Local codes and standard ones: what waits to be mapped, who decided what, the tables.",
        "本地代码与标准代码：待对照清单、对照决定与历史、代码表。",
    ),
    "terms.unmapped": (
        "Local codes that no map has, the most frequent first, each with what it may mean.\n\n"
        "Example: frontend-agent terms unmapped --table ourhis/route",
        "尚未对照的本地代码，按出现次数排列，并给出建议。\n\n示例：frontend-agent terms unmapped --table ourhis/route",
    ),
    "terms.only_table": ("Only of this code map.", "仅此对照表。"),
    "terms.all": ("Those that were rejected, too.", "包括已决定不对照的代码。"),
    "terms.list": (
        "The code maps in use: value set, entries, approvals, what is unmapped.",
        "使用中的对照表：值域、条目、批准、未对照数。",
    ),
    "terms.sets": (
        "The national tables that we know, with version and confidence.\n\nExample: frontend-agent terms sets 血型",
        "已知的国家代码表及其版本与可信程度。\n\n示例：frontend-agent terms sets 血型",
    ),
    "terms.word": ("Part of an OID, an id or a name.", "OID、编号或名称的一部分。"),
    "terms.show": (
        "One table, code by code: a map of ours, or a national one by OID or id.\n\n"
        "Examples: frontend-agent terms show demo_his/sex · frontend-agent terms show CV04.50.020",
        "逐条显示一个表：本院对照表，或按 OID、编号的国家代码表。\n\n"
        "示例：frontend-agent terms show demo_his/sex · frontend-agent terms show CV04.50.020",
    ),
    "terms.table": ("The code map, SYSTEM/NAME as the list shows it.", "对照表，形如 系统/名称，见列表。"),
    "terms.code": ("The local code.", "本地代码。"),
    "terms.target": ("The standard code.", "标准代码。"),
    "terms.check": (
        "Look for what the national tables warn of: reversed Rh, marital status, ethnic groups … Exit code 1 if a map is wrong.",
        "检查对照表是否落入国家代码表的陷阱：Rh 颠倒、婚姻状况、民族等。有错误时退出码为 1。",
    ),
    "terms.history": ("Who decided what, and when; the newest first.", "何人何时作了何种决定，最新的在前。"),
    "terms.approve": (
        "This local code means that standard one. What was held for it is rebuilt.\n\n"
        "Example: frontend-agent terms approve ourhis/route KF 1 --by Wang --reason 'dictionary of routes'",
        "批准对照：该本地代码即此标准代码；因此被扣留的记录自动重建。\n\n"
        "示例：frontend-agent terms approve ourhis/route KF 1 --by 王药师 --reason 用药途径字典",
    ),
    "terms.reject": (
        "This local code has no standard one: it leaves the worklist, and what has it stays held.",
        "该本地代码没有对应的标准代码：从清单中移除，相关记录继续扣留。",
    ),
    "terms.undo": (
        "Take the last decision about a code back; documents made with it stay as they are.",
        "撤销对某代码的最近一次决定；已生成的文档保持不变。",
    ),
    "terms.reason": ("Why; it goes into the quality log.", "理由；记入质控日志。"),
    "terms.by": ("Who decides (default: the user of this shell).", "决定人（默认：当前系统用户）。"),
    "terms.even_so": ("Although a check objects: somebody has looked.", "虽有检查提示，已人工核实，仍然批准。"),
    "terms.export": (
        "The worklist as a spreadsheet to fill in, or (--table) one whole map as the file to keep beside the mapping.\n\n"
        "Examples: frontend-agent terms export --xlsx worklist.xlsx · "
        "frontend-agent terms export --table ourhis/route --csv mappings/ourhis/codes/route.csv",
        "把待对照清单导出为可填写的表格；或用 --table 把整个对照表导出为映射旁边的文件。\n\n"
        "示例：frontend-agent terms export --xlsx 清单.xlsx · "
        "frontend-agent terms export --table ourhis/route --csv mappings/ourhis/codes/route.csv",
    ),
    "terms.xlsx": ("An Excel file to write, with drop-downs.", "要写出的 Excel 文件，带下拉选项。"),
    "terms.csv": ("A CSV file to write.", "要写出的 CSV 文件。"),
    "terms.export_table": ("This whole map instead of the worklist.", "导出整个对照表，而不是待对照清单。"),
    "terms.import": (
        "Take a filled-in spreadsheet in: all of it, or nothing and every problem with its cell.\n\n"
        "Example: frontend-agent terms import worklist.xlsx --by 信息科",
        "导入填好的表格：全部导入，或一条不导入并逐格列出所有问题。\n\n"
        "示例：frontend-agent terms import 清单.xlsx --by 信息科",
    ),
    "terms.file": ("The filled-in .xlsx or .csv.", "填好的 .xlsx 或 .csv 文件。"),
    "terms.dry_run": ("Only check it.", "只检查，不导入。"),
    "said.beyond": (
        "And {count} more that the worklist had no room for: such a column is hardly a code.",
        "另有 {count} 次超出清单容量：这样的列多半不是代码。",
    ),
    "said.undone": ("{table} {code}: the last decision was taken back", "{table} {code}：已撤销最近一次决定"),
    "said.decided": (
        "{approved} approved, {rejected} rejected; {keys} held records read again: {documents} documents, {held} held",
        "批准 {approved} 条，不对照 {rejected} 条；重读被扣留记录 {keys} 条：生成文档 {documents} 份，仍扣留 {held} 条",
    ),
    "said.decided_soon": (
        "{approved} approved, {rejected} rejected; {keys} held records are being read again",
        "批准 {approved} 条，不对照 {rejected} 条；正在重读被扣留记录 {keys} 条",
    ),
    "said.one_file": (
        "give --xlsx or --csv, one of them (a whole map, --table, is CSV)",
        "请给出 --xlsx 或 --csv 之一（整个对照表 --table 只能导出为 CSV）",
    ),
    "said.exported": ("{path}: {rows} lines", "{path}：{rows} 行"),
    "said.import_checked": ("{rows} decisions are good; nothing was changed", "{rows} 条决定无误；未作改动"),
    "said.import_problems": ("nothing was changed; {count} problems:", "未作改动；共 {count} 个问题："),
    "said.written": (
        "{path} written; fill it in, then: frontend-agent check",
        "已写出 {path}；填写后执行：frontend-agent check",
    ),
    "qc.evidence": (
        "Gather evidence for an interoperability evaluation: volumes and the fill rate of each element by kind and WS 445 "
        "data set, the score by the region's own formula line by line, and samples that an auditor chooses.\n\n"
        "Examples: frontend-agent qc evidence --month 2026-09 --formula frontpage_2016 --out evidence.xlsx · "
        "frontend-agent qc evidence --month 2026-09 --random 20 --seed 4711 --out samples.html · "
        'frontend-agent qc evidence --month 2026-09 --sample C0002-…-1 --show --consent "on-site audit, Dr Li" --out one.html',
        "收集互联互通测评证据：按文档类型与 WS 445 数据集给出数量与各数据元填充率、按本区域公式逐行计算的得分，以及审计员选取的样本。"
        "\n\n示例：frontend-agent qc evidence --month 2026-09 --formula frontpage_2016 --out 证据.xlsx · "
        "frontend-agent qc evidence --month 2026-09 --random 20 --seed 4711 --out 样本.html · "
        'frontend-agent qc evidence --month 2026-09 --sample C0002-…-1 --show --consent "现场审计，李主任同意" --out 一份.html',
    ),
    "qc.evidence.formula": (
        "The region's formula, a .toml file; frontpage_2016 ships as an example.",
        "本区域的评分公式（.toml 文件）；随附示例 frontpage_2016。",
    ),
    "qc.evidence.sample": ("This document; may be repeated.", "指定文档编号；可重复。"),
    "qc.evidence.random": ("So many documents by lot.", "随机抽取份数。"),
    "qc.evidence.seed": ("The same seed draws the same documents.", "种子；相同种子抽取相同文档。"),
    "qc.evidence.show": (
        "Show the samples' values whole instead of masked; needs --consent.",
        "完整显示样本内容而不脱敏；须同时给出 --consent。",
    ),
    "qc.evidence.consent": (
        "By whose leave patients' data is shown; it goes into the quality log.",
        "完整显示患者数据所依据的同意（何人、何因）；记入质控日志。",
    ),
    "qc.evidence.who": ("Who looks (default: the user of this shell).", "查看人（默认：当前用户）。"),
    "said.consent": (
        "--show needs --consent TEXT (by whose leave) and samples; without --show nothing needs consent",
        "--show 须与 --consent TEXT（依据何人同意）及样本一同使用；不带 --show 时无需同意",
    ),
    "said.written_report": ("{path} written", "已写出 {path}"),
    "said.exists": ("{path} exists already; it was not touched", "{path} 已存在，未作改动"),
    "said.nothing": ("Nothing.", "无。"),
    "said.unreachable": (
        "source {source}: unreachable since {since}, next try {next_try} ({problem})",
        "来源 {source}：自 {since} 起无法连接，下次尝试 {next_try}（{problem}）",
    ),
    "said.no_daemon": ("no daemon is running", "守护进程未运行"),
    "said.daemon": ("daemon running, pid {pid}", "守护进程运行中，pid {pid}"),
    "said.all_good": ("Everything that is configured works.", "全部配置可用。"),
    "said.ok": ("works", "可用"),
    "said.released": ("Release {number}: {cases} records", "释放 {number}：{cases} 条记录"),
    "said.releasing": ("reading again", "重新读取中"),
    "said.release_marked": ("{marked:,} marked", "已标记 {marked:,} 条"),
    "said.release_progress": (
        "reading again: {waiting:,} to go · to send: {to_send:,}",
        "重新读取：剩余 {waiting:,} · 待送：{to_send:,}",
    ),
    "said.release_problem": (
        "released; what is left goes on with the next run, because now: {problem}",
        "已释放；其余将在下次运行时继续，因为目前：{problem}",
    ),
    "said.try_which": ("either --rows FILE, or --from DAY", "请给出 --rows 文件 或 --from 日期"),
    "said.not_a_day": ("{text} is no day (2026-03-31) or moment", "{text} 不是日期（2026-03-31）或时刻"),
    "said.rehearsing": ("reading: {read:,}", "读取中：{read:,}"),
    "said.rehearsed": (
        "{read} records from {since} to {to}, by {mapping}. Nothing was kept or sent.",
        "{since} 至 {to} 共 {read} 条记录，映射 {mapping}。未保存，未发送。",
    ),
    "said.differ": (
        "{documents} documents differ from what was sent, in these elements. (A new version is made only where a value "
        "that the query gives has changed, not for a new code table, template or profile.)",
        "{documents} 份文档与已发送的不同，涉及以下数据元。（仅当查询给出的值变化时才生成新版本，对照表、模板或配置的变化不会。）",
    ),
    "said.would_hold": ("Would be held, because:", "会被扣留的原因："),
    "said.not_comparable": (
        "{documents} could not be compared: made with other versions, and their bytes are no longer kept here.",
        "{documents} 份无法比较：由其他版本生成，且本机已不再保存其内容。",
    ),
    "said.same_now": ("as today", "与现在相同"),
    "said.changed_since": ("changed since", "此后已变化"),
    "said.feed_gone": ("the feed is not configured any more", "数据流已不在配置中"),
    "said.value_gone": (
        "Its bytes are no longer kept here; the platform has them.",
        "本机已不再保存其内容；平台上有。",
    ),
    "said.code_map": ("Code map {map} ({file}), value set {value_set}", "代码对照 {map}（{file}），值域 {value_set}"),
    "said.held_again": ("Held again, because:", "再次隔离的原因："),
    "said.being_read": (" ({n} being read again)", "（{n} 条重新读取中）"),
    "said.waiting": (
        "{records} held records for {groups} causes; {documents} documents that a destination did not take",
        "被扣留记录 {records} 条，原因 {groups} 个；目的地未接收的文档 {documents} 份",
    ),
    "said.discarded": ("{cases} discarded", "已丢弃 {cases} 条"),
    "said.which": ("name the cases, or say --all", "请给出条目编号，或使用 --all"),
    "said.proven": (
        "The log is whole. {entries} entries; countersigned up to {proven}; not yet proven: {rest}.",
        "日志完整。共 {entries} 条；平台已会签至第 {proven} 条；尚未证明：{rest} 条。",
    ),
    "said.begins": (
        "It begins with entry {first}: what stood before is dropped, its term being over; the platform countersigned "
        "the checkpoint.",
        "日志自第 {first} 条起：更早的部分保留期已满而删除，其检查点经平台会签。",
    ),
    "said.tampered": (
        "The log is NOT what was written: entry {first} ({reason}). Whole and countersigned up to {proven}.",
        "日志已被改动：第 {first} 条（{reason}）。完整且已会签至第 {proven} 条。",
    ),
    "said.incomplete": (
        "Its last line was cut while it was written: incomplete, not tampered with.",
        "最后一行写入中断：不完整，并非篡改。",
    ),
    "said.forged": ("Countersignatures that are not the platform's: {heads}.", "非平台的会签：{heads}。"),
    "said.no_key": (
        "no key of a platform is known: --key platform.pub says which",
        "没有平台公钥：请用 --key platform.pub 指定",
    ),
    "said.adopted": ("Adopted; the new instance is {instance}.", "已确认；新实例为 {instance}。"),
    "said.unforeseen": (
        "unexpected error: {error}; where it happened is in {log}",
        "意外错误：{error}；位置见 {log}",
    ),
    "said.reading": ("reading and sending", "读取与发送中"),
    "said.no_findings": ("No findings.", "没有问题。"),
    "said.would.document": ("would become document {id}", "将生成文档 {id}"),
    "said.would.withheld": (
        "would be kept back by rule: neither rendered nor sent",
        "将按规则不予外发：不生成、不发送",
    ),
    "said.would.held": ("would be held for a person", "将进入隔离区等待人工处理"),
    "said.would.unchanged": ("unchanged since its last document", "自上一份文档以来未变化"),
    "said.would.not_final": ("not final yet: nothing is made of it", "尚未终结：暂不生成文档"),
    "said.would.withdrawn": ("void, and nothing of it was ever sent", "已作废，且从未发送"),
    "said.would.waiting": (
        "would wait for its row in another system, so long as the mapping says",
        "将等待另一系统中的对应记录，等待时限见映射",
    ),
    # -- headings of tables
    "head.table": ("code map", "对照表"),
    "head.code": ("local code", "本地代码"),
    "head.count": ("records", "记录数"),
    "head.first_seen": ("first seen", "首次出现"),
    "head.proposals": ("proposals", "建议"),
    "head.examples": ("examples", "示例"),
    "head.codes": ("codes", "代码数"),
    "head.approved": ("approved", "已批准"),
    "head.unmapped": ("unmapped", "未对照"),
    "head.doubts": ("doubts", "疑点"),
    "head.target": ("standard code", "标准代码"),
    "head.target_name": ("its name", "标准名称"),
    "head.decided": ("decided by", "决定依据"),
    "head.from": ("from", "启用"),
    "head.until": ("until", "停用"),
    "head.successor": ("successor", "接替代码"),
    "head.note": ("note", "备注"),
    "head.action": ("decision", "决定"),
    "head.by": ("by", "决定人"),
    "head.statements": ("statements", "语句"),
    "head.rows": ("rows", "行"),
    "head.slowest": ("slowest s", "最慢（秒）"),
    "head.usual": ("usual ms", "常态（毫秒）"),
    "head.scatter": ("worst of 7 above it, ms", "七次最慢多用（毫秒）"),
    "head.until_when": ("until", "至"),
    "head.term": ("agreed", "约定"),
    "head.feed": ("feed", "数据流"),
    "head.source": ("source", "来源"),
    "head.read_up_to": ("read up to", "已读至"),
    "head.documents": ("documents", "文档"),
    "head.held": ("held", "隔离"),
    "head.waiting_for_partner": ("waits for another system", "待另一系统"),
    "head.visit": ("visit", "就诊"),
    "head.judged": ("judged", "判定时间"),
    "head.due": ("due", "待判定"),
    "head.unchanged": ("unchanged", "未变"),
    "head.not_final": ("not final", "未终结"),
    "head.last_run": ("last run", "上次运行"),
    "head.next_run": ("next run", "下次运行"),
    "head.problem": ("problem", "问题"),
    "head.destination": ("destination", "目的地"),
    "head.delivered": ("delivered", "已送达"),
    "head.waiting": ("waiting", "待送"),
    "head.stuck": ("waits for a person", "待人工"),
    "head.quarantine": ("quarantine", "隔离区"),
    "head.spool": ("spool", "缓存"),
    "head.step": ("step", "步骤"),
    "head.seconds": ("seconds", "秒"),
    "head.cpu": ("of the processor", "处理器"),
    "head.each": ("µs each", "微秒/份"),
    "head.would_new": ("would be sent for the first time", "将首次发送"),
    "head.would_changed": ("would be sent as a new version", "将作为新版本发送"),
    "head.would_freed": ("held now, would be sent", "现被扣留，将可发送"),
    "head.would_unchanged": ("as sent", "与已发送的一致"),
    "head.would_differ": ("sent, and would differ now", "已发送，现会不同"),
    "head.would_not_comparable": ("sent, cannot be compared", "已发送，无法比较"),
    "head.would_newly_held": ("would newly be held", "将新被扣留"),
    "head.would_held_as_now": ("held now, would be held", "现被扣留，仍会扣留"),
    "head.would_not_final": ("not final", "未终结"),
    "head.would_void": ("void", "已作废"),
    "head.would_waiting": ("would wait for a partner's row", "将等待其他系统的记录"),
    "head.would_withheld": ("would be kept back by rule", "将按规则不予共享"),
    "head.changed": ("changed", "变化"),
    "head.added": ("added", "新增"),
    "head.removed": ("removed", "消失"),
    "head.query": ("query", "查询"),
    "head.digest": ("digest", "摘要"),
    "head.part": ("made by", "依据"),
    "head.today": ("today", "现在"),
    "head.alias": ("alias", "别名"),
    "head.parse": ("conversion", "转换"),
    "head.local": ("local code", "本地代码"),
    "head.records": ("records", "记录"),
    "head.group": ("group", "组"),
    "head.groups": ("causes", "原因数"),
    "head.number": ("number", "数量"),
    "head.who": ("who must act", "处理人"),
    "head.word": ("--who", "--who"),
    "head.most": ("most frequent", "最多的原因"),
    "head.release_documents": ("documents made", "生成文档"),
    "head.release_delivered": ("of them delivered", "其中已送达"),
    "head.release_to_send": ("of them to be sent", "其中待送"),
    "head.release_stuck": ("of them not taken by a destination", "其中目的地未接收"),
    "head.release_held": ("held again", "再次隔离"),
    "head.release_unchanged": ("as already delivered, or withdrawn", "与已送达内容一致或已撤销"),
    "head.release_discarded": ("discarded", "已丢弃"),
    "head.release_waiting": ("still to be read", "尚待读取"),
    "head.release_returned": ("back before a person", "退回人工"),
    "head.release_sent_again": ("documents sent again", "重新发送的文档"),
    "head.case": ("case", "编号"),
    "head.state": ("state", "状态"),
    "head.kind": ("kind", "种类"),
    "head.key": ("key", "主键"),
    "head.since": ("since", "自"),
    "head.findings": ("findings", "问题"),
    "head.severity": ("does", "作用"),
    "head.rule": ("rule", "规则"),
    "head.text": ("what is wrong and how to mend it", "问题与改正办法"),
    "head.field": ("field", "字段"),
    "head.standard": ("standard", "标准"),
    "head.section": ("section", "章节"),
    "head.type": ("type", "类型"),
    "head.element": ("data element", "数据元"),
    "head.file": ("file", "文件"),
    "head.message": ("message", "消息"),
    "head.kinds": ("of kinds", "文书"),
    "head.column": ("column", "来源列"),
    "head.metric": ("figure", "指标"),
    "head.value": ("value", "值"),
    "head.what": ("what", "对象"),
    "head.seq": ("no.", "序号"),
    "head.time": ("time", "时间"),
    "head.event": ("event", "事件"),
    "head.details": ("details", "详情"),
    "head.document": ("document", "文档编号"),
    "head.outcome": ("outcome", "结果"),
    "head.reply": ("reply", "应答"),
    "head.reasons": ("reasons", "原因"),
    "head.name": ("name", "名称"),
    "head.version": ("version", "版本"),
    "head.format": ("format", "格式"),
    "head.cardinality": ("card.", "基数"),
    "head.value_set": ("value set", "值域"),
    "head.fields": ("fields", "字段数"),
    "head.patient": ("patient", "患者"),
    "head.institution": ("hospital", "医院"),
    "head.row": ("row", "行"),
    "head.title": ("title", "标题"),
    "head.dimension": ("dimension", "维度"),
    "head.confidence": ("confidence", "可信程度"),
    "head.clause": ("clause", "依据"),
    **BACKFILL_TEXTS,
    **CONSOLE_TEXTS,
    **DOCTOR_TEXTS,
    **INIT_TEXTS,
    **INLET_TEXTS,
    **IMAGE_TEXTS,
    **TABLES_TEXTS,
    **ENGINES_TEXTS,
    **PEOPLE_TEXTS,
    **RECONCILE_TEXTS,
    **VANISHED_TEXTS,
    **ALARMS_TEXTS,
    **FOREIGN_TEXTS,
    **SIGNATURE_TEXTS,
    **STUDIES_TEXTS,
    **SECRETS_TEXTS,
    **UPGRADE_TEXTS,
    **REGION_UPGRADES_TEXTS,
    **JOINING_TEXTS,
    **PROGRAM_TEXTS,
    **PLATFORM_PEOPLE_TEXTS,
    **AUDITING_TEXTS,
    **PLATFORM_LOG_TEXTS,
    **IMAGES_BACKFILL_TEXTS,
    **GAP_TEXTS,
}


class Texts:
    """The table in one language."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._column = 0 if language == "en" else 1

    def __call__(self, key: str, **values: object) -> str:
        text = TEXTS[key][self._column]
        return text.format(**values) if values else text


def language_of(arguments: Sequence[str], environment: Mapping[str, str]) -> Language:
    """`--lang` wherever it stands, else what LC_ALL, LC_MESSAGES or LANG says, else English."""
    for place, argument in enumerate(arguments):
        if argument == "--lang" and arguments[place + 1 : place + 2]:
            return _known(arguments[place + 1])
        if argument.startswith("--lang="):
            return _known(argument.removeprefix("--lang="))
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return _known(environment[name])
    return "en"


def _known(word: str) -> Language:
    return "zh" if word.lower().startswith("zh") else "en"
