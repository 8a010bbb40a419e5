"""People of a region at the platform over the network (threat C7): a real process, its TLS, its log."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.platform_people_kit import PASSWORD, Region, region

pytestmark = pytest.mark.slow
PAGE = {"accept": "text/html"}
WHY = "复核甲型流感报告"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with region(tmp_path_factory.mktemp("people")) as one:
        one.add("王芳", "reader")
        one.add("李强", "quality", "--no-code")
        one.add("赵敏", "administrator")
        yield one


class Browser:
    """What one browser does; its cookies stay."""

    def __init__(self, site: Region) -> None:
        self.site = site
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(site.folder / "c.pem")
        self.session.headers.update(PAGE)

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.session.get(self.site.url + path, timeout=30, **more)

    def post(self, path: str, origin: str = "", **form: str) -> requests.Response:
        headers = {"origin": origin or self.site.url}
        return self.session.post(self.site.url + path, data=form, headers=headers, timeout=30, allow_redirects=False)

    def login(self, name: str, password: str = PASSWORD, code: str | None = None, to: str = "") -> requests.Response:
        return self.post(
            "/login", name=name, password=password, code=self.site.code(name) if code is None else code, to=to
        )

    @property
    def cookie(self) -> str:
        return next((one.value or "" for one in self.session.cookies if one.name == "__Host-platform"), "")

    def token(self, path: str = "/hospitals") -> str:
        (found,) = set(re.findall(r'name="token" value="([0-9a-f]{64})"', self.get(path).text))
        return str(found)


def test_nobody_sees_anything_without_a_login(site: Region) -> None:
    browser = Browser(site)
    for path in ("/", "/hospitals", "/fleet", f"/documents/{site.documents[0]}", "/studies", "/people/log"):
        answer = browser.get(path, allow_redirects=False)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/login"), path
    for path in ("/dicom-web/studies", "/metrics", f"/documents/{site.documents[0]}/xml"):
        assert browser.get(path, headers={"accept": "*/*"}).status_code == 401, path
    assert browser.get("/v1/receipts", headers={"accept": "*/*"}).status_code == 404  # of agents: not at this door
    answer = browser.get("/login")
    assert "张小满" not in answer.text
    assert answer.headers["strict-transport-security"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert browser.get("/login", headers={"host": "evil.example"}).status_code == 421


def test_a_reader_says_why_and_each_look_is_in_the_log(site: Region) -> None:
    browser, document = Browser(site), site.documents[0]
    came = browser.login("王芳", to=f"/documents/{document}")
    assert (came.status_code, came.headers["location"]) == (303, f"/documents/{document}")
    cookie = came.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("__host-platform=", "secure", "httponly", "samesite=strict", "path=/"))
    asked = browser.get(f"/documents/{document}")
    assert asked.status_code == 403
    assert "张小满" not in asked.text
    assert browser.get(f"/documents/{document}/xml", headers={"accept": "*/*"}).status_code == 403
    token = browser.token()
    assert browser.post("/why", token=token, to=f"/documents/{document}", why=" ").status_code == 403
    assert (
        browser.post("/why", token=token, to=f"/documents/{document}", why=WHY).headers["location"]
        == f"/documents/{document}"
    )
    assert "张小满" in browser.get(f"/documents/{document}").text
    assert browser.get(f"/documents/{document}/xml").status_code == 200
    assert browser.get(f"/documents/{site.documents[1]}").status_code == 403, "a reason is for one document"
    assert browser.get("/").status_code == 403, "and searching has its own"
    browser.post("/why", token=token, to="/?patient=x", why="查找转诊患者")
    assert "张小满" in browser.get("/?patient=张小满").text
    acts = [one for one in site.log() if one["event"] == "act" and one["who"] == "王芳"]
    assert {"subject": f"document {document}"} in [one["what"] for one in acts]
    assert all(one["reason"] in (WHY, "查找转诊患者") for one in acts)
    assert {"subject": "list", "fields": ["patient"]} in [one["what"] for one in acts]
    assert "张小满" not in str(site.log()), "what is searched for is not written down (law 9)"


def test_who_sees_quality_sees_no_patient(site: Region) -> None:
    browser = Browser(site)
    assert browser.login("李强").headers["location"] == "/hospitals"
    assert browser.get("/hospitals").status_code == browser.get("/fleet").status_code == 200
    for path in ("/", f"/documents/{site.documents[0]}", "/studies", "/people/log"):
        answer = browser.get(path)
        assert answer.status_code == 403, path
        assert "张小满" not in answer.text
    for path in (
        f"/documents/{site.documents[0]}/xml",
        f"/documents/{site.documents[0]}/content",
        "/dicom-web/studies",
    ):
        assert browser.get(path, headers={"accept": "*/*"}).status_code == 403, path
    token = browser.token()
    browser.post("/why", token=token, to=f"/documents/{site.documents[0]}", why="weil ich will")
    assert browser.get(f"/documents/{site.documents[0]}").status_code == 403, "a reason is no right"


def test_an_administrator_sees_who_looked_and_no_patient_and_always_has_codes(site: Region) -> None:
    browser = Browser(site)
    assert browser.login("赵敏", code="").status_code == 403
    assert browser.login("赵敏").status_code == 303
    assert "王芳" in browser.get("/people/log").text
    assert browser.get(f"/documents/{site.documents[0]}").status_code == 403
    refused = site.command("people", "add", "钱伟", "--role", "administrator", "--no-code", said=PASSWORD + "\n")
    assert (refused.returncode, "administrator" in refused.stderr) == (78, True)


def test_a_session_is_not_fixed_beforehand_and_ends(site: Region) -> None:
    browser = Browser(site)
    browser.session.cookies.set("__Host-platform", "planted", domain="127.0.0.1", path="/", secure=True)
    browser.login("李强")
    first = browser.cookie
    assert first not in ("", "planted")
    browser.login("李强")
    assert browser.cookie not in ("", first)
    kept = browser.cookie
    assert browser.post("/logout", token=browser.token()).headers["location"] == "/login"
    browser.session.cookies.set("__Host-platform", kept, domain="127.0.0.1", path="/", secure=True)
    assert browser.get("/hospitals", allow_redirects=False).status_code == 303, (
        "a cookie that was kept lets nobody in again"
    )


def test_a_form_of_another_site_does_nothing(site: Region) -> None:
    browser = Browser(site)
    browser.login("李强")
    token = browser.token()
    assert browser.post("/logout", origin="https://evil.example", token=token).status_code == 403
    assert browser.post("/logout").status_code == 403
    assert browser.post("/logout", token="0" * 64).status_code == 403
    assert browser.get("/hospitals").status_code == 200
    came = browser.login("李强", to="//evil.example/")
    assert came.headers["location"] == "/"
    assert browser.login("李强", to="https://evil.example/").headers["location"] == "/"


def test_another_password_ends_what_is_open_and_so_does_leaving(site: Region) -> None:
    site.add("孙丽", "quality", "--no-code")
    browser = Browser(site)
    browser.login("孙丽")
    assert browser.get("/hospitals").status_code == 200
    assert site.command("people", "password", "孙丽", "--no-code", said="Fuenf-Kerzen-7\n").returncode == 0
    assert browser.get("/hospitals", allow_redirects=False).status_code == 303
    assert browser.login("孙丽", "Fuenf-Kerzen-7").status_code == 303
    assert site.command("people", "remove", "孙丽").returncode == 0
    assert browser.get("/hospitals", allow_redirects=False).status_code == 303
    assert "孙丽" in str([one for one in site.log() if one.get("act") == "platform_people_remove"])


def test_a_code_is_good_once_and_ten_tries_in_vain_are_enough(site: Region) -> None:
    """Last: from this address nobody comes in afterwards."""
    code = site.code("王芳")
    assert Browser(site).login("王芳", code=code).status_code == 303
    assert Browser(site).login("王芳", code=code).status_code == 403
    answers = [Browser(site).login("王芳", f"wrong {n}", "000000").status_code for n in range(10)]
    assert answers[:9] == [403] * 9
    assert answers[-1] == 429
    assert Browser(site).login("王芳").status_code == 429, "also with the right password"
    assert Browser(site).login("李强").status_code == 429, "and from this address in any name"
    refused = [one for one in site.log() if one["event"] == "people.refused"]
    assert len(refused) >= 10
    assert not [one for one in site.log() if "wrong" in str(one)], "no password in the log"


def test_without_a_certificate_it_does_not_start(tmp_path: Path) -> None:
    site = Region(tmp_path)
    done = site.command("serve", "--port", "0", "--people", "0.0.0.0:0")
    assert done.returncode == 78
    assert "--people-certificate" in done.stderr
