"""A wire between the bot and its database that can be cut at the worst moment."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from tests.postgres.server import SUPERUSER, Server

_SOCKET = ".s.PGSQL.5432"
_COMMIT = b"COMMIT\x00"
_AT_ONCE = 65536


class Fate(Enum):
    """Of the next COMMIT that passes."""

    ARRIVES = auto()
    LOST = auto()  # the wire breaks before it arrives
    UNANSWERED = auto()  # it is carried out, and the wire breaks before the answer
    LATE = auto()  # the bot's end breaks; it arrives when ``deliver`` is called


class Wire(NamedTuple):
    """The server's end."""

    there: asyncio.StreamReader
    back: asyncio.StreamWriter
    answers: asyncio.Task[None]


class Proxy:
    def __init__(self, server: Server, folder: Path) -> None:
        self._upstream = str(server.folder / _SOCKET)
        self._folder = folder
        self._writers: set[asyncio.StreamWriter] = set()
        self._late: list[tuple[bytes, Wire]] = []
        self.fate = Fate.ARRIVES
        self.reachable = True

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://{SUPERUSER}@/{database}?host={self._folder}"

    async def cut(self) -> None:
        """All wires, and no new one holds."""
        self.reachable = False
        for writer in self._writers:
            writer.close()

    async def deliver(self) -> bytes:
        """What was late arrives now; what the server says to it."""
        ((message, wire),) = self._late
        wire.back.write(message)
        answer = await wire.there.read(_AT_ONCE)
        wire.back.close()
        return answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.reachable:
            writer.close()
            return
        there, back = await asyncio.open_unix_connection(self._upstream)
        self._writers |= {writer, back}
        answers = asyncio.create_task(_pass_on(there, writer))
        fate = Fate.ARRIVES
        with contextlib.suppress(ConnectionError):
            while fate is Fate.ARRIVES and (sent := await reader.read(_AT_ONCE)):
                fate = self._fate_of(sent)
                if fate is Fate.ARRIVES:
                    back.write(sent)
                else:
                    await self._meet(fate, sent, Wire(there, back, answers))
        writer.close()
        if fate is not Fate.LATE:
            back.close()
        await asyncio.gather(answers, return_exceptions=True)

    def _fate_of(self, sent: bytes) -> Fate:
        if not sent.endswith(_COMMIT):
            return Fate.ARRIVES
        fate, self.fate = self.fate, Fate.ARRIVES
        return fate

    async def _meet(self, fate: Fate, sent: bytes, wire: Wire) -> None:
        wire.answers.cancel()
        await asyncio.gather(wire.answers, return_exceptions=True)
        if fate is Fate.LATE:
            self._late.append((sent, wire))
        elif fate is Fate.UNANSWERED:
            wire.back.write(sent)
            await wire.there.read(_AT_ONCE)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while answer := await reader.read(_AT_ONCE):
            writer.write(answer)
    writer.close()


@asynccontextmanager
async def a_proxy(server: Server) -> AsyncIterator[Proxy]:
    with tempfile.TemporaryDirectory(prefix="hpp") as folder:
        proxy = Proxy(server, Path(folder))
        listening = await asyncio.start_unix_server(proxy.serve, str(Path(folder) / _SOCKET))
        try:
            yield proxy
        finally:
            await proxy.cut()
            listening.close()
