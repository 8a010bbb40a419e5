"""What may leave, by data class: left out before rendering, said in the trace, and never what is internal."""

import csv
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import pytest
import zstandard
from pipe import FEED, KIND, NOW, FakePlatform, feed, id_of, rows

from frontend_agent.app import App
from frontend_agent.config import parse_config
from frontend_agent.errors import ConfigurationError
from frontend_agent.feeds import compile_feed
from frontend_agent.formats import kind_codes, load_kind
from frontend_agent.identity import set_id
from frontend_agent.intake import EditionPlan, FeedPlan, take_in
from frontend_agent.model import Envelope, Finding, Record, SeriesHead, Severity
from frontend_agent.policy import (
    DOMAINS,
    SHARING,
    Classes,
    MayLeave,
    Share,
    absences_without,
    classes_in,
    editions,
    leaving_out,
    left_out,
    national_classes,
)
from frontend_agent.profiles import load_profile
from frontend_agent.sending import send_out
from frontend_agent.spool import Spool, Taken

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("FRONTEND_AGENT_SHARED") or ROOT.parent / "shared")
NATIONAL = Classes(national_classes())
PRESCRIPTION = load_kind("C0004")
EXAMPLE = (ROOT / "agent.toml").read_text(encoding="utf-8")

# --- the table of classes ---------------------------------------------------------------------------------------------


def test_every_kind_we_make_has_a_class() -> None:
    assert set(kind_codes()) <= NATIONAL.kinds()


def test_every_document_of_the_standards_has_a_class() -> None:
    table = SHARED / "standards" / "documents.csv"
    if not table.is_file():
        pytest.skip(f"no standards at {table} (set FRONTEND_AGENT_SHARED)")
    with table.open(encoding="utf-8", newline="") as file:
        assert {row["code"] for row in csv.DictReader(file)} <= NATIONAL.kinds()


def test_every_row_of_the_table_says_why_and_how_sure() -> None:
    for row in national_classes():
        assert row.sharing in SHARING
        assert row.domain in DOMAINS
        assert row.basis
        assert row.confidence in ("verified", "single-source", "from-memory", "project")


def test_an_element_has_its_own_class_or_its_kinds() -> None:
    assert NATIONAL.of("C0004").domain == "drugs"
    assert (NATIONAL.of("C0004", "amount").sharing, NATIONAL.of("C0004", "amount").domain) == ("business", "insurance")
    assert NATIONAL.of("C0004", "drugs.name").domain == "drugs"
    assert NATIONAL.of("C0004", "review_pharmacist.id").domain == "administration"


def test_a_sites_table_comes_first() -> None:
    site = classes_in(
        "kind,field,sharing,domain,basis,confidence\nC0004,amount,internal,insurance,院办 2026-12,project\n", "site.csv"
    )
    assert Classes(site, national_classes()).of("C0004", "amount").sharing == "internal"
    assert Classes(site, national_classes()).of("C0007").sharing == "shared"


