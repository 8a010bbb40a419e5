"""Who comes in at the console, and what its pages are made of: passwords, codes, sessions, the door, what needs attention."""

import asyncio
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message

from frontend_agent import passwords
from frontend_agent.app import App
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.console.attention import attention
from frontend_agent.console_operations import NotIn
from frontend_agent.guarding import Guard, headers, host_of
from frontend_agent.operations import operations
from frontend_agent.people import Person, Role, anybody
from frontend_agent.sessions import Sessions

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WANG = Person("王芳", frozenset({Role.SYSTEM}), "wangfang")
SECRET = b"12345678901234567890"  # RFC 6238, appendix B


# --- passwords and codes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    assert passwords.code_at(SECRET, seconds // passwords.STEP) == code
    assert passwords.step_of(SECRET, f"{code[:3]} {code[3:]}", seconds, used=0) == seconds // passwords.STEP


def test_a_code_is_good_once_and_near_its_time_alone() -> None:
    step = 1_000_000
    code, seconds = passwords.code_at(SECRET, step), step * passwords.STEP + 5.0
    assert passwords.step_of(SECRET, code, seconds, used=step - 1) == step
    assert passwords.step_of(SECRET, code, seconds, used=step) is None
    assert passwords.step_of(SECRET, code, seconds + passwords.STEP, used=0) == step
    assert passwords.step_of(SECRET, code, seconds + 3 * passwords.STEP, used=0) is None


@pytest.mark.parametrize("code", ["", "１２３４５６", "12345", "abcdef", "１", "\x00", "1" * 500])
def test_what_is_no_code_is_none(code: str) -> None:
    assert passwords.step_of(SECRET, code, 1e9, used=0) is None


def test_a_password_is_kept_so_that_it_proves_itself_and_says_nothing() -> None:
    kept = passwords.keep("Tianqi 2026 zhen hao", b"0" * 16)
    assert "Tianqi" not in kept
    assert passwords.is_password("Tianqi 2026 zhen hao", kept)
    assert not passwords.is_password("Tianqi 2026 zhen hao ", kept)
    assert kept != passwords.keep("Tianqi 2026 zhen hao", b"1" * 16)


@pytest.mark.parametrize(
    ("password", "is_taken"),
    [
        ("Qx7-pipe-lamp", True),
        ("correct horse battery staple", True),  # long, and of one kind
        ("short-1A", False),
        ("alllowercase", False),
        ("Wangfang-2026", False),  # holds the name
        ("Aa1!Aa1!Aa1!", False),
    ],
)
def test_weak_passwords_are_not_taken(password: str, is_taken: bool) -> None:
    assert (not passwords.weakness(password, "wangfang")) == is_taken


def test_an_authenticator_gets_the_secret_it_needs() -> None:
    assert passwords.secret_text(b"Hello!\xde\xad\xbe\xef") == "JBSWY3DPEHPK3PXP"  # the format's own example
    assert passwords.provisioning(b"Hello!\xde\xad\xbe\xef", "王芳", "前置机").startswith("otpauth://totp/%E5%89%8D")


# --- sessions ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def sessions() -> Sessions[Person]:
    tokens = iter(f"token-{number}" for number in range(10_000))
    return Sessions(timedelta(minutes=30), timedelta(hours=12), lambda: next(tokens))


def test_a_login_ends_when_nothing_is_asked_and_a_page_that_renews_itself_asks_nothing(
    sessions: Sessions[Person],
) -> None:
    token = sessions.begin(WANG, NOW)
    assert sessions.person(token, NOW + timedelta(minutes=29)) == WANG
    for minute in range(30, 58):
        assert sessions.person(token, NOW + timedelta(minutes=minute), is_there=False) == WANG
    assert sessions.person(token, NOW + timedelta(minutes=60)) is None
    assert sessions.person(token, NOW) is None  # and it stays ended


def test_a_login_ends_after_its_longest_however_busy(sessions: Sessions[Person]) -> None:
    token = sessions.begin(WANG, NOW)
    for hour in range(24):
        there = sessions.person(token, NOW + timedelta(minutes=29 * hour))
        assert (there is not None) == (29 * hour < 12 * 60)


