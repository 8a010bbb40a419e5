"""QIDO-RS and WADO-RS against the real server: by hand, by dicomweb-client, and held against pydicom's own reading."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from frontend_agent.dicom.part10 import meta, read_meta
from frontend_agent.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from frontend_agent.platform.store import Store
from frontend_agent.wire import images as wire
from tests.conftest import shared_folder
from tests.dicom_kit import JPEG_2000, JPEG_BASELINE, MR, data_set, encapsulated, file_bytes, uid
from tests.images_kit import parts, stow, values
from tests.platform_kit import HOSPITAL, running

OTHER = "98765432-1"
WEB = wire.DICOMWEB


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "platform").open()
    yield opened
    opened.close()


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    with running(store) as address:
        yield address


def get(address: str, accept: str = "*/*", **query: str) -> requests.Response:
    return requests.get(address, headers={"Accept": accept}, params=query, timeout=30)


def canonical(content: bytes) -> bytes:
    said = read_meta(content)
    return meta(said.sop_class_uid, said.sop_instance_uid, said.transfer_syntax_uid) + content[said.data_set_at :]


def address_of(url: str, study: int = 1, series: int = 1, number: int = 1) -> str:
    return f"{url}{WEB}/studies/{uid(study)}/series/{uid(study, series)}/instances/{uid(study, series, number)}"


@pytest.fixture
def filled(url: str) -> str:
    """Three studies: CT of two series, MR, and one of another hospital."""
    ct = [file_bytes(data_set(1, series, n, SpecificCharacterSet="GB18030", PatientName="Zhang^San=张^三"))
          for series in (1, 2) for n in (1, 2, 3)]  # fmt: skip
    mr = [file_bytes(data_set(2, 1, n, sop_class=MR, StudyDate="20261002", StudyTime="113000")) for n in (1, 2)]
    assert stow(url, HOSPITAL, ct).status_code == 200
    assert stow(url, HOSPITAL, mr).status_code == 200
    assert stow(url, OTHER, [file_bytes(data_set(3, 1, 1, StudyDate="20261003", PatientID="P9"))]).status_code == 200
    return url


# --- searching ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "studies"),
    [
        ({}, [3, 2, 1]),
        ({"PatientID": "P00000001"}, [1]),
        ({"00100020": "P0000000*"}, [2, 1]),
        ({"PatientName": "张*"}, [1]),
        ({"PatientName": "张^三"}, [1]),
        ({"PatientName": "zhang^san"}, [1]),
        ({"PatientName": "张"}, []),
        ({"PatientName": "SYNTH*"}, [3, 2]),
        ({"StudyDate": "20261001-"}, [3, 2]),
        ({"StudyDate": "20260930-20261002"}, [2, 1]),
        ({"StudyDate": "-20261001"}, [1]),
        ({"StudyTime": "1100-1130"}, [2]),
        ({"ModalitiesInStudy": "MR"}, [2]),
        ({"ModalitiesInStudy": "MR,CT"}, [3, 2, 1]),
        ({"StudyInstanceUID": f"{uid(1)},{uid(3)}"}, [3, 1]),
        ({"AccessionNumber": "A00000002"}, [2]),
        ({"limit": "1", "offset": "1"}, [2]),
        ({"PatientID": "P[0-9]*"}, []),
        ({"PatientID": "*", "includefield": "all"}, [3, 2, 1]),
    ],
)
def test_studies_are_found_by_what_is_asked(filled: str, query: dict[str, str], studies: list[int]) -> None:
    response = get(f"{filled}{WEB}/studies", **query)
    assert response.status_code == (200 if studies else 204), response.text
    found = response.json() if studies else []
    assert [values(one["0020000D"])[0] for one in found] == [uid(n) for n in studies]


def test_a_study_says_what_it_has(filled: str) -> None:
    (study,) = get(f"{filled}{WEB}/studies", PatientID="P00000001").json()
    assert values(study["00100010"]) == [{"Alphabetic": "Zhang^San", "Ideographic": "张^三"}]
    assert [values(study[tag]) for tag in ("00201206", "00201208", "00080061", "00080056")] == [
        [2],
        [6],
        ["CT"],
        ["ONLINE"],
    ]
    assert values(study["00081190"]) == [f"{filled}{WEB}/studies/{uid(1)}"]
    series = get(f"{filled}{WEB}/studies/{uid(1)}/series").json()
    assert [(values(one["0020000E"])[0], values(one["00201209"])[0]) for one in series] == [
        (uid(1, 1), 3),
        (uid(1, 2), 3),
    ]
    instances = get(f"{filled}{WEB}/studies/{uid(1)}/series/{uid(1, 2)}/instances", InstanceNumber="2").json()
    assert [values(one["00080018"])[0] for one in instances] == [uid(1, 2, 2)]
    assert values(instances[0]["00280010"]) == [4]
    everywhere = get(f"{filled}{WEB}/instances", Modality="MR").json()
    assert [values(one["00080018"])[0] for one in everywhere] == [uid(2, 1, 1), uid(2, 1, 2)]


@pytest.mark.parametrize(
    "query",
    [
        {"PatientComments": "x"}, {"Modality": "CT"}, {"StudyDate": "yesterday"}, {"StudyDate": "2026-13"}, {"limit": "-1"},
        {"limit": "many"}, {"fuzzymatching": "perhaps"}, {"<script>": "1"}, {"00080061.00100010": "x"},
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_answered_is_refused_and_not_passed_over(filled: str, query: dict[str, str]) -> None:
    response = get(f"{filled}{WEB}/studies", **query)
    assert response.status_code == 400
    assert "<script>" not in response.text


def test_more_results_than_asked_for_and_fuzzy_matching_are_told(filled: str) -> None:
    response = get(f"{filled}{WEB}/studies", limit="2", fuzzymatching="true")
    assert len(response.json()) == 2
    assert "fuzzymatching" in response.headers["warning"]
    assert "exceeded" in response.headers["warning"]
    assert "warning" not in get(f"{filled}{WEB}/studies", limit="3").headers


def test_a_hospital_sees_its_own_studies_alone(filled: str) -> None:
    own = f"{filled}{wire.dicomweb_path(HOSPITAL)}"
    assert [values(one["0020000D"])[0] for one in get(f"{own}/studies").json()] == [uid(2), uid(1)]
    assert get(f"{own}/studies/{uid(3)}").status_code == 404
    assert get(f"{own}/studies/{uid(3)}/metadata").status_code == 404
    assert get(f"{own}/studies", StudyInstanceUID=uid(3)).status_code == 204
    assert values(get(f"{own}/studies", limit="1").json()[0]["00081190"])[0].startswith(own)


def test_nobody_stores_for_all_hospitals(url: str) -> None:
    assert requests.post(f"{url}{WEB}/studies", data=b"", timeout=10).status_code == 405


# --- retrieving -----------------------------------------------------------------------------------------------------------


def test_study_series_and_instance_leave_byte_for_byte(url: str) -> None:
    contents = [file_bytes(data_set(1, series, n, pixels=300_000)) for series in (1, 2) for n in (1, 2)]
    stow(url, HOSPITAL, contents)
    stored = [canonical(content) for content in contents]

    study = get(f"{url}{WEB}/studies/{uid(1)}", 'multipart/related; type="application/dicom"; transfer-syntax=*')
    assert [content for _, content in parts(study)] == stored
    assert int(study.headers["content-length"]) == len(study.content)
    assert parts(study)[0][0]["content-type"] == f"application/dicom; transfer-syntax={EXPLICIT_LE}"
    series = get(f"{url}{WEB}/studies/{uid(1)}/series/{uid(1, 2)}")
    assert [content for _, content in parts(series)] == stored[2:]
    assert parts(get(address_of(url, 1, 2, 1)))[0][1] == stored[2]
    single = get(address_of(url, 1, 2, 1), "application/dicom")
    assert single.content == stored[2]
    assert single.headers["content-type"] == "application/dicom"
    assert get(f"{url}{WEB}/studies/{uid(9)}").status_code == 404
    assert get(f"{url}{WEB}/studies/..%2F..%2Fetc").status_code in (400, 404)
    wrong = get(address_of(url, 1, 2, 1), f'multipart/related; type="application/dicom"; transfer-syntax={JPEG_2000}')
    assert (wrong.status_code, wrong.json()["error"]) == (406, "not-acceptable")


def nested() -> Dataset:
    """One with much of what DICOM JSON has to write."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-D1100", "SRT", "头部"
    step = Dataset()
    step.ScheduledProcedureStepID, step.ScheduledProtocolCodeSequence = "S1", Sequence([code])
    found = data_set(1, 1, 1, SpecificCharacterSet="GB18030", PatientName="Zhang^San=张^三=Zhāng^Sān".replace("ā", "a"))
    found.RequestAttributesSequence = Sequence([step])
    found.ImageType, found.WindowCenter, found.PixelSpacing = ["ORIGINAL", "PRIMARY"], [40, 400], [0.5, 0.5]
    found.PatientComments, found.OtherPatientIDs = "一行\\两行", None
    found.FrameIncrementPointer = Tag(0x0018, 0x1063)
    found.SmallestImagePixelValue = 0
    found.RedPaletteColorLookupTableData = bytes(4096)
    block = found.private_block(0x0009, "SYNTHETIC", create=True)
    block.add_new(1, "LO", "private")
    block.add_new(2, "OB", b"\x01\x02")
    found.ReferencedImageSequence = Sequence([])
    return found


