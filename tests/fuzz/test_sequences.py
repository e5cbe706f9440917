"""Chats in any order, of several users, with restarts in between: what is open is what was agreed to.

The model knows of each offer whose it is, what it was made on, and until when; no more.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from chatbot.chat import UserRef
from tests.dialogs.harness import ANN, BOB, ETH, EVE, Card, Dialog, Props, a_dialog
from tests.fuzz.arena import LIFETIME, no_error_is_logged
from tests.fuzz.scale import examples

START = 2_000
BAND = Decimal("0.003")
Legs = dict[str, Decimal]

speakers = st.sampled_from([ANN, BOB])
tappers = st.sampled_from([ANN, ANN, BOB, EVE])


@dataclass
class Offer:
    """``change``: what is held once it is carried out, of what was held when it was made.

    ``sure``: nothing that was done to it can have used it up.
    """

    data: str
    card: Card
    owner: UserRef
    made_at: datetime
    price: int
    held: Legs
    becomes: Legs
    sure: bool = True
    used: bool = False

    def holds(self, at: datetime, price: int, held: Legs) -> bool:
        fresh = not self.used and at < self.made_at + LIFETIME
        return fresh and abs(Decimal(price) / self.price - 1) <= BAND and held == self.held


@dataclass
class Model:
    price: int = START
    held: dict[UserRef, Legs] = field(default_factory=lambda: {ANN: {}, BOB: {}})


class Chats(RuleBasedStateMachine):
    offers: Bundle[Offer] = Bundle("offers")

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.stack.enter_context(no_error_is_logged())
        self.model, self.props = Model(), Props()
        self.life = AsyncExitStack()
        self._start()

    def _start(self) -> None:
        url = f"sqlite+aiosqlite:///{Path(self.folder) / 'hedgerow.db'}"
        dialog = a_dialog(props=self.props, database_url=url, exchanges=None)
        self.dialog: Dialog = self._do(self.life.enter_async_context(dialog))
        self._do(self.dialog.settle())

    def _do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self._do(self.life.aclose())
            self._do(self.stack.aclose())
            self.loop.close()

    # --- offers ---------------------------------------------------------------------------------

    @rule(
        target=offers,
        by=speakers,
        side=st.sampled_from(["long", "short"]),
        size=st.sampled_from(["0.1", "1"]),
    )
    def asks_to_open(self, by: UserRef, side: str, size: str) -> Any:
        return self._asks(by, f"/open ETH {side} {size} 10x", {side: Decimal(size)})

    @rule(target=offers, by=speakers)
    def asks_to_hedge(self, by: UserRef) -> Any:
        size = next(iter(self.model.held[by].values()), Decimal(0))
        return self._asks(by, "/hedge ETH", {"long": size, "short": size})

    @rule(target=offers, by=speakers)
    def asks_to_close(self, by: UserRef) -> Any:
        return self._asks(by, "/close ETH", {})

    def _asks(self, by: UserRef, text: str, becomes: Legs) -> Any:
        """An offer for each button that trades; none where it is refused."""
        (card,) = self._do(self.dialog.says(text, by=by))
        return multiple(*self._made(by, card, becomes))

    def _made(self, by: UserRef, card: Card, becomes: Legs) -> list[Offer]:
        data = [button.data for row in card.reply.buttons for button in row if button.data.startswith("q:")]
        held = dict(self.model.held[by])
        return [
            Offer(
                each,
                card,
                by,
                self.dialog.clock.now(),
                self.model.price,
                held,
                self._after(each, held, becomes),
            )
            for each in data
            if not each.endswith(":cancel")
        ]

    def _after(self, data: str, held: Legs, becomes: Legs) -> Legs:
        """Only the offset goes: the leg that was there first stays."""
        if data.endswith(":lift_offset"):
            first = next(iter(held))
            return {first: held[first]}
        return {**held, **becomes} if becomes else {}

    # --- taps -----------------------------------------------------------------------------------

    @rule(target=offers, offer=offers, by=tappers)
    def taps(self, offer: Offer, by: UserRef) -> Any:
        """Also for the second time, too late, or on what is another's."""
        now, held = self.dialog.clock.now(), self.model.held[offer.owner]
        carried_out = by == offer.owner and offer.holds(now, self.model.price, held)
        known = {button.data for row in offer.card.reply.buttons for button in row}
        self._do(self.dialog.clicks(offer.card, offer.data, by=by))
        found = self._do(self._venue_legs(offer.owner))
        if carried_out and (offer.sure or found == offer.becomes):
            offer.used = True
            self.model.held[offer.owner] = dict(offer.becomes)
        elif by == offer.owner:
            offer.sure = False
        fresh = {b.data for row in offer.card.reply.buttons for b in row} - known
        if not any(data.startswith("q:") for data in fresh):
            return multiple()
        return multiple(*self._made(offer.owner, offer.card, offer.becomes))

    @rule(offer=offers, by=tappers)
    def cancels(self, offer: Offer, by: UserRef) -> None:
        self._do(self.dialog.clicks(offer.card, f"{offer.data.rpartition(':')[0]}:cancel", by=by))
        if by == offer.owner:
            offer.used = True

    @rule(offer=consumes(offers), letter=st.sampled_from("aZ-_9:"), place=st.integers(2, 23))
    def bends(self, offer: Offer, letter: str, place: int) -> None:
        bent = offer.data[:place] + letter + offer.data[place + 1 :]
        if bent != offer.data:
            self._do(self.dialog.clicks(offer.card, bent, by=offer.owner))

    # --- time -----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 30, 59, 60, 61, 3600]))
    def waits(self, seconds: int) -> None:
        self._do(self.dialog.passes(seconds))

    @rule(price=st.sampled_from([START, START + 4, START - 20, START + 40]))
    def the_price_moves(self, price: int) -> None:
        self.model.price = price
        self._do(self.dialog.price(ETH, price))

    @rule()
    def restarts(self) -> None:
        self._do(self.life.aclose())
        self.life = AsyncExitStack()
        self._start()

    # --- what holds -----------------------------------------------------------------------------

    @invariant()
    def only_what_was_agreed_to_is_open(self) -> None:
        if hasattr(self, "dialog"):
            for user, held in self.model.held.items():
                assert self._do(self._venue_legs(user)) == held
                assert self._do(self._ledger_legs(user)) == held

    @invariant()
    def nothing_is_lost_and_nobody_sees_a_fault(self) -> None:
        if hasattr(self, "dialog"):
            assert self._do(self.dialog.bot.mailbox.unhandled()) == ()
            assert self._do(self.dialog.bot.mailbox.due(self.dialog.clock.now(), limit=1)) == ()
            assert not any("went wrong" in card.text for card in self.dialog.screen.cards)

    async def _venue_legs(self, user: UserRef) -> Legs:
        accounts = await self.dialog.bot.store.accounts()
        mine = [account for account in accounts if str(account.user_id) == str(user)]
        views = [await self.dialog.bot.venues.of(account).view() for account in mine]
        return {str(p.side): p.quantity for view in views for p in view.positions}

    async def _ledger_legs(self, user: UserRef) -> Legs:
        hedges = await self.dialog.bot.store.live_hedges()
        mine = [hedge for hedge in hedges if str(hedge.user_id) == str(user)]
        return {str(leg.side): leg.quantity for hedge in mine for leg in hedge.legs if leg.quantity}


TestChats = pytest.mark.slow(Chats.TestCase)
TestChats.settings = examples(25, stateful_step_count=30)
