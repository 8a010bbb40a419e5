"""rest-poll against a real HTTP server: pages, marks, patience, and doors that stay shut."""

import json
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.arrivals import InboxFull
from frontend_agent.config import ConfigurationProblems
from frontend_agent.errors import ConfigurationError, SourceError, SourceRefused, SourceUnreachable
from frontend_agent.reading.errors import Unreadable
from frontend_agent.receiving import Receiving
from tests.fetching_kit import NOW, Asked, Clock, Given, Inbox, Site, configured, polling
from tests.messages_kit import Site as Laboratory
from tests.messages_kit import report, run
from tests.mllp_kit import Authority, Pem


@pytest.fixture
def site() -> Any:
    with Site() as site:
        yield site


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": number, "at": f"2026-11-21 12:{number:02}:00", "v": "1.50"} for number in numbers]


PAGED = """
type = "rest-poll"
url = "{url}/results"
parameters = {{ from = "{{since}}", to = "{{until}}", page = "{{page}}", size = "{{limit}}" }}
paging = "page"
each = "$.data.list[*]"
watermark = "at"
limit = 2
start = "2026-11-20"
success = {{ "$.code" = ["0"] }}
"""


def paged(numbers: list[int]) -> Any:
    def answer(asked: Asked) -> Given:
        page, size = int(asked.query["page"]), int(asked.query["size"])
        wanted = [row for row in rows(*numbers) if row["at"] >= asked.query["from"]]
        return Site.json({"code": 0, "data": {"list": wanted[(page - 1) * size : page * size]}})

    return answer


def test_pages_are_read_to_their_end_and_each_row_is_a_message(site: Site) -> None:
    site.answers["/results"] = paged([1, 2, 3, 4, 5])
    inbox = Inbox()

    assert polling(PAGED.format(url=site.url), inbox).fetch() == 5

    assert [json.loads(body)["id"] for body in inbox.bodies] == [1, 2, 3, 4, 5]
    assert inbox.bodies[0] == b'{"id":1,"at":"2026-11-21 12:01:00","v":"1.50"}'
    assert site.asked[0].query["from"] == "2026-11-19 23:50:00"  # the start, less the overlap
    assert site.asked[0].query["to"] == "2026-11-21 13:00:00"  # now, as the hospital's clock shows it


def test_the_next_round_begins_at_the_newest_row_less_the_overlap(site: Site) -> None:
    numbers = [1, 2, 3]
    site.answers["/results"] = paged(numbers)
    inbox, clock = Inbox(), Clock()
    fetcher = polling(PAGED.format(url=site.url), inbox, clock)
    fetcher.fetch()
    calls, site.asked = inbox.calls, []
    numbers.append(4)

    assert fetcher.fetch() == 1

    assert site.asked[0].query["from"] == "2026-11-21 11:53:00"
    assert inbox.calls == calls + 1, "what is known to be kept is not handed over again"
    assert fetcher.told()["mark"] == "time 2026-11-21T04:04:00+00:00"


def test_a_new_process_goes_on_from_the_mark_that_was_kept(site: Site) -> None:
    numbers = [1, 2, 3]
    site.answers["/results"] = paged(numbers)
    inbox = Inbox()
    first = polling(PAGED.format(url=site.url), inbox)
    first.fetch()
    numbers.append(9)
    first.fetch()
    site.asked = []

    assert polling(PAGED.format(url=site.url), inbox).fetch() == 0

    assert site.asked[0].query["from"] == "2026-11-21 11:53:00", "of the round before: it came with message 9"


def test_now_stays_the_moment_of_the_first_start(site: Site) -> None:
    """The source is down for a day, and the process starts anew: what was written meanwhile is read all the same."""
    table = f'type = "rest-poll"\nurl = "{site.url}/r"\nparameters = {{ from = "{{since}}" }}\neach = "$.rows[*]"\n'
    inbox, clock = Inbox(), Clock()
    with pytest.raises(SourceRefused):
        polling(table, inbox, clock).fetch()
    clock.now += timedelta(days=1)
    site.answers["/r"] = lambda _: Site.json({"rows": []})
    fetcher = polling(table, inbox, clock)
    fetcher.fetch()
    assert site.asked[-1].query["from"] == "2026-11-21 12:50:00"
    assert inbox.mark == f"time {NOW.isoformat()}", "nothing came: asked again after a restart"
    clock.now += timedelta(minutes=11)
    fetcher.fetch()
    assert inbox.mark == f"time {clock.now.isoformat()}", "but not of all that was quiet"


