"""A site's own lexicon, thresholds, weights and second opinion, by its settings."""

import json
import shutil
from pathlib import Path

import pytest

from warmline.agent.parts import crisis_filter
from warmline.agent.settings import GuardSettings, Settings, SettingsError, every_setting
from warmline.guards.encoder import SHIPPED, EncoderError, OnnxEncoder
from warmline.guards.filter import EncoderScores
from warmline.guards.lexicon import LexiconError
from warmline.guards.types import RiskLevel

SITE = """
language: en
rules:
  suicide:
    - id: our-bridge
      level: elevated
      patterns: |
        going to the blue gate
"""


def test_a_site_adds_its_own_wordings(tmp_path: Path):
    (tmp_path / "site.yaml").write_text(SITE)
    judge = crisis_filter(GuardSettings(lexicons=[tmp_path / "site.yaml"], encoder="off"))
    assert judge.screen("im going to the blue gate").level is RiskLevel.ELEVATED
    assert judge.screen("i want to kill myself").crisis
    assert not crisis_filter(GuardSettings(encoder="off")).screen("im going to the blue gate").crisis


def test_a_wrong_site_lexicon_is_named_with_its_line(tmp_path: Path):
    (tmp_path / "site.yaml").write_text(SITE.replace("elevated", "awful"))
    with pytest.raises(LexiconError, match=r"site\.yaml, line 6"):
        crisis_filter(GuardSettings(lexicons=[tmp_path / "site.yaml"], encoder="off"))


def test_thresholds_can_be_replaced_one_by_one():
    judge = crisis_filter(GuardSettings.model_validate({"thresholds": {"crisis": 0.99, "window": 1}}))
    calibrated = OnnxEncoder.load().thresholds
    assert (judge.thresholds.crisis, judge.thresholds.window) == (0.99, 1)
    assert judge.thresholds.concern == calibrated.concern


def test_a_lower_crisis_threshold_takes_concern_with_it():
    judge = crisis_filter(GuardSettings.model_validate({"thresholds": {"crisis": 0.2}}))
    assert judge.thresholds.concern <= 0.2

    class Fixed:
        def scores(self, text: str) -> EncoderScores:
            return EncoderScores(crisis=0.25)

    judge.encoder = Fixed()
    assert judge.screen("the gate was blue").level is RiskLevel.ELEVATED


def test_weights_of_ones_own_are_read_from_their_folder(tmp_path: Path):
    folder = tmp_path / "weights"
    shutil.copytree(SHIPPED, folder)
    own = json.loads((folder / "calibration.json").read_text())
    own["thresholds"]["crisis"] = 0.875
    (folder / "calibration.json").write_text(json.dumps(own))
    assert crisis_filter(GuardSettings(encoder=str(folder))).thresholds.crisis == 0.875


def test_weights_that_are_not_there_are_named(tmp_path: Path):
    with pytest.raises(EncoderError, match=r"model\.onnx is missing"):
        crisis_filter(GuardSettings(encoder=str(tmp_path)))


def test_the_second_opinion_is_off_until_it_is_asked_for():
    assert crisis_filter(GuardSettings(encoder="off")).second_opinion is None


def test_the_second_opinion_is_built_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WARMLINE_GUARDS__SECOND_OPINION__URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("WARMLINE_GUARDS__SECOND_OPINION__MODEL", "judge")
    monkeypatch.setenv("WARMLINE_GUARDS__SECOND_OPINION__KEY", "sk-secret")
    settings = Settings.load()
    assert settings.guards.screen_s == settings.guards.timeout_s + 2.0
    assert crisis_filter(settings.guards).second_opinion is not None
    assert "sk-secret" not in repr(settings)
    (setting,) = [s for s in every_setting() if s.key == "guards.second_opinion.url"]
    assert setting.source(settings) == "WARMLINE_GUARDS__SECOND_OPINION__URL"


def test_a_url_without_a_model_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WARMLINE_GUARDS__SECOND_OPINION__URL", "http://127.0.0.1:9/v1")
    with pytest.raises(SettingsError, match="is needed, because"):
        Settings.load()


def test_every_setting_says_where_it_comes_from():
    settings = Settings.load()
    assert all(setting.source(settings) for setting in every_setting())


def test_thresholds_that_cross_are_refused():
    with pytest.raises(ValueError, match="must not be higher"):
        GuardSettings.model_validate({"thresholds": {"concern": 0.9, "crisis": 0.5}})
