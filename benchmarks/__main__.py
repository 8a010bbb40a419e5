"""./benchmark [NAME …] [--quick] [--json]

Each line is measured beside its floor, in turns, in the same run. `extraction` stands for all measures whose names begin
with it; without a name, all are taken.
"""

import argparse
import json
import sys

from rich.console import Console
from rich.table import Table

from benchmarks import (
    databases,
    guests,
    images,
    images_send,
    kinds,
    listening,
    messages,
    misses,
    reconciling,
    reports,
    soap,
    steps,
    whole,
)
from benchmarks.measure import Measure, Measuring
from benchmarks.workload import workload
from frontend_agent.sealing import SUITES

VISITS, QUICK_VISITS = 8_000, 1_500
# In the pipe's order: what is measured together, and the names of the lines that come of it.
MEASURES: dict[Measuring, tuple[str, ...]] = {
    steps.extraction: ("extraction.sqlite",),
    databases.servers: (
        "extraction.psycopg",
        "extraction.odbc-postgresql",
        "extraction.pymysql",
        "extraction.odbc-mariadb",
        "extraction.odbc-sqlite",
    ),
    guests.load_beside_us: tuple(f"guests.{engine}.{manner}" for engine in guests.ENGINES for manner in guests.MANNERS),
    steps.normalising: ("normalising",),
    steps.checks: ("checks",),
    steps.rendering: ("rendering",),
    kinds.start: ("kinds.start",),
    kinds.each: ("kinds.check-and-render",),
    messages.reading: ("hl7.reading", "hl7.wide"),
    listening.mllp: ("listening.mllp",),
    soap.soap: ("listening.soap",),
    steps.spool: ("spool",),
    steps.statistics: ("statistics.counting", "statistics.keeping"),
    steps.push: ("push",),
    steps.store: ("store",),
    whole.end_to_end: ("end-to-end", "memory.agent", "memory.platform", "spool-size"),
    images_send.sending: (
        *(f"images.send.{peer}.x{number}" for peer in images_send.PEERS for number in (1, 4)),
        "images.send.stow-orthanc",
    ),
    images_send.to_platform: ("images.send.platform",),
    images_send.memory: ("images.send.memory", "images.send.memory.sealed"),
    misses.misses: ("misses.postgresql", "misses.postgresql-before", "misses.mariadb", "misses.mariadb-before"),
    reconciling.reconciling: ("reconcile.source", "reconcile.statements", "reconcile.day"),
    reports.excel: ("report.excel", "report.memory"),
    images.receiving: ("images.receive.x1", "images.receive.x4"),
    images.receiving_sealed: tuple(
        f"images.receive.sealed.{suite}.x{number}" for suite in SUITES for number in images.ASSOCIATIONS
    ),
    whole.at_rest: ("at-rest.AES-256-GCM", "at-rest.SM4-GCM"),
    whole.backlog: ("backlog.start", "backlog.claim", "backlog.memory"),
}
NAMES = tuple(name for names in MEASURES.values() for name in names)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="fewer documents and rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--visits", type=int, help="size of the demonstration hospital")
    arguments = parser.parse_args()
    unknown = [asked for asked in arguments.names if not any(covers(asked, name) for name in NAMES)]
    if unknown:
        print(f"benchmark: no measure {unknown[0]!r} (known: {', '.join(NAMES)})", file=sys.stderr)
        return 78

    console = Console(stderr=True)
    taken: list[Measure] = []
    visits = arguments.visits or (QUICK_VISITS if arguments.quick else VISITS)
    with console.status("making the demonstration hospital") as status, workload(visits) as load:
        for measuring, names in MEASURES.items():
            if not any(wanted(name, arguments.names) for name in names):
                continue
            status.update(f"measuring {', '.join(names)}")
            for measure in measuring(load, arguments.quick):
                if wanted(measure.name, arguments.names):
                    taken.append(measure)
                    console.log(f"{measure.name}: {measure.value:,.3g} {measure.unit}")
    if arguments.json:
        print(json.dumps({measure.name: measure.as_json() for measure in taken}, ensure_ascii=False))
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(table(taken))
    return 0


def covers(asked: str, name: str) -> bool:
    """`extraction` covers `extraction.psycopg`."""
    return name == asked or name.startswith(asked + ".")


def wanted(name: str, asked: list[str]) -> bool:
    return not asked or any(covers(one, name) for one in asked)


def table(taken: list[Measure]) -> Table:
    made = Table(title="what we take, and what the machine would take without us")
    for heading in ("measure", "value", "unit", "floor", "ratio", "target", "met", "note"):
        made.add_column(heading, justify="right" if heading in {"value", "floor", "ratio", "target"} else "left")
    for measure in taken:
        made.add_row(
            measure.name,
            number(measure.value),
            measure.unit,
            number(measure.floor),
            "" if measure.ratio is None else f"{measure.ratio:.2f}",
            number(measure.target) + (f", {measure.at_least:.0%} of floor" if measure.at_least else ""),
            {True: "yes", False: "NO", None: ""}[measure.met],
            measure.note,
        )
    return made


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"


if __name__ == "__main__":
    raise SystemExit(main())
