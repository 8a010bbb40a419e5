"""A feed, compiled: mapping, kind and profile become functions that take values and return values.

Mistakes in any of the files are told here, before anything is read. Opens nothing but what a person wrote or we ship.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from frontend_agent import shipped
from frontend_agent.checks import all_rules, compile_checks, rules_digest
from frontend_agent.codes import Approvals, overlay_digest, with_approved
from frontend_agent.config import (
    Config,
    FeedConfig,
    InstitutionConfig,
    SourceConfig,
    WithholdConfig,
)
from frontend_agent.config_inlets import InletConfig
from frontend_agent.config_outlets import DestinationConfig, ForeignConfig, OutletConfig
from frontend_agent.deidentifying import Pseudonyms, deidentifying, removed_fields
from frontend_agent.errors import ConfigurationError
from frontend_agent.finding import must_be_findable
from frontend_agent.formats import Kind, gaps, kind_codes
from frontend_agent.formats.enclosed import KIND as ENCLOSED
from frontend_agent.formats.render import Renderer
from frontend_agent.identity import set_id
from frontend_agent.intake import (
    Complete,
    EditionPlan,
    FeedPlan,
)
from frontend_agent.mapping import Mapping as FieldMapping
from frontend_agent.mapping import compile_mapping, load_mapping
from frontend_agent.measuring import Measures
from frontend_agent.messages import MessageRows, compile_message
from frontend_agent.model import AS_IS, Finding, Record, SourceRecord, SourceRows
from frontend_agent.packs import Pack, Packs
from frontend_agent.packs.content import Content, content_of, silenced
from frontend_agent.packs.shadow import judging
from frontend_agent.passing import as_is, compile_passing, was_read
from frontend_agent.policy import (
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
from frontend_agent.profiles import Profile
from frontend_agent.secrets import private_text, secrets_of
from frontend_agent.signatures import Verdict, verified
from frontend_agent.signing import Sign, signing_digest, signing_of, trust_of
from frontend_agent.terms.catalogues import digest_with, must_be_in
from frontend_agent.terms.loading import load_catalogues
from frontend_agent.visits import Observer
from frontend_agent.wire.frames import compressor
from frontend_agent.withholding import WithholdRule, compile_withholding, patients_in, unresolved

NO_PACKS = Packs()  # the national pack alone
FEW = 10  # wrapped scans that are in memory at once: of up to 6 MB each, several times over
CODES_DIGEST = re.compile(r"\bcodes=\w+")  # the part of a plan's digests that an approval changes

Checks = Callable[[Record, Mapping[str, str], Sequence[Finding]], list[Finding]]
Normalise = Callable[[SourceRows], list[SourceRecord]]
Hear = Callable[[bytes], MessageRows]


class Feed(NamedTuple):
    """One configured flow and everything it was compiled to."""

    config: FeedConfig
    mapping: FieldMapping
    kind: Kind
    profile: Profile
    plan: FeedPlan
    content: Content  # of the pack in force
    rules: tuple[WithholdRule, ...] = ()  # of withholding, as the plan was compiled with them
    hear: Hear | None = None  # of a feed of messages: what makes rows of one
    today: Callable[[], date] = date.today  # of the institution

    @property
    def not_for(self) -> list[str]:
        """Destinations that this kind may not leave for at all."""
        gets = {*self.plan.destinations, *(name for edition in self.plan.editions for name in edition.destinations)}
        return [name for name in self.config.destinations if name not in gets]


def compile_feed(config: Config, feed: FeedConfig, today: Callable[[], date], packs: Packs = NO_PACKS) -> Feed:
    """Mistakes of mapping, code tables and profile are told here, before anything is read."""
    content = content_of(packs.active)
    with content.compiling():
        compiled = _compiled(config, feed, today, content)
    if packs.shadow is None:
        return compiled
    shadow = content_of(packs.shadow)
    with shadow.compiling():
        judge = _judging(compiled, shadow, today)
    plan = replace(compiled.plan, shadow=judge, shadow_pack=pack_names(packs.shadow), shadow_one_of=config.packs.one_of)
    return compiled._replace(plan=plan)


def _judging(feed: Feed, content: Content, today: Callable[[], date]) -> Callable[[SourceRecord], list[Finding]]:
    """How another pack would judge the records of a feed."""
    kind, profile = content.kind(feed.kind.code), content.profile(feed.config.profile)
    checks = silenced(content.off, compile_checks(kind, profile, today))
    finished = bool(feed.mapping.document)
    return judging(
        profile.severity_of,
        content.off,
        _once_read(checks) if finished else checks,
        (lambda record: (record, ())) if finished else lambda record: profile.complete(kind, record),
        as_is if finished else _renderer(kind, profile, frozenset()),
        all_rules(),
    )


def pack_names(pack: Pack | None) -> str:
    """`gd-2026.2 1f0c…`: as the log and both sides of an exchange name it; empty for none."""
    return " ".join((pack.id, pack.digest[:16])) if pack else ""


def _compiled(config: Config, feed: FeedConfig, today: Callable[[], date], content: Content) -> Feed:
    hospital = config.institution
    mapping = load_mapping(feed.mapping, hospital.id, packed=content.read)
    _must_fit(config, feed, mapping)
    if mapping.kind in gaps():
        raise ConfigurationError(f"{mapping.path}: kind {mapping.kind}: {gaps()[mapping.kind].gap_en}")
    if mapping.kind not in kind_codes():
        raise ConfigurationError(
            f"{mapping.path}: kind {mapping.kind!r} is not one we make (known: {', '.join(kind_codes())})"
        )
    kind = content.kind(mapping.kind)
    if kind.code == ENCLOSED:  # each row brings a whole file
        feed = replace(feed, batch=min(feed.batch, FEW))
    shelves = load_catalogues(config.catalogues).in_kind(kind)
    must_be_in(shelves, mapping.codes)
    mapping = msgspec.structs.replace(mapping, codes_digest=digest_with(mapping.codes_digest, shelves))
    own_source = config.sources.get(feed.source)  # None: it hears messages
    if own_source is not None:
        must_be_findable(config, feed, mapping)
    profile = content.profile(feed.profile)
    elsewhere = {f"[queries.details] {group}": detail.source for group, detail in mapping.queries.details.items()}
    elsewhere |= {f"[queries.partners] {name}": partner.source for name, partner in mapping.queries.partners.items()}
    for query, source in elsewhere.items():
        if source and source not in config.sources:
            raise ConfigurationError(
                f"{mapping.path}: {query}: source {source!r} is not in agent.toml"
                f" (known: {', '.join(sorted(config.sources))})"
            )
    if mapping.queries.paths and own_source is not None and not own_source.files:
        raise ConfigurationError(
            f"{mapping.path}: [read] {mapping.queries.paths[0]} holds paths of files, but [sources.{feed.source}] names no"
            ' folder; add files = "/mnt/scans"'
        )
    normalise = _compile_mapping(config, mapping, kind, profile, today)
    checks = silenced(content.off, compile_checks(kind, profile, today, shelves))
    rules = withhold_rules(config)
    shares = editions(feed.name, kind.code, shares_of(config, feed, kind, content, finished=bool(mapping.document)))
    own = shares.get("", ())
    unsent = own[0].left_out if own else frozenset()
    # A finished document is the hospital's own, byte for byte, and a message's schema has no place for a signature.
    unsigned = bool(mapping.document) or kind.is_message
    sign = None if unsigned else signing_of(config, kind.code)
    signed_by = "" if unsigned else signing_digest(config, kind.code)
    plan = FeedPlan(
        name=feed.name,
        institution=hospital.id,
        epoch=hospital.epoch,
        kind=kind.code,
        key=mapping.key,
        timezone=ZoneInfo(hospital.timezone),
        normalise=normalise,
        check=_once_read(checks) if mapping.document else checks,
        complete=(lambda record: (record, ())) if mapping.document else lambda record: profile.complete(kind, record),
        render=as_is if mapping.document else _renderer(kind, profile, unsent),
        sign=sign,
        compress=compressor(kind.dictionary).compress,
        dictionary=kind.dictionary_sha256,
        digests=digests_of(mapping, kind, profile, withheld_by(rules, feed.name, kind.code), content.pack, signed_by),
        destinations=tuple(share.destination for share in own),
        measures=Measures([field.name for field in kind.fields], profile.for_kind(kind).elements, kind.groups),
        withhold=compile_withholding(rules, feed.name, kind),
        leave_out=leaving_out(kind, unsent) if unsent else None,
        editions=tuple(_edition(config, kind, profile, name, given, sign) for name, given in shares.items() if name),
        register_first=_register_first(config, feed),
        joins=bool(mapping.queries.partners) or (own_source is not None and own_source.nolock),
        settle=own_source.settle if own_source is not None and own_source.nolock else timedelta(),
        observe=Observer(
            kind.code,
            ZoneInfo(hospital.timezone),
            content.profile(config.visits.profile).visits,
            {field.name for field in kind.fields},
        ),
    )
    named = replace(feed, destinations=feed.destinations or tuple(config.destinations))
    hear = compile_message(mapping.message, mapping.key) if mapping.message is not None else None
    return Feed(named, mapping, kind, profile, plan, content, tuple(rules), hear, today)


def _must_fit(config: Config, feed: FeedConfig, mapping: FieldMapping) -> None:
    """Messages come from an inlet, rows from a source."""
    if mapping.message is not None and feed.source in config.sources:
        raise ConfigurationError(
            f"{mapping.path}: reads messages ([message]); a feed asks a database and needs a mapping with [queries];"
            f" feed {feed.name} reads [sources.{feed.source}]: name one of [inlets] as its source"
        )
    if mapping.message is None and feed.source in config.inlets:
        raise ConfigurationError(
            f"{mapping.path}: asks a database ([queries]); feed {feed.name} reads [inlets.{feed.source}] and needs a mapping"
            " with [message]"
        )
    if mapping.message is not None and mapping.queries.paths:
        raise ConfigurationError(
            f"{mapping.path}: [read] {mapping.queries.paths[0]} holds paths of files; what a message names is not fetched"
        )


def _register_first(config: Config, feed: FeedConfig) -> dict[str, tuple[str, ...]]:
    """The destinations where registrations go first. One that may know nobody's name is registered nobody at."""
    options = {name: config.destinations[name] for name in feed.destinations or config.destinations}
    return {
        name: one.registrations
        for name, one in options.items()
        if isinstance(one, ForeignConfig) and one.register_first and not one.deidentified
    }


