"""The real ccxt, pointed at a loopback server: by rewritten addresses, or with its own through a resolver."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.async_support as ccxt
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chatbot.venues.live_prices import redirected
from tests.wire.venues.core import VenueAccount
from tests.wire.venues.server import VenueServer

CLASSES = {"BinanceServer": "binanceusdm", "BybitServer": "bybit", "OkxServer": "okx"}
OPTIONS: dict[str, dict[str, Any]] = {
    "binanceusdm": {"fetchCurrencies": False},
    "bybit": {"fetchMarkets": {"types": ["linear"]}, "defaultType": "swap", "defaultSettle": "USDT"},
    "okx": {"fetchMarkets": {"types": ["swap"]}, "defaultType": "swap"},
}


@asynccontextmanager
async def ccxt_client(
    server: VenueServer,
    account: VenueAccount | None = None,
    *,
    session: aiohttp.ClientSession | None = None,
    **config: Any,
) -> AsyncIterator[Any]:
    """Loaded markets; numbers as strings. With ``session`` (see ``tls_session``) no address is changed.

    Without it scheme and host are replaced, as the setting of the product does it, and Binance's refusals
    of futures are told by their code wherever they come from.
    """
    if session is None:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as own,
            ccxt_client(server, account, session=own, **{"rewritten": True, **config}) as client,
        ):
            yield client
        return
    client = await _client(server, account, session, **config)
    try:
        yield client
    finally:
        client.session = None  # not the client's to close


async def _client(
    server: VenueServer,
    account: VenueAccount | None,
    session: aiohttp.ClientSession,
    *,
    rewritten: bool = False,
    **config: Any,
) -> Any:
    name = CLASSES[type(server).__name__]
    # A class attribute: what describe() reads comes before the configuration.
    made = type(name, (getattr(ccxt, name),), {"number": str})
    keys = _keys(account) if account else {}
    client = made({"enableRateLimit": False, "session": session, **keys, **config})
    client.options.update(OPTIONS[name])
    client.has["fetchCurrencies"] = False
    if rewritten:
        client.urls["api"] = redirected(client.urls["api"], server.url)
        client.exceptions["exact"].update(client.exceptions.get("linear", {}).get("exact", {}))
    try:
        await client.load_markets()
    except BaseException:
        client.session = None
        raise
    return client


def _keys(account: VenueAccount) -> dict[str, str]:
    key = account.key
    return {"apiKey": key.key, "secret": key.secret, "password": key.passphrase}


class LoopbackResolver(AbstractResolver):
    """Every host is this machine, at one port."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        return None


@asynccontextmanager
async def tls_session(server: VenueServer) -> AsyncIterator[aiohttp.ClientSession]:
    """For a server with ``tls_context``: the venue's own addresses arrive here. Certificates go unchecked."""
    connector = aiohttp.TCPConnector(
        resolver=LoopbackResolver(server.port), ssl=False, use_dns_cache=False, limit=0
    )
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


def tls_context(folder: Path) -> ssl.SSLContext:
    """With a key and a certificate made on the spot."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = folder / "loopback.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
