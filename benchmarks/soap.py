"""Documents that are pushed to us over SOAP, each on disk before it is acknowledged; beside a bare server that keeps nothing.

    serve FOLDER                       our listener over the real inbox (SQLite, synchronous=FULL)
    bare                               uvicorn with an application that reads the body and answers
    send PORT DOCUMENTS CONNECTIONS    a light sender: requests made before, one unanswered on each connection

Each is a process of its own, so the two cores are the listener's and the sender's.
"""

import base64
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.floor import ROOT
from benchmarks.measure import PER_SECOND, Measure, in_turns
from benchmarks.workload import Workload

DOCUMENTS, QUICK_DOCUMENTS, DIFFERENT = 6_000, 1_500, 200
CONNECTIONS = 16
TARGET = 500
SIZE = 15_000  # bytes of a document, about
YES = b"typeCode=&quot;AA&quot;"


class Sent(NamedTuple):
    """What the sender saw."""

    seconds: float
    accepted: int
    p95: float  # seconds from a request to its answer

    @property
    def rate(self) -> float:
        return self.accepted / self.seconds


def soap(load: Workload, quick: bool) -> Iterator[Measure]:
    """DocumentRegister with a CDA of about 15 kB in HIPMessageServer, each committed before its answer."""
    documents = QUICK_DOCUMENTS if quick else DOCUMENTS
    latencies: list[float] = []

    def ours() -> float:
        with TemporaryDirectory() as folder, served("serve", folder) as port:
            sent = send(port, documents)
            latencies.append(sent.p95)
            return sent.rate

    def bare() -> float:
        with served("bare") as port:
            return send(port, documents).rate

    value, floor = in_turns(1 if quick else 3, ours, bare)
    size = sum(map(len, cdas())) // DIFFERENT
    note = f"CDA of {size} bytes, base64; the floor is uvicorn, which keeps nothing; p95 {1000 * min(latencies):.0f} ms"
    yield Measure("listening.soap", value, PER_SECOND, floor, target=TARGET, note=note)


@contextmanager
def served(*what: str) -> Iterator[int]:
    """A listener in a process of its own; where it listens."""
    command = [sys.executable, "-m", "benchmarks.soap", *what]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(60)


def send(port: int, documents: int) -> Sent:
    command = [sys.executable, "-m", "benchmarks.soap", "send", str(port), str(documents), str(CONNECTIONS)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
    sent = Sent(**json.loads(done.stdout))
    if sent.accepted != documents:
        raise RuntimeError(f"{documents - sent.accepted} of {documents} documents were not accepted")
    return sent


def cdas() -> list[bytes]:
    """Laboratory reports as CDA, with as many items as make them about SIZE."""
    from frontend_agent.demo.samples import sample
    from frontend_agent.formats import load_kind
    from frontend_agent.model import Envelope
    from frontend_agent.profiles import load_profile

    kind, profile = load_kind("C0007"), load_profile("regional")
    render = kind.renderer(profile.absences(kind), profile.formats)
    found = []
    for number in range(1, DIFFERENT + 1):
        record = sample(kind, number)
        items, times = record["items"], 1
        content = render(record, Envelope(f"C0007-{number}", "C0007", 1, "20260930104500"))
        while len(content) < SIZE:
            times += 1
            record["items"] = [{**item, "code": f"C{n}"} for n, item in enumerate(items * times, 1)]
            content = render(record, Envelope(f"C0007-{number}", "C0007", 1, "20260930104500"))
        found.append(content)
    return found


def requests(documents: int) -> Iterator[bytes]:
    """Whole HTTP requests, each message with an id of its own."""
    texts = [base64.b64encode(content).decode() for content in cdas()]
    for number in range(documents):
        message = (
            '<RCMR_IN000002UV02 xmlns="urn:hl7-org:v3" ITSVersion="XML_1.0">'
            f'<id root="2.16.156.10011.2.5.1.1" extension="M{number:012d}"/><creationTime value="20260930104500"/>'
            '<interactionId root="2.16.156.10011.2.5.1.2" extension="RCMR_IN000002UV02"/>'
            '<sender><device><id><item root="2.16.156.10011.2.5.1.3" extension="HIS"/></id></device></sender>'
            '<controlActProcess classCode="CACT" moodCode="EVN"><subject><clinicalDocument><storageCode>'
            f'<originalText value="{texts[number % len(texts)]}"/></storageCode></clinicalDocument></subject>'
            "</controlActProcess></RCMR_IN000002UV02>"
        )
        body = (
            '<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body><HIPMessageServer '
            f'xmlns="urn:hl7-org:v3"><action>DocumentRegister</action><message><![CDATA[{message}]]></message>'
            "</HIPMessageServer></soap:Body></soap:Envelope>"
        ).encode()
        head = f"POST /hip HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml; charset=utf-8\r\nContent-Length: {len(body)}"
        yield head.encode() + b"\r\n\r\n" + body


# -- processes ---------------------------------------------------------------------------------------------------------


def serve(folder: Path) -> None:
    from connectors.web import Ports, WebListener, WebOptions
    from connectors.web.soap import SoapOptions, SoapService
    from frontend_agent.spool import Spool
    from frontend_agent.spool.keeping import Keeper

    with Spool(folder).open() as spool:
        keeper = Keeper(spool.inbox).start()
        service = SoapService("his", SoapOptions(), UTC)
        listener = WebListener(
            "his", WebOptions(), "/hip", service, keeper, lambda *_: None, lambda: datetime.now(UTC), Ports()
        )
        listener.start()
        print(listener.told()["address"].rpartition(":")[2].partition("/")[0], flush=True)
        sys.stdin.read()
        listener.stop(10)
        keeper.stop()


def serve_bare() -> None:
    import threading

    import uvicorn

    async def application(scope: dict[str, str], receive: object, send: object) -> None:
        while (await receive())["more_body"]:  # type: ignore[operator]
            pass
        headers = [(b"content-length", str(len(YES)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": YES})  # type: ignore[operator]

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    sys.stdin.read()
    server.should_exit = True


def send_all(port: int, documents: int, connections: int) -> Sent:
    """One request after the other on each connection."""
    waiting = list(requests(documents))
    lines = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    began: dict[int, float] = {}
    answers = {line.fileno(): b"" for line in lines}
    by_number = {line.fileno(): line for line in lines}
    poll = select.poll()
    took: list[float] = []
    accepted = 0
    start = time.perf_counter()
    for line in lines:
        poll.register(line.fileno(), select.POLLIN)
        began[line.fileno()] = time.perf_counter()
        line.sendall(waiting.pop())
    while len(took) < documents:
        for number, _ in poll.poll():
            data = by_number[number].recv(65_536)
            if not data:
                raise ConnectionError("the listener ended a connection")
            answers[number] += data
            if not _is_whole(answers[number]):
                continue
            took.append(time.perf_counter() - began[number])
            accepted += YES in answers[number]
            answers[number] = b""
            if waiting:
                began[number] = time.perf_counter()
                by_number[number].sendall(waiting.pop())
    seconds = time.perf_counter() - start
    took.sort()
    return Sent(seconds, accepted, took[int(len(took) * 0.95)])


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return len(body) >= int(lengths[0].split(b":")[1])


def main() -> None:
    what, *more = sys.argv[1:]
    if what == "serve":
        serve(Path(more[0]))
    elif what == "bare":
        serve_bare()
    else:
        print(json.dumps(send_all(*map(int, more))._asdict()))


if __name__ == "__main__":
    main()
