"""Who a message is about, where only its pronouns tell."""

import pytest

from warmline.guards.filter import CrisisFilter, EncoderScores, Thresholds
from warmline.guards.subject import about_other
from warmline.guards.training.corpus import read_corpus
from warmline.guards.types import Category, Subject

SUICIDE = (Category.SUICIDE,)


class Alarm:
    """Hears the same crisis in everything."""

    def __init__(self, category: Category = Category.SUICIDE) -> None:
        self.category = category

    def scores(self, text: str) -> EncoderScores:
        return EncoderScores(crisis=0.99, categories={self.category: 0.99})


def subject(text: str, category: Category = Category.SUICIDE) -> Subject:
    return CrisisFilter(encoder=Alarm(category), thresholds=Thresholds()).screen(text).subject


@pytest.mark.parametrize(
    "text",
    [
        "my sister gave her bird away and she says she wont be needing her coat",
        "my son says he has had it, he gave his boots to his cousin and he stopped seeing them",
    ],
)
def test_a_worry_about_somebody_is_about_them(text: str):
    assert subject(text) is Subject.OTHER


@pytest.mark.parametrize(
    "text",
    [
        "i gave my bird away and i wont be needing my coat",
        "gave the bird to my sister, wrote to my brother. theres peace in it",
        "asking for a mate. he gave his bird away and he says he wont be needing his coat",
        "my character gave her bird away and she says she wont be needing her coat",
        "tell my mum it wasnt her. ok bye",
        "she left me and i cant see why i would get up, she has my dog and her mum has my keys",
        "",
    ],
)
def test_the_writer_stays_the_writer(text: str):
    assert subject(text) is Subject.SELF


def test_he_who_hurts_is_not_the_one_at_risk():
    text = "he waits at his window and he knows when her bus comes and he follows her, he counts her miles"
    assert subject(text, Category.ABUSE) is Subject.SELF


def test_what_the_lexicon_knows_is_not_decided_by_pronouns():
    text = "she said he told her they left, and now i want to kill myself"
    assert subject(text) is Subject.SELF


def test_the_corpus_bears_out_how_seldom_a_writer_is_overlooked():
    own = [
        m
        for m in read_corpus()
        if m.crisis
        and m.kind != "third_party"
        and m.categories
        and m.categories <= {Category.SUICIDE, Category.SELF_HARM}
    ]
    wrong = sum(about_other(m.text.lower(), tuple(m.categories)) for m in own)
    assert wrong < 0.006 * len(own)
