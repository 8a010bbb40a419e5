"""Studies to a region by STOW-RS: Orthanc as the region, and a server that answers badly where no real one does."""

import json
import re
import threading
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from connectors.bandwidth import Bandwidth
from connectors.dicomweb.body import Part, StowBody
from connectors.dicomweb.stow import StowEdge, qido_or_none
from frontend_agent.config_images import CHECKS, StowOutlet
from frontend_agent.config_types import Count
from frontend_agent.delivery import State
from frontend_agent.dicom.part10 import read_meta
from frontend_agent.errors import DestinationUnreachable, NotAllowed
from frontend_agent.imaging.model import ImageDelivery, Settled
from frontend_agent.imaging.sending import StudySender, pause_name
from tests.orthanc_kit import needs_orthanc, orthanc
from tests.sending_kit import Book, Clock, Pauses, study_files

Answers = Callable[[list[str]], tuple[int, Any]]  # SOP Instance UIDs of a request -> status, DICOM JSON


@dataclass
class Region:
    """A STOW-RS and QIDO-RS server that does as it is told."""

    answers: Answers
    requests: list[list[str]] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    lists: list[str] | None = None  # what QIDO-RS lists, where it is not what is held
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)  # as they came


def stored(uids: list[str]) -> tuple[int, Any]:
    return 200, {"00081199": {"vr": "SQ", "Value": [named(uid) for uid in uids]}}


def named(uid: str, **more: int) -> dict[str, Any]:
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    return item | {tag.strip("_"): {"vr": "US", "Value": [value]} for tag, value in more.items()}


@pytest.fixture
def region() -> Iterator[Region]:
    found = Region(stored)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            boundary = re.search("boundary=(.+)$", self.headers["Content-Type"])
            assert boundary
            parts = body.split(b"--" + boundary[1].encode())
            assert parts[-1] == b"--\r\n"
            files = [part.partition(b"\r\n\r\n")[2][:-2] for part in parts[1:-1]]
            uids = [read_meta(file).sop_instance_uid for file in files]
            found.files |= dict(zip(uids, files, strict=True))
            found.requests.append(uids)
            found.headers.append(dict(self.headers.items()))
            status, answer = found.answers(uids)
            if status == 200:
                found.held |= set(uids)
            self._say(status, b"" if answer is None else json.dumps(answer).encode())

        def do_GET(self) -> None:
            page = 3  # smaller than it is asked for
            offset = int(re.search(r"offset=(\d+)", self.path)[1]) if "offset" in self.path else 0  # type: ignore[index]
            uids = sorted(found.held) if found.lists is None else found.lists
            items = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids[offset : offset + page]]
            self._say(200, json.dumps(items).encode())

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}/dicom-web"
    yield found
    server.shutdown()
    server.server_close()


