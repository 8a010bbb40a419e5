"""The description at /api, made from the same declarations as the routes. Pure."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True)
class Operation:
    """One endpoint. An answer, and a body, is a Struct (described whole) or a word about it.

    `who` may ask (peers.py). `concerns`: whether an agent's certificate must speak for the institution it asks about.
    """

    method: str
    path: str
    endpoint: Callable[[Request], Awaitable[Response]]
    summary: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: type[msgspec.Struct] | str | None = None
    answers: Mapping[int, type[msgspec.Struct] | str] = field(default_factory=dict)
    media_type: str = "application/json"
    told_as: str = ""  # media type of what is not a 2xx and told by a word; empty: the same
    who: Literal["people", "agents", "both", "anyone"] = "people"
    concerns: bool = True
    shows: Literal["patients", "hospitals", "anything"] = "patients"  # to people who log in (people/door.py)


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    types = {kind for one in operations for kind in (one.body, *one.answers.values()) if isinstance(kind, type)}
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(re.sub(r":\w+}", "}", operation.path), {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Regional platform: documents", "version": "1"},
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    in_path = [_parameter("path", name, name, True) for name in re.findall(r"{(\w+)", operation.path)]
    in_query = [_parameter("query", name, text, False) for name, text in operation.query.items()]
    described: dict[str, Any] = {
        "summary": operation.summary,
        "responses": {str(status): _answer(kind, status, operation) for status, kind in operation.answers.items()},
    }
    if operation.who in ("agents", "both"):  # of the door for agents (peers.py)
        for status, word in (("401", "no certificate, or one that is not good now"), ("403", "another hospital's")):
            described["responses"].setdefault(status, {"description": word, "content": {"application/json": {}}})
    if in_path or in_query:
        described["parameters"] = [*in_path, *in_query]
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _content(operation.body)}
    return described


def _parameter(where: str, name: str, text: str, required: bool) -> dict[str, Any]:
    return {"in": where, "name": name, "description": text, "required": required, "schema": {"type": "string"}}


def _content(body: type[msgspec.Struct] | str) -> dict[str, Any]:
    if isinstance(body, str):
        return {body: {"schema": {"type": "string", "format": "binary"}}}
    return {"application/json": {"schema": _reference(body)}}


def _answer(kind: type[msgspec.Struct] | str, status: int, operation: Operation) -> dict[str, Any]:
    if isinstance(kind, str):
        media_type = operation.media_type if status < 300 else operation.told_as or operation.media_type
        return {"description": kind} if status == 204 else {"description": kind, "content": {media_type: {}}}
    return {
        "description": (kind.__doc__ or kind.__name__).strip().splitlines()[0],
        "content": {"application/json": {"schema": _reference(kind)}},
    }


def _reference(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
