"""The pack's file: a deterministic ZIP with a signed manifest. Bytes in, values out; every reason for refusing at once.

    manifest.json    name, version, date, until, region, what it extends, least program, profiles, switches,
                     and every file with its size and SHA-256: canonical JSON
    manifest.sig     base64 of Ed25519 over b"frontend-agent pack 1\\n" + manifest.json
    profiles/…  templates/…  value_sets/…  codes/…  evaluation/…  data_classes.csv

Nothing of a pack is used, nor unpacked to a disk, before its manifest is proven by a trusted key and every file by its hash.
"""

import base64
import io
import re
import stat
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from datetime import date as Day
from hashlib import sha256
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from frontend_agent.errors import FrontendAgentError

FORMAT = 1
MANIFEST, SIGNATURE, SOURCE = "manifest.json", "manifest.sig", "pack.toml"
LARGEST_PACK = 16 << 20
LARGEST_FILE = 8 << 20
LARGEST_WHOLE = 64 << 20
MOST_FILES = 2_000
GREATEST_RATIO = 200  # a code table of text shrinks to a tenth; a bomb to a thousandth
FOLDERS = ("profiles", "templates", "value_sets", "codes", "evaluation")
LOOSE = ("data_classes.csv",)

_CONTEXT = b"frontend-agent pack 1\n"  # what is signed as a pack can never be taken for something else that is signed
_WORD = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}"
_PATH = re.compile(rf"{_WORD}(/{_WORD}){{0,4}}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}")
_BEGINNING = (1980, 1, 1, 0, 0, 0)  # the earliest time a ZIP can say: no build differs by its clock


class PackRefused(FrontendAgentError):
    """The pack is not used. `problems` are all the reasons."""

    exit_code = 1

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("the pack is refused: " + "; ".join(self.problems))


