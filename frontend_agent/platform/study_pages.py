"""The pages of images: the list of studies, one study, one series, one image; and what of it stands on a document's page.

As all pages: no script, everything that a hospital sent is text. Pictures come from the `rendered` and `thumbnail` resources of DICOMweb
(platform/previews.py), so that a viewer and these pages show the same.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from frontend_agent.dicom.uids import is_uid
from frontend_agent.errors import FrontendAgentError, StateError
from frontend_agent.formats.library import kind_codes, load_kind
from frontend_agent.platform.catalogue import COUNT_TO, PAGE, Listed, Search
from frontend_agent.platform.images.catalogue import ImageCatalogue, Instance, Series, Study, StudySearch
from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.pages import HTML, Pages, cleaned, day_of, language, number_of, say
from frontend_agent.platform.rendering.notes import KEY_OBJECT, MANIFEST, KeyNote
from frontend_agent.platform.rendering.renderer import NotDrawn, Renderer
from frontend_agent.platform.store import Store
from frontend_agent.platform.viewer import Viewer
from frontend_agent.wire.images import DICOMWEB

REPORT = "C0006"
# Documents that take a patient to somebody else: key images belong beside them. 转诊、会诊, ours and in LOINC.
REFERRALS = frozenset(("HSDC00.05", "HSDC00.04", "C0045", "loinc:57133-1", "loinc:18761-7", "loinc:11488-4"))
REPORT_NUMBERS = ("report_number", "request_number", "specimen_number")  # any of them may be the accession number
MOST_CANDIDATES = 20  # reports of a patient that are read to find a study's own
PER_SERIES_PAGE = 60
MOST_NOTES = 20
BESIDE = 4  # pictures on either side of the one that is shown
LARGE = 900  # pixels: of the picture that is shown
WINDOWS = {  # modality -> name, centre and width that readers are used to
    "CT": (("soft_tissue", 40, 400), ("lung", -600, 1500), ("bone", 400, 1800), ("brain", 35, 80)),
}
MODALITIES = ("CR", "CT", "DX", "ECG", "ES", "IO", "MG", "MR", "NM", "OT", "PT", "PX", "RF", "US", "XA", "XC")
_ASKED = ("institution", "patient", "modality", "first_day", "last_day")


class Note(msgspec.Struct, frozen=True):
    """A key object of a study: what it says, and those of its images that are here."""

    study: Study
    instance: Instance
    says: KeyNote
    images: tuple[tuple[Instance, int], ...]  # with the frame to show
    absent: int


class StudyPages:
    def __init__(self, store: Store, pages: Pages, renderer: Renderer, viewer: Viewer, clock: Callable[[], datetime] = lambda: datetime.now(UTC)):  # fmt: skip
        self._store = store
        self._images: ImageCatalogue = store.images
        self._pages = pages
        self._renderer = renderer
        self._viewer = viewer
        self._clock = clock

    def operations(self) -> list[Operation]:
        page = {200: "a page", 404: "no such study", 503: "the store cannot be read"}
        lang = {"lang": "zh or en"}
        one = {**lang, "institution": "whose, where several hospitals have a study of this UID"}
        return [
            Operation("GET", "/studies", self._endpoint(self.list), "The list of studies", {**lang, **dict.fromkeys(_ASKED, "search"), "page": "from 1 on"}, answers=page, media_type="text/html"),
            Operation("GET", "/studies/{study}", self._endpoint(self.study), "One study: its series, its reports, its key images", one, answers=page, media_type="text/html"),
            Operation("GET", "/studies/{study}/series/{series}", self._endpoint(self.series), "One series, its images small", {**one, "page": "from 1 on"}, answers=page, media_type="text/html"),
            Operation("GET", "/studies/{study}/images/{instance}", self._endpoint(self.image), "One image, frame by frame", {**one, "frame": "from 1 on", "window": "centre,width", "size": "fit or full"}, answers=page, media_type="text/html"),
            Operation("POST", "/studies/{study}/wanted", self._endpoint(self.want), "A person asks the study's hospital for its pixels", one, answers={303: "back to the study", 403: "asked by another site", 404: "no such study"}, media_type="text/html"),
        ]  # fmt: skip

    def _endpoint(self, page: Callable[[Request, str], Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(page, request, language(request))

        return endpoint

    # --- pages -------------------------------------------------------------------------------------------------------

    def list(self, request: Request, lang: str) -> Response:
        asked = {name: cleaned(request.query_params.get(name, "")) for name in _ASKED}
        days = {name: day_of(asked[name]) for name in ("first_day", "last_day")}
        search = StudySearch(
            institution=asked["institution"], patient=asked["patient"], modality=asked["modality"],
            first_day=days["first_day"], last_day=days["last_day"],
        )  # fmt: skip
        count = self._images.count_studies(search, COUNT_TO)
        last_page = max(1, -(-min(count, COUNT_TO) // PAGE))
        page = min(max(number_of(request.query_params.get("page", "")), 1), last_page)
        return self._page(
            request, lang, "studies.html",
            asked=asked, bad_date=any(asked[name] and not day for name, day in days.items()), count=count, count_to=COUNT_TO,
            page=page, last_page=last_page, found=self._images.studies(search, PAGE, (page - 1) * PAGE),
            institutions={one.institution: one.institution_name for one in self._images.tallies()}, modalities=MODALITIES,
            filtered=any(asked.values()),
        )  # fmt: skip

    def study(self, request: Request, lang: str) -> Response:
        study, others = self._asked_study(request)
        if study is None:
            return self._missing(request, lang)
        instances = self._images.instances_of(study.id)
        by_series: dict[str, list[Instance]] = {}
        for one in instances:
            by_series.setdefault(one.series_instance_uid, []).append(one)
        return self._page(
            request, lang, "study.html",
            study=study, others=others, reports=self.reports_of(study), notes=self._notes(study, instances),
            series=[(one, _to_show(by_series.get(one.series_instance_uid, []))) for one in self._images.series_of(study.id)],
        )  # fmt: skip

    def series(self, request: Request, lang: str) -> Response:
        study, _ = self._asked_study(request)
        found = self._series(study, request.path_params["series"])
        if study is None or found is None:
            return self._missing(request, lang)
        instances = self._images.instances_of(study.id, found.id)
        last_page = max(1, -(-len(instances) // PER_SERIES_PAGE))
        page = min(max(number_of(request.query_params.get("page", "")), 1), last_page)
        shown = instances[(page - 1) * PER_SERIES_PAGE : page * PER_SERIES_PAGE]
        return self._page(
            request, lang, "series.html", study=study, series=found, instances=shown, page=page, last_page=last_page
        )

    def image(self, request: Request, lang: str) -> Response:
        study, _ = self._asked_study(request)
        uid = request.path_params["instance"]
        instance = self._images.instances_by_uid(study.institution, [uid]).get(uid) if study and is_uid(uid) else None
        if study is None or instance is None or instance.study != study.id:
            return self._missing(request, lang)
        series = self._series(study, instance.series_instance_uid)
        places = _places(self._images.instances_of(study.id, instance.series))
        frame = min(max(number_of(request.query_params.get("frame", "")), 1), max(instance.frames, 1))
        at = places.index((instance.sop_instance_uid, frame)) if (instance.sop_instance_uid, frame) in places else 0
        window = _window(request.query_params.get("window", ""), request.query_params)
        full = request.query_params.get("size") == "full"
        query = "&".join(
            filter(None, (f"window={window},linear" if window else "", "" if full else f"viewport={LARGE},{LARGE}"))
        )
        return self._page(
            request, lang, "image.html",
            study=study, series=series, instance=instance, frame=frame, at=at, places=places, window=window, full=full,
            query=query, presets=WINDOWS.get(series.modality if series else "", ()),
            beside=places[max(0, at - BESIDE) : at + BESIDE + 1],
        )  # fmt: skip

    def want(self, request: Request, lang: str) -> Response:
        if not _from_our_page(request):
            return Response(say(lang, "wanted_elsewhere"), 403, media_type=HTML)
        study, _ = self._asked_study(request)
        if study is None:
            return self._missing(request, lang)
        self._store.images.want(study.study_instance_uid, study.institution, "page")
        return RedirectResponse(_address(study, lang=request.query_params.get("lang", "")), 303)

    # --- what stands beside ------------------------------------------------------------------------------------------

    def reports_of(self, study: Study) -> Sequence[Listed]:
        """Its exam reports: those that its agent names; else those of the patient that name its accession or order number."""
        if study.report_set_id and (versions := self._store.versions(study.institution, study.report_set_id)):
            return [one for one in versions if one.newest]
        numbers = {study.accession_number, study.order_key, study.report_key} - {""}
        found: dict[str, Listed] = {}
        for who in dict.fromkeys((study.id_number, study.visit_number, study.patient_id, *_names(study.patient_name))):
            if who and numbers:
                search = Search(institution=study.institution, patient=who, kind=REPORT)
                found |= {one.document_id: one for one in self._store.documents(search, 1, MOST_CANDIDATES)}
        return [one for one in found.values() if numbers & set(self._numbers(one))]

    def beside(self, listed: Listed) -> Mapping[str, Any]:
        """For a document's page: the studies that an exam report speaks of, the patient's key images beside a referral."""
        studies = (
            self._images.studies_of_report(listed.institution, listed.set_id, self._numbers(listed))
            if listed.kind == REPORT
            else []
        )
        notes: list[Note] = []
        if listed.kind in REFERRALS:
            for study in self._of_patient(listed):
                notes += self._notes(study, self._images.instances_of(study.id))
        return {
            "studies": studies,
            "key_notes": notes[:MOST_NOTES],
            "study_link": _address,
            "viewer": self._viewer,
            **_words(),
        }

    def _of_patient(self, listed: Listed) -> Sequence[Study]:
        """The patient's studies of that hospital that hold key objects."""
        found: dict[int, Study] = {}
        numbers = (listed.id_number, listed.local_number, listed.outpatient_number, listed.inpatient_number)
        for number in dict.fromkeys(filter(None, numbers)):
            search = StudySearch(institution=listed.institution, patient=number, modality="KO")
            found |= {one.id: one for one in self._images.studies(search, MOST_NOTES)}
        return list(found.values())

    def _numbers(self, listed: Listed) -> Sequence[str]:
        """The numbers in a report of which one may be its study's accession number."""
        if listed.kind not in kind_codes():
            return ()
        try:
            record = load_kind(listed.kind).reader(self._store.document(listed.document_id) or b"")
        except FrontendAgentError:
            return ()  # damaged, or not laid out as we know it: its own page says so
        return [text for name in REPORT_NUMBERS if isinstance(text := record.get(name), str) and text]

    def _notes(self, study: Study, instances: Sequence[Instance]) -> Sequence[Note]:
        notes = []
        for one in [one for one in instances if one.sop_class_uid == KEY_OBJECT and one.held][:MOST_NOTES]:
            try:
                says = self._renderer.note(lambda one=one: self._images.read(one), one.sha256)  # type: ignore[misc]
            except (NotDrawn, StateError):
                continue  # it stands among the series as what it is
            if says.code != MANIFEST:
                notes.append(self._note(study, one, says))
        return notes

    def _note(self, study: Study, instance: Instance, says: KeyNote) -> Note:
        here = self._images.instances_by_uid(study.institution, [image.sop_instance_uid for image in says.images])
        shown = [
            (here[image.sop_instance_uid], frame)
            for image in says.images
            if image.sop_instance_uid in here
            for frame in image.frames or (1,)
        ]
        return Note(study, instance, says, tuple(shown), sum(one.sop_instance_uid not in here for one in says.images))

    # --- what templates are given ------------------------------------------------------------------------------------

    def _asked_study(self, request: Request) -> tuple[Study | None, Sequence[Study]]:
        """The study that is asked for, and those of the same UID from other hospitals."""
        uid = request.path_params["study"]
        found = self._images.studies_of(uid) if is_uid(uid) else []
        whose = request.query_params.get("institution", "")
        study = next((one for one in found if whose in ("", one.institution)), None)
        return study, [one for one in found if one is not study]

    def _series(self, study: Study | None, uid: str) -> Series | None:
        found = self._images.series_of(study.id) if study else []
        return next((one for one in found if one.series_instance_uid == uid), None)

    def _missing(self, request: Request, lang: str) -> Response:
        return self._pages.page(
            request, lang, "missing.html", 404, title="unknown_study", text="unknown_study_text", place="studies"
        )

    def _page(self, request: Request, lang: str, template: str, **values: Any) -> Response:
        return self._pages.page(
            request, lang, template, study_link=_address, viewer=self._viewer, missing=self._renderer.missing,
            **_words(), **values,
        )  # fmt: skip


