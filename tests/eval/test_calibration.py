from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.eval.test_ratings import table
from tests.eval.test_results import write
from warmline.eval.calibration import FILE, calibrate, calibrated, read_calibrations, write_calibrations
from warmline.eval.lines import EvalError
from warmline.eval.ratings import read_csv
from warmline.eval.results import OVERALL, RunResult, read_result, with_ratings

RNG = np.random.default_rng(3)
PEOPLE = RNG.integers(1, 9, 60)
KIND = [int(p) + 2 for p in PEOPLE]
"""A judge that gives two points more than people do."""
BLIND = [int(s) for s in RNG.integers(1, 11, 60)]
"""A judge whose points have nothing to do with theirs."""


def run(folder: Path, judge: list[int], people: list[int]) -> RunResult:
    file = table(folder / "r.csv", [["sam", f"q{n}", "a", *[p] * 7] for n, p in enumerate(people)])
    return with_ratings(read_result(write(folder, "a", list(judge))), read_csv(file)[0])


def test_a_judge_that_is_too_kind_is_brought_to_where_people_are(tmp_path: Path) -> None:
    one = run(tmp_path, KIND, [int(p) for p in PEOPLE])
    (made,), _ = calibrate([one])
    fit = made.rubrics["active_listening"]
    assert (fit.slope, fit.intercept) == pytest.approx((1, -2))
    assert (fit.error_before, fit.error_after) == pytest.approx((2, 0), abs=1e-9)
    assert calibrated(one.judges[0], made)[OVERALL].value == pytest.approx(PEOPLE.mean())


def test_what_is_told_of_the_error_is_told_of_answers_that_the_line_has_not_seen(tmp_path: Path) -> None:
    (made,), _ = calibrate([run(tmp_path, BLIND, [int(p) for p in PEOPLE])])
    fit = made.rubrics["active_listening"]
    line = np.clip(fit.intercept + fit.slope * np.array(BLIND), 1, 10)
    assert fit.error_after > np.abs(line - PEOPLE).mean()


def test_a_calibration_that_is_needed_by_nobody_does_not_claim_to_help(tmp_path: Path) -> None:
    people = [int(p) for p in PEOPLE]
    noisy = [max(1, min(10, p + int(e))) for p, e in zip(people, RNG.choice([-1, 1], 60), strict=True)]
    (made,), _ = calibrate([run(tmp_path, noisy, people)])
    assert not made.rubrics[OVERALL].helps


def test_a_judge_that_goes_the_wrong_way_is_never_turned_around(tmp_path: Path) -> None:
    (made,), _ = calibrate([run(tmp_path, [11 - int(p) for p in PEOPLE], [int(p) for p in PEOPLE])])
    assert made.rubrics["active_listening"].slope == 0


def test_a_calibrated_score_stays_on_the_scale(tmp_path: Path) -> None:
    (made,), _ = calibrate([run(tmp_path, KIND, [int(p) for p in PEOPLE])])
    assert (made.rubrics[OVERALL].applied(1), made.rubrics[OVERALL].applied(99)) == (1, 10)


def test_too_few_rated_answers_are_told_with_their_number(tmp_path: Path) -> None:
    made, why = calibrate([run(tmp_path, KIND[:12], [int(p) for p in PEOPLE[:12]])])
    assert made == []
    assert "rated 12 of its answers, and it takes 20" in why[0]


def test_all_answers_to_a_question_are_in_one_fold(tmp_path: Path) -> None:
    # The same sixty answers twice, as two systems: were one copy in the fit for the other, the error would shrink.
    people = [int(p) for p in PEOPLE]
    one = run(tmp_path, BLIND, people)
    other = replace(one, header=one.header.model_copy(update={"system": "b"}))
    alone, twice = calibrate([one])[0][0], calibrate([one, other])[0][0]
    assert twice.answers == 2 * alone.answers
    assert twice.rubrics[OVERALL].error_after == pytest.approx(alone.rubrics[OVERALL].error_after)


def test_what_is_stored_is_what_is_read(tmp_path: Path) -> None:
    made, _ = calibrate([run(tmp_path, KIND, [int(p) for p in PEOPLE])])
    write_calibrations(tmp_path, made)
    assert read_calibrations(tmp_path) == tuple(made)


def test_a_folder_without_a_calibration_has_none(tmp_path: Path) -> None:
    assert read_calibrations(tmp_path) == ()


@pytest.mark.parametrize("content", ["", "{}", '{"version": 2, "judges": []}'])
def test_a_file_of_another_kind_or_version_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(EvalError, match="calibration of this version"):
        read_calibrations(tmp_path)
