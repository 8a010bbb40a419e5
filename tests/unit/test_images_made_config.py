"""What is made of images, wrong in agent.toml: told when it is read, with its file, its key and the words that are known."""

from pathlib import Path

import pytest

from frontend_agent.cli.main import run
from frontend_agent.config_images import Deidentify
from frontend_agent.imaging.deidentifying import OPTIONS

BASE = """
[institution]
id = "H1"
name = "示范医院"
"""
RESEARCH = """[images.destinations.research]
type = "stow"
url = "https://research.example/dicom-web"
"""
KEYED = f'{RESEARCH}deidentified = true\npseudonym_key = "research"\n'
MANIFESTS = """[images.destinations.registry]
type = "xds-i"
url = "https://repository.example/xds"
codes = "codes.toml"
source_oid = "1.2.156.1"
patient_root = "1.2.156.2"
retrieve_url = "https://region.example/dicom-web"
"""
SCANS = """[images.inlets.ecg]
type = "scans"
path = "/srv/ecg"
"""


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (f'{KEYED}deidentify = ["retain-date"]\n', ("research.deidentify", "retain-date", "modified-dates")),
        (f'{KEYED}deidentify = ["retain-dates", "modified-dates"]\n', ("destinations.research", "contradict")),
        (f"{RESEARCH}deidentified = true\n", ("destinations.research", "pseudonym_key")),
        (f'{RESEARCH}deidentify = ["retain-uids"]\n', ("destinations.research", "deidentified = true")),
        (f'{RESEARCH}compress = "jpeg2000"\n', ("research.compress", "jpeg2000", "jpeg-2000")),
        (f'{KEYED}proof = "platform"\n', ("destinations.research", "index", "contradict")),
        (f'{MANIFESTS}compress = "rle"\n', ("destinations.registry", "compress")),
        (f'{MANIFESTS}windows = ["25:00-26:00"]\n', ("destinations.registry", "windows", "25:00")),
        (f'{MANIFESTS}after = "registry"\n', ("registry.after", "manifests")),
        (f'{SCANS}name = "{{accession}}"\n', ("inlets.ecg", "{accession}", "accession_number")),
        (f'{SCANS}name = "{{number}}"\n', ("inlets.ecg", "which order")),
        (f'{SCANS}conversion = "XX"\n', ("ecg.conversion", "XX", "WSD")),
    ],
)
def test_it_is_told_with_its_key_and_what_is_known(
    table: str,
    said: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agent.toml").write_text(BASE + table, encoding="utf-8")
    assert run(["status"]) == 78
    told = capsys.readouterr().err
    assert told.startswith("agent.toml: ")
    for word in said:
        assert word in told, told


def test_the_words_are_those_that_do_something() -> None:
    assert set(Deidentify.__args__) == set(OPTIONS)  # type: ignore[attr-defined]
