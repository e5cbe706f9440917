"""The library's client on aiohttp, with raw results.

The library brings httpx, whose pool slows down with every open connection and whose log prints the token. Its
message objects are not built either: parsing an update takes it 0.1 ms, and we read six fields of it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import aiohttp
from telegram import Bot, InputFile, InputMediaPhoto
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    TelegramError,
    TimedOut,
)
from telegram.request import BaseRequest, RequestData

# The library has one importer; the others take its errors from here.
__all__ = [
    "AiohttpRequest",
    "BadRequest",
    "ChatMigrated",
    "Conflict",
    "FloodControl",
    "Forbidden",
    "InvalidToken",
    "JSONDict",
    "NetworkError",
    "TelegramClient",
    "TelegramError",
    "TimedOut",
    "photo",
    "photo_in_place",
]

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0

JSONDict = dict[str, Any]
_JSON = {"Content-Type": "application/json"}

# At DEBUG the library writes down the token, the webhook's secret and what users say.
_SILENT = logging.Logger("telegram.silenced", logging.CRITICAL + 1)


class FloodControl(TelegramError):
    """429. The library's own class for it warns of a deprecation each time it is made."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"Flood control exceeded. Retry in {retry_after} seconds")
        self.retry_after = retry_after


class AiohttpRequest(BaseRequest):
    """One session for all calls. Errors name their class only: texts may carry the address with the token."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float | None:
        return READ_SECONDS

    async def initialize(self) -> None:
        if self._session is None:
            # The outbox bounds what is in flight.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def shutdown(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def do_request(  # noqa: PLR0917 (the library's signature)
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: object = BaseRequest.DEFAULT_NONE,
        write_timeout: object = BaseRequest.DEFAULT_NONE,
        connect_timeout: object = BaseRequest.DEFAULT_NONE,
        pool_timeout: object = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Raises ``TimedOut`` or ``NetworkError`` when no answer came, ``FloodControl`` on 429."""
        seconds = read_timeout if isinstance(read_timeout, int | float) else READ_SECONDS
        try:
            status, payload = await self._exchange(method, url, request_data, seconds)
        except TimeoutError:
            raise TimedOut("no answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NetworkError(type(error).__name__) from None
        if status == 429:
            raise FloodControl(_retry_after(payload))
        return status, payload

    async def _exchange(
        self, method: str, url: str, data: RequestData | None, seconds: float
    ) -> tuple[int, bytes]:
        if self._session is None:
            raise NetworkError("the session is closed")
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, total=CONNECT_SECONDS + seconds)
        body, headers = _body(data)
        async with self._session.request(method, url, data=body, headers=headers, timeout=timeout) as answer:
            return answer.status, await answer.read()

    @staticmethod
    def parse_json_payload(payload: bytes) -> JSONDict:
        """As the library's, but what cannot be read is not logged: it may be what a user wrote."""
        try:
            parsed = json.loads(payload.decode("utf-8", "replace"))
        except ValueError:
            raise TelegramError("the server's answer is not JSON") from None
        if not isinstance(parsed, dict):
            raise TelegramError("the server's answer is not an object")
        return parsed


class TelegramClient(Bot):
    """``call`` is the whole of it: the library's transport and errors, the Bot API's own names."""

    _LOGGER = _SILENT

    def __init__(self, token: str, api_url: str) -> None:
        request = AiohttpRequest()
        super().__init__(
            token,
            base_url=f"{api_url.rstrip('/')}/bot",
            base_file_url=f"{api_url.rstrip('/')}/file/bot",
            request=request,
            get_updates_request=request,
        )
        self._http = request

    async def open(self) -> None:
        await self._http.initialize()

    async def close_session(self) -> None:
        await self._http.shutdown()
        # aiohttp closes its transports in the next turns of the loop.
        await asyncio.sleep(0)

    async def call(self, method: str, parameters: JSONDict, *, read_seconds: float = READ_SECONDS) -> Any:
        """The ``result`` as the server sent it. Raises the library's errors and ``FloodControl``."""
        return await self._post(method, parameters, read_timeout=read_seconds)


def _body(data: RequestData | None) -> tuple[bytes | aiohttp.FormData | None, dict[str, str]]:
    """JSON, as a form takes aiohttp three times as long to write; only what carries a file is a form."""
    if data is None or not data.contains_files:
        return (data.json_payload if data is not None else None), _JSON
    form = aiohttp.FormData(data.json_parameters)
    for name, (filename, content, kind) in data.multipart_data.items():
        form.add_field(name, content, filename=filename, content_type=kind)
    return form, {}


def photo(png: bytes) -> InputFile:
    return InputFile(png, filename="chart.png")


def photo_in_place(png: bytes, caption: str, parse_mode: str | None) -> InputMediaPhoto:
    return InputMediaPhoto(png, caption=caption, parse_mode=parse_mode, filename="chart.png")


def _retry_after(payload: bytes) -> float:
    try:
        return float(json.loads(payload)["parameters"]["retry_after"])
    except (ValueError, KeyError, TypeError):
        return 1.0
