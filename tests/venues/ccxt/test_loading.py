"""What is loaded when, in a process of its own: here everything is loaded already."""

from __future__ import annotations

import subprocess
import sys

START = """
import asyncio, sys
from chatbot.app import open_bot, open_exchanges
from chatbot.clock import VirtualClock
from chatbot.settings import PaperSettings, Settings
from datetime import UTC, datetime

async def main():
    settings = Settings(database_url="sqlite+aiosqlite://", paper=PaperSettings())
    clock = VirtualClock(datetime(2026, 3, 2, tzinfo=UTC))
    exchanges = open_exchanges(settings, clock)
    async with open_bot(settings, clock=clock, exchanges=exchanges) as bot:
        await bot.start()
        running = asyncio.create_task(bot.run())
        await clock.advance(30)
        await bot.stop()
        await running
    await exchanges.close()
    print("ccxt" in sys.modules)

asyncio.run(main())
"""
STREAMS = """
import sys
from chatbot.venues.ccxt.loading import exchange_class
exchange_class("binanceusdm", streaming=True)
print(sorted(n for n in sys.modules if n.startswith("ccxt.pro.")))
"""


def told_by(program: str) -> list[str]:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return ran.stdout.splitlines()


def test_without_an_account_on_an_exchange_ccxt_is_not_loaded() -> None:
    assert told_by(START) == ["False"]


def test_the_streams_of_one_exchange_load_no_other() -> None:
    assert told_by(STREAMS) == ["['ccxt.pro.binance', 'ccxt.pro.binanceusdm']"]
