"""Chats in any order, of several users, with restarts in between: what is open is what was agreed to.

The model knows of each offer whose it is, what it was made on, and until when; no more.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from chatbot.chat import UserRef
from tests.dialogs.harness import ANN, BOB, ETH, EVE, Card, Dialog, Life, a_dialog
from tests.fuzz.arena import LIFETIME, no_error_is_logged
from tests.fuzz.scale import examples

START = 2_000
BAND = Decimal("0.003")
Legs = dict[str, Decimal]

speakers = st.sampled_from([ANN, BOB])
tappers = st.sampled_from([ANN, ANN, BOB, EVE])


@dataclass(frozen=True)
class Ask:
    """``side`` and ``size`` of an opening."""

    text: str
    side: str = ""
    size: Decimal = Decimal(0)


def an_opening(side: str, size: str) -> Ask:
    return Ask(f"/open ETH {side} {size} 10x", side, Decimal(size))


questions = st.sampled_from(
    [
        *(an_opening(side, size) for side in ("long", "short") for size in ("0.1", "1")),
        *(Ask("/hedge ETH"), Ask("/hedge ETH"), Ask("/close ETH")),
    ]
)


@dataclass
class Offer:
    """``sure``: nothing that was done to it can have used it up. ``deals``: how many its owner had made."""

    data: str
    card: Card
    owner: UserRef
    ask: Ask
    made_at: datetime
    price: int
    held: Legs
    deals: int
    sure: bool = True
    used: bool = False

    @property
    def becomes(self) -> Legs:
        """What is held once it is carried out."""
        if self.data.endswith(":offset_only"):  # the leg that was there first stays
            first = next(iter(self.held))
            return {first: self.held[first]}
        if self.ask.text.startswith("/close"):
            return {}
        if self.ask.text.startswith("/hedge"):
            size = next(iter(self.held.values()))
            return {**self.held, **{side: size for side in ("long", "short") if side not in self.held}}
        return {**self.held, self.ask.side: self.held.get(self.ask.side, Decimal(0)) + self.ask.size}

    def holds(self, at: datetime, price: int, held: Legs) -> bool:
        fresh = not self.used and at < self.made_at + LIFETIME
        return fresh and abs(Decimal(price) / self.price - 1) <= BAND and held == self.held


@dataclass
class Model:
    price: int = START
    held: dict[UserRef, Legs] = field(default_factory=lambda: {ANN: {}, BOB: {}})
    deals: Counter[UserRef] = field(default_factory=Counter)


def buttons_of(card: Card) -> list[str]:
    return [button.data for row in card.reply.buttons for button in row]


class Chats(RuleBasedStateMachine):
    carried_out: ClassVar[int] = 0
    offers: Bundle[Offer] = Bundle("offers")

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.stack.enter_context(no_error_is_logged())
        self.model, self.world = Model(), Life()
        self.life = AsyncExitStack()
        self._start()

    def _start(self) -> None:
        url = f"sqlite+aiosqlite:///{Path(self.folder) / 'hedgerow.db'}"
        dialog = a_dialog(life=self.world, database_url=url, exchanges=None)
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

    @rule(target=offers, by=speakers, ask=questions)
    def asks(self, by: UserRef, ask: Ask) -> Any:
        """An offer for each button that trades; none where it is refused."""
        return multiple(*self._asked(by, ask))

    @rule(target=offers, by=speakers, ask=questions)
    def asks_and_agrees(self, by: UserRef, ask: Ask) -> Any:
        made = self._asked(by, ask)
        if made:
            made += self._tap(made[0], by)
        return multiple(*made)

    def _asked(self, by: UserRef, ask: Ask) -> list[Offer]:
        (card,) = self._do(self.dialog.says(ask.text, by=by))
        return self._made(by, card, ask)

    def _made(self, by: UserRef, card: Card, ask: Ask, known: Collection[str] = ()) -> list[Offer]:
        held, now = dict(self.model.held[by]), self.dialog.clock.now()
        return [
            Offer(data, card, by, ask, now, self.model.price, held, self.model.deals[by])
            for data in buttons_of(card)
            if data.startswith("q:") and not data.endswith(":cancel") and data not in known
        ]

    # --- taps -----------------------------------------------------------------------------------

    @rule(target=offers, offer=offers, by=tappers)
    def taps(self, offer: Offer, by: UserRef) -> Any:
        """Also for the second time, too late, or on what is another's."""
        return multiple(*self._tap(offer, by))

    def _tap(self, offer: Offer, by: UserRef) -> list[Offer]:
        now, held = self.dialog.clock.now(), self.model.held[offer.owner]
        may = by == offer.owner and offer.holds(now, self.model.price, held)
        known = buttons_of(offer.card)
        self._do(self.dialog.clicks(offer.card, offer.data, by=by))
        found = self._do(self._venue_legs(offer.owner))
        # The same legs at another price of entry are other legs.
        sure = offer.sure and offer.deals == self.model.deals[offer.owner]
        if may and (sure or found == offer.becomes):
            Chats.carried_out += 1
            self.model.deals[offer.owner] += 1
            offer.used = True
            self.model.held[offer.owner] = offer.becomes
        elif by == offer.owner:
            offer.sure = False
        return self._made(offer.owner, offer.card, offer.ask, known)

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


@pytest.mark.slow
def test_only_what_was_agreed_to_is_ever_open() -> None:
    Chats.carried_out = 0
    run_state_machine_as_test(Chats, settings=examples(40, stateful_step_count=30))
    assert Chats.carried_out >= 60