def _compile_mapping(
    config: Config, mapping: FieldMapping, kind: Kind, profile: Profile, today: Callable[[], date]
) -> Normalise:
    hospital = config.institution
    if mapping.document:
        return compile_passing(mapping, kind, hospital.id, profile.severity_of, _signed(config, today))
    return compile_mapping(mapping, kind, hospital.id, hospital.name, hospital.timezone, severity=profile.severity)


def _signed(config: Config, today: Callable[[], date]) -> Callable[[bytes], Verdict] | None:
    """The verdict on the signature of a finished document, as of the end of today; None where nobody's is believed."""
    if not config.signing.trust.anchors:
        return None
    trust, zone = trust_of(config.signing.trust), ZoneInfo(config.institution.timezone)
    return lambda document: verified(document, trust, datetime.combine(today(), time.max, zone))


def under_approvals(config: Config, feed: Feed, approvals: Approvals) -> Feed:
    """The feed with what people approved laid over its code maps: other maps, another digest, and nothing else."""
    mapping = feed.mapping
    codes = with_approved(mapping.codes, approvals.overlay())
    laid = msgspec.structs.replace(mapping, codes=codes, codes_digest=overlay_digest(mapping.codes_digest, codes))
    with feed.content.compiling():
        normalise = _compile_mapping(config, laid, feed.kind, feed.profile, feed.today)
    plan = replace(
        feed.plan,
        normalise=normalise,
        digests=CODES_DIGEST.sub(f"codes={laid.codes_digest[:16]}", feed.plan.digests),
        terms=approvals.revision,
    )
    return feed._replace(plan=plan)


