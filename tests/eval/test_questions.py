import json
from collections import Counter
from pathlib import Path

import pytest

from warmline.eval.lines import EvalError
from warmline.eval.questions import read_answers, read_questions

SHARES = {
    "Relationships": 0.1504,
    "Anxiety": 0.0944,
    "Depression": 0.0809,
    "Intimacy": 0.0776,
    "Family Conflict": 0.0719,
    "Marriage": 0.0548,
    "Social Relationships": 0.0421,
    "Parenting": 0.0409,
    "Self-esteem": 0.0388,
    "Human Sexuality": 0.0356,
    "Counseling Fundamentals": 0.0347,
    "Trauma": 0.0290,
    "Behavioral Change": 0.0282,
    "Relationship Dissolution": 0.0262,
    "Stress": 0.0221,
    "LGBTQ": 0.0213,
    "Substance Abuse": 0.0200,
    "Anger Management": 0.0172,
    "Addiction": 0.0155,
    "Professional Ethics": 0.0151,
    "Spirituality": 0.0127,
    "Legal & Regulatory": 0.0110,
    "Workplace Relationships": 0.0098,
    "Sleep Improvement": 0.0082,
    "Domestic Violence": 0.0074,
    "Grief and Loss": 0.0065,
    "Career Counseling": 0.0065,
    "Diagnosis": 0.0045,
    "Children & Adolescents": 0.0041,
    "Military Issues": 0.0041,
    "Self-harm": 0.0041,
    "Eating Disorders": 0.0037,
    "Alzheimer's": 0.0008,
}
"""Of MentalChat16K (arXiv 2503.13509)."""


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def test_the_own_bench_has_two_hundred_questions() -> None:
    assert len(read_questions().questions) == 200


def test_no_two_questions_of_the_own_bench_are_the_same() -> None:
    assert len({question.text.casefold() for question in read_questions().questions}) == 200


def test_the_own_bench_holds_every_topic_by_its_share() -> None:
    topics = Counter(question.topic for question in read_questions().questions)
    assert set(topics) == set(SHARES)
    assert {topic: n for topic, n in topics.items() if abs(n - 200 * SHARES[topic]) > 1.1} == {}


def test_the_own_bench_holds_short_and_long_questions() -> None:
    words = sorted(len(question.text.split()) for question in read_questions().questions)
    assert words[0] >= 8
    assert 250 <= words[-1] <= 300
    assert sum(n >= 80 for n in words) >= 15


def test_a_few_of_the_own_questions_are_meant_as_a_crisis() -> None:
    assert sum(question.crisis for question in read_questions().questions) == 15


def test_the_form_of_the_papers_bench_is_read(tmp_path: Path) -> None:
    file = write(tmp_path / "q.jsonl", {"question_id": 1, "category": "generic", "turns": ["ok i have anxiety"]})
    assert read_questions(file).questions[0].text == "ok i have anxiety"


def test_wrong_lines_are_named_with_their_numbers(tmp_path: Path) -> None:
    file = write(tmp_path / "q.jsonl", {"id": "1", "text": "a"}, "{", {"id": "2"}, {"id": "1", "text": "b"}, "[]")
    with pytest.raises(EvalError) as told:
        read_questions(file)
    assert [line.split(":")[0].strip() for line in str(told.value).splitlines()[1:5]] == [
        "line 2",
        "line 3",
        "line 4",
        "line 5",
    ]


def test_skip_bad_keeps_the_rest_and_says_what_was_left_out(tmp_path: Path) -> None:
    file = write(tmp_path / "q.jsonl", {"id": "1", "text": "a"}, "{", {"id": "3", "text": " "})
    bench = read_questions(file, skip_bad=True)
    assert [question.id for question in bench.questions] == ["1"]
    assert len(bench.left_out) == 2


def test_an_empty_bench_is_no_bench(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="not one usable row"):
        read_questions(write(tmp_path / "q.jsonl"), skip_bad=True)


def test_a_question_in_another_encoding_is_named(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_bytes(b'{"id": "1", "text": "caf\xe9"}\n')
    with pytest.raises(EvalError, match="line 1: not UTF-8"):
        read_questions(file)


def test_published_answers_are_read(tmp_path: Path) -> None:
    row = {"question_id": 1, "model_id": "m", "choices": [{"index": 0, "turns": ["I hear you."]}]}
    answers, _ = read_answers(write(tmp_path / "a.jsonl", row))
    assert answers["1"].text == "I hear you."


def test_answers_of_two_models_in_one_file_are_refused(tmp_path: Path) -> None:
    rows = [{"id": "1", "answer": "a", "model": "x"}, {"id": "2", "answer": "a", "model": "y"}]
    with pytest.raises(EvalError, match="several models"):
        read_answers(write(tmp_path / "a.jsonl", *rows))
