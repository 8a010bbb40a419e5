"""Who may do what here: three administrators who are different people (三员分立). Pure: values in, values out.

    system     系统管理员   keeps it running: feeds, sources, quarantine, backfills, code tables
    security   安全管理员   decides who may, what may leave, and which keys hold: people, withheld records, packs, certificates
    audit      审计管理员   reads what the others did: the quality log, its proofs, reports; changes nothing

Nobody has two of the three (GB/T 22239-2019 8.1.5: system, audit and security management are separate; GB/T 20271).
`ACTS` is one table: for every question that can be asked of the agent (`operations.py`), by the CLI or the console, who may
ask it, whether it is said in the chained log, and whether it shows what patients' records say. A question that is not in
the table is nobody's.

Where no people are configured, the local account that may open the control socket is all three, as `anybody` says.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from frontend_agent.errors import FrontendAgentError

MOST_TOLD = 20  # values of one argument that an entry of the log names; of the others it tells how many
LONGEST_TOLD = 200  # characters of one value


class Role(StrEnum):
    SYSTEM = "system"
    SECURITY = "security"
    AUDIT = "audit"


ALL = frozenset(Role)
ROLE_NAMES: Mapping[Role, tuple[str, str]] = {
    Role.SYSTEM: ("system administrator", "系统管理员"),
    Role.SECURITY: ("security administrator", "安全管理员"),
    Role.AUDIT: ("audit administrator", "审计管理员"),
}


class NotAllowedHere(FrontendAgentError):
    """This person's role does not have this act; or nobody of that account is known here. Nothing was changed or shown."""


class ReasonMissing(FrontendAgentError):
    """What patients' records say is shown to a named person for a reason, and none was given. Nothing was shown."""


@dataclass(frozen=True)
class Person:
    """Somebody who asks: the name that the log knows, and the account of the operating system by which he is known."""

    name: str
    roles: frozenset[Role] = frozenset()
    account: str = ""
    is_named: bool = True  # false: whoever uses the local account of an agent that has no people configured

    def __post_init__(self) -> None:
        if self.is_named and len(self.roles) > 1:
            raise ValueError(f"{self.name}: nobody has two of the three roles ({', '.join(sorted(self.roles))})")

    @property
    def role(self) -> str:
        """As the log says it: the role, `all` of an agent without people, empty of somebody who has none."""
        return "all" if self.roles == ALL else "".join(self.roles)


def anybody(account: str) -> Person:
    """The local account of an agent without `[people]`: all three at once."""
    return Person(account, ALL, account, is_named=False)


def nobody(account: str) -> Person:
    """An account that belongs to none of the people who are configured: may see how it goes, and no more."""
    return Person(account, frozenset(), account)


def _never(arguments: Mapping[str, Any]) -> bool:
    return False


def _always(arguments: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True)
class Act:
    """One question: who may ask it, and what of it the log keeps."""

    roles: frozenset[Role]  # one of these; empty: everybody who may speak to the agent at all
    told: bool = False  # said in the chained log, before it is done
    names: tuple[str, ...] = ()  # the arguments that the log names: identifiers, never contents (law 9)
    shows: Callable[[Mapping[str, Any]], bool] = field(default=_never)  # does it show what patients' records say
    beside: bool = False  # done by the command itself, on files or the state; the agent is asked, and says it, before

    def is_told(self, arguments: Mapping[str, Any]) -> bool:
        return self.told or self.shows(arguments)


def _look(*roles: Role) -> Act:
    """Figures, names and states: no record's contents, nothing changes."""
    return Act(frozenset(roles))


def _act(role: Role, *names: str) -> Act:
    """Something changes, or leaves this machine."""
    return Act(frozenset({role}), told=True, names=names)


def _beside(role: Role, *names: str, when: Callable[[Mapping[str, Any]], bool] = _never) -> Act:
    """Done by a command on files, on the state or on a source, not by the agent. `when` it shows what patients' records say."""
    return Act(frozenset({role}), told=True, names=names, shows=when, beside=True)


