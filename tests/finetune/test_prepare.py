"""Which rows are learnt from, which are dropped and why, and what is written: with the guards that ship."""

import hashlib
import json
from pathlib import Path

import pytest

from warmline.agent.prompt import to_chat
from warmline.finetune.pairs import DataError, Pair
from warmline.finetune.prepare import Options, Prepared, Source, held_back, normal, prepare, write

GOOD = "That sounds lonely, and it makes sense that you miss them. What would you like to tell them most of all?"
NOTHING = "I moved to a new town in spring and I still eat lunch alone every day."


def ask(n: int) -> str:
    """Questions that have little wording in common."""
    return f"In town {n} I know {n} people, eat lunch {n} times alone, get {n} letters and walk {n} miles."


def pair(n: int, question: str | None = None, answer: str = GOOD, **more: object) -> Pair:
    asked = ask(n) if question is None else question
    return Pair.model_validate({"id": f"row-{n}", "source": "rows", "question": asked, "answer": answer} | more)


@pytest.fixture(scope="module")
def many() -> list[Pair]:
    return [pair(n) for n in range(30)]


@pytest.fixture(scope="module")
def done(many: list[Pair]) -> Prepared:
    """Thirty good rows, and one of each that must go."""
    bad = [
        pair(100, ""),
        pair(101, answer=" "),
        pair(102, many[3].question.upper() + " !", many[3].answer),
        pair(103, "I want to kill myself tonight and I have the pills here."),
        pair(104, answer="You have bipolar disorder. It sounds hard. Stop taking your pills, they only harm you."),
        pair(105, answer="That sounds hard."),
        pair(106, answer="You could go for a walk each day and you could write a list of all the clubs in town."),
        pair(107, f"{NOTHING} " * 60),
    ]
    return prepare([*many, *bad], Options(validation=0.3))


def reasons(done: Prepared) -> dict[str, str]:
    return {row.id: str(row.reason) for row in done.dropped}


def test_every_good_row_is_kept_once(done: Prepared) -> None:
    kept = [row.id for row in [*done.train, *done.validation]]
    assert sorted(kept) == sorted({*(f"row-{n}" for n in range(30)), *kept})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("row-100", "empty"),
        ("row-101", "empty"),
        ("row-102", "duplicate"),
        ("row-103", "crisis"),
        ("row-105", "short"),
        ("row-106", "cold"),
        ("row-107", "long"),
    ],
)
def test_a_row_that_must_go_goes_with_its_reason(done: Prepared, row: str, reason: str) -> None:
    assert reasons(done)[row] == reason


def test_sentences_that_the_output_guard_refuses_are_not_learnt(done: Prepared) -> None:
    said = " ".join(row.messages[-1]["content"] for row in [*done.train, *done.validation])
    assert "bipolar" not in said
    assert "pills" not in said


def test_an_answer_that_is_not_shortened_is_refused_whole() -> None:
    unsafe = pair(104, answer="It sounds hard to be there so long. You have bipolar disorder, and I am sure of that.")
    seen = prepare([*(pair(n) for n in range(20)), unsafe], Options(words=None))
    assert reasons(seen) == {"row-104": "unsafe"}


def test_flagged_rows_are_kept_only_when_that_is_asked_for() -> None:
    crisis = pair(103, "I want to kill myself tonight and I have the pills here.")
    seen = prepare([*(pair(n) for n in range(20)), crisis], Options(keep_flagged=True))
    assert seen.flagged == ["row-103"]
    assert seen.dropped == []


def test_training_sees_the_prompt_that_the_chat_sees(done: Prepared, many: list[Pair]) -> None:
    row = next(row for row in [*done.train, *done.validation] if row.id == "row-5")
    assert list(row.messages) == [*to_chat([], many[5].question), {"role": "assistant", "content": GOOD}]


def test_turns_before_the_question_stand_before_it() -> None:
    history = ({"role": "user", "text": "Hi."}, {"role": "assistant", "text": "Hello, how are you?"})
    seen = prepare([*(pair(n) for n in range(20)), pair(50, history=history)], Options())
    row = next(row for row in [*seen.train, *seen.validation] if row.id == "row-50")
    assert [m["role"] for m in row.messages] == ["system", "user", "assistant", "user", "assistant"]


