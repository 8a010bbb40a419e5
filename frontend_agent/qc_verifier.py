"""verify.py: check the quality log of a front-end machine (前置机质控日志校验程序), with nothing but Python 3.8 and this file.

    python3 verify.py log.jsonl --key platform.pub              the log that `frontend-agent qc export` wrote
    python3 verify.py log.jsonl --key platform.pub --acts       and who did what, in which role, for which reason
    python3 verify.py --receipt receipt.json --key platform.pub [document.xml]     one receipt of the platform

What is checked, and how a reader can follow it in this file:

  1  Every line `{"hash":"H","entry":{…}}` is one entry. H(n) = SHA-256( H(n-1) followed by the bytes of the entry ), and
     H(0) is 32 zero bytes. An entry names its own number (`seq`) and the hash before it (`prev`).       -> `chain_fault`
  2  Every line `{"head":…,"evidence":…}` says that the platform countersigned the log up to an entry. The evidence is a
     statement and its Ed25519 signature (RFC 8032) by the platform's key. Whoever rewrites the log, hashes and all, cannot
     make these.                                                                                          -> `countersigned`
  3  A log that does not begin with entry 1 begins behind a countersigned head, and what was dropped was at least 183 days
     old by the platform's own clock.                                                                    -> `wrong_beginning`
  4  A receipt is a leaf of a Merkle tree (RFC 6962) whose root the platform signed.                     -> `check_receipt`

What is younger than the newest head is reported as not yet proven. A last line that was cut while it was written is
reported as incomplete; it is no sign of tampering.

Exit codes: 0 whole · 1 tampered with, or not proven · 2 used wrongly, or not a log.

This file is part of frontend-agent and says the same as `frontend-agent qc verify`; a test holds the two equal. It imports
nothing of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Point = tuple[int, int, int, int]  # X, Y, Z, T

GENESIS = "00" * 32
TERM_DAYS = 183
CONTEXT = b"frontend-agent reply 1\n"  # stands before whatever the platform signs as a reply
ALGORITHM = "ed25519+sha256-rfc6962"
LINE = re.compile(rb'\{"hash":"([0-9a-f]{64})","entry":(.*)\}\n?\Z', re.DOTALL)


# --- Ed25519, RFC 8032, 5.1.7: verifying only -------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def add(a: Point, b: Point) -> Point:
    """Two points in extended coordinates (X, Y, Z, T), RFC 8032, 5.1.4."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(factor: int, point: Point) -> Point:
    total = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            total = add(total, point)
        point = add(point, point)
        factor >>= 1
    return total


def same(a: Point, b: Point) -> bool:
    return not (a[0] * b[2] - b[0] * a[2]) % P and not (a[1] * b[2] - b[1] * a[2]) % P


