"""Building the image viewer in: only the package that was meant, only what a browser is served, all of it under /viewer."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from tools import viewer

PAGE = b'<script>inline()</script><script defer src="/app.bundle.1.js"></script>'
APP = b'(() => {\n__webpack_require__.p = "/";\n})();\nload("/dicom-microscopy-viewer/x.js");\n//# sourceMappingURL=app.js.map'


def package(folder: Path, **more: bytes) -> Path:
    files = {
        "package/LICENSE": b"MIT", "package/package.json": b"{}", "package/dist/index.html": PAGE, "package/dist/app.bundle.1.js": APP,
        "package/dist/app.bundle.css": b"@font-face{src:url(/a.woff2)}", "package/dist/app.js.map": b"{}", "package/dist/sw.js": b"",
        "package/dist/ort/ort.wasm": b"", "package/dist/assets/images/CT.png": b"png", "package/dist/assets/coast.png": b"png",
        "package/dist/../../evil.js": b"evil()", "elsewhere/dist/x.js": b"", **more,
    }  # fmt: skip
    path = folder / "ohif.tgz"
    with tarfile.open(path, "w:gz") as packed:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def meant(monkeypatch, tmp_path):
    """The fake package as if it were the one whose hash stands in tools/viewer.py."""
    import base64
    import hashlib

    made = package(tmp_path)
    digest = base64.b64encode(hashlib.sha512(made.read_bytes()).digest()).decode()
    monkeypatch.setattr(viewer, "INTEGRITY", "sha512-" + digest)
    return made


def test_what_is_kept_is_what_a_browser_is_served(meant, tmp_path) -> None:
    target = tmp_path / "platform" / "ohif"
    target.parent.mkdir()
    assert viewer.build(meant, target) == 4
    names = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert names == {"STAMP", "LICENSE.gz", "app.bundle.1.js.gz", "app.bundle.css.gz", "assets/images/CT.png.gz"}
    assert not list(tmp_path.rglob("evil*"))
    assert sorted(target.parent.iterdir()) == [target]  # nothing half made stays


def test_addresses_begin_with_viewer(meant, tmp_path) -> None:
    viewer.build(meant, tmp_path / "ohif")
    app = gzip.decompress((tmp_path / "ohif" / "app.bundle.1.js.gz").read_bytes())
    assert b'__webpack_require__.p = "/viewer/";' in app
    assert b'"/viewer/dicom-microscopy-viewer/x.js"' in app
    assert b"sourceMappingURL" not in app
    assert b"url(/viewer/a.woff2)" in gzip.decompress((tmp_path / "ohif" / "app.bundle.css.gz").read_bytes())


def test_another_package_is_refused_and_the_old_one_stays(tmp_path, capsys) -> None:
    target = tmp_path / "ohif"
    target.mkdir()
    (target / "STAMP").write_text("old")
    with pytest.raises(viewer.NotBuilt, match="hash"):
        viewer.build(package(tmp_path), target)
    assert (target / "STAMP").read_text() == "old"
    assert viewer.main([str(tmp_path / "ohif.tgz")]) == 1
    assert "The platform works without it" in capsys.readouterr().err


def test_without_npm_it_says_what_to_do(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(viewer.NotBuilt, match="npm"):
        viewer.build(None, tmp_path / "ohif")


def test_a_new_edition_is_built_anew(meant, tmp_path, monkeypatch) -> None:
    viewer.build(meant, tmp_path / "ohif")
    monkeypatch.setattr(viewer, "STAMP", "another edition")
    assert not viewer.is_built(tmp_path / "ohif")
