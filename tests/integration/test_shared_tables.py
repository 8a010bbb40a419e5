"""Rows in a region's shared tables (dialect D), on real servers: put once, corrected, withdrawn, refused, confirmed."""

import logging
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors.outlets.table import TableEdge
from frontend_agent.config_outlets import TableOutlet
from frontend_agent.dialect_makers import shared_tables
from frontend_agent.dialect_makers import tables as maker_of
from frontend_agent.dialects.shared_tables import specified
from frontend_agent.errors import DestinationUnreachable, NotAllowed
from frontend_agent.model import Document, Outcome
from frontend_agent.supplying import ENGINES, ddl
from tests.servers import MariadbServer, PostgresServer
from tests.unit.opened_documents import CONTENT, a_document, around, open_one

TABLES = """
[[tables]]
name = "TB_LIS_REPORT"
kind = "C0007"
key  = ["YLJGDM", "BGDH"]
void = "ZFBZ"
uploaded = "SCSJ"

[tables.columns]
YLJGDM = { value = "{institution}", length = 30 }
BGDH   = { value = "report_number", length = 32 }
XM     = { value = "patient.name", length = 20 }
XBDM   = "patient.sex"
XBMC   = { value = "patient.sex", as = "name" }
BDXBDM = { value = "patient.sex", as = "local" }
BGSJ   = "author.time"
WDNR   = "{content}"

[[tables.details]]
name  = "TB_LIS_RESULT"
group = "items"
key   = ["YLJGDM", "BGDH", "XH"]
[tables.details.columns]
YLJGDM = { value = "{institution}", length = 30 }
BGDH   = { value = "report_number", length = 32 }
XH     = "{row}"
XMMC   = { value = "items.name", length = 100 }
JG     = "items.value"
"""
STATUS = {"status_column": "SHZT", "reason_column": "SHYY"}


class Region:
    """One database of the region, whichever engine it is."""

    def __init__(self, server: PostgresServer | MariadbServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.engine = "postgresql" if isinstance(server, PostgresServer) else "mysql"
        server.create("region")
        (folder / "tables.toml").write_text(TABLES, "utf-8")
        made = specified(shared_tables("region", self.options(), CONTENT), ["SHZT", "SHYY"])
        self.run(ddl(ENGINES[self.engine], made))

    def options(self, **changes: Any) -> TableOutlet:
        url = self.server.url("region").replace("mariadb://", "mysql://")
        settings = {"type": "table", "url": url, "tables": str(self.folder / "tables.toml"), "secret": "region"}
        return TableOutlet(**(settings | changes))

    def edge(self, **changes: Any) -> TableEdge:
        options = self.options(**changes)
        given = around(secret=lambda name: self.server.password)
        return TableEdge("region", options, given, maker_of("region", options, CONTENT, lambda feed: {}, given))

    def run(self, script: str) -> None:
        for statement in script.split(";\n"):
            if statement.strip(" \n"):
                self.server.execute(statement, database="region")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(self.server.connect("region")) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()]


@pytest.fixture(params=["postgres", "mariadb"])
def region(request: pytest.FixtureRequest, tmp_path: Path) -> Region:
    return Region(request.getfixturevalue(request.param), tmp_path)


def outcomes(edge: TableEdge, *documents: Document) -> list[Outcome]:
    return [receipt.outcome for receipt in edge.send(documents)]


def lab(number: int = 1, version: int = 1, **changes: Any) -> Document:
    return a_document("C0007", number, version, **changes)


