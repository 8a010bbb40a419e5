"""Messages that are pushed to us, each on disk before it is acknowledged; beside hl7apy's own server, which keeps nothing.

The floor is that server used as its documentation shows: the message parsed, the answer built, with hl7apy. What it does when its
handler looks at nothing at all is told beside it.

    serve FOLDER                                  our listener over the real inbox (SQLite, synchronous=FULL)
    hl7apy [bare]                                 its MLLPServer
    send PORT MESSAGES CONNECTIONS WINDOW REUSE   a light sender: bytes made before, so many unanswered on each connection

Each is a process of its own, so the two cores are the listener's and the sender's.
"""

import json
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.floor import ROOT
from benchmarks.measure import PER_SECOND, Measure, in_turns
from benchmarks.messages import reports
from benchmarks.workload import Workload
from connectors.mllp import framed

MESSAGES, QUICK_MESSAGES = 20_000, 6_000
BY_HL7APY, BY_HL7APY_BARE = 200, 1_500
CONNECTIONS, WINDOW = 8, 16
CONNECTIONS_OF_HL7APY = (
    3  # with more than its backlog of five it loses connections for seconds: this is where it is quickest
)
TARGET, TIMES = 2_000, 10.0
END = b"\x1c\r"
YES = (b"MSA|AA|", b"MSA|CA|")  # our samples ask for the accept acknowledgement


class Sent(NamedTuple):
    """What the sender saw."""

    seconds: float
    answered: int
    accepted: int
    p95: float  # seconds from a message's last byte to its answer

    @property
    def rate(self) -> float:
        return self.answered / self.seconds


def mllp(load: Workload, quick: bool) -> Iterator[Measure]:
    """ORU^R01 of about 2 kB, each committed before its acknowledgement."""
    messages = QUICK_MESSAGES if quick else MESSAGES
    latencies: list[float] = []

    def ours() -> float:
        with TemporaryDirectory() as folder, served("serve", folder) as port:
            sent = send(port, messages, CONNECTIONS, WINDOW, reuse=True)
            latencies.append(sent.p95)
            return sent.rate

    def others() -> float:
        with served("hl7apy") as port:
            return send(port, BY_HL7APY, CONNECTIONS_OF_HL7APY, 1, reuse=False).rate

    value, floor = in_turns(1 if quick else 3, ours, others)
    with served("hl7apy", "bare") as port:
        bare = send(port, BY_HL7APY_BARE, CONNECTIONS_OF_HL7APY, 1, reuse=False).rate
    size = sum(map(len, wires(400))) // 400
    note = (
        f"{size} bytes, p95 {1000 * min(latencies):.0f} ms; floor: hl7apy's server, which parses each and keeps none"
        f" ({bare:,.0f} with a handler that looks at nothing)"
    )
    yield Measure("listening.mllp", value, PER_SECOND, floor, target=TARGET, at_least=TIMES, note=note)


@contextmanager
def served(*what: str) -> Iterator[int]:
    """A listener in a process of its own; where it listens."""
    command = [sys.executable, "-m", "benchmarks.listening", *what]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(60)


