"""The bot with its page on the loopback, as a proxy with TLS would reach it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chatbot.platforms.http import HttpServer
from tests.dialogs.harness import ANN, Card, Dialog, a_dialog
from tests.exchanges import ScriptedExchanges
from tests.wire.bot_api import TOKEN

PUBLIC_URL = "https://bot.example.com"


@dataclass
class ConnectRig:
    dialog: Dialog
    exchanges: ScriptedExchanges
    server: HttpServer

    async def offered(self, venue: str = "binance") -> Card:
        (card,) = await self.dialog.says(f"/connect {venue}", by=ANN)
        return card

    def address(self, card: Card, label: str = "Open it in the browser") -> str:
        """Where the button leads, on the loopback."""
        url = self.dialog.bot.keys.page_url(card.button(label).ticket)
        return url.replace(PUBLIC_URL, f"http://127.0.0.1:{self.server.port}")

    async def link(self, venue: str = "binance", label: str = "Open it in the browser") -> str:
        return self.address(await self.offered(venue), label)


@asynccontextmanager
async def a_connect_rig(public_url: str = PUBLIC_URL, **settings: object) -> AsyncIterator[ConnectRig]:
    exchanges = ScriptedExchanges()
    chosen = {"telegram": {"token": TOKEN}, "http": {"public_url": public_url}, **settings}
    async with a_dialog(exchanges=exchanges, life=None, **chosen) as dialog:
        server = HttpServer("127.0.0.1", 0)
        assert dialog.bot.keys.page is not None
        server.add_routes(dialog.bot.keys.page.routes())
        await server.start()
        try:
            yield ConnectRig(dialog, exchanges, server)
        finally:
            await server.stop()