def _words() -> Mapping[str, Any]:
    return {"person": person, "dated": dated, "note_title": note_title, "preview": preview, "pn_sex": PN_SEX.get}


PN_SEX = {"M": "male", "F": "female", "O": "sex_unstated"}
_NOTES = frozenset(("113000", "113001", "113002", "113003", "113004", "113010", "113013", "113018", "113020", "113037"))


def note_title(lang: str, note: KeyNote) -> str:
    """In our words where the title is one of the standard's common ones (CID 7010), else in its own."""
    return say(lang, f"key_{note.code}") if note.code in _NOTES else note.title or say(lang, "key_images")


def person(lang: str, name: str) -> str:
    """A name of up to three groups (PS3.5 §6.2.1) as people write it: the ideographic one, where there is one and Chinese is read."""
    alphabetic, ideographic, _ = (*name.split("="), "", "")[:3]
    if ideographic.strip("^ ") and (lang == "zh" or not alphabetic.strip("^ ")):
        return ideographic.replace("^", "").strip()
    return " ".join(part.strip() for part in alphabetic.split("^") if part.strip())


def _names(name: str) -> Sequence[str]:
    """A name as records may have it."""
    return [one for lang in ("zh", "en") if (one := person(lang, name))]


def dated(day: str, time: str = "") -> str:
    """DA and TM as people write them (PS3.5 §6.2); anything else as it stands."""
    shown = f"{day[:4]}-{day[4:6]}-{day[6:8]}" if len(day) == 8 and day.isdigit() else day
    digits = time.partition(".")[0]
    if shown and len(digits) >= 4 and digits.isdigit():
        shown += f" {digits[:2]}:{digits[2:4]}"
    return shown


