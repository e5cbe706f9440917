"""The chat commands. ``COMMANDS`` is all of them: help, the platforms' menus and the router come from it."""

from __future__ import annotations

from handlers.accounts import accounts, cancel, connect, disconnect
from handlers.adjust import adjust, margin
from handlers.adopt import adopt
from handlers.alerts import ALERT_FORMS, alerts
from handlers.chart import chart
from handlers.close import close
from handlers.context import Command
from handlers.hedge import hedge
from handlers.open import open_position
from handlers.panic import panic
from handlers.paper import paper
from handlers.risk import risk
from handlers.settings import settings
from handlers.start import help_, start
from handlers.status import status

COMMANDS: tuple[Command, ...] = (
    Command("/start", "greets and says what is connected", "/start", "/start", start),
    Command("/help", "lists the commands, explains one", "/help [COMMAND]", "/help hedge", help_),
    Command(
        "/connect",
        "connects an account on an exchange by its key",
        "/connect VENUE",
        "/connect binance",
        connect,
        private=True,
        more="The key may read and trade futures. One that may withdraw or transfer is refused.",
    ),
    Command(
        "/accounts",
        "lists what is connected, and where orders go",
        "/accounts",
        "/accounts",
        accounts,
        private=True,
    ),
    Command(
        "/disconnect",
        "forgets the key of an account",
        "/disconnect ACCOUNT",
        "/disconnect binance",
        disconnect,
        private=True,
    ),
    Command("/cancel", "ends the entry of a key", "/cancel", "/cancel", cancel),
    Command(
        "/open",
        "opens a position: quote first, then your word",
        "/open SYMBOL long|short SIZE [10x] [isolated|cross] [sl PRICE] [tp PRICE] [on ACCOUNT]",
        "/open BTC long 0.05 10x",
        open_position,
        more="Sizes: `0.05` coins, `1000usdt` of notional, `25%` of the free margin. Any order will do.",
    ),
    Command(
        "/hedge",
        "locks a position's profit with the opposite leg",
        "/hedge [SYMBOL|#ID] [RATIO%] [sl PRICE] [tp PRICE] [on ACCOUNT]",
        "/hedge BTC",
        hedge,
        more="Positions opened elsewhere on the account too. Without a name: all that are not hedged.",
    ),
    Command(
        "/status",
        "shows what is open and what threatens it",
        "/status [SYMBOL|#ID]",
        "/status #3",
        status,
    ),
    Command(
        "/chart",
        "draws the price, your entries, liquidation and the lock",
        "/chart [SYMBOL|#ID]",
        "/chart #3",
        chart,
    ),
    Command(
        "/close",
        "closes: offset first, both at once, or the offset only",
        "/close [SYMBOL|#ID] [50%] [at PRICE|off]",
        "/close #3 50%",
        close,
    ),
    Command(
        "/adjust",
        "grows or shrinks legs, makes them equal, moves stops",
        "/adjust #ID primary|offset|both +SIZE|-SIZE|±%, /adjust #ID rebalance, /adjust #ID sl|tp PRICE|off",
        "/adjust #3 both +10%",
        adjust,
        more="`long` and `short` name a leg too. A stop-loss under the price is the long's, one above it "
        "the short's.",
    ),
    Command(
        "/margin",
        "adds margin to an isolated leg",
        "/margin #ID primary|offset AMOUNT",
        "/margin #3 offset 60",
        margin,
    ),
    Command(
        "/alerts",
        "what you are warned of, prices, digest, snooze, quiet hours",
        "/alerts [KIND|SYMBOL|#ID|digest|quiet|snooze|on|off|reset] [VALUES]",
        "/alerts liquidation 25 15 8",
        alerts,
        more=ALERT_FORMS,
    ),
    Command(
        "/risk",
        "caps on what can be opened",
        "/risk [leverage|share|notional|reserve] [VALUE|off]",
        "/risk leverage 10",
        risk,
        private=True,
    ),
    Command(
        "/settings",
        "your time zone, account and position mode",
        "/settings [zone NAME|account NAME|mode hedge]",
        "/settings zone Europe/Berlin",
        settings,
        private=True,
    ),
    Command("/panic", "pauses new openings, offers to close everything", "/panic [off]", "/panic", panic),
    Command(
        "/paper",
        "the simulated account: balance, deposit, start over",
        "/paper [balance|deposit AMOUNT|reset|mode hedge|one-way|"
        "elsewhere SYMBOL long|short QUANTITY [close]]",
        "/paper deposit 500",
        paper,
        private=True,
        more="`elsewhere` trades on the simulated exchange behind the bot's back, to see how it reacts.",
    ),
    Command(
        "/adopt",
        "takes over what the exchange says, or a pair opened there",
        "/adopt #ID|SYMBOL|all",
        "/adopt #3",
        adopt,
        more="Of a frozen hedge its legs; of a market with positions that no hedge knows, both legs at once. "
        "`all`: whatever differs on the account, which takes orders again after a restore.",
    ),
)
