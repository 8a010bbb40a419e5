"""Instances in an object store (S3, or what speaks like it), with the newest and the most read of them on this machine's disk.

    BUCKET/PREFIX KEY/institution            the hospital's name; KEY as in blobs.py
    BUCKET/PREFIX KEY/ab/STUDY/SHA256.dcm    the same names as in a folder

Said in images.toml in the platform's folder:

    [s3]
    bucket = "images"
    prefix = "region/"                     # before every name; none unless said
    endpoint = "https://minio.region:9000" # none: AWS
    region = "cn-north-1"
    access_key = "…"                       # with `secret_key_file`; without both, boto3's own ways (its environment, its files)
    secret_key_file = "s3-secret"          # beside this file
    cache = 53687091200                    # bytes of this machine's disk

An instance is stored when the object store has said so; its file stays here beside, as long as there is room.
"""

import os
import threading
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec

from frontend_agent.errors import ConfigurationError
from frontend_agent.instance_files import Incoming
from frontend_agent.platform.images.blobs import Blobs, FolderBlobs, Found, Placing, key_of

AT_ONCE = 8  # uploads side by side
USUAL_CACHE = 50 << 30
PIECE = 1 << 20


class S3(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the objects are."""

    bucket: Annotated[str, msgspec.Meta(min_length=3)]
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key_file: str = ""
    cache: Annotated[int, msgspec.Meta(ge=0)] = USUAL_CACHE


class Images(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """images.toml."""

    s3: S3


def blobs_of(folder: Path) -> Blobs:
    """Where a platform's instances lie: in its folder, unless its images.toml says otherwise. ConfigurationError names what is wrong."""
    local = FolderBlobs(folder / "images")
    path = folder / "images.toml"
    if not path.exists():
        return local
    try:
        said = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Images).s3
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return S3Blobs(_client(path, said), said.bucket, said.prefix, local, said.cache)


