"""The digest in words: what is locked, what it costs, whether it is worth keeping."""

from __future__ import annotations

from collections.abc import Iterator

from chatbot.chat import Button, Picture, Reply, Text
from chatbot.domain.digest import Verdict, verdict
from chatbot.domain.preferences import DigestRhythm
from chatbot.services.digesting import Digest, HedgeDigest
from chatbot.services.reporting import HedgeReport
from handlers.chart_cards import description, picture_words
from handlers.figures import subject_name
from handlers.look import Look
from handlers.text import day, duration, instant, listing, money, percent, sum_of_money

MOST_HEDGES = 4  # a caption takes about a thousand characters


def digest_card(look: Look, digest: Digest) -> Reply:
    return Reply(
        blocks=(Text("\n".join(_lines(look, digest))),),
        buttons=_buttons(look, digest),
        picture=_picture(look, digest),
    )


def _picture(look: Look, digest: Digest) -> Picture | None:
    if digest.chart is None:
        return None
    # Pictures take 50 ms to load: only who draws one waits for them.
    from chatbot.charts.drawing import png  # noqa: PLC0415
    from chatbot.charts.lines import chart_lines  # noqa: PLC0415

    chart = description(look, digest.chart)
    return Picture(png(chart), picture_words(look, digest.chart), chart_lines(chart))


def _lines(look: Look, digest: Digest) -> Iterator[str]:
    yield f"**📰 {_title(look, digest)}** · {instant(digest.at, look.zone)}"
    for each in digest.hedges[:MOST_HEDGES]:
        yield from _hedge_lines(look, digest, each)
    if (more := len(digest.hedges) - MOST_HEDGES) > 0:
        yield f"And {more} more: `/status`."
    if digest.unhedged:
        positions = f"{digest.unhedged} position{'s' if digest.unhedged > 1 else ''}"
        yield f"Not hedged: {positions}. `/hedge` lists them."
    if digest.unread:
        yield f"⚠️ {listing(digest.unread, last='and')} did not answer."


def _title(look: Look, digest: Digest) -> str:
    """What is locked altogether, in each currency."""
    count = len(digest.hedges)
    if not count:
        return "Digest"
    nets: dict[str, list[HedgeReport]] = {}
    for each in digest.hedges:
        nets.setdefault(each.hedge.currency, []).append(each.hedge)
    sums = [
        f"~{money(sum((h.lock.net for h in hedges[1:]), hedges[0].lock.net), currency)} {currency}"
        for currency, hedges in nets.items()
    ]
    locked = f"locked {listing(sums, last='and')}" if look.balances else ""
    return " ".join(part for part in (f"{count} hedge{'s' if count > 1 else ''}", locked) if part)


def _hedge_lines(look: Look, digest: Digest, each: HedgeDigest) -> Iterator[str]:
    hedge = each.hedge
    where = f" on {each.account.label}" if digest.several_accounts else ""
    name = subject_name(hedge.number, hedge.symbol, hedge.instrument)
    locked = f"locked ~{sum_of_money(hedge.lock.net, hedge.currency)}"
    yield f"**{name}**{where} · {locked} · {duration(hedge.age)}"
    if any(not leg.quantity for leg in hedge.legs):
        yield "⚠️ A leg is gone: nothing is locked."
        return
    paid = sum_of_money(hedge.lock.funding, hedge.currency)
    lately = money(each.lately, hedge.currency)
    yield f"Funding {paid} so far, {lately} in the last day; {_worth(look, hedge)}"
    if hedge.lacking:
        yield f"{hedge.lacking}."


def _worth(look: Look, hedge: HedgeReport) -> str:
    net, per_day = hedge.lock.net, hedge.funding.net_per_day
    pace = f"{money(per_day, hedge.currency)} a day at this rate"
    at = hedge.funding.at or hedge.funding.settles_at
    match verdict(net, per_day, hedge.eaten_at, at):
        case Verdict.NOTHING:
            return f"{pace}. Nothing is locked: its costs are higher than its gain."
        case Verdict.EARNS:
            return f"{pace}. Worth keeping: funding costs nothing."
        case Verdict.ENDS_SOON:
            eaten = "soon" if hedge.eaten_at is None else f"on {day(hedge.eaten_at, look.zone)}"
            return f"{pace}. ⚠️ The lock is eaten {eaten}: close it while something is left."
        case _:
            until = "" if hedge.eaten_at is None else f", eaten {day(hedge.eaten_at, look.zone)}"
            return f"{pace}, {percent(-per_day / net)} of the lock{until}."


def _buttons(look: Look, digest: Digest) -> tuple[tuple[Button, ...], ...]:
    rhythm = look.user.preferences.alerts.digest
    other = ("After each settlement", "funding") if rhythm is DigestRhythm.DAILY else ("Once a day", "daily")
    return (
        (look.button("Status", "/status"), look.button("Alerts", "/alerts")),
        (look.button(other[0], f"/alerts digest {other[1]}"), look.button("No digest", "/alerts digest off")),
    )
