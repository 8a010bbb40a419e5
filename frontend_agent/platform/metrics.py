"""What the platform tells Prometheus: counts and times by institution and kind, never a word about a patient."""

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from frontend_agent.model import Outcome
from frontend_agent.platform.catalogue import Catalogue
from frontend_agent.platform.images.store import Kept
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
        self._instances = Counter(
            "platform_instances",
            "Instances of images by outcome and way in",
            ["outcome", "way"],
            registry=self.registry,
        )
        self._instance_bytes = Counter(
            "platform_instance_bytes", "Bytes of the instances stored", registry=self.registry
        )
        self.instances_sent = Counter(
            "platform_instances_sent", "Instances that were retrieved whole", registry=self.registry
        )
        ProcessCollector(registry=self.registry)
        self.registry.register(_Shelf(catalogue))

    def taken(self, taken: Taken) -> None:
        self.requests.labels("taken").inc()
        self._documents.labels("stored").inc(taken.stored)
        self._documents.labels("duplicate").inc(taken.duplicates)
        self._documents.labels("refused").inc(taken.refused)
        self._bytes.inc(taken.documents_bytes)

    def kept(self, kept: Iterable[Kept], way: str) -> None:
        """What became of instances that came by `way`: stow or dicom."""
        for one in kept:
            self._instances.labels(str(one.outcome), way).inc()
            if one.outcome == Outcome.STORED:
                self._instance_bytes.inc(one.size)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Shelf(Collector):
    """What lies on the shelf, read from the tallies when somebody asks."""

    def __init__(self, catalogue: Catalogue):
        self._catalogue = catalogue

    def describe(self) -> Iterable[Metric]:
        return self._families()

    def collect(self) -> Iterable[Metric]:
        stored, last, *images, heard, silent, alarms = self._families()
        for hospital in self._catalogue.hospitals():
            labels = [hospital.institution]
            heard.add_metric(labels, datetime.fromisoformat(hospital.received_at).timestamp())
            silent.add_metric(labels, bool(hospital.silent_since))
            for level in ("warning", "critical"):
                count = sum(one.level == level and not one.muted for one in hospital.beat.alarms)
                alarms.add_metric([*labels, level], count)
        for tally in self._catalogue.tallies():
            labels = [tally.institution, tally.kind]
            stored.add_metric(labels, tally.documents)
            last.add_metric(labels, datetime.fromisoformat(tally.last_stored).timestamp())
        for of_images in self._catalogue.images.tallies():
            counts = (of_images.studies, of_images.instances, of_images.held, of_images.bytes)
            for family, count in zip(images, counts, strict=True):
                family.add_metric([of_images.institution], count)
        return [stored, last, *images, heard, silent, alarms]

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, ...]:
        labels = ["institution", "kind"]
        return (
            GaugeMetricFamily("platform_stored_documents", "Document versions stored", labels=labels),
            GaugeMetricFamily("platform_last_stored_timestamp_seconds", "When one was last stored", labels=labels),
            GaugeMetricFamily("platform_studies", "Studies known", labels=labels[:1]),
            GaugeMetricFamily("platform_known_instances", "Instances known, with or without files", labels=labels[:1]),
            GaugeMetricFamily("platform_held_instances", "Instances whose files are here", labels=labels[:1]),
            GaugeMetricFamily("platform_held_instance_bytes", "Bytes of these files", labels=labels[:1]),
            GaugeMetricFamily(
                "platform_hospital_last_heartbeat_timestamp_seconds", "When it was last heard of", labels=labels[:1]
            ),
            GaugeMetricFamily("platform_hospital_silent", "1: nothing is heard of it any more", labels=labels[:1]),
            GaugeMetricFamily(
                "platform_hospital_alarms", "Alarms that stand there, unmuted", labels=[*labels[:1], "level"]
            ),
        )
