"""Loopback Binance, Bybit and OKX that the real ccxt talks to.

A server is one venue. Behind it trades the paper engine, on a virtual clock and at prices that the test
pushes; in front it has the real one's paths, field names, signatures, refusals and habits::

    async with BinanceServer() as server:                       # or BybitServer, OkxServer
        account = server.create_account("key-1", trade=True, withdraw=False, ips=(), expires_at=None)
        async with ccxt_client(server, account) as client:      # a keyless one without ``account``
            await server.market.price(ETH, "1900", funding_rate=Decimal("0.0003"))
            await server.market.pass_time(4 * 3600)             # settles funding at 16:00

``server.url`` is the address for HEDGEROW_VENUES__<ID>__API_URL (scheme and host are replaced, the path
stays; all hosts of one venue are this one server). With ``tls=tls_context(tmp_path)`` and
``tls_session(server)`` as ccxt's ``session`` the venue's own addresses arrive here unchanged.

Secrets and passphrases are made from the key's name unless given; ``account.key`` has them.
``account.trade_elsewhere``, ``account.deleverage`` and falling prices do what the bot did not ask for.

Clocks: what happened bears the market's virtual time (start: ``core.START``). Timestamps and validity
windows of requests are judged by ``wire_clock``, by default the system's because ccxt stamps with it; give
``wire_clock=clock.now`` where the client stamps with the virtual one. ``server.skew`` sets it off.

Faults are scripted and used up in turn (``faults.py`` has them all)::

    server.faults.on(Endpoint.PLACE, LostReply(), None, CutBody())        # any request that places orders
    server.faults.on("GET /fapi/v3/positionRisk", Stale())                # one method and path
    server.faults.on_orders(PartialFill(Decimal("0.5")), Refuse("-2019")) # order by order, batches too
    server.faults.hide_new_orders(reads=2)                                # not yet visible

``faults.done`` counts them, ``faults.spent`` says that all happened. aiohttp itself repeats a GET, PUT or
DELETE once when a kept connection is closed on it: script two ``LostRequest`` to lose one of those.

``server.log`` has every request (method, path, params, headers, key, monotonic time), ``server.unknown``
those without a route: a test that ends with ``assert server.unknown == []`` has met no gap.
"""
