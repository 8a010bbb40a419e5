"""A platform on loopback and documents to send to it, for tests."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import requests
import uvicorn

from connectors.platform import PlatformDestination, PlatformOptions
from frontend_agent.formats import load_kind, load_kinds
from frontend_agent.model import Document, Envelope, Record
from frontend_agent.platform.server import application
from frontend_agent.platform.store import Store
from frontend_agent.wire.frames import compressor, dictionary_id

HOSPITAL = "12345678-9"
HOSTILE = """"><svg onload=alert(1)>'&{{7*7}}<script>alert(2)</script>"""


def lab_record(number: int = 1, institution: str = HOSPITAL, **changes: Any) -> Record:
    """A laboratory report with an abnormal and a normal item; `changes` replace fields (`patient__name=…`)."""
    record: Record = {
        "institution.id": institution,
        "institution.name": "示范县人民医院",
        "patient.outpatient_number": f"M{number:07d}",
        "patient.name": "张小满",
        "patient.sex": "2",
        "patient.age": "41",
        "patient.id_number": f"99000019850614{number % 1000:03d}X",
        "patient.type": "1",
        "author.time": "20260930101500",
        "author.id": "D017",
        "author.name": "李卫东",
        "reviewer.time": "20260930103000",
        "reviewer.id": "D021",
        "reviewer.name": "王秀兰",
        "technician.time": "20260930100000",
        "technician.id": "D030",
        "technician.name": "周敏",
        "report_number": f"R{number:07d}",
        "request_number": f"S{number:07d}",
        "specimen_number": f"B{number:07d}",
        "request.department_id": "201",
        "request.department_name": "呼吸内科门诊",
        "diagnoses": [{"code": "J18.900", "name": "肺炎", "date": "20260930"}],
        "category": "临床检验",
        "items": [
            {
                "code": "WBC", "name": "白细胞计数", "value": "12.6", "unit": "10^9/L", "reference_range": "3.5-9.5",
                "abnormal_flag": "H", "tested_at": "20260930100000", "specimen": "静脉血", "collected_at": "20260930083000",
                "received_at": "20260930085000",
            },
            {
                "code": "HGB", "name": "血红蛋白", "value": "98", "unit": "g/L", "reference_range": "115-150",
                "abnormal_flag": "L", "tested_at": "20260930100000", "specimen": "静脉血",
            },
            {"code": "PLT", "name": "血小板计数", "value": "210", "unit": "10^9/L", "reference_range": "125-350", "specimen": "静脉血"},
            {"code": "CRP", "name": "C反应蛋白", "text_value": "阳性(+)", "reference_range": "阴性", "specimen": "静脉血"},
        ],
        "report_result": "白细胞计数升高,血红蛋白降低。",
        "report_department": "检验科",
        "report_institution": "示范县人民医院",
    }  # fmt: skip
    record.update({name.replace("__", "."): value for name, value in changes.items()})
    return record


def visit_record(number: int = 1, **changes: Any) -> Record:
    """An outpatient visit."""
    record: Record = {
        "institution.id": HOSPITAL, "institution.name": "示范县人民医院", "patient.outpatient_number": f"M{number:07d}",
        "request_number": f"S{number:07d}", "patient.name": "张小满", "patient.sex": "2", "patient.birth_date": "19850614",
        "patient.age": "41", "patient.id_number": f"99000019850614{number % 1000:03d}X",
        "department.id": "201", "department.name": "呼吸内科门诊", "author.time": "20260930082000", "author.id": "D102",
        "author.name": "赵明远", "visit.time": "20260930080500", "doctor.time": "20260930083500", "doctor.id": "D102",
        "doctor.name": "赵明远", "allergy.flag": "true", "allergy.text": "青霉素过敏(皮疹)",
        "chief_complaint": "发热、咳嗽3天",
        "present_illness": "患者3天前受凉后出现发热,体温最高38.9℃,伴咳嗽、咳黄色黏痰,无胸痛、咯血,无呼吸困难。自服退热药后体温可降,数小时后复升。"
        "发病以来精神、饮食欠佳,睡眠可,大小便正常,体重无明显变化。",
        "past_history": "既往体健。否认高血压、糖尿病、冠心病病史,否认肝炎、结核等传染病史,否认手术、外伤及输血史。",
        "physical_examination": "T 38.6℃,P 96次/分,R 21次/分,BP 122/78mmHg。神志清,咽部充血,双侧扁桃体Ⅰ度肿大。右下肺可闻及湿性啰音。心率96次/分,律齐。",
        "examinations": [
            {"item": "胸部正侧位X线片", "result": "右下肺斑片状密度增高影,考虑炎症。"},
            {"item": "血常规", "result": "白细胞12.6×10^9/L,中性粒细胞82%。"},
        ],
        "first_visit": "1",
        "diagnoses": [{"code": "J18.900", "name": "肺炎"}, {"code": "J06.900", "name": "急性上呼吸道感染"}],
    }  # fmt: skip
    record.update({name.replace("__", "."): value for name, value in changes.items()})
    return record


