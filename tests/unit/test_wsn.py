"""wsn against a NotificationProducer written from WS-BaseNotification 1.3: subscribe, renew, lose, subscribe again, unsubscribe."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from frontend_agent.config import ConfigurationProblems
from frontend_agent.errors import SourceError, SourceRefused
from tests.fetching_kit import Asked, Given, Inbox, Site, polling

WSNT, WSA = "http://docs.oasis-open.org/wsn/b-2", "http://www.w3.org/2005/08/addressing"
ENVELOPE = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/><s:Body>{}</s:Body></s:Envelope>'


class Producer:
    """Knows its subscriptions by a number in a reference parameter; its clock is a day ahead of everybody's."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.subscriptions: dict[str, str] = {}  # number -> address of the consumer
        self.said: list[str] = []
        self.seconds = 3600.0
        self.manager = site.url + "/manager"
        self.subscribed: Any = None
        site.answers["/producer"] = self.answer
        site.answers["/manager"] = self.answer

    def answer(self, asked: Asked) -> Given:
        if asked.method == "GET":
            return Given(b"<wsdl/>")
        envelope = etree.fromstring(asked.body)
        payload = envelope[-1][0]
        name = etree.QName(payload).localname
        action = envelope.findtext(f".//{{{WSA}}}Action") or ""
        assert action.endswith(f"/{name}Request")
        assert asked.headers["soapaction"] == f'"{action}"'
        self.said.append(name)
        number = envelope.findtext(".//{urn:p}id") or ""
        if name == "Subscribe":
            self.subscribed = payload
            number = str(len(self.said))
            self.subscriptions[number] = payload.findtext(f".//{{{WSA}}}Address") or ""
            reference = (
                f'<b:SubscriptionReference><a:Address>{self.manager}</a:Address><a:ReferenceParameters><p:id xmlns:p="urn:p">{number}</p:id>'
                "</a:ReferenceParameters></b:SubscriptionReference>"
            )
            return self.told(
                f'<b:SubscribeResponse xmlns:b="{WSNT}" xmlns:a="{WSA}">{reference}{self.term()}</b:SubscribeResponse>'
            )
        if number not in self.subscriptions:
            return Given(ENVELOPE.format("<s:Fault><faultcode>s:ResourceUnknown</faultcode></s:Fault>").encode(), 500)
        if name == "Unsubscribe":
            del self.subscriptions[number]
        return self.told(
            f'<b:{name}Response xmlns:b="{WSNT}">{self.term() if name == "Renew" else ""}</b:{name}Response>'
        )

    def term(self) -> str:
        now = datetime.now(UTC) + timedelta(days=1)
        ends = now + timedelta(seconds=self.seconds)
        return (
            f"<b:TerminationTime>{ends.isoformat()}</b:TerminationTime><b:CurrentTime>{now.isoformat()}</b:CurrentTime>"
        )

    @staticmethod
    def told(inner: str) -> Given:
        return Given(ENVELOPE.format(inner).encode())

    def notify(self, *messages: str, number: str = "1", raw: bytes = b"") -> tuple[int, bytes]:
        inner = "".join(
            f'<b:NotificationMessage><b:SubscriptionReference><a:Address xmlns:a="{WSA}">{number}</a:Address></b:SubscriptionReference>'
            f'<b:Topic Dialect="x">lab/results</b:Topic><b:Message>{one}</b:Message></b:NotificationMessage>'
            for one in messages
        )
        body = raw or ENVELOPE.format(f'<b:Notify xmlns:b="{WSNT}">{inner}</b:Notify>').encode()
        host, path = next(iter(self.subscriptions.values())).removeprefix("http://").split("/", 1)
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("POST", "/" + path, body, {"Content-Type": "text/xml; charset=utf-8"})
        response = connection.getresponse()
        return response.status, response.read()


@pytest.fixture
def producer() -> Iterator[Producer]:
    with Site() as site:
        yield Producer(site)


@pytest.fixture
def table(producer: Producer) -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return f"""
type = "wsn"
url = "{producer.site.url}/producer"
host = "127.0.0.1"
port = {port}
path = "/wsn/lab"
address = "http://127.0.0.1:{port}/wsn/lab"
topic = "p:lab/results"
namespaces = {{ p = "urn:topics" }}
"""