def _client(path: Path, said: S3) -> Any:
    if bool(said.access_key) != bool(said.secret_key_file):
        raise ConfigurationError(f"{path}: s3.access_key and s3.secret_key_file go together")
    try:
        import boto3  # an extra: only who keeps objects needs it
        from botocore.config import Config
    except ImportError as error:
        raise ConfigurationError(f"{path}: [s3] needs the extra s3 (boto3), which is not installed here") from error
    secret = None
    if said.secret_key_file:
        try:
            secret = (path.parent / said.secret_key_file).read_text("utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"{path}: s3.secret_key_file: {error.strerror}") from error
    return boto3.client(
        "s3",
        endpoint_url=said.endpoint or None,
        region_name=said.region or None,
        aws_access_key_id=said.access_key or None,
        aws_secret_access_key=secret,
        config=Config(
            max_pool_connections=2 * AT_ONCE,
            retries={"max_attempts": 5, "mode": "standard"},
            connect_timeout=10,
            read_timeout=60,
            # Checksums that are not asked for are not sent: many stores that are not AWS refuse them.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


class S3Blobs:
    """Objects, and a folder with some of them."""

    def __init__(self, client: Any, bucket: str, prefix: str, local: FolderBlobs, cache: int):
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._local = local
        self._cache = cache
        self._known: set[str] = set()  # hospitals whose name lies in the bucket
        self._uploading = ThreadPoolExecutor(AT_ONCE, "s3")
        self._fetching = threading.Lock()
        self._since_eviction = cache  # bytes that came: at start it is looked how much there is

    def open(self) -> "S3Blobs":
        self._local.open()
        return self

    def begin(self, institution: str) -> Incoming:
        return self._local.begin(institution)

    def drop_incoming(self, institution: str, token: str) -> None:
        self._local.drop_incoming(institution, token)

    def incoming(self, institution: str, token: str) -> Path:
        return self._local.incoming(institution, token)

    def place(self, files: Sequence[Placing]) -> None:
        """To the object store first: only what it has is stored."""
        for institution in {one.institution for one in files} - self._known:
            self._put(f"{key_of(institution)}/institution", institution.encode())
            self._known.add(institution)
        for _ in self._uploading.map(self._upload, files):
            pass
        self._local.place(files)
        self._came(sum(one.written.size for one in files))

    def _put(self, name: str, content: bytes) -> None:
        _told(lambda: self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content))

    def _upload(self, one: Placing) -> None:
        path = self._local.incoming(one.institution, one.written.token)
        key = self._key(one.institution, one.study_instance_uid, one.written.sha256)
        _told(lambda: self._client.upload_file(str(path), self._bucket, key))

    def read(self, institution: str, study_instance_uid: str, digest: str) -> BinaryIO:
        path = self._local.path(institution, study_instance_uid, digest)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            self._fetch(institution, study_instance_uid, digest, path)
            file = path.open("rb")
        stat = os.fstat(file.fileno())
        os.utime(path, (datetime.now(UTC).timestamp(), stat.st_mtime))  # what is read stays longest
        return file

    def _fetch(self, institution: str, study_instance_uid: str, digest: str, path: Path) -> None:
        """The object to its place here. FileNotFoundError: the store has none; OSError: it has, and it is damaged or out of reach."""
        draft = path.with_name(f".{digest}.{threading.get_ident()}")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _told(
                lambda: self._client.download_file(
                    self._bucket, self._key(institution, study_instance_uid, digest), str(draft)
                )
            )
            if _digest(draft) != digest:
                raise OSError(f"the object of {digest} has other bytes")
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        self._came(path.stat().st_size)

    def drop(self, institution: str, study_instance_uid: str, digests: Sequence[str]) -> None:
        for digest in digests:
            self._delete(self._key(institution, study_instance_uid, digest))
        self._local.drop(institution, study_instance_uid, digests)

    def _delete(self, key: str) -> None:
        _told(lambda: self._client.delete_object(Bucket=self._bucket, Key=key))

    def found(self, since: float) -> Iterator[Found]:
        """What came lately lies here beside the objects; only when all are asked for is the bucket listed."""
        if since:
            yield from self._local.found(since)
            return
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        owners: dict[str, str] = {}
        for page in pages:
            for entry in page.get("Contents", ()):
                parts = entry["Key"][len(self._prefix) :].split("/")
                if len(parts) == 4 and parts[3].endswith(".dcm"):
                    owner = owners.get(parts[0]) or owners.setdefault(parts[0], self._owner(parts[0]))
                    yield Found(owner, parts[3][:-4], entry["Size"], entry["LastModified"].timestamp(), parts[2])

    def _owner(self, key: str) -> str:
        answer = _told(lambda: self._client.get_object(Bucket=self._bucket, Key=f"{self._prefix}{key}/institution"))
        return str(answer["Body"].read().decode())

    def open_found(self, found: Found) -> BinaryIO:
        root = self._local.root / key_of(found.institution)
        path = root / found.folder[:2] / found.folder / f"{found.sha256}.dcm"
        if not path.exists():
            key = f"{self._prefix}{key_of(found.institution)}/{found.folder[:2]}/{found.folder}/{found.sha256}.dcm"
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _told(lambda: self._client.download_file(self._bucket, key, str(path)))
            self._came(found.size)
        return path.open("rb")

    def _key(self, institution: str, study_instance_uid: str, digest: str) -> str:
        folder = sha256(study_instance_uid.encode()).hexdigest()[:32]
        return f"{self._prefix}{key_of(institution)}/{folder[:2]}/{folder}/{digest}.dcm"

    # --- room on this disk ---------------------------------------------------------------------------------------------

    def _came(self, size: int) -> None:
        """Now and then, what was not read for longest goes from here; the object store has it."""
        self._since_eviction += size
        if self._since_eviction < self._cache // 20 or not self._fetching.acquire(blocking=False):
            return
        try:
            self._since_eviction = 0
            self._evict()
        finally:
            self._fetching.release()

    def _evict(self) -> None:
        files = sorted(
            (stat.st_atime, stat.st_size, path)
            for path in self._local.root.glob("*/[0-9a-f][0-9a-f]/*/*.dcm")
            if (stat := path.stat())
        )
        over = sum(size for _, size, _ in files) - self._cache * 9 // 10
        for _, size, path in files:
            if over <= 0:
                return
            path.unlink(missing_ok=True)
            over -= size


def _told(ask: Callable[[], Any]) -> Any:
    """Ask the object store; its errors become ours: FileNotFoundError where it has no such object, else OSError."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return ask()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in ("404", "NoSuchKey", "NotFound"):
            raise FileNotFoundError("the object store has no such object") from error
        raise OSError(f"the object store refused: {code}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise OSError(f"the object store cannot be used: {type(error).__name__}") from error


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