@pytest.mark.parametrize("syntax", [EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE, DEFLATED_LE])
def test_metadata_are_what_pydicom_reads(url: str, syntax: str) -> None:
    content = file_bytes(nested(), syntax)
    assert stow(url, HOSPITAL, [content]).status_code == 200

    (found,) = get(f"{address_of(url)}/metadata").json()

    expected = pydicom.dcmread(io.BytesIO(content)).to_json_dict(
        bulk_data_threshold=0, bulk_data_element_handler=lambda _: "x"
    )
    bulk = [tag for tag, one in found.items() if "BulkDataURI" in one]
    assert bulk == ["00281201", "7FE00010"]
    for tag, one in expected.items():
        if tag not in ("00080005", *bulk):
            assert values(found[tag]) == one.get("Value", []) or "BulkDataURI" in one, tag
    assert set(found) == {*expected, "00083002"}
    assert values(found["00080005"]) == ["ISO_IR 192"]
    uri = found["00281201"]["BulkDataURI"]
    assert parts(get(uri))[0][1] == bytes(4096)
    assert get(uri, "application/octet-stream").content == bytes(4096)
    assert get(uri + "/0/00100010").status_code == 404
    assert get(f"{address_of(url)}/bulkdata/00400275/0/00400008/0/00080104").status_code == 200


