"""kill -9 at every step of a turn, in a real process: nothing promised is lost, and nobody is answered twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from warmline.agent.store import Store, TurnPending, TurnSettled, TurnStatus
from warmline.guards.types import RiskLevel, Verdict

CALM = Verdict(level=RiskLevel.NONE)

START = """
import signal, sys
from warmline.agent.store import Store, audit
from warmline.guards.types import Verdict

calm = Verdict(level="none")

def here(name):
    print(name, flush=True)
    signal.pause()

def stop_before_commit(name):
    # The last thing every transaction does; the process dies with everything written and nothing committed.
    append = audit.append
    def append_and_stop(*arguments):
        append(*arguments)
        here(name)
    audit.append = append_and_stop

store = Store.open(sys.argv[1])
session = store.create_session("US")
print(session.id, flush=True)
"""

STEPS = {
    "storing the message": """
        stop_before_commit("storing the message")
        store.begin_turn(session.id, "are you there")
    """,
    "message stored": """
        store.begin_turn(session.id, "are you there")
        here("message stored")
    """,
    "storing the reply": """
        turn = store.begin_turn(session.id, "are you there")
        stop_before_commit("storing the reply")
        store.finish_turn(turn, reply="I am here.", verdict=calm, route="support", risk={"level": "concern"})
    """,
    "reply stored": """
        turn = store.begin_turn(session.id, "are you there")
        store.finish_turn(turn, reply="I am here.", verdict=calm, route="support", risk={"level": "concern"})
        here("reply stored")
    """,
}


@contextmanager
def running(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A child process that runs ``code`` and is gone afterwards, whatever happens."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout
    return child.stdout.readline().strip()


def kill_at(step: str, url: str) -> str:
    """Let a process come to ``step``, kill it there, and give the id of its conversation."""
    with running(START + textwrap.dedent(STEPS[step]), url) as child:
        session_id = line(child)
        assert line(child) == step
        child.send_signal(signal.SIGKILL)
    return session_id


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'warmline.db'}"


def test_killed_before_the_message_was_stored_there_is_no_turn(url: str) -> None:
    session_id = kill_at("storing the message", url)
    with Store.open(url) as store:
        assert store.turns(session_id) == ()
        assert store.verify_audit().ok


@pytest.mark.parametrize("step", ["message stored", "storing the reply"])
def test_killed_before_the_reply_was_stored_the_message_waits_for_one(url: str, step: str) -> None:
    session_id = kill_at(step, url)
    with Store.open(url) as store:
        (turn,) = store.unfinished()
        assert (turn.session_id, turn.user_text, turn.reply) == (session_id, "are you there", None)
        assert store.verdict(turn.id) is None
        assert store.session(session_id).risk is None
        assert store.verify_audit().ok


def test_a_restart_can_answer_the_message_that_waits_and_only_once(url: str) -> None:
    session_id = kill_at("message stored", url)
    with Store.open(url) as store, Store.open(url) as other:
        (turn,) = store.unfinished()
        store.finish_turn(turn, reply="Sorry, I was away.", verdict=CALM, route="support")
        with pytest.raises(TurnSettled):
            other.finish_turn(turn, reply="A second reply.", verdict=CALM, route="support")
        assert [turn.reply for turn in store.turns(session_id)] == ["Sorry, I was away."]
        assert store.unfinished() == ()


def test_a_restart_takes_the_next_message_at_once(url: str) -> None:
    session_id = kill_at("message stored", url)
    with Store.open(url) as store:
        store.begin_turn(session_id, "hello?")
        assert [turn.status for turn in store.turns(session_id)] == [TurnStatus.CLOSED, TurnStatus.PENDING]


def test_killed_after_the_reply_was_stored_nothing_waits(url: str) -> None:
    session_id = kill_at("reply stored", url)
    with Store.open(url) as store:
        (turn,) = store.turns(session_id)
        assert (turn.status, turn.reply) == (TurnStatus.DONE, "I am here.")
        assert store.unfinished() == ()
        assert store.session(session_id).risk == {"level": "concern"}
        assert store.verify_audit().ok


def test_a_turn_of_another_living_process_is_left_to_it(url: str) -> None:
    with running(START + textwrap.dedent(STEPS["message stored"]), url) as child:
        session_id = line(child)
        assert line(child) == "message stored"
        with Store.open(url) as store:
            assert store.unfinished() == ()
            with pytest.raises(TurnPending):
                store.begin_turn(session_id, "two")


TALK = """
for number in range(100_000):
    turn = store.begin_turn(session.id, f"message {number}")
    print("begun", number, flush=True)
    store.finish_turn(turn, reply=f"reply {number}", verdict=calm, route="support")
    print("done", number, flush=True)
"""


@pytest.mark.parametrize("seed", range(6))
def test_killed_anywhere_every_promise_is_kept(url: str, seed: int) -> None:
    """Kill at a random line of output, which is a random instant of the next transaction."""
    said: list[str] = []
    with running(START + TALK, url) as child:
        session_id = line(child)
        said += [line(child) for _ in range(random.Random(seed).randrange(20, 150))]
        child.send_signal(signal.SIGKILL)
        assert child.stdout
        said += [rest.strip() for rest in child.stdout]  # what it still said before it died
    with Store.open(url) as store:
        turns = store.turns(session_id)
        begun = sum(word.startswith("begun") for word in said)
        done = sum(word.startswith("done") for word in said)
        assert len(turns) in (begun, begun + 1)
        assert [turn.user_text for turn in turns] == [f"message {number}" for number in range(len(turns))]
        assert [turn.reply for turn in turns[:done]] == [f"reply {number}" for number in range(done)]
        assert len(store.unfinished()) <= 1
        assert store.verify_audit().ok


WRITE = """
sys.stdin.readline()
for number in range(40):
    turn = store.begin_turn(session.id, f"message {number}")
    store.finish_turn(turn, reply=f"reply {number}", verdict=calm, route="support")
store.close()
"""

RACE = """
from warmline.agent.store import TurnPending
(shared,) = [one.id for one in store.sessions() if one.title == "shared"]
sys.stdin.readline()
won = 0
while won < 15:
    try:
        turn = store.begin_turn(shared, "me")
    except TurnPending:
        continue
    won += 1
    store.finish_turn(turn, reply="you", verdict=calm, route="support")
store.close()
"""


def together(code: str, url: str, number: int) -> list[str]:
    """Run ``code`` in several processes that start at the same moment; gives the ids of their conversations."""
    command = [sys.executable, "-c", START + code, url]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(number)
    ]
    ids = [line(child) for child in children]
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=100)
    assert [child.returncode for child in children] == [0] * number
    return ids


def test_two_processes_write_at_once_and_neither_loses_anything(url: str) -> None:
    ids = together(WRITE, url, 2)
    with Store.open(url) as store:
        for session_id in ids:
            assert [turn.reply for turn in store.turns(session_id)] == [f"reply {number}" for number in range(40)]
        report = store.verify_audit()
        assert (report.ok, report.rows) == (True, 2 * (1 + 40 * 2))


def test_two_processes_in_one_conversation_take_turns(url: str) -> None:
    with Store.open(url) as store:
        shared = store.create_session(title="shared")
        together(RACE, url, 2)
        turns = store.turns(shared.id)
        assert [turn.number for turn in turns] == list(range(1, 31))
        assert {turn.status for turn in turns} == {TurnStatus.DONE}
        assert store.verify_audit().ok
