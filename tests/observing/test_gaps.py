from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chatbot.domain.hedge import LegRole
from chatbot.domain.operation import OperationStatus
from chatbot.observing.gaps import LegGaps
from chatbot.ports import BookedFill, Changes
from tests.storage.samples import a_fill, an_intent, an_operation

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
