"""The image viewer OHIF under /viewer, where it was built in (tools/viewer.py): files from the package, nothing from elsewhere.

It is the only part of the platform with scripts, and has a content policy of its own: scripts of this server only, no evaluation of text
in pages (WebAssembly alone), no other address to talk to. Its decoders run in workers; Emscripten's bindings in them are made
by `Function`, so the workers' own files, and no page, may do that.
"""

import gzip
import json
from functools import cache, cached_property
from pathlib import Path
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from frontend_agent.platform.images.catalogue import Study
from frontend_agent.platform.openapi import Operation
from frontend_agent.wire.images import DICOMWEB

BASE = "/viewer"
FOLDER = Path(__file__).parent / "ohif"
LANGUAGES = {"zh": "zh", "en": "en-US"}  # ours -> OHIF's
_TYPES = {
    ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".png": "image/png", ".svg": "image/svg+xml",
    ".ico": "image/x-icon", ".woff2": "font/woff2", ".json": "application/json", ".html": "text/html; charset=utf-8",
}  # fmt: skip
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; object-src 'none'; media-src 'self' blob:; "
    "frame-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_WORKER_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval'; connect-src 'self' data: blob:"
)
_FOREVER = "public, max-age=31536000, immutable"  # names hold the hash of what they name


class Viewer:
    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    @cached_property
    def is_built(self) -> bool:
        return (self._folder / "STAMP").is_file()

    def address(self, study: Study, lang: str, series: str = "") -> str:
        """The viewer with a hospital's study open. It asks that hospital's own DICOMweb: another's that claims the UID is not shown with
        it, as if it were of the same patient."""
        asked = {
            "StudyInstanceUIDs": study.study_instance_uid,
            "institution": study.institution,
            "lng": LANGUAGES[lang],
        }
        if series:
            asked["initialSeriesInstanceUID"] = series
        return f"{BASE}/viewer?{urlencode(asked)}"

    def operations(self) -> list[Operation]:
        """None where it is not built in."""
        if not self.is_built:
            return []
        found = {200: "of the viewer", 404: "no such file"}
        return [
            Operation(
                "GET",
                BASE + "/{path:path}",
                self.file,
                "The image viewer",
                answers=found,
                media_type="text/html",
                told_as="text/plain",  # also where a name with a line break never comes here
            )
        ]

    async def file(self, request: Request) -> Response:
        path = request.path_params["path"]
        made = {"app-config.js": config, "start.js": start}
        if path in made:
            return _answer(made[path]().encode(), "text/javascript", policy=_PAGE_POLICY)
        packed = self._files.get(path)
        if packed is None:
            if "." in path.rsplit("/", 1)[-1]:
                return Response("no such file", 404, media_type="text/plain")
            return _answer(self._index.encode(), "text/html; charset=utf-8", policy=_PAGE_POLICY)
        content = await run_in_threadpool(packed.read_bytes)
        plain = "gzip" not in request.headers.get("accept-encoding", "")
        if plain:
            content = await run_in_threadpool(gzip.decompress, content)
        is_worker = path.endswith(".js") and not path.startswith("app.bundle")
        kind = _TYPES.get(Path(path).suffix, "text/plain; charset=utf-8")
        response = _answer(content, kind, _FOREVER, _WORKER_POLICY if is_worker else _PAGE_POLICY)
        if not plain:
            response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
        return response

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Every address that there is, and its file: no text of a request becomes a path (threat D6)."""
        return {
            path.relative_to(self._folder).as_posix().removesuffix(".gz"): path for path in self._folder.rglob("*.gz")
        }

    @cached_property
    def _index(self) -> str:
        """The one page, with everything that its own has but the scripts within it."""
        app = next(name for name in self._files if name.startswith("app.bundle.") and name.endswith(".js"))
        return (
            '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
            f'<title>OHIF</title><link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="{BASE}/app.bundle.css">'
            f'<script src="{BASE}/start.js"></script><script src="{BASE}/app-config.js"></script>'
            f'<script defer src="{BASE}/{app}"></script></head>'
            '<body><div id="react-portal"></div><div id="root"></div></body></html>'
        )


# Whose DICOMweb it asks; and in the place of its logo, the way back to the study's page.
_AT_START = """const institution = new URLSearchParams(window.location.search).get("institution");
if (institution) {
  const source = window.config.dataSources[0].configuration;
  for (const root of ["qidoRoot", "wadoRoot", "wadoUriRoot"]) {
    source[root] = "/v1/institutions/" + encodeURIComponent(institution) + source[root];
  }
}
window.config.whiteLabeling = {
  createLogoComponentFn: function (React) {
    const asked = new URLSearchParams(window.location.search);
    const lang = (asked.get("lng") || "zh").startsWith("zh") ? "zh" : "en";
    const study = (asked.get("StudyInstanceUIDs") || "").split(",")[0].replace(/[^0-9.]/g, "");
    const whose = institution ? "&institution=" + encodeURIComponent(institution) : "";
    const to = "/studies" + (study ? "/" + study : "") + "?lang=" + lang + whose;
    const style = { color: "#5acce6", whiteSpace: "nowrap" };
    return React.createElement("a", { href: to, id: "back", style: style }, lang === "zh" ? "‹ 返回检查" : "‹ Back to the study");
  },
};
"""


def _answer(content: bytes, kind: str, cached: str = "no-cache", policy: str = _PAGE_POLICY) -> Response:
    return Response(content, media_type=kind, headers={"Content-Security-Policy": policy, "Cache-Control": cached})


@cache
def start() -> str:
    """What its own page says in scripts within the page."""
    return f'window.PUBLIC_URL = "{quote(BASE)}/";\nfunction browserImportFunction(name) {{ return import(name); }}\n'


@cache
def config() -> str:
    """Our DICOMweb is its only source, of one hospital where its address names one; the list of studies is our own page."""
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "platform",
        "configuration": {
            "friendlyName": "platform",
            "name": "platform",
            "qidoRoot": DICOMWEB,
            "wadoRoot": DICOMWEB,
            "wadoUriRoot": DICOMWEB,
            "qidoSupportsIncludeField": True,
            "supportsFuzzyMatching": False,
            "supportsWildcard": True,
            "imageRendering": "wadors",
            "thumbnailRendering": "wadors",
            "enableStudyLazyLoad": True,
            "omitQuotationForMultipartRequest": False,
            "singlepart": "",
            "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
        },
    }
    settings = {
        "routerBasename": BASE,
        "extensions": [],
        "modes": [],
        "customizationService": [{"ohif.tours": {"$set": []}}],  # no lessons over the image
        "showStudyList": False,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": False,
        "showLoadingIndicator": True,
        "strictZSpacingForVolumeViewport": True,
        "maxNumberOfWebWorkers": 3,
        "maxNumRequests": {"interaction": 20, "thumbnail": 5, "prefetch": 10},
        "investigationalUseDialog": {"option": "never"},
        "defaultDataSourceName": "platform",
        "dataSources": [source],
    }
    return f"window.config = {json.dumps(settings)};\n{_AT_START}"
