"""Region profiles: reading them, their mistakes, and the promise that what is not held can be rendered."""

import random
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontend_agent.checks import all_rules, compile_checks
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.library import kind_codes, load_kind, load_kinds
from frontend_agent.model import Envelope, Record, Severity
from frontend_agent.profiles import Profile, load_profile, parse_profile, profile_names
from tests.unit.records import clean
from tests.unit.test_kinds_roundtrip import full_record

TODAY = date(2026, 10, 1)
ENVELOPE = Envelope("C0007-x-1", "C0007-x", 1, "20261001080000")
KINDS = ("C0002", "C0004", "C0007")


def profile(text: str, name: str = "site") -> Profile:
    return parse_profile(name, text, f"/etc/{name}.toml")


def test_both_shipped_profiles_speak_of_every_kind():
    assert profile_names() == ["national", "regional"]
    for name in profile_names():
        for kind in load_kinds().values():
            resolved = load_profile(name).for_kind(kind)
            assert {f.name for f in kind.fields} | set(kind.groups) == set(resolved.elements)


def test_a_site_says_only_where_it_differs():
    site = profile(
        'extends = "regional"\n[severity]\n"DE-LENGTH" = "warn"\n[C0007]\n"specimen_number" = { missing = "note" }'
    )
    regional, kind = load_profile("regional"), load_kind("C0007")

    assert site.severity_of("DE-LENGTH") is Severity.WARN
    assert site.for_kind(kind).elements["specimen_number"].missing is Severity.NOTE
    assert site.for_kind(kind).elements["items.unit"] == regional.for_kind(kind).elements["items.unit"]
    assert len({site.digest, regional.digest, load_profile("national").digest}) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[severty]\n', "unknown key 'severty' (did you mean 'severity'?)"),
        ('[severity]\n"ID-CHEK-DIGIT" = "warn"', "no rule 'ID-CHEK-DIGIT' (did you mean 'ID-CHECK-DIGIT'?)"),
        ('[severity]\n"ID-SEX" = "fatal"', "must be hold, warn, note"),
        ('[severity]\n"TEXT-CONTROL" = "warn"', "no document can be made of such a text"),
        ('from_memory = "warn"\n[severity]\n"ID-JUNK" = "hold"', "the rule is from memory"),
        ('[C0007]\n"items.unit" = { mising = "warn" }', "unknown key 'mising' (did you mean 'missing'?)"),
        ('[C0007]\n"items.unit" = { missing = "stop" }', "must be hold, warn, note"),
        ('[C0007]\n"items.unit" = { applies = ["tmc"] }', "unknown condition 'tmc' (did you mean 'tcm'?)"),
        ('[C0007]\n"items.unit" = { absence = "leave" }', "must be omit, a nullFlavor"),
        ('[C0007]\nitems.unit = { missing = "warn" }', "unknown key 'unit'"),
        ('extends = "provincial"', "only a shipped profile can be extended"),
        ('[[C0007.one_of]]\nfields = ["items"]', "at least two fields"),
        ("x = ", "not valid TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(text, said):
    with pytest.raises(ConfigurationError) as error:
        profile(text)
    assert said in str(error.value)
    assert "/etc/site.toml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[C0007]\n"items.unti" = { missing = "warn" }', "did you mean 'items.unit'?"),
        ('[C0007]\n"items.unit" = { only_with = ["vlaue"] }', "there is no field 'items.vlaue'"),
        ('[C0007]\n"items" = { absence = "NI" }', "can only be left out"),
        ('[C0007]\n"items.unit" = { absence = "text:无" }', "for single fields, not for rows"),
        ('[[C0007.one_of]]\nfields = ["a", "b"]', "the kind has no field 'a'"),
    ],
)
def test_a_mistake_about_a_kind_is_told_when_the_kind_is_asked_for(text, said):
    with pytest.raises(ConfigurationError, match=said.replace("?", r"\?")):
        profile(text).for_kind(load_kind("C0007"))


def test_an_unknown_profile_names_what_there_is():
    with pytest.raises(ConfigurationError, match=r"did you mean 'regional'.*shipped: national, regional"):
        load_profile("reginal")


def test_what_always_holds_has_no_lawful_absence():
    absences = load_profile("regional").absences(load_kind("C0007"))

    assert "patient.name" not in absences
    assert "report_number" not in absences
    assert absences["patient.id_number"] == "NI"
    assert absences["patient.inpatient_number"] == "omit"
    assert absences["items.unit"] == "NI"