def test_each_login_is_a_new_token_and_ends_alone_or_with_its_person(sessions: Sessions[Person]) -> None:
    first, second, other = sessions.begin(WANG, NOW), sessions.begin(WANG, NOW), sessions.begin(anybody("li"), NOW)
    assert len({first, second, other}) == 3
    sessions.end(first)
    assert [sessions.person(one, NOW) for one in (first, second)] == [None, WANG]
    sessions.end_all("王芳")
    assert sessions.person(second, NOW) is None
    assert sessions.person(other, NOW) == anybody("li")


def test_a_link_lets_in_once_and_soon(sessions: Sessions[Person]) -> None:
    link = sessions.link(WANG, NOW)
    assert sessions.enter("another", NOW) is None
    assert sessions.enter(link, NOW + timedelta(minutes=9)) == WANG
    assert sessions.enter(link, NOW + timedelta(minutes=9)) is None
    assert sessions.enter(sessions.link(WANG, NOW), NOW + timedelta(minutes=10)) is None


def test_logins_have_an_end_in_number(sessions: Sessions[Person]) -> None:
    tokens = [sessions.begin(WANG, NOW + timedelta(seconds=number)) for number in range(250)]
    later = NOW + timedelta(minutes=5)
    assert [bool(sessions.person(one, later)) for one in tokens] == [False] * 50 + [True] * 200


# --- the door of the pages --------------------------------------------------------------------------------------------


OURS = frozenset({"127.0.0.1", "::1", "qzj.hospital.cn"})
HERE = "127.0.0.1:8490"


async def _page(request: Request) -> PlainTextResponse:
    if request.url.path == "/broken":
        raise ValueError("张三 110101199003070000")
    return PlainTextResponse("here")


def call(method: str = "GET", path: str = "/", **given: str) -> tuple[int, dict[str, str], str]:
    """One request to a guarded page, as a server hands it on: (status, headers, text)."""
    routes = [Route(one, _page, methods=["GET", "POST"]) for one in ("/", "/broken")]
    app = Guard(Starlette(routes=routes), OURS, headers(b"x", False), False)
    asked = [(name.replace("_", "-").encode(), value.encode()) for name, value in ({"host": HERE} | given).items()]
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": asked, "scheme": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8490),
    }  # fmt: skip
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    answered = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, b"".join(one.get("body", b"") for one in sent[1:]).decode()


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        (HERE, True), ("127.0.0.1", True), ("[::1]:8490", True), ("QZJ.hospital.cn", True),
        ("evil.example", False), ("127.0.0.1.evil.example", False), ("evil.example:8490", False), ("", False),
        ("qzj.hospital.cn.", False), ("[::2]:8490", False), ("127.0.0.1@evil.example", False),
    ],
)  # fmt: skip
def test_it_is_called_by_its_own_names(host: str, is_ours: bool) -> None:
    assert call(host=host)[0] == (200 if is_ours else 421)


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        (f"http://{HERE}", 200), (f"https://{HERE}", 403), ("http://evil.example", 403), ("null", 403),
        ("", 403), ("http://127.0.0.1:8491", 403), (f"http://{HERE}.evil.example", 403),
    ],
)  # fmt: skip
def test_a_form_comes_from_its_own_page(origin: str, code: int) -> None:
    assert call("POST", origin=origin, content_length="0")[0] == code
    assert call("POST", content_length="0")[0] == 403


def test_other_methods_and_larger_bodies_are_no_forms() -> None:
    own = {"origin": f"http://{HERE}"}
    assert call("PUT", **own)[0] == 405
    assert call("POST", **own, content_length=str((1 << 20) + 1))[0] == 413
    assert call("POST", **own, transfer_encoding="chunked")[0] == 413


