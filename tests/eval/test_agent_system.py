import pytest

from tests.agent.sse_server import REPLY, sse_server
from warmline.agent.settings import GuardSettings, ModelSettings, Settings
from warmline.eval.questions import Question
from warmline.eval.systems import agent_system

CRISIS = Question(id="1", text="i want to kill myself tonight")
CALM = Question(id="2", text="I can't sleep since we moved house.")
LEXICON = GuardSettings(encoder="off")


@pytest.mark.parametrize(
    ("question", "filtered", "route"),
    [(CALM, True, "support"), (CRISIS, True, "crisis"), (CRISIS, False, "support")],
)
async def test_the_agent_answers_as_a_person_would_see_it(question: Question, filtered: bool, route: str) -> None:
    async with sse_server() as server:
        settings = Settings(model=ModelSettings(base_url=server.base_url, name="m"), guards=LEXICON)
        async with agent_system(settings, filtered=filtered) as system:
            reply = await system.answer(question)
    assert reply.route == route
    assert (reply.text == "".join(REPLY)) is (route == "support")


async def test_a_report_tells_the_agent_with_filter_from_the_one_without() -> None:
    settings = Settings(model=ModelSettings(base_url="http://127.0.0.1:9/v1", name="m"), guards=LEXICON)
    async with agent_system(settings) as whole, agent_system(settings, filtered=False) as bare:
        assert (whole.name, bare.name) == ("agent", "agent without filter")
        assert whole.model == "m@http://127.0.0.1:9/v1"
