"""The MLLP outlet against receivers: our own listener, the hl7 library's, hl7apy's, and some that lie."""

import asyncio
import base64
import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import hl7
import msgspec
import pytest
from hl7.client import MLLPClient
from hl7.mllp import start_hl7_server
from hl7apy.mllp import AbstractHandler, MLLPServer

from connectors.mllp import Framer, Message, framed
from connectors.outlets import Around, DocumentUnreadable
from connectors.outlets.mllp import MllpEdge
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.config_outlets import MllpOutlet
from frontend_agent.demo.samples import sample
from frontend_agent.er7 import Reason, Said, Stage, answer, header_of, read
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, NotAllowed
from frontend_agent.formats import load_kind
from frontend_agent.formats.hl7v2 import validate
from frontend_agent.message_makers import messages
from frontend_agent.model import Document, Envelope, Outcome
from frontend_agent.outlets import opener
from frontend_agent.packs.content import content_of
from frontend_agent.wire.frames import compressor
from tests.hl7_messages import oru
from tests.mllp_kit import Authority, Inbox, eventually, listening, utc_now
from tests.unit.pipe import document


def made(kind: str = "C0007", name: str = "a", **changes: object) -> Document:
    of = load_kind(kind)
    record = {key: value for key, value in sample(of, 1).items() if not key.startswith("fact.")}

    content = of.renderer()(record, Envelope(f"{name}-1", name, 1, "20260930120000"))
    whole = msgspec.structs.replace(
        document(name),
        kind=kind,
        frame=compressor(of.dictionary).compress(content),
        size=len(content),
        dictionary=of.dictionary_sha256,
    )
    return msgspec.structs.replace(whole, **changes)


def known(name: str) -> bytes | None:
    kinds = [load_kind(kind) for kind in ("C0007", "C0011")]
    return next((kind.dictionary for kind in kinds if kind.dictionary_sha256 == name), None)


AROUND = Around(opened=opener(content_of(None), known), secret=lambda name: name, clock=utc_now)


def outlet(port: int, scheme: str = "mllp", **settings: object) -> MllpEdge:
    options = MllpOutlet(
        type="mllp", url=f"{scheme}://localhost:{port}", **{"timeout": timedelta(seconds=10), **settings}
    )
    return MllpEdge("region", options, AROUND, messages("region", options, content_of(None), lambda feed: {}, AROUND))


def outcomes(receipts) -> list[Outcome]:
    return [one.outcome for one in receipts]


@contextlib.contextmanager
def receiver(reply) -> Iterator[tuple[int, list[bytes]]]:
    """Answers each message with what `reply(content)` gives: bytes as they are, or None for the end of the connection."""
    got: list[bytes] = []
    listening_at = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        framer = Framer()
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65_536):
                for event in framer.receive(data):
                    assert isinstance(event, Message)
                    got.append(event.content)
                    said = reply(event.content)
                    if said is None:
                        return
                    connection.sendall(said)

    def work() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening_at.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=work, daemon=True).start()
    try:
        yield listening_at.getsockname()[1], got
    finally:
        listening_at.shutdown(socket.SHUT_RDWR)
        listening_at.close()


def ack(content: bytes, code: str, text: str = "", control_id: str | None = None) -> bytes:
    asked = read(content.decode()).value("MSH-10") if control_id is None else control_id
    return framed(f"MSH|^~\\&|REGION||A||20260930||ACK|1|P|2.3\rMSA|{code}|{asked}|{text}\r".encode())


# -- to our own listener, in every mode ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer_by", "outstanding"), [("original", 1), ("accept", 4), ("application", 4), ("original", 50)]
)
def test_documents_arrive_as_messages_and_are_accepted(answer_by, outstanding):
    inbox = Inbox()
    documents = [made(name=f"d{n}", document_id=f"d{n}-1") for n in range(30)]
    with listening(inbox) as listener:
        edge = outlet(listener.address[1], answer=answer_by, outstanding=outstanding)
        receipts = edge.send(documents)
        again = edge.send(documents[:1])
        assert listener.told()["connections"] == 1
        edge.close()
    assert [(one.document_id, one.outcome) for one in receipts] == [(f"d{n}-1", Outcome.ACCEPTED) for n in range(30)]
    assert outcomes(again) == [Outcome.ACCEPTED]
    assert len(inbox.arrived) == 30  # what was sent again has the same id and the same bytes
    assert {one.about for one in inbox.arrived} == {"ORU^R01"}
    assert not any(one.unreadable for one in inbox.arrived)


