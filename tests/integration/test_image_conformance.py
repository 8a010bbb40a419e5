"""What we ask of each storage class is what dicom3tools asks; what it accepts and we make stays accepted after aligning."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from frontend_agent.dicom.rewriting import chunks
from frontend_agent.imaging.changing import Change, changed
from frontend_agent.imaging.examining import examine
from frontend_agent.imaging.modules import known_classes, required
from tests.image_samples import ct_slice, part10

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="no dciodvfy (Debian: dicom3tools)"),
]
MISSING = re.compile(r"\(([0-9a-f]{4}),([0-9a-f]{4})\)> - Missing attribute for Type (1C?|2) ")


def told(raw: bytes, folder: Path) -> Sequence[str]:
    (folder / "x.dcm").write_bytes(raw)
    ran = subprocess.run(["dciodvfy", "-new", str(folder / "x.dcm")], capture_output=True, text=True, timeout=60)
    return (ran.stderr + ran.stdout).splitlines()


@pytest.mark.parametrize("sop_class", known_classes())
def test_every_class_is_asked_for_what_the_standard_asks(sop_class, tmp_path):
    bare = Dataset()
    bare.SOPClassUID, bare.SOPInstanceUID, bare.StudyInstanceUID, bare.SeriesInstanceUID = (
        sop_class,
        "1.2.3.4",
        "1.2.3",
        "1.2.3.5",
    )
    raw = part10(bare)
    theirs: dict[str, set[str]] = {"1": set(), "2": set(), "1C": set()}
    for line in told(raw, tmp_path):
        if found := MISSING.search(line):
            theirs[found[3]].add(keyword_for_tag(int(found[1] + found[2], 16)))

    facts = examine(raw)

    assert required(sop_class).is_known
    assert set(facts.no_value) <= theirs["1"] | {"Modality", "PixelData"} & theirs["1C"]
    assert theirs["1"] <= set(facts.no_value)
    assert set(facts.missing) == theirs["2"] - theirs["1"]


def test_a_slice_that_it_accepts_is_accepted_after_aligning(tmp_path):
    raw = ct_slice(1, Laterality="")
    before = [line for line in told(raw, tmp_path) if line.startswith("Error")]
    assert before == []
    facts = examine(raw)
    assert (facts.no_value, facts.missing, facts.misshapen) == ((), (), ())

    change = Change(
        {0x00100010: "张三", 0x00100020: "H1", 0x00100021: "HIS"}, "2.16.156.1", "", "20261120100000+0800", "US", "PACS"
    )
    new = b"".join(chunks(changed(raw, change), lambda start, end: raw[start:end]))

    assert [line for line in told(new, tmp_path) if line.startswith("Error")] == []
