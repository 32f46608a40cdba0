"""How fast and how big: the table behind ``warmline bench``. Medians and ratios; no figure here is a test.

CPU time is process time, which a busy machine disturbs less than wall time.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from ..agent import Session
    from ..agent.turn import TurnContext, TurnState

WORDS_100 = (
    "I have been so tired since we moved to the new flat that I can hardly get through the day at work, and my "
    "manager keeps asking whether everything is fine when we both know that it is not. My sister rang on Sunday and "
    "we talked about mum for an hour, which was good and also hard. I do not sleep much, I wake at four and think "
    "about money, and then the bus, and then the children's shoes. I would like to feel like myself again, and I do "
    "not quite know where to begin, so I am asking you tonight, please."
)
TURNS = 200
MAIN = "from warmline.tui.command import main; main()"


@dataclass(frozen=True)
class Row:
    """One figure of the table."""

    what: str
    value: str
    target: str = ""


def rows(*, with_model: bool = True, vllm: str | None = None) -> Iterator[Row]:
    """Measure, one figure after the other.

    Args:
        with_model: also load the embedded model and time its first sentence.
        vllm: base URL of a vLLM server, to measure what the agent adds to it, and nothing else.

    Raises:
        EvalError: no vLLM answers at that address.
    """
    if vllm:
        yield from asyncio.run(_serving(vllm))
        return
    yield from _imports()
    yield from _screening()
    yield from asyncio.run(_turns())
    yield _memory()
    yield _training_data()
    yield from _judgements()
    if with_model:
        yield from asyncio.run(_first_sentence())


def _median_ms(call: Callable[[], object], times: int) -> float:
    spent = []
    for _ in range(times):
        start = perf_counter()
        call()
        spent.append((perf_counter() - start) * 1000)
    return statistics.median(spent)


def _imports() -> Iterator[Row]:
    for what, arguments, target in (
        ("warmline --help", ["-c", f"import sys; sys.argv = ['warmline', '--help']; {MAIN}"], "< 300 ms"),
        ("import warmline.agent", ["-c", "from warmline.agent import SupportAgent, Settings"], "< 1200 ms"),
        ("import warmline.guards", ["-c", "from warmline.guards import CrisisFilter"], ""),
        ("python itself, for comparison", ["-c", "pass"], ""),
    ):
        run = [sys.executable, *arguments]
        median = _median_ms(lambda run=run: subprocess.run(run, check=True, capture_output=True), 5)
        yield Row(f"{what} (a new process, wall)", f"{median:.0f} ms", target)


def _screening() -> Iterator[Row]:
    from ..agent.parts import crisis_filter
    from ..agent.settings import GuardSettings
    from ..guards.filter import CrisisFilter
    from ..guards.output import OutputGuard

    lexicon_only, guard = CrisisFilter(encoder=None), OutputGuard()
    lexicon_only.screen(WORDS_100)
    sentence = WORDS_100.split(".")[0] + "."
    guard.check(sentence)
    yield Row(
        "screen a 100-word message, lexicon only",
        f"{_median_ms(lambda: lexicon_only.screen(WORDS_100), 500):.3f} ms",
        "< 0.3 ms",
    )
    whole = crisis_filter(GuardSettings())
    whole.screen(WORDS_100)
    words_30 = " ".join(WORDS_100.split()[:30])
    yield Row(
        "screen a 30-word message, with the encoder",
        f"{_median_ms(lambda: whole.screen(words_30), 50):.1f} ms",
        "< 25 ms",
    )
    yield Row(
        "screen a 100-word message, with the encoder",
        f"{_median_ms(lambda: whole.screen(WORDS_100), 50):.1f} ms",
        "< 60 ms",
    )
    yield Row(
        "screen a 1 MB message, lexicon only", f"{_median_ms(lambda: lexicon_only.screen(WORDS_100 * 2000), 1):.0f} ms"
    )
    yield Row("output guard, one sentence", f"{_median_ms(lambda: guard.check(sentence), 500):.3f} ms")


async def _turns() -> list[Row]:
    """CPU of everything but the model, at the first turns and at the last of a long conversation."""
    from ..agent import ScriptedModel, Settings, Store, SupportAgent
    from ..agent.settings import GuardSettings
    from ..agent.turn import TurnContext

    reply = "That sounds like a lot to carry. What would help you most tonight?"
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{Path(folder) / 'bench.db'}")
        model = ScriptedModel(replies=[reply] * (2 * TURNS + 40))
        lexicon_only = Settings(guards=GuardSettings(encoder="off"))  # the encoder has rows of its own
        agent = SupportAgent(model=model, settings=lexicon_only, store=store)
        await agent.warm_up()

        state: TurnState = {"text": ""}
        context = TurnContext(parts=agent.parts_for("US"), turn_id="bench", country="US")
        graph: list[float] = []
        for n in range(TURNS + 10):
            start = process_time()
            state["text"] = f"I had a long day, number {n}."
            state = cast("TurnState", await agent.graph.ainvoke(state, context=context))
            graph.append((process_time() - start) * 1000)

        protocol = await _protocol(context)

        session = await agent.open_session(country="US")
        whole = [await _spend(session, f"I had a long day, number {n}.") for n in range(TURNS + 10)]

        card = await agent.open_session(country="US")
        start, first_card = perf_counter(), 0.0
        async with aclosing(card.send("i don't want to be here anymore, i have the pills next to me")) as events:
            async for event in events:
                if event.type == "crisis_card":
                    first_card = (perf_counter() - start) * 1000
        await agent.aclose()
    rows = [Row("crisis protocol, CPU a turn", f"{statistics.median(protocol):.1f} ms", "< 5 ms")]
    for what, spent, target in (
        ("rails + graph, CPU a turn", graph[10:], "< 5 ms"),
        ("the same with the store", whole[10:], ""),
    ):
        early, late = statistics.median(spent[:10]), statistics.median(spent[-10:])
        rows += [
            Row(f"{what}, turns 1-10", f"{early:.1f} ms", target),
            Row(f"{what}, turns {TURNS - 9}-{TURNS}", f"{late:.1f} ms", target),
            Row("  late to early", f"{late / early:.2f} x", "flat"),
        ]
    return [*rows, Row("crisis message to crisis card, wall", f"{first_card:.1f} ms", "< 50 ms"), _yardstick()]


async def _protocol(context: TurnContext) -> list[float]:
    """CPU of the protocol's own steps, without the guards, over a crisis of many turns."""
    from ..agent.protocol.graph import protocol_graph
    from ..guards.types import Category, RiskLevel, Verdict

    graph, spent = protocol_graph(), []
    opening = Verdict(level=RiskLevel.ELEVATED, categories=(Category.SUICIDE,))
    said = ("yes", "no plan", "i don't know", "i can't afford it", "my sister", "it's getting worse", "stop asking")
    state: TurnState = {"text": "i want to die", "verdict": opening}
    for n in range(TURNS):
        start = process_time()
        state = cast("TurnState", await graph.ainvoke(state, context=context))
        spent.append((process_time() - start) * 1000)
        state |= {"text": said[n % len(said)], "verdict": Verdict(level=RiskLevel.NONE)}
        if n % 20 == 19:
            state |= {"text": "i want to die", "verdict": opening}
    return spent[10:]


