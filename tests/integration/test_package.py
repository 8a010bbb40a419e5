"""What a hospital installs, as its files: put onto bare Debians without a network, taken over by a newer one, taken away again."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontend_agent import program
from installer import carriers, sbom
from tests import package_kit
from tests.package_kit import Package, Root

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

# Loads every compiled module that a wheel or the interpreter brings, then names what of it lies outside of the program.
EVERYTHING = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
mapped = {line.split()[-1] for line in open("/proc/self/maps") if line.split()[-1].startswith("/")}
print(len(mapped), sorted(path for path in mapped if not path.startswith("/opt/frontend-agent/")))
"""
COMPILED = (
    "lxml.etree apsw psycopg pyodbc oracledb pymysql cryptography.hazmat.bindings._rust numpy PIL._imaging gdcm zstandard"
    " uvloop httptools rapidfuzz openjpeg rle bcrypt ssl sqlite3 ctypes lzma bz2 decimal uuid msgspec boto3 connectors pkcs11"
)


@pytest.fixture(scope="module")
def package() -> Package:
    return package_kit.package()


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Root]:
    with package_kit.debian(tmp_path / "root", getattr(request, "param", "bookworm")) as made:
        yield made


# --- where it runs ----------------------------------------------------------------------------------------------------


def test_it_needs_nothing_of_the_machine_not_even_a_c_library(package: Package, tmp_path: Path) -> None:
    """An empty folder with the program in it: no shell, no /lib, no /etc. Every module loads, and nothing from elsewhere."""
    home = tmp_path / f"opt/frontend-agent/versions/{package.version}"
    shutil.copytree(package.program, home, copy_function=os.link)
    (tmp_path / "proc").mkdir()
    (tmp_path / "everything.py").write_text(EVERYTHING)
    python = f"/opt/frontend-agent/versions/{package.version}/bin/python3.11"
    told = Root(tmp_path).bare(python, "-P", "-X", "utf8", "/everything.py", *COMPILED.split())
    count, foreign = told.split(maxsplit=1)
    assert int(count) > 60
    assert foreign.strip() == "[]"


def test_the_deb_is_all_that_a_hospital_needs(package: Package, root: Root) -> None:
    """A whole hospital and platform in it, without a network."""
    told = root.run("dpkg", "-i", root.give(package.deb))
    assert "frontend-agent init" in told
    assert root.run("stat", "-c", "%U %a", "/var/lib/frontend-agent").split() == ["frontend-agent", "700"]
    assert "as it was signed" in root.run("frontend-agent", "program", "verify")
    told = root.run(
        "frontend-agent", "demo", "--exit", "--json", "--visits", "40", "--state", "/var/tmp/demo", within=600
    )
    kinds = json.loads(told[told.index("{") : told.rindex("}") + 1])["kinds"]
    assert kinds
    assert all(kind["lost"] == kind["duplicates"] == 0 for kind in kinds.values())


@pytest.mark.parametrize("root", ["bullseye", "trixie"], indirect=True)
def test_the_same_deb_runs_on_older_and_newer_debians(package: Package, root: Root) -> None:
    root.run("dpkg", "-i", root.give(package.deb))
    assert root.run("frontend-agent", "--version").strip() == package.version
    assert "as it was signed" in root.run("frontend-agent", "program", "verify")
    root.run("frontend-agent", "--config", "/etc/frontend-agent/agent.toml", "init")
    assert root.run("stat", "-c", "%n", "/etc/frontend-agent/agent.toml")


# --- its life on a machine --------------------------------------------------------------------------------------------


def test_a_newer_deb_takes_over_and_the_one_before_stays_to_go_back_to(
    package: Package, root: Root, tmp_path: Path
) -> None:
    newer = package_kit.renumbered(package, "9.9.1", tmp_path / "newer", "deb")
    newest = package_kit.renumbered(package, "9.9.2", tmp_path / "newest", "deb")
    root.run("dpkg", "-i", root.give(package.deb))
    root.run("dpkg", "-i", root.give(newer))
    versions = root.run("ls", "-A", "/opt/frontend-agent/versions").split()
    assert versions == [package.version, "9.9.1"]
    assert root.run("readlink", "/opt/frontend-agent/current").strip() == "versions/9.9.1"
    # What is gone back to is whole, and runs.
    old = f"/opt/frontend-agent/versions/{package.version}/bin/frontend-agent"
    assert root.run(old, "--version").strip() == package.version
    assert "as it was signed" in root.run(old, "program", "verify")
    root.run("dpkg", "-i", root.give(newest))
    assert root.run("ls", "-A", "/opt/frontend-agent/versions").split() == ["9.9.1", "9.9.2"]


