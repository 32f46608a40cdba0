import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from tests.eval.stub_judge import ratings, stub_judge
from warmline.eval.journal import Judged, read_run

QUESTIONS, AT_ONCE = 40, 4
RUN = "from warmline.tui.commands.eval import app; app()"


async def test_a_killed_run_goes_on_and_pays_only_for_what_was_under_way(tmp_path: Path) -> None:
    ids = [str(n) for n in range(QUESTIONS)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps({"id": id, "text": f"question {id}"}) + "\n" for id in ids))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"id": id, "answer": "I hear you."}) + "\n" for id in ids))
    half_way = asyncio.Event()

    def answer(_: dict[str, Any]) -> str | None:
        if len(stub.requests) >= QUESTIONS // 2:
            half_way.set()
        return None if half_way.is_set() and not killed else ratings()

    killed = False
    async with stub_judge(answer) as stub:
        options = ["--file", "q.jsonl", "--model", "a.jsonl", "--judge", f"j@{stub.base_url}", "--out", "o"]
        command = [sys.executable, "-c", RUN, "run", "questions", *options, "--concurrency", str(AT_ONCE)]
        first = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stderr=asyncio.subprocess.DEVNULL)
        await half_way.wait()
        first.send_signal(signal.SIGKILL)
        await first.wait()
        killed, answered_before = True, QUESTIONS // 2 - 1
        stub.requests.clear()
        second = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stderr=asyncio.subprocess.DEVNULL)
        assert await second.wait() == 0
    judged = [line.id for line in read_run(tmp_path / "o" / "run.jsonl") if isinstance(line, Judged)]
    assert sorted(judged, key=int) == ids
    assert len(stub.requests) <= QUESTIONS - answered_before + AT_ONCE
