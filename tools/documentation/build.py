"""The site is two, one for each language, that lead to each other: made by mkdocs from what `pages` gives, and readable from a disk.

Nothing is fetched: fonts are the system's, and what the theme would take from elsewhere lies in assets/. A warning is an error. The same
checkout gives the same bytes.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.documentation.pages import LANGUAGES, Language, all_pages, place_of, sections

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAME = {"zh": "前置机手册", "en": "Front-end machine"}
TITLE = {"zh": "简体中文", "en": "English"}
OTHER: dict[Language, Language] = {"zh": "en", "en": "zh"}
WORDS = {
    "zh": {"light": "浅色", "dark": "深色", "auto": "跟随系统"},
    "en": {"light": "Light", "dark": "Dark", "auto": "As the system"},
}
INDEX = """<!doctype html>
<html lang="zh"><meta charset="utf-8"><title>前置机手册 · Front-end machine</title>
<script>location.replace((/^zh/i.test(navigator.language) ? "zh" : "en") + "/index.html")</script>
<p><a href="zh/index.html">简体中文</a> · <a href="en/index.html">English</a></p>
"""


class NotBuilt(Exception):
    """The site could not be made; says why."""


def build(folder: Path) -> None:
    """Make the site in `folder`; what is there is replaced once the new one is whole."""
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".site.", dir=folder.parent) as place:
        made = Path(place) / "site"
        running = [(lang, _begin(lang, Path(place), made)) for lang in LANGUAGES]
        said = {lang: (process.communicate()[0], process.returncode) for lang, process in running}
        for lang, (output, code) in said.items():
            if code:
                raise NotBuilt(f"{lang}:\n{output}")
            _settle(made / lang)
        (made / "index.html").write_text(INDEX, "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.chmod(0o755)
        made.rename(folder)


def _begin(lang: Language, place: Path, made: Path) -> "subprocess.Popen[str]":
    """mkdocs at work on one language."""
    source = place / f"{lang}-pages"
    for name, text in all_pages(lang).items():
        page = source / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, "utf-8")
    shutil.copytree(HERE / "assets", source / "assets")
    theme = importlib.metadata.distribution(
        "mkdocs-material"
    )  # its scripts and styles lie in the site, and so do its terms
    for file in theme.files or ():
        if file.match("*.dist-info/licenses/LICENSE"):
            shutil.copyfile(theme.locate_file(file), source / "assets" / "mkdocs-material.LICENSE")
    configuration = place / f"{lang}.json"
    configuration.write_text(json.dumps(_configuration(lang, source, made / lang)), "utf-8")
    environment = os.environ | {"SOURCE_DATE_EPOCH": _epoch(), "PYTHONHASHSEED": "0", "NO_MKDOCS_2_WARNING": "true"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
    command = [
        sys.executable,
        "-P",
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--config-file",
        str(configuration),
    ]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _configuration(lang: Language, source: Path, out: Path) -> dict[str, object]:
    return {
        "site_name": NAME[lang],
        "docs_dir": str(source),
        "site_dir": str(out),
        "use_directory_urls": False,
        "nav": [{section.title[lang]: [place_of(name) for name in section.pages]} for section in sections()],
        "theme": {
            "name": "material",
            "language": lang,
            "font": False,
            "palette": _palette(lang),
            "icon": {"logo": "material/hospital-building"},
            "features": [
                "content.code.copy", "navigation.footer", "navigation.top", "search.highlight", "search.suggest", "toc.follow",
            ],
        },
        "extra_css": ["assets/site.css"],
        "extra": {"generator": False, "polyfills": ["assets/iframe-worker.js"], "language": lang},
        "hooks": [str(HERE / "hooks.py")],
        "plugins": [{"search": {"lang": [lang]}}, "offline"],
        "markdown_extensions": [
            "admonition", "attr_list", "sane_lists", "tables",
            {"toc": {"permalink": True, "toc_depth": 3}},
            {"pymdownx.highlight": {"anchor_linenums": False}}, "pymdownx.superfences", "pymdownx.inlinehilite",
        ],
        "validation": {"nav": {"omitted_files": "warn"}, "links": {"anchors": "warn", "unrecognized_links": "warn"}},
    }  # fmt: skip


def _palette(lang: Language) -> list[dict[str, object]]:
    words = WORDS[lang]
    return [
        {"media": "(prefers-color-scheme)", "toggle": {"icon": "material/brightness-auto", "name": words["light"]}},
        {"media": "(prefers-color-scheme: light)", "scheme": "default", "primary": "custom", "accent": "custom",
         "toggle": {"icon": "material/brightness-7", "name": words["dark"]}},
        {"media": "(prefers-color-scheme: dark)", "scheme": "slate", "primary": "custom", "accent": "custom",
         "toggle": {"icon": "material/brightness-4", "name": words["auto"]}},
    ]  # fmt: skip


def _epoch() -> str:
    """The time that is written into the site: SOURCE_DATE_EPOCH, or that of the last commit."""
    if told := os.environ.get("SOURCE_DATE_EPOCH"):
        return told
    command = ["git", "log", "-1", "--format=%ct"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stdout.strip() or "0"


def _settle(site: Path) -> None:
    """Take out what nobody reads from a disk: maps of the theme's scripts, languages that are not ours, lists for search engines."""
    for path in [*site.rglob("*.map"), *site.glob("sitemap.xml*"), site / "search" / "search_index.json"]:
        path.unlink(missing_ok=True)
    for path in (site / "assets" / "javascripts" / "lunr").rglob("*.js"):
        if not re.fullmatch(r"lunr\.(zh|stemmer\.support|multi)\.min\.js", path.name):
            path.unlink()
    for path in site.rglob("*.html"):  # what the theme's script would look up in a list for search engines
        path.write_text(re.sub(r"\s*<link rel=\"alternate\"[^>]*>", "", path.read_text("utf-8")), "utf-8")
    for path in site.rglob("*.js"):
        path.write_text(re.sub(r"\n?//# sourceMappingURL=\S+\s*$", "", path.read_text("utf-8")), "utf-8")
