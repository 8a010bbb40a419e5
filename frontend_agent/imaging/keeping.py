"""What the imaging pipe asks of whoever keeps its studies: `spool.images`, as the modules that decide see it.

Every method that changes something is one transaction, and says in the chained log what it did.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from frontend_agent.imaging.model import (
    Checked,
    Expected,
    ImageDelivery,
    Instance,
    Order,
    Settled,
    Study,
    StudyState,
    Want,
)
from frontend_agent.instance_files import Incoming
from frontend_agent.instance_reading import InstanceFile


class StudyBook(Protocol):
    """Studies, their instances and deliveries, orders, and what is wanted. Safe to use from several threads."""

    # --- looking
    def study(self, study: int, /) -> Study | None: ...
    def study_of(self, study_instance_uid: str, /) -> Study | None: ...
    def studies(
        self,
        state: StudyState | None = None,
        *,
        limit: int = 100,
        after: int = 0,
        patient_id: str = "",
        accession: str = "",
    ) -> list[Study]:
        """The newest first."""

    def instances(self, study: int, /) -> list[Instance]:
        """All of one study, by series and number; those with is_conflict at the end."""

    def path(self, instance: Instance, /, *, as_it_came: bool = False) -> InstanceFile | None:
        """The file that is sent (or the one that came); None when its term is over."""

    def counts(self, study_instance_uid: str, /) -> Mapping[str, int]:
        """SeriesInstanceUID -> instances that are known; also of those whose files are gone."""

    def stands(self, study: int, /) -> Mapping[str, Mapping[str, int]]:
        """Destination -> state -> instances of one study."""

    # --- orders, and what a PACS says
    def put_orders(self, orders: Sequence[Order], now: datetime, /) -> int:
        """What RIS says, the newest word for each key. How many were new or changed; their studies, if here, are looked at again."""

    def find_order(self, *, study_instance_uid: str = "", accession_number: str = "", key: str = "") -> list[Order]:
        """By one of them."""

    def expect(self, study_instance_uid: str, expected: Expected, now: datetime, /) -> None:
        """What a PACS says of a study, here or not yet; the newest word counts."""

    # --- deciding
    def due(self, now: datetime, /, limit: int = 10) -> list[Study]:
        """Studies to be looked at: nothing came for so long, or something about them has changed."""

    def checked(self, checked: Checked, /) -> bool:
        """Write what came of looking. False: something came meanwhile; it is looked at again, and nothing was written (the files of
        `rewritten` are gone)."""

    def begin(self) -> Incoming:
        """A file for an instance that is written anew; its token goes into Rewritten."""

    def release(self, study: int, who: str, now: datetime, /) -> bool:
        """A person lets a held study go: its findings are noted with his name, and it is sent."""

    def look_again(self, study: int, now: datetime, /) -> bool:
        """It is judged anew, by the rules and orders of now."""

    def discard(self, study: int, who: str, reason: str, now: datetime, /) -> bool: ...

    def send_again(self, study: int, destinations: Sequence[str], who: str, now: datetime, /) -> int:
        """Deliver it (again) to these: how many instances."""

    # --- sending
    def claim(
        self,
        destination: str,
        now: datetime,
        /,
        *,
        limit: int,
        max_bytes: int,
        lease: timedelta,
        busy: Sequence[int] = (),
    ) -> ImageDelivery | None:
        """Due instances of one study, real time before backfill; not of the studies in `busy`."""

    def claim_unproven(
        self, destination: str, now: datetime, /, *, first: timedelta, every: timedelta, until: timedelta
    ) -> ImageDelivery | None:
        """A study of which instances were accepted and are not proven, due to be proven now."""

    def settle(self, destination: str, settled: Sequence[Settled], now: datetime, /) -> int:
        """What became of claimed instances. How many ended (delivered, accepted, refused)."""

    def renamed(self, study: Study, destination: str, uid: str, now: datetime, /) -> None:
        """It leaves for a destination under that Study Instance UID: remembered, and said in the log, before it is sent."""

    def waiting(self, destination: str, /) -> int:
        """Instances that go by themselves: not those for a person."""

    # --- what is wanted
    def want(self, wants: Sequence[Want], /) -> int:
        """Take them up; one that is wanted already is not taken twice. What is here whole by the last count of its PACS is asked for
        again only where somebody waits for it (urgency 0). How many are new."""

    def next_want(self, inlet: str, now: datetime, lease: timedelta, /) -> Want | None: ...

    def want_done(self, want: int, now: datetime, /, problem: str = "", retry_at: datetime | None = None) -> None:
        """It was fetched, or (`problem`, `retry_at`) is tried again, or (`problem` alone) is given up and stays for a person."""

    def wants(self, *, open_only: bool = True, limit: int = 100) -> list[Want]: ...

    # --- marks of whoever walks or polls
    def mark(self, name: str, /) -> str: ...
    def put_mark(self, name: str, value: str, /) -> None: ...
    def drop_mark(self, name: str, /) -> None: ...
    def drop_marks(self, beginning: str, below: str, /) -> None:
        """Those whose names begin so, and whose values come before that."""

    # --- room
    def used(self) -> int:
        """Bytes of all files."""

    def retire(self, retention: timedelta, remember: timedelta, now: datetime, /) -> int:
        """Drop the files of studies that every destination has proven for so long. How many studies."""

    def tallies(self) -> Mapping[str, Mapping[str, int]]:
        """`studies` by state, `instances` by destination and state, without a scan."""
