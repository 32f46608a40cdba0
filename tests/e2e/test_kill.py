"""kill -9 at each step of a turn: nothing is lost, and no message is answered twice."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from warmline.agent import ScriptedModel, Settings, Store, SupportAgent

VICTIM = Path(__file__).with_name("victim.py")
ORDINARY = "I can't sleep since the funeral"
CRISIS = "i don't want to be here anymore, i have the pills next to me"
STEPS = ["stored", "streaming", "before-finish", "after-finish"]


def kill_at(step: str, message: str, database: Path) -> str:
    """Let a child answer ``message``, kill it at ``step`` and give back its session id."""
    command = [sys.executable, str(VICTIM), str(database), step, message]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        session_id = child.stdout.readline().strip()
        assert child.stdout.readline().strip() == "here"
        os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    return session_id


def survivor(database: Path) -> SupportAgent:
    model = ScriptedModel(replies=["I am here again. How are you now?"])
    return SupportAgent(model=model, settings=Settings(), store=Store.open(f"sqlite:///{database}"))


@pytest.mark.parametrize("step", STEPS)
async def test_the_message_is_there_after_a_restart(step: str, tmp_path: Path) -> None:
    database = tmp_path / "w.db"
    session_id = kill_at(step, ORDINARY, database)
    agent = survivor(database)
    session = await agent.open_session(session_id=session_id)
    assert [turn.user_text for turn in await session.history()] == [ORDINARY]
    await agent.aclose()


@pytest.mark.parametrize("step", STEPS)
async def test_it_is_answered_exactly_once(step: str, tmp_path: Path) -> None:
    database = tmp_path / "w.db"
    session_id = kill_at(step, ORDINARY, database)
    agent = survivor(database)
    session = await agent.open_session(session_id=session_id)
    first = [event async for event in session.recover()]
    again = [event async for event in session.recover()]
    assert [event.type for event in first if event.type == "done"] == ([] if step == "after-finish" else ["done"])
    assert again == []
    assert [turn.status for turn in await session.history()] == ["done"]
    await agent.aclose()


@pytest.mark.parametrize("step", ["stored", "before-finish"])
async def test_a_person_in_danger_gets_the_lines_after_a_restart(step: str, tmp_path: Path) -> None:
    database = tmp_path / "w.db"
    session_id = kill_at(step, CRISIS, database)
    agent = survivor(database)
    session = await agent.open_session(session_id=session_id)
    assert "crisis_card" in [event.type async for event in session.recover()]
    await agent.aclose()


@pytest.mark.parametrize("step", STEPS)
async def test_the_audit_chain_holds(step: str, tmp_path: Path) -> None:
    database = tmp_path / "w.db"
    kill_at(step, ORDINARY, database)
    store = Store.open(f"sqlite:///{database}")
    assert store.verify_audit().ok
    store.close()
