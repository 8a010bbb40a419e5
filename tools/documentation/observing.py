"""What the program tells of itself, on one page: exit codes, the events of the running log, the platform's metrics. From the code alone."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from frontend_agent.cli.texts import Language, Texts

ROOT = Path(__file__).parents[2]
METRICS = ("Counter", "Histogram", "Gauge", "GaugeMetricFamily")
WORDS = {
    "zh": {
        "title": "退出码、日志事件与指标",
        "intro": "本页由程序生成。",
        "codes": "退出码",
        "events": "运行日志的事件",
        "events_intro": "一行一件过去的事：`事件 键=值 …`。只有编号与数字，没有患者内容。日志在状态目录的 `agent.log`，作为服务运行时在 journal 中。",
        "event": "| 事件 | 随附 | 级别 |",
        "metrics": "平台的指标",
        "metrics_intro": "平台的 `/metrics`，Prometheus 格式；计数另有 `_total` 结尾。",
        "metric": "| 指标 | 含义 |",
    },
    "en": {
        "title": "Exit codes, events of the log, metrics",
        "intro": "The program makes this page.",
        "codes": "Exit codes",
        "events": "Events of the running log",
        "events_intro": "One line is one past fact: `event key=value …`. Identifiers and figures, nothing of a patient. The log is `agent.log` in the state"
        " directory, and in the journal where it runs as a service.",
        "event": "| event | with | level |",
        "metrics": "The platform's metrics",
        "metrics_intro": "`/metrics` of the platform, for Prometheus; counters end in `_total` as well.",
        "metric": "| metric | meaning |",
    },
}
METRICS_ZH = {
    "platform_requests": "收下的批次，以及按原因拒绝的请求",
    "platform_documents": "按回执的文书数",
    "platform_document_bytes": "已存文书的未压缩字节数",
    "platform_take_seconds": "从收完一批到应答的秒数",
    "platform_failures": "因本平台出错而失败的请求",
    "platform_instances": "按结果与途径的影像实例数",
    "platform_instance_bytes": "已存实例的字节数",
    "platform_instances_sent": "被完整调阅的实例数",
    "platform_stored_documents": "已存文书版本数",
    "platform_last_stored_timestamp_seconds": "最近一次存入的时间",
    "platform_studies": "已知检查数",
    "platform_known_instances": "已知实例数（含只有索引的）",
    "platform_held_instances": "有文件的实例数",
    "platform_held_instance_bytes": "这些文件的字节数",
    "platform_hospital_last_heartbeat_timestamp_seconds": "最近一次心跳的时间",
    "platform_hospital_silent": "1：已收不到该医院的心跳",
    "platform_hospital_alarms": "该医院当前未静音的告警数",
}


def page(lang: Language) -> str:
    """The page in one language, as Markdown."""
    words = WORDS[lang]
    lines = [f"# {words['title']}", "", words["intro"], "", f"## {words['codes']}", "", Texts(lang)("epilog"), ""]
    lines += [f"## {words['events']}", "", words["events_intro"], "", words["event"], "| --- | --- | --- |"]
    for name, (fields, levels) in sorted(events().items()):
        with_ = " ".join(f"`{field}`" for field in sorted(fields))
        lines.append(f"| `{name}` | {with_} | {' '.join(sorted(levels))} |")
    lines += ["", f"## {words['metrics']}", "", words["metrics_intro"], "", words["metric"], "| --- | --- |"]
    for name, meaning in sorted(metrics().items()):
        lines.append(f"| `{name}` | {meaning if lang == 'en' else METRICS_ZH[name]} |")
    return "\n".join(lines).rstrip() + "\n"


@cache
def events() -> dict[str, tuple[set[str], set[str]]]:
    """Name of an event -> the keys that go with it, and the levels on which it is said."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for outer, inner in _calls():
        if _name(inner) not in ("event", "failed") or not (name := _text(inner)) or "." not in name:
            continue
        keys, levels = found.setdefault(name, (set(), set()))
        keys.update(word.arg for word in inner.keywords if word.arg)
        if outer is not None and _name(outer) in ("debug", "info", "warning", "error"):
            levels.add(_name(outer))
    return found


@cache
def metrics() -> dict[str, str]:
    """Name of a metric -> what it says, in English."""
    return {
        name: str(call.args[1].value)
        for _, call in _calls()
        if _name(call) in METRICS
        and (name := _text(call)).startswith("platform_")
        and len(call.args) > 1
        and isinstance(call.args[1], ast.Constant)
    }


def _calls() -> Iterator[tuple[ast.Call | None, ast.Call]]:
    """Every call in the program, with the call that it is an argument of."""
    for folder in ("frontend_agent", "connectors"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            outer = {
                inner: call
                for call in ast.walk(tree)
                if isinstance(call, ast.Call)
                for argument in call.args
                for inner in ast.walk(argument)
                if isinstance(inner, ast.Call)
            }
            for call in ast.walk(tree):
                if isinstance(call, ast.Call):
                    yield outer.get(call), call


def _name(call: ast.Call) -> str:
    function = call.func
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def _text(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    return str(first.value) if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
