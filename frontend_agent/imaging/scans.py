"""What is not DICOM yet, made instances with the data of its order: photographs, scanned pages, printed ECGs, PDF documents.

    name ─▶ order ─▶ JPEG    its scans as they are, encapsulated                 Secondary Capture
                    TIFF, PNG  by the process that touches pixels, page by page  Secondary Capture, multi-frame where pages are alike
                    PDF     as it is                                             Encapsulated PDF

The same file of the same order is always the same instance. Pure but for pixels, which are asked of `page`.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pydicom.dataset import Dataset

from frontend_agent.config_images import NAME_PLACES, ScansInlet, name_problems
from frontend_agent.imaging.jpeg import NotJpeg, read_jpeg
from frontend_agent.imaging.making import MANUFACTURER, Made, encoded, uid_of, whose
from frontend_agent.imaging.model import Order
from frontend_agent.imaging.pixels.asking import Page, PixelsFailed

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
MANY_GREY_BYTES = "1.2.840.10008.5.1.4.1.1.7.2"
MANY_GREY_WORDS = "1.2.840.10008.5.1.4.1.1.7.3"
MANY_COLOURED = "1.2.840.10008.5.1.4.1.1.7.4"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"
MOST_PAGES = 500

PageOf = Callable[[bytes, int], tuple[Page, bytes]]


class NotMade(Exception):
    """No instance comes of the file: all reasons, each a word of connectors/folders/reasons.py and what is put into its sentence."""

    def __init__(self, word: str, *arguments: str) -> None:
        super().__init__(word)
        self.word, self.arguments = word, arguments


class Named(NamedTuple):
    """What a file's name says."""

    accession_number: str = ""
    key: str = ""
    study: str = ""
    patient_id: str = ""
    number: str = ""


class NameForm(NamedTuple):
    """What a name must be; `folders`: how many of them belong to it."""

    pattern: re.Pattern[str]
    folders: int


def name_form(template: str) -> NameForm:
    """`{accession_number}_{number}` as what a name must be. ValueError: what is wrong with it."""
    for problem in name_problems(template):
        raise ValueError(problem)
    pattern = ""
    for part in re.split(r"(\{[^{}]*\})", template):
        place = part[1:-1] if part.startswith("{") else ""
        if not place:
            pattern += re.escape(part)
        elif place == "any":
            pattern += NAME_PLACES[place]
        else:
            pattern += f"(?P<{place}>{NAME_PLACES[place]})"
    return NameForm(re.compile(pattern), template.count("/"))


def named(path: str, form: NameForm) -> Named:
    """What the path below the folder says, or its last part where the template has no folder. NotMade: it is not of that form."""
    stem = path.rpartition(".")[0] or path
    found = form.pattern.fullmatch("/".join(stem.split("/")[-form.folders - 1 :]))
    if found is None:
        raise NotMade("scan_name")
    return Named(**{place: text for place, text in found.groupdict().items() if text is not None})


def study_of(order: Order, institution: str) -> str:
    """The study it goes into: the order's own, or one of its own, always the same for the same order."""
    return order.study_instance_uid or uid_of("scans", institution, order.accession_number or order.key)


def made(
    content: bytes, digest: str, order: Order, study_instance_uid: str, number: str, settings: ScansInlet, page: PageOf
) -> list[Made]:
    """The instances of a file. NotMade, ConfigurationError (no process that touches pixels)."""
    about = _About(digest, order, study_instance_uid, number, settings)
    if content[:5] == b"%PDF-":
        return [_pdf(content, about)]
    if content[:3] == b"\xff\xd8\xff":
        return _jpeg(content, about, page)
    if content[:4] in (b"II*\0", b"MM\0*") or content[:8] == b"\x89PNG\r\n\x1a\n":
        return _pages(content, about, page)
    raise NotMade("scan_kind")


class _About(NamedTuple):
    digest: str
    order: Order
    study_instance_uid: str
    number: str
    settings: ScansInlet

    def data_set(self, sop_class_uid: str, part: str = "") -> Dataset:
        """What all of them say (PS3.3 A.8.1, A.45.1). `part`: which of several instances of one file."""
        settings = self.settings
        modality = settings.modality or "OT"
        data = whose(self.order, self.study_instance_uid)
        data.SOPClassUID = sop_class_uid
        data.SOPInstanceUID = uid_of("scan", self.study_instance_uid, self.digest, part)
        data.Modality = modality
        data.SeriesInstanceUID = uid_of("scans", self.study_instance_uid, sop_class_uid, modality, settings.title)
        data.SeriesNumber = 9000 if sop_class_uid == ENCAPSULATED_PDF else 9001
        data.Manufacturer = MANUFACTURER
        data.InstanceNumber = int(self.number or 1)
        data.ContentDate, data.ContentTime = "", ""
        data.BurnedInAnnotation = "YES" if settings.shows_names else "NO"
        if self.order.laterality in ("L", "R"):
            data.Laterality = self.order.laterality
        if settings.title:
            data.SeriesDescription = settings.title
        return data


def _pdf(content: bytes, about: _About) -> Made:
    """PS3.3 A.45.1: the document as it is."""
    if b"%%EOF" not in content[-2048:]:
        raise NotMade("scan_cut_off")
    data = about.data_set(ENCAPSULATED_PDF)
    data.ConversionType = about.settings.conversion or ("WSD" if about.settings.modality == "ECG" else "SD")
    data.AcquisitionDateTime = ""
    data.DocumentTitle = about.settings.title
    data.ConceptNameCodeSequence = []
    data.MIMETypeOfEncapsulatedDocument = "application/pdf"
    data.EncapsulatedDocumentLength = len(content)
    before, after = _around(data, 0x0042_0011)
    size = len(content) + len(content) % 2
    head = before + b"\x42\x00\x11\x00OB\0\0" + size.to_bytes(4, "little")
    return Made(
        ENCAPSULATED_PDF, data.SOPInstanceUID, EXPLICIT_LE, head, (content,), b"\0" * (len(content) % 2) + after
    )


