"""What one of several processes sees of the database, and what it may still write.

Each transaction of a user's bears the lease under which it was begun, and locks the lease's row for as long
as it takes. A process that has lost the lease writes nothing, however long it was paused in between.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence

from chatbot.domain.shards import shard_of
from chatbot.errors import Conflict, LeaseLost
from chatbot.ports import Changes, Lease, Leases
from chatbot.storage.codec import Cell
from chatbot.storage.session import Session
from chatbot.storage.sql import Step
from chatbot.storage.statements import FENCE, SHARDS

_LOST = "another process works for this user now"


def dealt(leases: Leases) -> dict[str, Cell]:
    """What restricts a question to this process's shards; empty: nothing does."""
    shards = leases.shards
    return {} if shards is None else {SHARDS: json.dumps(sorted(shards))}


async def write(session: Session, leases: Collection[Lease | None], steps: Sequence[Step]) -> None:
    """Raises ``LeaseLost``: then nothing was written."""
    fences = [_fence(lease) for lease in leases if lease is not None]
    try:
        await session.write([*fences, *steps])
    except Conflict as error:
        if error.message == _LOST:
            raise LeaseLost from None
        raise


def _fence(lease: Lease) -> Step:
    cells: dict[str, Cell] = {"name": lease.name, "holder": lease.holder, "epoch": lease.epoch}
    return Step(FENCE, cells, _LOST)


def leases_for(changes: Changes, leases: Leases) -> list[Lease | None]:
    """In one order for all, so that two transactions never wait for each other. Raises ``LeaseLost``."""
    if leases.shards is None:
        return []  # it is alone
    return [leases.of_shard(shard) for shard in sorted({shard_of(user) for user in _users(changes)})]


def _users(changes: Changes) -> Iterator[str]:
    yield from (user.id for user in changes.users)
    yield from (account.user_id for account in changes.accounts)
    yield from (hedge.user_id for hedge in changes.hedges)
    yield from (operation.user_id for operation in changes.operations)
    yield from (quote.user_id for quote in changes.quotes)
    yield from (episode.user_id for episode in changes.episodes)
    yield from (entry.user_id for entry in changes.audit if entry.user_id is not None)
    if changes.behalf is not None:
        yield changes.behalf
