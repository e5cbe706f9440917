"""The wording of what happens by itself: orders on their way, and alerts."""

from __future__ import annotations

from chatbot.chat import Reply
from chatbot.domain.risk import Alert
from chatbot.ports import Progress, User
from handlers.alert_cards import alert_card
from handlers.buttons import Buttons
from handlers.look import Look
from handlers.progress_cards import progress_card


class CardPresenter:
    """Implements ``chatbot.ports.Presenter``."""

    def __init__(self, buttons: Buttons) -> None:
        self._buttons = buttons

    def progress(self, progress: Progress) -> Reply:
        look = Look(progress.user, progress.operation.chat, self._buttons)
        return progress_card(look, progress)

    def alert(self, user: User, alert: Alert) -> Reply:
        return alert_card(user, alert, self._buttons)
