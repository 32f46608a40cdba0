"""The counters, event by event: each thing that happens is counted once, under its own name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from warmline.agent.events import DoneEvent, Event, FailedEvent, ReplacedEvent, SentenceEvent, VerdictEvent
from warmline.agent.service.metrics import Metrics
from warmline.guards.types import RiskLevel, Verdict


def counted(*events: Event) -> Callable[[str], float]:
    """What a replica counts that saw a turn of these events."""
    metrics = Metrics()
    with metrics.turn() as turn:
        for event in events:
            turn.see(event)
    lines = (line.rpartition(" ") for line in metrics.text().decode().splitlines() if not line.startswith("#"))
    values = {name: float(value) for name, _, value in lines}
    return lambda name: values.get(name, 0.0)


def verdict(level: RiskLevel, error: str | None = None) -> VerdictEvent:
    return VerdictEvent(turn_id="t", verdict=Verdict(level=level, error=error), level=level)


def replaced(problem: str) -> ReplacedEvent:
    return ReplacedEvent(turn_id="t", text="Let us stop here.", problems=(problem,))


def done(route: str) -> DoneEvent:
    return DoneEvent(turn_id="t", reply="", route=route, ms=1.0)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("level", RiskLevel)
def test_a_verdict_is_counted_by_its_level(level: RiskLevel) -> None:
    assert counted(verdict(level))(f'warmline_verdicts_total{{level="{level.value}"}}') == 1


@pytest.mark.parametrize("route", ["support", "concern", "crisis", "hold", "human"])
def test_a_turn_is_counted_by_its_way_and_a_hold_as_one(route: str) -> None:
    value = counted(done(route))
    assert value(f'warmline_turns_total{{route="{route}"}}') == 1
    assert value("warmline_holds_total") == (route == "hold")


def test_a_sentence_that_did_not_pass_is_counted_by_its_problem() -> None:
    value = counted(replaced("output:diagnosis"))
    assert value('warmline_replaced_sentences_total{problem="output:diagnosis"}') == 1
    assert value("warmline_guard_errors_total") == 0


@pytest.mark.parametrize(
    "events",
    [
        [replaced("guard:ValueError")],
        [replaced("check:NodeTimeoutError")],
        [verdict(RiskLevel.CONCERN, error="ValueError"), replaced("screen:ValueError")],
    ],
    ids=["gate", "whole reply", "filter"],
)
def test_a_guard_that_could_not_judge_is_counted_once(events: list[Event]) -> None:
    assert counted(*events)("warmline_guard_errors_total") == 1


def test_a_model_that_fails_is_counted_by_kind_and_is_no_replaced_sentence() -> None:
    value = counted(replaced("model:stalled"))
    assert value('warmline_model_errors_total{kind="stalled"}') == 1
    assert value('warmline_replaced_sentences_total{problem="model:stalled"}') == 0


def test_a_turn_that_could_not_be_stored_is_counted() -> None:
    assert counted(FailedEvent(turn_id="t", text="…", detail="disk full"))("warmline_failed_turns_total") == 1


def test_the_time_to_the_first_sentence_is_taken_once_a_turn_and_not_without_words() -> None:
    two = counted(SentenceEvent(turn_id="t", text="One. "), SentenceEvent(turn_id="t", text="Two."))
    assert two("warmline_first_sentence_seconds_count") == 1
    assert counted(verdict(RiskLevel.NONE), done("human"))("warmline_first_sentence_seconds_count") == 0


def test_a_turn_on_its_way_is_seen_and_gone_when_it_is_over() -> None:
    metrics = Metrics()
    with metrics.turn():
        assert b"warmline_running_turns 1.0" in metrics.text()
    assert b"warmline_running_turns 0.0" in metrics.text()
