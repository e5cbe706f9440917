"""The door that Telegram knocks at: who knocks, with what, and when the answer is yes."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from chatbot.errors import StorageError

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 (the header's name)

Accept = Callable[[Mapping[str, Any]], Awaitable[None]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Webhook:
    """``url`` is where Telegram delivers, ``host`` and ``port`` where we listen; its path is ours, too."""

    url: str
    secret: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8080

    @property
    def path(self) -> str:
        return urlsplit(self.url).path or "/"


class WebhookDoor:
    """``accept`` gets each update; when it returns, the update is safe, and only then Telegram hears 200."""

    def __init__(self, webhook: Webhook, accept: Accept) -> None:
        self._webhook = webhook
        self._accept = accept

    def routes(self) -> list[web.RouteDef]:
        return [web.post(self._webhook.path, self._delivery)]

    async def _delivery(self, request: web.Request) -> web.Response:
        if not self._is_telegram(request):
            log.warning("a webhook call without the right secret", extra={"remote": request.remote})
            return web.Response(status=403)
        try:
            update = json.loads(await request.read())
            if not isinstance(update, dict) or not isinstance(update.get("update_id"), int):
                return web.Response(status=400)
            await self._accept(update)
        except ValueError:
            return web.Response(status=400)
        except StorageError:
            log.exception("an update could not be stored; Telegram will bring it again")
            return web.Response(status=503)
        return web.Response()

    def _is_telegram(self, request: web.Request) -> bool:
        given = request.headers.get(SECRET_HEADER, "")
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._webhook.secret.encode())
