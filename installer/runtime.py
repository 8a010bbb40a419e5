"""An interpreter that needs nothing of the machine but its kernel: Debian's own, with the C library it was linked with.

    bin/python3.11          its dynamic loader is ours, by its absolute path (`settle`); its libraries are in lib/native
    lib/python3.11/         the standard library; dist-packages beneath it is where wheels go
    lib/native/             every shared library that the interpreter, a driver or a wheel asks for, and the loader
    lib/odbc/               ODBC drivers of free licences
    lib/gconv/              character sets for iconv (FreeTDS asks it for GBK)
    share/licences/         the copyright file of every Debian package that anything was taken of

Found by what each file asks for (DT_NEEDED), not by a list: a library that is missing fails the making, not the hospital.
"""

import re
import shutil
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from installer.inputs import Architecture, NotMade, run

PYTHON = "python3.11"
# Of the standard library: what is for developers, what asks for a screen, and what would bring the GPL with it (readline).
LEFT_OUT = re.compile(
    r"^(test|idlelib|tkinter|turtledemo|ensurepip|lib2to3|config-3\.11-[^/]*|pydoc_data|__pycache__)/"
    r"|/(tests?|__pycache__)/|^sitecustomize\.py$|^EXTERNALLY-MANAGED$"
    r"|^lib-dynload/(readline|nis|ossaudiodev|_dbm|_gdbm|_curses|_curses_panel|_tkinter|_test|_ctypes_test|_xxtest|xxlimited)"
)
CHARACTER_SETS = re.compile(r"^(gconv-modules.*|(GB|UTF|ISO8859|UNICODE|BIG5|CP125|EUC-CN|MSCP)[^/]*\.so|libGB\.so)$")
DRIVERS = {
    "PostgreSQL": "psqlodbcw.so",
    "MariaDB": "libmaodbc.so",
    "FreeTDS": "libtdsodbc.so",
    "SQLite3": "libsqlite3odbc.so",
}


@dataclass(frozen=True)
class Pool:
    """Debian's packages, unpacked each in a folder of its own: what is in which is known."""

    folder: Path
    architecture: Architecture

    def files(self, *places: str) -> Iterator[tuple[str, Path]]:
        """(package, file) of everything directly in one of these folders, e.g. `lib/x86_64-linux-gnu`."""
        for package in sorted(self.folder.iterdir()):
            for place in places:
                for path in sorted((package / place).glob("*")):
                    yield package.name, path

    def libraries(self) -> dict[str, tuple[str, Path]]:
        """Name -> (package, file) of every shared library; the file is one, not a link to one."""
        triplet = self.architecture.triplet
        found: dict[str, tuple[str, Path]] = {}
        for package, path in self.files(f"lib/{triplet}", f"usr/lib/{triplet}", f"usr/lib/{triplet}/odbc"):
            if ".so" in path.name and path.is_file():
                found.setdefault(path.name, (package, path.resolve()))
        return found

    def only(self, name: str) -> Path:
        """The file of this path, whichever package holds it."""
        found = [package / name for package in sorted(self.folder.iterdir()) if (package / name).exists()]
        if not found:
            raise NotMade(f"none of the packages fetched holds {name}")
        return found[0].resolve()


def unpack(debs: Iterable[Path], folder: Path, architecture: Architecture) -> Pool:
    folder = folder.resolve()
    folder.mkdir(parents=True)
    for deb in debs:
        package = folder / deb.name.partition("_")[0]
        run(["dpkg-deb", "--extract", str(deb), str(package)])
    return Pool(folder, architecture)


Taken = dict[str, list[str]]  # package -> paths in the program of what was taken out of it


def lay(pool: Pool, root: Path) -> Taken:
    """The interpreter, its standard library, the drivers and the character sets; libraries come by `lay_libraries`."""
    triplet = f"usr/lib/{pool.architecture.triplet}"
    laid = {f"bin/{PYTHON}": pool.only(f"usr/bin/{PYTHON}")}
    for package in sorted(pool.folder.iterdir()):
        standard = package / "usr" / "lib" / PYTHON
        for path in standard.rglob("*"):
            name = path.relative_to(standard).as_posix()
            if path.is_file() and not LEFT_OUT.search(name):
                laid[f"lib/{PYTHON}/{name}"] = path
    for name in DRIVERS.values():
        laid[f"lib/odbc/{name}"] = pool.only(f"{triplet}/odbc/{name}")
    for _, path in pool.files(f"{triplet}/gconv"):
        if path.is_file() and CHARACTER_SETS.match(path.name):
            laid[f"lib/gconv/{path.name}"] = path
    for _, path in pool.files(f"{triplet}/gconv/gconv-modules.d"):
        laid[f"lib/gconv/gconv-modules.d/{path.name}"] = path
    for _, path in pool.files(f"{triplet}/libmariadb3/plugin"):
        laid[f"lib/mariadb/{path.name}"] = path
    taken: Taken = {}
    for name, path in sorted(laid.items()):
        _copy(path, root / name)
        taken.setdefault(path.relative_to(pool.folder).parts[0], []).append(name)
    return taken