def test_lawful_absence_is_traced():
    kind, regional = load_kind("C0002"), load_profile("regional")
    record = clean("C0002", fact__tcm=None, tcm__observation=None, tcm_diseases=None, tcm_syndromes=None, patient__id_number=None,
                   fact__foreigner="true", orders__0__state=None)  # fmt: skip
    completed, [note] = regional.complete(kind, record)

    assert completed is record
    assert (note.rule, note.severity) == ("ABSENT", Severity.NOTE)
    assert note.arguments == ("patient.id_number=NI tcm.observation=NA orders.state=NI×1",)
    assert regional.complete(kind, clean("C0002")) == (clean("C0002"), [])


def test_absence_is_said_in_words_where_the_profile_says_so():
    site = profile('extends = "regional"\n[C0002]\n"past_history" = { absence = "text:无" }')
    kind = load_kind("C0002")
    record = clean("C0002", past_history=None)
    completed, notes = site.complete(kind, record)

    assert completed["past_history"] == "无"
    assert "past_history" not in record
    assert [(n.rule, n.field, n.arguments) for n in notes] == [("ABSENT", "past_history", ("past_history=text:无",))]
    assert "无" in kind.renderer(site.absences(kind))(completed, ENVELOPE).decode()


def test_placeholders_are_not_rendered_and_answers_are():
    kind, regional = load_kind("C0007"), load_profile("regional")
    record = clean("C0007", encounter__bed_id="-", items__0__value=None, items__0__text_value="-", method="不详")
    completed, _ = regional.complete(kind, record)

    assert "encounter.bed_id" not in completed
    assert "method" not in completed
    assert completed["items"][0]["text_value"] == "-"
    assert record["encounter.bed_id"] == "-"


# -- after checks without HOLD the renderer never raises ------------------------------------------------------------------


def spoil(record: Record, rng: random.Random) -> Record:
    """Leave out, blank out and lengthen at random: any part, any row, any group; and other patients than usual."""
    share = rng.choice((0.02, 0.1, 0.3, 0.7))
    for name in list(record):
        value = record[name]
        if rng.random() < share:
            del record[name]
        elif isinstance(value, str):
            record[name] = _spoilt(value, rng, share)
        else:
            for row in value:
                for key in list(row):
                    if rng.random() < share:
                        del row[key]
                    else:
                        row[key] = _spoilt(row[key], rng, share)
    for fact in ("newborn", "foreigner", "identity_unknown", "tcm"):
        if rng.random() < 0.3:
            record[f"fact.{fact}"] = "true"
    if rng.random() < 0.5:
        record["fact.patient_class"] = rng.choice(("outpatient", "emergency", "inpatient"))
    return record


def _spoilt(value: str, rng: random.Random, share: float) -> str:
    if rng.random() > share / 2:
        return value
    return rng.choice(("-", "无", value * 3, "<&>\"'", "\u3000字", "a\nb", value + " "))


@pytest.mark.parametrize("name", ["national", "regional"])
@pytest.mark.parametrize("code", KINDS)
def test_what_is_not_held_can_be_rendered(name, code):
    kind, given_profile = load_kind(code), load_profile(name)
    check = compile_checks(kind, given_profile, TODAY)
    render = kind.renderer(given_profile.absences(kind))
    rng = random.Random(f"{name}{code}")
    rendered = 0
    for _ in range(700):
        record = spoil(clean(code), rng)
        if any(f.severity is Severity.HOLD for f in check(record)):
            continue
        completed, _ = given_profile.complete(kind, record)
        document = render(completed, ENVELOPE)
        facts = {n: v for n, v in completed.items() if not n.startswith("fact.")}
        assert kind.reader(document) == facts
        rendered += 1
    assert rendered > 5


def test_every_field_alone_missing_is_held_or_rendered():
    for name in ("national", "regional"):
        given_profile = load_profile(name)
        for code in KINDS:
            kind = load_kind(code)
            check, render = compile_checks(kind, given_profile, TODAY), kind.renderer(given_profile.absences(kind))
            for field in (*kind.fields, *kind.groups.values()):
                key = field.name if not getattr(field, "group", "") else f"{field.group}.0.{field.key}"
                record = clean(code, **{key.replace(".", "__"): None})
                if not any(f.severity is Severity.HOLD for f in check(record)):
                    render(given_profile.complete(kind, record)[0], ENVELOPE)


