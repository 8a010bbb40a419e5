"""The machine's floor: a straight-line script of the same work, without our code.

For each page of 500 keys: the driver's fetch with the demonstration mappings' own SQL, details grouped by key, row
checks; then for each 100 documents: string join, SHA-256, one zstd compression with a shared dictionary, one durable
commit (SQLite, synchronous=FULL), one POST to a receiver process of its own that commits durably before it answers, one
durable commit that marks them sent. Standard library and zstandard only. No findings, no versions, no receipts, no
signatures, no log, no proof, no retries, nothing configurable: what those cost is the distance to this.

    python -m benchmarks.floor HOSPITAL [--documents N] [--json]
"""

import argparse
import http.client
import json
import re
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import zip_longest
from operator import itemgetter, mul
from pathlib import Path
from typing import Any

import zstandard
from lxml import etree

OPEN, CLOSE = "\ue000", "\ue001"  # around a slot's name: characters that no sample has
ROOT = Path(__file__).resolve().parents[1]
PAGE, REQUEST = 500, 100
LEVEL = 1
FEEDS = {
    "C0002": ("demo_his/outpatient_visit", "his.db"),
    "C0004": ("demo_his/prescription", "his.db"),
    "C0007": ("demo_lis/lab_report", "lis.db"),
}
BINDING = "{urn:frontend-agent:template}"
FILLED = ("text", "value", "code", "unit", "extension", "display")


class Form:
    """One kind as %-formats cut from its sample: a frame with slots, and one format per repeated group.

    Made before the clock starts. Groups are found by `b:each`; every slot is always written, filled or not, which brings
    its documents to about the size of ours.
    """

    def __init__(self, kind: str) -> None:
        root = etree.parse(str(ROOT / "cda_templates" / f"{kind}.xml")).getroot()
        self.groups: dict[str, tuple[str, list[str]]] = {}
        for element in list(root.iter(etree.Element)):
            self._cut_each(element)
        self.frame, self.names = self._format(root)
        # What a dictionary is made of: the text that is the same in every document.
        self.dictionary = zstandard.ZstdCompressionDict(
            "".join(re.split(r"%%|%s", self.frame + "".join(f for f, _ in self.groups.values()))).encode(),
            dict_type=zstandard.DICT_TYPE_RAWCONTENT,
        )

    def _cut_each(self, element: Any) -> None:
        group = element.get(BINDING + "each")
        if group is None:
            return
        del element.attrib[BINDING + "each"]
        text, names = self._format(element)
        # Its row of the narrative: every value once more, in a cell.
        cells = "".join(f"<td>{'%s'}</td>" for _ in names)
        self.groups[group] = (f"<tr>{cells}</tr>{text}", names * 2)
        place = etree.Element("group")
        place.text = f"{OPEN}group:{group}{CLOSE}"
        element.getparent().replace(element, place)

    @staticmethod
    def _format(element: Any) -> tuple[str, list[str]]:
        for node in element.iter(etree.Element):
            for name in FILLED:
                field = node.attrib.pop(BINDING + name, None)
                if field is None:
                    continue
                if name == "text":
                    node.text = f"{OPEN}{field}{CLOSE}"
                else:
                    node.set({"display": "displayName"}.get(name, name), f"{OPEN}{field}{CLOSE}")
            for name in [name for name in node.attrib if name.startswith(BINDING)]:
                del node.attrib[name]
        text = etree.tostring(element, encoding="unicode", with_tail=False)
        text = re.sub(r">\s+<", "><", text)
        slot = f"{OPEN}(.*?){CLOSE}"
        return re.sub(slot, "%s", text.replace("%", "%%")), re.findall(slot, text)


DATE = re.compile(r"\d{8}(\d{6})?\Z")
TIME_LIKE = ("time", "date", "_at", "_on")
SPECIAL = re.compile('[&<>"]')
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def wrong_number(number: str) -> bool:
    """The check digit of an identity number (GB 11643)."""
    return len(number) != 18 or "10X98765432"[sum(map(mul, map(int, number[:17]), WEIGHTS)) % 11] != number[17]