def test_all_answers_to_a_question_are_on_the_same_side() -> None:
    other = "It must be hard to sit there alone. Is there one person at work who seems kind to you?"
    seen = prepare([pair(2 * n + k, ask(n), (GOOD, other)[k]) for n in range(20) for k in (0, 1)], Options())
    train, held = ({row.messages[1]["content"] for row in side} for side in (seen.train, seen.validation))
    assert train.isdisjoint(held)
    assert len(seen.train) + len(seen.validation) == 40


def test_a_question_stays_on_its_side_when_other_rows_come_and_go(many: list[Pair], done: Prepared) -> None:
    fewer = prepare(many[10:], Options(validation=0.3))
    assert {row.id for row in fewer.validation} <= {row.id for row in done.validation}


def test_the_share_that_is_held_back_is_about_the_share_that_was_asked_for() -> None:
    held = sum(held_back(normal(f"question {n}"), 0.1, 7) for n in range(5000))
    assert 430 < held < 570


def test_another_seed_holds_other_questions_back() -> None:
    sides = [[held_back(f"question {n}", 0.5, seed) for n in range(50)] for seed in (1, 2)]
    assert sides[0] != sides[1]


def test_verdicts_are_remembered_without_a_word_of_the_texts(tmp_path: Path, many: list[Pair]) -> None:
    options = Options(validation=0.3, memory=tmp_path)
    first = prepare(many, options)
    (file,) = tmp_path.iterdir()
    verdicts = file.read_text(encoding="utf-8")
    assert len(verdicts.splitlines()) > 60
    assert "lonely" not in verdicts
    assert "lunch" not in verdicts
    assert prepare(many, options).train == first.train
    assert file.read_text(encoding="utf-8") == verdicts


def test_a_remembered_verdict_is_believed(tmp_path: Path, many: list[Pair]) -> None:
    options = Options(validation=0.3, memory=tmp_path)
    prepare(many, options)
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text(encoding="utf-8").replace('"none"]', '"imminent"]') + '["torn', encoding="utf-8")
    with pytest.raises(DataError, match="dropped: 30 crisis"):
        prepare(many, options)


def test_nothing_left_is_told_with_the_reasons() -> None:
    with pytest.raises(DataError, match="of 2 rows, 0 are left to train on and 0 to validate with; dropped: 2 empty"):
        prepare([pair(1, ""), pair(2, answer="")], Options())


@pytest.mark.parametrize(("wrong", "flag"), [({"validation": 1.5}, "--validation"), ({"words": 3}, "--shorten")])
def test_an_option_out_of_range_is_told(wrong: dict, flag: str) -> None:
    with pytest.raises(DataError, match=flag):
        Options(**wrong)


SOURCES = [Source("rows", "CC0", 38)]


def test_the_folder_holds_the_rows_their_sums_the_reasons_and_the_card(tmp_path: Path, done: Prepared) -> None:
    out = tmp_path / "data"
    write(done, out, sources=SOURCES, options=Options(validation=0.3))
    manifest = json.loads((out / "data.json").read_text(encoding="utf-8"))
    for name, rows in (("train.jsonl", done.train), ("validation.jsonl", done.validation)):
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == manifest["sha256"][name]
        lines = (out / name).read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["id"] for line in lines] == [row.id for row in rows]
    assert manifest["dropped"] == {"empty": 2, "duplicate": 1, "crisis": 1, "short": 1, "cold": 1, "long": 1} | (
        {"short": 2} if reasons(done).get("row-104") == "short" else {}
    )
    assert manifest["tokens_exact"] is False
    dropped = [json.loads(line) for line in (out / "dropped.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["id"] for row in dropped} == set(reasons(done))
    assert "| dropped: crisis | 1 |" in (out / "CARD.md").read_text(encoding="utf-8")


def test_a_line_of_the_file_is_one_line_for_every_reader(tmp_path: Path) -> None:
    odd = "That sounds hard\u2028and it makes sense that you are\x85 tired of all this after such a week."
    seen = prepare([pair(n, answer=odd) for n in range(20)], Options(words=None, keep_flagged=True))
    write(seen, tmp_path / "d", sources=[], options=Options())
    text = (tmp_path / "d" / "train.jsonl").read_text(encoding="utf-8")
    assert text.splitlines() == text.split("\n")[:-1]


def test_a_folder_of_ours_is_replaced_whole(tmp_path: Path, done: Prepared) -> None:
    for _ in range(2):
        write(done, tmp_path / "data", sources=SOURCES, options=Options())
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path, done: Prepared) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(DataError, match="no data folder of ours"):
        write(done, tmp_path, sources=SOURCES, options=Options())
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"
