"""The turn's graph as an embedder meets it: compiled with a checkpointer of his own, and drawn."""

from langgraph.checkpoint.memory import InMemorySaver

from warmline.agent import ScriptedModel, Settings, SupportAgent, build_graph
from warmline.agent.graph import mermaid
from warmline.agent.turn import TurnContext
from warmline.guards import RiskLevel

CRISIS = "i don't want to be here anymore, i have the pills next to me"


async def test_an_embedder_s_checkpointer_carries_history_and_risk_from_turn_to_turn() -> None:
    agent = SupportAgent(model=ScriptedModel(replies=["That sounds long. What was hardest?"]), settings=Settings())
    graph = build_graph().compile(checkpointer=InMemorySaver())
    context = TurnContext(parts=agent.parts_for("US"), turn_id="t", country="US")
    for text in ("my day was long", CRISIS, "ok"):
        state = await graph.ainvoke({"text": text}, {"configurable": {"thread_id": "one"}}, context=context)
    assert [said.text for said in state["history"] if said.role == "user"] == ["my day was long", CRISIS, "ok"]
    assert state["risk"].level is RiskLevel.IMMINENT
    assert state["route"] == "crisis"


def test_the_picture_shows_every_node_of_the_design() -> None:
    picture = mermaid()
    nodes = ("receive", "screen", "support", "check", "protocol", "hold", "deliver")
    assert [node for node in nodes if f"{node}({node})" not in picture] == []
