import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.eval.stub_judge import StubJudge, ratings, stub_judge
from warmline.eval.endpoint import Client, Endpoint, EndpointError, EndpointRefused
from warmline.eval.journal import Answered, Header, Journal, Judged, read_run
from warmline.eval.judging import structured
from warmline.eval.lines import EvalError
from warmline.eval.questions import Answer, Bench, Question
from warmline.eval.run import Progress, header, run
from warmline.eval.systems import AnswersSystem, EndpointSystem, System, Unfiltered
from warmline.guards import RiskLevel

BENCH = Bench("b", tuple(Question(id=str(n), text=f"question {n}") for n in range(12)), "c" * 64)
ANSWERS = AnswersSystem({q.id: Answer(id=q.id, text=f"answer {q.id}", model="m") for q in BENCH.questions}, "m")


async def no_wait(_: float) -> None:
    return None


def client(stub: StubJudge, model: str = "judge") -> Client:
    return Client(Endpoint(model, stub.base_url), sleep=no_wait, timeout_s=5)


async def go(path: Path, *judges: Client, system: System = ANSWERS, bench: Bench = BENCH, **options: Any) -> Progress:
    with Journal(path, header(bench, system)) as journal:
        return await run(bench, system, judges, structured(), journal, **options)


def judgements(path: Path) -> list[Judged]:
    return [line for line in read_run(path) if isinstance(line, Judged)]


async def test_every_answer_is_judged_once(tmp_path: Path) -> None:
    async with stub_judge() as stub, client(stub) as judge:
        await go(tmp_path / "run.jsonl", judge)
    assert sorted(int(made.id) for made in judgements(tmp_path / "run.jsonl")) == list(range(12))


async def test_a_run_that_is_over_costs_nothing_more(tmp_path: Path) -> None:
    async with stub_judge() as stub, client(stub) as judge:
        await go(tmp_path / "run.jsonl", judge)
        await go(tmp_path / "run.jsonl", judge)
    assert len(stub.requests) == 12


