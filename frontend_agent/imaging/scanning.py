"""The inlet `scans`: files that are not DICOM become instances of the study of their order.

A file whose order is not here yet waits for it, as long as `wait` says; then it is refused, with its reason beside it. Laid back into
the folder, it is tried again. Orders come from RIS by [images.orders], or from a study that is here already.
"""

from collections.abc import Sequence
from concurrent.futures import TimeoutError as NotInTime
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from connectors.arrivals import InboxFull, Kept
from connectors.folders.collecting import Away, Later, Picked
from connectors.folders.making import tell
from connectors.folders.reasons import FileRefused, reason
from connectors.folders.scans import FilesOneByOne
from connectors.folders.this_machine import LocalPlace
from connectors.instances import InstanceRefused
from frontend_agent.config_images import ScansInlet
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.inlets import ImageHands
from frontend_agent.imaging.making import Made
from frontend_agent.imaging.model import Order, Study
from frontend_agent.imaging.pixels.asking import PixelProcess
from frontend_agent.imaging.scans import Named, NotMade, made, name_form, named, study_of

WAITS = "scan waits "  # marks: since when a file waits for its order
FORGOTTEN = timedelta(days=30)  # behind its wait: it was taken away by somebody
Answer = TypeVar("Answer", Away, FileRefused)

KEPT_WITHIN = 600.0  # seconds; longer than any disk takes
AGAIN = 60.0  # seconds until an order is looked for again


class Scanning:
    """Takes one file after the other."""

    def __init__(self, name: str, settings: ScansInlet, hands: ImageHands, pixels: PixelProcess) -> None:
        self._name, self._settings, self._hands, self._pixels = name, settings, hands, pixels
        try:
            self._form = name_form(settings.name)
        except ValueError as error:
            raise ConfigurationError(f"[images.inlets.{name}] {error}") from None

    def take(self, file: Picked) -> Away | FileRefused | Later:
        """What became of it. Its instances are on disk when it returns; InboxFull: nothing more can be kept now."""
        try:
            said = named(file.path, self._form)
            order, study = self._whose(said)
            if order is None:
                return self._later(file)
            instances = made(file.content, file.sha256, order, study, said.number, self._settings, self._pixels.page)
            self._keep(instances, file.sha256)
        except NotMade as error:
            return self._ended(file, FileRefused(reason(error.word, *error.arguments)))
        except ConfigurationError as error:
            return self._ended(file, FileRefused(reason("unreadable", str(error))))
        except InstanceRefused as error:
            return self._ended(file, FileRefused(reason("unreadable", str(error))))
        return self._ended(file, Away())

    # -- waiting: since when is remembered in the book, for an agent may be started anew every night

    def _later(self, file: Picked) -> Away | Later:
        """It waits, or has waited long enough."""
        now, mark = self._hands.clock(), self._mark(file)
        said = self._hands.book.mark(mark)
        since = min(datetime.fromisoformat(said), now) if said else now
        if now - since >= self._settings.wait:
            return self._ended(file, Away((reason("scan_no_order"),)))
        if not said:
            self._hands.book.put_mark(mark, now.isoformat())
        return Later(AGAIN, since)

    def _ended(self, file: Picked, answer: Answer) -> Answer:
        """Nothing is to be remembered of it: laid down again, it waits from the beginning."""
        self._hands.book.drop_mark(self._mark(file))
        return answer

    def _mark(self, file: Picked) -> str:
        name = sha256(file.path.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return f"{WAITS}{self._name} {name} {file.sha256[:16]}"

    def _whose(self, said: Named) -> tuple[Order | None, str]:
        """The order a name speaks of, and its study. NotMade: there are several, or it is another patient's."""
        orders = self._orders(said)
        if not orders:
            return None, ""
        patients = {(order.patient_id, order.patient_name, order.birth_date) for order in orders}
        if len(patients) > 1:
            raise NotMade("scan_two_orders")
        order = orders[0]
        if said.patient_id and order.patient_id and said.patient_id != order.patient_id:
            raise NotMade("scan_other_patient")
        if order.cancelled:
            raise NotMade("scan_cancelled")
        here = self._here(order)
        return order, here or study_of(order, self._hands.institution.id)

    def _orders(self, said: Named) -> Sequence[Order]:
        book = self._hands.book
        if said.key:
            return book.find_order(key=said.key)
        if said.study:
            return book.find_order(study_instance_uid=said.study)
        return book.find_order(accession_number=said.accession_number)

    def _here(self, order: Order) -> str:
        """The study of that order that PACS or modality has sent already, where the order does not name it itself."""
        if order.study_instance_uid or not order.accession_number:
            return ""
        found: list[Study] = self._hands.book.studies(accession=order.accession_number, limit=2)
        return found[0].study_instance_uid if len(found) == 1 else ""

    def _keep(self, instances: Sequence[Made], digest: str) -> None:
        waiting = []
        for one in instances:
            writer = self._hands.desk.begin(
                self._name,
                one.sop_class_uid,
                one.sop_instance_uid,
                one.transfer_syntax_uid,
                sender=f"scan {digest[:16]}",
            )
            try:
                for chunk in (one.head, *one.body, one.tail):
                    writer.write(chunk)
            except BaseException:
                writer.abort()
                raise
            waiting.append(writer.keep())
        for future in waiting:
            try:
                if future.result(KEPT_WITHIN).kept is Kept.CONFLICT:
                    raise NotMade("scan_conflict")
            except NotInTime:
                raise InboxFull("nothing was kept in time") from None


def scans(name: str, settings: ScansInlet, hands: ImageHands) -> FilesOneByOne:
    """The inlet of a table. ConfigurationError: `name` is wrong."""
    hands.book.drop_marks(f"{WAITS}{name} ", (hands.clock() - settings.wait - FORGOTTEN).isoformat())
    pixels = PixelProcess()
    scanning = Scanning(name, settings, hands, pixels)
    return FilesOneByOne(
        name,
        settings,
        settings.largest,
        LocalPlace(settings.path, settings.mount),
        scanning.take,
        hands.clock,
        hands.picked,
        hands.timezone,
        tell,
        close=pixels.close,
    )
