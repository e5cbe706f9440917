"""Telegram: who we are there, and how updates get in, once each.

An update is confirmed to Telegram only after it is in the mailbox: by the next poll, whose offset was saved
in the same transaction, or by the 200 of the webhook.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from chatbot.chat import Request
from chatbot.errors import SettingsError, StorageError
from chatbot.platforms.http import HttpServer
from chatbot.platforms.telegram.client import (
    Conflict,
    FloodControl,
    InvalidToken,
    JSONDict,
    TelegramClient,
    TelegramError,
)
from chatbot.platforms.telegram.markup import PageUrl
from chatbot.platforms.telegram.messenger import TelegramMessenger
from chatbot.platforms.telegram.updates import ALLOWED_UPDATES, decode
from chatbot.platforms.telegram.webhook import Accept, Webhook, WebhookDoor
from chatbot.ports import Clock, Mailbox

CURSOR = "telegram"
POLL_SECONDS = 50  # the longest that Telegram holds a poll
DESCRIPTION_LIMIT = 256
FIRST_PAUSE, LONGEST_PAUSE, TOKEN_REFUSED_PAUSE = 1.0, 30.0, 30.0

log = logging.getLogger(__name__)


class Intake(Protocol):
    """Where updates go. They are durable when it returns."""

    async def receive(
        self, requests: Sequence[Request], *, cursor: tuple[str, int] | None = None, repeated: bool = False
    ) -> None: ...


class Turn(Protocol):
    """Of several processes one polls: Telegram serves one at a time."""

    async def turn(self, duty: str) -> None:
        """Until it is this process's."""
        ...

    async def turn_over(self, duty: str) -> None:
        """Until it is not any more."""
        ...


