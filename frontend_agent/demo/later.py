"""What happens in the hospital after the agent has read it once.

Every kind of change a feed must cope with, each written into planted.json as an event with what must come of it:

    corrected  the record's next version          touched    nothing: the content is what it was
    reversed   the next version, drugs netted     voided     a void version
    mended     leaves quarantine, first version   closed     was not final before: first version
    late       first version, although its timestamp is older than what was read already
"""

import random
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from .faults import EXAM, PRESCRIPTION, REPORT, VISIT
from .hospital import BEFORE, Plan, Writer, databases
from .prescriptions import reversal
from .rhythm import DAY, Calendar, Dice
from .schema import insert
from .staff import hire_staff

HOUR = 3600
VISIT_TABLES = ("mz_brxx", "mz_ghxx", "mz_jzjl", "mz_zd", "mz_jcjg", "mz_yz")
PRESCRIPTION_TABLES = ("mz_cf", "mz_cfmx")
EXAM_TABLES = ("ris_jc", "ris_jczd")
REPORT_TABLES = ("lis_bg", "lis_bgzd", "lis_bgmx")
LATE_BY = (60, 400)  # seconds before what was read already; the feeds' overlap is ten minutes


def advance(folder: Path, step: int) -> Plan:
    """Play step 1, 2, …: each once, in order. Deterministic by the hospital's seed and the step."""
    plan = Plan.load(folder)
    if step != plan.steps + 1:
        raise ValueError(f"step {step} cannot be played: the next one is {plan.steps + 1}")
    rng = Dice(f"hospital {plan.seed} step {step}")
    with databases(folder, new=False) as (his, lis, ris):
        _Step(plan, step, his, lis, ris, rng).play()
    plan.steps = step
    plan.save(folder)
    return plan


