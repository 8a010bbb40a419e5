"""What the national tables warn of, looked for in a site's code maps. Pure: a map and its value set in, findings out.

HOLD refuses the map at start, WARN is told. A person who has looked answers in the map itself: `decided` for a choice that
the sources leave to the site, `[accepted]` for a doubt that is none there.
"""

from collections.abc import Callable, Iterator

from frontend_agent.checks.masking import mask_local_code
from frontend_agent.codes import CodeTable
from frontend_agent.formats.value_sets import ValueSet
from frontend_agent.model import Blame, Finding, Severity
from frontend_agent.terms.names import ETHNIC, ID_TYPE, MARITAL, RH, also_called, plain

HOLD, WARN = Severity.HOLD, Severity.WARN
Doubts = Iterator[tuple[str, Severity, str, tuple[str, ...]]]  # rule, severity, local code, arguments

_RESIDENCE = ("居住证", "永久居留", "居留证")


def doubts(table: CodeTable, known: ValueSet, day: str = "") -> list[Finding]:
    """Everything doubtful about a map, the gravest first. `day` (yyyyMMdd) is when its targets must be in force."""
    found = [
        Finding(rule, severity, Blame.MAPPING, table.id, "", "", mask_local_code(code), arguments)
        for look in _LOOKS
        for rule, severity, code, arguments in look(table, known, day)
        if not _accepted(table, rule, code)
    ]
    return sorted(found, key=lambda finding: (finding.severity is not HOLD, finding.rule))


def _accepted(table: CodeTable, rule: str, code: str) -> bool:
    """Somebody has looked: in the file, or when it was approved on this machine (the same doubts were shown then)."""
    return rule in table.accepted or f"{rule} {code}" in table.accepted or code in table.approved


def local_name(table: CodeTable, code: str) -> str:
    """What a local code is called: by the map's [names], or because the code is a word itself."""
    named = table.names.get(code)
    return named or ("" if code.isdecimal() else code)


def _not_in_the_set(table: CodeTable, known: ValueSet, day: str) -> Doubts:
    if known.complete:
        for code, target in table.codes.items():
            if target not in known:
                yield "TERM-FOREIGN", HOLD, code, (target, known.name_zh or known.oid)


def _not_in_force(table: CodeTable, known: ValueSet, day: str) -> Doubts:
    for code, target in table.codes.items():
        entry = known.entries.get(target)
        if entry is not None and day and not entry.in_force(day):
            yield "TERM-ENDED", WARN, code, (target, entry.valid_to, entry.replaced_by or "–")


def _names_contradict(table: CodeTable, known: ValueSet, day: str) -> Doubts:
    """The local name is, letter for letter, that of another code (or a usual name of it)."""
    if not known:
        return
    by_name: dict[str, set[str]] = {}
    for entry in known:
        by_name.setdefault(plain(entry.name), set()).add(entry.code)
    for code, target in table.codes.items():
        name = local_name(table, code)
        usual = also_called(known.oid, name)
        meant = by_name.get(plain(name), set()) | ({usual} if usual else set())
        if name and meant and target not in meant:
            rule = "TERM-RH" if known.oid == RH else "TERM-NAME"
            other = sorted(meant)[0]
            yield rule, HOLD, code, (name, target, known.name(target), other, known.name(other))


def _rh_without_names(table: CodeTable, known: ValueSet, day: str) -> Doubts:
    """National: 1 is negative. Many systems have 1 for positive; a bare 1 = 1 says nothing of which it is."""
    if known.oid == RH:
        for code, target in table.codes.items():
            if code.isdecimal() and code not in table.names and target in ("1", "2"):
                yield "TERM-RH-UNNAMED", WARN, code, (target, known.name(target))


def _conflicting_sources(table: CodeTable, known: ValueSet, day: str) -> Doubts:
    """The sources contradict each other (admission route 1 and 2): the site has to decide, and to write it down."""
    for code, target in table.codes.items():
        entry = known.entries.get(target)
        undecided = "*" not in table.decided and code not in table.decided
        if entry is not None and entry.confidence == "conflict" and undecided:
            yield "TERM-CONFLICT", WARN, code, (target, entry.name, known.name_zh)


def _identity_documents(table: CodeTable, known: ValueSet, day: str) -> Doubts:
    """A residence permit is none of the documents of the table of 2011, whatever number it carries."""
    if known.oid == ID_TYPE:
        for code, target in table.codes.items():
            name = local_name(table, code)
            if target != "99" and any(word in name for word in _RESIDENCE):
                yield "TERM-ID-TYPE", WARN, code, (name, target, known.name(target))


def _marital_variants(table: CodeTable, known: ValueSet, day: str) -> Doubts:
    """One-digit tables differ from system to system: 3 and 4 are widowed and divorced here, the other way round there."""
    if known.oid == MARITAL:
        for code, target in table.codes.items():
            if len(code) == 1 and code.isdecimal() and code not in table.names and target != "90":
                yield "TERM-MARITAL", WARN, code, (target, known.name(target))


def _ethnic_extensions(table: CodeTable, known: ValueSet, day: str) -> Doubts:
    """97 to 99 (other, foreign blood, not identified) are local; none of them is one of the 56. 2 is no 01 either."""
    if known.oid == ETHNIC:
        for code, target in table.codes.items():
            if not code.isdecimal() or target not in known:
                continue
            if plain(table.names.get(code, "")) == plain(known.name(target)):
                continue
            if int(code) > len(known):
                yield "TERM-ETHNIC", HOLD, code, (target, known.name(target))
            elif target.isdecimal() and int(code) != int(target):
                yield "TERM-ETHNIC-ORDER", WARN, code, (target, known.name(target))


_LOOKS: tuple[Callable[[CodeTable, ValueSet, str], Doubts], ...] = (
    _not_in_the_set, _names_contradict, _rh_without_names, _conflicting_sources, _identity_documents, _marital_variants,
    _ethnic_extensions, _not_in_force,
)  # fmt: skip
