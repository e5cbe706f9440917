"""The whole bot between two loopback worlds: a real Bot API client on one side, the real ccxt on the other.

One clock for all: the bot, what ccxt stamps, the venue and its market. It stands still; while the bot waits
for it, it goes on as soon as nothing else is on its way.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from chatbot.app import Bot, open_bot, open_exchanges, telegram_platform
from chatbot.clock import VirtualClock
from chatbot.domain.hedge import Hedge
from chatbot.domain.instrument import OrderSide, PositionSide, Symbol
from chatbot.domain.intent import OrderIntent
from chatbot.domain.order import OrderType
from chatbot.ports import Account
from chatbot.settings import Settings
from chatbot.venues.feeds import ETH
from tests.e2e.phone import Phone
from tests.wire.bot_api import ChatMessage, LoopbackBotApi
from tests.wire.ccxt_rig import SERVERS
from tests.wire.venues.core import VenueAccount
from tests.wire.venues.faults import Endpoint
from tests.wire.venues.orders import Wish
from tests.wire.venues.server import Received, VenueServer

ANN, BOB = 7, 8
# Ten minutes before the venues settle funding.
BEFORE_FUNDING = datetime(2026, 11, 24, 7, 50, tzinfo=UTC)
CALM_LOOKS = 3
LONGEST_STEP = 1.0  # seconds of the clock at once
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT

# As the venues make them; the canaries of the tests that look for them everywhere.
KEYS: Mapping[str, tuple[str, str, str]] = {
    "binance": (
        "kAnArY7aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYzA1bC2dE3fG4hJ5kL6mN7pQ89",
        "sEcReT0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3aB4cD5eF6gH7iJ8kL9",
        "",
    ),
    "bybit": ("kAnArY1bY2bIt3kEy4", "sEcReT7aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT", ""),
    "okx": ("9a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "3F9AD1C07BE24586A0C1E2D3F4051627", "Canary-Phrase-1"),
}
OTHER_KEYS: Mapping[str, tuple[str, str, str]] = {
    "binance": (
        "oThEr7aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYzA1bC2dE3fG4hJ5kL6mN7pQ890",
        "oThErT0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3aB4cD5eF6gH7iJ8kL9",
        "",
    ),
    "bybit": ("oThEr1bY2bIt3kEy44", "oThErT7aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT", ""),
    "okx": ("8a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f8", "4F9AD1C07BE24586A0C1E2D3F4051628", "Other-Phrase-1"),
}


class PatientClock(VirtualClock):
    """``goes_on``: as far as the next sleeper waits for, a step at a time."""

    async def goes_on(self) -> None:
        awaited = [at for at, _, woken in self._sleepers if not woken.done()]
        if awaited:
            left = (min(awaited) - self.now()).total_seconds()
            await self.advance(min(max(left, 0.0), LONGEST_STEP))


@dataclass
class Stand:
    """A user with a phone, and an exchange on the loopback; ``holder`` is the account there that the key
    belongs to.
    """

    venue_id: str
    api: LoopbackBotApi
    server: VenueServer
    phone: Phone
    holder: VenueAccount

    # --- the chat -----------------------------------------------------------------------------

    async def connects(
        self, keys: Sequence[str] | None = None, expecting: str = "is connected"
    ) -> ChatMessage:
        """Part by part, as it is asked for; the last answer."""
        parts = [part for part in keys or KEYS[self.venue_id] if part]
        await self.phone.asks(f"/connect {self.venue_id}", "Now send the API key")
        for part in parts[:-1]:
            await self.phone.asks(part, "Taken. Now")
        return await self.phone.asks(parts[-1], expecting)

    async def goes_live(self) -> None:
        """Ann is known, her key is taken, and orders go to the exchange."""
        await self.phone.asks("/start", "Hedgerow")
        card = await self.connects()
        await self.phone.chooses(card, f"Use {self.venue_id}", f"Orders go to {self.venue_id}")

    async def does(
        self, command: str, expecting: str, *, offers: str = "", button: str = "Confirm"
    ) -> ChatMessage:
        """Asks, agrees, and reads how it ended."""
        self.phone.says(command)
        offer = await self.phone.finds(
            lambda message: button in message.labels and offers in message.text, f"{offers!r} with {button!r}"
        )
        return await self.phone.chooses(offer, button, expecting)

    def another_key(self) -> tuple[str, str, str]:
        """Of the same account at the venue, to its owner; its book is another one here."""
        key, secret, passphrase = OTHER_KEYS[self.venue_id]
        self.server.create_account(key, secret=secret, passphrase=passphrase, ips=("127.0.0.1",))
        return key, secret, passphrase

    def renewed_key(self) -> tuple[str, str, str]:
        """Of the very same account and its book; the one before is revoked."""
        key, secret, passphrase = OTHER_KEYS[self.venue_id]
        accounts = self.server.market.accounts
        del accounts[self.holder.key.key]
        self.holder.key = replace(self.holder.key, key=key, secret=secret, passphrase=passphrase)
        accounts[key] = self.holder
        return key, secret, passphrase

    # --- the exchange -------------------------------------------------------------------------

    async def trades_elsewhere(
        self, side: PositionSide, quantity: str, *, opens: bool = True, symbol: Symbol = ETH
    ) -> None:
        """In the venue's own app."""
        order_side: OrderSide = side.opening if opens else side.closing
        await self.holder.trade_elsewhere(
            Wish("", symbol, order_side, side, OrderType.MARKET, Decimal(quantity))
        )

    async def trades_one_way(self, quantity: str, *, closes: bool = False) -> None:
        """A long of one-way mode is opened, or closed."""
        side = LONG.closing if closes else LONG.opening
        await self.holder.trade_elsewhere(
            Wish("", ETH, side, None, OrderType.MARKET, Decimal(quantity), closes=closes)
        )

    async def held(self, symbol: Symbol = ETH) -> dict[PositionSide, Decimal]:
        return {side: held for side, held in (await self.holder.held(symbol)).items() if held}

    def placed(self) -> list[Received]:
        """Requests that place orders, as they arrived."""
        routes = self.server.routes
        return [
            request
            for request in self.server.log
            if (route := routes.get((request.method, request.path))) and route.endpoint is Endpoint.PLACE
        ]

    def placed_often(self, client_order_ids: Iterable[str]) -> list[str]:
        """Those that were sent, or taken, more than once."""
        placed = [str(request.params) for request in self.placed()]
        taken = [order.wish.client_order_id for order in self.holder.orders]
        return [
            name
            for name in client_order_ids
            if sum(bool(re.search(rf"{name}(?!\w)", text)) for text in placed) > 1
            or sum(told.endswith(name) for told in taken) > 1
        ]