class Listed(msgspec.Struct, frozen=True):
    """One file of a pack."""

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a pack says of itself. `profiles`: the name that a feed uses -> the profile in the pack that then judges it."""

    format: int
    name: str
    version: str
    date: Day
    region: str = ""
    title: dict[str, str] = {}
    extends: str = "national"
    program: str = "0"  # the least version of this program
    until: Day | None = None
    profiles: dict[str, str] = {}
    off: list[str] = []  # rules that this region does not ask
    files: list[Listed] = []


class Pack(msgspec.Struct, frozen=True):
    """A pack that was proven. `digest` is over its manifest, and so over everything in it."""

    manifest: Manifest
    digest: str
    signer: str
    files: dict[str, bytes]

    @property
    def id(self) -> str:
        """`gd-2026.2`: how people name it."""
        return f"{self.manifest.name}-{self.manifest.version}"

    def text(self, path: str) -> str:
        """A file of it, as text; KeyError if it has none such."""
        return self.files[path].decode("utf-8-sig")

    def expired(self, today: Day) -> bool:
        return self.manifest.until is not None and today > self.manifest.until


# -- making one -------------------------------------------------------------------------------------------------------


class _Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """pack.toml, as its author writes it."""

    name: str
    version: str
    date: Day
    region: str = ""
    title: dict[str, str] = {}
    extends: str = "national"
    program: str = "0"
    until: Day | None = None
    profiles: dict[str, str] = {}
    rules: dict[str, list[str]] = {}


def build(files: Mapping[str, bytes], key: Ed25519PrivateKey) -> bytes:
    """The pack of a folder's files (path -> content), one of which is pack.toml. The same files and key: the same bytes."""
    try:
        source = msgspec.convert(tomllib.loads(files[SOURCE].decode()), _Source)
    except KeyError:
        raise PackRefused([f"there is no {SOURCE}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise PackRefused([f"{SOURCE}: {error}"]) from None
    unknown = set(source.rules) - {"off"}
    content = {path: body for path, body in files.items() if path != SOURCE}
    manifest = Manifest(
        format=FORMAT,
        name=source.name,
        version=source.version,
        date=source.date,
        region=source.region,
        title=source.title,
        extends=source.extends,
        program=source.program,
        until=source.until,
        profiles=source.profiles,
        off=sorted(source.rules.get("off", [])),
        files=[Listed(path, len(body), sha256(body).hexdigest()) for path, body in sorted(content.items())],
    )
    problems = [f"{SOURCE}: [rules] {name}: unknown (known: off)" for name in sorted(unknown)]
    problems += _problems_of(manifest, content, None, "")
    if problems:
        raise PackRefused(problems)
    text = msgspec.json.encode(manifest, order="sorted")
    signature = base64.b64encode(key.sign(_CONTEXT + text))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path, body in [(MANIFEST, text), (SIGNATURE, signature), *sorted(content.items())]:
            entry = zipfile.ZipInfo(path, _BEGINNING)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, body)
    made = archive.getvalue()
    if len(made) > LARGEST_PACK:
        raise PackRefused([f"it has {len(made):,} bytes, {LARGEST_PACK:,} are allowed"])
    return made


# -- taking one -------------------------------------------------------------------------------------------------------


def open_pack(body: bytes, trusted: Mapping[str, bytes], today: Day | None, program: str) -> Pack:
    """A proven pack, or PackRefused with all reasons.

    `trusted`: signer -> raw Ed25519 key. `today`: None where a pack that has expired since is still to be read.
    """
    if len(body) > LARGEST_PACK:
        raise PackRefused([f"it has more than {LARGEST_PACK:,} bytes"])
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            infos = _infos(archive)
            text = _read(archive, infos[MANIFEST])
            signer = _signer(text, _read(archive, infos[SIGNATURE]), trusted)
            manifest = msgspec.json.decode(text, type=Manifest)
            if msgspec.json.encode(manifest, order="sorted") != text:
                raise PackRefused([f"{MANIFEST} is not written the one way"])
            _same_files(manifest, infos)
            files = {listed.path: _read(archive, infos[listed.path]) for listed in manifest.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        # RuntimeError, NotImplementedError: encrypted, or a method of another age. ValueError: no manifest of ours.
        raise PackRefused([f"it is no pack: {_first_line(error)}"]) from None
    problems = _problems_of(manifest, files, today, program)
    if problems:
        raise PackRefused(problems)
    return Pack(manifest, sha256(text).hexdigest(), signer, files)


def _infos(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The entries by path, if none of them is a trick: nothing was unpacked yet."""
    problems: list[str] = []
    found: dict[str, zipfile.ZipInfo] = {}
    listed = archive.infolist()
    if len(listed) > MOST_FILES:
        raise PackRefused([f"it has more than {MOST_FILES:,} files"])
    for info in listed:
        shown = info.filename[:80].encode("ascii", "backslashreplace").decode()
        kind = stat.S_IFMT(info.external_attr >> 16)
        if not _is_path(info.orig_filename):
            problems.append(f"the path {shown!r} is not one of a pack")
        elif info.filename in found:
            problems.append(f"{shown} is there twice")
        elif kind not in (0, stat.S_IFREG):
            problems.append(f"{shown} is no plain file")
        elif info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            problems.append(f"{shown} is encrypted, or compressed in a way that packs are not")
        elif info.file_size > LARGEST_FILE or info.file_size > GREATEST_RATIO * max(info.compress_size, 64):
            problems.append(f"{shown} expands to {info.file_size:,} bytes")
        found[info.filename] = info
    if sum(info.file_size for info in listed) > LARGEST_WHOLE:
        problems.append(f"it expands to more than {LARGEST_WHOLE:,} bytes")
    problems += [f"there is no {name}" for name in (MANIFEST, SIGNATURE) if name not in found]
    if problems:
        raise PackRefused(problems)
    return found


def _is_path(path: str) -> bool:
    return _PATH.fullmatch(path) is not None and ".." not in path


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Never more than the directory said, whatever the data says: zipfile stops there, and holds it against its checksum."""
    body = archive.read(info)
    if len(body) != info.file_size:
        raise PackRefused([f"{info.filename} is not as long as the pack says"])
    return body


def _signer(manifest: bytes, signature: bytes, trusted: Mapping[str, bytes]) -> str:
    for name, key in trusted.items():
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(
                base64.b64decode(signature, validate=True), _CONTEXT + manifest
            )
        except (InvalidSignature, ValueError):
            continue
        return name
    known = ", ".join(trusted) or "none: name one in [[packs.trust]]"
    raise PackRefused([f"it is not signed by a key that is trusted here ({known}), or was changed after signing"])


def _same_files(manifest: Manifest, infos: Mapping[str, zipfile.ZipInfo]) -> None:
    there = set(infos) - {MANIFEST, SIGNATURE}
    listed = {file.path for file in manifest.files}
    problems = [f"{path} is not in the manifest" for path in sorted(there - listed)]
    problems += [f"{path} is in the manifest and not in the pack" for path in sorted(listed - there)]
    if problems:
        raise PackRefused(problems)


def _problems_of(manifest: Manifest, files: Mapping[str, bytes], today: Day | None, program: str) -> list[str]:
    problems = []
    if manifest.format != FORMAT:
        problems.append(f"its format is {manifest.format}; this program reads {FORMAT}")
    if not _NAME.fullmatch(manifest.name) or manifest.name == "national":
        problems.append(f"name {manifest.name!r}: small letters, digits, '-' and '_', 40 at most, and not 'national'")
    if not _VERSION.fullmatch(manifest.version):
        problems.append(f"version {manifest.version!r}: numbers with dots, like 2026.2")
    if manifest.extends != "national":
        problems.append(f"it extends {manifest.extends!r}; a pack extends 'national'")
    if not _VERSION.fullmatch(manifest.program):
        problems.append(f"program {manifest.program!r}: the least version of this program, like 0.2")
    elif program and ordered(manifest.program) > ordered(program):
        problems.append(f"it needs version {manifest.program} of this program, this is {program}")
    if today is not None and manifest.until is not None and today > manifest.until:
        problems.append(f"it was valid until {manifest.until.isoformat()}")
    if today is not None and manifest.date > today:
        problems.append(f"it is dated {manifest.date.isoformat()}, which is not yet: is this machine's clock right?")
    problems += [
        f"profile {name!r}: there is no {path}" for name, path in manifest.profiles.items() if path not in files
    ]
    for listed in manifest.files:
        body = files.get(listed.path, b"")
        top = listed.path.partition("/")[0]
        if not _is_path(listed.path) or not (listed.path in LOOSE or (top in FOLDERS and "/" in listed.path)):
            problems.append(f"{listed.path!r} belongs to nothing in a pack (known: {', '.join((*FOLDERS, *LOOSE))})")
        elif len(body) > LARGEST_FILE:
            problems.append(f"{listed.path} has more than {LARGEST_FILE:,} bytes")
        elif len(body) != listed.size or sha256(body).hexdigest() != listed.sha256:
            problems.append(f"{listed.path} is not what was signed")
    return problems


def ordered(version: str) -> tuple[int, ...]:
    """`2026.10` comes after `2026.9`; what is no number counts as nothing."""
    return tuple(int(part) if part.isdecimal() else 0 for part in re.split(r"[.+-]", version))


def _first_line(error: Any) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
