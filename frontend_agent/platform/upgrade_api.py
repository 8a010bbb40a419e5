"""The file of an upgrade, for the hospitals that are offered it: whole, or from a byte on (RFC 9110 §14)."""

import re
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from frontend_agent.platform.api import Answering, Problem, translated
from frontend_agent.platform.metrics import Metrics
from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.peers import Refusal, must_speak_for
from frontend_agent.platform.upgrades import Upgrades
from frontend_agent.wire.upgrades import PATH

PIECE = 256 << 10
MOST_AT_ONCE = 16  # files that leave at a time: deliveries have the line, too
ARCHIVE = "application/zstd"


class UpgradeApi(Answering):
    """One endpoint, at the door for agents."""

    def __init__(self, upgrades: Upgrades, metrics: Metrics) -> None:
        super().__init__(metrics)
        self._upgrades = upgrades
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)

    @translated
    async def file(self, request: Request) -> Response:
        institution = request.query_params.get("institution", "")
        must_speak_for(request, institution)
        if not institution:
            raise Refusal(400, "malformed", "needs institution")
        package = await run_in_threadpool(self._upgrades.may_fetch, institution, request.path_params["sha256"])
        if package is None:
            raise Refusal(404, "not-offered", "this hospital is not offered such a file")
        begin = beginning(request.headers.get("range", ""))
        if begin >= package.size:
            raise Refusal(416, "range", f"the file has {package.size} bytes")
        if not self._places.acquire(blocking=False):
            raise Refusal(503, "busy", "others are fetching theirs: come back later")
        try:
            file = await run_in_threadpool(self._upgrades.read, package)
        except OSError:
            self._places.release()
            raise Refusal(
                503, "missing", "the package is not where the platform keeps it; its administrator adds it again"
            ) from None
        headers = {"Content-Length": str(package.size - begin), "ETag": f'"{package.sha256}"', "Accept-Ranges": "bytes"}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{package.size - 1}/{package.size}"
        return _Leaving(file, begin, 206 if begin else 200, headers, self._places.release)

    def operations(self) -> list[Operation]:
        """The endpoint with every answer it gives."""
        return [
            Operation(
                "GET", PATH, self.file, "The file of an upgrade that this hospital is offered; Range: bytes=N- goes on from byte N",
                query={"institution": "whose agent asks"}, who="agents", media_type=ARCHIVE, told_as="application/json",
                answers={200: "the archive, signed by its maker", 206: "the rest of it", 400: Problem, 404: Problem, 416: Problem, 503: Problem},
            ),
        ]  # fmt: skip


def beginning(header: str) -> int:
    """The first byte that is asked for. What else a range may say is not served: then the whole file is (RFC 9110 §14.2)."""
    found = re.fullmatch(r"bytes=(\d{1,15})-", header.strip())
    return int(found[1]) if found else 0


class _Leaving(StreamingResponse):
    """A file on its way out; its place is free again however that ends."""

    def __init__(
        self, file: BinaryIO, begin: int, status: int, headers: dict[str, str], free: Callable[[], None]
    ) -> None:
        super().__init__(_pieces(file, begin), status, headers, media_type=ARCHIVE)
        self._file, self._free = file, free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()
            self._free()


def _pieces(file: BinaryIO, begin: int) -> Iterator[bytes]:
    file.seek(begin)
    while piece := file.read(PIECE):
        yield piece
