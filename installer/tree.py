"""The whole program as one folder, as it lies in /opt/frontend-agent/versions/VERSION. Same inputs, same bytes.

    bin/ lib/               the program (`runtime`), wheels in lib/python3.11/dist-packages
    share/systemd/          units, sysusers.d and tmpfiles.d, as they are in the repository
    share/setup             what a carrier runs when it has put the files there, or is about to take them away
    share/doc/frontend-agent/   the documentation, as a site that a browser reads from the disk
    share/licences/         of everything that is in it
    share/release-keys/     whose signature counts for the next version
    share/sbom.cdx.json     what it is made of
    install.sh uninstall.sh for who has no package manager that fits
    MANIFEST.json .sig      see frontend_agent/program.py

Made in two steps: what depends on the inputs alone (interpreter, wheels, their bytecode) is kept between two makings; ours is
laid upon a copy of it.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from frontend_agent import program
from installer import runtime, sbom, wheels
from installer.inputs import Inputs, NotMade, digest_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HERE = Path(__file__).parent
PACKAGES = f"lib/{runtime.PYTHON}/dist-packages"  # where Debian's interpreter looks beneath its own prefix
PLACE = f"{program.HOME}/current"


def version_of(source: Path) -> str:
    text = (source / "frontend_agent" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if not found:
        raise NotMade(f"{source}/frontend_agent/__init__.py says no __version__")
    return found[1]


def epoch_of(source: Path) -> int:
    """The time that every file bears, in seconds since 1970: SOURCE_DATE_EPOCH, or that of the last commit."""
    if told := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(told)
    ran = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=source, capture_output=True, text=True, check=False)
    if ran.returncode or not ran.stdout.strip():
        raise NotMade(f"{source} is no git checkout: say of what time it is, SOURCE_DATE_EPOCH=$(date +%s)")
    return int(ran.stdout)


def make(source: Path, inputs: Inputs, folder: Path, key: "Ed25519PrivateKey", kept: Path) -> Path:
    """The signed program as folder/frontend-agent-VERSION. `kept`: where the part that only depends on inputs is kept."""
    version, epoch = version_of(source), epoch_of(source)
    root = folder / f"frontend-agent-{version}"
    with tempfile.TemporaryDirectory(prefix="frontend-agent-wheel.") as place:
        ours = _our_wheel(source, inputs, Path(place), epoch)
        base = _base(inputs, wheels.required(ours, inputs.wheels, inputs.architecture.name), kept, source)
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(base / "tree", root)
        with tempfile.TemporaryDirectory(prefix="frontend-agent-ours.") as beside:
            wheels.lay(ours, Path(beside))
            _compile(Path(beside))
            shutil.copytree(beside, root / PACKAGES, dirs_exist_ok=True)
    runtime.settle(root, f"{program.HOME}/versions/{version}", inputs.architecture)
    _lay_files(source, root, version, epoch)
    bill = sbom.document(json.loads((base / "made-of.json").read_text("utf-8")), version, epoch)
    (root / "share" / "sbom.cdx.json").write_bytes(bill)
    seal(root, version, inputs.architecture.name, key, epoch)
    return root


def _our_wheel(source: Path, inputs: Inputs, folder: Path, epoch: int) -> Path:
    """Built from the checkout, with the image viewer if it was fetched."""
    from tools import viewer

    if inputs.viewer and not viewer.is_built(source / "frontend_agent" / "platform" / "ohif"):
        viewer.build(inputs.viewer, source / "frontend_agent" / "platform" / "ohif")
    return wheels.built(source, folder, epoch)


def _base(inputs: Inputs, required: list[Path], kept: Path, source: Path) -> Path:
    """tree/ with interpreter, libraries, wheels and bytecode, and made-of.json that says from what."""
    inputs.check(source / "requirements.lock")
    how = [(HERE / name).read_bytes() for name in ("runtime.py", "wheels.py", "sbom.py", "bytecode.py")]
    what = hashlib.sha256(b"\n".join([inputs.digest().encode(), *(wheel.name.encode() for wheel in required), *how]))
    place = kept / f"{inputs.architecture.name}-{what.hexdigest()[:24]}"
    if place.is_dir():
        return place
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making.", dir=kept) as beside:
        made = Path(beside) / "base"
        pool = runtime.unpack(inputs.debs, Path(beside) / "debs", inputs.architecture)
        taken = runtime.lay(pool, made / "tree")
        for wheel in required:
            wheels.lay(wheel, made / "tree" / PACKAGES)
        for package, files in runtime.lay_libraries(pool, made / "tree").items():
            taken.setdefault(package, []).extend(files)
        runtime.licences(pool, taken, made / "tree")
        _compile(made / "tree" / "lib" / runtime.PYTHON)
        told = {"debs": sbom.of_debs(inputs.debs, taken), "wheels": sbom.of_wheels(required)}
        (made / "made-of.json").write_text(json.dumps(told, indent=1), "utf-8")
        made.rename(place)
    earlier = sorted(kept.glob(f"{inputs.architecture.name}-*"), key=lambda path: path.stat().st_mtime)
    for old in earlier[:-3]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def _compile(folder: Path) -> None:
    """Bytecode of everything in it, in two processes, the same each time."""
    command = [sys.executable, "-P", "-S", str(HERE / "bytecode.py"), str(folder), f"{PLACE}/lib/{runtime.PYTHON}"]
    running = [subprocess.Popen([*command, str(part), "2"], env={"PYTHONHASHSEED": "0"}) for part in range(2)]
    codes = [process.wait() for process in running]
    if any(codes):
        raise NotMade("the modules could not be compiled")


def _lay_files(source: Path, root: Path, version: str, epoch: int) -> None:
    shutil.copytree(HERE / "files", root, dirs_exist_ok=True)
    shutil.copytree(source / "systemd", root / "share" / "systemd")
    _lay_guide(source, root / "share" / "doc" / "frontend-agent", epoch)
    shutil.copyfile(source / "LICENSE", root / "share" / "licences" / "frontend-agent.txt")
    (root / "share" / "version").write_text(version + "\n", "utf-8")


def _lay_guide(source: Path, folder: Path, epoch: int) -> None:
    """The documentation as a site, of the checkout that is packed: its own program says its commands and settings."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch), "PYTHONPATH": str(source)}
    command = [sys.executable, "-P", "-m", "tools.documentation", "--out", str(folder)]
    ran = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NotMade(f"the documentation could not be made: {ran.stderr or ran.stdout}")


def seal(root: Path, version: str, machine: str, key: "Ed25519PrivateKey", epoch: int) -> None:
    """Say what the folder holds, and sign that."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key.public_key()
    name = program.key_id(public.public_bytes_raw())
    keys = root / "share" / "release-keys"
    keys.mkdir(parents=True, exist_ok=True)
    (keys / f"{name}.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    files = {path.relative_to(root).as_posix(): _described(path) for path in files_of(root)}
    content = program.Manifest(version=version, machine=machine, files=files).to_json()
    (root / program.MANIFEST).write_bytes(content)
    (root / program.SIGNATURE).write_text(program.sign(content, key) + "\n", "ascii")
    for path in sorted(root.rglob("*"), reverse=True):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch))


def files_of(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            raise NotMade(f"{path}: a program holds files, no links")
        if path.is_file() and path.name not in (program.MANIFEST, program.SIGNATURE):
            yield path


def _described(path: Path) -> program.File:
    state = path.stat()
    return program.File(size=state.st_size, sha256=digest_of(path), runs=bool(state.st_mode & 0o100))
