"""Runs a bench: every question answered once, every answer judged by every judge, each as soon as it can be.

What is in the journal is never asked for again. No answer stays in memory when it is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Generic, TypeVar

from .at_once import at_once
from .endpoint import Client, EndpointError, EndpointRefused
from .journal import VERSION, Answered, Header, Journal, Judged
from .judging import Chat, Mode, Unreadable
from .questions import Bench, Question
from .systems import System

GIVE_UP = 5
"""Failures in a row, without one success so far, after which a run stops: the next ones would fail as well."""
RAW_CHARS = 4000
"""Of a judgement that could not be read, kept to be looked at."""


@dataclass
class Progress:
    """How far a run is."""

    total: int
    done: int = 0
    kept: int = 0
    """Of ``done``, how many were there from before."""
    tokens_in: int = 0
    tokens_out: int = 0
    unscored: int = 0
    failed: list[str] = field(default_factory=list)
    """Calls that got no answer; the same command makes them again."""
    started: float = field(default_factory=perf_counter)

    @property
    def rate(self) -> float:
        """Calls a second since the start."""
        return (self.done - self.kept) / max(1e-9, perf_counter() - self.started)

    def fail(self, error: EndpointError) -> None:
        """Count a call that got no answer.

        Raises:
            EndpointRefused: nothing has worked so far.
        """
        self.failed.append(str(error))
        if len(self.failed) >= GIVE_UP and self.done == self.kept:
            raise EndpointRefused(f"{error}. Nothing has worked so far, so the run was stopped.")

    @property
    def seconds_left(self) -> float | None:
        """At this rate; ``None`` before anything was done."""
        return (self.total - self.done) / self.rate if self.done > self.kept else None


def header(bench: Bench, system: System) -> Header:
    """The first line of the run."""
    return Header(
        version=VERSION,
        bench=bench.name,
        checksum=bench.checksum,
        system=system.name,
        model=system.model,
        left_out=len(bench.left_out),
    )


async def run(
    bench: Bench,
    system: System,
    judges: Sequence[Client],
    mode: Mode,
    journal: Journal,
    *,
    repeats: int = 1,
    concurrency: int = 16,
    tell: Callable[[Progress], object] = lambda _: None,
) -> Progress:
    """Answer and judge what is not in ``journal`` yet.

    Args:
        judges: none is allowed: then only the answers are gathered.
        repeats: judgements of one answer by one judge.
        concurrency: questions at once; the connections of the clients should allow as many.
        tell: called after every step.

    Raises:
        EvalError: nothing works, or the journal cannot be written. What was done is in the journal.
    """
    names = [judge.endpoint.name for judge in judges]
    wanted = [(name, repeat) for name in names for repeat in range(repeats)]
    total = len(bench.questions) * (1 + len(wanted))
    kept = sum(q.id in journal.answered for q in bench.questions) + sum(
        (q.id, name, mode.name, repeat) in journal.judged for q in bench.questions for name, repeat in wanted
    )
    progress = Progress(total, done=kept, kept=kept)
    by_name = dict(zip(names, judges, strict=True))

    def failed(error: EndpointError) -> None:
        progress.fail(error)
        tell(progress)

    async def judge_one(answer: Answered, name: str, repeat: int) -> None:
        try:
            made = await judge(by_name[name], mode, answer, repeat)
        except EndpointError as error:
            failed(error)
            return
        journal.add(made)
        progress.done += 1
        progress.unscored += made.scores is None
        progress.tokens_in += made.tokens_in
        progress.tokens_out += made.tokens_out
        tell(progress)

    async def one(question: Question) -> None:
        answer = journal.answer(question.id)
        if answer is None:
            try:
                reply = await system.answer(question)
            except EndpointError as error:
                failed(error)
                return
            answer = Answered(
                id=question.id,
                topic=question.topic,
                question=question.text,
                crisis=question.crisis,
                text=reply.text,
                route=reply.route,
                tokens_in=reply.tokens_in,
                tokens_out=reply.tokens_out,
                ms=round(reply.ms, 1),
            )
            journal.add(answer)
            progress.done += 1
            progress.tokens_in += reply.tokens_in
            progress.tokens_out += reply.tokens_out
            tell(progress)
        for name, repeat in wanted:
            if (question.id, name, mode.name, repeat) not in journal.judged:
                await judge_one(answer, name, repeat)

    tell(progress)
    await at_once(bench.questions, one, concurrency)
    return progress


Read = TypeVar("Read")


@dataclass(frozen=True)
class Heard(Generic[Read]):
    """What a judge said, read; or why it could not be."""

    value: Read | None
    problem: str
    raw: str
    tokens_in: int
    tokens_out: int


async def hear(
    client: Client,
    messages: Chat,
    reads: Callable[[str], Read],
    again: Callable[[str], str],
    **options: Any,
) -> Heard[Read]:
    """Ask a judge. What cannot be read is asked for once more."""
    tokens_in = tokens_out = 0
    problem = raw = ""
    for attempt in range(2):
        said = await client.ask(messages, **options)
        tokens_in, tokens_out = tokens_in + said.tokens_in, tokens_out + said.tokens_out
        try:
            return Heard(reads(said.text), "", "", tokens_in, tokens_out)
        except Unreadable as error:
            problem, raw = str(error), said.text[:RAW_CHARS]
            if attempt == 0:
                messages = [
                    *messages,
                    {"role": "assistant", "content": said.text},
                    {"role": "user", "content": again(problem)},
                ]
    return Heard(None, problem, raw, tokens_in, tokens_out)


async def judge(client: Client, mode: Mode, answer: Answered, repeat: int = 0) -> Judged:
    """One judgement; unscored where it cannot be read."""
    options = {"seed": repeat, "temperature": 0.7} if repeat else {}
    heard = await hear(
        client,
        mode.asks(answer.question, answer.text),
        mode.reads,
        mode.again,
        response_format=mode.response_format,
        **options,
    )
    return Judged(
        id=answer.id,
        judge=client.endpoint.name,
        mode=mode.name,
        repeat=repeat,
        scores=dict(heard.value.scores) if heard.value else None,
        reasons=dict(heard.value.reasons) if heard.value else {},
        problem=heard.problem,
        raw=heard.raw,
        tokens_in=heard.tokens_in,
        tokens_out=heard.tokens_out,
    )
