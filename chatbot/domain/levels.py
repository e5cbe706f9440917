"""Which alerts go by levels that a user has set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chatbot.domain.preferences import AlertPreferences
from chatbot.domain.risk import AlertKind

_FIELDS: Final[Mapping[AlertKind, str]] = {
    AlertKind.LIQUIDATION: "liquidation_distances",
    AlertKind.MARGIN: "margin_ratios",
    AlertKind.IMBALANCE: "imbalance",
    AlertKind.EATEN: "funding_eaten",
    AlertKind.TARGET: "profit_target",
    AlertKind.RATE: "funding_rate",
}
_OF_ONE_HEDGE: Final = (AlertKind.LIQUIDATION, AlertKind.IMBALANCE, AlertKind.EATEN, AlertKind.TARGET)


def kinds_with_other_levels(before: AlertPreferences, after: AlertPreferences) -> frozenset[AlertKind]:
    """Of the user, or of any hedge."""
    kinds = {kind for kind, name in _FIELDS.items() if getattr(before, name) != getattr(after, name)}
    return frozenset(kinds | set(_OF_ONE_HEDGE if before.hedges != after.hedges else ()))
