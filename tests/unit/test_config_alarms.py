"""[alarms] in agent.toml: its defaults, its words, and what is told about mistakes."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.config_alarms import AlarmsConfig, MailConfig

BASE = """
institution = { id = "H1", name = "一院" }
sources.his = { url = "sqlite:///his.db" }
destinations.platform = { url = "http://127.0.0.1:1" }
feeds = [{ name = "lab", source = "his", mapping = "demo_lis/lab_report" }]
"""
WHOLE = """
[alarms]
backlog = "45m"
held = 30
[[alarms.mute]]
kinds = ["silence", "source"]
subjects = ["lab"]
times = ["22:00-06:00"]
days = "holidays"
from = 2027-01-01
until = 2027-12-31
reason = "the LIS is backed up"
[alarms.mail.it]
server = "smtp.hospital.local"
from = "agent@hospital.local"
to = ["it@hospital.local"]
user = "agent"
secret = "smtp"
ca = "ca.pem"
[alarms.webhooks.duty]
url = "https://10.0.0.9/robot/send?access_token=x"
form = "dingtalk"
secret = "robot"
least = "critical"
"""


def test_without_the_table_everything_has_a_default() -> None:
    assert parse_config(BASE).alarms == AlarmsConfig()


def test_all_of_it_is_read() -> None:
    alarms = parse_config(BASE + WHOLE, folder=Path("/etc/frontend-agent")).alarms
    assert alarms.backlog == timedelta(minutes=45)
    (mute,) = alarms.mute
    assert (mute.first, mute.until, str(mute.times[0])) == (date(2027, 1, 1), date(2027, 12, 31), "22:00-06:00")
    mail = alarms.mail["it"]
    assert (mail.host, mail.port, mail.sender, mail.ca) == (
        "smtp.hospital.local", 587, "agent@hospital.local", "/etc/frontend-agent/ca.pem",
    )  # fmt: skip
    assert alarms.webhooks["duty"].form == "dingtalk"


@pytest.mark.parametrize(
    ("server", "security", "host", "port"),
    [("10.0.0.9", "none", "10.0.0.9", 25), ("mx", "tls", "mx", 465), ("mx:2525", "starttls", "mx", 2525)],
)
def test_ports(server: str, security: str, host: str, port: int) -> None:
    mail = MailConfig(server=server, security=security, sender="a@b", to=("c@d",))  # type: ignore[arg-type]
    assert (mail.host, mail.port) == (host, port)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('[alarms]\nbacklog = "5h"', "alarms: backlog_critical is less than backlog"),
        ("[alarms]\nheld = 120", "alarms: held is a percentage: 1 to 100"),
        ('[alarms]\nunreachable = "0s"', "alarms: unreachable must be longer than nothing"),
        ('[alarms]\nbacklogs = "5h"', "alarms: unknown key 'backlogs' (did you mean 'backlog'?"),
        ('[alarms]\nheartbeat = "1s"', "alarms: heartbeat must be at least"),
        ("[alarms]\ncertificate_days = 3", "alarms: certificate_days_critical is more than certificate_days"),
        ('[[alarms.mute]]\nreason = " "', "alarms.mute[0]: reason is empty"),
        ('[[alarms.mute]]\nreason = "x"\nkinds = ["silent"]', "alarms.mute[0]: kinds: 'silent' is no kind of alarm"),
        ('[[alarms.mute]]\nreason = "x"\ntimes = ["25:00-26:00"]', "alarms.mute[0].times[0]: expected a time of day"),
        ('[alarms.mail.it]\nserver = "mx"\nfrom = "a"\nto = ["c@d"]', "alarms.mail.it: from: 'a' is no address"),
        ('[alarms.mail.it]\nserver = "mx"\nfrom = "a@b"\nto = []', "alarms.mail.it: to is empty"),
        (
            '[alarms.mail.it]\nserver = "mx"\nfrom = "a@b"\nto = ["c@d"]\nuser = "x"\nsecret = "y"\nsecurity = "none"',
            'alarms.mail.it: security = "none" would send the password in clear',
        ),
        ('[alarms.webhooks.w]\nurl = "ftp://x"', "alarms.webhooks.w: url = 'ftp://x' is no http or https address"),
        (
            '[alarms.webhooks.w]\nurl = "https://x"\nform = "wecom"\nsecret = "s"',
            'alarms.webhooks.w: secret does nothing with form = "wecom"',
        ),
    ],
)
def test_mistakes_are_told_with_their_place(written: str, said: str) -> None:
    with pytest.raises(ConfigurationProblems) as caught:
        parse_config(BASE + written)
    assert any(f"agent.toml: {said}" in problem for problem in caught.value.problems), caught.value.problems
