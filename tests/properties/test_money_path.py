"""Never lose a leg: what must hold whenever the sea is calm again, whatever happened before."""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from random import Random

import pytest

from chatbot.domain.hedge import Hedge, HedgeStatus, LegRole
from chatbot.domain.instrument import ZERO
from chatbot.domain.intent import OrderIntent
from chatbot.domain.operation import Operation, OperationKind, OperationStatus
from chatbot.domain.order import Fill
from chatbot.domain.pnl import totals
from chatbot.services.topping_up import NOT_TOLD
from chatbot.venues.paper.state import START_BALANCE
from tests.properties.rules import (
    is_ours,
    ours,
    require_every_operation_ended,
    require_fills_are_booked,
    require_known_orders,
    require_legs_change_together,
    require_no_orphans,
    require_promised_stops,
    require_settled_intents,
)
from tests.properties.storm import SYMBOLS, Storm, a_storm

SEEDS = int(os.environ.get("STORM_SEEDS", "200"))
FIRST = int(os.environ.get("STORM_FIRST", "0"))
CHUNKS = 8
TINY = Decimal("1e-6")  # the paper exchange rounds each payment to eight places


async def sail(seed: int, counts: Counter[str] | None = None) -> None:
    """One seed: a handful of things done in bad weather, all that must hold looked at after each."""
    async with a_storm(seed) as storm:
        try:
            for _ in range(Random(seed).randint(4, 9)):
                await storm.act()
                await require_all(storm)
        except Exception as error:
            story = "\n".join(storm.log[-60:])
            where = traceback.format_exc()
            raise AssertionError(
                f"replay: STORM_FIRST={seed} STORM_SEEDS=1 pytest {__file__}\n{story}\n{where}"
            ) from error
        finally:
            if counts is not None:
                counts.update(storm.counts)


@pytest.mark.parametrize("chunk", range(CHUNKS))
async def test_money_is_safe_in_every_storm(chunk: int) -> None:
    for seed in range(FIRST + chunk, FIRST + SEEDS, CHUNKS):
        await sail(seed)


# --- what must hold -----------------------------------------------------------------------------


async def require_all(storm: Storm) -> None:
    assert not storm.stumbles.found, storm.stumbles.found
    hedges = await all_hedges(storm)
    operations = await all_operations(storm)
    fills = await venue_fills(storm)
    intents = [i for h in hedges for i in await storm.database.store.intents(hedge_id=h.id)]
    require_every_operation_ended(operations)
    require_known_orders(intents, fills)
    require_no_more_than_confirmed(storm, intents, fills)
    require_settled_intents(hedges, intents)
    await require_ledger_equals_venue(storm, hedges)
    require_no_needless_freeze(storm, hedges)
    require_no_orphans(storm.exchange._engine.view(storm.account.id).open_orders, hedges, intents)
    require_fills_are_booked(hedges, intents, fills)
    require_last_cards(storm, operations)
    require_promised_stops(hedges, operations, intents)
    require_offset_not_larger(storm, hedges, intents)
    require_legs_change_together(operations, intents, storm.witness.confirmed, storm.disturbed)
    require_margin_arrives_once(storm, operations)
    await require_wallet(storm, hedges, intents, fills)


def require_no_needless_freeze(storm: Storm, hedges: Sequence[Hedge]) -> None:
    """Losses on the wire alone are all settled by evidence: the owner is asked only where others meddled."""
    for hedge in hedges:
        if hedge.status is HedgeStatus.FROZEN:
            storm.counts["frozen"] += 1
            assert hedge.symbol in storm.disturbed, f"frozen for nothing: {hedge.reason}"


async def all_hedges(storm: Storm) -> list[Hedge]:
    store, hedges = storm.database.store, []
    for number in range(1, await store.next_hedge_number(storm.user.id)):
        hedge = await store.hedge_by_number(storm.user.id, number)
        if hedge is not None:
            hedges.append(hedge)
    return hedges


async def all_operations(storm: Storm) -> list[Operation]:
    found = [await storm.database.store.operation(o.id) for o in storm.witness.confirmed.values()]
    return [operation for operation in found if operation is not None]


async def venue_fills(storm: Storm) -> list[Fill]:
    engine = storm.exchange._engine
    begin = storm.clock.now().replace(year=2000)
    return [f for symbol in SYMBOLS for f in engine.fills(storm.account.id, symbol, begin)]


