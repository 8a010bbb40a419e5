"""SQLite's own files at rest: every page of the database and of its write-ahead log is sealed below SQLite (an SQLite VFS).

So nothing is left out: columns, indexes, pages that are free again, temporary copies of pages. SQLite leaves 32 bytes at the end of each
page to us (reserved bytes, as its checksum VFS does): there are the tag and the nonce. In the log each frame grows by them.

    page        sealed (8160)  tag (16)  nonce (12)  0000          about: its number; page 1 begins with FAREST-P and the key's id
    log frame   number, size (8)  salts, checksums (16, one block)  sealed (8192)  tag  nonce          about: its place

What stays readable: how large the files are, which pages change and when.

Frames of a commit are given to the system together, when SQLite asks for its sync: there is one call for fifteen of them, not thirty.
"""

import itertools
from pathlib import Path

import apsw

from frontend_agent.sealing import NONCE, TAG, NotGenuine, Sealer, derived, one_block
from frontend_agent.spool.vault import Key

PAGE = 8192
RESERVED = 32
MAGIC = b"FAREST-P"  # where SQLite has the first half of "SQLite format 3"
SQLITE = b"SQLite format 3\0"
_HEAD = len(SQLITE)
PLAIN = apsw.vfs_names()[0]  # the system's own files: the default, looked up before there is any of ours
_NAMES = itertools.count()

WAL_HEAD, FRAME_HEAD = 32, 24
FRAME = FRAME_HEAD + PAGE  # as SQLite counts
SEALED_FRAME = FRAME + TAG + NONCE  # as it lies on disk
_AT_ONCE = (1 << 17) - 1  # bytes: SQLite's own files write no more by one call


def key_of(path: Path) -> str | None:
    """The id of the key that a database is sealed with; empty: it is plain. None: there is none, or nothing in it."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    if not head:
        return None
    return head[len(MAGIC) :].decode("ascii", "replace") if head.startswith(MAGIC) else ""


class SealedFiles(apsw.VFS):
    """The files of databases under one key. Register it by making it, and `unregister` it once they are closed."""

    def __init__(self, key: Key) -> None:
        self.name = f"frontend-agent-sealed-{next(_NAMES)}"
        self._key = key
        super().__init__(self.name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return _Pages(name, flags, self._key)
        if flags[0] & apsw.SQLITE_OPEN_WAL:
            return _Log(name, flags, self._key)
        # What is left is a journal of page 1 while a new database is made: it says how the tables are called.
        return apsw.VFSFile("", name, flags)


class _Pages(apsw.VFSFile):
    """The database itself."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int], key: Key) -> None:
        super().__init__("", name, flags)
        self._sealer = Sealer(key.suite, derived(key.suite, key.secret, "database"))
        self._mark = MAGIC + key.id.encode()

    def xRead(self, amount: int, offset: int) -> bytes:
        number, start = divmod(offset, PAGE)
        if start + amount > PAGE:
            raise apsw.IOError("a read across pages")
        stored = super().xRead(PAGE, number * PAGE)
        if len(stored) < PAGE:
            if any(stored):
                raise apsw.CorruptError("a page was cut off")
            return stored[start : start + amount]
        page = self._opened(number + 1, stored)
        return page if amount == PAGE else page[start : start + amount]

    def xWrite(self, data: bytes, offset: int) -> None:
        number, start = divmod(offset, PAGE)
        if start or len(data) != PAGE:
            raise apsw.IOError("a write that is no page")
        clear = b"" if number else self._mark
        nonce = self._sealer.nonce()
        sealed = self._sealer.seal(nonce, data[len(clear) : PAGE - RESERVED], _about(number + 1))
        super().xWrite(b"".join((clear, sealed, nonce, bytes(RESERVED - TAG - NONCE))), offset)

    def _opened(self, number: int, page: bytes) -> bytes:
        clear = _HEAD if number == 1 else 0
        nonce = page[PAGE - RESERVED + TAG : PAGE - RESERVED + TAG + NONCE]
        try:
            plain = self._sealer.open(nonce, memoryview(page)[clear : PAGE - RESERVED + TAG], _about(number))
        except NotGenuine as error:
            if not any(page):
                return page  # room that was given to the file, and never written
            raise apsw.CorruptError("a page is not what was written") from error
        return b"".join((SQLITE[:clear], plain, bytes(RESERVED)))


