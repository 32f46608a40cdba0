import csv
import math
from pathlib import Path

import pytest

from tests.eval.test_results import write
from warmline.eval.blind import Page, Sheet, tasks
from warmline.eval.journal import VERSION, Answered, Header, Journal
from warmline.eval.lines import EvalError
from warmline.eval.rankings import ranking_figures
from warmline.eval.ratings import Ranking, Rating, append, file_of, fingerprint, read_beside, read_csv, read_file
from warmline.eval.results import OVERALL, RunResult, agreement, compare, read_result, told_apart, with_ratings
from warmline.eval.rubrics import shipped_rubrics

IDS = shipped_rubrics().ids


def answers(folder: Path, system: str, texts: list[str]) -> Path:
    about = Header(version=VERSION, bench="b", checksum="c", system=system, model=system)
    with Journal(folder / system / "run.jsonl", about) as journal:
        for number, text in enumerate(texts):
            journal.add(Answered(id=f"q{number}", question=f"question {number}", text=text))
    return folder / system


def sheet(*folders: Path, rater: str = "sam", **options: int) -> Sheet:
    return Sheet([read_result(folder) for folder in folders], rater, now=lambda: "2026-01-01T00:00:00+00:00", **options)


def page(one: Sheet, question: str, text: str | None = None) -> Page:
    return next(p for p in one.pages if p.task.question == question and (p.answer.text if p.answer else None) == text)


def full(points: int) -> dict[str, int]:
    return dict.fromkeys(IDS, points)


def table(path: Path, rows: list[list[object]], head: list[str] | None = None) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head or ["rater", "question", "system", *IDS], *rows])
    return path


# -- blindness and order ----------------------------------------------------------------------------------------------


def test_the_order_of_a_rater_is_the_same_at_every_start_and_another_one_for_each(tmp_path: Path) -> None:
    runs = [read_result(answers(tmp_path, name, [f"{name}{n}" for n in range(30)])) for name in "ab"]
    assert tasks(runs, "sam") == tasks(runs, "sam")
    assert tasks(runs, "sam") != tasks(runs, "kim")


def test_every_rater_gets_the_same_questions_and_more_of_them_keep_the_first(tmp_path: Path) -> None:
    runs = [read_result(answers(tmp_path, "a", [str(n) for n in range(30)]))]
    few = {task.question for task in tasks(runs, "sam", questions=5)}
    assert few == {task.question for task in tasks(runs, "kim", questions=5)}
    assert few < {task.question for task in tasks(runs, "kim", questions=9)}


def test_the_place_of_an_answer_tells_nothing_about_its_author(tmp_path: Path) -> None:
    runs = [read_result(answers(tmp_path, name, [f"{name}{n}" for n in range(60)])) for name in "ab"]
    first = [task.answers[0].systems for task in tasks(runs, "sam")]
    assert 15 < first.count(("a",)) < 45


def test_what_two_systems_said_alike_is_shown_once_and_counts_for_both(tmp_path: Path) -> None:
    folders = [answers(tmp_path, "a", ["same"]), answers(tmp_path, "b", ["same"])]
    one = sheet(*folders)
    assert len(one.pages) == 1
    one.write(one.pages[0], full(6))
    assert [read_result(folder).judges[0].scores["q0"][OVERALL] for folder in folders] == [6, 6]


def test_a_run_that_is_there_twice_is_told(tmp_path: Path) -> None:
    folder = answers(tmp_path, "a", ["1"])
    with pytest.raises(EvalError, match="there twice"):
        sheet(folder, folder)


def test_two_runs_of_one_system_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    folders = [tmp_path / "base-run", tmp_path / "tuned-run"]
    for folder, text in zip(folders, ("base", "tuned"), strict=True):
        answers(tmp_path, "agent", [text]).rename(folder)
    one = sheet(*folders)
    one.write(page(one, "q0", "base"), full(4))
    one.write(page(one, "q0", "tuned"), full(8))
    letters = {shown.text: shown.letter for shown in page(one, "q0").task.answers}
    one.write(page(one, "q0"), {letters["base"]: 2, letters["tuned"]: 1})
    base, tuned = told_apart([read_result(folder) for folder in folders])
    assert (base.name, base.judges[0].scores["q0"][OVERALL]) == ("agent (base-run)", 4)
    assert (tuned.name, tuned.judges[0].scores["q0"][OVERALL]) == ("agent (tuned-run)", 8)
    assert [ranked.system for ranked in ranking_figures([base, tuned])[0].systems] == [tuned.name, base.name]
    assert compare(base, tuned)[0].rows[-1].difference.value == -4
    assert sheet(*folders).finished == 3


