"""The texts of init: a part of the table in texts.py."""

INIT_TEXTS: dict[str, tuple[str, str]] = {
    "init": (
        "Without options: write an agent.toml with comments; never overwrites.\n\n"
        "With --source or --odbc: read a system's schema, its comments and small samples, propose which table and column is "
        "which field, write the mapping, its SQL, code maps and agent.toml, and try them on real rows. Reads only. Samples "
        "stay in memory.\n\n"
        "Example: frontend-agent init --source postgresql://reader@10.0.0.5/his --secret his --kind C0002 --kind C0004",
        "不带选项：写出带注释的 agent.toml；绝不覆盖已有文件。\n\n"
        "带 --source 或 --odbc：读取业务系统的表结构、注释和少量样本，推荐哪个表哪一列对应哪个字段，写出映射、SQL、"
        "对照表和 agent.toml，并用真实数据试运行。只读；样本只在内存中。\n\n"
        "示例：frontend-agent init --source postgresql://reader@10.0.0.5/his --secret his --kind C0002 --kind C0004",
    ),
    "init.source": (
        "The database's URL, without a password: postgresql://user@host/database, mariadb://…, sqlite:///file.",
        "数据库 URL，不含口令：postgresql://用户@主机/库、mariadb://…、sqlite:///文件。",
    ),
    "init.odbc": ("Or an ODBC connection string, without a password.", "或 ODBC 连接串，不含口令。"),
    "init.secret": (
        "The NAME of the password: systemd credential, file in agent.toml's [secrets] folder, or keyring.",
        "口令的名称：systemd 凭据、agent.toml [secrets] 文件夹中的文件，或系统密钥环。",
    ),
    "init.kind": (
        "A kind to propose, may be repeated (default: C0002, C0004, C0007).",
        "要推荐的文档种类，可重复（默认 C0002、C0004、C0007）。",
    ),
    "init.name": ("What the source is called in agent.toml.", "来源在 agent.toml 中的名称。"),
    "init.into": (
        "The folder for the mapping (default: mappings/NAME beside agent.toml).",
        "映射写入的文件夹（默认：agent.toml 旁的 mappings/名称）。",
    ),
    "init.table": (
        "Which table holds the records of a kind, when you know: --table C0004=mz_cf.",
        "已知某类记录所在的表时直接指定：--table C0004=mz_cf。",
    ),
    "init.choose": (
        "Choose another of the proposed columns: --choose C0004:amount=mz_cf.zje; nothing after = leaves it out.",
        "改选其他候选列：--choose C0004:amount=mz_cf.zje；等号后留空表示不取。",
    ),
    "init.profile": (
        "The profile to judge the first document by: national or regional.",
        "评判首份文档所用的规则：national 或 regional。",
    ),
    "init.yes": ("Accept every proposal without asking.", "不逐项询问，全部采纳。"),
    "init.add": (
        "Append the source and feeds to the agent.toml that is there.",
        "把来源和数据流追加到已有的 agent.toml。",
    ),
    "init.institution": (
        "The hospital's organisation code, for a new agent.toml.",
        "新建 agent.toml 时的医疗机构代码。",
    ),
    "init.institution_name": ("The hospital's name, for a new agent.toml.", "新建 agent.toml 时的医疗机构名称。"),
    "init.document": (
        "Show the first document even where the output is no terminal. It is about a patient.",
        "输出不是终端时也显示首份文档。其中有患者信息。",
    ),
    "said.init.one_of": ("Give either --source or --odbc.", "--source 与 --odbc 只能给一个。"),
    "said.init.needs_source": (
        'These options are for a system: add --source URL or --odbc "…".',
        '这些选项需要指定系统：请加 --source URL 或 --odbc "…"。',
    ),
    "said.init.equals": ("{given}: write it like {example}", "{given}：应写作 {example}"),
    "said.init.no_kind": (
        "{kind}: no such kind (frontend-agent kinds list)",
        "{kind}：没有这个种类（frontend-agent kinds list）",
    ),
    "said.init.no_table": ("{table}: the account sees no such table", "{table}：该账号看不到这张表"),
    "said.init.no_choice": (
        "{field}: {column} is not among what was proposed ({known})",
        "{field}：{column} 不在候选之列（{known}）",
    ),
    "said.init.looking": ("reading", "正在读取"),
    "said.init.looked": (
        "{tables} tables and views read, {sampled} sampled (at most 200 rows each), {statements} statements, {seconds:.1f} s.",
        "读取 {tables} 个表和视图，抽样 {sampled} 个（每个至多 200 行），共 {statements} 条语句，{seconds:.1f} 秒。",
    ),
    "said.init.passed_over": ("Not sampled: {table}: {why}", "未抽样：{table}：{why}"),
    "said.init.nothing": (
        "{kind} {name}: no table looks like it. Name it with --table {kind}=TABLE, or leave the kind out.",
        "{kind} {name}：没有找到相应的表。请用 --table {kind}=表名 指定，或不做该种类。",
    ),
    "said.init.anchor": (
        "{kind} {name}: one record is one row of {table}; {found} of {all} fields proposed, {gaps} that the kind needs are missing.",
        "{kind} {name}：一条记录对应 {table} 的一行；{all} 个字段中推荐 {found} 个，另有 {gaps} 个必需字段未找到。",
    ),
    "said.init.lines": (
        "{kind} {name}: one record is all rows of {table} with the same number; {found} of {all} fields proposed, {gaps} that the kind needs are missing.",
        "{kind} {name}：{table} 中号码相同的各行合为一条记录；{all} 个字段中推荐 {found} 个，另有 {gaps} 个必需字段未找到。",
    ),
    "said.init.group": ("{group}: rows of {table}", "{group}：取自 {table} 的各行"),
    "said.init.ask": (
        "{field} {name}: {column} ({score:.2f}). Enter: take it; 0: none; a number: that one",
        "{field} {name}：{column}（{score:.2f}）。回车：采纳；0：不取；数字：选该项",
    ),
    "said.init.no_final": (
        'Nothing says when a record is final: every record counts as final. Where a status column says it, add AS "final" to the query.',
        '没有识别出“已完成”的状态列：所有记录都按已完成处理。若有状态列，请在查询中加 AS "final"。',
    ),
    "said.init.final": ("Final when {what}. Check it.", "{what} 时视为已完成，请核对。"),
    "said.init.void": ("Void when {what}. Check it.", "{what} 时视为作废，请核对。"),
    "said.init.no_cursor": (
        'No column says when a row changed: only new rows are found. Ask for one, or use find = "compare".',
        '没有“修改时间”列：只能发现新增的行。请厂商增加，或使用 find = "compare"。',
    ),
    "said.init.no_key": (
        "The record's table has no key of one column: check key in the mapping.",
        "记录表没有单列主键：请核对映射中的 key。",
    ),
    "said.init.codes": (
        "Local codes to decide: {fields} (files under codes/)",
        "待对照的本地代码：{fields}（见 codes/ 下的文件）",
    ),
    "said.init.written": ("Written: {path}", "已写出：{path}"),
    "said.init.exists": (
        "{path} is there already; init overwrites nothing: choose another folder with --into",
        "{path} 已存在；init 不覆盖任何文件：请用 --into 指定其他文件夹",
    ),
    "said.init.paste": (
        "{path} is there and was not touched. Add to it (or run again with --add and another --into):",
        "{path} 已存在，未作修改。请加入以下内容（或用 --add 并换一个 --into 重新运行）：",
    ),
    "said.init.added": ("Appended to {path}:", "已追加到 {path}："),
    "said.init.complete": (
        "{kind}: how many of {records} sampled records have each field",
        "{kind}：{records} 条样本记录中各字段的完整率",
    ),
    "said.init.no_records": ("{kind}: no record could be read yet.", "{kind}：目前没有可读取的记录。"),
    "said.init.failed": ("{kind}: the queries do not run: {problem}", "{kind}：查询无法执行：{problem}"),
    "said.init.first": (
        "{kind}: the first document has {findings} findings, {holding} of them hold it.",
        "{kind}：首份文档有 {findings} 个问题，其中 {holding} 个导致扣留。",
    ),
    "said.init.hidden": (
        "The document itself is about a patient and is shown on a terminal only (or with --document).",
        "文档内容涉及患者，只在终端显示（或使用 --document）。",
    ),
    "said.init.next": (
        "A proposal is no decision: read the files, then run: frontend-agent check; frontend-agent preview FEED --newest 5",
        "推荐不等于决定：请先阅读这些文件，再运行：frontend-agent check；frontend-agent preview 数据流 --newest 5",
    ),
    "said.init.doubtful": (
        "{kind}: {count} doubtful fields are left out of the queries, as comments. Take one with --choose KIND:FIELD=COLUMN:",
        "{kind}：{count} 个存疑字段未写入查询，仅作注释保留。可用 --choose 种类:字段=列 采纳：",
    ),
    "said.init.joins": (
        "Joins: how many sampled values find exactly one row, and how many find several (down: the newest is taken).",
        "联接：样本值中恰好找到一行的数量，以及找到多行的数量（↓ 取最新一行）。",
    ),
    "head.joined": ("joined", "联接的表"),
    "head.way": ("way", "方向"),
    "head.one": ("one row", "一行"),
    "head.several": ("several", "多行"),
    "head.score": ("score", "分"),
    "head.why": ("evidence", "依据"),
    "head.others": ("next", "其次"),
    "head.complete": ("complete", "完整率"),
    "head.called": ("called", "名称"),
}
