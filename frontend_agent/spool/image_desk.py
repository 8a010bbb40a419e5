"""Where images are handed over (connectors/instances.py): a file for each, written as it comes, and a commit for all that wait.

    begin ─▶ write … ─▶ keep: header read, file synced (in the caller's thread) ─▶ names given, rows committed (a group at a time) ─▶ future

However many associations there are, they share one commit. An instance is acknowledged when its future is done, and that is after its
file, its name and its rows are on disk.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime

from connectors.arrivals import InboxFull
from connectors.instances import InstanceRefused, InstanceWriter, KeptInstance
from frontend_agent.dicom.elements import DataSetMalformed, walk
from frontend_agent.dicom.header import Header, HeaderUnreadable, inflated, read_header
from frontend_agent.dicom.part10 import Meta, NoInstance, meta, read_meta
from frontend_agent.dicom.uids import Encoding, encoding_of, is_uid
from frontend_agent.errors import FrontendAgentError, SpoolFull
from frontend_agent.pulse import Pulse
from frontend_agent.spool.image_room import Counted
from frontend_agent.spool.image_words import Parcel
from frontend_agent.spool.images import Images

AT_ONCE = 500  # instances of one commit
SLOW_COMMIT = 600.0  # seconds after which it hangs
FIRST_LOOK, LONGEST_LOOK = 64 << 10, 4 << 20  # bytes of a file in which it must say what it is
_CLASS, _INSTANCE = 0x0008_0016, 0x0008_0018


class Desk:
    """An `InstanceDesk` over the book of studies. `start` it, `stop` it when nobody hands over any more."""

    def __init__(
        self,
        images: Images,
        clock: Callable[[], datetime],
        *,
        failed: Callable[[Exception], str] = lambda error: f"unexpected {type(error).__name__}",
    ) -> None:
        """`failed` is told of what nobody expected."""
        self._images, self._clock, self._failed = images, clock, failed
        self._changed = threading.Condition()
        self._waiting: list[_Handed] = []
        self._stopped = False
        self._pulse = Pulse(SLOW_COMMIT)
        self._thread = threading.Thread(target=self._work, name="images", daemon=True)

    def start(self) -> "Desk":
        self._thread.start()
        return self

    def stop(self) -> None:
        """Keep what was handed over, and end."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def is_alive(self) -> bool:
        """Whether its thread lives and gets on."""
        return self._thread.is_alive() and not self._pulse.is_late

    def begin(
        self,
        inlet: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        *,
        sender: str,
        largest: int = 0,
    ) -> InstanceWriter:
        """InstanceRefused: what is said of it are no UIDs. InboxFull: there is no room."""
        said = {"SOP Class": sop_class_uid, "SOP Instance": sop_instance_uid, "Transfer Syntax": transfer_syntax_uid}
        if wrong := [f"its {name} UID is no UID" for name, uid in said.items() if not is_uid(uid)]:
            raise InstanceRefused(*wrong)
        return _Writer(self, inlet, sop_class_uid, sop_instance_uid, transfer_syntax_uid, sender, largest)

    def begin_file(self, inlet: str, *, sender: str, largest: int = 0) -> InstanceWriter:
        return _FileWriter(self, inlet, sender, largest)

    # --- of its writers -----------------------------------------------------------------------------------------------

    def open(self) -> Counted:
        if self._stopped:
            raise InboxFull("the agent stops; nothing of it was kept")
        try:
            return self._images.begin_arrival()
        except (SpoolFull, OSError) as error:
            raise InboxFull(_said(error)) from error

    def hand_over(self, file: Counted, header: Header, inlet: str, sender: str) -> "Future[KeptInstance]":
        """A whole file, synced here; it is committed with all others that wait."""
        try:
            written = file.finish(self._images.files.placing(header.study_instance_uid))
        except OSError as error:
            file.abort()
            raise InboxFull(_said(error)) from error
        handed = _Handed(Parcel(header, written, inlet, sender, self._clock()), file)
        with self._changed:
            if not self._stopped:
                self._waiting.append(handed)
                self._changed.notify()
                return handed.future
        self._refuse([handed], "the agent stops; nothing of it was kept")
        return handed.future

    def _work(self) -> None:
        while group := self._next():
            with self._pulse.at_work():
                self._keep(group)

    def _next(self) -> "list[_Handed]":
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopped)
            group, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            return group

    def _keep(self, group: "list[_Handed]") -> None:
        """One commit. Should it fail in a way that nobody expected, each is tried alone: one must not keep out all others."""
        try:
            answers = self._images.keep([one.parcel for one in group])
        except FrontendAgentError as error:
            self._refuse(group, str(error))
            return
        except Exception as error:  # noqa: BLE001  told and answered; the thread lives on, and senders come again
            if len(group) > 1:
                for one in group:
                    self._keep([one])
            else:
                self._refuse(group, self._failed(error))
            return
        for one, kept in zip(group, answers, strict=True):
            one.file.done()
            written = one.parcel.written
            one.future.set_result(KeptInstance(kept, one.parcel.header, written.sha256, written.size))

    def _refuse(self, group: "list[_Handed]", reason: str) -> None:
        for one in group:
            with suppress(OSError, FrontendAgentError):  # what cannot be taken away now is swept at the next start
                one.file.abort()
                self._images.drop_unkept([one.parcel])
            one.future.set_exception(InboxFull(reason))


class _Handed:
    """One instance that waits for its commit."""

    __slots__ = ("file", "future", "parcel")

    def __init__(self, parcel: Parcel, file: Counted) -> None:
        self.parcel, self.file = parcel, file
        self.future: Future[KeptInstance] = Future()


