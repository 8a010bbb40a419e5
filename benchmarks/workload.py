"""What is measured: the demonstration hospital, and everything the pipe makes of it, step by step, kept in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.floor import FEEDS
from connectors import Source
from frontend_agent.config import Config, load_config
from frontend_agent.demo.hospital import HOSPITAL_CODE, HOSPITAL_NAME, create_hospital
from frontend_agent.feeds import Feed, compile_feed
from frontend_agent.identity import document_id, set_id
from frontend_agent.model import Document, Envelope, Record, Severity, SourceRecord, SourceRows
from frontend_agent.sources import open_sources

PAGE = 200  # as a feed's batch
EFFECTIVE = "20260401080000"
TODAY = date(2026, 4, 1)


def configuration(hospital: Path, url: str = "http://127.0.0.1:8480") -> str:
    """agent.toml for the demonstration hospital: its three feeds and one platform."""
    text = f"""
[institution]
id = "{HOSPITAL_CODE}"
name = "{HOSPITAL_NAME}"

[sources.his]
url = "sqlite:///{hospital.resolve() / "his.db"}"

[sources.lis]
url = "sqlite:///{hospital.resolve() / "lis.db"}"

[destinations.platform]
url = "{url}"
"""
    for mapping, database in FEEDS.values():
        name = mapping.partition("/")[2]
        text += f'\n[[feeds]]\nname = "{name}"\nsource = "{database.removesuffix(".db")}"\nmapping = "{mapping}"\n'
        text += 'profile = "regional"\n'
    return text


@dataclass
class Step:
    """One feed of the demonstration and what each step made of all its rows."""

    feed: Feed
    source: Source
    keys: list[list[str]] = field(default_factory=list)  # by page
    rows: list[SourceRows] = field(default_factory=list)
    records: list[SourceRecord] = field(default_factory=list)  # final ones
    clean: list[Record] = field(default_factory=list)  # those that no check holds, lawful absences written
    documents: list[Document] = field(default_factory=list)
    bytes: int = 0

    def run(self, keep_documents: bool = True) -> None:
        plan, queries = self.feed.plan, self.feed.mapping.queries
        for page in self.source.changed(queries, None, timedelta(0), PAGE):
            self.keys.append(list(page.keys))
            self.rows.append(self.source.rows(queries, page.keys))
        self.records = [r for rows in self.rows for r in plan.normalise(rows) if r.final and not r.void]
        for source in self.records:
            findings = [*source.findings, *plan.check(source.record, source.columns, source.findings)]
            if not any(finding.severity is Severity.HOLD for finding in findings):
                self.clean.append(plan.complete(source.record)[0])
                if keep_documents:
                    self.documents.append(self._document(source, self.clean[-1]))

    def envelope(self, key: str) -> Envelope:
        named = set_id(self.feed.plan.institution, self.feed.plan.epoch, self.feed.plan.kind, key)
        return Envelope(document_id(named, 1), named, 1, EFFECTIVE)

    def _document(self, source: SourceRecord, record: Record) -> Document:
        plan, envelope = self.feed.plan, self.envelope(source.key)
        content = plan.render(record, envelope)
        self.bytes += len(content)
        return Document(
            document_id=envelope.document_id,
            set_id=envelope.set_id,
            version=1,
            kind=plan.kind,
            institution=plan.institution,
            feed=plan.name,
            key=source.key,
            source_hash=source.source_hash,
            sha256=sha256(content).hexdigest(),
            size=len(content),
            frame=plan.compress(content),
            dictionary=plan.dictionary,
            made_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            digests=plan.digests,
            order_key=envelope.set_id,
        )


class Workload:
    """The hospital, made once; each step's results, made when they are first asked for."""

    def __init__(self, folder: Path, visits: int) -> None:
        self.folder = folder
        self.visits = visits
        self.hospital = folder / "hospital"
        create_hospital(self.hospital, visits, seed=1)

    def config(self, url: str = "http://127.0.0.1:8480") -> Config:
        path = self.folder / "agent.toml"
        path.write_text(configuration(self.hospital, url), encoding="utf-8")
        return load_config(path)

    @cached_property
    def steps(self) -> list[Step]:
        config = self.config()
        sources = open_sources(config)
        made = []
        for feed_config in config.feeds:
            step = Step(compile_feed(config, feed_config, lambda: TODAY), sources[feed_config.source])
            step.run()
            made.append(step)
        return made

    @property
    def documents(self) -> list[Document]:
        """Of all kinds, mixed."""
        every = [document for step in self.steps for document in step.documents]
        return sorted(every, key=lambda document: document.set_id[6:])

    @property
    def count(self) -> int:
        return sum(len(step.documents) for step in self.steps)

    @property
    def average(self) -> float:
        return sum(step.bytes for step in self.steps) / self.count


@contextmanager
def workload(visits: int) -> Iterator[Workload]:
    with TemporaryDirectory(prefix="benchmark-") as folder:
        yield Workload(Path(folder), visits)
