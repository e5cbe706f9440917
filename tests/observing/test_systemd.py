"""A real datagram socket in the place of the service manager."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatbot.observing.systemd import ServiceManager

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(tmp_path / "notify"))
        door.setblocking(False)
        yield door


def heard(door: socket.socket) -> list[str]:
    words = []
    try:
        while True:
            words.append(door.recv(256).decode())
    except BlockingIOError:
        return words


def found(door: socket.socket, **more: str) -> ServiceManager:
    manager = ServiceManager.found({"NOTIFY_SOCKET": door.getsockname(), **more})
    assert manager is not None
    return manager


def test_without_a_service_manager_nobody_is_told() -> None:
    assert ServiceManager.found({}) is None
    assert ServiceManager.found({"NOTIFY_SOCKET": "vsock:2:1234"}) is None


def test_it_is_told_when_the_bot_is_ready_and_when_it_stops(door: socket.socket) -> None:
    manager = found(door)
    manager.ready()
    manager.stopping()

    assert heard(door) == ["READY=1", "STOPPING=1"]


def test_a_sign_of_life_goes_out_three_times_in_each_period_of_the_watchdog(door: socket.socket) -> None:
    manager = found(door, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid()))
    for tenths in range(0, 300, 5):
        manager.alive(NOON + timedelta(seconds=tenths / 10))

    assert heard(door) == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize("more", [{}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_of_ours_there_are_no_signs_of_life(
    door: socket.socket, more: dict[str, str]
) -> None:
    found(door, **more).alive(NOON)

    assert heard(door) == []


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        name = f"hedgerow-test-{os.getpid()}"
        door.bind(f"\0{name}")
        door.setblocking(False)
        manager = ServiceManager.found({"NOTIFY_SOCKET": f"@{name}"})
        assert manager is not None
        manager.ready()

        assert heard(door) == ["READY=1"]


def test_a_service_manager_that_is_gone_does_no_harm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manager = ServiceManager.found({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert manager is not None
    manager.ready()

    assert "cannot be told" in caplog.text
