"""`tools/package`: makes what a hospital installs. See docs/guide/install.md."""

import argparse
import getpass
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from frontend_agent import program
from frontend_agent.cli import auditing
from frontend_agent.errors import FrontendAgentError
from installer import carriers, inputs, tree

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("deb", "rpm", "archive")


def parser() -> argparse.ArgumentParser:
    told = argparse.ArgumentParser(prog="tools/package", description=__doc__)
    told.set_defaults(act=make)
    _shared(told)
    acts = told.add_subparsers(metavar="{fetch,make,key,verify}")
    one = acts.add_parser("fetch", help="fetch what it is made of; the only step that needs a network")
    one.set_defaults(act=fetch)
    _shared(one)
    one.add_argument("--again", action="store_true", help="also if it is there: Debian may have mended something since")
    one.add_argument("--mirror", default="", metavar="URL", help="of Debian (default: as this machine's apt has it)")
    one = acts.add_parser("make", help="the same as no word at all: fetch what is missing, then make the files")
    one.set_defaults(act=make)
    _shared(one)
    one = acts.add_parser("key", help="make a key that signs releases; its public half is written beside it")
    one.set_defaults(act=new_key)
    one.add_argument("file", type=Path)
    one = acts.add_parser("verify", help="is this file, or folder of files, what was signed?")
    one.set_defaults(act=verify)
    one.add_argument("path", type=Path)
    one.add_argument("--key", type=Path, required=True, help="the public key, as you got it by another way")
    return told


def _shared(one: argparse.ArgumentParser) -> None:
    one.add_argument("--machine", choices=sorted(inputs.ARCHITECTURES), default=platform.machine())
    one.add_argument(
        "--inputs", type=Path, metavar="DIR", help="where what it is made of is kept (default: your cache)"
    )
    one.add_argument(
        "--key", type=Path, metavar="FILE", help="the private key that signs it; make one with: tools/package key FILE"
    )
    one.add_argument("--out", type=Path, default=ROOT / "dist", metavar="DIR")
    one.add_argument(
        "--only", choices=KINDS, action="append", metavar="|".join(KINDS), help="not all of them; may be repeated"
    )
    one.add_argument("--quick", action="store_true", help="compress little: for trials")
    one.add_argument(
        "--advisories",
        type=Path,
        metavar="DIR",
        help="advisories in OSV's format: make nothing that has a known weakness",
    )
    one.add_argument(
        "--except", dest="excepted", type=Path, metavar="FILE", help="weaknesses that may stay: docs/guide/install.md"
    )
    one.add_argument("--source", type=Path, default=ROOT, metavar="DIR", help="another checkout than this one")


def main(arguments: list[str]) -> int:
    told = parser().parse_args(arguments)
    act: Callable[[argparse.Namespace], None] = told.act
    try:
        act(told)
    except (inputs.NotMade, FrontendAgentError, OSError) as error:
        print(f"tools/package: {error}", file=sys.stderr)
        return 1
    return 0


def _inputs(told: argparse.Namespace, again: bool = False, mirror: str = "") -> inputs.Inputs:
    architecture = inputs.ARCHITECTURES[told.machine]
    folder = told.inputs or inputs.default_folder(architecture)
    lock = told.source / "requirements.lock"
    if again or not inputs.is_fetched(folder, lock):
        print(f"fetching what it is made of into {folder}", file=sys.stderr)
        return inputs.fetch(architecture, folder, lock, mirror)
    return inputs.Inputs(folder, architecture)


def fetch(told: argparse.Namespace) -> None:
    found = _inputs(told, told.again, told.mirror)
    print(f"{found.folder}: {len(found.debs)} packages of Debian, {len(found.wheels)} wheels; sha256 {found.digest()}")


def make(told: argparse.Namespace) -> None:
    if told.key is None:
        raise inputs.NotMade("--key FILE: nothing leaves here unsigned; make a key with: tools/package key FILE")
    key = _private_key(told.key)
    found = _inputs(told)
    told.out.mkdir(parents=True, exist_ok=True)
    kept = found.folder.parent / "kept"
    root = tree.make(told.source, found, told.out, key, kept)
    version, epoch = tree.version_of(told.source), tree.epoch_of(told.source)
    if told.advisories:
        must_be_without_weakness(root / "share" / "sbom.cdx.json", told.advisories, told.excepted)
    made = []
    for kind in told.only or KINDS:
        print(f"making the {kind}", file=sys.stderr)
        made.append(carriers.make(kind, root, found.architecture, told.out, epoch, key, told.quick))
    bill = told.out / f"frontend-agent-{version}-{found.architecture.name}.cdx.json"
    bill.write_bytes((root / "share" / "sbom.cdx.json").read_bytes())
    carriers.sums(told.out, [*made, bill], key)
    for path in (root, *made, bill, told.out / "SHA256SUMS", told.out / "SHA256SUMS.sig", told.out / "release-key.pem"):
        print(path)


def must_be_without_weakness(bill: Path, advisories: Path, excepted: Path | None) -> None:
    """Said on standard error; inputs.NotMade where an advisory speaks of something that is in it (threat U4)."""
    told = auditing.audited(advisories, bill, excepted)
    days = auditing.age(told)
    print(f"{told.parts} parts, {told.advisories} advisories, the newest {days} days old", file=sys.stderr)
    for one in (*told.lapsed, *told.unneeded):
        print(f"the exception {one} is over, or nothing needs it", file=sys.stderr)
    if told.weaknesses:
        lines = (
            f"{one.part.component} {one.part.version}: {one.advisory}, fixed in {one.fixed or 'no version yet'}"
            for one in told.weaknesses
        )
        raise inputs.NotMade("known weaknesses in what it is made of:\n" + "\n".join(lines))


def new_key(told: argparse.Namespace) -> None:
    """A key in PKCS#8, encrypted with a passphrase if one is given, and NAME.pub.pem beside it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    phrase = _phrase("Passphrase for the new key (empty: none): ")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(phrase) if phrase else NoEncryption()
    )
    with os.fdopen(os.open(told.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private)
    public = told.file.with_suffix(".pub.pem")
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    print(f"{told.file}: keep it off this machine. {public}: key {program.key_id(key.public_key().public_bytes_raw())}")


def _private_key(path: Path) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = path.read_bytes()
    phrase = _phrase(f"Passphrase of {path}: ") if b"ENCRYPTED" in content else None
    try:
        key = load_pem_private_key(content, phrase)
    except (ValueError, TypeError):
        raise inputs.NotMade(f"{path}: no private key in PEM, or another passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise inputs.NotMade(f"{path}: not an Ed25519 key")
    return key


def _phrase(prompt: str) -> bytes:
    """From the terminal, or one line of standard input where there is none."""
    return (getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")).encode()


def verify(told: argparse.Namespace) -> None:
    keys = program.keys_from([told.key])
    print(f"{told.path}: {program.verified(told.path, keys)}")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