@pytest.mark.parametrize(
    ("line", "said"),
    [("C0004,amount,secret,drugs,x,y", "sharing 'secret'"), ("C0004,,shared,money,x,y", "domain"), ("*,,shared,drugs,x,y", "line 2")],
)  # fmt: skip
def test_a_table_is_read_strictly(line: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        classes_in(f"kind,field,sharing,domain,basis,confidence\n{line}\n", "site.csv")
    with pytest.raises(ConfigurationError, match="first line"):
        classes_in("kind,field\n", "site.csv")


# --- what leaves for whom ---------------------------------------------------------------------------------------------


def lets(*sharing: str, domains: tuple[str, ...] = (), destinations: tuple[str, ...] = ()) -> MayLeave:
    return MayLeave(frozenset(sharing), frozenset(domains), frozenset(destinations))


def test_by_default_everything_national_leaves() -> None:
    for code in kind_codes():
        assert left_out(load_kind(code), "platform", [], NATIONAL) == frozenset()


def test_a_class_that_may_not_leave_is_left_out_and_a_kind_is_not_queued() -> None:
    without = left_out(PRESCRIPTION, "platform", [lets("shared")], NATIONAL)
    assert without
    assert "amount" in without
    assert "drugs.name" not in without
    assert left_out(PRESCRIPTION, "platform", [lets("shared", domains=("insurance",))], NATIONAL) is None
    assert left_out(PRESCRIPTION, "platform", [lets("public", destinations=("other",))], NATIONAL) == frozenset()


def test_what_is_internal_never_leaves() -> None:
    head = "kind,field,sharing,domain,basis,confidence\n"
    of_amount = Classes(
        classes_in(f"{head}C0004,amount,internal,insurance,x,project\n", "site.csv"), national_classes()
    )
    everything = [lets(*SHARING)]
    assert left_out(PRESCRIPTION, "platform", everything, of_amount) == {"amount"}
    of_kind = Classes(classes_in(f"{head}C0004,,internal,drugs,x,project\n", "site.csv"), national_classes())
    assert left_out(PRESCRIPTION, "platform", everything, of_kind) is None


def test_what_is_left_out_is_said_and_masked_where_something_must_stand() -> None:
    record: Record = {"amount": "12.50", "drugs": [{"name": "a", "dose": "1"}, {"name": "b"}], "patient.name": "张三"}
    kept, (note,) = leaving_out(PRESCRIPTION, frozenset({"amount", "drugs.dose", "author.id"}))(record)
    assert kept == {"drugs": [{"name": "a"}, {"name": "b"}], "patient.name": "张三"}
    assert (note.rule, note.severity, note.arguments) == ("POL001", Severity.NOTE, ("amount drugs.dose",))
    assert record["amount"] == "12.50"
    kept, notes = leaving_out(PRESCRIPTION, frozenset({"author.id"}))(record)
    assert (kept, notes) == (record, [])
    absences = absences_without(PRESCRIPTION, {"x": "NI"}, {"amount", "group_number"})
    assert (absences["amount"], absences["x"]) == ("MSK", "NI")


def test_a_document_without_what_may_not_leave_is_still_one() -> None:
    golden = ROOT / "tests" / "golden" / "kinds"
    record = msgspec.json.decode((golden / "prescription_two_drugs" / "record.json").read_bytes())["record"]
    profile = load_profile("regional")
    without = frozenset({"amount", "author.id"})
    kept, _ = leaving_out(PRESCRIPTION, without)(record)
    render = PRESCRIPTION.renderer(absences_without(PRESCRIPTION, profile.absences(PRESCRIPTION), without))
    document = render(kept, Envelope("C0004-A-1", "C0004-A", 1, "20260930081500"))
    read = PRESCRIPTION.reader(document)
    assert "amount" not in read
    assert "author.id" not in read
    assert document.count(b'nullFlavor="MSK"') >= 2
    assert read["patient.name"] == record["patient.name"]


# --- who gets the same document ---------------------------------------------------------------------------------------


def test_destinations_that_get_the_same_share_documents() -> None:
    nothing: frozenset[str] = frozenset()
    assert list(editions("f", "C0004", [Share("a", "", nothing), Share("b", "", nothing)])) == [""]
    with pytest.raises(ConfigurationError, match=r'\[destinations.b\] edition = "b"'):
        editions("f", "C0004", [Share("a", "", nothing), Share("b", "", frozenset({"amount"}))])
    assert list(editions("f", "C0004", [Share("a", "", nothing), Share("b", "b", frozenset({"amount"}))])) == ["", "b"]
    with pytest.raises(ConfigurationError, match="none of its destinations"):
        editions("f", "C0004", [])


def configured(more: str, destinations: str = "") -> str:
    return EXAMPLE.replace('url  = "http://127.0.0.1:8480"', f'url  = "http://127.0.0.1:8480"\n{destinations}') + more


INSURER = '[destinations.insurer]\nurl = "https://insurer.example"\nedition = "insurer"\n'
NO_MONEY = '[[policy.may_leave]]\nsharing = ["shared"]\ndestinations = ["platform"]\n'


def plan_of(text: str, feed_name: str = "prescription") -> FeedPlan:
    config = parse_config(text)
    return compile_feed(config, config.feed(feed_name), lambda: date(2026, 9, 30)).plan


def test_each_destination_group_has_its_own_plan() -> None:
    plan = plan_of(configured(NO_MONEY, INSURER))
    assert plan.destinations == ("platform",)
    assert plan.leave_out
    (edition,) = plan.editions
    assert (edition.name, edition.destinations) == ("insurer", ("insurer",))
    assert edition.set_of("R1") == set_id(plan.institution, "1", "C0004", "R1", "insurer")
    assert edition.set_of("R1") != set_id(plan.institution, "1", "C0004", "R1")
    plain = plan_of(EXAMPLE)
    assert (plain.leave_out, plain.editions, plain.destinations) == (None, (), ("platform",))


def test_a_kind_is_not_queued_where_it_may_not_leave_and_that_is_said() -> None:
    drugs = '[[policy.may_leave]]\nsharing = ["shared"]\ndomains = ["drugs", "administration"]\ndestinations = ["insurer"]\n'
    config = parse_config(configured(drugs, INSURER))
    feeds = {feed.name: compile_feed(config, feed, lambda: date(2026, 9, 30)) for feed in config.feeds}
    assert feeds["lab_report"].not_for == ["insurer"]
    assert feeds["lab_report"].plan.editions == ()
    assert feeds["prescription"].not_for == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[[policy.may_leave]]\nsharing = ["shared", "internal"]\n', "never leaves"),
        ('[[policy.may_leave]]\nsharing = ["shared"]\ndestinations = ["platfrom"]\n', "did you mean 'platform'"),
        ('[[policy.may_leave]]\nsharing = ["secret"]\n', "unknown value 'secret'"),
        ('[[withhold]]\nname = "a"\ndecided_by = "x"\nreason = "y"\n', "would withhold everything"),
        ('[[withhold]]\nname = "a"\ndecided_by = ""\nreason = "y"\nwhen = { "fact.staff" = ["true"] }\n', "decided_by is empty"),
        ('[[withhold]]\nname = "a"\ndecided_by = "x"\nreason = "y"\nwhen = { "fact.staff" = [] }\n', "empty list"),
        ('[[withhold]]\nname = "a"\ndecided_by = "x"\nreason = "y"\nfeeds = ["labs"]\nwhen = { "fact.staff" = ["true"] }\n', "unknown feed 'labs'"),
        ('[[withhold]]\nname = "a"\ndecided_by = "x"\nreason = "y"\nuntil = "soon"\nwhen = { "fact.staff" = ["true"] }\n', "a day without quotes"),
    ],
)  # fmt: skip
def test_mistakes_of_the_list_are_told_at_the_door(more: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_config(EXAMPLE + more)


def test_a_deidentified_destination_needs_a_secret() -> None:
    with pytest.raises(ConfigurationError, match="pseudonym_key"):
        parse_config(configured("", '[destinations.research]\nurl = "https://r.example"\ndeidentified = true\n'))
    with pytest.raises(ConfigurationError, match="does nothing"):
        parse_config(configured("", '[destinations.research]\nurl = "https://r.example"\npseudonym_key = "x"\n'))


def test_a_rule_that_means_nothing_stops_the_start(tmp_path: Path) -> None:
    text = '[[withhold]]\nname = "a"\ndecided_by = "x"\nreason = "y"\nwhen = { "no.such" = ["1"] }\n'
    with pytest.raises(ConfigurationError, match=r"no\.such"):
        App(parse_config(EXAMPLE + text, folder=tmp_path), tmp_path / "state", alone=True).open()


def test_a_file_of_patients_is_for_its_owner_alone(tmp_path: Path) -> None:
    listed = tmp_path / "patients.txt"
    listed.write_text("00" * 32)
    listed.chmod(0o644)
    text = EXAMPLE + '[[withhold]]\nname = "a"\ndecided_by = "x"\nreason = "y"\npatients = "patients.txt"\n'
    config = parse_config(text, folder=tmp_path)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        compile_feed(config, config.feeds[0], date.today)
    listed.chmod(0o600)
    assert compile_feed(config, config.feeds[0], date.today).plan.withhold


# --- editions in the pipe ---------------------------------------------------------------------------------------------


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


def without_value(record: Record) -> tuple[Record, list[Finding]]:
    left = {name: value for name, value in record.items() if name != "value"}
    return left, [Finding("POL001", Severity.NOTE, arguments=("value",))]


def edition_set(key: str) -> str:
    return set_id("330100-H1", "1", KIND, key, "insurer")


INSURERS = EditionPlan(
    name="insurer",
    set_of=edition_set,
    hash_of=lambda digest: f"keyed {digest}",
    leave_out=without_value,
    render=lambda record, envelope: f"<e id='{envelope.document_id}'>{record}</e>".encode(),
    destinations=("insurer",),
)


def take(spool: Spool, *given: tuple[str, str] | tuple[str, str, str], by: FeedPlan) -> Taken:
    return take_in(by, rows(*given), None, spool, None, NOW)


def test_each_edition_is_a_document_of_its_own_in_one_commit(spool: Spool) -> None:
    by = feed(editions=(INSURERS,))
    taken = take(spool, ("a", "secret"), by=by)
    platform, insurer = FakePlatform(), FakePlatform("insurer")
    send_out(platform, spool, NOW)
    send_out(insurer, spool, NOW)
    assert platform.received == [id_of("a")]
    assert insurer.received == [f"{edition_set('a')}-1"]
    (other,) = taken.beside[0].documents
    assert b"secret" not in zstandard.decompress(other.frame)
    assert other.source_hash.startswith("keyed ")
    trace = spool.trace(other.document_id)
    assert trace
    assert [finding.rule for finding in trace.findings] == ["POL001"]
    assert spool.counts().documents == 2
    assert spool.counts().feeds[FEED]["documents"] == 1  # one record
    again = take(spool, ("a", "secret"), by=by)
    assert (list(again.documents), list(again.beside), again.skipped.unchanged) == ([], [], 1)


def test_versions_of_an_edition_count_by_themselves(spool: Spool) -> None:
    take(spool, ("a", "1"), by=feed())
    by = feed(editions=(INSURERS,))
    assert [made.version for made in take(spool, ("a", "1"), by=by).beside[0].documents] == [1]  # it comes later
    taken = take(spool, ("a", "2"), by=by)
    assert [made.version for made in taken.documents] == [2]
    (other,) = taken.beside[0].documents
    assert (other.version, other.replaces_id) == (2, f"{edition_set('a')}-1")
    void = take(spool, ("a", "2", "void"), by=by)
    assert [made.void for made in (*void.documents, *void.beside[0].documents)] == [True, True]


def test_a_feed_may_have_editions_alone(spool: Spool) -> None:
    by = feed(destinations=(), editions=(INSURERS,))
    taken = take(spool, ("a", "1"), ("b", "bad"), by=by)
    assert (len(taken.documents), len(taken.beside[0].documents), len(taken.held)) == (0, 1, 1)
    assert take(spool, ("a", "1"), ("b", "bad"), by=by).skipped.unchanged == 2
    taken = take(spool, ("b", "2"), by=by)
    assert [made.version for made in taken.beside[0].documents] == [1]
    assert (spool.counts().held, spool.quarantine_list()) == (0, [])
    assert take(spool, ("b", "2"), by=by).skipped.unchanged == 1
    assert len(take(spool, ("a", "1", "void"), by=by).beside[0].documents) == 1


def test_a_record_that_is_held_makes_no_edition(spool: Spool) -> None:
    by = feed(editions=(INSURERS,))
    for _ in range(2):
        assert not take(spool, ("a", "bad"), by=by).beside
    assert spool.counts().held == 1


def test_an_edition_that_cannot_be_rendered_holds_the_record_once(spool: Spool) -> None:
    def fails(record: Record, envelope: Envelope) -> bytes:
        raise KeyError("value")

    taken = take(spool, ("a", "1"), by=feed(destinations=(), editions=(replace(INSURERS, render=fails),)))
    (held,) = taken.held
    assert (held.set_id, held.findings[-1].rule) == (set_id("330100-H1", "1", KIND, "a"), "AGT002")


def test_a_destination_is_asked_for_its_own_edition_alone(spool: Spool) -> None:
    asked: dict[tuple[str, ...], list[str]] = {}

    def heads(set_ids: list[str], destinations: tuple[str, ...] = ("platform",)) -> dict[str, SeriesHead]:
        asked[destinations] = list(set_ids)
        return {name: SeriesHead(name, 4, "other") for name in set_ids}

    taken = take_in(feed(editions=(INSURERS,)), rows(("a", "1")), None, spool, heads, NOW)
    assert asked == {("platform",): [set_id("330100-H1", "1", KIND, "a")], ("insurer",): [edition_set("a")]}
    assert [made.version for made in (*taken.documents, *taken.beside[0].documents)] == [5, 5]
