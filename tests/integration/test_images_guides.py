"""The examples of images-deidentify and images-scans, as they stand there, in an agent that runs: only addresses, folders and what a file
is taken for whole by are those of the test. Both languages have the same ones, but for what their comments say."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from PIL import Image

from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.config import parse_config
from frontend_agent.imaging.model import Order
from frontend_agent.spool.image_desk import Desk
from tests.conftest import REPOSITORY
from tests.instances_made import as_file, ct
from tests.orthanc_kit import Orthanc, orthanc, orthanc_is_here
from tests.study_kit import Clock
from tests.unit.test_images_manifests import CODES
from tests.unit.xds_peer import XdsPeer, xds_peer

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not orthanc_is_here(), reason="Orthanc is not installed")]

BASE = """
[institution]
id = "H1"
name = "示范医院"
[secrets]
folder = "secrets"
[images]
align = false
settle = "1s"
"""


def examples(name: str) -> list[str]:
    pages = [(REPOSITORY / "docs" / "guide" / f"{name}{ending}").read_text("utf-8") for ending in (".md", ".en.md")]
    chinese, english = (
        [re.sub(r" *#.*", "", one) for one in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)] for text in pages
    )
    assert chinese == english
    return english


def put(table: str, *changes: tuple[str, str]) -> str:
    for before, after in changes:
        assert before in table, f"the guide says {before!r} no more"
        table = table.replace(before, after)
    return table


@pytest.fixture
def research() -> Iterator[Orthanc]:
    with orthanc() as running:
        yield running


@pytest.fixture
def region() -> Iterator[Orthanc]:
    with orthanc() as running:
        yield running


@pytest.fixture
def registry() -> Iterator[XdsPeer]:
    with xds_peer() as peer:
        yield peer


def test_the_examples_of_the_guides_run(
    tmp_path: Path, research: Orthanc, region: Orthanc, registry: XdsPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (without, smaller), (scans, manifest) = examples("images-deidentify"), examples("images-scans")
    soon = 'ask_every = "1s"\n'
    text = BASE.replace('"secrets"', f'"{tmp_path}/secrets"') + "\n".join(
        (
            put(without, ("https://research.example/dicom-web", research.dicomweb)) + soon,
            put(smaller, ("[images.destinations.region]", f'[images.destinations.region]\ntype = "stow"\nurl = "{region.dicomweb}"\n{soon}')),
            put(scans, ("/srv/ecg", str(tmp_path / "ecg"))) + 'whole = "rename"\n',
            put(
                manifest,
                ("https://repository.region.example/xds", f"{registry.url}/xds"),
                ("https://registry.region.example/xds", f"{registry.url}/registry"),
            ) + soon,
        )
    )  # fmt: skip
    (tmp_path / "agent.toml").write_text(text, "utf-8")
    (tmp_path / "xds-codes.toml").write_text(CODES, "utf-8")
    secret = tmp_path / "secrets" / "research_pseudonyms"
    secret.parent.mkdir(mode=0o700)
    secret.write_text("a secret of the hospital, 32 bytes", "utf-8")
    secret.chmod(0o600)
    original = here(tmp_path, text)
    laid_down(tmp_path / "ecg")

    for _ in range(4):  # a manifest goes after the region has proven its study
        run(["--state", "state", "once"])

    assert not list((tmp_path / "ecg").glob("*.pdf"))
    assert len(region.instance_uids()) == 3  # two slices, and the ECG
    assert len(research.instance_uids()) == 2  # a document never leaves
    for uid in research.instance_uids():
        data = pydicom.dcmread(io.BytesIO(research.file(uid)))
        assert data.PatientIdentityRemoved == "YES"
        assert data.StudyInstanceUID != original.StudyInstanceUID
        assert data.PatientID != original.PatientID
    syntaxes = {
        str(pydicom.dcmread(io.BytesIO(region.file(uid))).file_meta.TransferSyntaxUID) for uid in region.instance_uids()
    }
    assert "1.2.840.10008.1.2.4.80" in syntaxes
    assert len(registry.registered) == 2  # a manifest of each study


def here(folder: Path, text: str) -> pydicom.Dataset:
    """A CT study, and the order of an ECG."""
    app = App(parse_config(text), folder / "state", clock=Clock(), alone=True).open_state()
    book = app.spool.images.open(app.spool.images.rules, Clock()())
    desk = Desk(book, Clock()).start()
    for number in (1, 2):
        one = ct(1, rows=64, SOPInstanceUID=f"1.2.826.0.1.3680043.10.99.1.1.{number}", InstanceNumber=number)
        writer = desk.begin_file("pacs", sender="PACS")
        writer.write(as_file(one))
        writer.keep().result(10)
    order = Order(
        key="E1", accession_number="20240315001", patient_id="P7", patient_name="张三", sex="2", birth_date="19800101",
        performed_at="20240315101112", modality="ECG",
    )  # fmt: skip
    book.put_orders([order], Clock()())
    desk.stop()
    app.close()
    return one


def laid_down(folder: Path) -> None:
    folder.mkdir()
    held = io.BytesIO()
    Image.new("L", (40, 30)).save(held, "PDF")
    (folder / "20240315001_1.pdf").write_bytes(held.getvalue())
