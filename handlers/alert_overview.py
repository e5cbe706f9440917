"""The card of ``/alerts``: what is active, every level, what is snoozed."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.chat import Block, Button, Reply, Text
from chatbot.domain.dangers import UNKNOWN_AFTER, VENUE_DOWN_AFTER, price_detail
from chatbot.domain.episodes import EVERYTHING, snoozes
from chatbot.domain.instrument import Symbol
from chatbot.domain.preferences import AlertPreferences, DigestRhythm, OwnLevels, PriceMark
from chatbot.domain.risk import AlertKind, LegCause
from chatbot.ports import AlertEpisode
from handlers.alert_words import KIND_WORDS
from handlers.context import Call
from handlers.tables import line, note, table
from handlers.text import clock_time, duration, instant, plain, short_name

HINT = "Or type: `/alerts liquidation 25 15 8`, `/alerts BTC 120000`, `/alerts #3 target 8`."


async def overview(call: Call, chosen: AlertPreferences, first: str = "") -> Reply:
    now = call.services.clock.now()
    active = await call.services.store.active_episodes(call.user.id)
    happening = [table(*(_episode_lines(episode, chosen, now) for episode in active))] if active else []
    blocks: tuple[Block, ...] = (
        Text(f"{first}{_head(active)}"),
        *happening,
        Text("**Settings**"),
        table(
            *setting_lines(chosen),
            *price_lines(chosen, reached_prices(active)),
            *_snooze_lines(call, chosen, now),
        ),
        Text(HINT),
    )
    return Reply(blocks=blocks, buttons=_buttons(call))


def _head(active: Sequence[AlertEpisode]) -> str:
    if not active:
        return "**No alert is active**"
    return f"**{len(active)} alert{'s' if len(active) > 1 else ''} active**"


def _episode_lines(episode: AlertEpisode, chosen: AlertPreferences, now: datetime) -> list[str]:
    held = "" if episode.told_level >= 0 else " (held)"
    kind = AlertKind(episode.kind)
    return [
        *note(_episode_name(episode, kind)),
        line(f"  {_reached(kind, episode.level, chosen)}{held}", f"for {duration(now - episode.since)}"),
    ]


def _reached(kind: AlertKind, level: int, chosen: AlertPreferences) -> str:
    """The figure that was passed."""
    figures = {
        AlertKind.LIQUIDATION: [f"under {shares((each,))}" for each in chosen.liquidation_distances],
        AlertKind.MARGIN: [f"over {shares((each,))}" for each in chosen.margin_ratios],
        AlertKind.EATEN: [f"over {shares((each,))}" for each in chosen.funding_eaten],
        AlertKind.UNKNOWN: [f"over {duration(each)}" for each in UNKNOWN_AFTER],
        AlertKind.VENUE: [f"over {duration(each)}" for each in VENUE_DOWN_AFTER],
    }.get(kind)
    return figures[min(level, len(figures) - 1)] if figures else "on"


def _episode_name(episode: AlertEpisode, kind: AlertKind) -> str:
    """``#1 liquidation is near (short)``; the instants in the keys of settlements are nobody's concern."""
    subject, detail = re.split(rf"(?:^|:){kind}(?::|$)", episode.key.partition("@")[0], maxsplit=1)
    detail = detail.removesuffix(f":{LegCause.UNEXPLAINED}")
    if kind is AlertKind.PRICE:
        detail = detail.partition(" ")[2]
    told = f" ({detail})" if detail and not detail[0].isdigit() else ""
    return f"{subject} {KIND_WORDS[kind]}{told}".lstrip()