def test_days_off_are_kept(site: Site) -> None:
    asked: list[Any] = []
    fetcher = polling(
        f'type = "rest-poll"\nurl = "{site.url}/r"\ndays = "working"\n',
        has_day=lambda day, days: asked.append((day.isoformat(), days)) is not None,
    )
    fetcher.start()
    time.sleep(0.2)
    told = fetcher.told()
    fetcher.stop(5)
    assert asked[0] == ("2026-11-21", "working")
    assert told["resting_until"].startswith("2026-11-22T00:00")
    assert site.asked == []


def test_an_inbox_that_is_full_loses_nothing(site: Site) -> None:
    site.answers["/results"] = paged([1, 2, 3])
    inbox = Inbox()
    inbox.full = 1
    fetcher = polling(PAGED.format(url=site.url), inbox)
    with pytest.raises(InboxFull):
        fetcher.fetch()

    assert fetcher.fetch() == 3


def test_rows_that_move_between_pages_are_not_missed(site: Site) -> None:
    """Row 1 is changed while page 1 is read: row 3 moves to page 1 and would be seen by nobody."""
    listed = [1, 2, 3, 4]

    def answer(asked: Asked) -> Given:
        page = int(asked.query["page"])
        found = rows(*listed[(page - 1) * 2 : page * 2])
        if len(site.asked) == 1:
            listed[:] = [2, 3, 4, 1]
        return Site.json({"code": 0, "data": {"list": found}})

    site.answers["/results"] = answer
    inbox = Inbox()
    polling(PAGED.format(url=site.url), inbox).fetch()

    assert sorted(json.loads(body)["id"] for body in inbox.bodies) == [1, 2, 3, 4]


def test_a_date_in_the_future_does_not_end_the_reading(site: Site) -> None:
    future = {"id": 7, "at": "2099-01-01 00:00:00"}
    site.answers["/results"] = lambda asked: Site.json(
        {"code": 0, "data": {"list": [future] if asked.query["page"] == "1" else []}}
    )
    fetcher = polling(PAGED.format(url=site.url))
    fetcher.fetch()

    assert fetcher.told()["mark"] == f"time {NOW.isoformat()}"


def test_watermarks_that_nobody_can_read_are_told(site: Site) -> None:
    site.answers["/results"] = lambda asked: Site.json(
        {"code": 0, "data": {"list": [{"at": "21/11/2026"}] if asked.query["page"] == "1" else []}}
    )
    inbox = Inbox()
    with pytest.raises(SourceError, match="no message has a watermark written as %Y"):
        polling(PAGED.format(url=site.url), inbox).fetch()
    assert len(inbox.kept) == 1, "and what came is kept all the same"


def test_an_answer_of_200_that_says_no_is_no_success(site: Site) -> None:
    site.answers["/results"] = lambda _: Site.json({"code": 500, "msg": "张三的报告不存在"})
    with pytest.raises(SourceError, match=r"no success \(code 500\)") as error:
        polling(PAGED.format(url=site.url)).fetch()
    assert "张三" not in str(error.value)


@pytest.mark.parametrize("style", ["link", "next"])
def test_next_pages_are_followed_at_the_same_origin_only(site: Site, style: str) -> None:
    hostile = {"to": ""}

    def answer(asked: Asked) -> Given:
        number = int(asked.query.get("n", 1))
        onward = hostile["to"] or (f"/r?n={number + 1}" if number < 3 else "")
        link = {"Link": f'<{onward}>; rel="next", </r?n=9>; rel="last"'} if onward and style == "link" else {}
        return Site.json({"rows": rows(number), "next": onward if style == "next" else ""}, **link)

    site.answers["/r"] = answer
    table = f'type = "rest-poll"\nurl = "{site.url}/r"\neach = "$.rows[*]"\npaging = "{style}"\ncursor = "$.next"\n'
    inbox = Inbox()
    assert polling(table, inbox).fetch() == 3
    for onward in ("http://169.254.169.254/latest/meta-data", f"http://localhost:{site.port}/r", "file:///etc/passwd", "//evil.example/r"):  # fmt: skip
        hostile["to"] = onward
        with pytest.raises(SourceRefused, match="it is not asked"):
            polling(table).fetch()