def send(port: int, messages: int, connections: int, window: int, *, reuse: bool) -> Sent:
    command = [sys.executable, "-m", "benchmarks.listening", "send"]
    command += [str(number) for number in (port, messages, connections, window, int(reuse))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
    sent = Sent(**json.loads(done.stdout))
    if sent.accepted != messages:
        raise RuntimeError(f"{messages - sent.accepted} of {messages} messages were not accepted")
    return sent


def wires(messages: int) -> list[bytes]:
    """Framed messages, each with a control id of its own."""
    kinds = [content.split(b"|", 10) for content in reports()]
    made = []
    for number in range(messages):
        head = list(kinds[number % len(kinds)])
        head[9] = f"{number:020d}".encode()
        made.append(framed(b"|".join(head)))
    return made


# -- processes ---------------------------------------------------------------------------------------------------------


def serve(folder: Path) -> None:
    from connectors.mllp.listener import MllpListener
    from frontend_agent.config_inlets import MllpInlet
    from frontend_agent.spool import Spool
    from frontend_agent.spool.keeping import Keeper

    with Spool(folder).open() as spool:
        keeper = Keeper(spool.inbox).start()
        options = MllpInlet(type="mllp", port=0)
        listener = MllpListener("lis", options, keeper, lambda *_: None, lambda: datetime.now(UTC))
        listener.start()
        print(listener.address[1], flush=True)
        sys.stdin.read()
        listener.stop(10)
        keeper.stop()


def serve_hl7apy(is_bare: bool) -> None:
    from hl7apy.core import Message
    from hl7apy.mllp import AbstractHandler, MLLPServer
    from hl7apy.parser import parse_message

    class Bare(AbstractHandler):  # type: ignore[misc]
        def reply(self) -> str:
            control_id = self.incoming_message.split("|", 10)[9]
            return f"\x0bMSH|^~\\&|B||A||20260930||ACK|{control_id}|P|2.5.1\rMSA|AA|{control_id}\r\x1c\r"

    class Parsing(AbstractHandler):  # type: ignore[misc]
        def reply(self) -> str:
            message = parse_message(self.incoming_message)
            said = Message("ACK", version="2.5.1")
            said.msh.msh_9, said.msh.msh_10 = "ACK", message.msh.msh_10
            said.msa.msa_1, said.msa.msa_2 = "AA", message.msh.msh_10
            return str(said.to_mllp())

    handler = Bare if is_bare else Parsing
    with MLLPServer("127.0.0.1", 0, {"ORU^R01^ORU_R01": (handler,)}) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()
        server.shutdown()


class _Line:
    """One connection of the sender."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at: list[float] = []
        self.tail = b""


def send_all(port: int, messages: int, connections: int, window: int, reuse: int) -> Sent:
    """Send as answers come: no more than `window` unanswered on a connection. Not `reuse`: a new one for each message."""
    waiting = iter(wires(messages))
    lines = {line.socket.fileno(): line for line in (_Line(("127.0.0.1", port)) for _ in range(connections))}
    poll = select.poll()
    answered = accepted = 0
    took: list[float] = []
    began = time.perf_counter()

    def push(line: _Line) -> bool:
        pieces = []
        while len(line.sent_at) < window and (wire := next(waiting, None)) is not None:
            pieces.append(wire)
            line.sent_at.append(0.0)
        if pieces:
            line.socket.sendall(b"".join(pieces))
            now = time.perf_counter()
            line.sent_at = [at or now for at in line.sent_at]
        return bool(line.sent_at)

    for number, line in lines.items():
        if push(line):
            poll.register(number, select.POLLIN)
    while answered < messages:
        for number, _ in poll.poll():
            line = lines[number]
            data = line.socket.recv(65_536)
            if not data:
                raise ConnectionError("the listener ended a connection")
            whole = line.tail + data
            ends = whole.count(END)
            done, line.tail = whole.rpartition(END)[0], whole.rpartition(END)[2]
            accepted += sum(map(done.count, YES))
            now = time.perf_counter()
            took += [now - at for at in line.sent_at[:ends]]
            del line.sent_at[:ends]
            answered += ends
            if ends and not reuse:
                poll.unregister(number)
                line.socket.close()
                del lines[number]
                if answered + len(lines) < messages:
                    line = _Line(line.address)
                    lines[line.socket.fileno()] = line
                    if push(line):
                        poll.register(line.socket.fileno(), select.POLLIN)
            elif ends:
                push(line)
    seconds = time.perf_counter() - began
    took.sort()
    return Sent(seconds, answered, accepted, took[int(len(took) * 0.95)])


def main() -> None:
    what, *more = sys.argv[1:]
    if what == "serve":
        serve(Path(more[0]))
    elif what == "hl7apy":
        serve_hl7apy("bare" in more)
    else:
        print(json.dumps(send_all(*map(int, more))._asdict()))


if __name__ == "__main__":
    main()
