"""Whatever a keyboard or an attacker can send: always a verdict, in bounded time."""

import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warmline.guards.canonical import canonical
from warmline.guards.encoder import OnnxEncoder
from warmline.guards.explain import explain
from warmline.guards.filter import CrisisFilter
from warmline.guards.lexicon import SHIPPED, Lexicon, _Pattern, load_lexicon
from warmline.guards.output import OutputGuard
from warmline.guards.pattern import Choice, Edge, Gap, Word
from warmline.guards.types import Utterance

CRISIS = "i want to kill myself"
PIECES = st.sampled_from(
    [
        CRISIS,
        "k i l l",
        "su1c1de",
        "w\u200ba\u200bnt",
        "d\u0456e",
        "not",
        "lol",
        "my friend",
        "\x1b[2J",
        "&#x64;",
        "```",
        "{",
        "</p>",
    ]
)
ANYTHING = st.lists(st.one_of(PIECES, st.text(st.characters(codec=None), max_size=30)), max_size=8).map(" ".join)


@cache
def whole() -> CrisisFilter:
    encoder = OnnxEncoder.load()
    return CrisisFilter(encoder=encoder, thresholds=encoder.thresholds)


@cache
def guard() -> OutputGuard:
    return OutputGuard()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING, st.lists(ANYTHING, max_size=3))
def test_the_whole_filter_judges_any_text_after_any_history(text: str, said: list[str]):
    verdict = whole().screen(text, [Utterance(role="user", text=t) for t in said])
    assert verdict.error is None
    for evidence in verdict.evidence:
        assert text[evidence.start : evidence.end] == evidence.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING)
def test_any_text_can_be_explained(text: str):
    explanation = explain(text, whole(), nearest=2)
    assert explanation.verdict.error is None
    assert all(text[c.start : c.end] == c.text for c in explanation.clauses)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING, ANYTHING, ANYTHING)
def test_the_output_guard_judges_any_text(text: str, before: str, context: str):
    verdict = guard().check(text, before=before, context=context)
    assert verdict.error is None
    assert all(0 <= span.start <= span.end <= len(text) for span in verdict.spans)


@settings(max_examples=200, deadline=None)
@given(ANYTHING, st.sampled_from(["", " ", "\n\n", ". "]))
def test_a_crisis_in_a_sentence_of_its_own_is_found_in_any_noise(noise: str, gap: str):
    text = f"{noise}{gap}\n\n{CRISIS}.\n\n"
    assert CrisisFilter(encoder=None).screen(text).crisis


# --- time ---

FLOODS = {
    "words": "i want to ",
    "crises": "i want to kill myself. ",
    "spaces": "        ",
    "one letter": "a",
    "spaced letters": "k i l l ",
    "leetspeak": "k1ll my5elf ",
    "zero width": "\u200b",
    "marks": "e\u0301\u0301",
    "homoglyphs": "\u0456 w\u0430nt ",
    "brackets": "(((",
    "entities": "&amp;",
    "base64": "aSB3YW50IHRvIGRpZQ",
    "stops": ". ",
    "emoji": "\U0001f600",
    "many scripts": "quiero \u6b7b\u306b \u0445\u043e\u0447\u0443 \u0645\u0648\u062a \u0915\u0941\u091b ",
    "hyphens": "a-b-c-d-",
    "digits": "0800 ",
    "newlines": "\n",
    "negations": "not never no ",
}


def seconds(text: str) -> float:
    started = time.process_time()
    assert CrisisFilter(encoder=None).screen(text).error is None
    return time.process_time() - started


@pytest.mark.parametrize("name", FLOODS)
def test_the_work_grows_with_the_length_and_no_faster(name: str):
    piece = FLOODS[name]
    small = piece * (40_000 // len(piece))
    seconds(small)  # patterns compile once
    short, long = min(seconds(small) for _ in range(2)), min(seconds(small * 4) for _ in range(2))
    # Four times the text: linear is 4, quadratic 16. The floor keeps noise of the clock out.
    assert long < 8 * max(short, 0.02)


@pytest.mark.parametrize("name", ["words", "crises", "one letter", "zero width", "base64", "many scripts"])
def test_a_megabyte_is_judged_and_its_one_bad_sentence_found(name: str):
    piece = FLOODS[name]
    flood = piece * (500_000 // len(piece))
    verdict = CrisisFilter(encoder=None).screen(f"{flood}\n\n{CRISIS}.\n\n{flood}")
    assert verdict.error is None
    assert verdict.crisis


LEXICONS = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
LONGEST_READING = 320
"""Words that a pattern is tried on at once, see ``reading``."""


def written(pattern: _Pattern, *, gaps: bool) -> list[str]:
    """Words that fit a pattern, its gaps filled or not."""

    def words(nodes) -> list[str]:
        made: list[str] = []
        for node in nodes:
            if isinstance(node, Word):
                made.append(node.text + ("ing" if node.stem else ""))
            elif isinstance(node, Gap):
                made += ["so"] * (node.most if gaps else 0)
            elif isinstance(node, Choice):
                made += words(max(node.options, key=len))
            else:
                assert isinstance(node, Edge)
        return made

    return words(pattern.nodes)


def hard_texts(pattern: _Pattern) -> list[str]:
    """Texts that keep a backtracking engine busy: near misses of the pattern, again and again."""
    fits, loose = written(pattern, gaps=False), written(pattern, gaps=True)
    near = [*loose[:-1], "so"] if len(loose) > 1 else [*loose, "so"]
    floods = [fits, near, [fits[0]], [fits[0], "so"], [w for word in fits for w in (word, word)], fits[:-1] or fits]
    return [" ".join((words * LONGEST_READING)[:LONGEST_READING]) for words in floods]


@pytest.mark.parametrize("language", LEXICONS)
def test_no_pattern_of_a_lexicon_is_catastrophic(language: str):
    lexicon: Lexicon = load_lexicon(language)
    # A reading is the most that a pattern ever sees: 20 ms for its worst text, most need far less than one.
    assert slow_patterns(lexicon) == []


def test_a_catastrophic_pattern_would_be_seen(tmp_path: Path):
    bad = "language: en\nrules:\n  suicide:\n    - {id: slow, level: concern, patterns: a ~20 a ~20 a ~20 bee}\n"
    (tmp_path / "bad.yaml").write_text(bad)
    assert [name for _, name, _ in slow_patterns(Lexicon([tmp_path / "bad.yaml"]), most=1)] == ["slow"]


def slow_patterns(lexicon: Lexicon, most: int = 1_000) -> list[tuple[float, str, str]]:
    """(seconds, name, text) of the first ``most`` patterns and texts that take more than 20 ms."""
    slow: list[tuple[float, str, str]] = []
    for pattern in [*lexicon._primary, *lexicon._secondary]:
        compiled = pattern.compile()
        for text in hard_texts(pattern):
            line = f" . {text} . "
            started = time.process_time()
            sum(1 for _ in compiled.finditer(line))
            spent = time.process_time() - started
            if spent > 0.02:  # once more: another process may have been in the way
                started = time.process_time()
                sum(1 for _ in compiled.finditer(line))
                spent = min(spent, time.process_time() - started)
            if spent > 0.02:
                slow.append((round(spent, 3), pattern.rule.id if pattern.rule else pattern.kind, text[:80]))
                if len(slow) >= most:
                    return slow
    return slow


def test_offsets_are_found_in_time_that_does_not_grow_with_their_number():
    made = canonical("e\u200b" * 50_000)
    started = time.process_time()
    for at in range(0, 50_000, 50):
        made.span(at, at + 1)
    assert time.process_time() - started < 0.5
