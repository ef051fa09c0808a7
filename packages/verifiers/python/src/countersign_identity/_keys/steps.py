"""Lookups that may wait for a fetch, written once for threads and for asyncio: each step is a future to wait for."""

import asyncio
from collections.abc import Generator
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")
Steps = Generator["Future[None]", None, T]


def run(steps: Steps[T]) -> T:
    """Block this thread while the steps wait."""
    while True:
        try:
            wait([next(steps)])
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


async def arun(steps: Steps[T]) -> T:
    """Let other tasks run while the steps wait."""
    while True:
        try:
            # Unlike await, asyncio.wait() does not cancel the future, which other requests share, with this task.
            await asyncio.wait([asyncio.wrap_future(next(steps))])
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
