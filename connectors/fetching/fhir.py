"""`fhir-poll`: a FHIR R4 server that is searched for what was updated (HL7 FHIR R4, 3.1.1 search, 3.1.0.13 history).

    GET [base]/DiagnosticReport?_lastUpdated=ge…&_sort=_lastUpdated&_count=50&_include=…

A match and what it refers to become one message, a Bundle of its own, so that one message has everything a mapping needs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from connectors.fetching.answers import AnswerRefused, Found, Row, safe_code, written_json
from connectors.fetching.calling import Answer, Caller, Request
from connectors.fetching.credentials import Credentials
from connectors.fetching.rest import judged, same_origin
from connectors.fetching.rounds import Page, Question, RoundOptions, Rounds
from connectors.fetching.templates import ISO, written_time
from frontend_agent.errors import SourceError, SourceRefused
from frontend_agent.reading.errors import Unreadable
from frontend_agent.reading.trees import json_tree

JSON = "application/fhir+json"
FATAL = ("error", "fatal")

Resource = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class FhirOptions:
    """What is searched for."""

    url: str  # the base
    resource: str
    include: Sequence[str] = ()
    revinclude: Sequence[str] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    deletes: bool = False


class FhirAsker:
    """Asks one FHIR server for one type of resource."""

    def __init__(self, options: FhirOptions, rounds: RoundOptions, caller: Caller, credentials: Credentials) -> None:
        self._options, self._limit, self._inlet = options, rounds.limit, rounds.inlet
        self._most_pages, self._zone, self._overlap = rounds.most_pages, rounds.zone, rounds.overlap
        self._caller, self._credentials = caller, credentials
        self._base = options.url.rstrip("/")
        self._rounds = Rounds(rounds, self._ask)

    def pages(self, mark: str, now: datetime) -> Iterator[Page]:
        if self._options.deletes:
            # Before the search: what was deleted and is there again is told after its deletion.
            yield from self._deleted(self._rounds.begins(mark, now) - self._overlap)
        yield from self._rounds.pages(mark, now)

    def first(self, now: datetime) -> str:
        return self._rounds.first(now)

    def probe(self) -> None:
        """Compare with the server's CapabilityStatement, and search once."""
        told = self._capabilities()
        if told:
            raise SourceRefused(f"inlet {self._inlet}: the server's CapabilityStatement says: {'; '.join(told)}")
        for _ in self._rounds.pages("", datetime.now(UTC)):
            return

    def close(self) -> None:
        self._caller.close()

    # -- searching

    def _ask(self, question: Question) -> Found:
        bundle, answer = self._bundle(question.url or self._search(question.values["since"]))
        entries = [one for one in bundle.get("entry", []) if isinstance(one, dict)]
        _outcomes(self._inlet, [one["resource"] for one in entries if _mode(one) == "outcome" and "resource" in one])
        # A server's link to itself says which parameters it has heard (3.1.1.1.2).
        if not question.url:
            self._rounds.ordered = "_sort" in dict(parse_qsl(urlsplit(_link(bundle, "self")).query))
        matches = [one for one in entries if _mode(one) == "match" and _is_resource(one.get("resource"))]
        others = [one for one in entries if _mode(one) != "outcome" and _is_resource(one.get("resource"))]
        rows = [
            _row(one, [other for other in others if other is not one], self._base)
            for one in matches
            if one["resource"].get("resourceType") == self._options.resource
        ]
        onward = _link(bundle, "next")
        return Found(rows, same_origin(onward, answer.url, self._inlet) if onward else "")

    def _search(self, since: str) -> str:
        options = self._options
        query = [
            *options.parameters.items(),
            ("_lastUpdated", f"ge{since}"),
            ("_sort", "_lastUpdated"),
            ("_count", str(self._limit)),
            *(("_include", one) for one in options.include),
            *(("_revinclude", one) for one in options.revinclude),
        ]
        return f"{self._base}/{options.resource}?{urlencode(query)}"

    def _bundle(self, url: str) -> tuple[Resource, Answer]:
        # strict: a parameter that the server does not know is an error, and not left out (3.1.1.6).
        headers = {"Accept": JSON, "Prefer": "handling=strict", **self._options.headers}
        answer = self._caller.ask(self._credentials.shown(Request("GET", url, headers)))
        try:
            content = json_tree(answer.body)
        except Unreadable:
            judged(answer, self._inlet, self._credentials)
            raise SourceError(f"inlet {self._inlet}: the server does not answer with FHIR in JSON") from None
        if isinstance(content, dict) and content.get("resourceType") == "OperationOutcome":
            _outcomes(self._inlet, [content])
        judged(answer, self._inlet, self._credentials)
        if not isinstance(content, dict):
            raise SourceError(f"inlet {self._inlet}: the server does not answer with a resource")
        return content, answer

    # -- what was deleted

    def _deleted(self, since: datetime) -> Iterator[Page]:
        """Entries of the type's history that say DELETE, as messages that void what they name."""
        options = self._options
        query = urlencode({"_since": written_time(since, ISO, self._zone), "_count": str(self._limit)})
        url = f"{self._base}/{options.resource}/_history?{query}"
        for _ in range(self._most_pages):
            bundle, answer = self._bundle(url)
            rows = [row for one in bundle.get("entry", []) if (row := _deletion(one, options.resource)) is not None]
            yield Page(rows, "")
            onward = _link(bundle, "next")
            if not onward:
                return
            url = same_origin(onward, answer.url, self._inlet)

    # -- what the server says of itself

    def _capabilities(self) -> list[str]:
        statement, _ = self._bundle(f"{self._base}/metadata")
        problems = []
        version = str(statement.get("fhirVersion", ""))
        if not version.startswith("4."):
            problems.append(f"FHIR {version[:10] or '?'} and not R4")
        servers = [one for one in statement.get("rest", []) if isinstance(one, dict) and one.get("mode") == "server"]
        types = [kind for one in servers for kind in one.get("resource", []) if isinstance(kind, dict)]
        ours = next((kind for kind in types if kind.get("type") == self._options.resource), None)
        if ours is None:
            return [*problems, f"no {self._options.resource}"]
        can = {str(one.get("code")) for one in ours.get("interaction", []) if isinstance(one, dict)}
        wanted = ["search-type", *(["history-type"] if self._options.deletes else [])]
        problems += [f"no {one} of {self._options.resource}" for one in wanted if can and one not in can]
        for key, asked in (("searchInclude", self._options.include), ("searchRevInclude", self._options.revinclude)):
            offered = ours.get(key)
            if isinstance(offered, list) and offered and "*" not in offered:
                problems += [f"no {one}" for one in asked if ":".join(one.split(":")[:2]) not in offered]
        return problems