def test_a_csv_must_name_the_folder_where_two_runs_share_a_system(tmp_path: Path) -> None:
    some = told_apart([read_result(answers(tmp_path / name, "agent", [name])) for name in ("x", "y")])
    by_name = Rating(rater="sam", question="q0", system="agent", scores=full(3))
    assert some[0].label != some[1].label
    assert some[0].holds(by_name.model_copy(update={"system": some[0].name}))
    assert not some[1].holds(by_name.model_copy(update={"system": some[0].name}))


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_a_rater_goes_on_where_they_left_off(tmp_path: Path) -> None:
    folder = answers(tmp_path, "a", ["one", "two"])
    first = sheet(folder)
    first.write(first.pages[0], full(7))
    again = sheet(folder)
    assert (again.next, again.points(again.pages[0])) == (1, full(7))


def test_a_beginning_is_kept_and_in_no_figure(tmp_path: Path) -> None:
    folder = answers(tmp_path, "a", ["one"])
    first = sheet(folder)
    first.write(first.pages[0], {IDS[0]: 4})
    assert sheet(folder).points(sheet(folder).pages[0]) == {IDS[0]: 4}
    assert read_result(folder).judges == ()


def test_the_last_word_of_a_rater_counts(tmp_path: Path) -> None:
    folder = answers(tmp_path, "a", ["one"])
    one = sheet(folder)
    one.write(one.pages[0], full(3))
    one.write(one.pages[0], full(9))
    assert read_result(folder).judges[0].scores["q0"][OVERALL] == 9
    assert len((folder / "ratings" / "sam.jsonl").read_text().splitlines()) == 2


def test_a_ranking_with_a_tie_is_kept_beside_each_run(tmp_path: Path) -> None:
    one = sheet(*(answers(tmp_path, name, [name]) for name in "abc"))
    rank = page(one, "q0")
    best = {"a": 1, "b": 2, "c": 2}
    one.write(rank, {shown.letter: best[shown.systems[0]] for shown in rank.task.answers})
    kept = [read_beside(tmp_path / name).rankings[0] for name in "abc"]
    assert kept[0].order == (("a",), ("b", "c"))
    assert kept[0] == kept[1] == kept[2]
    assert (kept[0].place("a"), kept[0].place("b")) == (1, 2.5)


def test_a_rating_of_another_text_is_no_rating_of_this_one(tmp_path: Path) -> None:
    folder = answers(tmp_path, "a", ["one"])
    other = Rating(rater="sam", question="q0", system="a", scores=full(3), answer=fingerprint("before"))
    append(file_of(folder, "sam"), other)
    assert read_result(folder).judges == ()


def test_a_line_cut_in_half_costs_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "sam.jsonl"
    rating = Rating(rater="sam", question="q0", system="a", scores=full(3))
    append(file, rating)
    append(file, rating.model_copy(update={"question": "q1"}))
    file.write_bytes(file.read_bytes()[:-9])
    assert [one.question for one in read_file(file).ratings] == ["q0"]
    append(file, rating.model_copy(update={"question": "q2"}))
    assert [one.question for one in read_file(file).ratings] == ["q0", "q2"]


def test_a_full_disk_is_told_and_says_that_nothing_is_lost() -> None:
    with pytest.raises(EvalError, match="disk is full"):
        append(Path("/dev/full"), Rating(rater="sam", question="q", system="a", scores={}))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{}", "line 1: damaged"),
        ('{"kind": "rating", "version": 2}', "line 1: written by another version"),
        ('{"kind":"rating","version":1,"rater":"s","question":"q","system":"a","scores":{"x":11}}', "line 1: damaged"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path / "sam.jsonl").write_text(line + "\n")
    with pytest.raises(EvalError, match=problem):
        read_file(tmp_path / "sam.jsonl")


@pytest.mark.parametrize("name", ["", "../sam", "a b", ".sam", "x" * 65])
def test_a_name_that_is_none_for_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EvalError, match="rater's name"):
        file_of(tmp_path, name)


# -- a CSV ------------------------------------------------------------------------------------------------------------


def test_a_csv_may_name_the_rubrics_as_people_do(tmp_path: Path) -> None:
    head = ["Rater", "Question", "System", *(rubric.name for rubric in shipped_rubrics().rubrics), "remarks"]
    found, wrong = read_csv(table(tmp_path / "r.csv", [["sam", "q0", "a", *[7] * 7, "fine"]], head))
    assert (found.ratings[0].scores, wrong) == (full(7), ())


