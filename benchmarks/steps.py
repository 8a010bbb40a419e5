"""Each step of the pipe, per document, beside the machine's floor for the same work."""

import http.client
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import floor
from benchmarks.measure import MICROSECONDS, Measure, batches, for_each, in_turns, processor, seconds
from benchmarks.workload import PAGE, Workload
from connectors.platform import PlatformDestination, PlatformOptions, SignedAnswer
from frontend_agent.delivery import State
from frontend_agent.measuring import Tally
from frontend_agent.model import Document, Finding, Outcome, Receipt, RowSet, SourceRecord, SourceRows
from frontend_agent.platform.store import Store
from frontend_agent.sending import send_out
from frontend_agent.spool import Spool, Taken
from frontend_agent.spool.times import millis
from frontend_agent.wire.greeting import Hello
from frontend_agent.wire.parcel import pack

REQUEST = floor.REQUEST
INSTANCE = "benchmark"


def rounds(quick: bool) -> int:
    return 3 if quick else 7


def per_document(
    name: str, both: tuple[float, float], count: int, target: float | None = None, note: str = ""
) -> Measure:
    ours, theirs = both
    return Measure(name, ours / count * 1e6, MICROSECONDS, theirs / count * 1e6, target=target, note=note)


# --- extract: what changed, and the rows by key -------------------------------------------------------------------------


def extraction(load: Workload, quick: bool) -> Iterator[Measure]:
    """The agent's own read of the hospital's databases, beside the driver with the same SQL and the same keys."""
    feeds = {kind: floor.Feed(kind, load.hospital) for kind in floor.FEEDS}

    def ours() -> float:
        return processor(lambda: for_each(_extract, load.steps))

    def bare() -> float:
        return processor(lambda: [feed.rows(keys) for feed in feeds.values() for keys in batches(feed.keys(), PAGE)])

    count = sum(len(step.records) for step in load.steps)
    yield per_document("extraction.sqlite", in_turns(rounds(quick), ours, bare), count, target=100)


def _extract(step: Any) -> None:
    for page in step.source.changed(step.feed.mapping.queries, None, timedelta(0), PAGE):
        step.source.rows(step.feed.mapping.queries, page.keys)


# --- normalise, check, render -------------------------------------------------------------------------------------------


def normalising(load: Workload, quick: bool) -> Iterator[Measure]:
    """Rows to records: converted, codes mapped, hashed; beside making them text in a straight line."""
    pages = [(step.feed.plan.normalise, rows) for step in load.steps for rows in step.rows]
    count = sum(len(step.records) for step in load.steps)

    def ours() -> float:
        return processor(lambda: [normalise(rows) for normalise, rows in pages])

    def bare() -> float:
        return processor(lambda: for_each(_tidy, [rows for _, rows in pages]))

    yield per_document("normalising", in_turns(rounds(quick), ours, bare), count, target=90)


def _tidy(rows: SourceRows) -> None:
    for found in (rows.parent, *rows.details.values()):
        _tidy_all(found)


def _tidy_all(rows: RowSet) -> None:
    cut = floor.Cut(list(rows.columns), ["", ""], "")
    for row in rows.rows:
        cut.tidy(tuple(row))


def checks(load: Workload, quick: bool) -> Iterator[Measure]:
    """Every derived check and rule of the profile, beside a script's presence, length, date and check-digit tests."""
    count = sum(len(step.records) for step in load.steps)

    def ours() -> float:
        return processor(
            lambda: [
                step.feed.plan.check(record.record, record.columns, record.findings)
                for step in load.steps
                for record in step.records
            ]
        )

    def bare() -> float:
        return processor(lambda: for_each(_tidy, [rows for step in load.steps for rows in step.rows]))

    yield per_document("checks", in_turns(rounds(quick), ours, bare), count, target=60)


def rendering(load: Workload, quick: bool) -> Iterator[Measure]:
    """Record to bytes, beside %-formats over values that are text already."""
    ready = [
        (step.feed.plan.render, record, step.envelope(record[step.feed.mapping.key]))
        for step in load.steps
        for record in step.clean
    ]
    prepared = [pair for kind in floor.FEEDS for pair in _prepared(floor.Feed(kind, load.hospital))]

    def ours() -> float:
        return processor(lambda: [render(record, envelope) for render, record, envelope in ready]) / len(ready)

    def bare() -> float:
        return processor(lambda: [_join(*pair) for pair in prepared]) / len(prepared)

    yield per_document("rendering", in_turns(rounds(quick), ours, bare), 1, target=80)


