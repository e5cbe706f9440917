"""What a warning says: the number that matters first, where it is from, what it means, what can be done."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from chatbot.chat import Button, Reply, Severity, Text
from chatbot.domain.episodes import NEVER_HELD
from chatbot.domain.instrument import PositionSide
from chatbot.domain.risk import (
    Alert,
    AlertKind,
    AlertPhase,
    FundingSoon,
    Gravity,
    HedgeFrozen,
    LegChanged,
    LegNaked,
    LiquidationNear,
    LockEaten,
    MarginHigh,
    OnMarket,
    OrderUnknown,
    PriceReached,
    RateNews,
    Silence,
    StreamLost,
    TargetReached,
    Unequal,
    VenueDown,
)
from chatbot.ports import User
from handlers.alert_words import (
    Words,
    alone_liquidated,
    away,
    close,
    equalize,
    exposure_of,
    hedge,
    name_of,
    named,
    next_liquidation,
    sourced,
    status,
    target_of,
)
from handlers.buttons import Buttons, fits
from handlers.change_cards import leg_changed
from handlers.look import Look
from handlers.market_cards import calm_rate, price_reached, rate_news
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
    sum_of_money,
)

SNOOZE = "1h"
_BUTTONS_IN_ROW = 2
_MINUTE = timedelta(minutes=1)
_SYMBOLS = {
    AlertKind.FUNDING: "💸",
    AlertKind.EATEN: "💸",
    AlertKind.FLIP: "💸",
    AlertKind.RATE: "💸",
    AlertKind.TARGET: "📈",
    AlertKind.PRICE: "🔔",
    AlertKind.STREAM: "📡",
}


def alert_card(user: User, alert: Alert, buttons: Buttons) -> Reply:
    look = Look(user, str(user.home), buttons, balances=user.home.private)
    over = alert.phase is AlertPhase.CLEAR
    words = _over(alert, look) if over else _wrong(alert, look)
    well = over or words.done
    head = f"{'✅' if well else _symbol(alert)} **{words.head}**"
    rest = f"\n{words.body}" if words.body else ""
    return Reply(
        blocks=(Text(f"{head}{rest}"), *words.more),
        buttons=_buttons(alert, words, look),
        severity=Severity.SUCCESS if well else Severity(alert.gravity.value),
        subject=named(alert.figures) if isinstance(alert.figures, OnMarket) else "",
    )


def _symbol(alert: Alert) -> str:
    if alert.gravity is Gravity.CRITICAL:
        return "🛑"
    return _SYMBOLS.get(alert.kind, "⚠️")


def _buttons(alert: Alert, words: Words, look: Look) -> tuple[tuple[Button, ...], ...]:
    actions = [*words.actions]
    if alert.phase is not AlertPhase.CLEAR:
        snooze = snooze_command(alert)
        actions += [("Snooze 1 h", snooze)] if alert.kind not in NEVER_HELD and fits(snooze) else []
        actions += [("Settings", "/alerts")]
    made = [look.button(label, command) for label, command in actions]
    return tuple(tuple(made[i : i + _BUTTONS_IN_ROW]) for i in range(0, len(made), _BUTTONS_IN_ROW))


def snooze_command(alert: Alert) -> str:
    target = named(alert.figures) if isinstance(alert.figures, OnMarket) else ""
    return " ".join(part for part in ("/alerts snooze", SNOOZE, target, alert.kind.value) if part)


# --- something is wrong -------------------------------------------------------------------------


def _wrong(alert: Alert, look: Look) -> Words:
    match alert.figures:
        case MarginHigh() as figures:
            return _margin_high(figures, look)
        case VenueDown() as figures:
            return _venue_down(figures)
        case StreamLost() as figures:
            return _stream_lost(figures)
        case LockEaten() as figures:
            return _lock_eaten(figures, look)
        case LegChanged() as figures:
            return leg_changed(alert.kind, figures)
        case RateNews() as figures:
            return rate_news(alert.kind, figures)
        case PriceReached() as figures:
            return price_reached(figures)
        case figures:
            return _wrong_on_market(figures)


_OnMarket = LiquidationNear | LegNaked | Unequal | FundingSoon | TargetReached | HedgeFrozen | OrderUnknown


def _wrong_on_market(figures: _OnMarket) -> Words:
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


def _liquidation_near(figures: LiquidationNear) -> Words:
    head = f"{name_of(figures)}: {_what_is_near(figures)} {away(figures.liquidation)} from liquidation"
    mark = price(figures.mark_price, figures.instrument)
    numbers = f"Mark {mark}, liquidation {sourced(figures.liquidation, figures.instrument)}."
    hedgeable = figures.left is None and not figures.joint
    actions = (*_add_margin(figures), *((hedge(figures),) if hedgeable else ()), close(figures))
    return Words(head, " ".join(filter(None, (numbers, _if_it_goes(figures), _with_more(figures)))), actions)


def _add_margin(figures: LiquidationNear) -> tuple[tuple[str, str], ...]:
    if figures.top_up is None:
        return ()
    amount = plain(figures.top_up)
    command = f"/margin {target_of(figures)} {figures.side} {amount}"
    which = "" if figures.left is None else f" to {figures.side}"  # several alerts can be one message
    return ((f"Add {amount} {figures.instrument.settle}{which}", command),)


def _with_more(figures: LiquidationNear) -> str:
    if figures.top_up is None or figures.with_top_up is None:
        return ""
    amount = sum_of_money(figures.top_up, figures.instrument.settle, sign=False)
    then = figures.with_top_up
    if then.price is None:
        return f"Adding {amount} takes its liquidation away."
    return f"Adding {amount} moves it to ~{price(then.price, figures.instrument)} ({away(then)})."


def _what_is_near(figures: LiquidationNear) -> str:
    if figures.joint:
        return "the pair is"
    return f"{figures.side} leg" if figures.left is not None else f"{figures.side}"


def _if_it_goes(figures: LiquidationNear) -> str:
    if figures.joint:
        way = "rising" if figures.side is PositionSide.SHORT else "falling"
        return f"Both legs are in cross margin: a {way} price takes them together."
    if figures.left is None:
        return "Hedging it, closing a part or adding margin moves it away."
    exposure = exposure_of(figures.left, figures.instrument)
    return f"If it goes, you are {exposure}{next_liquidation(figures.left, figures.instrument)}."


def _margin_high(figures: MarginHigh, look: Look) -> Words:
    ratio = f"{percent(figures.ratio)} " if look.balances else "high "
    body = "At 100 % the exchange liquidates. Closing a position or adding money on the exchange lowers it."
    return Words(f"Margin ratio {ratio}on {echo(figures.account)}", body, (("Status", "/status"),))


def _leg_naked(figures: LegNaked) -> Words:
    if figures.naked is None:
        return Words(f"{name_of(figures)}: unhedged")
    tries = f" after {figures.attempts} tries" if figures.attempts else ""
    going_on = (
        "I go on until the legs are equal, or bring them back together."
        if figures.growing
        else "I go on with orders that only reduce, never more than the gap."
    )
    body = (
        f"For {duration(figures.lasting)} at most{tries}: an order of the pair is not through. {going_on} "
        f"{alone_liquidated(figures.naked, figures.instrument)}"
    )
    head = f"{name_of(figures)}: {exposure_of(figures.naked, figures.instrument)}"
    return Words(head, body, (status(figures),))


def _unequal(figures: Unequal) -> Words:
    instrument = figures.instrument
    side = PositionSide.LONG if figures.net_exposure > 0 else PositionSide.SHORT
    net = abs(figures.net_exposure)
    worth = sum_of_money(instrument.notional(net, figures.mark_price), instrument.settle, sign=False)
    body = f"Net {side} {amount_of(net, instrument)} (~{worth}) is not hedged and moves with the price."
    head = f"{name_of(figures)}: the legs differ by {percent(figures.ratio)}"
    return Words(head, body, (equalize(figures), close(figures)))


def _funding_soon(figures: FundingSoon) -> Words:
    outlook, instrument = figures.outlook, figures.instrument
    net = sum_of_money(outlook.net_per_settlement, instrument.settle)
    head = f"{name_of(figures)}: funding in {duration(_begun_minutes(figures.settles_in))}, net ~{net}"
    rate = f"Rate {funding_rate(outlook.rate)} per {hours(outlook.interval_hours)}."
    body = f"{_who_pays(figures)} {rate}{_paid_so_far(figures)}"
    pair = bool(outlook.long_receives and outlook.short_receives)
    return Words(head, body, (equalize(figures) if pair else hedge(figures),))


def _begun_minutes(span: timedelta) -> timedelta:
    """As one counts down: a moment after *15 min before* it is not 14."""
    return max(_MINUTE, -(-span // _MINUTE) * _MINUTE)


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


def _lock_eaten(figures: LockEaten, look: Look) -> Words:
    currency = figures.instrument.settle
    paid = money(figures.paid, currency, sign=False)
    locked = sum_of_money(figures.locked, currency, sign=False)
    head = f"{name_of(figures)}: funding has eaten {percent(figures.share)} of the lock"
    outlook = "At the current rate the rest stays."
    if figures.eaten_at is not None:
        per_day = money(figures.per_day, currency)
        outlook = f"At ~{per_day} a day the rest is gone on {day(figures.eaten_at, look.zone)}."
    return Words(head, f"Paid {paid} of {locked}. {outlook}", (close(figures), status(figures)))


def _target_reached(figures: TargetReached) -> Words:
    instrument = figures.instrument
    gain = sum_of_money(figures.profit, instrument.settle)
    head = f"{name_of(figures)} {figures.side} {percent(figures.share, sign=True)}: lock it?"
    entry, mark = price(figures.entry_price, instrument), price(figures.mark_price, instrument)
    body = f"{gain} on {amount_of(figures.quantity, instrument)} from {entry}, mark {mark}, fees apart."
    return Words(head, body, (hedge(figures), close(figures)))


def _frozen(figures: HedgeFrozen) -> Words:
    naked = figures.naked
    exposure = f" You are {exposure_of(naked, figures.instrument)}." if naked is not None else ""
    reason = figures.reason or "the exchange and the ledger differ"
    body = f"Why: {reason}.{exposure} No orders for it until you choose what holds."
    adopt = ("Adopt", f"/adopt {target_of(figures)}")
    return Words(f"{name_of(figures)} is frozen", body, (adopt, status(figures)))


def _order_unknown(figures: OrderUnknown) -> Words:
    what = "an order has" if figures.orders == 1 else f"{figures.orders} orders have"
    body = "I look it up and never send it twice. Until it is known there are no new orders on this account."
    head = f"{name_of(figures)}: {what} had no answer for {duration(figures.lasting)}"
    return Words(head, body, (status(figures),))


def _venue_down(figures: VenueDown) -> Words:
    venue, lasting = echo(figures.venue), duration(figures.lasting)
    if figures.silence is Silence.HISTORY:
        body = "I go on watching; what was filled and paid since is missing in the results until it does."
        return Words(f"{venue} has not told its history for {lasting}", f"Why: {figures.reason}. {body}")
    head = f"{venue} out of reach for {lasting}"
    if figures.silence is Silence.OURS:
        head = f"I cannot look at your account on {venue} for {lasting}"
    body = "What rests there (stops, targets) stays; I warn of nothing until it is back."
    return Words(head, f"Why: {figures.reason}. {body}")


def _stream_lost(figures: StreamLost) -> Words:
    head = f"{echo(figures.venue)}: no live stream for {duration(figures.lasting)}"
    return Words(head, "I ask it every few seconds instead, so alerts may come a little later.")


# --- it is over ---------------------------------------------------------------------------------


def _over(alert: Alert, look: Look) -> Words:
    figures = alert.figures
    if isinstance(figures, VenueDown):
        return Words(f"{echo(figures.venue)} answers again")
    if isinstance(figures, StreamLost):
        return Words(f"{echo(figures.venue)}: the live stream is back")
    if isinstance(figures, MarginHigh):
        ratio = f": {percent(figures.ratio)}" if look.balances else ""
        return Words(f"Margin on {echo(figures.account)} is fine again{ratio}")
    return Words(f"{name_of(figures)}: {_relief(alert, figures)}")


def _relief(alert: Alert, figures: OnMarket) -> str:
    match figures:
        case LiquidationNear():
            return _safe_again(figures)
        case Unequal():
            return f"the legs are equal again ({percent(figures.ratio)} apart)"
        case LockEaten() if figures.paid <= 0:
            return "funding has paid back all it took"
        case LockEaten():
            return f"funding eats less of the lock again ({percent(figures.share)})"
        case RateNews():
            return calm_rate(alert.kind, figures)
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
