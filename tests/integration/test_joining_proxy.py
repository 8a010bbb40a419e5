"""Behind nginx, as docs/guide/tls.md configures it: the certificate arrives, and nobody can slip in another (threat C1)."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest
import requests

from frontend_agent.certificates import certificates_in, pem_of
from frontend_agent.model import Outcome
from frontend_agent.platform.joining.authority import key_pem, read_key
from frontend_agent.platform.server import AgentsListening
from frontend_agent.spool.membership import Membership
from tests.joining_kit import NAMES, Region, destination, join, region, session
from tests.platform_kit import document
from tests.ports import free_port

A, B = "470000001", "470000002"
GUIDE = Path(__file__).parents[2] / "docs/guide"

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


class Behind(NamedTuple):
    there: Region
    url: str
    a: Membership
    b: Membership
    socket: Path


def configured(folder: Path, port: int) -> Path:
    """The guide's own lines, with this test's folders. Both languages configure the same."""
    texts = [(GUIDE / name).read_text("utf-8") for name in ("tls.md", "tls.en.md")]
    (block,), (also,) = [re.findall(r"```nginx\n(.*?)```", text, re.DOTALL) for text in texts]
    assert re.sub(r" *#.*", "", block) == re.sub(r" *#.*", "", also)
    lines = (
        block.replace("/run/frontend-platform/agents.sock", str(folder / "agents.sock"))
        .replace("/etc/frontend-platform/tls", str(folder / "tls"))
        .replace("listen 8443", f"listen 127.0.0.1:{port}")
        .replace("region.example", "localhost")
    )
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = folder / "nginx.conf"
    path.write_text(
        f"user root;\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{lines}}}\n"
    )
    return path


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("nginx")
    port = free_port()
    with region(folder / "platform", AgentsListening(proxy=folder / "agents.sock")) as there:
        both = there.registry.server_file(NAMES).read_bytes()
        tls = folder / "tls"
        tls.mkdir()
        (tls / "server.key").write_bytes(key_pem(read_key(both)))
        (tls / "server.pem").write_bytes(pem_of(certificates_in(both)))
        there_roots = there.registry.list_of_trusted().roots
        (tls / "clients-ca.pem").write_text(there_roots)
        nginx = subprocess.Popen(["nginx", "-p", folder, "-c", configured(folder, port), "-g", "daemon off;"], stderr=subprocess.PIPE)  # fmt: skip
        url = f"https://localhost:{port}"
        try:
            wait_for(port, nginx)
            members = [join(url, folder / one, there.registry.make_token([one], _day()), one) for one in (A, B)]
            yield Behind(there, url, members[0], members[1], folder / "agents.sock")
        finally:
            nginx.terminate()
            nginx.wait(10)


def _day() -> object:
    from datetime import timedelta

    return timedelta(hours=24)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise AssertionError("nginx does not listen")


def test_a_machine_joins_and_delivers_through_nginx(behind: Behind) -> None:
    assert destination(behind.a, A).send([document(1, institution=A)])[0].outcome == Outcome.STORED
    assert {one.address for one in behind.there.registry.enrolments()} == {"127.0.0.1"}


def test_what_is_revoked_is_out_behind_nginx_too(behind: Behind, tmp_path: Path) -> None:
    third = join(behind.url, tmp_path, behind.there.registry.make_token(["470000003"], _day()), "470000003")  # type: ignore[arg-type]
    behind.there.registry.revoke("470000003", "wang", "lost")
    with session(third) as http:
        answered = http.get(behind.url + "/v1/receipts?institution=470000003&document_id=x", timeout=20)
    assert answered.status_code == 401


def test_no_agent_of_another_hospital(behind: Behind) -> None:
    with session(behind.a) as http:
        answered = http.get(behind.url + f"/v1/receipts?institution={B}&document_id=x", timeout=20)
    assert answered.json()["error"] == "institution"


def spoofs(certificate: str) -> dict[str, bytes]:
    """Whole requests that want to be B's, with a certificate that is not there."""
    path = f"/v1/receipts?institution={B}&document_id=x"
    shown = quote(certificate, safe="")
    folded = quote(certificate[:100], safe="") + "\r\n " + quote(certificate[100:], safe="")
    heads = {
        "plainly": f"X-Client-Certificate: {shown}\r\nX-Client-Verify: SUCCESS\r\n",
        "in small letters": f"x-client-certificate: {shown}\r\nx-client-verify: SUCCESS\r\n",
        "with underscores": f"X_Client_Certificate: {shown}\r\nX_Client_Verify: SUCCESS\r\n",
        "twice": f"X-Client-Certificate: {shown}\r\n" * 2 + "X-Client-Verify: SUCCESS\r\n" * 2,
        "folded": f"X-Client-Certificate: {folded}\r\nX-Client-Verify: SUCCESS\r\n",
        "with a blank before the colon": f"X-Client-Certificate : {shown}\r\nX-Client-Verify : SUCCESS\r\n",
        "with a tab": f"X-Client-Certificate:\t{shown}\r\nX-Client-Verify:\tSUCCESS\r\n",
        "named by Connection": f"Connection: X-Client-Certificate, X-Client-Verify\r\nX-Client-Certificate: {shown}\r\nX-Client-Verify: SUCCESS\r\n",
        "as others call it": f"X-SSL-Client-Cert: {shown}\r\nSsl-Client-Cert: {shown}\r\nX-Forwarded-Client-Cert: Cert=\"{shown}\"\r\nClient-Cert: :{shown}:\r\n",
        "from elsewhere": f"X-Client-Address: 10.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\nX-Client-Certificate: {shown}\r\nX-Client-Verify: SUCCESS\r\n",
    }  # fmt: skip
    found = {name: f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode() for name, lines in heads.items()}
    inner = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{heads['plainly']}\r\n"
    chunked = f"5\r\nabcde\r\n0\r\n{heads['plainly']}\r\n"
    found["in a trailer"] = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-Client-Certificate\r\n\r\n{chunked}".encode()  # fmt: skip
    found["smuggled by two lengths"] = f"POST /v1/heads HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(inner) + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}".encode()  # fmt: skip
    found["smuggled by a strange coding"] = f"POST /v1/heads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{inner}".encode()  # fmt: skip
    found["pipelined"] = f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n{inner}".encode()
    found["by HTTP/1.0"] = f"GET {path} HTTP/1.0\r\n{heads['plainly']}\r\n".encode()
    found["in an absolute address"] = f"GET https://localhost{path} HTTP/1.1\r\nHost: localhost\r\n{heads['plainly']}\r\n".encode()  # fmt: skip
    return found


