"""Orders out of a RIS: read through the guarded source, kept, and what is not here is wanted."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest

from connectors import SourceOptions, open_source
from frontend_agent.app import checked
from frontend_agent.config import InstitutionConfig, load_config
from frontend_agent.config_images import DicomFolderInlet, DicomwebInlet, ImagesConfig, OrdersConfig
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.model import Order, StudyState
from frontend_agent.imaging.orders import Orders
from frontend_agent.imaging.running import Imaging
from frontend_agent.spool import Spool
from tests.image_samples import ct_slice
from tests.study_kit import NOW, Clock, Kept

MAPPING = """
kind = "IMAGE-ORDER"
key = "examination_number"
[queries]
changed = "orders.changed.sql"
parent = "orders.sql"
"""
CHANGED = 'SELECT gxsj AS "cursor", jch AS "key" FROM ris_jc'
PARENT = """
SELECT jch AS "examination_number", study_uid AS "study_instance_uid", jch AS "accession_number", brh AS "patient_id",
       xm AS "patient_name", xb AS "sex", csrq AS "birth_date", sblx AS "modality", cb AS "laterality", jcsj AS "performed_at",
       bgh AS "report_key", yxs AS "instances", CASE WHEN zt = 'done' THEN 1 ELSE 0 END AS "final",
       CASE WHEN zt = 'void' THEN 1 ELSE 0 END AS "void"
