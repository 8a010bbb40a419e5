"""What stands on each page, and what each form does."""

import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from frontend_agent.cli.reports import Asked, known_codes, write
from frontend_agent.cli.texts import Texts
from frontend_agent.console.attention import STUCK, attention
from frontend_agent.console.pages import ICON, LANGUAGE_COOKIE, LANGUAGES, STYLE, Called, Refused, Site
from frontend_agent.console.words import say
from frontend_agent.control import AnsweredError

LOG_PAGE = 50
CASES_SHOWN = 200
REPORT_FORMS = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html; charset=utf-8",
}
LONGEST_REPORT = 3 * 366  # days
COLUMNS = ("final", "documents", "warned", "held", "withheld", "mended", "delivered", "pass_rate")  # the report has all


class Rooms:
    """The pages of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._agent = site.agent

    def routes(self) -> list[Route]:
        page, room = self._site.page, self
        get, post = ["GET"], ["POST"]
        return [
            Route("/login", self._site.open_page(room.login), methods=["GET", "POST"]),
            Route("/enter", self._site.open_page(room.enter), methods=get),
            Route("/language", self._site.open_page(room.language), methods=get),
            Route("/logout", page(room.logout), methods=post),
            Route("/", page(room.overview), methods=get),
            Route("/quarantine", page(room.quarantine, "quarantine_groups"), methods=get),
            Route("/quarantine/group/{group}", page(room.group, "quarantine_group"), methods=get),
            Route("/quarantine/case/{case}", page(room.case, "quarantine_group"), methods=get),
            Route("/quarantine/show/{case}", page(room.record, "quarantine_show"), methods=post),
            Route("/quarantine/release", page(room.release, "quarantine_release"), methods=post),
            Route("/quarantine/discard", page(room.discard, "quarantine_discard"), methods=post),
            Route("/quarantine/releases", page(room.releases, "quarantine_releases"), methods=get),
            Route("/quarantine/releases/{number:int}", page(room.released, "quarantine_released"), methods=get),
            Route("/terms", page(room.terms, "terms_unmapped"), methods=get),
            Route("/terms/code", page(room.term, "terms_unmapped"), methods=get),
            Route("/terms/decide", page(room.decide, "terms_decide"), methods=post),
            Route("/sources", page(room.sources, "source_list"), methods=get),
            Route("/sources/pause", page(room.pause, "source_pause"), methods=post),
            Route("/sources/resume", page(room.resume, "source_resume"), methods=post),
            Route("/images", page(room.images, "images_status"), methods=get),
            Route("/alarms", page(room.alarms, "alarms"), methods=get),
            Route("/alarms/mute", page(room.mute, "alarms_mute"), methods=post),
            Route("/alarms/unmute", page(room.unmute, "alarms_unmute"), methods=post),
            Route("/log", page(room.log, "qc_log"), methods=get),
            Route("/log/verify", page(room.verify, "qc_verify"), methods=post),
            Route("/log/export", page(room.export, "qc_export"), methods=post),
            Route("/reports", page(room.reports, "report_figures"), methods=get),
            Route("/reports/file", page(room.report_file, "report_details"), methods=get),
            Route("/trust", page(room.trust), methods=get),
            Route("/static/console.css", self._site.static(STYLE, "text/css"), methods=get),
            Route("/static/icon.svg", self._site.static(ICON, "image/svg+xml"), methods=get),
        ]

    # --- coming in ----------------------------------------------------------------------------------------------------

    def login(self, called: Called) -> Response:
        """By name, password and code; where no people are configured, by a link from the command line alone."""
        to = _own_address(called.said("to") or called.asked("to"))
        if called.request.method == "POST":
            given = {name: called.said(name)[:1000] for name in ("name", "code")}
            password = next(iter(called.form.get("password", [])), "")[:1000]  # spaces belong to it
            try:
                let_in = self._agent.ask("", "console_login", **given, password=password, address=called.address)
            except AnsweredError as error:
                return self._login(called, to, str(error), 403, given["name"])
            return self._came_in(let_in["session"], to)
        return self._login(called, to)

    def _login(self, called: Called, to: str, problem: str = "", status: int = 200, name: str = "") -> Response:
        has_people = self._site.has_people
        return self._site.show(called, "login.html", status, to=to, problem=problem, name=name, has_people=has_people)

    def enter(self, called: Called) -> Response:
        """By a link that `frontend-agent console link` made."""
        try:
            let_in = self._agent.ask("", "console_enter", key=called.asked("key"), address=called.address)
        except AnsweredError as error:
            return self._login(called, "/", str(error), 403)
        return self._came_in(let_in["session"], "/")

    def _came_in(self, session: str, to: str) -> Response:
        answer = RedirectResponse(to, 303)
        answer.set_cookie(self._site.cookie, session, httponly=True, secure=self._site.tls, samesite="strict", path="/")
        return answer

    def logout(self, called: Called) -> Response:
        self._agent.ask("", "console_logout", session=called.visitor.session)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(self._site.cookie, secure=self._site.tls, httponly=True, samesite="strict")
        return answer

    def language(self, called: Called) -> Response:
        """Chosen by hand, it stays chosen."""
        answer = RedirectResponse(_own_address(called.asked("to")), 303)
        chosen = called.asked("lang")
        if chosen in LANGUAGES:
            answer.set_cookie(
                LANGUAGE_COOKIE, chosen, max_age=365 * 86400, httponly=True, secure=self._site.tls, samesite="strict"
            )
        return answer

    # --- how it goes --------------------------------------------------------------------------------------------------

    def overview(self, called: Called) -> Response:
        session = called.visitor.session
        status, today = self._agent.look(session, "status"), self._agent.look(session, "today")
        unmapped = (
            len(self._rows(called, "terms_unmapped", proposals=0)) if called.visitor.may("terms_unmapped") else None
        )
        alarms = self._agent.look(session, "alarms")["alarms"]
        stuck = sum(one["states"].get(state, 0) for one in status["destinations"] for state in STUCK)
        images = status["images"] or {"destinations": []}
        waiting = sum(one["waiting"] for one in (*status["destinations"], *images["destinations"]))
        return self._site.show(
            called, "overview.html", status=status, today=today, alarms=alarms, lines=attention(status), unmapped=unmapped,
            waiting=waiting, stuck=stuck, delivered=_sum(today["destinations"], "delivered", "accepted"),
            made=_sum(today["feeds"], "documents"), held=_sum(today["feeds"], "held"),
        )  # fmt: skip

    def sources(self, called: Called) -> Response:
        return self._site.show(
            called, "sources.html", status=self._agent.look(called.visitor.session, "status"), said=called.asked("said")
        )

    def pause(self, called: Called) -> Response:
        """Leave a source alone."""
        length = called.said("length") or None
        self._ask(called, "source_pause", source=called.said("source"), who=called.visitor.name, length=length,
                  reason=_must(called, "reason"))  # fmt: skip
        return self._site.said(called, "/sources", "paused")

    def resume(self, called: Called) -> Response:
        self._ask(called, "source_resume", source=called.said("source"), who=called.visitor.name)
        return self._site.said(called, "/sources", "resumed")

    def images(self, called: Called) -> Response:
        may = called.visitor.may
        wants = self._ask(called, "images_wants", limit=100) if may("images_wants") else []
        groups = self._ask(called, "image_groups") if may("image_groups") else []
        return self._site.show(
            called, "images.html", images=self._ask(called, "images_status"), wants=wants, groups=groups
        )

    def alarms(self, called: Called) -> Response:
        """What is wrong now, why, and how to mend it; and what was."""
        return self._site.show(
            called, "alarms.html", told=self._ask(called, "alarms"), history=self._ask(called, "alarms_history", limit=50),
            said=called.asked("said"),
        )  # fmt: skip

    def mute(self, called: Called) -> Response:
        """Nobody is told of this one for a while."""
        self._ask(called, "alarms_mute", who=called.visitor.name, reason=_must(called, "reason"), kind=called.said("kind"),
                  subject=called.said("subject"), length=called.said("length") or None)  # fmt: skip
        return self._site.said(called, "/alarms", "muted")

    def unmute(self, called: Called) -> Response:
        number = called.said("number")
        if not number.isdigit():
            raise Refused(say(called.visitor.lang, "nothing_ticked"))
        self._ask(called, "alarms_unmute", who=called.visitor.name, number=int(number))
        return self._site.said(called, "/alarms", "unmuted")

    def trust(self, called: Called) -> Response:
        """Versions, rules, keys, and who may come in here."""
        may = called.visitor.may
        return self._site.show(
            called, "trust.html",
            status=self._agent.look(called.visitor.session, "status"),
            keys=self._ask(called, "public_keys"),
            certificates=self._ask(called, "certificates"),
            upgrades=self._ask(called, "upgrades"),
            people=self._ask(called, "console_accounts") if may("console_accounts") else None,
            tls=self._site.tls,
        )  # fmt: skip

    # --- quarantine ---------------------------------------------------------------------------------------------------

    def quarantine(self, called: Called) -> Response:
        wanted = {name: called.asked(name) or None for name in ("feed", "actor")}
        told = self._ask(called, "quarantine_groups", **wanted)
        actors = self._ask(called, "quarantine_actors", feed=wanted["feed"])
        feeds = [feed.name for feed in self._site.config.feeds]
        return self._site.show(
            called, "quarantine.html", told=told, actors=actors, asked=wanted, feeds=feeds, said=called.asked("said"), n=called.asked("n"),
        )  # fmt: skip

    def group(self, called: Called) -> Response:
        name = called.part("group")
        groups = self._ask(called, "quarantine_groups")["groups"]
        group = next((one for one in groups if one["id"] == name), None)
        if group is None:
            return self._site.show(called, "gone.html", 404)
        cases = self._rows(called, "quarantine_group", group=name)
        return self._site.show(called, "group.html", group=group, cases=cases[:CASES_SHOWN], shown=CASES_SHOWN)

    def case(self, called: Called) -> Response:
        return self._case(called, called.part("case"))

    def record(self, called: Called) -> Response:
        """What the record itself says: for a reason, which is written down first."""
        case = called.part("case")
        shown = self._agent.ask(called.visitor.session, "quarantine_show", _must(called, "reason"), case=case)
        return self._case(called, case, shown)

    def _case(self, called: Called, name: str, shown: dict[str, Any] | None = None) -> Response:
        found = self._ask(called, "quarantine_case", case=name)
        values = sorted(_flat(shown["record"])) if shown and "record" in shown else None
        return self._site.show(called, "case.html", case=found, values=values)

    def release(self, called: Called) -> Response:
        """A whole group, or the cases that were ticked: judged anew by what holds today."""
        cases, groups = called.all_said("case"), called.all_said("group") if called.said("whole") else []
        if not cases and not groups:
            raise Refused(say(called.visitor.lang, "nothing_ticked"))
        told = self._rows(called, "quarantine_release", ids=[] if groups else cases, groups=groups, who=called.visitor.name, wait=False,
            reason=called.said("reason"),
        )  # fmt: skip
        number = next((row["result"]["id"] for row in told if "result" in row), None)
        if number is None:
            return self._site.said(called, "/quarantine", "images_released", n=str(len(cases)))
        return RedirectResponse(f"/quarantine/releases/{number}", 303)

    def discard(self, called: Called) -> Response:
        cases = called.all_said("case")
        if not cases:
            raise Refused(say(called.visitor.lang, "nothing_ticked"))
        told = self._ask(
            called, "quarantine_discard", ids=cases, who=called.visitor.name, reason=_must(called, "reason")
        )
        return self._site.said(called, "/quarantine", "discarded", n=str(told["discarded"]))

    def releases(self, called: Called) -> Response:
        return self._site.show(called, "releases.html", releases=self._ask(called, "quarantine_releases", limit=50))

    def released(self, called: Called) -> Response:
        number = int(called.part("number"))
        return self._site.show(
            called, "released.html", release=self._ask(called, "quarantine_released", release=number)
        )

    # --- code tables --------------------------------------------------------------------------------------------------

    def terms(self, called: Called) -> Response:
        everything = bool(called.asked("all"))
        waiting = self._rows(called, "terms_unmapped", everything=everything)
        return self._site.show(
            called, "terms.html", waiting=waiting, beyond=self._ask(called, "terms_beyond"), everything=everything,
            said=called.asked("said"), n=called.asked("n"),
        )  # fmt: skip

    def term(self, called: Called) -> Response:
        """One local code: what it may mean, and the decision."""
        return self._term(called, called.asked("table"), called.asked("code"))

    def _term(self, called: Called, table: str, code: str, problems: tuple[str, ...] = ()) -> Response:
        waiting = self._rows(called, "terms_unmapped", everything=True)
        found = next((one for one in waiting if (one["table"], one["code"]) == (table, code)), None)
        if found is None:
            return self._site.show(called, "gone.html", 404)
        return self._site.show(
            called, "term.html", 409 if problems else 200, one=found, targets=self._targets(called, table),
            problems=problems, given={name: called.said(name) for name in ("target", "reason")},
        )  # fmt: skip

    def _targets(self, called: Called, table: str) -> list[list[str]]:
        try:
            targets: list[list[str]] = self._ask(called, "terms_targets", table=table)
        except AnsweredError:
            return []  # a map that is not in use any more: the code alone is typed
        return targets

    def decide(self, called: Called) -> Response:
        """Approve a target, or say that there is none."""
        table, code = called.said("table"), next(iter(called.form.get("code", [])), "")
        target = called.said("target") or called.said("proposed")
        rejecting = called.said("do") == "reject"
        decision = {
            "table": table,
            "code": code,
            "target": "" if rejecting else target,
            "reason": called.said("reason"),
        }
        if not rejecting and not target:
            return self._term(called, table, code, (say(called.visitor.lang, "no_target"),))
        asked = {"decisions": [decision], "who": called.visitor.name, "even_so": bool(called.said("even_so"))}
        problems = self._ask(called, "terms_problems", **asked)
        if problems:
            told = tuple(problem["text"][called.visitor.lang] for problem in problems)
            return self._term(called, table, code, told)
        answer = self._ask(called, "terms_decide", **asked)
        return self._site.said(called, "/terms", "rejected" if rejecting else "approved", n=str(answer["read_again"]))

    # --- proofs -------------------------------------------------------------------------------------------------------

    def log(self, called: Called) -> Response:
        return self._log(called)

    def verify(self, called: Called) -> Response:
        return self._log(called, self._ask(called, "qc_verify"))

    def _log(self, called: Called, verdict: dict[str, Any] | None = None) -> Response:
        before, event = called.asked("before"), called.asked("event")
        asked: dict[str, Any] = {"limit": LOG_PAGE, "event": event}
        if before.isdigit():
            asked["before"] = min(int(before), 1 << 62)
        entries = [_entry(one) for one in reversed(self._rows(called, "qc_log", **asked))]
        return self._site.show(
            called, "log.html", entries=entries, verdict=verdict, event=event, before=before, page=LOG_PAGE
        )

    def export(self, called: Called) -> Response:
        """The whole log as an auditor takes it away; it can be verified without us."""
        lines: Iterator[str] = self._agent.rows(called.visitor.session, "qc_export")
        name = f"qc-log-{self._site.config.institution.id}-{self._site.clock():%Y%m%d}.jsonl"
        return StreamingResponse(
            (line if line.endswith("\n") else line + "\n" for line in lines),
            media_type="application/x-ndjson",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def reports(self, called: Called) -> Response:
        """The figures of a period; its report to be taken away."""
        first, last, problem = self._period(called)
        figures = None
        if not problem:
            asked = self._asked(called)
            figures = asked.told(asked.figures(asked.period(first, last, None)))
        return self._site.show(
            called, "reports.html", 400 if problem else 200, first=first, last=last, problem=problem, figures=figures,
            names=self._asked(called).names if figures else None,
            known=frozenset(known_codes()), columns=COLUMNS,
        )  # fmt: skip

    def report_file(self, called: Called) -> Response:
        """As `qc report --out` writes it."""
        first, last, problem = self._period(called)
        form = called.asked("form")
        if problem or form not in REPORT_FORMS:
            raise Refused(problem or "xlsx | html")
        asked = self._asked(called)
        figures = asked.figures(asked.period(first, last, None))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"report.{form}")
            write(asked.report(figures), path)
            content = path.read_bytes()
        name = f"report-{first}-{last}.{form}"
        return Response(
            content,
            media_type=REPORT_FORMS[form],
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def _asked(self, called: Called) -> Asked:
        def ask(question: str, **arguments: Any) -> Any:
            return self._agent.rows(called.visitor.session, question, **arguments) if question in _LONG else (
                self._ask(called, question, **arguments)
            )  # fmt: skip

        return Asked(ask, Texts("zh" if called.visitor.lang == "zh" else "en"))

    def _period(self, called: Called) -> tuple[str, str, str]:
        """(first, last, what is wrong): nothing asked means yesterday."""
        yesterday = (self._site.clock().astimezone(self._site.zone) - timedelta(days=1)).date()
        first = called.asked("first") or called.asked("last") or yesterday.isoformat()
        last = called.asked("last") or max(first, yesterday.isoformat())
        try:
            days = (date.fromisoformat(last) - date.fromisoformat(first)).days
        except ValueError:
            return first, last, say(called.visitor.lang, "bad_day")
        if not 0 <= days <= LONGEST_REPORT:
            return first, last, say(called.visitor.lang, "bad_period", days=LONGEST_REPORT)
        return first, last, ""

    def _rows(self, called: Called, question: str, **arguments: Any) -> list[Any]:
        return self._agent.first_rows(called.visitor.session, question, **arguments)

    def _ask(self, called: Called, question: str, **arguments: Any) -> Any:
        return self._agent.ask(called.visitor.session, question, **arguments)


_LONG = ("report_figures", "report_details")


def _must(called: Called, name: str) -> str:
    """What a form must say."""
    if not (given := called.said(name)):
        raise Refused(say(called.visitor.lang, "no_reason"))
    return given


def _own_address(to: str) -> str:
    """An address of ours: one path, never another site's (`//elsewhere`, `/\\elsewhere`)."""
    safe = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable() and "\\" not in to
    return to if safe else "/"


def _sum(figures: dict[str, dict[str, int]], *names: str) -> int:
    return sum(one.get(name, 0) for one in figures.values() for name in names)


def _entry(body: dict[str, Any]) -> dict[str, Any]:
    """One entry of the log: what every entry has by itself, the rest as it is written."""
    own = ("seq", "at", "event", "hash", "prev")
    rest = {name: value for name, value in body.items() if name not in own}
    return {**{name: body.get(name, "") for name in own}, "rest": sorted(rest.items())}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """A record as (field, value) pairs; rows of a group by their number."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _flat(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for number, one in enumerate(value, 1):
            yield from _flat(one, f"{name}[{number}]")
    elif value not in (None, ""):
        yield name, str(value)
