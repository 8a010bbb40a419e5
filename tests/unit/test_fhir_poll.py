"""fhir-poll against a FHIR R4 server written from the specification's pages on search, history and paging."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from frontend_agent.errors import SourceError, SourceRefused
from frontend_agent.formats import load_kind
from frontend_agent.mapping import compile_mapping
from frontend_agent.mapping_file import load_mapping
from frontend_agent.messages import compile_message
from tests.fetching_kit import NOW, Asked, Given, Inbox, Site, polling

LAB = load_kind("C0007")


class Server:
    """DiagnosticReports with versions, what they refer to, pages behind opaque tokens, and a history."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.reports: dict[str, dict[str, Any]] = {}
        self.others: dict[str, dict[str, Any]] = {
            "Patient/p1": patient("p1", "张三"),
            "Patient/p2": patient("p2", "李四"),
        }
        self.deleted: list[dict[str, Any]] = []
        self.pages: dict[str, list[dict[str, Any]]] = {}
        self.says_sort = True
        site.answers["/fhir/DiagnosticReport"] = self.search
        site.answers["/fhir/page"] = self.page
        site.answers["/fhir/metadata"] = self.metadata
        site.answers["/fhir/DiagnosticReport/_history"] = self.history

    def put(
        self, number: str, at: datetime, patient: str = "p1", status: str = "final", values: tuple[str, ...] = ("5.60",)
    ) -> None:
        version = int(self.reports.get(number, {"meta": {"versionId": "0"}})["meta"]["versionId"]) + 1
        for n, value in enumerate(values):
            self.others[f"Observation/{number}-{n}"] = observation(f"{number}-{n}", patient, value)
        self.reports[number] = {
            "resourceType": "DiagnosticReport",
            "id": number,
            "meta": {"versionId": str(version), "lastUpdated": at.isoformat(timespec="milliseconds")},
            "identifier": [{"value": f"R{number}"}],
            "status": status,
            "code": {"text": "血常规"},
            "subject": {"reference": f"Patient/{patient}"},
            "issued": "2026-11-21T09:30:00+08:00",
            "result": [{"reference": f"Observation/{number}-{n}"} for n in range(len(values))],
        }

    def search(self, asked: Asked) -> Given:
        assert asked.headers["prefer"] == "handling=strict"
        since = datetime.fromisoformat(asked.query["_lastUpdated"].removeprefix("ge"))
        found = [one for one in self.reports.values() if datetime.fromisoformat(one["meta"]["lastUpdated"]) >= since]
        found.sort(key=lambda one: one["meta"]["lastUpdated"])
        size = int(asked.query["_count"])
        self.pages = {str(n): found[n * size : (n + 1) * size] for n in range(-(-len(found) // size))}
        return self.bundle("0", asked)

    def page(self, asked: Asked) -> Given:
        return self.bundle(asked.query["token"], asked)

    def bundle(self, token: str, asked: Asked) -> Given:
        matches = self.pages.get(token, [])
        wanted = {r["reference"] for one in matches for r in [one["subject"], *one["result"]]}
        entries = [
            {
                "fullUrl": f"{self.site.url}/fhir/DiagnosticReport/{one['id']}",
                "resource": one,
                "search": {"mode": "match"},
            }
            for one in matches
        ]
        entries += [{"fullUrl": f"{self.site.url}/fhir/{name}", "resource": self.others[name], "search": {"mode": "include"}} for name in sorted(wanted)]  # fmt: skip
        heard = {key: value for key, value in asked.query.items() if key != "_sort" or self.says_sort}
        links = [{"relation": "self", "url": f"{self.site.url}{asked.path}?{urlencode(heard)}"}]
        if str(int(token) + 1) in self.pages:
            links.append({"relation": "next", "url": f"{self.site.url}/fhir/page?token={int(token) + 1}"})
        return fhir({"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries})

    def history(self, asked: Asked) -> Given:
        return fhir({"resourceType": "Bundle", "type": "history", "entry": self.deleted})

    def metadata(self, asked: Asked) -> Given:
        kind = {
            "type": "DiagnosticReport",
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "searchInclude": ["DiagnosticReport:result", "DiagnosticReport:subject"],
        }
        return fhir(
            {
                "resourceType": "CapabilityStatement",
                "fhirVersion": "4.0.1",
                "rest": [{"mode": "server", "resource": [kind]}],
            }
        )


def fhir(resource: dict[str, Any], status: int = 200) -> Given:
    return Given(json.dumps(resource, ensure_ascii=False).encode(), status, {"Content-Type": "application/fhir+json"})


def patient(number: str, name: str) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": number,
        "identifier": [
            {"system": "urn:oid:2.16.156.10011.1.12", "value": f"ZY{number}"},
            {"type": {"coding": [{"code": "NNCHN"}]}, "value": "11010519491231002X"},
        ],
        "name": [{"use": "official", "text": name}],
        "gender": "male",
        "birthDate": "1949-12-31",
        "telecom": [{"system": "email", "value": "a@b.example"}, {"system": "phone", "value": "010-12345678"}],
    }


def observation(number: str, patient: str, value: str) -> dict[str, Any]:
    told: dict[str, Any] = {"valueString": value}
    if value[0].isdigit():
        told = {"valueQuantity": {"value": float(value), "unit": "10*9/L"}}
    return {
        "resourceType": "Observation",
        "id": number,
        "status": "final",
        "subject": {"reference": f"Patient/{patient}"},
        "code": {"coding": [{"code": "WBC", "display": "白细胞"}]},
        "effectiveDateTime": "2026-11-21T01:00:00Z",
        "referenceRange": [{"text": "4-10"}],
        "interpretation": [{"coding": [{"code": "H"}]}],
        **told,
    }


TABLE = """
type = "fhir-poll"
url = "{url}/fhir"
resource = "DiagnosticReport"
include = ["DiagnosticReport:result", "DiagnosticReport:subject"]
start = "2026-11-20"
limit = 2
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with Site() as site:
        yield Server(site)


def entries(body: bytes) -> list[str]:
    return [f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in json.loads(body)["entry"]]


def test_each_match_is_a_bundle_of_its_own_with_all_it_refers_to(server: Server) -> None:
    server.put("1", NOW - timedelta(hours=3), values=("5.60", "阳性"))
    server.put("2", NOW - timedelta(hours=2), patient="p2")
    server.put("3", NOW - timedelta(hours=1))
    inbox = Inbox()
    fetcher = polling(TABLE.format(url=server.site.url), inbox)

    assert fetcher.fetch() == 3

    assert [entries(body)[0] for body in inbox.bodies] == [f"DiagnosticReport/{n}" for n in "123"]
    assert sorted(entries(inbox.bodies[0])[1:]) == ["Observation/1-0", "Observation/1-1", "Patient/p1"]
    assert sorted(entries(inbox.bodies[1])[1:]) == ["Observation/2-0", "Patient/p2"]
    assert inbox.kept[0].control_id.startswith("DiagnosticReport/1/_history/1#")
    assert server.site.asked[0].query["_lastUpdated"] == "ge2026-11-19T23:50:00.000+08:00"
    assert fetcher.told()["mark"] == f"time {(NOW - timedelta(hours=1)).isoformat()}"


def test_a_new_version_is_a_new_message_and_the_same_is_none(server: Server) -> None:
    server.put("1", NOW - timedelta(hours=1))
    inbox = Inbox()
    fetcher = polling(TABLE.format(url=server.site.url), inbox)
    fetcher.fetch()
    server.put("1", NOW - timedelta(minutes=1), status="corrected", values=("5.70",))
    assert fetcher.fetch() == 1
    assert polling(TABLE.format(url=server.site.url), inbox).fetch() == 0
    assert [one.control_id.partition("#")[0] for one in inbox.kept] == [
        f"DiagnosticReport/1/_history/{n}" for n in (1, 2)
    ]


@pytest.mark.parametrize("says_sort", [True, False])
def test_the_mark_moves_page_by_page_only_where_the_server_says_that_it_sorts(server: Server, says_sort: bool) -> None:
    server.says_sort = says_sort
    for n in range(6):
        server.put(str(n), NOW - timedelta(hours=6 - n))
    inbox = Inbox()
    fetcher = polling(TABLE.format(url=server.site.url), inbox)
    pages = iter(fetcher._asker.pages("", NOW))
    marks = [next(pages).mark for _ in range(2)]
    first = "time 2026-11-19T16:00:00+00:00"
    assert marks == (
        [f"time {(NOW - timedelta(hours=h)).isoformat()}" for h in (5, 3)] if says_sort else [first, first]
    )


def test_a_page_elsewhere_is_not_asked(server: Server) -> None:
    server.put("1", NOW)
    server.site.answers["/fhir/DiagnosticReport"] = lambda _: fhir(
        {"resourceType": "Bundle", "link": [{"relation": "next", "url": "http://169.254.169.254/fhir"}], "entry": []}
    )
    with pytest.raises(SourceRefused, match="it is not asked"):
        polling(TABLE.format(url=server.site.url)).fetch()


@pytest.mark.parametrize("status", [200, 400])
def test_an_operation_outcome_is_told_by_its_code(server: Server, status: int) -> None:
    wrong = {"severity": "error", "code": "not-supported", "diagnostics": "张三"}
    server.site.answers["/fhir/DiagnosticReport"] = lambda _: fhir(
        {"resourceType": "OperationOutcome", "issue": [wrong]}, status
    )
    with pytest.raises(SourceError, match=r"OperationOutcome \(code not-supported\)") as error:
        polling(TABLE.format(url=server.site.url)).fetch()
    assert "张三" not in str(error.value)


def test_what_is_deleted_is_told(server: Server) -> None:
    server.deleted = [
        {"resource": {"resourceType": "DiagnosticReport", "id": "8"}, "request": {"method": "PUT", "url": "DiagnosticReport/8"}},
        {"request": {"method": "DELETE", "url": "DiagnosticReport/9"}, "response": {"status": "204", "lastModified": "2026-11-21T04:00:00Z"}},
    ]  # fmt: skip
    inbox = Inbox()
    polling(TABLE.format(url=server.site.url) + "deletes = true\n", inbox).fetch()
    assert [json.loads(body)["entry"][0]["request"] for body in inbox.bodies] == [
        {"method": "DELETE", "url": "DiagnosticReport/9"}
    ]


def test_a_probe_compares_with_the_capability_statement(server: Server) -> None:
    polling(TABLE.format(url=server.site.url)).probe()
    with pytest.raises(SourceRefused, match="no DiagnosticReport:specimen"):
        polling(
            TABLE.format(url=server.site.url).replace('subject"]', 'subject", "DiagnosticReport:specimen"]')
        ).probe()
    with pytest.raises(SourceRefused, match="no Encounter"):
        polling(
            TABLE.format(url=server.site.url).replace('resource = "DiagnosticReport"', 'resource = "Encounter"')
        ).probe()
    with pytest.raises(SourceRefused, match="no history-type"):
        polling(TABLE.format(url=server.site.url) + "deletes = true\n").probe()


def test_a_report_becomes_a_lab_report_by_the_shipped_mapping(server: Server) -> None:
    server.put("1", NOW - timedelta(hours=1), values=("5.60", "阳性"))
    inbox = Inbox()
    polling(TABLE.format(url=server.site.url), inbox).fetch()
    mapping = load_mapping("fhir/lab_report")

    def records(body: bytes) -> Any:
        found = compile_message(mapping.message, mapping.key)(body)
        return compile_mapping(mapping, LAB, "999000013", "示范医院")(found.rows) if found.rows else []

    (record,) = records(inbox.bodies[0])

    assert (record.key, record.final, record.void, record.findings) == ("R1", True, False, [])
    told = record.record
    assert (told["patient.name"], told["patient.sex"], told["patient.inpatient_number"]) == ("张三", "1", "ZYp1")
    assert (told["patient.id_number"], told["patient.telephone"]) == ("11010519491231002X", "010-12345678")
    assert told["author.time"] == "20261121093000"
    assert [(one.get("value"), one.get("text_value"), one["tested_at"]) for one in told["items"]] == [
        ("5.6", None, "20261121"),
        (None, "阳性", "20261121"),
    ]
    (void,) = records(
        inbox.bodies[0].replace(b'"status":"final","code":{"text"', b'"status":"cancelled","code":{"text"')
    )
    assert void.void
    (waiting,) = records(
        inbox.bodies[0].replace(b'"status":"final","code":{"text"', b'"status":"preliminary","code":{"text"')
    )
    assert not waiting.final


def test_numbers_keep_their_digits() -> None:
    from connectors.fetching.answers import written_json
    from frontend_agent.reading.trees import json_tree

    text = '{"value":5.60,"big":12345678901234567890.10,"small":1E-7,"none":null,"yes":true,"list":[0,-1.0],"名":"\\u4e2d\\n"}'
    assert written_json(json_tree(text)) == text.replace("\\u4e2d", "中").replace("1E-7", str(Decimal("1E-7")))


def test_a_json_path_chooses_by_what_is_inside() -> None:
    from frontend_agent.reading.trees import json_path, json_tree

    tree = json_tree(
        '{"e":[{"r":{"t":"P","n":1}},{"r":{"t":"O","c":[{"k":"x"},{"k":"y"}],"n":2}},{"r":{"t":"O","f":true,"n":3}},7]}'
    )
    for path, found in {
        "e[r.t='P'].r.n": [1], "$.e[r.t='O'].r.n": [2, 3], "e[r.c.k='y'].r.n": [2], "e[r.f='true'].r.n": [3], "e[r.n='2'].r.t": ["O"],
        "e[r.t='Q'].r.n": [], "e[r.t=''].r.n": [],
    }.items():  # fmt: skip
        assert json_path(path)(tree) == found, path
