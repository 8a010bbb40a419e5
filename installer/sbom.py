"""What a program is made of, as CycloneDX 1.6 (ECMA-424): every package of Debian and every wheel, with version, hash and licence."""

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Any

from installer.inputs import NotMade, digest_of, run
from installer.wheels import metadata, normal

Made = dict[
    str, Any
]  # one part: kind, name, version, file, sha256, licence; of a package of Debian also its files and source

# What the packages of Debian that we take files of are under (SPDX), from their copyright files; what is not in this table is not
# shipped. Of those with a choice the LGPL or the permissive licence is taken; nothing here is under the GPL without one.
LICENCES = {
    "libbz2-1.0": "bzip2-1.0.6",
    "libc6": "LGPL-2.1-or-later",
    "libcom-err2": "MIT",
    "libcrypt1": "LGPL-2.1-or-later",
    "libexpat1": "MIT",
    "libffi8": "MIT",
    "libgcc-s1": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libgmp10": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libgnutls30": "LGPL-2.1-or-later",
    "libgssapi-krb5-2": "MIT",
    "libhogweed6": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libidn2-0": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libk5crypto3": "MIT",
    "libkeyutils1": "LGPL-2.1-or-later",
    "libkrb5-3": "MIT",
    "libkrb5support0": "MIT",
    "libldap-2.5-0": "OLDAP-2.8",
    "libltdl7": "LGPL-2.1-or-later",
    "liblzma5": "0BSD",
    "libmariadb3": "LGPL-2.1-or-later",
    "libnettle8": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libodbc2": "LGPL-2.1-or-later",
    "libodbcinst2": "LGPL-2.1-or-later",
    "libp11-kit0": "BSD-3-Clause",
    "libpq5": "PostgreSQL",
    "libpython3.11-minimal": "PSF-2.0",
    "libpython3.11-stdlib": "PSF-2.0",
    "libsasl2-2": "BSD-4-Clause-UC",
    "libsqlite3-0": "blessing",
    "libsqliteodbc": "BSD-3-Clause",
    "libssl3": "Apache-2.0",
    "libstdc++6": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libtasn1-6": "LGPL-2.1-or-later",
    "libunistring2": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libuuid1": "BSD-3-Clause",
    "odbc-mariadb": "LGPL-2.1-or-later",
    "odbc-postgresql": "LGPL-2.0-or-later",
    "python3.11-minimal": "PSF-2.0",
    "tdsodbc": "LGPL-2.0-or-later",
    "zlib1g": "Zlib",
}
# Wheels whose metadata name their licence in words of their own.
_WHEELS = {"python-gdcm": "BSD-3-Clause", "pylibjpeg": "MIT", "pylibjpeg-rle": "MIT", "pylibjpeg-openjpeg": "MIT"}
_GPL = re.compile(r"(?<![A-Za-z])GPL|(?<!Lesser )General Public License")


def of_debs(debs: Iterable[Path], taken: Mapping[str, list[str]]) -> list[Made]:
    """The packages of Debian that something was taken of."""
    parts = []
    for deb in debs:
        name = deb.name.partition("_")[0]
        if name not in taken:
            continue
        if name not in LICENCES:
            raise NotMade(
                f"Debian's package {name} is needed now: read its copyright file, and enter it in installer/sbom.py"
            )
        fields = run(
            ["dpkg-deb", "--show", "--showformat", "${Version} ${Architecture} ${source:Package}", str(deb)]
        ).split()
        part = {"kind": "deb", "name": name, "version": fields[0], "architecture": fields[1], "source": fields[2]}
        parts.append(part | _file(deb) | {"licence": LICENCES[name], "files": sorted(taken[name])})
    return parts


def of_wheels(required: Iterable[Path]) -> list[Made]:
    parts = []
    for wheel in required:
        told = metadata(wheel)
        name = normal(told["Name"])
        licence = _licence(told) or _WHEELS.get(name, "")
        if not licence or asks_for_gpl(licence):
            raise NotMade(f"{wheel.name}: its licence is {licence or 'not told'}; what is under the GPL is not shipped")
        parts.append({"kind": "wheel", "name": name, "version": told["Version"], "licence": licence} | _file(wheel))
    return parts


def asks_for_gpl(licence: str) -> bool:
    """Whether one part of it leaves no choice but the GPL without an exception."""

    def is_gpl(choice: str) -> bool:
        return bool(_GPL.search(choice)) and " WITH " not in choice

    return any(all(is_gpl(choice) for choice in part.split(" OR ")) for part in licence.strip("()").split(" AND "))


def _licence(told: Message) -> str:
    """SPDX where a project says so, else its own words."""
    if expression := told["License-Expression"]:
        return str(expression)
    classified = [
        line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or [] if line.startswith("License ::")
    ]
    named = [one for one in classified if one != "OSI Approved"]
    first = str(told["License"] or "").strip().partition("\n")[0]
    return " AND ".join(sorted(named)) or (first if len(first) < 80 else "")


def _file(path: Path) -> Made:
    return {"file": path.name, "sha256": digest_of(path)}


def document(made_of: Mapping[str, list[Made]], version: str, epoch: int) -> bytes:
    """The CycloneDX document in JSON. Its serial number follows from its content: same inputs, same bytes."""
    parts = [
        _component(part)
        for part in sorted((*made_of["debs"], *made_of["wheels"]), key=lambda one: (one["kind"], one["name"]))
    ]
    reference = f"frontend-agent@{version}"
    seed = json.dumps([reference, parts], sort_keys=True)
    told = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, seed)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application", "bom-ref": reference, "name": "frontend-agent", "version": version,
                "licenses": [{"expression": "Apache-2.0"}],
            },
        },
        "components": parts,
        "dependencies": [{"ref": reference, "dependsOn": [part["bom-ref"] for part in parts]}],
    }  # fmt: skip
    return json.dumps(told, indent=1, ensure_ascii=False).encode() + b"\n"


def _component(part: Made) -> Made:
    if part["kind"] == "deb":
        version = part["version"].replace(":", "%3A").replace("+", "%2B").replace("~", "~")
        reference = (
            f"pkg:deb/debian/{part['name'].replace('+', '%2B')}@{version}?arch={part['architecture']}&distro=bookworm"
        )
    else:
        reference = f"pkg:pypi/{part['name']}@{part['version']}"
    component = {
        "type": "library", "bom-ref": reference, "name": part["name"], "version": part["version"], "purl": reference,
        "hashes": [{"alg": "SHA-256", "content": part["sha256"]}],
        "licenses": _licences(part["licence"]),
        "properties": [{"name": "frontend-agent:file", "value": part["file"]}],
    }  # fmt: skip
    if part["kind"] == "deb":
        component["properties"] += [{"name": "frontend-agent:source", "value": part["source"]}]
    return component


def _licences(told: str) -> list[Made]:
    """An SPDX expression as one, words as a name."""
    if re.fullmatch(r"[A-Za-z0-9.+-]+(( OR | AND | WITH )\(?[A-Za-z0-9.+-]+\)?)*", told) and re.search(
        r"\d|MIT|blessing|PostgreSQL|Zlib|ISC", told
    ):
        return [{"expression": told}]
    return [{"license": {"name": told}}]
