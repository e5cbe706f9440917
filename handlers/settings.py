"""``/settings``: the time zone that instants are shown in."""

from __future__ import annotations

import difflib
from dataclasses import replace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from chatbot.chat import Reply, Severity, Text
from chatbot.errors import BadArgument
from handlers.context import Call
from handlers.text import echo, instant, listing

OFFERED = ("UTC", "Europe/London", "Europe/Berlin", "America/New_York", "Asia/Singapore", "Asia/Tokyo")
_WORDS = frozenset({"zone", "timezone", "tz", "time"})


async def settings(call: Call) -> Reply:
    words = [word for word in call.words if word.lower() not in _WORDS]
    if len(words) > 1:
        raise BadArgument("One time zone, please.")
    if not words:
        return _overview(call, call.look.zone)
    zone = known_zone(words[0])
    await call.services.people.choose(call.user, replace(call.user.preferences, time_zone=zone))
    return replace(_overview(call, zone, "✅ Saved. "), severity=Severity.SUCCESS)


def known_zone(word: str) -> str:
    """As the zone database spells it. :raises BadArgument: with the nearest names"""
    if word[:1].isalpha() and len(word) <= 64:
        try:
            return ZoneInfo(word).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return _spelled_right(word)
    raise BadArgument(f"`{echo(word)}` is not a time zone.")


def _spelled_right(word: str) -> str:
    names = available_timezones()
    by_name = {name.lower(): name for name in names}
    cities = {name.rpartition("/")[2].lower(): name for name in sorted(names)}
    wanted = word.lower().replace(" ", "_")
    found = by_name.get(wanted) or cities.get(wanted)
    if found is not None:
        return found
    near = difflib.get_close_matches(wanted, [*by_name, *cities], n=3, cutoff=0.6)
    names_near = sorted({by_name.get(name) or cities[name] for name in near})
    hint = f" Did you mean {listing([f'`{name}`' for name in names_near])}?" if names_near else ""
    raise BadArgument(f"`{echo(word)}` is not a time zone that I know.{hint}")


def _overview(call: Call, zone: str, first: str = "") -> Reply:
    now = instant(call.services.clock.now(), zone)
    others = "Any other: `/settings zone Europe/Paris`. Alerts: /alerts. Limits: /risk."
    text = f"{first}**Time zone: {zone}**, now {now}\n{others}"
    choices = [
        call.button(name.rpartition("/")[2].replace("_", " "), f"/settings zone {name}", replaces=True)
        for name in OFFERED
    ]
    rows = tuple(tuple(choices[start : start + 3]) for start in range(0, len(choices), 3))
    return Reply(blocks=(Text(text),), buttons=rows)
