"""What the platform is told of a study (wire/images.py): its instances with the SHA-256 of what is sent, its order and its report. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from frontend_agent.identity import set_id
from frontend_agent.imaging.model import Instance, Order, Study
from frontend_agent.wire.images import IndexedInstance, IndexedSeries, StudyIndex

EXAM_REPORT = "C0006"  # the kind of document that reports a study
_SHORT, _TEXT = 200, 1024  # characters, as the wire takes them
_NO_ORDER = Order(key="")


def study_index(study: Study, instances: Iterable[Instance], epoch: str = "") -> StudyIndex:
    """One study as it is now, without conflicts. `epoch`: the hospital's, which its report's set is named with (law 13)."""
    sent = sorted((one for one in instances if not one.is_conflict), key=_place)
    header = sent[0].header
    order = study.order or _NO_ORDER
    report = order.report_key
    return StudyIndex(
        institution=study.institution,
        study_instance_uid=study.study_instance_uid,
        study_date=header.study_date[:_SHORT],
        study_time=header.study_time[:_SHORT],
        accession_number=header.accession_number[:_SHORT],
        study_id=header.study_id[:_SHORT],
        study_description=header.study_description[:_TEXT],
        referring_physician_name=header.referring_physician_name[:_TEXT],
        institution_name=header.institution_name[:_TEXT],
        patient_name=header.patient_name[:_TEXT],
        patient_id=header.patient_id[:_SHORT],
        issuer_of_patient_id=header.issuer_of_patient_id[:_SHORT],
        patient_birth_date=header.patient_birth_date[:_SHORT],
        patient_sex=header.patient_sex[:_SHORT],
        order_key=order.key[:_SHORT],
        visit_number=order.visit_number[:_SHORT],
        id_number=order.id_number[:_SHORT],
        report_key=report[:_SHORT],
        report_set_id=set_id(study.institution, epoch, EXAM_REPORT, report) if report else "",
        series=tuple(
            _series(uid, list(some)) for uid, some in groupby(sent, key=lambda one: one.header.series_instance_uid)
        ),
    )


def _place(instance: Instance) -> tuple[str, int, str]:
    number = instance.header.instance_number
    return (
        instance.header.series_instance_uid,
        int(number) if number.isascii() and number.isdigit() else 0,
        instance.header.sop_instance_uid,
    )


def _series(uid: str, instances: Sequence[Instance]) -> IndexedSeries:
    header = instances[0].header
    return IndexedSeries(
        series_instance_uid=uid,
        modality=header.modality[:_SHORT],
        series_number=header.series_number[:_SHORT],
        series_description=header.series_description[:_TEXT],
        series_date=header.series_date[:_SHORT],
        body_part_examined=header.body_part_examined[:_SHORT],
        laterality=header.laterality[:_SHORT],
        manufacturer=header.manufacturer[:_SHORT],
        station_name=header.station_name[:_SHORT],
        instances=tuple(map(_instance, instances)),
    )


def _instance(instance: Instance) -> IndexedInstance:
    header = instance.header
    return IndexedInstance(
        sop_instance_uid=header.sop_instance_uid,
        sop_class_uid=header.sop_class_uid,
        transfer_syntax_uid=header.transfer_syntax_uid,
        sha256=instance.sent_sha256,
        size=instance.sent_size,
        instance_number=header.instance_number[:_SHORT],
        frames=header.frames,
        rows=header.rows,
        columns=header.columns,
    )