def edge(url: str, **options: Any) -> StowEdge:
    return qido_or_none(
        "region", StowOutlet(type="stow", url=url, timeout=timedelta(seconds=20), **options), lambda name: "s3cret"
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Book:
    return Book(tmp_path, clock)


def sender(outlet: StowEdge, book: Book, clock: Clock, pauses: Pauses | None = None) -> StudySender:
    return StudySender(
        "region",
        outlet.options,
        outlet,
        book,
        pauses or Pauses(),
        clock,
        "Asia/Shanghai",  # type: ignore[arg-type]
    )


def sent(outlet: StowEdge, book: Book, clock: Clock) -> Pauses:
    """Send until nothing is due."""
    pauses = Pauses()
    one = sender(outlet, book, clock, pauses)
    while one.send_once():
        pass
    return pauses


def test_many_instances_go_in_one_request_and_each_is_settled_by_its_own_words(
    region: Region, book: Book, clock: Clock
) -> None:
    files = study_files(5)

    def answers(uids: list[str]) -> tuple[int, Any]:
        return 202, {
            "00081199": {"Value": [named(uids[0]), named(uids[1], _00081196=0xB007)]},
            "00081198": {"Value": [named(uids[2], _00081197=0xA900), named(uids[3], _00081197=0xA700)]},
        }

    region.answers = answers
    book.add(files)
    sender(edge(region.url), book, clock).send_once()
    assert len(region.requests) == 1
    assert book.states() == [State.ACCEPTED, State.ACCEPTED, State.REFUSED, State.WAITING, State.UNCERTAIN]
    assert "0xB007" in book.reasons[2][0]
    assert "0xA900 (the data set does not match the SOP class)" in book.reasons[3][0]


def test_a_recount_proves_what_was_accepted_also_in_small_pages(region: Region, book: Book, clock: Clock) -> None:
    book.add(study_files(7))
    outlet = edge(region.url, at_once=Count(4))
    sent(outlet, book, clock)
    assert [len(uids) for uids in region.requests] == [4, 3]
    assert set(book.states()) == {State.ACCEPTED}
    assert sender(outlet, book, clock).prove_once() == 7
    assert set(book.states()) == {State.DELIVERED}
    assert set(book.proof.values()) == {"qido"}


def test_what_is_missing_in_three_lists_is_sent_again_and_not_for_ever(
    region: Region, book: Book, clock: Clock
) -> None:
    book.add(study_files(3))
    outlet = edge(region.url)
    one = sender(outlet, book, clock)
    one.send_once()
    lost = sorted(region.held)[-1]
    region.lists = sorted(region.held - {lost})
    sends = 1
    for _ in range(12):
        one.prove_once()
        clock.forward(minutes=6)
        sends += bool(one.send_once())
    assert book.states() == [State.DELIVERED, State.DELIVERED, State.ACCEPTED]
    assert sends == 3  # once, and twice again


def test_a_request_that_is_too_large_is_halved_until_it_is_taken(region: Region, book: Book, clock: Clock) -> None:
    region.answers = lambda uids: (413, None) if len(uids) > 2 else stored(uids)
    book.add(study_files(8))
    pauses = sent(edge(region.url), book, clock)
    assert set(book.states()) == {State.ACCEPTED}
    assert not pauses.by_name


def test_one_poisonous_instance_is_found_and_stops_nobody(region: Region, book: Book, clock: Clock) -> None:
    files = study_files(8)
    poison = read_meta(files[5]).sop_instance_uid
    region.answers = lambda uids: (500, None) if poison in uids else stored(uids)
    book.add(files)
    pauses = sent(edge(region.url), book, clock)
    assert book.states() == [State.ACCEPTED] * 5 + [State.BLOCKED] + [State.ACCEPTED] * 2
    assert "refused alone: region answered 500" in book.reasons[6][0]
    assert not pauses.by_name


def test_an_outage_marks_no_instance_bad(region: Region, book: Book, clock: Clock) -> None:
    region.answers = lambda uids: (500, None)
    book.add(study_files(4))
    pauses = Pauses()
    one = sender(edge(region.url), book, clock, pauses)
    for _ in range(5):
        one.send_once()
        clock.forward(minutes=6)
    assert set(book.states()) <= {State.READY, State.WAITING}
    assert pauses.pause(pause_name("region")).blame == "platform"
    region.answers = stored
    for _ in range(5):
        one.send_once()
        clock.forward(minutes=6)
    assert set(book.states()) == {State.ACCEPTED}
    assert not pauses.by_name


@pytest.mark.parametrize(
    ("status", "error"), [(401, NotAllowed), (404, NotAllowed), (302, NotAllowed), (503, DestinationUnreachable)]
)
def test_what_no_instance_is_to_blame_for_leaves_them_ready(
    region: Region, book: Book, clock: Clock, status: int, error: type[Exception]
) -> None:
    region.answers = lambda uids: (status, None)
    study = book.add(study_files(2))
    outlet = edge(region.url)
    settled: list[Settled] = []
    delivery = ImageDelivery(study=study, destination="region", instances=tuple(book.instances(1)), attempts=1)
    with pytest.raises(error):
        outlet.send(delivery, lambda one: book.path(one) or Path(), settled.extend)
    assert not settled
    sender(outlet, book, clock).send_once()
    assert set(book.states()) == {State.READY}


def test_no_answer_leaves_them_uncertain_and_they_go_again(region: Region, book: Book, clock: Clock) -> None:
    region.answers = lambda uids: (504, None)
    book.add(study_files(2))
    one = sender(edge(region.url), book, clock)
    one.send_once()
    assert set(book.states()) == {State.UNCERTAIN}
    region.answers = stored
    clock.forward(minutes=10)
    one.send_once()
    assert set(book.states()) == {State.ACCEPTED}


def test_a_page_of_a_proxy_is_no_answer(region: Region, book: Book, clock: Clock) -> None:
    region.answers = lambda uids: (200, "<html>")
    book.add(study_files(1))
    sender(edge(region.url), book, clock).send_once()
    assert book.states() == [State.UNCERTAIN]


def test_nobody_there_is_the_network_s_fault(book: Book, clock: Clock) -> None:
    book.add(study_files(1))
    pauses = Pauses()
    sender(edge("http://127.0.0.1:9/dicom-web"), book, clock, pauses).send_once()
    assert book.states() == [State.READY]
    assert pauses.pause(pause_name("region")).blame == "network"


def test_the_secret_goes_in_its_header_and_is_not_told(region: Region, book: Book, clock: Clock) -> None:
    book.add(study_files(1))
    outlet = edge(region.url, secret="token", authorization="Bearer {secret}")
    sender(outlet, book, clock).send_once()
    assert region.headers[0]["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in str(outlet.told())


def test_a_file_that_is_gone_is_refused_and_the_others_go(region: Region, book: Book, clock: Clock) -> None:
    book.add(study_files(3))
    book.gone.add(2)
    sender(edge(region.url), book, clock).send_once()
    assert book.states() == [State.ACCEPTED, State.REFUSED, State.ACCEPTED]


def test_windows_and_pauses_hold_sending_back(region: Region, book: Book, clock: Clock) -> None:
    book.add(study_files(1))
    one = sender(edge(region.url, windows=("22:00-06:00",)), book, clock)
    assert one.send_once() == 0  # 10:00 in Shanghai
    clock.forward(hours=13)
    assert one.send_once() == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('windows = ["22:00-06:00"]', ""),
        ('windows = ["night"]', "windows: 'night'"),
        ("connections = 0", "connections"),
    ],
)
def test_settings_that_cannot_work_are_told_at_the_door(line: str, problem: str) -> None:
    options = tomllib.loads(f'type = "stow"\nurl = "https://region/dicom-web"\n{line}')
    options["connections"] = Count(options.get("connections", 2))
    told = list(CHECKS[StowOutlet](StowOutlet(**{**options, "windows": tuple(options.get("windows", ()))})))
    assert [one for one in told if problem and problem in one] == (told if problem else [])
    assert bool(told) is bool(problem)