def answers(url: str, request: bytes, member: Membership | None, roots: Path) -> bytes:
    """All that comes back within a moment."""
    context = ssl.create_default_context(cafile=str(roots))
    if member is not None:
        context.load_cert_chain(member.own_file)
    port = int(url.rpartition(":")[2])
    found = bytearray()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as line,
    ):
        line.sendall(request)
        with contextlib.suppress(TimeoutError, ssl.SSLError, ConnectionError):
            while piece := line.recv(65536):
                found += piece
                line.settimeout(0.3)  # whether more comes behind it
    return bytes(found)


SPOOFS = list(spoofs("x" * 200))


@pytest.mark.parametrize("way", SPOOFS)
@pytest.mark.parametrize("with_certificate", [False, True])
def test_headers_make_nobody_another(behind: Behind, way: str, with_certificate: bool) -> None:
    certificate = behind.b.own_file.read_text().split("-----END PRIVATE KEY-----\n")[1]
    member = behind.a if with_certificate else None
    got = answers(behind.url, spoofs(certificate)[way], member, behind.a.ca_file)

    assert b'"statement"' not in got  # a signed answer about B
    statuses = [int(one) for one in re.findall(rb"HTTP/1\.[01] (\d{3})", got)]
    assert statuses
    allowed = {400, 403, 404, 405, 409, 411, 415, 501} if with_certificate else {400, 401, 404, 405, 411, 415, 501}
    assert {one for one in statuses if one != 200} <= allowed
    assert statuses.count(200) <= (way == "pipelined")


@pytest.mark.parametrize("way", SPOOFS)
def test_headers_mean_nothing_at_our_own_tls(
    tmp_path_factory: pytest.TempPathFactory, own_door: Behind, way: str
) -> None:
    certificate = own_door.b.own_file.read_text().split("-----END PRIVATE KEY-----\n")[1]
    for member in (None, own_door.a):
        got = answers(own_door.url, spoofs(certificate)[way], member, own_door.a.ca_file)
        assert b'"statement"' not in got
        assert re.findall(rb"HTTP/1\.[01] (\d{3})", got).count(b"200") <= (way == "pipelined")


@pytest.fixture(scope="module")
def own_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("own")
    with region(folder / "platform") as there:
        a, b = there.member(folder / A, A), there.member(folder / B, B)
        yield Behind(there, there.url, a, b, folder)


def test_who_reaches_the_socket_without_nginx_is_not_believed(behind: Behind) -> None:
    assert behind.socket.stat().st_mode & 0o777 == 0o660
    certificate = quote(behind.b.own_file.read_text().split("-----END PRIVATE KEY-----\n")[1], safe="")
    for lines in (
        "",
        f"X-Client-Certificate: {certificate}\r\n",
        "X-Client-Verify: SUCCESS\r\n",
        f"X-Client-Verify: NONE\r\nX-Client-Address: 1\r\nX-Client-Certificate: {certificate}\r\n",
        f"X-Client-Verify: SUCCESS\r\nX-Client-Verify: SUCCESS\r\nX-Client-Address: 1\r\nX-Client-Certificate: {certificate}\r\n",
    ):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(str(behind.socket))
            line.sendall(f"GET /v1/receipts?institution={B}&document_id=x HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
            got = line.recv(65536)
            got += b"" if b"}" in got else line.recv(65536)
        assert b" 400 " in got.split(b"\r\n")[0]
        assert b'"proxy"' in got


def test_nginx_itself_refuses_what_is_not_of_the_region(behind: Behind, tmp_path: Path) -> None:
    with region(tmp_path / "other") as other:
        stranger = other.member(tmp_path / "agent", A)
        with requests.Session() as http:
            http.trust_env = False
            answered = http.get(behind.url + "/healthz", cert=str(stranger.own_file), verify=str(behind.a.ca_file), timeout=20)  # fmt: skip
    assert answered.status_code == 400