def _once_read(check: Checks) -> Checks:
    """A finished document that could not be read has said why; that all its values are missing is no news."""
    return lambda record, columns, said: check(record, columns, said) if was_read(record) else []


def _renderer(kind: Kind, profile: Profile, without: frozenset[str]) -> Renderer:
    entries = [name for name in profile.entries.get(kind.code, ()) if name not in without]
    return kind.renderer(absences_without(kind, profile.absences(kind), without), profile.formats, entries)


def _edition(
    config: Config, kind: Kind, profile: Profile, name: str, shares: Sequence[Share], sign: Sign | None
) -> EditionPlan:
    """Documents of their own for destinations that get something else."""
    hospital = config.institution
    without = shares[0].left_out
    leave_out = leaving_out(kind, without)
    pseudonyms = Pseudonyms(secrets_of(config)(shares[0].key).encode()) if shares[0].deidentified else None
    if pseudonyms:
        leave_out = _both(leave_out, deidentifying(kind, pseudonyms))
        without |= removed_fields(kind)

    def set_of(key: str) -> str:
        # Who knows a business key must not find its de-identified document by it.
        shown = pseudonyms.named("key", key) if pseudonyms else key
        return set_id(hospital.id, hospital.epoch, kind.code, shown, name)

    def hash_of(source_hash: str) -> str:
        return pseudonyms.named("hash", source_hash) if pseudonyms else source_hash

    return EditionPlan(
        name=name,
        set_of=set_of,
        hash_of=hash_of,
        leave_out=leave_out,
        render=_renderer(kind, profile, without),
        sign=None if pseudonyms else sign,  # who signed would say whose a de-identified document is
        destinations=tuple(share.destination for share in shares),
    )


def _both(first: Complete, second: Complete) -> Complete:
    def both(record: Record) -> tuple[Record, Sequence[Finding]]:
        record, notes = first(record)
        record, more = second(record)
        return record, [*notes, *more]

    return both