def _around(data: Dataset, tag: int) -> tuple[bytes, bytes]:
    """What is written before an element that is streamed, and after it."""
    after = Dataset()
    for element in list(data):
        if element.tag > tag:
            after.add(element)
            del data[element.tag]
    return encoded(data), encoded(after) if after else b""


def _jpeg(content: bytes, about: _About, page: PageOf) -> list[Made]:
    """Its scans as they are where DICOM has a transfer syntax for them; else as a page."""
    try:
        jpeg = read_jpeg(content)
    except NotJpeg:
        raise NotMade("scan_cut_off") from None
    if not jpeg.transfer_syntax_uid or not jpeg.photometric_interpretation or jpeg.orientation != 1:
        return _pages(content, about, page)  # progressive, four components, or lying on its side
    data = about.data_set(SECONDARY_CAPTURE)
    data.ConversionType = about.settings.conversion or "DI"
    _pixel_module(data, jpeg.rows, jpeg.columns, jpeg.samples, 8 if jpeg.bits <= 8 else 16, jpeg.bits)
    data.PhotometricInterpretation = jpeg.photometric_interpretation
    if jpeg.is_lossy:  # PS3.3 C.7.6.1.1.5
        native = jpeg.rows * jpeg.columns * jpeg.samples * (1 if jpeg.bits <= 8 else 2)
        data.LossyImageCompression = "01"
        data.LossyImageCompressionRatio = f"{native / len(jpeg.content):.2f}"
        data.LossyImageCompressionMethod = "ISO_14495_1" if jpeg.transfer_syntax_uid.endswith("81") else "ISO_10918_1"
    return [
        Made(
            str(data.SOPClassUID),
            str(data.SOPInstanceUID),
            jpeg.transfer_syntax_uid,
            encoded(data),
            *_encapsulated([jpeg.content]),
        )
    ]


def _pages(content: bytes, about: _About, page: PageOf) -> list[Made]:
    """Pages that are alike are the frames of one instance; others are an instance each."""
    found: list[tuple[Page, bytes]] = []
    try:
        found.append(page(content, 0))
        if found[0][0].pages > MOST_PAGES:
            raise NotMade("scan_pages", str(MOST_PAGES))
        for number in range(1, found[0][0].pages):
            found.append(page(content, number))
    except PixelsFailed as error:
        raise NotMade("unreadable", str(error)) from None
    alike = len({(one.rows, one.columns, one.samples_per_pixel, one.bits_allocated) for one, _ in found}) == 1
    groups = [found] if alike else [[one] for one in found]
    return [_captured(group, about, "" if alike else str(number)) for number, group in enumerate(groups, 1)]


def _captured(pages: Sequence[tuple[Page, bytes]], about: _About, part: str) -> Made:
    first, many = pages[0][0], len(pages) > 1
    grey = MANY_GREY_BYTES if first.bits_allocated == 8 else MANY_GREY_WORDS
    data = about.data_set(
        (MANY_COLOURED if first.samples_per_pixel == 3 else grey) if many else SECONDARY_CAPTURE, part
    )
    if part and not about.number:
        data.InstanceNumber = int(part)
    data.ConversionType = about.settings.conversion or "SD"
    _pixel_module(data, first.rows, first.columns, first.samples_per_pixel, first.bits_allocated, first.bits_allocated)
    data.PhotometricInterpretation = "RGB" if first.samples_per_pixel == 3 else "MONOCHROME2"
    if first.samples_per_pixel == 3:
        data.PlanarConfiguration = 0  # PS3.3 A.8.5.4; RLE holds planes all the same (PS3.5 G.2)
    if many:  # PS3.3 C.8.6.3, C.8.6.4
        data.NumberOfFrames = len(pages)
        data.FrameIncrementPointer = 0x0018_2001
        data.PageNumberVector = list(range(1, len(pages) + 1))
        if first.samples_per_pixel == 1:
            data.PresentationLUTShape, data.RescaleIntercept, data.RescaleSlope, data.RescaleType = (
                "IDENTITY",
                0,
                1,
                "US",
            )
    return Made(
        str(data.SOPClassUID),
        str(data.SOPInstanceUID),
        RLE,
        encoded(data),
        *_encapsulated([samples for _, samples in pages]),
    )


def _pixel_module(data: Dataset, rows: int, columns: int, samples: int, allocated: int, stored: int) -> None:
    data.PatientOrientation = ""
    if "Laterality" not in data:
        data.Laterality = ""  # type 2C: nobody says whether the part is one of a pair
    data.SamplesPerPixel, data.Rows, data.Columns = samples, rows, columns
    if samples > 1:
        data.PlanarConfiguration = 0
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = allocated, stored, stored - 1, 0


def _encapsulated(frames: Sequence[bytes]) -> tuple[list[bytes], bytes]:
    """Pixel data of one fragment a frame, with an empty offset table (PS3.5 A.4)."""
    body = [b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0"]
    for frame in frames:
        padded = frame + b"\0" * (len(frame) % 2)
        body += [b"\xfe\xff\x00\xe0" + len(padded).to_bytes(4, "little"), padded]
    return body, b"\xfe\xff\xdd\xe0\0\0\0\0"
