"""A short answer answers what was asked, and nothing that only stood in our words."""

from __future__ import annotations

from pathlib import Path

import pytest

from warmline.agent import ScriptedModel, Settings, Store, SupportAgent
from warmline.agent.copy import Copy
from warmline.agent.protocol.context import for_filter, in_answer, question_of
from warmline.agent.protocol.playbook import load_playbooks
from warmline.agent.protocol.state import Progress
from warmline.agent.protocol.walk import Walk
from warmline.guards.filter import CrisisFilter
from warmline.guards.hotlines import Directory
from warmline.guards.types import Category, RiskLevel, Subject, Utterance, Verdict

FILTER, PLAYBOOKS = CrisisFilter(encoder=None), load_playbooks()
LINES = (
    "You can call or text 988 (988 Suicide & Crisis Lifeline), or text HOME to 741741 (Crisis Text Line). They are "
    "free and private, day and night. If it ever feels like you might do it, call 911."
)
ASKED = "Are you thinking about suicide? Any answer is okay to write here."
CALM = Verdict(level=RiskLevel.NONE)


def after(reply: str) -> tuple[Utterance, ...]:
    return (Utterance(role="user", text="it's a bad week"), Utterance(role="assistant", text=reply))


def screened(text: str, reply: str, pending: str | None = None) -> Verdict:
    progress = Progress(pending=pending)
    verdict = FILTER.screen(text, for_filter(text, after(reply), pending, PLAYBOOKS))
    return in_answer(verdict, text, progress, PLAYBOOKS)


@pytest.mark.parametrize("text", ["yes", "yeah", "i am", "i have", "sometimes", "maybe", "i do"])
@pytest.mark.parametrize(
    "reply",
    [
        LINES,
        f"{LINES}\n\nDo you think you'd use one of the lines above, now or on a bad night?",
        f"{LINES}\n\nI'm an AI, not a person. I can't see you or call anyone for you. Is anyone with you right now?",
    ],
)
def test_the_name_of_a_line_asks_nothing(reply: str, text: str) -> None:
    assert not screened(text, reply).crisis


@pytest.mark.parametrize("text", ["yes", "yeah", "i am", "i have", "sometimes", "maybe", "i do", "every day"])
def test_a_yes_to_the_question_about_suicide_is_one(text: str) -> None:
    assert screened(text, ASKED).crisis


@pytest.mark.parametrize(
    "text",
    [
        "i am so tired of school",
        "i am fine",
        "i am at work right now",
        "i am not",
        "i have a dog",
        "i have been better",
        "i have to go to work",
        "i do my best",
        "i think it's the weather",
    ],
)
def test_a_sentence_that_says_otherwise_is_no_bare_yes(text: str) -> None:
    assert not screened(text, ASKED, "thoughts").crisis


def test_i_am_thinking_about_it_is_a_yes() -> None:
    assert screened("i am thinking about it every night", ASKED, "thoughts").crisis


@pytest.mark.parametrize("text", ["leave me alone", "just leave me alone", "please leave me alone ok"])
def test_leave_me_alone_is_a_refusal_and_no_neglect(text: str) -> None:
    assert screened(text, "What helps you on such days?").level is RiskLevel.NONE


def test_who_is_left_alone_without_food_is_still_heard() -> None:
    assert screened("they leave me alone all day with no food", "What is home like?").crisis


def test_how_to_calm_down_right_now_is_no_plan() -> None:
    walk = Walk(FILTER, PLAYBOOKS, Directory.load(), Copy.load(), country="US")
    walk.hear("i want to die")
    step = walk.hear("how can i calm down right now")
    assert walk.progress.level is RiskLevel.ELEVATED
    assert "own/skill_ground" in step.moves


@pytest.mark.parametrize(
    ("pending", "text", "category"),
    [
        ("thoughts", "yes", Category.SUICIDE),
        ("urge", "sometimes", Category.SELF_HARM),
        ("act_now", "yes", Category.VIOLENCE),
    ],
)
def test_a_yes_to_our_own_question_opens_the_protocol_whatever_the_filter_heard(
    pending: str, text: str, category: Category
) -> None:
    verdict = in_answer(CALM, text, Progress(pending=pending), PLAYBOOKS)
    assert verdict.level is RiskLevel.ELEVATED
    assert verdict.categories == (category,)
    assert verdict.evidence[0].source == f"answer:{pending}"


