"""What operators and reviewers rely on: the queue, counters, logs without words, and a stop that cuts nobody."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any

import httpx
import pytest

from tests.agent.service.running import REPLY, Running, Start
from warmline.agent import ScriptedModel
from warmline.agent.service.logs import JsonLines
from warmline.agent.store import Scope

CRISIS = "i don't want to be here anymore, i have the pills next to me"
ORDINARY = "I've been so anxious about work that I can't sleep"


async def talk(client: httpx.AsyncClient, *texts: str) -> tuple[str, list[dict[str, Any]]]:
    """A new conversation in which ``texts`` are said: its id and the answers."""
    session = (await client.post("/v1/sessions", json={"country": "US"})).json()["id"]
    answers = []
    for text in texts:
        answers.append(
            (await client.post(f"/v1/sessions/{session}/turns", json={"text": text, "stream": False})).json()
        )
    return session, answers


async def test_a_reviewer_takes_a_talk_over_writes_and_gives_it_back(start: Start) -> None:
    service: Running = await start(REPLY)
    async with service.client(service.key()) as app, service.client(service.key("sam", Scope.REVIEW)) as desk:
        session, _ = await talk(app, CRISIS)
        [ticket] = (await desk.get("/v1/tickets")).json()
        path = f"/v1/tickets/{ticket['id']}"
        taken = (await desk.post(f"{path}/take")).json()
        said = await desk.post(f"{path}/messages", json={"text": "Hello, I am Sam."})
        turn = {"text": "thank you", "stream": False}
        silent = (await app.post(f"/v1/sessions/{session}/turns", json=turn)).json()
        released = (await desk.post(f"{path}/release")).json()
        history = (await app.get(f"/v1/sessions/{session}")).json()
    assert (ticket["level"], taken["taken_by"], said.status_code) == ("imminent", "sam", 201)
    assert (silent["route"], silent["reply"]) == ("human", "")
    assert released["state"] == "released"
    assert [message["kind"] for message in history["human"]] == ["arrived", "message", "left"]


async def test_a_ticket_in_other_hands_cannot_be_taken(start: Start) -> None:
    service: Running = await start()
    async with (
        service.client(service.key()) as app,
        service.client(service.key("sam", Scope.REVIEW)) as sam,
        service.client(service.key("kim", Scope.REVIEW)) as kim,
    ):
        await talk(app, CRISIS)
        [ticket] = (await sam.get("/v1/tickets")).json()
        await sam.post(f"/v1/tickets/{ticket['id']}/take")
        assert (await kim.post(f"/v1/tickets/{ticket['id']}/take")).status_code == 409
        assert (await kim.post(f"/v1/tickets/{ticket['id']}/messages", json={"text": "hi"})).status_code == 409


async def test_a_closed_ticket_keeps_its_outcome_note_and_mark(start: Start) -> None:
    service: Running = await start()
    async with service.client(service.key()) as app, service.client(service.key("sam", Scope.REVIEW)) as desk:
        _, [answer] = await talk(app, CRISIS)
        [ticket] = (await desk.get("/v1/tickets")).json()
        path = f"/v1/tickets/{ticket['id']}"
        marked = await desk.post(f"{path}/marks", json={"turn_id": answer["turn_id"], "level": "none"})
        await desk.post(f"{path}/notes", json={"text": "a line of a song"})
        await desk.post(f"{path}/close", json={"outcome": "false_alarm"})
        read = (await desk.get(path)).json()
    assert (marked.status_code, read["ticket"]["outcome"]) == (204, "false_alarm")
    assert [note["text"] for note in read["notes"]] == ["a line of a song"]


async def test_a_chat_key_sees_no_queue(start: Start) -> None:
    service: Running = await start()
    async with service.client(service.key()) as client:
        assert (await client.get("/v1/tickets")).status_code == 403


async def test_the_counters_tell_levels_ways_and_times(start: Start) -> None:
    service: Running = await start(REPLY, "I hear you. Stop your medication today. I am here.")
    async with service.client(service.key()) as app, service.client(service.key("ops", Scope.EVAL)) as ops:
        await talk(app, CRISIS)
        await talk(app, ORDINARY)
        await talk(app, ORDINARY)
        text = (await ops.get("/metrics")).text
    assert 'warmline_verdicts_total{level="imminent"} 1.0' in text
    assert 'warmline_turns_total{route="support"} 2.0' in text
    assert "warmline_replaced_sentences_total{problem=" in text
    assert "warmline_first_sentence_seconds_count 3.0" in text
    assert "pills" not in text


async def test_the_log_names_the_request_and_no_word_of_it(start: Start) -> None:
    service: Running = await start(REPLY)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("warmline")
    logger.addHandler(handler)
    level, logger.level = logger.level, logging.INFO
    try:
        async with service.client(service.key()) as app:
            session, _ = await talk(app, CRISIS)
            await app.post("/v1/sessions/pills-in-the-path/turns?also=pills", json={"text": "pills"})
    finally:
        logger.removeHandler(handler)
        logger.level = level
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["status"] for line in lines if line["message"] == "request"] == [201, 200, 404]
    assert any(line.get("session") == session for line in lines)
    assert "next to me" not in stream.getvalue()
    assert "also" not in stream.getvalue()


def test_the_words_of_other_libraries_stay_out_of_the_log() -> None:
    record = logging.LogRecord("httpx", logging.WARNING, "f.py", 1, "body: %s", ("what somebody wrote",), None)
    assert "somebody" not in JsonLines().format(record)


def test_an_exception_is_told_by_type_and_place_only() -> None:
    try:
        raise ValueError("what somebody wrote")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("warmline.agent", logging.ERROR, "f.py", 1, "it broke", (), info)
    line = json.loads(JsonLines().format(record))
    assert line["exception"] == "ValueError"
    assert "somebody" not in json.dumps(line)


@pytest.fixture
def holding() -> tuple[ScriptedModel, asyncio.Event, asyncio.Event]:
    """A model that stops in the middle of its reply; set when it is there; set it to go on."""
    there, go_on = asyncio.Event(), asyncio.Event()

    async def stand(_: int) -> None:
        there.set()
        await go_on.wait()

    model = ScriptedModel(replies=[REPLY], before_chunk=lambda n: stand(n) if n == 8 else None)
    return model, there, go_on


async def test_a_service_that_stops_takes_no_new_turn_and_finishes_the_running_one(
    start: Start, holding: tuple[ScriptedModel, asyncio.Event, asyncio.Event]
) -> None:
    model, there, go_on = holding
    service: Running = await start(model=model)
    async with service.client(service.key()) as app:
        other = (await app.post("/v1/sessions", json={})).json()["id"]
        running = asyncio.create_task(talk(app, ORDINARY))
        await there.wait()
        service.shared.drain.begin()
        refused = await app.post(f"/v1/sessions/{other}/turns", json={"text": "hello"})
        unready = await app.get("/readyz")
        go_on.set()
        _, [answer] = await running
    assert (refused.status_code, unready.status_code) == (503, 503)
    assert refused.json()["error"]["safe_reply"]
    assert answer["reply"] == REPLY


async def test_a_reply_that_is_not_over_in_time_ends_with_honest_words_that_are_stored(
    start: Start, holding: tuple[ScriptedModel, asyncio.Event, asyncio.Event]
) -> None:
    model, there, _ = holding
    service: Running = await start(model=model)
    async with service.client(service.key()) as app:
        running = asyncio.create_task(talk(app, ORDINARY))
        await there.wait()
        service.shared.drain.cut()
        session, [answer] = await running
    assert answer["reply"].startswith("That sounds exhausting.")
    assert answer["replaced"] == ["model:cut_off"]
    assert [turn.reply for turn in service.store.turns(session)] == [answer["reply"]]
