"""A real exchange in small."""

from chatbot.venues.paper.exchange import PaperExchange
from chatbot.venues.paper.faults import (
    FaultPlan,
    Late,
    LostReply,
    LostRequest,
    Partial,
    Refuse,
    Unavailable,
)
from chatbot.venues.paper.venue import PaperVenue

__all__ = [
    "FaultPlan",
    "Late",
    "LostReply",
    "LostRequest",
    "PaperExchange",
    "PaperVenue",
    "Partial",
    "Refuse",
    "Unavailable",
]
