import json
from pathlib import Path
from typing import Any

import pytest

from tests.eval.stub_judge import ratings, stub_judge
from tests.eval.test_run import ANSWERS, BENCH, client
from warmline.eval.journal import Journal, Probed, read_run
from warmline.eval.judging import Mode, Unreadable, paper, structured, structured_pair
from warmline.eval.probe import ProbeFigures, chosen, padded, padding
from warmline.eval.probing import probe
from warmline.eval.questions import Question
from warmline.eval.results import OVERALL, read_result
from warmline.eval.run import header, run


def pair(first: int, second: int) -> str:
    return json.dumps({"first": json.loads(ratings(first)), "second": json.loads(ratings(second))})


def longer(text: str) -> bool:
    return padding()[0] in text


def judge(*, alone: tuple[int, int], place: int = 0, length: int = 0) -> Any:
    """Gives a plain and a padded text ``alone``; in a pair 5, and more for the first place and for the longer text."""

    def answer(body: dict[str, Any]) -> str:
        said = body["messages"][1]["content"]
        if "second answer" not in said:
            return ratings(alone[longer(said)])
        first, second = said.split("end of first answer")
        return pair(5 + place + length * longer(first), 5 + length * longer(second))

    return answer


async def probed(path: Path, answer: Any, mode: Mode | None = None) -> ProbeFigures:
    mode = mode or structured()
    async with stub_judge(answer) as stub, client(stub) as asked:
        with Journal(path / "run.jsonl", header(BENCH, ANSWERS)) as journal:
            await run(BENCH, ANSWERS, [asked], mode, journal)
            await probe(chosen(BENCH.questions), [asked], mode, journal)
    return read_result(path).probes[0]


def test_padding_makes_an_answer_half_as_long_again_and_changes_no_word_of_it() -> None:
    answer = "I hear you. " * 30
    assert padded(answer).startswith(answer.rstrip())
    assert 1.4 < len(padded(answer)) / len(answer) < 1.7


def test_the_probed_questions_are_the_same_whatever_their_order() -> None:
    questions = [Question(id=str(n), text="?") for n in range(80)]
    assert chosen(questions) == chosen(reversed(questions))
    assert len(chosen(questions)) == 50


def test_only_questions_in_the_language_of_the_padding_are_probed() -> None:
    assert [q.id for q in chosen([Question(id="1", text="?", lang="de"), Question(id="2", text="?")])] == ["2"]


async def test_a_judge_that_likes_length_is_found_out(tmp_path: Path) -> None:
    found = await probed(tmp_path, judge(alone=(5, 7), length=2))
    assert found.length[OVERALL].value == found.length_in_pair[OVERALL].value == 2
    assert found.length[OVERALL].low > 0
    assert found.order[OVERALL].value == 0


async def test_a_judge_that_likes_the_first_place_is_found_out(tmp_path: Path) -> None:
    found = await probed(tmp_path, judge(alone=(5, 5), place=3))
    assert (found.order[OVERALL].value, found.length_in_pair[OVERALL].value) == (3, 0)
    assert found.flips.value == 1


async def test_a_judge_that_rates_what_is_written_is_moved_by_nothing(tmp_path: Path) -> None:
    found = await probed(tmp_path, judge(alone=(6, 6)))
    assert {d.value for each in (found.length, found.order, found.length_in_pair) for d in each.values()} == {0}
    assert found.flips.value == 0


async def test_what_the_place_does_not_change_is_no_flip(tmp_path: Path) -> None:
    assert (await probed(tmp_path, judge(alone=(5, 5), length=3, place=1))).flips.value == 0


async def test_the_published_prompt_is_probed_for_length_alone(tmp_path: Path) -> None:
    from warmline.eval.rubrics import shipped_rubrics

    template = "[Question]\n{question}\n[The Start of Assistant's Answer]\n{answer}\n[The End of Assistant's Answer]"
    (tmp_path / "p.json").write_text(json.dumps({"system_prompt": "s", "prompt_template": template}))

    def answer(body: dict[str, Any]) -> str:
        points = 8 if longer(body["messages"][1]["content"]) else 7
        return "\n".join(f"{rubric.name}: [[{points}]]" for rubric in shipped_rubrics().rubrics)

    found = await probed(tmp_path, answer, paper(tmp_path / "p.json"))
    assert (found.length[OVERALL].value, dict(found.order)) == (1, {})
    assert found.asked == 12


async def test_probes_are_paid_for_once_and_are_in_no_score(tmp_path: Path) -> None:
    async with stub_judge(judge(alone=(5, 9))) as stub, client(stub) as asked:
        for _ in range(2):
            with Journal(tmp_path / "run.jsonl", header(BENCH, ANSWERS)) as journal:
                await run(BENCH, ANSWERS, [asked], structured(), journal)
                await probe(BENCH.questions, [asked], structured(), journal)
    assert len(stub.requests) == 12 * 4
    assert sum(isinstance(line, Probed) for line in read_run(tmp_path / "run.jsonl")) == 36
    assert read_result(tmp_path).judges[0].by_rubric[OVERALL].value == 5


async def test_a_probe_that_cannot_be_read_is_counted_and_in_no_effect(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> str:
        return "I'd rather not compare." if "second answer" in body["messages"][1]["content"] else ratings(5)

    found = await probed(tmp_path, answer)
    assert (found.asked, found.unscored, dict(found.order)) == (36, 24, {})


@pytest.mark.parametrize(
    "text", [ratings(5), '{"first": {}}', pair(5, 11), json.dumps({"first": 5, "second": 5}), "First is better."]
)
def test_half_a_pair_is_no_pair(text: str) -> None:
    with pytest.raises(Unreadable):
        structured_pair().reads(text)
