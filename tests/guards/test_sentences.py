"""Where a sentence ends, whatever the chunks."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmline.guards.sentences import LIMIT, SentenceSplitter, ends_with_stop, sentences

CASES = [
    ("I hear you. That is a lot.", ["I hear you.", " That is a lot."]),
    ("Dr. Patel can help. Ask Mrs. Lee.", ["Dr. Patel can help.", " Ask Mrs. Lee."]),
    ("Try something small, e.g. a walk. Then rest.", ["Try something small, e.g. a walk.", " Then rest."]),
    ("It was 4 a.m. and dark. Now it is day.", ["It was 4 a.m. and dark.", " Now it is day."]),
    ("You live in the U.S. and I do not.", ["You live in the U.S. and I do not."]),
    ("You slept 3.5 hours. That is short.", ["You slept 3.5 hours.", " That is short."]),
    ("Well... maybe. Let us see… Then go.", ["Well... maybe.", " Let us see…", " Then go."]),
    ('"I am fine." That is what you said.', ['"I am fine."', " That is what you said."]),
    ('"Are you sure?" she asked. You nodded.', ['"Are you sure?" she asked.', " You nodded."]),
    ("(That is hard.) I am here.", ["(That is hard.)", " I am here."]),
    ("Really?! That is a lot! Yes.", ["Really?!", " That is a lot!", " Yes."]),
    ("Some ideas:\n- drink water\n- rest", ["Some ideas:", "\n- drink water", "\n- rest"]),
    ("1. Breathe in. 2. Breathe out.", ["1. Breathe in.", " 2. Breathe out."]),
    ("你好。我在这里！好吗？", ["你好。", "我在这里！", "好吗？"]),
    ("So do I. We go on.", ["So do I.", " We go on."]),
    ("No. It is not your fault.", ["No.", " It is not your fault."]),
    ("No. 5 is the one.", ["No. 5 is the one."]),
    ("Open findahelpline.com today. It is free.", ["Open findahelpline.com today.", " It is free."]),
    ("", []),
    ("   ", ["   "]),
    ("no stop at all", ["no stop at all"]),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text[:30] for text, _ in CASES])
def test_sentences_end_where_a_reader_would_pause(text: str, expected: list[str]):
    assert sentences(text) == expected


@pytest.mark.parametrize("number", ["0800. 123. 4567", "116\n123", "1-800.\n273. 8255", "98! 8"])
def test_a_number_is_never_split(number: str):
    pieces = sentences(f"Please call {number} when you can. It helps.")
    assert any(number in piece for piece in pieces)


@pytest.mark.parametrize("lead", range(LIMIT - 24, LIMIT + 4))
def test_a_run_on_is_not_cut_inside_a_number(lead: int):
    text = ("and so it goes " * 40)[:lead].rstrip() + " 0800 123 4567 " + "and on it goes " * 10
    assert any("0800 123 4567" in piece for piece in sentences(text))


def test_a_run_on_is_cut_at_a_clause():
    text = "it goes on and on and on, " * 40
    assert all(piece.endswith(",") for piece in sentences(text)[:-1])


def test_no_piece_is_longer_than_the_limit():
    assert max(map(len, sentences("x" * 5000 + ". " + "word " * 2000))) <= LIMIT


def test_a_sentence_is_ready_as_soon_as_the_next_one_begins():
    assert SentenceSplitter().feed("I hear you. T") == ["I hear you."]


def test_a_stop_waits_for_what_follows_it():
    splitter = SentenceSplitter()
    assert splitter.feed("It was 3.") == []
    assert splitter.feed("5 hours. N") == ["It was 3.5 hours."]


def test_a_tiny_limit_is_refused():
    with pytest.raises(ValueError, match="at least 40"):
        SentenceSplitter(limit=10)


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("Yes.", True),
        ('"Yes."', True),
        ("(Yes!) ", True),
        ("好。", True),
        ("and th", False),
        ("", False),
        ("wait,", False),
    ],
)
def test_a_finished_sentence_is_known_by_its_stop(text: str, finished: bool):
    assert ends_with_stop(text) is finished


ALPHABET = st.text(st.sampled_from(list("aA1 .,!?…\n\t\"')(0-。！x:;\u00a0é🐶\ud800*IDr")), max_size=900)
WORDS = st.lists(
    st.sampled_from(
        ["Dr.", "e.g.", "call 988.", "0800 123", "No.", "...", "\n", " ", "I hear you. ", "and so on ", "?!", "a.m. "]
    )
).map("".join)


@settings(deadline=None, max_examples=300)
@given(st.one_of(ALPHABET, WORDS, st.text(max_size=400)), st.data())
def test_any_chunking_gives_the_same_pieces_and_loses_nothing(text: str, data: st.DataObject):
    splitter, pieces, rest = SentenceSplitter(), [], text
    while rest:
        size = data.draw(st.sampled_from([1, 1, 2, 3, 5, 13, 90, 400]))
        pieces += splitter.feed(rest[:size])
        rest = rest[size:]
    pieces += splitter.flush()
    assert "".join(pieces) == text
    assert pieces == sentences(text)


def test_ten_thousand_chunks_take_time_in_proportion():
    def seconds(chunks: int) -> float:
        splitter, started = SentenceSplitter(), time.process_time()
        for _ in range(chunks):
            splitter.feed("go on ")
        splitter.flush()
        return time.process_time() - started

    small = min(seconds(1_000) for _ in range(5))
    # Quadratic work would take 100 times as long; 40 leaves room for a busy machine.
    assert min(seconds(10_000) for _ in range(3)) < 40 * small
