"""What people said, from the command line: the CSV, the calibration, the probes and the report."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.eval.stub_judge import stub_judge
from tests.eval.test_eval_command import call, lines
from tests.eval.test_judges import KIND, PEOPLE
from tests.eval.test_probe import judge
from tests.eval.test_ratings import table
from tests.eval.test_results import write
from warmline.eval.lines import EvalError


def people(folder: Path, system: str = "a") -> Path:
    return table(folder / "people.csv", [["sam", f"q{n}", system, *[p] * 7] for n, p in enumerate(PEOPLE)])


def test_a_csv_and_a_calibration_are_in_the_report(tmp_path: Path) -> None:
    folder, ratings = write(tmp_path, "a", KIND), people(tmp_path)
    calibrated = call("calibrate", folder, "--ratings", ratings)
    assert calibrated.exit_code == 0
    assert "2.00 points away from theirs, calibrated 0.00" in calibrated.output
    assert call("report", folder, "--ratings", ratings, "--out", tmp_path / "o").exit_code == 0
    data = json.loads((tmp_path / "o" / "report.json").read_text())
    assert data["judges"]["calibration"][0]["calibrated"] is True
    assert data["runs"][0]["raters"] == ["sam"]
    assert data["runs"][0]["agreement"][0]["n"] == 24


def test_a_judge_without_rated_answers_is_not_calibrated(tmp_path: Path) -> None:
    result = call("calibrate", write(tmp_path, "a", [6, 7]))
    assert result.exit_code == 1
    assert "not calibrated" in result.output
    assert not (tmp_path / "a" / "calibration.json").exists()


def test_a_calibration_made_elsewhere_can_be_named(tmp_path: Path) -> None:
    call("calibrate", write(tmp_path, "a", KIND), "--ratings", people(tmp_path))
    other = write(tmp_path, "b", [5, 6, 7])
    call("report", other, "--calibration", tmp_path / "a", "--out", tmp_path / "o")
    found = json.loads((tmp_path / "o" / "report.json").read_text())["judges"]["calibration"][0]
    assert found["means"]["overall"]["value"] == pytest.approx(4)


def test_ratings_of_nothing_in_the_runs_are_refused(tmp_path: Path) -> None:
    result = call("report", write(tmp_path, "a", [6]), "--ratings", people(tmp_path, "other"), "--out", tmp_path / "o")
    assert isinstance(result.exception, EvalError)
    assert "systems: a" in str(result.exception)


def test_ratings_of_other_answers_are_told_and_the_rest_is_used(tmp_path: Path) -> None:
    folder = write(tmp_path, "a", KIND[:5])
    result = call("report", folder, "--ratings", people(tmp_path), "--out", tmp_path / "o")
    assert result.exit_code == 0
    assert "19 ratings are of no answer in these runs" in result.output


async def test_a_probe_is_run_and_reported(tmp_path: Path) -> None:
    ids = [str(n) for n in range(6)]
    questions = lines(tmp_path / "q.jsonl", [{"id": id, "text": "hello"} for id in ids])
    answers = lines(tmp_path / "a.jsonl", [{"id": id, "answer": "I hear you.", "model": "m"} for id in ids])
    async with stub_judge(judge(alone=(5, 7), place=1)) as stub:
        options = ["run", "questions", "--file", questions, "--model", answers, "--judge", f"j@{stub.base_url}"]
        options += ["--out", tmp_path / "o", "--probe", "--probe-on", 4]
        result = await asyncio.to_thread(call, *options)
    assert result.exit_code == 0
    (probe,) = json.loads((tmp_path / "o" / "report.json").read_text())["judges"]["probes"]
    assert (probe["asked"], probe["length"]["overall"]["value"], probe["order"]["overall"]["value"]) == (12, 2, 1)
    assert "the first place is worth +1.00" in (tmp_path / "o" / "report.md").read_text()
    if (page := tmp_path / "o" / "report.html").exists():
        assert "What moves j@" in page.read_text()


def test_a_rater_needs_a_name_for_a_file(tmp_path: Path) -> None:
    assert "rater's name" in str(call("rate", write(tmp_path, "a", [6]), "--rater", "../x").exception)
