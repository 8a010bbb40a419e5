"""Every key of agent.toml in one page."""

from frontend_agent.cli.texts import Language


def page(lang: Language) -> str:
    """The page in one language, as Markdown."""
    return {"zh": "# 配置项参考\n", "en": "# Every setting\n"}[lang]
