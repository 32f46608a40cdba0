"""What a run costs beside its judge: time, and memory by the number of answers. A judge that answers at once stands by.

Each measurement is a process of its own, and so is the judge.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time

from .endpoint import Client, Endpoint
from .journal import Journal
from .judging import structured
from .questions import Answer, Bench, Question
from .rubrics import shipped_rubrics
from .run import header, run
from .systems import AnswersSystem

WORDS = 250
"""Of a question, and of an answer: about what the paper's have."""


@dataclass(frozen=True)
class Cost:
    """What so many judgements took in one process."""

    answers: int
    seconds: float
    cpu_seconds: float
    peak_mb: float


def measure(*numbers: int) -> list[Cost]:
    """The cost of that many judgements, each in a process of its own."""
    with _judge() as url:
        made = []
        for number in numbers:
            command = [sys.executable, "-m", __name__, str(number), url]
            made.append(Cost(**json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)))
        return made


@contextmanager
def _judge() -> Iterator[str]:
    """A judge in another process, so that its memory and time are its own."""
    with subprocess.Popen([sys.executable, "-m", __name__, "--serve"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.terminate()


async def _judged(number: int, url: str) -> Cost:
    questions = tuple(Question(id=str(n), text=f"number {n} " * (WORDS // 2)) for n in range(number))
    bench = Bench("speed", questions, "0" * 64)
    said = {question.id: Answer(id=question.id, text="word " * WORDS, model="m") for question in bench.questions}
    system = AnswersSystem(said, "m")
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "run.jsonl", header(bench, system)) as journal:
        async with Client(Endpoint("judge", url)) as judge:
            start, cpu = perf_counter(), process_time()
            progress = await run(bench, system, [judge], structured(), journal)
            took, spent = perf_counter() - start, process_time() - cpu
    if progress.unscored or progress.failed or progress.done < progress.total:
        raise RuntimeError(f"{progress.unscored} unscored, {len(progress.failed)} failed")
    return Cost(number, took, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _answer() -> bytes:
    rated = json.dumps({id: {"reason": "as the anchor says", "score": 7} for id in shipped_rubrics().ids})
    choice = {"index": 0, "message": {"role": "assistant", "content": rated}, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 900, "completion_tokens": 200}}).encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _serve() -> None:
    answer = _answer()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
                writer.write(answer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        asyncio.run(_serve())
    else:
        print(json.dumps(asdict(asyncio.run(_judged(int(sys.argv[1]), sys.argv[2])))))
