"""One nursery for all tests of a process: what it imports, it imports once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.e2e.nursery import Nursery
from tests.e2e.stage import Stage, staged


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def nursery() -> AsyncIterator[Nursery]:
    """Belongs to the loop of the session: only for tests that run on it."""
    nursery = await Nursery.open()
    yield nursery
    await nursery.close()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path, nursery) as stage:
        yield stage
