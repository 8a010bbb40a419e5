"""What can be asked and said about images: see `operations.py`, which this is a part of."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from frontend_agent.config import Config, unknown
from frontend_agent.delivery import State
from frontend_agent.dicom.header import Header
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.imaging.letting import LOOKED, holding
from frontend_agent.imaging.model import Instance, Order, Study, StudyState, Want
from frontend_agent.imaging.noting import keep_note
from frontend_agent.imaging.pausing import pause_name
from frontend_agent.model import Severity
from frontend_agent.spool.image_desk import Desk
from frontend_agent.spool.image_words import rules_of
from frontend_agent.spool.images import Images
from frontend_agent.telling import plain, told

if TYPE_CHECKING:
    from frontend_agent.imaging.deidentifying import Profile

STUCK = ("refused", "blocked", "damaged")
PAGE = 500
REPLACED = "2.25."  # how a UID begins that stands for another


class NoStudy(FrontendAgentError):
    """There is no such study here. Nothing was changed."""


class ImageOperations:
    """Each public method is a question that can be asked by its name."""

    _app: Any
    _spool: Any
    _daemon: Any

    # --- looking ------------------------------------------------------------------------------------------------------

    def images_list(
        self, state: str = "", patient: str = "", accession: str = "", limit: int = 50, before: int = 0
    ) -> list[dict[str, Any]]:
        """Studies, the newest first."""
        if state and state not in list(StudyState):
            raise ConfigurationError(unknown("state", state, list(StudyState)))
        only = StudyState(state) if state else None
        found = self._book.studies(only, limit=limit, after=before, patient_id=patient, accession=accession)
        return [self._told_study(one) for one in found]

    def images_show(self, study: str) -> dict[str, Any]:
        """One study: its series, its order, what its PACS says, its findings, and how it stands at each destination."""
        found = self._study_found(study)
        instances = self._book.instances(found.id)
        series: dict[str, dict[str, Any]] = {}
        for one in instances:
            header = one.header
            row = series.setdefault(
                header.series_instance_uid,
                {"series_instance_uid": header.series_instance_uid, "modality": header.modality, "number": header.series_number,
                 "description": header.series_description, "instances": 0, "conflicts": 0, "size": 0, "changed": 0,
                 "expected": found.expected.series.get(header.series_instance_uid) if found.expected else None},
            )  # fmt: skip
            row["conflicts" if one.is_conflict else "instances"] += 1
            row["size"] += one.size
            row["changed"] += one.sent_sha256 != one.sha256
        first = instances[0].header if instances else None
        known_as = self._book.known_as(found.study_instance_uid)
        variant, there = self._named_there(study)
        return {
            **self._told_study(found),
            "patient": {"name": first.patient_name, "id": first.patient_id, "sex": first.patient_sex,
                        "birth_date": first.patient_birth_date} if first else {},
            "description": first.study_description if first else "",
            "order": plain(found.order) if found.order else None,
            "expected": plain(found.expected) if found.expected else None,
            "findings": [told(one) for one in found.findings],
            "let_go": list(found.let_go),
            "known_as": known_as,
            "pseudonyms": {
                name: profile.pseudonym(_patient_of(first)) for name, profile in self._profiles().items() if first and name in known_as
            },
            "asked_for": {"sop_instance_uid": variant, "destination": there} if variant else None,
            "series": list(series.values()),
            "senders": sorted({f"{one.inlet}: {one.sender.rpartition('/')[2]}" for one in instances})[:20],
            "reasons": [
                {"destination": name, "sop_instance_uid": uid, "state": state, "reasons": reasons}
                for name, uid, state, reasons in self._book.reasons(found.id)
            ],
        }  # fmt: skip

    def images_instances(self, study: str) -> Iterator[dict[str, Any]]:
        """All instances of a study."""
        found = self._study_found(study)
        sent = self._book.known_as(found.study_instance_uid)
        profiles = {name: profile for name, profile in self._profiles().items() if name in sent}
        return (
            {
                **_told_instance(one),
                "known_as": {name: profile.uid(one.header.sop_instance_uid) for name, profile in profiles.items()},
            }
            for one in self._book.instances(found.id)
        )

    def images_orders(self, key: str = "", study: str = "", accession: str = "") -> list[dict[str, Any]]:
        """What RIS says, by a study's UID, an accession number or the order's own number."""
        if not (key or study or accession):
            raise ConfigurationError("which order: by its number, a study's UID or an accession number")
        found: list[Order] = self._book.find_order(study_instance_uid=study, accession_number=accession, key=key)
        return [plain(one) for one in found]

    def images_wants(self, everything: bool = False, limit: int = 100) -> list[dict[str, Any]]:
        """Studies that should be here and are not yet, the newest first."""
        return [plain(one) for one in self._book.wants(open_only=not everything, limit=limit)]

    def images_inlets(self) -> list[dict[str, Any]]:
        """Where images come in, and how each stands."""
        standing = self._daemon.imaging.told_inlets() if self._imaging is not None else {}
        images = self._app.config.images
        types = {name: one.type for name, one in images.inlets.items()}
        if images.orders is not None:  # RIS is asked as an inlet is
            types["images.orders"] = "orders"
        return [
            {"type": kind, "running": False, "problem": "", **standing.get(name, {}), "name": name}
            for name, kind in types.items()
        ]

    def images_status(self) -> dict[str, Any] | None:
        """Studies by state, instances by destination, room. None: this agent has nothing to do with images."""
        config = self._app.config
        if not config.has_images:
            return None
        tallies = self._book.tallies()
        pauses = {pause.name: pause for pause in self._spool.pauses()}
        destinations = []
        for name, options in config.images.destinations.items():
            states = tallies.get(name, {})
            pause = pauses.get(pause_name(name))
            destinations.append(
                {"name": name, "url": options.url, "waiting": self._book.waiting(name), "states": dict(states),
                 "failures": pause.failures if pause else 0, "problem": pause.problem if pause and pause.failures else "",
                 **(self._imaging.told_sender(name) if self._imaging is not None else {})}
            )  # fmt: skip
        destinations += [_taken_out(name, states) for name, states in tallies.items() if _is_left(config, name, states)]
        return {
            "studies": {state: n for state, n in tallies["studies"].items() if n},
            "destinations": destinations,
            "inlets": self.images_inlets(),
            "wants": self._book.want_counts(),
            "bytes": self._book.used(),
            "quota": int(config.images.quota),
            "problem": self._imaging.watcher.problem if self._imaging is not None else "",
        }

    # --- deciding -----------------------------------------------------------------------------------------------------

    def images_release(self, studies: Sequence[str], who: str, pixels: bool = False) -> dict[str, Any]:
        """Let held studies go: their findings are noted with who did it. `pixels`: he has looked at them, and they show nobody."""
        found = [self._study_found(one) for one in studies]
        count = 0
        for study in found:
            if pixels:
                self._book.put_mark(LOOKED + study.study_instance_uid, who)
                names = [name for name, n in self._stuck_of(study).items() if n]
                count += bool(self._book.send_stuck(study.id, names, who, self._images_now()))
            count += self._book.release(study.id, who, self._images_now()) and not pixels
        return self._images_woken({"released": count})

    def images_look(self, studies: Sequence[str]) -> dict[str, Any]:
        """Judge them anew, by the rules and orders of now."""
        found = [self._study_found(one) for one in studies]
        return self._images_woken(
            {"looked_at": sum(self._book.look_again(one.id, self._images_now()) for one in found)}
        )

    def images_discard(self, studies: Sequence[str], who: str, reason: str) -> dict[str, Any]:
        """They are not to be sent. Their files go when their term is over."""
        found = [self._study_found(one) for one in studies]
        return {"discarded": sum(self._book.discard(one.id, who, reason, self._images_now()) for one in found)}

    def images_send(self, studies: Sequence[str], destinations: Sequence[str], who: str) -> dict[str, Any]:
        """Deliver them (again) to these destinations; all, if none is named. What is no longer here is fetched first."""
        known = self._app.config.images.destinations
        for name in destinations:
            if name not in known:
                raise ConfigurationError(unknown("destination", name, known))
        found = [self._study_found(one) for one in studies]
        count, fetched = 0, 0
        for study in found:
            count += self._book.send_again(study.id, list(destinations) or list(known), who, self._images_now())
            if not study.has_files:
                fetched += self._images_want(Want(study_instance_uid=study.study_instance_uid, why=f"asked by {who}"))
        return self._images_woken({"instances": count, "wanted": fetched})

    def images_pull(self, studies: Sequence[str], who: str, inlet: str = "") -> dict[str, Any]:
        """Fetch these studies now, by UID or accession number, from the PACS of an inlet; of the only one, if none is named."""
        inlets = self._app.config.images.inlets
        asking = [name for name, one in inlets.items() if hasattr(one, "asks_for")]
        if inlet and inlet not in asking:
            raise ConfigurationError(unknown("inlet that asks a PACS", inlet, asking))
        if not asking:
            raise ConfigurationError("no inlet asks a PACS: add [images.inlets.NAME] of type dicom-query or dicomweb")
        if len(asking) > 1 and not inlet:
            raise ConfigurationError(f"which PACS is asked: --inlet {' or '.join(asking)}")
        wanted = 0
        for one in studies:
            uid, accession = (one, "") if _is_uid(one) else ("", one)
            wanted += self._images_want(
                Want(
                    inlet=inlet or asking[0], study_instance_uid=uid, accession_number=accession, why=f"asked by {who}"
                )
            )
        return self._images_woken({"wanted": wanted})

    def images_key(self, study: str, chosen: Sequence[str], title: str, text: str, who: str) -> dict[str, Any]:
        """Choose images of a study by their UIDs: a key image note that goes where the study goes."""
        found = self._study_found(study)
        with self._images_desk() as desk:
            uid = keep_note(
                self._book, desk, found, chosen, title, text, self._app.config.institution, self._images_now(), who
            )
        return self._images_woken({"sop_instance_uid": uid})

    # --- quarantine ---------------------------------------------------------------------------------------------------

    def image_cases(self, rule: str | None = None) -> Iterator[dict[str, Any]]:
        """What waits for a person: held studies, and those of which a destination did not take something."""
        return (
            case for case in self._image_cases() if rule is None or rule in [one["rule"] for one in case["findings"]]
        )

    def _image_cases(self) -> Iterator[dict[str, Any]]:
        after = 0
        while page := self._book.studies(StudyState.HELD, limit=PAGE, after=after):
            yield from map(self._image_case, page)
            after = page[-1].id
        place = 0
        while rows := self._book.stuck(place, PAGE):
            for number, destination, _ in rows:
                study = self._book.study(number)
                if study is not None:
                    yield self._image_case(study, destination)
            place = rows[-1][0]

    def image_groups(self) -> list[dict[str, Any]]:
        """Held studies by the rule that holds them, and what destinations did not take: a line each, with an example."""
        groups: dict[str, dict[str, Any]] = {}
        for case in self.image_cases():
            said = [one for one in case["findings"] if one["severity"] == Severity.HOLD] or case["findings"][:1]
            names = (
                {one["rule"]: one["text"] for one in said} if not case["destination"] else {case["destination"]: None}
            )
            for name, text in names.items() or {"": None}.items():
                group = groups.setdefault(
                    name or case["state"],
                    {"rule": "" if case["destination"] else name, "destination": case["destination"], "state": case["state"],
                     "count": 0, "since": case["since"], "example": case["id"], "text": text, "reasons": case["reasons"]},
                )  # fmt: skip
                group["count"] += 1
                group["since"] = min(group["since"], case["since"])
        return sorted(groups.values(), key=lambda one: -one["count"])

    def image_case(self, case: str) -> dict[str, Any] | None:
        """One case `I12` or `I12@region`, with all that is known of the study."""
        number, _, destination = case.removeprefix("I").partition("@")
        study = self._book.study(int(number)) if number.isdecimal() else None
        if study is None or not self._image_waits(study, destination):
            return None
        return {**self._image_case(study, destination), "study": self.images_show(str(study.id))}

    def image_release(self, cases: Sequence[str], who: str) -> int:
        """Judge held studies again by the rules of now, and send again what a destination did not take. How many."""
        count = 0
        for case in cases:
            number, _, destination = case.removeprefix("I").partition("@")
            if destination:
                count += bool(self._book.send_stuck(int(number), [destination], who, self._images_now()))
            else:
                count += self._book.look_again(int(number), self._images_now())
        self._images_woken({})
        return count

    def image_discard(self, cases: Sequence[str], who: str, reason: str) -> int:
        """They are not to be sent: whole studies, or what one destination did not take. How many."""
        count = 0
        for case in cases:
            number, _, destination = case.removeprefix("I").partition("@")
            if destination:
                count += bool(self._book.discard_stuck(int(number), destination, who, reason, self._images_now()))
            else:
                count += self._book.discard(int(number), who, reason, self._images_now())
        return count

    def image_trace(self, uid: str) -> dict[str, Any] | None:
        """A study by its UID (or an instance's), and what the log says of it."""
        study = self._book.study_of(uid) or self._book.study_with(uid)
        if study is None:
            return None
        return {**self.images_show(str(study.id)), "log": self._book.log_of(study.study_instance_uid)}

    # --- the parts of it ----------------------------------------------------------------------------------------------

    @property
    def _book(self) -> Images:
        found: Images = self._spool.images
        return found

    @property
    def _imaging(self) -> Any:
        return self._daemon.imaging if self._daemon is not None else None

    @contextmanager
    def _images_desk(self) -> Iterator[Desk]:
        """The daemon's, or one of our own while none runs."""
        if self._imaging is not None:
            yield self._imaging.desk
            return
        desk = Desk(self._book.open(rules_of(self._app.config), self._images_now()), self._images_now).start()
        try:
            yield desk
        finally:
            desk.stop()

    def _images_now(self) -> datetime:
        now: datetime = self._app.clock()
        return now

    def _images_woken(self, answer: dict[str, Any]) -> dict[str, Any]:
        if self._imaging is not None:
            self._imaging.wake()
        return answer

    def _images_want(self, want: Want) -> int:
        now = self._images_now()
        return self._book.want([msgspec.structs.replace(want, since=now, due_at=now)])

    def _study_found(self, name: str) -> Study:
        """By its number here, or its UID."""
        study = None
        with suppress(ValueError):
            study = self._book.study(int(name.removeprefix("I")))
        study = study or self._book.study_of(name) or self._book.study_with(name)
        if study is None and (original := self._book.original_of(name)):
            study = self._book.study_of(original)
            if study is None:
                raise NoStudy(f"it is study {original}, of which nothing more is known here; the QC log tells the rest")
        if study is None and (found := self._named_there(name)[0]):
            study = self._book.study_with(found)
        if study is None:
            raise NoStudy(f"no study {name!r} is known here (frontend-agent images list); nothing was changed")
        return study

    def _named_there(self, uid: str) -> tuple[str, str]:
        """The instance that a destination knows by this UID, and the destination; of all that are here. Only where UIDs are replaced."""
        if not uid.startswith(REPLACED) or self._book.original_of(uid):
            return "", ""
        profiles = self._profiles()
        for own, _ in self._book.every_instance() if profiles else ():
            for name, profile in profiles.items():
                if profile.uid(own) == uid != own:
                    return own, name
        return "", ""

    def _profiles(self) -> "dict[str, Profile]":
        """Of each destination that gets studies without their identity. Without its secret nothing can be told of one."""
        from frontend_agent.imaging.variants import profile_of

        found = {}
        for name, options in self._app.config.images.destinations.items():
            if options.deidentified:
                with suppress(FrontendAgentError):
                    found[name] = profile_of(self._app.config, name)
        return found

    def _told_study(self, study: Study) -> dict[str, Any]:
        gone = {"order", "expected", "findings", "let_go"}
        order = study.order
        return {
            **{name: value for name, value in plain(study).items() if name not in gone},
            "order_key": order.key if order else "",
            "accession_number": order.accession_number if order else "",
            "expected_instances": study.expected.instances if study.expected else None,
            "rules": sorted({one.rule for one in holding(study.findings)}),
            "destinations": self._book.stands(study.id),
        }

    def _stuck_of(self, study: Study) -> dict[str, int]:
        stands = self._book.stands(study.id)
        return {name: sum(states.get(state, 0) for state in STUCK) for name, states in stands.items()}

    def _image_waits(self, study: Study, destination: str) -> bool:
        return bool(self._stuck_of(study).get(destination)) if destination else study.state is StudyState.HELD

    def _image_case(self, study: Study, destination: str = "") -> dict[str, Any]:
        said = [one for one in self._book.reasons(study.id) if one[0] == destination] if destination else []
        return {
            "id": f"I{study.id}@{destination}" if destination else f"I{study.id}",
            "state": said[0][2] if said else study.state,
            "set_id": study.study_instance_uid, "kind": "images", "institution": study.institution,
            "feed": study.inlet, "key": study.order.key if study.order else study.study_instance_uid,
            "since": plain(study.last_at), "destination": destination, "note": study.note,
            "findings": [] if destination else [told(one) for one in study.findings],
            "reasons": sorted({reason for one in said for reason in one[3]})[:20],
        }  # fmt: skip


def _patient_of(header: Header) -> str:
    from frontend_agent.imaging.deidentifying import subject_of

    return subject_of(header).patient


def _told_instance(one: Instance) -> dict[str, Any]:
    header = one.header
    return {
        "id": one.id, "sop_instance_uid": header.sop_instance_uid, "sop_class_uid": header.sop_class_uid,
        "series_instance_uid": header.series_instance_uid, "transfer_syntax_uid": header.transfer_syntax_uid,
        "series_number": header.series_number, "instance_number": header.instance_number, "frames": header.frames,
        "size": one.size, "sha256": one.sha256, "sent_sha256": one.sent_sha256, "inlet": one.inlet,
        "sender": one.sender, "received_at": plain(one.received_at), "conflict": one.is_conflict,
    }  # fmt: skip


def _is_uid(text: str) -> bool:
    """A UID has a dot, and nothing but digits and dots; an accession number never looks so."""
    return "." in text and text.replace(".", "").isdecimal()


_ENDED = (State.DELIVERED, State.DISCARDED)


def _is_left(config: Config, name: str, states: Mapping[str, int]) -> bool:
    """Whether this is a destination that was taken out of the configuration, and that studies still wait for."""
    is_ours = name in config.images.destinations or name in ("studies", "images")
    return not is_ours and any(n for state, n in states.items() if state not in _ENDED)


def _taken_out(name: str, states: Mapping[str, int]) -> dict[str, Any]:
    """Its studies are never done, and their files stay: that is said as long as it is so."""
    waiting = sum(n for state, n in states.items() if state not in _ENDED)
    problem = (
        f"it is not in [images.destinations] any more, and {waiting} instances are meant for it: their studies are not done, and their "
        "files stay; put it back under this name, with another url if need be"
    )
    return {"name": name, "url": "", "waiting": waiting, "states": dict(states), "failures": 0, "problem": problem}
