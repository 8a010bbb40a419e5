"""The reference page of a kind: every field, where it stands, what it may hold, and what was decided about it. One HTML file."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from frontend_agent.formats.kind import Field, Group, Kind
from frontend_agent.formats.tables import table
from frontend_agent.formats.value_sets import value_set

_WORDS: dict[str, dict[str, str]] = {
    "zh": {
        "header": "文档头",
        "group": "重复组",
        "fields": "字段",
        "field": "字段名",
        "name": "名称",
        "de": "数据元",
        "format": "格式",
        "length": "最大长度",
        "cardinality": "基数",
        "undecided": "未定",
        "domain": "值域",
        "path": "位置",
        "required": "要求",
        "confidence": "可信度",
        "note": "说明",
        "decisions": "逐条决定",
        "table": "来源表",
        "key": "条目",
        "decision": "决定",
        "reason": "理由",
        "always": "必填",
        "inside": "所在元素出现时必填",
        "unless": "除非有 {}",
        "with": "有 {} 时必填",
        "optional": "可选",
        "values": "代码表",
        "code": "代码",
        "shape": "（代码表未随附，只检查形式）",
    },
    "en": {
        "header": "Header",
        "group": "repeated group",
        "fields": "Fields",
        "field": "Field",
        "name": "Name",
        "de": "Data element",
        "format": "Format",
        "length": "Max. length",
        "cardinality": "Cardinality",
        "undecided": "undecided",
        "domain": "Value domain",
        "path": "Place",
        "required": "Needed",
        "confidence": "Confidence",
        "note": "Note",
        "decisions": "Decisions, one by one",
        "table": "Table",
        "key": "Entry",
        "decision": "Decision",
        "reason": "Reason",
        "always": "always",
        "inside": "when the element around it is there",
        "unless": "unless {} is there",
        "with": "with {}",
        "optional": "optional",
        "values": "Code tables",
        "code": "Code",
        "shape": " (table not carried: shape only)",
    },
}
_COLUMNS = (
    "field",
    "name",
    "de",
    "format",
    "length",
    "cardinality",
    "required",
    "domain",
    "path",
    "confidence",
    "note",
)


def reference(kind: Kind, lang: str = "zh") -> str:
    """The page as HTML, in `zh` or `en`."""
    words = _WORDS[lang]
    title = f"{kind.code} {kind.name_zh if lang == 'zh' else kind.name_en}"
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(kind.standard)} · {kind.template_id}</p>"]
    parts += [f"<h2>{words['header']}</h2>", _fields([f for f in kind.fields if not f.section_code], words, lang)]
    for section in kind.sections:
        heading = section.title_zh if lang == "zh" else section.title_en
        parts.append(f"<h2>{escape(heading)} <small>{escape(section.code)}</small></h2>")
        if section.fields:
            parts.append(_fields([kind.field(name) for name in section.fields], words, lang))
        for name in section.groups:
            parts.append(_group(kind.groups[name], words, lang))
    parts += [f"<h2>{words['values']}</h2>", *_tables(kind, words)]
    parts += [f"<h2>{words['decisions']}</h2>", _decisions(kind, words)]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title>'
    return (
        f'<!DOCTYPE html>\n<html lang="{lang}"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"
    )


def _group(group: Group, words: Mapping[str, str], lang: str) -> str:
    name = group.name_zh if lang == "zh" else group.name_en
    cardinality = group.cardinality or words["undecided"]
    heading = f"<h3>{escape(name)} <small>{group.name} · {words['group']} {cardinality}</small></h3>"
    return heading + "\n" + _fields(group.fields, words, lang)


def _fields(fields: Sequence[Field], words: Mapping[str, str], lang: str) -> str:
    return _table(
        [words[column] for column in _COLUMNS],
        (
            (
                f.name,
                f.name_zh if lang == "zh" else f"{f.name_en} ({f.name_zh})",
                f.de,
                f.format,
                str(f.max_length or ""),
                f.cardinality or words["undecided"],
                _requirement(f, words),
                _domain(f, words),
                f.path,
                f.confidence,
                f.note,
            )
            for f in fields
        ),
    )


def _requirement(field: Field, words: Mapping[str, str]) -> str:
    kind, _, other = field.required.partition(" ")
    return words[kind or "optional"].format(other)


def _domain(field: Field, words: Mapping[str, str]) -> str:
    if not field.value_set:
        return field.unit
    known = value_set(field.value_set)
    return f"{known.name_zh} {known.id or known.oid}{'' if known.complete else words['shape']}"


def _tables(kind: Kind, words: Mapping[str, str]) -> Iterable[str]:
    for oid in dict.fromkeys(f.value_set for f in kind.fields if f.value_set):
        known = value_set(oid)
        if known.complete:
            yield f"<h3>{escape(known.name_zh)} <small>{escape(known.id)} {escape(oid)}</small></h3>"
            header = [words["code"], words["name"], words["confidence"], words["note"]]
            yield _table(header, ((e.code, e.name, e.confidence, e.note) for e in known))


def _decisions(kind: Kind, words: Mapping[str, str]) -> str:
    columns = ("table", "key", "decision", "reason", "confidence")
    rows = table(f"{kind.code}.decisions.csv")
    return _table([words[c] for c in columns], (tuple(row[c] for c in columns) for row in rows))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return f"<table>\n<thead>{line(header, 'th')}</thead>\n<tbody>\n{body}\n</tbody></table>"