def shares_of(config: Config, feed: FeedConfig, kind: Kind, content: Content, finished: bool = False) -> list[Share]:
    """What each destination of a feed gets of its kind; those that may not have it at all are not here.

    Of a finished document nothing can be left out: it leaves whole, as it is, or not at all.
    """
    policy = config.policy
    site = (
        classes_in(shipped.text_of(shipped.read_file, policy.classes, "[policy]"), policy.classes)
        if policy.classes
        else []
    )
    packed = content.classes()
    classes = Classes(site, classes_in(packed, "data_classes.csv of the pack") if packed else [], national_classes())
    lines = [
        MayLeave(frozenset(line.sharing), frozenset(line.domains), frozenset(line.destinations))
        for line in policy.may_leave
    ]
    shares = []
    for name in feed.destinations or tuple(config.destinations):
        without = left_out(kind, name, lines, classes)
        to = config.destinations[name]
        if to.kinds and kind.code not in to.kinds:
            continue
        if without is None or (finished and (without or to.deidentified)):
            continue
        edition = "" if finished else to.edition or ("deidentified" if to.deidentified else "")
        shares.append(Share(name, edition, without, to.deidentified, to.pseudonym_key))
    return shares


def withhold_rules(config: Config) -> list[WithholdRule]:
    """The rules of withholding, with their files of patients read."""
    return [_withhold_rule(config, rule) for rule in config.withhold]


def _withhold_rule(config: Config, rule: WithholdConfig) -> WithholdRule:
    where = f"withhold {rule.name!r}"
    key = secrets_of(config)(rule.patients_key).encode() if rule.patients_key else b""
    text = private_text(Path(rule.patients), where) if rule.patients else ""
    return WithholdRule(
        name=rule.name,
        decided_by=rule.decided_by,
        reason=rule.reason,
        when=rule.when,
        patients=patients_in(text, f"{where}: {rule.patients}"),
        by_patient=bool(rule.patients),
        key=key,
        kinds=rule.kinds,
        feeds=rule.feeds,
        until=rule.until,
    )


def meaningless(config: Config, feeds: Mapping[str, Feed]) -> Iterator[ConfigurationError]:
    """Rules of withholding that would withhold nothing, and nobody would notice."""
    kinds = {name: feed.kind for name, feed in feeds.items()}
    return (ConfigurationError(f"agent.toml: {said}") for said in unresolved(withhold_rules(config), kinds))


def withheld_by(rules: Sequence[WithholdRule], feed: str, kind: str) -> str:
    """The digest of the rules that speak of a feed; empty when none does."""
    mine = [rule.digest for rule in rules if rule.speaks_of(feed, kind)]
    return sha256(" ".join(mine).encode()).hexdigest() if mine else ""


def digests_of(
    mapping: FieldMapping,
    kind: Kind,
    profile: Profile,
    withhold: str = "",
    pack: Pack | None = None,
    signed_by: str = "",
) -> str:
    """What a document was made with, so that an auditor can ask for exactly that (law 13)."""
    parts = {
        "mapping": mapping.digest,
        "codes": mapping.codes_digest,
        "kind": kind.digest,
        "profile": profile.digest,
        "rules": rules_digest(),
        **({"withhold": withhold} if withhold else {}),
        **({"pack": pack.digest} if pack else {}),
        **({"signing": signed_by} if signed_by else {}),
    }
    made = " ".join(f"{name}={digest[:16]}" for name, digest in parts.items())
    return f"{AS_IS} {made}" if mapping.document else made


def feed_of_rows(
    config: Config | None, mapping: str, profile: str, today: Callable[[], date], packs: Packs = NO_PACKS
) -> Feed:
    """A mapping alone, for rows that somebody has in a file: no source and no destination; the hospital's name if known."""
    hospital = config.institution if config else InstitutionConfig(id="000000000", name="示例医院")
    loaded = load_mapping(mapping, hospital.id, packed=content_of(packs.active).read)
    queries = loaded.queries
    elsewhere = [one.source for one in queries.details.values()] + [one.source for one in queries.partners.values()]
    names = {"rows", *(name for name in elsewhere if name)}
    sources = {name: SourceConfig(url="sqlite:///rows", files="rows") for name in names}
    feed = FeedConfig(name="rows", source="rows", mapping=mapping, profile=profile)
    nowhere: dict[str, OutletConfig] = {
        "nowhere": DestinationConfig(url="http://127.0.0.1:9")
    }  # what may leave at all is asked of something
    inlets = {}
    if loaded.message is not None:
        sources, inlets = {}, {"rows": InletConfig(type="rows")}
    alone = Config(institution=hospital, sources=sources, destinations=nowhere, feeds=(feed,), inlets=inlets)
    return compile_feed(alone, feed, today, packs)