def require_no_more_than_confirmed(
    storm: Storm, intents: Sequence[OrderIntent], fills: Sequence[Fill]
) -> None:
    by_id = {i.client_order_id: i for i in intents}
    done: dict[tuple[str, LegRole, bool], Decimal] = {}
    for fill in ours(fills):
        intent = by_id[str(fill.client_order_id)]
        if not intent.purpose.protective:
            key = (intent.operation_id, intent.leg, fill.opens)
            done[key] = done.get(key, ZERO) + fill.quantity
    for (operation_id, role, opens), quantity in done.items():
        confirmed = storm.witness.confirmed[operation_id]
        target = next((t for t in confirmed.targets if t.role is role), None)
        if target is not None:
            assert quantity <= target.quantity, f"{role} of {confirmed.kind} {operation_id}: {quantity} done"
            continue
        # A leg that the operation was not about: only trimmed, by what the other leg lacks.
        assert not opens
        (other,) = confirmed.targets
        lacking = other.quantity - done.get((operation_id, other.role, True), ZERO)
        assert confirmed.kind is OperationKind.HEDGE
        assert quantity <= lacking, f"trimmed {quantity} where {lacking} was lacking"


async def require_ledger_equals_venue(storm: Storm, hedges: Sequence[Hedge]) -> None:
    view = storm.exchange._engine.view(storm.account.id)
    for hedge in hedges:
        if hedge.status is not HedgeStatus.OPEN:
            continue
        assert any(leg.quantity for leg in hedge.legs), f"an empty hedge stays open: {hedge}"
        for role in LegRole:
            position = view.position(hedge.symbol, hedge.leg(role).side)
            held = ZERO if position is None else position.quantity
            assert held == hedge.leg(role).quantity, f"{role} of #{hedge.number} {hedge.symbol}: venue {held}"
    by_hand = storm.disturbed
    known = {h.symbol for h in hedges if h.live}
    for position in view.positions:
        assert position.symbol in known | by_hand, f"nobody knows {position}"


def require_last_cards(storm: Storm, operations: Sequence[Operation]) -> None:
    for operation in operations:
        assert f"op:{operation.id}:{operation.version}" in storm.witness.told, f"no last card of {operation}"


def require_offset_not_larger(storm: Storm, hedges: Sequence[Hedge], intents: Sequence[OrderIntent]) -> None:
    fired = {i.hedge_id for i in intents if i.purpose.protective and i.filled_quantity}
    for hedge in hedges:
        alone = hedge.symbol not in storm.disturbed and hedge.id not in fired
        if alone and hedge.status is HedgeStatus.OPEN:
            kept = hedge.protected
            assert hedge.leg(kept.counterpart).quantity <= hedge.leg(kept).quantity, hedge


def require_margin_arrives_once(storm: Storm, operations: Sequence[Operation]) -> None:
    arrived = Counter(storm.witness.margins)
    for operation in (o for o in operations if o.kind is OperationKind.MARGIN):
        top_up = operation.targets[0].top_up
        assert top_up is not None
        assert arrived[top_up.amount] <= 1, f"margin was added twice by {operation.id}"
        if operation.status is OperationStatus.DONE:
            assert arrived[top_up.amount] == 1, f"no margin came of {operation.id}"
        elif operation.reason != NOT_TOLD:
            assert arrived[top_up.amount] == 0, f"{operation.id} says {operation.reason!r}"


async def require_wallet(
    storm: Storm, hedges: Sequence[Hedge], intents: Sequence[OrderIntent], fills: Sequence[Fill]
) -> None:
    """What the hedges brought is what the wallet gained."""
    booked = {row.key for h in hedges for row in await storm.database.store.booked_fills(h.id)}
    if any(f.venue_fill_id not in booked for f in fills if not is_ours(f)):
        return  # somebody else's trades beside all hedges
    told = any("told by the position" in i.reason for i in intents)
    adopted = any(leg.adopted for h in hedges for leg in h.legs)
    if storm.tainted or told or adopted or any(h.live for h in hedges):
        return
    storm.counts["wallet compared"] += 1
    for currency in ("USDT", "BTC"):
        wallet = storm.exchange.balance(storm.account.id, currency).wallet
        mine = [h for h in hedges if h.symbol.endswith(f":{currency}")]
        result = sum((totals(h).net for h in mine), ZERO)
        assert abs(wallet - START_BALANCE[currency] - result) < TINY, f"{currency} {wallet} is not {result}"
