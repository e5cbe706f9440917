"""What a handler is given, and what a command is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from chatbot.chat import Button, Reply, Request, RequestKind
from chatbot.ports import Account, Clock, PaperDesk, Store, User
from chatbot.services.accounts import AccountService
from chatbot.services.admission import Admission
from chatbot.services.charting import Charting
from chatbot.services.connecting import ConnectService
from chatbot.services.entering import KeyEntry
from chatbot.services.hedging import HedgeService
from chatbot.services.linking import LinkDesk
from chatbot.services.people import People
from chatbot.services.reporting import Reporting
from chatbot.services.restoring import Reconciler
from handlers.buttons import Buttons
from handlers.look import Look


@dataclass(frozen=True, slots=True)
class Services:
    """``market`` says in a word or two what the paper account trades on ("simulated market").

    ``links`` is ``None`` where the bot has no public address for its page.
    """

    hedging: HedgeService
    reconciler: Reconciler
    accounts: AccountService
    reporting: Reporting
    charting: Charting
    people: People
    paper: PaperDesk
    store: Store
    clock: Clock
    buttons: Buttons
    admission: Admission
    connecting: ConnectService
    entry: KeyEntry
    links: LinkDesk | None = None
    show_balances_in_groups: bool = False
    market: str = "simulated market"


@dataclass(frozen=True, slots=True)
class Call:
    """One command of one user. ``words`` are what follows its name."""

    request: Request
    user: User
    words: tuple[str, ...]
    services: Services
    commands: tuple[Command, ...] = ()
    account: str = ""  # the name of the account that this is about, where there are more than one

    @property
    def clicked(self) -> bool:
        return self.request.kind is RequestKind.CLICK

    @property
    def look(self) -> Look:
        balances = self.request.chat.private or self.services.show_balances_in_groups
        return Look(self.user, str(self.request.chat), self.services.buttons, balances, self.account)

    def on(self, account: Account, *, named: bool) -> Call:
        """The same call, about this account; the user's own choice is not touched by it."""
        preferences = replace(self.user.preferences, default_account=account.id)
        user = replace(self.user, preferences=preferences)
        return replace(self, user=user, account=account.label if named else "")

    def button(self, label: str, command: str, *, replaces: bool = False) -> Button:
        """A button that types ``command`` for this user in this chat."""
        return self.look.button(label, command, replaces=replaces)


Handler = Callable[[Call], Awaitable[Reply | Sequence[Reply]]]


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the table of commands. ``form`` and ``example`` answer mistakes, ``more`` goes to /help."""

    name: str
    summary: str
    form: str
    example: str
    handler: Handler
    private: bool = False  # shows or sets what others in a group have no business to see
    more: str = ""