def test_a_kind_without_a_message_goes_whole_and_is_valid_for_hl7apy():
    versions = [
        made("C0011", "first"),
        made("C0011", "later", document_id="later-2", version=2, replaces_id="later-1"),
        made("C0011", "gone", document_id="gone-2", version=2, void=True),
    ]
    inbox = Inbox()
    with listening(inbox) as listener:
        edge = outlet(listener.address[1])
        assert outcomes(edge.send(versions)) == [Outcome.ACCEPTED] * 3
        edge.close()
    assert [one.about for one in inbox.arrived] == ["MDM^T02", "MDM^T10", "MDM^T11"]
    texts = [read(one.body.decode()) for one in inbox.arrived]

    whole = AROUND.opened(versions[0]).content
    assert base64.b64decode(texts[0].value("OBX-5.5")) == whole
    assert texts[1].value("TXA-13") == "later-1"
    assert not texts[2].find("OBX")
    make = messages("region", MllpOutlet(type="mllp", url="mllp://localhost"), content_of(None), lambda f: {}, AROUND)
    for one in versions:
        # hl7apy takes encapsulated data for a string of 199 characters at most, so what is whole above is short here
        (message,) = make(msgspec.structs.replace(AROUND.opened(one), content=b"<ClinicalDocument/>"))
        assert validate(message) == ""


def test_what_no_message_can_be_made_of_is_refused_and_the_others_go():
    with listening(Inbox()) as listener:
        edge = outlet(listener.address[1], otherwise="refuse")
        refused = edge.send([made("C0011", "x"), made(name="y"), made(name="z", void=True)])
        edge.close()
    assert outcomes(refused) == [Outcome.REFUSED, Outcome.ACCEPTED, Outcome.REFUSED]
    assert "gives no message" in refused[0].reasons[0]
    assert "withdraws" in refused[2].reasons[0]


def test_over_tls_with_a_certificate_of_ours(tmp_path):
    authority = Authority(tmp_path)
    own, ours = authority.certificate("localhost"), authority.certificate("hospital")
    inbox = Inbox()
    tls = {"certificate": str(own.certificate), "key": str(own.key), "client_ca": str(authority.pem)}
    with listening(inbox, **tls) as listener:
        port = listener.address[1]
        edge = outlet(port, "mllps", ca=str(authority.pem), certificate=str(ours.certificate), key=str(ours.key))
        assert outcomes(edge.send([made()])) == [Outcome.ACCEPTED]
        edge.probe()
        with pytest.raises(NotAllowed, match="TLS failed"):
            outlet(port, "mllps").send([made()])
    assert inbox.arrived[0].sender == "127.0.0.1 hospital"


# -- what is answered, and what it comes to ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "settings", "outcome"),
    [
        ("AA", {}, Outcome.ACCEPTED),
        ("CA", {}, Outcome.ACCEPTED),
        ("AE", {}, Outcome.REFUSED),
        ("AE", {"error": "retry"}, Outcome.RETRY),
        ("AR", {"error": "retry"}, Outcome.REFUSED),
        ("CR", {"answer": "application"}, Outcome.REFUSED),
    ],
)
def test_every_code_has_its_outcome(code, settings, outcome):
    with receiver(lambda content: ack(content, code, "no such patient")) as (port, _):
        edge = outlet(port, **settings)
        (receipt,) = edge.send([made()])
        edge.close()
    assert receipt.outcome is outcome
    assert receipt.reasons == (() if outcome is Outcome.ACCEPTED else (f"ORU_R01: {code}: no such patient",))


def test_all_reasons_of_a_refusal_are_told():
    def refuse(content: bytes) -> bytes:

        reasons = [Reason("one thing"), Reason("another", segment="PID", field=3)]
        said = answer(
            header_of(content), Said.REFUSED, Stage.APPLICATION, control_id="1", now="20260930", reasons=reasons
        )
        assert said is not None
        return framed(said)

    with receiver(refuse) as (port, _):
        (receipt,) = outlet(port).send([made()])
    assert [reason.split(": ", 2)[2] for reason in receipt.reasons] == ["one thing", "PID^1^3: another"]


def test_a_commit_answer_alone_is_not_enough_where_the_application_decides():
    with receiver(lambda content: ack(content, "CA")) as (port, _):
        edge = outlet(port, answer="application", timeout=timedelta(seconds=0.5))
        assert outcomes(edge.send([made()])) == [Outcome.UNANSWERED]
    with receiver(lambda content: ack(content, "CA") + ack(content, "AE", "no")) as (port, _):
        edge = outlet(port, answer="application")
        assert outcomes(edge.send([made()])) == [Outcome.REFUSED]


