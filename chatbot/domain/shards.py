"""Users are dealt out to shards, and shards to processes; pure."""

from __future__ import annotations

import zlib

from chatbot.domain.hedge import AccountId

SHARDS = 64


def shard_of(ref: str) -> int:
    """Of a user or a chat, written ``platform:id``: a private chat lies where its user does.

    Rows bear it, so it is the same for ever and on every machine.
    """
    return zlib.crc32(ref.encode("utf-8", "surrogatepass")) % SHARDS


def shard_of_account(account_id: AccountId) -> int:
    """An account's id ends with whose it is."""
    return shard_of(account_id.partition(":")[2])


def fair_share(processes: int) -> int:
    """How many shards one of so many processes may hold, so that all of them are held."""
    return -(-SHARDS // max(1, processes))