def _prepared(feed: floor.Feed) -> Iterator[tuple[str, tuple[Any, ...], list[tuple[str, tuple[Any, ...]]]]]:
    """For each document: the frame, its values, and each line's format and values. What is left is the join itself."""
    for keys in batches(feed.keys(), PAGE):
        (columns, rows), details = feed.rows(keys)
        lines: dict[str, list[tuple[str, tuple[Any, ...]]]] = {}
        for group, (names, found) in details.items():
            frame, slots = feed.form.groups[group]
            cut, at = floor.Cut(names, slots, "this."), names.index(feed.key)
            for line in found:
                lines.setdefault(line[at], []).append((frame, cut.pick([*cut.tidy(line)[0], ""])))
        cut = floor.Cut(columns, feed.form.names, "")
        for row in rows:
            yield feed.form.frame, cut.pick([*cut.tidy(row)[0], ""]), lines.get(row[columns.index(feed.key)], [])


def _join(frame: str, values: tuple[Any, ...], lines: list[tuple[str, tuple[Any, ...]]]) -> bytes:
    return (frame % values + "".join([line % cells for line, cells in lines])).encode()


# --- spool ----------------------------------------------------------------------------------------------------------


class Instant:
    """A destination that has stored everything at once, so that only the spool is measured."""

    name = "platform"

    def send(self, documents: Any) -> list[Receipt]:
        self._reply = SignedAnswer(f"reply-{documents[0].document_id}", b"x" * 200 * len(documents))
        return [
            Receipt(document.document_id, Outcome.STORED, document.sha256, reply=self._reply.id, position=position)
            for position, document in enumerate(documents)
        ]

    def take_replies(self) -> list[SignedAnswer]:
        return [self._reply]


def spool(load: Workload, quick: bool) -> Iterator[Measure]:
    """Commit, claim and settle in hundreds, beside a table that rows are put into and marked in."""
    documents = load.documents

    def ours() -> float:
        with TemporaryDirectory() as folder, Spool(Path(folder)).open() as kept:
            destination = Instant()

            def work() -> None:
                for batch in batches(documents, PAGE):
                    kept.commit(as_taken(batch))
                    while send_out(destination, kept, datetime.now(UTC)):
                        pass

            return seconds(work)

    def bare() -> float:
        with TemporaryDirectory() as folder, closing(_table(Path(folder))) as table:

            def work() -> None:
                for batch in batches(documents, REQUEST):
                    _keep(table, batch)
                    table.execute("BEGIN")
                    names = [(document.document_id,) for document in batch]
                    table.executemany("UPDATE document SET sent = 1 WHERE id = ?", names)
                    table.execute("COMMIT")

            return seconds(work)

    yield per_document("spool", in_turns(rounds(quick), ours, bare), len(documents), target=160)


def statistics(load: Workload, quick: bool) -> Iterator[Measure]:
    """What the statistics add: counting beside the checks (in a worker, where there are some), and keeping with the commit
    and with the receipt, beside commits of one small row."""
    judged = [
        (step, [_judged(step, source) for source in page])
        for step in load.steps
        for page in batches(step.records, PAGE)
    ]
    count = sum(len(page) for _, page in judged)
    counting = min(processor(lambda: for_each(_counted, judged)) for _ in range(rounds(quick)))
    yield Measure("statistics.counting", counting / count * 1e6, MICROSECONDS, target=5)

    pages = [(_counted(page), [source.key for source, _ in page[1]]) for page in judged]

    def ours() -> float:
        with TemporaryDirectory() as folder, Spool(Path(folder)).open() as kept:
            return processor(lambda: for_each(partial(_keep_statistics, kept), pages))

    def bare() -> float:
        with TemporaryDirectory() as folder, Spool(Path(folder)).open() as kept:
            return processor(lambda: [kept.meta.put("n", str(n)) for n in range(2 * len(pages))])

    with_them, without = in_turns(rounds(quick), ours, bare)
    note = f"beyond {without / count * 1e6:.1f} of the commits themselves"
    yield Measure("statistics.keeping", (with_them - without) / count * 1e6, MICROSECONDS, target=5, note=note)


def _judged(step: Any, source: SourceRecord) -> tuple[SourceRecord, list[Finding]]:
    plan = step.feed.plan
    return source, [
        *source.findings,
        *plan.check(source.record, source.columns, source.findings),
        *plan.complete(source.record)[1],
    ]


def _counted(page: tuple[Any, list[tuple[SourceRecord, list[Finding]]]]) -> Taken:
    step, judged = page
    plan, now = step.feed.plan, datetime.now(UTC)
    tally = Tally(plan.measures, now, plan.timezone)
    for source, findings in judged:
        event = tally.read(source.record)
        tally.document(source.key, event, source.record, findings, version=1, void=False, held=False)
    return Taken(
        feed=plan.name,
        kind=plan.kind,
        institution=plan.institution,
        digests="",
        at=now,
        destinations=(),
        figures=tally.figures(),
    )


def _keep_statistics(kept: Spool, page: tuple[Taken, list[str]]) -> None:
    """One commit of taking in, one of settling, without what they do besides."""
    taken, keys = page
    at = millis(taken.at)
    with kept._database.write():
        kept.statistics.take(taken)
        places = [kept.statistics.place(taken, key) for key in keys]
    with kept._database.write():
        kept.statistics.settle(
            1, [(day or 0, scope or 0, State.DELIVERED, event, at) for day, event, scope in places], at
        )


