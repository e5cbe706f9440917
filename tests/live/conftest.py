"""Real processes are born by the nursery of the end-to-end tests."""

from tests.e2e.conftest import nursery

__all__ = ["nursery"]
