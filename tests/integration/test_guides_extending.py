"""What extend-connector.md, extend-rule.md and extend-kind.md tell a developer to write is written into a copy of the source, as it is printed, and works."""

import base64
import json
import os
import re
import shutil
import socketserver
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import pytest

from frontend_agent.demo.hospital import create_hospital
from frontend_agent.formats.library import kind_with
from frontend_agent.model import Envelope
from tests.conftest import REPOSITORY
from tests.guide_kit import FOLDER, Block, blocks

pytestmark = pytest.mark.slow
CAPTION = re.compile(r"^(?:#|<!--|--) ?([\w./-]+)(?:: (new|at the end|before (\w+)|in (\w+)))?(?: -->)?\n")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The source, to be written into."""
    folder = tmp_path / "source"
    for name in ("frontend_agent", "connectors", "cda_templates", "tests", "docs"):
        shutil.copytree(
            REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "ohif", "golden", "browser")
        )
    for name in ("mappings", "pyproject.toml", "systemd", "installer", "benchmarks"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


def write(folder: Path, block: Block) -> None:
    """What a block says of a file, into that file."""
    caption = CAPTION.match(block.text)
    assert caption, f"{block}: its first line names no file"
    path, how, before, within = folder / caption[1], caption[2], caption[3], caption[4]
    text = block.text[caption.end() :]
    if how in (None, "new"):
        assert not path.exists()
        path.write_text(text, "utf-8")
        return
    there = path.read_text("utf-8")
    if how == "at the end":
        text = text.split("\n", 1)[1] if path.suffix == ".csv" else "\n\n" + text  # a table's head is there already
        path.write_text(there + text, "utf-8")
        return
    line = re.search(rf"^{before or within}\b.*\n", there, re.MULTILINE)
    assert line, f"{block}: {path.name} has no {before or within}"
    place = line.start() if before else line.end()
    path.write_text(there[:place] + text + ("\n\n" if before else "") + there[place:], "utf-8")


def typed(folder: Path, line: str) -> str:
    line = line.replace("frontend-agent ", "python -m frontend_agent.cli.main ").replace(
        "python ", f"{sys.executable} ", 1
    )
    environment = {**os.environ, "PYTHONPATH": str(folder), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def written(folder: Path, page: str) -> list[str]:
    """What a page tells to write is written; what it tells to type."""
    lines = []
    for block in blocks(FOLDER / page):
        if block.is_shell:
            lines += block.lines()
        elif CAPTION.match(block.text):
            write(folder, block)
    return lines


def test_a_rule_is_added(copy: Path) -> None:
    for line in written(copy, "extend-rule.md"):
        said = typed(copy, line)
        assert "show" not in line or "More pregnancies than the age allows" in said


def test_a_kind_is_added_and_reads_back_what_it_rendered(copy: Path) -> None:
    for line in written(copy, "extend-kind.md"):
        said = typed(copy, line)
        assert "show" not in line or "follow_up.date" in said
    assert (copy / "manual" / "index.html").exists()
    names = ("X0900.xml", "X0900.fields.csv", "documents.csv")
    kind = kind_with("X0900", {name: (copy / "cda_templates" / name).read_text("utf-8") for name in names})
    record = {
        "request_number": "SF1", "patient.id_number": "990000198506140011", "patient.name": "演示甲", "author.time": "20260930091500",
        "author.id": "D1", "institution.id": "91350100M000100Y43", "institution.name": "演示医院", "follow_up.date": "20261030",
    }  # fmt: skip
    content = kind.renderer({})(record, Envelope("X0900-A-1", "X0900-A", 1, "20260930093000"))
    assert kind.reader(content) == record


def test_a_connector_is_added_and_delivers(copy: Path) -> None:
    lines = written(copy, "extend-connector.md")
    config = next(block for block in blocks(FOLDER / "extend-connector.md") if block.language == "toml")
    create_hospital(copy / "hospital", 10, 1)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = str(server.server_address[1])
        (copy / "agent.toml").write_text(SITE + config.text.replace("5140", port), "utf-8")
        said = [typed(copy, line) for line in lines]
        server.shutdown()
    assert len(Collector.taken) > 3
    assert said[-1].count("stored") == len(Collector.taken)


SITE = """
workers = 0
[institution]
id = "999000013"
name = "示范市第一人民医院"
[sources.lis]
url = "sqlite:///hospital/lis.db"
[[feeds]]
name = "lab_report"
source = "lis"
mapping = "demo_lis/lab_report"
"""


class Collector(socketserver.StreamRequestHandler):
    """The other side of the page's connector: it proves what it took."""

    taken: ClassVar[list[str]] = []

    def handle(self) -> None:
        for line in self.rfile:
            told = json.loads(line)
            self.taken.append(told["id"])
            self.wfile.write(f"OK {sha256(base64.b64decode(told['content'])).hexdigest()}\n".encode())
