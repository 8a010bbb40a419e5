"""A site whose laboratory pushes HL7 v2: its configuration, and its messages."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from connectors.arrivals import Arrived, Kept
from frontend_agent.app import App
from frontend_agent.config import parse_config
from frontend_agent.formats.hl7v2 import build_all
from frontend_agent.model import Envelope
from frontend_agent.spool.inbox import parcel
from tests.platform_kit import lab_record

SHIPPED = Path(__file__).parents[1] / "mappings" / "hl7v2"
NOW = datetime(2026, 9, 30, 8, 15, tzinfo=UTC)
CONFIG = """
workers = {workers}
[institution]
id = "330100-H1"
name = "示范医院"

[inlets.lis]
type = "mllp"
port = 0
{inlet}
[destinations.platform]
url = "{url}"

[[feeds]]
name = "lab_report"
source = "lis"
mapping = "lab.toml"
{feed}
{more}
"""


def site_mapping() -> str:
    """The shipped mapping as a site makes it its own: who reviewed, and of which specimen."""
    shipped = (SHIPPED / "lab_report.toml").read_text(encoding="utf-8")
    return shipped.replace('"author.name" =', '"reviewer.name" = "OBR-33.1.2"\n"author.name" =').replace(
        '"code" = "OBX-3.1"', '"specimen" = "OBR-15.4"\n"code" = "OBX-3.1"'
    )


def report(number: str, result: str = "F", control_id: str = "", patient: int = 1, **changes: str) -> bytes:
    """One ORU^R01 with one report: its number, its status (P, F, C, X), and what else differs from the sample."""
    whose = {"patient.id_number": "11010519491231002X", "patient.sex": "2"}
    record = {**lab_record(patient), **whose, "report_number": number, **changes}
    (made,) = build_all("C0007", record, Envelope("C0007-X-1", "C0007-X", 1, "20260930104500"))
    text = made.content.decode()
    lines = text.split("\r")
    for place, line in enumerate(lines):
        if line.startswith("OBR|"):
            fields = line.split("|")
            fields += [""] * (34 - len(fields))
            fields[15] = "B0000001^^^血"
            fields[25] = result
            fields[33] = "D018&王敏"
            lines[place] = "|".join(fields)
        if line.startswith("MSH|") and control_id:
            fields = line.split("|")
            fields[9] = control_id
            fields[14] = fields[15] = ""  # original mode: answered by AA
            lines[place] = "|".join(fields)
    return "\r".join(lines).encode()


@dataclass
class Site:
    """Its folder, and what its agent.toml says."""

    folder: Path
    url: str = "http://127.0.0.1:9"
    inlet: str = ""
    feed: str = ""
    more: str = ""
    workers: int = 0
    sent: int = field(default=0, init=False)

    def config(self) -> str:
        return CONFIG.format(url=self.url, inlet=self.inlet, feed=self.feed, more=self.more, workers=self.workers)

    @contextmanager
    def app(self, alone: bool = True, known: bool = True) -> Iterator[App]:
        """`known`: nothing was made elsewhere, so that no platform has to be asked."""
        shutil.copytree(SHIPPED / "codes", self.folder / "codes", dirs_exist_ok=True)
        (self.folder / "lab.toml").write_text(site_mapping(), encoding="utf-8")
        with App(
            parse_config(self.config(), folder=self.folder), self.folder / "state", lambda: NOW, alone=alone
        ) as app:
            if known:
                app.spool.meta.heads_known = True
            yield app

    def push(self, app: App, *bodies: bytes, inlet: str = "lis", at: datetime = NOW) -> list[Kept]:
        """As a listener hands over: each with an id of its own."""
        parcels = []
        for body in bodies:
            self.sent += 1
            parcels.append(parcel(Arrived(inlet=inlet, body=body, received_at=at, control_id=str(self.sent))))
        return app.spool.inbox.keep(parcels)


def run(app: App, feed: str = "lab_report") -> dict[str, int]:
    """One run of a feed; what it came to."""
    outcome = app.run_feed(feed, threading.Event())
    if outcome.error:
        raise outcome.error
    return {name: count for name, count in outcome.counts.items() if count}