GOOD = ["sam", "q0", "a", *[7] * 7]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (["sam", "q1", "a", 0, *[7] * 6], "line 3: active_listening is '0'"),
        (["sam", "q1", "a", 11, *[7] * 6], "line 3: active_listening is '11'"),
        (["sam", "q1", "a", "6.5", *[7] * 6], "line 3: active_listening is '6.5'"),
        (["sam", "q1", "a", "", *[7] * 6], "line 3: active_listening is ''"),
        (["sam", "", "a", *[7] * 7], "line 3: question is empty"),
        (["sam", "q1", "a", *[7] * 6], "line 3: 9 cells, and 10 columns"),
        (GOOD, "line 3: sam / q0 / a is already there, in line 2"),
    ],
)
def test_a_wrong_row_is_named_with_its_line_and_can_be_left_out(
    tmp_path: Path, row: list[object], problem: str
) -> None:
    file = table(tmp_path / "r.csv", [GOOD, row])
    with pytest.raises(EvalError, match=problem):
        read_csv(file)
    found, wrong = read_csv(file, skip_bad=True)
    assert (len(found.ratings), len(wrong)) == (1, 1)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1: no column for rater"),
        (b"rater,question,system\n", "no column for active_listening"),
        (b"rater,rater,question,system\n", "two columns for rater"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (",".join(["rater", "question", "system", *IDS]).encode() + b"\n", "not one usable row"),
        (",".join(["rater", "question", "system", *IDS]).encode() + b'\n"sam', "line 2: no CSV"),
    ],
)
def test_a_file_that_is_no_such_table_is_told(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "r.csv").write_bytes(content)
    with pytest.raises(EvalError, match=problem):
        read_csv(tmp_path / "r.csv")


# -- beside the judges -------------------------------------------------------------------------------------------------


def rated(folder: Path, name: str, judge: list[int | None], **people: list[int]) -> RunResult:
    rows = [[rater, f"q{n}", name, *[p] * 7] for rater, points in people.items() for n, p in enumerate(points)]
    found, _ = read_csv(table(folder / f"{name}.csv", rows))
    return with_ratings(read_result(write(folder, name, judge)), found)


def test_one_rater_is_held_against_the_judge(tmp_path: Path) -> None:
    found = agreement(rated(tmp_path, "a", [2, 5, 9], sam=[2, 5, 9]))
    assert [one.between for one in found] == [("j@http://x/v1 (structured)", "sam (human)")]
    assert set(found[0].kappa.values()) == set(found[0].alpha.values()) == {1.0}


def test_several_raters_are_held_against_each_other_and_their_mean_against_the_judge(tmp_path: Path) -> None:
    run = rated(tmp_path, "a", [2, 5, 9], sam=[1, 5, 9], kim=[3, 5, 9], lee=[2, 4, 8])
    found = {one.between: one for one in agreement(run)}
    assert ("j@http://x/v1 (structured)", "people (mean of raters)") in found
    assert ("kim (human)", "lee (human)", "sam (human)") in found
    assert run.people and run.people.scores["q0"][OVERALL] == 2


def test_a_judgement_that_only_one_has_given_is_not_compared(tmp_path: Path) -> None:
    found = agreement(rated(tmp_path, "a", [2, None, 9], sam=[2, 5]))
    assert found[0].n == 1


def test_people_compare_systems_as_judges_do(tmp_path: Path) -> None:
    a, b = rated(tmp_path, "a", [7, 7], sam=[8, 9]), rated(tmp_path, "b", [7, 7], sam=[6, 7])
    by = {one.judge: one for one in compare(a, b)}
    assert by["sam (human)"].rows[-1].difference.value == 2


def ranked(folder: Path, *orders: tuple[str, str, str]) -> list[RunResult]:
    """Two systems that the judge rates 8 and 4; rater, question, the better system."""
    folders = {"a": write(folder, "a", [8, 8]), "b": write(folder, "b", [4, 4])}
    for rater, question, best in orders:
        other = "b" if best == "a" else "a"
        line = Ranking(rater=rater, question=question, order=((best,), (other,)), bench="c")
        for run in folders.values():
            append(file_of(run, rater), line)
    return [read_result(run) for run in folders.values()]


def test_a_ranking_says_who_is_preferred_and_whether_the_judge_orders_alike(tmp_path: Path) -> None:
    (found,) = ranking_figures(ranked(tmp_path, ("sam", "q0", "a"), ("sam", "q1", "b"), ("kim", "q0", "a")))
    won = {one.system: one.won.value for one in found.systems}
    assert won == {"a": 0.5, "b": 0.5}
    assert [estimate.value for _, estimate in found.judges] == [0.5]
    assert (found.raters, found.questions) == (("kim", "sam"), 2)


def test_a_ranking_by_one_has_no_agreement_among_raters(tmp_path: Path) -> None:
    assert math.isnan(ranking_figures(ranked(tmp_path, ("sam", "q0", "a")))[0].alpha)
