"""What the hospital's tables say there must be."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

KINDS = ("C0002", "C0004", "C0007", "C0034", "C0032", "C0006")
TABLES = {
    "C0002": ("his", ("mz_jzjl", "mz_zd", "mz_jcjg", "mz_yz")),
    "C0004": ("his", ("mz_cf", "mz_cfmx")),
    "C0007": ("lis", ("lis_bg", "lis_bgzd", "lis_bgmx")),
    "C0034": ("his", ("zy_ryjl",)),
    "C0006": ("ris", ("ris_jc", "ris_jczd")),
    "C0032": ("his", ("zy_basy", "zy_basyzd", "zy_basyss")),
}
# A visit written twice is one record: the newest row of a registration is the visit.
STATES = {
    "C0002": "SELECT mzh, jzzt = '2', zfbz = '1', MAX(xgsj || jzxh) FROM mz_jzjl GROUP BY mzh",
    "C0004": (
        "SELECT c.cfh, c.cfzt = '3', c.zfbz = '1' OR SUM(m.sl) <= 0, '' FROM mz_cf c JOIN mz_cfmx m ON m.cfh = c.cfh"
        " GROUP BY c.cfh"
    ),
    "C0007": "SELECT bgh, bgzt = '3', zfbz = '1', '' FROM lis_bg",
    "C0034": "SELECT zyh, jlzt = '2', zfbz = '1', '' FROM zy_ryjl",
    "C0006": "SELECT jch, bgzt = '3', zfbz = '1', '' FROM ris_jc",
    "C0032": "SELECT zyh, gdbz = '1', zfbz = '1', '' FROM zy_basy",
}
SEX = {"男": "1", "女": "2", "未知": "0", "1": "1", "2": "2", "M": "1", "F": "2", "U": "0", "O": "0"}
CHUNK = 400


class State(NamedTuple):
    """What a record is at present, according to its own table."""

    final: bool
    void: bool


class Hospital:
    """The three databases, opened read-only."""

    def __init__(self, folder: Path) -> None:
        self._databases = {
            name: sqlite3.connect(f"file:{folder / name}.db?mode=ro", uri=True) for name in ("his", "lis", "ris")
        }

    def __enter__(self) -> "Hospital":
        return self

    def __exit__(self, *_: object) -> None:
        for database in self._databases.values():
            database.close()

    def rows(self, kind: str) -> int:
        """Source rows that belong to a kind, parents and details."""
        name, tables = TABLES[kind]
        counts = (self._databases[name].execute(f"SELECT COUNT(*) FROM {table}") for table in tables)  # noqa: S608
        return sum(count.fetchone()[0] for count in counts)

    def states(self, kind: str) -> dict[str, State]:
        """Every business key of a kind."""
        name, _ = TABLES[kind]
        return {
            key: State(bool(final), bool(void)) for key, final, void, _ in self._databases[name].execute(STATES[kind])
        }

    def values(self, kind: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What the documents of these keys must say, straight from the rows."""
        read = {
            "C0002": self._visits, "C0004": self._prescriptions, "C0007": self._reports,
            "C0034": self._admissions, "C0032": self._front_pages,
            "C0006": self._examinations,
        }[kind]  # fmt: skip
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(keys), CHUNK):
            found.update(read(list(keys[start : start + CHUNK])))
        return found

    def _ask(self, database: str, sql: str, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        marks = ", ".join("?" * len(keys))
        with closing(self._databases[database].execute(sql.replace("KEYS", f"({marks})"), list(keys))) as cursor:
            names = [column[0] for column in cursor.description]
            for row in cursor:
                yield dict(zip(names, row, strict=True))

    def _visits(self, keys: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        visits: dict[str, dict[str, Any]] = {}
        sql = (
            "SELECT j.mzh, j.jzxh, j.zs, j.xbs, j.jws, j.tgjc, b.xm, b.xb, b.zjlx, b.zjhm, z.xm AS doctor FROM mz_jzjl j"
            " JOIN mz_brxx b ON b.brid = j.brid LEFT JOIN dm_zg z ON z.zgdm = j.qmys WHERE j.mzh IN KEYS"
            " ORDER BY j.xgsj, j.jzxh"
        )
        for row in self._ask("his", sql, keys):
            visits[row["mzh"]] = row  # the last one stays: the newest
        by_visit = {row["jzxh"]: row for row in visits.values()}
        for name, sql in (
            ("diagnoses", "SELECT jzxh, zddm AS value FROM mz_zd WHERE zdlx = 'XY' AND jzxh IN KEYS ORDER BY zdsx"),
            ("orders", "SELECT jzxh, yznr AS value FROM mz_yz WHERE jzxh IN KEYS ORDER BY yzsx"),
        ):
            for detail in self._ask("his", sql, list(by_visit)):
                by_visit[detail["jzxh"]].setdefault(name, []).append(plain(detail["value"]))
        for key, row in visits.items():
            yield (
                key,
                {
                    **_person(row["xm"], row["xb"], row["zjlx"], row["zjhm"]),
                    "doctor": plain(row["doctor"]),
                    "chief_complaint": plain(row["zs"]),
                    "present_illness": plain(row["xbs"]),
                    "past_history": plain(row["jws"]),
                    "physical_examination": plain(row["tgjc"]),
                    "diagnoses": row.get("diagnoses", []),
                    "orders": row.get("orders", []),
                },
            )

    def _prescriptions(self, keys: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        lines: dict[str, list[dict[str, Any]]] = {key: [] for key in keys}
        for line in self._ask("his", "SELECT * FROM mz_cfmx WHERE cfh IN KEYS ORDER BY mxxh", keys):
            lines[line["cfh"]].append(line)
        sql = (
            "SELECT c.cfh, c.zddm, b.xm, b.xb, b.zjlx, b.zjhm FROM mz_cf c JOIN mz_brxx b ON b.brid = c.brid"
            " WHERE c.cfh IN KEYS"
        )
        for row in self._ask("his", sql, keys):
            yield (
                row["cfh"],
                {
                    **_person(row["xm"], row["xb"], row["zjlx"], row["zjhm"]),
                    "diagnosis": plain(row["zddm"]),
                    "drugs": _net(lines[row["cfh"]]),
                    "amount": f"{sum(round(line['je'] * 100) for line in lines[row['cfh']]) / 100:.2f}",
                },
            )

    def _reports(self, keys: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        items: dict[str, list[tuple[str, str]]] = {key: [] for key in keys}
        for row in self._ask("lis", "SELECT bgh, xmdm, jg, dw FROM lis_bgmx WHERE bgh IN KEYS ORDER BY xh", keys):
            number = row["jg"].replace(".", "", 1).isdigit()
            items[row["bgh"]].append((row["xmdm"], row["jg"] if number else f"{row['jg']} {row['dw']}".strip()))
        for row in self._ask("lis", "SELECT * FROM lis_bg WHERE bgh IN KEYS", keys):
            yield (
                row["bgh"],
                {
                    **_person(row["xm"], row["xb"], row["zjlx"], row["zjhm"]),
                    "specimen_number": plain(row["tmh"]),
                    "method": plain(row["jyff"]),
                    "report_result": plain(row["bgjg"]),
                    "items": items[row["bgh"]],
                },
            )

    def _examinations(self, keys: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        for row in self._ask("ris", "SELECT * FROM ris_jc WHERE jch IN KEYS", keys):
            yield (
                row["jch"],
                {
                    **_person(row["xm"], row["xb"], row["zjlx"], row["zjhm"]),
                    "request_number": plain(row["fwh"]),
                    "method": plain(row["jcff"]),
                    "findings": plain(row["yxsj"]),
                    "impression": plain(row["yxzd"]),
                },
            )

    def _admissions(self, keys: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        sql = (
            "SELECT j.zyh, j.zs, j.xbs, j.tw, j.ssy, b.xm, b.xb, b.zjlx, b.zjhm FROM zy_ryjl j"
            " JOIN zy_zyjl z ON z.zyh = j.zyh JOIN mz_brxx b ON b.brid = z.brid WHERE j.zyh IN KEYS"
        )
        for row in self._ask("his", sql, keys):
            yield (
                row["zyh"],
                {
                    **_person(row["xm"], row["xb"], row["zjlx"], row["zjhm"]),
                    "chief_complaint": plain(row["zs"]),
                    "present_illness": plain(row["xbs"]),
                    "temperature": plain(row["tw"]),
                    "systolic": plain(row["ssy"]),
                },
            )

    def _front_pages(self, keys: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        operations: dict[str, list[str]] = {key: [] for key in keys}
        for row in self._ask("his", "SELECT zyh, ssbm FROM zy_basyss WHERE zyh IN KEYS ORDER BY sssx", keys):
            operations[row["zyh"]].append(row["ssbm"])
        sql = (
            "SELECT p.zyh, p.zfy, z.bah, b.xm, b.xb, b.zjlx, b.zjhm FROM zy_basy p"
            " JOIN zy_zyjl z ON z.zyh = p.zyh JOIN mz_brxx b ON b.brid = z.brid WHERE p.zyh IN KEYS"
        )
        for row in self._ask("his", sql, keys):
            yield (
                row["zyh"],
                {
                    **_person(row["xm"], row["xb"], row["zjlx"], row["zjhm"]),
                    "record_number": plain(row["bah"]),
                    "amount": f"{row['zfy']:.2f}",
                    "operations": operations[row["zyh"]],
                },
            )


def plain(text: str | None) -> str:
    """The text without what surrounds it; XML has one line end."""
    return (text or "").strip().replace("\r\n", "\n")


def _person(name: str, sex: str, id_type: str, id_number: str) -> dict[str, str]:
    return {
        "name": plain(name),
        "sex": SEX.get(sex, ""),
        "id_number": id_number if id_type == "居民身份证" else "",
    }


def _net(lines: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """Drug and quantity after what was given back; all of it given back leaves the lines as they were."""
    quantities: dict[str, int] = {}
    names: dict[str, str] = {}
    given: dict[str, int] = {}
    for line in lines:
        key = line["tfmxxh"] or line["mxxh"]
        names[key] = plain(line["ypmc"])
        quantities[key] = quantities.get(key, 0) + line["sl"]
        if not line["tfmxxh"]:
            given[key] = line["sl"]
    kept = {key: number for key, number in quantities.items() if number > 0} or given
    return [(names[key], str(number)) for key, number in sorted(kept.items())]
