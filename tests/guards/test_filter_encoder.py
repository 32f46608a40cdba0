"""Lexicon and shipped encoder together: what each keeps the other from."""

from functools import cache

import pytest

from warmline.guards import CrisisFilter, RiskLevel
from warmline.guards.encoder import OnnxEncoder


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
    assert not CrisisFilter().screen(text).crisis
    assert shipped().screen(text).crisis