def test_an_answer_about_somebody_else_is_about_them() -> None:
    asked = Verdict(level=RiskLevel.NONE, categories=(Category.SUICIDE,))
    assert in_answer(asked, "yes", Progress(pending="they_danger"), PLAYBOOKS).subject is Subject.OTHER


@pytest.mark.parametrize("text", ["no", "i don't know", "what's for dinner"])
def test_no_other_answer_does(text: str) -> None:
    assert in_answer(CALM, text, Progress(pending="thoughts"), PLAYBOOKS) == CALM


@pytest.mark.parametrize(
    ("reply", "question"),
    [
        ("I hear you. How was it?", "I hear you. How was it?"),
        ("Some people think about dying. Do you? I'm here.", "Some people think about dying. Do you?"),
        ("One.\n\nTwo. Are you safe?", "Two. Are you safe?"),
        ('Ask him plainly, "Do you think of suicide?" Then listen.', ""),
        ("I'm here.", ""),
    ],
)
def test_the_question_of_a_reply(reply: str, question: str) -> None:
    assert question_of(reply) == question


class TestTheLevelThatIsTold:
    """The verdict event says where the conversation stands after the message, the protocol's own view included."""

    async def levels(self, tmp_path: Path, *texts: str) -> tuple[list[RiskLevel], list[RiskLevel]]:
        store = Store.open(f"sqlite:///{tmp_path / 'w.db'}")
        agent = SupportAgent(
            model=ScriptedModel(), settings=Settings(), store=store, crisis_filter=CrisisFilter(encoder=None)
        )
        session = await agent.open_session(country="US")
        told, stored = [], []
        for text in texts:
            events = [event async for event in session.send(text)]
            assert [event.type for event in events].index("verdict") == 0
            told += [event.level for event in events if event.type == "verdict"]
            stored.append(RiskLevel((store.session(session.id).risk or {})["level"]))
        return told, stored

    async def test_is_the_one_the_protocol_raised_it_to(self, tmp_path: Path) -> None:
        told, stored = await self.levels(tmp_path, "i want to die", "yes", "yes", "yes", "yes")
        assert told[-1] is RiskLevel.IMMINENT
        assert told == stored

    async def test_is_told_once_a_turn(self, tmp_path: Path) -> None:
        told, stored = await self.levels(tmp_path, "my day was long", "i want to die", "no")
        assert len(told) == len(stored) == 3


class TestALongTalk:
    def walk(self, *said: str, turns: int = 60) -> tuple[Walk, list[tuple[str, ...]]]:
        walk = Walk(FILTER, PLAYBOOKS, Directory.load(), Copy.load(), country="US")
        moves = [walk.hear(text).moves for text in ("i want to die", "yes")]
        moves += [walk.hear(said[n % len(said)]).moves for n in range(turns)]
        return walk, moves

    def test_does_not_only_stay(self) -> None:
        _, moves = self.walk("it's just hard", "i don't know", "hm", "my head is loud", "not sure")
        late = [bool({"common/check", "common/next_step", "own/skill_ask"} & set(made)) for made in moves[20:]]
        assert all(any(late[n : n + 8]) for n in range(len(late) - 8))

    def test_asks_about_danger_only_once(self) -> None:
        _, moves = self.walk("it's just hard", "i don't know", "hm", "my head is loud", "not sure")
        asked = [PLAYBOOKS.by_id[id].asks for made in moves for id in made]
        danger = [topic for topic in asked if topic and PLAYBOOKS.topics[topic].danger]
        assert len(danger) == len(set(danger))

    def test_is_not_over_because_time_passed(self) -> None:
        walk, _ = self.walk("it's just hard", "hm", "the rain")
        assert walk.progress.open

    def test_stays_small(self) -> None:
        walk, _ = self.walk("it's just hard", "i don't know", "hm", turns=200)
        assert len(walk.progress.model_dump_json()) < 12_000
