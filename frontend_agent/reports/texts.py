"""Every word of a report, in 简体中文 and English."""

from typing import Literal

Language = Literal["zh", "en"]

TEXTS: dict[str, tuple[str, str]] = {
    # -- a report and its parts
    "report": ("数据质量报告", "Data quality report"),
    "report.daily": ("数据质量日报", "Daily data quality report"),
    "report.monthly": ("数据质量月报", "Monthly data quality report"),
    "evidence": ("互联互通测评数据证据", "Evidence for the interoperability evaluation"),
    "sheet.summary": ("总览", "Summary"),
    "sheet.kinds": ("按文档类型", "By kind"),
    "sheet.departments": ("按科室", "By department"),
    "sheet.rules": ("按规则", "By rule"),
    "sheet.elements": ("按数据元", "By data element"),
    "sheet.timeliness": ("及时性", "Timeliness"),
    "sheet.trend": ("趋势", "Trend"),
    "sheet.months": ("按月", "By month"),
    "sheet.base": ("日×类型×科室", "Day, kind, department"),
    "sheet.findings": ("明细", "Findings"),
    "sheet.charts": ("图表", "Charts"),
    "sheet.datasets": ("数据集", "Data sets"),
    "sheet.fill": ("数据元填充率", "Fill rate of elements"),
    "sheet.score": ("评分", "Score"),
    "sheet.samples": ("抽样", "Samples"),
    "sheet.sample": ("样本内容", "Contents of the samples"),
    # -- what it says of itself
    "about.institution": ("医疗机构", "Institution"),
    "about.period": ("统计期间（事件日期）", "Period (day of the event)"),
    "about.kinds": ("文档类型", "Kinds"),
    "about.departments": ("科室", "Departments"),
    "about.all": ("全部", "all"),
    "about.made": ("生成时间", "Made at"),
    "about.timezone": ("时区", "Time zone"),
    "about.version": ("软件版本", "Version"),
    "about.since": ("统计起始时间", "There are statistics since"),
    "about.log": ("质控日志末条", "Newest entry of the quality log"),
    "about.partly": (
        "注意：统计自上述时间开始，此前的数据不在本报告中。",
        "Note: statistics begin at that time; what was taken before is not in this report.",
    ),
    "about.empty": ("本期间没有数据。", "There is nothing in this period."),
    "about.element_departments": (
        "注：填充率按全院统计，不按科室区分；问题数按所选科室统计。",
        "Note: fill rates are of the whole institution, not by department; findings are of the departments chosen.",
    ),
    "about.judged": (
        "通过率＝生成的文档数÷（文档数＋隔离数），暂缓发送的不计；首次通过率按首次判定计；重复版本每次计一次。",
        "Pass rate = documents ÷ (documents + held), withheld ones left out; the first-pass rate is of first judgements; "
        "every version counts once.",
    ),
    "about.completeness": (
        "完整率＝应填且已填的数据元数÷应填数（按区域配置中要求的数据元；明细组内的数据元见“按数据元”）。",
        "Completeness = elements there ÷ elements asked for, by the region profile; elements inside of repeated groups "
        "are on the sheet of elements.",
    ),
    "about.delays": (
        "时长由分段直方图估算：中位数与 P95 在段内线性插值；限时内比例只计完全落在限时内的段，不会高估。",
        "Times are estimated from a histogram: median and P95 are interpolated inside a bucket; shares within a limit "
        "count whole buckets only and are never too good.",
    ),
    "about.masked": (
        "明细中的值已脱敏；行以文档编号或隔离条目编号标识。",
        "Values are masked; a line is named by the document's or the held record's id.",
    ),
    "about.more": ("仅列前 {n} 行，全部见 Excel 或 CSV。", "The first {n} lines only; all of them are in the workbook and the CSV."),
    "about.no_findings_here": (
        "逐条明细见 Excel 或 CSV（共 {n} 条）。",
        "The findings themselves ({n}) are in the workbook and the CSV.",
    ),
    # -- columns
    "day": ("日期", "Day"),
    "month": ("月份", "Month"),
    "kind": ("类型", "Kind"),
    "kind_name": ("名称", "Name"),
    "department": ("科室", "Department"),
    "no_department": ("（未注明）", "(none given)"),
    "metric": ("指标", "Figure"),
    "value": ("值", "Value"),
    "read": ("读取次数", "Read"),
    "final": ("判定数", "Judged"),
    "first": ("首次判定", "First judged"),
    "documents": ("生成文档", "Documents"),
    "versions": ("其中更正版本", "Later versions"),
    "void": ("其中作废", "Withdrawals"),
    "held": ("隔离", "Held"),
    "withheld": ("按规则不发送", "Withheld"),
    "mended": ("隔离后修复", "Mended"),
    "warned": ("带警告文档", "With warnings"),
    "delivered": ("送达", "Delivered"),
    "refused": ("被拒绝", "Refused"),
    "pass_rate": ("通过率", "Pass rate"),
    "first_pass_rate": ("首次通过率", "First-pass rate"),
    "clean_rate": ("无警告率", "Without warnings"),
    "completeness": ("完整率", "Completeness"),
    "hold": ("隔离级", "Hold"),
    "warn": ("警告级", "Warn"),
    "note": ("提示级", "Note"),
    "findings": ("问题数", "Findings"),
    "median": ("中位数（小时）", "Median (hours)"),
    "p95": ("P95（小时）", "P95 (hours)"),
    "receipt_median": ("事件至回执中位数（小时）", "Event to receipt, median (hours)"),
    "receipt_p95": ("事件至回执 P95（小时）", "Event to receipt, P95 (hours)"),
    "taken_median": ("事件至采集中位数（小时）", "Event to taken, median (hours)"),
    "sending_median": ("采集至回执中位数（小时）", "Taken to receipt, median (hours)"),
    "within_day": ("24 小时内送达率", "Delivered within 24 h"),
    "within_1h": ("1 小时内", "Within 1 h"),
    "within_24h": ("24 小时内", "Within 24 h"),
    "within_72h": ("72 小时内", "Within 72 h"),
    "beyond": ("365 天以上", "Beyond 365 days"),
    "early": ("早于事件", "Before the event"),
    "destination": ("目的地", "Destination"),
    "leg": ("区间", "From – to"),
    "leg.taken": ("事件 → 采集", "event → taken"),
    "leg.receipt": ("事件 → 回执", "event → receipt"),
    "leg.sending": ("采集 → 回执", "taken → receipt"),
    "n": ("份数", "Number"),
    "rule": ("规则", "Rule"),
    "title": ("说明", "Says"),
    "dimension": ("质量维度", "Dimension"),
    "severity": ("级别", "Severity"),
    "who": ("处理方", "Who acts"),
    "share": ("占判定数", "Of all judged"),
    "in_kinds": ("涉及类型", "Kinds"),
    "in_departments": ("涉及科室", "Departments"),
    "most": ("最多的科室", "Most in"),
    "most_field": ("最多的字段", "Most at"),
    "data_element": ("数据元", "Data element"),
    "field": ("字段", "Field"),
    "element": ("数据元名称", "Element"),
    "filled": ("已填", "Filled"),
    "wanted": ("应填", "Wanted"),
    "fill_rate": ("填充率", "Fill rate"),
    "id": ("文档／条目", "Document / case"),
    "state": ("状态", "State"),
    "masked": ("值（脱敏）", "Value (masked)"),
    "state.document": ("已生成", "document"),
    "state.void": ("作废版本", "withdrawal"),
    "state.open": ("隔离中", "held"),
    "state.released": ("已释放待重读", "released"),
    "state.superseded": ("已被更正", "superseded"),
    "state.discarded": ("已丢弃", "discarded"),
    # -- charts
    "chart.volume": ("每日文档与隔离", "Documents and held records by day"),
    "chart.rates": ("每日通过率与完整率", "Pass rate and completeness by day"),
    "chart.delay": ("每日事件至回执中位数（小时）", "Event to receipt by day, median in hours"),
    "chart.kinds": ("各类型完整率", "Completeness by kind"),
    "chart.departments": ("各科室通过率（文档数最多的科室）", "Pass rate by department (the largest)"),
    "chart.rules": ("问题最多的规则（隔离与警告）", "Rules that held or warned most"),
    "chart.table": ("图表数据见相应表格。", "The numbers are in the tables."),
    "of": ("；", "; "),
}  # fmt: skip


class Texts:
    """The texts in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._at = 0 if language == "zh" else 1

    def __call__(self, key: str, **values: object) -> str:
        text = TEXTS[key][self._at]
        return text.format(**values) if values else text

    def known(self, key: str, otherwise: str) -> str:
        found = TEXTS.get(key)
        return found[self._at] if found else otherwise
