"""A turn of Warmline beside a turn of NeMo Guardrails: the same trivial checks, a model that answers at once.

    python -m warmline.eval.beside --nemo /somewhere/nemo/bin/python

NeMo lives in an environment of its own (``pip install nemoguardrails==0.24.1``); this file runs there as a plain script
and imports nothing of ours. Both sides are processes of one run, asked in turn; what is compared is CPU time a turn, at
an empty history and at the sixtieth turn of one conversation. What is not compared: what the checks find.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import process_time
from typing import Any

REPLY = "I hear you. That sounds heavy, and I am glad you told me. What has been the hardest part of today?"
USER = "I have been feeling low and I can't sleep."
CRISIS, DOSE = "kill myself", "50mg"
LATE = 60
TARGETS = {"first": 3.0, "late": 20.0}


async def measured(turn: Callable[[int], Awaitable[Any]], turns: int) -> list[float]:
    """CPU milliseconds of each turn."""
    spent = []
    for number in range(turns):
        began = process_time()
        await turn(number)
        spent.append((process_time() - began) * 1000)
    return spent


# -- ours ------------------------------------------------------------------------------------------------------------


async def warmline(runs: int) -> dict[str, float]:
    """The graph alone, as NeMo is measured; and the whole session with its store."""
    from warmline.agent import ScriptedModel, Settings, Store, SupportAgent  # pyright: ignore[reportMissingImports]
    from warmline.agent.settings import GuardSettings  # pyright: ignore[reportMissingImports]
    from warmline.agent.turn import TurnContext  # pyright: ignore[reportMissingImports]
    from warmline.guards.filter import CrisisFilter  # pyright: ignore[reportMissingImports]
    from warmline.guards.output import OutputVerdict  # pyright: ignore[reportMissingImports]
    from warmline.guards.types import RiskLevel, Verdict  # pyright: ignore[reportMissingImports]

    class Filter(CrisisFilter):
        def screen(self, text: str, history: Any = ()) -> Verdict:
            return Verdict(level=RiskLevel.ELEVATED if CRISIS in text else RiskLevel.NONE)

    class Guard:
        def check(self, sentence: str, before: str = "", context: str = "", whole: bool = False) -> OutputVerdict:
            return OutputVerdict(safe=DOSE not in sentence)

        def warm(self) -> None:
            pass

    with tempfile.TemporaryDirectory() as folder:
        agent = SupportAgent(
            ScriptedModel(replies=[REPLY] * (4 * (runs + LATE) + 100)),
            settings=Settings(guards=GuardSettings(encoder="off")),
            store=Store.open(f"sqlite:///{Path(folder) / 'beside.db'}"),
            crisis_filter=Filter(encoder=None),
            output_guard=Guard(),  # pyright: ignore[reportArgumentType]
        )
        await agent.warm_up()
        context = TurnContext(parts=agent.parts_for("US"), turn_id="beside", country="US")
        state: Any = {}

        async def fresh(_: int) -> None:
            answer = await agent.graph.ainvoke({"text": USER}, context=context)
            assert answer["reply"] == REPLY

        async def on(number: int) -> None:
            nonlocal state
            state = await agent.graph.ainvoke(state | {"text": f"{USER} ({number})"}, context=context)

        await measured(fresh, 10)
        first, late = await measured(fresh, runs), await measured(on, LATE + 5)
        session = await agent.open_session(country="US")

        async def stored(number: int) -> None:
            async for _ in session.send(f"{USER} ({number})"):
                pass

        kept = await measured(stored, LATE + 5)
        await agent.aclose()
    return {
        "first": statistics.median(first),
        "late": statistics.median(late[-10:]),
        "stored, late": statistics.median(kept[-10:]),
    }


# -- theirs ----------------------------------------------------------------------------------------------------------

COLANG = """
define bot give crisis help
  "If you are in danger now, call your local emergency number."

define flow crisis input
  $bad = execute crisis_check
  if $bad.is_blocked
    bot give crisis help
    stop

define flow reply output
  $bad = execute reply_check
  if $bad.is_blocked
    bot give crisis help
    stop
"""
RAILS = """
models: []
passthrough: true
rails:
  input: {flows: [crisis input]}
  output: {flows: [reply output]}