@dataclass
class Floor(Stand):
    """With the whole bot in this process, on a clock that waits."""

    bot: Bot
    clock: PatientClock

    async def settled(self) -> None:
        await self.phone.all_is_taken()
        await self.bot.settled()

    async def price(self, price: str, symbol: Symbol = ETH) -> None:
        """The watch looks a few seconds later, as it does by itself."""
        await self.server.market.price(symbol, price)
        await self.passes(2)

    async def passes(self, seconds: float) -> None:
        self.phone.glances()
        await self.server.market.pass_time(seconds)
        await self.looks()

    async def looks(self) -> None:
        """What the scheduler has done every few seconds."""
        await self.bot.watching.look_at_all(self.venue_id)
        await self.bot.pairs.finish_fired_pairs()
        await self.settled()

    # --- the two books ------------------------------------------------------------------------

    async def account(self) -> Account:
        return next(a for a in await self.bot.store.accounts() if a.venue == self.venue_id)

    async def hedges(self) -> tuple[Hedge, ...]:
        return await self.bot.store.live_hedges(account_id=(await self.account()).id)

    async def ledger(self, symbol: Symbol = ETH) -> dict[PositionSide, Decimal]:
        legs = [leg for hedge in await self.hedges() if hedge.symbol == symbol for leg in hedge.legs]
        return {leg.side: leg.quantity for leg in legs if leg.quantity}

    async def intents(self) -> list[OrderIntent]:
        """Of all hedges that were ever begun."""
        (user,) = [u for u in await self.bot.store.users() if u.ref.id == str(self.phone.chat)]
        last = await self.bot.store.next_hedge_number(user.id)
        found: list[OrderIntent] = []
        for number in range(1, last):
            hedge = await self.bot.store.hedge_by_number(user.id, number)
            if hedge is not None:
                found.extend(await self.bot.store.intents(hedge_id=hedge.id))
        return found

    async def complaints(self) -> list[str]:
        """Whatever is not as it must be once everything has come to rest; empty when all is well."""
        ledger, venue = await self.ledger(), await self.held()
        differ = [] if ledger == venue else [f"legs: the ledger has {ledger}, the venue {venue}"]
        often = self.placed_often(intent.client_order_id for intent in await self.intents())
        return [*differ, *(f"{name} was sent twice" for name in often), *await self._orders_differ()]

    async def _orders_differ(self) -> list[str]:
        intents = {intent.client_order_id: intent for intent in await self.intents()}
        found = []
        for order in self.holder.orders:
            name = order.wish.client_order_id
            intent = next((i for key, i in intents.items() if name.endswith(key)), None)
            if name and intent is None:
                found.append(f"order {name} is not in the journal")
            elif intent is not None and intent.filled_quantity != order.standing.filled:
                found.append(f"order {name}: booked {intent.filled_quantity}, traded {order.standing.filled}")
        return found


