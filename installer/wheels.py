"""Wheels laid into a folder (Binary Distribution Format, PEP 427), always in the same way."""

import os
import re
import sys
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

from installer.inputs import NotMade, run

# Tests of others, sources that are compiled already, and what the object store's library knows of a thousand other services.
LEFT_OUT = re.compile(
    r"/tests?/|\.(pyx|pxd|pyi|c|cc|cpp|h|hpp|f90)$|\.dist-info/RECORD$|^numpy/_core/lib/"
    r"|^botocore/data/(?!(s3|sts|sso|sso-oidc|signin)/|[^/]+$)|^boto3/(examples|data/(?!s3/))"
)
EXTRAS = frozenset({"postgresql", "mysql", "oracle", "s3", "viewer", "pkcs11", "sm"})  # all that licences allow


def built(source: Path, folder: Path, epoch: int) -> Path:
    """Our own wheel, from a checkout. hatchling builds the same bytes from the same files (SOURCE_DATE_EPOCH)."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    run(command, os.environ | {"SOURCE_DATE_EPOCH": str(epoch)}, source)
    return next(folder.glob("*.whl"))


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as packed:
        name = next(name for name in packed.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        return BytesHeaderParser().parsebytes(packed.read(name))


def name_of(wheel: Path) -> str:
    return normal(wheel.name.partition("-")[0])


def normal(name: str) -> str:
    """A project's name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required(ours: Path, wheels: Iterable[Path], machine: str) -> list[Path]:
    """Of the locked wheels those that the program asks for, itself or by others: the lock holds its build tools, too."""
    by_name = {name_of(wheel): wheel for wheel in wheels}
    waiting = [(ours, EXTRAS)]
    seen: dict[str, frozenset[str]] = {}
    while waiting:
        wheel, extras = waiting.pop()
        for text in metadata(wheel).get_all("Requires-Dist") or []:
            requirement = Requirement(text)
            name, more = normal(requirement.name), frozenset(requirement.extras)
            if not _applies(requirement, extras, machine) or (name in seen and more <= seen[name]):
                continue
            if name not in by_name:
                raise NotMade(f"{wheel.name} asks for {name}, which is not among the wheels fetched")
            seen[name] = seen.get(name, frozenset()) | more
            waiting.append((by_name[name], seen[name]))
    return [by_name[name] for name in sorted(seen)]


def _applies(requirement: Requirement, extras: frozenset[str], machine: str) -> bool:
    """Whether it is asked for on our Python and Linux on this machine type, with one of these extras or none."""
    if requirement.marker is None:
        return True
    around = {"platform_machine": machine}
    return any(requirement.marker.evaluate({**around, "extra": extra}) for extra in (*extras, ""))


def lay(wheel: Path, folder: Path) -> None:
    """Everything of a wheel that is imported; its scripts name another interpreter, and nobody needs them."""
    with zipfile.ZipFile(wheel) as packed:
        for member in packed.infolist():
            place = _place(member.filename)
            if member.is_dir() or place is None:
                continue
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(packed.read(member))
            target.chmod(0o644)


def _place(name: str) -> PurePosixPath | None:
    if LEFT_OUT.search(name):
        return None
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise NotMade(f"a wheel holds {name}")
    if not path.parts[0].endswith(".data"):
        return path
    return PurePosixPath(*path.parts[2:]) if path.parts[1] in ("purelib", "platlib") else None