def test_removing_it_keeps_what_must_be_kept_and_says_where(package: Package, root: Root) -> None:
    root.run("dpkg", "-i", root.give(package.deb))
    assert "[frontend-agent PostgreSQL]" in root.run("cat", "/etc/odbcinst.ini")
    root.run("sh", "-c", "echo kept > /var/lib/frontend-agent/spool.db; echo x > /etc/frontend-agent/agent.toml")
    root.run("dpkg", "--remove", "frontend-agent")
    told = root.run("dpkg", "--purge", "frontend-agent")
    assert "/var/lib/frontend-agent (" in told
    assert "six months" in told
    assert root.run("cat", "/var/lib/frontend-agent/spool.db").strip() == "kept"
    assert root.run("cat", "/etc/frontend-agent/agent.toml").strip() == "x"
    assert "frontend-agent" not in root.run("cat", "/etc/odbcinst.ini")
    for gone in ("/opt/frontend-agent", "/usr/bin/frontend-agent", "/usr/lib/systemd/system/frontend-agent.service"):
        assert not os.path.lexists(root.path / gone.lstrip("/")), gone


def test_the_archive_installs_by_its_script_and_leaves_by_it(package: Package, root: Root) -> None:
    given = root.path / "given" / package.program.name
    shutil.copytree(package.program, given)
    told = root.run(f"/given/{given.name}/install.sh")
    assert "as it was signed" in told
    assert root.run("frontend-agent", "--version").strip() == package.version
    assert (root.path / "usr/lib/systemd/system/frontend-agent.service").is_file()
    told = root.run("/opt/frontend-agent/current/uninstall.sh")
    assert "/var/lib/frontend-agent (" in told
    assert not os.path.lexists(root.path / "opt/frontend-agent")
    assert not (root.path / "usr/lib/systemd/system/frontend-agent.service").exists()


def test_an_archive_that_was_damaged_on_its_way_is_not_taken_over(package: Package, root: Root) -> None:
    given = root.path / "given" / package.program.name
    shutil.copytree(package.program, given)
    with (given / "lib/native/libodbc.so.2").open("r+b") as file:
        file.write(b"\x7fELG")
    told = root.run(f"/given/{given.name}/install.sh", code=1)
    assert "libodbc.so.2 is not as it was signed" in told
    assert not os.path.lexists(root.path / "opt/frontend-agent/current")


def test_the_rpm_installs_into_a_root_and_leaves_it(package: Package, root: Root) -> None:
    """By Debian's rpm: no machine with RPM is to be had here. Its scripts run in the root."""
    rpm = ["rpm", f"--root={root.path}", "--nodeps", "--noplugins"]
    subprocess.run([*rpm, "--install", str(package.rpm)], check=True, capture_output=True)
    assert root.run("frontend-agent", "--version").strip() == package.version
    assert (
        subprocess.run([*rpm, "--verify", "frontend-agent"], capture_output=True, text=True, check=False).stdout == ""
    )
    told = subprocess.run([*rpm, "--erase", "frontend-agent"], check=True, capture_output=True, text=True)
    assert "/var/lib/frontend-agent (" in told.stdout + told.stderr
    assert not os.path.lexists(root.path / "opt/frontend-agent")


# --- what it is -------------------------------------------------------------------------------------------------------


def test_every_file_that_was_made_is_what_was_signed(package: Package) -> None:
    assert program.verify_archive(package.archive, package.keys).version == package.version
    assert program.verify_folder(package.program, package.keys).machine == package.architecture.name
    assert len(program.verify_summed(package.folder, package.keys)) == 3


def test_the_bill_of_materials_names_everything_that_was_taken(package: Package) -> None:
    bill = program.bill_of_materials(package.program)
    named = {part["name"] for part in bill["components"]}
    assert {"libc6", "python3.11-minimal", "odbc-postgresql", "apsw", "cryptography", "psycopg-binary"} <= named
    assert not {"pytest", "hatchling"} & named
    installed = {
        path.name.partition("-")[0].lower().replace("_", "-").replace(".", "-")
        for path in (package.program / "lib/python3.11/dist-packages").glob("*.dist-info")
    }
    assert installed - {"frontend-agent"} <= named
    assert all(len(part["hashes"][0]["content"]) == 64 and part["licenses"] for part in bill["components"])
    debs = [part["name"] for part in bill["components"] if part["purl"].startswith("pkg:deb/")]
    assert {path.stem for path in (package.program / "share/licences").glob("*.txt")} == {*debs, "frontend-agent"}
    assert set(debs) <= sbom.LICENCES.keys()


@pytest.mark.release
def test_the_same_inputs_make_the_same_bytes(package: Package, tmp_path: Path) -> None:
    """From the inputs on: interpreter, bytecode, wheels, program, and each of the files."""
    again = package_kit.made_again(package, tmp_path)
    assert (again / "MANIFEST.json").read_bytes() == (package.program / "MANIFEST.json").read_bytes()
    for kind, before in (("deb", package.deb), ("rpm", package.rpm), ("archive", package.archive)):
        epoch = int((package.program / "MANIFEST.json").stat().st_mtime)
        made = carriers.make(kind, again, package.architecture, tmp_path, epoch, package.key, True)
        assert made.read_bytes() == before.read_bytes(), kind