def test_pixels_are_bulk_data_in_little_endian(url: str) -> None:
    little, big = data_set(1, 1, 1), data_set(1, 1, 2)
    pixels = little.PixelData
    big.PixelData = b"".join(
        pixels[i : i + 2][::-1] for i in range(0, len(pixels), 2)
    )  # as a big endian machine writes it
    stow(url, HOSPITAL, [file_bytes(little), file_bytes(big, EXPLICIT_BE)])
    for number, syntax in ((1, EXPLICIT_LE), (2, EXPLICIT_BE)):
        address = address_of(url, 1, 1, number)
        expected = little.PixelData if syntax == EXPLICIT_LE else pixels
        assert parts(get(f"{address}/bulkdata/7FE00010"))[0][1] == expected
        assert parts(get(f"{address}/frames/1"))[0][1] == expected


def multi_frame(frames: int, **more: Any) -> Dataset:
    found = data_set(1, 1, 1, pixels=0)
    found.Rows, found.Columns, found.SamplesPerPixel, found.NumberOfFrames = 4, 6, 1, frames
    found.PhotometricInterpretation, found.BitsAllocated, found.BitsStored, found.HighBit = "MONOCHROME2", 8, 8, 7
    found.PixelRepresentation = 0
    for name, value in more.items():
        setattr(found, name, value)
    return found


