"""``/chart``: the price, what is held in it, and what it was worth on the way."""

from __future__ import annotations

import asyncio
from itertools import islice

from chatbot.chat import Picture, Reply, Text
from handlers.chart_cards import MOST_CHOICES, chart_card, description, picture_words, too_early_card
from handlers.choices import about
from handlers.context import Call
from handlers.figures import subject_name
from handlers.subjects import Subject, all_live_subjects, arguments_of, placed, subject_of
from handlers.text import short_name


async def chart(call: Call) -> Reply:
    call = await placed(call)
    arguments = await arguments_of(call)
    subject = await subject_of(call, arguments)
    arguments.done()
    if subject is None:
        live = await all_live_subjects(call)
        if len(live) != 1:
            return await _choice(call, live)
        return await chart(about(call, live[0]))
    return await _chart_of(call, subject)


async def _chart_of(call: Call, subject: Subject) -> Reply:
    # Pictures take 50 ms to load: only who draws one waits for them.
    from chatbot.charts.drawing import png  # noqa: PLC0415
    from chatbot.charts.lines import chart_lines  # noqa: PLC0415

    report = await call.services.charting.chart(call.user, subject.symbol)
    if not report.enough:
        return too_early_card(call.look, report)
    chart = description(call.look, report)
    # Drawn beside everything else: the bot goes on answering.
    drawn = await asyncio.to_thread(png, chart)
    picture = Picture(drawn, picture_words(call.look, report), chart_lines(chart))
    return chart_card(call.look, report, picture)


async def _choice(call: Call, live: list[Subject]) -> Reply:
    if live:
        named = [(subject_name(s.number, s.symbol), s.named) for s in live]
        words = "**Which one?**"
    else:
        instruments = await call.services.hedging.instruments(call.user)
        names = [short_name(symbol, instrument) for symbol, instrument in instruments.items()]
        named = [(name, name) for name in islice(names, MOST_CHOICES)]
        words = "**Nothing is open.** Of which market do you want the last day? Or name it: `/chart BTC`."
    buttons = tuple(
        (call.button(f"Chart {label}", f"/chart {name}", replaces=True),) for label, name in named
    )
    return Reply(blocks=(Text(words),), buttons=buttons)
