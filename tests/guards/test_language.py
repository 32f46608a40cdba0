"""Which language a message is in: one guess for the filter and for the conversation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from warmline.guards import CrisisFilter, Utterance
from warmline.guards.language import language_of, speaks

CORPUS = Path(__file__).parents[2] / "guards" / "corpus"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("mình không muốn sống nữa", "vi"),
        ("minh khong muon song nua", "vi"),
        ("aku udah ga mau hidup lagi", "id"),
        ("ayoko na, gusto ko nang mamatay", "tl"),
        ("mujhe nahi jeena hai ab", "hi"),
        ("ami ar bachte chai na, keno bachbo", "bn"),
        ("دیگه نمی‌خوام زنده باشم، گریه می‌کنم", "fa"),
        ("لا أريد أن أعيش", "ar"),
        ("artık yaşamak istemiyorum", "tr"),
    ],
)
def test_languages_without_a_voice_are_told_too(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize("language", ["bn", "hi", "id", "nl", "pl", "tl", "tr", "vi"])
def test_most_messages_of_the_corpus_are_told_by_their_language(language: str) -> None:
    lines = (CORPUS / "multilingual.jsonl").read_text("utf-8").splitlines()
    texts = [row["text"] for row in map(json.loads, lines) if row["lang"] == language]
    assert sum(language_of(text) == language for text in texts) >= 0.8 * len(texts)


def test_look_alike_letters_make_no_message_russian() -> None:
    disguised = "I want to kill myself tonight".translate(str.maketrans("aeopcxytkI", "аеорсхутк" + "І"))
    assert CrisisFilter(encoder=None).screen(disguised).language == "en"


def test_a_verdict_goes_on_in_the_language_of_the_conversation() -> None:
    said = [Utterance(role="user", text="me siento muy sola y no sé qué hacer")]
    lexicons = CrisisFilter(encoder=None)
    assert lexicons.screen("ok", said).language == "es"
    assert lexicons.screen("ok").language == "en"


def test_evidence_counts_what_only_one_language_has() -> None:
    assert speaks("i don't want the cake", "en") > speaks("la tarta", "en") == 0
