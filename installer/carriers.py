"""The files that carry a program to a hospital: .deb, .rpm, .tar.zst. Same program, same bytes.

Each lays the folder /opt/frontend-agent/versions/VERSION, the units, and a link in /usr/bin, and then runs share/setup of the
program. Packages are compressed with xz: dpkg of Debian 11 and rpm of CentOS 7 know no zstd.
"""

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from frontend_agent import program
from installer.inputs import Architecture, digest_of, run
from installer.tree import files_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAME = "frontend-agent"
SUMMARY = "Front-end machine of regional health networks, and its receiving platform"
HERE = Path(__file__).parent


def lay_machine(root: Path, machine: Path, version: str) -> Path:
    """What a package manager puts on a machine, as a folder tree; returns where the program lies in it."""
    home = machine / str(program.HOME / "versions" / version).lstrip("/")
    home.parent.mkdir(parents=True)
    shutil.copytree(root, home, copy_function=os.link)  # read only, and gone after the packing
    for unit in sorted((root / "share" / "systemd").iterdir()):
        place = _unit_place(unit.name)
        if place:
            target = machine / place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(unit, target)
    (machine / "usr" / "bin").mkdir(parents=True)
    (machine / "usr" / "bin" / NAME).symlink_to(program.HOME / "current" / "bin" / NAME)
    document = machine / "usr" / "share" / "doc" / NAME
    document.mkdir(parents=True)
    shutil.copyfile(root / "share" / "licences" / "frontend-agent.txt", document / "copyright")
    return home


def _unit_place(name: str) -> str:
    """Where a file of systemd/ belongs; "" for what is not installed."""
    stem, _, kind = name.rpartition(".")
    if kind in ("service", "timer", "socket", "path", "slice", "target"):
        return f"usr/lib/systemd/system/{name}"
    return {"sysusers": f"usr/lib/sysusers.d/{stem}.conf", "tmpfiles": f"usr/lib/tmpfiles.d/{stem}.conf"}.get(kind, "")


def settle_times(folder: Path, epoch: int) -> None:
    """One time for everything, and modes that no umask has touched."""
    for path in [*folder.rglob("*"), folder]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


# --- .deb -------------------------------------------------------------------------------------------------------------

CONTROL = """\
Package: {name}
Version: {version}
Architecture: {architecture}
Maintainer: The front-end machine's makers <frontend-agent@localhost>
Installed-Size: {size}
Depends: passwd
Recommends: systemd
Section: net
Priority: optional
Description: {summary}
 Reads a hospital's systems, checks and renders documents, and delivers them
 to the regional platform until each is proven stored. Brings its own
 interpreter, C library and database drivers: it needs no other package and
 no network, and runs on every Debian and Ubuntu with a kernel from 3.10 on.
"""
# A maintainer script is called with `upgrade` or `remove` first; see Debian policy, chapter 6.
PREINST = """\
#!/bin/sh
set -e
current=/opt/frontend-agent/current
if [ -x $current/share/setup ]; then $current/share/setup keep "$(readlink -f $current)"; fi
"""
POSTINST = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then /opt/frontend-agent/versions/{version}/share/setup take-over /opt/frontend-agent/versions/{version}; fi
"""
PRERM = """\
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -x /opt/frontend-agent/versions/{version}/share/setup ]; then
    /opt/frontend-agent/versions/{version}/share/setup leave
fi
"""
# The program is gone by now, so what it would say stands here, too.
POSTRM = """\
#!/bin/sh
set -e
case $1 in
remove) rm -rf /opt/frontend-agent/versions; rmdir /opt/frontend-agent 2>/dev/null || true ;;
purge)
{purge}
    ;;
