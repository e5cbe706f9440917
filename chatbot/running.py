"""Runs the bot on its platforms until it is told to stop, and checks an installation."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TextIO

from chatbot.app import Bot, Polled, open_bot, open_exchanges, telegram_platform
from chatbot.chat import Platform, Request
from chatbot.checking import check_venues, tell_copy
from chatbot.clock import SystemClock
from chatbot.errors import HedgerowError, SettingsError
from chatbot.log import LogLevel
from chatbot.platforms.console import LOCAL_CHAT, ConsoleMessenger, ConsolePlatform
from chatbot.ports import Clock
from chatbot.settings import Settings

if TYPE_CHECKING:
    from chatbot.venues.ccxt.exchanges import CcxtExchanges

log = logging.getLogger(__name__)


def run(settings: Settings, *, clock: Clock | None = None) -> int:
    """The exit code. ``clock`` of ``None`` is the system's."""
    return asyncio.run(_run(settings, clock))


async def _run(settings: Settings, clock: Clock | None) -> int:
    async with _exchanges(settings, clock) as exchanges:
        _require_practice_where_it_is_set(settings, exchanges)
        async with open_bot(settings, clock=clock, exchanges=exchanges) as bot, bot.ops.serving():
            speak = _on_telegram if settings.telegram.token is not None else _on_console
            return await speak(bot)


@asynccontextmanager
async def _exchanges(settings: Settings, clock: Clock | None) -> AsyncIterator[CcxtExchanges]:
    exchanges = open_exchanges(settings, clock or SystemClock())
    try:
        yield exchanges
    finally:
        await exchanges.close()


def _require_practice_where_it_is_set(settings: Settings, exchanges: CcxtExchanges) -> None:
    """A name with a slip in it would leave real accounts where practice is meant."""
    for name, venue in settings.venues.items():
        refused = exchanges.refusal(name) if venue.demo else None
        if refused:
            raise SettingsError(f"HEDGEROW_VENUES__{name.upper()}__DEMO: {refused}")


@asynccontextmanager
async def _running(bot: Bot) -> AsyncIterator[None]:
    """The bot's own loops beside whatever the platform does; a loop that dies ends the program."""
    await bot.start()
    loops = asyncio.create_task(bot.run(), name="bot")
    body = asyncio.current_task()
    loops.add_done_callback(lambda _: body.cancel() if body and not stopping else None)
    stopping = False
    try:
        yield
    finally:
        stopping = True
        await bot.stop()
        await loops


async def _on_telegram(bot: Bot) -> int:
    platform = telegram_platform(bot)
    bot.speak_through(platform.messenger)
    bot.ops.attach(Platform.TELEGRAM, lambda: platform.connected)
    try:
        await platform.start()
        async with _running(bot), _until_signal(platform.stop_intake):
            log.info("ready: listening on Telegram as @%s", platform.username or "(not yet known)")
            await platform.run()
    finally:
        await platform.stop()
    log.info("stopped")
    return 0


@asynccontextmanager
async def _until_signal(stop: Callable[[], object]) -> AsyncIterator[None]:
    """SIGTERM and Ctrl-C stop the intake; what was taken is finished."""
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        log.info("stopping")
        waiting.append(asyncio.ensure_future(_call(stop)))

    waiting: list[asyncio.Future[None]] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
        await asyncio.gather(*waiting)


async def _call(stop: Callable[[], object]) -> None:
    result = stop()
    if asyncio.iscoroutine(result):
        await result


async def _on_console(bot: Bot) -> int:
    messenger = ConsoleMessenger(bold=sys.stdout.isatty())
    bot.speak_through(messenger)
    bot.ops.attach(Platform.CONSOLE, lambda: True)

    async def submit(request: Request) -> None:
        await bot.inbox.receive([request])

    platform = ConsolePlatform(
        messenger,
        submit=submit,
        idle=bot.settled,
        clock=bot.clock,
        hides=lambda: bot.keys.entry.expects(LOCAL_CHAT),
        gives_away=bot.keys.entry.gives_away,
    )
    async with _running(bot):
        if platform.interactive:
            _log_troubles_only(bot.settings)
            messenger.print(
                "Hedgerow on paper. /start says what it does, /help lists commands, quit leaves.\n"
            )
        return await platform.run()


def _log_troubles_only(settings: Settings) -> None:
    """The log is written between the lines of the chat: what goes well is not told twice."""
    if settings.log.level is LogLevel.INFO:
        logging.getLogger().setLevel(logging.WARNING)


# --- check --------------------------------------------------------------------------------------


def check(settings: Settings, out: TextIO) -> int:
    """0 when everything that was looked at is well; each line says what was found."""
    return asyncio.run(_check(settings, out))


async def _check(settings: Settings, out: TextIO) -> int:
    print("settings   fine", file=out)
    try:
        async with (
            _exchanges(settings, None) as exchanges,
            open_bot(settings, only_look=True, exchanges=exchanges) as bot,
        ):
            return await _check_bot(bot, exchanges, out)
    except SettingsError as error:  # what the settings name cannot be read, or belongs elsewhere
        room = "keys" if "MASTER_KEY" in error.message else "market"
        print(f"{room:<11}{error.message}", file=out)
        return 1
    except HedgerowError as error:
        print(f"database   {error.message}", file=out)
        return 1


async def _check_bot(bot: Bot, exchanges: CcxtExchanges, out: TextIO) -> int:
    print(f"database   fine: {bot.settings.database_name}", file=out)
    await tell_copy(bot, out)
    print(f"clock      {bot.clock.now():%Y-%m-%d %H:%M:%S} UTC by this machine", file=out)
    print(f"keys       fine: {await _keys(bot)}", file=out)
    found = [
        await _check_market(bot, out),
        await _check_telegram(bot, out),
        _check_operator(bot, out),
        *await check_venues(bot, exchanges, out),
    ]
    return 0 if all(found) else 1


def _check_operator(bot: Bot, out: TextIO) -> bool:
    """Their form was checked with all settings; whether the chat takes messages shows when one is sent."""
    ops, chat = bot.settings.ops, bot.settings.operator_chat
    if ops.port is not None:
        print(f"ops        probes and metrics on {ops.host}:{ops.port}", file=out)
    if chat is not None:
        print(f"operator   {chat} is told of faults", file=out)
    return True


async def _keys(bot: Bot) -> str:
    count = len(await bot.keys.vault.all_facts())
    return f"{count} stored, master key in {bot.keys.vault.key_source}"


async def _check_market(bot: Bot, out: TextIO) -> bool:
    feed = bot.exchange.feed
    if isinstance(feed, Polled):
        try:
            await feed.poll()
        except HedgerowError as error:
            print(f"market     {feed.name} cannot be reached: {error.message}", file=out)
            return False
        finally:
            await feed.close()
    at = f"{bot.exchange.market_now():%Y-%m-%d %H:%M} UTC"
    print(f"market     fine: {feed.name}, where it is {at}", file=out)
    return True


async def _check_telegram(bot: Bot, out: TextIO) -> bool:
    """Only asks who we are: a bot that runs elsewhere with this token is not disturbed."""
    if bot.settings.telegram.token is None:
        print("telegram   no token: hedgerow run opens the chat in the terminal", file=out)
        return True
    platform = telegram_platform(bot)
    try:
        name = await platform.look()
    except HedgerowError as error:
        print(f"telegram   {error.message}", file=out)
        return False
    finally:
        await platform.stop()
    print(f"telegram   {f'fine: @{name}' if name else 'cannot be reached just now'}", file=out)
    return bool(name)
