"""The words the guards speak."""

import pytest
from pydantic import ValidationError

from warmline.guards.types import Category, RiskLevel, Subject, Utterance, Verdict


def test_levels_are_ordered_by_urgency_and_not_by_the_alphabet():
    assert RiskLevel.NONE < RiskLevel.CONCERN < RiskLevel.ELEVATED < RiskLevel.IMMINENT


def test_max_of_levels_is_the_most_urgent():
    assert max(RiskLevel.IMMINENT, RiskLevel.CONCERN, RiskLevel.NONE) is RiskLevel.IMMINENT


@pytest.mark.parametrize("level", RiskLevel)
def test_only_elevated_and_imminent_are_a_crisis(level: RiskLevel):
    assert Verdict(level=level).crisis is (level in (RiskLevel.ELEVATED, RiskLevel.IMMINENT))


def test_a_verdict_survives_json():
    verdict = Verdict(level=RiskLevel.ELEVATED, categories=(Category.SUICIDE,), subject=Subject.OTHER)
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_an_utterance_has_one_of_two_roles():
    with pytest.raises(ValidationError):
        Utterance(role="system", text="hello")  # pyright: ignore[reportArgumentType]
