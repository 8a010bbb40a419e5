"""[images.orders]: where RIS and HIS say whose a study is, and which there are.

    changed since the mark ─▶ keys ─▶ rows ─▶ Order ─▶ book        and, if somebody may ask a PACS, a Want for what is not here

The mapping is one like any other, with the fields of an order instead of a document's; its queries are read through the guarded source
(law 8). The mark moves after the orders of its page are kept: a page that was broken off is read again.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from connectors import Source
from connectors.finding.bearings import Bearings
from connectors.finding.search import Search
from frontend_agent.config import InstitutionConfig
from frontend_agent.config_images import AskingConfig, ImagesConfig, OrdersConfig
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.imaging.keeping import StudyBook
from frontend_agent.imaging.model import Order, Want
from frontend_agent.logs import event, failed, log
from frontend_agent.mapping import compile_mapping, load_mapping
from frontend_agent.model import SourceRecord, Watermark

KIND = "IMAGE-ORDER"
MARK = "orders"  # of the book: where the last page ended
_PAGE = 500  # keys


class OrderField(NamedTuple):
    """One value of an order, as a mapping knows a kind's field."""

    name: str
    format: str = "AN..64"
    value_type: str = "S1"
    value_set: str = ""
    group: str = ""


class OrderKind(NamedTuple):
    """What a mapping of orders is held to."""

    code: str
    fields: tuple[OrderField, ...]


ORDER_KIND = OrderKind(
    KIND,
    (
        OrderField("study_instance_uid"), OrderField("accession_number", "AN..16"), OrderField("patient_id"),
        OrderField("issuer_of_patient_id"), OrderField("patient_name"), OrderField("sex", "N1"), OrderField("birth_date", "D8", "D"),
        OrderField("id_number", "AN..18"), OrderField("modality"), OrderField("body_part"), OrderField("laterality", "A1"),
        OrderField("performed_at", "DT15", "DT"), OrderField("report_key"), OrderField("visit_number"),
        OrderField("series", "N..6", "N"), OrderField("instances", "N..9", "N"),
    ),
)  # fmt: skip
_SIDES = {"L": "L", "R": "R", "B": "B", "左": "L", "右": "R", "双": "B", "左侧": "L", "右侧": "R", "双侧": "B"}


class _Mark(msgspec.Struct, frozen=True):
    """How far orders were read, and what the last whole run left for the next."""

    cursor: str
    key: str
    bearings: Bearings | None = None