"""


async def nemo(runs: int) -> dict[str, float]:
    """``LLMRails`` with one action on each side; a conversation is passed whole at each turn, as its guide shows."""
    os.environ.setdefault("NEMO_GUARDRAILS_NO_USAGE_STATS", "1")
    from nemoguardrails import LLMRails, RailsConfig  # pyright: ignore[reportMissingImports]
    from nemoguardrails.actions import action  # pyright: ignore[reportMissingImports]
    from nemoguardrails.actions.rail_outcome import RailOutcome  # pyright: ignore[reportMissingImports]
    from nemoguardrails.types import LLMResponse  # pyright: ignore[reportMissingImports]

    class Instant:
        model_name, provider_name, provider_url = "instant", "bench", None

        async def generate_async(self, prompt: Any, *, stop: Any = None, **_: Any) -> Any:
            return LLMResponse(content=REPLY)

        async def stream_async(self, prompt: Any, *, stop: Any = None, **_: Any) -> Any:
            raise NotImplementedError("part of the protocol; nothing here streams")
            yield

    @action(is_system_action=True)
    async def crisis_check(context: dict[str, Any] | None = None, **_: Any) -> Any:
        said = (context or {}).get("user_message") or ""
        return RailOutcome.block(reason="crisis") if CRISIS in said else RailOutcome.allow()

    @action(is_system_action=True)
    async def reply_check(context: dict[str, Any] | None = None, **_: Any) -> Any:
        said = (context or {}).get("bot_message") or ""
        return RailOutcome.block(reason="dose") if DOSE in said else RailOutcome.allow()

    rails = LLMRails(RailsConfig.from_content(colang_content=COLANG, yaml_content=RAILS), llm=Instant())
    rails.register_action(crisis_check, "crisis_check")
    rails.register_action(reply_check, "reply_check")
    talk: list[dict[str, str]] = []

    async def fresh(_: int) -> None:
        answer = await rails.generate_async(messages=[{"role": "user", "content": USER}])
        assert answer["content"] == REPLY, answer

    async def on(number: int) -> None:
        talk.append({"role": "user", "content": f"{USER} ({number})"})
        talk.append(await rails.generate_async(messages=talk))

    await measured(fresh, 10)
    first, late = await measured(fresh, runs), await measured(on, LATE + 5)
    return {"first": statistics.median(first), "late": statistics.median(late[-10:])}


SIDES = {"warmline": warmline, "nemo": nemo}


def asked(side: str, python: str, runs: int) -> dict[str, float]:
    """One side's figures, from a process of its own."""
    # -P: this folder has a module named statistics, which must not stand in the way of Python's own.
    command = [python, "-P", __file__, "--side", side, "--runs", str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{side} at {python} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compared(python: str, runs: int, rounds: int) -> None:
    """Ask both sides in turn and print the medians and their ratios."""
    ours, theirs = list[dict[str, float]](), list[dict[str, float]]()
    for _ in range(rounds):
        ours.append(asked("warmline", sys.executable, runs))
        theirs.append(asked("nemo", python, runs))
    for what, name in (("first", "empty history"), ("late", f"turn {LATE}")):
        mine, other = (statistics.median(side[what] for side in sides) for sides in (ours, theirs))
        print(
            f"CPU a turn, {name:<14} warmline {mine:7.2f} ms   nemo {other:7.2f} ms   "
            f"{other / mine:5.1f} x less (target {TARGETS[what]:g} x)"
        )
    stored = statistics.median(side["stored, late"] for side in ours)
    print(f"  warmline with its store, turn {LATE}: {stored:.2f} ms")


def main() -> None:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--nemo", metavar="PYTHON", help="python of an environment with nemoguardrails")
    arguments.add_argument("--runs", type=int, default=100, help="turns with an empty history")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--side", choices=SIDES, help="measure one side here, and print JSON")
    given = arguments.parse_args()
    if given.side:
        print(json.dumps(asyncio.run(SIDES[given.side](given.runs))))
    elif given.nemo:
        compared(given.nemo, given.runs, given.rounds)
    else:
        arguments.error("say --nemo with the python of its environment")


if __name__ == "__main__":
    main()
