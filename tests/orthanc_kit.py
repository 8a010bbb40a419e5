"""A throw-away Orthanc for the tests: a real PACS and a real region, on free ports, in a temporary folder, gone afterwards.

    with orthanc() as pacs:
        pacs.add(path)                              # an instance's file
        pacs.knows("FRONTEND", port)                # C-MOVE and N-EVENT-REPORT to that AE title
        pacs.address, pacs.dicomweb                 # dicom://ORTHANC@127.0.0.1:4242, http://127.0.0.1:8042/dicom-web
        pacs.files()                                # SOP Instance UID -> SHA-256 of the file that Orthanc keeps

It speaks C-ECHO, C-STORE, C-FIND, C-GET, C-MOVE, storage commitment (SCP and SCU), QIDO-RS, WADO-RS and STOW-RS.
It needs Debian's orthanc and orthanc-dicomweb (programs only; no service is started).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.ports import free_port

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
STARTS_WITHIN = 60.0  # seconds: two cores may be busy with other tests
# Debian's dcmtk waits 42 ms twice for each C-STORE without it (measured.md).
NO_DELAY = {"TCP_NODELAY": "1"}


def _program() -> str | None:
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")


def orthanc_is_here() -> bool:
    return _program() is not None and PLUGIN.is_file()


needs_orthanc = pytest.mark.skipif(
    not orthanc_is_here(), reason="no Orthanc with DICOMweb (apt install orthanc orthanc-dicomweb)"
)


@dataclass
class Orthanc:
    """A running Orthanc. `session` speaks to its REST interface."""

    title: str
    dicom_port: int
    http_port: int
    folder: Path
    process: subprocess.Popen[bytes]
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def dicomweb(self) -> str:
        """The base of QIDO-RS, WADO-RS and STOW-RS."""
        return f"{self.url}/dicom-web"

    @property
    def address(self) -> str:
        """As `url` of our settings has it."""
        return f"dicom://{self.title}@127.0.0.1:{self.dicom_port}"

    def get(self, path: str) -> Any:
        """A resource of Orthanc's own interface: what its JSON says."""
        return self._asked("GET", path).json()

    def post(self, path: str, body: Any) -> Any:
        return self._asked("POST", path, json.dumps(body)).json()

    def put(self, path: str, body: Any) -> None:
        self._asked("PUT", path, json.dumps(body))

    def delete(self, path: str) -> None:
        self._asked("DELETE", path)

    def add(self, *files: Path | bytes) -> list[str]:
        """Keep these instances; Orthanc's own ids of them."""
        added = []
        for one in files:
            body = one if isinstance(one, bytes) else one.read_bytes()
            added.append(str(self._asked("POST", "/instances", body).json()["ID"]))
        return added

    def knows(self, title: str, port: int, *, host: str = "127.0.0.1", name: str = "", **more: Any) -> str:
        """From now on it knows this application entity, may send to it, and reports storage commitments there. Its name in Orthanc."""
        name = name or title.lower()
        self.put(
            f"/modalities/{name}", {"AET": title, "Host": host, "Port": port, "AllowStorageCommitment": True, **more}
        )
        return name

    def sends(self, name: str, *resources: str) -> Any:
        """Let it C-STORE these of its resources (ids) to a modality that it knows."""
        return self.post(f"/modalities/{name}/store", {"Resources": list(resources), "Synchronous": True})

    def count(self) -> int:
        return int(self.get("/statistics")["CountInstances"])

    def instance_uids(self) -> set[str]:
        """The SOP Instance UIDs of all that it keeps."""
        return {one["MainDicomTags"]["SOPInstanceUID"] for one in self.get("/instances?expand")}

    def file(self, sop_instance_uid: str) -> bytes:
        """An instance's file as Orthanc keeps it: its own file meta information, and the data set as it came."""
        (found,) = self.post(
            "/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}, "Expand": False}
        )
        return self._asked("GET", f"/instances/{found}/file").content

    def files(self) -> dict[str, str]:
        """SOP Instance UID -> SHA-256 of the file that it keeps."""
        return {uid: sha256(self.file(uid)).hexdigest() for uid in self.instance_uids()}

    def clear(self) -> None:
        """Forget all that it keeps."""
        for patient in self.get("/patients"):
            self.delete(f"/patients/{patient}")

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def stop(self) -> None:
        self.session.close()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _asked(self, method: str, path: str, body: str | bytes | None = None) -> requests.Response:
        answer = self.session.request(method, self.url + path, data=body, timeout=60)
        assert answer.ok, f"Orthanc answered {answer.status_code} to {method} {path}: {answer.text[:500]}"
        return answer


@contextmanager
def orthanc(
    *, title: str = "ORTHANC", dicom_port: int = 0, settings: Mapping[str, Any] | None = None
) -> Iterator[Orthanc]:
    """A fresh Orthanc that ends with the block. `settings`: more of orthanc.json (SyncStorageArea, DicomTlsEnabled …).

    Skips the test where Orthanc is not installed.
    """
    program = _program()
    if program is None or not PLUGIN.is_file():
        pytest.skip("no Orthanc with DICOMweb (apt install orthanc orthanc-dicomweb)")
    folder = Path(tempfile.mkdtemp(prefix="orthanc-"))
    server: Orthanc | None = None
    try:
        server = _started(program, folder, title, dicom_port or free_port(), free_port(), settings or {})
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _started(
    program: str, folder: Path, title: str, dicom_port: int, http_port: int, settings: Mapping[str, Any]
) -> Orthanc:
    configuration = {
        "Name": title,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": title,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomThreadsCount": 8,
        "StableAge": 1,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
        **settings,
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration), "utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(folder / "orthanc.json")],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **NO_DELAY},
        )
    server = Orthanc(title, dicom_port, http_port, folder, process)
    until = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            if server.session.get(f"{server.dicomweb}/studies?limit=1", timeout=5).ok:
                return server
        except requests.ConnectionError:
            pass
        if process.poll() is not None or time.monotonic() > until:
            said = server.log()[-2000:]
            server.stop()
            raise RuntimeError(f"Orthanc did not start: {said}")
        time.sleep(0.05)
