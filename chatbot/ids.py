"""Where ids come from: unguessable ones for people, repeatable ones for tests and the demo."""

from __future__ import annotations

import random
import secrets
import string
from collections.abc import Callable, Sequence

from chatbot.domain.hedge import HedgeId
from chatbot.domain.intent import OperationId
from chatbot.domain.quote import QuoteId

_PLAIN = string.ascii_letters + string.digits
_URL_SAFE = _PLAIN + "-_"


class _Ids:
    def __init__(self, choose: Callable[[Sequence[str]], str]) -> None:
        self._choose = choose

    def hedge_id(self) -> HedgeId:
        return HedgeId(self._word(_PLAIN, 10))

    def operation_id(self) -> OperationId:
        return OperationId(self._word(_PLAIN, 16))

    def quote_id(self) -> QuoteId:
        return QuoteId(self._word(_URL_SAFE, 22))

    def _word(self, alphabet: str, length: int) -> str:
        return "".join(self._choose(alphabet) for _ in range(length))


class RandomIds(_Ids):
    def __init__(self) -> None:
        super().__init__(secrets.choice)


class SeededIds(_Ids):
    """The same ids at each run: for tests and the demo only."""

    def __init__(self, seed: int = 7) -> None:
        super().__init__(random.Random(seed).choice)  # noqa: S311
