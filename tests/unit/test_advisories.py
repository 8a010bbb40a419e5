"""Advisories in OSV's format held against what a program is made of (threat U4). All ids and weaknesses are made up."""

import itertools
import json
import random
import shutil
import subprocess
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.advisories import (
    DEBIAN,
    PYPI,
    Affected,
    NotAdvisories,
    Part,
    audited,
    debian_order,
    is_affected,
    locked,
    parts_of,
    python_order,
    read_advisory,
    read_exceptions,
)
from frontend_agent.cli.main import run
from frontend_agent.errors import ConfigurationError
from installer import inputs, sbom
from installer.__main__ import must_be_without_weakness
from tests.conftest import REPOSITORY

TODAY = date(2026, 11, 21)
BILL = {
    "components": [
        {"name": "examplelib", "version": "1.4.2", "purl": "pkg:pypi/examplelib@1.4.2"},
        {"name": "Other_Lib", "version": "2.0", "purl": "pkg:pypi/Other_Lib@2.0"},
        {
            "name": "libexample3", "version": "3.0.17-1~deb12u2",
            "purl": "pkg:deb/debian/libexample3@3.0.17-1~deb12u2?arch=amd64&distro=bookworm",
            "properties": [{"name": "frontend-agent:source", "value": "example"}],
        },
    ]
}  # fmt: skip


def osv(number: int, ecosystem: str, name: str, *events: dict[str, str], **more: Any) -> dict[str, Any]:
    affected = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": f"TEST-2026-{number:04}", "modified": "2026-11-20T00:00:00Z", "affected": [affected], **more}


def found(*advisories: dict[str, Any], exceptions: str = "", bill: dict[str, Any] = BILL) -> list[tuple[str, str, str]]:
    told = audited(
        parts_of(bill),
        [read_advisory(json.dumps(one).encode(), one["id"]) for one in advisories],
        read_exceptions(exceptions, "exceptions.toml"),
        TODAY,
    )
    return [(one.part.component, one.advisory, one.fixed) for one in told.weaknesses]


def test_a_version_in_a_range_is_affected_and_the_fix_is_named() -> None:
    assert found(osv(1, PYPI, "ExampleLib", {"introduced": "1.0"}, {"fixed": "1.4.3"})) == [
        ("examplelib", "TEST-2026-0001", "1.4.3")
    ]
    assert found(osv(1, PYPI, "examplelib", {"introduced": "0"}, {"fixed": "1.4.2"})) == []
    assert found(osv(1, PYPI, "examplelib", {"introduced": "1.4.3"})) == []
    assert found(osv(1, PYPI, "other.lib", {"introduced": "0"}, {"last_affected": "2.0"})) == [("Other_Lib", "TEST-2026-0001", "")]  # fmt: skip
    assert found(osv(1, PYPI, "other-lib", {"introduced": "0"}, {"last_affected": "1.9"})) == []


