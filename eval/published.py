"""The paper's 200 questions, fetched once from their source and kept; nothing is used that is not the published file.

The questions belong to their authors (ChiaPatricia/FastChat, Apache-2.0) and do not ship with this project.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import httpx

from .lines import EvalError

MENTALCHAT200 = (
    "https://raw.githubusercontent.com/ChiaPatricia/FastChat/main/fastchat/llm_judge/data/evalq_bench/question.jsonl"
)
SHA256 = "9e4546e4d1fd31fa1ed14c1fd6c995a3d08728e69331c74916289eaffc03126b"
MOST_BYTES = 4_000_000
"""The file has 227 kB; a server that sends more sends something else."""
TIMEOUT_S = 30.0


def mentalchat200(folder: Path, *, url: str = MENTALCHAT200, sha256: str = SHA256) -> Path:
    """The questions' file: the kept copy in ``folder``, or fetched from ``url``.

    A kept copy that is damaged is fetched anew. What was sent in part, or is another file, is thrown away.

    Raises:
        EvalError: it cannot be fetched or is not the published file; naming ``--file``, which needs no network.
    """
    path = folder / "mentalchat200.jsonl"
    with suppress(OSError):
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    data = _fetched(url)
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise EvalError(
            f"{url}: not the published questions (sha256 {found}, not {sha256}); nothing was kept. "
            "With a copy of your own: --file question.jsonl"
        )
    try:
        _written(path, data)
    except OSError as error:
        raise EvalError(f"{path}: {error.strerror}. With a copy of your own: --file question.jsonl") from None
    return path


def _fetched(url: str) -> bytes:
    data = b""
    try:
        with httpx.stream("GET", url, timeout=TIMEOUT_S, follow_redirects=True) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > MOST_BYTES:
                    break
    except httpx.HTTPStatusError as error:
        problem = f"HTTP {error.response.status_code}"
    except httpx.HTTPError as error:
        problem = "the network is out of reach" if isinstance(error, httpx.ConnectError) else type(error).__name__
    else:
        return data
    raise EvalError(
        f"{url}: {problem}; nothing was kept. The same command tries again; with a copy of the file, or on a machine "
        "without a network: --file question.jsonl"
    )


def _written(path: Path, data: bytes) -> None:
    """Whole or not at all: two runs may fetch at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".fetched-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