# -- pure


def bundled(match: Mapping[str, Any], others: Sequence[Mapping[str, Any]], base: str) -> Resource:
    """A Bundle of the match, and of what belongs to it: what it refers to, or what refers to it, however far."""
    chosen = [match]
    left = list(others)
    names, pointed = _names(match, base), _pointed(match["resource"], base)
    found = True
    while found and left:
        found = False
        for one in list(left):
            # Something that merely points to the same patient does not belong to the match.
            refers = _mode(one) == "include" and bool(_names(match, base) & _pointed(one["resource"], base))
            if refers or _names(one, base) & pointed:
                chosen.append(one)
                left.remove(one)
                names |= _names(one, base)
                pointed |= _pointed(one["resource"], base)
                found = True
    entries = [{key: one[key] for key in ("fullUrl", "resource") if key in one} for one in chosen]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _row(match: Mapping[str, Any], others: Sequence[Mapping[str, Any]], base: str) -> Row:
    resource = match["resource"]
    meta = resource.get("meta") if isinstance(resource.get("meta"), dict) else {}
    version = f"/_history/{meta['versionId']}" if meta.get("versionId") else ""
    body = written_json(bundled(match, others, base)).encode()
    return Row(body, str(meta.get("lastUpdated", "")), f"{resource['resourceType']}/{resource.get('id', '')}{version}")


def _deletion(entry: Any, kind: str) -> Row | None:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict) or request.get("method") != "DELETE":
        return None
    url = str(request.get("url", ""))
    number = url.split("?")[0].rstrip("/").rpartition("/")[2]
    response = entry.get("response") if isinstance(entry.get("response"), dict) else {}
    told: Resource = {
        "resourceType": "Bundle",
        "type": "history",
        "entry": [
            {
                **({"fullUrl": entry["fullUrl"]} if "fullUrl" in entry else {}),
                "resource": {"resourceType": kind, "id": number},
                "request": {"method": "DELETE", "url": f"{kind}/{number}"},
                **({"response": response} if response else {}),
            }
        ],
    }
    return Row(written_json(told).encode(), id=f"{kind}/{number}/deleted") if number else None


def _names(entry: Mapping[str, Any], base: str) -> set[str]:
    """What an entry may be called in a reference."""
    resource = entry["resource"]
    named = {f"{resource['resourceType']}/{resource['id']}"} if resource.get("id") else set()
    return named | ({_named(str(entry["fullUrl"]), base)} if entry.get("fullUrl") else set())


def _pointed(node: Any, base: str) -> set[str]:
    """Everything that a resource refers to."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            reference = one.get("reference")
            if isinstance(reference, str):
                found.add(_named(reference, base))
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


def _named(reference: str, base: str) -> str:
    """`Patient/1` for it, for its address at this server, and for one version of it."""
    return reference.removeprefix(base + "/").partition("/_history/")[0]


def _mode(entry: Mapping[str, Any]) -> str:
    """match, include or outcome; servers that say nothing mean a match (or an outcome by its type)."""
    search = entry.get("search")
    if isinstance(search, dict) and search.get("mode"):
        return str(search["mode"])
    resource = entry.get("resource")
    is_outcome = isinstance(resource, dict) and resource.get("resourceType") == "OperationOutcome"
    return "outcome" if is_outcome else "match"


def _is_resource(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("resourceType"), str)


def _link(bundle: Mapping[str, Any], relation: str) -> str:
    links = bundle.get("link")
    for one in links if isinstance(links, list) else []:
        if isinstance(one, dict) and one.get("relation") == relation:
            return str(one.get("url", ""))
    return ""


def _outcomes(inlet: str, outcomes: Sequence[Any]) -> None:
    """AnswerRefused for an OperationOutcome with an error in it, by the codes of its issues (2.24)."""
    issues = [
        issue for one in outcomes if isinstance(one, dict) for issue in one.get("issue", []) if isinstance(issue, dict)
    ]
    wrong = [issue for issue in issues if issue.get("severity") in FATAL]
    if wrong:
        raise AnswerRefused(f"inlet {inlet}: OperationOutcome{safe_code(str(wrong[0].get('code', '')))}")
