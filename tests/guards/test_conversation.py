"""Risk through a conversation: up at once, down slowly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmline.guards.conversation import CALM_TURNS_TO_STEP, CONCERNS_TO_ELEVATED, RiskState, advance
from warmline.guards.filter import CrisisFilter
from warmline.guards.types import Category, RiskLevel, Subject, Utterance, Verdict

NONE, CONCERN, ELEVATED, IMMINENT = (Verdict(level=level) for level in RiskLevel)
SUICIDE = Verdict(level=RiskLevel.ELEVATED, categories=(Category.SUICIDE,))
FRIEND = Verdict(level=RiskLevel.ELEVATED, categories=(Category.SELF_HARM,), subject=Subject.OTHER)


def after(*verdicts: Verdict, state: RiskState | None = None, text: str = "and then the bus was late") -> RiskState:
    state = state or RiskState()
    for verdict in verdicts:
        state = advance(state, verdict, text)
    return state


@pytest.mark.parametrize("verdict", [CONCERN, ELEVATED, IMMINENT])
def test_a_level_rises_at_once(verdict: Verdict):
    state = after(NONE, verdict)
    assert state.level is verdict.level
    assert state.trend == "rising"


@pytest.mark.parametrize("lower", [NONE, CONCERN, ELEVATED])
def test_a_lower_verdict_does_not_pull_the_level_down(lower: Verdict):
    assert after(IMMINENT, lower).level is RiskLevel.IMMINENT


def test_concern_adds_up_to_elevated():
    assert after(*[CONCERN] * (CONCERNS_TO_ELEVATED - 1)).level is RiskLevel.CONCERN
    assert after(*[CONCERN] * CONCERNS_TO_ELEVATED).level is RiskLevel.ELEVATED


def test_concern_adds_up_over_calm_turns_between():
    assert after(CONCERN, NONE, CONCERN, NONE, CONCERN).level is RiskLevel.ELEVATED


@pytest.mark.parametrize("text", ["jk", "nvm", "forget it", "lol just kidding", "never mind", "i didnt mean it"])
@pytest.mark.parametrize("asked", [True, False])
def test_taking_it_back_lowers_nothing_however_often(text: str, asked: bool):
    state = after(SUICIDE)
    for _ in range(3 * CALM_TURNS_TO_STEP):
        state = advance(state, NONE, text, asked=asked)
    assert state.level is RiskLevel.ELEVATED


@pytest.mark.parametrize("text", ["no", "nope", "No, I'm not suicidal", "no i would never", "i don't want to die"])
def test_a_clear_no_to_our_question_lowers_one_step(text: str):
    state = advance(after(SUICIDE), NONE, text, asked=True)
    assert state.level is RiskLevel.CONCERN
    assert state.trend == "falling"


def test_the_same_no_without_the_question_lowers_nothing():
    assert advance(after(SUICIDE), NONE, "no", asked=False).level is RiskLevel.ELEVATED


def test_an_evasive_answer_to_our_question_lowers_nothing():
    assert advance(after(SUICIDE), NONE, "can we talk about something else", asked=True).level is RiskLevel.ELEVATED


def test_a_no_that_is_a_crisis_itself_lowers_nothing():
    assert advance(after(SUICIDE), ELEVATED, "no", asked=True).level is RiskLevel.ELEVATED


def test_steady_calm_lowers_one_step_at_a_time():
    levels = []
    state = after(IMMINENT)
    for _ in range(3 * CALM_TURNS_TO_STEP):
        state = after(NONE, state=state)
        levels.append(state.level)
    assert levels == sorted(levels, reverse=True)
    assert levels[CALM_TURNS_TO_STEP - 2] is RiskLevel.IMMINENT
    assert levels[CALM_TURNS_TO_STEP - 1] is RiskLevel.ELEVATED
    assert levels[-1] is RiskLevel.NONE


def test_one_worry_in_between_begins_the_calm_again():
    state = after(SUICIDE, *[NONE] * (CALM_TURNS_TO_STEP - 1), CONCERN, *[NONE] * (CALM_TURNS_TO_STEP - 1))
    assert state.level is RiskLevel.ELEVATED


def test_after_a_crisis_one_concern_opens_it_again():
    calm = after(SUICIDE, *[NONE] * (3 * CALM_TURNS_TO_STEP))
    assert calm.level is RiskLevel.NONE
    assert after(CONCERN, state=calm).level is RiskLevel.ELEVATED


def test_an_idiom_in_a_calm_conversation_changes_nothing():
    verdict = CrisisFilter(encoder=None).screen("this exam is killing me")
    before = after(NONE)
    state = advance(before, verdict, "this exam is killing me")
    assert (state.level, state.peak, state.categories) == (before.level, before.peak, before.categories)


def test_what_could_not_be_judged_is_a_concern_and_never_calm():
    failed = Verdict(level=RiskLevel.CONCERN, error="TimeoutError")
    assert after(failed).level is RiskLevel.CONCERN
    state = after(SUICIDE, NONE, NONE, NONE, failed)
    assert state.level is RiskLevel.ELEVATED
    assert state.calm_turns == 0


def test_the_peak_is_remembered():
    assert after(IMMINENT, *[NONE] * 20).peak is RiskLevel.IMMINENT


def test_the_newest_category_comes_first_and_none_is_lost():
    assert after(SUICIDE, FRIEND).categories == (Category.SELF_HARM, Category.SUICIDE)


def test_worry_about_a_friend_does_not_hide_the_writers_own_risk():
    assert after(FRIEND).subject is Subject.OTHER
    assert after(SUICIDE, FRIEND).subject is Subject.SELF
    assert after(FRIEND, SUICIDE).subject is Subject.SELF


def test_the_state_survives_json():
    state = after(SUICIDE, CONCERN, NONE)
    assert RiskState.model_validate_json(state.model_dump_json()) == state


@given(
    st.lists(st.tuples(st.sampled_from([NONE, CONCERN, ELEVATED, IMMINENT]), st.sampled_from(["no", "jk", "hello"])))
)
def test_a_level_never_falls_more_than_one_step_and_never_below_a_crisis_verdict(turns: list[tuple[Verdict, str]]):
    state = RiskState()
    for verdict, text in turns:
        new = advance(state, verdict, text, asked=True)
        assert new.level.rank >= state.level.rank - 1
        assert new.level >= verdict.level
        assert new.turn == state.turn + 1
        state = new


def test_a_slow_build_up_over_real_messages_becomes_a_crisis():
    texts = [
        "hi, rough week",
        "i feel hopeless",
        "work was long",
        "im such a burden to everyone",
        "i can't do this anymore",
    ]
    filter_, state, history = CrisisFilter(encoder=None), RiskState(), []
    for text in texts:
        state = advance(state, filter_.screen(text, history), text)
        history.append(Utterance(role="user", text=text))
    assert state.level is RiskLevel.ELEVATED