class Orders:
    """Reads orders every so often, in a thread of its own. It has the shape of an inlet that asks (connectors.arrivals.Fetcher)."""

    def __init__(
        self,
        images: ImagesConfig,
        options: OrdersConfig,
        institution: InstitutionConfig,
        sources: Mapping[str, Source],
        book: StudyBook,
        clock: Callable[[], datetime],
        may_read: Callable[[], object] = lambda: None,
    ) -> None:
        """`may_read` raises where the source's account may do more than read. ConfigurationError: the mapping is none of orders."""
        self.name = "orders"
        self._options, self._sources, self._book, self._clock, self._may_read = options, sources, book, clock, may_read
        self._mapping = load_mapping(options.mapping, institution.id)
        self._compiled = compile_mapping(
            self._mapping, ORDER_KIND, institution.id, institution.name, institution.timezone
        )
        self._settle = images.settle
        self._askers = tuple(
            name
            for name, inlet in images.inlets.items()
            if isinstance(inlet, AskingConfig) and "orders" in inlet.asks_for
        )
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._told: dict[str, Any] = {"orders": 0, "wanted": 0, "left_out": 0, "problem": "", "read_at": ""}

    # --- an inlet that asks -------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._work, name="image-orders", daemon=True)
        self._thread.start()

    def stop(self, patience: float) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(patience)

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def probe(self) -> None:
        """Raise what would go wrong: the account, the queries, their columns."""
        self._may_read()
        self._source.probe(self._mapping.queries, self._sources)

    def told(self) -> dict[str, Any]:
        return {"source": self._options.source, "mapping": self._mapping.name, **self._told}

    def fetch(self) -> int:
        """Read what is new, now. How many orders were new or changed."""
        self._may_read()
        taken = 0
        for keys, mark in self._pages():
            taken += self.take(keys)
            if mark is not None:
                self._book.put_mark(MARK, msgspec.json.encode(mark).decode())
            if self._stopping.is_set():
                break
        self._told |= {"read_at": self._clock().isoformat(), "problem": ""}
        return taken

    def take(self, keys: Sequence[str]) -> int:
        """Read the orders of these keys: as a page has them, or a person names them. How many were new or changed."""
        if not keys:
            return 0
        rows = self._source.fetch(self._mapping.queries, keys, self._sources).opened()
        records = self._compiled(rows)
        orders = [order_of(record) for record in records if record.key]
        now = self._clock()
        changed = self._book.put_orders(orders, now)
        wanted = self._book.want(self._wants([record for record in records if record.final and not record.void], now))
        left_out = sum(len(record.findings) for record in records)
        self._told["orders"] += changed
        self._told["wanted"] += wanted
        self._told["left_out"] += left_out
        log.info(event("images.orders.read", orders=len(orders), changed=changed, wanted=wanted, left_out=left_out))
        return changed

    # --- inside ---------------------------------------------------------------------------------------------------------

    @property
    def _source(self) -> Source:
        source = self._sources.get(self._options.source)
        if source is None:
            raise ConfigurationError(f"images.orders: there is no source '{self._options.source}'")
        return source

    def _pages(self) -> Iterator[tuple[Sequence[str], _Mark | None]]:
        """(keys, mark to be kept after them): by the time of their last change, as feeds find theirs."""
        said = self._book.mark(MARK)
        stood = msgspec.json.decode(said, type=_Mark) if said else None
        after = Watermark(stood.cursor, stood.key) if stood else None
        if after is None:
            start = datetime.fromisoformat(self._options.start) if self._options.start else None
            after = self._source.begin(self._mapping.queries, start)
            if after is not None:
                yield (), _Mark(after.cursor, after.key)
        bearings = stood.bearings if stood else None
        search = Search(how="time", limit=_PAGE)
        for page in self._source.found(self._mapping.queries, search, after, bearings):
            after = page.watermark or after
            left = page.bearings or bearings
            yield page.keys, _Mark(after.cursor, after.key, left) if after else None

    def _wants(self, records: Sequence[SourceRecord], now: datetime) -> list[Want]:
        """Studies that were done and may not be here: whoever asks a PACS by orders looks for them, if nobody sends them first."""
        orders = [order_of(record) for record in records]
        return [
            Want(
                inlet=asker, study_instance_uid=order.study_instance_uid,
                accession_number="" if order.study_instance_uid else order.accession_number, why=f"order {order.key}",
                urgency=1, since=now, due_at=now + self._settle,
            )
            for order in orders
            for asker in self._askers
            if (order.study_instance_uid or order.accession_number) and not self._is_here(order)
        ]  # fmt: skip

    def _is_here(self, order: Order) -> bool:
        if order.study_instance_uid:
            return self._book.study_of(order.study_instance_uid) is not None
        return bool(self._book.studies(accession=order.accession_number, limit=1))

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self.fetch()
            except FrontendAgentError as error:
                self._told["problem"] = str(error)
                log.warning(event("images.orders.failed", problem=str(error)))
            except Exception as error:  # noqa: BLE001 - whatever a driver raises: told, and asked again the next time
                self._told["problem"] = type(error).__name__
                failed("images.orders.failed", error)
            self._stopping.wait(self._options.every / timedelta(seconds=1))


def probe_orders(options: OrdersConfig, institution: InstitutionConfig, sources: Mapping[str, Source]) -> None:
    """Raise what would go wrong: the mapping, the queries, their columns. Nothing is read, and no book is needed."""
    mapping = load_mapping(options.mapping, institution.id)
    compile_mapping(mapping, ORDER_KIND, institution.id, institution.name, institution.timezone)
    sources[options.source].probe(mapping.queries, sources)


def order_of(record: SourceRecord) -> Order:
    """An order as its row says it. A row that is void is a cancelled order."""
    said = {field.name: record.record[field.name] for field in ORDER_KIND.fields if field.name in record.record}
    series, instances = (_number(said.pop(name, "")) for name in ("series", "instances"))
    laterality = _SIDES.get(said.pop("laterality", "").strip().upper(), "")
    said["modality"] = said.get("modality", "").upper()
    return Order(
        key=record.key, laterality=laterality, series=series, instances=instances, cancelled=record.void, **said
    )


def _number(text: str) -> int:
    with suppress(ValueError):
        return int(float(text))
    return -1