FROM ris_jc
"""
HOSPITAL = InstitutionConfig(id="H1", name="第一医院")


class Ris:
    """A RIS in a file, and a look at it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "ris.db"
        (folder / "orders.toml").write_text(MAPPING)
        (folder / "orders.changed.sql").write_text(CHANGED)
        (folder / "orders.sql").write_text(PARENT)
        self.run(
            "CREATE TABLE ris_jc (jch TEXT, study_uid TEXT, brh TEXT, xm TEXT, xb TEXT, csrq TEXT, sblx TEXT, cb TEXT, jcsj TEXT,"
            " bgh TEXT, yxs INTEGER, zt TEXT, gxsj TEXT)"
        )
        self.source = open_source("ris", SourceOptions(url=f"sqlite:///{self.path}"))
        (folder / "state").mkdir()
        self.bench = Kept(folder / "state")

    def run(self, sql: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(sql, values)

    def examine(self, number: str, uid: str = "", state: str = "done", at: str = "2026-11-20 08:00:00") -> None:
        self.run(
            "INSERT INTO ris_jc VALUES (?, ?, 'H100', '张三', '1', '1980-01-01', 'ct', '左侧', '2026-11-20 07:30:00', ?, 3, ?, ?)",
            number, uid, f"R{number}", state, at,
        )  # fmt: skip

    def orders(self, **options) -> Orders:
        images = ImagesConfig(
            inlets={
                "pacs": DicomFolderInlet(type="dicom-folder", path=str(self.folder)),
                "web": DicomwebInlet(type="dicomweb", url="http://127.0.0.1/dicom-web"),
                "polled": DicomwebInlet(type="dicomweb", url="http://127.0.0.1/other", asks_for=("poll",)),
            }
        )
        settings = OrdersConfig(
            **{"source": "ris", "mapping": str(self.folder / "orders.toml"), "start": "2026-01-01", **options}
        )
        return Orders(images, settings, HOSPITAL, {"ris": self.source}, self.bench.book, lambda: NOW)


@pytest.fixture
def ris(tmp_path: Path):
    made = Ris(tmp_path)
    yield made
    made.source.close()
    made.bench.close()


def test_an_order_is_what_its_row_says(ris):
    ris.examine("J1", "1.2.3")

    assert ris.orders().fetch() == 1

    assert ris.bench.book.find_order(study_instance_uid="1.2.3") == [
        Order(
            key="J1", study_instance_uid="1.2.3", accession_number="J1", patient_id="H100", patient_name="张三", sex="1",
            birth_date="19800101", modality="CT", laterality="L", performed_at="20261120073000", report_key="RJ1", instances=3,
        )
    ]  # fmt: skip


def test_the_next_look_reads_what_changed_since(ris):
    ris.examine("J1")
    ris.orders().fetch()
    ris.examine("J2", at="2026-11-20 09:00:00")

    assert ris.orders().fetch() == 1  # another process, that knows the mark only
    assert [one.key for one in ris.bench.book.find_order(accession_number="J2")] == ["J2"]
    ris.run("UPDATE ris_jc SET zt = 'void', gxsj = '2026-11-20 09:30:00' WHERE jch = 'J1'")
    assert ris.orders().fetch() == 1
    [order] = ris.bench.book.find_order(key="J1")
    assert order.cancelled


def test_studies_that_are_not_here_are_wanted_of_those_who_ask_for_orders(ris):
    ris.examine("J1", "1.2.3")
    ris.examine("J2")
    ris.examine("J3", "1.2.5", state="planned")
    ris.examine("J4", "1.2.6", state="void")

    ris.orders().fetch()

    wants = ris.bench.book.wants()
    assert {(one.inlet, one.study_instance_uid, one.accession_number, one.why) for one in wants} == {
        ("web", "1.2.3", "", "order J1"),
        ("web", "", "J2", "order J2"),
    }
    assert all(one.due_at == NOW + timedelta(minutes=2) for one in wants)


def test_orders_begin_now_where_no_day_is_named(ris):
    ris.examine("J0", at="2026-11-18 08:00:00")
    ris.examine("J1", at="2026-11-20 08:00:00")

    ris.orders(start="").fetch()
    ris.examine("J2", at="2026-11-20 09:00:00")
    ris.orders(start="").fetch()

    found = [one.key for key in ("J0", "J1", "J2") for one in ris.bench.book.find_order(key=key)]
    assert found == ["J1", "J2"]  # the newest, and what came after it


def test_orders_of_keys_are_read_alone(ris):
    ris.examine("J1")
    ris.examine("J2")

    assert ris.orders().take(["J2"]) == 1
    assert ris.bench.book.find_order(key="J1") == []


def test_what_is_wrong_with_the_mapping_is_told_at_the_start(ris):
    (ris.folder / "orders.sql").write_text(PARENT.replace('"sex"', '"gender"'))
    with pytest.raises(ConfigurationError, match="gender"):
        ris.orders()
    (ris.folder / "orders.toml").write_text(MAPPING.replace("IMAGE-ORDER", "C0006"))
    with pytest.raises(ConfigurationError, match="C0006"):
        ris.orders()


def test_the_thread_reads_and_ends(ris):
    ris.examine("J1")
    orders = ris.orders()
    orders.start()
    try:
        for _ in range(100):
            if orders.told()["read_at"]:
                break
            orders._stopping.wait(0.05)
    finally:
        orders.stop(5.0)
    assert orders.told()["orders"] == 1
    assert not orders.is_alive()
    orders.probe()


def test_beside_the_daemon_orders_come_before_studies_are_looked_at(ris, tmp_path):
    ris.examine("J1", "1.2.3")
    (tmp_path / "agent.toml").write_text(
        f"""
        [institution]
        id = "45601"
        name = "第一医院"
        [sources.ris]
        url = "sqlite:///{ris.path}"
        [images.orders]
        source = "ris"
        mapping = "{ris.folder / "orders.toml"}"
        start = "2026-01-01"
        [images.inlets.pacs]
        type = "dicom"
        port = 0
        [images.destinations.region]
        type = "dicom"
        url = "dicom://R@127.0.0.1:1"
        proof = "none"
        """
    )
    config = load_config(tmp_path / "agent.toml")
    clock = Clock(NOW)
    (tmp_path / "daemon").mkdir()
    spool = Spool(tmp_path / "daemon", reserve=0).open()
    imaging = Imaging(config, spool, tmp_path / "daemon", clock, {"ris": ris.source})
    try:
        imaging.desk.start()
        for number in (1, 2, 3):
            writer = imaging.desk.begin_file("pacs", sender="PACS1@10.0.0.9")
            writer.write(ct_slice(number, PatientID="P1", PatientName="ZHANG^SAN"))
            writer.keep().result(10)
        assert ("images.orders", 1, None) in [tuple(one) for one in imaging.inlets.fetch()]
        clock.now = NOW + timedelta(minutes=3)
        assert imaging.watcher.work(timedelta(), lambda: False) == 1
        study = imaging.book.study_of("1.2.3")
        assert study is not None
        assert study.state is StudyState.SENDING
        assert study.order is not None
        assert study.order.key == "J1"
        [first, *_] = imaging.book.instances(study.id)
        sent = imaging.book.path(first)
        assert sent is not None
        dataset = pydicom.dcmread(sent)
        assert (str(dataset.PatientName), dataset.PatientID) == ("ZHANG^SAN=张三", "H100")
    finally:
        imaging.stop(1.0)
        spool.close()


def test_check_tries_the_orders_queries(tmp_path: Path) -> None:
    ris = Ris(tmp_path)
    ris.source.close()
    ris.bench.close()
    config = tmp_path / "agent.toml"
    config.write_text(
        f'[institution]\nid = "H1"\nname = "第一医院"\n[sources.ris]\nurl = "sqlite:///{ris.path}"\n'
        f'[images.orders]\nsource = "ris"\nmapping = "{tmp_path / "orders.toml"}"\n'
        f'[images.inlets.discs]\ntype = "dicom-folder"\npath = "{tmp_path}"\n'
    )
    assert dict(checked(load_config(config)))["images: orders"] is None
    (tmp_path / "orders.sql").write_text(PARENT.replace("ris_jc", "ris_gone"))
    problem = dict(checked(load_config(config)))["images: orders"]
    assert "ris_gone" in str(problem)