class _Log(apsw.VFSFile):
    """Its write-ahead log: SQLite counts frames as it knows them, on disk they are longer."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int], key: Key) -> None:
        super().__init__("", name, flags)
        self._sealer = Sealer(key.suite, derived(key.suite, key.secret, "write-ahead log"))
        # Random salts and checksums: one block of the cipher hides what the checksums would tell of the pages.
        self._hide, self._show = one_block(key.suite, derived(key.suite, key.secret, "frame heads"))
        self._held: list[bytes] = []  # what SQLite has written and the system was not given yet
        self._held_at = self._held_end = 0

    def xWrite(self, data: bytes, offset: int) -> None:
        if offset < WAL_HEAD:
            if offset + len(data) > WAL_HEAD:
                raise apsw.IOError("a write across the head of the log")
            self._hold(offset, bytes(data))  # a copy: it is SQLite's own memory
            return
        number, start = divmod(offset - WAL_HEAD, FRAME)
        place = WAL_HEAD + number * SEALED_FRAME + start
        if start == 0 and len(data) == FRAME_HEAD:
            self._hold(place, bytes(data[:8]), self._hide(data[8:]))
        elif start == FRAME_HEAD and len(data) == PAGE:
            nonce = self._sealer.nonce()
            self._hold(place, self._sealer.seal(nonce, data, _about(number)), nonce)
        else:
            raise apsw.IOError("a write that is no part of a frame")

    def _hold(self, place: int, *pieces: bytes) -> None:
        """To be written there, with what stands before it."""
        end = place + sum(map(len, pieces))
        if not self._held or place != self._held_end or end - self._held_at > _AT_ONCE:
            self._let_go()
            self._held_at = place
        self._held += pieces
        self._held_end = end

    def _let_go(self) -> None:
        """It is written now. Should that fail it is dropped: SQLite is told, and takes the whole commit back."""
        if self._held:
            held, self._held = b"".join(self._held), []
            super().xWrite(held, self._held_at)

    def xSync(self, flags: int) -> None:
        self._let_go()
        super().xSync(flags)

    def xClose(self) -> None:
        try:
            self._let_go()
        finally:
            super().xClose()

    def xRead(self, amount: int, offset: int) -> bytes:
        self._let_go()
        if offset < WAL_HEAD:
            return super().xRead(amount, offset)
        number, start = divmod(offset - WAL_HEAD, FRAME)
        place = WAL_HEAD + number * SEALED_FRAME
        if start == FRAME_HEAD:  # a page that SQLite knows to be there
            stored = super().xRead(PAGE + TAG + NONCE, place + FRAME_HEAD)
            try:
                return self._page(number, stored)[:amount]
            except NotGenuine as error:
                raise apsw.CorruptError("a page of the log is not what was written") from error
        stored = super().xRead(SEALED_FRAME, place)
        head = stored[:FRAME_HEAD]
        if len(head) == FRAME_HEAD:
            head = head[:8] + self._show(head[8:])
        try:
            page = self._page(number, stored[FRAME_HEAD:])
        except NotGenuine:
            page = (
                bytes(PAGE) if len(stored) == SEALED_FRAME else b""
            )  # torn: its checksum says so, and the log ends here
        return (head + page)[start : start + amount]

    def _page(self, number: int, stored: bytes) -> bytes:
        return self._sealer.open(stored[PAGE + TAG :], memoryview(stored)[: PAGE + TAG], _about(number))

    def xFileSize(self) -> int:
        self._let_go()
        size = super().xFileSize()
        if size <= WAL_HEAD:
            return size
        whole, rest = divmod(size - WAL_HEAD, SEALED_FRAME)
        return WAL_HEAD + whole * FRAME + min(rest, FRAME - 1)

    def xTruncate(self, size: int) -> None:
        self._let_go()
        if size > WAL_HEAD:
            size = WAL_HEAD + (size - WAL_HEAD) // FRAME * SEALED_FRAME
        super().xTruncate(size)


def _about(number: int) -> bytes:
    return number.to_bytes(8, "big")
