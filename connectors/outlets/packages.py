"""Packages of data sets to a platform that takes them (dialect C, exchange.md §5): zipped, encrypted, sent, asked about.

What its answers mean, as the code of the one public platform of this kind shows it:

    200 `true`             accepted; what becomes of the package is told later
    403                    the institution has no key there, or the password was made with another one: NotAllowed
    401 404 405 3xx        NotAllowed: address or token
    408 429 503            retry
    502 504, cut, other    unanswered: it may be there, and sending it again replaces it
    400 413 500            RefusedWhole: halve it

Later, by the digest of the zip (`md5_value`): archive_status 0 waiting, 1 working, 2 failed, 3 done. It tries a package up to
three times by itself; until then a failure is no answer. A zip is another each time, for its password is; so the digest of
what was sent last is remembered before it is sent.
"""

import base64
import binascii
import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import urllib3
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from connectors.outlets import LONGEST_ASKING, Around, DocumentUnreadable, Feedback, OpenedDocument, all_of
from connectors.outlets.http import Answer, HttpEdge, Tls, Unanswered
from connectors.outlets.zips import with_aes, with_zipcrypto
from frontend_agent.config_outlets import PackagesOutlet
from frontend_agent.delivery import SignedReply
from frontend_agent.errors import ConfigurationError, DestinationError, DestinationUnreachable, NotAllowed, RefusedWhole
from frontend_agent.model import Document, Outcome, Receipt

DONE, FAILED = 3, 2
TRIES = 3  # of the platform itself
LONGEST_REASON = 300
PASSWORD_BYTES = 24
_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


class Visit(Protocol):
    """Whose package it is."""

    @property
    def org_code(self) -> str: ...


class Package(Protocol):
    """One package before it is zipped."""

    @property
    def id(self) -> str: ...
    @property
    def pack_type(self) -> int: ...
    @property
    def visit(self) -> Visit: ...
    @property
    def files(self) -> Mapping[str, bytes]: ...
    @property
    def documents(self) -> tuple[str, ...]: ...


class Packer(Protocol):
    """Makes packages of documents; what cannot be in any is refused."""

    def packages(self, documents: Sequence[OpenedDocument], /) -> tuple[Sequence[Package], Sequence[Receipt]]: ...


