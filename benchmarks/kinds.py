"""All kinds of document: how long they take to be compiled, and what checking and rendering one costs on average."""

import json
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.measure import MICROSECONDS, SECONDS, Measure, processor
from benchmarks.workload import Workload

SAMPLES = 20  # records of each kind

# A fresh interpreter, as every start of the agent is one. Kinds are compiled by whoever needs them: here, all.
_START = """
import json, time
started = time.perf_counter()
from datetime import date
from frontend_agent.checks import compile_checks
from frontend_agent.formats import load_kinds
from frontend_agent.profiles import load_profile
imported = time.perf_counter()
used = time.process_time()
profile = load_profile("regional")
kinds = load_kinds()
for kind in kinds.values():
    kind.renderer(profile.absences(kind), profile.formats)
    compile_checks(kind, profile, lambda: date(2026, 9, 30))
    kind._reader
seconds, wall = time.process_time() - used, time.perf_counter() - imported
print(json.dumps({"imports": imported - started, "kinds": len(kinds), "seconds": seconds, "wall": wall}))
"""


def start(load: Workload, quick: bool) -> Iterator[Measure]:
    """Templates, tables, renderers, readers and checks of every kind, compiled in a fresh interpreter: the processor's
    seconds, as it waits for nothing and a neighbour's load does not count."""
    runs = [_started() for _ in range(1 if quick else 3)]
    best = min(runs, key=lambda run: float(run["seconds"]))
    note = f"{best['kinds']} kinds; {best['wall']:.2f} s by the clock; imports {best['imports']:.2f} s before that"
    yield Measure("kinds.start", float(best["seconds"]), SECONDS, target=2.0, note=note)


def _started() -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", _START], capture_output=True, text=True, check=True)
    answered: dict[str, float] = json.loads(done.stdout)
    return answered


def each(load: Workload, quick: bool) -> Iterator[Measure]:
    """Checks and rendering of a clean record, averaged over the kinds: each counts once, however often a hospital uses it."""
    from datetime import date

    from frontend_agent.checks import compile_checks
    from frontend_agent.demo.samples import sample
    from frontend_agent.formats import load_kinds
    from frontend_agent.model import Envelope
    from frontend_agent.profiles import load_profile

    profile = load_profile("regional")
    envelope = Envelope("X-1", "X", 1, "20260930104500")
    costs: dict[str, float] = {}
    sizes: list[int] = []
    for code, kind in load_kinds().items():
        records = [sample(kind, number) for number in range(1, SAMPLES + 1)]
        check = compile_checks(kind, profile, lambda: date(2026, 9, 30))
        render = kind.renderer(profile.absences(kind), profile.formats)
        completed = [profile.complete(kind, record)[0] for record in records]
        sizes += [len(render(record, envelope)) for record in completed]

        def work() -> None:
            for record, whole in zip(records, completed, strict=True):  # noqa: B023  called at once
                check(record, {}, ())  # noqa: B023
                render(whole, envelope)  # noqa: B023

        work()
        costs[code] = min(processor(work) for _ in range(2 if quick else 5)) / SAMPLES * 1e6
    worst = max(costs, key=lambda code: costs[code])
    note = f"{len(costs)} kinds, {sum(sizes) // len(sizes) // 1000} kB on average; most: {worst} {costs[worst]:.0f} µs"
    yield Measure("kinds.check-and-render", sum(costs.values()) / len(costs), MICROSECONDS, target=500, note=note)
