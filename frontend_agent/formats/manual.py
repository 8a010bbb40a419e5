"""The reference manual of all kinds: HTML files that need no server and no network, with a search of their own.

index.html       all kinds, and the search        C0007.html …    one kind: sections, elements, value sets, decisions
elements.html    every data element, and which kinds have it      manual.css  manual.js  search.js

Chinese first, English beside. Where a site's configuration is given, each element says which feed fills it from which column.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

from frontend_agent.formats.kind import Field, Group, Kind
from frontend_agent.formats.library import Gap
from frontend_agent.formats.tables import table
from frontend_agent.formats.value_sets import value_set


class Source(NamedTuple):
    """Where a site takes an element from."""

    feed: str
    mapping: str
    column: str


# (kind, field) -> where a configured site takes it from
Site = Mapping[tuple[str, str], Sequence[Source]]

_COLUMNS = (
    ("字段", "Field"),
    ("名称", "Name"),
    ("数据元", "Data element"),
    ("类型", "Type"),
    ("格式", "Format"),
    ("基数", "Cardinality"),
    ("要求", "Needed"),
    ("值域", "Value set"),
    ("位置", "Place"),
    ("可信度", "Confidence"),
    ("说明", "Note"),
)
_SITE = ("本站来源", "Taken from")
_NEEDED = {
    "always": ("必填", "always"),
    "inside": ("所在元素出现时必填", "when the element around it is there"),
    "unless": ("除非有 {}", "unless {}"),
    "with": ("有 {} 时必填", "with {}"),
    "": ("可选", "optional"),
}
_CONFIDENCE = {
    "verified": "多源证实",
    "single-source": "单一来源",
    "from-memory": "仅凭记忆",
    "conflict": "来源矛盾",
    "project": "本项目所定",
}


def manual(kinds: Sequence[Kind], gaps: Sequence[Gap], site: Site | None = None) -> Iterator[tuple[str, str]]:
    """The files of the manual, by name."""
    yield "manual.css", _CSS
    yield "manual.js", _JS
    yield "search.js", f"window.SEARCH = {_search(kinds, gaps)};\n"
    yield "index.html", _page("文档种类参考手册", "Reference manual", _index(kinds, gaps), search=True)
    yield "elements.html", _page("数据元索引", "Data elements", _elements(kinds))
    for kind in kinds:
        yield f"{kind.code}.html", _page(f"{kind.code} {kind.name_zh}", kind.name_en, _kind(kind, site))
    for gap in gaps:
        yield f"{gap.code}.html", _page(f"{gap.code} {gap.name_zh}", gap.name_en, _gap(gap))


# --- pages


def _index(kinds: Sequence[Kind], gaps: Sequence[Gap]) -> Iterator[str]:
    yield "<ul id=found hidden></ul>"
    yield f"<p>{_both('全部数据元见', 'Every data element:')} <a href=elements.html>{_both('数据元索引', 'element index')}</a></p>"
    head = (
        ("代码", "Code"),
        ("名称", "Name"),
        ("标准", "Standard"),
        ("章节", "Sections"),
        ("元素", "Elements"),
        ("可信度", "Confidence"),
    )
    yield _table(
        head,
        [
            *(
                (
                    _link(kind.code, kind.code),
                    _both(kind.name_zh, kind.name_en),
                    escape(kind.standard),
                    str(len(kind.sections)),
                    str(len(kind.fields)),
                    _marks(kind.fields),
                )
                for kind in kinds
            ),
            *(
                (
                    _link(gap.code, gap.code),
                    _both(gap.name_zh, gap.name_en),
                    escape(f"{gap.standard} part {gap.part}"),
                    "–",
                    "–",
                    _both("正文未知", "body not known"),
                )
                for gap in gaps
            ),
        ],
    )  # fmt: skip


def _marks(fields: Sequence[Field]) -> str:
    """How many elements carry which mark."""
    counted = {mark: sum(f.confidence == mark for f in fields) for mark in _CONFIDENCE}
    return " ".join(f"{_confidence(mark)} {number}" for mark, number in counted.items() if number)


def _elements(kinds: Sequence[Kind]) -> Iterator[str]:
    found: dict[str, list[tuple[Kind, Field]]] = {}
    for kind in kinds:
        for field in kind.fields:
            if field.de:
                found.setdefault(field.de, []).append((kind, field))
    yield f"<p>{_both(f'{len(found)} 个数据元', f'{len(found)} data elements')} · <a href=index.html>{_both('全部种类', 'all kinds')}</a></p>"
    rows = []
    for de, places in sorted(found.items()):
        names = dict.fromkeys((field.name_zh, field.name_en) for _, field in places)
        where = " ".join(_link(kind.code, f"{kind.code} {field.name}", field.name) for kind, field in places)
        rows.append(
            (
                f"<code id={escape(de)}>{escape(de)}</code>",
                "<br>".join(_both(zh, en) for zh, en in names),
                escape(" / ".join(dict.fromkeys(field.format for _, field in places if field.format))),
                where,
            )
        )
    yield _table((("数据元", "Data element"), ("名称", "Name"), ("格式", "Format"), ("所在", "Where")), rows)


def _gap(gap: Gap) -> Iterator[str]:
    yield f"<p><a href=index.html>{_both('全部种类', 'all kinds')}</a></p>"
    yield f"<p>{escape(gap.standard)} part {escape(gap.part)} · templateId {escape(gap.template_id)} · {escape(gap.confidence)}</p>"
    yield f"<p class=gap>{_both(gap.gap_zh, gap.gap_en)}</p>"


def _kind(kind: Kind, site: Site | None) -> Iterator[str]:
    yield f"<p><a href=index.html>{_both('全部种类', 'all kinds')}</a></p>"
    yield (
        f"<p>{escape(kind.standard)} · templateId <code>{escape(kind.template_id)}</code>"
        f" · {_both('业务主键', 'business key')} <code>{escape(kind.key)}</code></p>"
    )
    yield f"<h2>{_both('文档头', 'Header')}</h2>"
    yield _fields(kind, [f for f in kind.fields if not f.section_code], site)
    for section in kind.sections:
        yield f"<h2>{_both(section.title_zh, section.title_en)} <small>{escape(section.code)}</small></h2>"
        if section.fields:
            yield _fields(kind, [kind.field(name) for name in section.fields], site)
        for name in section.groups:
            yield _group(kind, kind.groups[name], site)
    yield from _value_sets(kind)
    yield f"<h2>{_both('逐条决定', 'Decisions, one by one')}</h2>"
    columns = ("table", "key", "decision", "reason", "confidence")
    heads = (("来源表", "Table"), ("条目", "Entry"), ("决定", "Decision"), ("理由", "Reason"), ("可信度", "Confidence"))
    yield _table(heads, (tuple(escape(row[c]) for c in columns) for row in table(f"{kind.code}.decisions.csv")))


def _group(kind: Kind, group: Group, site: Site | None) -> str:
    cardinality = escape(group.cardinality) or _both("未定", "undecided")
    heading = f"{_both(group.name_zh, group.name_en)} <small>{escape(group.name)} · {_both('重复组', 'repeated')} {cardinality}</small>"
    return f"<h3 id={escape(group.name)}>{heading}</h3>\n" + _fields(kind, group.fields, site)


def _fields(kind: Kind, fields: Sequence[Field], site: Site | None) -> str:
    heads = (*_COLUMNS, _SITE) if site is not None else _COLUMNS
    return _table(heads, (_field(kind, f, site) for f in fields))


def _field(kind: Kind, field: Field, site: Site | None) -> tuple[str, ...]:
    element = f"<a href=elements.html#{escape(field.de)}>{escape(field.de)}</a>" if field.de else ""
    longest = f" ≤{field.max_length}" if field.max_length else ""
    cells = (
        f"<code id={escape(field.name)}>{escape(field.name)}</code>",
        _both(field.name_zh, field.name_en),
        element,
        escape(field.value_type),
        escape(field.format + longest),
        escape(field.cardinality) or _both("未定", "undecided"),
        _needed(field),
        _domain(field),
        f"<code class=path>{'/<wbr>'.join(escape(field.path).split('/'))}</code>",
        _confidence(field.confidence),
        escape(field.note),
    )
    if site is None:
        return cells
    taken = site.get((kind.code, field.name), ())
    return (*cells, "<br>".join(escape(f"{s.feed} ← {s.mapping}: {s.column}") for s in taken))


def _needed(field: Field) -> str:
    how, _, other = field.required.partition(" ")
    zh, en = _NEEDED[how]
    return _both(zh.format(other), en.format(other))


def _domain(field: Field) -> str:
    if not field.value_set:
        return escape(field.unit)
    known = value_set(field.value_set)
    name = escape(f"{known.name_zh} {known.id}".strip()) or escape(field.value_set)
    if not known.complete:
        return f"{name} <small>{escape(field.value_set)}</small> {_both('（只检查形式）', '(shape only)')}"
    return f"<a href='#vs-{escape(field.value_set)}'>{name}</a> <small>{escape(field.value_set)}</small>"


def _value_sets(kind: Kind) -> Iterator[str]:
    yield f"<h2>{_both('代码表', 'Value sets')}</h2>"
    for oid in dict.fromkeys(f.value_set for f in kind.fields if f.value_set):
        known = value_set(oid)
        if known.complete:
            title = f"{escape(known.name_zh)} <small>{escape(known.id)} {escape(oid)}</small>"
            rows = (
                (f"<code>{escape(e.code)}</code>", escape(e.name), _confidence(e.confidence), escape(e.note))
                for e in known
            )
            heads = (("代码", "Code"), ("名称", "Name"), ("可信度", "Confidence"), ("说明", "Note"))
            yield f"<details id='vs-{escape(oid)}'><summary>{title} ({len(known)})</summary>{_table(heads, rows)}</details>"


# --- search


def _search(kinds: Sequence[Kind], gaps: Sequence[Gap]) -> str:
    """[link, what is shown, what is searched beside that]: kinds first, then elements."""
    lines = [(f"{k.code}.html", f"{k.code} {k.name_zh}", f"{k.name_en} {k.template_id} {k.standard}") for k in kinds]
    lines += [(f"{g.code}.html", f"{g.code} {g.name_zh}", f"{g.name_en} {g.template_id}") for g in gaps]
    lines += [
        (f"{kind.code}.html#{field.name}", f"{field.name_zh} · {kind.code} {field.name}", f"{field.de} {field.name_en} {kind.name_zh}")
        for kind in kinds
        for field in kind.fields
    ]  # fmt: skip
    # `</` would end the script, whatever stands around it.
    return json.dumps(lines, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")


# --- pieces


def _both(zh: str, en: str) -> str:
    """The same words in both languages."""
    return f"{escape(zh)} <span lang=en>{escape(en)}</span>" if en and en != zh else escape(zh)


def _confidence(mark: str) -> str:
    return f"<span class='mark {escape(mark)}'>{_both(_CONFIDENCE.get(mark, mark), mark)}</span>"


def _link(code: str, text: str, anchor: str = "") -> str:
    return f"<a href='{escape(code)}.html{'#' + escape(anchor) if anchor else ''}'>{escape(text)}</a>"


def _table(heads: Sequence[tuple[str, str]], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{_both(zh, en)}</th>" for zh, en in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"


def _page(zh: str, en: str, parts: Iterator[str], search: bool = False) -> str:
    box = (
        "<p><input id=search type=search autofocus placeholder='名称、字段、数据元、代码 · name, field, data element, code'></p>\n"
        if search
        else ""
    )
    scripts = "<script src=search.js></script><script src=manual.js></script>\n" if search else ""
    return (
        "<!DOCTYPE html>\n<html lang=zh-CN><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>{escape(zh)} · {escape(en)}</title><link rel=stylesheet href=manual.css></head>\n<body>\n"
        f"<h1>{_both(zh, en)}</h1>\n{box}" + "\n".join(parts) + f"\n{scripts}</body></html>\n"
    )


_CSS = """\
body { font: 15px/1.5 "Noto Sans CJK SC", "Microsoft YaHei", system-ui, sans-serif; margin: 1rem 2rem; color: #1b1f24 }
h1 { font-size: 1.4rem } h2 { font-size: 1.15rem; margin-top: 2rem } h3 { font-size: 1rem }
span[lang=en], small { color: #5b6570; font-size: .88em }
.wide { overflow-x: auto }
table { border-collapse: collapse } th, td { border: 1px solid #d4dae0; padding: .25rem .5rem; text-align: left; vertical-align: top }
th { background: #f1f4f7; position: sticky; top: 0 } :target { background: #fff3b0 }
.path { font-size: .8em } td:has(> .path) { min-width: 15rem }
.mark.verified { color: #14652f } .mark.single-source { color: #8a5a00 } .mark.from-memory, .mark.conflict { color: #a3162b }
.gap { border-left: 4px solid #a3162b; padding-left: .75rem }
#search { width: 36rem; max-width: 100%; font: inherit; padding: .4rem .6rem }
@media print { #search { display: none } }
"""

_JS = """\
"use strict";
(function () {
  const box = document.getElementById("search"), list = document.getElementById("found"), most = 200;
  const lines = window.SEARCH.map(([link, shown, more]) => [link, shown, (shown + " " + more).toLowerCase()]);
  function look() {
    const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
    list.replaceChildren();
    list.hidden = words.length === 0;
    if (list.hidden) return;
    const found = lines.filter(line => words.every(word => line[2].includes(word)));
    for (const [link, shown] of found.slice(0, most)) {
      const item = document.createElement("li"), anchor = document.createElement("a");
      anchor.href = link;
      anchor.textContent = shown;
      item.append(anchor);
      list.append(item);
    }
    if (found.length === 0 || found.length > most) {
      const item = document.createElement("li");
      item.textContent = found.length ? `… ${found.length}` : "没有找到 · nothing found";
      list.append(item);
    }
  }
  box.addEventListener("input", look);
  look();
})();
"""
