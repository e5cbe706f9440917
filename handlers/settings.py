"""``/settings``: the time zone that instants are shown in, the account that orders go to, its mode."""

from __future__ import annotations

import difflib
from dataclasses import replace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from chatbot.chat import Reply, Severity, Text
from chatbot.domain.instrument import PositionMode
from chatbot.errors import BadArgument, VenueUnavailable
from chatbot.ports import Account
from handlers.context import Call
from handlers.modes import MEANINGS, NAMES, SWITCH, mode_of
from handlers.subjects import placed
from handlers.text import echo, instant, listing

OFFERED = ("UTC", "Europe/London", "Europe/Berlin", "America/New_York", "Asia/Singapore", "Asia/Tokyo")
_MODE_WORDS = frozenset({"mode", "position-mode"})
_ACCOUNT_WORDS = frozenset({"account", "default"})
_WORDS = frozenset({"zone", "timezone", "tz", "time"})


async def settings(call: Call) -> Reply:
    if call.words and call.words[0].lower() in _MODE_WORDS:
        return await _mode(call, call.words[1:])
    if call.words and call.words[0].lower() in _ACCOUNT_WORDS:
        return await _account(call, call.words[1:])
    words = [word for word in call.words if word.lower() not in _WORDS]
    if len(words) > 1:
        raise BadArgument("One time zone, please.")
    if not words:
        return await _overview(call, call.look.zone)
    zone = known_zone(words[0])
    await call.services.people.choose(call.user, replace(call.user.preferences, time_zone=zone))
    return replace(await _overview(call, zone, "✅ Saved. "), severity=Severity.SUCCESS)


async def _mode(call: Call, words: tuple[str, ...]) -> Reply:
    call = await placed(replace(call, words=words))
    words = call.words
    if not words:
        return await _overview(call, call.look.zone)
    if mode_of(words) is not PositionMode.HEDGE:
        raise BadArgument(
            "Hedges need hedge mode, so that is the only one I switch to.", example="/settings mode hedge"
        )
    await call.services.accounts.switch_position_mode(call.user, PositionMode.HEDGE)
    first = f"✅ **{call.account or 'The account'} is in hedge mode.**\n"
    return replace(await _overview(call, call.look.zone, first), severity=Severity.SUCCESS)


async def _account(call: Call, words: tuple[str, ...]) -> Reply:
    if not words:
        return await _overview(call, call.look.zone)
    if len(words) > 1:
        raise BadArgument("One account, please; /accounts lists yours.", example="/settings account paper")
    user, account = await call.services.people.choose_account(call.user, words[0])
    left = await _left_behind(call, account)
    first = f"✅ **Orders go to {account.label} from now on.**\n{left}"
    card = await _overview(replace(call, user=user), call.look.zone, first)
    return replace(card, severity=Severity.SUCCESS)


async def _left_behind(call: Call, account: Account) -> str:
    hedges = await call.services.store.live_hedges(user_id=call.user.id)
    names = [f"#{hedge.number}" for hedge in hedges if hedge.account_id != account.id]
    if not names:
        return ""
    stays = "stays where it is" if len(names) == 1 else "stay where they are"
    it, its = ("it", "its number") if len(names) == 1 else ("them", "their numbers")
    return f"{listing(names, last='and')} {stays}; commands and alerts find {it} by {its}.\n"


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


async def _overview(call: Call, zone: str, first: str = "") -> Reply:
    now = instant(call.services.clock.now(), zone)
    mode = await _position_mode(call)
    account = await call.services.hedging.account(call.user)
    named = "not known just now" if mode is None else f"{NAMES[mode]}, {MEANINGS[mode]}"
    lines = (
        f"{first}**Time zone: {zone}**, now {now}",
        f"Orders go to: **{account.label}**. Others: /accounts.",
        f"Position mode: {named}.",
        "Any other zone: `/settings zone Europe/Paris`. Alerts: /alerts. Limits: /risk.",
    )
    choices = [
        call.button(name.rpartition("/")[2].replace("_", " "), f"/settings zone {name}", replaces=True)
        for name in OFFERED
    ]
    zones = tuple(tuple(choices[start : start + 3]) for start in range(0, len(choices), 3))
    label, command = SWITCH
    button = call.button(label, command + call.look.there, replaces=True)
    switch = ((button,),) if mode is PositionMode.ONE_WAY else ()
    return Reply(blocks=(Text("\n".join(lines)),), buttons=(*switch, *zones))


async def _position_mode(call: Call) -> PositionMode | None:
    """``None`` while the exchange does not answer: the time zone can be set all the same."""
    try:
        return await call.services.accounts.position_mode(call.user)
    except VenueUnavailable:
        return None
