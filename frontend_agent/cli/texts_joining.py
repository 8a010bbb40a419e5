"""What the command line says about joining a platform: (English, 简体中文). See `texts.py`."""

JOINING_TEXTS: dict[str, tuple[str, str]] = {
    # -- the platform's authority
    "ca": (
        "The platform's certificate authority: who signs the hospitals' certificates.",
        "平台的证书颁发机构：签发各医院前置机证书。",
    ),
    "ca.init": (
        "Make the platform's own authority. The root's key is written to the file you name, outside of the platform.",
        "建立平台自己的证书颁发机构。根密钥写入您指定的、位于平台目录之外的文件。",
    ),
    "ca.root_key": (
        "Where the new root's key is written: a USB stick that goes into a safe.",
        "新根密钥的保存位置：例如随后锁入保险柜的 U 盘。",
    ),
    "ca.root_key_again": ("The file of the root's key, as `ca init` wrote it.", "`ca init` 写出的根密钥文件。"),
    "ca.name": ("Name of the authority in its certificates.", "证书中颁发机构的名称。"),
    "ca.passphrase": ("Ask for a passphrase that protects the root's key.", "询问用于保护根密钥的口令。"),
    "ca.key_passphrase": ("Ask for the passphrase of the key.", "询问该密钥的口令。"),
    "ca.passphrase_new": ("Passphrase for the root's key", "根密钥口令"),
    "ca.passphrase_asked": ("Passphrase of the key", "密钥口令"),
    "ca.there_already": (
        "This platform has an authority already. To exchange it: platform ca rotate; one of the region's: platform ca import --next",
        "平台已有证书颁发机构。更换请用 platform ca rotate；换用区域自己的请用 platform ca import --next",
    ),
    "ca.root_apart": (
        "The root's key is in {file}. Put it into a safe, apart from this machine: it is needed again only to renew or to rotate.",
        "根密钥已写入 {file}。请与本机分开、妥善保管：仅在续期或轮换时再次需要。",
    ),
    "ca.import": (
        "Take the region's own authority: an intermediate with its key, or only the root where the region signs by itself.",
        "使用区域已有的证书颁发机构：带密钥的中间证书；若由区域自行签发，只需根证书。",
    ),
    "ca.root": ("The region's root certificate (PEM).", "区域根证书（PEM）。"),
    "ca.chain": ("The intermediate that signs, and those above it (PEM).", "负责签发的中间证书及其上级（PEM）。"),
    "ca.key": ("The intermediate's key (PEM); it is kept on this machine.", "中间证书的密钥（PEM），将保存在本机。"),
    "ca.as_next": (
        "As the next one of a rotation: trusted from now on, signing after `ca rotate --switch`.",
        "作为轮换中的下一个：即刻受信任，`ca rotate --switch` 后开始签发。",
    ),
    "ca.show": ("The authorities, with the fingerprints of their roots.", "列出证书颁发机构及其根证书指纹。"),
    "ca.pem": ("Print the trusted roots (PEM).", "输出受信任的根证书（PEM）。"),
    "ca.server": (
        "Write certificate and key of this server, and whom to trust, for a proxy that ends TLS (nginx).",
        "为终止 TLS 的代理（nginx）写出本服务器的证书、密钥及受信任的根证书。",
    ),
    "ca.out": (
        "Folder for server.pem, server.key and clients-ca.pem.",
        "server.pem、server.key、clients-ca.pem 的目录。",
    ),
    "ca.server_written": (
        "Written to {folder}: server.pem, server.key, clients-ca.pem. Then: nginx -s reload",
        "已写入 {folder}：server.pem、server.key、clients-ca.pem。随后执行：nginx -s reload",
    ),
    "ca.renew": (
        "A new intermediate below the same root: nothing changes for the hospitals.",
        "在同一根证书下签发新的中间证书：对医院无影响。",
    ),
    "ca.other_root": ("{file} is not the key of this platform's root.", "{file} 不是本平台根证书的密钥。"),
    "ca.rotate": (
        "Exchange the root in two phases: --root-key FILE begins (both are trusted), --switch lets the new one sign, "
        "--retire ends trust in the old one.",
        "分两个阶段更换根证书：--root-key FILE 开始（新旧同时受信任），--switch 改由新的签发，--retire 不再信任旧的。",
    ),
    "ca.begin": ("Begin: make the next root, and write its key here.", "开始：生成下一个根证书，密钥写入此文件。"),
    "ca.switch": ("The next authority signs from now on.", "从现在起由下一个颁发机构签发。"),
    "ca.retire": ("The old authority is trusted no more.", "不再信任旧的颁发机构。"),
    "ca.cancel": ("Give up a rotation that has begun and not switched.", "放弃已开始、尚未切换的轮换。"),
    "ca.force": (
        "Also where hospitals are not ready: they have to enroll anew.",
        "即使有医院尚未就绪也执行：这些医院须重新加入。",
    ),
    "ca.one_step": (
        "name one step: --root-key FILE, --switch, --retire or --cancel",
        "请指定一个步骤：--root-key FILE、--switch、--retire 或 --cancel",
    ),
    "ca.not_yet": (
        "{count} machines are not ready yet; they become so by themselves once they reach the platform. To go on without them: --force",
        "{count} 台前置机尚未就绪，与平台连通后会自动就绪。若不再等待：--force",
    ),
    "ca.behind": (
        "{count} machines do not trust the next authority yet: {whose}",
        "{count} 台前置机尚未信任下一个颁发机构：{whose}",
    ),
    "ca.key_there": (
        "{file} is there already; a root's key is never overwritten.",
        "{file} 已存在；根密钥绝不覆盖。",
    ),
    "ca.key_inside": (
        "{file} lies in the platform's folder; the root's key belongs elsewhere (a USB stick).",
        "{file} 位于平台目录内；根密钥应存放在别处（如 U 盘）。",
    ),
    # -- tokens, enrolments
    "token": (
        "Make a one-time token with which one machine of a hospital joins. It is shown this once.",
        "生成一次性令牌，供医院的一台前置机加入平台。仅显示这一次。",
    ),
    "token.institution": (
        "The institution that the machine may speak for; several, where one machine serves several.",
        "该前置机可代表的机构；一台服务多家机构时可写多个。",
    ),
    "token.hours": ("How long the token is good for.", "令牌有效小时数。"),
    "token.approve": (
        "Somebody must approve the machine before it gets its certificate.",
        "前置机须经人工批准后才能获得证书。",
    ),
    "token.withdraw": ("Instead: withdraw the institution's unused tokens.", "改为：撤回该机构未使用的令牌。"),
    "token.withdrawn": ("{count} tokens withdrawn.", "已撤回 {count} 个令牌。"),
    "token.no_institution": ("{institution!r} is no institution's name", "{institution!r} 不是有效的机构标识"),
    "token.made": (
        "Token for {institutions}, good for one machine and {hours} hours. Hand it over in person or by telephone, never by open mail:",
        "{institutions} 的令牌，仅限一台前置机，{hours} 小时内有效。请当面或电话交付，勿用明文邮件：",
    ),
    "token.fingerprint": ("The root it pins: {fingerprint}", "令牌锁定的根证书指纹：{fingerprint}"),
    "enrolments": ("Machines that asked to join.", "申请加入的前置机。"),
    "enrolments.waiting": ("Only those that wait for approval.", "仅列出等待批准的。"),
    "enrolments.request": (
        "Print the certificate request of that number (PKCS#10), for a region that signs by itself.",
        "输出该编号的证书申请（PKCS#10），供自行签发的区域使用。",
    ),
    "approve": (
        "Let a machine in that waits. First compare the key's fingerprint with what the hospital reads out.",
        "批准等待中的前置机。请先与医院核对密钥指纹。",
    ),
    "approve.number": ("Number of the enrolment.", "申请编号。"),
    "approve.certificate": (
        "The certificate that the region made of its request (PEM).",
        "区域据其申请签发的证书（PEM）。",
    ),
    "approve.refuse": ("Do not let it in.", "拒绝其加入。"),
    "approve.done": ("Enrolment {number} of {institutions} is {state}.", "{institutions} 的申请 {number}：{state}。"),
    "certificates": ("Certificates of the hospitals, and how they are used.", "各医院的证书及其使用情况。"),
    "certificates.incidents": (
        "Instead: who asked for what is not theirs.",
        "改为：列出越权访问的记录。",
    ),
    "revoke": (
        "Revoke certificates: they open nothing from the next request on.",
        "吊销证书：从下一次请求起即失效。",
    ),
    "revoke.which": (
        "Serial number, fingerprint, or an institution (all of its).",
        "序列号、指纹，或机构（其全部证书）。",
    ),
    "revoke.reason": ("Why; it is kept, and told to whoever uses it still.", "原因；将被保存，并告知仍在使用者。"),
    "revoke.done": ("{count} certificates revoked: {serials}", "已吊销 {count} 个证书：{serials}"),
    # -- serving
    "platform.tls": (
        "Where agents connect, HOST:PORT, with mutual TLS; may be repeated. Pages then stay at --host and --port, for this machine.",
        "前置机以双向 TLS 连接的地址 HOST:PORT，可重复。此时页面仍在 --host、--port，仅限本机。",
    ),
    "platform.name": (
        "Host name or IP address by which agents call this platform; may be repeated.",
        "前置机访问本平台所用的主机名或 IP 地址，可重复。",
    ),
    "platform.certificate": (
        "Certificate of this server from elsewhere (PEM), instead of one of the platform's own authority.",
        "本服务器的外来证书（PEM），代替平台自签证书。",
    ),
    "platform.key": ("Its key (PEM).", "其密钥（PEM）。"),
    "platform.proxy": (
        "Unix socket for nginx, where it ends TLS: see docs/guide/tls.md.",
        "由 nginx 终止 TLS 时使用的 Unix 套接字，见 docs/guide/tls.md。",
    ),
    "platform.no_address": ("{address!r} is not HOST:PORT", "{address!r} 不是 HOST:PORT"),
    # -- a machine joins
    "enroll": (
        "Join a platform: a key is made on this machine, and the platform gives a certificate for it by a one-time token.",
        "加入平台：密钥在本机生成且不外传，凭一次性令牌由平台签发证书。",
    ),
    "enroll.token": (
        "The token that the platform's administrator gave you; asked for if left out, so that it stays out of the shell's history.",
        "平台管理员给您的令牌；省略时将询问，以免留在命令历史中。",
    ),
    "enroll.token_asked": ("Token", "令牌"),
    "enroll.platform": (
        "The platform's address, https://HOST:8443 (default: the one in agent.toml).",
        "平台地址，https://HOST:8443（默认取自 agent.toml）。",
    ),
    "enroll.ca_fingerprint": (
        "Fingerprint of the platform's root, to be held against the token's (`platform ca show`).",
        "平台根证书指纹，用于与令牌核对（`platform ca show`）。",
    ),
    "enroll.wait": (
        "Seconds to wait for approval, where the platform's administrator has to approve.",
        "若须平台管理员批准，最长等待的秒数。",
    ),
    "enroll.which": (
        "which platform? Name it: --platform https://HOST:8443 (agent.toml has none by https, or several)",
        "加入哪个平台？请指定 --platform https://HOST:8443（agent.toml 中没有 https 平台，或有多个）",
    ),
    "enroll.other_root": (
        "the fingerprint is not that of this token's root: one of the two is of another platform",
        "指纹与令牌中的根证书不符：两者之一属于另一个平台",
    ),
    "enroll.done": (
        "Joined {platform} for {institutions}. The certificate is good until {expires} and renews itself; a running agent takes it up by itself.",
        "已代表 {institutions} 加入 {platform}。证书有效至 {expires}，到期前自动续期；运行中的服务会自动启用。",
    ),
    "enroll.no_destination": (
        'agent.toml has no destination there yet. Add:\n[destinations.platform]\ntype = "platform"\nurl  = "{url}"',
        'agent.toml 中尚无此目的地。请添加：\n[destinations.platform]\ntype = "platform"\nurl  = "{url}"',
    ),
    "enroll.waiting": (
        "The platform's administrator has to approve this machine. Read this fingerprint of its key to them: {fingerprint}\n"
        "Then run the same command again with the same token.",
        "须由平台管理员批准本机。请向其报读本机密钥指纹：{fingerprint}\n批准后用同一令牌再次执行本命令。",
    ),
    "certificate": ("By which certificates platforms know this machine.", "各平台据以识别本机的证书。"),
    "certificate.renew": ("Get the next certificate now.", "立即续期。"),
    "certificate.leave": (
        "Leave the platform of this address: key and certificate are deleted here.",
        "退出该地址的平台：删除本机的密钥与证书。",
    ),
    "certificate.not_joined": ("This machine has not joined {url}.", "本机未加入 {url}。"),
    "certificate.left": (
        "Left {url}. Have the platform's administrator revoke the certificate.",
        "已退出 {url}。请平台管理员吊销该证书。",
    ),
    # -- headings
    "head.platform": ("platform", "平台"),
    "head.renews": ("renews from", "自动续期起"),
    "head.enrolment": ("no.", "编号"),
    "head.machine": ("machine", "前置机"),
    "head.address": ("address", "地址"),
    "head.authority": ("authority", "颁发机构"),
    "head.root_fingerprint": ("root (SHA-256)", "根证书指纹（SHA-256）"),
    "head.key_fingerprint": ("key (SHA-256)", "密钥指纹（SHA-256）"),
    "head.serial": ("serial", "序列号"),
    "head.expires": ("expires", "到期"),
    "head.clock_skew": ("clock ahead (s)", "时钟快（秒）"),
    "head.asked": ("asked", "申请时间"),
    "head.certificate": ("certificate", "证书"),
}
