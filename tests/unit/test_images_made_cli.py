"""What a person makes of images at the command line: key image notes, and files without identity."""

from pathlib import Path

import pydicom
import pytest

from frontend_agent.cli.main import run
from frontend_agent.config import parse_config
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.variants import profile_of
from frontend_agent.operations import operations
from tests.instances_made import as_file, ct
from tests.unit.test_image_operations import CONFIG, ONE, Site

RESEARCH = """
[images.destinations.research]
type = "stow"
url = "http://127.0.0.1:9/research"
deidentified = true
pseudonym_key = "research"
"""


def test_a_key_note_is_kept_and_makes_the_study_collect_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path)
    (first, _) = site.book.instances(1)
    site.close()
    shared = ["--config", str(site.file), "--state", str(site.state), "--lang", "en", "images"]

    assert run([*shared, "key", ONE, first.header.sop_instance_uid, "--text", "右肺结节", "--who", "li"]) == 0

    assert "Key image note 2.25." in capsys.readouterr().out
    again = Site.__new__(Site)
    from frontend_agent.app import App

    again.app = App(parse_config(CONFIG), site.state, clock=site.clock, alone=True).open_state()
    try:
        told = operations(again.app)["images_show"](ONE)
        assert [one["modality"] for one in told["series"]] == ["CT", "KO"]
    finally:
        again.app.close()
    assert run([*shared, "key", ONE, "9.9.9"]) != 0
    assert "9.9.9" in capsys.readouterr().err


def test_files_are_deidentified_as_for_a_destination(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "agent.toml").write_text(CONFIG + RESEARCH + f'[secrets]\nfolder = "{tmp_path / "secrets"}"\n', "utf-8")
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "research").write_text("a secret of the hospital, 32 bytes")
    (tmp_path / "secrets" / "research").chmod(0o600)
    (tmp_path / "one.dcm").write_bytes(as_file(ct(1)))
    (tmp_path / "two.dcm").write_bytes(as_file(ct(2, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")))
    files = [str(tmp_path / "one.dcm"), str(tmp_path / "two.dcm")]
    command = [
        "--config",
        str(tmp_path / "agent.toml"),
        "--lang",
        "en",
        "images",
        "deidentify",
        *files,
        "--as-for",
        "research",
        "--to",
    ]

    assert run([*command, str(tmp_path / "out")]) == 1

    said = capsys.readouterr().out
    assert "1 of 2 files" in said
    assert "two.dcm: not de-identified: its pixels may show a name" in said
    (made,) = (tmp_path / "out").iterdir()
    assert pydicom.dcmread(made).PatientIdentityRemoved == "YES"
    assert run([*command, str(tmp_path / "all"), "--pixels"]) == 0


@pytest.mark.parametrize(("destination", "said"), [("nobody", "nobody"), ("region", "no key")])
def test_a_destination_without_a_profile_is_told(destination: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        profile_of(parse_config(CONFIG + RESEARCH), destination)
