"""Each folder of `kinds/` is an example: a record, and the exact bytes of its document. A new folder is a new test."""

import json
from pathlib import Path

import msgspec
import pytest

from frontend_agent.formats import headline, load_kind
from frontend_agent.model import Envelope

EXAMPLES = sorted(folder for folder in (Path(__file__).parent / "kinds").iterdir() if folder.is_dir())


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_the_document_of_an_example_is_byte_for_byte_the_same(folder):
    example = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    kind = load_kind(example["kind"])
    envelope = msgspec.convert(example["envelope"], Envelope)

    document = kind.renderer(example["absences"])(example["record"], envelope)

    assert document == (folder / "document.xml").read_bytes()
    assert kind.reader(document) == example["record"]
    assert headline(document).document_id == envelope.document_id