esac
if [ -d /run/systemd/system ] && [ "$1" = remove ]; then systemctl daemon-reload || true; fi
"""


def deb(root: Path, version: str, architecture: Architecture, folder: Path, epoch: int, level: int = 6) -> Path:
    """`level`: of xz; 0 does not compress."""
    with tempfile.TemporaryDirectory(prefix=".deb.", dir=folder) as place:
        machine = Path(place) / "machine"
        machine.mkdir()
        lay_machine(root, machine, version)
        size = sum(path.stat().st_size for path in files_of(root)) // 1024
        settle_times(machine, epoch)
        control = machine / "DEBIAN"
        control.mkdir()
        words = {
            "name": NAME, "version": debian_version(version), "architecture": architecture.debian, "size": size,
            "summary": SUMMARY,
        }  # fmt: skip
        (control / "control").write_text(CONTROL.format(**words), "utf-8")
        sums = (f"{md5_of(path)}  {path.relative_to(machine)}\n" for path in _laid(machine))
        (control / "md5sums").write_text("".join(sums), "utf-8")
        for name, text in (("preinst", PREINST), ("postinst", POSTINST), ("prerm", PRERM), ("postrm", POSTRM)):
            (control / name).write_text(text.replace("{version}", version).replace("{purge}", _purge(root)), "utf-8")
            (control / name).chmod(0o755)
        settle_times(control, epoch)
        made = folder / f"{NAME}_{debian_version(version)}_{architecture.debian}.deb"
        packing = ["-Zxz", f"-z{level}", "--threads-max=2"] if level else ["-Znone"]
        command = ["dpkg-deb", "--root-owner-group", *packing, "--build", str(machine), str(made)]
        run(command, os.environ | {"SOURCE_DATE_EPOCH": str(epoch)})
    return made


def debian_version(version: str) -> str:
    """A pre-release is older than its release: 1.2rc1 is 1.2~rc1 to dpkg and rpm."""
    head = next((i for i, sign in enumerate(version) if sign.isalpha()), len(version))
    if "+" in version[:head] or head == len(version):
        return version
    return f"{version[:head].rstrip('.')}~{version[head:]}"


def _laid(machine: Path) -> Iterator[Path]:
    return (
        path
        for path in sorted(machine.rglob("*"))
        if path.is_file() and not path.is_symlink() and "DEBIAN" not in path.parts
    )


def _purge(root: Path) -> str:
    """The `told-purge` of setup as text of postrm, so that both say the same."""
    lines = (root / "share" / "setup").read_text("utf-8").splitlines()
    head = [
        line
        for line in lines
        if line.startswith(("state=", "platform_state=", "settings=", "platform_settings=", "say()"))
    ]
    start = lines.index("told-purge)") + 1
    end = lines.index("    ;;", start)
    return "\n".join("    " + line.strip() if line in head else line for line in [*head, *lines[start:end]])


def md5_of(path: Path) -> str:
    """dpkg --verify knows MD5 and nothing else; what proves the files is MANIFEST.json."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


# --- .tar.zst ---------------------------------------------------------------------------------------------------------


