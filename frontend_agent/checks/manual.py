"""The catalogue of rules as one page of Markdown in each language, made from the register alone."""

from collections.abc import Iterator, Sequence

from frontend_agent.checks.catalogue import DIMENSIONS, Language, RuleText, rules_catalogue

_WORDS = {
    "zh": (
        "# 质控规则一览",
        "<!-- frontend-agent rules reference --lang zh > docs/guide/rules.md -->",
        "每条规则的通过与不通过示例：`frontend-agent rules show 编号`。",
    ),
    "en": (
        "# The quality rules",
        "<!-- frontend-agent rules reference --lang en > docs/guide/rules.en.md -->",
        "`frontend-agent rules show ID` prints a rule with the example it lets pass and the one it objects to.",
    ),
}
_HEADINGS = {
    "zh": ("规则", "内容", "卡恩分类", "默认", "依据", "字段", "自"),
    "en": ("rule", "what it says", "Kahn", "default", "basis", "fields", "since"),
}


def manual(lang: Language) -> str:
    """The page: one table for each dimension."""
    lines = [line for words in _WORDS[lang] for line in (words, "")]
    return "\n".join([*lines, *_tables(rules_catalogue(lang), lang)]).rstrip() + "\n"


def _tables(rules: Sequence[RuleText], lang: Language) -> Iterator[str]:
    for dimension in DIMENSIONS:
        here = [rule for rule in rules if rule.dimension == dimension]
        if not here:
            continue
        yield f"## {here[0].dimension_name}"
        yield ""
        yield _row(_HEADINGS[lang])
        yield _row(["---"] * len(_HEADINGS[lang]))
        for rule in here:
            fields = "<br>".join(f"`{name}`" for name in rule.fields)
            basis = f"{rule.clause} ({rule.mark})"
            yield _row(
                (rule.id, f"**{rule.title}** {rule.says}", rule.category, rule.severity, basis, fields, rule.since)
            )
        yield ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