def prescription_record(number: int = 1, **changes: Any) -> Record:
    """A prescription of three drugs."""
    record: Record = {
        "institution.id": HOSPITAL, "institution.name": "示范县人民医院", "patient.outpatient_number": f"M{number:07d}",
        "prescription_number": f"P{number:07d}", "patient.name": "张小满", "patient.sex": "2", "patient.age": "41",
        "patient.id_number": f"99000019850614{number % 1000:03d}X", "department.id": "201",
        "department.name": "呼吸内科门诊", "author.time": "20260930084000", "author.id": "D102", "author.name": "赵明远",
        "prescribed_on": "20260930", "review_pharmacist.time": "20260930084500", "review_pharmacist.id": "Y011",
        "review_pharmacist.name": "孙丽", "dispensing_pharmacist.time": "20260930085000", "dispensing_pharmacist.id": "Y015",
        "dispensing_pharmacist.name": "何俊", "diagnosis.code": "J18.900", "diagnosis.name": "肺炎",
        "drugs": [
            {
                "name": "左氧氟沙星片", "code": "86901234", "specification": "0.5g×4片", "dose": "0.5", "dose_unit": "g",
                "frequency": "1", "frequency_text": "每日一次", "route": "1", "total_dose": "2", "total_unit": "盒",
                "usage_text": "口服,饭后",
            },
            {
                "name": "盐酸氨溴索口服溶液", "code": "86905678", "specification": "100ml:0.6g", "dose": "10", "dose_unit": "ml",
                "frequency": "2", "frequency_text": "每日两次", "route": "1", "total_dose": "1", "total_unit": "瓶",
            },
            {"name": "布洛芬缓释胶囊", "code": "86907777", "specification": "0.3g×20粒", "dose": "0.3", "dose_unit": "g",
             "frequency_text": "必要时", "route": "1", "total_dose": "1", "total_unit": "盒", "usage_text": "体温38.5℃以上时口服"},
        ],
        "valid_days": "3", "amount": "86.40",
    }  # fmt: skip
    record.update({name.replace("__", "."): value for name, value in changes.items()})
    return record


def document(
    number: int = 1, version: int = 1, institution: str = HOSPITAL, void: bool = False, kind: str = "C0007",
    record: Record | None = None, document_id: str = "", **changes: Any,
) -> Document:  # fmt: skip
    """A document as the agent would spool it."""
    set_id = f"{kind}-{sha256(f'{institution} {number}'.encode()).hexdigest()[:26].upper()}"
    before = f"{set_id}-{version - 1}" if version > 1 else ""
    document_id = document_id or f"{set_id}-{version}"
    the_kind = load_kind(kind)
    body = record if record is not None else lab_record(number, institution, **changes)
    absences = dict.fromkeys([*(field.name for field in the_kind.fields), *the_kind.groups], "omit")
    content = the_kind.renderer(absences)(body, Envelope(document_id, set_id, version, "20260930104500", before))
    return wrapped(content, document_id, set_id, version, kind, institution, void, before, the_kind.dictionary)


def wrapped(
    content: bytes, document_id: str, set_id: str, version: int, kind: str, institution: str, void: bool = False,
    replaces_id: str = "", dictionary: bytes = b"",
) -> Document:  # fmt: skip
    return Document(
        document_id=document_id,
        set_id=set_id,
        version=version,
        kind=kind,
        institution=institution,
        feed="lab",
        key=set_id,
        source_hash=sha256(content).hexdigest(),
        sha256=sha256(content).hexdigest(),
        size=len(content),
        frame=compressor(dictionary).compress(content),
        dictionary=dictionary_id(dictionary),
        made_at="2026-09-30T02:45:00Z",
        void=void,
        replaces_id=replaces_id,
    )


class FileMemory:
    """What an agent remembers, in a JSON file that a test can copy."""

    def __init__(self, path: Path, instance: str = "instance-1", machine: str = "machine-1"):
        self.path = path
        if not path.exists():
            path.write_text(json.dumps({"instance": instance, "machine": machine}))

    def get(self, name: str) -> str | None:
        value: str | None = json.loads(self.path.read_text()).get(name)
        return value

    def put(self, name: str, value: str) -> None:
        self.path.write_text(json.dumps({**json.loads(self.path.read_text()), name: value}))


def dictionary(name: str) -> bytes | None:
    kinds = load_kinds().values()
    return next((kind.dictionary for kind in kinds if dictionary_id(kind.dictionary) == name), None)


def destination(url: str, memory: FileMemory, **more: Any) -> PlatformDestination:
    return PlatformDestination(
        PlatformOptions(name="region", url=url, institution=HOSPITAL), memory, dictionary=dictionary, **more
    )


@contextlib.contextmanager
def running(store: Store, hosts: set[str] | None = None) -> Iterator[str]:
    """The real server over this store, in a thread. Gives its address."""
    app = application(store, hosts)
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, server_header=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def post_parcel(url: str, body: bytes | Iterator[bytes]) -> requests.Response:
    headers = {"Content-Type": "application/vnd.frontend-agent.parcel"}
    return requests.post(f"{url}/v1/parcels", data=body, headers=headers, timeout=10)


def say_hello(url: str, **hello: str) -> requests.Response:
    asked = {"institution": HOSPITAL, "instance": "instance-1", "lease": "", "machine": "machine-1", **hello}
    return requests.post(f"{url}/v1/hello", json=asked, timeout=10)


def lease_of(response: requests.Response) -> str:
    lease: str = response.json()["welcome"]["lease"]
    return lease


def put_dictionaries(url: str, documents: Sequence[Document]) -> None:
    for name in {one.dictionary for one in documents} - {""}:
        headers = {"Content-Type": "application/octet-stream"}
        content = dictionary(name)
        assert (
            requests.put(f"{url}/v1/dictionaries/{name}", data=content, headers=headers, timeout=10).status_code == 204
        )


def key_of(response: requests.Response) -> bytes:
    return base64.b64decode(response.json()["welcome"]["public_key"])
