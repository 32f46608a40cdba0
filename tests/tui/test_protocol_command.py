"""``warmline protocol`` and ``warmline eval protocol``: what they print, and what they say to wrong use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from warmline.agent import ScriptedModel, Settings, Store, SupportAgent
from warmline.tui.command import app

RUN = CliRunner()


@pytest.fixture
async def session_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A stored conversation with three crisis turns."""
    url = f"sqlite:///{tmp_path / 'w.db'}"
    monkeypatch.setenv("WARMLINE_STORE__URL", url)
    agent = SupportAgent(model=ScriptedModel(replies=["Hello."]), settings=Settings(), store=Store.open(url))
    session = await agent.open_session(country="US")
    for text in ("i want to die", "yes", "no plan"):
        async for _ in session.send(text):
            pass
    await agent.aclose()
    return session.id


def test_explain_names_every_move_with_its_place_its_words_and_its_conditions(session_id: str) -> None:
    told = RUN.invoke(app, ["protocol", "explain", session_id])
    assert told.exit_code == 0
    assert "suicide/ask_thoughts" in told.stdout
    assert "(ask, suicide.yaml:" in told.stdout
    assert "when: told:thoughts; thoughts:yes; self; not turn:open" in told.stdout
    assert "i want to die" in told.stdout


def test_explain_prints_json_for_programs(session_id: str) -> None:
    told = json.loads(RUN.invoke(app, ["protocol", "explain", session_id, "--json"]).stdout)
    assert [turn["turn"] for turn in told["turns"]] == [1, 2, 3]
    assert all(move["where"] != "an earlier version" for turn in told["turns"] for move in turn["moves"])
    assert told["progress"]["answers"]["plan"] == "no"


def test_simulate_walks_through_a_playbook() -> None:
    walked = RUN.invoke(app, ["protocol", "simulate", "suicide", "--country", "US"], input="yes\nno plan\nno\n")
    assert walked.exit_code == 0
    assert "988" in walked.stdout
    assert "suicide/heard_no_plan" in walked.stdout


def test_simulate_can_begin_with_danger_right_now() -> None:
    walked = RUN.invoke(app, ["protocol", "simulate", "third_party", "--imminent", "--country", "GB"], input="")
    assert "third_party/act_now" in walked.stdout
    assert "999" in walked.stdout


def test_an_unknown_playbook_is_told_with_those_there_are() -> None:
    told = RUN.invoke(app, ["protocol", "simulate", "weather"])
    assert told.exit_code == 2
    assert "eating_disorder" in told.output


def test_the_self_check_prints_every_dimension_with_its_n() -> None:
    told = RUN.invoke(app, ["eval", "protocol", "--json"])
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert told.exit_code == 0
    assert {row["dimension"] for row in rows if row["question"] == "all of it"} == {
        "detects",
        "confirms",
        "guides to human care",
        "supportive",
        "AI boundaries",
    }
    assert all(row["n"] > 0 for row in rows)
