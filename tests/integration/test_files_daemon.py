"""Files all the way: laid into a folder, taken, made into documents, laid down for the region, answered in files, delivered."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_foreign_documents import _first
from tests.messages_kit import SHIPPED, report, site_mapping

PROGRAM = [sys.executable, "-m", "frontend_agent.cli.main"]
CONFIG = """
workers = 0
[institution]
id = "12345678-9"
name = "示范县人民医院"

[inlets.lis]
type = "folder"
path = "lis"
every = "1s"
settle = "1s"

[inlets.cdr]
type = "folder"
path = "cdr"
format = "xml"
whole = "marker"
every = "1s"

[destinations.region]
type = "folder"
url = "{out}"
file_name = "{{kind}}/{{document_id}}.xml"
marker = ".ok"
index = "index.csv"

[destinations.region.feedback]
url = "{answers}"
every = "1s"
whole = "rename"
document = "文件"
verdict = "结果"
accepted = ["通过"]
rejected = ["退回"]
reasons = ["原因"]

[[feeds]]
name = "lab_report"
source = "lis"
mapping = "lab.toml"

[[feeds]]
name = "finished"
source = "cdr"
mapping = "finished.toml"
"""
FINISHED = """
kind = "C0007"
key = "no"
document = "content"       # of which [message.fields] says nothing: the message itself, byte by byte
[message]
format = "xml"
[message.fields]
"no" = "id/@extension"
"""


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("lis", "cdr", "out", "answers"):
            (folder / name).mkdir()
        text = CONFIG.format(out=(folder / "out").as_uri(), answers=(folder / "answers").as_uri())
        (folder / "agent.toml").write_text(text, "utf-8")
        (folder / "lab.toml").write_text(site_mapping(), "utf-8")
        (folder / "finished.toml").write_text(FINISHED, "utf-8")
        shutil.copytree(SHIPPED / "codes", folder / "codes")

    @contextmanager
    def daemon(self) -> Iterator[None]:
        process = subprocess.Popen(
            [*PROGRAM, "run"], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=(self.folder / "log").open("ab")
        )
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(30) == 0

    def command(self, *arguments: str) -> Any:
        done = subprocess.run([*PROGRAM, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def put(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def there(self, folder: str) -> list[str]:
        root = self.folder / folder
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    def documents(self) -> list[Path]:
        return sorted((self.folder / "out" / "C0007").glob("*.xml")) if (self.folder / "out/C0007").exists() else []

    def states(self) -> dict[str, int]:
        try:
            (region,) = self.command("status", "--json")["destinations"]
        except AssertionError:
            return {}  # it is starting yet
        return {state: n for state, n in region["states"].items() if n}


def eventually(what: Callable[[], bool], site: Site, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, (site.folder / "log").read_text("utf-8")[-3000:]
        time.sleep(0.2)


@pytest.mark.slow
def test_files_in_documents_out_and_answers_back(tmp_path: Path) -> None:
    site = Site(tmp_path)
    batch = b"BHS|^~\\&|LIS\r" + b"".join(
        report(f"R{number}", control_id=f"M{number}").rstrip(b"\r") + b"\r" for number in (1, 2)
    )
    site.put("lis/批次.hl7", batch + b"BTS|2\r")
    site.put("lis/half.hl7.part", batch)
    site.put("cdr/张三.xml", _first())
    site.put("cdr/other.xml", _first())
    site.put("cdr/张三.xml.ok", b"")
    with site.daemon():
        eventually(lambda: len(site.documents()) == 3, site)
        eventually(lambda: site.states() == {"accepted": 3}, site)
    assert _first() in [path.read_bytes() for path in site.documents()], "the hospital's own document, untouched"
    assert len((tmp_path / "out/index.csv").read_text("utf-8").splitlines()) == 4
    assert len(site.there("out")) == 7
    assert [name.partition("/")[0] for name in site.there("lis")] == ["done", "half.hl7.part"]
    assert site.there("cdr")[-1] == "other.xml"

    a, b, c = (path.name for path in site.documents())
    site.put("answers/答复.csv", f"文件,结果,原因\n{a},通过,\n{b},退回,患者未注册\n{c},通过,\n".encode("gbk"))
    with site.daemon():
        eventually(lambda: site.states() == {"delivered": 2, "refused": 1}, site)
        eventually(lambda: site.there("answers")[0].startswith("done/"), site)
    log = (tmp_path / "log").read_text("utf-8")
    assert "张三" not in log
    assert "批次" not in log
    assert len(site.documents()) == 3
