"""An HTTP server of the bot: for the webhook and the page that takes keys; another one for the operator."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from chatbot.errors import SettingsError

SHUTDOWN_SECONDS = 5.0  # for what is being stored
BODY_LIMIT = 1024 * 1024  # bytes; an update is a few thousand


class HttpServer:
    """Routes are added before it starts. TLS is the business of whatever stands in front of it.

    ``setting`` is where the port is set, for a complaint.
    """

    def __init__(self, host: str, port: int, *, setting: str = "HEDGEROW_HTTP__PORT") -> None:
        self._host = host
        self._port = port
        self._setting = setting
        self._routes: list[web.RouteDef] = []
        self._runner: web.AppRunner | None = None

    def add_routes(self, routes: Iterable[web.RouteDef]) -> None:
        self._routes += routes

    @property
    def port(self) -> int:
        """The port in fact, where the setting says 0."""
        if self._runner is None or not self._runner.addresses:
            return self._port
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Once; a second call changes nothing. Raises ``SettingsError`` for a port that is taken."""
        if self._runner is not None:
            return
        app = web.Application(client_max_size=BODY_LIMIT)
        app.add_routes(self._routes)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            where = f"{self._host}:{self._port}"
            raise SettingsError(
                f"{self._setting}: cannot listen on {where} ({error.strerror}). "
                f"Example: {self._setting}={self._port + 1}"
            ) from error

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
