"""The service manager's datagram protocol: ready, still alive, stopping. Nothing where there is none."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from datetime import datetime, timedelta

log = logging.getLogger(__name__)


class ServiceManager:
    """``watchdog``: how long it waits for a sign of life before it starts the program anew."""

    def __init__(self, address: str, watchdog: timedelta | None) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog = watchdog
        self._told_at: datetime | None = None

    @classmethod
    def found(cls, environ: Mapping[str, str] = os.environ) -> ServiceManager | None:
        address = environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return None
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environ.get("WATCHDOG_USEC", "")
        given = ours and microseconds.isdecimal()
        return cls(address, timedelta(microseconds=int(microseconds)) if given else None)

    def ready(self) -> None:
        self._say("READY=1")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def alive(self, now: datetime) -> None:
        """As often as it likes: told three times in each period."""
        if self._watchdog is None or (self._told_at and now - self._told_at < self._watchdog / 3):
            return
        self._told_at = now
        self._say("WATCHDOG=1")

    def _say(self, words: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
                door.setblocking(False)
                door.sendto(words.encode(), self._address)
        except OSError as error:
            log.warning("the service manager cannot be told", extra={"words": words, "reason": str(error)})