def preview(instance: Instance, what: str = "thumbnail", frame: int = 0, query: str = "") -> str:
    """Where the picture of an instance is, of its own hospital's DICOMweb."""
    base = f"/v1/institutions/{quote(instance.institution, safe='')}{DICOMWEB}"
    place = f"/studies/{instance.study_instance_uid}/series/{instance.series_instance_uid}/instances/{instance.sop_instance_uid}"
    frames = f"/frames/{frame}" if frame and instance.frames > 1 else ""
    return f"{base}{place}{frames}/{what}" + (f"?{query}" if query else "")


def _address(study: Study, *parts: str, lang: str = "", **query: str) -> str:
    """A study's page, or one within it."""
    path = "/".join(("/studies", study.study_instance_uid, *parts))
    asked = {"institution": study.institution, **query, "lang": lang}
    return path + "?" + "&".join(f"{name}={quote(value, safe=',')}" for name, value in asked.items() if value)


def _to_show(instances: Sequence[Instance]) -> Instance | None:
    """The one in the middle stands for a series: the first of a CT is seldom what it shows."""
    pictures = [one for one in instances if one.held and one.has_pixel_data] or list(instances)
    return pictures[len(pictures) // 2] if pictures else None


def _places(instances: Sequence[Instance]) -> list[tuple[str, int]]:
    """Every frame of a series, as one row of pictures."""
    return [(one.sop_instance_uid, frame) for one in instances for frame in range(1, max(one.frames, 1) + 1)]


def _window(text: str, query: Mapping[str, str]) -> str:
    """`centre,width` of the address, or of the two fields of the form; "" where that is no window."""
    text = text or ",".join(query.get(name, "").strip() for name in ("center", "width"))
    try:
        center, width = (float(part) for part in text.split(","))
    except ValueError:
        return ""
    return f"{center:g},{width:g}" if abs(center) < 1e6 and 1 <= width < 1e6 else ""


def _from_our_page(request: Request) -> bool:
    """Another site's page cannot make a person's browser ask here (CSRF): browsers say where a form stood. Our pages send no referrer,
    so that Origin is `null` in most of them; Sec-Fetch-Site says it all the same."""
    site, origin = request.headers.get("sec-fetch-site", ""), request.headers.get("origin", "")
    return site == "same-origin" or (not site and urlsplit(origin).netloc == request.headers.get("host"))