def setting_lines(chosen: AlertPreferences) -> list[str]:
    values = {
        AlertKind.LIQUIDATION: shares(chosen.liquidation_distances),
        AlertKind.MARGIN: shares(chosen.margin_ratios),
        AlertKind.IMBALANCE: f"over {shares((chosen.imbalance,))}",
        AlertKind.FUNDING: f"{duration(chosen.funding_before)}, over {plain(chosen.funding_net_cost)}",
        AlertKind.EATEN: shares(chosen.funding_eaten),
        AlertKind.TARGET: f"+{shares((chosen.profit_target,))}",
        AlertKind.RATE: f"over {shares((chosen.funding_rate,))}",
        AlertKind.FLIP: "on",
        AlertKind.PRICE: f"{len(chosen.prices)} set" if chosen.prices else "none set",
        AlertKind.GROWN: "on",
        AlertKind.VENUE: "on",
        AlertKind.STREAM: "on",
    }
    lines = [line(kind, "off" if kind in chosen.disabled else value) for kind, value in values.items()]
    own = [each for name, levels in sorted(chosen.hedges.items()) for each in own_lines(name, levels)]
    return [*lines, *own, line("digest", _rhythm(chosen)), line("quiet hours", _quiet_hours(chosen))]


def own_lines(name: str, own: OwnLevels) -> list[str]:
    """Of one hedge, what differs."""
    values = {
        AlertKind.LIQUIDATION: own.liquidation_distances and shares(own.liquidation_distances),
        AlertKind.IMBALANCE: None if own.imbalance is None else f"over {shares((own.imbalance,))}",
        AlertKind.EATEN: own.funding_eaten and shares(own.funding_eaten),
        AlertKind.TARGET: None if own.profit_target is None else f"+{shares((own.profit_target,))}",
    }
    return [line(f"{name} {kind}", value) for kind, value in values.items() if value]


def price_lines(chosen: AlertPreferences, reached: Container[str]) -> list[str]:
    return [
        line(f"{short_name(Symbol(m.symbol))} {'over' if m.rising else 'under'}", price_value(m, reached))
        for m in chosen.prices
    ]


def price_value(mark: PriceMark, reached: Container[str]) -> str:
    return f"{plain(mark.price)}{' reached' if price_detail(mark) in reached else ''}"


def reached_prices(active: Iterable[AlertEpisode]) -> frozenset[str]:
    """The details of what was told."""
    told = (each for each in active if each.kind == AlertKind.PRICE and each.told_level >= 0)
    return frozenset(each.key.partition("@")[0].rpartition(":")[2] for each in told)


def _rhythm(chosen: AlertPreferences) -> str:
    daily = f"daily {chosen.digest_at:%H:%M}"
    return {DigestRhythm.DAILY: daily, DigestRhythm.FUNDING: "each settlement"}.get(chosen.digest, "off")


def shares(levels: Sequence[Decimal]) -> str:
    return f"{' '.join(plain(level * 100) for level in levels)} %"


def _quiet_hours(chosen: AlertPreferences) -> str:
    if chosen.quiet_from is None or chosen.quiet_until is None:
        return "none"
    return f"{chosen.quiet_from:%H:%M}-{chosen.quiet_until:%H:%M}"


def _snooze_lines(call: Call, chosen: AlertPreferences, now: datetime) -> list[str]:
    zone = call.user.preferences.time_zone
    lines = []
    for key, until in snoozes(chosen, now):
        name = "everything" if key == EVERYTHING else key.replace(":", " ")
        at = clock_time(until, zone) if until - now < timedelta(hours=12) else instant(until, zone)
        lines += [*note(f"snoozed: {name}"), line("", f"until {at}")]
    return lines


MENUS = (
    ("Liquidation", "liquidation"),
    ("Margin", "margin"),
    ("Imbalance", "imbalance"),
    ("Funding", "funding"),
    ("Lock eaten", "eaten"),
    ("Target", "target"),
    ("Rate", "rate"),
    ("Prices", "price"),
    ("Digest", "digest"),
    ("Quiet hours", "quiet"),
    ("Snooze", "snooze"),
    ("On and off", "off"),
)


def _buttons(call: Call) -> tuple[tuple[Button, ...], ...]:
    """Each opens the choices of one thing, in place of this card."""
    made = [call.button(label, f"/alerts {word}", replaces=True) for label, word in MENUS]
    last = (
        call.button("Refresh", "/alerts", replaces=True),
        call.button("Reset", "/alerts reset", replaces=True),
    )
    return (*rows_of(made, 3), last)


def rows_of(buttons: Sequence[Button], width: int) -> tuple[tuple[Button, ...], ...]:
    return tuple(tuple(buttons[i : i + width]) for i in range(0, len(buttons), width))
