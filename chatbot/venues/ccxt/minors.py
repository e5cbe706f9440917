"""The exchanges of the second row, read as ccxt reads them."""

from __future__ import annotations

from chatbot.domain.order import FillCause
from chatbot.venues.ccxt import codes
from chatbot.venues.ccxt.limiter import Budget
from chatbot.venues.ccxt.majors import BINANCE
from chatbot.venues.ccxt.quirks import (
    LONG,
    LOWER_SIDES,
    SHORT,
    UNIFIED_POSITION,
    UPPER_SIDES,
    BalanceFields,
    Expiry,
    Quirks,
    Validity,
    legs,
    unified,
)

BITGET = Quirks(
    id="bitget",
    title="Bitget",
    ccxt_id="bitget",
    # Whether an account is unified is asked otherwise, and any error there counts as "classic" for ever.
    options={"defaultType": "swap", "fetchMarkets": {"types": ["swap"]}, "uta": False},
    passphrase=True,
    # ``hedged`` makes ccxt speak Bitget's own tongue: to close a long one *buys* with tradeSide Close.
    legs=legs({"hedged": True}, {"hedged": True}, one_way={}, closing={"reduceOnly": True}),
    orders=unified("info.posSide", LOWER_SIDES),
    stops=unified("info.posSide", LOWER_SIDES),
    positions=UNIFIED_POSITION,
    balance=BalanceFields(
        rows="data",
        currency="marginCoin",
        wallet="",
        equity="accountEquity",
        unrealized="unrealizedPL",
        free="crossedMaxAvailable",
    ),
    fill_profit=("info.profit",),
    rejections=codes.BITGET,
    absent=codes.ABSENT["bitget"],
    unchanged=frozenset(),
    mode_param="marginMode",
    leverage_leg={"holdSide": "{side}", "marginMode": "{mode}"},
    margin_leg={"holdSide": "{side}"},
    budget=Budget(20, 1),
    demo_headers={"PAPTRADING": "1"},
)

GATE = Quirks(
    id="gate",
    title="Gate",
    ccxt_id="gate",
    options={"defaultType": "swap", "fetchMarkets": {"types": ["swap"]}, "unifiedAccount": False},
    legs=legs({}, {}, one_way={}, closing={"reduceOnly": True}),
    stop_params={"price_type": 1},
    orders=unified("", {}),
    stops=unified("", {}),
    positions=UNIFIED_POSITION,
    balance=BalanceFields(
        rows="list",
        currency="currency",
        wallet="total",
        equity="",
        free="available",
        maintenance="maintenance_margin",
        unrealized="unrealised_pnl",
    ),
    forced={"liquid": FillCause.LIQUIDATION, "auto_deleverag": FillCause.AUTO_DELEVERAGING},
    rejections=codes.GATE,
    absent=codes.ABSENT["gate"],
    unchanged=codes.UNCHANGED["gate"],
    validity=Validity(Expiry.INSTANT, "x-gate-exptime"),
    id_prefix="t-",
    leverage_leg={"marginMode": "{mode}"},
    budget=Budget(200, 10),
    demo_url="https://api-testnet.gateapi.io",
)

KUCOIN = Quirks(
    id="kucoin",
    title="KuCoin Futures",
    ccxt_id="kucoinfutures",
    options={
        "defaultType": "swap",
        "fetchMarkets": {"types": ["swap"], "fetchTickersFees": False},
        "uta": False,
    },
    passphrase=True,
    legs=legs(
        {"positionSide": "LONG"},
        {"positionSide": "SHORT"},
        one_way={"positionSide": "BOTH"},
        closing={"reduceOnly": True},
    ),
    orders=unified("info.positionSide", UPPER_SIDES),
    stops=unified("info.positionSide", UPPER_SIDES),
    positions=UNIFIED_POSITION,
    balance=BalanceFields(
        rows="data",
        currency="currency",
        wallet="marginBalance",
        equity="accountEquity",
        free="availableBalance",
    ),
    rejections=codes.KUCOIN,
    absent=codes.ABSENT["kucoin"],
    unchanged=codes.UNCHANGED["kucoin"],
    mode_param="marginMode",
    leverage_param="leverage",
    margin_leg={"positionSide": "{SIDE}"},
    whole_amounts=True,
    budget=Budget(400, 30),
)

