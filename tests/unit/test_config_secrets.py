"""Secrets are found by name, outside agent.toml, and never shown."""

from pathlib import Path

import pytest

from frontend_agent.errors import ConfigurationError
from frontend_agent.secrets import Secrets


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def test_a_systemd_credential_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "his").write_text("from systemd\n")
    (tmp_path / "his").write_text("from the folder")
    (tmp_path / "his").chmod(0o600)
    assert Secrets(tmp_path)("his") == "from the folder"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "given"))
    assert Secrets(tmp_path)("his") == "from systemd"


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "his").write_text("canary")
    (tmp_path / "his").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        Secrets(tmp_path)("his")
    assert "canary" not in str(caught.value)


def test_a_secret_that_is_nowhere_says_where_it_was_sought(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not found in systemd credentials"):
        Secrets(tmp_path)("his")


@pytest.mark.parametrize("name", ["../his", "a/b", "", ".hidden", "a\n"])
def test_a_name_is_not_a_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a secret's name"):
        Secrets(tmp_path)(name)