@pytest.mark.parametrize("name", ["national", "regional"])
@pytest.mark.parametrize("code", kind_codes())
def test_of_every_kind_what_is_not_missed_can_be_rendered(name, code):
    """Each field alone left out, and many at once: either the profile holds the record for it, or there is a lawful way."""
    kind, given_profile = load_kind(code), load_profile(name)
    check = compile_checks(kind, given_profile, TODAY)
    render = kind.renderer(given_profile.absences(kind))
    whole, rng = full_record(kind, rows=1), random.Random(f"{name}{code}")
    names = [(field.name, field.group) for field in kind.fields] + [(group, "") for group in kind.groups]
    rendered = 0
    for left_out in [*([one] for one in names), *(rng.sample(names, k=len(names) // 3) for _ in range(30))]:
        record = without(whole, left_out)
        if any(f.severity is Severity.HOLD for f in check(record) if f.rule in ("DE-MISSING", "DE-ONE-OF")):
            continue
        completed, _ = given_profile.complete(kind, record)
        assert kind.reader(render(completed, ENVELOPE)) == completed
        rendered += 1
    assert rendered


def without(record: Record, names: list[tuple[str, str]]) -> Record:
    """A copy without these fields; a row that loses its last goes with it."""
    gone = {name for name, _ in names}
    kept: Record = {}
    for name, value in record.items():
        if name in gone:
            continue
        if isinstance(value, str):
            kept[name] = value
            continue
        rows = [{key: text for key, text in row.items() if f"{name}.{key}" not in gone} for row in value]
        if all(rows):
            kept[name] = rows
    return kept


def test_a_pattern_speaks_of_what_the_table_asks_for():
    site = profile('extends = "regional"\n[common]\n"items.*" = { missing = "note", absence = "UNK" }')
    elements = site.for_kind(load_kind("C0007")).elements

    assert elements["items.result_code"].missing is Severity.NOTE
    assert elements["items.result_code"].absence == "UNK"
    assert elements["items.code"].missing is Severity.HOLD  # said by its own name
    assert elements["items.reference_range"].missing is None  # no table asks for it
    assert elements["items.reference_range"].absence == "omit"


def test_a_value_type_says_how_an_empty_box_of_the_body_is_written():
    site = profile('extends = "regional"\n[C0007.body.ST]\nabsence = "text:-"\nanswers = ["-"]')
    kind = load_kind("C0007")
    completed, notes = site.complete(kind, clean("C0007", method=None, category="-"))

    assert (completed["method"], completed["category"]) == ("-", "-")
    assert "patient.address" not in completed  # the header is no box
    assert ("ABSENT", "method", ("method=text:-",)) in {(n.rule, n.field, n.arguments) for n in notes}
    with pytest.raises(ConfigurationError, match="unknown key 'TS2'"):
        profile('[C0007.body.TS2]\nabsence = "NI"')


SEVERITIES = st.sampled_from(["hold", "warn", "note"])
ABSENCES = st.sampled_from(["omit", "NI", "NA", "UNK"])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_whatever_a_region_says_what_is_not_held_can_be_rendered(data):
    kind = load_kind("C0007")
    names = data.draw(st.lists(st.sampled_from([f.name for f in kind.fields]), max_size=12, unique=True))
    lines = [f'"{n}" = {{ missing = "{data.draw(SEVERITIES)}", absence = "{data.draw(ABSENCES)}" }}' for n in names]
    rules = data.draw(
        st.lists(st.sampled_from(sorted(r.id for r in all_rules().values() if r.lowerable)), max_size=6, unique=True)
    )
    severities = [f'"{rule}" = "note"' for rule in rules]
    site = profile("\n".join(['extends = "regional"', "[severity]", *severities, "[C0007]", *lines]))
    check, render = compile_checks(kind, site, TODAY), kind.renderer(site.absences(kind))
    rng = random.Random(data.draw(st.integers(0, 10_000)))
    for _ in range(12):
        record = spoil(clean("C0007"), rng)
        if not any(f.severity is Severity.HOLD for f in check(record)):
            render(site.complete(kind, record)[0], ENVELOPE)
