"""What the agent adds to a model server is measured on one server, both sides in turns."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest

from warmline.eval.lines import EvalError
from warmline.eval.serving import side_by_side

REPLY = "That sounds lonely, and it makes sense that you miss them. Who would you call first? Tell me more."


class Server(ThreadingHTTPServer):
    """Speaks as much of vLLM as the bench asks: models, metrics, and replies of one token a word."""

    daemon_threads = True

    def __init__(self, *, counts: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.counts, self.made, self.asked = counts, count(), []
        self.tokens = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, *_: object) -> None:
        """Turns at the end of the window hang up; that is no news."""


class Answers(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/metrics":
            name = "vllm:generation_tokens_total" if self.server.counts else "other"
            self.send(f'# HELP {name}\n{name}{{engine="0"}} {float(self.server.tokens)}\n')
        else:
            self.send(json.dumps({"data": [{"id": "base"}, {"id": "warmline"}]}))

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        words = REPLY.split()
        for n, word in enumerate(words):
            last = n == len(words) - 1
            choice = {"index": 0, "delta": {"content": f"{word} "}, "finish_reason": "stop" if last else None}
            chunk = {
                "id": "c",
                "object": "chat.completion.chunk",
                "created": 0,
                "model": "warmline",
                "choices": [choice],
            }
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.server.tokens += 1
        self.wfile.write(b"data: [DONE]\n\n")

    def send(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *values: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server
        server.shutdown()


async def test_both_sides_ask_the_same_and_are_timed(server: Server) -> None:
    [(streams, raw, through)] = [row async for row in side_by_side(server.base_url, streams=(2,), seconds=2)]
    assert streams == 2
    assert raw.tokens_s > through.tokens_s > 0  # this server takes no time: what is left is the agent's own
    assert 0 < raw.first_token_ms <= raw.first_sentence_ms
    assert 0 < through.first_token_ms <= through.first_sentence_ms
    kept = ("model", "temperature", "top_p", "max_tokens", "stream")
    assert len({tuple(asked[key] for key in kept) for asked in server.asked}) == 1
    assert len({asked["messages"][0]["content"] for asked in server.asked}) == 1
    questions = [asked["messages"][-1]["content"] for asked in server.asked]
    assert len(set(questions)) == len(questions)  # or the server would have the prompt in its cache


async def test_a_server_that_is_no_vllm_is_told() -> None:
    with Server(counts=False) as server:
        with pytest.raises(EvalError, match=r"no vLLM answers there .* start one with `warmline serve`"):
            [row async for row in side_by_side(server.base_url)]
        server.shutdown()