@dataclass
class _Step:
    plan: Plan
    step: int
    his: sqlite3.Connection
    lis: sqlite3.Connection
    ris: sqlite3.Connection
    rng: random.Random

    def __post_init__(self) -> None:
        plan = self.plan
        first = self._first_day()
        self.calendar = Calendar(first - timedelta(days=BEFORE))
        self.staff = hire_staff(Dice(f"hospital {plan.seed}"))  # the same staff as ever
        self.writer = Writer(self.his, self.lis, self.ris, plan, self.calendar, self.staff, self.rng)
        self.newest = {
            VISIT: self._newest(self.his, VISIT_TABLES),
            PRESCRIPTION: self._newest(self.his, PRESCRIPTION_TABLES),
            REPORT: self._newest(self.lis, REPORT_TABLES),
            EXAM: self._newest(self.ris, EXAM_TABLES),
        }
        self.now = max(self.newest.values()) + HOUR
        self.count = max(2, plan.visits // 200)
        self.spoiled = {(entry["kind"], entry["key"]) for entry in plan.planted}
        self.spoiled |= {(event["kind"], event["key"]) for event in plan.events}

    def play(self) -> None:
        """All events of the step, late commits first: they belong to the time before it."""
        self.late_commits()
        self.corrected_reports()
        self.corrected_visits()
        self.touched()
        self.partly_reversed()
        self.wholly_reversed()
        self.voided_reports()
        self.mended()
        self.closed()
        self.new_visits()

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _first_day(self) -> date:
        text = self.his.execute("SELECT MIN(xgsj) FROM mz_ghxx").fetchone()[0]
        return date.fromisoformat(text[:10])

    def _newest(self, connection: sqlite3.Connection, tables: Iterable[str]) -> int:
        texts = [connection.execute(f"SELECT MAX(xgsj) FROM {table}").fetchone()[0] for table in tables]  # noqa: S608
        return max((self.calendar.seconds(text) for text in texts if text), default=0)

    def _stamp(self) -> str:
        """The next moment of this step."""
        self.now += 1 + self.rng.randrange(20)
        return self.calendar.stamp(self.now)

    def _choose(self, connection: sqlite3.Connection, kind: str, sql: str, count: int) -> list[str]:
        """Some keys that nothing is planted on and nothing has happened to."""
        keys = [key for (key,) in connection.execute(sql) if (kind, key) not in self.spoiled]
        chosen = self.rng.sample(keys, min(count, len(keys)))
        self.spoiled |= {(kind, key) for key in chosen}
        return chosen

    def _event(self, kind: str, key: str, event: str) -> None:
        self.plan.events.append({"step": self.step, "kind": kind, "key": key, "event": event})

    # -- events ----------------------------------------------------------------------------------------------------

    def late_commits(self) -> None:
        """Visits whose transactions were open while the agent read: they appear now, with their earlier times."""
        writer = self.writer
        day = f"{self.calendar.day(self.newest[VISIT]):%y%m%d}"
        for number in range(self.count):
            visit = writer.write_visit(f"MZ{day}9{self.step:02d}{number:03d}", "0304", self.newest[VISIT] - HOUR)
            self._event(VISIT, visit.number, "late")
        for kind, tables in (
            (VISIT, VISIT_TABLES),
            (PRESCRIPTION, PRESCRIPTION_TABLES),
            (REPORT, REPORT_TABLES),
            (EXAM, EXAM_TABLES),
        ):
            if not self.newest[kind]:
                continue  # there is none yet: it is not late
            text = self.calendar.stamp(self.newest[kind] - self.rng.randrange(*LATE_BY))
            for table in tables:
                for row in writer.rows[table]:
                    row["xgsj"] = text
        for kind, table, key in ((PRESCRIPTION, "mz_cf", "cfh"), (REPORT, "lis_bg", "bgh"), (EXAM, "ris_jc", "jch")):
            for row in writer.rows[table]:
                self._event(kind, row[key], "late")
        self.spoiled |= {(event["kind"], event["key"]) for event in self.plan.events}
        writer.flush()

    def corrected_reports(self) -> None:
        """A result measured again: only the item's row is touched, as many LIS do."""
        sql = "SELECT bgh FROM lis_bg WHERE bgzt = '3' AND zfbz = '0' ORDER BY bgh"
        for key in self._choose(self.lis, REPORT, sql, self.count):
            found = "SELECT mxxh, jg FROM lis_bgmx WHERE bgh = ? ORDER BY mxxh LIMIT 1"
            item, result = self.lis.execute(found, (key,)).fetchone()
            corrected = f"{float(result) + 1:.2f}" if result.replace(".", "", 1).isdigit() else result + "（复查）"
            change = "UPDATE lis_bgmx SET jg = ?, xgsj = ? WHERE mxxh = ?"
            self.lis.execute(change, (corrected, self._stamp(), item))
            self._event(REPORT, key, "corrected")

    def corrected_visits(self) -> None:
        """A doctor amends the history of a closed visit."""
        sql = "SELECT mzh FROM mz_jzjl WHERE jzzt = '2' AND zfbz = '0' ORDER BY mzh"
        for key in self._choose(self.his, VISIT, sql, self.count):
            change = "UPDATE mz_jzjl SET jws = jws || '（补充）家属代诉无特殊。', xgsj = ? WHERE mzh = ?"
            self.his.execute(change, (self._stamp(), key))
            self._event(VISIT, key, "corrected")

    def touched(self) -> None:
        """A nightly job of the HIS rewrites rows without changing them. No version may come of it."""
        sql = "SELECT cfh FROM mz_cf WHERE cfzt = '3' AND zfbz = '0' ORDER BY cfh"
        for key in self._choose(self.his, PRESCRIPTION, sql, self.count):
            self.his.execute("UPDATE mz_cf SET xgsj = ? WHERE cfh = ?", (self._stamp(), key))
            self._event(PRESCRIPTION, key, "touched")

    def partly_reversed(self) -> None:
        """One pack of a drug is given back."""
        sql = "SELECT DISTINCT cfh FROM mz_cfmx WHERE sl > 1 AND tfmxxh = '' ORDER BY cfh"
        for key in self._choose(self.his, PRESCRIPTION, sql, self.count):
            line = next(line for line in self._lines(key) if line["sl"] > 1)
            insert(self.his, "mz_cfmx", [reversal(line, 1, self.step, self._stamp())])
            self._event(PRESCRIPTION, key, "reversed")

    def wholly_reversed(self) -> None:
        """Everything is given back: the prescription stands for nothing any more."""
        sql = "SELECT cfh FROM mz_cf WHERE cfzt = '3' AND zfbz = '0' ORDER BY cfh"
        for key in self._choose(self.his, PRESCRIPTION, sql, self.count):
            stamp = self._stamp()
            insert(self.his, "mz_cfmx", [reversal(line, line["sl"], self.step, stamp) for line in self._lines(key)])
            self._event(PRESCRIPTION, key, "voided")

    def _lines(self, key: str) -> list[dict[str, Any]]:
        cursor = self.his.execute("SELECT * FROM mz_cfmx WHERE cfh = ? AND tfmxxh = '' ORDER BY mxxh", (key,))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def voided_reports(self) -> None:
        """The laboratory withdraws a report."""
        sql = "SELECT bgh FROM lis_bg WHERE bgzt = '3' AND zfbz = '0' ORDER BY bgh"
        for key in self._choose(self.lis, REPORT, sql, self.count // 2 + 1):
            self.lis.execute("UPDATE lis_bg SET zfbz = '1', xgsj = ? WHERE bgh = ?", (self._stamp(), key))
            self._event(REPORT, key, "voided")

    def mended(self) -> None:
        """Somebody read the findings and filled in what was missing."""
        mends = {
            "missing_complaint": "UPDATE mz_jzjl SET zs = '头晕3天', xgsj = ? WHERE mzh = ?",
            "missing_prescription_diagnosis": "UPDATE mz_cf SET zddm = 'I10.x00x002', zdmc = '高血压病', xgsj = ? WHERE cfh = ?",
            "missing_dose": "UPDATE mz_cfmx SET yl = '1', xgsj = ? WHERE cfh = ? AND yl = ''",
            "missing_reviewer": "UPDATE lis_bg SET shys = jyys, shsj = bgsj, xgsj = ? WHERE bgh = ?",
        }
        entries = [entry for entry in self.plan.planted if "mended" not in entry]
        times: dict[tuple[str, str], int] = {}
        for entry in entries:
            times[entry["kind"], entry["key"]] = times.get((entry["kind"], entry["key"]), 0) + 1
        happened = {(event["kind"], event["key"]) for event in self.plan.events}
        for entry in entries:
            kind, key, fault = entry["kind"], entry["key"], entry["fault"]
            # One fault at most: with two the record would stay held.
            if fault not in mends or times[kind, key] > 1 or (kind, key) in happened:
                continue
            connection = self.lis if kind == REPORT else self.his
            connection.execute(mends[fault], (self._stamp(), key))
            entry["mended"] = self.step
            self._event(kind, key, "mended")

    def closed(self) -> None:
        """Visits that were still open are closed and signed."""
        sql = "SELECT mzh FROM mz_jzjl WHERE jzzt = '1' ORDER BY mzh"
        for key in self._choose(self.his, VISIT, sql, self.count):
            stamp = self._stamp()
            change = "UPDATE mz_jzjl SET jzzt = '2', qmys = ysdm, qmsj = ?, jssj = ?, xgsj = ? WHERE mzh = ?"
            self.his.execute(change, (stamp, stamp, stamp, key))
            self._event(VISIT, key, "closed")

    def new_visits(self) -> None:
        """The next morning."""
        start = (self.now // DAY + 1) * DAY
        self.writer.write_day(start, max(5, self.plan.visits // 50))
        self.writer.flush()
