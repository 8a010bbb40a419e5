"""What keeps a decision about a local code from being taken, in both languages."""

from collections.abc import Mapping
from types import MappingProxyType

Said = dict[str, str]  # language -> sentence

_TEXTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "not_csv": ("the file is not UTF-8 CSV", "文件不是 UTF-8 编码的 CSV"),
        "not_xlsx": ("the file is no workbook (.xlsx)", "文件不是 Excel 工作簿（.xlsx）"),
        "empty": ("the file is empty", "文件为空"),
        "lacks": ("the first line lacks the columns: {0}", "首行缺少列：{0}"),
        "no_decision": ("a target and a name are given, but no decision", "填写了标准代码和决定人，但没有填写决定"),
        "which_decision": ("'{0}' is no decision: {1} or {2}", "“{0}”不是有效的决定，应为：{1} 或 {2}"),
        "no_target": ("approved, but no standard code is given", "决定为批准，但没有填写标准代码"),
        "empty_table": ("the code map is empty", "对照表为空"),
        "empty_code": ("the local code is empty", "本地代码为空"),
        "unknown_table": ("unknown code map '{0}' (known: {1})", "没有对照表“{0}”（已有：{1}）"),
        "mapped": ("is mapped to {0} already", "已对照到 {0}"),
        "foreign": ("{0} is not in {1}", "{0} 不在“{1}”中"),
        "foreign_near": ("{0} is not in {1} (did you mean {2}?)", "{0} 不在“{1}”中（是否为 {2}？）"),
        "nobody": ("nobody is named: who decides?", "没有写明决定人"),
        "no_reason": ("no reason is given", "没有写明理由"),
        "twice": ("is decided twice, differently", "重复出现且决定不同"),
        "unlisted": (
            "is not in the worklist (a spreadsheet may have made a number of it)",
            "不在待对照清单中（可能被表格软件改成了数字）",
        ),
    }
)


def said(key: str, *arguments: str) -> Said:
    """A sentence in both languages."""
    english, chinese = _TEXTS[key]
    return {"en": english.format(*arguments), "zh": chinese.format(*arguments)}
