"""The exchange survives a kill of its process at any moment: what it answered is what it knows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.venues.feeds import ETH
from tests.venues.paper_trader import EVER, Trader

# Trades and moves the price for ever, and writes down each answer after it was given.
VICTIM = textwrap.dedent(
    """
    import asyncio, json, sys
    from pathlib import Path
    from tests.venues.paper_trader import LONG, SHORT, Trader

    async def main(state):
        trader = Trader(state=Path(state))
        number = 0
        while True:
            number += 1
            for side in (LONG, SHORT):
                name = f"n{number}{side}"
                await trader.send(trader.request(side, "0.01", client_order_id=name))
                print(json.dumps(name), flush=True)
            await trader.price(str(2000 + number % 7))
            await trader.clock.advance(1800)

    asyncio.run(main(sys.argv[1]))
    """
)


@pytest.mark.slow
@pytest.mark.parametrize("answers", [3, 40, 111])
async def test_what_was_answered_before_a_kill_is_known_after_it(tmp_path: Path, answers: int) -> None:
    state = tmp_path / "paper.db"
    script = tmp_path / "victim.py"
    script.write_text(VICTIM)
    told = _run_and_kill(script, state, answers)

    trader = Trader(state=state)

    for name in told:
        assert (await trader.order(name)).filled_quantity == Decimal("0.01")
    view = await trader.venue.view()
    fills = await trader.fills()
    assert len({fill.client_order_id for fill in fills}) - len(told) in range(
        4
    )  # the last ones had no time to tell
    for position in view.positions:
        mine = [fill for fill in fills if fill.position_side is position.side]
        assert position.quantity == sum(fill.signed_change for fill in mine)
    assert view.balance.wallet == await trader.explained_wallet()
    payments = await trader.venue.funding_payments(ETH, EVER)
    assert len({payment.venue_payment_id for payment in payments}) == len(payments)
    trader.exchange.close()


def _run_and_kill(script: Path, state: Path, answers: int) -> list[str]:
    root = Path(__file__).parents[2]
    victim = subprocess.Popen(
        [sys.executable, str(script), str(state)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])},
    )
    assert victim.stdout is not None
    with victim.stdout:
        told = [victim.stdout.readline() for _ in range(answers)]
        victim.send_signal(signal.SIGKILL)
        told += victim.stdout.readlines()
    victim.wait()
    return [json.loads(line) for line in told if line.endswith("\n")]
