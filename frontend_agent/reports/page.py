"""A report as one HTML page: charts and tables, nothing fetched, nothing run. It opens from a disk, prints, and is mailed."""

from collections.abc import Iterable, Iterator
from datetime import date
from html import escape
from itertools import islice

from frontend_agent.reports.charts import svg
from frontend_agent.reports.report import Cell, Column, Report, Table, shown
from frontend_agent.reports.texts import Texts

LINES = 2_000  # of one table on a page

_STYLE = """
:root { color-scheme: light; }
body { font: 14px/1.5 "Noto Sans SC", "Microsoft YaHei", "PingFang SC", system-ui, sans-serif; color: #1a1a1a;
  background: #fff; margin: 0 auto; padding: 1.5rem; max-width: 1200px; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
dl.about { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0; }
dl.about dt { color: #555; } dl.about dd { margin: 0; overflow-wrap: anywhere; }
nav ul, ul.legend, ul.cards { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .4rem 1rem; }
ul.cards li { border: 1px solid #999; border-radius: 6px; padding: .5rem 1rem; min-width: 8rem; }
ul.cards b { display: block; font-size: 1.4rem; }
p.note { color: #444; margin: .2rem 0; }
figure { margin: 1rem 0; break-inside: avoid; } figcaption { font-weight: 600; }
svg { max-width: 100%; height: auto; } svg text { font-size: 11px; fill: #333; } svg .grid { stroke: #d5d5d5; }
ul.legend li { display: inline-flex; align-items: center; gap: .4rem; }
div.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: 12px; width: max-content; min-width: 60%; }
caption { text-align: left; font-weight: 600; padding: .2rem 0; }
th, td { border: 1px solid #c8c8c8; padding: .15rem .45rem; text-align: left; vertical-align: top; }
thead th { background: #eef3f8; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
tbody tr:nth-child(even) { background: #fafafa; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
@media print { nav { display: none; } body { padding: 0; max-width: none; } div.table { overflow: visible; }
  table { width: 100%; font-size: 8px; } thead { display: table-header-group; } tr { break-inside: avoid; } h2 { break-after: avoid; } }
"""


def page(report: Report, t: Texts) -> Iterator[str]:
    """The page in pieces, in order."""
    yield (
        f'<!doctype html><html lang="{"zh-CN" if report.language == "zh" else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(report.title)}</title><style>{_STYLE}</style></head><body>"
    )
    yield f"<header><h1>{escape(report.title)}</h1><dl class='about'>"
    yield "".join(f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in report.about)
    yield "</dl></header>"
    tables = [table for table in report.tables if table.name != "base"]
    links = [("charts", report.charts_title)] if report.charts else []
    links += [(table.name, table.title) for table in tables]
    yield "<nav><ul>" + "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title in links)
    yield "</ul></nav><main>"
    if report.cards:
        cards = "".join(f"<li>{escape(label)}<b>{escape(value)}</b></li>" for label, value in report.cards)
        yield f"<ul class='cards'>{cards}</ul>"
    yield "".join(f"<p class='note'>{escape(note)}</p>" for note in report.notes)
    if report.charts:
        yield f'<section id="charts"><h2>{escape(report.charts_title)}</h2>'
        for chart in report.charts:
            drawn = svg(chart, t("chart.table"))
            yield f"<figure><figcaption>{escape(chart.title)}</figcaption>{drawn}</figure>"
        yield "</section>"
    for table in tables:
        yield from _section(table, t)
    yield "</main></body></html>\n"


def _section(table: Table, t: Texts) -> Iterator[str]:
    yield f'<section id="{table.name}"><h2>{escape(table.title)}</h2>'
    yield "".join(f"<p class='note'>{escape(note)}</p>" for note in table.notes)
    if table.long:
        yield f"<p class='note'>{escape(t('about.no_findings_here', n=f'{table.count:,}'))}</p></section>"
        return
    yield "<div class='table' tabindex='0' role='region' aria-label=" + f'"{escape(table.title)}"><table><thead><tr>'
    yield "".join(f'<th scope="col">{escape(column.title)}</th>' for column in table.columns)
    yield "</tr></thead><tbody>"
    rows = iter(table.rows)
    yield from _rows(table.columns, islice(rows, LINES))
    yield "</tbody></table></div>"
    if next(rows, None) is not None:
        yield f"<p class='note'>{escape(t('about.more', n=f'{LINES:,}'))}</p>"
    yield "</section>"


def _rows(columns: Iterable[Column], rows: Iterable[Iterable[Cell]]) -> Iterator[str]:
    for row in rows:
        cells = []
        for column, value in zip(columns, row, strict=True):
            number = "" if column.kind in ("text", "day") else " class='n'"
            text = value if isinstance(value, str) else shown(value, column.kind)
            text = f"{value:%Y-%m-%d}" if isinstance(value, date) else text
            cells.append(f"<td{number}>{escape(text)}</td>")
        yield f"<tr>{''.join(cells)}</tr>"
