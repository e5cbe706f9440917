"""Connecting a key, many accounts at once, and what must never be seen."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from chatbot.clock import SystemClock
from chatbot.domain.hedge import AccountId, UserId
from chatbot.domain.instrument import PositionMode
from chatbot.domain.order import Rejected, Unknown
from chatbot.errors import BadCredentials, HedgerowError, MissingPermission, VenueError, VenueUnavailable
from chatbot.ports import Account, Credentials
from chatbot.venues.ccxt.exchanges import CcxtExchanges
from chatbot.venues.feeds import ETH
from tests.wire.ccxt_rig import LONG, MAJORS, Connected, loopback
from tests.wire.venues.faults import (
    CutBody,
    Down,
    Endpoint,
    Garbage,
    LostReply,
    Refuse,
    RequestFault,
    TooMany,
)
from tests.wire.venues.server import VenueServer

MOVES = {"binance": {"withdraw": True}, "bybit": {"transfer": True}, "okx": {"withdraw": True}}


@pytest.fixture(params=MAJORS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[VenueServer]:
    async with loopback(request.param) as server:
        yield server


@pytest.fixture
def venue_id(request: pytest.FixtureRequest, server: VenueServer) -> str:
    return next(name for name in MAJORS if name in type(server).__name__.lower())


@pytest.fixture
async def exchanges(server: VenueServer, venue_id: str) -> AsyncIterator[CcxtExchanges]:
    made = CcxtExchanges(SystemClock(), api_urls={venue_id: server.url}, prices_fresh_for=timedelta(0))
    yield made
    await made.close()


def key_of(server: VenueServer, name: str, **rights: object) -> Credentials:
    key = server.create_account(name, **rights).key
    return Credentials(key.key, key.secret, key.passphrase)


# --- keys ---------------------------------------------------------------------------------------


async def test_a_good_key_may_trade_and_not_move_funds(
    server: VenueServer, venue_id: str, exchanges: CcxtExchanges
) -> None:
    report = await exchanges.examine(venue_id, key_of(server, "good-key-0001", ips=("127.0.0.1",)))

    assert report.can_read
    assert report.can_trade is True
    assert report.can_move_funds is False
    assert report.ip_restricted is True
    assert report.position_mode is PositionMode.HEDGE


async def test_a_key_without_an_end_never_expires(
    server: VenueServer, venue_id: str, exchanges: CcxtExchanges
) -> None:
    report = await exchanges.examine(venue_id, key_of(server, "good-key-0001"))
    assert report.expires_at is None


async def test_what_a_key_may_do_is_told(
    server: VenueServer, venue_id: str, exchanges: CcxtExchanges
) -> None:
    free = await exchanges.examine(venue_id, key_of(server, "free-key-0001", **MOVES[venue_id]))
    reader = await exchanges.examine(venue_id, key_of(server, "read-key-0001", trade=False))

    assert free.can_move_funds is True
    assert free.ip_restricted is False
    assert reader.can_trade is False


async def test_a_key_with_an_end_tells_it(
    exchanges: CcxtExchanges, server: VenueServer, venue_id: str
) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)
    report = await exchanges.examine(venue_id, key_of(server, "mortal-key-01", expires_at=ends))

    assert report.expires_at in (ends, None)
    if venue_id == "bybit":
        assert report.expires_at == ends


@pytest.mark.parametrize("wrong", ["key", "secret", "passphrase"])
async def test_a_wrong_key_is_told_apart_from_a_broken_exchange(
    server: VenueServer, venue_id: str, exchanges: CcxtExchanges, wrong: str
) -> None:
    good = key_of(server, "good-key-0001")
    bad = Credentials(
        "no-such-key-01" if wrong == "key" else good.api_key,
        "wrong" if wrong == "secret" else good.secret,
        "wrong" if wrong == "passphrase" else good.passphrase,
    )
    if wrong == "passphrase" and not exchanges.needs_passphrase(venue_id):
        assert (await exchanges.examine(venue_id, bad)).can_read
        return

    with pytest.raises(BadCredentials):
        await exchanges.examine(venue_id, bad)


async def test_a_key_from_another_address_is_refused(
    server: VenueServer, venue_id: str, exchanges: CcxtExchanges
) -> None:
    with pytest.raises((MissingPermission, BadCredentials)):
        await exchanges.examine(venue_id, key_of(server, "far-key-00001", ips=("10.1.2.3",)))


async def test_an_exchange_that_is_down_is_no_bad_key(
    server: VenueServer, venue_id: str, exchanges: CcxtExchanges
) -> None:
    good = key_of(server, "good-key-0001")
    server.faults.on(Endpoint.PERMISSIONS, Down(503))

    with pytest.raises(VenueUnavailable):
        await exchanges.examine(venue_id, good)


# --- health -------------------------------------------------------------------------------------


async def test_health_tells_the_clock_and_the_markets(
    server: VenueServer, venue_id: str, exchanges: CcxtExchanges
) -> None:
    server.skew = timedelta(seconds=3)

    health = await exchanges.health(venue_id)

    assert (health.reachable, health.markets) == (True, len(server.prices))
    assert health.offset is not None
    assert abs(health.offset - timedelta(seconds=3)) < timedelta(seconds=1)


async def test_a_clock_that_differs_is_told_once_in_the_log_and_to_whoever_asks(
    server: VenueServer, venue_id: str, exchanges: CcxtExchanges, caplog: pytest.LogCaptureFixture
) -> None:
    account = Account(AccountId("a1"), UserId("u1"), venue_id, "mine", datetime.now(UTC))
    credentials = key_of(server, "good-key-0001")
    await exchanges.venue(account, credentials).view()
    assert exchanges.seen(account).position_mode is PositionMode.HEDGE
    assert not [record for record in caplog.records if "clock differs" in record.message]

    server.skew = timedelta(seconds=8)
    for _ in range(2):
        await exchanges.health(venue_id)

    ahead = exchanges.seen(account).clock_ahead
    assert ahead is not None
    assert abs(ahead - timedelta(seconds=8)) < timedelta(seconds=1)
    said = [record for record in caplog.records if "clock differs" in record.message]
    assert len(said) == 1
    assert said[0].levelno == logging.WARNING


async def test_a_clock_that_is_wrong_is_made_up_for(
    server: VenueServer, venue_id: str, exchanges: CcxtExchanges
) -> None:
    server.skew = timedelta(seconds=90)

    assert (await exchanges.examine(venue_id, key_of(server, "good-key-0001"))).can_read


async def test_health_of_what_is_not_there_says_so(venue_id: str, server: VenueServer) -> None:
    exchanges = CcxtExchanges(SystemClock(), api_urls={venue_id: "http://127.0.0.1:9"})

    health = await exchanges.health(venue_id)
    await exchanges.close()

    assert not health.reachable
    assert health.trouble


# --- many accounts ------------------------------------------------------------------------------


async def test_twenty_accounts_at_once_never_sign_for_one_another(
    server: VenueServer, venue_id: str, exchanges: CcxtExchanges
) -> None:
    keys = [key_of(server, f"key-number-{n:04d}") for n in range(20)]
    venues = [
        exchanges.venue(Account(AccountId(f"a{n}"), UserId("u"), venue_id, "", datetime.now(UTC)), key)
        for n, key in enumerate(keys)
    ]
    await venues[0].instruments()
    desk = Connected.__new__(Connected)
    desk.clock = SystemClock()

    await asyncio.gather(
        *(v.place([desk.order(LONG, f"0.{n + 1:02d}", id=f"n{n}")]) for n, v in enumerate(venues))
    )

    held = [(await server.market.accounts[key.api_key].held(ETH)).get(LONG) for key in keys]
    assert held == [Decimal(f"0.{n + 1:02d}") for n in range(20)]


async def test_the_markets_are_loaded_once_for_all(
    server: VenueServer, venue_id: str, exchanges: CcxtExchanges
) -> None:
    for n in range(3):
        account = Account(AccountId(f"a{n}"), UserId("u"), venue_id, "", datetime.now(UTC))
        await exchanges.venue(account, key_of(server, f"key-number-{n:04d}")).view()

    listing = {"binance": "exchangeInfo", "bybit": "instruments-info", "okx": "public/instruments"}[venue_id]
    asked = [r for r in server.log if r.path.endswith(listing)]
    assert 1 <= len(asked) <= 2  # Bybit lists what is to come apart
    assert not any(r.api_key for r in asked)


# --- secrets ------------------------------------------------------------------------------------


async def test_no_secret_is_ever_seen(
    server: VenueServer, venue_id: str, exchanges: CcxtExchanges, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    key = Credentials("canary-api-key-0001", "canary-secret-0001", "canary-phrase-0001")
    server.create_account(key.api_key, secret=key.secret, passphrase=key.passphrase)
    account = Account(AccountId("a1"), UserId("u1"), venue_id, "mine", datetime.now(UTC))
    venue = exchanges.venue(account, key)
    await venue.view([ETH])
    desk = Connected.__new__(Connected)
    desk.clock = SystemClock()
    seen: list[str] = [repr(venue), repr(key), str(vars(venue))]
    echo = f"canary-api-key-0001 canary-secret-0001 signature={'ab' * 32}"

    faults: list[RequestFault] = [LostReply(), CutBody(), Garbage(echo), Down(502, body=echo)]
    faults += [Refuse("-2019", echo), Refuse("0", echo), Garbage(f'{{"data": "{echo}"}}')]
    for n, fault in enumerate(faults):
        server.faults.on(Endpoint.PLACE, fault)
        server.faults.on(Endpoint.BALANCE, fault, fault)
        server.faults.on(Endpoint.SETTINGS, fault)
        (outcome,) = await venue.place([desk.order(LONG, "0.1", id=f"n{n}")])
        seen.append(outcome.reason if isinstance(outcome, Rejected | Unknown) else "")
        seen += await _complaints(venue.view([ETH]))
        seen += await _complaints(venue.set_position_mode(PositionMode.ONE_WAY))
    server.faults.on(Endpoint.POSITIONS, TooMany())
    seen += await _complaints(venue.view([ETH]))

    told = "\n".join([*seen, caplog.text, *capsys.readouterr()])
    for secret in ("canary-secret-0001", "canary-phrase-0001", "canary-api-key-0001", "ab" * 32):
        assert secret not in told


async def _complaints(deed: object) -> list[str]:
    try:
        await deed  # type: ignore[misc]
    except VenueError as error:
        return [str(error), repr(error), "".join(traceback.format_exception(error))]
    except HedgerowError as error:
        return [str(error)]
    return []
