"""A bare greeting, thanks, or "are you a bot?" gets vetted words where the model is weak; anything more does not."""

from __future__ import annotations

import pytest

from warmline.agent.model.adapter import SHIPPED, adapter_of, is_weak
from warmline.agent.settings import ModelSettings
from warmline.agent.small_talk import small_talk


@pytest.mark.parametrize(
    "text", ["hi", "Hello!", "hey there :)", "THANK YOU", "ok, thanks.", "Are you a bot??", "good night 💛"]
)
def test_small_talk_is_answered(text: str) -> None:
    assert small_talk(text, 0)


@pytest.mark.parametrize("seed", range(4))
def test_it_says_that_it_is_no_person(seed: int) -> None:
    said = small_talk("are you a real person?", seed)
    assert said is not None
    assert "AI" in said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hi, my dog died",
        "goodnight forever",
        "thanks for nothing",
        "bye. i mean it",
        "are you a bot or will you help me",
        "привет",
    ],
)
def test_anything_more_is_not(text: str) -> None:
    assert small_talk(text, 0) is None


@pytest.mark.parametrize(
    ("settings", "weak"),
    [
        (ModelSettings(), True),
        (ModelSettings(adapter="off"), True),
        (ModelSettings(base_url="http://127.0.0.1:8000/v1"), False),
        (ModelSettings(name="Qwen/Qwen3-0.6B"), False),
    ],
)
def test_only_the_embedded_default_is_weak(settings: ModelSettings, weak: bool) -> None:
    assert is_weak(settings) is weak


def test_the_adapter_ships_for_the_default_model_alone() -> None:
    assert adapter_of(ModelSettings()) == SHIPPED
    assert adapter_of(ModelSettings(name="Qwen/Qwen3-0.6B")) is None