class _Writer:
    """One instance of which is known what it is."""

    def __init__(
        self, desk: Desk, inlet: str, sop_class: str, sop_instance: str, syntax: str, sender: str, largest: int
    ) -> None:
        self._desk, self._inlet, self._sender = desk, inlet, sender
        self._class, self._instance, self._syntax = sop_class, sop_instance, syntax
        self._largest = largest
        self._file = desk.open()
        head = meta(sop_class, sop_instance, syntax)
        self._data_set_at = len(head)
        self._write(head)

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """InstanceRefused: it is larger than its inlet says it may be. InboxFull: there is no room for the rest of it."""
        if self._largest and self._file.size - self._data_set_at + len(chunk) > self._largest:
            self.abort()
            raise InstanceRefused(
                f"it is larger than {self._largest:,} bytes (`largest` of [images.inlets.{self._inlet}])"
            )
        self._write(chunk)

    def _write(self, chunk: bytes | bytearray | memoryview) -> None:
        try:
            self._file.write(chunk)
        except (SpoolFull, OSError) as error:
            self.abort()
            raise InboxFull(_said(error)) from error

    def keep(self) -> "Future[KeptInstance]":
        try:
            header = self._header()
            return self._desk.hand_over(self._file, header, self._inlet, self._sender)
        except (InstanceRefused, InboxFull) as error:
            self.abort()
            refused: Future[KeptInstance] = Future()
            refused.set_exception(error)
            return refused

    def _header(self) -> Header:
        """What the data set says of itself; it must be what was said of it (PS3.4 B.2.3: Data Set does not match SOP Class)."""
        if self._file.size == self._data_set_at:
            raise InstanceRefused("it has no data set")
        try:
            with self._file.mapped() as view:
                header = read_header(view, self._syntax, self._data_set_at)
        except HeaderUnreadable as error:
            raise InstanceRefused(*str(error).split("; ")) from error
        wrong = []
        if header.sop_instance_uid != self._instance:
            wrong.append("its data set is of another SOP Instance UID than was said of it")
        if header.sop_class_uid not in ("", self._class):
            wrong.append("its data set is of another SOP Class UID than was said of it")
        if wrong:
            raise InstanceRefused(*wrong)
        return header

    def abort(self) -> None:
        with suppress(OSError):  # what cannot be taken away now is swept at the next start
            self._file.abort()


class _FileWriter:
    """A whole file: what it is, its first bytes say."""

    def __init__(self, desk: Desk, inlet: str, sender: str, largest: int) -> None:
        self._desk, self._inlet, self._sender, self._largest = desk, inlet, sender, largest
        self._head = bytearray()
        self._look_at = FIRST_LOOK
        self._writer: InstanceWriter | None = None

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        if self._writer is not None:
            self._writer.write(chunk)
            return
        self._head += chunk
        if len(self._head) >= self._look_at:
            self._look(is_all=False)

    def keep(self) -> "Future[KeptInstance]":
        try:
            if self._writer is None:
                self._look(is_all=True)
        except (InstanceRefused, InboxFull) as error:
            refused: Future[KeptInstance] = Future()
            refused.set_exception(error)
            return refused
        assert self._writer is not None
        return self._writer.keep()

    def abort(self) -> None:
        self._head.clear()
        if self._writer is not None:
            self._writer.abort()

    def _look(self, is_all: bool) -> None:
        """Begin the instance as soon as it is known what it is."""
        may_wait = not is_all and len(self._head) < LONGEST_LOOK
        try:
            told = what_it_is(bytes(self._head), is_whole=not may_wait)
        except NoInstance as error:
            raise InstanceRefused(str(error)) from error
        if told is None:
            self._look_at = 4 * len(self._head)
            return
        self._writer = self._desk.begin(
            self._inlet, told.sop_class_uid, told.sop_instance_uid, told.transfer_syntax_uid, sender=self._sender,
            largest=self._largest,
        )  # fmt: skip
        self._writer.write(memoryview(self._head)[told.data_set_at :])
        self._head = bytearray()


def what_it_is(head: bytes, is_whole: bool) -> Meta | None:
    """What a file is, from its first bytes: its data set's own UIDs, or what its meta information says of them. None: more of it is
    needed. NoInstance: why it is none."""
    try:
        told = read_meta(head)
    except NoInstance:
        if is_whole:
            raise
        return None
    found = _own_uids(head, told, is_whole)
    if found is None:
        return None
    sop_class, sop_instance = found.get(_CLASS, told.sop_class_uid), found.get(_INSTANCE, told.sop_instance_uid)
    missing = [
        name for name, uid in (("SOP Class UID", sop_class), ("SOP Instance UID", sop_instance)) if not is_uid(uid)
    ]
    if missing:
        raise NoInstance("; ".join(f"it has no {name}, or none that is one" for name in missing))
    return told._replace(sop_class_uid=sop_class, sop_instance_uid=sop_instance)


def _own_uids(head: bytes, told: Meta, is_whole: bool) -> Mapping[int, str] | None:
    encoding, data, at = encoding_of(told.transfer_syntax_uid), head, told.data_set_at
    if encoding.is_deflated:
        try:
            data, at, encoding = inflated(head, at, most=FIRST_LOOK), 0, Encoding()
        except HeaderUnreadable as error:
            raise NoInstance(str(error)) from None
    found: dict[int, str] = {}
    try:
        for element in walk(data, encoding, at, until=_INSTANCE + 1):
            if element.tag in (_CLASS, _INSTANCE):
                found[element.tag] = data[element.start : element.end].rstrip(b"\0 ").decode("ascii", "replace")
    except DataSetMalformed:
        if not is_whole and not found.get(_INSTANCE):
            return None  # cut off where our look ends; a later one, or `keep`, says what is wrong with it
    return found


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, FrontendAgentError) else f"images: {getattr(error, 'strerror', '') or error}"