class PackagesEdge:
    """One platform that takes packages. One exchange at a time."""

    at_once = 0

    def __init__(self, name: str, options: PackagesOutlet, around: Around, packer: Packer) -> None:
        self.name = name
        self._options = options
        self._around = around
        self._packer = packer
        self._url = options.url.rstrip("/")
        self._http = HttpEdge(name, Tls(options.certificate, options.key, options.ca), options.timeout)
        self._keys: dict[str, rsa.RSAPublicKey] = {}
        self.not_asked: frozenset[str] = frozenset()
        self._ended: dict[
            str, tuple[str, ...]
        ] = {}  # told by -> the documents whose package need not be asked for again

    # --- sending

    def send(self, documents: Sequence[Document], /) -> Sequence[Receipt]:
        """A package for each visit."""
        receipts: list[Receipt] = []
        readable: list[OpenedDocument] = []
        for document in documents:
            try:
                readable.append(self._around.opened(document))
            except DocumentUnreadable as error:
                receipts += all_of([document], Outcome.REFUSED, str(error))
        packages, refused = self._packer.packages(readable)
        receipts += refused
        answered = False
        for at, package in enumerate(packages):
            try:
                receipts += self._deliver(package)
                answered = True
            except DestinationError as error:
                if not answered and not receipts:
                    raise
                # Others were answered already, and that must not be lost. These will be tried first next time.
                left = [one for later in packages[at:] for one in later.documents]
                return [*receipts, *_all(left, Outcome.UNREACHABLE, str(error))]
        return receipts

    def take_replies(self) -> Sequence[SignedReply]:
        """It signs nothing."""
        return []

    def _deliver(self, package: Package) -> list[Receipt]:
        try:
            answer = self._upload(package)
        except Unanswered as error:
            return _all(package.documents, Outcome.UNANSWERED, str(error))
        said = f"the platform answered {answer.status}"
        if answer.status in (408, 429, 503):
            return _all(package.documents, Outcome.RETRY, said)
        if answer.status in (502, 504):
            return _all(package.documents, Outcome.UNANSWERED, said)
        if answer.status != 200:
            raise self._refusal(answer, package.visit.org_code)
        if answer.body.strip() == b"true":
            return _all(package.documents, Outcome.ACCEPTED)
        return _all(package.documents, Outcome.UNANSWERED, f"{said} and something else than `true`")

    def _upload(self, package: Package) -> Answer:
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        zipped = (with_aes if self._options.encryption == "aes" else with_zipcrypto)(package.files, password)
        # RSA with PKCS#1 v1.5 is what the platform's Java means by plain `RSA`.
        wrapped = self._key(package.visit.org_code).encrypt(password.encode(), padding.PKCS1v15())
        md5 = hashlib.md5(zipped, usedforsecurity=False).hexdigest()
        fields: dict[str, Any] = {
            "org_code": package.visit.org_code,
            "package_crypto": base64.b64encode(wrapped).decode(),
            "md5": md5,
            "packType": str(package.pack_type),
            "pack": (f"{package.id}.zip", zipped, "application/zip"),
        }
        if self._options.token_field:
            fields[self._options.token_field] = self._around.secret(self._options.secret)
        body, content_type = urllib3.encode_multipart_formdata(fields)
        for document_id in package.documents:
            self._around.memory.put(self._place(document_id), f"{package.visit.org_code} {md5}")
        return self._http.ask(
            "POST", self._url + self._options.upload_path, body, {"Content-Type": content_type, **self._headers()}
        )

    def _refusal(self, answer: Answer, org_code: str) -> DestinationError:
        said = f"{self.name}: the platform answered {answer.status}"
        if answer.status == 403:
            self._keys.pop(org_code, None)
            return NotAllowed(
                f"{said}: institution {org_code} has no key there, or the password was made with another one. Have the "
                "platform's operator make its key (and, if public_key is set here, replace that file)"
            )
        if answer.status in (401, 404, 405, 407, 415) or 300 <= answer.status < 400:
            return NotAllowed(f"{said}: look at url, upload_path and the token")
        return RefusedWhole(said)

    # --- keys

    def _key(self, org_code: str) -> rsa.RSAPublicKey:
        if org_code not in self._keys:
            path = self._options.public_key
            self._keys[org_code] = self._pinned(path) if path else self._asked_key(org_code)
        return self._keys[org_code]

    def _pinned(self, path: str) -> rsa.RSAPublicKey:
        try:
            return public_key(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"destinations.{self.name}: public_key {path}: {error}") from error

    def _asked_key(self, org_code: str) -> rsa.RSAPublicKey:
        url = self._url + self._options.key_path.format(org=quote(org_code, safe=""))
        answer = self._question(url, f"the key of institution {org_code}")
        try:
            return public_key(answer.body)
        except ValueError as error:
            raise NotAllowed(
                f"{self.name}: what {self._options.key_path} answers for {org_code} is no public key: {error}. Has the "
                "institution a key there?"
            ) from error

    def _question(self, url: str, what: str) -> Answer:
        try:
            answer = self._http.ask("GET", url, headers=self._headers())
        except Unanswered as error:
            raise DestinationUnreachable(f"{self.name}: {what}: {error}") from error
        if answer.status == 200:
            return answer
        said = f"{self.name}: asked for {what}, the platform answered {answer.status}"
        raise DestinationUnreachable(said) if answer.status >= 500 or answer.status in (408, 429) else NotAllowed(said)

    def _headers(self) -> dict[str, str]:
        if not self._options.authorization:
            return {}
        return {
            "Authorization": self._options.authorization.replace("{secret}", self._around.secret(self._options.secret))
        }

    # --- asking what became of them

    @property
    def asks_every(self) -> timedelta | None:
        return self._options.ask_every if self._options.status_path else None

    @property
    def asks_first(self) -> timedelta:
        return self._options.ask_first

    @property
    def asks_until(self) -> timedelta:
        return self._options.ask_until

    def ask(self, documents: Sequence[Document], /) -> Sequence[Feedback]:
        """What became of their packages. Silence about those that wait, are worked on, or are not known."""
        sent: dict[str, list[str]] = {}
        for document in documents:
            if package := self._around.memory.get(self._place(document.document_id)):
                sent.setdefault(package, []).append(document.document_id)
        found: list[Feedback] = []
        self.not_asked = frozenset()
        ends = time.monotonic() + LONGEST_ASKING
        packages = list(sent.items())
        for at, (package, ids) in enumerate(packages):
            if time.monotonic() > ends:
                self.not_asked = frozenset(one for _, some in packages[at:] for one in some)
                break
            found += self._became(package, ids)
        return found

    def heard(self, told_by: str, /) -> None:
        """What became of a package is kept now: it need not be asked for again."""
        for document_id in self._ended.pop(told_by, ()):
            self._around.memory.drop(self._place(document_id))

    def _became(self, package: str, document_ids: Sequence[str]) -> Iterator[Feedback]:
        org_code, _, md5 = package.rpartition(" ")
        wanted = self._options.status_filter.format(md5=md5, org=org_code)
        query = urlencode({"filters": wanted, "page": 1, "size": 15})
        answer = self._question(f"{self._url}{self._options.status_path}?{query}", "a package")
        row = _newest([row for row in _rows(answer.body) if str(row.get("md5_value", "")).lower() == md5])
        if row is None:
            return
        stored, checked = _number(row, "archive_status"), _number(row, "analyze_status")
        told_by = f"{self._options.status_path} {md5}"
        if stored == DONE and (checked == DONE or not self._options.quality):
            self._ended[told_by] = tuple(document_ids)
            yield from (Feedback(one, True, told_by=told_by) for one in document_ids)
        elif FAILED in (stored, checked if self._options.quality else None) and _gave_up(row, stored):
            self._ended[told_by] = tuple(document_ids)
            reason = _line(str(row.get("message") or "the platform gives no reason"))
            again = any(part in reason for part in self._options.ask_again)
            yield from (Feedback(one, False, (reason,), again, told_by) for one in document_ids)

    def _place(self, document_id: str) -> str:
        return f"{self.name}:package:{document_id}"

    def probe(self) -> None:
        """Is it there, may we in, and has our institution a key? Sends nothing."""
        self._keys.clear()
        self._key(self._options.org_code or self._around.institution)
        if self._options.public_key:
            self._http.probe(self._url)