def test_frames_of_native_pixels(url: str) -> None:
    found = multi_frame(5, PixelData=bytes(range(120)))
    stow(url, HOSPITAL, [file_bytes(found)])
    address = address_of(url) + "/frames"

    both = get(f"{address}/2,5", 'multipart/related; type="application/octet-stream"')

    assert [content for _, content in parts(both)] == [bytes(range(24, 48)), bytes(range(96, 120))]
    assert get(f"{address}/3", "application/octet-stream").content == bytes(range(48, 72))
    assert get(f"{address}/6").status_code == 404
    assert [get(f"{address}/{bad}").status_code for bad in ("0", "x", "1,,2", "-1")] == [400] * 4
    assert get(f"{address}/1", 'multipart/related; type="image/jpeg"').status_code == 406


def test_frames_of_one_bit_pixels_do_not_begin_at_bytes(url: str) -> None:
    found = multi_frame(3, Rows=3, Columns=3, BitsAllocated=1, BitsStored=1, HighBit=0)
    frames = [0b101010101, 0b111000111, 0b000111000]
    packed = frames[0] | frames[1] << 9 | frames[2] << 18
    found.PixelData = packed.to_bytes(4, "little")
    stow(url, HOSPITAL, [file_bytes(found)])
    for number, bits in enumerate(frames, 1):
        assert parts(get(f"{address_of(url)}/frames/{number}"))[0][1] == bits.to_bytes(2, "little")


@pytest.mark.parametrize("way", ["a fragment each", "offset table", "extended offset table", "beginnings"])
def test_frames_of_compressed_pixels(url: str, way: str) -> None:
    jpegs = [b"\xff\xd8\xff\xe0" + bytes([n]) * (20 + 2 * n) + b"\xff\xd9" for n in range(3)]
    per = 1 if way == "a fragment each" else 2
    found = multi_frame(3)
    if way == "extended offset table":
        pixels, offsets, lengths = encapsulate_extended(jpegs)
        found.ExtendedOffsetTable, found.ExtendedOffsetTableLengths = offsets, lengths
        found.PixelData = pixels
    else:
        found.PixelData = encapsulate(jpegs, fragments_per_frame=per, has_bot=way == "offset table")
    found["PixelData"].VR = "OB"
    found["PixelData"].is_undefined_length = True
    stow(url, HOSPITAL, [file_bytes(found, JPEG_BASELINE)])
    address = address_of(url) + "/frames"

    for number, jpeg in enumerate(jpegs, 1):
        ((headers, content),) = parts(get(f"{address}/{number}", 'multipart/related; type="image/jpeg"'))
        assert content.rstrip(b"\0") == jpeg
        assert headers["content-type"] == f"image/jpeg; transfer-syntax={JPEG_BASELINE}"
    any_syntax = get(f"{address}/1", 'multipart/related; type="application/octet-stream"; transfer-syntax=*')
    assert parts(any_syntax)[0][1].rstrip(b"\0") == jpegs[0]
    decoded = get(f"{address}/1", 'multipart/related; type="application/octet-stream"')
    assert (decoded.status_code, decoded.json()["error"]) == (406, "not-acceptable")


def test_what_has_no_frames_says_so(url: str) -> None:
    stream = encapsulated(multi_frame(50), [b"\x00\x00\x01\xb3" + bytes(40)])  # a video: one stream
    report = data_set(1, 1, 2, pixels=0)
    stow(url, HOSPITAL, [file_bytes(stream, "1.2.840.10008.1.2.4.100"), file_bytes(report)])
    assert "one stream" in get(address_of(url) + "/frames/1").json()["detail"]
    assert get(address_of(url, number=2) + "/frames/1").status_code == 404


