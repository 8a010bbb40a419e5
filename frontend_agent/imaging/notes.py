"""Key Object Selections (PS3.3 A.35.4, PS3.16 TID 2010): key image notes, and manifests of studies (IHE RAD TF-3 §4.68).

They name instances and say why. Made of the same instances for the same reason, it is the same object, byte for byte.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydicom.dataset import Dataset

from frontend_agent.dicom.uids import EXPLICIT_LE
from frontend_agent.imaging.making import MANUFACTURER, Made, encoded, uid_of, whose
from frontend_agent.imaging.model import Instance, Order

KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
MANIFEST = ("113030", "Manifest")
# Why images were chosen: CID 7010, as words for who chooses -> code, meaning.
TITLES = {
    "of-interest": ("113000", "Of Interest"),
    "for-referring-provider": ("113002", "For Referring Provider"),
    "for-surgery": ("113003", "For Surgery"),
    "for-teaching": ("113004", "For Teaching"),
    "for-conference": ("113005", "For Conference"),
    "for-therapy": ("113006", "For Therapy"),
    "for-patient": ("113007", "For Patient"),
    "for-peer-review": ("113008", "For Peer Review"),
    "for-research": ("113009", "For Research"),
    "best-in-set": ("113013", "Best In Set"),
    "for-printing": ("113018", "For Printing"),
    "for-report": ("113020", "For Report Attachment"),
}
REFERRAL = "for-referring-provider"


class Retrieve(NamedTuple):
    """Where images can be had (PS3.3 C.12.1.1.4, IHE RAD TF-3 §4.68.4.1.2.2): what is empty is not said."""

    ae_title: str = ""
    location_uid: str = ""
    url: str = ""  # the base of WADO-RS


class NoNote(ValueError):
    """Nothing can be said of these instances, and why."""


def key_note(
    whole: Sequence[Instance], chosen: Sequence[str], title: str, text: str, institution: str, at: str
) -> Made:
    """The note that chooses instances of one study by their UIDs. `at`: DT15 in 14 digits. NoNote: which is none of the study."""
    known = {one.header.sop_instance_uid: one for one in whole}
    strangers = [uid for uid in chosen if uid not in known]
    if strangers:
        raise NoNote(f"no instance of this study: {', '.join(strangers)}")
    if not chosen:
        raise NoNote("no instance is chosen")
    if title not in TITLES:
        raise NoNote(f"unknown title {title!r} (known: {', '.join(TITLES)})")
    instances = [known[uid] for uid in dict.fromkeys(chosen)]
    return _selection(instances, TITLES[title], text, institution, at, Retrieve(), of=_order_of(whole[0]))


def manifest(
    whole: Sequence[Instance], institution: str, at: str, retrieve: Retrieve, order: Order | None = None
) -> Made:
    """Everything of a study and where it can be had. Another set of instances is another manifest."""
    return _selection(whole, MANIFEST, "", institution, at, retrieve, of=order or _order_of(whole[0]))


def _order_of(instance: Instance) -> Order:
    """Patient and study as an instance says them."""
    header = instance.header
    sex = {"M": "1", "F": "2", "O": "9"}.get(header.patient_sex, "")
    return Order(
        key="", study_instance_uid=header.study_instance_uid, accession_number=header.accession_number, patient_id=header.patient_id,
        issuer_of_patient_id=header.issuer_of_patient_id, patient_name=header.patient_name, sex=sex, birth_date=header.patient_birth_date,
        performed_at=header.study_date + header.study_time[:6],
    )  # fmt: skip


def _selection(
    instances: Sequence[Instance],
    title: tuple[str, str],
    text: str,
    institution: str,
    at: str,
    retrieve: Retrieve,
    of: Order,
) -> Made:
    study = instances[0].header.study_instance_uid
    said = [f"{one.header.series_instance_uid} {one.header.sop_instance_uid}" for one in instances]
    data = whose(of, study)
    data.SOPClassUID = KEY_OBJECTS
    data.SOPInstanceUID = uid_of("key objects", study, title[0], text, *retrieve, *said)
    data.InstanceCreationDate, data.InstanceCreationTime = at[:8], at[8:14]
    data.Modality = "KO"
    data.SeriesInstanceUID = uid_of("key objects", study, title[0])
    data.SeriesNumber = 9100
    data.ReferencedPerformedProcedureStepSequence = []
    data.Manufacturer, data.InstitutionName = MANUFACTURER, institution
    data.InstanceNumber = 1
    data.ContentDate, data.ContentTime = at[:8], at[8:14]
    data.ReferencedRequestSequence = []
    if of.accession_number:
        data.ReferencedRequestSequence = [_request(of, study)]
    else:
        del data.ReferencedRequestSequence
    data.CurrentRequestedProcedureEvidenceSequence = [_evidence(study, instances, retrieve)]
    data.ValueType, data.ContinuityOfContent = "CONTAINER", "SEPARATE"
    data.ConceptNameCodeSequence = [_code(*title)]
    data.ContentTemplateSequence = [_template()]
    data.ContentSequence = [_words(text)] if text else []
    data.ContentSequence.extend(_reference(one) for one in instances)
    return Made(KEY_OBJECTS, str(data.SOPInstanceUID), EXPLICIT_LE, encoded(data))


def _request(of: Order, study: str) -> Dataset:
    request = Dataset()
    request.StudyInstanceUID, request.AccessionNumber = study, of.accession_number
    request.ReferencedStudySequence = []
    request.PlacerOrderNumberImagingServiceRequest = request.FillerOrderNumberImagingServiceRequest = ""
    request.RequestedProcedureID = request.RequestedProcedureDescription = ""
    request.RequestedProcedureCodeSequence = []
    return request


def _evidence(study: str, instances: Sequence[Instance], retrieve: Retrieve) -> Dataset:
    """Hierarchical SOP Instance Reference (PS3.3 C.17.2.1)."""
    series: dict[str, list[Instance]] = {}
    for one in instances:
        series.setdefault(one.header.series_instance_uid, []).append(one)
    evidence = Dataset()
    evidence.StudyInstanceUID = study
    evidence.ReferencedSeriesSequence = [_series(study, uid, group, retrieve) for uid, group in series.items()]
    return evidence


def _series(study: str, uid: str, instances: Sequence[Instance], retrieve: Retrieve) -> Dataset:
    one = Dataset()
    if retrieve.ae_title:
        one.RetrieveAETitle = retrieve.ae_title
    if retrieve.location_uid:
        one.RetrieveLocationUID = retrieve.location_uid
    if retrieve.url:
        one.RetrieveURL = f"{retrieve.url.rstrip('/')}/studies/{study}/series/{uid}"
    one.ReferencedSOPSequence = [_sop(instance) for instance in instances]
    one.SeriesInstanceUID = uid
    return one


def _sop(instance: Instance) -> Dataset:
    one = Dataset()
    one.ReferencedSOPClassUID = instance.header.sop_class_uid
    one.ReferencedSOPInstanceUID = instance.header.sop_instance_uid
    return one


def _reference(instance: Instance) -> Dataset:
    """TID 2010: an image, a waveform, or another composite object."""
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    waveform = instance.header.sop_class_uid.startswith("1.2.840.10008.5.1.4.1.1.9.")
    item.ValueType = "IMAGE" if instance.header.has_pixel_data else "WAVEFORM" if waveform else "COMPOSITE"
    item.ReferencedSOPSequence = [_sop(instance)]
    return item


def _words(text: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence = [_code("113012", "Key Object Description")]
    item.TextValue = text
    return item


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _template() -> Dataset:
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    return template


def modalities(instances: Sequence[Instance]) -> Mapping[str, int]:
    """Modality -> instances."""
    counted: dict[str, int] = {}
    for one in instances:
        counted[one.header.modality] = counted.get(one.header.modality, 0) + 1
    return counted
