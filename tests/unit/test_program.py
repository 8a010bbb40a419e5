"""The program that is installed is what was signed, to the last bit (threat U1)."""

import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from frontend_agent import program
from frontend_agent.program import Keys, NotTheProgram
from installer import carriers, inputs, sbom, tree

KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\2" * 32)
MACHINE = inputs.ARCHITECTURES["x86_64"]
EPOCH = 1_790_000_000  # seconds since 1970


def keys(*of: Ed25519PrivateKey) -> Keys:
    return Keys({program.key_id(raw): raw for raw in (key.public_key().public_bytes_raw() for key in of)})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small program: a few files, one of which may be run."""
    made = tmp_path / "frontend-agent-1.2.0"
    chance = random.Random(7)
    for name, size in (
        ("bin/python3.11", 4000),
        ("lib/native/libc.so.6", 9000),
        ("lib/empty", 0),
        ("share/version", 6),
    ):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(chance.randbytes(size))
    (made / "share" / "version").write_text("1.2.0\n")
    (made / "bin" / "python3.11").chmod(0o755)
    tree.seal(made, "1.2.0", "x86_64", KEY, EPOCH)
    return made


@pytest.fixture
def archive(root: Path, tmp_path: Path) -> Path:
    return carriers.archive(root, "1.2.0", MACHINE, tmp_path, EPOCH, KEY, level=3)


def flipped_places(size: int, count: int = 200) -> list[tuple[int, int]]:
    """(byte, bit) at evenly spread places, the first and the last bit among them."""
    last = size * 8 - 1
    return [divmod(last * i // (count - 1), 8) for i in range(count)]


def refused(verify: Callable[[], object]) -> bool:
    try:
        verify()
    except NotTheProgram:
        return True
    return False


def test_what_was_signed_is_accepted(root: Path, archive: Path) -> None:
    assert program.verify_folder(root, keys(KEY)).version == "1.2.0"
    assert program.verify_archive(archive, keys(OTHER, KEY)).machine == "x86_64"
    assert "1.2.0" in program.verified(root, keys(KEY))


def test_one_bit_flipped_at_200_places_of_the_archive_is_refused_200_times(archive: Path, tmp_path: Path) -> None:
    good, bad = archive.read_bytes(), tmp_path / "bad.tar.zst"
    found = 0
    for place, bit in flipped_places(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1 << bit
        bad.write_bytes(changed)
        found += refused(lambda: program.verify_archive(bad, keys(KEY)))
    assert found == 200


def test_one_bit_flipped_at_200_places_of_the_folder_is_refused_200_times(root: Path) -> None:
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.stat().st_size]
    places = [(path, at) for path in files for at in range(path.stat().st_size * 8)]
    found = 0
    for number in range(200):
        path, at = places[(len(places) - 1) * number // 199]
        good = path.read_bytes()
        changed = bytearray(good)
        changed[at // 8] ^= 1 << at % 8
        path.write_bytes(changed)
        found += refused(lambda: program.verify_folder(root, keys(KEY)))
        path.write_bytes(good)
    assert found == 200
    assert program.verify_folder(root, keys(KEY))


def test_one_bit_flipped_at_200_places_of_a_package_and_its_sums_is_refused_200_times(tmp_path: Path) -> None:
    package = tmp_path / "frontend-agent_1.2.0_amd64.deb"
    package.write_bytes(random.Random(3).randbytes(5000))
    carriers.sums(tmp_path, [package], KEY)
    assert program.verify_summed(package, keys(OTHER, KEY)) == [package.name]

    found = 0
    for path, count in ((package, 120), (tmp_path / "SHA256SUMS", 40), (tmp_path / "SHA256SUMS.sig", 40)):
        good = path.read_bytes()
        for place, bit in flipped_places(len(good), count):
            changed = bytearray(good)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            found += refused(lambda: program.verify_summed(package, keys(KEY)))
        path.write_bytes(good)
    assert found == 200


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("is not of the program", lambda root: (root / "lib" / "added.py").write_text("import os")),
        ("is missing", lambda root: (root / "lib" / "empty").unlink()),
        ("may be run", lambda root: (root / "lib" / "empty").chmod(0o755)),
        ("may be written by others", lambda root: (root / "lib" / "empty").chmod(0o666)),
        ("is not a file", lambda root: ((root / "lib/empty").unlink(), (root / "lib/empty").symlink_to("/etc/passwd"))),
        ("no signed program lies here", lambda root: (root / "MANIFEST.sig").unlink()),
    ],
)
def test_a_folder_that_differs_says_in_what(root: Path, what: str, change: Callable[[Path], object]) -> None:
    change(root)
    with pytest.raises(NotTheProgram, match=what):
        program.verify_folder(root, keys(KEY))


def test_another_s_signature_does_not_count_however_right_it_is(root: Path, archive: Path) -> None:
    with pytest.raises(NotTheProgram, match="not trusted here"):
        program.verify_folder(root, keys(OTHER))
    with pytest.raises(NotTheProgram, match="not trusted here"):
        program.verify_archive(archive, keys(OTHER))


def test_a_signed_archive_whose_files_are_not_those_of_its_manifest_is_refused(root: Path, tmp_path: Path) -> None:
    """Whoever can sign an archive but not a manifest gets nothing in."""
    (root / "lib" / "empty").write_bytes(b"not as it was sealed")
    made = carriers.archive(root, "1.2.0", MACHINE, tmp_path, EPOCH, KEY, level=3)
    with pytest.raises(NotTheProgram, match="not as its manifest says"):
        program.verify_archive(made, keys(KEY))


@pytest.mark.parametrize(
    "name", ["frontend-agent-1.2.0/../../etc/cron.d/x", "/etc/cron.d/x", "frontend-agent-1.2.0/a//../b"]
)
def test_a_path_out_of_the_program_is_refused_even_if_it_was_signed(tmp_path: Path, name: str) -> None:
    made = tmp_path / "evil.tar.zst"
    plain = BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        manifest = program.Manifest(version="1", machine="x86_64", files={}).to_json()
        for path, content in (("p/MANIFEST.json", manifest), (name, b"x")):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, BytesIO(content))
    made.write_bytes(zstandard.compress(plain.getvalue()))
    with made.open("ab") as file:
        file.write(program.trailer(made, KEY))
    with pytest.raises(NotTheProgram):
        program.verify_archive(made, keys(KEY))


def test_the_same_program_makes_the_same_bytes(root: Path, tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        copy = folder / root.name
        shutil.copytree(root, copy)
        os.utime(copy / "share" / "version", (1, 1))
        made.append(
            [
                carriers.archive(copy, "1.2.0", MACHINE, folder, EPOCH, KEY, level=3).read_bytes(),
                subprocess.run(["sha256sum", copy / "MANIFEST.json"], capture_output=True, check=True).stdout[:64],
            ]
        )
    assert made[0] == made[1]


def test_openssl_and_sha256sum_say_the_same(tmp_path: Path) -> None:
    """Who has nothing of ours yet proves the first file with what every machine has."""
    package = tmp_path / "frontend-agent_1.2.0_amd64.deb"
    package.write_bytes(b"a package")
    carriers.sums(tmp_path, [package], KEY)
    check = "openssl pkeyutl -verify -pubin -inkey release-key.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig && sha256sum -c SHA256SUMS"
    assert subprocess.run(["sh", "-c", check], cwd=tmp_path, capture_output=True, check=False).returncode == 0
    package.write_bytes(b"another")
    assert subprocess.run(["sh", "-c", check], cwd=tmp_path, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize(
    ("licence", "asks"),
    [
        ("GPL-3.0-only", True),
        ("MIT AND GPL-2.0-or-later", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("EPL-2.0 OR GPL-2.0-or-later", False),
        ("LGPL-3.0-only", False),
        ("GNU Lesser General Public License v3 or later (LGPLv3+)", False),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", False),
        ("MIT", False),
    ],
)
def test_nothing_ships_that_leaves_no_choice_but_the_gpl(licence: str, asks: bool) -> None:
    assert sbom.asks_for_gpl(licence) is asks


@pytest.mark.parametrize(
    ("version", "told"),
    [("1.2.0", "1.2.0"), ("1.2.0rc1", "1.2.0~rc1"), ("1.2.0.dev3", "1.2.0~dev3"), ("1.2.0+site", "1.2.0+site")],
)
def test_a_release_candidate_is_older_than_its_release(version: str, told: str) -> None:
    assert carriers.debian_version(version) == told
