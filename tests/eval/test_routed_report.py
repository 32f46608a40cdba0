from pathlib import Path

from warmline.eval.journal import VERSION, Answered, Header, Journal, Judged
from warmline.eval.report import Report, as_data, tables
from warmline.eval.results import RunResult, read_result
from warmline.eval.rubrics import shipped_rubrics


def a_run(folder: Path, system: str, routed: set[str], score: float) -> RunResult:
    """Four questions; the routed ones are rated 9, the others ``score``."""
    about = Header(version=VERSION, bench="b", checksum="c", system=system, model="m")
    with Journal(folder / "run.jsonl", about) as journal:
        for id in "1234":
            route = "crisis" if id in routed else "support"
            journal.add(Answered(id=id, question="q", text="a", route=route))
            given = 9.0 if id in routed else score
            journal.add(
                Judged(id=id, judge="j@x", mode="structured", scores=dict.fromkeys(shipped_rubrics().ids, given))
            )
    return read_result(folder)


def test_the_protocols_replies_stand_beside_what_the_bare_model_said(tmp_path: Path) -> None:
    report = Report(runs=(a_run(tmp_path / "on", "agent", {"1", "2"}, 6), a_run(tmp_path / "off", "bare", set(), 4)))
    title = "On the questions that the crisis protocol answered in agent"
    rows = next(one for one in tables(report) if one.title == title).rows
    overall = [(row[0], row[2], str(row[-1]).split()[0]) for row in rows]
    assert overall == [("agent", 2, "9.00"), ("bare", 2, "4.00")]


def test_programs_get_the_means_of_the_routed_and_of_the_rest(tmp_path: Path) -> None:
    data = as_data(Report(runs=(a_run(tmp_path, "agent", {"1"}, 6),)))["runs"][0]["judges"][0]
    assert data["rubrics_of_routed"]["overall"]["value"] == 9
    assert data["rubrics_without_routed"]["overall"]["value"] == 6


def test_without_routed_questions_there_is_no_such_table(tmp_path: Path) -> None:
    report = Report(runs=(a_run(tmp_path, "bare", set(), 4),))
    assert not [one for one in tables(report) if "crisis protocol" in one.title]