def test_it_may_come_back_after_a_fix() -> None:
    events = ({"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "1.4"}, {"fixed": "1.5"})
    assert found(osv(1, PYPI, "examplelib", *events)) == [("examplelib", "TEST-2026-0001", "1.5")]
    assert found(osv(1, PYPI, "examplelib", *reversed(events))) == [("examplelib", "TEST-2026-0001", "1.5")]
    assert found(osv(1, PYPI, "examplelib", {"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "1.5"})) == []


def test_listed_versions_count_without_a_range() -> None:
    listed = {"id": "TEST-2026-0002", "modified": "2026-11-20T00:00:00Z",
              "affected": [{"package": {"ecosystem": PYPI, "name": "examplelib"}, "versions": ["1.4.1", "1.4.2"]}]}  # fmt: skip
    assert found(listed) == [("examplelib", "TEST-2026-0002", "")]


def test_commits_of_a_repository_are_no_versions() -> None:
    one = osv(1, PYPI, "examplelib", {"introduced": "0"})
    one["affected"][0]["ranges"][0]["type"] = "GIT"
    assert found(one) == []


def test_debian_is_asked_by_source_package_and_release() -> None:
    fixed = {"fixed": "3.0.17-1~deb12u3"}
    weak = [("libexample3", "TEST-2026-0001", "3.0.17-1~deb12u3")]
    assert found(osv(1, "Debian:12", "example", {"introduced": "0"}, fixed)) == weak
    assert found(osv(1, "Debian", "example", {"introduced": "0"}, fixed)) == weak
    assert found(osv(1, "Debian:11", "example", {"introduced": "0"}, fixed)) == []
    assert found(osv(1, "Debian:12", "libexample3", {"introduced": "0"}, fixed)) == []  # a binary package's name
    assert found(osv(1, "Debian:12", "example", {"introduced": "0"}, {"fixed": "3.0.17-1~deb12u2"})) == []


def test_what_was_withdrawn_does_not_count() -> None:
    assert found(osv(1, PYPI, "examplelib", {"introduced": "0"}, withdrawn="2026-11-01T00:00:00Z")) == []


def test_an_exception_holds_until_its_day_and_needs_a_reason() -> None:
    advisory = osv(1, PYPI, "examplelib", {"introduced": "0"}, aliases=["CVE-0000-0001"])
    rule = '[[except]]\nadvisory = "{}"\nreason = "not reachable: we never call it"\nuntil = {}\n'
    assert found(advisory, exceptions=rule.format("TEST-2026-0001", "2026-11-21")) == []
    assert found(advisory, exceptions=rule.format("CVE-0000-0001", "2026-12-31")) == []
    assert found(advisory, exceptions=rule.format("TEST-2026-0001", "2026-11-20")) != []
    assert found(advisory, exceptions=rule.format("TEST-2026-0001", "2026-12-31") + 'package = "other"\n') != []
    with pytest.raises(ConfigurationError, match="reason is empty"):
        read_exceptions('[[except]]\nadvisory = "X"\nreason = " "\nuntil = 2026-12-31\n', "f")
    with pytest.raises(ConfigurationError, match="until"):
        read_exceptions('[[except]]\nadvisory = "X"\nreason = "y"\n', "f")


def test_without_advisories_nothing_is_clean(tmp_path: Path) -> None:
    with pytest.raises(NotAdvisories, match="nothing can be said"):
        audited(parts_of(BILL), [], (), TODAY)
    with pytest.raises(NotAdvisories):
        read_advisory(b'{"summary": "no id"}', "f")
    with pytest.raises(ConfigurationError, match="nothing to compare"):
        parts_of({"components": []})


def test_our_own_bill_and_lock_are_read() -> None:
    made = {"kind": "deb", "name": "libssl3", "version": "3.0.17-1~deb12u2+b1", "architecture": "amd64",
            "source": "openssl", "sha256": "0" * 64, "licence": "Apache-2.0", "file": "x.deb"}  # fmt: skip
    wheel = {"kind": "wheel", "name": "lxml", "version": "6.1.3", "sha256": "0" * 64, "licence": "MIT", "file": "x.whl"}
    bill = json.loads(sbom.document({"debs": [made], "wheels": [wheel]}, "1.0", 0))
    assert set(parts_of(bill)) == {
        Part(DEBIAN, "openssl", "3.0.17-1~deb12u2+b1", "libssl3", "12"),
        Part(PYPI, "lxml", "6.1.3", "lxml"),
    }
    assert Part(PYPI, "packaging", "26.3", "packaging") in locked((REPOSITORY / "requirements.lock").read_text("utf-8"))


def test_versions_of_python_are_ordered_as_pep_440_says() -> None:
    order = ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.1", "1.10", "2!0.1"]
    for low, high in itertools.pairwise(order):
        assert python_order(low, high) == -1
        assert python_order(high, low) == 1
    assert python_order("1.0", "1.0.0") == 0
    assert python_order("not a version", "1.0") == -1


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is asked for its own order")
def test_versions_of_debian_are_ordered_as_dpkg_orders_them() -> None:
    chance = random.Random(7)
    made = [
        "1.0",
        "1.0-1",
        "1.0~rc1-1",
        "1:0.9-2",
        "1.0-1+b2",
        "1.0+dfsg-3",
        "1.0-1~deb12u1",
        "1.0a",
        "1.0.10-1",
        "1.0.9-1",
    ]
    made += ["".join(chance.choice("0123459.+~ab-") for _ in range(chance.randint(1, 9))) for _ in range(80)]
    versions = [one if one[0].isdigit() else f"0{one}" for one in made]
    versions = [one for one in versions if not one.endswith("-")]
    for _ in range(150):
        one, other = chance.choice(versions), chance.choice(versions)
        asked = next(
            word
            for word in ("lt", "eq", "gt")
            if subprocess.run(["dpkg", "--compare-versions", one, word, other], capture_output=True).returncode == 0
        )
        assert debian_order(one, other) == {"lt": -1, "eq": 0, "gt": 1}[asked], (one, other)


def test_the_order_of_debian_decides_a_range() -> None:
    part = Part(DEBIAN, "example", "1.0~rc1-1", "example", "12")
    fixed_at_release = read_advisory(json.dumps(osv(1, DEBIAN, "example", {"introduced": "0"}, {"fixed": "1.0-1"})).encode(), "f")  # fmt: skip
    assert isinstance(fixed_at_release.affected[0], Affected)
    assert is_affected(part, fixed_at_release.affected[0])


@pytest.fixture
def carried(tmp_path: Path) -> Path:
    """A bill and a folder of advisories as OSV hands them out: files, and an ecosystem's archive."""
    (tmp_path / "bill.json").write_text(json.dumps(BILL))
    folder = tmp_path / "osv"
    folder.mkdir()
    (folder / "one.json").write_text(json.dumps(osv(1, PYPI, "examplelib", {"introduced": "0"}, {"fixed": "1.5"})))
    with zipfile.ZipFile(folder / "all.zip", "w") as packed:
        packed.writestr("two.json", json.dumps(osv(2, "Debian:12", "example", {"introduced": "0"}, {"fixed": "4"})))
    return tmp_path


def audit(carried: Path, *more: str) -> int:
    bill = ("--bill", str(carried / "bill.json"))
    return run(["--lang", "en", "program", "audit", "--advisories", str(carried / "osv"), *bill, *more])


def test_the_command_names_package_version_advisory_and_fix(carried: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(carried, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert [(one["package"], one["version"], one["advisory"], one["fixed"]) for one in told["weaknesses"]] == [
        ("examplelib", "1.4.2", "TEST-2026-0001", "1.5"),
        ("libexample3", "3.0.17-1~deb12u2", "TEST-2026-0002", "4"),
    ]
    assert audit(carried) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "3 parts held against 2 advisories" in said
    assert "TEST-2026-0002" in said


def test_the_command_is_quiet_where_all_is_excepted_and_says_how_old_the_advisories_are(
    carried: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    until = (datetime.now(UTC).date() + timedelta(days=30)).isoformat()
    rules = [
        f'[[except]]\nadvisory = "TEST-2026-000{n}"\nreason = "never called"\nuntil = {until}\n' for n in (1, 2, 3)
    ]
    (carried / "except.toml").write_text("".join(rules))
    assert audit(carried, "--except", str(carried / "except.toml")) == 0
    said = capsys.readouterr().out
    assert "No known weakness" in said
    assert "TEST-2026-0003 is needed by nothing" in said
    for path in carried.glob("osv/*"):
        path.unlink()
    (carried / "osv" / "old.json").write_text(json.dumps(osv(9, PYPI, "nothing", {"introduced": "0"}) | {"modified": "2020-01-01T00:00:00Z"}))  # fmt: skip
    assert audit(carried) == 0
    assert audit(carried, "--most-days", "30") == 1
    assert "carry newer ones here" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_told(carried: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(carried / "osv")
    assert audit(carried) == 78
    assert "no such folder" in capsys.readouterr().err


def test_no_package_is_made_of_what_has_a_known_weakness(carried: Path) -> None:
    with pytest.raises(inputs.NotMade, match=r"examplelib 1\.4\.2: TEST-2026-0001, fixed in 1\.5"):
        must_be_without_weakness(carried / "bill.json", carried / "osv", None)
    (carried / "osv" / "one.json").unlink()
    (carried / "osv" / "all.zip").unlink()
    (carried / "osv" / "none.json").write_text(json.dumps(osv(9, PYPI, "nothing", {"introduced": "0"})))
    must_be_without_weakness(carried / "bill.json", carried / "osv", None)
