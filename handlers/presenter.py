"""The wording of what happens by itself: orders on their way, and alerts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.chat import Reply, Text
from chatbot.domain.risk import Alert
from chatbot.ports import Account, Progress, User
from chatbot.services.connecting import Connected, Doubtful
from chatbot.services.digesting import Digest
from chatbot.services.restoring import Reconciliation
from handlers.account_cards import frozen_card, result_card, thawed_card
from handlers.alert_cards import alert_card
from handlers.buttons import Buttons
from handlers.digest_cards import digest_card
from handlers.look import Look
from handlers.progress_cards import progress_card
from handlers.restore_cards import restored_card
from handlers.text import clock_time, duration

LATE = timedelta(minutes=1)


class CardPresenter:
    """Implements ``chatbot.ports.Presenter``, and the cards of keys.

    ``band``: that of the offers, as a fraction; a fill that is further from its quote is told.
    """

    def __init__(self, buttons: Buttons, band: Decimal = Decimal("0.003")) -> None:
        self._buttons = buttons
        self._band = band

    def progress(self, progress: Progress) -> Reply:
        look = Look(progress.user, progress.operation.chat, self._buttons)
        return progress_card(look, progress, self._band)

    def alert(self, user: User, alert: Alert) -> Reply:
        return alert_card(user, alert, self._buttons)

    def aged(self, reply: Reply, now: datetime) -> Reply:
        """What arrives late says when it was true."""
        if reply.as_of is None or now - reply.as_of.at < LATE:
            return reply
        at, zone = reply.as_of.at, reply.as_of.zone
        age = Text(f"As of {clock_time(at, zone)}, {duration(now - at)} ago.")
        return replace(reply, blocks=(*reply.blocks, age))

    def digest(self, user: User, digest: Digest) -> Reply:
        return digest_card(replace(self._home(user), balances=user.home.private), digest)

    def connected(self, user: User, result: Connected | Doubtful) -> Reply:
        return result_card(self._home(user), result)

    def frozen(self, user: User, account: Account) -> Reply:
        return frozen_card(self._home(user), account)

    def thawed(self, user: User, account: Account) -> Reply:
        return thawed_card(self._home(user), account)

    def restored(self, user: User, found: Reconciliation, copied_at: datetime) -> Reply:
        return restored_card(self._home(user), found, copied_at)

    def _home(self, user: User) -> Look:
        return Look(user, str(user.home), self._buttons)
