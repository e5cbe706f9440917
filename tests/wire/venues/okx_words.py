"""What OKX v5 answers about perpetual swaps, field by field and string by string. Sizes are in contracts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from chatbot.domain.account import AccountView, Balance, Position
from chatbot.domain.instrument import (
    ZERO,
    ContractKind,
    Instrument,
    MarginMode,
    PositionMode,
    PositionSide,
    Symbol,
)
from chatbot.domain.market import MarketState, OrderBook
from chatbot.domain.order import FillCause
from chatbot.domain.pnl import unrealized_pnl
from chatbot.venues.feeds import BTC, BTC_INVERSE, ETH, SOL
from chatbot.venues.paper.margin import maintenance
from tests.wire.venues.core import PRICES, ApiKey
from tests.wire.venues.server import plain, to_ms, venue_symbols

# The coin-margined one settles in BTC, each contract is 100 dollars.
LISTED: Mapping[Symbol, Decimal] = {**PRICES, BTC_INVERSE: PRICES[BTC]}
IDS = venue_symbols("-", "-SWAP", listed=LISTED)
FAMILIES = venue_symbols("-", listed=LISTED)
SYMBOLS = {name: symbol for symbol, name in IDS.items()}
CONTRACT_SIZES: Mapping[Symbol, Decimal] = {
    BTC: Decimal("0.01"),
    ETH: Decimal("0.1"),
    SOL: Decimal(1),
    BTC_INVERSE: Decimal(100),
}
CATEGORIES = {
    FillCause.TRADE: "normal",
    FillCause.LIQUIDATION: "full_liquidation",
    FillCause.AUTO_DELEVERAGING: "adl",
}
# Of bills and fills: opened and closed by an order, by liquidation, by deleveraging.
SUB_TYPES = {
    FillCause.TRADE: {PositionSide.LONG: "5", PositionSide.SHORT: "6"},
    FillCause.LIQUIDATION: {PositionSide.LONG: "104", PositionSide.SHORT: "105"},
    FillCause.AUTO_DELEVERAGING: {PositionSide.LONG: "125", PositionSide.SHORT: "126"},
}


def contracts(symbol: Symbol, quantity: Decimal) -> str:
    return plain((quantity / CONTRACT_SIZES[symbol]).normalize())


def settles_in(symbol: Symbol) -> str:
    return symbol.partition(":")[2]


def order_id(number: int) -> str:
    return f"31{number:016d}"


def number_of(order_id: str) -> int:
    return int(order_id[2:] or 0) if order_id.isdigit() else 0


def market(instrument: Instrument) -> dict[str, Any]:
    symbol = instrument.symbol
    largest = contracts(symbol, instrument.max_quantity)
    return {
        "alias": "",
        "auctionEndTime": "",
        "baseCcy": "",
        "category": "1",
        "contTdSwTime": "1704876947000",
        "ctMult": "1",
        "ctType": instrument.kind.value,
        "ctVal": plain(CONTRACT_SIZES[symbol]),
        "ctValCcy": instrument.quote if instrument.kind is ContractKind.INVERSE else instrument.base,
        "expTime": "",
        "futureSettlement": False,
        "instFamily": FAMILIES[symbol],
        "instId": IDS[symbol],
        "instIdCode": 10458,
        "instType": "SWAP",
        "lever": plain(instrument.max_leverage),
        "listTime": "1573557408000",
        "lotSz": contracts(symbol, instrument.lot_size),
        "maxIcebergSz": largest,
        "maxLmtAmt": "20000000",
        "maxLmtSz": largest,
        "maxMktAmt": "",
        "maxMktSz": largest,
        "maxStopSz": largest,
        "maxTriggerSz": largest,
        "maxTwapSz": largest,
        "minSz": contracts(symbol, instrument.min_quantity),
        "optType": "",
        "quoteCcy": "",
        "ruleType": "normal",
        "settleCcy": instrument.settle,
        "state": "live",
        "stk": "",
        "tickSz": plain(instrument.tick_size),
        "uly": FAMILIES[symbol],
    }


def settled_rate(symbol: Symbol, at: datetime, rate: Decimal) -> dict[str, Any]:
    return {
        "formulaType": "withRate",
        "fundingRate": plain(rate),
        "fundingTime": str(to_ms(at)),
        "instId": IDS[symbol],
        "instType": "SWAP",
        "method": "current_period",
        "realizedRate": plain(rate),
    }


def funding_rate(state: MarketState) -> dict[str, Any]:
    return {
        "formulaType": "withRate",
        "fundingRate": plain(state.funding_rate),
        "fundingTime": str(to_ms(state.next_funding_at)),
        "impactValue": "20000",
        "instId": IDS[state.symbol],
        "instType": "SWAP",
        "interestRate": "0.0001",
        "maxFundingRate": "0.00375",
        "method": "current_period",
        "minFundingRate": "-0.00375",
        "nextFundingRate": "",
        "nextFundingTime": str(to_ms(state.next_funding_at + state.funding_interval)),
        "premium": "0",
        "settFundingRate": plain(state.funding_rate),
        "settState": "settled",
        "ts": str(to_ms(state.at)),
    }


def mark_price(state: MarketState) -> dict[str, Any]:
    ids = {"instId": IDS[state.symbol], "instType": "SWAP"}
    return {**ids, "markPx": plain(state.mark_price), "ts": str(to_ms(state.at))}


def index_ticker(state: MarketState) -> dict[str, Any]:
    price = plain(state.index_price)
    day = dict.fromkeys(("open24h", "high24h", "low24h", "sodUtc0", "sodUtc8"), price)
    return {"instId": FAMILIES[state.symbol], "idxPx": price, **day, "ts": str(to_ms(state.at))}


def ticker(state: MarketState, book: OrderBook) -> dict[str, Any]:
    price, bid, ask = plain(state.last_price), book.bids[0], book.asks[0]
    return {
        "instType": "SWAP",
        "instId": IDS[state.symbol],
        "last": price,
        "lastSz": "1",
        "askPx": plain(ask.price),
        "askSz": contracts(state.symbol, ask.quantity),
        "bidPx": plain(bid.price),
        "bidSz": contracts(state.symbol, bid.quantity),
        "open24h": price,
        "high24h": price,
        "low24h": price,
        "volCcy24h": "50000",
        "vol24h": "500000",
        "ts": str(to_ms(state.at)),
        "sodUtc0": price,
        "sodUtc8": price,
    }


def depth(book: OrderBook) -> dict[str, Any]:
    def rows(levels: Any) -> list[list[str]]:
        return [[plain(x.price), contracts(book.symbol, x.quantity), "0", "1"] for x in levels]

    return {"asks": rows(book.asks), "bids": rows(book.bids), "ts": str(to_ms(book.at)), "seqId": 1}


def tiers(instrument: Instrument) -> list[dict[str, Any]]:
    """By contracts, not by notional: cut at the prices that the market starts with."""
    rows, floor = [], "0"
    worth = instrument.notional(CONTRACT_SIZES[instrument.symbol], LISTED[instrument.symbol])
    for number, tier in enumerate(instrument.tiers, start=1):
        cap = tier.notional_cap if tier.notional_cap is not None else Decimal(10) ** 9
        size = plain((cap / worth).quantize(Decimal(1)))
        row = {
            "baseMaxLoan": "",
            "imr": plain(1 / tier.max_leverage, 6),
            "instFamily": FAMILIES[instrument.symbol],
            "instId": "",
            "maxLever": plain(tier.max_leverage),
            "maxSz": size,
            "minSz": floor,
            "mmr": plain(tier.maintenance_margin_rate),
            "optMgnFactor": "0",
            "quoteMaxLoan": "",
            "tier": str(number),
            "uly": FAMILIES[instrument.symbol],
        }
        rows.append(row)
        floor = size
    return rows


# --- the account --------------------------------------------------------------------------------


def config(key: ApiKey, mode: PositionMode) -> dict[str, Any]:
    rights = {"read_only": key.read, "withdraw": key.withdraw, "trade": key.trade}
    return {
        "acctLv": "2",
        "acctStpMode": "cancel_maker",
        "autoLoan": False,
        "ctIsoMode": "automatic",
        "enableSpotBorrow": False,
        "greeksType": "PA",
        "feeType": "0",
        "ip": ",".join(key.ips),
        "type": "0",
        "kycLv": "3",
        "label": "hedgerow",
        "level": "Lv1",
        "levelTmp": "",
        "liquidationGear": "-1",
        "mainUid": key.owner,
        "mgnIsoMode": "automatic",
        "opAuth": "1",
        "perm": ",".join(name for name, allowed in rights.items() if allowed),
        "posMode": "long_short_mode" if mode is PositionMode.HEDGE else "net_mode",
        "roleType": "0",
        "spotBorrowAutoRepay": False,
        "spotOffsetType": "",
        "spotRoleType": "0",
        "spotTraderInsts": [],
        "traderInsts": [],
        "uid": key.owner,
    }


def position(
    position: Position, instrument: Instrument, mark: Decimal, view: AccountView, at_ms: int
) -> dict[str, Any]:
    """Our ratio is one at liquidation; OKX shows its inverse, of a cross leg that of its currency."""
    symbol, money = position.symbol, view.balance_in(instrument.settle)
    ratio = money.margin_ratio if money else None
    notional = instrument.notional(position.quantity, mark)
    gain = unrealized_pnl(instrument, position.side, position.quantity, position.entry_price, mark)
    isolated = position.margin_mode is MarginMode.ISOLATED
    kept = maintenance(instrument, notional)
    own = kept / ((position.margin or ZERO) + gain) if isolated and position.margin else ratio
    size = contracts(symbol, position.quantity)
    net = view.position_mode is PositionMode.ONE_WAY
    return {
        "adl": "1",
        "availPos": size,
        "avgPx": plain(position.entry_price),
        "baseBal": "",
        "bePx": plain(position.entry_price),
        "cTime": str(to_ms(position.opened_at) if position.opened_at else at_ms),
        "ccy": instrument.settle,
        "closeOrderAlgo": [],
        "fee": "0",
        "fundingFee": "0",
        "idxPx": plain(mark),
        "imr": "" if isolated else plain(notional / position.leverage, 8),
        "instId": IDS[symbol],
        "instType": "SWAP",
        "interest": "",
        "last": plain(mark),
        "lever": plain(position.leverage),
        "liab": "",
        "liabCcy": "",
        "liqPenalty": "0",
        "liqPx": plain(position.liquidation_price) if position.liquidation_price else "",
        "margin": plain(position.margin, 8) if isolated else "",
        "markPx": plain(mark),
        "mgnMode": position.margin_mode.value,
        "mgnRatio": plain(1 / own, 8) if own else "",
        "mmr": plain(kept, 8),
        "nonSettleAvgPx": "",
        "notionalUsd": plain(notional * _dollars(instrument.settle, mark), 8),
        "optVal": "",
        "pendingCloseOrdLiabVal": "",
        "pnl": "0",
        "pos": f"-{size}" if net and position.side is PositionSide.SHORT else size,
        "posCcy": "",
        "posId": f"21{sum(map(ord, symbol)):06d}{'1' if position.side is PositionSide.LONG else '2'}",
        "posSide": "net" if net else position.side.value,
        "realizedPnl": "0",
        "settledPnl": "",
        "tradeId": "1",
        "uTime": str(at_ms),
        "upl": plain(gain, 8),
        "uplRatio": plain(gain * position.leverage / notional if notional else ZERO, 8),
        "usdPx": "",
    }


def _dollars(currency: str, coin_price: Decimal) -> Decimal:
    return coin_price if currency == "BTC" else Decimal(1)


def balance(view: AccountView, rows: Iterable[Mapping[str, Any]], coin_price: Decimal) -> dict[str, Any]:
    """Of an account in futures mode: each currency backs what settles in it, and the totals say little."""
    listed = list(rows)
    details = [_detail(view, money, listed) for money in (view.balance, *view.other_balances)]
    total = sum((Decimal(row["eq"]) * _dollars(row["ccy"], coin_price) for row in details), ZERO)
    unsaid = dict.fromkeys(
        ("adjEq", "availEq", "borrowFroz", "imr", "mgnRatio", "mmr", "notionalUsd", "ordFroz", "upl"), ""
    )
    at = str(to_ms(view.at))
    return {**unsaid, "isoEq": "0", "totalEq": plain(total, 8), "uTime": at, "details": details}


def _detail(view: AccountView, money: Balance, positions: list[Mapping[str, Any]]) -> dict[str, Any]:
    initial = max(ZERO, money.equity - money.free)
    own = [row for row in positions if row["ccy"] == money.currency]
    maintained = sum((Decimal(row["mmr"]) for row in own), ZERO)
    isolated = sum((Decimal(row["margin"] or 0) for row in own), ZERO)
    return {
        "ccy": money.currency,
        "availBal": plain(money.free, 8),
        "availEq": plain(money.free, 8),
        "cashBal": plain(money.wallet, 8),
        "crossLiab": "",
        "disEq": plain(money.equity, 8),
        "eq": plain(money.equity, 8),
        "eqUsd": plain(money.equity, 8),
        "frozenBal": plain(initial, 8),
        "imr": plain(initial, 8),
        "isoEq": plain(isolated, 8),
        "isoUpl": "0",
        "mgnRatio": plain(1 / money.margin_ratio, 8) if money.margin_ratio else "",
        "mmr": plain(maintained, 8),
        "notionalLever": "0",
        "ordFrozen": "0",
        "uTime": str(to_ms(view.at)),
        "upl": plain(money.equity - money.wallet, 8),
    }


def trade_fee(instrument: Instrument, at_ms: int) -> dict[str, Any]:
    """Negative: paid."""
    maker, taker = plain(-instrument.maker_fee_rate), plain(-instrument.taker_fee_rate)
    return {
        "category": "1",
        "delivery": "",
        "exercise": "",
        "feeGroup": [{"groupId": "1", "maker": maker, "taker": taker}],
        "instType": "SWAP",
        "level": "Lv1",
        "maker": maker,
        "makerU": maker,
        "makerUSDC": maker,
        "taker": taker,
        "takerU": taker,
        "takerUSDC": taker,
        "ruleType": "normal",
        "ts": str(at_ms),
    }