def test_a_feed_of_changes_goes_on_from_its_cursor(site: Site) -> None:
    def answer(asked: Asked) -> Given:
        at = int(asked.query.get("cursor", 0))
        return Site.json(
            {"rows": rows(*range(at + 1, min(at + 2, 5) + 1)), "cursor": str(min(at + 2, 5)), "more": at < 4}
        )

    site.answers["/changes"] = answer
    table = f"""
type = "rest-poll"
url = "{site.url}/changes"
parameters = {{ cursor = "{{cursor}}" }}
each = "$.rows[*]"
paging = "cursor"
cursor = "$.cursor"
keep_cursor = true
more = {{ "$.more" = ["true"] }}
"""
    inbox = Inbox()
    assert polling(table, inbox).fetch() == 5
    assert inbox.mark == "cursor 5"
    site.asked = []
    assert polling(table, inbox).fetch() == 0
    assert site.asked[0].query == {"cursor": "5"}


def test_what_has_not_changed_is_not_told_again(site: Site) -> None:
    def answer(asked: Asked) -> Given:
        if asked.headers.get("if-none-match") == '"v1"':
            return Given(status=304)
        return Site.json({"rows": rows(1)}, ETag='"v1"')

    site.answers["/r"] = answer
    inbox = Inbox()
    fetcher = polling(f'type = "rest-poll"\nurl = "{site.url}/r"\neach = "$.rows[*]"\n', inbox)
    inbox.full = 1
    with pytest.raises(InboxFull):
        fetcher.fetch()
    assert fetcher.fetch() == 1, "what was not kept is asked for without If-None-Match"
    assert fetcher.fetch() == 0
    assert site.asked[-1].headers["if-none-match"] == '"v1"'


def test_patience_that_is_asked_for_is_given(site: Site) -> None:
    from connectors.fetching.calling import ComeLater

    site.answers["/r"] = lambda _: Given(status=429, headers={"Retry-After": "120"})
    with pytest.raises(ComeLater) as error:
        polling(f'type = "rest-poll"\nurl = "{site.url}/r"\n').fetch()
    assert error.value.seconds == 120


@pytest.mark.parametrize(("status", "kind"), [(500, SourceUnreachable), (503, SourceUnreachable), (401, SourceRefused), (404, SourceRefused), (302, SourceRefused)])  # fmt: skip
def test_what_a_status_means(site: Site, status: int, kind: type[Exception]) -> None:
    site.answers["/r"] = lambda _: Given(status=status, headers={"Location": site.url + "/elsewhere"})
    with pytest.raises(kind, match=str(status)):
        polling(f'type = "rest-poll"\nurl = "{site.url}/r?name=张三"\n').fetch()
    assert {asked.path for asked in site.asked} == {"/r"}, "a redirect is not followed"


def test_a_bomb_is_measured_after_it_was_unpacked(site: Site) -> None:
    site.answers["/r"] = lambda _: Site.packed(b'{"a": "' + b"x" * (64 << 20) + b'"}')
    began = time.monotonic()
    with pytest.raises(SourceError, match="more than 1048576 bytes"):
        polling(f'type = "rest-poll"\nurl = "{site.url}/r"\nlargest_answer = "1 MiB"\n').fetch()
    assert time.monotonic() - began < 5


def test_an_answer_that_drips_is_cut(site: Site) -> None:
    import socket
    import threading

    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        line, _ = listener.accept()
        line.recv(4096)
        try:
            for letter in b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100:
                line.send(bytes([letter]))
                time.sleep(0.1)
        except OSError:
            pass

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(SourceUnreachable, match="no whole answer within 1 s"):
        polling(f'type = "rest-poll"\nurl = "http://127.0.0.1:{listener.getsockname()[1]}/r"\ntimeout = "1s"\n').fetch()
    assert time.monotonic() - began < 10
    listener.close()


