"""What a warning says: the number that matters first, where it is from, what it means, what can be done."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from chatbot.chat import Button, Reply, Severity, Text
from chatbot.domain.episodes import NEVER_HELD
from chatbot.domain.instrument import Instrument, PositionSide
from chatbot.domain.quote import LegLiquidation, LiquidationSource
from chatbot.domain.risk import (
    Alert,
    AlertKind,
    AlertPhase,
    FundingSoon,
    Gravity,
    HedgeFrozen,
    LegCause,
    LegChanged,
    LegNaked,
    LiquidationNear,
    LockEaten,
    MarginHigh,
    NakedLeg,
    OnMarket,
    OrderUnknown,
    TargetReached,
    Unequal,
    VenueDown,
)
from chatbot.ports import User
from handlers.buttons import Buttons, fits
from handlers.figures import subject_name
from handlers.look import Look
from handlers.text import (
    amount_of,
    day,
    duration,
    echo,
    funding_rate,
    hours,
    money,
    percent,
    plain,
    price,
    short_name,
    sum_of_money,
)

SNOOZE = "1h"
_BUTTONS_IN_ROW = 2


@dataclass(frozen=True, slots=True)
class _Words:
    """``head`` is set bold; ``actions`` are labels and the commands they type."""

    head: str
    body: str = ""
    actions: tuple[tuple[str, str], ...] = ()


def alert_card(user: User, alert: Alert, buttons: Buttons) -> Reply:
    look = Look(user, str(user.home), buttons, balances=user.home.private)
    over = alert.phase is AlertPhase.CLEAR
    words = _over(alert, look) if over else _wrong(alert, look)
    head = f"{'✅' if over else _symbol(alert)} **{words.head}**"
    rest = f"\n{words.body}" if words.body else ""
    return Reply(
        blocks=(Text(f"{head}{rest}"),),
        buttons=_buttons(alert, words, look),
        severity=Severity.SUCCESS if over else Severity(alert.gravity.value),
    )


def _symbol(alert: Alert) -> str:
    if alert.gravity is Gravity.CRITICAL:
        return "🛑"
    return {AlertKind.FUNDING: "💸", AlertKind.EATEN: "💸", AlertKind.TARGET: "📈"}.get(alert.kind, "⚠️")


def _buttons(alert: Alert, words: _Words, look: Look) -> tuple[tuple[Button, ...], ...]:
    actions = [*words.actions]
    if alert.phase is not AlertPhase.CLEAR:
        snooze = snooze_command(alert)
        actions += [("Snooze 1 h", snooze)] if alert.kind not in NEVER_HELD and fits(snooze) else []
        actions += [("Settings", "/alerts")]
    made = [look.button(label, command) for label, command in actions]
    return tuple(tuple(made[i : i + _BUTTONS_IN_ROW]) for i in range(0, len(made), _BUTTONS_IN_ROW))


def snooze_command(alert: Alert) -> str:
    target = _named(alert.figures) if isinstance(alert.figures, OnMarket) else ""
    return " ".join(part for part in ("/alerts snooze", SNOOZE, target, alert.kind.value) if part)


def _named(figures: OnMarket) -> str:
    """As commands take it."""
    if figures.number is not None:
        return f"#{figures.number}"
    return short_name(figures.instrument.symbol, figures.instrument)


def _name(figures: OnMarket) -> str:
    return subject_name(figures.number, figures.instrument.symbol, figures.instrument)


def _close(figures: OnMarket, label: str = "Close…") -> tuple[str, str]:
    return label, f"/close {_named(figures)}"


def _hedge(figures: OnMarket, label: str = "Hedge now") -> tuple[str, str]:
    return label, f"/hedge {_named(figures)}"


def _status(figures: OnMarket) -> tuple[str, str]:
    return "Status", f"/status {_named(figures)}"


# --- something is wrong -------------------------------------------------------------------------


def _wrong(alert: Alert, look: Look) -> _Words:
    match alert.figures:
        case MarginHigh() as figures:
            return _margin_high(figures, look)
        case VenueDown() as figures:
            return _venue_down(figures)
        case LockEaten() as figures:
            return _lock_eaten(figures, look)
        case LegChanged() as figures:
            return _leg_changed(alert.kind, figures)
        case figures:
            return _wrong_on_market(figures)


_OnMarket = LiquidationNear | LegNaked | Unequal | FundingSoon | TargetReached | HedgeFrozen | OrderUnknown


def _wrong_on_market(figures: _OnMarket) -> _Words:
    match figures:
        case LiquidationNear():
            return _liquidation_near(figures)
        case LegNaked():
            return _leg_naked(figures)
        case Unequal():
            return _unequal(figures)
        case FundingSoon():
            return _funding_soon(figures)
        case TargetReached():
            return _target_reached(figures)
        case HedgeFrozen():
            return _frozen(figures)
        case OrderUnknown():
            return _order_unknown(figures)


def _liquidation_near(figures: LiquidationNear) -> _Words:
    head = f"{_name(figures)}: {_what_is_near(figures)} {_away(figures.liquidation)} from liquidation"
    mark = price(figures.mark_price, figures.instrument)
    numbers = f"Mark {mark}, liquidation {_liquidation(figures.liquidation, figures.instrument)}."
    hedgeable = figures.left is None and not figures.joint
    actions = (*((_hedge(figures),) if hedgeable else ()), _close(figures))
    return _Words(head, f"{numbers} {_if_it_goes(figures)}".rstrip(), actions)


def _what_is_near(figures: LiquidationNear) -> str:
    if figures.joint:
        return "the pair is"
    return f"{figures.side} leg" if figures.left is not None else f"{figures.side}"


def _if_it_goes(figures: LiquidationNear) -> str:
    if figures.joint:
        way = "rising" if figures.side is PositionSide.SHORT else "falling"
        return f"Both legs are in cross margin: a {way} price takes them together."
    if figures.left is None:
        return "Hedging it, closing a part or adding margin on the exchange moves it away."
    exposure = _exposure(figures.left, figures.instrument)
    return f"If it goes, you are {exposure}{_next(figures.left, figures.instrument)}."


def _exposure(naked: NakedLeg, instrument: Instrument) -> str:
    return f"{naked.side} {amount_of(naked.quantity, instrument)} unhedged"


def _next(naked: NakedLeg, instrument: Instrument) -> str:
    liquidation = naked.liquidation
    if liquidation is None or liquidation.price is None:
        return ", with no liquidation price"
    return f", next liquidation {_liquidation(liquidation, instrument)}, {_away(liquidation)} away"


def _liquidation(liquidation: LegLiquidation, instrument: Instrument) -> str:
    if liquidation.price is None:
        return "none"
    if liquidation.source is LiquidationSource.VENUE:
        return f"{price(liquidation.price, instrument)} (exchange)"
    return f"~{price(liquidation.price, instrument)} (computed)"


def _away(liquidation: LegLiquidation) -> str:
    return "far" if liquidation.distance is None else percent(liquidation.distance)


def _margin_high(figures: MarginHigh, look: Look) -> _Words:
    ratio = f"{percent(figures.ratio)} " if look.balances else "high "
    body = "At 100 % the exchange liquidates. Closing a position or adding money on the exchange lowers it."
    return _Words(f"Margin ratio {ratio}on {echo(figures.account)}", body, (("Status", "/status"),))


def _leg_changed(kind: AlertKind, figures: LegChanged) -> _Words:
    facts = " ".join(fact for fact in (_left_naked(figures), _realized(figures)) if fact)
    head = f"{_name(figures)}: the {figures.side} leg {_what_happened(kind, figures)}"
    return _Words(head, facts, _after_change(figures))


def _what_happened(kind: AlertKind, figures: LegChanged) -> str:
    if kind is AlertKind.LOST:
        return f"is gone ({_how(figures)})"
    before, after = (plain(q) if q is not None else "?" for q in (figures.before, figures.after))
    if kind is AlertKind.STOPPED:
        return (
            f"was cut to {after} by your stop" if figures.after else f"was closed by your stop{_at(figures)}"
        )
    verb = "grew" if kind is AlertKind.GROWN else "shrank"
    return f"{verb} from {before} to {after} ({_how(figures)})"


_HOW = {
    LegCause.LIQUIDATED: "liquidated",
    LegCause.AUTO_DELEVERAGED: "auto-deleveraged",
    LegCause.STOPPED: "by your stop",
    LegCause.BY_HAND: "outside the bot",
}


def _how(figures: LegChanged) -> str:
    how = _HOW.get(figures.cause)
    return "nothing on the exchange explains it" if how is None else f"{how}{_at(figures)}"


def _at(figures: LegChanged) -> str:
    return "" if figures.price is None else f" at {price(figures.price, figures.instrument)}"


def _left_naked(figures: LegChanged) -> str:
    naked = figures.naked
    if naked is None:
        return "" if figures.after else "Nothing else of it is open."
    mark = price(naked.mark_price, figures.instrument)
    return f"You are {_exposure(naked, figures.instrument)} at {mark}{_next(naked, figures.instrument)}."


def _realized(figures: LegChanged) -> str:
    if figures.realized is None:
        return ""
    return f"Realized {sum_of_money(figures.realized, figures.instrument.settle)}, fees apart."


def _after_change(figures: LegChanged) -> tuple[tuple[str, str], ...]:
    if figures.naked is None:
        return (("Status", "/status"),)
    if figures.cause is LegCause.UNEXPLAINED:
        return (("Adopt", f"/adopt {_named(figures)}"), _status(figures))
    if figures.after:
        return _close(figures), _status(figures)
    return _hedge(figures, "Restore the hedge"), _close(figures, "Close the rest")


def _leg_naked(figures: LegNaked) -> _Words:
    if figures.naked is None:
        return _Words(f"{_name(figures)}: unhedged")
    tries = f" after {figures.attempts} tries" if figures.attempts else ""
    body = (
        f"For {duration(figures.lasting)} at most{tries}: an order of the pair is not through. I go on, "
        f"reduce-only, never more than the gap{_next(figures.naked, figures.instrument)}."
    )
    head = f"{_name(figures)}: {_exposure(figures.naked, figures.instrument)}"
    return _Words(head, body, (_status(figures),))


def _unequal(figures: Unequal) -> _Words:
    instrument = figures.instrument
    side = PositionSide.LONG if figures.net_exposure > 0 else PositionSide.SHORT
    net = abs(figures.net_exposure)
    worth = sum_of_money(instrument.notional(net, figures.mark_price), instrument.settle, sign=False)
    body = f"Net {side} {amount_of(net, instrument)} (~{worth}) is not hedged and moves with the price."
    head = f"{_name(figures)}: the legs differ by {percent(figures.ratio)}"
    return _Words(head, body, (_close(figures), _status(figures)))


def _funding_soon(figures: FundingSoon) -> _Words:
    outlook, instrument = figures.outlook, figures.instrument
    net = sum_of_money(outlook.net_per_settlement, instrument.settle)
    head = f"{_name(figures)}: funding in {duration(figures.settles_in)}, net ~{net}"
    rate = f"Rate {funding_rate(outlook.rate)} per {hours(outlook.interval_hours)}."
    body = f"{_who_pays(figures)} {rate}{_paid_so_far(figures)}"
    unhedged = not (outlook.long_receives and outlook.short_receives)
    return _Words(head, body, (_hedge(figures) if unhedged else _close(figures),))


def _who_pays(figures: FundingSoon) -> str:
    outlook, currency = figures.outlook, figures.instrument.settle
    sides = ((PositionSide.LONG, outlook.long_receives), (PositionSide.SHORT, outlook.short_receives))
    said = [f"{side} {_pays(amount, currency)}" for side, amount in sides if amount]
    differ = amount_of(abs(figures.net_exposure), figures.instrument)
    gap = f" (legs differ by {differ})" if len(said) > 1 else ""
    return f"{', '.join(said).capitalize()}{gap}."


def _pays(amount: Decimal, currency: str) -> str:
    return f"{'gets' if amount > 0 else 'pays'} ~{money(abs(amount), currency, sign=False)}"


def _paid_so_far(figures: FundingSoon) -> str:
    if figures.locked is None:
        return ""
    currency = figures.instrument.settle
    verb, paid = ("paid", figures.paid) if figures.paid >= 0 else ("received", -figures.paid)
    locked = sum_of_money(figures.locked, currency, sign=False)
    return f" This hedge has {verb} {money(paid, currency, sign=False)} so far, {locked} are locked."


def _lock_eaten(figures: LockEaten, look: Look) -> _Words:
    currency = figures.instrument.settle
    paid = money(figures.paid, currency, sign=False)
    locked = sum_of_money(figures.locked, currency, sign=False)
    head = f"{_name(figures)}: funding has eaten {percent(figures.share)} of the lock"
    outlook = "At the current rate the rest stays."
    if figures.eaten_at is not None:
        per_day = money(figures.per_day, currency)
        outlook = f"At ~{per_day} a day the rest is gone on {day(figures.eaten_at, look.zone)}."
    return _Words(head, f"Paid {paid} of {locked}. {outlook}", (_close(figures), _status(figures)))


def _target_reached(figures: TargetReached) -> _Words:
    instrument = figures.instrument
    gain = sum_of_money(figures.profit, instrument.settle)
    head = f"{_name(figures)} {figures.side} {percent(figures.share, sign=True)}: lock it?"
    entry, mark = price(figures.entry_price, instrument), price(figures.mark_price, instrument)
    body = f"{gain} on {amount_of(figures.quantity, instrument)} from {entry}, mark {mark}, fees apart."
    return _Words(head, body, (_hedge(figures), _close(figures)))


def _frozen(figures: HedgeFrozen) -> _Words:
    naked = figures.naked
    exposure = f" You are {_exposure(naked, figures.instrument)}." if naked is not None else ""
    reason = figures.reason or "the exchange and the ledger differ"
    body = f"Why: {reason}.{exposure} No orders for it until you choose what holds."
    adopt = ("Adopt", f"/adopt {_named(figures)}")
    return _Words(f"{_name(figures)} is frozen", body, (adopt, _status(figures)))


def _order_unknown(figures: OrderUnknown) -> _Words:
    what = "an order has" if figures.orders == 1 else f"{figures.orders} orders have"
    body = "I look it up and never send it twice. Until it is known there are no new orders on this account."
    head = f"{_name(figures)}: {what} had no answer for {duration(figures.lasting)}"
    return _Words(head, body, (_status(figures),))


def _venue_down(figures: VenueDown) -> _Words:
    body = (
        f"Why: {figures.reason}. What rests there (stops, targets) stays; I warn of nothing until it is back."
    )
    return _Words(f"{echo(figures.venue)} out of reach for {duration(figures.lasting)}", body)


# --- it is over ---------------------------------------------------------------------------------


def _over(alert: Alert, look: Look) -> _Words:
    figures = alert.figures
    if isinstance(figures, VenueDown):
        return _Words(f"{echo(figures.venue)} answers again")
    if isinstance(figures, MarginHigh):
        ratio = f": {percent(figures.ratio)}" if look.balances else ""
        return _Words(f"Margin on {echo(figures.account)} is fine again{ratio}")
    return _Words(f"{_name(figures)}: {_relief(figures)}")


def _relief(figures: OnMarket) -> str:
    match figures:
        case LiquidationNear():
            return _safe_again(figures)
        case Unequal():
            return f"the legs are equal again ({percent(figures.ratio)} apart)"
        case LockEaten():
            return f"funding eats less of the lock again ({percent(figures.share)})"
        case TargetReached():
            return f"{figures.side} back under the target ({percent(figures.share, sign=True)})"
        case LegNaked():
            return "nothing is left unhedged by an order any more"
        case HedgeFrozen():
            return "no longer frozen, ledger and exchange agree"
        case OrderUnknown():
            return "every order has its answer"
    return "fine again"


def _safe_again(figures: LiquidationNear) -> str:
    what = _what_is_near(figures)
    if figures.liquidation.distance is None:
        return f"{what} safe again, no liquidation price"
    return f"{what} safe again, {percent(figures.liquidation.distance)} from liquidation"