@pytest.mark.parametrize(("path", "host"), [("/", HERE), ("/nothing", HERE), ("/broken", HERE), ("/", "x")])
def test_every_answer_carries_what_forbids_a_browser_the_rest(path: str, host: str) -> None:
    _, answered, _ = call(path=path, host=host)
    policy = answered["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answered["x-frame-options"] == "DENY"
    assert answered["cache-control"] == "no-store"


def test_an_error_nobody_expected_says_nothing_of_a_patient(caplog: pytest.LogCaptureFixture) -> None:
    status, _, text = call(path="/broken")
    assert status == 500
    assert "ValueError" in caplog.text
    assert "张三" not in text + caplog.text


def test_a_host_is_read_as_browsers_write_it() -> None:
    assert [host_of(one) for one in ("[::1]:80", "a.b:80", "a.b", "[0:0:0:0:0:0:0:1]")] == ["::1", "a.b", "a.b", "::1"]


# --- settings ---------------------------------------------------------------------------------------------------------

AGENT = """
[institution]
id = "999000013"
name = "示范市第一人民医院"
[sources.his]
url = "sqlite:///his.db"
[destinations.platform]
url = "http://127.0.0.1:1"
[[feeds]]
name = "lab_report"
source = "his"
mapping = "demo_lis/lab_report"
"""
PEOPLE = "".join(
    f'[[people.persons]]\nname = "{name}"\naccount = "{name}"\nrole = "{role}"\n'
    for name, role in (("a", "system"), ("b", "security"), ("c", "audit"))
)
TLS = 'certificate = "c.pem"\nkey = "k.pem"\n'


@pytest.mark.parametrize(
    ("console", "problem"),
    [
        ('listen = "127.0.0.1:8490"', ""),
        ('listen = "[::1]:8490"', ""),
        ('listen = "8490"', "expected address:port"),
        ('listen = "127.0.0.1:99999"', "expected address:port"),
        ('listen = "10.0.0.8:8490"', "passwords would cross the network unprotected"),
        (f'listen = "10.0.0.8:8490"\n{TLS}', "nobody could log in"),
        (f'listen = "10.0.0.8:8490"\n{TLS}{PEOPLE}', ""),
        (f'listen = "0.0.0.0:8490"\n{TLS}{PEOPLE}', "names"),
        (f'listen = "0.0.0.0:8490"\nnames = ["qzj.hospital.cn"]\n{TLS}{PEOPLE}', ""),
        ('listen = "127.0.0.1:8490"\ncertificate = "c.pem"', "certificate and key go together"),
        ('listen = "127.0.0.1:8490"\nidle = "30s"', "idle is a minute at least"),
    ],
)  # fmt: skip
def test_settings_that_would_let_strangers_in_are_refused(console: str, problem: str) -> None:
    text = f"{AGENT}\n[console]\n{console}\n"
    if not problem:
        assert parse_config(text).console.listen
        return
    with pytest.raises(ConfigurationProblems) as wrong:
        parse_config(text)
    assert problem in "\n".join(wrong.value.problems)


def test_without_the_table_there_is_no_console() -> None:
    assert parse_config(AGENT).console.listen == ""


# --- what needs attention ---------------------------------------------------------------------------------------------

WELL: dict[str, Any] = {
    "sources": [{"name": "his", "unreachable": None, "state": "open", "reason": ""}],
    "accounts": {}, "inlets": [], "images": None, "reconciliation": [], "calendar_missing": [],
    "feeds": [{"name": "lab", "source": "his", "vanished": None, "last_run": None, "silent_since": None}],
    "destinations": [{"name": "platform", "problem": "", "waiting": 3, "since": None, "states": {"delivered": 9}, "skew": []}],
    "spool": {"bytes": 1, "quota": 100}, "packs": {"expired": ""}, "withheld": {"alarms": 0}, "upgrade": None,
}  # fmt: skip
SINCE = "2026-11-21T08:00:00+00:00"


def changed(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    import copy

    status = copy.deepcopy(WELL)
    change(status)
    return status


def offer(state: str, actor: str) -> dict[str, Any]:
    return {"version": "1.3.0", "state": state, "actor": actor, "since": SINCE, "size": 1}


def test_nothing_needs_attention_where_all_is_well() -> None:
    assert attention(WELL) == []


@pytest.mark.parametrize(
    ("change", "level", "key"),
    [
        (lambda s: s["sources"][0].update(unreachable={"since": SINCE, "problem": "no route"}), "bad", "a.unreachable"),
        (lambda s: s["sources"][0].update(state="slow"), "warn", "a.rest.slow"),
        (lambda s: s["sources"][0].update(state="new word"), "warn", "a.rest"),
        (lambda s: s["accounts"].update(his={"writes": ["t"], "waiver": None}), "bad", "a.writes"),
        (lambda s: s["accounts"].update(his={"writes": ["t"], "waiver": {"holds": True}}), "warn", "a.writes"),
        (lambda s: s["inlets"].append({"name": "lis", "running": False}), "bad", "a.inlet"),
        (lambda s: s["feeds"][0].update(vanished={"count": 90}), "bad", "a.vanished"),
        (lambda s: s["feeds"][0].update(last_run={"problem": "no column", "ended_at": SINCE}), "bad", "a.feed"),
        (lambda s: s["feeds"][0].update(silent_since=SINCE), "warn", "a.silent"),
        (lambda s: s["destinations"][0].update(problem="refused", since=SINCE), "bad", "a.destination"),
        (lambda s: s["destinations"][0]["states"].update(refused=2), "warn", "a.stuck"),
        (lambda s: s["destinations"][0].update(skew=[{}]), "warn", "a.skew"),
        (lambda s: s["spool"].update(bytes=81), "bad", "a.full"),
        (lambda s: s["packs"].update(expired="2026-01-01"), "warn", "a.pack"),
        (lambda s: s["withheld"].update(alarms=1), "warn", "a.withheld"),
        (lambda s: s.update(upgrade=offer("waiting", "hospital")), "warn", "a.upgrade_waiting"),
        (lambda s: s.update(upgrade=offer("returned", "platform")), "warn", "a.upgrade_returned"),
        (lambda s: s.update(upgrade=offer("refused", "platform")), "warn", "a.upgrade_refused"),
        (lambda s: s.update(calendar_missing=[2027]), "warn", "a.calendar"),
    ],
)
def test_each_thing_that_is_wrong_is_one_line(change: Callable[[dict[str, Any]], None], level: str, key: str) -> None:
    lines = attention(changed(change))
    assert [(line.level, line.key) for line in lines] == [(level, key)]
    for words in TEXTS.values():
        assert words[key].format(**lines[0].values)


def test_a_feed_of_a_source_that_is_away_is_not_said_twice() -> None:
    def both(status: dict[str, Any]) -> None:
        status["sources"][0].update(unreachable={"since": SINCE, "problem": "no route"})
        status["feeds"][0].update(last_run={"problem": "no route", "ended_at": SINCE})

    assert [line.key for line in attention(changed(both))] == ["a.unreachable"]


# --- words ------------------------------------------------------------------------------------------------------------

CONSOLE = resources.files("frontend_agent.console")
TEXTS: dict[str, dict[str, str]] = tomllib.loads(CONSOLE.joinpath("texts.toml").read_text("utf-8"))


def test_every_word_is_there_in_both_languages_and_is_used() -> None:
    assert TEXTS["zh"].keys() == TEXTS["en"].keys()
    for key, text in TEXTS["zh"].items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", TEXTS["en"][key])), key
    folder = Path(str(CONSOLE))
    sources = "".join(
        path.read_text("utf-8")
        for path in [*folder.glob("*.py"), *folder.glob("templates/*.html"), folder.parent / "cli" / "watching.py"]
    )
    named = set(re.findall(r"""['"]([\w.]+)['"]""", sources))
    groups = set(re.findall(r"""word\('(\w+)'""", sources)) | {"a"}
    made = {f"{start}{rest}" for start, rests in {"for_": ("days", "hours", "minutes", "seconds"), "level_": ("bad", "warn"), "did_": named, "a.rest.": ("paused", "protected", "slow")}.items() for rest in rests}  # fmt: skip
    unused = [key for key in TEXTS["zh"] if key not in named | made and key.partition(".")[0] not in groups]
    assert not unused
    asked = set(re.findall(r"""\bt\('([\w.]+)'""", sources)) | set(
        re.findall(r"""\bsay\([\w.]+, "([\w.]+)"\)""", sources)
    )
    unknown = {one for one in asked - TEXTS["zh"].keys() if not one.endswith("_")}
    assert not unknown


# --- tries side by side -----------------------------------------------------------------------------------------------


def test_tries_side_by_side_are_counted_before_the_next_is_taken(tmp_path: Path) -> None:
    config = parse_config(f'{AGENT}\n[console]\nlisten = "127.0.0.1:8490"\n')
    with App(config, tmp_path / "state", clock=lambda: NOW) as app:
        login = operations(app)["console_login"]

        def attempt(number: int) -> str:
            try:
                login(name="王芳", password=f"wrong {number}", code="000000", address="10.0.0.9")
            except NotIn as refused:
                return str(refused)
            return "in"

        with ThreadPoolExecutor(16) as pool:
            said = Counter(pool.map(attempt, range(24)))
    assert said["name, password or code is wrong"] == 10
    assert sum(said.values()) - 10 == said[next(one for one in said if one.startswith("too many tries"))]