def test_credentials_are_shown_and_never_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.answers["/r"] = lambda _: Site.json({})
    base = f'type = "rest-poll"\nurl = "{site.url}/r"\n[inlets.his.credentials]\nsecret = "his-key"\n'
    polling(base + 'kind = "basic"\nuser = "agent"', secret="pass").fetch()
    assert site.asked[-1].headers["authorization"] == "Basic YWdlbnQ6cGFzcw=="
    polling(base + 'kind = "bearer"', secret="token").fetch()
    assert site.asked[-1].headers["authorization"] == "Bearer token"
    polling(base + 'kind = "token"\nname = "X-Key"', secret="token").fetch()
    assert site.asked[-1].headers["x-key"] == "token"
    with caplog.at_level("DEBUG"):
        polling(base + 'kind = "token"\nname = "key"\nin = "query"', secret="tok en").fetch()
    assert site.asked[-1].query == {"key": "tok en"}
    # what libraries write for themselves goes nowhere (frontend_agent/logs.py)
    assert not [one for one in caplog.records if one.name == "frontend_agent" and "tok" in one.getMessage()]


def test_a_signature_is_one_that_the_other_side_can_make(site: Site) -> None:
    import hashlib
    import hmac

    site.answers["/r"] = lambda _: Site.json({})
    table = f"""
type = "rest-poll"
url = "{site.url}/r"
method = "POST"
body = '{{"from": "{{since}}"}}'
[inlets.his.credentials]
kind = "signature"
user = "app1"
secret = "his-key"
name = "X-Sign"
signed = "{{user}}|{{timestamp}}|{{nonce}}|{{body}}"
beside = {{ X-App = "{{user}}", X-Time = "{{timestamp}}", X-Nonce = "{{nonce}}" }}
"""
    polling(table, secret="k").fetch()
    asked = site.asked[-1]
    assert json.loads(asked.body) == {"from": "2026-11-21 12:50:00"}
    text = f"app1|{asked.headers['x-time']}|{asked.headers['x-nonce']}|{asked.body.decode()}"
    assert asked.headers["x-sign"] == hmac.new(b"k", text.encode(), hashlib.sha256).hexdigest()
    assert asked.headers["x-time"] == str(int(NOW.timestamp() * 1000))


def test_client_credentials_fetch_a_token_once_and_anew_when_it_is_refused(site: Site) -> None:
    tokens = iter(["one", "two"])
    site.answers["/token"] = lambda asked: Site.json({"access_token": next(tokens), "expires_in": 3600})
    good = {"token": "one"}
    site.answers["/r"] = lambda asked: (
        Site.json({}) if asked.headers["authorization"] == f"Bearer {good['token']}" else Given(status=401)
    )
    fetcher = polling(
        f'type = "rest-poll"\nurl = "{site.url}/r"\n[inlets.his.credentials]\nkind = "oauth2"\nuser = "agent"\n'
        f'secret = "key"\ntoken_url = "{site.url}/token"\nscope = "system/*.read"\n'
    )
    fetcher.fetch()
    fetcher.fetch()
    good["token"] = "two"
    with pytest.raises(SourceRefused):
        fetcher.fetch()
    fetcher.fetch()
    assert [asked.path for asked in site.asked].count("/token") == 2
    assert next(asked for asked in site.asked if asked.path == "/token").form["scope"] == "system/*.read"


def test_nothing_comes_from_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    site.answers["/r"] = lambda _: Site.json({})
    polling(f'type = "rest-poll"\nurl = "{site.url}/r"\n').fetch()
    assert len(site.asked) == 1


def test_a_name_that_leads_to_this_machine_is_not_called(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1", *a, **k))
    with pytest.raises(SourceRefused, match="leads to this machine"):
        polling(f'type = "rest-poll"\nurl = "http://his.hospital.example:{site.port}/r"\nplain = true\n').fetch()
    assert site.asked == []


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("10.1.2.3", True), ("192.168.0.9", True), ("2001:db8::1", True), ("fd00::1", True), ("8.8.8.8", True),
        ("169.254.169.254", False), ("fe80::1%eth0", False), ("224.0.0.1", False), ("0.0.0.0", False),
        ("::ffff:169.254.1.1", False), ("::1", False), ("127.8.8.8", False), ("::", False),
    ],
)  # fmt: skip
def test_which_addresses_are_called(address: str, may: bool) -> None:
    from connectors.fetching.calling import forbidden

    assert (forbidden(address, False) == "") is may


