"""Small synthetic instances as bytes, and a book of studies to keep them in. No pixels are meant by their pixels."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.instances import InstanceDesk, KeptInstance
from frontend_agent.dicom.uids import EXPLICIT_LE
from frontend_agent.imaging.model import Checked, Study
from frontend_agent.spool import Spool
from frontend_agent.spool.image_desk import Desk
from frontend_agent.spool.image_words import Rules
from frontend_agent.spool.images import Images
from frontend_agent.spool.vault import AtRest

CT = "1.2.840.10008.5.1.4.1.1.2"
NOW = datetime(2026, 3, 5, 8, 0, tzinfo=UTC)
SETTLED = timedelta(minutes=3)  # longer than a study settles


def element(tag: int, vr: str, value: str | bytes) -> bytes:
    """One element in explicit VR little endian."""
    body = value.encode("utf-8") if isinstance(value, str) else value
    body += (b"\0" if vr in ("UI", "OB") else b" ") * (len(body) % 2)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    long = vr in ("OB", "OW", "SQ", "UN", "UT")
    return head + (struct.pack("<HI", 0, len(body)) if long else struct.pack("<H", len(body))) + body


def data_set(study: str, number: int, *, series: str = "", size: int = 64, sop_class: str = CT, **values: str) -> bytes:
    """A CT slice of a study: explicit VR little endian, `size` bytes of pixel data."""
    said = {
        "charset": "ISO_IR 192",
        "date": "20260305",
        "accession": "A1",
        "modality": "CT",
        "name": "测试",
        "patient": "P1",
    } | values
    series = series or f"{study}.1"
    pixels = struct.pack("<I", number) * (size // 4)
    return b"".join(
        (
            element(0x0008_0005, "CS", said["charset"]), element(0x0008_0016, "UI", sop_class),
            element(0x0008_0018, "UI", values.get("uid", f"{series}.{number}")), element(0x0008_0020, "DA", said["date"]),
            element(0x0008_0050, "SH", said["accession"]), element(0x0008_0060, "CS", said["modality"]),
            element(0x0010_0010, "PN", said["name"]), element(0x0010_0020, "LO", said["patient"]),
            element(0x0020_000D, "UI", study), element(0x0020_000E, "UI", series), element(0x0020_0011, "IS", "1"),
            element(0x0020_0013, "IS", str(number)), element(0x0028_0010, "US", struct.pack("<H", 16)),
            element(0x0028_0011, "US", struct.pack("<H", 16)), element(0x7FE0_0010, "OW", pixels),
        )
    )  # fmt: skip


class Clock:
    """A clock that stands where it is put."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Kept:
    """A book over a folder, with its desk. `book` is the spool's `images`."""

    def __init__(self, folder: Path, at_rest: AtRest | None = None, **rules: Any) -> None:
        self.clock = Clock()
        self.spool = Spool(folder, reserve=0, at_rest=at_rest).open()
        self.book: Images = self.spool.images.open(Rules(**{"institution": "H1", **rules}), NOW)
        self.desk: Desk = Desk(self.book, self.clock).start()

    def __enter__(self) -> "Kept":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.desk.stop()
        self.spool.close()

    def send(self, study: str, number: int, **said: Any) -> KeptInstance:
        """One instance, as an association hands it over."""
        return hand_over(self.desk, study, number, **said)

    def checked(self, study: Study, *destinations: str, **said: Any) -> bool:
        """It was looked at, and goes there."""
        seen = max(one.id for one in self.book.instances(study.id))
        return self.book.checked(
            Checked(study=study.id, at=self.clock(), destinations=destinations, **{"seen": seen, **said})
        )


def hand_over(desk: InstanceDesk, study: str, number: int, *, syntax: str = EXPLICIT_LE, **said: Any) -> KeptInstance:
    body = data_set(study, number, **said)
    uid = said.get("uid") or f"{said.get('series') or study + '.1'}.{number}"
    writer = desk.begin("pacs", said.get("sop_class", CT), uid, syntax, sender="PACS@127.0.0.1")
    writer.write(body)
    return writer.keep().result(10)


def until(happened: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait for it."""
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := happened():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")
