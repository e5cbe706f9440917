"""``python -m tests.simulation.mutants``: bugs put into the code on purpose, which the simulation has to find."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from tests.simulation.mutation import Change, Mutant, infect

SECONDS = 20.0  # of CPU for the search of one
FOUND_AT_LEAST = 0.95
CONTROL = "nothing is changed"

_SERVICES, _DOMAIN, _STORAGE = "chatbot.services.", "chatbot.domain.", "chatbot.storage."


def _mutant(part: str, name: str, *changes: tuple[str, str, str]) -> Mutant:
    return Mutant(part, name, tuple(Change(*change) for change in changes))


MUTANTS: tuple[Mutant, ...] = (
    # --- saga ---------------------------------------------------------------------------------
    _mutant(
        "saga",
        "send before the journal",
        (
            _SERVICES + "driving",
            """        run = await self._save(run, intents, event="journaled")
        outcomes = await self._place_in_time(run, intents)
""",
            """        outcomes = await self._place_in_time(run, intents)
        run = await self._save(run, intents, event="journaled")
""",
        ),
    ),
    _mutant(
        "saga",
        "an unknown outcome is taken for a refusal, and sent again",
        (
            _SERVICES + "run",
            "        after = intent.after(IntentEvent.LOST, reason=outcome.reason)",
            "        after = intent.after(IntentEvent.REJECTED, reason=outcome.reason)",
        ),
    ),
    _mutant(
        "saga",
        "trim all instead of the gap",
        (
            _SERVICES + "driving",
            "        left = operation.trim_quantity - operation.trim_filled\n",
            "        left = run.hedge.leg(operation.trim_role or LegRole.PRIMARY).quantity\n",
        ),
    ),
    _mutant(
        "saga",
        "trim the wrong leg",
        (
            _DOMAIN + "saga",
            "        return wanted.role.counterpart, wanted.left if wanted.filled > 0 else ZERO",
            "        return wanted.role, wanted.left if wanted.filled > 0 else ZERO",
        ),
    ),
    _mutant(
        "saga",
        "no trim: a half hedge is left as it is",
        (
            _DOMAIN + "saga",
            "    if gap > 0:\n        return replace(operation, status=_S.TRIMMING",
            "    if gap < 0:\n        return replace(operation, status=_S.TRIMMING",
        ),
    ),
    _mutant(
        "saga",
        "the next try is sized to the plan instead of what is left",
        (
            _SERVICES + "run",
            "    return Order(target.role, purpose, target.left)",
            "    return Order(target.role, purpose, target.quantity)",
        ),
    ),
    _mutant(
        "saga",
        "a close is not reduce-only",
        (_SERVICES + "run", "        reduce_only=not opens,", "        reduce_only=False,"),
    ),
    _mutant(
        "saga",
        "valid_until is ignored",
        (
            _SERVICES + "driving",
            "        if self._clock.now() >= min(intent.valid_until for intent in intents):",
            "        if not intents:",
        ),
    ),
    _mutant(
        "saga",
        "both orders of a pair get one id",
        (
            _SERVICES + "run",
            "        hedge = replace(hedge, attempt=hedge.attempt + 1)",
            "        hedge = replace(hedge, attempt=max(1, hedge.attempt))",
        ),
    ),
    _mutant(
        "saga",
        "margin without an answer is sent again",
        (
            _SERVICES + "topping_up",
            "    except OutcomeUnknown:\n        return run.operation",
            '    except OutcomeUnknown:\n        return topping_up.margin_not_sent(run.operation, "no answer")',
        ),
    ),
    _mutant(
        "saga",
        "margin is sent before the journal",
        (
            _SERVICES + "driving",
            "        run = await self._save(replace(run, operation=await topping_up.prepare(run, self._clock)))",
            "        run = replace(run, operation=await topping_up.prepare(run, self._clock))",
        ),
    ),
    # --- sizing -------------------------------------------------------------------------------
    _mutant(
        "sizing",
        "the lot is forgotten",
        (
            _DOMAIN + "instrument",
            "        return (quantity / self.lot_size).to_integral_value(ROUND_DOWN) * self.lot_size",
            "        return quantity",
        ),
    ),
    _mutant(
        "sizing",
        "a part of a pair is not the same part of both legs",
        (
            _DOMAIN + "closing",
            "    quantity = share_of_leg(desk.instrument, position.quantity, fraction)",
            "    part = fraction / 2 if position.side is PositionSide.LONG else fraction\n"
            "    quantity = share_of_leg(desk.instrument, position.quantity, part)",
        ),
    ),
    # --- recovery -----------------------------------------------------------------------------
    _mutant(
        "recovery",
        "nothing is resumed at start",
        (
            _SERVICES + "recovery",
            "        found = await self._store.unfinished_operations()",
            "        found = (await self._store.unfinished_operations())[:0]",
        ),
    ),
    _mutant(
        "recovery",
        "only the first operation is resumed at start",
        (
            _SERVICES + "recovery",
            "        found = await self._store.unfinished_operations()",
            "        found = (await self._store.unfinished_operations())[:1]",
        ),
    ),
    _mutant(
        "recovery",
        "what was journaled is taken for unsent",
        (
            _DOMAIN + "saga",
            "    return intent.status.final or resting",
            "    return intent.status.final or resting or intent.status is IntentStatus.JOURNALED",
        ),
    ),
    _mutant(
        "recovery",
        "an order is given up by a timer",
        (
            _SERVICES + "evidence",
            "GRACE = CLOCKS_DIFFER + STALE_READ",
            "GRACE = timedelta(seconds=-5)",
        ),
    ),
    _mutant(
        "recovery",
        "a wrong clock is forgotten",
        (_SERVICES + "evidence", "GRACE = CLOCKS_DIFFER + STALE_READ", "GRACE = timedelta(0)"),
    ),
    _mutant(
        "recovery",
        "the position is no evidence",
        (
            _SERVICES + "evidence",
            "        if intent.type.conditional or moved == others:",
            "        if intent.type.conditional or moved is not None:",
        ),
    ),
    _mutant(
        "recovery",
        "an order that still works is judged",
        (
            _SERVICES + "evidence",
            "        if intent.purpose.protective:\n            return None\n        while True:",
            "        if intent.purpose:\n            return None\n        while True:",
        ),
        (
            _SERVICES + "bookkeeping",
            "        if report is None and (intent.purpose.protective or page.hedge.status is HedgeStatus.FROZEN):",
            "        if report is None:",
        ),
    ),
    # --- journal ------------------------------------------------------------------------------
    _mutant(
        "journal",
        "each statement is a transaction of its own",
        (
            _STORAGE + "store",
            "        if steps:\n            await write(self._session, leases_for(changes, self._leases), steps)",
            "        for step in steps:\n            await write(self._session, leases_for(changes, self._leases), [step])",
        ),
    ),
    _mutant(
        "journal",
        "an offer can be used twice",
        (
            _STORAGE + "statements",
            '.where(*equal(QUOTES, ["id"]), QUOTES.c.used_at.is_(None))',
            '.where(*equal(QUOTES, ["id"]))',
        ),
        (_SERVICES + "hedging", "    if quote.used_at is not None:", "    if not quote.id:"),
    ),
    _mutant(
        "journal",
        "orders are written, fills are not",
        (
            _STORAGE + "changes",
            "    for fill in changes.fills:\n        yield _fill(fill)",
            "    for fill in changes.fills[:0]:\n        yield _fill(fill)",
        ),
    ),
    _mutant(
        "journal",
        "a report is booked whole each time",
        (
            _DOMAIN + "ledger",
            "    quantity = report.filled_quantity - intent.filled_quantity\n",
            "    quantity = report.filled_quantity\n",
        ),
    ),
    _mutant(
        "journal",
        "anybody's button is everybody's",
        (
            _SERVICES + "hedging",
            "        if quote is None or quote.user_id != user.id or quote.chat != str(chat):",
            "        if quote is None:",
        ),
        (
            _SERVICES + "people",
            "        if account is None or account.user_id != user.id or account.disconnected_at is not None:",
            "        if account is None or account.disconnected_at is not None:",
        ),
    ),
    # --- reconciler ---------------------------------------------------------------------------
    _mutant(
        "reconciler",
        "a difference that nothing explains is let be",
        (
            _SERVICES + "bookkeeping",
            "        if hedge.status is HedgeStatus.FROZEN or view.read_at - since < STALE_READ:",
            "        if hedge.status is HedgeStatus.FROZEN or view.read_at >= since:",
        ),
    ),
    _mutant(
        "reconciler",
        "one stale reading freezes",
        (
            _SERVICES + "bookkeeping",
            "        if hedge.status is HedgeStatus.FROZEN or view.read_at - since < STALE_READ:",
            "        if hedge.status is HedgeStatus.FROZEN:",
        ),
        (
            _SERVICES + "bookkeeping",
            "            return replace(page, hedge=_thawed(hedge))",
            "            return page",
        ),
    ),
    _mutant(
        "reconciler",
        "a fill of another hand is booked at each look",
        (
            _SERVICES + "bookkeeping",
            "            elif fill.venue_fill_id not in known and not await self._of_another_hedge(fill):",
            "            elif not await self._of_another_hedge(fill):",
        ),
    ),
    _mutant(
        "reconciler",
        "stops of a leg that is gone are only said to be canceled",
        (
            _SERVICES + "bookkeeping",
            "                report = await venue.cancel(intent.symbol, intent.client_order_id)",
            "                report = await venue.order(intent.symbol, intent.client_order_id)",
        ),
    ),
    _mutant(
        "reconciler",
        "a pair is finished and its other order left resting",
        (
            _SERVICES + "pairs",
            "        report = await self._venues.of(account).cancel(left.symbol, left.client_order_id)",
            "        report = await self._venues.of(account).order(left.symbol, left.client_order_id)",
        ),
    ),
    _mutant(
        "reconciler",
        "half a pair that fired is not finished",
        (
            _SERVICES + "pairs",
            "        self._supervisor.start(operation)",
            "        del operation",
        ),
    ),
    _mutant(
        "reconciler",
        "what rests is never compared",
        (
            _SERVICES + "bookkeeping",
            "        for hedge in await self.resting.compare(account, open_still, seen.view):",
            "        for hedge in open_still[:0]:",
        ),
    ),
    _mutant(
        "reconciler",
        "an order that is too new to be listed and looked up is said to be gone",
        (
            _SERVICES + "resting",
            "UNKNOWN_FOR = timedelta(hours=1) + CLOCKS_DIFFER",
            "UNKNOWN_FOR = timedelta(0)",
        ),
        (
            _SERVICES + "resting",
            "        pause = max(STALE_READ, last - self.since)",
            "        pause = max(timedelta(0), last - self.since)",
        ),
    ),
    _mutant(
        "reconciler",
        "an order that filled is booked as gone",
        (
            _SERVICES + "resting",
            "        if report.filled_quantity > intent.filled_quantity:",
            "        if report.filled_quantity < intent.filled_quantity:",
        ),
    ),
    # --- alerts -------------------------------------------------------------------------------
    _mutant(
        "alerts",
        "a process that dies takes along what it has not told of orders that are gone",
        (
            _SERVICES + "resting",
            "            if self._clock.now() - at < TOLD_WITHIN:",
            "            if self._clock.now() < at:",
        ),
    ),
    _mutant(
        "alerts",
        "a naked leg is told after minutes",
        (
            _DOMAIN + "dangers",
            "        if exposure is not None and not watched.lost and exposure.lasting >= NAKED_AFTER:",
            "        if exposure is not None and not watched.lost and exposure.lasting >= 60 * NAKED_AFTER:",
        ),
    ),
    _mutant(
        "alerts",
        "what was told is not remembered",
        (
            _SERVICES + "watching",
            "            episodes=tuple(_row(user.id, episode) for episode in changed.values()),",
            "            episodes=(),",
        ),
    ),
    _mutant(
        "alerts",
        "a lost leg is not told",
        (
            _DOMAIN + "dangers",
            "        yield from (_lost(scene, watched.hedge, lost, raised(True)) for lost in watched.lost)\n",
            "",
        ),
    ),
    _mutant(
        "alerts",
        "the key of a message changes with each look",
        (
            _SERVICES + "watching",
            '            dedupe_key=f"{ALERT}{user.id}:{alert.key}:{since}:{alert.phase}:{alert.level}",',
            '            dedupe_key=f"{ALERT}{user.id}:{alert.key}:{now.isoformat()}:{alert.phase}:{alert.level}",',
        ),
    ),
    # --- outbox -------------------------------------------------------------------------------
    _mutant(
        "outbox",
        "marked before it is sent",
        (
            "chatbot.pushing.outbox",
            "            message_id = await self._send(together)",
            "            await self._mailbox.delivered([Delivered(owed.row_id, None)], self._clock.now())\n"
            "            message_id = await self._send(together)",
        ),
    ),
    _mutant(
        "outbox",
        "never marked",
        (
            "chatbot.pushing.outbox",
            "            await self._mailbox.delivered(delivered, now)",
            "            await self._mailbox.delivered([], now)",
        ),
    ),
    _mutant(
        "outbox",
        "what the chat does not take at first is dropped",
        (
            "chatbot.pushing.outbox",
            "        await self._mailbox.postpone(owed.row_id, until, reason=error.message)\n",
            "        await self._mailbox.abandon([owed.row_id], reason=error.message)\n",
        ),
    ),
    _mutant(
        "outbox",
        "in the order of writing, not of urgency",
        (
            _STORAGE + "statements",
            "    .order_by(OUTBOX.c.priority, OUTBOX.c.id)",
            "    .order_by(OUTBOX.c.id)",
        ),
    ),
)


# --- the search ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """``seed`` ``None``: not found, or found before any run: while the stages were made."""

    found: bool
    seed: int | None
    what: str
    runs: int
    seconds: float  # of CPU, without the start


def search(limit: float) -> Verdict:
    from tests.simulation.run import Simulation  # noqa: PLC0415 (after the bug is in)

    begun = time.process_time()
    try:
        simulation = Simulation()
    except Exception as error:  # noqa: BLE001 (a bug so plain that not even a stage comes about)
        what = f"{type(error).__name__}: {error}"
        return Verdict(True, None, what, 0, time.process_time() - begun)
    begun = time.process_time()
    runs = 0
    for seed in _seeds(simulation.singles):
        spent = time.process_time() - begun
        if spent > limit:
            break
        runs += 1
        outcome = simulation.run(seed)
        if outcome.violation:
            what = outcome.violation.strip().splitlines()[-1]
            return Verdict(True, seed, what, runs, time.process_time() - begun)
    return Verdict(False, None, "", runs, time.process_time() - begun)


def _seeds(singles: int) -> Iterator[int]:
    """Turn and turn about: a plan of its own, and one of the single crash points, far apart from each other."""
    step = next(step for step in range(singles // 3, singles) if _coprime(step, singles))
    number = 0
    while True:
        yield 1_000_000 + number
        yield number * step % singles
        number += 1


def _coprime(one: int, other: int) -> bool:
    while other:
        one, other = other, one % other
    return one == 1


def _search_one(name: str, limit: float) -> Verdict:
    """In a process of its own: what is imported there is broken for good."""
    command = [sys.executable, "-m", "tests.simulation.mutants", "--one", name, "--seconds", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {done.stderr}")
    return Verdict(**json.loads(done.stdout.splitlines()[-1]))


def search_all(names: Sequence[str], limit: float, workers: int) -> Iterator[tuple[str, Verdict]]:
    with ThreadPoolExecutor(workers) as pool:
        yield from zip(names, pool.map(lambda name: _search_one(name, limit), names), strict=True)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants")
    parser.add_argument("--one", help="search this one, in this process")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="CPU seconds for each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="those whose name has this in it")
    given = parser.parse_args(arguments)
    if given.one is not None:
        mutant = next((each for each in MUTANTS if each.name == given.one), None)
        if mutant is not None:
            infect(mutant)
        print(json.dumps(asdict(search(given.seconds))))
        return 0
    return _all([m for m in MUTANTS if given.only in m.name], given.seconds, given.workers)


def _all(mutants: Sequence[Mutant], limit: float, workers: int) -> int:
    names = [CONTROL, *(mutant.name for mutant in mutants)]
    parts = {mutant.name: mutant.part for mutant in mutants}
    found, control_is_well = 0, True
    for name, verdict in search_all(names, limit, workers):
        print(_line(parts.get(name, "control"), name, verdict), flush=True)
        if name == CONTROL:
            control_is_well = not verdict.found
        else:
            found += verdict.found
    share = found / len(mutants)
    print(
        f"\n{found} of {len(mutants)} found ({share:.0%}); the unchanged code: {'' if control_is_well else 'NOT '}well"
    )
    return int(share < FOUND_AT_LEAST or not control_is_well)


def _line(part: str, name: str, verdict: Verdict) -> str:
    end = f"after {verdict.runs:,} runs, {verdict.seconds:.1f} s"
    if not verdict.found:
        return f"{part:<11}{name:<58} nothing found {end}"
    where = "while the stages were made" if verdict.seed is None else f"by run {verdict.seed}"
    return f"{part:<11}{name:<58} FOUND {where}, {end}\n{'':<11}{verdict.what[:130]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
