"""Accepted, confirmed, reopened, waiting for registrations, in whatever order and across crashes: the spool against a model."""

import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pipe import NOW, document, id_of, taken
from test_accepted import Foreign

from frontend_agent.registrations import Names
from frontend_agent.sending import send_out
from frontend_agent.spool import Spool

KEYS = st.sampled_from("aef")
PATIENTS = st.sampled_from(["patient:1", "patient:2"])
MOVING = "('ready', 'sending', 'waiting', 'uncertain', 'awaiting')"


def opened(path: Path) -> Spool:
    return Spool(path, reserve=0, random=Random(0)).open()


class AcceptedMachine(RuleBasedStateMachine):
    """One foreign destination where registrations go first."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="accepted-model-"))
        self.lives = 0
        self.region = Foreign()
        self.versions: Counter[str] = Counter()
        self.registered: set[str] = set()
        self.now = NOW
        self.spool = opened(self.folder / "0")

    def teardown(self) -> None:
        try:
            self.drained()
        finally:
            self.spool.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _commit(self, key: str, names: Names) -> None:
        self.versions[key] += 1
        one = document(key, self.versions[key], order_key="patient" if key in "ef" else "")
        self.spool.commit(
            taken(one, destinations=("region",), names={one.document_id: names}, register_first={"region": ()})
        )

    @rule(key=KEYS, needs=st.sets(PATIENTS))
    def commit(self, key: str, needs: set[str]) -> None:
        self._commit(key, Names(tuple(sorted(needs))))

    @rule(patient=PATIENTS)
    def register(self, patient: str) -> None:
        self.registered.add(patient)
        self._commit("p" + patient[-1], Names((), (patient,)))

    @rule(mute=st.sets(KEYS, max_size=1), poison=st.sets(KEYS, max_size=1), refuses=st.sets(KEYS, max_size=1))
    def send(self, mute: set[str], poison: set[str], refuses: set[str]) -> None:
        def newest(keys: set[str]) -> set[str]:
            return {id_of(key, self.versions[key]) for key in keys}

        self.region.mute, self.region.poison = newest(mute), newest(poison)
        self.region.refuses = dict.fromkeys(newest(refuses), "no")
        self._send()

    def _send(self) -> None:
        send_out(self.region, self.spool, self.now, random=Random(1), at_once=1, foreign=True)  # type: ignore[arg-type]
        self.now += timedelta(minutes=6)

    @rule(key=KEYS, back=st.integers(0, 2))
    def confirm(self, key: str, back: int) -> None:
        self.spool.accepted.confirm("region", [id_of(key, self.versions[key] - back)], "asked", self.now)

    @rule(
        key=st.one_of(KEYS, st.sampled_from(["p1", "p2"])),
        back=st.integers(0, 2),
        again=st.sampled_from([True, True, False]),
    )
    def reopen(self, key: str, back: int, again: bool) -> None:
        self.spool.accepted.reopen("region", [id_of(key, self.versions[key] - back)], ["no"], again, self.now)

    @rule()
    def release(self) -> None:
        self.spool.quarantine_release([case.id for case in self.spool.quarantine_list()], "wang", self.now, ["region"])

    @rule()
    def crash(self) -> None:
        self.lives += 1
        path = self.folder / str(self.lives)
        shutil.copytree(self.spool.path, path)
        self.spool.close()
        self.spool = opened(path)

    def _rows(self, query: str) -> list[tuple[object, ...]]:
        return list(self.spool._database._connection.execute(query).fetchall())

    @invariant()
    def orders_are_kept_and_books_are_true(self) -> None:
        if not hasattr(self, "spool"):
            return
        assert not self._rows(f"SELECT lane FROM delivery WHERE state IN {MOVING} GROUP BY lane HAVING count(*) > 1")
        assert not self._rows(
            f"SELECT lane FROM delivery WHERE state = 'behind' EXCEPT SELECT lane FROM delivery WHERE state IN {MOVING}"
        )
        counted = dict(self._rows("SELECT state, count(*) FROM delivery GROUP BY state"))
        assert {s: n for s, n in self.spool.counts().deliveries.get("region", {}).items() if n} == counted
        assert self.spool.wanted("region")[0] == len(self._rows("SELECT DISTINCT registration FROM need"))
        assert not self._rows(
            "SELECT 1 FROM delivery v WHERE state = 'awaiting' AND NOT EXISTS (SELECT 1 FROM need e WHERE e.document = v.document)"
        )
        assert not self._rows(
            "SELECT 1 FROM need e JOIN delivery v ON v.document = e.document WHERE v.state NOT IN ('awaiting', 'behind')"
        )

    def _send_all(self) -> None:
        for _ in range(200):
            if not self.spool.pending("region"):
                break
            self._send()

    def drained(self) -> None:
        """In the end everything was said yes to, or waits for a person; and no version went after a newer one."""
        self.region.mute, self.region.poison, self.region.refuses = set(), set(), {}
        for patient in ("patient:1", "patient:2"):
            self._commit("p" + patient[-1], Names((), (patient,)))
        self._send_all()
        for key in list(self.versions):  # lost there, all of it: only what is the newest goes again
            self.spool.accepted.reopen(
                "region", [id_of(key, n) for n in range(1, self.versions[key] + 1)], [], True, self.now
            )
        self._send_all()
        left = set(self.spool.counts().deliveries["region"])
        states = {state for state in left if self.spool.counts().deliveries["region"][state]}
        assert states <= {"accepted", "delivered", "refused", "blocked"}
        for key in self.versions:
            sets = id_of(key, 1).rsplit("-", 1)[0]
            went = [int(name.rsplit("-", 1)[1]) for name in self.region.has if name.rsplit("-", 1)[0] == sets]
            assert went == sorted(went)
        assert self.spool.verify_log().ok


TestAcceptedMachine = AcceptedMachine.TestCase
TestAcceptedMachine.settings = settings(
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
