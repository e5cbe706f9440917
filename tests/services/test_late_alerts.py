"""Alerts that wait while the messenger is away: what arrives then is true then, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from chatbot.chat import Reply, Request, RequestKind, Text
from chatbot.domain.instrument import MarginMode, PositionSide
from chatbot.domain.quote import CloseWay
from chatbot.errors import ChatUnreachable, DeliverLater
from chatbot.ports import Changes
from tests.services.world import CHAT, ETH, OWNER, World, a_world

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
CALM, NEAR, NEARER, CRITICAL = "2100", "2400", "2450", "2680"  # the short leg would go at 2,785
AWAY = 600.0


class Line:
    """Between the bot and the phone."""

    def __init__(self, world: World) -> None:
        self._through = world.phone.deliver
        self._phone = world.phone
        self.trouble: Exception | None = None
        world.phone.deliver = self._deliver  # type: ignore[method-assign]

    async def _deliver(self, *given: object, **named: object) -> str | None:
        if self.trouble is not None:
            raise self.trouble
        return await self._through(*given, **named)  # type: ignore[arg-type]

    def cut(self) -> None:
        self.trouble = DeliverLater("away")
        self._phone.seen.clear()

    def mend(self) -> None:
        self.trouble = None


async def a_pair(world: World) -> Line:
    """Long from 2,000, short from 2,100, told of nothing; then the line is cut."""
    await world.open(margin_mode=MarginMode.ISOLATED, leverage="3")
    world.price(ETH, "2100")
    await world.hedge()
    await world.pass_time(4)
    await world.bot.outbox.idle()
    line = Line(world)
    line.cut()
    return line


async def arrives(world: World, line: Line) -> list[str]:
    """The alerts that come when the line is mended."""
    line.mend()
    await world.clock.advance(20)
    await world.bot.outbox.idle()
    return alerts(world)


def alerts(world: World) -> list[str]:
    """Neither cards of operations nor the digest."""
    texts = [_text(reply) for reply in world.phone.seen if reply.slot is None]
    return [text for text in texts if not text.startswith("**📰")]


def _text(reply: Reply) -> str:
    return "\n".join(block.text for block in reply.blocks if isinstance(block, Text))


async def test_what_got_worse_meanwhile_is_told_once_as_it_is_now() -> None:
    async with a_world() as world:
        line = await a_pair(world)
        world.price(ETH, NEAR)
        await world.pass_time(AWAY / 2, step=2)
        world.price(ETH, CRITICAL)
        await world.pass_time(AWAY / 2, step=2)

        (told,) = await arrives(world, line)

        assert told.startswith("🛑 **#1 ETH: short leg 4.0 % from liquidation**")
        assert "As of" not in told


async def test_a_figure_that_changed_without_a_level_is_told_as_it_is_now() -> None:
    async with a_world() as world:
        line = await a_pair(world)
        world.price(ETH, NEAR)
        await world.pass_time(AWAY / 2, step=2)
        before = await world.bot.store.waiting(CHAT)
        world.price(ETH, NEARER)
        await world.pass_time(AWAY / 2, step=2)

        (told,) = await arrives(world, line)

        (waited,) = (card for topic, card in before.items() if topic.startswith("alert:"))
        assert _text(waited).splitlines()[0] != told.splitlines()[0]
        assert "Mark 2,450" in told


async def test_what_is_over_before_it_could_be_told_is_not_told() -> None:
    async with a_world() as world:
        line = await a_pair(world)
        world.price(ETH, NEAR)
        await world.pass_time(AWAY / 2, step=2)
        assert await world.bot.store.waiting(CHAT)
        world.price(ETH, CALM)
        await world.pass_time(AWAY / 2, step=2)

        assert await arrives(world, line) == []


async def test_what_was_told_is_told_to_be_over_though_worse_news_never_came_through() -> None:
    async with a_world() as world:
        line = await a_pair(world)
        line.mend()
        world.price(ETH, NEAR)
        await world.pass_time(4)
        line.cut()
        world.price(ETH, CRITICAL)
        await world.pass_time(AWAY / 2, step=2)
        world.price(ETH, CALM)
        await world.pass_time(AWAY / 2, step=2)

        (told,) = await arrives(world, line)

        assert told.startswith("✅ **#1 ETH: short leg safe again")


async def test_a_warning_of_a_hedge_that_is_closed_meanwhile_is_not_told() -> None:
    async with a_world() as world:
        line = await a_pair(world)
        world.price(ETH, NEAR)
        await world.pass_time(30, step=2)
        assert await world.bot.store.waiting(CHAT)
        await world.close(CloseWay.OFFSET_FIRST)
        await world.pass_time(30, step=2)

        assert await arrives(world, line) == []


async def test_what_became_less_grave_is_told_as_what_it_is_and_again_when_it_is_grave() -> None:
    async with a_world() as world:
        line = await a_pair(world)
        world.price(ETH, CRITICAL)
        await world.pass_time(30, step=2)
        world.price(ETH, NEAR)
        await world.pass_time(30, step=2)

        (less,) = await arrives(world, line)
        world.price(ETH, CRITICAL)
        await world.pass_time(4)
        await world.bot.outbox.idle()

        assert less.startswith("⚠️ **#1 ETH: short leg")
        grave = alerts(world)[1:]
        assert [text.splitlines()[0] for text in grave] == ["🛑 **#1 ETH: short leg 4.0 % from liquidation**"]


async def test_a_leg_that_was_lost_is_told_though_the_hedge_is_over_meanwhile_and_when_it_was() -> None:
    async with a_world() as world:
        line = await a_pair(world)
        await world.elsewhere(SHORT, "1", opens=False)
        await world.pass_time(4)
        await world.elsewhere(LONG, "1", opens=False)
        await world.pass_time(AWAY, step=2)

        told = await arrives(world, line)

        lost, _ = (text for text in told if "is gone" in text)
        assert lost.startswith("🛑 **#1 ETH: the short leg is gone")
        assert lost.splitlines()[-1] == "As of 09:00 UTC, 10 min ago."


async def test_what_nobody_has_looked_at_since_says_when_it_was_true() -> None:
    async with a_world() as world:
        line = await a_pair(world)
        user = replace(world.user, preferences=replace(world.user.preferences, time_zone="Europe/Berlin"))
        await world.bot.store.commit(Changes(users=(user,)))
        world.price(ETH, NEAR)
        await world.pass_time(4)
        await world.clock.advance(AWAY)

        (told,) = await arrives(world, line)

        assert told.splitlines()[-1] == "As of 10:00, 10 min ago."


async def test_funding_that_was_settled_meanwhile_is_not_announced() -> None:
    async with a_world() as world:
        await world.open()
        line = Line(world)
        line.cut()
        view = await world.view()
        settles_in = view.markets[ETH].next_funding_at - view.at
        await world.clock.advance((settles_in - timedelta(minutes=14)).total_seconds())
        told = await world.bot.watching.look_at(world.account)
        assert "funding" in {alert.kind for alert in told}
        assert await world.bot.store.waiting(CHAT)

        await world.clock.advance(15 * 60)

        assert [text for text in await arrives(world, line) if "unding" in text] == []


async def test_who_had_blocked_the_bot_is_told_what_holds_when_they_write_again() -> None:
    async with a_world() as world:
        line = await a_pair(world)
        line.trouble = ChatUnreachable("blocked")
        world.price(ETH, NEAR)
        await world.pass_time(10)
        user = await world.bot.store.user(world.user.id)
        assert user is not None
        assert not user.reachable
        line.mend()
        world.price(ETH, NEARER)
        await world.pass_time(60, step=2)
        assert world.phone.seen == [], "nobody is told anything"

        await world.bot.inbox.receive(
            [Request("1", RequestKind.COMMAND, OWNER, CHAT, "/start", world.clock.now())]
        )
        await world.pass_time(4)
        await world.bot.outbox.idle()

        heads = [_text(reply).splitlines()[0] for reply in world.phone.seen]
        assert [head for head in heads if "liquidation" in head] == [
            "⚠️ **#1 ETH: short leg 13.7 % from liquidation**"
        ]
