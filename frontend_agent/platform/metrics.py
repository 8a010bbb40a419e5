"""What the platform tells Prometheus: counts and times by institution and kind, never a word about a patient."""

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from frontend_agent.platform.catalogue import Catalogue
from frontend_agent.platform.store import Taken

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    def __init__(self, catalogue: Catalogue):
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "platform_requests", "Deliveries taken, and requests refused by reason", ["outcome"], registry=self.registry
        )
        self._documents = Counter("platform_documents", "Documents by receipt", ["outcome"], registry=self.registry)
        self._bytes = Counter(
            "platform_document_bytes", "Uncompressed bytes of the documents stored", registry=self.registry
        )
        self.seconds = Histogram(
            "platform_take_seconds", "From a parcel's last byte to its answer", buckets=SECONDS, registry=self.registry
        )
        self.failures = Counter("platform_failures", "Requests that failed for our own fault", registry=self.registry)
        ProcessCollector(registry=self.registry)
        self.registry.register(_Shelf(catalogue))

    def taken(self, taken: Taken) -> None:
        self.requests.labels("taken").inc()
        self._documents.labels("stored").inc(taken.stored)
        self._documents.labels("duplicate").inc(taken.duplicates)
        self._documents.labels("refused").inc(taken.refused)
        self._bytes.inc(taken.documents_bytes)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Shelf(Collector):
    """What lies on the shelf, read from the tallies when somebody asks."""

    def __init__(self, catalogue: Catalogue):
        self._catalogue = catalogue

    def describe(self) -> Iterable[Metric]:
        return self._families()

    def collect(self) -> Iterable[Metric]:
        stored, last = self._families()
        for tally in self._catalogue.tallies():
            labels = [tally.institution, tally.kind]
            stored.add_metric(labels, tally.documents)
            last.add_metric(labels, datetime.fromisoformat(tally.last_stored).timestamp())
        return [stored, last]

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        labels = ["institution", "kind"]
        return (
            GaugeMetricFamily("platform_stored_documents", "Document versions stored", labels=labels),
            GaugeMetricFamily("platform_last_stored_timestamp_seconds", "When one was last stored", labels=labels),
        )