class TelegramPlatform:
    """``start`` says who we are and fails on a wrong token; ``run`` takes updates until ``stop``.

    Telegram being away does not fail the start: ``run`` goes on trying.
    """

    def __init__(
        self,
        *,
        token: str,
        api_url: str,
        mailbox: Mailbox,
        intake: Intake,
        clock: Clock,
        commands: Sequence[tuple[str, str]] = (),
        webhook: Webhook | None = None,
        server: HttpServer | None = None,
        page_url: PageUrl | None = None,
        turn: Turn | None = None,
    ) -> None:
        """``server``: the one that other pages of the bot are on, too; it is started and stopped with us.

        ``turn``: who polls, where other processes might.
        """
        self._turn = turn
        self._client = TelegramClient(token, api_url)
        self._mailbox = mailbox
        self._intake = intake
        self._clock = clock
        self._commands = commands
        self._webhook = webhook
        self._server = _server(server, webhook, self._accept)
        self._username = ""
        self._introduced = False
        self._next_id = 0  # the update that is surely new; all before it were received
        self._deliveries: list[tuple[Mapping[str, Any], asyncio.Future[None]]] = []
        self._delivered = asyncio.Event()
        self._pause = FIRST_PAUSE
        self._told_of_conflict = False
        self._stopping = asyncio.Event()
        self.messenger = TelegramMessenger(self._client, page_url)

    @property
    def username(self) -> str:
        """Empty until Telegram told us."""
        return self._username

    @property
    def connected(self) -> bool:
        """Telegram knows us, and the last time that it was asked for updates it answered."""
        return self._introduced and self._pause == FIRST_PAUSE

    @property
    def http_port(self) -> int | None:
        return self._server.port if self._server else None

    async def start(self) -> None:
        """Raises ``SettingsError`` for a token that Telegram refuses or a port that is taken."""
        await self._client.open()
        if self._server is not None:
            await self._server.start()
        await self._find_place()
        await self._attempt(self._introduce)

    async def look(self) -> str | None:
        """Our name there, or ``None`` while Telegram cannot be reached. Changes nothing; then ``stop``."""
        await self._client.open()
        await self._attempt(self._learn_name)
        return self._username

    async def _attempt(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except InvalidToken:
            await self.stop()
            raise SettingsError(
                "HEDGEROW_TELEGRAM__TOKEN: Telegram does not accept this token; "
                "@BotFather shows it on /token. "
                "Example: HEDGEROW_TELEGRAM__TOKEN=123456789:AAE-the-letters-from-BotFather"
            ) from None
        except TelegramError as error:
            log.warning("Telegram cannot be reached yet", extra={"reason": error.message})

    async def run(self) -> None:
        """Returns after ``stop``."""
        taking = asyncio.create_task(self._take_updates())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            taking.cancel()
            stopping.cancel()
            results = await asyncio.gather(taking, stopping, return_exceptions=True)
        _raise_failure(results)

    async def stop_intake(self) -> None:
        """No more updates; messages can still be sent."""
        if self._server is not None:
            await self._server.stop()
        self._stopping.set()

    async def stop(self) -> None:
        await self.stop_intake()
        await self._client.close_session()

    # --- who we are -------------------------------------------------------------------------------

    async def _learn_name(self) -> None:
        me = await self._client.call("getMe", {})
        self._username = str(me["username"])

    async def _introduce(self) -> None:
        await self._learn_name()
        if self._commands:
            listed = [
                {"command": name, "description": text[:DESCRIPTION_LIMIT]} for name, text in self._commands
            ]
            await self._client.call("setMyCommands", {"commands": listed})
        await (self._open_webhook() if self._webhook else self._close_webhook())
        self._introduced = True
        log.info("connected to Telegram", extra={"bot": self._username})

    async def _open_webhook(self) -> None:
        if self._webhook is None or self._server is None:
            return
        parameters: JSONDict = {
            "url": self._webhook.url,
            "secret_token": self._webhook.secret,
            "allowed_updates": list(ALLOWED_UPDATES),
        }
        await self._client.call("setWebhook", parameters)

    async def _close_webhook(self) -> None:
        await self._client.call("deleteWebhook", {"drop_pending_updates": False})

    async def _take_updates(self) -> None:
        while not self._introduced:
            await self._tolerating(self._introduce)
        if self._webhook is not None:
            await self._forever(self._store_deliveries)
        elif self._turn is None:
            await self._forever(self._poll)
        else:
            await self._poll_in_turn(self._turn)

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._tolerating(step)

    async def _poll_in_turn(self, turn: Turn) -> None:
        while True:
            await turn.turn(CURSOR)
            polling = asyncio.create_task(self._poll_from_where_it_stands())
            over = asyncio.create_task(turn.turn_over(CURSOR))
            try:
                await asyncio.wait({polling, over}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                polling.cancel()
                over.cancel()
                results = await asyncio.gather(polling, over, return_exceptions=True)
            _raise_failure(results)

    async def _poll_from_where_it_stands(self) -> None:
        """Another process polled meanwhile."""
        await self._tolerating(self._find_place)
        await self._forever(self._poll)

    async def _find_place(self) -> None:
        self._next_id = await self._mailbox.cursor(CURSOR) or 0

    # --- polling ----------------------------------------------------------------------------------

    async def _poll(self) -> None:
        parameters: JSONDict = {
            "timeout": POLL_SECONDS,
            "offset": self._next_id,
            "allowed_updates": list(ALLOWED_UPDATES),
        }
        updates = await self._client.call("getUpdates", parameters, read_seconds=POLL_SECONDS + 10)
        if not updates:
            return
        next_id = max(int(update["update_id"]) for update in updates) + 1
        if next_id <= self._next_id:
            # After a quiet week, and on another server. Telegram then serves from its beginning.
            log.info("Telegram counts its updates anew", extra={"next": next_id})
        await self._store(updates, next_id)

    # --- webhook ----------------------------------------------------------------------------------

    async def _accept(self, update: Mapping[str, Any]) -> None:
        """Returns when the update is stored. What comes in together is stored together."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._deliveries.append((update, stored))
        self._delivered.set()
        await stored

    async def _store_deliveries(self) -> None:
        """From the webhook they come out of order across chats, and now and then twice."""
        await self._delivered.wait()
        self._delivered.clear()
        deliveries, self._deliveries = self._deliveries, []
        try:
            updates = [update for update, _ in deliveries]
            await self._store(updates, max(self._next_id, *(int(each["update_id"]) + 1 for each in updates)))
        except StorageError as error:
            _settle((stored for _, stored in deliveries), error)
            raise
        _settle((stored for _, stored in deliveries), None)

    async def _store(self, updates: Sequence[Mapping[str, Any]], next_id: int) -> None:
        repeated = any(int(update["update_id"]) < self._next_id for update in updates)
        requests = [request for update in updates if (request := self._decoded(update)) is not None]
        await self._intake.receive(requests, cursor=(CURSOR, next_id), repeated=repeated)
        self._next_id = next_id

    def _decoded(self, update: Mapping[str, Any]) -> Request | None:
        """What we cannot read is passed over: it would come back for ever otherwise."""
        try:
            return decode(update, username=self._username or "", received_at=self._clock.now())
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            # Without the error's text, which may quote the update.
            extra = {"update": update.get("update_id"), "reason": type(error).__name__}
            log.warning("an update that we cannot read is passed over", extra=extra)
            return None

    # --- trouble ----------------------------------------------------------------------------------

    async def _tolerating(self, step: Callable[[], Awaitable[None]]) -> None:
        """Runs the step; on trouble waits, longer each time."""
        try:
            await step()
        except (TelegramError, StorageError) as error:
            pause = self._pause_for(error)
            self._report(error, pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            await self._clock.sleep(pause)
        else:
            self._pause = FIRST_PAUSE

    def _pause_for(self, error: TelegramError | StorageError) -> float:
        match error:
            case FloodControl():
                return error.retry_after
            case InvalidToken():
                return TOKEN_REFUSED_PAUSE
        return self._pause

    def _report(self, error: TelegramError | StorageError, pause: float) -> None:
        if not isinstance(error, Conflict):
            log.warning("no updates from Telegram", extra={"reason": error.message, "again_in": pause})
        elif not self._told_of_conflict:
            self._told_of_conflict = True
            log.warning(
                "another program polls with the same token; only one may run", extra={"again_in": pause}
            )


async def own_name(client: TelegramClient) -> str | None:
    """Only asks; ``None`` while Telegram cannot be reached or does not know the token."""
    await client.open()
    try:
        return str((await client.call("getMe", {}))["username"])
    except TelegramError:
        return None
    finally:
        await client.close_session()


def _server(shared: HttpServer | None, webhook: Webhook | None, accept: Accept) -> HttpServer | None:
    if webhook is None:
        return shared
    server = shared or HttpServer(webhook.host, webhook.port)
    server.add_routes(WebhookDoor(webhook, accept).routes())
    return server


def _settle(stored: Iterable[asyncio.Future[None]], error: StorageError | None) -> None:
    for future in stored:
        if future.done():  # the caller hung up
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _raise_failure(results: Sequence[object]) -> None:
    """What ended the taking of updates, unless it was us."""
    for result in results:
        if isinstance(result, Exception):
            raise result