def as_taken(documents: list[Document]) -> Taken:
    first = documents[0]
    return Taken(
        feed="mixed",
        kind=first.kind,
        institution=first.institution,
        digests=first.digests,
        at=datetime.now(UTC),
        destinations=("platform",),
        documents=documents,
    )


def _table(folder: Path) -> sqlite3.Connection:
    table = sqlite3.connect(folder / "floor.db", isolation_level=None)
    table.executescript(floor.SPOOL)
    return table


def _keep(table: sqlite3.Connection, batch: list[Document]) -> None:
    table.execute("BEGIN")
    rows = [(document.document_id, document.sha256, document.frame) for document in batch]
    table.executemany("INSERT INTO document (id, sha256, frame) VALUES (?, ?, ?)", rows)
    table.execute("COMMIT")


# --- push and store ---------------------------------------------------------------------------------------------------


class Memory(dict[str, str]):
    """The destination's memory, without a disk."""

    def put(self, name: str, value: str) -> None:
        self[name] = value


@contextmanager
def platform(state: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The real platform as its own process; its address."""
    command = [sys.executable, "-m", "frontend_agent.platform", "--state", str(state), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=floor.ROOT)
    try:
        assert process.stdout is not None
        yield next(word for word in process.stdout.readline().split() if word.startswith("http")), process
    finally:
        process.terminate()
        process.wait(timeout=20)


def destination(load: Workload, url: str) -> PlatformDestination:
    dictionaries = {step.feed.kind.dictionary_sha256: step.feed.kind.dictionary for step in load.steps}
    first = load.steps[0].feed.plan
    return PlatformDestination(
        PlatformOptions(name="platform", url=url, institution=first.institution),
        Memory(instance=INSTANCE, machine="benchmark"),
        dictionary=dictionaries.get,
    )


def push(load: Workload, quick: bool) -> Iterator[Measure]:
    """Requests of a hundred until their receipts are proven, beside a bare POST to a receiver that commits them."""
    documents = load.documents

    def ours() -> float:
        with TemporaryDirectory() as state, platform(Path(state)) as (url, _):
            edge = destination(load, url)
            edge.send(documents[:1])  # hello and dictionaries
            return seconds(lambda: [edge.send(batch) for batch in batches(documents[1:], REQUEST)])

    def bare() -> float:
        with TemporaryDirectory() as folder, floor.receiver(Path(folder)) as port:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            return for_each(partial(_post, connection), batches(documents[1:], REQUEST))

    count = len(documents) - 1
    yield per_document(
        "push", in_turns(2 if quick else 5, ours, bare), count, target=250, note="agent and platform, wall"
    )


def _post(connection: http.client.HTTPConnection, batch: list[Document]) -> None:
    connection.request("POST", "/", floor.packed([(d.document_id, d.sha256, d.frame) for d in batch]))
    assert len(json.loads(connection.getresponse().read())["stored"]) == len(batch)


def store(load: Workload, quick: bool) -> Iterator[Measure]:
    """The platform's verify, keep, index and sign, beside one table that the frames are put into."""
    documents = load.documents

    def ours() -> float:
        with TemporaryDirectory() as folder:
            opened = Store(Path(folder)).open()
            try:
                bodies = _parcels(load, opened, documents)
                return for_each(partial(_take, opened), bodies)
            finally:
                opened.close()

    def bare() -> float:
        with TemporaryDirectory() as folder, closing(_table(Path(folder))) as table:
            return for_each(partial(_keep, table), batches(documents, REQUEST))

    yield per_document("store", in_turns(rounds(quick), ours, bare), len(documents), target=120)


def _parcels(load: Workload, opened: Store, documents: list[Document]) -> list[bytes]:
    institution = documents[0].institution
    for step in load.steps:
        opened.keep_dictionary(step.feed.kind.dictionary_sha256, step.feed.kind.dictionary)
    welcome = json.loads(opened.hello(Hello(institution, INSTANCE, "", "benchmark")))
    lease = _found(welcome, "lease")
    return [pack(batch, institution, INSTANCE, lease) for batch in batches(documents, REQUEST)]


def _found(answer: Any, name: str) -> str:
    """A value of a signed answer, whether the statement is an object or text."""
    if isinstance(answer, str) and answer.startswith("{"):
        answer = json.loads(answer)
    if isinstance(answer, dict):
        if isinstance(answer.get(name), str):
            return str(answer[name])
        return next((found for value in answer.values() if (found := _found(value, name))), "")
    return ""


def _take(opened: Store, body: bytes) -> None:
    upload = opened.begin_upload()
    try:
        upload.write(body)
        opened.take(upload)
    finally:
        upload.close()