@pytest.mark.parametrize(
    "said",
    [
        lambda content: b"",
        lambda content: None,
        lambda content: framed(b"hello"),
        lambda content: ack(content, "AA", control_id="ANOTHER"),
        lambda content: ack(content, "YES"),
        lambda content: b"\x0bMSH|^~\\&|half",
        lambda content: b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["nothing", "the end", "no message", "to another", "no code", "half of one", "HTTP"],
)
def test_what_is_no_answer_leaves_it_open(said):
    with receiver(said) as (port, got):
        edge = outlet(port, timeout=timedelta(seconds=0.5))
        receipts = edge.send([made(name="a"), made(name="b", document_id="b-1")])
        again = edge.send([made(name="a")])
    assert outcomes(receipts) == [Outcome.UNANSWERED, Outcome.UNREACHABLE]
    assert outcomes(again) == [Outcome.UNANSWERED]
    assert got[0] == got[1]  # byte by byte, with the same control id


def test_an_answer_without_an_id_and_without_cr_is_taken_when_one_is_under_way():
    with receiver(lambda content: ack(content, "AA", control_id="")[:-1]) as (port, _):
        assert outcomes(outlet(port).send([made()])) == [Outcome.ACCEPTED]


def test_a_connection_that_the_other_side_closed_meanwhile_is_made_anew():
    closing = threading.Event()

    def once(content: bytes) -> bytes | None:
        return ack(content, "AA")

    with receiver(once) as (port, got):
        edge = outlet(port)
        assert outcomes(edge.send([made(name="a")])) == [Outcome.ACCEPTED]
        assert edge._socket is not None
        edge._socket.shutdown(socket.SHUT_RDWR)
        closing.set()
        assert outcomes(edge.send([made(name="b", document_id="b-1")])) == [Outcome.ACCEPTED]
        assert len(got) == 2


def test_nobody_there_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DestinationUnreachable):
        outlet(port).send([made()])
    with pytest.raises(DestinationUnreachable):
        outlet(port).probe()


# -- receivers that others wrote ---------------------------------------------------------------------------------------


class Accepting(AbstractHandler):
    def reply(self):
        return f"\x0b{hl7.parse(self.incoming_message).create_ack()}\x1c\r"


def test_hl7apys_server_takes_our_messages():
    """It ends the connection after every message."""
    with MLLPServer("127.0.0.1", 0, {"ORU^R01^ORU_R01": (Accepting,)}) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        edge = outlet(server.server_address[1])
        found = []
        for number in range(5):
            found += edge.send([made(name=f"d{number}", document_id=f"d{number}-1")])
            assert eventually(lambda: edge._socket is None or edge._is_stale(edge._socket))
        server.shutdown()
    assert outcomes(found) == [Outcome.ACCEPTED] * 5


def test_the_hl7_librarys_server_takes_our_messages():
    taken: list[str] = []
    port, ended = [], threading.Event()

    async def talk(reader, writer) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                message = await reader.readmessage()
                taken.append(str(message.segment("MSH")[10]))
                writer.writemessage(message.create_ack())
                await writer.drain()

    async def serve() -> None:
        async with await start_hl7_server(talk, "127.0.0.1", 0, encoding="utf-8") as server:
            port.append(server.sockets[0].getsockname()[1])
            while not ended.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert eventually(lambda: bool(port))
    edge = outlet(port[0], outstanding=8)
    receipts = edge.send([made(name=f"d{n}", document_id=f"d{n}-1") for n in range(20)])
    edge.close()
    ended.set()
    assert outcomes(receipts) == [Outcome.ACCEPTED] * 20
    assert len(set(taken)) == 20


def test_the_hl7_librarys_sender_is_answered_by_our_listener():

    inbox = Inbox()
    with listening(inbox) as listener, MLLPClient(*listener.address) as client:
        for number in range(20):
            raw = client.send_message(oru().replace("|M-1|", f"|M-{number}|"))
            assert hl7.parse(raw[1:-2].decode()).segment("MSA")[1:3] == [["AA"], [f"M-{number}"]]
    assert len(inbox.arrived) == 20


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('url = "mllp://10.1.1.1:2575"', "plain = true for a line that is safe"),
        ('url = "http://10.1.1.1"', "mllp://host:port"),
        ('url = "mllps://10.1.1.1:port"', "url is not an address"),
        ('url = "mllps://h"\ncertificate = "a.pem"', "certificate and key go together"),
        ('url = "mllps://h"\nanswer = "both"', "answer"),
    ],
)
def test_settings_that_cannot_be_are_told(table, problem):
    with pytest.raises(ConfigurationProblems) as found:
        parse_config(f'[destinations.region]\ntype = "mllp"\n{table}\n')
    assert any("destinations.region" in one and problem in one for one in found.value.problems)


def test_a_message_that_there_is_not_is_told():
    options = MllpOutlet(type="mllp", url="mllp://localhost", messages=("ORU_R02",))
    with pytest.raises(ConfigurationError, match="there is no 'ORU_R02'"):
        messages("region", options, content_of(None), lambda feed: {}, AROUND)


def test_a_document_that_cannot_be_read_back_has_no_message():
    options = MllpOutlet(type="mllp", url="mllp://localhost")
    make = messages("region", options, content_of(None), lambda feed: {}, AROUND)
    with pytest.raises(DocumentUnreadable, match="whose it is"):
        make(msgspec.structs.replace(AROUND.opened(made()), record={}))
