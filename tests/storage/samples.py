"""One of everything that is stored, with every optional field filled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from chatbot.chat import (
    Button,
    ChatRef,
    MessageRef,
    OutboxMessage,
    Platform,
    Priority,
    Reply,
    Request,
    RequestKind,
    Severity,
    Table,
    Text,
    UserRef,
)
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, HedgeStatus, Leg, LegRole, UserId
from chatbot.domain.instrument import MarginMode, OrderSide, PositionSide, Symbol
from chatbot.domain.intent import IntentStatus, OperationId, OrderIntent, Purpose
from chatbot.domain.operation import Operation, OperationKind, OperationStatus, Target, TopUp
from chatbot.domain.order import Fill, FillCause, FundingPayment, OrderType
from chatbot.domain.preferences import AlertPreferences, Preferences, RiskCaps
from chatbot.domain.quote import (
    AdjustQuote,
    AdjustRequest,
    AdjustWay,
    AdjustWayQuote,
    AnyQuote,
    AnyRequest,
    CloseAllQuote,
    CloseQuote,
    CloseRequest,
    CloseWay,
    CloseWayQuote,
    FundingOutlook,
    HedgeQuote,
    HedgeRequest,
    LegAction,
    LegLiquidation,
    LegPlan,
    LegPreview,
    LiquidationSource,
    MarginQuote,
    MarginRequest,
    OpenQuote,
    OpenRequest,
    PositionPrint,
    Quote,
    QuoteId,
    QuoteKind,
    Size,
    SizeUnit,
    StopChange,
    StopsQuote,
    StopsRequest,
)
from chatbot.ports import (
    Account,
    AlertEpisode,
    AuditEntry,
    BookedFill,
    BookedFunding,
    Changes,
    IntentNote,
    User,
)

NOW = datetime(2026, 11, 22, 21, 30, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
BTC, ETH = Symbol("BTC/USDT:USDT"), Symbol("ETH/USDT:USDT")
D = Decimal

USER_ID, ACCOUNT_ID, HEDGE_ID = UserId("u1"), AccountId("a1"), HedgeId("h1")
CHAT = ChatRef(Platform.TELEGRAM, "77")

PREFERENCES = Preferences(
    time_zone="Europe/Vienna",
    alerts=AlertPreferences(
        imbalance=D("0.0200"),
        funding_before=timedelta(minutes=7, seconds=30),
        disabled=frozenset({"funding", "profit"}),
        quiet_from=time(22, 30),
        quiet_until=time(7),
        snoozed={"#3:liquidation": LATER, "*": NOW},
    ),
    caps=RiskCaps(leverage=None, notional=D("1E+5")),
    paused=True,
)


def user(user_id: str = USER_ID, *, chat: ChatRef = CHAT, preferences: Preferences = PREFERENCES) -> User:
    return User(
        UserId(user_id), UserRef(chat.platform, chat.id), chat, "Ann O'Nym 🦔", NOW, preferences=preferences
    )


def account(account_id: str = ACCOUNT_ID, *, user_id: str = USER_ID) -> Account:
    return Account(
        AccountId(account_id), UserId(user_id), "paper", "Paper", NOW, frozen="ledger and venue differ"
    )


def leg(role: LegRole = LegRole.PRIMARY, side: PositionSide = PositionSide.LONG) -> Leg:
    return Leg(
        role,
        side,
        quantity=D("1.000"),
        entry_price=D("2000.10"),
        leverage=D(10),
        margin_mode=MarginMode.ISOLATED,
        fees_paid=D("1.00005"),
        funding=D("-0.23"),
        realized_pnl=D("1E-8"),
        adopted=True,
        unpriced=D("0.25"),
        unpriced_entry=D("2100.5"),
    )


def hedge(
    hedge_id: str = HEDGE_ID, *, number: int = 3, symbol: Symbol = ETH, account_id: str = ACCOUNT_ID
) -> Hedge:
    return Hedge(HedgeId(hedge_id), number, USER_ID, AccountId(account_id), symbol, leg(), NOW)


def full_hedge() -> Hedge:
    return Hedge(
        HEDGE_ID,
        3,
        USER_ID,
        ACCOUNT_ID,
        ETH,
        leg(),
        NOW,
        offset=leg(LegRole.OFFSET, PositionSide.SHORT),
        status=HedgeStatus.FROZEN,
        closed_at=LATER,
        reason="a hand",
        attempt=7,
        fills_seen_at=NOW,
        funding_seen_at=LATER,
        unread_from=NOW,
        unread_until=LATER,
    )


def operation(
    operation_id: str = "op1", *, hedge_id: str = HEDGE_ID, account_id: str = ACCOUNT_ID
) -> Operation:
    target = Target(
        LegRole.OFFSET,
        LegAction.OPEN,
        D("1.0"),
        D("2299.88"),
        0,
        filled=D("0.6"),
        cost=D("1379.928"),
        fee=D("0.69"),
        attempts=2,
        given_up="no more",
        stop_loss=D("2500"),
        take_profit=D("1900"),
        trigger_price=D("2100"),
        guards=D("1.00"),
        replaces=(Purpose.STOP_LOSS,),
        top_up=TopUp(D("60.00"), D("231.140"), NOW, LATER, True, D("2574.1")),
    )
    return Operation(
        OperationId(operation_id),
        OperationKind.HEDGE,
        USER_ID,
        AccountId(account_id),
        HedgeId(hedge_id),
        ETH,
        QuoteId("q1"),
        str(CHAT),
        (target, Target(LegRole.PRIMARY, LegAction.CLOSE, D(1), D(2), 1)),
        NOW,
        LATER,
        way=CloseWay.OFFSET_FIRST,
        status=OperationStatus.TRIMMING,
        stage=1,
        trim_role=LegRole.PRIMARY,
        trim_quantity=D("0.40"),
        trim_filled=D("0.1"),
        trim_attempts=5,
        finished_at=LATER,
        reason="thin book",
    )


def intent(
    client_order_id: str = "HRh1XO1", *, operation_id: str = "op1", hedge_id: str = HEDGE_ID
) -> OrderIntent:
    return OrderIntent(
        client_order_id,
        OperationId(operation_id),
        HedgeId(hedge_id),
        ACCOUNT_ID,
        ETH,
        LegRole.OFFSET,
        Purpose.OPEN,
        OrderSide.SELL,
        PositionSide.SHORT,
        OrderType.LIMIT,
        D("1.0"),
        False,
        NOW,
        LATER,
        limit_price=D("2299.90"),
        trigger_price=D("2300"),
        status=IntentStatus.JOURNALED,
        venue_order_id="v-1",
        filled_quantity=D("0.5"),
        average_price=D("2299.88"),
        fee=D("0.57"),
        reason="because",
    )


def fill(key: str = "f1", *, account_id: str = ACCOUNT_ID, at: datetime = NOW) -> BookedFill:
    traded = Fill(
        key,
        ETH,
        OrderSide.SELL,
        PositionSide.SHORT,
        D("0.50"),
        D("2299.88"),
        D("0.57497"),
        D("-0.00"),
        at,
        client_order_id="HRh1XO1",
        cause=FillCause.AUTO_DELEVERAGING,
    )
    return BookedFill(key, AccountId(account_id), HEDGE_ID, LegRole.OFFSET, traded)


def funding(payment_id: str = "p1", *, at: datetime = NOW) -> BookedFunding:
    payment = FundingPayment(payment_id, ETH, PositionSide.LONG, D("-0.2412"), D("0.000100"), at)
    return BookedFunding(ACCOUNT_ID, HEDGE_ID, payment)


def note(event: str = "sent", *, client_order_id: str = "HRh1XO1") -> IntentNote:
    return IntentNote(client_order_id, NOW, event, "to the venue")


_LIQUIDATION = LegLiquidation(D("1809.05"), D("0.2135"), LiquidationSource.VENUE)
_NO_LIQUIDATION = LegLiquidation(None, None)
_FUNDING = FundingOutlook(D("0.0001"), D(8), LATER, D("-0.23"), D("0.23"), D("0.00"), D("0.00"))
_PLAN = LegPlan(
    LegRole.OFFSET,
    PositionSide.SHORT,
    LegAction.OPEN,
    D("1.000"),
    D("2299.88"),
    D("1.14994"),
    D("0.52"),
    D(10),
    MarginMode.CROSS,
    stop_loss=D("2500"),
)
_PREVIEW = LegPreview(LegRole.OFFSET, PositionSide.SHORT, D("1.500"), D("2299.92"), _LIQUIDATION)
_CLOSE = CloseQuote(
    ETH,
    HEDGE_ID,
    3,
    D("2412.10"),
    D("0.5"),
    (
        CloseWayQuote(
            CloseWay.OFFSET_FIRST, (_PLAN, _PLAN), D("294.6"), D("295"), D("0.4"), D(1), D(0), _LIQUIDATION
        ),
        CloseWayQuote(CloseWay.OFFSET_ONLY, (_PLAN,), D("-114.1"), D(1), D(0), D(0), D(1), None),
    ),
    "USDT",
    ("thin book",),
)
OFFERS: dict[QuoteKind, tuple[AnyQuote, AnyRequest | None]] = {
    QuoteKind.OPEN: (
        OpenQuote(
            ETH,
            _PLAN,
            D("2300"),
            D("2300"),
            D("231.14"),
            D("1240.00"),
            _LIQUIDATION,
            None,
            _FUNDING,
            D("-12"),
            None,
        ),
        OpenRequest(
            ETH, PositionSide.LONG, Size(SizeUnit.SHARE, D("0.25")), D(10), MarginMode.CROSS, D("1900")
        ),
    ),
    QuoteKind.HEDGE: (
        HedgeQuote(
            symbol=ETH,
            primary_side=PositionSide.LONG,
            primary_quantity=D("1.000"),
            primary_entry=D("2000.00"),
            primary_leverage=D(10),
            primary_margin_mode=MarginMode.CROSS,
            plan=_PLAN,
            mark_price=D("2300"),
            gross_lock=D("299.88"),
            fees_paid=D("-1.00"),
            fees_paid_partial=True,
            fee_to_open=D("-1.15"),
            fees_to_close=D("-2.30"),
            spread_cost=D("0"),
            funding_so_far=D("0.00"),
            net_lock=D("295.43"),
            close_now_net=D("297.73"),
            margin_needed=D("231.14"),
            margin_free=D("1240.00"),
            rounding_rest=D("0.0004"),
            rounding_rest_notional=D("0.92"),
            net_exposure_after=D("0.0004"),
            liquidation_before=_LIQUIDATION,
            primary_after=_LIQUIDATION,
            offset_after=_NO_LIQUIDATION,
            pair_after=_LIQUIDATION,
            funding=_FUNDING,
            lock_currency="USDT",
            inverse=False,
            warnings=("liquidation lies above",),
        ),
        HedgeRequest(ETH, PositionSide.LONG, D("0.5")),
    ),
    QuoteKind.CLOSE: (_CLOSE, CloseRequest(ETH, D("0.5"), D("2500"))),
    QuoteKind.CLOSE_ALL: (CloseAllQuote((_CLOSE, _CLOSE)), None),
    QuoteKind.ADJUST: (
        AdjustQuote(
            ETH,
            HEDGE_ID,
            3,
            D("2300"),
            (_PREVIEW,),
            D("295.43"),
            D("-1.20"),
            D("1240.00"),
            (
                AdjustWayQuote(
                    AdjustWay.SCALE,
                    (_PLAN, _PLAN),
                    (_PREVIEW, _PREVIEW),
                    D("-2.30"),
                    D("0"),
                    D("462.30"),
                    D("0"),
                    _LIQUIDATION,
                    None,
                    D("0.5"),
                    D("1.500"),
                    D("-2.30"),
                    D("-0.10"),
                    _FUNDING,
                    ("near",),
                ),
            ),
            "USDT",
        ),
        AdjustRequest(
            ETH, (LegRole.PRIMARY, PositionSide.SHORT), Size(SizeUnit.SHARE, D("0.10")), grow=False
        ),
    ),
    QuoteKind.STOPS: (
        StopsQuote(
            ETH,
            None,
            None,
            (replace(_PLAN, action=LegAction.KEEP, replaces=(Purpose.STOP_LOSS,)),),
            D("2300"),
            (StopChange(Purpose.STOP_LOSS, (D("1900.00"),), D("1950.00"), D("-50.1")),),
            _LIQUIDATION,
            "USDT",
        ),
        StopsRequest(ETH, PositionSide.LONG, D("1950"), None, (Purpose.TAKE_PROFIT,)),
    ),
    QuoteKind.MARGIN: (
        MarginQuote(
            ETH,
            HEDGE_ID,
            3,
            replace(_PLAN, action=LegAction.TOP_UP, margin=D("60.00")),
            D("2300"),
            D("231.14"),
            D("1240.00"),
            _LIQUIDATION,
            _NO_LIQUIDATION,
            "USDT",
        ),
        MarginRequest(ETH, LegRole.OFFSET, D("60")),
    ),
}


def quote(quote_id: str = "q1", *, kind: QuoteKind = QuoteKind.HEDGE, expires_at: datetime = LATER) -> Quote:
    offer, request = OFFERS[kind]
    return Quote(
        QuoteId(quote_id),
        kind,
        USER_ID,
        ACCOUNT_ID,
        str(CHAT),
        request,
        offer,
        (PositionPrint(ETH, PositionSide.LONG, D("1.000"), D("2000.00")),),
        ((ETH, D("2300.00")), (BTC, D("64000.1"))),
        D("0.003"),
        NOW,
        expires_at,
    )


def episode(key: str = "#3:liquidation:short", *, since: datetime = NOW, level: int = 1) -> AlertEpisode:
    return AlertEpisode(USER_ID, key, "liquidation", level, since, 0, NOW, HEDGE_ID, None, "4.9 %")


def reply(text: str = "Locked", *, slot: str | None = None) -> Reply:
    return Reply(
        (Text(f"**{text}**"), Table(("long   short", "1.000  1.000"))),
        ((Button("Confirm", "q:x"), Button("Cancel", "n:x")),),
        Severity.WARNING,
        slot,
        edit=True,
        toast="done",
    )


def message(
    key: str = "m1",
    *,
    slot: str | None = None,
    priority: Priority = Priority.REPLY,
    at: datetime = NOW,
    chat: ChatRef = CHAT,
    replaces: str | None = None,
) -> OutboxMessage:
    return OutboxMessage(key, chat, reply(key, slot=slot), priority, at, replaces)


def request(request_id: str = "tg:1", *, chat: ChatRef = CHAT) -> Request:
    return Request(
        request_id,
        RequestKind.CLICK,
        UserRef(chat.platform, "5"),
        chat,
        "/hedge ETH 🦔",
        NOW,
        message=MessageRef(chat, "31"),
        user_name="Ann",
        ack="cb-9",
    )


def audit() -> AuditEntry:
    return AuditEntry(NOW, USER_ID, "confirmed", "q1")


PEOPLE = Changes(users=(user(),), accounts=(account(),))