def test_threads_send_side_by_side_and_prove(region: Region, book: Book) -> None:
    clock = Clock()
    for study in range(1, 5):
        book.add(study_files(10, study=study))
    outlet = edge(region.url, connections=Count(4), at_once=Count(3))
    one = sender(outlet, book, clock)
    one.start()
    try:
        for _ in range(200):
            if set(book.states()) == {State.DELIVERED}:
                break
            threading.Event().wait(0.05)
        assert one.is_well()
    finally:
        one.stop(5.0)
    assert set(book.states()) == {State.DELIVERED}
    assert len({uid for uids in region.requests for uid in uids}) == sum(map(len, region.requests)) == 40


def test_the_body_is_as_long_as_it_says_and_is_read_in_pieces(tmp_path: Path) -> None:
    parts = []
    for number, body in enumerate(study_files(3, pixels=70_000)):
        path = tmp_path / str(number)
        path.write_bytes(body)
        parts.append(Part(path, len(body)))
    whole = StowBody(parts, "x", Bandwidth(0))
    pieces = list(whole)
    assert sum(map(len, pieces)) == len(whole)
    assert b"".join(pieces).count(b"--x\r\nContent-Type: application/dicom\r\n\r\n") == 3
    bounded = StowBody(parts, "x", Bandwidth(80_000_000))
    assert b"".join(bounded) == b"".join(pieces)


def test_connections_share_one_bandwidth() -> None:
    now = [0.0]
    shared = Bandwidth(1000, clock=lambda: now[0])
    assert [shared.due(500), shared.due(500), shared.due(500)] == [0.0, 0.5, 1.0]
    now[0] = 10.0
    assert shared.due(500) == 0.0  # nothing was saved up by the rest


@pytest.mark.slow
@needs_orthanc
def test_orthanc_keeps_the_bytes_and_a_recount_proves_them(book: Book, clock: Clock) -> None:
    files = study_files(20, series=3, pixels=4096)
    book.add(files)
    with orthanc() as server:
        outlet = edge(server.dicomweb, at_once=Count(8))
        outlet.probe()
        pauses = sent(outlet, book, clock)
        assert not pauses.by_name
        assert set(book.states()) == {State.ACCEPTED}
        assert sender(outlet, book, clock).prove_once() == 20
        assert set(book.states()) == {State.DELIVERED}
        kept = server.files()
    # Orthanc keeps a file by STOW-RS as it came.
    assert kept == {read_meta(body).sop_instance_uid: sha256(body).hexdigest() for body in files}


@pytest.mark.slow
@needs_orthanc
def test_orthanc_refuses_what_is_no_instance_and_the_others_are_stored(
    book: Book, clock: Clock, tmp_path: Path
) -> None:
    files = study_files(4)
    book.add(files)
    broken = book.all[3]
    with orthanc() as server:
        outlet = edge(server.dicomweb)
        path = book.path(broken)
        assert path
        path.write_bytes(b"\0" * broken.sent_size)
        sent(outlet, book, clock)
        assert book.state[1] is State.ACCEPTED
        assert book.state[3] in (State.REFUSED, State.BLOCKED)
        assert server.count() == 3