def opened_account(server: VenueServer, venue_id: str, **rights: Any) -> VenueAccount:
    """With the key that Ann hands in. ``rights`` as the server's ``ApiKey`` has them."""
    key, secret, passphrase = KEYS[venue_id]
    chosen = {"ips": ("127.0.0.1",), **rights}
    return server.create_account(key, secret=secret, passphrase=passphrase, **chosen)


def sealed_in(database: Path) -> list[bytes]:
    """What the vault wrote down of all keys: ciphertexts, nonces, wrapped keys."""
    with closing(sqlite3.connect(database)) as connection:
        query = "SELECT key_nonce, wrapped_key, nonce, ciphertext FROM credentials"
        return [bytes(value) for row in connection.execute(query) for value in row]


def settings_for(
    api: LoopbackBotApi, server: VenueServer, venue_id: str, *, database_url: str = "sqlite+aiosqlite://"
) -> Settings:
    return Settings.model_validate(
        {
            "database_url": database_url,
            "telegram": {"token": api.token, "api_url": api.url},
            "allowed_users": f"telegram:{ANN},telegram:{BOB}",
            "venues": {venue_id: {"api_url": server.url}},
        }
    )


@asynccontextmanager
async def a_floor(
    venue_id: str, *, database_url: str = "sqlite+aiosqlite://", **rights: Any
) -> AsyncIterator[Floor]:
    """``rights`` of the key, as the server's ``ApiKey`` has them."""
    clock = PatientClock(BEFORE_FUNDING)
    async with SERVERS[venue_id](clock, wire_clock=clock.now) as server, LoopbackBotApi() as api:
        holder = opened_account(server, venue_id, **rights)
        settings = settings_for(api, server, venue_id, database_url=database_url)
        async with _bot(settings, clock) as bot, _on_the_air(bot), _time(clock, server, api):
            yield Floor(venue_id, api, server, Phone(api, ANN), holder, bot, clock)
        assert server.unknown == []


@asynccontextmanager
async def _bot(settings: Settings, clock: PatientClock) -> AsyncIterator[Bot]:
    exchanges = open_exchanges(settings, clock)
    try:
        async with open_bot(settings, clock=clock, exchanges=exchanges, limits={}) as bot:
            yield bot
    finally:
        await exchanges.close()


@asynccontextmanager
async def _on_the_air(bot: Bot) -> AsyncIterator[None]:
    """Everything that runs but the scheduler: a test says when it is time to look."""
    platform = telegram_platform(bot)
    bot.speak_through(platform.messenger)
    await bot.start()
    await platform.start()
    tasks = [asyncio.create_task(bot.outbox.run()), asyncio.create_task(platform.run())]
    try:
        yield
    finally:
        await platform.stop_intake()
        await bot.stop()
        await platform.stop()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def _time(clock: PatientClock, server: VenueServer, api: LoopbackBotApi) -> AsyncIterator[None]:
    passing = asyncio.create_task(_passes(clock, server, api))
    try:
        yield
    finally:
        passing.cancel()
        await asyncio.gather(passing, return_exceptions=True)


async def _passes(clock: PatientClock, server: VenueServer, api: LoopbackBotApi) -> None:
    """Time goes on when the wires have been silent for a moment."""
    before, calm = (0, 0, clock.now()), 0
    while True:
        await asyncio.sleep(0.001)
        after = (len(server.log), len(api.calls), clock.now())
        calm = calm + 1 if after == before and not server.serving else 0
        before = after
        if calm >= CALM_LOOKS:
            calm = 0
            await clock.goes_on()
            server.market.exchange.advance()
