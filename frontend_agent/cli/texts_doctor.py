"""The texts of the doctor: the command's, a part of the table in texts.py, and one sentence for each finding."""

DOCTOR_TEXTS: dict[str, tuple[str, str]] = {
    "doctor": (
        "Find out what is wrong between a source and us, and how to mend it: reaching it, driver, login, rights, character"
        " sets, clocks, indexes, slow views, locks; without a source also whether this machine joins two networks. Reads few rows and writes"
        " nothing. Exit code 1 when something is wrong.\n\n"
        "Examples: frontend-agent doctor his · frontend-agent doctor · frontend-agent doctor his --try-write --json",
        "检查来源与前置机之间的问题并给出改法：连通、驱动、登录、权限、字符集、时钟、索引、慢视图、锁；不指定来源时还检查本机是否连通了两个网络。"
        "只读取少量行，不写任何内容。发现问题时退出码为 1。\n\n"
        "示例：frontend-agent doctor his · frontend-agent doctor · frontend-agent doctor his --try-write --json",
    ),
    "doctor.source": ("A source of agent.toml; all, if none is named.", "agent.toml 中的来源；省略则检查全部。"),
    "doctor.try_write": (
        "Try a write as well: an UPDATE of no row, rolled back. Database audit systems may raise an alarm.",
        "同时尝试一次写操作：更新零行并回滚。数据库审计系统可能因此告警。",
    ),
    "doctor.of": ("Source {source}", "来源 {source}"),
    "doctor.of_machine": ("This machine", "本机"),
    "doctor.well": ("Nothing is wrong.", "未发现问题。"),
}

