"""A bot in a process of its own, to be killed: ``python -m tests.crash.talker API TOKEN DATABASE``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from chatbot.chat import Reply, Request, Text
from chatbot.clock import SystemClock
from chatbot.platforms.telegram import TelegramPlatform
from chatbot.ports import Changes
from chatbot.pushing.inbox import InboxProcessor, replies_to_outbox
from chatbot.pushing.outbox import Outbox
from chatbot.storage.database import open_database


async def answer(request: Request) -> Sequence[Reply]:
    return (Reply((Text(f"answer to {request.text}"),)),)


async def main(api_url: str, token: str, database_url: str) -> None:
    clock = SystemClock()
    async with open_database(database_url) as database:

        async def finish(request: Request, replies: Sequence[Reply]) -> None:
            owed = replies_to_outbox(request, replies, clock.now())
            await database.store.commit(Changes(handled=(request.id,), outbox=owed))
            outbox.notify()

        async def acknowledge(request: Request, toast: str | None) -> None:
            await platform.messenger.acknowledge(request, toast)

        inbox = InboxProcessor(database.mailbox, answer, finish, acknowledge, clock=clock)
        platform = TelegramPlatform(
            token=token, api_url=api_url, mailbox=database.mailbox, intake=inbox, clock=clock
        )
        outbox = Outbox(database.mailbox, [platform.messenger], clock, limits={})
        await platform.start()
        await inbox.start()
        await asyncio.gather(platform.run(), outbox.run())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
