"""How answers are shown: tables on a terminal, plain lines in a pipe, one JSON value for programs."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from frontend_agent.cli.texts import Texts

STYLES = {"hold": "bold red", "warn": "yellow", "note": "dim"}
MARKS = {"high": "bold red", "low": "bold blue", "abnormal": "bold magenta"}
WIDE = 200  # columns of a table in a pipe: nobody cuts it there


def console() -> Console:
    """Standard output as it is now (tests exchange it)."""
    out = Console(file=sys.stdout, highlight=False)
    if not out.is_terminal:
        out = Console(file=sys.stdout, highlight=False, width=WIDE)
    return out


def say(text: str) -> None:
    """One line to the reader."""
    console().print(escape(text), soft_wrap=True)


def as_json(value: Any) -> None:
    """One JSON value. A long answer is written element by element, never held whole."""
    if not isinstance(value, Iterator):
        print(json.dumps(value, ensure_ascii=False, indent=2))
        return
    separator = "["
    for item in value:
        print(separator + "\n" + json.dumps(item, ensure_ascii=False), end="")
        separator = ","
    print("\n]" if separator == "," else "[]")


def as_json_line(value: Any) -> None:
    """One JSON value on a line of its own, at once: of what goes on without end."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def reasons(t: Texts, told: Sequence[str], between: str = "; ") -> str:
    """What receipts give as their reasons, in the reader's language where it is ours to say it."""
    if t.language == "zh" and told:
        # Here, because what knows signatures takes a while to load.
        from frontend_agent.signatures.words import of_receipt

        told = [of_receipt(reason, t.language) for reason in told]
    return between.join(told)


def local_time(moment: str, form: str = "%Y-%m-%d %H:%M") -> str:
    """A moment in ISO 8601 as the clock on the wall shows it. What is kept and told is UTC; who reads it is not."""
    return datetime.fromisoformat(moment).astimezone().strftime(form)


def table(t: Texts, headings: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Rows under headings that are keys of the texts' table; Nothing, if there are none."""
    shown = [[_cell(value) for value in row] for row in rows]
    if not shown:
        say((title + ": " if title else "") + t("said.nothing"))
        return
    drawn = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        drawn.add_column(t(f"head.{heading}"), overflow="fold")
    for row in shown:
        drawn.add_row(*row)
    console().print(drawn)


def plain_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows under headings that are words already: a table of a report. Nothing, if there are none."""
    shown = [[_cell(value) for value in row] for row in rows]
    if not shown:
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in shown:
        drawn.add_row(*row)
    console().print(drawn)


def _cell(value: Any) -> Text:
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("–", "dim")
    if isinstance(value, float):
        return Text(f"{value:,.2f}")
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}")
    return Text(str(value))


def findings(t: Texts, told: Sequence[dict[str, Any]]) -> None:
    """Findings with their sentences, the gravest first."""
    if not told:
        say(t("said.no_findings"))
        return
    order = list(STYLES)
    rows = [
        (
            Text(finding["severity"], STYLES.get(finding["severity"], "")),
            finding["rule"],
            finding["text"][t.language],
            finding.get("field", ""),
            finding.get("column", ""),
        )
        for finding in sorted(told, key=lambda finding: order.index(finding["severity"]))
    ]
    table(t, ("severity", "rule", "text", "field", "column"), rows)


def document_view(view: dict[str, Any], t: Texts) -> None:
    """A document as a person reads it: header, patient banner, sections, tables."""
    out = console()
    out.rule(Text(f"{view['title'][0]}  {view['title'][1]}", "bold"))
    if view["institution"]:
        out.print(Text(view["institution"]), justify="center")
    if view["banner"]:
        out.print(Text("  ".join(_labelled(value, t) for value in view["banner"]), "reverse"))
    for value in view["header"]:
        out.print(Text(_labelled(value, t)))
    for section in view["sections"]:
        if not section["values"] and not section["tables"]:
            continue
        out.print()
        out.print(Text(_label(section["title"], t), "bold underline"))
        for value in section["values"]:
            out.print(Text("  " + _labelled(value, t)))
        for rows in section["tables"]:
            out.print(_table_of(rows, t))


def _label(label: Sequence[str], t: Texts) -> str:
    chinese, english = label
    return english if t.language == "en" and english else chinese


def _labelled(value: dict[str, Any], t: Texts) -> str:
    return f"{_label(value['label'], t)}: {value['text']}"


def _table_of(rows: dict[str, Any], t: Texts) -> Table:
    drawn = Table(title=_label(rows["caption"], t), title_justify="left", header_style="bold")
    for column in rows["columns"]:
        drawn.add_column(_label(column, t), overflow="fold")
    for row in rows["rows"]:
        drawn.add_row(*(Text(cell) for cell in row["cells"]), style=MARKS.get(row["mark"], ""))
    return drawn
