"""Why a verdict is what it is."""

import json
from functools import cache

import pytest

from warmline.guards.encoder import OnnxEncoder
from warmline.guards.explain import EXAMPLES, MOST_CLAUSES, clauses_of, explain, left_out, said_by
from warmline.guards.filter import CrisisFilter, EncoderScores, Thresholds
from warmline.guards.training.corpus import CATEGORIES, Message
from warmline.guards.training.examples import choose
from warmline.guards.types import Category, RiskLevel


@cache
def encoder() -> OnnxEncoder:
    return OnnxEncoder.load()


class Teapots:
    """Hears a crisis in teapots."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def scores(self, text: str) -> EncoderScores:
        self.asked.append(text)
        return EncoderScores(crisis=0.9 if "teapot" in text else 0.2, categories={Category.NEGLECT: 0.9})


def with_teapots() -> CrisisFilter:
    return CrisisFilter(encoder=Teapots(), thresholds=Thresholds())


def test_the_clause_without_which_the_score_falls_is_shown():
    text = "The train was late, my teapot broke, and it rained."
    explanation = explain(text, with_teapots())
    assert [c.text for c in explanation.clauses] == ["my teapot broke,"]
    assert text[explanation.clauses[0].start : explanation.clauses[0].end] == "my teapot broke,"
    assert explanation.clauses[0].without == 0.2


def test_words_of_the_lexicon_need_no_leaving_out():
    explanation = explain("My teapot broke, i want to kill myself.", with_teapots())
    assert explanation.verdict.evidence
    assert explanation.clauses == ()


def test_a_calm_text_has_no_clause_that_speaks_for_a_crisis():
    assert explain("The train was late, and it rained.", with_teapots()).clauses == ()


def test_what_stands_in_every_clause_is_the_whole_texts_doing():
    assert explain("A teapot here, a teapot there.", with_teapots()).clauses == ()


def test_the_work_is_bounded_for_a_long_text():
    teapots = Teapots()
    left_out("a cup, " * 5_000 + "a teapot", teapots)
    assert len(teapots.asked) <= MOST_CLAUSES + 1


@pytest.mark.parametrize("text", ["", " ", "one", "a, b", "x" * 3_000, "a. " * 200])
def test_clauses_lie_in_the_text_in_order(text: str):
    spans = clauses_of(text)
    assert len(spans) <= MOST_CLAUSES
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert spans == sorted(spans)


def test_no_examples_without_being_asked_for():
    assert explain("hello", CrisisFilter(encoder=encoder())).examples == ()


def test_an_example_is_nearest_to_itself():
    text = json.loads(EXAMPLES.read_text())["examples"][7]["text"]
    nearest = explain(text, CrisisFilter(encoder=encoder()), nearest=3).examples
    assert nearest[0].text == text
    assert nearest[0].distance == pytest.approx(0, abs=0.02)
    assert [e.distance for e in nearest] == sorted(e.distance for e in nearest)


def test_a_plain_crisis_is_nearest_to_crises_of_its_kind():
    nearest = explain("i cut myself again last night", CrisisFilter(encoder=encoder()), nearest=5).examples
    assert sum(Category.SELF_HARM in e.categories for e in nearest) >= 3


def test_without_an_encoder_there_are_no_examples():
    assert explain("i want to die", CrisisFilter(encoder=None), nearest=3).examples == ()


def test_other_weights_are_asked_themselves(monkeypatch: pytest.MonkeyPatch):
    from warmline.guards import explain as module

    few = module.ExampleSet(weights_sha256="0" * 64, examples=module._stored().examples[:5])
    monkeypatch.setattr(module, "_stored", lambda: few)
    assert module._outputs.__wrapped__(encoder())[2].tolist() == said_by(encoder(), few.examples[2].text)


def test_the_examples_hold_every_category_and_level():
    examples = json.loads(EXAMPLES.read_text())["examples"]
    assert {e["level"] for e in examples} == {level.value for level in RiskLevel}
    assert {c for e in examples for c in e["categories"]} == {c.value for c in CATEGORIES}
    assert EXAMPLES.stat().st_size < 300_000


def test_the_choice_of_examples_does_not_hang_on_the_order_of_the_corpus():
    def message(text: str, level: str, *categories: Category) -> Message:
        return Message(text, text, RiskLevel(level), frozenset(categories), "x", kind="k")

    some = [message(f"number {i} says a few words", "elevated", Category.ABUSE) for i in range(40)]
    some += [message(f"calm {i} says a few words", "none") for i in range(400)]
    chosen = choose(some)
    assert {m.text for m in choose(some[::-1])} == {m.text for m in chosen}
    assert 0 < sum(m.level is RiskLevel.ELEVATED for m in chosen) < 40
