"""Looking at a study when it seems whole: what it is sent as, or why it is held.

    study, instances ─▶ order ─▶ facts of every file (in a child process: threat D5) ─▶ findings ─▶ changed tags ─▶ Checked

Nothing is written but the files of instances whose tags really change, and those lie in incoming/ until the book takes them.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from frontend_agent.config import InstitutionConfig
from frontend_agent.config_images import ImagesConfig
from frontend_agent.imaging.model import Checked, Instance, Order, Study
from frontend_agent.instance_files import Incoming
from frontend_agent.model import Finding, Severity

AsItCame = Callable[[Instance], Path | None]


class FindOrder(Protocol):
    """`StudyBook.find_order`."""

    def __call__(
        self, *, study_instance_uid: str = "", accession_number: str = "", key: str = ""
    ) -> Sequence[Order]: ...


class Looking:
    """Looks at one study after the other. One at a time; `close` ends its child process."""

    def __init__(
        self, images: ImagesConfig, institution: InstitutionConfig, clock: Callable[[], datetime] = datetime.now
    ) -> None:
        self._images = images
        self._institution = institution
        self._clock = clock
        self.digests = _digest(images, institution)

    def look(
        self,
        study: Study,
        instances: Sequence[Instance],
        path: AsItCame,
        orders: FindOrder,
        begin: Callable[[], Incoming],
    ) -> Checked:
        """What came of it. `path` is of a file as it came. Raises what the book, or a disk, raises; then nothing is changed."""
        now = self._clock()
        order = self._order(study, instances, orders)
        findings = list(self._completeness(study, instances))
        late = now >= study.first_at + self._images.patience
        waits = bool(findings) and not late
        return Checked(
            study=study.id,
            seen=max((one.id for one in instances), default=0),
            at=now,
            order=order,
            expected=study.expected,
            findings=tuple(findings),
            held=not waits and any(one.severity is Severity.HOLD for one in findings),
            wait_until=min(study.first_at + self._images.patience, now + timedelta(minutes=10)) if waits else None,
            destinations=self._destinations(instances),
            digests=self.digests,
        )

    def close(self) -> None:
        """Nothing is looked at any more."""

    def _order(self, study: Study, instances: Sequence[Instance], orders: FindOrder) -> Order | None:
        found = list(orders(study_instance_uid=study.study_instance_uid))
        numbers = sorted({one.header.accession_number for one in instances if one.header.accession_number})
        for number in numbers if not found else ():
            found += orders(accession_number=number)
        return found[0] if len(found) == 1 else None

    def _completeness(self, study: Study, instances: Sequence[Instance]) -> Sequence[Finding]:
        expected = study.expected
        if expected is None:
            return ()
        have = len(instances)
        if have >= expected.instances:
            return ()
        return (Finding("IMG-INCOMPLETE", Severity.HOLD, arguments=(str(have), str(expected.instances))),)

    def _destinations(self, instances: Sequence[Instance]) -> tuple[str, ...]:
        """Those that take one of its modalities."""
        modalities = {one.header.modality for one in instances}
        return tuple(
            name
            for name, outlet in self._images.destinations.items()
            if not outlet.modalities or modalities & set(outlet.modalities)
        )


def _digest(images: ImagesConfig, institution: InstitutionConfig) -> str:
    said = (images.align, images.issuer_of_patient_id, images.assigning_oid, images.repair_character_sets, sorted(images.rules.items()), institution.name)  # fmt: skip
    return "looking=" + hashlib.sha256(repr(said).encode()).hexdigest()[:16]
