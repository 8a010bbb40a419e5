"""Documents as files: in a folder, on a mounted share, or on an SFTP server.

A file is there whole or not at all (a temporary name, fsync, rename, fsync of the folder), then its marker, then its line in the
index; only then is the document accepted, and that proves nothing: whoever fetches the file says later what became of it (feedback).
The same document again is the same file. Another one under its name is refused: nothing that lies there is ever replaced.
"""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from connectors.folders.making import sftp_place
from connectors.folders.naming import extension_of, file_name
from connectors.folders.place import (
    Gone,
    NoPermission,
    Place,
    PlaceError,
    PlaceFull,
    PlaceRefused,
    PlaceUnreachable,
    Taken,
    TooLarge,
)
from connectors.folders.this_machine import LocalPlace
from connectors.outlets import Around, DocumentUnreadable, OpenedDocument, all_of
from frontend_agent.config_files import USUAL_NAME, folder_of
from frontend_agent.config_outlets import FolderOutlet, SftpOutlet
from frontend_agent.delivery import SignedReply
from frontend_agent.errors import DestinationError, DestinationUnreachable, NotAllowed
from frontend_agent.model import Document, Outcome, Receipt

LARGEST_INDEX = 32 << 20  # bytes that are looked through for lines that are there already
COLUMNS = (
    "file", "document_id", "set_id", "version", "replaces_id", "void", "kind", "institution", "size", "sha256", "made_at"
)  # fmt: skip


class FilesEdge:
    """One folder that documents are laid down in."""

    at_once = 0

    def __init__(
        self,
        name: str,
        options: FolderOutlet | SftpOutlet,
        around: Around,
        contents: Callable[[OpenedDocument], bytes],
    ) -> None:
        self.name = name
        self._options, self._around, self._contents = options, around, contents
        self._zone = ZoneInfo(around.timezone)
        self._place = place_of(options, around)
        self._indexes: dict[str, _Index] = {}

    def send(self, documents: Sequence[Document]) -> Sequence[Receipt]:
        receipts: list[Receipt] = []
        laid: dict[str, list[tuple[str, ...]]] = {}
        for number, document in enumerate(documents):
            try:
                receipts.append(self._lay(document, laid))
            except PlaceError as error:
                receipts += self._given_up(documents[number:], error, bool(receipts))
                break
        try:
            self._note(laid)
        except PlaceError as error:  # the files are there: sent again, they are the same, and their lines are written
            problem = f"its line in the index could not be written: {error}"
            return [
                Receipt(one.document_id, Outcome.RETRY, reasons=(problem,)) if one.outcome is Outcome.ACCEPTED else one
                for one in receipts
            ]
        return receipts

    def take_replies(self) -> Sequence[SignedReply]:
        return []

    def probe(self) -> None:
        try:
            self._place.probe(writing=True)
        except PlaceError as error:
            raise _destination_error(error) from None

    # -- one document

    def _lay(self, document: Document, laid: dict[str, list[tuple[str, ...]]]) -> Receipt:
        try:
            opened = self._around.opened(document)
            content = self._contents(opened)
        except DocumentUnreadable as error:
            return Receipt(document.document_id, Outcome.REFUSED, reasons=(str(error),))
        name = self._name(self._options.file_name or USUAL_NAME, opened)
        try:
            self._place.write(name, content)
            if self._options.marker:
                self._place.write(name + self._options.marker, b"")
        except Taken:
            reason = "another file of its name lies there with other bytes: two machines, or somebody changed it"
            return Receipt(document.document_id, Outcome.REFUSED, reasons=(reason,))
        if self._options.index:
            index = self._name(self._options.index, opened)
            laid.setdefault(index, []).append(_line(name, document, len(content)))
        return Receipt(document.document_id, Outcome.ACCEPTED)

    def _name(self, template: str, opened: OpenedDocument) -> str:
        document = opened.document
        made_at = datetime.fromisoformat(document.made_at).astimezone(self._zone)
        return file_name(
            template,
            {
                "institution": document.institution,
                "kind": document.kind,
                "document_id": document.document_id,
                "set_id": document.set_id,
                "version": str(document.version),
                "date": f"{made_at:%Y%m%d}",
                "event_date": opened.event_time[:8] or f"{made_at:%Y%m%d}",
                "extension": extension_of(self._options.format),
            },
        )

    def _given_up(self, documents: Sequence[Document], error: PlaceError, some: bool) -> Sequence[Receipt]:
        """Nothing of these is there. What was laid down before is not forgotten for it."""
        if isinstance(error, PlaceFull):
            return all_of(documents, Outcome.RETRY, str(error))
        if not some:
            raise _destination_error(error)
        return all_of(documents, Outcome.UNREACHABLE, str(error))

    # -- the index

    def _note(self, laid: dict[str, list[tuple[str, ...]]]) -> None:
        for path, lines in laid.items():
            index = self._indexes.setdefault(path, _Index(self._place, path))
            try:
                index.add(lines)
            except PlaceError:
                del self._indexes[path]  # what is in it is read anew
                raise
        for path in list(self._indexes)[:-10]:  # those of last week
            del self._indexes[path]


