"""Small programs, signed as `tools/package` signs large ones."""

import io
import os
import tarfile
from hashlib import sha256
from pathlib import Path
from random import Random

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from frontend_agent import program

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
KEYS = program.Keys({program.key_id(KEY.public_key().public_bytes_raw()): KEY.public_key().public_bytes_raw()})


def archive(folder: Path, version: str, machine: str = "", key: Ed25519PrivateKey = KEY, more: int = 0) -> Path:
    """A signed program of three files, as `tools/package` makes one of thousands. `more`: bytes that do not compress."""
    files = {
        "bin/frontend-agent": (f"#!/bin/sh\necho {version}\n".encode(), 0o755),
        "lib/a.py": (b"A = 1\n" * 1000, 0o644),
        "share/x/y": (Random(more).randbytes(more), 0o644),
    }
    manifest = program.Manifest(
        version=version,
        machine=machine or os.uname().machine,
        files={
            name: program.File(size=len(body), sha256=sha256(body).hexdigest(), runs=mode == 0o755)
            for name, (body, mode) in files.items()
        },
    ).to_json()
    members = {
        program.MANIFEST: (manifest, 0o644),
        program.SIGNATURE: (program.sign(manifest, key).encode() + b"\n", 0o644),
        **files,
    }
    made = folder / f"frontend-agent-{version}.tar.zst"
    with (
        made.open("wb") as file,
        zstandard.ZstdCompressor().stream_writer(file, closefd=False) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for name, (body, mode) in members.items():
            member = tarfile.TarInfo(f"frontend-agent-{version}/{name}")
            member.size, member.mode = len(body), mode
            tar.addfile(member, io.BytesIO(body))
    with made.open("ab") as file:
        file.write(program.trailer(made, key))
    return made
