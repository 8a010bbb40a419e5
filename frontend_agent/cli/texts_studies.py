"""What the command line says about a platform's images: (English, 简体中文). See `texts.py`."""

STUDIES_TEXTS: dict[str, tuple[str, str]] = {
    "platform.dicom_port": (
        "Also take instances by DICOM on this port; 0 takes a free one. Needs --dicom-peers.",
        "同时在此端口以 DICOM 接收影像；0 为任意空闲端口。需配合 --dicom-peers。",
    ),
    "platform.dicom_peers": (
        "Who may store by DICOM, and for which hospital (TOML).",
        "允许以 DICOM 存入影像的应用实体及其所属医院（TOML）。",
    ),
    "studies": ("Studies that a platform knows (--state: its folder).", "平台已知的影像检查（--state：其目录）。"),
    "studies.list": ("The newest studies, or those that are asked for.", "最新的影像检查，或按条件查找。"),
    "studies.patient": (
        "Beginning of a name, or a whole patient, identity, accession or order number.",
        "姓名开头，或完整的患者号、身份证号、检查号、申请单号。",
    ),
    "studies.modality": ("Only with this modality: CT, MR …", "仅含此设备类型：CT、MR……"),
    "studies.wanted_only": ("Only those whose pixels are asked for.", "仅列出已请求像素数据的检查。"),
    "studies.show": ("One study with its series.", "一个影像检查及其序列。"),
    "studies.uid": ("Study Instance UID.", "检查实例 UID。"),
    "studies.want": (
        "Ask the hospital for the pixels of a study that is known by its index alone; its log shows --why.",
        "请求医院上传仅有索引的检查的像素数据；医院日志中显示 --why 所述原因。",
    ),
    "studies.wanted": ("{count} studies are asked for.", "已请求 {count} 个检查。"),
    "studies.nothing_to_want": (
        "Nothing is asked for: all of it is here, or nothing is known of it.",
        "无需请求：影像已齐全，或平台不知此检查。",
    ),
    "studies.unwant": ("Do not ask for it any more.", "取消请求。"),
    "studies.conflicts": (
        "Instances that came again with other bytes and were refused; the hospital must say which are right.",
        "以不同内容重复到达并被拒收的实例；应由医院确认以何者为准。",
    ),
    "studies.drop": (
        "Take a hospital's study away, files and index. For what was sent by mistake.",
        "删除某医院的一个检查（文件与索引）。用于误传的检查。",
    ),
    "studies.dropped": ("{count} instances are gone.", "已删除 {count} 个实例。"),
    "studies.yes": ("Do not ask.", "不再询问。"),
    "studies.sure": ("Take study {uid} of {institution} away?", "确定删除 {institution} 的检查 {uid}？"),
    "studies.verify": (
        "Read every file and hold it against its SHA-256. Exit 1 where one is missing or damaged.",
        "读取全部文件并核对 SHA-256。如有缺失或损坏，退出码为 1。",
    ),
    "studies.verified": ("{count} instances are as they were stored.", "{count} 个实例与存入时一致。"),
    "studies.missing": ("missing", "缺失"),
    "studies.damaged": ("damaged", "损坏"),
    "studies.unknown": ("No such study is known here.", "平台不知此检查。"),
    "head.study": ("study", "检查"),
    "head.modality": ("modality", "设备类型"),
    "head.series": ("series", "序列"),
    "head.instances": ("instances", "实例"),
    "head.here": ("here", "已到"),
    "head.description": ("description", "描述"),
    "head.instance": ("instance", "实例 UID"),
    "head.sha256": ("SHA-256", "SHA-256"),
}
