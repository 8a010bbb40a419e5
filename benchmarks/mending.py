"""How long a quarantine takes to list by cause, and to release: python -m benchmarks.mending [RECORDS]

Fills a spool with held records (a million, unless told otherwise) of forty causes, two of them in every tenth record.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import zstandard

from frontend_agent.identity import set_id
from frontend_agent.model import Blame, Finding, Held, Severity
from frontend_agent.spool import Spool, Taken

RECORDS = 1_000_000
COMMIT = 500
NOW = datetime(2026, 9, 30, 8, 15, tzinfo=UTC)
BODY = zstandard.compress(b'{"patient.name":"x"}' * 20)


def held(number: int) -> Held:
    """One record, held for a local code or for a value that is missing."""
    findings = [
        Finding(
            "MAP001",
            Severity.HOLD,
            Blame.MAPPING,
            f"items[{number % 7}].result_code",
            "",
            "lis.ycbz",
            f"L{number % 39}",
        )
    ]
    if number % 10 == 0:
        findings.append(Finding("DE-MISSING", Severity.HOLD, field="patient.name", column="lis.xm"))
    key = f"K{number}"
    return Held(
        set_id=set_id("H", "1", "C0007", key),
        kind="C0007",
        institution="H",
        feed="lab_report",
        key=key,
        source_hash=sha256(key.encode()).hexdigest(),
        body=BODY,
        findings=tuple(findings),
        digests="digests",
        held_at=NOW.isoformat(),
    )


@contextmanager
def measured(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"{what:<44} {time.perf_counter() - began:>9.3f} s")


def main(records: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Spool(Path(folder) / "state").open() as spool:
        with measured(f"hold {records:,} records"):
            for start in range(0, records, COMMIT):
                batch = [held(number) for number in range(start, min(start + COMMIT, records))]
                spool.commit(
                    Taken(
                        feed="lab_report", kind="C0007", institution="H", digests="digests", at=NOW,
                        destinations=("platform",), held=batch,
                    )
                )  # fmt: skip
        with measured("list by cause"):
            groups = spool.groups()
        with measured("how many records those are"):
            total = spool.group_records(group.id for group in groups)
        print(f"{len(groups)} causes, {total:,} records")
        largest = groups[0].id
        with measured(f"mark {groups[0].count:,} of one cause to be read again"):
            number = spool.begin_release([largest], "benchmark", NOW)
            list(spool.release_groups(number, [largest], "benchmark", NOW))
        with measured("mark all of them"):
            number = spool.begin_release(["all"], "benchmark", NOW)
            list(spool.release_groups(number, [group.id for group in groups], "benchmark", NOW))
        with measured("how many are still to be read"):
            spool.release_waiting(number)
        with measured("what became of them"):
            spool.released(number)
        with measured("list by cause, again"):
            spool.groups()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS)
