import json
import math
from pathlib import Path

import pytest

from tests.eval.stub_judge import ratings
from warmline.eval.gate import checks
from warmline.eval.journal import VERSION, Answered, Header, Journal, Judged
from warmline.eval.lines import EvalError
from warmline.eval.report import Report, as_data, as_markdown, limits, summary
from warmline.eval.results import OVERALL, agreement, compare, read_result, without, worst


def write(folder: Path, name: str, scores: list[int | None], *, judge: str = "j@http://x/v1", bench: str = "c") -> Path:
    about = Header(version=VERSION, bench="b", checksum=bench, system=name, model=f"{name}@http://x/v1")
    with Journal(folder / name / "run.jsonl", about) as journal:
        for number, score in enumerate(scores):
            id = f"q{number}"
            route = "crisis" if number == 0 else "support"
            journal.add(Answered(id=id, question="<script>?", text="I hear & see you.", route=route))
            rated = {k: float(v["score"]) for k, v in json.loads(ratings(score or 1)).items()}
            if score is None:
                journal.add(Judged(id=id, judge=judge, mode="structured", problem="it holds no JSON object"))
            else:
                why = dict.fromkeys(rated, "a reason")
                journal.add(Judged(id=id, judge=judge, mode="structured", scores=rated, reasons=why))
    return folder / name


def test_an_unscored_answer_is_counted_and_in_no_mean(tmp_path: Path) -> None:
    judge = read_result(write(tmp_path, "a", [6, None, 8])).judges[0]
    assert (judge.unscored, judge.judgements, dict(judge.problems)) == (1, 3, {"it holds no JSON object": 1})
    assert (judge.by_rubric[OVERALL].value, judge.by_rubric[OVERALL].n) == (7, 2)


def test_a_judge_that_scored_nothing_has_no_mean(tmp_path: Path) -> None:
    judge = read_result(write(tmp_path, "a", [None, None])).judges[0]
    assert math.isnan(judge.by_rubric[OVERALL].value)


def test_a_model_that_judges_itself_is_marked(tmp_path: Path) -> None:
    own = read_result(write(tmp_path, "a", [6], judge="a@http://elsewhere/v1"))
    assert own.judges[0].self_judged
    assert "judges its own model" in " ".join(summary(Report(runs=(own,))))


def test_another_model_is_not_marked(tmp_path: Path) -> None:
    assert not read_result(write(tmp_path, "a", [6])).judges[0].self_judged


def test_the_worst_answers_come_first(tmp_path: Path) -> None:
    assert worst(read_result(write(tmp_path, "a", [6, 2, 9, 4])).judges[0], 2) == ["q1", "q3"]


def test_questions_of_the_protocol_can_be_left_out(tmp_path: Path) -> None:
    run = read_result(write(tmp_path, "a", [1, 7, 7]))
    assert without(run.judges[0], run.routed)[OVERALL].value == 7


def test_two_runs_are_compared_on_what_both_have(tmp_path: Path) -> None:
    a = read_result(write(tmp_path, "a", [6, 7, 8, None]))
    b = read_result(write(tmp_path, "b", [5, 6, 7, 9]))
    found = compare(a, b)[0]
    assert (found.n, found.left_out) == (3, 1)
    assert {row.difference.value for row in found.rows} == {1.0}


def test_runs_over_other_questions_are_not_compared(tmp_path: Path) -> None:
    a, b = read_result(write(tmp_path, "a", [6])), read_result(write(tmp_path, "b", [6], bench="d"))
    with pytest.raises(EvalError, match="other questions"):
        compare(a, b)


def test_runs_without_a_common_judge_are_not_compared(tmp_path: Path) -> None:
    a, b = read_result(write(tmp_path, "a", [6])), read_result(write(tmp_path, "b", [6], judge="k@http://x/v1"))
    with pytest.raises(EvalError, match="no judge in common"):
        compare(a, b)


def test_two_judges_of_one_run_are_held_against_each_other(tmp_path: Path) -> None:
    write(tmp_path, "a", [6, 2, 9])
    folder = write(tmp_path, "a", [6, 2, 9], judge="k@http://x/v1")
    found = agreement(read_result(folder))[0]
    assert set(found.kappa.values()) == {1.0}
    assert set(found.alpha.values()) == {1.0}


def test_the_report_is_json_without_nan(tmp_path: Path) -> None:
    data = as_data(Report(runs=(read_result(write(tmp_path, "a", [None, None])),)))
    assert json.loads(json.dumps(data, allow_nan=False))["runs"][0]["judges"][0]["unscored"] == 2


def test_the_report_says_what_it_cannot_tell(tmp_path: Path) -> None:
    report = Report(runs=(read_result(write(tmp_path, "a", [6, 7])),))
    assert all(line in as_markdown(report, "T") for line in limits(report))
    assert "not clinical ratings" in as_markdown(report, "T")


def test_the_page_escapes_what_people_and_models_wrote(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    from warmline.eval.page import as_html

    page = as_html(Report(runs=(read_result(write(tmp_path, "a", [6, 7])),)), "<T>")
    assert "&lt;script&gt;?" in page
    assert "<script>?" not in page


def gate(folder: Path, body: str) -> Path:
    (folder / "gate.toml").write_text('report = "report.json"\n' + body)
    (folder / "report.json").write_text(json.dumps({"runs": [{"score": 7.2, "none": None}]}))
    return folder / "gate.toml"


@pytest.mark.parametrize(
    ("demand", "passed"),
    [
        ('figure = "runs.0.score"\nat_least = 7', True),
        ('figure = "runs.0.score"\nat_least = 7.5', False),
        ('figure = "runs.0.score"\nat_most = 7', False),
        ('figure = "runs.0.score"\nat_least = 7\nat_most = 8', True),
        ('figure = "runs.0.none"\nat_least = 0', False),
        ('figure = "runs.3.score"\nat_least = 0', False),
    ],
)
def test_a_gate_passes_only_what_was_measured_and_is_good_enough(tmp_path: Path, demand: str, passed: bool) -> None:
    assert checks(gate(tmp_path, f"[[threshold]]\n{demand}\n"))[0].passed is passed


@pytest.mark.parametrize(
    "body", ["", '[[threshold]]\nfigure = "a"\n', '[[threshold]]\nfigure = "a"\natleast = 1\n', "not toml"]
)
def test_a_gate_that_demands_nothing_is_an_error(tmp_path: Path, body: str) -> None:
    with pytest.raises(EvalError, match=r"gate\.toml"):
        checks(gate(tmp_path, body))
