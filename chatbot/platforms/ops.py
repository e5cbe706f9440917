"""Probes and metrics, for whoever runs the bot. They tell nothing of users, and ask nobody who he is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

Answer = tuple[bool, Mapping[str, object]]  # whether it is well, and the parts

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class OpsPages:
    """``metrics`` gives the text of a scrape and its content type."""

    def __init__(
        self,
        *,
        live: Callable[[], Answer],
        ready: Callable[[], Awaitable[Answer]],
        metrics: Callable[[], Awaitable[tuple[bytes, str]]],
    ) -> None:
        self._live = live
        self._ready = ready
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/livez", self._livez),
            web.get("/readyz", self._readyz),
            web.get("/metrics", self._scrape),
        ]

    async def _livez(self, _: web.Request) -> web.Response:
        return _answer(self._live())

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer(await self._ready())

    async def _scrape(self, _: web.Request) -> web.Response:
        body, content_type = await self._metrics()
        return web.Response(body=body, headers={**_HEADERS, "Content-Type": content_type})


def _answer(answer: Answer) -> web.Response:
    well, parts = answer
    return web.json_response({"ok": well, **parts}, status=200 if well else 503, headers=_HEADERS)
