import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from warmline.eval.lines import EvalError
from warmline.eval.published import mentalchat200
from warmline.eval.questions import read_questions

QUESTIONS = b'{"question_id": 1, "category": "generic", "turns": ["i can t sleep"]}\n'
SHA256 = hashlib.sha256(QUESTIONS).hexdigest()


class Source(ThreadingHTTPServer):
    """A server on this machine; ``sends`` is what it sends of what it promises."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.promises, self.sends, self.asked = 200, QUESTIONS, QUESTIONS, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/question.jsonl"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        source = cast("Source", self.server)
        source.asked += 1
        self.send_response(source.status)
        self.send_header("Content-Length", str(len(source.promises)))
        self.end_headers()
        self.wfile.write(source.sends)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def source() -> Iterator[Source]:
    with Source() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_questions_are_fetched_once(source: Source, tmp_path: Path) -> None:
    first = mentalchat200(tmp_path, url=source.url, sha256=SHA256)
    again = mentalchat200(tmp_path, url=source.url, sha256=SHA256)
    assert (first, source.asked) == (again, 1)
    assert read_questions(first).questions[0].text == "i can t sleep"


def test_another_file_is_refused_and_not_kept(source: Source, tmp_path: Path) -> None:
    source.promises = source.sends = b"{}\n"
    with pytest.raises(EvalError, match=r"not the published questions.*--file"):
        mentalchat200(tmp_path, url=source.url, sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_breaks_off_leaves_nothing(source: Source, tmp_path: Path) -> None:
    source.sends = QUESTIONS[:20]
    with pytest.raises(EvalError, match=r"RemoteProtocolError.*tries again.*--file"):
        mentalchat200(tmp_path, url=source.url, sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_copy_is_fetched_anew(source: Source, tmp_path: Path) -> None:
    (tmp_path / "mentalchat200.jsonl").write_bytes(QUESTIONS[:20])
    assert mentalchat200(tmp_path, url=source.url, sha256=SHA256).read_bytes() == QUESTIONS


def test_a_file_that_is_gone_is_told(source: Source, tmp_path: Path) -> None:
    source.status = 404
    with pytest.raises(EvalError, match=r"HTTP 404.*--file"):
        mentalchat200(tmp_path, url=source.url, sha256=SHA256)


def test_without_a_network_the_flag_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"out of reach.*--file"):
        mentalchat200(tmp_path, url="http://127.0.0.1:9/question.jsonl", sha256=SHA256)


def test_a_kept_copy_needs_no_network(source: Source, tmp_path: Path) -> None:
    mentalchat200(tmp_path, url=source.url, sha256=SHA256)
    assert mentalchat200(tmp_path, url="http://127.0.0.1:9/", sha256=SHA256).read_bytes() == QUESTIONS
