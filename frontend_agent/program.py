"""The installed program as a whole: what it consists of, and whether it is what was signed (threat U1).

A program is a folder, /opt/frontend-agent/versions/VERSION, with interpreter, libraries, wheels and ourselves. Beside its files lie

    MANIFEST.json    every other file with its size, SHA-256 and whether it may be run; which program this is
    MANIFEST.sig     one line, `KEY SIGNATURE` in hex: Ed25519 over the bytes of MANIFEST.json

An archive, frontend-agent-VERSION-MACHINE.tar.zst, is that folder as a tar, compressed, and after it a skippable frame
(RFC 8878, 3.1.2: zstd and tar pass over it) with the signature of every byte before it. It is verified before anything in it
is read. KEY is the first 16 hex digits of the SHA-256 of the raw public key.

Whose signature counts is said by public keys (PEM, Ed25519): those of the program that asks, in share/release-keys, and those
that the hospital put into /etc/frontend-agent/release-keys. Nothing here writes.
"""

import hashlib
import json
import os
import re
import stat
import struct
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from frontend_agent.errors import FrontendAgentError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HOME = Path("/opt/frontend-agent")
SITE_KEYS = Path("/etc/frontend-agent/release-keys")
MANIFEST, SIGNATURE = "MANIFEST.json", "MANIFEST.sig"
_LARGEST = 64 * 1024 * 1024  # bytes: of a manifest
_SUMS = re.compile(r"([0-9a-f]{64}) [ *](\S+)")


class NotTheProgram(FrontendAgentError):
    """It is not what was signed, or nobody whom we trust signed it. Take the file anew from where you got it; do not install this."""


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a program: its size in bytes, SHA-256 in hex, and whether it may be run."""

    size: int
    sha256: str
    runs: bool


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a program consists of. `files`: path relative to its folder, with slashes -> File."""

    version: str
    machine: str  # x86_64 or aarch64
    files: Mapping[str, File]

    def to_json(self) -> bytes:
        content = {
            "frontend-agent program": 1,
            "version": self.version,
            "machine": self.machine,
            "files": {
                path: {"size": one.size, "sha256": one.sha256, "runs": one.runs}
                for path, one in sorted(self.files.items())
            },
        }
        return json.dumps(content, indent=0).encode() + b"\n"


def read_manifest(content: bytes) -> Manifest:
    """The manifest that these bytes are; raises NotTheProgram. To be called only with bytes whose signature holds."""
    try:
        told = json.loads(content)
        if told["frontend-agent program"] != 1:
            raise NotTheProgram(
                f"{MANIFEST} is of a later edition ({told['frontend-agent program']}) than this program reads"
            )
        files = {
            path: File(size=one["size"], sha256=one["sha256"], runs=one["runs"]) for path, one in told["files"].items()
        }
        manifest = Manifest(version=told["version"], machine=told["machine"], files=files)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotTheProgram(f"{MANIFEST} cannot be read: {type(error).__name__}") from None
    for path in (*manifest.files, manifest.version):
        if not is_inside(path):
            raise NotTheProgram(f"{MANIFEST} names {path!r}, which is no path inside the program")
    return manifest


def is_inside(path: str) -> bool:
    """Whether a path stays in the folder that it is relative to."""
    parts = path.split("/")
    return bool(path) and "\\" not in path and "\0" not in path and not {"", ".", ".."} & set(parts)


