"""Many things done at once, each by one worker; used by every run that asks models. Knows nothing of what is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


async def at_once(items: Iterable[Item], work: Callable[[Item], Awaitable[None]], most: int) -> None:
    """Do ``work`` on each item, on up to ``most`` at a time; the first error ends all and is raised."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:  # shared: each item goes to one worker
            await work(item)

    tasks = [asyncio.create_task(worker()) for _ in range(max(1, most))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