def test_a_document_is_rows_of_its_tables(region: Region) -> None:
    document = lab()
    edge = region.edge()
    edge.probe()

    assert outcomes(edge, document) == [Outcome.ACCEPTED]
    record = open_one(document).record
    assert region.rows("SELECT YLJGDM, XM, XBDM, XBMC, BDXBDM, BGSJ, ZFBZ, SCSJ FROM TB_LIS_REPORT") == [
        ("999000013", record["patient.name"], record["patient.sex"], "女性" if record["patient.sex"] == "2" else "男性",
         None, record["author.time"], "0", "20261001090000")
    ]  # fmt: skip
    assert region.rows("SELECT XH, XMMC FROM TB_LIS_RESULT ORDER BY XH") == [
        (str(number), item["name"]) for number, item in enumerate(record["items"], 1)
    ]
    (content,) = region.rows("SELECT WDNR FROM TB_LIS_REPORT")[0]
    assert content.encode() == open_one(document).content


def test_the_same_again_is_one_row_and_a_correction_replaces_it_with_its_details(region: Region) -> None:
    edge, first = region.edge(), lab()
    outcomes(edge, first, lab(2))
    outcomes(edge, first)
    items = open_one(first).record["items"]
    assert region.rows("SELECT COUNT(*) FROM TB_LIS_REPORT") == [(2,)]

    corrected = lab(version=2, items=items[:1])
    assert outcomes(edge, corrected) == [Outcome.ACCEPTED]
    number = open_one(first).record["report_number"]
    assert region.rows(f"SELECT COUNT(*) FROM TB_LIS_RESULT WHERE BGDH = '{number}'") == [(1,)]
    assert region.rows("SELECT COUNT(*) FROM TB_LIS_REPORT") == [(2,)]


def test_columns_of_other_types_than_text_are_filled_and_compared(region: Region) -> None:
    if region.engine == "postgresql":
        region.run("ALTER TABLE TB_LIS_RESULT ALTER XH TYPE INTEGER USING 1, ALTER JG TYPE NUMERIC(9,3) USING 0")
        region.run("ALTER TABLE TB_LIS_REPORT ALTER BGSJ TYPE TIMESTAMP USING NULL, ALTER YLJGDM TYPE BIGINT USING 1")
    else:
        region.run("ALTER TABLE TB_LIS_RESULT MODIFY XH INT, MODIFY JG DECIMAL(9,3)")
        region.run("ALTER TABLE TB_LIS_REPORT MODIFY BGSJ DATETIME, MODIFY YLJGDM BIGINT")
    edge = region.edge(datetime_format="yyyy-MM-dd HH:mm:ss")
    edge.probe()
    items = [{**item, "value": "5.60"} for item in open_one(lab()).record["items"]]

    assert edge.send([lab(items=items)])[0].reasons == ()
    assert outcomes(edge, lab(version=2, items=items[:1])) == [Outcome.ACCEPTED]
    assert [str(value) for (value,) in region.rows("SELECT JG FROM TB_LIS_RESULT")] == ["5.600"]


def test_a_withdrawal_is_a_mark_and_not_a_deletion(region: Region) -> None:
    edge = region.edge()
    outcomes(edge, lab())
    assert outcomes(edge, lab(version=2, void=True)) == [Outcome.ACCEPTED]
    assert region.rows("SELECT ZFBZ FROM TB_LIS_REPORT") == [("1",)]