class Cut:
    """One query's columns against one %-format: which column fills which slot, which are times, which are checked."""

    def __init__(self, columns: list[str], slots: list[str], prefix: str, extra: tuple[str, ...] = ()) -> None:
        at = {prefix + name: index for index, name in enumerate((*columns, *extra))}
        self.pick = itemgetter(*(at.get(slot, len(at)) for slot in slots))  # no column: the empty text behind the row
        self.times = [at[prefix + name] for name in columns if name.endswith(TIME_LIKE)]
        self.number = at.get("patient.id_number")

    def tidy(self, row: tuple[Any, ...]) -> tuple[list[Any], int]:
        """The row as text, and how many problems it has: presence, length, dates, one check digit."""
        found = row.count(None) + row.count("")
        values = ["" if value is None else value for value in row] if None in row else list(row)
        for index in self.times:
            value = values[index]
            if value and not DATE.match(value):
                values[index] = value = value.replace("-", "").replace(":", "").replace(" ", "")
                found += not DATE.match(value)
        joined = "\t".join(map(str, values))
        if SPECIAL.search(joined):
            values = [escape(value) if isinstance(value, str) else value for value in values]
        found += "\ufffd" in joined
        found += len(joined) > 5_000
        if self.number is not None and values[self.number]:
            found += wrong_number(values[self.number])
        return values, found


class Feed:
    """The SQL of one shipped mapping, asked by keys, and the kind's form."""

    def __init__(self, kind: str, hospital: Path) -> None:
        name, database = FEEDS[kind]
        folder = (ROOT / "mappings" / name).parent
        mapping = tomllib.loads((ROOT / "mappings" / f"{name}.toml").read_text("utf-8"))
        queries = mapping["queries"]
        self.kind = kind
        self.key = mapping["key"]
        self.form = Form(kind)
        self.compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=self.form.dictionary)
        self.changed = (folder / queries["changed"]).read_text("utf-8")
        self.parent = (folder / queries["parent"]).read_text("utf-8")
        self.details = {group: (folder / file).read_text("utf-8") for group, file in queries.get("details", {}).items()}
        self.connection = sqlite3.connect(f"file:{hospital / database}?mode=ro", uri=True)

    def keys(self) -> list[str]:
        sql = f'SELECT "key" FROM ({self.changed}) GROUP BY "key" ORDER BY MAX("cursor"), "key"'
        return [key for (key,) in self.connection.execute(sql)]

    def _asked(self, sql: str, keys: list[str]) -> tuple[list[str], list[tuple[Any, ...]]]:
        marks = ",".join("?" * len(keys))
        cursor = self.connection.execute(f'SELECT * FROM ({sql}) q WHERE q."{self.key}" IN ({marks})', keys)
        return [column[0] for column in cursor.description], cursor.fetchall()

    def rows(
        self, keys: list[str]
    ) -> tuple[tuple[list[str], list[tuple[Any, ...]]], dict[str, tuple[list[str], list[tuple[Any, ...]]]]]:
        return self._asked(self.parent, keys), {group: self._asked(sql, keys) for group, sql in self.details.items()}

    def documents(self, keys: list[str]) -> Iterator[tuple[str, bytes]]:
        """Fetch one page and make its documents."""
        (columns, rows), details = self.rows(keys)
        form = self.form
        texts: dict[str, dict[str, str]] = {}
        for group, (names, lines) in details.items():
            frame, slots = form.groups[group]
            cut, at = Cut(names, slots, "this."), names.index(self.key)
            by_key: dict[str, str] = {}
            for line in lines:
                values, _ = cut.tidy(line)
                values.append("")
                by_key[line[at]] = by_key.get(line[at], "") + frame % cut.pick(values)
            texts[group] = by_key
        extra = ("envelope.document_id", "envelope.set_id", *("group:" + group for group in texts))
        cut = Cut(columns, form.names, "", extra)
        at, final, void = columns.index(self.key), columns.index("final"), columns.index("void")
        for row in rows:
            if str(row[final]) != "1" or str(row[void]) == "1":
                continue
            values, _ = cut.tidy(row)
            key = row[at]
            values += (f"{self.kind}-{key}-1", f"{self.kind}-{key}")
            values += [by_key.get(key, "") for by_key in texts.values()]
            values.append("")
            yield key, (form.frame % cut.pick(values)).encode()


