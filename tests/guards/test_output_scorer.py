"""A learned judge behind the rules of the output guard."""

from collections.abc import Mapping

from warmline.guards.output import OutputGuard, Problem

CALM = "The kettle sang softly."


class Scorer:
    """Says what it was told to, and keeps what it was asked."""

    def __init__(self, **scores: float) -> None:
        self.said = {Problem(name): score for name, score in scores.items()}
        self.asked: list[tuple[str, str, str]] = []

    def scores(self, sentence: str, before: str = "", context: str = "") -> Mapping[Problem, float]:
        self.asked.append((sentence, before, context))
        return self.said


def test_it_stops_what_the_rules_let_through():
    verdict = OutputGuard(scorer=Scorer(coercion=0.9)).check(CALM)
    assert OutputGuard().check(CALM).safe
    assert (verdict.safe, verdict.problems) == (False, (Problem.COERCION,))
    assert (verdict.spans[0].start, verdict.spans[0].end, verdict.spans[0].rule) == (0, len(CALM), "scorer")


def test_a_low_score_stops_nothing():
    assert OutputGuard(scorer=Scorer(coercion=0.49, shaming=0.0)).check(CALM).safe


def test_each_problem_may_have_its_own_limit():
    guard = OutputGuard(scorer=Scorer(coercion=0.6, shaming=0.6), limits={Problem.COERCION: 0.7})
    assert guard.check(CALM).problems == (Problem.SHAMING,)


def test_it_cannot_let_through_what_a_rule_stops():
    scorer = Scorer(claims_human=0.0)
    verdict = OutputGuard(scorer=scorer).check("I am a real person, just like you.")
    assert not verdict.safe
    assert scorer.asked == []


def test_it_sees_what_came_before_and_what_was_answered():
    scorer = Scorer()
    OutputGuard(scorer=scorer).check(CALM, before="I hear you. ", context="should i stop my pills")
    assert scorer.asked == [(CALM, "I hear you. ", "should i stop my pills")]


def test_what_it_cannot_score_is_not_safe():
    class Broken:
        def scores(self, sentence: str, before: str = "", context: str = "") -> Mapping[Problem, float]:
            raise MemoryError

    verdict = OutputGuard(scorer=Broken()).check(CALM)
    assert (verdict.safe, verdict.error) == (False, "MemoryError")


def test_a_score_that_is_no_number_is_not_safe():
    assert not OutputGuard(scorer=Scorer(coercion=float("nan"))).check(CALM).safe


def test_nothing_is_asked_about_an_empty_sentence():
    scorer = Scorer(coercion=0.9)
    OutputGuard(scorer=scorer).check("  ")
    assert scorer.asked == []
