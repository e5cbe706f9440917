"""Columns of money that add up to the last digit shown."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from chatbot.domain.instrument import ZERO
from handlers.tables import line
from handlers.text import adding_up, fitted_money, money_decimals

_ROOM = 17


@dataclass(frozen=True, slots=True)
class Sum:
    """``net`` is rounded by itself; the cents of the rounding go into the other rows.

    Into estimates (their labels end in ``~``) first, into ``head`` last.
    """

    head: tuple[str, Decimal]
    parts: tuple[tuple[str, Decimal], ...]
    net_label: str
    currency: str

    @property
    def net(self) -> Decimal:
        return self.head[1] + sum((amount for _, amount in self.parts), ZERO)

    @property
    def lines(self) -> list[str]:
        labels = [label for label, _ in (self.head, *self.parts)]
        exact = [amount for _, amount in (self.head, *self.parts)]
        order = [2, *(0 if label.endswith("~") else 1 for label, _ in self.parts)]
        shown = adding_up(self.net, exact, order=order, decimals=money_decimals(self.currency))
        return [
            *(self._line(label, amount) for label, amount in zip(labels, shown, strict=True)),
            self._line(self.net_label, self.net),
        ]

    def _line(self, label: str, amount: Decimal) -> str:
        return line(label, fitted_money(amount, self.currency, _ROOM))
