"""The streams of real exchanges, connected to loopback ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from chatbot.clock import SystemClock
from chatbot.errors import BadCredentials, VenueUnavailable
from chatbot.ports import AccountStream, Credentials, PriceStream
from chatbot.venues.ccxt import streams
from chatbot.venues.ccxt.exchanges import CcxtExchanges
from chatbot.venues.feeds import BTC, ETH
from tests.wire.ccxt_rig import LONG, MAJORS, SHORT, Connected, loopback
from tests.wire.venues.streams import Stream, StreamingServer


@pytest.fixture(params=MAJORS)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Connected]:
    async with loopback(request.param) as server:
        connected = Connected(request.param, server)
        yield connected
        await connected.close()
        assert server.unknown == []


def server_of(rig: Connected) -> StreamingServer:
    assert isinstance(rig.server, StreamingServer)
    return rig.server


def follows_account(stream: Stream, key: str) -> bool:
    """Binance's needs no subscription."""
    subscribed = bool(stream.topics) or "listen" in stream.request.rel_url.raw_path_qs
    return stream.account is not None and stream.account.key.key == key and subscribed


async def connected(rig: Connected, key: str | None = None) -> None:
    wanted, server = key or rig.holder.key.key, server_of(rig)
    async with asyncio.timeout(5):
        await server.heard_until(lambda: any(follows_account(each, wanted) for each in server.streams))


@asynccontextmanager
async def listening(rig: Connected, credentials: Credentials | None = None) -> AsyncIterator[AccountStream]:
    stream = await rig.exchanges.account_stream(rig.account, credentials or rig.credentials)
    assert stream is not None
    try:
        yield stream
    finally:
        await stream.close()


async def next_change(stream: AccountStream) -> None:
    async with asyncio.timeout(5):
        await stream.changed()


async def test_whatever_changes_on_the_account_wakes(rig: Connected) -> None:
    async with listening(rig) as stream:
        for number, opens in enumerate((True, False)):
            changed = asyncio.create_task(next_change(stream))
            await connected(rig)
            await rig.place(rig.order(LONG, "1", opens=opens, id=f"move{number}"))
            await changed
        assert stream.heard > 0


async def test_a_liquidation_wakes(rig: Connected) -> None:
    await rig.open(LONG, "40")
    async with listening(rig) as stream:
        changed = asyncio.create_task(next_change(stream))
        await connected(rig)
        if server_of(rig).streams[0].legs and rig.venue.venue_id != "binance":
            changed.cancel()
            await asyncio.gather(changed, return_exceptions=True)
            changed = asyncio.create_task(next_change(stream))
        await rig.server.market.price(ETH, "1750")
        await changed


async def test_a_cut_stream_says_so(rig: Connected) -> None:
    async with listening(rig) as stream:
        changed = asyncio.create_task(next_change(stream))
        await connected(rig)
        await server_of(rig).drop_streams()
        with pytest.raises(VenueUnavailable):
            await changed


async def test_a_connection_that_is_closed_as_it_opens_says_so(rig: Connected) -> None:
    server_of(rig).hangs_up = True
    for _ in range(5):
        async with listening(rig) as stream:
            with pytest.raises(VenueUnavailable):
                await next_change(stream)


async def test_what_ccxt_gives_up_by_itself_is_a_lost_connection_and_no_cancellation(rig: Connected) -> None:
    async with listening(rig) as stream:
        assert isinstance(stream, streams.CcxtAccountStream)
        changed = asyncio.create_task(next_change(stream))
        await connected(rig)
        await stream._connection._client.close_ws_clients()
        with pytest.raises(VenueUnavailable):
            await changed


async def test_accounts_never_hear_of_each_other(rig: Connected) -> None:
    other = rig.server.create_account("key-of-another-one").key
    async with (
        listening(rig) as mine,
        listening(rig, Credentials(other.key, other.secret, other.passphrase)) as theirs,
    ):
        changes = [asyncio.create_task(next_change(mine))]
        await connected(rig)
        changes += [asyncio.create_task(next_change(theirs))]
        await connected(rig, other.key)
        await rig.open(SHORT)
        await changes[0]
        assert not changes[1].done()
        changes[1].cancel()
        await asyncio.gather(changes[1], return_exceptions=True)


async def test_a_wrong_key_is_told_as_such(rig: Connected) -> None:
    wrong = Credentials("no-such-key-at-all", "no-such-secret", "no-such-phrase")
    async with listening(rig, wrong) as stream:
        with pytest.raises(BadCredentials) as caught:
            await next_change(stream)
    assert "no-such" not in str(caught.value)


async def test_nothing_of_a_closed_stream_is_left(rig: Connected) -> None:
    stream = await rig.exchanges.account_stream(rig.account, rig.credentials)
    assert isinstance(stream, streams.CcxtAccountStream)
    changed = asyncio.create_task(next_change(stream))
    await connected(rig)
    changed.cancel()
    await asyncio.gather(changed, return_exceptions=True)
    await stream.close()

    kept = vars(stream._connection._client)
    assert not kept["clients"]
    assert not any(kept.get(name) for name in streams.KEYS)
    assert all(timer.cancelled() for timer in kept["timers"])
    async with asyncio.timeout(5):
        await server_of(rig).heard_until(lambda: not server_of(rig).streams)


@asynccontextmanager
async def prices_of(rig: Connected) -> AsyncIterator[PriceStream]:
    stream = await rig.exchanges.price_stream(rig.account.venue)
    assert stream is not None
    try:
        yield stream
    finally:
        await stream.close()


async def until_told(stream: PriceStream, price: str) -> None:
    async with asyncio.timeout(5):
        while Decimal(price) not in (await stream.moved()).values():
            pass


async def test_mark_prices_are_told_as_they_move(rig: Connected) -> None:
    async with prices_of(rig) as stream:
        stream.follow({ETH})
        await until_told(stream, "2000")
        await rig.server.market.price(ETH, "2100")
        await until_told(stream, "2100")
        stream.follow({ETH, BTC})
        await until_told(stream, "64000")


async def test_a_cut_price_stream_says_so(rig: Connected) -> None:
    async with prices_of(rig) as stream:
        stream.follow({ETH})
        await until_told(stream, "2000")
        await server_of(rig).drop_streams()
        with pytest.raises(VenueUnavailable):
            await until_told(stream, "1")


async def test_one_that_says_nothing_any_more_is_not_heard(rig: Connected) -> None:
    async with prices_of(rig) as stream:
        stream.follow({ETH})
        await until_told(stream, "2000")
        server_of(rig).silence()
        before = stream.heard
        await rig.server.market.price(ETH, "2100")
        await rig.venue.instruments()  # something else that takes a round trip
        assert stream.heard == before


async def test_practice_accounts_have_to_be_asked() -> None:
    async with loopback("binance") as server:
        rig = Connected("binance", server)
        practice = CcxtExchanges(rig.clock, api_urls={"binance": server.url}, practice=frozenset({"binance"}))
        assert await practice.account_stream(rig.account, rig.credentials) is None
        assert await practice.price_stream("binance") is None
        await practice.close()
        await rig.close()


async def test_an_exchange_whose_price_stream_is_not_proven_has_none() -> None:
    exchanges = CcxtExchanges(SystemClock())
    assert await exchanges.price_stream("gate") is None
    await exchanges.close()