def _contents(role: Role, *names: str, when: Callable[[Mapping[str, Any]], bool] = _always) -> Act:
    """What patients' records say: to a named person, for a reason, and said in the log first."""
    return Act(frozenset({role}), names=names, shows=when)


def _is_uid(arguments: Mapping[str, Any]) -> bool:
    """A trace of a study says whose it is; a trace of a document does not."""
    wanted = str(arguments.get("document", ""))
    return not arguments.get("key") and bool(wanted) and set(wanted) <= set("0123456789.")


def _asked(name: str) -> Callable[[Mapping[str, Any]], bool]:
    """Contents only when this argument asks for them."""
    return lambda arguments: bool(arguments.get(name))


_SYSTEM, _SECURITY, _AUDIT = Role.SYSTEM, Role.SECURITY, Role.AUDIT

ACTS: Mapping[str, Act] = {
    # --- how it goes: for everybody, also for a monitor's account; counts and states, nothing of a record
    "status": _look(),
    "source_list": _look(),
    "source_pauses": _look(),
    "source_visited": _look(),  # what a command beside the agent cost a source: said by itself
    "inlet_list": _look(),
    "images_inlets": _look(),
    "images_status": _look(),
    "public_keys": _look(),
    "whoami": _look(),
    "alarms": _look(),
    "alarms_history": _look(),
    "today": _look(),
    "certificates": _look(),
    "gap_status": _look(),
    "upgrades": _look(),
    # --- coming in at the console: whoever reaches it may try
    "console_login": _look(),
    "console_enter": _look(),
    "console_link": _look(),
    "console_visitor": _look(),
    "console_logout": _look(),
    # --- looking: the system administrator's daily work, and what audit and security see of it
    "source_show": _look(_SYSTEM, _AUDIT),
    "source_report": _look(_SYSTEM, _AUDIT),
    "inlet_show": _look(_SYSTEM),
    "inlet_messages": _look(_SYSTEM),
    "quarantine_list": _look(_SYSTEM, _AUDIT),
    "quarantine_groups": _look(_SYSTEM, _AUDIT),
    "quarantine_actors": _look(_SYSTEM, _AUDIT),
    "quarantine_group": _look(_SYSTEM, _AUDIT),
    "quarantine_case": _look(_SYSTEM, _AUDIT),
    "quarantine_releases": _look(_SYSTEM, _AUDIT),
    "quarantine_released": _look(_SYSTEM, _AUDIT),
    "withheld_list": _look(_SECURITY, _AUDIT),
    "vanished_list": _look(_SYSTEM, _AUDIT),
    "visits": _look(_SYSTEM, _AUDIT),
    "shadow_report": _look(_SYSTEM, _SECURITY),
    "rule_counts": _look(_SYSTEM, _AUDIT),
    "receipts": _look(_SYSTEM, _AUDIT),
    "registrations_list": _look(_SYSTEM, _AUDIT),
    "backfill_plan": _look(_SYSTEM),
    "backfill_list": _look(_SYSTEM, _AUDIT),
    "backfill_show": _look(_SYSTEM, _AUDIT),
    "backfill_watch": _look(_SYSTEM, _AUDIT),
    "images_backfill_list": _look(_SYSTEM, _AUDIT),
    "closing_list": _look(_SYSTEM, _AUDIT),
    "silences": _look(_SYSTEM, _AUDIT),
    "reconciliations": _look(_SYSTEM, _AUDIT),
    "reconciliation": _look(_SYSTEM, _AUDIT),
    "terms_unmapped": _look(_SYSTEM),
    "terms_beyond": _look(_SYSTEM),
    "terms_list": _look(_SYSTEM),
    "terms_show": _look(_SYSTEM),
    "terms_targets": _look(_SYSTEM),
    "terms_problems": _look(_SYSTEM),
    "terms_history": _look(_SYSTEM, _AUDIT),
    "images_instances": _look(_SYSTEM, _AUDIT),
    "images_wants": _look(_SYSTEM, _AUDIT),
    "image_groups": _look(_SYSTEM, _AUDIT),
    "image_cases": _look(_SYSTEM, _AUDIT),
    "images_list": Act(frozenset({_SYSTEM, _AUDIT}), names=("state", "accession"), shows=_asked("patient")),
    "trace_key": _look(_SYSTEM, _AUDIT),
    "trace": Act(frozenset({_SYSTEM, _AUDIT}), names=("document", "key"), shows=_is_uid),
    "trace_element": Act(frozenset({_SYSTEM, _AUDIT}), names=("document", "key", "element"), shows=_asked("show")),
    # --- what patients' records say
    "preview": _contents(_SYSTEM, "feed", "key", "newest"),
    "quarantine_show": _contents(_SYSTEM, "case"),
    "document": _contents(_SYSTEM, "document"),
    "inlet_message": _contents(_SYSTEM, "inlet", "message"),
    "inlet_tap": _contents(_SYSTEM, "inlet"),
    "rehearse": _contents(_SYSTEM, "feed", "low", "high", "mapping", "profile", "pack"),
    "images_show": _contents(_SYSTEM, "study"),
    "images_orders": _contents(_SYSTEM, "key", "study", "accession"),
    "image_case": _contents(_SYSTEM, "case"),
    "image_trace": _contents(_SYSTEM, "uid"),
    # --- the system administrator's acts
    "diagnosis": _act(_SYSTEM),
    "once": _act(_SYSTEM),
    "source_pause": _act(_SYSTEM, "source", "length"),
    "source_resume": _act(_SYSTEM, "source"),
    "inlet_read": _act(_SYSTEM, "inlet", "messages"),
    "inlet_discard": _act(_SYSTEM, "inlet", "messages"),
    "quarantine_release": _act(_SYSTEM, "ids", "groups", "everything", "feed", "rule"),
    "quarantine_discard": _act(_SYSTEM, "ids"),
    "vanished_decide": _act(_SYSTEM, "feed", "accepted"),
    "vanished_void": _act(_SYSTEM, "cases"),
    "visits_rebuild": _act(_SYSTEM),
    "backfill_start": _act(_SYSTEM, "feed", "low", "high", "rate", "windows"),
    "backfill_stop": _act(_SYSTEM, "number"),
    "backfill_resume": _act(_SYSTEM, "number"),
    "closing_close": _act(_SYSTEM, "month"),
    "closing_open": _act(_SYSTEM, "month"),
    "reconcile": _act(_SYSTEM, "feed", "first", "last", "department", "resend", "closed"),
    "receipts_confirm": _act(_SYSTEM, "destination", "documents"),
    "receipts_reopen": _act(_SYSTEM, "destination", "documents", "refused"),
    "registrations_known": _act(_SYSTEM, "destination"),
    "terms_decide": _act(_SYSTEM, "even_so"),
    "terms_undo": _act(_SYSTEM, "table", "code"),
    "images_look": _act(_SYSTEM, "studies"),
    "images_release": _act(_SYSTEM, "studies", "pixels"),
    "images_discard": _act(_SYSTEM, "studies"),
    "images_send": _act(_SYSTEM, "studies", "destinations"),
    "images_pull": _act(_SYSTEM, "studies", "inlet"),
    "images_key": _act(_SYSTEM, "study", "chosen"),
    "image_release": _act(_SYSTEM, "cases"),
    "image_discard": _act(_SYSTEM, "cases"),
    "images_backfill_begin": _act(_SYSTEM, "begin", "end", "inlet"),
    "images_backfill_turn": _act(_SYSTEM, "inlet", "running"),
    "alarms_mute": _act(_SYSTEM, "kind", "subject", "length"),
    "alarms_test": _act(_SYSTEM, "channel"),
    "alarms_unmute": _act(_SYSTEM, "number", "kind", "subject"),
    "adopt": _beside(_SYSTEM),
    "upgrade_install": _beside(_SYSTEM, "version"),
    "upgrade_rollback": _beside(_SYSTEM, "version"),
    "upgrade_confirm": _beside(_SYSTEM, "version"),
    "run_once": _beside(_SYSTEM),  # `once` where no agent runs
    "try_write": _beside(_SYSTEM, "sources"),
    "look_at_system": _beside(_SYSTEM, "source", "kinds", when=_asked("document")),  # init --source
    "images_deidentify": _beside(_SYSTEM, "destination", "files"),
    # --- the security administrator's
    "withheld_acknowledge": _act(_SECURITY, "ids"),
    "secret_set": _beside(_SECURITY, "name", "place"),
    "at_rest_rekey": _beside(_SECURITY),
    "at_rest_secret": _beside(_SECURITY, "name"),
    "pack_install": _beside(_SECURITY, "pack", "digest"),
    "pack_shadow": _beside(_SECURITY, "pack"),
    "pack_activate": _beside(_SECURITY, "pack"),
    "gap_keys": _beside(_SECURITY, "fingerprint"),
    "gap_pair": _beside(_SECURITY, "fingerprint"),
    "gap_restart": _act(_SECURITY),
    "enroll": _beside(_SECURITY, "platform"),
    "certificate_renew": _beside(_SECURITY, "platforms"),
    "certificate_leave": _beside(_SECURITY, "platform"),
    "people_list": _look(_SECURITY, _AUDIT),
    "console_accounts": _look(_SECURITY, _AUDIT),
    "console_password": _act(_SECURITY, "name"),
    "console_remove": _act(_SECURITY, "name"),
    # --- the audit administrator's
    "qc_log": _look(_AUDIT),
    "qc_verify": _look(_AUDIT),
    "qc_export": _act(_AUDIT),
    "report_about": _look(_SYSTEM, _AUDIT),
    "report_figures": _look(_SYSTEM, _AUDIT),
    "report_details": _look(_SYSTEM, _AUDIT),
    "report_documents": _look(_SYSTEM, _AUDIT),
    "report_sample": _contents(_AUDIT, "document", when=_asked("whole")),
    "report_consent": _act(_AUDIT, "documents"),
}