async def test_a_line_cut_in_half_costs_only_its_own_call_again(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    async with stub_judge() as stub, client(stub) as judge:
        await go(path, judge, concurrency=1)
        path.write_bytes(path.read_bytes()[:-40])
        await go(path, judge)
    assert len(stub.requests) == 13
    assert len(judgements(path)) == 12


async def test_a_second_judge_pays_for_no_answer_again(tmp_path: Path) -> None:
    async with stub_judge() as stub, client(stub) as judge, client(stub, "other") as other:
        system = EndpointSystem(client(stub, "tested"))
        await go(tmp_path / "run.jsonl", judge, system=system)
        await go(tmp_path / "run.jsonl", judge, other, system=system)
    assert [body["model"] for body in stub.requests].count("tested") == 12


async def test_prose_twice_is_unscored_and_no_number(tmp_path: Path) -> None:
    async with stub_judge(lambda _: "I would say it is rather good, 8 of 10.") as stub, client(stub) as judge:
        progress = await go(tmp_path / "run.jsonl", judge)
    assert {made.scores for made in judgements(tmp_path / "run.jsonl")} == {None}
    assert progress.unscored == 12
    assert len(stub.requests) == 24


async def test_a_judgement_may_be_readable_at_the_second_try(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> str:
        return ratings(4) if len(body["messages"]) == 4 else "Sure, happy to help."

    async with stub_judge(answer) as stub, client(stub) as judge:
        progress = await go(tmp_path / "run.jsonl", judge)
    assert progress.unscored == 0
    assert all(made.scores and set(made.scores.values()) == {4} for made in judgements(tmp_path / "run.jsonl"))


async def test_a_judge_that_says_nothing_at_all_is_unscored(tmp_path: Path) -> None:
    async with stub_judge(lambda _: "") as stub, client(stub) as judge:
        assert (await go(tmp_path / "run.jsonl", judge)).unscored == 12


def _faults(*statuses: int | None) -> Any:
    waiting: Iterator[int | None] = iter(statuses)
    return lambda _: next(waiting, ratings())


async def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    async with stub_judge(_faults(429, 503, None)) as stub, client(stub) as judge:
        progress = await go(tmp_path / "run.jsonl", judge, concurrency=1)
    assert progress.failed == []
    assert len(stub.requests) == 15


async def test_what_the_server_says_about_waiting_is_heeded() -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    async with (
        stub_judge(_faults(429)) as stub,
        Client(Endpoint("j", stub.base_url), sleep=wait) as judge,
    ):
        await judge.ask([])
    assert waits == [3.0]


async def test_a_server_that_is_always_busy_fails_with_its_name() -> None:
    async with stub_judge(lambda _: 429) as stub, client(stub) as judge:
        with pytest.raises(EndpointError, match=r"judge@http.*HTTP 429 after"):
            await judge.ask([])


async def test_a_wrong_key_stops_the_run_at_once(tmp_path: Path) -> None:
    async with stub_judge(lambda _: 401) as stub, client(stub) as judge:
        with pytest.raises(EndpointRefused, match="look at the key"):
            await go(tmp_path / "run.jsonl", judge, concurrency=1)
    assert len(stub.requests) == 1


async def test_a_server_that_is_down_stops_the_run_and_keeps_the_answers(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    judge = Client(Endpoint("j", "http://127.0.0.1:9/v1"), sleep=no_wait)
    async with judge:
        progress = await go(path, judge, concurrency=1)
    assert len(progress.failed) == 12
    assert judgements(path) == []
    assert sum(isinstance(line, Answered) for line in read_run(path)) == 12


async def test_what_failed_is_made_up_for_by_the_same_command(tmp_path: Path) -> None:
    number = count()
    async with stub_judge(lambda _: 400 if next(number) % 2 else ratings()) as stub, client(stub) as judge:
        first = await go(tmp_path / "run.jsonl", judge)
        stub.answer = lambda _: ratings()
        second = await go(tmp_path / "run.jsonl", judge)
    assert len(first.failed) == 6
    assert (second.failed, second.done) == ([], second.total)


async def test_the_key_is_sent_and_never_written(tmp_path: Path) -> None:
    async with (
        stub_judge() as stub,
        Client(Endpoint("j", stub.base_url, key="sk-secret")) as judge,
    ):
        await go(tmp_path / "run.jsonl", judge)
    assert "sk-secret" not in (tmp_path / "run.jsonl").read_text()


async def test_repeats_are_kept_apart(tmp_path: Path) -> None:
    async with stub_judge() as stub, client(stub) as judge:
        await go(tmp_path / "run.jsonl", judge, repeats=2)
    assert len({made.key for made in judgements(tmp_path / "run.jsonl")}) == 24


async def test_progress_counts_tokens_and_what_was_there(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    async with stub_judge() as stub, client(stub) as judge:
        progress = await go(tmp_path / "run.jsonl", judge, tell=lambda p: seen.append((p.done, p.total)))
    assert (progress.tokens_in, progress.tokens_out) == (1200, 120)
    assert seen[-1] == (24, 24)


async def test_a_question_without_an_answer_in_the_file_is_named(tmp_path: Path) -> None:
    async with stub_judge() as stub, client(stub) as judge:
        with pytest.raises(EvalError, match="no answer to question x"):
            await go(tmp_path / "r.jsonl", judge, bench=Bench("b", (Question(id="x", text="?"),), "c"))


def test_a_log_of_another_run_is_never_written_into(tmp_path: Path) -> None:
    Journal(tmp_path / "run.jsonl", header(BENCH, ANSWERS)).__exit__(None, None, None)
    other = Bench("b", BENCH.questions, "d" * 64)
    with pytest.raises(EvalError, match="holds another run"):
        Journal(tmp_path / "run.jsonl", header(other, ANSWERS))


def test_a_log_of_another_version_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(json.dumps({"kind": "run", "version": 99}) + "\n")
    with pytest.raises(EvalError, match="another version"):
        Journal(path, header(BENCH, ANSWERS))
    assert json.loads(path.read_text())["version"] == 99


def test_a_file_that_is_no_log_is_told(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text("shopping list\n")
    with pytest.raises(EvalError, match="no log"):
        list(read_run(tmp_path / "run.jsonl"))


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Journal(path, header(BENCH, ANSWERS)):
        pass
    path.write_text(path.read_text() + '{"kind": "answer"}\n')
    with pytest.raises(EvalError, match="line 2: damaged"):
        list(read_run(path))


def test_a_log_of_nothing_but_half_a_header_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text('{"kind": "ru')
    with Journal(path, header(BENCH, ANSWERS)):
        pass
    assert isinstance(next(read_run(path)), Header)


def test_a_full_disk_is_told_and_nothing_before_is_lost() -> None:
    with pytest.raises(EvalError, match="disk is full"):
        Journal(Path("/dev/full"), header(BENCH, ANSWERS))


@pytest.mark.parametrize("text", ["gpt", "@http://x/v1", "gpt@localhost:1"])
def test_an_endpoint_needs_a_name_and_an_address(text: str) -> None:
    with pytest.raises(EvalError, match="NAME@URL"):
        Endpoint.parse(text)


def test_a_name_may_hold_an_at_sign() -> None:
    assert Endpoint.parse("a@b@http://x/v1").model == "a@b"


def test_the_agent_without_filter_routes_nothing() -> None:
    assert Unfiltered().screen("i want to end my life tonight").level is RiskLevel.NONE
