"""Traces of a turn: what an operator sees of it, never a word of it, and nothing at all unless asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from warmline.agent import ScriptedModel, Settings, Store, SupportAgent
from warmline.agent.settings import GuardSettings, SettingsError, TraceSettings
from warmline.agent.traces import UNTRACED, Traces

ORDINARY = "I've been so anxious about work that I can't sleep"
CRISIS = "i don't want to be here anymore, i have the pills next to me"
BAD = "I hear you. Stop your medication today. I am here."
LEXICON_ONLY = GuardSettings(encoder="off", timeout_s=30)


def an_agent(path: Path, *replies: str, traces: Traces | None = None, url: str | None = None) -> SupportAgent:
    chosen = Settings(guards=LEXICON_ONLY, traces=TraceSettings(url=url))
    model, store = ScriptedModel(replies=list(replies)), Store.open(f"sqlite:///{path / 'w.db'}")
    return SupportAgent(model, settings=chosen, store=store, traces=traces)


async def say(agent: SupportAgent, text: str) -> None:
    session = await agent.open_session(country="US")
    async for _ in session.send(text):
        pass


async def test_without_an_address_nothing_is_traced(tmp_path: Path) -> None:
    assert an_agent(tmp_path).traces.turn() is UNTRACED


def test_without_an_address_nothing_of_opentelemetrys_sdk_is_loaded() -> None:
    code = (
        "import sys; from warmline.agent import SupportAgent, Settings; SupportAgent(settings=Settings());"
        "print('opentelemetry.sdk' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


class TestTraced:
    """With the SDK there."""

    @pytest.fixture(autouse=True)
    def sdk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
        pytest.importorskip("opentelemetry.sdk", reason="needs the extra `otel`")
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self.kept = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.kept))
        self.traces = Traces(provider)

    def named(self, name: str) -> list[dict[str, object]]:
        return [dict(s.attributes or {}) for s in self.kept.get_finished_spans() if s.name == f"warmline.{name}"]

    async def test_a_turn_is_one_trace_of_store_screen_model_and_gate(self, tmp_path: Path) -> None:
        await say(an_agent(tmp_path, "I hear you. That is a lot.", traces=self.traces), ORDINARY)
        spans = self.kept.get_finished_spans()
        names = [span.name.removeprefix("warmline.") for span in spans]
        assert names == ["store", "screen", "gate", "gate", "model", "store", "turn"]
        assert len({span.context.trace_id for span in spans if span.context}) == 1

    async def test_the_gate_stands_within_the_model_and_the_model_within_the_turn(self, tmp_path: Path) -> None:
        await say(an_agent(tmp_path, "I hear you.", traces=self.traces), ORDINARY)
        by_name = {span.name: span for span in self.kept.get_finished_spans()}
        gate, model, turn = (by_name[f"warmline.{name}"] for name in ("gate", "model", "turn"))
        assert (gate.parent, model.parent) == (model.context, turn.context)

    async def test_a_turn_tells_its_way_and_level(self, tmp_path: Path) -> None:
        await say(an_agent(tmp_path, traces=self.traces), CRISIS)
        [turn] = self.named("turn")
        assert (turn["warmline.route"], turn["warmline.level"]) == ("crisis", "imminent")
        assert self.named("model") == []

    async def test_a_sentence_that_did_not_pass_is_told_by_the_name_of_the_problem(self, tmp_path: Path) -> None:
        await say(an_agent(tmp_path, BAD, traces=self.traces), ORDINARY)
        refused = self.named("gate")[-1]
        assert refused["warmline.safe"] is False
        assert refused["warmline.problems"]

    async def test_no_word_that_anybody_wrote_is_in_a_trace(self, tmp_path: Path) -> None:
        agent = an_agent(tmp_path, BAD, BAD, traces=self.traces)
        await say(agent, ORDINARY)
        await say(agent, CRISIS)
        told = " ".join(span.to_json() for span in self.kept.get_finished_spans())
        for word in ("anxious", "pills", "hear you", "medication today", "findahelpline"):
            assert word not in told

    async def test_a_part_that_breaks_is_told_by_its_type_alone(self) -> None:
        with pytest.raises(ValueError, match="quoted"), self.traces.turn() as turn, turn.part("screen"):
            raise ValueError("quoted words of somebody")
        spans = self.kept.get_finished_spans()
        assert {span.status.description for span in spans} == {"ValueError"}
        assert "quoted" not in " ".join(span.to_json() for span in spans)

    async def test_a_reply_that_the_person_stops_ends_its_trace(self, tmp_path: Path) -> None:
        agent = an_agent(tmp_path, "I hear you. That is a lot. What now?", traces=self.traces)
        session = await agent.open_session(country="US")
        events = session.send(ORDINARY)
        async for event in events:
            if event.type == "sentence":
                break
        await events.aclose()
        assert self.named("turn")[0]["warmline.stopped"] is True

    async def test_a_turn_joins_the_trace_of_its_caller(self, tmp_path: Path) -> None:
        trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
        agent = an_agent(tmp_path, "I hear you.", traces=self.traces)
        with self.traces.joined({"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}):
            await say(agent, ORDINARY)
        assert {f"{span.context.trace_id:032x}" for span in self.kept.get_finished_spans() if span.context} == {
            trace_id
        }


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A collector on a real socket: its address, and what it was sent."""
    got: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", got
    server.shutdown()


async def test_a_configured_address_gets_the_traces_though_the_sdk_is_off_for_others(
    tmp_path: Path, collector: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `otel`")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    url, got = collector
    before = trace.get_tracer_provider()
    agent = an_agent(tmp_path, "I hear you.", url=url)
    await say(agent, ORDINARY)
    await agent.aclose()
    assert b"warmline.screen" in b"".join(got)
    assert b"anxious" not in b"".join(got)
    # What other libraries would send with a provider of theirs, or the process's, stays off.
    assert os.environ["OTEL_SDK_DISABLED"] == "true"
    assert trace.get_tracer_provider() is before
    assert not TracerProvider().get_tracer("guardrails").start_span("x").is_recording()


def test_fastapis_own_telemetry_tells_nobody_anything() -> None:
    pytest.importorskip("opentelemetry.sdk", reason="needs the extra `otel`")
    code = """
import asyncio, httpx
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
kept, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
from warmline.agent import ScriptedModel, Settings, Store
from warmline.agent.service.app import create_app
async def ask():
    app = create_app(Settings(), model=ScriptedModel(replies=[]), store=Store.open("sqlite:///:memory:"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        return (await client.get("/healthz")).status_code
print(asyncio.run(ask()), len(kept.get_finished_spans()))
"""
    environment = {name: value for name, value in os.environ.items() if name != "OTEL_SDK_DISABLED"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.split() == ["200", "0"]


def test_an_address_without_the_extra_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    settings = Settings.load(traces={"url": "http://127.0.0.1:4318/v1/traces"})
    with pytest.raises(SettingsError, match=r"warmline\[otel\]"):
        SupportAgent(settings=settings)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"traces\.url"):
        Settings.load(traces={"url": "collector:4318"})
