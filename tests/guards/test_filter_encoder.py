"""Lexicon and shipped encoder together: what each keeps the other from."""

from functools import cache

import pytest

from warmline.guards import CrisisFilter, RiskLevel
from warmline.guards.encoder import OnnxEncoder
from warmline.guards.filter import EncoderScores, Thresholds


@cache
def shipped() -> CrisisFilter:
    encoder = OnnxEncoder.load()
    return CrisisFilter(encoder=encoder, thresholds=encoder.thresholds)


@pytest.mark.parametrize(
    "text",
    [
        "my mum is driving me up the wall",
        "the kids are driving me crazy today, send help",
        "hit the gym again",
        "this job is killing me",
        "I could kick myself for that",
    ],
)
def test_a_figure_of_speech_is_no_danger(text: str) -> None:
    assert shipped().screen(text).level is RiskLevel.NONE


@pytest.mark.parametrize(
    "text",
    [
        "he's driving me up the wall and im going to stab him",
        "im dying of embarrassment and i want to die",
        "I'm losing my mind, the voices wont stop",
    ],
)
def test_a_danger_beside_a_figure_of_speech_stays_one(text: str) -> None:
    assert shipped().screen(text).crisis


def test_the_encoder_hears_what_the_lexicon_does_not() -> None:
    text = "three bottles before noon and then I drove the school run"
    assert not CrisisFilter(encoder=None).screen(text).crisis
    assert shipped().screen(text).crisis


class _Says:
    """An encoder of one opinion."""

    def __init__(self, crisis: float) -> None:
        self._crisis = crisis

    def scores(self, text: str) -> EncoderScores:
        return EncoderScores(crisis=self._crisis)


@pytest.mark.parametrize(("crisis", "level"), [(0.1, RiskLevel.CONCERN), (0.2, RiskLevel.ELEVATED)])
def test_strong_words_that_the_encoder_is_sure_are_calm_get_a_question_and_no_alarm(
    crisis: float, level: RiskLevel
) -> None:
    told = CrisisFilter(encoder=_Says(crisis), thresholds=Thresholds(overrule=0.15))
    verdict = told.screen("i want to die")
    assert verdict.level is level
    assert verdict.categories


def test_no_encoder_takes_back_words_of_danger_right_now() -> None:
    told = CrisisFilter(encoder=_Says(0.0), thresholds=Thresholds(overrule=0.15))
    assert told.screen("im going to kill myself tonight, i have the pills here").level is RiskLevel.IMMINENT


@pytest.mark.parametrize("text", ["хочу умереть", "quiero suicidarme", "ich will mich umbringen", "我想自杀"])
def test_no_encoder_takes_back_what_it_cannot_read(text: str) -> None:
    told = CrisisFilter(encoder=_Says(0.0), thresholds=Thresholds(overrule=0.15))
    assert told.screen(text).crisis


@pytest.mark.parametrize(
    "text",
    [
        "I've been struggling with self-harm for some time now, and I really want to break free from this pattern.",
        "I've been experiencing domestic violence in my relationship, both physical and emotional.",
        "I've recently realized that I have developed a substance abuse problem.",
        "I've been battling an eating disorder for years, and it's taking a toll on my health.",
        "Lately I have been having suicidal thoughts and I do not know whom to tell.",
    ],
)
def test_no_encoder_takes_back_a_crisis_called_by_its_clinical_name(text: str) -> None:
    """Found in MentalChat16K: a composed sentence sounds calm, and 39 of them were taken back."""
    told = CrisisFilter(encoder=_Says(0.05), thresholds=Thresholds(overrule=0.15))
    assert told.screen(text).crisis


@pytest.mark.parametrize(
    "text",
    [
        "It has been eight years since I recovered from bulimia.",
        "I work with survivors of domestic violence and I have begun to feel numb.",
        "How do I assess a client for suicidal ideation?",
        "I've been struggling with my addiction to chocolate and reality shows.",
    ],
)
def test_the_same_names_told_from_safety_are_no_alarm(text: str) -> None:
    told = CrisisFilter(encoder=_Says(0.05), thresholds=Thresholds(overrule=0.15))
    assert not told.screen(text).crisis


def test_without_a_threshold_for_it_nothing_is_taken_back() -> None:
    assert CrisisFilter(encoder=_Says(0.0)).screen("i want to die").level is RiskLevel.ELEVATED
