"""The platform's page of hospitals says which of them judge by other versions."""

from pathlib import Path

import requests

from frontend_agent.platform.store import Store
from frontend_agent.wire.greeting import Hello
from tests.platform_kit import running


def test_a_hospital_that_judges_by_another_pack_stands_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "platform", packs={"pack": "gd-2026.2 aa", "rules": "11"}).open()
    try:
        store.hello(Hello("H1", "i1", packs={"pack": "gd-2026.1 bb", "rules": "11"}))
        store.hello(Hello("H2", "i2", packs={"pack": "gd-2026.2 aa", "rules": "11"}))
        store.hello(Hello("H3", "i3"))
        with running(store) as url:
            page = requests.get(f"{url}/hospitals?lang=en", timeout=10).text
            chinese = requests.get(f"{url}/hospitals?lang=zh", timeout=10).text
        assert page.count("Judges by other versions than the platform") == 1
        assert "(gd-2026.1 bb / gd-2026.2 aa)" in page
        assert chinese.count("与平台的规则版本不一致") == 1
        assert page.count("Rule pack") == 2
    finally:
        store.close()
