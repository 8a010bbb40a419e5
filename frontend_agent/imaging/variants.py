"""What one destination gets instead of an instance: without its identity, or compressed, or both. The original stays what it is.

    made       the instance as the destination will know it, and its file
    named      the same without making anything: what is asked for when it is proven
    proven     it is there: what was made of it can go

The same is always made of the same (law 2): by the original's SHA-256, the profile's key and options, and the kind of compression.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path

import msgspec

from frontend_agent.config import Config, unknown
from frontend_agent.config_images import ImageOutletConfig
from frontend_agent.dicom.elements import Buffer, DataSetMalformed
from frontend_agent.dicom.header import Header, HeaderUnreadable, read_header
from frontend_agent.dicom.part10 import meta, read_meta
from frontend_agent.dicom.rewriting import chunks
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.compressing import SYNTAXES, StaysAsItIs, compressed
from frontend_agent.imaging.deidentifying import (
    CannotDeidentify,
    Profile,
    deidentified,
    reason_cannot,
    reason_pixels_stay,
    subject_of,
)
from frontend_agent.imaging.model import Instance
from frontend_agent.imaging.pixels.asking import PixelProcess, require
from frontend_agent.instance_files import StateKeys, Written
from frontend_agent.instance_reading import InstanceFile, mapped
from frontend_agent.secrets import secrets_of
from frontend_agent.spool.image_room import Room
from frontend_agent.spool.made import MadeFiles, drop_folders

Looked = Callable[[str], bool]  # a Study Instance UID: whether a person has looked at its pixels, and let them go


class Variants:
    """Of one destination. Safe to use from several threads."""

    def __init__(
        self,
        options: ImageOutletConfig,
        root: Path,
        secret: Callable[[str], str],
        looked: Looked = lambda study: False,
        room: Room | None = None,
        keys: StateKeys | None = None,
    ) -> None:
        """`room`: what is made takes of it, with everything else of images. `keys`: what it is sealed with. ConfigurationError: no key, an option that there is not, or nothing to compress with."""
        self._profile = (
            Profile(secret(options.pseudonym_key).encode(), options.deidentify) if options.deidentified else None
        )
        self._kind, self._looked = options.compress, looked
        self._pixels = PixelProcess() if options.compress else None
        if options.compress:
            require()
        self._recipe = f"{self._profile.digest if self._profile else ''} {options.compress}"
        self._files = MadeFiles(root, room, keys=keys)
        self._term = options.ask_until.total_seconds() + 86400
        self._swept = False
        self._keys: dict[int, str] = {}  # of instances that were made, until they are proven

    def made(self, instance: Instance, path: InstanceFile, /) -> tuple[Instance, InstanceFile]:
        """The instance as this destination gets it, and its file, which stays until it was `sent`. ValueError: it must not leave, or
        cannot be made, and why. SpoolFull: there is no room to make it now."""
        self._judge(instance)
        key = self._key(instance)
        found = self._files.use(key)
        if found is None or found.path is None:
            with mapped(path) as data:
                written = self._without_identity(instance, data) if self._profile else None
                if self._kind:
                    written = self._smaller(written, data)
            if written is None:
                return instance, path  # nothing of it is other than it was
            found = self._files.keep(key, written)
        assert found.path is not None
        return self._as(instance, found.path, found.sha256, found.size), found.path

    def named(self, instance: Instance, /) -> Instance:
        """Its UIDs at this destination, and its SHA-256 if it was made here."""
        header = instance.header
        if self._profile:
            uid = self._profile.uid
            header = msgspec.structs.replace(
                header,
                study_instance_uid=uid(header.study_instance_uid),
                series_instance_uid=uid(header.series_instance_uid),
                sop_instance_uid=uid(header.sop_instance_uid),
                patient_id=self._profile.pseudonym(subject_of(header).patient),
            )
        named = msgspec.structs.replace(instance, header=header)
        found = self._files.find(self._key(instance))
        return (
            named if found is None else msgspec.structs.replace(named, sent_sha256=found.sha256, sent_size=found.size)
        )

    def sent(self, instances: Sequence[Instance], /) -> None:
        """They were sent, or will be later: what was made of them gives way where there is no room."""
        self._files.release([key for one in instances if (key := self._keys.get(one.id))])

    def proven(self, instances: Sequence[Instance], /) -> None:
        """They are there, or refused. They may be the originals, or as they are known there."""
        for instance in instances:
            key = self._keys.pop(instance.id, "")
            if key:
                self._files.drop(key)

    def close(self) -> None:
        if self._pixels:
            self._pixels.close()

    # -- making

    def _judge(self, instance: Instance) -> None:
        """Raises CannotDeidentify."""
        if self._profile is None:
            return
        why = reason_cannot(instance.header)
        if not why and not self._looked(instance.header.study_instance_uid):
            why = reason_pixels_stay(instance.header)
            why = f"{why}; look at it, then: frontend-agent images release STUDY --pixels" if why else ""
        if why:
            raise CannotDeidentify(f"not sent de-identified: {why}")

    def _without_identity(self, instance: Instance, data: Buffer) -> Written:
        assert self._profile is not None
        return self._write(*without_identity(data, instance.header, self._profile))

    def _smaller(self, written: Written | None, data: Buffer) -> Written | None:
        """Compressed, of what was written or else of the original; as it was where that cannot be."""
        assert self._pixels is not None
        if written is None:
            return self._compressed(data)
        with mapped(self._files.incoming(written)) as made:
            smaller = self._compressed(made)
        if smaller is None:
            return written
        self._files.discard(written)
        return smaller

    def _compressed(self, data: Buffer) -> Written | None:
        assert self._pixels is not None
        said = read_meta(data)
        head = meta(said.sop_class_uid, said.sop_instance_uid, SYNTAXES[self._kind])
        try:
            smaller = compressed(data, said.transfer_syntax_uid, said.data_set_at, self._kind, self._pixels.frame)
            written = self._write(head, smaller)
        except (StaysAsItIs, DataSetMalformed):
            return None
        if written.size < len(data):
            return written
        self._files.discard(written)  # noise: nothing is won
        return None

    def _write(self, head: bytes, content: Iterator[bytes]) -> Written:
        if not self._swept:
            self._swept = True
            self._files.sweep(self._term)
        incoming = self._files.begin()
        try:
            incoming.write(head)
            for chunk in content:
                incoming.write(chunk)
        except BaseException:
            incoming.abort()
            raise
        return incoming.finish()

    def _as(self, instance: Instance, file: InstanceFile, digest: str, size: int) -> Instance:
        with mapped(file) as data:
            said = read_meta(data)
            header = read_header(data, said.transfer_syntax_uid, said.data_set_at)
        return msgspec.structs.replace(instance, header=header, sent_sha256=digest, sent_size=size)

    def _key(self, instance: Instance) -> str:
        """By what is sent, how it is made, and which instance it is: two with the same bytes go one by one."""
        key = sha256(f"{instance.sent_sha256} {instance.id} {self._recipe}".encode()).hexdigest()[:32]
        self._keys[instance.id] = key
        return key


def variants(
    name: str,
    options: ImageOutletConfig,
    state: Path,
    secret: Callable[[str], str],
    looked: Looked,
    room: Room | None = None,
    keys: StateKeys | None = None,
) -> Variants | None:
    """What a destination gets instead, or None: it gets what is here. ConfigurationError."""
    if not options.deidentified and not options.compress:
        return None
    if options.deidentified and not options.pseudonym_key:
        raise ConfigurationError(
            f'[images.destinations.{name}] deidentified needs a key: pseudonym_key = "NAME of a secret"'
        )
    return Variants(options, folder_of(state, name), secret, looked, room, keys)


def folder_of(state: Path, name: str) -> Path:
    """Where what is made for a destination lies."""
    return state / "images" / "made" / sha256(name.encode()).hexdigest()[:16]


def drop_others(state: Path, names: Iterable[str]) -> None:
    """What was made for destinations that there are no more goes: nobody proves it."""
    drop_folders(state / "images" / "made", [folder_of(state, name).name for name in names])


def without_identity(data: Buffer, header: Header, profile: Profile) -> tuple[bytes, Iterator[bytes]]:
    """The de-identified file: what stands before its data set, and that. CannotDeidentify: it must not leave."""
    said = read_meta(data)
    try:
        without = deidentified(data, said.transfer_syntax_uid, said.data_set_at, profile, subject_of(header))
    except (DataSetMalformed, HeaderUnreadable) as error:
        raise CannotDeidentify(f"not de-identified: {error}") from None
    head = meta(header.sop_class_uid, profile.uid(header.sop_instance_uid), said.transfer_syntax_uid)
    return head, chunks(without.pieces, lambda start, end: bytes(without.data[start:end]))


def profile_of(config: Config, destination: str) -> Profile:
    """The profile of a destination, with its key. ConfigurationError."""
    options = config.images.destinations.get(destination)
    if options is None:
        raise ConfigurationError(unknown("destination of images", destination, config.images.destinations))
    if not options.pseudonym_key:
        raise ConfigurationError(f'[images.destinations.{destination}] has no key: pseudonym_key = "NAME of a secret"')
    return Profile(secrets_of(config)(options.pseudonym_key).encode(), options.deidentify)


def deidentified_file(path: Path, profile: Profile, looked: bool) -> tuple[str, Iterator[bytes]]:
    """A file that somebody has, without its identity: its new SOP Instance UID, and its bytes. ValueError: it cannot be, and why."""
    data = path.read_bytes()
    said = read_meta(data)
    header = read_header(data, said.transfer_syntax_uid, said.data_set_at)
    if why := reason_cannot(header) or ("" if looked else reason_pixels_stay(header)):
        raise CannotDeidentify(why)
    head, content = without_identity(data, header, profile)
    return profile.uid(header.sop_instance_uid), chain((head,), content)