def test_a_bad_row_is_refused_alone_with_the_databases_reason_and_no_value(
    region: Region, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    region.run("ALTER TABLE TB_LIS_REPORT ADD CONSTRAINT no_number CHECK (XM <> '金丝雀')")
    long, banned = lab(2, patient__name="金" * 21), lab(3, patient__name="金丝雀")
    receipts = region.edge().send([lab(1), long, banned, lab(4)])

    assert [one.outcome for one in receipts] == [Outcome.ACCEPTED, Outcome.REFUSED, Outcome.REFUSED, Outcome.ACCEPTED]
    assert "longer than its column" in receipts[1].reasons[0]
    assert "check of the table" in receipts[2].reasons[0]
    assert region.rows("SELECT COUNT(*) FROM TB_LIS_REPORT") == [(2,)]
    assert region.rows("SELECT COUNT(DISTINCT BGDH) FROM TB_LIS_RESULT") == [(2,)]  # nothing is left of the refused
    told = " ".join(reason for one in receipts for reason in one.reasons) + caplog.text
    assert "金" not in told


def test_what_the_table_changes_silently_is_found_by_reading_it_back(region: Region) -> None:
    if region.engine == "postgresql":
        region.run(
            "CREATE FUNCTION cut() RETURNS trigger AS 'BEGIN NEW.XM := substr(NEW.XM, 1, 1); RETURN NEW; END' LANGUAGE plpgsql"
        )
        region.run("CREATE TRIGGER cut BEFORE INSERT OR UPDATE ON TB_LIS_REPORT FOR EACH ROW EXECUTE FUNCTION cut()")
    else:
        region.run("CREATE TRIGGER cut BEFORE INSERT ON TB_LIS_REPORT FOR EACH ROW SET NEW.XM = LEFT(NEW.XM, 1)")
    (receipt,) = region.edge().send([lab()])

    assert receipt.outcome is Outcome.REFUSED
    assert "TB_LIS_REPORT.XM reads back changed" in receipt.reasons[0]
    assert region.rows("SELECT COUNT(*) FROM TB_LIS_REPORT") == [(0,)]


def test_the_region_confirms_or_rejects_in_its_status_column(region: Region) -> None:
    edge = region.edge(**STATUS)
    documents = [lab(1), lab(2), lab(3)]
    outcomes(edge, *documents)
    assert edge.ask(documents) == []
    numbers = [open_one(one).record["report_number"] for one in documents]
    region.run(f"UPDATE TB_LIS_REPORT SET SHZT = '1' WHERE BGDH = '{numbers[0]}'")
    region.run(f"UPDATE TB_LIS_REPORT SET SHZT = '2', SHYY = 'XM 为空' WHERE BGDH = '{numbers[1]}'")

    assert [(told.document_id, told.stored, told.reasons) for told in edge.ask(documents)] == [
        ("C0007-1-1", True, ()),
        ("C0007-2-1", False, ("XM 为空",)),
    ]


def test_what_the_region_said_of_a_version_is_not_said_of_the_next(region: Region) -> None:
    edge = region.edge(**STATUS)
    outcomes(edge, lab())
    region.run("UPDATE TB_LIS_REPORT SET SHZT = '2', SHYY = 'XM 为空'")
    corrected = lab(version=2)
    assert outcomes(edge, corrected) == [Outcome.ACCEPTED]
    assert edge.ask([corrected]) == []
    assert region.rows("SELECT SHZT, SHYY FROM TB_LIS_REPORT") == [(None, None)]


def test_a_missing_column_or_a_wrong_password_is_no_documents_fault(region: Region) -> None:
    region.run("ALTER TABLE TB_LIS_REPORT DROP COLUMN XBMC")
    with pytest.raises(NotAllowed, match="TB_LIS_REPORT"):
        region.edge().probe()
    with pytest.raises(NotAllowed, match="no such table or column"):
        region.edge().send([lab()])
    options = region.options()
    wrong = around(secret=lambda name: "wrong")
    edge = TableEdge("region", options, wrong, maker_of("region", options, CONTENT, lambda feed: {}, wrong))
    with pytest.raises(NotAllowed, match="login was refused"):
        edge.send([lab()])
    with pytest.raises(DestinationUnreachable):
        region.edge(url=options.url.replace(str(region.server.port), "1")).send([lab()])


def test_a_table_without_the_key_says_so(region: Region) -> None:
    if region.engine == "postgresql":
        region.run("ALTER TABLE TB_LIS_REPORT DROP CONSTRAINT pk_TB_LIS_REPORT")
    else:
        region.run("ALTER TABLE TB_LIS_REPORT DROP PRIMARY KEY")
        region.edge().send([lab()])  # MySQL does not mind, and the second is then beside the first
    with pytest.raises(NotAllowed, match="no primary key"):
        region.edge().send([lab()])
    assert len(region.rows("SELECT BGDH FROM TB_LIS_REPORT")) == (0 if region.engine == "postgresql" else 1)
