"""The output guard as a whole: carry-over, contacts, errors, rule files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmline.guards import output_rules
from warmline.guards.contacts import find_contacts
from warmline.guards.output import OutputGuard, OutputVerdict, Problem
from warmline.guards.output_rules import RulesError, load_rules, shipped_rules

guard = OutputGuard()


@pytest.mark.parametrize(
    ("before", "sentence", "context"),
    [
        ("The pills are by your bed.", " Take thirty of them.", ""),
        ("Let me be honest, you only", " need me.", ""),
        ("I looked at what you wrote, and you clearly have", " bipolar disorder.", ""),
        ("There is a number you can ring: 0800", " 555 0199", ""),
        ("Who are you talking to? I'm a real", " person, not a bot.", ""),
        ("", "Take thirty of them.", "i have a box of paracetamol"),
        ("Take thirty of them.", " The pills, I mean.", ""),
    ],
)
def test_a_statement_split_in_two_is_found_in_its_second_half(before: str, sentence: str, context: str):
    assert not guard.check(sentence, before=before, context=context).safe


def test_what_was_shown_before_is_not_blamed_on_the_next_sentence():
    assert guard.check(" What helped last time?", before="You only need me.").safe


def test_the_whole_reply_is_read_without_carry_over():
    assert not guard.check("I hear you. You only need me. Rest well.", whole=True).safe


def test_an_empty_reply_is_degenerate():
    assert guard.check(" \n", whole=True).problems == (Problem.DEGENERATE,)


def test_white_space_between_sentences_passes():
    assert guard.check("\n\n", before="Yes.").safe


def test_the_same_sentence_a_third_time_is_degenerate():
    said = "I am here with you. I am here with you."
    assert guard.check(" I am here with you.", before=said).problems == (Problem.DEGENERATE,)


def test_the_same_sentence_twice_may_pass():
    assert guard.check(" I am listening now.", before="I am listening now.").safe


@pytest.mark.parametrize(
    "disguise",
    [
        "you clearly have b1polar disorder",
        "You clearly have\u200b bip\u200bolar disorder",
        "Ｙｏｕ ｃｌｅａｒｌｙ ｈａｖｅ bipolar disorder",
        "you clеarly hаve bipоlar disorder",
    ],
)
def test_a_disguised_sentence_is_read_through(disguise: str):
    assert Problem.DIAGNOSIS in guard.check(disguise).problems


def test_spans_point_at_the_words():
    text = "I hear you, but you only need me, dear."
    span = guard.check(text).spans[0]
    assert text[span.start : span.end] == "you only need me"
    assert span.rule.startswith("dependence/")


def test_a_span_that_began_before_starts_at_zero():
    span = guard.check(" need me.", before="Let me be honest, you only").spans[0]
    assert span.start == 0
    assert span.end == len(" need me")


def test_the_directory_can_be_replaced():
    asked: list[str] = []
    own = OutputGuard(known_contact=lambda text: not asked.append(text))
    assert own.check("Call 0800 555 0199 now.").safe
    assert asked == ["0800 555 0199"]


def test_a_directory_that_fails_is_an_error_and_not_safe():
    def broken(text: str) -> bool:
        raise OSError("disk")

    verdict = OutputGuard(known_contact=broken).check("Call 988 now.")
    assert verdict == OutputVerdict(safe=False, error="OSError", ms=verdict.ms)


def test_rules_that_cannot_be_read_are_an_error_and_not_safe(monkeypatch: pytest.MonkeyPatch):
    def broken() -> output_rules.Rules:
        raise RulesError("broken")

    monkeypatch.setattr("warmline.guards.output.shipped_rules", broken)
    verdict = OutputGuard().check("Hello there.")
    assert (verdict.safe, verdict.error) == (False, "RulesError")


def test_eight_words_of_the_prompt_are_a_leak():
    prompt = "You are Warmline, a kind listener who never gives a diagnosis and keeps replies short."
    own = OutputGuard(prompt=prompt)
    assert Problem.PROMPT_LEAK in own.check("a kind listener who never gives a diagnosis and keeps replies").problems
    assert own.check("A kind listener may help.").safe


@settings(deadline=None)  # the first run of a rule compiles it
@given(st.text(max_size=300), st.text(max_size=200), st.text(max_size=100), st.booleans())
def test_no_text_makes_it_raise_or_fail(sentence: str, before: str, context: str, whole: bool):
    verdict = guard.check(sentence, before, context, whole)
    assert verdict.error is None
    assert verdict.safe is (not verdict.spans)
    assert all(0 <= span.start <= span.end <= len(sentence) for span in verdict.spans)


@pytest.mark.parametrize(
    "text",
    [
        "\ud800",
        "\x00",
        "a" * 200_000,
        "you have " * 20_000,
        "0" * 100_000,
        "don't " * 20_000,
        "(" * 50_000,
        "\u0301" * 5000,
    ],
)
def test_hostile_texts_are_judged(text: str):
    verdict = guard.check(text, whole=True)
    assert verdict.error is None
    assert not verdict.safe


@pytest.mark.parametrize(
    "unit", ["you are not going to ", "take the the the ", "if you don't want ", "0800 ", "he said you said "]
)
def test_time_grows_with_the_text_and_not_faster(unit: str):
    def ms(times: int) -> float:
        return min(guard.check(unit * times, whole=True).ms for _ in range(3))

    ms(10)
    # Quadratic work would take 100 times as long.
    assert ms(2000) < 40 * ms(200)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Call 988.", ["988"]),
        ("Ring 116 123 or 0808 2000 247.", ["116 123", "0808 2000 247"]),
        ("Text HOME to 741741.", ["HOME to 741741"]),
        ("Call nine one one.", ["911"]),
        ("Dial double nine nine.", ["999"]),
        ("Reach them on +44 (0)20 7946 0018.", ["+44 (0)20 7946 0018"]),
        ("Ring ０８００ ５５５ ０１９９.", ["0800 555 0199"]),
        ("Call 1-800-SUICIDE.", ["1-800-SUICIDE"]),
        ("Write to a.b@c.example.", ["a.b@c.example"]),
        ("Write to anna at calm dot org.", ["anna at calm dot org".replace(" ", "")]),
        ("See https://calm.example/now.", ["https://calm.example/now"]),
        ("See findahelpline.com.", ["findahelpline.com"]),
        ("You slept 4 hours in 2023.", []),
        ("It was 12:30 on 05/11/2024.", []),
        ("Call 3 friends in 20 minutes.", []),
        ("It cost 1,250,000 pounds.", []),
        ("One, two, three, breathe.", []),
        ("I am on 150 mg.", []),
    ],
)
def test_contacts_are_found(text: str, expected: list[str]):
    assert [found.text for found in find_contacts(text)] == expected


def test_every_shipped_rule_compiles():
    shipped_rules().warm()
    assert len(shipped_rules()) > 60


def _folder(tmp_path: Path, rules: str, vocabulary: str = "short: {}\nmarked: {}\n") -> Path:
    (tmp_path / "vocabulary.yaml").write_text(vocabulary)
    (tmp_path / "own.yaml").write_text(rules)
    return tmp_path


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("problem: nonsense\nabout: x\nrules: [{id: a, any: b}]", "own.yaml: problem"),
        ("problem: shaming\nabout: x\nrules: [{id: a, any: 'b.*c'}]", "rule a: repeats need an upper bound"),
        ("problem: shaming\nabout: x\nrules: [{id: a, any: '(b|c'}]", "rule a: a bracket is not closed"),
        ("problem: shaming\nabout: x\nrules: [{id: a, any: '<gone> b'}]", "rule a: <gone> is not in vocabulary.yaml"),
        ("problem: shaming\nabout: x\nrules: [{id: a, any: b}, {id: a, any: c}]", "rule a: this id is used twice"),
        ("problem: shaming\nabout: x\nrules: [{id: a, any: b, unles: c}]", "rules.0.unles"),
        ("problem: [", "own.yaml"),
        ("problem: shaming\nabout: x\nrules: [{id: a, any: 'b{3,2}'}]", "rule a"),
    ],
)
def test_a_broken_rule_file_is_named_with_the_rule(tmp_path: Path, rules: str, message: str):
    with pytest.raises(RulesError, match=r"own\.yaml") as caught:
        load_rules(_folder(tmp_path, rules))
    assert message in str(caught.value)


def test_own_rules_can_be_used(tmp_path: Path):
    rules = "problem: off_role\nabout: x\nrules:\n  - id: weather\n    any: it will (rain|snow)<2> tomorrow\n"
    own = OutputGuard(rules=load_rules(_folder(tmp_path, rules)))
    assert own.check("I think it will rain a lot tomorrow.").problems == (Problem.OFF_ROLE,)
    assert own.check("You only need me.").safe
