"""[destinations.NAME.answer]: by what a foreign answer is understood. What the patterns mean is in `answers.py`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AnswerConfig:
    """[destinations.NAME.answer]: patterns, any of which does, and paths to the reasons of a refusal."""

    success: tuple[str, ...] = ()
    failure: tuple[str, ...] = ()
    retry: tuple[str, ...] = ()
    reason: tuple[str, ...] = ()  # `json $.message`, `xml //text/@value`, `hl7 ERR-8`, `text 错误：(.*)`
    charset: str = ""  # of answers that do not say theirs; empty: UTF-8
