"""What the command line says about inlets: (English, 简体中文). See `texts.py`."""

INLET_TEXTS: dict[str, tuple[str, str]] = {
    "inlet": ("What comes in by itself: HL7 v2, web services, files.", "主动推送进来的消息：HL7 v2、Web 服务、文件。"),
    "inlet.list": (
        "The inlets: how each stands, how many messages are in which state, which feeds read it.\n\n"
        "Example: frontend-agent inlet list",
        "所有入口：运行状态、各状态消息数、由哪些数据流读取。\n\n示例：frontend-agent inlet list",
    ),
    "inlet.show": (
        "One inlet, with all that it says of itself: address, connections, answers, refusals.\n\n"
        "Example: frontend-agent inlet show lis",
        "一个入口的详情：地址、连接、应答、拒绝。\n\n示例：frontend-agent inlet show lis",
    ),
    "inlet.messages": (
        "The messages of an inlet, the newest first: what is known of them, not what they say.\n\n"
        "Example: frontend-agent inlet messages lis --only unreadable",
        "某入口的消息（新的在前）：只列登记信息，不显示内容。\n\n"
        "示例：frontend-agent inlet messages lis --only unreadable",
    ),
    "inlet.message": (
        "One message: why it waits, what it is built of (masked), which records came of it.\n\n"
        "Example: frontend-agent inlet message lis 4711",
        "一条消息：为何等待、结构（已脱敏）、由它产生的记录。\n\n示例：frontend-agent inlet message lis 4711",
    ),
    "inlet.read": (
        "Read these messages again by the mappings of now, whatever became of them. A conflict is accepted by this.\n\n"
        "Example: frontend-agent inlet read lis 4711 4712",
        "按当前映射重新读取这些消息，不论之前结果如何；冲突消息由此接受。\n\n"
        "示例：frontend-agent inlet read lis 4711 4712",
    ),
    "inlet.discard": (
        "These messages are known and are not to be read. What was taken stays taken.\n\n"
        'Example: frontend-agent inlet discard lis 4711 --reason "test of the vendor"',
        "这些消息已知晓，不再读取；已入库的不受影响。\n\n"
        '示例：frontend-agent inlet discard lis 4711 --reason "厂商测试"',
    ),
    "inlet.tap": (
        "Look on while messages come in and are answered, until Ctrl-C: structure, kinds and lengths, no values.\n\n"
        "Example: frontend-agent inlet tap lis --count 3",
        "旁听：实时查看收到和应答的消息，按 Ctrl-C 结束；只显示结构、类型和长度，不显示值。\n\n"
        "示例：frontend-agent inlet tap lis --count 3",
    ),
    "inlet.name": ("An inlet of agent.toml.", "agent.toml 中的入口名。"),
    "inlet.state": (
        "new, taken, unwanted, unreadable, conflict or discarded (default: all).",
        "new、taken、unwanted、unreadable、conflict 或 discarded（默认全部）。",
    ),
    "inlet.limit": ("How many at most.", "最多显示多少条。"),
    "inlet.number": ("Numbers of messages (inlet messages).", "消息编号（见 inlet messages）。"),
    "inlet.count": ("End after so many; 0: never.", "显示这么多条后结束；0：不结束。"),
    "inlet.tap_json": ("One JSON value per line, for programs.", "每行一个 JSON 值，供程序读取。"),
    "head.new": ("new", "待读"),
    "head.taken": ("taken", "已入库"),
    "head.unwanted": ("unwanted", "无需"),
    "head.unreadable": ("unreadable", "无法读取"),
    "head.conflict": ("conflict", "冲突"),
    "head.discarded": ("discarded", "已丢弃"),
    "head.feeds": ("feeds", "数据流"),
    "head.received": ("received", "收到时间"),
    "head.about": ("about", "内容"),
    "head.control": ("control id", "控制号"),
    "head.sender": ("sender", "发送方"),
    "head.bytes": ("bytes", "字节"),
    "said.inlet_unread": ("none: nobody reads it", "无：没有数据流读取"),
    "said.inlet_running": ("running", "运行中"),
    "said.inlet_stopped": ("not running", "未运行"),
    "said.inlet_plain": (
        "inlet {inlet}: {addresses} may send without TLS, and whoever is on that network can read along;"
        " set certificate and key",
        "入口 {inlet}：{addresses} 可不加密发送，同网段的人能看到内容；请设置 certificate 和 key",
    ),
    "said.inlet_read": ("to be read again: {count}", "将重新读取：{count}"),
    "said.inlet_discarded": ("discarded: {count}", "已丢弃：{count}"),
    "said.tap_missed": ("… {count} more came too fast to be shown", "…另有 {count} 条来得太快，未显示"),
}