class _Index:
    """One index: a line for each file, each once."""

    def __init__(self, place: Place, path: str) -> None:
        self._place, self._path = place, path
        self._is_csv = path.endswith(".csv")
        self._size = -1
        self._names: set[str] = set()
        self._begins = b""

    def add(self, lines: Sequence[tuple[str, ...]]) -> None:
        self._learn()
        fresh = [line for line in dict.fromkeys(lines) if line[0] not in self._names]
        if not fresh:
            return
        content = self._begins + b"".join(map(self._written, fresh))
        self._place.append(self._path, content)
        self._size += len(content)
        self._begins = b""
        self._names.update(line[0] for line in fresh)

    def _learn(self) -> None:
        """What is in it, unless it is as we left it."""
        there = self._place.look(self._path)
        size = there.size if there is not None else 0
        if size == self._size:
            return
        try:
            content = self._place.read(self._path, LARGEST_INDEX) if size else b""
        except (TooLarge, Gone):
            content = b"\n"
        self._size, self._names = size, set(self._files(content))
        # A line that broke off with the machine stays as it is; the next begins on a line of its own.
        self._begins = b"" if content.endswith(b"\n") or not content else b"\n"
        if not size and self._is_csv:
            self._begins = self._written(COLUMNS)

    def _files(self, content: bytes) -> list[str]:
        text = content.decode("utf-8", "replace")  # only compared with names that we write, which are ASCII
        if self._is_csv:
            return [line[0] for line in csv.reader(io.StringIO(text, newline="")) if line]
        found = []
        for line in text.splitlines():
            try:
                found.append(str(msgspec.json.decode(line)["file"]))
            except (msgspec.DecodeError, KeyError, TypeError):
                continue
        return found

    def _written(self, line: Sequence[str]) -> bytes:
        if self._is_csv:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerow(line)
            return text.getvalue().encode()
        return msgspec.json.encode(dict(zip(COLUMNS, line, strict=True))) + b"\n"


def _line(name: str, document: Document, size: int) -> tuple[str, ...]:
    return (
        name, document.document_id, document.set_id, str(document.version), document.replaces_id,
        "true" if document.void else "false", document.kind, document.institution, str(size), document.sha256,
        document.made_at,
    )  # fmt: skip


def place_of(options: FolderOutlet | SftpOutlet, around: Around) -> Place:
    """The folder that a destination's settings name."""
    if isinstance(options, SftpOutlet):
        return sftp_place(options, options.timeout, around.secret)
    return LocalPlace(folder_of(options.url), options.mount)


def _destination_error(error: PlaceError) -> DestinationError:
    if isinstance(error, PlaceRefused | NoPermission):
        return NotAllowed(str(error))
    if isinstance(error, PlaceUnreachable | PlaceFull):
        return DestinationUnreachable(str(error))
    return DestinationUnreachable(str(error))