def until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_is_notified_is_kept_message_by_message_and_acknowledged_after(producer: Producer, table: str) -> None:
    inbox = Inbox()
    inlet = polling(table, inbox, clock=lambda: datetime.now(UTC))
    inlet.start()
    until(lambda: producer.subscriptions)

    assert producer.notify("<r id='1'>张三</r>", "<r id='2'/>")[0] == 202
    assert producer.notify("&lt;r id='3'/&gt;", number="another")[0] == 202
    assert producer.notify("<r id='2'/>", number="another")[0] == 202, "the same from another subscription is no news"

    inlet.stop(5)
    bodies = [etree.fromstring(body).get("id") for body in inbox.bodies]
    assert bodies == ["1", "2", "3"]
    assert inbox.kept[0].about == "lab/results"
    assert producer.said == ["Subscribe", "Unsubscribe"]
    assert producer.subscriptions == {}
    topic = producer.subscribed.find(f".//{{{WSNT}}}TopicExpression")
    assert (topic.text, topic.nsmap["p"]) == ("p:lab/results", "urn:topics")
    assert producer.subscribed.findtext(f"{{{WSNT}}}InitialTerminationTime") == "PT3600S"


def test_what_is_not_kept_is_not_acknowledged(producer: Producer, table: str) -> None:
    inbox = Inbox()
    inlet = polling(table, inbox, clock=lambda: datetime.now(UTC))
    inlet.start()
    until(lambda: producer.subscriptions)
    inbox.full = 1
    assert producer.notify("<r id='1'/>")[0] == 503
    assert producer.notify("<r id='1'/>")[0] == 202
    for raw in (
        b"<Notify/>",
        ENVELOPE.format("<other/>").encode(),
        ENVELOPE.format(f'<b:Notify xmlns:b="{WSNT}"/>').encode(),
        b"x",
    ):
        status, answer = producer.notify(raw=raw)
        assert status == 400
        assert b"Fault" in answer
    doctype = b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + ENVELOPE.format("&e;").encode()
    assert producer.notify(raw=doctype)[0] == 400
    inlet.stop(5)
    assert [one.body for one in inbox.kept if not one.unreadable] == [b"<r id='1'/>".replace(b"'", b'"')]
    assert [bool(one.unreadable) for one in inbox.kept] == [False, True, True], "what is no XML waits for a person"


def test_it_is_renewed_at_half_of_its_term_by_the_producers_own_clock(producer: Producer, table: str) -> None:
    inlet = polling(table, clock=lambda: datetime.now(UTC))
    assert inlet.keep_on() == pytest.approx(1800, abs=5)
    producer.seconds = 600
    assert inlet.keep_on() == pytest.approx(300, abs=5)
    assert producer.said == ["Subscribe", "Renew"]


def test_a_lost_subscription_is_made_anew_at_once(producer: Producer, table: str) -> None:
    inlet = polling(table, clock=lambda: datetime.now(UTC))
    inlet.keep_on()
    producer.subscriptions.clear()  # the producer was restarted
    inlet.keep_on()
    assert producer.said == ["Subscribe", "Renew", "Subscribe"]
    assert len(producer.subscriptions) == 1


def test_one_whose_term_is_over_is_not_renewed(producer: Producer, table: str) -> None:
    inlet = polling(table, clock=lambda: datetime.now(UTC))
    inlet.keep_on()
    inlet._ends = inlet._monotonic() - 1  # the machine slept
    inlet.keep_on()
    assert producer.said == ["Subscribe", "Subscribe"]


def test_a_manager_elsewhere_is_not_asked_unless_a_person_says_so(producer: Producer, table: str) -> None:
    producer.manager = "http://169.254.169.254/latest"
    with pytest.raises(SourceRefused, match="name it as `manager`"):
        polling(table).keep_on()
    inlet = polling(table + f'manager = "{producer.site.url}/manager"\n', clock=lambda: datetime.now(UTC))
    inlet.keep_on()
    inlet.keep_on()
    assert producer.said[-1] == "Renew"


def test_a_producer_that_refuses_is_told_and_tried_again(producer: Producer, table: str) -> None:
    producer.site.answers["/producer"] = lambda _: Given(
        ENVELOPE.format(
            "<s:Fault><faultcode>s:TopicNotSupported</faultcode><faultstring>张三</faultstring></s:Fault>"
        ).encode(),
        500,
    )
    with pytest.raises(SourceError, match=r"code TopicNotSupported") as error:
        polling(table).keep_on()
    assert "张三" not in str(error.value)
    inlet = polling(table)
    inlet.start()
    until(lambda: inlet.told().get("problem"))
    inlet.stop(5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('path = "/wsn/lab"', 'path = "lab"'), "begins with"),
        (('topic = "p', 'term = "5s"\ntopic = "p'), "a minute at least"),
        (('url = "http://127.0.0.1', 'url = "http://10.0.0.1'), "plain = true"),
        (('address = "http', 'address = "ftp'), "where the producer reaches us"),
    ],
)
def test_mistakes_of_a_subscription_are_told(table: str, change: tuple[str, str], said: str) -> None:
    assert change[0] in table
    with pytest.raises(ConfigurationProblems, match=said):
        polling(table.replace(*change))
