"""The encoder for other languages: who it hears, what it costs whom, and what it must never undo."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from warmline.guards import CrisisFilter, RiskLevel, Utterance
from warmline.guards.encoder import MULTILINGUAL, SHIPPED, EncoderError, shipped_multilingual
from warmline.guards.filter import EncoderScores, Thresholds
from warmline.guards.foreign import own_spelling
from warmline.guards.training import multilingual_backbone
from warmline.guards.training.corpus import read_every_language, spared, unseen


class Says:
    """An encoder of one opinion that keeps what it was asked."""

    thresholds = Thresholds()

    def __init__(self, crisis: float) -> None:
        self._crisis = crisis
        self.heard: list[str] = []

    def scores(self, text: str) -> EncoderScores:
        self.heard.append(text)
        return EncoderScores(crisis=self._crisis)


class Broken:
    def scores(self, text: str) -> EncoderScores:
        raise EncoderError("no weights")


@cache
def shipped() -> CrisisFilter:
    return CrisisFilter()


@pytest.mark.parametrize(
    ("text", "english", "other"),
    [
        ("the cake was lovely and we all sang", True, False),
        ("el pastel estaba buenísimo y cantamos todos", False, True),
        ("торт был очень вкусный", False, True),
        ("ケーキ美味しかった", False, True),
        ("bro ami ajke khub tired, i don't want to go to the office", True, True),
        ("cake yay", True, False),
    ],
)
def test_a_message_is_heard_by_the_encoder_of_its_language(text: str, english: bool, other: bool) -> None:
    encoder, foreign = Says(0.0), Says(0.0)
    CrisisFilter(encoder=encoder, foreign=foreign).screen(text)
    assert (bool(encoder.heard), bool(foreign.heard)) == (english, other)


def test_either_encoder_can_raise_the_alarm_where_the_language_is_in_doubt() -> None:
    text = "yaar mera dimaag kharab ho gaya hai, i don't want the office today"
    for encoder, foreign in ((Says(0.9), Says(0.0)), (Says(0.0), Says(0.9))):
        assert CrisisFilter(encoder=encoder, foreign=foreign).screen(text).crisis


def test_the_multilingual_encoder_takes_nothing_back_from_a_lexicon() -> None:
    assert shipped_multilingual().thresholds.overrule == 0.0
    verdict = CrisisFilter(encoder=Says(0.0), foreign=Says(0.0)).screen("quiero matarme, no aguanto más")
    assert verdict.crisis


def test_an_encoder_that_cannot_be_loaded_is_no_clean_verdict() -> None:
    crisis_filter = CrisisFilter(encoder=Says(0.0), foreign=Broken())
    assert crisis_filter.screen("hoy comimos pastel con mi abuela").error == "EncoderError"
    assert crisis_filter.screen("we had cake with my gran").error is None


def test_what_was_said_before_in_the_language_is_read_together_with_it() -> None:
    foreign = Says(0.0)
    said = [Utterance(role="user", text="hoy no fui al trabajo y no quiero ver a nadie")]
    CrisisFilter(encoder=Says(0.0), foreign=foreign).screen("ya regalé al perro", said)
    assert any("trabajo" in text and "perro" in text for text in foreign.heard)


@pytest.mark.parametrize(
    "text",
    [
        "quiero morirme, ya no aguanto más",
        "eu não quero mais viver",
        "ich will nicht mehr leben",
        "je veux en finir avec la vie",
        "я хочу умереть",
        "मैं मरना चाहता हूँ",
        "我不想活了",
        "죽고 싶어",
        "artık yaşamak istemiyorum",
    ],
)
def test_a_plain_wish_to_die_is_a_crisis_in_any_language(text: str) -> None:
    assert shipped().screen(text).crisis


@pytest.mark.parametrize(
    "text",
    [
        "¿a qué hora abre la farmacia?",
        "obrigada pela receita, ficou ótima",
        "wann fährt der nächste bus?",
        "on mange quoi ce soir ?",
        "сегодня хорошая погода, пойдём гулять",
        "今日のお昼は何にしよう",
        "bugün hava çok güzel, yürüyüşe çıkalım",
    ],
)
def test_everyday_talk_is_left_alone_in_any_language(text: str) -> None:
    assert shipped().screen(text).level is RiskLevel.NONE


def test_it_hears_what_no_lexicon_does() -> None:
    """Over what it has never seen, at its own thresholds."""
    lexicons = CrisisFilter(encoder=None)
    crises = [m for m in read_every_language() if unseen(m) and m.crisis][::4]
    missed = [m for m in crises if not lexicons.screen(m.text).crisis]
    found = [
        m for m in missed if shipped_multilingual().scores(m.text).crisis >= shipped_multilingual().thresholds.crisis
    ]
    assert len(found) >= len(missed) / 4


def test_english_loads_no_second_network() -> None:
    code = (
        "from warmline.guards import CrisisFilter; from warmline.guards.encoder import shipped_multilingual as m;"
        "CrisisFilter().screen('i am so tired of this week and the boss'); assert m.cache_info().currsize == 0;"
        "CrisisFilter().screen('estoy muy cansada de esta semana'); assert m.cache_info().currsize == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_accents_and_vowel_signs_stay_for_the_network_that_knows_them() -> None:
    assert own_spelling("Não VIVER\u200b") == "não viver"
    assert own_spelling("जीना नहीं") == "जीना नहीं"
    assert own_spelling("ok 😭").split() == ["ok", "loudly", "crying", "face"]


@pytest.mark.parametrize("text", ["", "\ud800", "\x00", "😭" * 500, "ñ" * 100_000, "ไม่ไหวแล้ว", "&#x6b;"])
def test_odd_input_gives_scores_between_0_and_1(text: str) -> None:
    assert 0 <= shipped_multilingual().scores(text).crisis <= 1


def test_all_weights_together_fit_the_package() -> None:
    sizes = [path.stat().st_size for folder in (SHIPPED, MULTILINGUAL) for path in folder.iterdir()]
    assert sum(sizes) <= 120e6 and max(sizes) <= 90e6


def test_what_judges_is_no_part_of_what_trains_or_calibrates() -> None:
    messages = read_every_language()
    assert sum(unseen(m) for m in messages) == 400
    assert not any(unseen(m) and spared(m) for m in messages)
    pairs = {m.pair for m in messages if m.pair and spared(m)}
    assert not any(m.pair in pairs for m in messages if not spared(m))


# --- where its backbone comes from ---


def test_four_bits_are_unpacked_as_the_package_packs_them() -> None:
    halves = np.arange(16) | (15 - np.arange(16)) << 4
    blocks = np.array([(0.5, halves)], dtype=multilingual_backbone._BLOCK)
    row = multilingual_backbone._unpacked(blocks, 32)[0]
    assert row[:16].tolist() == [(n - 8) / 2 for n in range(16)]
    assert row[16:].tolist() == [(7 - n) / 2 for n in range(16)]


def test_what_is_no_packed_model_is_refused() -> None:
    with pytest.raises(ValueError, match="E5S1"):
        multilingual_backbone.read_packed(b"PK\x03\x04 something else")


def test_the_pieces_that_stay_are_those_the_languages_use() -> None:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", "a", "▁morir", "▁quiero", "▁zebra", "我", "死"]
    scores = [0.0, 0.0, 0.0, 0.0, -3.0, -5.0, -6.0, -6.0, -6.0, -7.0, -7.0]
    packed = multilingual_backbone.Packed(32, 1, 1, 1, 1, 1e-12, pieces, scores, {})
    words = {"es": {"quiero": 0.2, "zebra": 0.0001}, "zh": {"死": 0.01}}
    kept = multilingual_backbone.choose(packed, words, [("es", "Quiero morir")], most=9)
    assert [pieces[n] for n in kept] == ["<s>", "<pad>", "</s>", "<unk>", "▁", "a", "▁morir", "▁quiero", "死"]
