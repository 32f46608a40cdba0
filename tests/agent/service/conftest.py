"""The service on a real socket, for every test in this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra `server`")
pytest.importorskip("uvicorn", reason="needs the extra `server`")
pytest.importorskip("prometheus_client", reason="needs the extra `server`")

from tests.agent.service.running import Running, Start, running


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """``await start("a reply", …)`` gives a running service."""
    async with AsyncExitStack() as stack:

        async def begin(*replies: str, **options: Any) -> Running:
            return await stack.enter_async_context(running(tmp_path, *replies, **options))

        yield begin
