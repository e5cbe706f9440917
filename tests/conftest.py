"""What every test shares: repeatable examples, and an environment without anybody's own settings."""

from __future__ import annotations

import os

from hypothesis import settings

from chatbot.settings import PREFIX

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, print_blob=True)
# A longer search with new examples each time: HYPOTHESIS_PROFILE=explore make test
settings.register_profile("explore", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
