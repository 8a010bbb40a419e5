"""agent.toml is read strictly, and every mistake is one line that names file, key and mend."""

from datetime import timedelta
from pathlib import Path

import pytest

from frontend_agent.config import Config, ConfigurationProblems, load_config, parse_config, state_folder
from frontend_agent.errors import ConfigurationError

GOOD = """
[institution]
id = "H001"
name = "示范医院"

[sources.lis]
url = "sqlite:///lis.db"

[destinations.platform]
url = "http://127.0.0.1:8400"

[[feeds]]
name = "lab_report"
source = "lis"
mapping = "demo_lis/lab_report"
every = "90s"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationProblems) as caught:
        parse_config(text)
    return caught.value.problems


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_plain_file_is_typed() -> None:
    config = parse_config(GOOD, folder=Path("/etc/agent"))
    assert config.feeds[0].every == timedelta(seconds=90)
    assert config.feeds[0].profile == "regional"
    assert config.sources["lis"].url == "sqlite:////etc/agent/lis.db"
    assert config.destinations["platform"].type == "platform"
    assert config.spool.quota == 20 * 1024**3


def test_an_unknown_key_is_answered_with_the_one_meant() -> None:
    (first, second) = problems(changed("mapping =", "maping ="))
    assert first.startswith("agent.toml: feeds[0]: unknown key 'maping' (did you mean 'mapping'? known: batch,")
    assert second == "agent.toml: feeds[0]: missing key 'mapping'"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "H001"', "id = 7", "institution.id: expected a text in quotes, not 7"),
        ('id = "H001"', 'id = " "', "institution: id is empty"),
        ('name = "示范医院"', 'name = "x"\ntimezone = "China"', "unknown timezone 'China'"),
        ('every = "90s"', 'every = "90"', "feeds[0].every: expected a duration like"),
        ('every = "90s"', 'every = "0s"', "every must be at least 1s"),
        ('every = "90s"', "batch = 0", "feeds[0].batch: expected a number from 1 up, not 0"),
        ('every = "90s"', "batch = true", "feeds[0].batch: expected a whole number, not True"),
        ('every = "90s"', 'destinations = "platform"', "feeds[0].destinations: expected a list, not 'platform'"),
        ('every = "90s"', 'destinations = ["plattform"]', "did you mean 'platform'?"),
        ('source = "lis"', 'source = "his"', "feeds[0].source: unknown source or inlet 'his'"),
        ('"http://127.0.0.1:8400"', '"http://10.0.0.9:8400"', "plain http is for this machine only"),
        ('"http://127.0.0.1:8400"', '"ftp://127.0.0.1"', "not an http or https address"),
        ('"http://127.0.0.1:8400"', '"http://127.0.0.1:x"', "url is not an address"),
        ('"http://127.0.0.1:8400"', '"https://p"\ntype = "soap"', "destinations.platform.type: unknown type 'soap'"),
        ('"sqlite:///lis.db"', '"postgresql://a:pw@h/db"', "url holds a password"),
        ('"sqlite:///lis.db"', '"sqlite:///lis.db"\nodbc = "DSN=x"', "needs either url or odbc"),
        ('url = "sqlite:///lis.db"', 'odbc = "DSN=x;PWD=y"', "odbc holds a password"),
        ("[institution]", "state = 3\n[institution]", "agent.toml: state: expected a text"),
        ('every = "90s"', '[spool]\nquota = "20 GB"', "spool.quota: expected a size like"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_mend(old: str, new: str, said: str) -> None:
    assert any(said in problem for problem in problems(changed(old, new)))


def test_a_password_is_not_repeated_in_the_error() -> None:
    text = changed('"sqlite:///lis.db"', '"postgresql://a:canary7@h/db"')
    assert "canary7" not in str(problems(text))


def test_all_problems_are_found_in_one_reading() -> None:
    text = changed('name = "示范医院"', "").replace('"90s"', '"x"').replace("http://127.0.0.1", "http://10.1.1.1")
    assert len(problems(text)) == 3


def test_the_text_of_many_problems_is_one_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_config(changed('name = "示范医院"', "").replace('"90s"', '"x"'))
    assert "\n" not in str(caught.value)
    assert "and 1 more" in str(caught.value)
    assert caught.value.exit_code == 78


def test_a_feed_name_is_used_once() -> None:
    again = GOOD + '[[feeds]]\nname = "lab_report"\nsource = "lis"\nmapping = "m"\n'
    assert problems(again) == ["agent.toml: feeds[1].name: 'lab_report' is used twice; a feed's name is its identity"]


@pytest.mark.parametrize("text", ["[institution", "a = ", "[a]\n[a]", 'a = "\x00"'])
def test_text_that_is_no_toml_says_where(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"agent\.toml: not TOML: .*(line \d|end of document)") as caught:
        parse_config(text)
    assert caught.value.exit_code == 78


def test_a_file_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="frontend-agent init"):
        load_config(tmp_path / "agent.toml")
    (tmp_path / "agent.toml").write_bytes("[institution]\nname = '示范医院'".encode("gbk"))
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_config(tmp_path / "agent.toml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_config(tmp_path)


@pytest.mark.parametrize("table", ["", "sources = 3", "feeds = {}", "feeds = [1]", "institution = []"])
def test_any_shape_is_answered_by_problems_not_a_crash(table: str) -> None:
    assert problems(table)


def test_the_state_lies_where_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    config: Config = parse_config(GOOD)
    file = tmp_path / "agent.toml"
    assert state_folder(None, config, file) == tmp_path / "state"
    assert state_folder(tmp_path / "x", config, file) == tmp_path / "x"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/frontend-agent")
    assert state_folder(None, config, file) == Path("/var/lib/frontend-agent")
    named = parse_config("state = 'there'\n" + GOOD)
    assert state_folder(None, named, file) == tmp_path / "there"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('statement_timeout = "0s"', "statement_timeout must be longer than nothing"),
        ('lock_timeout = "0s"', "lock_timeout must be longer than nothing"),
        ('idle_timeout = "0s"', "idle_timeout must be longer than nothing"),
        ('connect_timeout = "0s"', "connect_timeout must be longer than nothing"),
        ("slow_down = nan", "slow_down must be more than 1"),
        ("slow_down = inf", "slow_down must be more than 1"),
        ("slow_down = 1.0", "slow_down must be more than 1"),
    ],
)
def test_no_protection_of_a_source_is_switched_off_by_a_number_that_means_nothing(line: str, told: str) -> None:
    (problem,) = problems(changed('url = "sqlite:///lis.db"', f'url = "sqlite:///lis.db"\n{line}'))
    assert told in problem
    assert "sources.lis" in problem
