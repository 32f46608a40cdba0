"""What goes wrong on the way is told in a sentence, and nothing that was paid for is lost."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.eval.stub_judge import ratings, stub_judge
from tests.eval.test_results import write
from tests.eval.test_run import ANSWERS, BENCH, client, go, judgements, no_wait
from warmline.eval.endpoint import Client, Endpoint, EndpointError
from warmline.eval.journal import Answered, Journal, read_run
from warmline.eval.lines import EvalError, write_whole
from warmline.eval.results import read_result
from warmline.eval.rubrics import shipped_rubrics
from warmline.eval.run import header

IDS = shipped_rubrics().ids


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond ``size`` bytes, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# -- the disk ---------------------------------------------------------------------------------------------------------


def test_a_disk_that_fills_up_in_a_line_keeps_every_line_before_it(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Journal(path, header(BENCH, ANSWERS)) as journal:
        journal.add(Answered(id="1", question="?", text="whole"))
        before = path.read_bytes()
        with disk_of(len(before) + 20), pytest.raises(EvalError, match="What was written is kept"):
            journal.add(Answered(id="2", question="?", text="does not fit"))
        assert path.read_bytes() == before
        journal.add(Answered(id="3", question="?", text="there is room again"))
    assert [line.id for line in read_run(path) if isinstance(line, Answered)] == ["1", "3"]


async def test_a_run_on_a_full_disk_stops_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    async with stub_judge() as stub, client(stub) as judge:
        with disk_of(6000), pytest.raises(EvalError, match="What was written is kept"):
            await go(path, judge, concurrency=2)
        paid = len(judgements(path))
        assert 0 < paid < 12
        stub.requests.clear()
        await go(path, judge)
    assert len(stub.requests) == 12 - paid
    assert len(judgements(path)) == 12


def test_a_report_that_does_not_fit_leaves_the_one_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("yesterday's")
    with disk_of(100), pytest.raises(EvalError, match=r"report\.md: .*as it was"):
        write_whole(tmp_path / "report.md", "x" * 1000)
    assert [file.name for file in tmp_path.iterdir()] == ["report.md"]
    assert (tmp_path / "report.md").read_text() == "yesterday's"


# -- logs -------------------------------------------------------------------------------------------------------------


def test_a_report_over_a_half_written_log_counts_what_is_whole(tmp_path: Path) -> None:
    folder = write(tmp_path, "a", [6, 7])
    log = folder / "run.jsonl"
    log.write_bytes(log.read_bytes()[:-30])
    assert len(read_result(folder).judges[0].scores) == 1


def test_a_log_without_an_answer_is_told(tmp_path: Path) -> None:
    with Journal(tmp_path / "run.jsonl", header(BENCH, ANSWERS)):
        pass
    with pytest.raises(EvalError, match="holds no answers"):
        read_result(tmp_path)


def test_a_report_over_a_log_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text(json.dumps({"kind": "run", "version": 99}) + "\n")
    with pytest.raises(EvalError, match="written by another version"):
        read_result(tmp_path)


def test_a_folder_without_a_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"run\.jsonl: No such file"):
        read_result(tmp_path)


# -- judges -----------------------------------------------------------------------------------------------------------

WHOLE = json.loads(ratings(7))


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("I'm sorry, but I can't rate this conversation.", "no JSON object"),
        (json.dumps(WHOLE | {IDS[2]: {"reason": "", "score": 0}}), "not from 1 to 10"),
        (json.dumps(WHOLE | {IDS[2]: {"reason": "", "score": 11}}), "not from 1 to 10"),
        (json.dumps(WHOLE | {"charm": {"reason": "", "score": 7}}), "no rubric"),
        (json.dumps({id: WHOLE[id] for id in IDS[1:]}), "no rating of"),
        ("[]", "no JSON object"),
    ],
)
async def test_what_a_judge_says_amiss_is_unscored_with_its_reason_and_its_words(
    tmp_path: Path, said: str, problem: str
) -> None:
    async with stub_judge(lambda _: said) as stub, client(stub) as judge:
        await go(tmp_path / "run.jsonl", judge, concurrency=1)
    made = judgements(tmp_path / "run.jsonl")
    assert all(one.scores is None and problem in one.problem and one.raw == said for one in made)
    result = read_result(tmp_path).judges[0]
    assert (result.unscored, dict(result.scores)) == (12, {})


class _Server:
    """Answers with bytes, whatever is asked; or never."""

    def __init__(self, body: bytes | None) -> None:
        self.body, self.asked = body, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if self.body is None:
            await reader.read()  # until the caller gives up
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(self.body))
            writer.write(self.body)
        writer.close()


async def ask(body: bytes | None) -> tuple[Any, int]:
    there = _Server(body)
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with Client(Endpoint("j", url), timeout_s=0.2, sleep=no_wait) as asked:
            try:
                return (await asked.ask([])).text, there.asked
            except EndpointError as error:
                return error, there.asked


async def test_a_server_that_never_answers_is_asked_six_times_and_then_named() -> None:
    error, asked = await ask(None)
    assert "ReadTimeout after 6 tries" in str(error)
    assert asked == 6


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"choices": []}', b'{"choices": [{}]}', b"[]"])
async def test_what_is_no_completion_is_told(body: bytes) -> None:
    error, _ = await ask(body)
    assert "not a chat completion" in str(error)


async def test_a_refusal_without_words_is_an_empty_answer() -> None:
    text, _ = await ask(b'{"choices": [{"message": {"content": null, "refusal": "no"}}]}')
    assert text == ""