BESIDE = frozenset(name for name, act in ACTS.items() if act.beside)

_UNKNOWN = Act(frozenset(), told=True)


def may(person: Person, act: str) -> bool:
    """Whether this person's role has this act. An act that is not in the table is nobody's, where people are configured."""
    if not person.is_named:
        return True
    known = ACTS.get(act)
    return known is not None and (not known.roles or bool(person.roles & known.roles))


def act_of(act: str) -> Act:
    """Its line in the table. What is not there is said in the log, and whoever is not named may do it."""
    return ACTS.get(act, _UNKNOWN)


def needs_reason(person: Person, act: str, arguments: Mapping[str, Any]) -> bool:
    """Whether this shows what patients' records say, to one of the people who are configured."""
    return person.is_named and act_of(act).shows(arguments)


def refusal(person: Person, act: str) -> str:
    """Why not, and who may: what the person reads. Only for what `may` denies."""
    known = ACTS.get(act)
    if known is None:
        return f"{act}: no role has this act"
    roles = " or ".join(ROLE_NAMES[role][0] for role in sorted(known.roles))
    names = "、".join(ROLE_NAMES[role][1] for role in sorted(known.roles))
    if not person.roles and person.account == "root":
        return (
            f"{act}: root is nobody's own account; log in with yours and use sudo: this is for the {roles} ({names}); "
            "nothing was done"
        )
    if not person.roles:
        return (
            f"{act}: the account {person.account or person.name!r} is nobody's in [people] of agent.toml; "
            f"this is for the {roles} ({names})"
        )
    mine = " and ".join(ROLE_NAMES[role][0] for role in sorted(person.roles))
    return f"{act}: {person.name} is {mine}, and this is for the {roles} ({names}); nothing was done"


def told_arguments(act: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the log keeps of a question: its identifiers, bounded. Nothing that is not named in the table."""
    return {
        name: _bounded(arguments[name])
        for name in act_of(act).names
        if arguments.get(name) not in (None, "", [], (), False)
    }


def _bounded(value: Any) -> Any:
    if isinstance(value, bool | int):
        return value
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        values = list(value)
        told = [_bounded(one) for one in values[:MOST_TOLD]]
        return told if len(values) <= MOST_TOLD else [*told, f"… {len(values)}"]
    return str(value)[:LONGEST_TOLD]