# --- keys and signatures ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Keys:
    """The public keys whose signatures count: key id -> raw key (32 bytes)."""

    raw: Mapping[str, bytes]

    def verify(self, message: bytes, key: str, signature: bytes, what: str) -> None:
        """Raise NotTheProgram unless this key is one of ours and signed these bytes."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if key not in self.raw:
            known = ", ".join(sorted(self.raw)) or "none"
            raise NotTheProgram(
                f"{what}: signed with the key {key}, which is not trusted here (trusted: {known}). If the maker has told "
                f"you of a new key, put its public key into {SITE_KEYS} as NAME.pem"
            )
        try:
            Ed25519PublicKey.from_public_bytes(self.raw[key]).verify(signature, message)
        except InvalidSignature:
            raise NotTheProgram(f"{what}: the signature does not hold; a byte is not as it was signed") from None

    def verify_by_any(self, message: bytes, signature: bytes, what: str) -> None:
        """The same for a signature that does not say whose it is (SHA256SUMS.sig: 64 bytes, as `openssl pkeyutl` reads it)."""
        for key in self.raw:
            with suppress(NotTheProgram):
                return self.verify(message, key, signature, what)
        known = ", ".join(sorted(self.raw)) or "none"
        raise NotTheProgram(f"{what}: a byte is not as it was signed, or none of the trusted keys signed it ({known})")


def key_id(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]


def keys_from(paths: Iterable[Path]) -> Keys:
    """The keys of PEM files, or of every .pem file of folders; a folder that is not there holds none."""
    files = [file for path in paths for file in (sorted(path.glob("*.pem")) if path.is_dir() else [path])]
    return Keys({key_id(raw): raw for raw in (_public_key(file) for file in files if file.exists())})


def _public_key(path: Path) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (ValueError, OSError) as error:
        raise NotTheProgram(f"{path}: no public key in PEM ({type(error).__name__})") from None
    if not isinstance(key, Ed25519PublicKey):
        raise NotTheProgram(f"{path}: not an Ed25519 key")
    return key.public_bytes_raw()


def trusted_keys() -> Keys:
    """Those of the running program and those of this hospital."""
    return keys_from([running() / "share" / "release-keys", SITE_KEYS])


def running() -> Path:
    """The folder of the program that runs now; of a checkout the folder of its environment."""
    return Path(sys.prefix)


def sign(message: bytes, key: "Ed25519PrivateKey") -> str:
    """`KEY SIGNATURE` in hex."""
    return f"{key_id(key.public_key().public_bytes_raw())} {key.sign(message).hex()}"


def _signature(line: bytes, what: str) -> tuple[str, bytes]:
    if not (found := re.fullmatch(rb"([0-9a-f]{16}) ([0-9a-f]{128})", line)):
        raise NotTheProgram(f"{what}: this is no signature")
    return found[1].decode(), bytes.fromhex(found[2].decode())


# --- folders ----------------------------------------------------------------------------------------------------------


def verify_folder(folder: Path, keys: Keys) -> Manifest:
    """Raise NotTheProgram, with the first ten differences, unless the folder holds exactly what was signed."""
    try:
        content, line = (folder / MANIFEST).read_bytes(), (folder / SIGNATURE).read_bytes()
    except OSError as error:
        raise NotTheProgram(
            f"{folder}: no signed program lies here ({error.strerror}: {MANIFEST}, {SIGNATURE})"
        ) from None
    if not line.endswith(b"\n"):
        raise NotTheProgram(f"{folder / SIGNATURE}: this is no signature")
    keys.verify(content, *_signature(line[:-1], str(folder / SIGNATURE)), what=str(folder / MANIFEST))
    manifest = read_manifest(content)
    problems = list(_differences(folder, manifest))
    if problems:
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise NotTheProgram(f"{folder}: {'; '.join(problems[:10])}{more}")
    return manifest


def _differences(folder: Path, manifest: Manifest) -> Iterator[str]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not _is_folder(path)}
    for path in sorted(found.keys() - manifest.files.keys() - {MANIFEST, SIGNATURE}):
        yield f"{path} is not of the program"
    for path, file in sorted(manifest.files.items()):
        if path not in found:
            yield f"{path} is missing"
        elif difference := _difference(found[path], file):
            yield f"{path} {difference}"


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _difference(path: Path, file: File) -> str:
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode):
        return "is not a file"
    if os.name != "nt" and bool(state.st_mode & stat.S_IXUSR) != file.runs:
        return "may be run" if state.st_mode & stat.S_IXUSR else "may not be run"
    if os.name != "nt" and state.st_mode & (stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID):
        return "may be written by others than its owner"
    with path.open("rb") as content:
        return "" if _is(content, file) else "is not as it was signed"


def _is(content: IO[bytes], file: File) -> bool:
    digest, size = hashlib.sha256(), 0
    while block := content.read(1 << 20):
        digest.update(block)
        size += len(block)
        if size > file.size:
            return False
    return size == file.size and digest.hexdigest() == file.sha256


# --- archives ---------------------------------------------------------------------------------------------------------

_MAGIC = 0x184D2A5A  # one of the sixteen skippable frames
_MARK = b"frontend-agent archive "
_TRAILER = 8 + len(_MARK) + 16 + 1 + 128


def trailer(archive: Path, key: "Ed25519PrivateKey") -> bytes:
    """What is appended to an archive: a skippable frame with the signature of all that is there."""
    line = _MARK + sign(_archive_message(archive, archive.stat().st_size), key).encode()
    return struct.pack("<II", _MAGIC, len(line)) + line


def _archive_message(archive: Path, size: int) -> bytes:
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while size > 0:
            block = file.read(min(size, 1 << 20))
            if not block:
                raise NotTheProgram(f"{archive}: cut off")
            digest.update(block)
            size -= len(block)
    return _MARK + b"sha256:" + digest.hexdigest().encode()


def verify_archive(archive: Path, keys: Keys) -> Manifest:
    """Raise NotTheProgram unless the archive is byte for byte what was signed, and holds exactly what its manifest says."""
    _verify_signature(archive, keys)
    with opened(archive) as (manifest, content, members):
        keys.verify(content, *_manifest_signature(members, archive), what=f"{archive}: {MANIFEST}")
        left = dict(manifest.files)
        for path, file, data in members:
            expected = left.pop(path, None)
            if expected is None or file.runs != expected.runs or not _is(data, expected):
                raise NotTheProgram(f"{archive}: {path} is not as its manifest says")
        if left:
            raise NotTheProgram(f"{archive}: {min(left)} is missing")
    return manifest


def _verify_signature(archive: Path, keys: Keys) -> None:
    try:
        size = archive.stat().st_size
        with archive.open("rb") as file:
            file.seek(max(size - _TRAILER, 0))
            tail = file.read()
    except OSError as error:
        raise NotTheProgram(f"{archive}: cannot be read: {error.strerror}") from None
    if tail[: -16 - 1 - 128] != struct.pack("<II", _MAGIC, _TRAILER - 8) + _MARK:
        raise NotTheProgram(f"{archive}: it carries no signature at its end: it is cut off, changed, or not from us")
    key, signature = _signature(tail[-16 - 1 - 128 :], str(archive))
    keys.verify(_archive_message(archive, size - _TRAILER), key, signature, str(archive))


Member = tuple[str, File, IO[bytes]]


@contextmanager
def opened(archive: Path) -> Iterator[tuple[Manifest, bytes, Iterator[Member]]]:
    """The manifest, its bytes, and the members one after the other: (path, File, content); the first is MANIFEST.sig.

    To be called only with an archive that `verify_archive` has accepted. Members are files with paths inside the program;
    anything else raises NotTheProgram.
    """
    import zstandard

    with (
        archive.open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as plain,
    ):
        try:
            with tarfile.open(fileobj=plain, mode="r|") as tar:
                members = _members(tar, archive)
                path, _, data = next(members)
                content = data.read(_LARGEST)
                if path != MANIFEST:
                    raise NotTheProgram(f"{archive}: its first file is not {MANIFEST}")
                manifest = read_manifest(content)
                yield manifest, content, members
        except (tarfile.TarError, zstandard.ZstdError, StopIteration, EOFError) as error:
            raise NotTheProgram(f"{archive}: cannot be unpacked: {type(error).__name__}") from None


def _members(tar: tarfile.TarFile, archive: Path) -> Iterator[Member]:
    """Every file, its first folder (frontend-agent-VERSION) taken off."""
    for member in tar:
        if member.isdir():
            continue
        path = "/".join(PurePosixPath(member.name).parts[1:])
        data = tar.extractfile(member) if member.isreg() else None
        if data is None or not is_inside(path):
            raise NotTheProgram(f"{archive}: {member.name!r} is no file inside the program")
        yield path, File(size=member.size, sha256="", runs=bool(member.mode & 0o100)), data


def _manifest_signature(members: Iterator[Member], archive: Path) -> tuple[str, bytes]:
    path, _, data = next(members)
    if path != SIGNATURE:
        raise NotTheProgram(f"{archive}: its second file is not {SIGNATURE}")
    return _signature(data.read(1024).removesuffix(b"\n"), f"{archive}: {SIGNATURE}")


# --- other files beside their sums ------------------------------------------------------------------------------------


def verify_summed(path: Path, keys: Keys) -> list[str]:
    """A .deb or .rpm, or a folder of such, by SHA256SUMS and SHA256SUMS.sig beside it. Returns the names that hold."""
    folder = path if path.is_dir() else path.parent
    try:
        sums, signature = (folder / "SHA256SUMS").read_bytes(), (folder / "SHA256SUMS.sig").read_bytes()
    except OSError as error:
        raise NotTheProgram(
            f"{folder}: SHA256SUMS and SHA256SUMS.sig are needed beside it ({error.strerror})"
        ) from None
    keys.verify_by_any(sums, signature, str(folder / "SHA256SUMS"))
    named = {found[2]: found[1] for found in map(_SUMS.fullmatch, sums.decode().splitlines()) if found}
    wanted = sorted(named) if path.is_dir() else [path.name]
    for name in wanted:
        if name not in named:
            raise NotTheProgram(f"{folder}/SHA256SUMS does not name {name}")
        try:
            with (folder / name).open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise NotTheProgram(f"{folder / name}: {error.strerror}") from None
        if digest != named[name]:
            raise NotTheProgram(f"{folder / name}: not as it was signed")
    return wanted


def verified(path: Path, keys: Keys) -> str:
    """What a folder, an archive, a package or a folder of packages turned out to be; raises NotTheProgram."""
    if path.name.endswith(".tar.zst"):
        return f"version {verify_archive(path, keys).version}"
    if (path / MANIFEST).is_file():
        manifest = verify_folder(path, keys)
        return f"version {manifest.version}, {len(manifest.files)} files"
    return ", ".join(verify_summed(path, keys))


def bill_of_materials(folder: Path) -> dict[str, Any]:
    """The CycloneDX document of an installed program."""
    try:
        told: dict[str, Any] = json.loads((folder / "share" / "sbom.cdx.json").read_bytes())
    except (OSError, ValueError):
        raise NotTheProgram(f"{folder}: no bill of materials lies here; a checkout has none") from None
    return told


def licence_of(part: Mapping[str, Any]) -> str:
    """What a component of the bill of materials is under, in one line."""
    told = part["licenses"][0]
    return str(told.get("expression") or told["license"]["name"])
