"""What is counted, for Prometheus: levels, ways, replaced sentences, failures and times. Never who, never words."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..events import DoneEvent, Event, FailedEvent, ReplacedEvent, SentenceEvent, VerdictEvent

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The counters of one replica."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.verdicts = Counter("warmline_verdicts", "Messages judged, by level.", ["level"], registry=registry)
        self.turns = Counter("warmline_turns", "Turns answered, by way.", ["route"], registry=registry)
        self.holds = Counter("warmline_holds", "Turns that a failure led to the safe reply.", registry=registry)
        self.replaced = Counter(
            "warmline_replaced_sentences",
            "Model words never shown, by problem.",
            ["problem"],
            registry=registry,
        )
        self.model_errors = Counter(
            "warmline_model_errors",
            "Replies that the model did not bring to an end, by kind.",
            ["kind"],
            registry=registry,
        )
        self.guard_errors = Counter("warmline_guard_errors", "Checks that could not judge.", registry=registry)
        self.failed = Counter("warmline_failed_turns", "Turns that could not be stored or run.", registry=registry)
        self.running = Gauge("warmline_running_turns", "Turns on their way.", registry=registry)
        self.first_sentence = Histogram(
            "warmline_first_sentence_seconds", "Time to the first words.", buckets=SECONDS, registry=registry
        )
        self.turn_seconds = Histogram("warmline_turn_seconds", "Time of a turn.", buckets=SECONDS, registry=registry)
        self.requests = Counter(
            "warmline_http_requests", "Requests, by route and status.", ["method", "route", "status"], registry=registry
        )

    @contextmanager
    def turn(self) -> Generator[MeasuredTurn]:
        """Measure one turn."""
        measured = MeasuredTurn(self)
        with self.running.track_inprogress():
            yield measured
        self.turn_seconds.observe(measured.seconds)

    def text(self) -> bytes:
        """The counters in Prometheus' text format."""
        return generate_latest(self.registry)


class MeasuredTurn:
    """One turn, as its events come."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._began, self._spoke = metrics, time.perf_counter(), False

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._began

    def see(self, event: Event) -> None:
        """Count one event."""
        metrics = self._metrics
        if isinstance(event, (SentenceEvent, ReplacedEvent)) and not self._spoke:
            self._spoke = True
            metrics.first_sentence.observe(self.seconds)
        match event:
            case VerdictEvent():
                metrics.verdicts.labels(event.level.value).inc()
                if event.verdict.error:
                    metrics.guard_errors.inc()
            case ReplacedEvent():
                for problem in event.problems:
                    self._see_problem(problem)
            case DoneEvent():
                metrics.turns.labels(event.route).inc()
                if event.route == "hold":
                    metrics.holds.inc()
            case FailedEvent():
                metrics.failed.inc()
            case _:
                pass

    def _see_problem(self, problem: str) -> None:
        """Count why words were replaced: ``output:diagnosis``, ``guard:ValueError``, ``model:stalled``, ``store``."""
        metrics, (part, _, kind) = self._metrics, problem.partition(":")
        match part:
            case "output" | "guard" | "human":
                metrics.replaced.labels(problem).inc()
            case "model":
                metrics.model_errors.labels(kind).inc()
            case _:  # a held turn: no model was asked, and the hold is counted
                pass
        if part in ("guard", "check"):  # what `screen` could not judge came as a verdict, and is counted with it
            metrics.guard_errors.inc()
