"""A platform that takes packages, as the public one does: unpacked with zip4j or Python's readers, judged later."""

import base64
import email
import email.policy
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyzipper
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class PackagePlatform:
    """What it got, what it knows of visits, and what it answers next."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(65537, 1024)
        self.institutions = {"999000013"}
        self.packages: list[dict[str, Any]] = []
        self.visits: set[str] = set()
        self.answers: list[tuple[int, bytes]] = []  # instead of its own, once each
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        self.url = ""

    def public_key(self) -> bytes:
        return base64.b64encode(self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def receive(self, form: dict[str, bytes]) -> tuple[int, bytes]:
        org = form["org_code"].decode()
        if org not in self.institutions:
            return 403, b"Invalid private key, maybe you miss the organization code?"
        try:
            password = self.private.decrypt(base64.b64decode(form["package_crypto"]), padding.PKCS1v15())
        except ValueError:
            return 403, b"javax.crypto.BadPaddingException"
        package = {
            "org_code": org,
            "md5_value": form["md5"].decode(),
            "packType": int(form["packType"]),
            "password": password.decode(),
            "zip": form["pack"],
            "archive_status": 0,
            "analyze_status": 0,
            "fail_count": 0,
            "receive_date": f"2026-10-01 00:00:{len(self.packages):02}",
            "message": None,
            "name": form["pack.name"].decode(),
        }
        assert hashlib.md5(form["pack"]).hexdigest() == package["md5_value"]
        self.packages.append(package)
        return 200, b"true"

    def work(self) -> None:
        """Judge what waits."""
        for package in self.packages:
            if package["archive_status"] == 0:
                problem = self._judge(package)
                package |= (
                    {"archive_status": 2, "fail_count": 3, "message": problem}
                    if problem
                    else {"archive_status": 3, "analyze_status": 3}
                )

    def _judge(self, package: dict[str, Any]) -> str:
        files = unpacked(package["zip"], package["password"])
        if package["packType"] == 2:
            described = json.loads(files["documents.json"])
            names = [c["name"] for file in described["files"] for c in file["content"] if c["emr_id"] and c["emr_name"]]
            return "" if all(f"documents/{name}" in files for name in names) and described["event_no"] else "no file"
        folders = {name.split("/")[0] for name in files}
        if folders != {"origin", "standard"}:
            return "bad zip"
        for name, body in files.items():
            head = json.loads(body)
            key = f"{head['org_code']}_{head['event_no']}_{head['event_time']}"
            if head.get("reUploadFlg") == "true" and key not in self.visits:
                return f"Please upload the complete package({key}) first !"
            assert name.endswith(f"/{head['code']}.json")
        self.visits.add(key)
        return ""


def unpacked(body: bytes, password: str) -> dict[str, bytes]:
    """Every file of a zip, read by Python's own module or, AES, by pyzipper."""
    with zipfile.ZipFile(io.BytesIO(body)) as plain:
        aes = any(info.compress_type == 99 for info in plain.infolist())
    archive: Any = (pyzipper.AESZipFile if aes else zipfile.ZipFile)(io.BytesIO(body))
    archive.setpassword(password.encode())
    return {name: archive.read(name) for name in archive.namelist()}


def form_of(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a multipart form, by Python's email package."""
    message = email.message_from_bytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body, policy=email.policy.HTTP
    )
    found: dict[str, bytes] = {}
    for part in message.iter_parts():  # type: ignore[attr-defined]
        name = part.get_param("name", header="content-disposition")
        found[name] = part.get_payload(decode=True)
        if part.get_filename():
            found[f"{name}.name"] = part.get_filename().encode()
    return found


@contextmanager
def package_platform() -> Iterator[PackagePlatform]:
    """It listens on loopback until the block ends."""
    platform = PackagePlatform()

    class Handler(BaseHTTPRequestHandler):
        timeout = 5  # of a connection on which nothing is asked: its thread ends

        def log_message(self, *_: Any) -> None:
            """Silent."""

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            platform.tokens.add(self.headers.get("Authorization", ""))
            if platform.answers:
                return self._answer(*platform.answers.pop(0))
            return self._answer(*platform.receive(form_of(self.headers["Content-Type"], body)))

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            platform.asked.append(self.path)
            if "/key/public" in parts.path:
                known = parts.path.split("/")[5] in platform.institutions
                return self._answer(200, b'"' + platform.public_key() + b'"' if known else b"")
            wanted = dict(one.split("=") for one in parse_qs(parts.query)["filters"][0].split(";"))
            rows = [
                {key: value for key, value in package.items() if key not in ("zip", "password")}
                for package in platform.packages
                if all(str(package[key]) == value for key, value in wanted.items())
            ]
            return self._answer(200, json.dumps({"successFlg": True, "detailModelList": rows}).encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    platform.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield platform
    finally:
        server.shutdown()
        server.server_close()
