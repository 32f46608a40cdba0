"""The turn as a LangGraph state machine.

    user text ─► receive ─► screen ─┬─ none ────► support ─► check ─► deliver
                                    ├─ concern ─► support (+ one safety question) ─► check ─► deliver
                                    ├─ crisis ──► protocol (no model needed) ─► deliver
                                    ├─ error ───► hold (fixed safe reply) ─► deliver
                                    └─ a human reviewer writes: the agent says nothing

A node that raises or runs over its time goes to ``hold``: no failure of a part lets an unchecked text through.
"""

from __future__ import annotations

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from . import nodes
from .protocol.graph import protocol_graph
from .turn import TurnContext, TurnLimits, TurnState

TurnGraph = CompiledStateGraph[TurnState, TurnContext, TurnState, TurnState]


def build_graph(limits: TurnLimits | None = None) -> StateGraph[TurnState, TurnContext, TurnState, TurnState]:
    """The turn, not yet compiled: ``build_graph().compile(checkpointer=your_own)``.

    Args:
        limits: seconds each node may take; None takes the defaults of ``TurnLimits``.
    """
    limits = limits or TurnLimits()
    graph = StateGraph(TurnState, context_schema=TurnContext)

    def add(node: Any, seconds: float, *, fallback: Any = nodes.fail_safe, destinations: tuple[str, ...] = ()) -> None:
        # LangGraph adds no retry unless asked: a check that failed is not tried again, it holds.
        name = node.__name__
        graph.add_node(name, node, timeout=seconds, error_handler=fallback, destinations=destinations or None)

    add(nodes.receive, limits.check_s)
    add(nodes.screen, limits.check_s, destinations=("support", "protocol", "hold", END))
    add(nodes.support, limits.reply_s)
    add(nodes.check, limits.check_s)
    fail_safe: Any = nodes.fail_safe  # LangGraph declares less than an error handler may take
    graph.add_node("protocol", protocol_graph(), timeout=limits.check_s, error_handler=fail_safe)
    add(nodes.hold, limits.check_s, fallback=nodes.last_words)
    add(nodes.deliver, limits.check_s, fallback=nodes.last_words)

    graph.add_edge(START, "receive")
    graph.add_edge("receive", "screen")
    graph.add_edge("support", "check")
    graph.add_edge("check", "deliver")
    graph.add_edge("protocol", "deliver")
    graph.add_edge("hold", "deliver")
    graph.add_edge("deliver", END)
    return graph


def compile_graph(limits: TurnLimits | None = None) -> TurnGraph:
    """The turn, ready to run, without a checkpointer: the store is the one truth."""
    return build_graph(limits).compile(name="warmline-turn")


def mermaid() -> str:
    """The picture of the graph as Mermaid text; ``make docs`` writes it into docs/architecture.md.

    Every node has an error handler that leads to ``hold``; LangGraph draws them as loose nodes, so they are left out.
    """
    lines = compile_graph().get_graph().draw_mermaid().splitlines()
    return "\n".join(line for line in lines if "__error_handler__" not in line)


__all__ = ["TurnGraph", "build_graph", "compile_graph", "mermaid"]
