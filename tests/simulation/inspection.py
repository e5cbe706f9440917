"""What must hold, looked at when something happens and once all is quiet."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from chatbot.chat import ChatRef, Priority, Reply
from chatbot.domain.hedge import AccountId, Hedge, HedgeStatus, LegRole
from chatbot.domain.instrument import ZERO, PositionSide, Symbol
from chatbot.domain.intent import IntentStatus, OrderIntent, Purpose, purpose_of
from chatbot.domain.operation import Operation, OperationKind, OperationStatus
from chatbot.domain.order import Fill, OrderRequest
from chatbot.domain.quote import LegAction
from chatbot.domain.risk import AlertKind, OrderEnd
from chatbot.domain.unprotected import gone_without_us
from chatbot.ports import Changes
from chatbot.services.topping_up import NOT_TOLD
from chatbot.storage.codec import dump, instant_text, load
from tests.properties import rules
from tests.simulation.exchange import Holder
from tests.simulation.loop import at_once
from tests.simulation.weather import ONE_HOUR

if TYPE_CHECKING:
    from tests.simulation.stages import Wish
    from tests.simulation.world import World

Place = tuple[AccountId, Symbol]
LegPlace = tuple[AccountId, Symbol, PositionSide]

NAKED_AFTER = 5.0
A_LOOK = 9.0  # until the next look at an account at the latest, in fair weather
ALERT = re.compile(r"alert:(\w+:\d+):#(\d+):(\w+)(?::(long|short))?.*:(rise|worse|clear):\d+$")
TELL_OF_IT = {"naked", "lost", "stopped", "shrunk", "grown", "frozen", "imbalance"}
ONCE = {"lost", "stopped"}
LONGEST_FREEZE = 10.0  # a stop that fired and cannot be read for longer is not explained

_SENT = "SELECT account_id, purpose, status FROM intents WHERE client_order_id = ?"
_UNSETTLED = """SELECT older.client_order_id FROM intents AS sent JOIN intents AS older
    ON older.hedge_id = sent.hedge_id AND older.leg = sent.leg AND older.seq < sent.seq
    WHERE sent.client_order_id = ? AND sent.purpose IN ('open', 'close', 'trim')
    AND older.purpose IN ('open', 'close', 'trim') AND older.status IN ('journaled', 'unknown', 'open')"""
_OWED = "SELECT 1 FROM outbox WHERE state = 'pending' LIMIT 1"
# What was chosen may be superseded before it leaves.
_OWED_TO = """SELECT id, dedupe_key, priority, reply, state, not_before, topic FROM outbox
    WHERE chat = ? AND state IN ('pending', 'superseded') ORDER BY state, priority, id"""
_PENDING_TO = """SELECT id, dedupe_key, priority, reply, state, not_before, topic FROM outbox
    WHERE chat = ? AND state = 'pending' ORDER BY priority, id"""
_LEGS = """SELECT hedges.id, account_id, symbol, status, number, side, quantity, role FROM hedges JOIN legs
    ON legs.hedge_id = hedges.id WHERE status <> 'closed'"""
_RESTING = """SELECT client_order_id, intents.account_id, intents.symbol FROM intents
    JOIN hedges ON hedges.id = hedge_id WHERE intents.status = 'open' AND hedges.status = 'open'"""
# What was over before anybody heard of it is not told; all else is.
_DROPPED = """SELECT dedupe_key FROM outbox WHERE state = 'abandoned'
    AND reason NOT IN ('over before it was told', 'too late', 'true no more')"""
_NUMBERS = "SELECT number FROM hedges WHERE account_id = ? AND symbol = ?"
_TOPICS = "SELECT chat, topic, reply FROM outbox WHERE topic IS NOT NULL AND state = 'pending'"
_AS_THIS = "SELECT dedupe_key FROM outbox WHERE chat = ? AND reply = ?"
_RUNNING = "SELECT 1 FROM operations WHERE status IN ('running', 'trimming') LIMIT 1"


class Violation(AssertionError):
    """What must hold does not."""


@dataclass
class _Allowance:
    """What was confirmed for one leg of one account in this run."""

    opens: Decimal = ZERO
    closes: Decimal = ZERO
    opened: Decimal = ZERO
    closed: Decimal = ZERO


@dataclass
class _Naked:
    place: Place
    since: float
    until: float = float("inf")


class Inspection:
    def __init__(self, world: World) -> None:
        self._world = world
        self._disk = world.disk
        self.found: list[str] = []
        self.making = False  # of a stage: what is done there was asked for
        self.disturbed: set[Place] = set()
        self.harmed = False  # by a hand, a liquidation or a price, so that the plan cannot come true
        self.dropped: set[str] = set()  # resting orders that ended, and not by us
        self._arrived: Counter[str] = Counter()
        self._allowed: dict[LegPlace, _Allowance] = defaultdict(_Allowance)
        self._started: dict[str, set[str]] = defaultdict(set)
        self._owed_since: dict[str, float] = {}
        self._worded: dict[tuple[str, str], list[str]] = defaultdict(list)
        for chat, topic, reply in self._disk.rows(_TOPICS):
            self._worded[chat, topic].append(reply)
        self._shown: Counter[tuple[int, str, str]] = Counter()
        self._naked: dict[Place, _Naked] = {}
        self._emptied: Counter[LegPlace] = Counter()
        self._was_naked: list[_Naked] = []
        self._boots: list[float] = []
        self._deaths: list[float] = []
        self.sent = 0  # orders that left
        self._owners = {a.id: str(p.user.id) for p in world.stage.people for a in p.accounts}
        for wish in world.stage.wishes:
            self._allow(wish)

    def finds(self, what: str) -> None:
        if not self._world.loop.dropping:
            self.found.append(what)

    def _allow(self, wish: Wish) -> None:
        for plan in wish.plans:
            for leg in plan.legs:
                allowed = self._allowed[wish.quote.account_id, plan.symbol, leg.side]
                if leg.action is LegAction.OPEN:
                    allowed.opens += leg.quantity
                elif leg.action is LegAction.CLOSE:
                    allowed.closes += leg.quantity

    # --- when something happens -----------------------------------------------------------------

    def boots(self, at: float) -> None:
        self._boots.append(at)

    def died(self, at: float) -> None:
        self._deaths.append(at)

    def started(self, wish: Wish) -> None:
        if wish.foreign:
            self.finds(f"somebody else's button was obeyed: {wish.id}")
        who = self._started[wish.quote.id]
        who.add(wish.id)
        if len(who) > 1:
            self.finds(f"an offer was used twice: by {sorted(who)}")

    def committed(self, changes: Changes) -> None:
        now = self._world.loop.time()
        for message in changes.outbox:
            self._owed_since.setdefault(message.dedupe_key, now)
        for message in (*changes.outbox, *changes.restated):
            if message.topic is not None:
                self._worded[str(message.chat), message.topic].append(dump(Reply, message.reply))

    def sends(self, holder: Holder, requests: Sequence[OrderRequest], now: datetime) -> None:
        world = self._world
        if self._disk.open:
            self.finds("a transaction is open while a request leaves")
        self.sent += len(requests)
        for request in requests:
            if world.log is not None:
                world.note(
                    f"sends {request.client_order_id} {request.side} {request.quantity} {request.type}"
                )
            if now >= request.valid_until:
                self.finds(f"{request.client_order_id} is sent after it had become too old")
            older = self._disk.one(_UNSETTLED, request.client_order_id)
            if older is not None:
                self.finds(f"{request.client_order_id} is sent while {older[0]} is not settled")

    def arrives(self, holder: Holder, request: OrderRequest) -> None:
        known = self._disk.one(_SENT, request.client_order_id)
        self._arrived[request.client_order_id] += 1
        if known is None:
            self.finds(f"the journal does not know {request.client_order_id}")
        elif known[0] != holder.id:
            self.finds(f"{request.client_order_id} of {known[0]} is traded on {holder.id}")
        if self._arrived[request.client_order_id] > 1:
            self.finds(f"{request.client_order_id} was sent again")
        if request.side is request.position_side.closing and not request.reduce_only:
            self.finds(f"{request.client_order_id} closes and is not reduce-only")

    def changed(self, holder: Holder, fill: Fill) -> None:
        world, place = self._world, (holder.id, fill.symbol)
        if world.log is not None:
            world.note(f"FILL {fill.client_order_id or fill.cause} {fill.side} {fill.quantity} {fill.symbol}")
        purpose = purpose_of(fill.client_order_id or "")
        if purpose is None:
            self.disturbed.add(place)
            self.harmed = True
        elif not purpose.protective and not self.making:
            self._counts(holder, fill, purpose)
        if not holder.quantity(fill.symbol, fill.position_side):
            self._emptied[holder.id, fill.symbol, fill.position_side] += 1
        self._exposed(holder, place)

    def _counts(self, holder: Holder, fill: Fill, purpose: Purpose) -> None:
        allowed = self._allowed[holder.id, fill.symbol, fill.position_side]
        other = self._allowed[holder.id, fill.symbol, fill.position_side.opposite]
        if purpose is Purpose.OPEN:
            allowed.opened += fill.quantity
            if allowed.opened > allowed.opens:
                self.finds(f"{allowed.opened} opened of {allowed.opens} confirmed, by {fill.client_order_id}")
            return
        allowed.closed += fill.quantity
        gap = max(allowed.opened, other.opens - other.opened if other.opened else ZERO)
        most = allowed.closes + gap + self._closings_before(holder, fill)
        if allowed.closed > most:
            self.finds(f"{allowed.closed} closed where {most} was right, by {fill.client_order_id}")

    def _closings_before(self, holder: Holder, fill: Fill) -> Decimal:
        """Of a closing price that was asked for before this run: the other leg may have to follow."""
        orders = (
            o for o in holder.orders.values() if purpose_of(o.client_order_id) is Purpose.CLOSE_AT_PRICE
        )
        here = (o for o in orders if (o.symbol, o.position_side) == (fill.symbol, fill.position_side))
        planned = max((o.quantity for o in here), default=ZERO)
        return max(ZERO, planned - self._allowed[holder.id, fill.symbol, fill.position_side].closes)

    def _exposed(self, holder: Holder, place: Place) -> None:
        if place not in self._world.stage.pairs:
            return
        symbol, now = place[1], self._world.loop.time()
        net = holder.quantity(symbol, PositionSide.LONG) - holder.quantity(symbol, PositionSide.SHORT)
        naked = self._naked.get(place)
        if net and naked is None:
            self._naked[place] = _Naked(place, now)
        elif not net and naked is not None:
            naked.until = now
            self._was_naked.append(self._naked.pop(place))

    def delivers(self, chat: ChatRef, reply: Reply) -> tuple[str, ...]:
        """What it says, as it is written in the outbox: of one row, or of several that go together."""
        shown = dump(Reply, reply)
        owed = self._disk.rows(_PENDING_TO, str(chat))
        if all(row[3] != shown for row in owed):
            owed = self._disk.rows(_OWED_TO, str(chat))
        told = self._told_by(chat, owed, shown, reply)
        if told:
            self._in_turn(owed, told[0])
        else:
            self.finds("a message is sent that is not owed (any more)")
        return tuple(dict.fromkeys(row[3] for row in told))

    def _in_turn(self, owed: Sequence[Sequence[Any]], row: Sequence[Any]) -> None:
        """Nothing more urgent waits."""
        now = self._world.loop.time()
        first = owed[0]
        waits = self._owed_since.get(first[1], now)
        due = first[5] <= instant_text(self._world.clock.now())  # else it was postponed in an earlier life
        urgent = first[4] == "pending" and first[2] == Priority.CRITICAL < row[2] and due
        if urgent and waits < now:
            self.finds(f"{row[1]} is told before {first[1]}, which waits for {now - waits:.1f} s")

    def shows(self, chat: ChatRef, told: Sequence[str]) -> None:
        """It has arrived, alone or with others. Two rows may read the same; each goes out once in a life."""
        for shown in told:
            self._shows(chat, shown)

    def _shows(self, chat: ChatRef, shown: str) -> None:
        key = self._world.lives, str(chat), shown
        self._shown[key] += 1
        if self._shown[key] == 1 and self._world.log is None:
            return  # it was owed once at least
        rows = self._disk.rows(_AS_THIS, str(chat), shown)
        self._world.note(f"TOLD {rows[0][0] if rows else shown}")
        if self._shown[key] > len(rows):
            self.finds(f"{rows[0][0] if rows else shown} was told twice")

    def _told_by(
        self, chat: ChatRef, owed: Sequence[Sequence[Any]], shown: str, reply: Reply
    ) -> list[Sequence[Any]]:
        """The row that it is, or the alerts that it was made of: as they are, or were when they were read."""
        itself = [row for row in owed if row[3] == shown]
        alerts = [row for row in owed if row[1].startswith("alert:")]
        return (
            itself
            or [row for row in alerts if _is_in(row[3], reply)]
            or [row for row in alerts if any(_is_in(was, reply) for was in self._worded[str(chat), row[6]])]
        )

    # --- whether there is peace -----------------------------------------------------------------

    def owed(self) -> bool:
        return self._disk.one(_OWED) is not None

    def at_peace(self) -> bool:
        """Nothing is left that only needs another look."""
        if self._disk.one(_RUNNING) is not None:
            return False
        legs = self._disk.rows(_LEGS)
        held = {row[0] for row in legs if row[3] == HedgeStatus.FROZEN or Decimal(row[6])}
        settled = all(row[0] in held and self._agrees(*row) for row in legs)
        return settled and not self._untold() and not self._vanished()

    def _vanished(self) -> bool:
        """An order that the journal has resting does not rest (any more)."""
        for order, account, symbol in self._disk.rows(_RESTING):
            holder = self._holder(account)
            if order not in holder.resting and not self._hides_an_end(holder, order, Symbol(symbol)):
                return True
        return False

    def _for_an_hour(self) -> bool:
        """Nobody can tell so soon what became of an order."""
        return self._world.weather.climate.order_lag >= ONE_HOUR

    def _agrees(
        self, _id: str, account: str, symbol: str, status: str, number: int, side: str, held: str, role: str
    ) -> bool:
        agrees = self._holder(account).quantity(Symbol(symbol), PositionSide(side)) == Decimal(held)
        if status == HedgeStatus.FROZEN:
            told = self._told((AccountId(account), number), {"frozen", "lost"})
            return bool(told) and not self._equal(_id)
        return agrees

    def _equal(self, hedge_id: str) -> bool:
        """Then a frozen one thaws at the next look."""
        return all(
            self._holder(account).quantity(Symbol(symbol), PositionSide(side)) == Decimal(held)
            for known, account, symbol, _, _, side, held, _ in self._disk.rows(_LEGS)
            if known == hedge_id
        )

    def _holder(self, account: str) -> Holder:
        return self._world.exchanges[account.partition(":")[0]].holder(AccountId(account))

    def _told(self, hedge: tuple[AccountId, int], kinds: set[str], since: float = 0.0) -> list[float]:
        """When what rose of this hedge was written down."""
        found, whose = [], (self._owners[hedge[0]], str(hedge[1]))
        for key, at in self._owed_since.items():
            alert = ALERT.match(key)
            if (
                alert
                and alert.group(1, 2) == whose
                and alert[3] in kinds
                and alert[5] == "rise"
                and at >= since
            ):
                found.append(at)
        return found

    def _untold(self) -> bool:
        return any(not self._told(self._number(naked.place), TELL_OF_IT) for naked in self._naked.values())

    def _number(self, place: Place) -> tuple[AccountId, int]:
        row = self._disk.one("SELECT number FROM hedges WHERE account_id = ? AND symbol = ?", *place)
        return place[0], int(row[0])

    # --- once all is quiet ----------------------------------------------------------------------

    def at_rest(self) -> None:
        """Raises ``Violation``, ``AssertionError``."""
        world = self._world
        if world.stumbles.found:
            raise Violation(world.stumbles.found[0])
        if world.loop.complaints:
            raise Violation(f"nobody asked for {world.loop.complaints[0]}")
        for account in (a for person in world.stage.people for a in person.accounts):
            self._account_at_rest(account.id)
        dropped = self._disk.one(_DROPPED)
        assert dropped is None, f"{dropped} was never told"
        self._bystanders()
        self._losses_were_told_once()
        self._naked_were_told()

    def _account_at_rest(self, account_id: AccountId) -> None:
        holder = self._holder(account_id)
        hedges, operations, intents = self._rows(account_id)
        disturbed = {symbol for account, symbol in self.disturbed if account == account_id}
        rules.require_every_operation_ended(operations)
        rules.require_known_orders(intents, holder.fills)
        rules.require_settled_intents(hedges, intents)
        self._ledger_is_venue(holder, hedges)
        kept = self._kept(holder, intents)
        rules.require_no_orphans(holder.open_orders(), hedges, kept)
        rules.require_fills_are_booked(hedges, [i for i in kept if "told by" not in i.reason], holder.fills)
        rules.require_promised_stops(hedges, operations, intents)
        self._ends_were_told(holder, hedges, intents)
        ours = [o for o in operations if o.id in self._world.witness.confirmed]
        rules.require_legs_change_together(ours, intents, self._world.witness.confirmed, disturbed)
        for operation in ours:
            told = f"op:{operation.id}:{operation.version}" in self._world.witness.told
            assert told, f"no last card of {operation.kind} {operation.status} {operation.reason}"
        self._legs_fit(holder, hedges, ours, disturbed)
        self._margin_arrived_once(holder, ours)
        self._well_done(ours)

    def _kept(self, holder: Holder, intents: Sequence[OrderIntent]) -> list[OrderIntent]:
        """Without the resting ones that ended without us and that a look-up still shows as they were."""
        return [i for i in intents if not self._ended_unseen(holder, i)]

    def _ended_unseen(self, holder: Holder, intent: OrderIntent) -> bool:
        open_ = intent.purpose.protective and intent.status is IntentStatus.OPEN
        gone = intent.client_order_id not in holder.resting
        return open_ and gone and self._hides_an_end(holder, intent.client_order_id, intent.symbol)

    def _hides_an_end(self, holder: Holder, order: str, symbol: Symbol) -> bool:
        """What became of it without us nobody can tell so soon."""
        harmed = order in self.dropped or (holder.id, symbol) in self.disturbed
        return harmed and self._for_an_hour()

    def _rows(self, account_id: AccountId) -> tuple[list[Hedge], list[Operation], list[OrderIntent]]:
        store, disk = self._world.reader, self._disk
        hedges: list[Hedge | None] = []
        operations: list[Operation | None] = []
        intents: list[OrderIntent] = []
        for (hedge_id,) in disk.rows("SELECT id FROM hedges WHERE account_id = ?", account_id):
            hedges.append(at_once(store.hedge(hedge_id)))
            intents.extend(at_once(store.intents(hedge_id=hedge_id)))
        for (operation_id,) in disk.rows("SELECT id FROM operations WHERE account_id = ?", account_id):
            operations.append(at_once(store.operation(operation_id)))
        return hedges, operations, intents  # type: ignore[return-value]

    def _ledger_is_venue(self, holder: Holder, hedges: Sequence[Hedge]) -> None:
        known = set()
        for hedge in hedges:
            if hedge.live:
                known.add(hedge.symbol)
            if hedge.status is HedgeStatus.FROZEN:
                assert self._may_freeze(holder, hedge.symbol), f"frozen for nothing: {hedge.reason}"
                told = self._told((holder.id, hedge.number), {"frozen", "lost"})
                assert told, f"nobody was told of {hedge.reason}"
            if hedge.status is not HedgeStatus.OPEN:
                continue
            assert any(leg.quantity for leg in hedge.legs), f"an empty hedge stays open: #{hedge.number}"
            for role in LegRole:
                leg = hedge.leg(role)
                held = holder.quantity(hedge.symbol, leg.side)
                assert held == leg.quantity, f"{role} of #{hedge.number}: ledger {leg.quantity}, venue {held}"
        for symbol, side in holder.positions:
            lost = symbol not in known and (holder.id, symbol) not in self.disturbed
            assert not lost, f"nobody knows the {side} on {symbol}"

    def _may_freeze(self, holder: Holder, symbol: Symbol) -> bool:
        """Another hand was there, or a stop that fired cannot be read yet."""
        hidden = self._world.weather.climate.order_lag > LONGEST_FREEZE
        return (holder.id, symbol) in self.disturbed or (hidden and self._fired(holder, symbol))

    def _legs_fit(
        self,
        holder: Holder,
        hedges: Sequence[Hedge],
        operations: Sequence[Operation],
        disturbed: set[Symbol],
    ) -> None:
        for symbol in {hedge.symbol for hedge in hedges} - disturbed:
            lot = self._world.exchanges[holder.id.partition(":")[0]].instruments[symbol].lot_size
            long, short = (holder.quantity(symbol, side) for side in PositionSide)
            place = holder.id, symbol
            if place in self._world.stage.pairs and not self._fired(holder, symbol):
                assert abs(long - short) < lot, f"a pair ends as {long} and {short}"
            for operation in operations:
                if operation.kind is OperationKind.HEDGE and operation.symbol == symbol:
                    self._hedge_fits(operation, long, short, lot)

    def _fired(self, holder: Holder, symbol: Symbol) -> bool:
        return any(
            o.filled_quantity and o.symbol == symbol and (p := purpose_of(o.client_order_id)) and p.protective
            for o in holder.orders.values()
        )

    def _hedge_fits(self, operation: Operation, long: Decimal, short: Decimal, lot: Decimal) -> None:
        """Hedged as confirmed, or cut back to what could be hedged, or not at all."""
        wanted = self._world.witness.confirmed[operation.id].targets[0]
        opened, held = sorted((long, short))
        before = self._world.stage.exchanges[operation.account_id.partition(":")[0]].holders[
            operation.account_id
        ]
        whole = max(before.quantity(operation.symbol, side) for side in PositionSide)
        unhedged = whole - wanted.quantity
        fits = opened == 0 or held - opened < unhedged + lot
        assert fits or self._world.prices_moved, f"hedged to {long} and {short}"
        cut = operation.reason or operation.trim_quantity
        done = operation.status is OperationStatus.DONE and not cut
        assert not done or opened == wanted.quantity, (
            f"{opened} hedged of {wanted.quantity} and said to be done"
        )

    def _ends_were_told(
        self, holder: Holder, hedges: Sequence[Hedge], intents: Sequence[OrderIntent]
    ) -> None:
        """What protects a leg stands, or that it does not was told; and of nothing else."""
        gone = [i for i in intents if i.reason in set(OrderEnd)]
        for intent in gone:
            assert intent.client_order_id in self.dropped, f"{intent.client_order_id} was {intent.reason!r}"
        for hedge in hedges:
            missed = [i for i in gone_without_us(hedge, intents) if i.hedge_id == hedge.id]
            told = self._told((holder.id, hedge.number), {AlertKind.UNPROTECTED})
            assert told or not missed or not hedge.live, f"{missed[0].client_order_id} is gone, untold"
            ours = [i for i in gone if i.hedge_id == hedge.id]
            assert len(told) <= len(ours), f"{len(told)} orders of #{hedge.number} are said to be gone"

    def _margin_arrived_once(self, holder: Holder, operations: Sequence[Operation]) -> None:
        for operation in (o for o in operations if o.kind is OperationKind.MARGIN):
            came = len(holder.margins)
            assert came <= 1, "margin was added twice"
            if operation.status is OperationStatus.DONE:
                assert came == 1, "no margin came"
            elif operation.reason != NOT_TOLD:
                assert came == 0, f"margin came, and {operation.reason!r} is said"

    def _well_done(self, operations: Sequence[Operation]) -> None:
        """Where nothing but a crash or two went wrong, what was confirmed is done."""
        world = self._world
        if self.harmed or not world.weather.climate.gentle or world.lives > 2:
            return
        for operation in (o for o in operations if o.kind is not OperationKind.MARGIN or world.lives == 1):
            assert operation.status is OperationStatus.DONE, f"{operation.status}: {operation.reason!r}"
            assert not operation.reason, f"done, but {operation.reason!r}"
        started = {operation.quote_id for operation in operations}
        for wish in world.stage.wishes:
            if wish.quote.account_id in {operation.account_id for operation in operations}:
                assert wish.quote.id in started or not world.weather.climate.gentle, "nothing came of a tap"

    def _bystanders(self) -> None:
        """Who wished nothing and suffered nothing is as before."""
        world = self._world
        busy = {wish.quote.account_id for wish in world.stage.wishes} | {a for a, _ in self.disturbed}
        if world.stage.events or world.prices_moved:
            return
        for person in world.stage.people:
            for account in person.accounts:
                if account.id in busy:
                    continue
                now = self._holder(account.id)
                before = world.stage.exchanges[account.venue].holders.get(account.id)
                if before is not None:
                    same = before.positions == now.positions and before.orders == now.orders
                    assert same, f"{account.id} was touched"

    # --- naked legs -----------------------------------------------------------------------------

    def _naked_were_told(self) -> None:
        climate = self._world.weather.climate
        lag = climate.position_lag or climate.order_lag or climate.slow_disk
        clear = not lag and max(climate.latency) < 0.5 and not self._world.clock_stepped
        if not clear:
            return
        for naked in (*self._was_naked, *self._naked.values()):
            told = self._told(self._number(naked.place), TELL_OF_IT, naked.since)
            since = self._seen_since(naked)
            if self._seen_until(naked, since) - since > NAKED_AFTER + A_LOOK:
                if not told and self._may_stay_untold(naked.place):
                    continue
                assert told, f"a leg naked for {self._world.loop.time() - since:.1f} s was told to nobody"
                late = min(told) - since
                # What another hand does while an order is in flight is told once that is settled.
                in_time = late <= NAKED_AFTER + A_LOOK or naked.place in self.disturbed
                assert in_time, f"a naked leg was told only after {late:.1f} s"
            again = self._told(self._number(naked.place), {"naked"}, naked.since)
            times = sum(at <= naked.until for at in again)
            once = times <= 1 or naked.place in self.disturbed
            assert once, f"one naked leg was told {times} times"

    def _losses_were_told_once(self) -> None:
        """As often as a leg was lost. A stale reading brings it back, and its loss is told again.

        That it is gone is told once, and how it went, where that is known only later, once more.
        """
        if self._world.weather.climate.position_lag or self._world.clock_stepped:
            return
        told: Counter[tuple[str | None, ...]] = Counter()
        for key in self._owed_since:
            alert = ALERT.match(key)
            if alert and alert[3] in ONCE and alert[5] == "rise":
                told[(*alert.group(1, 2, 3, 4), "unexplained" if ":unexplained" in key else "")] += 1
        emptied = self._times_emptied()
        again = [key for key, times in told.items() if times > max(1, emptied[key[0], key[1], key[3]])]
        assert not again, f"{again[0]} was told {told[again[0]]} times"

    def _times_emptied(self) -> Counter[tuple[str | None, ...]]:
        """By owner, number of the hedge and side: an order that was late can bring a leg back."""
        times: Counter[tuple[str | None, ...]] = Counter()
        for (account, symbol, side), count in self._emptied.items():
            for (number,) in self._disk.rows(_NUMBERS, account, symbol):
                times[self._owners[account], str(number), side.value] += count
        return times

    def _may_stay_untold(self, place: Place) -> bool:
        """A known gap: what an operation saw dies with it."""
        return place in self.disturbed and self._world.lives > 1

    def _seen_since(self, naked: _Naked) -> float:
        """Since somebody could see it: the last start, the last reading that failed."""
        ends = min(naked.until, self._world.loop.time())
        boots = [at for at in self._boots if at <= ends]
        failed = self._world.weather.reads_failed_at
        seen = max([naked.since, *boots])
        return seen if failed is None or failed > ends else max(seen, failed + 30.0)

    def _seen_until(self, naked: _Naked, since: float) -> float:
        return min([naked.until, self._world.loop.time(), *(at for at in self._deaths if at >= since)])


def _is_in(owed: str, reply: Reply) -> bool:
    """Its blocks stand there, one after another; what tells the age of a late one may follow."""
    blocks = load(Reply, owed).blocks
    starts = range(len(reply.blocks) - len(blocks) + 1)
    return any(reply.blocks[at : at + len(blocks)] == blocks for at in starts)