def test_what_is_still_at_the_hospital_is_asked_for_when_it_is_retrieved(url: str, store: Store) -> None:
    one = wire.IndexedInstance(sop_instance_uid=uid(1, 1, 1), sha256="0" * 64)
    series = (wire.IndexedSeries(series_instance_uid=uid(1, 1), modality="CT", instances=(one,)),)
    store.images.put_index(wire.StudyIndex(institution=HOSPITAL, study_instance_uid=uid(1), series=series))
    assert values(get(f"{url}{WEB}/studies").json()[0]["00080056"]) == ["NEARLINE"]
    assert store.images.wanted() == []

    response = get(f"{url}{WEB}/studies/{uid(1)}/metadata")

    assert (response.status_code, response.json()["error"]) == (503, "at-hospital")
    assert response.headers["retry-after"]
    assert [one.study_instance_uid for one in store.images.wanted(HOSPITAL)] == [uid(1)]
    stow(url, HOSPITAL, [file_bytes(data_set(1, 1, 1))])
    assert get(f"{url}{WEB}/studies/{uid(1)}/metadata").status_code == 200


# --- other people's clients and files ----------------------------------------------------------------------------------------


def test_dicomweb_client_stores_searches_and_retrieves(url: str) -> None:
    client = DICOMwebClient(f"{url}{wire.dicomweb_path(HOSPITAL)}")
    sets = []
    for number in (1, 2, 3):
        sets.append(pydicom.dcmread(io.BytesIO(file_bytes(data_set(1, 1, number)))))

    answered = client.store_instances(sets)

    assert [item.ReferencedSOPInstanceUID for item in answered.ReferencedSOPSequence] == [
        uid(1, 1, n) for n in (1, 2, 3)
    ]
    assert len(client.search_for_studies(search_filters={"PatientID": "P00000001"})) == 1
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []
    assert len(client.search_for_instances(uid(1), uid(1, 1))) == 3
    whole = client.retrieve_study(uid(1))
    assert [one.to_json_dict() for one in whole] == [one.to_json_dict() for one in sets]
    (described,) = (client.retrieve_instance_metadata(uid(1), uid(1, 1), uid(1, 1, 2)),)
    assert Dataset.from_json(described, bulk_data_uri_handler=lambda _: b"").PatientID == "P00000001"
    assert len(client.retrieve_series_metadata(uid(1), uid(1, 1))) == 3
    assert client.retrieve_instance_frames(uid(1), uid(1, 1), uid(1, 1, 2), [1]) == [sets[1].PixelData]
    assert client.retrieve_instance(uid(1), uid(1, 1), uid(1, 1, 3)).SOPInstanceUID == uid(1, 1, 3)


@pytest.mark.slow
def test_every_real_file_comes_out_as_it_went_in_or_is_refused_with_its_reason(url: str, store: Store) -> None:
    folder = shared_folder() / "realdata" / "dicom"
    if not folder.is_dir():
        pytest.skip("no real DICOM files on this machine")
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    stored, refused = 0, {}
    for number, path in enumerate(paths):
        content = path.read_bytes()
        # Each as a hospital of its own: some are the same instance in another form.
        hospital = f"H{number}"
        response = stow(url, hospital, [content])
        if response.status_code != 200:
            answered = response.json()
            (item,) = values(answered.get("00081198")) or values(answered.get("0008119A"))
            refused[path.name] = values(item[wire.REASONS])
            continue
        stored += 1
        said = read_meta(content)
        (instance,) = store.images.find(values(response.json()["00081190"])[0].rsplit("/", 1)[1], institution=hospital)
        address = (
            f"{url}{wire.dicomweb_path(hospital)}/studies/{instance.study_instance_uid}/series/{instance.series_instance_uid}"
            f"/instances/{instance.sop_instance_uid}"
        )
        ((_, back),) = parts(get(address))
        assert back[read_meta(back).data_set_at :] == content[said.data_set_at :], path.name
        assert get(f"{address}/metadata").status_code == 200, path.name
        frames = get(f"{address}/frames/1")
        assert frames.status_code in (200, 404), (path.name, frames.text)
        if frames.status_code == 200 and "/frames" in frames.url:
            assert parts(frames)[0][1], path.name
    assert stored > 100
    assert all(reasons and reasons[0] for reasons in refused.values())