AILMENTS: dict[str, tuple[str, str]] = {
    # -- the machine itself
    "networks.apart": (
        "The networks of its cards ({cards}) are kept apart: nothing is forwarded.",
        "各网卡（{cards}）所在网络相互隔离：未开启转发。",
    ),
    "networks.joined": (
        "It forwards packets between its cards ({cards}), past every firewall between their networks: {switches}. Turn it off,"
        " and write the same into {file}; or, if it is meant (containers on this machine), say so in agent.toml:",
        "本机在网卡（{cards}）之间转发报文，绕过了两网之间的防火墙：{switches}。请关闭，并在 {file} 中写入同样设置；"
        "如确有需要（本机运行容器），在 agent.toml 中声明：",
    ),
    # -- the way to the server
    "reach.fine": ("The port answers.", "端口可连通。"),
    "reach.name": (
        "The name {host} cannot be resolved: no name server knows it. Write the address, or mend /etc/hosts or DNS.",
        "主机名 {host} 无法解析：域名服务器没有此名称。改写为 IP 地址，或修正 /etc/hosts 或 DNS。",
    ),
    "reach.refused": (
        "The machine {host} answers, but refuses port {port}: the database is not running, listens on another port or only"
        " on its own address, or a firewall refuses.",
        "主机 {host} 有应答，但拒绝端口 {port}：数据库未启动、监听其他端口或仅监听本机地址，或防火墙拒绝。",
    ),
    "reach.silent": (
        "No answer from {host} port {port} within {seconds} s: a firewall drops the packets, or the machine is off."
        " Let this machine through, from its address to that port.",
        "{host} 端口 {port} 在 {seconds} 秒内无任何应答：防火墙丢弃报文，或主机未开机。请放行本机地址到该端口。",
    ),
    "reach.forbidden": (
        "A router or firewall says that {host} port {port} is not to be reached. Let this machine through.",
        "路由器或防火墙告知 {host} 端口 {port} 不可达。请放行本机。",
    ),
    "reach.no_route": ("This machine has no route to {host}.", "本机没有到 {host} 的路由。"),
    "reach.other": ("{host} port {port} cannot be reached ({code}).", "无法连通 {host} 端口 {port}（{code}）。"),
    # -- driver and login
    "driver.none": (
        "This machine has no such ODBC driver or data source. Drivers it has: {drivers}. To install:",
        "本机没有此 ODBC 驱动或数据源。已安装的驱动：{drivers}。需安装：",
    ),
    "driver.silent": (
        "The driver got no answer when it logged in ({code}), though the port may answer: wrong port, or the server is busy.",
        "驱动登录时未得到应答（{code}），尽管端口可能连通：端口有误，或服务器繁忙。",
    ),
    "driver.says": ("{why}", "{why}"),
    "driver.other": ("The driver cannot log in ({code}).", "驱动无法登录（{code}）。"),
    "oracle.thin": (
        "This Oracle is older than 12.1 (11g): it is read in thick mode only. Install Oracle Instant Client 19 and name it:",
        "该 Oracle 版本低于 12.1（11g），只能用 thick 模式读取。安装 Oracle Instant Client 19 并指定目录：",
    ),
    "oracle.encryption": (
        "This Oracle demands native network encryption, which thick mode alone has. Name an Oracle Instant Client:",
        "该 Oracle 要求原生网络加密，仅 thick 模式支持。请指定 Oracle Instant Client 目录：",
    ),
    "oracle.verifier": (
        "The account has only a password of Oracle 10g's form: let it be set anew.",
        "该账号只有 Oracle 10g 格式的密码：请重设密码。",
    ),
    "oracle.service": (
        "The listener knows no such service: take the name from the list that this shows on the server:",
        "监听器没有此服务名。请在服务器上执行以下命令取得服务名：",
    ),
    "oracle.client": (
        "The Oracle client's libraries cannot be loaded: wrong folder, or libaio is missing.",
        "无法加载 Oracle 客户端库：目录有误，或缺少 libaio。",
    ),
    "tls.old": (
        "The server speaks only TLS 1.0 or 1.1, or with a key that is too short for this machine (SQL Server 2008 to 2014"
        " without updates). Best: install the server's TLS 1.2 update. Until then, for this service alone, a file"
        " openssl-weak.cnf and the line in the unit:",
        "服务器只支持 TLS 1.0/1.1，或密钥对本机来说过短（未打补丁的 SQL Server 2008–2014）。"
        "最好在服务器上安装 TLS 1.2 更新。在此之前，仅对本服务使用 openssl-weak.cnf 文件，并在服务单元中加一行：",
    ),
    "tls.untrusted": (
        "The server's certificate is not one that this machine trusts. Install the hospital's CA, or accept it in the"
        " connection string of this source:",
        "本机不信任服务器的证书。安装医院的 CA 证书，或在该来源的连接串中接受：",
    ),
    "login.fine": ("Connected; it is {engine}.", "已连接，类型为 {engine}。"),
    "login.refused": (
        "User or password is wrong ({code}).",
        "用户名或密码错误（{code}）。",
    ),
    "login.machine": (
        "The server does not let this machine in with this account ({code}): its administrator must add the address.",
        "服务器不允许本机使用此账号（{code}）：请管理员添加本机地址。",
    ),
    "login.locked": (
        "The account is locked, or its password has expired ({code}).",
        "账号被锁定或密码已过期（{code}）。",
    ),
    "login.full": (
        "The server has no connection left ({code}): its limit is reached by others.",
        "服务器连接数已满（{code}）：已被其他程序用尽。",
    ),
    "login.database": (
        "The server has no such database, or hides it from this account ({code}).",
        "服务器没有此数据库，或账号不可见（{code}）。",
    ),
    # -- the account
    "account.fine": ("The account may only read.", "账号只有读权限。"),
    "account.writes": (
        "The account can write: {rights}. Its feeds do not run without a waiver. The administrator runs:",
        "账号有写权限：{rights}。没有豁免时其数据流不运行。请管理员执行：",
    ),
    "account.room": (
        "The account may do more than read, though nothing to the hospital's tables: {rights}. Better:",
        "账号有读以外的权限（不涉及医院的表）：{rights}。建议执行：",
    ),
    "account.unknown": ("What the account may do cannot be read: {why}.", "无法读取账号权限：{why}。"),
    # -- clocks
    "clock.fine": ("Its clock and ours agree ({ahead}{seconds} s).", "时钟一致（{ahead}{seconds} 秒）。"),
    "clock.skew": (
        "Its clock differs from ours by {ahead}{seconds} s (+: it is ahead). One of both has no time server; on this machine:",
        "其时钟与本机相差 {ahead}{seconds} 秒（+ 表示其较快）。其中一方没有对时；本机可查看：",
    ),
    "clock.zone": (
        "Its clock differs from ours by {hours} h: another time zone, there or in [institution] timezone. On this machine:",
        "其时钟与本机相差 {hours} 小时：某一方时区设置不同（或 [institution] timezone 有误）。本机可查看：",
    ),
    # -- locks
    "lock.fine": ("Reading locks nothing of the hospital's ({mode}).", "读取不锁定医院的数据（{mode}）。"),
    "lock.taken": ("Reading takes a lock of mode {mode}.", "读取会加 {mode} 锁。"),
    "lock.serializable": (
        "The session's isolation is {isolation}: every row that is read is locked.",
        "会话隔离级别为 {isolation}：读取的每一行都会加锁。",
    ),
    "lock.table": (
        "The table's engine is {engine}: while it is read, nobody can write to it. Read it at night, or:",
        "该表引擎为 {engine}：读取期间无法写入。请在夜间读取，或：",
    ),
    "lock.no_versions": (
        "READ_COMMITTED_SNAPSHOT is off: a reader waits for writers, and they for it. Read a replica, or at a quiet hour:",
        "READ_COMMITTED_SNAPSHOT 未开启：读写会互相等待。请读取副本库，或在空闲时执行：",
    ),
    # -- queries
    "query.not_sent": ("It would not be sent: {why}", "该语句不会被发送：{why}"),
    "query.refused": ("The source refuses it: {why}", "来源拒绝该查询：{why}"),
    "query.denied": ("The account may not read it:", "账号无权读取："),
    "query.too_slow": (
        "No answer within the statement time-out: the view is too slow, or an index is missing.",
        "在语句超时内无结果：视图过慢或缺少索引。",
    ),
    "query.slow": (
        "It took {seconds} s of the {limit} s it may take: make the view simpler or give it an index, before the data grows.",
        "耗时 {seconds} 秒（上限 {limit} 秒）：请在数据增长前简化视图或建立索引。",
    ),
    "query.fast": ("Answered after {seconds} s (it may take {limit} s).", "耗时 {seconds} 秒（上限 {limit} 秒）。"),
    "plan.fine": (
        "The server finds what changed without reading a large table whole.",
        "服务器无需全表扫描大表即可找到变化。",
    ),
    "plan.no_index": (
        "No index helps on {column} of {table}: all {rows} rows are read at every run. The administrator may make one:",
        "{table} 的 {column} 没有可用索引：每次运行都扫描全部 {rows} 行。管理员可以建立：",
    ),
    "plan.costly": (
        "The server estimates a cost of {cost} for every run: too much for every few minutes. Ask for less, or less often.",
        "服务器估计每次运行的代价为 {cost}：对每几分钟一次来说过高。请缩小查询范围或降低频率。",
    ),
    # -- texts and dates
    "text.fine": ("Texts and dates of {rows} rows read as they should.", "{rows} 行的文本与日期读取正常。"),
    "text.misread": (
        "{count} Chinese texts are read as {read}, but are {right}: 「{before}」 should be 「{after}」. Write:",
        "{count} 个中文文本被当作 {read} 读取，实际为 {right}：「{before}」应为「{after}」。请写：",
    ),
    "text.undecoded": (
        "{count} texts hold bytes that are not in the expected character set. In the source's table:",
        "{count} 个文本含有不属于预期字符集的字节。在该来源的配置中写：",
    ),
    "text.lost": (
        "{count} texts are nothing but question marks: their Chinese was lost when they were written, and cannot be mended.",
        "{count} 个文本只剩问号：写入时中文已丢失，无法恢复。",
    ),
    "date.instant": (
        "A date kept as an instant of {zone}: read in another zone it is a day early (1989-12-31 16:00+00 is 1990-01-01). Write:",
        "日期以 {zone} 的时刻存储：在其他时区读取会早一天（1989-12-31 16:00+00 即 1990-01-01）。请写：",
    ),
    "date.utc": (
        "Dates that were turned into UTC and lost their zone: each is a day early ({hours} h before midnight in {zone}). Write:",
        "日期被换算为 UTC 且丢失时区：每个都早一天（{zone} 零点前 {hours} 小时）。请写：",
    ),
    # -- a write that was tried
    "write.session": (
        "A write that was tried was refused: our session is read-only.",
        "尝试的写操作被拒绝：会话只读。",
    ),
    "write.grants": (
        "A write that was tried was refused: the account has no right.",
        "尝试的写操作被拒绝：账号无权限。",
    ),
    "write.accepted": (
        "A write that was tried was accepted (of no row, and rolled back): neither the session nor the account stops one.",
        "尝试的写操作被接受（零行，已回滚）：会话与账号都不能阻止写入。",
    ),
    "feed.broken": ("The feed cannot be made: {why}", "数据流无法建立：{why}"),
    "step.refused": ("This could not be looked at: {why}", "无法检查此项：{why}"),
}
