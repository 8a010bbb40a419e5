"""The console as people meet it: who comes in and how, what each role may, what a stranger cannot, and what its end means."""

import base64
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from frontend_agent import passwords
from tests.console_kit import SMALL, Site, soon

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="other accounts are asked for: only root may become them")

PEOPLE = {
    "王芳": ("system", "daemon"),
    "李强": ("security", "bin"),
    "赵敏": ("audit", "sys"),
}  # accounts of every Debian
PASSWORD = "Qx7-pipe-lamp-9"


def people(folder: Path) -> str:
    told = f'\n[people]\nsocket = "{folder / "people.sock"}"\n'
    return told + "".join(
        f'[[people.persons]]\nname = "{name}"\nrole = "{role}"\naccount = "{account}"\n'
        for name, (role, account) in PEOPLE.items()
    )


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """An agent whose three people are known by accounts of this machine."""
    with tempfile.TemporaryDirectory(prefix="console-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # every account may pass, which pytest's own folders do not allow
        site = Site(folder)
        config = f'{SMALL}\n[console]\nlisten = "127.0.0.1:{site.port}"\n'
        (folder / "agent.toml").write_text(config + people(folder), "utf-8")
        site.start()
        yield site
        site.stop()


class Person:
    """Somebody with a browser of his own, who has a password and an authenticator."""

    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        self.name = name
        self.http = requests.Session()
        self.http.trust_env = False
        self.secret = b""
        self.step = 0

    def get(self, path: str) -> requests.Response:
        return self.http.get(self.site.url + path, timeout=30)

    def post(self, path: str, origin: str | None = None, **form: str) -> requests.Response:
        sent = {"Origin": self.site.url if origin is None else origin}
        return self.http.post(self.site.url + path, data=form, headers=sent, timeout=30)

    def token(self) -> str:
        found = re.search(r'name="token" value="([0-9a-f]{64})"', self.get("/").text)
        assert found
        return found[1]

    def gets_a_password(self) -> "Person":
        told = self.site.ask("console", "password", self.name, "--json", given=PASSWORD + "\n", account="bin")
        self.secret = base64.b32decode(told["secret"] + "=" * (-len(told["secret"]) % 8))
        return self

    def code(self) -> str:
        """The next one that was not used yet: a code is good once."""
        now = int(time.time()) // passwords.STEP
        while self.step >= now + 1:
            time.sleep(0.5)
            now = int(time.time()) // passwords.STEP
        self.step = max(self.step + 1, now - 1)
        return passwords.code_at(self.secret, self.step)

    def logs_in(self) -> "Person":
        answer = self.post("/login", name=self.name, password=PASSWORD, code=self.code())
        assert answer.url == f"{self.site.url}/", answer.text
        return self


def test_nobody_sees_anything_without_coming_in(site: Site) -> None:
    stranger = Person(site, "")
    for path in ("/", "/quarantine", "/quarantine/case/Q1", "/log", "/reports/file?form=xlsx", "/trust", "/terms/code"):
        answer = stranger.get(path)
        assert urlsplit(answer.url).path == "/login"
        assert "999000013" not in answer.text
    for path in ("/quarantine/release", "/terms/decide", "/log/export", "/sources/pause", "/quarantine/show/Q1"):
        assert urlsplit(stranger.post(path, case="Q1").url).path == "/login"


def test_people_come_in_by_password_and_code_and_see_their_part_alone(site: Site) -> None:
    pages = {"/quarantine": "system audit", "/terms": "system", "/log": "audit", "/trust": "system security audit"}
    for name, (role, _) in PEOPLE.items():
        person = Person(site, name).gets_a_password().logs_in()
        for path, roles in pages.items():
            assert (person.get(path).status_code == 200) == (role in roles.split()), (name, path)
            assert (f'href="{path}"' in person.get("/").text) == (role in roles.split())
        token = person.token()
        forms = {
            "/quarantine/release": "system",
            "/log/verify": "audit",
            "/log/export": "audit",
            "/sources/pause": "system",
        }
        for path, roles in forms.items():
            assert (person.post(path, token=token).status_code == 403) == (role not in roles.split()), (name, path)
        assert person.post("/logout", token=token).url.endswith("/login")
        assert person.get("/").url.endswith("/login")
    entries = site.ask("qc", "log", "-n", "200", "--json", account="sys")
    told = [(one["event"], one["who"], one.get("role", "")) for one in entries if one["event"].startswith("console.")]
    assert ("console.entered", "王芳", "system") in told
    assert ("console.left", "赵敏", "audit") in told


def test_a_login_is_a_new_token_which_scripts_and_other_sites_do_not_get(site: Site) -> None:
    person = Person(site, "王芳").gets_a_password()
    person.http.cookies.set("console", "chosen-by-a-stranger", domain="127.0.0.1", path="/")
    answer = person.http.post(
        f"{site.url}/login", data={"name": "王芳", "password": PASSWORD, "code": person.code()},
        headers={"Origin": site.url}, allow_redirects=False, timeout=30,
    )  # fmt: skip
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "chosen-by-a-stranger" not in cookie
    stranger = Person(site, "")
    stranger.http.cookies.set("console", "chosen-by-a-stranger", domain="127.0.0.1", path="/")
    assert stranger.get("/").url.endswith("/login")


def test_a_form_of_another_site_or_another_login_does_nothing(site: Site) -> None:
    person = Person(site, "王芳").gets_a_password().logs_in()
    good = person.token()
    form = {"source": "his", "length": "30m", "reason": "test"}
    assert person.post("/sources/pause", origin="http://evil.example", token=good, **form).status_code == 403
    for token in ("", "0" * 64, good[:-1] + ("0" if good[-1] != "0" else "1"), "ÿ"):
        assert person.post("/sources/pause", token=token, **form).status_code == 409
    other = Person(site, "王芳")
    other.secret, other.step = person.secret, person.step
    other.logs_in()
    assert person.post("/sources/pause", token=other.token(), **form).status_code == 409
    assert site.ask("source", "list", "--json")[0]["state"] == "open"
    assert person.post("/sources/pause", token=good, **form).status_code == 200
    assert site.ask("source", "list", "--json")[0]["state"] == "paused"
    assert person.post("/sources/resume", token=good, source="his").status_code == 200


def test_a_code_and_a_link_are_good_once(site: Site) -> None:
    person = Person(site, "王芳").gets_a_password()
    code = person.code()
    assert person.post("/login", name="王芳", password=PASSWORD, code=code).status_code == 200
    again = Person(site, "王芳").post("/login", name="王芳", password=PASSWORD, code=code)
    assert again.status_code == 403
    told = site.ask("console", "link", "--json", account="sys")
    assert told["name"] == "赵敏"
    key = parse_qs(urlsplit(told["url"]).query)["key"][0]
    auditor = Person(site, "赵敏")
    assert auditor.get(f"/enter?key={key}").url == f"{site.url}/"
    assert auditor.get("/terms").status_code == 403  # with no more than his role
    assert Person(site, "").get(f"/enter?key={key}").status_code == 403


def test_ten_tries_in_vain_are_enough_and_nothing_says_what_was_wrong(site: Site) -> None:
    person = Person(site, "李强").gets_a_password()
    wrong = [
        ("李强", "wrong", "000000"),
        ("李强", PASSWORD, "000000"),
        ("nobody", PASSWORD, "000000"),
        ("李强", "wrong", person.code()),
    ]
    said: list[str] = []
    while len(said) < 11 and "too many tries" not in " ".join(said):
        name, password, code = wrong[len(said) % len(wrong)]
        answer = person.post("/login", name=name, password=password, code=code)
        assert answer.status_code == 403
        found = re.search(r'role="alert">([^<]*)<', answer.text)
        assert found
        said.append(found[1])
    assert len(said) <= 11  # those that other tests had from this address count, too
    assert set(said[:-1]) == {"name, password or code is wrong"}
    assert "too many tries: wait 15 minutes" in said[-1]
    locked = person.post("/login", name="李强", password=PASSWORD, code=person.code())
    assert locked.status_code == 403
    assert "too many tries" in locked.text
    kept = site.log + site.ask("qc", "export", account="sys")
    assert PASSWORD not in kept
    assert "nobody" not in [one.get("who") for one in site.ask("qc", "log", "-n", "50", "--json", account="sys")]
    assert "console.refused" in kept


def test_whom_a_password_is_taken_from_is_out_at_once(site: Site) -> None:
    with_link = Person(site, "王芳")
    with_link.get(
        "/enter?key="
        + parse_qs(urlsplit(site.ask("console", "link", "--json", account="daemon")["url"]).query)["key"][0]
    )
    assert with_link.get("/terms").status_code == 200
    Person(site, "王芳").gets_a_password()
    site.ask("console", "remove", "王芳", account="bin")
    assert with_link.get("/terms").url.endswith("/login?to=%2Fterms")
    assert {one["name"]: bool(one["since"]) for one in site.ask("console", "people", "--json", account="bin")}[
        "王芳"
    ] is False


def test_only_the_security_administrator_gives_passwords(site: Site) -> None:
    for account in ("daemon", "sys"):
        refused = site.ask("console", "password", "王芳", given=PASSWORD + "\n", code=1, account=account)
        assert "security administrator" in refused
    assert "shorter" in site.ask("console", "password", "王芳", given="short\n", code=1, account="bin")
    assert "known: " in site.ask("console", "password", "somebody", given=PASSWORD + "\n", code=78, account="bin")


def test_where_a_login_leads_is_never_another_site(site: Site) -> None:
    for to in ("//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)"):
        person = Person(site, "")
        assert person.get(f"/language?lang=en&to={to}").url.startswith(site.url)


def test_its_end_touches_nothing_and_it_ends_with_the_daemon(site: Site) -> None:
    assert site.process is not None
    for _ in range(2):
        before = site.console_pid()
        os.kill(before, signal.SIGKILL)
        soon(lambda before=before: site.console_pid() != before)
    assert site.process.poll() is None
    assert site.ask("status", "--json")["daemon"]["pid"] == site.process.pid
    console = site.console_pid()
    os.kill(site.process.pid, signal.SIGKILL)
    site.process.wait()
    soon(lambda: not Path(f"/proc/{console}").exists(), 20)
    site.start()


@pytest.fixture
def certified(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1, and its key."""
    certificate(tmp_path, "first")
    return tmp_path


def certificate(folder: Path, name: str) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "k.new", "-out", folder / "c.new"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "k.new").replace(folder / "k.pem")
    (folder / "c.new").replace(folder / "c.pem")


def shown(port: int, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", port), 10) as plain, context.wrap_socket(plain) as secure:
        return secure.getpeercert(binary_form=True) or b""


def test_on_the_network_it_is_tls_and_a_renewed_certificate_is_used_without_a_restart(certified: Path) -> None:
    site = Site(certified)
    tls = 'certificate = "c.pem"\nkey = "k.pem"\n'
    text = f'{SMALL}\n[console]\nlisten = "127.0.0.1:{site.port}"\n{tls}'
    (certified / "agent.toml").write_text(text, "utf-8")
    site.start()
    try:
        assert site.link().startswith("https://127.0.0.1:")
        answer = requests.get(f"https://127.0.0.1:{site.port}/login", verify=str(certified / "c.pem"), timeout=20)
        assert answer.headers["strict-transport-security"]
        person = requests.Session()
        person.trust_env = False
        person.verify = str(certified / "c.pem")
        assert person.get(site.link(), timeout=20).status_code == 200
        assert [(one.name, one.secure) for one in person.cookies if "console" in one.name] == [("__Host-console", True)]
        first = shown(site.port)
        shown(site.port, ssl.TLSVersion.TLSv1_2)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            shown(site.port, ssl.TLSVersion.TLSv1_1)
        certificate(certified, "second")
        soon(lambda: shown(site.port) != first, 20)
    finally:
        site.stop()
