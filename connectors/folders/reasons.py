"""Why a file was not taken, for its sender and for the operator: 简体中文 and English, and nothing of the file's content."""

import msgspec


class Reason(msgspec.Struct, frozen=True):
    """One reason: a word of TEXTS and what is put into its sentence; last of all, a reason of its own."""

    word: str
    arguments: tuple[str, ...] = ()
    inner: "Reason | None" = None

    def said(self, language: str) -> str:
        inner = [self.inner.said(language)] if self.inner is not None else []
        return TEXTS[self.word][0 if language == "zh" else 1].format(*self.arguments, *inner)


def reason(word: str, *arguments: object, inner: Reason | None = None) -> Reason:
    return Reason(word, tuple(str(one) for one in arguments), inner)


class FileRefused(Exception):
    """A file, or a part of it, cannot be taken. `reasons`: all of them."""

    def __init__(self, *reasons: Reason) -> None:
        super().__init__("; ".join(one.said("en") for one in reasons))
        self.reasons = reasons


TEXTS: dict[str, tuple[str, str]] = {
    "scan_name": (
        "文件名不符合 name 的格式，看不出属于哪个检查申请。",
        "The file's name is not of the form that name says: nobody knows which order it belongs to.",
    ),
    "scan_no_order": (
        "没有找到文件名所说的检查申请（RIS）。申请到达后，请把文件放回文件夹。",
        "There is no order as the file's name says it (RIS). Once it is there, lay the file back into the folder.",
    ),
    "scan_two_orders": (
        "文件名所说的号码对应几个不同患者的检查申请。",
        "The number in the file's name belongs to orders of different patients.",
    ),
    "scan_other_patient": (
        "文件名所说的患者与检查申请不一致。",
        "The file's name says another patient than its order.",
    ),
    "scan_cancelled": ("检查申请已取消。", "Its order was cancelled."),
    "scan_kind": (
        "不是 JPEG、PNG、TIFF 或 PDF 文件。",
        "It is neither a JPEG, PNG, TIFF nor PDF file.",
    ),
    "scan_cut_off": ("文件不完整：缺少结尾。", "The file is cut off: its end is missing."),
    "scan_pages": ("页数超过 {0}。", "It has more than {0} pages."),
    "scan_conflict": (
        "同一文件已用其他患者数据生成过影像；两者都保留，等待人工处理。",
        "The same file was made an image with other patient data before; both are kept for a person.",
    ),
    "empty": ("文件是空的。", "The file is empty."),
    "too_large": ("文件超过 {0} 字节的上限（largest）。", "The file is larger than {0} bytes (largest)."),
    "encrypted": (
        "文件有密码（或是旧版 .xls）；请去掉密码，另存为 .xlsx 或 .zip。",
        "The file is encrypted (or an old .xls); save it without a password, as .xlsx or .zip.",
    ),
    "unreadable": ("内容无法读取：{0}。", "The content cannot be read: {0}."),
    "not_hl7": ("不是 HL7 v2 消息：没有 MSH。", "Not an HL7 v2 message: there is no MSH."),
    "not_closed": (
        "批文件没有结束：缺少 {0}，可能只写了一半。",
        "The batch is not closed: {0} is missing, perhaps only half was written.",
    ),
    "batch": ("批文件自己的计数不符：{0}。", "The batch's own counts do not agree: {0}."),
    "framing": (
        "MLLP 帧不完整：帧外有内容，或有消息没有结束。",
        "The MLLP frames are not whole: bytes outside of them, or a message without an end.",
    ),
    "message": ("第 {0} 条（共 {1} 条）无法读取：{2}。", "Message {0} of {1} cannot be read: {2}."),
    "conflict": (
        "第 {0} 条（共 {1} 条）的消息号以前来过，内容却不同；已留待人工处理。",
        "Message {0} of {1}: its id came before with other content; it is kept for a person.",
    ),
    "unwanted": (
        "第 {0} 条（共 {1} 条）没有数据流需要，已按设置退回。",
        "No feed wants message {0} of {1}; it is refused, as the settings say.",
    ),
    "others_taken": ("其余 {0} 条已收下，不必重发。", "The other {0} were taken and need not be sent again."),
    "zip_broken": ("压缩包损坏，或不是 zip。", "The archive is damaged, or is no zip."),
    "zip_entries": ("压缩包内的文件超过 {0} 个（entries）。", "The archive holds more than {0} files (entries)."),
    "zip_unpacked": ("解压后超过 {0} 字节（unpacked）。", "Unpacked, the archive is larger than {0} bytes (unpacked)."),
    "zip_ratio": (
        "压缩包第 {0} 个文件的压缩比超过 {1}，像是压缩炸弹。",
        "File {0} of the archive unpacks to more than {1} times its size, like a bomb.",
    ),
    "zip_path": ("压缩包第 {0} 个文件的路径指向外面。", "File {0} of the archive has a path that leads out of it."),
    "zip_link": ("压缩包第 {0} 个文件是链接或设备。", "File {0} of the archive is a link or a device."),
    "zip_nested": ("压缩包里还有压缩包（第 {0} 个文件）。", "There is an archive within the archive (file {0})."),
    "zip_entry": ("压缩包第 {0} 个文件：{1}", "File {0} of the archive: {1}"),
    "zip_nothing": ("压缩包里没有文件。", "There is no file in the archive."),
    "not_dicom": ("不能作为 DICOM 文件收下：{0}。", "It cannot be taken as a DICOM file: {0}."),
    "other_bytes": (
        "同一 SOP Instance UID 以前来过，内容却不同；已留待人工处理。",
        "An instance of this SOP Instance UID came before with other bytes; it is kept for a person.",
    ),
    "no_dicomdir": ("DICOMDIR 无法读取：{0}。", "The DICOMDIR cannot be read: {0}."),
    "no_answers": ("反馈文件里没有一条回执。", "There is no answer in the feedback file."),
    "no_document": ("第 {0} 条回执没有写明是哪份文书。", "Answer {0} does not say of which document it speaks."),
    "no_verdict": (
        "第 {0} 条回执的结论不在设置里（accepted、rejected、again）。",
        "The verdict of answer {0} is not in the settings (accepted, rejected, again).",
    ),
    "two_verdicts": (
        "第 {0} 条回执与前面一条说法相反，两条都没有采用。",
        "Answer {0} contradicts an earlier one about the same document; neither counts.",
    ),
    "not_ours": ("第 {0} 条回执说的不是我们交给它的文书。", "Answer {0} is about no document that we delivered there."),
    "others_heard": ("其余 {0} 条已采用。", "The other {0} were heard."),
}

_HEADING = ("未收下此文件 · This file was not taken", "时间 · At: {0}")


def reason_file(reasons: tuple[Reason, ...], at: str) -> bytes:
    """What is written beside a file that was refused: UTF-8 with a mark, so that a Windows editor shows the Chinese."""
    lines = [_HEADING[0], _HEADING[1].format(at), ""]
    lines += [f"- {one.said('zh')}" for one in reasons]
    lines += ["", *(f"- {one.said('en')}" for one in reasons), ""]
    return "\r\n".join(lines).encode("utf-8-sig")