def point_of(text: bytes) -> Point | None:
    """32 bytes as a point, RFC 8032, 5.1.3; None when they are none."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if x2 == 0:
        return None if sign else (0, y, 1, 0)
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P:
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


@lru_cache(maxsize=4096)
def is_signature(key: bytes, message: bytes, signature: bytes) -> bool:
    if len(key) != 32 or len(signature) != 64:
        return False
    a, r = point_of(key), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or BASE is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    return same(times(s, BASE), add(r, times(h, a)))


# SubjectPublicKeyInfo of an Ed25519 key (RFC 8410): these 12 bytes, then the key.
SPKI = bytes.fromhex("302a300506032b6570032100")


def key_of(text: bytes) -> bytes:
    """The 32 bytes of a public key: PEM, or 64 hexadecimal digits."""
    found = re.search(rb"-----BEGIN PUBLIC KEY-----(.*?)-----END PUBLIC KEY-----", text, re.DOTALL)
    if found:
        raw = base64.b64decode(found.group(1))
        return raw[len(SPKI) :] if raw.startswith(SPKI) and len(raw) == len(SPKI) + 32 else b""
    digits = text.strip()
    return bytes.fromhex(digits.decode()) if re.fullmatch(rb"[0-9a-f]{64}", digits) else b""


# --- what the platform signed -----------------------------------------------------------------------------------------


def raw_value(text: str, name: str) -> str:
    """The value of a member of a JSON object exactly as it stands there: what is signed are bytes, not meanings."""
    found = re.search('[{,]"' + name + '":', text)
    if not found:
        raise ValueError(name)
    _, end = json.JSONDecoder().raw_decode(text, found.end())
    return text[found.end() : end]


def signed_statement(text: bytes, keys: list[bytes]) -> dict[str, Any] | None:
    """The statement in a signed reply, receipt or countersignature, if one of these keys signed it."""
    try:
        whole = text.decode("utf-8")
        statement = raw_value(whole, "statement")
        signature = base64.b64decode(json.loads(whole)["signature"], validate=True)
        told = json.loads(statement)
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
    if not isinstance(told, dict) or told.get("algorithm") != ALGORITHM:
        return None
    if not any(is_signature(key, CONTEXT + statement.encode("utf-8"), signature) for key in keys):
        return None
    return told


class Head:
    """One line that says: countersigned up to here. Its signature is looked at when it matters, and once."""

    def __init__(self, seq: int, digest: str, evidence: bytes, keys: list[bytes]) -> None:
        self.seq = seq
        self.hash = digest
        self._evidence = evidence
        self._keys = keys
        self._statement: Any = ()

    @property
    def statement(self) -> dict[str, Any] | None:
        if self._statement == ():
            told = signed_statement(self._evidence, self._keys)
            head = told.get("log_head") if told else None
            fits = isinstance(head, dict) and (head.get("seq"), head.get("hash")) == (self.seq, self.hash)
            self._statement = told if fits else None
        found: dict[str, Any] | None = self._statement
        return found

    @property
    def is_genuine(self) -> bool:
        return self.statement is not None

    @property
    def signed_at(self) -> datetime | None:
        text = str((self.statement or {}).get("time", ""))
        try:
            return datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            return None


# --- the chain --------------------------------------------------------------------------------------------------------


class NotALog(Exception):
    """The file is not an export of a quality log."""


class Log:
    """An exported log: its title and heads, and its entries line by line, however long it is."""

    def __init__(self, path: str, keys: list[bytes]) -> None:
        self._path = path
        self.incomplete = False
        self.heads: list[Head] = []
        with open(path, "rb") as file:
            self.title = title_of(file.readline())
            for line in file:
                if line.startswith(b'{"head"'):
                    self._take_head(line, keys)
        self.heads.sort(key=lambda head: head.seq)

    def _take_head(self, line: bytes, keys: list[bytes]) -> None:
        try:
            told = json.loads(line.decode("utf-8"))
            head, evidence = told["head"], base64.b64decode(told["evidence"])
            self.heads.append(Head(int(head["seq"]), str(head["hash"]), evidence, keys))
        except (ValueError, KeyError, TypeError, binascii.Error):
            if line.endswith(b"\n"):
                self.heads.append(Head(0, "not a head", b"", keys))  # never genuine
            else:
                self.incomplete = True

    def entries(self) -> Iterator[tuple[str, bytes]]:
        """(hash, entry as it was hashed). A line that is no entry comes as one that cannot be right."""
        with open(self._path, "rb") as file:
            file.readline()
            for line in file:
                if line.startswith(b'{"head"'):
                    continue
                found = LINE.match(line)
                if found and (line.endswith(b"\n") or is_json(found.group(2))):
                    yield found.group(1).decode(), found.group(2)
                elif line.endswith(b"\n"):
                    yield "", b""
                else:  # only the last line of a file can lack its end
                    self.incomplete = True
                    return


def is_json(text: bytes) -> bool:
    try:
        json.loads(text.decode("utf-8"))
    except ValueError:
        return False
    return True


def title_of(line: bytes) -> dict[str, Any]:
    try:
        title = json.loads(line.decode("utf-8"))
    except ValueError:
        title = None
    if not isinstance(title, dict) or title.get("qc_log", 1) != 1 or not isinstance(title.get("first", 1), int):
        raise NotALog("the first line is not the title of a quality log of format 1")
    return title


def entry_hash(previous: str, body: bytes) -> str:
    return hashlib.sha256(bytes.fromhex(previous) + body).hexdigest()


def is_its_hash(previous: str, body: bytes, digest: str) -> bool:
    try:
        return entry_hash(previous, body) == digest
    except ValueError:
        return False


def chain_fault(seq: int, previous: str, digest: str, body: bytes) -> tuple[int, str] | None:
    """The first entry that is wrong, and how; None when this one stands where it should."""
    try:
        place = json.loads(body.decode("utf-8"))
        own, before = place["seq"], place["prev"]
    except (ValueError, KeyError, TypeError):
        return seq, "not an entry"
    if not isinstance(own, int) or not isinstance(before, str):
        return seq, "not an entry"
    consistent = is_its_hash(before, body, digest)
    if own != seq:
        if not consistent:
            return seq, "altered"
        if own == seq - 1 and digest != previous:
            return own, f"two different entries {own}"
        return seq, f"entry {own} stands where {seq} belongs"
    if before != previous:
        # Whole in itself, and it remembers another predecessor: that one was altered together with its hash.
        return (seq - 1, "altered, its hash too") if consistent and seq > 1 else (seq, "altered")
    return None if consistent else (seq, "altered")


def newest_genuine(heads: Iterable[Head]) -> Head | None:
    return next((head for head in sorted(heads, key=lambda head: -head.seq) if head.is_genuine), None)


def wrong_beginning(first: int, previous: str, heads: list[Head]) -> str:
    """Why a log may not begin with this entry; empty when it may."""
    before = [head for head in heads if head.seq == first - 1 and head.is_genuine]
    if not before or {head.hash for head in before} != {previous}:
        return f"entries 1 to {first - 1} are missing, and no countersigned checkpoint stands in their place"
    newest = newest_genuine(heads)
    now, then = newest.signed_at if newest else None, before[0].signed_at
    if now and then and (now - then).days < TERM_DAYS:
        return f"entries 1 to {first - 1} were dropped after {(now - then).days} days, before their term of {TERM_DAYS}"
    return ""


def verify(log: Log) -> dict[str, Any]:
    """Walk the chain once. The verdict: `first_bad` 0 means that nothing was tampered with."""
    first, previous = int(log.title.get("first", 1)), str(log.title.get("prev", GENESIS))
    at: dict[int, list[Head]] = {}
    for head in log.heads:
        at.setdefault(head.seq, []).append(head)
    seq, bad, last_bad, reason = first - 1, 0, 0, ""
    fitting: list[Head] = []  # heads that agree with the chain: the newest genuine one proves all before it
    if first > 1:
        problem = wrong_beginning(first, previous, log.heads)
        if problem:
            bad, last_bad, reason = first, first, problem
    for digest, body in log.entries() if not bad else ():
        seq += 1
        fault = chain_fault(seq, previous, digest, body)
        if fault:
            bad, reason = fault
            last_bad = bad
            break
        previous = digest
        here = at.get(seq, [])
        if any(head.hash != digest and head.is_genuine for head in here):
            bad, last_bad, reason = _proven(fitting, first) + 1, seq, "another chain than the platform countersigned"
            break
        fitting += [head for head in here if head.hash == digest]
    if not bad:
        newest = newest_genuine(head for head in log.heads if head.seq > seq)
        if newest:
            # What stands between the last proven entry and the cut may be rewritten as well: nobody can tell.
            bad, last_bad = _proven(fitting, first) + 1, newest.seq
            reason = f"cut off: entries {seq + 1} to {newest.seq} were countersigned"
    whole = bad - 1 if bad else seq
    proven = max(min(_proven(fitting, first), whole), 0)
    return {
        "ok": not bad, "entries": whole - first + 1, "proven": proven, "not_yet_proven": whole - proven, "first": first,
        "first_bad": bad, "last_bad": last_bad, "reason": reason, "incomplete": log.incomplete,
    }  # fmt: skip


def _proven(fitting: list[Head], first: int) -> int:
    newest = newest_genuine(fitting)
    return newest.seq if newest else first - 1


# --- one receipt ------------------------------------------------------------------------------------------------------


def root_from_path(leaf: bytes, position: int, count: int, path: list[bytes]) -> bytes | None:
    """The root that this leaf leads to at this place among so many; None on a path of another length (RFC 6962, 2.1.1)."""
    sisters = list(path)
    while count > 1:
        if position ^ 1 < count:
            if not sisters:
                return None
            sister = sisters.pop(0)
            leaf = node(sister, leaf) if position % 2 else node(leaf, sister)
        position //= 2
        count = (count + 1) // 2
    return None if sisters else leaf


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def check_receipt(text: bytes, keys: list[bytes]) -> dict[str, Any] | None:
    """What a receipt says (document, version, SHA-256), if the platform signed it; None when it did not."""
    statement = signed_statement(text, keys)
    if statement is None:
        return None
    whole = text.decode("utf-8")
    told = json.loads(whole)
    try:
        leaf = raw_value(whole, "leaf")
        path = [bytes.fromhex(sister) for sister in told["path"]]
        position, count = int(told["position"]), int(statement["leaves"])
    except (ValueError, KeyError, TypeError):
        return None
    hashed = hashlib.sha256(b"\x00" + leaf.encode("utf-8")).digest()
    root = root_from_path(hashed, position, count, path) if 0 <= position < count else None
    if root is None or root.hex() != statement.get("root"):
        return None
    return {**json.loads(leaf), "signed_at": statement.get("time")}


# --- the command ------------------------------------------------------------------------------------------------------


def told(verdict: dict[str, Any]) -> list[str]:
    lines = []
    if verdict["ok"]:
        lines.append(
            "WHOLE 完整: {entries} entries; countersigned up to {proven} 已会签至; not yet proven 尚未证明: {not_yet_proven}".format(
                **verdict
            )
        )
        if not verdict["proven"]:
            lines.append("NOTHING IS PROVEN 未获证明: no head in it was signed with this key 文件中没有此公钥的会签")
        if verdict["first"] > 1:
            lines.append(
                "It begins with entry {first}; what came before was dropped after its term 此前的记录已到期删除".format(
                    **verdict
                )
            )
    else:
        lines.append(
            "TAMPERED WITH 被篡改: first bad entry 首个异常记录 {first_bad} (…{last_bad}): {reason}".format(**verdict)
        )
        lines.append("Proven up to entry 已证明至 {proven}".format(**verdict))
    if verdict["incomplete"]:
        lines.append(
            "INCOMPLETE 不完整: the last line was cut while it was written; no sign of tampering 末行未写完，不属于篡改"
        )
    return lines


def acts(log: Log) -> Iterator[str]:
    """Who did what: every entry that names a person."""
    for _, body in log.entries():
        try:
            one = json.loads(body.decode("utf-8"))
        except ValueError:
            continue
        if isinstance(one, dict) and one.get("who"):
            words = [
                str(one.get(name) or "") for name in ("seq", "at", "event", "act", "who", "role", "account", "reason")
            ]
            yield "\t".join(words) + "\t" + json.dumps(one.get("what", {}), ensure_ascii=False)


def arguments_of(words: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """(files, options)."""
    files: list[str] = []
    options: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        if word in ("--key", "--receipt"):
            options.setdefault(word, []).append(next(rest, ""))
        elif word in ("--json", "--acts"):
            options[word] = []
        elif word.startswith("-"):
            raise ValueError(word)
        else:
            files.append(word)
    return files, options


def main(words: list[str]) -> int:
    try:
        files, options = arguments_of(words)
        keys = [key_of(bytes_of(path)) for path in options.get("--key", [])]
        if not keys or not all(keys) or ("--receipt" not in options and len(files) != 1):
            raise ValueError("--key")
        if "--receipt" in options:
            return receipt(options["--receipt"][0], files, keys)
        log = Log(files[0], keys)
        verdict = verify(log)
    except ValueError:
        print(__doc__.split("What is checked")[0], file=sys.stderr)
        return 2
    except (OSError, NotALog) as error:
        print(f"{error}", file=sys.stderr)
        return 2
    if "--json" in options:
        print(json.dumps(verdict, ensure_ascii=False))
    else:
        print("\n".join(told(verdict)))
    if "--acts" in options:
        for line in acts(log):
            print(line)
    return 0 if verdict["ok"] and (verdict["proven"] or not verdict["entries"]) else 1


def bytes_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def receipt(path: str, files: list[str], keys: list[bytes]) -> int:
    says = check_receipt(bytes_of(path), keys)
    if says is None:
        print("NOT GENUINE 不真实: the platform did not sign this receipt 平台未签发此回执")
        return 1
    print(json.dumps(says, ensure_ascii=False, indent=2))
    for name in files:
        fits = hashlib.sha256(bytes_of(name)).hexdigest() == says.get("sha256")
        print(("THE SAME BYTES 内容一致: " if fits else "OTHER BYTES 内容不一致: ") + name)
        if not fits:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