def test_a_protected_window_is_kept(site: Site) -> None:
    fetcher = polling(f'type = "rest-poll"\nurl = "{site.url}/r"\nprotected = ["12:30-13:30"]\nevery = "1s"\n')
    fetcher.start()
    time.sleep(0.3)
    assert fetcher.told()["resting_until"].startswith("2026-11-21T13:30")
    fetcher.stop(5)
    assert site.asked == []


def test_a_thread_asks_every_so_often_and_goes_on_after_failures(site: Site) -> None:
    inbox = Inbox()
    site.answers["/r"] = lambda _: Site.json({"rows": rows(len(site.asked))})
    fetcher = polling(f'type = "rest-poll"\nurl = "{site.url}/r"\neach = "$.rows[*]"\nevery = "1s"\n', inbox)
    fetcher.start()
    end = time.monotonic() + 30
    while len(inbox.kept) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    fetcher.stop(5)
    assert len(inbox.kept) >= 2
    told = fetcher.told()
    assert told["messages"] == len(inbox.kept)
    assert told["problem"] == ""


def test_failures_wait_longer_each_time() -> None:
    fetcher = polling('type = "rest-poll"\nurl = "http://127.0.0.1:9/r"\n')
    fetcher._chance = lambda: 0.0
    assert [fetcher._failed(n, "x", 0.0) for n in (1, 2, 3, 9, 99)] == [5, 10, 20, 600, 600]
    assert fetcher._failed(1, "x", 120.0) == 120


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('url = "http://his.example/r"', "plain = true"),
        ('url = "https://u:p@his.example/r"', "do not belong in an address"),
        ('paging = "page"', "needs {page}"),
        ('paging = "cursor"', "needs the path of the next one"),
        ('start = "yesterday"', "neither"),
        ('watermark_type = "number"\nwatermark = "id"', "start: the number"),
        ('body = "{}"', 'need method = "POST"'),
        ('protected = ["00:00-12:00", "12:00-24:00"]', "no minute of the day"),
        ('credentials = { kind = "basic" }', "needs user"),
        ('url = "https://his.example/r?since={sinse}"', "unknown name {sinse}"),
        ('each = "$..rows"', "each: path"),
    ],
)
def test_mistakes_are_told_before_anything_starts(line: str, said: str) -> None:
    url = "" if line.startswith("url") else 'url = "https://his.example/r"\n'
    with pytest.raises((ConfigurationProblems, Exception), match=said.replace("{", r"\{").replace("}", r"\}")):
        polling(f'type = "rest-poll"\n{url}{line}\n')


def test_a_time_is_written_as_the_source_writes_it() -> None:
    from zoneinfo import ZoneInfo

    from connectors.fetching.templates import read_time, written_time

    zone = ZoneInfo("Asia/Shanghai")
    for form in ("iso", "seconds", "milliseconds", "%Y%m%d%H%M%S"):
        assert read_time(written_time(NOW, form, zone), form, zone) == NOW
    assert read_time("2026-11-21T05:00:00Z", "iso", zone) == NOW
    assert datetime(2026, 11, 21, 5, tzinfo=UTC) + timedelta(0) == NOW


def test_settings_are_read_as_the_rest_of_the_file() -> None:
    config = configured('type = "rest-poll"\nurl = "https://his.example/r"\nca = "his.pem"\n')
    assert config.ca.endswith("his.pem")
    assert config.every == timedelta(minutes=1)


# -- TLS --------------------------------------------------------------------------------------------------------------


