"""Orders of RIS, what PACS say of studies, and which studies should be here. Part of the book of studies (images.py)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from frontend_agent.imaging.model import Expected, Order, Want
from frontend_agent.spool.image_words import expected_of, want_of
from frontend_agent.spool.ledger import Ledger
from frontend_agent.spool.times import millis

OPEN, DONE, STUCK = "open", "done", "stuck"
URGENCIES = (0, 1, 2)


class Wanting:
    """Writing needs a transaction around it, where it is not one of its own."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.database

    # --- orders -------------------------------------------------------------------------------------------------------

    def put_orders(self, orders: Sequence[Order], now: datetime) -> list[Order]:
        """Those that are new or say something new."""
        changed = []
        for order in orders:
            body = msgspec.json.encode(order)
            row = self._database.row("image.hold order", key=order.key)
            if row is not None and bytes(row[0]) == body:
                continue
            self._database.run(
                "image.put order", key=order.key, study=order.study_instance_uid, accession=order.accession_number,
                body=body, now=millis(now),
            )  # fmt: skip
            changed.append(order)
        return changed

    def find_order(self, study_instance_uid: str, accession_number: str, key: str) -> list[Order]:
        if key:
            rows = self._database.rows("image.hold order", key=key)
        elif study_instance_uid:
            rows = self._database.rows("image.orders by study", study=study_instance_uid)
        else:
            rows = self._database.rows("image.orders by accession", accession=accession_number)
        return [msgspec.json.decode(row[0], type=Order) for row in rows]

    # --- what a PACS says ---------------------------------------------------------------------------------------------

    def expect(self, study_instance_uid: str, expected: Expected, now: datetime) -> bool:
        """Whether it says something new."""
        row = self._database.row("image.expected", study=study_instance_uid)
        if row is not None and expected_of(row[0]) == expected:
            return False
        body = msgspec.json.encode(expected)
        self._database.run("image.expect", study=study_instance_uid, body=body, now=millis(now))
        return True

    # --- wants --------------------------------------------------------------------------------------------------------

    def want(self, want: Want) -> tuple[bool, list[int]]:
        """Whether it is new; and the studies that are here already, whole or not."""
        uid, accession = want.study_instance_uid, want.accession_number
        here = self._database.rows("image.is here", study=uid, accession=accession)
        studies = [row[0] for row in here]
        since = want.since or want.due_at
        due_at = want.due_at or want.since
        due = millis(due_at) if due_at else 0
        earlier = self._database.rows("image.wants of", study=uid, accession=accession)
        for number, state, _, inlet in earlier:
            if state == OPEN and (not want.inlet or not inlet or inlet == want.inlet):
                self._database.run("image.hurry want", id=number, urgency=want.urgency, due_at=due)
                return False, studies
        by_itself = want.urgency > 0  # who waits for it is served by asking, however much was here at the last count
        if by_itself and here and all(_is_whole(row, want.expected) for row in here):
            return False, studies
        if by_itself and not here and any(state in (DONE, STUCK) for _, state, _, _ in earlier):
            return False, studies  # it was asked for, and is not to be had: only a person asks once more
        self._database.run(
            "image.add want", inlet=want.inlet, study=uid, accession=accession, why=want.why, urgency=want.urgency,
            since=millis(since) if since else 0, due_at=due,
            expected=msgspec.json.encode(want.expected) if want.expected else None,
        )  # fmt: skip
        self._ledger.change({("wants", OPEN): 1})
        return True, studies

    def next_want(self, inlet: str, now: datetime, lease: timedelta) -> Want | None:
        """The most urgent that this inlet may fetch; what has waited longest first."""
        with self._database.write():
            for urgency in URGENCIES:
                for whose in dict.fromkeys((inlet, "")):
                    row = self._database.row("image.next want", inlet=whose, urgency=urgency, now=millis(now))
                    if row is not None:
                        self._database.run("image.lease want", id=row[0], until=millis(now + lease))
                        found = self._database.row("image.want", id=row[0])
                        assert found is not None
                        return want_of(found)
        return None

    def done(self, want: int, now: datetime, problem: str, retry_at: datetime | None) -> None:
        state = OPEN if retry_at else STUCK if problem else DONE
        with self._database.write():
            changed = self._database.changed(
                "image.end want", id=want, state=state, problem=problem, due_at=millis(retry_at or now),
                ended_at=None if retry_at else millis(now),
            )  # fmt: skip
            if changed and state != OPEN:
                self._ledger.change({("wants", OPEN): -1, ("wants", state): 1})

    def wants(self, open_only: bool, limit: int) -> list[Want]:
        found = [want_of(row) for row in self._database.rows("image.wants", state=OPEN, limit=limit)]
        if not open_only:
            for state in (STUCK, DONE):
                found += [want_of(row) for row in self._database.rows("image.wants", state=state, limit=limit)]
        return sorted(found, key=lambda want: -want.id)[:limit]

    def end_leases(self, now: datetime) -> None:
        with self._database.write():
            self._database.run("image.end lease", now=millis(now))

    def forget(self, before: int) -> None:
        for query in ("orders", "expected", "wants"):
            while True:
                with self._database.write():
                    if not self._database.changed(f"image.forget {query}", before=before):
                        break


def _is_whole(row: Sequence[object], expected: Expected | None) -> bool:
    """Whether nothing of a study has to be fetched, as far as is known: all was here that a PACS says of it, or nobody says how much."""
    _, instances, body = row
    said = expected or expected_of(body)  # type: ignore[arg-type]  # a blob
    assert isinstance(instances, int)
    return said is None or said.instances <= instances