BINGX = Quirks(
    id="bingx",
    title="BingX",
    ccxt_id="bingx",
    options={"defaultType": "swap", "fetchMarkets": {"types": ["linear"]}},
    legs=legs(
        {"hedged": True, "positionSide": "LONG"},
        {"hedged": True, "positionSide": "SHORT"},
        one_way={"positionSide": "BOTH"},
    ),
    stop_params={"workingType": "MARK_PRICE"},
    orders=unified("info.positionSide", UPPER_SIDES),
    stops=unified("info.positionSide", UPPER_SIDES),
    positions=UNIFIED_POSITION,
    balance=BalanceFields(
        rows="data",
        currency="asset",
        wallet="balance",
        equity="equity",
        free="availableMargin",
    ),
    fill_profit=("info.realisedPNL", "info.profit"),
    rejections=codes.BINGX,
    absent=codes.ABSENT["bingx"],
    unchanged=frozenset(),
    validity=Validity(Expiry.PARAM, "recvWindow"),
    leverage_leg={"side": "{SIDE}"},
    margin_leg={"positionSide": "{SIDE}"},
    budget=Budget(500, 10),
    demo_url="https://open-api-vst.bingx.com",
)

PHEMEX = Quirks(
    id="phemex",
    title="Phemex",
    ccxt_id="phemex",
    options={"defaultType": "swap"},
    legs=legs(
        {"posSide": "Long"}, {"posSide": "Short"}, one_way={"posSide": "Merged"}, closing={"reduceOnly": True}
    ),
    orders=unified("info.posSide", {"Long": LONG, "Short": SHORT}),
    stops=unified("info.posSide", {"Long": LONG, "Short": SHORT}),
    positions=UNIFIED_POSITION,
    balance=BalanceFields(
        rows="data.account",
        currency="currency",
        wallet="accountBalanceRv",
        equity="",
        free="",
        profits="data.positions",
        profit="unRealisedPnlRv",
    ),
    fill_profit=("info.closedPnlRv",),
    rejections=codes.PHEMEX,
    absent=codes.ABSENT["phemex"],
    unchanged=frozenset(),
    validity=Validity(Expiry.SECONDS, "x-phemex-request-expiry"),
    # With a stop-loss price a market order closes at once and the price is attached to nothing.
    directed_stops=True,
    mode_needs_leverage=True,
    budget=Budget(500, 60),
    demo_url="https://testnet-api.phemex.com",
)

ASTER = Quirks(
    id="aster",
    title="Aster",
    ccxt_id="aster",
    options={"defaultType": "swap", "builderFee": False, "approvedBuilderFee": True},
    legs=legs(
        {"positionSide": "LONG"},
        {"positionSide": "SHORT"},
        one_way={"positionSide": "BOTH", "reduceOnly": "true"},
    ),
    stop_params={"workingType": "MARK_PRICE"},
    orders=unified("info.positionSide", UPPER_SIDES),
    stops=unified("info.positionSide", UPPER_SIDES),
    positions=UNIFIED_POSITION,
    balance=BalanceFields(
        rows="list",
        currency="asset",
        wallet="balance",
        equity="",
        free="availableBalance",
        unrealized="crossUnPnl",
    ),
    progressive_tiers=True,
    fill_profit=("info.realizedPnl",),
    forced=BINANCE.forced,
    rejections=codes.ASTER,
    absent=codes.ABSENT["aster"],
    unchanged=codes.UNCHANGED["aster"],
    budget=Budget(2400, 60),
    weights=BINANCE.weights,
    margin_leg={"positionSide": "{SIDE}"},
    other_name="wallet address and private key of its API wallet",
)
