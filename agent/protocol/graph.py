"""The crisis protocol as a LangGraph subgraph of the turn.

    understand ─► choose ─► say

It answers with vetted words only and asks no model. What it remembers travels in ``progress``.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NotRequired

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from ...guards.conversation import RiskState
from ..turn import TurnContext, TurnState
from .choose import Chosen
from .choose import choose as choose_moves
from .context import read
from .say import say as say_moves
from .state import Progress
from .understand import Heard


class ProtocolState(TurnState, total=False):
    """The turn's channels, and what passes between the protocol's own nodes."""

    heard: NotRequired[Heard]
    chosen: NotRequired[Chosen]


ProtocolGraph = CompiledStateGraph[ProtocolState, TurnContext, TurnState, TurnState]


async def understand(state: ProtocolState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
    """What the message says to the question that is open."""
    verdict = state.get("verdict")
    assert verdict is not None
    progress = state.get("progress") or Progress()
    wanted = progress.asked_country and not runtime.context.country and not progress.told_country
    playbooks = runtime.context.voice(state).playbooks
    return {"heard": read(state["text"], progress.pending, verdict, playbooks, asks_country=wanted)}


async def choose(state: ProtocolState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
    """Which moves come next, and what is remembered."""
    verdict, heard = state.get("verdict"), state.get("heard")
    assert verdict is not None
    assert heard is not None
    context = runtime.context
    chosen = choose_moves(
        context.voice(state).playbooks,
        state.get("progress") or Progress(),
        heard,
        verdict=verdict,
        risk=state.get("risk") or RiskState(),
        country=context.country,
        directory=context.parts.directory,
        text=state["text"],
    )
    return {"chosen": chosen}


async def say(state: ProtocolState, runtime: Runtime[TurnContext]) -> dict[str, Any]:
    """The moves in words, and the running risk where the protocol now sees it."""
    chosen, heard = state.get("chosen"), state.get("heard")
    assert chosen is not None
    assert heard is not None
    context = runtime.context
    copy, directory = context.voice(state).copy, context.parts.directory
    reply = say_moves(chosen, copy=copy, directory=directory, seed=context.seed, reflect=heard.reflect)
    return {
        "pending": reply.text,
        "card": reply.card,
        "progress": reply.progress,
        "moves": reply.move_ids,
        "risk": seen(state.get("risk") or RiskState(), reply.progress),
    }


def seen(risk: RiskState, progress: Progress) -> RiskState:
    """The running risk after the protocol's turn: while it is open, its own level counts."""
    level = progress.level
    return risk.model_copy(
        update={
            "level": level,
            "peak": max(risk.peak, level),
            "concern_count": risk.concern_count if progress.open else 0,
            "calm_turns": 0,
        }
    )


@cache
def protocol_graph() -> ProtocolGraph:
    """The compiled subgraph; the turn graph uses it as its ``protocol`` node."""
    graph = StateGraph(ProtocolState, context_schema=TurnContext, input_schema=TurnState, output_schema=TurnState)
    graph.add_node("understand", understand)
    graph.add_node("choose", choose)
    graph.add_node("say", say)
    graph.add_edge(START, "understand")
    graph.add_edge("understand", "choose")
    graph.add_edge("choose", "say")
    graph.add_edge("say", END)
    return graph.compile(name="warmline-protocol")