def test_certificates_are_checked_and_shown(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    server, ours = authority.certificate("his"), authority.certificate("agent")
    late = authority.certificate("late", days=-1)

    def asked(pem: Pem, *lines: str) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.pem))
        context.load_cert_chain(pem.certificate, pem.key)
        context.verify_mode = ssl.CERT_REQUIRED
        with Site(context) as site:
            site.answers["/r"] = lambda _: Site.json({})
            url = f'type = "rest-poll"\nurl = "{site.url}/r"\n'
            polling(url + "\n".join(f'{key} = "{value}"' for key, value in (line.split("=") for line in lines))).fetch()

    mine = (f"certificate={ours.certificate}", f"key={ours.key}")
    asked(server, f"ca={authority.pem}", *mine)
    for pem, *lines in (
        (server, *mine),  # of an authority that this machine does not know
        (server, f"ca={stranger.pem}", *mine),
        (late, f"ca={authority.pem}", *mine),
        (server, f"ca={authority.pem}"),  # without ours
    ):
        with pytest.raises((SourceRefused, SourceUnreachable)):
            asked(pem, *lines)
    with pytest.raises(ConfigurationError, match=r"inlets\.his\.ca"):
        asked(server, f"ca={tmp_path / 'nowhere.pem'}", *mine)
    with pytest.raises(ConfigurationError, match=r"inlets\.his\.certificate"):
        asked(server, f"ca={authority.pem}", f"certificate={ours.key}", f"key={ours.key}")


# -- all the way ------------------------------------------------------------------------------------------------------


class Polled(Laboratory):
    """The site whose laboratory pushes, polled instead."""

    def config(self) -> str:
        table = f'type = "rest-poll"\nurl = "{self.more}/oru"\neach = "$.messages[*]"\n'
        return super().config().replace('type = "mllp"\nport = 0\n', table).replace(self.more + "\n", "\n")


@pytest.mark.parametrize("again", [1, 3])
def test_what_is_fetched_becomes_documents(site: Site, tmp_path: Path, again: int) -> None:
    """A list of HL7 v2 messages in JSON; a report that was preliminary is final in the next answer."""
    messages = [report("R1"), report("R2", "P"), b"no HL7 at all"]
    site.answers["/oru"] = lambda _: Site.json({"messages": [one.decode() for one in messages]})
    polled = Polled(tmp_path, more=site.url)
    with polled.app() as app:
        for _ in range(again):
            receiving = Receiving(app, lambda name, more: app.run_feed(name, threading.Event()))
            assert [str(error) for _, error in receiving.fetch()] == []
            receiving.stop(5)
        assert run(app) == {"documents": 1, "not_final": 1}
        messages[1] = report("R2", "F")
        receiving = Receiving(app, lambda name, more: app.run_feed(name, threading.Event()))
        assert list(receiving.fetch()) == []
        receiving.stop(5)
        assert run(app) == {"documents": 1}
        counts = app.spool.inbox.counts()["lis"]
    assert counts == {"taken": 3, "unreadable": 1}


def test_numbers_go_on_from_the_newest_less_some(site: Site) -> None:
    listed = list(range(1, 8))

    def answer(asked: Asked) -> Given:
        since = int(asked.query["after"])
        return Site.json({"rows": [{"id": n} for n in listed if n >= since][:3]})

    site.answers["/r"] = answer
    table = f"""
type = "rest-poll"
url = "{site.url}/r"
parameters = {{ after = "{{since}}", size = "{{limit}}" }}
each = "$.rows[*]"
watermark = "id"
watermark_type = "number"
paging = "since"
limit = 3
start = "4"
back = 2
ordered = true
"""
    inbox = Inbox()
    polling(table, inbox).fetch()
    assert [json.loads(body)["id"] for body in inbox.bodies] == [2, 3, 4, 5, 6, 7]
    assert inbox.mark == "number 7"
    site.asked = []
    listed.append(8)
    assert polling(table, inbox).fetch() == 1
    assert site.asked[0].query["after"] == "5"


@pytest.mark.parametrize(
    "body",
    [
        b'{"rows": [' + b"[" * 400 + b"]" * 400 + b"]}",
        b'{"rows": [' + b"[" * 90_000,
        b"\xff\xfe",
        b'{"rows": [1e400000000]}',
    ],
)
def test_hostile_json_ends_a_round_and_nothing_else(site: Site, body: bytes) -> None:
    site.answers["/r"] = lambda _: Given(body)
    inbox = Inbox()
    fetcher = polling(f'type = "rest-poll"\nurl = "{site.url}/r"\neach = "$.rows[*]"\n', inbox)
    with suppress(Unreadable):
        fetcher.fetch()
    site.answers["/r"] = lambda _: Site.json({"rows": rows(1)})
    assert fetcher.fetch() == 1