def public_key(said: bytes) -> rsa.RSAPublicKey:
    """An RSA key as PEM, DER, or DER in base64, bare or in quotes. ValueError for anything else."""
    try:
        key: Any
        if said.lstrip().startswith(b"-----BEGIN"):
            key = load_pem_public_key(said)
        elif said[:1] == b"\x30":
            key = load_der_public_key(said)
        else:
            key = load_der_public_key(
                base64.b64decode(b"".join(said.strip().strip(b'"').replace(b"\\n", b"").split()), validate=True)
            )
    except (binascii.Error, UnsupportedAlgorithm, TypeError) as error:
        raise ValueError("neither PEM nor DER nor base64 of it") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def _rows(body: bytes) -> list[dict[str, Any]]:
    """The packages in an answer: a list, or an envelope around one."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DestinationUnreachable("the answer about a package cannot be read") from error
    if isinstance(said, dict):
        said = next((said[key] for key in ("detailModelList", "content", "data", "obj") if said.get(key)), [])
    return [row for row in said if isinstance(row, dict)] if isinstance(said, list) else []


def _line(text: str) -> str:
    """What somebody else wrote, as one short line."""
    return _CONTROL.sub(" ", text).strip()[:LONGEST_REASON]


def _newest(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    return max(rows, key=lambda row: str(row.get("receive_date", "")), default=None)


def _number(row: Mapping[str, Any], key: str) -> int | None:
    try:
        return int(row[key])
    except (KeyError, TypeError, ValueError):
        return None


def _gave_up(row: Mapping[str, Any], stored: int | None) -> bool:
    """Whether the platform tries no more by itself."""
    count = _number(row, "fail_count" if stored == FAILED else "analyze_fail_count")
    return count is None or count >= TRIES


def _all(document_ids: Sequence[str], outcome: Outcome, *reasons: str) -> list[Receipt]:
    return [Receipt(one, outcome, reasons=reasons) for one in document_ids]
