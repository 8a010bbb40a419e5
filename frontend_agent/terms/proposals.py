"""What a local code may mean: the entries of its value set that come nearest, by name, by pinyin, and by what others chose.

A proposal is no decision. Its score is 0 to 100, and `why` says where it comes from: `usage` (the same text was mapped so in
other maps), `name`, `pinyin` (the local code is the initials of the name, or a homophone), `code` (the codes are alike,
which means little).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import msgspec
from pypinyin import Style, lazy_pinyin
from rapidfuzz import fuzz, process

from frontend_agent.codes import CodeTable
from frontend_agent.terms.names import also_called, plain
from frontend_agent.terms.traps import local_name

LEAST = 35  # a nearness below this is chance
_NEAREST = 20  # by name, of a long table

Usage = Mapping[str, Mapping[str, Counter[str]]]  # value set -> plain text -> target -> in how many maps


class Proposal(msgspec.Struct, frozen=True):
    """One entry that a local code may stand for."""

    code: str
    name: str
    score: int
    why: str


class Candidates:
    """The entries of one value set, made ready to be compared. Pinyin is only looked up when somebody asks for it."""

    def __init__(self, value_set: str, entries: Iterable[tuple[str, str]]) -> None:
        self.value_set = value_set
        self._entries = [(code, name) for code, name in entries if name]
        self._names = [plain(name) for _, name in self._entries]
        self._by_code = dict(self._entries)

    @cached_property
    def _initials(self) -> list[str]:
        return ["".join(lazy_pinyin(name, style=Style.FIRST_LETTER)) for name in self._names]

    def propose(self, code: str, name: str = "", usage: Usage | None = None, limit: int = 3) -> list[Proposal]:
        """The nearest entries, the best first."""
        text = plain(name or ("" if code.isdecimal() else code))
        found: dict[str, Proposal] = {}
        for target, score, why in self._near(code, text, usage or {}):
            best = found.get(target)
            if score >= LEAST and target in self._by_code and (best is None or best.score < score):
                found[target] = Proposal(target, self._by_code[target], score, why)
        return sorted(found.values(), key=lambda one: (-one.score, one.code))[:limit]

    def _near(self, code: str, text: str, usage: Usage) -> Iterable[tuple[str, int, str]]:
        if text:
            chosen = usage.get(self.value_set, {}).get(text, Counter())
            for target, times in chosen.items():
                yield target, round(99 * times / sum(chosen.values())), "usage"
            usual = also_called(self.value_set, text)
            if usual:
                yield usual, 98, "name"
            yield from self._by_name(text)
        yield from self._by_pinyin(code, text)
        bare = code.lstrip("0")
        yield from ((known, 40, "code") for known in self._by_code if bare and known.lstrip("0") == bare)

    def _by_name(self, text: str) -> Iterable[tuple[str, int, str]]:
        for scorer, worth in ((fuzz.ratio, 1.0), (fuzz.partial_ratio, 0.85)):
            for name, score, at in process.extract(
                text, self._names, scorer=scorer, limit=_NEAREST, score_cutoff=LEAST
            ):
                yield self._entries[at][0], 100 if name == text else min(round(score * worth), 96), "name"

    def _by_pinyin(self, code: str, text: str) -> Iterable[tuple[str, int, str]]:
        letters = code.casefold() if code.isascii() and code.isalpha() else ""
        if letters and len(letters) > 1:
            for initials, score, at in process.extract(
                letters, self._initials, scorer=fuzz.ratio, limit=_NEAREST, score_cutoff=60
            ):
                yield self._entries[at][0], 85 if initials == letters else round(score * 0.7), "pinyin"
        if text and not text.isascii():
            sound = "".join(lazy_pinyin(text))
            alike = process.extract(text, self._names, scorer=fuzz.ratio, limit=_NEAREST)
            same_initials = self._same_initials(text) if len(self._entries) < 2_000 else []
            for at in {at for _, _, at in alike} | set(same_initials):
                nearness = fuzz.ratio(sound, "".join(lazy_pinyin(self._names[at])))
                yield self._entries[at][0], round(nearness * 0.9), "pinyin"

    def _same_initials(self, text: str) -> list[int]:
        initials = "".join(lazy_pinyin(text, style=Style.FIRST_LETTER))
        return [at for at, known in enumerate(self._initials) if known == initials]


def usage_of(maps: Sequence[tuple[str, CodeTable]]) -> dict[str, dict[str, Counter[str]]]:
    """How texts were mapped in all maps that are known here: (value set, map) pairs in, one vote per map."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for value_set, table in maps:
        said = found.setdefault(value_set, {})
        for code, target in table.codes.items():
            for text in {plain(local_name(table, code)), "" if code.isdecimal() else plain(code)} - {""}:
                said.setdefault(text, Counter())[target] += 1
    return found