def _yardstick() -> Row:
    """The machine itself: on a quiet one of 2025 this is near 45 ms, and a busy one shows here first."""
    start = process_time()
    sum(number * number for number in range(1_000_000))
    return Row("a million squares in Python, CPU, for comparison", f"{(process_time() - start) * 1000:.0f} ms")


async def _spend(session: Session, text: str) -> float:
    start = process_time()
    async for _ in session.send(text):
        pass
    return (process_time() - start) * 1000


def _memory() -> Row:
    code = (
        "import asyncio, resource, warmline.tui.chat.app\n"
        "from warmline.agent import SupportAgent, Settings\n"
        "async def main():\n"
        "    agent = SupportAgent.from_settings(Settings(model={'base_url': 'http://127.0.0.1:9/v1', 'name': 'x'},"
        " store={'url': 'sqlite:///:memory:'}))\n"
        "    await agent.warm_up()\n"
        "    session = await agent.open_session()\n"
        "    async for event in session.send('hello there'): pass\n"
        "asyncio.run(main())\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ)
    return Row("chat without a local model, resident after a turn", f"{float(result.stdout):.0f} MB", "< 150 MB")


TRAINING_ROWS = 16_000


def _training_data() -> Row:
    """Rows as long as MentalChat16K's, of made-up words: read, compared, counted and parted. The guards are apart."""
    from ..finetune.prepare import Options, prepare
    from ..finetune.read import read_pairs
    from ..finetune.screening import Screened
    from ..finetune.tokens import token_count
    from .questions import read_questions

    chance = random.Random(7)
    words = [f"{a}{b}" for a in ("lo", "ne", "ti", "re", "ho", "me", "su", "wa") for b in WORDS_100.split()]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        with file.open("w", encoding="utf-8") as out:
            for _ in range(TRAINING_ROWS):
                asked, said = (" ".join(chance.choices(words, k=length)) for length in (60, 300))
                out.write(json.dumps({"instruction": asked, "input": "", "output": said}) + "\n")
        bench = {question.id: question.text for question in read_questions().questions}
        start = process_time()
        prepare(
            read_pairs(file),
            Options(words=None, max_tokens=4096),
            count=token_count(None, ""),
            bench=bench,
            screen=lambda pairs: [Screened(level="none", answer=pair.answer) for pair in pairs],
        )
    return Row("16,000 rows of training data without the guards, CPU", f"{process_time() - start:.1f} s", "< 10 s")


def _judgements() -> Iterator[Row]:
    """Judged answers with a judge that answers at once; the memory is that of the whole process."""
    from .judging_speed import measure

    few, many = measure(200, 2000)
    yield Row("200 judgements beside a judge that answers at once, wall", f"{few.seconds:.1f} s", "< 5 s")
    yield Row("  of that CPU, each", f"{1000 * few.cpu_seconds / few.answers:.1f} ms")
    yield Row("peak memory, 2,000 judgements to 200", f"{many.peak_mb:.0f} to {few.peak_mb:.0f} MB", "flat")
    yield Row("  ratio", f"{many.peak_mb / few.peak_mb:.2f} x", "flat")


async def _first_sentence() -> list[Row]:
    from ..agent import Settings, Store, SupportAgent

    with tempfile.TemporaryDirectory() as folder:
        agent = SupportAgent(settings=Settings(), store=Store.open(f"sqlite:///{Path(folder) / 'bench.db'}"))
        start = perf_counter()
        await agent.warm_up()
        loaded = perf_counter() - start
        firsts, totals = [], []
        for text in ("I can't sleep since the funeral.", "My boss shouted at me today.", "I feel so alone here."):
            session = await agent.open_session(country="US")
            async for event in session.send(text):
                if event.type == "done":
                    firsts.append(event.first_sentence_ms or event.ms)
                    totals.append(event.ms)
        await agent.aclose()
    return [
        Row("embedded model, load", f"{loaded:.1f} s"),
        Row("embedded model, first sentence", f"{statistics.median(firsts) / 1000:.1f} s"),
        Row("embedded model, whole reply", f"{statistics.median(totals) / 1000:.1f} s"),
    ]


async def _serving(base_url: str) -> list[Row]:
    from ..agent.parts import crisis_filter
    from ..agent.settings import GuardSettings
    from .serving import SAID, side_by_side

    table = []
    async for streams, raw, through in side_by_side(base_url):
        what = f"{streams} stream{'s' if streams > 1 else ''}"
        table += [
            Row(f"{what}, vLLM by itself", f"{raw.tokens_s:.0f} tokens/s"),
            Row(f"{what}, through the agent", f"{through.tokens_s / raw.tokens_s:.1%}", ">= 95%"),
            Row("  the agent's CPU a token", f"{through.token_cpu_ms - raw.token_cpu_ms:+.2f} ms"),
            Row(f"{what}, first token by itself", f"{raw.first_token_ms:.0f} ms"),
            Row("  what the agent adds", f"{through.first_token_ms - raw.first_token_ms:+.0f} ms", "<= +15 ms"),
            Row(f"{what}, first sentence by itself", f"{raw.first_sentence_ms:.0f} ms"),
            Row("  what the agent adds", f"{through.first_sentence_ms - raw.first_sentence_ms:+.0f} ms", "<= +15 ms"),
        ]
        if streams == 1:
            added = through.first_token_cpu_ms - raw.first_token_cpu_ms
            table.append(Row("the agent's CPU before the first token", f"{added:+.1f} ms", "<= +15 ms"))
    whole = crisis_filter(GuardSettings())
    whole.screen(SAID[0])
    table.append(Row("  of which the crisis filter", f"{_median_ms(lambda: whole.screen(SAID[0]), 50):.1f} ms"))
    return [*table, _yardstick()]
