"""The floor: an echo with nothing between it and the sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp


def run(api_url: str, token: str) -> None:
    asyncio.run(_poll(f"{api_url}/bot{token}"))


async def _poll(base: str) -> None:
    offset = 0
    sending: set[asyncio.Task[None]] = set()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        while True:
            for update in await _call(session, f"{base}/getUpdates", {"timeout": 50, "offset": offset}):
                offset = int(update["update_id"]) + 1
                task = asyncio.create_task(_echo(session, base, update["message"]))
                sending.add(task)
                task.add_done_callback(sending.discard)


async def _echo(session: aiohttp.ClientSession, base: str, message: dict[str, Any]) -> None:
    answer = {"chat_id": message["chat"]["id"], "text": message["text"]}
    await _call(session, f"{base}/sendMessage", answer)


async def _call(session: aiohttp.ClientSession, url: str, parameters: dict[str, Any]) -> Any:
    async with session.post(url, json=parameters) as response:
        return (await response.json())["result"]
