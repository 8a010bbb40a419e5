"""What the command line says about images: (English, 简体中文). See `texts.py`."""

IMAGE_TEXTS: dict[str, tuple[str, str]] = {
    "images": (
        "Images: studies, from where they come in to where they are proven.",
        "影像：检查从接收到被证实存储的全过程。",
    ),
    "images.list": (
        "Studies, the newest first: state, completeness, findings, and how they stand at each destination.\n\n"
        "Example: frontend-agent images list --only held",
        "检查列表（新的在前）：状态、完整性、问题、在各目的地的情况。\n\n示例：frontend-agent images list --only held",
    ),
    "images.show": (
        "One study: series, order, what the PACS says, all findings, what each destination said.\n\n"
        "Example: frontend-agent images show 12",
        "一个检查：序列、申请单、PACS 所述数量、全部问题、各目的地的答复。\n\n示例：frontend-agent images show 12",
    ),
    "images.instances": (
        "The instances of a study: who sent each, its SHA-256, and what it is sent as where a tag was changed.\n\n"
        "Example: frontend-agent images instances 12 --json",
        "检查中的实例：由谁发来、SHA-256、标签被修改后以何摘要发送。\n\n示例：frontend-agent images instances 12 --json",
    ),
    "images.release": (
        "Let held studies go. Their findings are noted with your name; they are judged once more and sent, changed as their"
        " order says. Only a finding that you have not seen holds them again.\n\nExample: frontend-agent images release 12",
        "放行被扣留的检查：问题连同您的姓名记入日志；系统再判断一次，按申请单对齐后发送。只有新的问题才会再次扣留。\n\n"
        "示例：frontend-agent images release 12",
    ),
    "images.pixels": (
        "I have looked at the pixels: they show nobody's name. For destinations that get studies without identity.",
        "我已查看像素：其中没有任何人的姓名。用于接收去标识化检查的目的地。",
    ),
    "images.look": (
        "Judge studies anew, by the rules and orders of now. Takes back a discarded one within its term.\n\n"
        "Example: frontend-agent images look 12 13",
        "按当前规则和申请单重新判断；也可在保留期内恢复已放弃的检查。\n\n示例：frontend-agent images look 12 13",
    ),
    "images.discard": (
        "These studies are not to be sent: test images, phantoms. Their files go when their term is over.\n\n"
        'Example: frontend-agent images discard 12 --reason "a phantom"',
        "这些检查不发送：测试图像、模体。文件在保留期满后删除。\n\n示例：frontend-agent images discard 12 --reason 模体",
    ),
    "images.send": (
        "Deliver studies (again). What is no longer here is fetched from its PACS first.\n\n"
        "Example: frontend-agent images send 12 --to region",
        "（再次）发送检查。本机已无文件的先从 PACS 取回。\n\n示例：frontend-agent images send 12 --to region",
    ),
    "images.pull": (
        "Fetch studies from a PACS now, before everything else.\n\nExample: frontend-agent images pull A20260305001",
        "立即从 PACS 取回检查，优先于其他任务。\n\n示例：frontend-agent images pull A20260305001",
    ),
    "images.wants": (
        "Studies that should be here and are not yet: who wants them, when they are asked for next, why not before.\n\n"
        "Example: frontend-agent images wants --all",
        "应到而未到的检查：由谁需要、下次查询时间、未取到的原因。\n\n示例：frontend-agent images wants --all",
    ),
    "images.orders": (
        "What RIS and HIS say of an examination.\n\nExample: frontend-agent images orders --accession A20260305001",
        "RIS/HIS 中该检查的申请信息。\n\n示例：frontend-agent images orders --accession A20260305001",
    ),
    "images.inlets": (
        "Where images come in, and how each stands.\n\nExample: frontend-agent images inlets",
        "影像入口及其运行状态。\n\n示例：frontend-agent images inlets",
    ),
    "images.state": (
        "Only those: collecting, held, sending, done, discarded.",
        "只列出：collecting、held、sending、done、discarded。",
    ),
    "images.patient": ("Of this patient id.", "该患者标识的。"),
    "images.accession": ("Of this accession number.", "该检查号（Accession Number）的。"),
    "images.limit": ("So many at most.", "最多条数。"),
    "images.before": ("Those before this number: the next page.", "该编号之前的（下一页）。"),
    "images.study": (
        "Its number (images list), or its Study Instance UID.",
        "编号（见 images list）或 Study Instance UID。",
    ),
    "images.uid": ("Of this Study Instance UID.", "该 Study Instance UID 的。"),
    "images.which": ("Study Instance UIDs or accession numbers.", "Study Instance UID 或检查号。"),
    "images.order": ("The order's own number.", "申请单号。"),
    "images.to": ("A destination; all, if none is named. May be given several times.", "目的地；省略则全部。可重复。"),
    "images.from": ("The inlet whose PACS is asked.", "向哪个入口的 PACS 查询。"),
    "images.ended": ("Also those that were fetched or given up.", "也列出已取回或已放弃的。"),
    "said.images_gone": (
        "Its files are no longer here: their term is over (images send fetches them again).",
        "本机已无其文件：保留期已满（images send 会重新取回）。",
    ),
    "said.images_order": ("order: {order}, accession number {accession}", "申请单：{order}，检查号 {accession}"),
    "said.images_expected": ("{by} says: {instances} instances", "{by} 称有 {instances} 个实例"),
    "said.images_known_as": (
        "{destination} knows it as {uid}, its patient as {pseudonym}",
        "{destination} 处的检查号为 {uid}，患者假名为 {pseudonym}",
    ),
    "said.images_asked_for": (
        "that UID is what {destination} knows instance {sop_instance_uid} by",
        "该 UID 是 {destination} 处对实例 {sop_instance_uid} 的编号",
    ),
    "said.images_let_go": ("let go by a person: {findings}", "已由人工放行：{findings}"),
    "head.place": ("no.", "序号"),
    "said.images_as_they_are": (
        "The others stay as they are: only what is held is released, only what still has its files is judged anew, and only what is not "
        "done is discarded (frontend-agent images list).",
        "其余的保持原样：只有被扣留的才放行，只有文件还在的才重新判断，已完成的不能放弃（见 frontend-agent images list）。",
    ),
    "said.images_released": ("{count} of {asked} studies released.", "{asked} 个检查中放行了 {count} 个。"),
    "said.images_looked": ("{count} of {asked} studies are judged anew.", "{asked} 个检查中有 {count} 个将重新判断。"),
    "said.images_discarded": ("{count} of {asked} studies discarded.", "{asked} 个检查中放弃了 {count} 个。"),
    "said.images_sent": ("{count} instances go again.", "{count} 个实例将再次发送。"),
    "said.images_fetched_first": ("{count} studies are fetched first.", "先取回 {count} 个检查。"),
    "said.images_pulled": (
        "{count} of {asked} studies are fetched; the others are wanted already, or here.",
        "{asked} 个检查中有 {count} 个将取回；其余已在取回中或已在本机。",
    ),
    "said.images_status": (
        "images: {studies} · {used} of {quota} bytes",
        "影像：{studies} · 已用 {used} / {quota} 字节",
    ),
    "said.images_wants": (
        "{open} studies are wanted, {stuck} were given up",
        "待取回检查 {open} 个，已放弃 {stuck} 个",
    ),
    "said.images_held": ("Studies", "检查"),
    "said.images_judged_again": (
        "{count} studies are judged again, or sent again (to let one go as it is: images release).",
        "{count} 个检查将重新判断或再次发送（原样放行请用 images release）。",
    ),
    "head.study": ("study", "检查"),
    "head.uid": ("UID", "UID"),
    "head.series_uid": ("series", "序列"),
    "head.accession": ("accession no.", "检查号"),
    "head.series": ("series", "序列"),
    "head.instances": ("instances", "实例"),
    "head.destinations": ("destinations", "目的地"),
    "head.modality": ("modality", "设备类型"),
    "head.sha256": ("SHA-256", "SHA-256"),
    "head.wanted_by": ("wanted by", "由谁需要"),
    "head.asked_next": ("asked next", "下次查询"),
    "head.attempts": ("tries", "次数"),
    "head.inlet": ("inlet", "入口"),
    "head.collecting": ("collecting", "收集中"),
    "head.sending": ("sending", "发送中"),
    "head.done": ("done", "已完成"),
    "head.ready": ("ready", "待发送"),
    "head.uncertain": ("uncertain", "未答复"),
    "head.behind": ("behind", "等待其他"),
    "head.awaiting": ("awaiting", "等待取回"),
    "head.refused": ("refused", "被拒绝"),
    "head.blocked": ("blocked", "被阻止"),
    "head.damaged": ("damaged", "已损坏"),
    "images.key": (
        "Choose images of a study: a key image note is made, and goes where the study goes.\n\n"
        "Example: frontend-agent images key 12 1.2.840.1 1.2.840.2 --title for-referring-provider",
        "选择检查中的关键影像：生成关键影像说明（KOS），随检查一同发送。\n\n"
        "示例：frontend-agent images key 12 1.2.840.1 1.2.840.2 --title for-referring-provider",
    ),
    "images.chosen": ("SOP Instance UIDs of the chosen images", "所选影像的 SOP Instance UID"),
    "images.title": (
        "why they were chosen: of-interest, for-referring-provider, for-surgery, for-conference, best-in-set, for-report …",
        "选择的理由：of-interest、for-referring-provider、for-surgery、for-conference、best-in-set、for-report 等",
    ),
    "images.text": ("what is to be seen on them", "影像上要看什么"),
    "images.deidentify": (
        "Files without who they are of: written anew, by the profile and key of a destination. What may show a name is refused.\n\n"
        "Example: frontend-agent images deidentify *.dcm --as-for research --to out",
        "文件去标识：按某个目的地的配置和密钥另存。可能显示姓名的影像将被拒绝。\n\n"
        "示例：frontend-agent images deidentify *.dcm --as-for research --to out",
    ),
    "images.files": ("DICOM files", "DICOM 文件"),
    "images.as_for": ("the destination whose profile and key are used", "使用哪个目的地的配置和密钥"),
    "images.folder": ("folder for the new files, named by their new UIDs", "存放新文件的文件夹，以新的 UID 命名"),
    "said.images_key": ("Key image note {uid}: it goes with its study.", "关键影像说明 {uid}：随检查一同发送。"),
    "said.images_deidentified": ("{count} of {asked} files de-identified.", "{asked} 个文件中 {count} 个已去标识。"),
    "said.images_not_deidentified": ("{file}: not de-identified: {reason}", "{file}：未去标识：{reason}"),
}
