"""Put the image viewer OHIF (MIT licence) into frontend_agent/platform/ohif, from where the platform serves it under /viewer.

    python tools/viewer.py                 fetch it with npm, from wherever npm's own configuration says
    python tools/viewer.py PACKAGE.tgz     take a file that was fetched elsewhere: `npm pack @ohif/app@VERSION`

Once per checkout or wheel; at run time nothing is fetched. The package must be the one whose hash stands here. Of it is kept what a
browser is served: no source maps, no service worker, no other peoples' servers, no model runtime. Its addresses begin
with /viewer instead of /, its page has no script within it, and every file is compressed.
"""

import base64
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

PACKAGE = "@ohif/app@3.13.2"
INTEGRITY = "sha512-WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
TARGET = Path(__file__).resolve().parents[1] / "frontend_agent" / "platform" / "ohif"
BASE = "/viewer/"
EDITION = "2"  # of what this file makes of the package
STAMP = f"{PACKAGE} {INTEGRITY} {EDITION}"

LEFT_OUT = re.compile(
    r"\.map$|^ort/|^customizations/|^(sw|google|init-service-worker|oidc-client\.min|polyfill\.min|es6-shim\.min|app-config)\.js$"
    r"|^(_headers|_redirects|serve\.json|manifest\.json|index\.html|silent-refresh\.html)$"
    r"|^assets/(?!images/|favicon)"
)
# Where its scripts say that everything begins at the root of the server.
_ROOTS = (
    (b'__webpack_require__.p = "/";', f'__webpack_require__.p = "{BASE}";'.encode()),
    (b"'/dicom-microscopy-viewer/", f"'{BASE}dicom-microscopy-viewer/".encode()),
    (b'"/dicom-microscopy-viewer/', f'"{BASE}dicom-microscopy-viewer/'.encode()),
    (b"url(/", f"url({BASE}".encode()),
)


class NotBuilt(Exception):
    """Why there is no viewer. Says who can help."""


def build(package: Path | None, target: Path = TARGET) -> int:
    """How many files there are now."""
    with tempfile.TemporaryDirectory() as folder:
        archive = package or fetched(Path(folder))
        verify(archive)
        # In a folder of its own: two at once do not meet before the last step.
        made = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
        try:
            count = unpack(archive, made)
            (made / "STAMP").write_text(STAMP, "utf-8")
            made.chmod(0o755)
            shutil.rmtree(target, ignore_errors=True)
            made.rename(target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return count


def fetched(folder: Path) -> Path:
    npm = shutil.which("npm")
    if not npm:
        raise NotBuilt("npm is not here: install it, or fetch the package elsewhere and name its file")
    ran = subprocess.run([npm, "pack", PACKAGE, "--silent"], cwd=folder, capture_output=True, text=True, timeout=600)
    found = sorted(folder.glob("*.tgz"))
    if ran.returncode or len(found) != 1:
        said = (ran.stderr.strip().splitlines() or ["no answer"])[-1]
        raise NotBuilt(f"npm could not fetch {PACKAGE} ({said}); is a registry reachable (npm config list)?")
    return found[0]


def verify(archive: Path) -> None:
    digest = hashlib.sha512(archive.read_bytes()).digest()
    if "sha512-" + base64.b64encode(digest).decode() != INTEGRITY:
        raise NotBuilt(f"{archive.name} is not {PACKAGE}: its hash is another")


def unpack(archive: Path, target: Path) -> int:
    """Everything that is kept, changed and compressed."""
    with ThreadPoolExecutor(os.cpu_count()) as pool, tarfile.open(archive, "r:gz") as packed:
        writing = []
        for member in packed:
            name = _name(member.name)
            if member.isfile() and name and (file := packed.extractfile(member)):
                writing.append(pool.submit(_write, target / (name + ".gz"), changed(name, file.read())))
        for one in writing:
            one.result()
    if not (target / "LICENSE.gz").is_file():
        raise NotBuilt("the package holds no licence")
    return len(writing)


def _name(member: str) -> str:
    """The name a file is kept under; "" for what is left out."""
    path = PurePosixPath(member)
    if member == "package/LICENSE":
        return "LICENSE"
    if path.parts[:2] != ("package", "dist") or ".." in path.parts:
        return ""
    name = "/".join(path.parts[2:])
    return "" if LEFT_OUT.search(name) else name


def changed(name: str, content: bytes) -> bytes:
    if name.endswith((".js", ".css")):
        for before, after in _ROOTS:
            content = content.replace(before, after)
        content = re.sub(rb"\n//# sourceMappingURL=\S+\s*$", b"\n", content)
    return content


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 6, mtime=0))


def is_built(target: Path = TARGET) -> bool:
    stamp = target / "STAMP"
    return stamp.is_file() and stamp.read_text("utf-8") == STAMP


def main(arguments: list[str]) -> int:
    if is_built() and not arguments:
        return 0
    try:
        count = build(Path(arguments[0]) if arguments else None)
    except (NotBuilt, OSError, subprocess.TimeoutExpired) as error:
        print(
            f"no image viewer: {error}. The platform works without it: its own pages show the images.", file=sys.stderr
        )
        return 1
    print(f"the image viewer {PACKAGE} is in {TARGET.name}/ ({count} files)", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
