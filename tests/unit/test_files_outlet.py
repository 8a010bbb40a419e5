"""Documents as files, and files of feedback: laid down whole and once, accepted and not more; later confirmed or reopened."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from openpyxl import Workbook
from pipe import NOW, document, fill, id_of, later

from connectors.folders.naming import Named, file_name
from connectors.folders.reasons import FileRefused
from connectors.outlets import Around, DocumentUnreadable, OpenedDocument
from connectors.outlets.feedback import WithFeedback
from connectors.outlets.files import FilesEdge
from frontend_agent.config import parse_config
from frontend_agent.config_files import FeedbackConfig
from frontend_agent.config_outlets import FolderOutlet, SftpOutlet
from frontend_agent.demo.samples import sample
from frontend_agent.er7 import read
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, NotAllowed
from frontend_agent.feedback import Answers, compile_feedback
from frontend_agent.file_makers import contents
from frontend_agent.formats import load_kind
from frontend_agent.hearing import hear
from frontend_agent.model import Document, Envelope, Outcome
from frontend_agent.outlets import opener
from frontend_agent.packs.content import content_of
from frontend_agent.sending import send_out
from frontend_agent.spool import Spool
from frontend_agent.wire.frames import compressor
from tests.servers import ServerMissing
from tests.sshd import Sshd, sshd

TO = ("region",)
USUAL = "{institution}_{kind}_{document_id}.xml"


def opened(one: Document) -> OpenedDocument:
    if one.key == "unreadable":
        raise DocumentUnreadable("its frame cannot be opened")
    return OpenedDocument(one, f"<document key='{one.key}'/>".encode(), {"a": "1"}, "检验检查记录", "20260930")


AROUND = Around(opened=opened, secret=lambda name: name, clock=lambda: NOW)


def edge(options: FolderOutlet | SftpOutlet, around: Around = AROUND) -> FilesEdge:
    return FilesEdge("region", options, around, contents("region", options, content_of(None), lambda feed: {}, around))


def folder_edge(folder: Path, **settings: Any) -> FilesEdge:
    return edge(FolderOutlet(type="folder", url=folder.as_uri(), **settings))


def outcomes(receipts: Sequence[Any]) -> list[Outcome]:
    return [one.outcome for one in receipts]


def there(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    path.mkdir()
    return path


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state", reserve=0).open() as one:
        yield one


# -- laying down


def test_a_document_is_a_file_with_its_own_bytes_and_accepted_only(folder: Path) -> None:
    one = document("a")
    assert outcomes(folder_edge(folder).send([one])) == [Outcome.ACCEPTED]
    assert there(folder) == [f"330100-H1_C0007_{one.document_id}.xml"]
    assert (folder / there(folder)[0]).read_bytes() == b"<document key='a'/>"


def test_the_same_document_again_is_the_same_file(folder: Path) -> None:
    one = document("a")
    for _ in range(2):
        assert outcomes(folder_edge(folder, marker=".ok", index="i.csv").send([one, one])) == [Outcome.ACCEPTED] * 2
    assert len(there(folder)) == 3
    assert len((folder / "i.csv").read_text().splitlines()) == 2


def test_nothing_that_lies_there_is_replaced(folder: Path) -> None:
    a, b = document("a"), document("b")
    (folder / f"330100-H1_C0007_{a.document_id}.xml").write_text("somebody else's")
    receipts = folder_edge(folder).send([a, b])
    assert outcomes(receipts) == [Outcome.REFUSED, Outcome.ACCEPTED]
    assert "other bytes" in receipts[0].reasons[0]
    assert (folder / f"330100-H1_C0007_{a.document_id}.xml").read_text() == "somebody else's"


def test_folders_by_day_a_marker_and_an_index(folder: Path) -> None:
    a, b = document("a"), document("b")
    settings = {"file_name": "{event_date}/{kind}/{document_id}.xml", "marker": ".ok", "index": "index-{date}.csv"}
    folder_edge(folder, **settings).send([a])
    folder_edge(folder, **settings).send([a, b])  # after a restart
    day = there(folder)[-1].removeprefix("index-").removesuffix(".csv")
    rows = list(csv.DictReader(io.StringIO((folder / f"index-{day}.csv").read_text())))
    assert [row["document_id"] for row in rows] == [a.document_id, b.document_id]
    assert [row["file"] for row in rows] == [f"20260930/C0007/{one.document_id}.xml" for one in (a, b)]
    assert rows[0]["sha256"] == a.sha256
    assert f"20260930/C0007/{a.document_id}.xml.ok" in there(folder)


def test_an_index_whose_last_line_broke_off_goes_on_on_a_line_of_its_own(folder: Path) -> None:
    one = folder_edge(folder, index="i.jsonl")
    one.send([document("a")])
    with (folder / "i.jsonl").open("ab") as file:
        file.write(b'{"file":"half')
    one.send([document("b")])
    lines = (folder / "i.jsonl").read_bytes().splitlines()
    assert len(lines) == 3
    assert msgspec.json.decode(lines[2])["document_id"] == document("b").document_id


def test_one_that_cannot_be_opened_is_refused_and_the_others_go(folder: Path) -> None:
    receipts = folder_edge(folder).send([document("unreadable"), document("b")])
    assert outcomes(receipts) == [Outcome.REFUSED, Outcome.ACCEPTED]


def test_a_folder_that_is_away_or_closed_blames_no_document(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DestinationUnreachable, match="no such folder"):
        folder_edge(tmp_path / "nowhere").send([document("a")])
    with pytest.raises(DestinationUnreachable, match="not mounted"):
        folder_edge(folder, mount=str(folder)).send([document("a")])
    with pytest.raises(NotAllowed):
        folder_edge(Path("/sys/kernel")).probe()
    folder_edge(folder).probe()


def test_the_record_as_json_and_as_hl7(folder: Path) -> None:
    kind = load_kind("C0007")
    record = {key: value for key, value in sample(kind, 1).items() if not key.startswith("fact.")}
    base = document("real")
    body = kind.renderer()(record, Envelope(base.document_id, base.set_id, 1, "20260930120000"))
    whole = msgspec.structs.replace(
        base, frame=compressor(kind.dictionary).compress(body), size=len(body), dictionary=kind.dictionary_sha256
    )
    around = Around(
        opened=opener(content_of(None), lambda name: kind.dictionary), secret=lambda name: name, clock=lambda: NOW
    )
    for format_ in ("cda", "json", "hl7v2"):
        options = FolderOutlet(type="folder", url=folder.as_uri(), format=format_)
        for _ in range(2):
            assert outcomes(edge(options, around).send([whole])) == [Outcome.ACCEPTED]
    cda, hl7, json = (
        (folder / f"330100-H1_C0007_{base.document_id}.{ending}").read_bytes() for ending in ("xml", "hl7", "json")
    )
    assert cda == body
    said = msgspec.json.decode(json)
    assert said["record"]["patient.name"] == record["patient.name"]
    assert (said["document_id"], said["kind"]) == (base.document_id, "C0007")
    assert read(hl7.decode()).value("PID-5.1") == record["patient.name"]


def test_a_value_makes_no_folder_and_no_way_out() -> None:
    values = {"institution": "../../etc", "document_id": "a/b\\c:d", "kind": "..", "date": "x"}
    assert file_name("{institution}_{document_id}.xml", values) == "_.._etc_a_b_c_d.xml"
    assert file_name("{date}/{kind}/{document_id}", values) == "x/_/a_b_c_d"
    assert file_name("{kind}/{institution}", {"kind": ".hidden", "institution": "\0"}) == "hidden/_"


def test_a_documents_id_is_found_in_its_files_name() -> None:
    one = document("a").document_id
    named = Named("{date}/{institution}_{kind}_{document_id}.xml")
    for name in (f"42_01_C0007_{one}.xml", f"C:\\in\\42_C0007_{one}.xml", f"/in/20260930/42_C0007_{one}.xml "):
        assert named.document_id(name) == one
    for name in ("42_C0007_other.xml", f"42_C0007_{one}.json", "", one):
        assert named.document_id(name) == ""


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    try:
        with sshd() as one:
            yield one
    except ServerMissing as missing:
        pytest.skip(str(missing))


def test_the_same_over_sftp(server: Sshd) -> None:
    options = SftpOutlet(
        type="sftp", url=server.url(), key_secret=server.private_key, host_key=(server.fingerprint,),
        file_name="{kind}/{document_id}.xml", marker=".ok", index="i.csv", timeout=timedelta(seconds=20),
    )  # fmt: skip
    one, a, b = edge(options), document("a"), document("b")
    one.probe()
    assert outcomes(one.send([a])) == [Outcome.ACCEPTED]
    server.stop()
    with pytest.raises(DestinationUnreachable):
        one.send([b])
    server.start()
    assert outcomes(one.send([a, b])) == [Outcome.ACCEPTED] * 2
    assert there(server.folder) == sorted(
        ["i.csv", *(f"C0007/{each.document_id}.xml{ending}" for each in (a, b) for ending in ("", ".ok"))]
    )
    assert len((server.folder / "i.csv").read_text().splitlines()) == 3
    wrong = edge(replace(options, host_key=("SHA256:" + "A" * 43,)))
    with pytest.raises(NotAllowed, match="not the pinned one"):
        wrong.probe()


# -- reading feedback

CSV = FeedbackConfig(
    url="file:///f", document="文书编号", verdict="结果", accepted=("1", "成功"), rejected=("0",), again=("9",), reasons=("原因",)
)  # fmt: skip
ONE, TWO, THREE = (document(key).document_id for key in "abc")


def said(answers: Answers) -> list[tuple[str, bool, bool, tuple[str, ...]]]:
    return [(one.document_id, one.stored, one.again, one.reasons) for one in answers.answers]


def test_a_table_in_gbk() -> None:
    text = f"文书编号,结果,原因\n{ONE},成功,\n{TWO},0,患者未注册\n{THREE},9,系统忙\n"
    found = compile_feedback("region", CSV)(text.encode("gbk"))
    assert said(found) == [
        (ONE, True, False, ()),
        (TWO, False, False, ("患者未注册",)),
        (THREE, False, True, ("系统忙",)),
    ]
    assert found.problems == ()


def test_a_workbook_and_names_of_our_files() -> None:
    book, packed = Workbook(), io.BytesIO()
    for row in (("文书编号", "结果", "原因"), (f"H1_C0007_{ONE}.xml", 1, None), ("nobody.xml", 0, "x")):
        book.active.append(row)
    book.save(packed)
    found = compile_feedback("region", replace(CSV, format="xlsx"), USUAL)(packed.getvalue())
    assert said(found) == [(ONE, True, False, ()), ("nobody.xml", False, False, ("x",))]


def test_xml_and_json() -> None:
    xml = FeedbackConfig(
        url="file:///f", format="xml", each="//item", document="id", verdict="@code", accepted=("AA",), rejected=("*",),
        reasons=("why",),
    )  # fmt: skip
    text = f"<r><item code='AA'><id>{ONE}</id></item><item code='AE'><id>{TWO}</id><why>x</why><why>y</why></item></r>"
    assert said(compile_feedback("region", xml)(text.encode())) == [
        (ONE, True, False, ()),
        (TWO, False, False, ("x", "y")),
    ]
    json = FeedbackConfig(
        url="file:///f", format="json", each="$.failed[*]", document="id", rejected=("*",), reasons=("msg",)
    )
    text = msgspec.json.encode({"failed": [{"id": ONE, "msg": "重复"}]})
    assert said(compile_feedback("region", json)(text)) == [(ONE, False, False, ("重复",))]


def test_what_is_not_understood_is_told_by_number_and_the_rest_is_heard() -> None:
    lines = ["文书编号,结果,原因", f"{ONE},1,", f"{TWO},maybe,", ",1,", f"{THREE},1,", f"{THREE},0,x"]
    found = compile_feedback("region", CSV)("\n".join(lines).encode())
    assert [one.document_id for one in found.answers] == [ONE]
    assert [(one.word, one.arguments) for one in found.problems] == [
        ("no_verdict", ("2",)), ("no_document", ("3",)), ("two_verdicts", ("5",)),
    ]  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"other,columns\n1,2\n", b"\xff\xfe\xfa", "文书编号,结果,原因\n".encode()])
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(FileRefused):
        compile_feedback("region", CSV)(content)


def test_paths_are_compiled_at_the_start() -> None:
    for changes in ({"document": "a[", "format": "xml"}, {"delimiter": "||"}, {"each": "//[", "format": "xml"}):
        with pytest.raises(ConfigurationError):
            compile_feedback(
                "region", FeedbackConfig(**{"url": "file:///f", "document": "a", "accepted": ("*",), **changes})
            )


# -- the whole way: accepted, and then confirmed or reopened


class Site:
    """A spool, a folder that documents go to, and one that answers come from."""

    def __init__(self, spool: Spool, folder: Path, **feedback: Any) -> None:
        self.spool, self.folder, self.answers = spool, folder, folder.parent / "answers"
        self.answers.mkdir(exist_ok=True)
        table = {
            "url": self.answers.as_uri(), "whole": "rename", "document": "file", "verdict": "ok", "accepted": ("1",),
            "rejected": ("0",), "again": ("9",), "reasons": ("why",), **feedback,
        }  # fmt: skip
        self.options = FolderOutlet(type="folder", url=folder.as_uri(), feedback=FeedbackConfig(**table))
        self.begin()

    def begin(self) -> None:
        read = compile_feedback("region", self.options.feedback, USUAL)
        self.region = WithFeedback(
            edge(self.options), self.options, AROUND, read, self.spool.picked("feedback:region"), lambda: 0.0
        )

    def send(self) -> None:
        for minute in range(5):
            send_out(self.region, self.spool, later(minutes=minute), random=Random(1), foreign=True)

    def hear(self) -> Any:
        return hear(self.region, self.spool, later(hours=1))

    def states(self) -> dict[str, int]:
        return {state: n for state, n in self.spool.counts().deliveries.get("region", {}).items() if n}

    def say(self, name: str, *lines: str) -> None:
        (self.answers / name).write_text("\n".join(["file,ok,why", *lines]) + "\n")


def file_of(document_id: str) -> str:
    return f"330100-H1_C0007_{document_id}.xml"


def test_feedback_confirms_and_reopens_what_was_accepted(spool: Spool, folder: Path) -> None:
    site = Site(spool, folder)
    a, b, c = fill(spool, "abc", TO)
    site.send()
    assert site.states() == {"accepted": 3}
    assert site.hear() == (0, 0, 0)
    site.say("1.csv", f"{file_of(a)},1,", f"{b},0,患者未注册", f"{file_of(c)},9,lost")
    assert site.hear() == (0, 1, 2)
    assert site.states() == {"delivered": 1, "refused": 1, "ready": 1}
    assert there(site.answers) == ["done/2026-09-30/1.csv"]
    kept = {one.document_id: one for one in spool.receipts()}
    assert kept[b].reasons == ("患者未注册",)
    assert kept[a].reasons[0].startswith("feedback file, sha256 ")
    site.send()
    assert site.states()["accepted"] == 1, "the same file lies there, and nothing was made twice"
    assert len(there(folder)) == 3


def test_answers_about_others_are_told_and_the_rest_is_heard(spool: Spool, folder: Path) -> None:
    site = Site(spool, folder)
    (a,) = fill(spool, "a", TO)
    site.send()
    site.say("1.csv", f"{id_of('z')},1,", f"{a},1,", "张三.xml,0,x")
    assert site.hear().confirmed == 1
    assert there(site.answers) == ["refused/1.csv", "refused/1.csv.reason.txt"]
    told = (site.answers / "refused/1.csv.reason.txt").read_text("utf-8-sig")
    assert "Answer 1 is about no document that we delivered there." in told
    assert "Answer 3 is about no document" in told
    assert "其余 1 条已采用" in told
    assert "张三" not in told


def test_nothing_is_put_away_that_was_not_heard(spool: Spool, folder: Path) -> None:
    """We die between what is said and what is kept, and between that and putting away."""
    site = Site(spool, folder)
    a, b = fill(spool, "ab", TO)
    site.send()
    site.say("1.csv", f"{a},1,", f"{b},9,lost")
    assert len(site.region.ask([])) == 2
    assert there(site.answers) == ["1.csv"]
    site.begin()
    site.region.heard = lambda told_by: None  # type: ignore[method-assign]
    assert site.hear() == (0, 1, 1)
    assert there(site.answers) == ["1.csv"]
    site.begin()
    site.hear()
    assert there(site.answers) == ["done/2026-09-30/1.csv"]
    assert site.states() == {"delivered": 1, "ready": 1}


def test_what_is_no_feedback_is_refused_and_holds_nobody(spool: Spool, folder: Path) -> None:
    site = Site(spool, folder)
    (a,) = fill(spool, "a", TO)
    site.send()
    (site.answers / "0.csv").write_text("no such columns\n1\n")
    site.say("1.csv", f"{a},1,")
    assert site.hear().confirmed == 1
    assert there(site.answers) == ["done/2026-09-30/1.csv", "refused/0.csv", "refused/0.csv.reason.txt"]


def test_answers_that_may_not_be_moved_are_heard_once(spool: Spool, folder: Path) -> None:
    site = Site(spool, folder, after="leave")
    (a,) = fill(spool, "a", TO)
    site.send()
    site.say("1.csv", f"{a},9,lost")
    assert site.hear().reopened == 1
    site.send()
    site.begin()
    assert site.hear().reopened == 0
    assert site.states() == {"accepted": 1}


def test_an_outlet_that_can_be_asked_is_asked_at_its_own_pace(spool: Spool, folder: Path) -> None:
    site = Site(spool, folder)

    class Asked:
        name, at_once = "region", 0
        asks_every, asks_first, asks_until = timedelta(minutes=10), timedelta(minutes=2), timedelta(days=1)

        def __init__(self) -> None:
            self.asked: list[int] = []

        def ask(self, documents: Sequence[Document]) -> list[Any]:
            self.asked.append(len(documents))
            return []

    inner, now = Asked(), [0.0]
    read: Callable[[bytes], Answers] = compile_feedback("region", site.options.feedback, USUAL)
    both = WithFeedback(inner, site.options, AROUND, read, None, lambda: now[0])  # type: ignore[arg-type]
    assert (both.asks_every, both.asks_first) == (timedelta(seconds=5), timedelta(minutes=2))
    for now[0] in (0.0, 5.0, 10.0, 601.0):
        both.ask([document("a")])
    assert inner.asked == [1, 1]


# -- settings


def test_settings_from_a_file(tmp_path: Path) -> None:
    config = parse_config(TEXT.format(more=FEEDBACK), folder=tmp_path)
    region = config.destinations["region"]
    assert isinstance(region, SftpOutlet)
    assert region.feedback.known_hosts == str(tmp_path / "hosts")
    assert region.feedback.accepted == ("1",)


TEXT = """
[institution]
id = "4201"
name = "x"
[sources.his]
url = "sqlite:///his.db"
[[feeds]]
name = "labs"
source = "his"
mapping = "demo_lis/lab_report"
[destinations.region]
type = "sftp"
url = "sftp://u@h/in"
secret = "x"
host_key = ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
{more}
"""
FEEDBACK = """
[destinations.region.feedback]
url = "sftp://u@h/answers"
known_hosts = "hosts"
document = "id"
verdict = "ok"
accepted = ["1"]
"""


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ('file_name = "{kind}.xml"', "two documents must not have one name"),
        ('file_name = "../{document_id}.xml"', "below the folder"),
        ('file_name = "{document_id}-{patient}.xml"', "unknown {patient}"),
        ('index = "i.xlsx"', "index must end in .csv or .jsonl"),
        ('index = "{document_id}.csv"', "is no index"),
        ('marker = "ok"', "marker 'ok' must be an ending"),
        ('[destinations.region.feedback]\nurl = "sftp://u@h/answers"', "document is missing"),
        (FEEDBACK.replace('verdict = "ok"', ""), "without verdict"),
        (FEEDBACK + 'rejected = ["1"]', "means two things"),
        (FEEDBACK.replace("sftp://", "ftp://"), "url is not a folder"),
        (FEEDBACK + 'each = "//a"', "each is for xml and json"),
    ],
)
def test_mistakes_are_told(more: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        parse_config(TEXT.format(more=more))
    assert problem in "\n".join(getattr(told.value, "problems", [str(told.value)]))