def archive(
    root: Path,
    version: str,
    architecture: Architecture,
    folder: Path,
    epoch: int,
    key: "Ed25519PrivateKey",
    level: int = 12,
) -> Path:
    """The program as one signed file; `level`: of zstd, 1 to 19. Manifest and signature come first."""
    import zstandard

    made = folder / f"{NAME}-{version}-{architecture.name}.tar.zst"
    first = [root / program.MANIFEST, root / program.SIGNATURE]
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
    with made.open("wb") as file:
        with (
            compressor.stream_writer(file, closefd=False) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in [*first, *(one for one in files_of(root))]:
                tar.add(
                    path,
                    f"{root.name}/{path.relative_to(root).as_posix()}",
                    recursive=False,
                    filter=lambda member: _plain(member, epoch),
                )
        file.flush()
    with made.open("ab") as file:
        file.write(program.trailer(made, key))
    return made


def _plain(member: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = epoch
    return member


# --- .rpm -------------------------------------------------------------------------------------------------------------

SPEC = """\
%global __os_install_post %{{nil}}
%global debug_package %{{nil}}
%global _build_id_links none
%global _binary_payload {packing}
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global _buildhost localhost
Name: {name}
Version: {version}
Release: 1
Summary: {summary}
License: Apache-2.0
Vendor: frontend-agent
Group: System Environment/Daemons
AutoReqProv: no
Requires: /bin/sh, shadow-utils
%description
Reads a hospital's systems, checks and renders documents, and delivers them
to the regional platform until each is proven stored. Brings its own
interpreter, C library and database drivers: it needs no network.
%install
cp -a {machine}/. %{{buildroot}}/
%files
%defattr(-,root,root,-)
%dir /opt/frontend-agent
%dir /opt/frontend-agent/versions
/opt/frontend-agent/versions/{folder}
/usr/bin/frontend-agent
/usr/share/doc/frontend-agent
{units}
%pre
{preinst}
# After the files of an older package are gone: only then can what was kept of it have its name back.
%posttrans
/opt/frontend-agent/versions/{folder}/share/setup take-over /opt/frontend-agent/versions/{folder}
%preun
if [ "$1" = 0 ]; then /opt/frontend-agent/versions/{folder}/share/setup leave; fi
%postun
if [ "$1" = 0 ]; then
    rm -rf /opt/frontend-agent/versions
{purge}
fi
"""


def rpm(root: Path, version: str, architecture: Architecture, folder: Path, epoch: int, level: int = 6) -> Path:
    """`level`: of xz; 0 does not compress. Built by Debian's rpmbuild."""
    with tempfile.TemporaryDirectory(prefix=".rpm.", dir=folder) as place:
        machine, top = Path(place) / "machine", Path(place) / "top"
        machine.mkdir()
        lay_machine(root, machine, version)
        settle_times(machine, epoch)
        units = [path.relative_to(machine).as_posix() for path in _laid(machine)]
        words = {
            "name": NAME, "version": debian_version(version), "folder": version, "packing": f"w{level}.xzdio" if level else "w.ufdio",
            "summary": SUMMARY, "machine": machine, "preinst": PREINST.partition("\n")[2], "purge": _purge(root),
            "units": "\n".join(f"/{path}" for path in units if path.startswith("usr/lib/")),
        }  # fmt: skip
        spec = Path(place) / f"{NAME}.spec"
        spec.write_text(SPEC.format(**words), "utf-8")
        command = ["rpmbuild", "-bb", "--quiet", "--target", f"{architecture.name}-linux", f"--define=_topdir {top}"]
        run([*command, str(spec)], os.environ | {"SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C.UTF-8"})
        made = next((top / "RPMS").rglob("*.rpm"))
        return Path(shutil.move(made, folder / f"{NAME}-{version}-1.{architecture.name}.rpm"))


# --- sums -------------------------------------------------------------------------------------------------------------


def sums(folder: Path, files: list[Path], key: "Ed25519PrivateKey") -> None:
    """SHA256SUMS, which sha256sum reads, and SHA256SUMS.sig, which openssl reads; the public key beside them."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    text = "".join(f"{digest_of(path)}  {path.name}\n" for path in sorted(files))
    (folder / "SHA256SUMS").write_text(text, "utf-8")
    (folder / "SHA256SUMS.sig").write_bytes(key.sign(text.encode()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "release-key.pem").write_bytes(public)


def make(
    kind: str, root: Path, architecture: Architecture, folder: Path, epoch: int, key: "Ed25519PrivateKey", quick: bool
) -> Path:
    """One carrier of a program. `quick`: compressed little."""
    version = (root / "share" / "version").read_text("utf-8").strip()
    if kind == "deb":
        return deb(root, version, architecture, folder, epoch, 0 if quick else 6)
    if kind == "rpm":
        return rpm(root, version, architecture, folder, epoch, 0 if quick else 6)
    return archive(root, version, architecture, folder, epoch, key, 1 if quick else 19)
