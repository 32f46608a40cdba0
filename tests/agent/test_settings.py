"""Settings: where a value comes from, and what a person is told when it cannot be used."""

from pathlib import Path

import pytest
from warmline.agent.settings import Settings, SettingsError, every_setting


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for the settings file, and no variable of this machine's."""
    for setting in every_setting():
        monkeypatch.delenv(setting.variable, raising=False)
    file = tmp_path / "config.toml"
    monkeypatch.setenv("WARMLINE_CONFIG", str(file))
    return file


def test_without_a_file_the_defaults_hold() -> None:
    assert Settings.load().model.base_url is None


def test_the_file_wins_over_the_default(config: Path) -> None:
    config.write_text('country = "ie"\n')
    assert Settings.load().country == "IE"


def test_the_environment_wins_over_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text('country = "IE"\n')
    monkeypatch.setenv("WARMLINE_COUNTRY", "de")
    assert Settings.load().country == "DE"


def test_the_command_line_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMLINE_COUNTRY", "DE")
    assert Settings.load(country="US").country == "US"


def test_a_nested_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMLINE_MODEL__BASE_URL", "http://127.0.0.1:8000/v1")
    assert Settings.load().model.base_url == "http://127.0.0.1:8000/v1"


def test_uk_is_understood_as_gb() -> None:
    assert Settings.load(country="uk").country == "GB"


def test_a_bad_value_in_the_file_names_file_key_and_a_good_value(config: Path) -> None:
    config.write_text("[model]\ntemperature = 9\n")
    with pytest.raises(SettingsError) as error:
        Settings.load()
    assert str(config) in str(error.value)
    assert "model.temperature" in str(error.value)
    assert "A good value: 0.3" in str(error.value)


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMLINE_MODEL__BASE_URL", "localhost:8000")
    with pytest.raises(SettingsError, match="environment variable WARMLINE_MODEL__BASE_URL") as error:
        Settings.load()
    assert "http://127.0.0.1:8000/v1" in str(error.value)


def test_a_bad_flag_is_laid_at_the_command_line() -> None:
    with pytest.raises(SettingsError, match="command line: setting country"):
        Settings.load(country="America")


def test_an_unknown_key_is_refused(config: Path) -> None:
    config.write_text("[model]\ntemprature = 0.5\n")
    with pytest.raises(SettingsError, match=r"model\.temprature: there is no such setting"):
        Settings.load()


def test_broken_toml_names_the_file(config: Path) -> None:
    config.write_text("[model\n")
    with pytest.raises(SettingsError, match=r"config\.toml"):
        Settings.load()


def test_a_key_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMLINE_MODEL__API_KEY", "sk-secret")
    assert "sk-secret" not in repr(Settings.load())


def test_every_setting_explains_itself_and_has_an_example() -> None:
    assert [s.key for s in every_setting() if not s.field.description or not s.field.examples] == []


def test_the_source_of_each_value_is_told(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("[model]\ntop_p = 0.5\n")
    monkeypatch.setenv("WARMLINE_MODEL__TEMPERATURE", "0.4")
    settings = Settings.load()
    sources = {setting.key: setting.source(settings) for setting in every_setting()}
    assert sources["model.top_p"] == str(config)
    assert sources["model.temperature"] == "WARMLINE_MODEL__TEMPERATURE"
    assert sources["model.max_tokens"] == "default"
