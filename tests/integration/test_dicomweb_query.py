"""A PACS asked by DICOMweb: Orthanc's plugin answers what it has, every instance comes as its bytes are, and what is wrong is told."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from connectors.arrivals import InboxFull
from connectors.dicomweb.querying import DicomwebPacs
from connectors.pacs import NotThere, Stretch, StudyQuery, TooManyAnswers
from frontend_agent.errors import SourceError, SourceRefused, SourceUnreachable
from tests.dicom_kit import (
    JPEG_BASELINE,
    SECONDARY_CAPTURE,
    data_set,
    data_set_bytes,
    encapsulated,
    file_bytes,
    uid,
)
from tests.orthanc_kit import Orthanc, needs_orthanc, orthanc
from tests.pacs_kit import Shelf
from tests.ports import free_port

DAY = datetime(2026, 9, 30)
WHOLE = StudyQuery(stretch=Stretch(DAY, DAY + timedelta(days=1)))


def asked(shelf: Shelf, url: str, **more: object) -> DicomwebPacs:
    return DicomwebPacs(url, lambda: shelf.begin_file("pacs", sender="web"), **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pacs() -> Iterator[Orthanc]:
    with orthanc() as found:
        for study in range(1, 8):
            hour = f"{8 + study:02d}0000"
            for series, count in ((1, 3), (2, 2)):
                for number in range(1, count + 1):
                    found.add(file_bytes(data_set(study, series, number, StudyTime=hour, pixels=300_000)))
        yield found


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.mark.slow
@needs_orthanc
class TestOrthanc:
    def test_studies_of_a_day_of_an_hour_and_of_a_number_are_found(self, pacs: Orthanc, shelf: Shelf) -> None:
        asking = asked(shelf, pacs.dicomweb)
        day = asking.studies(WHOLE, 100)
        assert {one.study_instance_uid for one in day} == {uid(study) for study in range(1, 8)}
        assert {(one.series, one.instances) for one in day} == {(2, 5)}
        hours = Stretch(DAY + timedelta(hours=10), DAY + timedelta(hours=12))
        found = asking.studies(StudyQuery(stretch=hours), 100)
        assert {(one.study_instance_uid, one.at) for one in found} == {
            (uid(2), DAY + timedelta(hours=10)),
            (uid(3), DAY + timedelta(hours=11)),
        }
        (one,) = asking.studies(StudyQuery(accession_number="A00000004"), 10)
        assert (one.study_instance_uid, one.accession_number) == (uid(4), "A00000004")
        assert asking.studies(StudyQuery(accession_number="NOBODY"), 10) == []

    def test_more_than_were_asked_for_are_not_told(self, pacs: Orthanc, shelf: Shelf) -> None:
        asking = asked(shelf, pacs.dicomweb)
        for most in (1, 3, 6):
            with pytest.raises(TooManyAnswers):
                asking.studies(WHOLE, most)
        assert len(asking.studies(WHOLE, 7)) == 7

    def test_what_a_study_holds_is_counted_by_series(self, pacs: Orthanc, shelf: Shelf) -> None:
        asking = asked(shelf, pacs.dicomweb)
        found = asking.contents(uid(1))
        assert (dict(found.series), found.instances) == ({uid(1, 1): 3, uid(1, 2): 2}, 5)
        with pytest.raises(NotThere):
            asking.contents(uid(99))

    def test_a_study_and_a_series_come_with_their_bytes(self, pacs: Orthanc, shelf: Shelf) -> None:
        asking = asked(shelf, pacs.dicomweb)
        told = asking.retrieve(uid(1))
        assert (told.completed, told.failed, told.problem) == (5, 0, "")
        assert shelf.counts(uid(1)) == {uid(1, 1): 3, uid(1, 2): 2}
        assert shelf.data_set(uid(1, 2, 1)) == data_set_bytes(data_set(1, 2, 1, StudyTime="090000", pixels=300_000))
        assert asking.retrieve(uid(2), uid(2, 2)).completed == 2
        assert shelf.counts(uid(2)) == {uid(2, 2): 2}
        with pytest.raises(NotThere):
            asking.retrieve(uid(99))
        assert not shelf.left_behind

    def test_compressed_pixels_come_as_they_are(self, pacs: Orthanc, shelf: Shelf) -> None:
        made = encapsulated(
            data_set(50, 1, 1, sop_class=SECONDARY_CAPTURE, pixels=0, Rows=8, Columns=8, SamplesPerPixel=1),
            [b"\xff\xd8 no real JPEG, and nobody decodes it \xff\xd9"],
        )
        pacs.add(file_bytes(made, JPEG_BASELINE))
        assert asked(shelf, pacs.dicomweb).retrieve(uid(50)).completed == 1
        assert shelf.kept[uid(50, 1, 1)].header.transfer_syntax_uid == JPEG_BASELINE
        assert shelf.data_set(uid(50, 1, 1)) == data_set_bytes(made, JPEG_BASELINE)

    def test_a_full_disk_ends_the_retrieve_and_leaves_what_is_whole(self, pacs: Orthanc, shelf: Shelf) -> None:
        shelf.room = 2
        with pytest.raises(InboxFull):
            asked(shelf, pacs.dicomweb).retrieve(uid(3))
        assert len(shelf.kept) == 2
        assert not shelf.left_behind

    def test_what_is_too_large_is_refused_and_the_rest_is_kept(self, pacs: Orthanc, shelf: Shelf) -> None:
        pacs.add(file_bytes(data_set(60, 1, 1, pixels=900_000)), file_bytes(data_set(60, 1, 2, pixels=1000)))
        asking = DicomwebPacs(pacs.dicomweb, lambda: shelf.begin_file("pacs", sender="web", largest=500_000))
        told = asking.retrieve(uid(60))
        assert (told.completed, told.failed) == (1, 1)
        assert "larger" in told.problem
        assert set(shelf.kept) == {uid(60, 1, 2)}
        assert not shelf.left_behind


# What a real server does not show: a small one that answers as it is told.

Script = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def scripted() -> Iterator[Callable[[Script], str]]:
    servers: list[ThreadingHTTPServer] = []

    def serve(script: Script) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                script(self)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/dicom-web"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_server_that_tells_fewer_at_a_time_is_asked_on(scripted: Callable[[Script], str], shelf: Shelf) -> None:
    asked_for = []

    def script(handler: BaseHTTPRequestHandler) -> None:
        offset = int(handler.path.partition("offset=")[2] or 0)
        asked_for.append(offset)
        some = [
            f'{{"0020000D": {{"vr": "UI", "Value": ["1.2.{number}"]}}}}' for number in range(offset, min(offset + 3, 8))
        ]
        answer(
            handler,
            200 if some else 204,
            f"[{','.join(some)}]".encode() if some else b"",
            Content_Type="application/dicom+json",
        )

    asking = asked(shelf, scripted(script))
    assert [one.study_instance_uid for one in asking.studies(WHOLE, 20)] == [f"1.2.{number}" for number in range(8)]
    assert asked_for == [0, 3, 6, 8]
    with pytest.raises(TooManyAnswers):
        asking.studies(WHOLE, 7)


def test_a_server_that_has_more_and_does_not_page_is_asked_for_less(
    scripted: Callable[[Script], str], shelf: Shelf
) -> None:
    body = b'[{"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}]'
    warning = '299 "x" "There are 17 additional results that can be requested"'
    url = scripted(lambda handler: answer(handler, 200, body, Content_Type="application/dicom+json", Warning=warning))
    with pytest.raises(TooManyAnswers):
        asked(shelf, url).studies(WHOLE, 100)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, SourceRefused), (403, SourceRefused), (302, SourceRefused), (503, SourceUnreachable), (500, SourceError), (413, TooManyAnswers)],
)  # fmt: skip
def test_what_a_status_means(
    scripted: Callable[[Script], str], shelf: Shelf, status: int, error: type[Exception]
) -> None:
    url = scripted(lambda handler: answer(handler, status, b"patient DOE^JOHN"))
    with pytest.raises(error) as raised:
        asked(shelf, url).studies(WHOLE, 10)
    assert "DOE" not in str(raised.value)


def test_an_answer_that_is_cut_off_keeps_what_was_whole(scripted: Callable[[Script], str], shelf: Shelf) -> None:
    one, two = (file_bytes(data_set(1, 1, number)) for number in (1, 2))
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n--b\r\n\r\n" + two

    def script(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", 'multipart/related; type="application/dicom"; boundary=b')
        handler.send_header("Content-Length", str(len(body) + 100))
        handler.end_headers()
        handler.wfile.write(body[:-500])

    with pytest.raises(SourceUnreachable):
        asked(shelf, scripted(script)).retrieve(uid(1))
    assert set(shelf.kept) == {uid(1, 1, 1)}
    assert not shelf.left_behind


def test_a_server_that_knows_no_star_is_asked_without(scripted: Callable[[Script], str], shelf: Shelf) -> None:
    accepted = []

    def script(handler: BaseHTTPRequestHandler) -> None:
        accepted.append(handler.headers["Accept"])
        if "*" in handler.headers["Accept"]:
            return answer(handler, 406)
        return answer(handler, 200, file_bytes(data_set(1, 1, 1)), Content_Type="application/dicom")

    asking = asked(shelf, scripted(script), authorization=lambda: "Bearer xyz")
    assert asking.retrieve(uid(1)).completed == 1
    assert asking.retrieve(uid(1)).completed == 1  # the same again is no second effect
    assert ["*" in one for one in accepted] == [True, False, False]


def test_nobody_there_is_told(shelf: Shelf) -> None:
    with pytest.raises(SourceUnreachable, match="no connection"):
        asked(shelf, f"http://127.0.0.1:{free_port()}/dicom-web").probe()
