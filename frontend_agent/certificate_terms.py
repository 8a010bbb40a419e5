"""The certificates that this agent shows or trusts, by the files that agent.toml names: how long each still holds."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from frontend_agent.alarms.model import CertificateFacts
from frontend_agent.config import Config

OURS = "certificate"  # the first of the file is ours; those after it lead to its root
TRUSTED = ("ca", "client_ca")  # of several that are trusted the one that holds longest counts
IDENTITY = "identity"  # folder of the state directory: what the agent was given when it joined


def certificates_of(config: Config, state: Path) -> Iterator[CertificateFacts]:
    """Each file once, by the first place that names it. A file that is not there, or is none, is told by its problem."""
    seen: set[str] = set()
    for place, file, is_ours in (*_named(config), *_given(state)):
        if file not in seen:
            seen.add(file)
            yield certificate(place, file, is_ours)


def _named(config: Config) -> Iterator[tuple[str, str, bool]]:
    families: tuple[tuple[str, dict[str, Any]], ...] = (
        ("inlets", {**config.inlets}),
        ("destinations", {**config.destinations}),
        ("images.inlets", {**config.images.inlets}),
        ("images.destinations", {**config.images.destinations}),
        ("alarms.mail", {**config.alarms.mail}),
        ("alarms.webhooks", {**config.alarms.webhooks}),
    )
    for family, tables in families:
        for name, table in tables.items():
            keys = {one.name for one in fields(table)}
            for key in (OURS, *TRUSTED):
                file = getattr(table, key, "") if key in keys else ""
                if file:
                    yield f"{family}.{name}" + ("" if key == OURS else f" {key}"), file, key == OURS


def _given(state: Path) -> Iterator[tuple[str, str, bool]]:
    """Of each platform that this machine joined: its own certificate there, and the roots that it trusts."""
    for folder in sorted((state / IDENTITY).glob("*")):
        for file, is_ours in (("own.pem", True), ("ca.pem", False)):
            if (folder / file).is_file():
                yield f"{IDENTITY} {folder.name}" + ("" if is_ours else " ca"), str(folder / file), is_ours


def certificate(name: str, file: str, is_ours: bool) -> CertificateFacts:
    """How long the certificates of a PEM file hold."""
    try:
        found = x509.load_pem_x509_certificates(Path(file).read_bytes())
    except OSError as error:
        return CertificateFacts(name=name, file=file, problem=error.strerror or type(error).__name__)
    except ValueError:
        return CertificateFacts(name=name, file=file, problem="no certificate in PEM")
    begins, ends = _term(found[0]) if is_ours else max((_term(one) for one in found), key=lambda term: term[1])
    return CertificateFacts(name=name, file=file, begins=begins, ends=ends)


def _term(one: x509.Certificate) -> tuple[datetime, datetime]:
    return one.not_valid_before_utc, one.not_valid_after_utc
