from pathlib import Path

import numpy as np
import pytest

from tests.eval.test_ratings import rated
from tests.eval.test_results import write
from warmline.eval.calibration import calibrate
from warmline.eval.judges import judges_told
from warmline.eval.report import Report, as_data, as_markdown, summary
from warmline.eval.results import OVERALL, compare_all, read_result

RNG = np.random.default_rng(2)
PEOPLE = [int(p) for p in RNG.integers(1, 8, 24)]
KIND: list[int | None] = [p + 2 for p in PEOPLE]


def test_a_judge_whose_answers_nobody_rated_is_told_to_be_uncalibrated(tmp_path: Path) -> None:
    report = Report(runs=(read_result(write(tmp_path, "a", [6, 7])),))
    told = "is not calibrated against people: nobody has rated its answers"
    assert told in " ".join(summary(report))
    assert told in as_markdown(report, "T")
    assert as_data(report)["judges"]["calibration"][0]["calibrated"] is False


def test_too_few_ratings_are_told_with_their_number(tmp_path: Path) -> None:
    run = rated(tmp_path, "a", [6, 7, 8], sam=[5, 6])
    assert "people rated 2 of its answers, and it takes 20" in judges_told([run], [])[0]


def test_enough_ratings_without_a_calibration_name_the_command(tmp_path: Path) -> None:
    run = rated(tmp_path, "a", KIND, sam=PEOPLE)
    assert "people rated 24 of its answers; `warmline eval calibrate` does it" in judges_told([run], [])[0]


def test_a_calibrated_judge_is_told_with_its_error_and_has_means_on_peoples_scale(tmp_path: Path) -> None:
    run = rated(tmp_path, "a", KIND, sam=PEOPLE)
    report = Report(runs=(run,), calibrations=tuple(calibrate([run])[0]))
    text = as_markdown(report, "T")
    assert "is calibrated on 24 answers to 24 questions that people rated (sam)" in text
    assert "2.00 points away from theirs, calibrated 0.00" in text
    mean = as_data(report)["judges"]["calibration"][0]["means"][OVERALL]["value"]
    assert mean == pytest.approx(np.mean(PEOPLE))


def test_a_judge_that_was_not_probed_is_named(tmp_path: Path) -> None:
    run = read_result(write(tmp_path, "a", [6, 7]))
    assert "was not measured (--probe)" in judges_told([run], [])[-1]


def test_the_agreement_of_a_judge_with_people_is_in_every_report(tmp_path: Path) -> None:
    report = Report(runs=(rated(tmp_path, "a", [2, 5, 9], sam=[2, 5, 9], kim=[2, 5, 9]),))
    rows = as_data(report)["runs"][0]["agreement"]
    assert ("j@http://x/v1 (structured)", "people (mean of raters)") in [tuple(row["between"]) for row in rows]
    assert "Agreement on a" in as_markdown(report, "T")


def test_several_pairs_of_systems_are_corrected_together(tmp_path: Path) -> None:
    scores: list[list[int | None]] = [[int(p) for p in RNG.integers(4, 7, 30)] for _ in range(3)]
    runs = [read_result(write(tmp_path, name, some)) for name, some in zip("abc", scores, strict=True)]
    found = [one.rows[-1] for one in compare_all(runs)]
    assert len(found) == 3
    lowest = min(found, key=lambda row: row.difference.p)
    assert lowest.p_holm == pytest.approx(min(1, 3 * lowest.difference.p))


def test_the_questions_on_which_systems_differ_lead_to_their_transcripts(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    from warmline.eval.page import as_html

    page = as_html(Report(runs=tuple(read_result(write(tmp_path, n, [3, s])) for n, s in (("a", 2), ("b", 9)))), "T")
    assert "<a href='#t0-q1'>q1</a>" in page
    assert "The same question: <a href='#t1-q1'>b</a>" in page