def lay_libraries(pool: Pool, root: Path) -> Taken:
    """Every library that anything in the tree asks for, and what those ask for, into lib/native."""
    available = pool.libraries()
    asking = [root / "bin" / PYTHON, *sorted(path for path in root.rglob("*.so*") if path.is_file())]
    present = {path.name for path in asking}  # wheels bring most of their own
    wanted = {(pool.architecture.loader, "the kernel")}
    for path in asking:
        wanted |= {(name, str(path.relative_to(root))) for name in needed(path, pool.architecture)}
    taken: Taken = {}
    while wanted:
        name, asker = min(wanted)
        wanted = {one for one in wanted if one[0] != name}
        if name in present:
            continue
        if name not in available:
            raise NotMade(f"{asker} asks for {name}, which none of the packages fetched holds")
        package, path = available[name]
        _copy(path, root / "lib" / "native" / name)
        present.add(name)
        taken.setdefault(package, []).append(f"lib/native/{name}")
        wanted |= {(inner, name) for inner in needed(path, pool.architecture)}
    return taken


def settle(root: Path, home: str, architecture: Architecture) -> None:
    """Bind the interpreter to its place: loader and libraries are those of this folder, whatever the machine has.

    DT_RPATH (`--force-rpath`), because it counts for everything that the process ever loads; DT_RUNPATH counts for the
    interpreter's own libraries alone. The C++ library is named here so that it is there before any wheel looks for one.
    """
    native = f"{home}/lib/native"
    # One change at a time: together patchelf 0.14 writes the name of a library where the path belongs.
    for change in (
        ("--add-needed", "libstdc++.so.6", "--add-needed", "libgcc_s.so.1"),
        ("--set-interpreter", f"{native}/{architecture.loader}"),
        ("--force-rpath", "--set-rpath", native),
    ):
        run(["patchelf", *change, str(root / "bin" / PYTHON)])


def licences(pool: Pool, packages: Iterable[str], root: Path) -> None:
    for package in packages:
        path = pool.folder / package / "usr" / "share" / "doc" / package / "copyright"
        if not path.exists():  # the document folder is a link into another package's (gcc's libraries)
            link = pool.folder / package / "usr" / "share" / "doc" / package
            target = link.readlink().name if link.is_symlink() else package
            path = pool.folder / target / "usr" / "share" / "doc" / target / "copyright"
        if not path.is_file():
            raise NotMade(f"Debian's package {package} holds no copyright file")
        _copy(path, root / "share" / "licences" / f"{package}.txt")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


# --- ELF: what a file asks for (System V ABI, chapters 4 and 5; 64 bit, little-endian) -------------------------------------


def needed(path: Path, architecture: Architecture) -> list[str]:
    """The names of the shared libraries that a file is linked with (DT_NEEDED); [] where it is no ELF file."""
    content = path.read_bytes()
    if content[:6] != b"\x7fELF\x02\x01":
        return []
    (machine,) = struct.unpack_from("<H", content, 18)
    if machine != architecture.elf:
        raise NotMade(f"{path.name} is for another machine than {architecture.name}")
    table, size, count = *struct.unpack_from("<Q", content, 32), *struct.unpack_from("<HH", content, 54)
    headers = [struct.unpack_from("<IIQQQQ", content, table + i * size) for i in range(count)]
    loads = [(address, offset, length) for kind, _, offset, address, _, length in headers if kind == 1]
    dynamic = [(offset, length) for kind, _, offset, _, _, length in headers if kind == 2]
    if not dynamic:
        return []
    offset, length = dynamic[0]
    entries = [struct.unpack_from("<QQ", content, place) for place in range(offset, offset + length, 16)]
    strings = next(value for tag, value in entries if tag == 5)  # DT_STRTAB: an address
    base = next(strings - address + place for address, place, length in loads if address <= strings < address + length)
    return [_string(content, base + value) for tag, value in entries if tag == 1]


def _string(content: bytes, start: int) -> str:
    return content[start : content.index(0, start)].decode("ascii")
