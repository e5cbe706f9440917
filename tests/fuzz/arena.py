"""A dialog under observation: who was offered what, at which price, and what reached the exchange."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

from chatbot.chat import UserRef
from chatbot.domain.hedge import HedgeStatus
from chatbot.domain.quote import QuoteId
from chatbot.venues.paper.venue import PaperVenue
from tests.dialogs.harness import ANN, BTC, ETH, GROUP, Card, Dialog, a_dialog, home_of
from tests.fuzz.inputs import Action, Forge, Move, Say, Tap

LIFETIME = timedelta(seconds=60)
WRITES = ("place", "cancel", "add_margin", "set_leg", "set_position_mode")
MOVED = {ETH: 20, BTC: 1_000}  # a percent of the price at the start


@dataclass(frozen=True)
class Offer:
    """``price`` in percent of the first one."""

    owner: UserRef
    card: Card
    made_at: datetime
    price: int


@dataclass
class Arena:
    """``writes``: what reached the exchange."""

    dialog: Dialog
    writes: list[str] = field(default_factory=list)
    price: int = 0
    meddled: bool = False  # a user traded elsewhere, or started the paper account over
    _offers: dict[str, Offer] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _buttons: dict[tuple[str, str], Card] = field(default_factory=dict)

    async def act(self, action: Action) -> None:
        """And holds what happened against what may."""
        before = len(self.writes)
        match action:
            case Say(by, text, in_group):
                self.meddled |= "elsewhere" in text or "reset" in text or "deposit" in text
                await self.dialog.says(text, by=by, chat=GROUP if in_group else home_of(by))
                self._nothing_was_sent(before, action)
                self._note_offers(by)
            case Tap(by, number, bend):
                await self._tap(by, number, bend)
            case Forge(by, data):
                if self.dialog.screen.cards:
                    await self._click(by, self.dialog.latest, data)
            case Move(percent, seconds):
                self.price = percent
                for symbol, step in MOVED.items():
                    await self.dialog.price(symbol, step * (100 + percent))
                await self.dialog.passes(seconds)
                self._note_offers(ANN)

    async def _tap(self, by: UserRef, number: int, bend: int) -> None:
        known = [*reversed(self._buttons.items())]
        if not known:
            return
        (_, data), card = known[number % len(known)]
        if bend:
            at = bend % len(data)
            data = data[:at] + chr(33 + (ord(data[at]) + bend) % 90) + data[at + 1 :]
        self.meddled |= "reset" in data
        await self._click(by, card, data)

    async def _click(self, by: UserRef, card: Card, data: str) -> None:
        before = len(self.writes)
        allowed = self._may_trade(by, card, data)
        await self.dialog.clicks(card, data, by=by)
        if not allowed:
            self._nothing_was_sent(before, (by, data))
        elif len(self.writes) > before:
            await self._was_agreed_to(data)
        self._note_offers(by)

    def _may_trade(self, by: UserRef, card: Card, data: str) -> bool:
        """An offer's own button, tapped in time, once, by whom it was made to, where it was made."""
        offer = self._offers.get(data)
        if offer is None or data.endswith(":cancel") or _quote_of(data) in self._used:
            return False
        in_time = self.dialog.clock.now() < offer.made_at + LIFETIME
        return in_time and offer.owner == by and offer.card.chat == card.chat

    async def _was_agreed_to(self, data: str) -> None:
        """The orders are those of an operation that this tap made, at a price near that of the offer."""
        self._used.add(_quote_of(data))
        quote = await self.dialog.bot.store.quote(QuoteId(_quote_of(data)))
        operations = await self.dialog.bot.store.operation_of_quote(QuoteId(_quote_of(data)))
        assert quote is not None and operations, f"orders without an operation of {data}"
        assert str(quote.user_id) == str(self._offers[data].owner)
        moves = {symbol for symbol, _ in quote.reference_prices} & MOVED.keys()
        assert not moves or self._offers[data].price == self.price, f"{data}: the price had moved"

    def _nothing_was_sent(self, before: int, why: object) -> None:
        assert self.writes[before:] == [], f"{self.writes[before:]} after {why}"

    def _note_offers(self, by: UserRef) -> None:
        for card in self.dialog.screen.cards:
            for row in card.reply.buttons:
                for button in row:
                    self._buttons.setdefault((card.id, button.data), card)
                    if button.data.startswith("q:") and button.data not in self._offers:
                        made = Offer(by, card, self.dialog.clock.now(), self.price)
                        self._offers[button.data] = made

    # --- at the end -----------------------------------------------------------------------------

    async def is_well(self) -> None:
        """Every update is handled, every message delivered, both books agree, and nobody saw a traceback."""
        bot, screen = self.dialog.bot, self.dialog.screen
        assert await bot.mailbox.unhandled() == ()
        assert await bot.mailbox.due(self.dialog.clock.now(), limit=10) == ()
        assert await bot.store.unfinished_operations() == ()
        told = [*(card.text for card in screen.cards), *screen.toasts]
        assert not [text for text in told if "went wrong" in text or "Traceback" in text]
        assert all(len(toast) <= 200 for toast in screen.toasts)
        assert all(card.widest <= 34 for card in screen.cards)
        if not self.meddled:
            await self._books_agree()

    async def _books_agree(self) -> None:
        for account in await self.dialog.bot.store.accounts():
            view = await self.dialog.bot.venues.of(account).view()
            hedges = await self.dialog.bot.store.live_hedges(account_id=account.id)
            if any(hedge.status is HedgeStatus.FROZEN for hedge in hedges):
                continue
            ledger = {(h.symbol, leg.side): leg.quantity for h in hedges for leg in h.legs if leg.quantity}
            assert ledger == {(p.symbol, p.side): p.quantity for p in view.positions}


def _quote_of(data: str) -> str:
    return data.split(":")[1]


@asynccontextmanager
async def an_arena() -> AsyncIterator[Arena]:
    async with a_dialog() as dialog:
        arena = Arena(dialog)
        with _noted(arena.writes), no_error_is_logged():
            await dialog.does("/open ETH long 1 10x")
            arena._note_offers(ANN)
            yield arena


@contextmanager
def _noted(writes: list[str]) -> Iterator[None]:
    def noting(name: str) -> Callable[..., Awaitable[Any]]:
        original: Callable[..., Awaitable[Any]] = getattr(PaperVenue, name)

        async def noted(venue: PaperVenue, *arguments: Any) -> Any:
            writes.append(f"{name} {arguments}")
            return await original(venue, *arguments)

        return noted

    with ExitStack() as patches:
        for name in WRITES:
            patches.enter_context(mock.patch.object(PaperVenue, name, noting(name)))
        yield


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.found.append(f"{record.getMessage()} {error!r}")


@contextmanager
def no_error_is_logged() -> Iterator[None]:
    root, errors = logging.getLogger(), _Errors()
    root.addHandler(errors)
    try:
        yield
    finally:
        root.removeHandler(errors)
    assert errors.found == []
