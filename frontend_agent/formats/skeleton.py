"""The mapping of a kind, written as far as the declaration alone can write it: a person fills in tables and columns."""

from collections.abc import Sequence

from frontend_agent.formats.enclosed import DATA, MEDIA_TYPE, SHA256
from frontend_agent.formats.enclosed import KIND as ENCLOSED
from frontend_agent.formats.kind import Field, Kind
from frontend_agent.formats.value_sets import value_set

# What a mapping says beside the document's own values: for rules and for what applies to this patient.
FACTS = (
    ("fact.id_type", "身份证件类别 CV02.01.101"),
    ("fact.patient_class", "outpatient | emergency | inpatient"),
    ("fact.newborn", "true | false"),
    ("fact.foreigner", "true | false"),
    ("fact.identity_unknown", "true | false"),
    ("fact.tcm", "true | false: 中医"),
)
_COLUMN = "/* column */"
FEED_FIELDS = ("institution.id", "institution.name")  # said by the feed, never by a query
_CHANGED = """\
-- What changed, and when: the newest of the parent and of its details.
SELECT /* column */ AS "cursor", /* column */ AS "key" FROM parent_table
UNION ALL
SELECT /* column */, /* column */ FROM detail_table
"""


# What is read out of the column that holds a scan; nobody selects it.
OUT_OF_THE_SCAN = {DATA: "data", MEDIA_TYPE: "media_type", SHA256: "sha256"}
SCAN = "scan"


def skeleton(kind: Kind) -> str:
    """TOML and SQL of a mapping for a kind, each file under a line with its name."""
    return "\n".join(f"# ==== {file}\n{text}" for file, text in skeleton_files(kind).items())


def skeleton_files(kind: Kind) -> dict[str, str]:
    """The files of a mapping for a kind, by name. They can be loaded as they are; what they lack is tables and columns."""
    name = kind.short_name
    files = {
        f"{name}.toml": _toml(kind, name),
        f"{name}.changed.sql": _CHANGED,
        f"{name}.sql": _query(kind, [f for f in kind.fields if not f.group], parent=True),
    }
    files |= {f"{name}.{g.name}.sql": _query(kind, list(g.fields), parent=False) for g in kind.groups.values()}
    return files


def _toml(kind: Kind, name: str) -> str:
    coded = [f for f in kind.fields if f.value_set and value_set(f.value_set).complete]
    lines = [
        f"# {kind.code} {kind.name_zh} ({kind.standard})",
        f'kind = "{kind.code}"',
        f'key  = "{kind.key}"',
        "",
        "[queries]",
        f'changed = "{name}.changed.sql"',
        f'parent  = "{name}.sql"',
        "",
        "[queries.details]",
        *(f'{group} = "{name}.{group}.sql"' for group in kind.groups),
        "",
        "[codes]    # field = the code table beside the mapping, codes/<table>.toml: local code = standard code;",
        "           # take the # away where your codes differ from the standard's and the table exists",
        *(f'# "{f.name}" = "{f.key.rpartition(".")[2]}"    # {_domain(f)}' for f in coded),
    ]
    if kind.code == ENCLOSED:
        paths = ", ".join(f'"{field}" = "{path}"' for field, path in OUT_OF_THE_SCAN.items())
        lines += [
            "",
            "[read]    # the column with the bytes; where it holds a path: file | enclosed, and files = … at the source",
            f'"{SCAN}" = {{ reader = "enclosed", fields = {{ {paths} }} }}',
        ]
    return "\n".join(lines) + "\n"


def _query(kind: Kind, fields: Sequence[Field], parent: bool) -> str:
    key = kind.field(kind.key)
    rows = [(kind.key, f"{key.name_zh}: the business key", True)]
    if not parent:
        rows.append(("line", "a stable order of the rows; leave it out if there is none", False))
    rows += [
        (f.key, _about(f), _needed(f))
        for f in fields
        if f.name not in (kind.key, *FEED_FIELDS) and not (kind.code == ENCLOSED and f.name in OUT_OF_THE_SCAN)
    ]
    if kind.code == ENCLOSED:
        rows.append((SCAN, "the bytes of the scan or report (see [read] in the TOML)", True))
    if parent:
        rows += [(name, about, False) for name, about in FACTS]
        rows += [
            ("final", "1 when the record is final, else 0", True),
            ("void", "1 when it was withdrawn, else 0", False),
        ]
    width = max(len(alias) for alias, _, _ in rows) + 3
    lines = ["SELECT"]
    for number, (alias, about, needed) in enumerate(rows, 1):
        comma = "," if number < len(rows) else ""
        quoted = f'"{alias}"{comma}'
        lines.append(f"    {_COLUMN} AS {quoted:<{width}} -- {'' if needed else '(optional) '}{about}")
    return "\n".join([*lines, f"FROM {'parent_table' if parent else 'detail_table'}", ""])


def _needed(field: Field) -> bool:
    return field.required in ("always", "inside")


def _about(field: Field) -> str:
    length = f"≤{field.max_length}" if field.max_length else ""
    parts = [field.de, field.name_zh, field.format, length, field.cardinality, field.unit, _domain(field)]
    return " ".join(part for part in parts if part)


def _domain(field: Field) -> str:
    if not field.value_set:
        return ""
    table = value_set(field.value_set)
    return f"[{table.id or table.oid} {table.name_zh}]"