SPOOL = """
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE document (id TEXT PRIMARY KEY, sha256 TEXT, frame BLOB, sent INTEGER NOT NULL DEFAULT 0);
"""


def run(hospital: Path, documents: int, folder: Path) -> dict[str, float]:
    """The whole work, once. Seconds are of the pages and requests, not of starting processes or cutting forms."""
    feeds = [Feed(kind, hospital) for kind in FEEDS]
    pages = [
        [(feed, keys[i : i + PAGE]) for i in range(0, len(keys), PAGE)] for feed in feeds for keys in [feed.keys()]
    ]
    # Kinds mixed, as the agent's feeds are.
    work = [page for pages_of_one_turn in zip_longest(*pages) for page in pages_of_one_turn if page]
    spool = sqlite3.connect(folder / "floor-spool.db", isolation_level=None)
    spool.executescript(SPOOL)
    made = size = 0
    with receiver(folder) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        started = time.perf_counter()
        for feed, keys in work:
            batch: list[tuple[str, str, bytes]] = []
            for key, document in feed.documents(keys):
                batch.append((f"{feed.kind}-{key}", sha256(document).hexdigest(), feed.compressor.compress(document)))
                made += 1
                size += len(document)
                if len(batch) == REQUEST:
                    push(spool, connection, batch)
                    batch = []
            if batch:
                push(spool, connection, batch)
            if documents and made >= documents:
                break
        seconds = time.perf_counter() - started
    spool.close()
    return {"documents": made, "seconds": seconds, "documents_per_second": made / seconds, "bytes": size / max(1, made)}


def push(
    spool: sqlite3.Connection, connection: http.client.HTTPConnection, batch: list[tuple[str, str, bytes]]
) -> None:
    spool.execute("BEGIN")
    spool.executemany("INSERT INTO document (id, sha256, frame) VALUES (?, ?, ?)", batch)
    spool.execute("COMMIT")
    connection.request("POST", "/", packed(batch))
    answer = json.loads(connection.getresponse().read())
    spool.execute("BEGIN")
    spool.executemany("UPDATE document SET sent = 1, frame = NULL WHERE id = ?", [(name,) for name in answer["stored"]])
    spool.execute("COMMIT")


def packed(batch: list[tuple[str, str, bytes]]) -> bytes:
    index = json.dumps([[name, digest, len(frame)] for name, digest, frame in batch]).encode()
    return struct.pack(">I", len(index)) + index + b"".join(frame for _, _, frame in batch)


# --- The receiver ---------------------------------------------------------------------------------------------------


def receive(folder: Path) -> None:
    """Serve on a free port of loopback, print it, store each request's frames in one durable commit, then answer."""
    store = sqlite3.connect(folder / "floor-store.db", isolation_level=None)
    store.executescript(SPOOL)

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body of an answer in one packet

        def do_POST(self) -> None:
            body = memoryview(self.rfile.read(int(self.headers["Content-Length"])))
            at = 4 + struct.unpack(">I", body[:4])[0]
            rows = []
            for name, digest, length in json.loads(bytes(body[4:at])):
                rows.append((name, digest, body[at : at + length]))
                at += length
            store.execute("BEGIN")
            store.executemany("INSERT INTO document (id, sha256, frame) VALUES (?, ?, ?)", rows)
            store.execute("COMMIT")
            answer = json.dumps({"stored": [name for name, _, _ in rows]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def receiver(folder: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.floor", "--receive", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def floor(hospital: Path, documents: int = 0) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        return run(hospital, documents, Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hospital", type=Path, nargs="?", help="a folder with his.db and lis.db")
    parser.add_argument("--documents", type=int, default=0, help="stop after so many (0: all)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--receive", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.receive:
        receive(arguments.receive)
        return
    if arguments.hospital is None:
        parser.error("name a hospital's folder")
    result = floor(arguments.hospital, arguments.documents)
    if arguments.json:
        print(json.dumps(result))
    else:
        print(
            f"{result['documents_per_second']:,.0f} documents/s ({result['documents']:,} of {result['bytes']:,.0f} bytes)"
        )


if __name__ == "__main__":
    main()
