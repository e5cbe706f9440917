"""What every ``Mailbox`` must do. A subclass per database gives the fixtures ``mailbox`` and ``store``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from chatbot.chat import AsOf, ChatRef, OutboxMessage, Part, Picture, Platform, Priority
from chatbot.ports import Changes, Delivered, Mailbox, Store
from tests.storage import samples
from tests.storage.samples import CHAT, LATER, NOW, USER_ID

OTHER = ChatRef(Platform.TELEGRAM, "-100200", private=False)


async def owe(store: Store, *messages: OutboxMessage) -> None:
    await store.commit(Changes(outbox=messages))


async def keys(mailbox: Mailbox, limit: int = 10) -> list[str]:
    return [owed.message.dedupe_key for owed in await mailbox.due(LATER, limit=limit)]


async def row_of(mailbox: Mailbox, key: str) -> int:
    return next(owed.row_id for owed in await mailbox.due(LATER, limit=100) if owed.message.dedupe_key == key)


TOPIC = "liquidation of #1"


def told(
    key: str,
    part: Part = Part.BEGINS,
    *,
    chat: ChatRef = CHAT,
    topic: str = TOPIC,
    priority: Priority = Priority.REPLY,
) -> OutboxMessage:
    return replace(samples.message(key, chat=chat, priority=priority), topic=topic, part=part)


async def moot(mailbox: Mailbox) -> dict[str, bool]:
    return {owed.message.dedupe_key: owed.moot for owed in await mailbox.due(LATER, limit=10)}


class MailboxContract:
    # --- what came in ---------------------------------------------------------------------------

    async def test_requests_come_back_in_the_order_received(self, mailbox: Mailbox) -> None:
        requests = (
            samples.request("tg:2"),
            samples.request("tg:1"),
            replace(samples.request("tg:3"), message=None),
        )
        await mailbox.receive(requests)
        assert await mailbox.unhandled() == requests

    async def test_a_request_is_received_once(self, mailbox: Mailbox) -> None:
        await mailbox.receive([samples.request("tg:1"), samples.request("tg:1")])
        await mailbox.receive([samples.request("tg:1"), samples.request("tg:2")])
        assert [request.id for request in await mailbox.unhandled()] == ["tg:1", "tg:2"]

    async def test_a_handled_request_never_comes_back(self, mailbox: Mailbox, store: Store) -> None:
        await mailbox.receive([samples.request("tg:1"), samples.request("tg:2")])
        await store.commit(Changes(handled=("tg:1", "unknown")))
        await mailbox.receive([samples.request("tg:1")])
        assert [request.id for request in await mailbox.unhandled()] == ["tg:2"]

    async def test_a_cursor_is_saved_with_the_requests(self, mailbox: Mailbox) -> None:
        assert await mailbox.cursor("telegram") is None
        await mailbox.receive([samples.request()], cursor=("telegram", 2**40))
        assert await mailbox.cursor("telegram") == 2**40
        await mailbox.receive([], cursor=("telegram", 5))
        assert await mailbox.cursor("telegram") == 5

    # --- what is owed ---------------------------------------------------------------------------

    async def test_a_picture_comes_back_to_the_byte(self, mailbox: Mailbox, store: Store) -> None:
        picture = Picture(bytes(range(256)), "what it shows", ("⠉⠉ 2,300",))
        plain = samples.message("picture")
        shown = replace(plain, reply=replace(plain.reply, picture=picture))
        await owe(store, shown)
        (owed,) = await mailbox.due(LATER, limit=10)
        assert owed.message == shown

    async def test_a_message_comes_back_as_owed(self, mailbox: Mailbox, store: Store) -> None:
        message = samples.message(slot="status:3", chat=OTHER, replaces="55")
        await owe(store, message)
        (owed,) = await mailbox.due(NOW, limit=10)
        assert owed.message == message
        assert (owed.tries, owed.edits) == (0, "55")

    async def test_the_urgent_overtake_and_equals_keep_their_order(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await owe(
            store,
            samples.message("info", priority=Priority.INFO),
            samples.message("first", priority=Priority.REPLY),
            samples.message("second", priority=Priority.REPLY),
            samples.message("naked leg", priority=Priority.CRITICAL),
        )
        assert await keys(mailbox) == ["naked leg", "first", "second", "info"]
        assert await keys(mailbox, limit=2) == ["naked leg", "first"]

    async def test_a_message_is_owed_once_even_after_delivery(self, mailbox: Mailbox, store: Store) -> None:
        await owe(store, samples.message("m1"), samples.message("m1"))
        await mailbox.delivered([Delivered(await row_of(mailbox, "m1"), "9")], NOW)
        await owe(store, samples.message("m1"))
        assert await keys(mailbox) == []

    async def test_nothing_is_due_before_its_time(self, mailbox: Mailbox, store: Store) -> None:
        assert await mailbox.next_due_at() is None
        await owe(
            store, samples.message("later", at=LATER), samples.message("much later", at=LATER + timedelta(1))
        )
        assert await mailbox.due(LATER - timedelta(microseconds=1), limit=10) == ()
        assert await keys(mailbox) == ["later"]
        assert await mailbox.next_due_at() == LATER

    async def test_chats_that_are_held_are_left_out_before_the_limit(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await owe(
            store,
            samples.message("a1"),
            samples.message("a2"),
            samples.message("b1", chat=OTHER),
            samples.message("a3"),
        )
        (owed,) = await mailbox.due(NOW, limit=1, skip_chats={str(CHAT)})
        assert owed.message.dedupe_key == "b1"
        assert await mailbox.due(NOW, limit=5, skip_chats=[str(CHAT), str(OTHER)]) == ()

    async def test_only_the_newest_of_a_slot_is_delivered(self, mailbox: Mailbox, store: Store) -> None:
        await owe(store, samples.message("sending", slot="op:1"), samples.message("other", slot="op:2"))
        await owe(
            store,
            samples.message("filled", slot="op:1"),
            samples.message("elsewhere", slot="op:1", chat=OTHER),
        )
        assert await keys(mailbox) == ["other", "filled", "elsewhere"]

    async def test_a_repeated_old_message_does_not_drop_the_newer(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await owe(store, samples.message("sending", slot="op:1"), samples.message("filled", slot="op:1"))
        await owe(store, samples.message("sending", slot="op:1"))
        assert await keys(mailbox) == ["filled"]

    async def test_a_dropped_message_hands_on_the_card_it_was_to_edit(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await owe(store, samples.message("sending", slot="op:1", replaces="55"))
        await owe(store, samples.message("filled", slot="op:1"))
        await owe(store, samples.message("done", slot="op:1"))
        (owed,) = await mailbox.due(NOW, limit=10)
        assert (owed.message.dedupe_key, owed.edits) == ("done", "55")

    async def test_a_slot_remembers_the_message_it_was_delivered_as(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await owe(store, samples.message("m1", slot="status:3"))
        await mailbox.delivered([Delivered(await row_of(mailbox, "m1"), "901")], NOW)
        await owe(
            store, samples.message("m2", slot="status:3"), samples.message("m3", slot="status:3", chat=OTHER)
        )
        edits = {owed.message.dedupe_key: owed.edits for owed in await mailbox.due(NOW, limit=10)}
        assert edits == {"m2": "901", "m3": None}

    async def test_a_slot_follows_a_message_that_replaced_a_card(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await mailbox.remember_message(CHAT, "op:1", "10")
        await owe(store, samples.message("m1", slot="op:1", replaces="20"))
        (owed,) = await mailbox.due(NOW, limit=10)
        assert owed.edits == "20"
        await mailbox.delivered([Delivered(owed.row_id, "20")], NOW)
        await owe(store, samples.message("m2", slot="op:1"))
        assert [owed.edits for owed in await mailbox.due(NOW, limit=10)] == ["20"]

    async def test_a_delivery_without_a_message_leaves_the_slot_alone(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await mailbox.remember_message(CHAT, "op:1", "10")
        await owe(store, samples.message("m1", slot="op:1"))
        await mailbox.delivered([Delivered(await row_of(mailbox, "m1"), None)], NOW)
        await owe(store, samples.message("m2", slot="op:1"))
        assert [owed.edits for owed in await mailbox.due(NOW, limit=10)] == ["10"]

    async def test_many_are_marked_at_once(self, mailbox: Mailbox, store: Store) -> None:
        await owe(store, *(samples.message(f"m{number}") for number in range(5)))
        rows = [owed.row_id for owed in await mailbox.due(NOW, limit=10)]
        await mailbox.delivered([Delivered(row, "1") for row in rows[:4]], NOW)
        assert await keys(mailbox) == ["m4"]

    async def test_a_postponed_message_waits_and_counts_its_tries(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await owe(store, samples.message("m1"))
        await mailbox.postpone(await row_of(mailbox, "m1"), LATER, reason="429")
        assert await mailbox.due(NOW, limit=10) == ()
        assert await mailbox.next_due_at() == LATER
        assert [owed.tries for owed in await mailbox.due(LATER, limit=10)] == [1]

    async def test_an_abandoned_message_is_not_tried_again(self, mailbox: Mailbox, store: Store) -> None:
        await owe(store, samples.message("m1"), samples.message("m2"))
        await mailbox.abandon([await row_of(mailbox, "m1")], reason="400")
        await mailbox.abandon([], reason="nothing")
        assert await keys(mailbox) == ["m2"]

    async def test_a_chat_that_blocks_us_is_owed_nothing_until_it_writes(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await store.commit(samples.PEOPLE)
        await owe(store, samples.message("m1"), samples.message("m2", chat=OTHER))
        await mailbox.chat_unreachable(CHAT)
        assert await keys(mailbox) == ["m2"]
        assert await store.user(USER_ID) == replace(samples.user(), reachable=False)
        await mailbox.receive([samples.request("tg:5", chat=OTHER)])
        assert await store.user(USER_ID) == replace(samples.user(), reachable=False)
        await mailbox.receive([samples.request("tg:6")])
        assert await store.user(USER_ID) == samples.user()

    # --- alerts that go together ----------------------------------------------------------------

    async def test_other_alerts_of_a_chat_go_beside_one_gravest_first(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        alert, later = told("alert:one"), replace(told("alert:later", topic="third"), not_before=LATER)
        grave = replace(told("alert:grave"), priority=Priority.CRITICAL, topic=None)
        await owe(
            store, alert, told("alert:two", topic="another"), grave, told("no alert", topic="fourth"), later
        )
        await owe(store, told("alert:elsewhere", chat=OTHER))
        owed = next(o for o in await mailbox.due(NOW, limit=10) if o.message.dedupe_key == "alert:one")
        beside = await mailbox.due_beside(owed, NOW, limit=10)
        assert [each.message.dedupe_key for each in beside] == ["alert:grave", "alert:two"]
        assert await mailbox.due_beside(owed, NOW, limit=1) == beside[:1]

    # --- what is true now -----------------------------------------------------------------------

    async def test_of_a_topic_only_the_newest_is_delivered_and_never_as_an_edit(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await owe(store, told("near"))
        await mailbox.delivered([Delivered(await row_of(mailbox, "near"), "9")], NOW)
        await owe(store, told("nearer", Part.GOES_ON))
        await owe(store, told("nearest", Part.GOES_ON), told("elsewhere", chat=OTHER))
        due = await mailbox.due(LATER, limit=10)
        assert [(owed.message.dedupe_key, owed.edits) for owed in due] == [
            ("nearest", None),
            ("elsewhere", None),
        ]

    async def test_the_topic_and_the_end_of_a_message_come_back(self, mailbox: Mailbox, store: Store) -> None:
        message = replace(told("ends", Part.ENDS), expires_at=LATER)
        message = replace(message, reply=replace(message.reply, as_of=AsOf(NOW, "Europe/Berlin")))
        await owe(store, message)
        (owed,) = await mailbox.due(NOW, limit=10)
        assert owed.message == message
        assert not owed.too_late(LATER - timedelta(microseconds=1))
        assert owed.too_late(LATER)

    async def test_the_end_of_what_nobody_heard_of_is_moot(self, mailbox: Mailbox, store: Store) -> None:
        await owe(store, told("near"))
        await owe(store, told("nearer", Part.GOES_ON))
        await owe(store, told("safe", Part.ENDS))
        assert await moot(mailbox) == {"safe": True}

    async def test_the_end_of_what_was_heard_is_news(self, mailbox: Mailbox, store: Store) -> None:
        await owe(store, told("near"))
        await mailbox.delivered([Delivered(await row_of(mailbox, "near"), "9")], NOW)
        await owe(store, told("nearer", Part.GOES_ON))
        await owe(store, told("safe", Part.ENDS))
        assert await moot(mailbox) == {"safe": False}

    async def test_an_end_that_overtakes_the_mark_of_its_beginning_is_news(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await owe(store, told("near"))
        on_its_way = await row_of(mailbox, "near")
        await owe(store, told("safe", Part.ENDS))
        await mailbox.delivered([Delivered(on_its_way, "9")], NOW)
        assert await moot(mailbox) == {"safe": False}

    async def test_a_second_beginning_that_nobody_heard_of_does_not_hide_the_end_of_the_first(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await owe(store, told("near"))
        await mailbox.delivered([Delivered(await row_of(mailbox, "near"), "9")], NOW)
        for message in (told("safe", Part.ENDS), told("near again"), told("safe again", Part.ENDS)):
            await owe(store, message)
        assert await moot(mailbox) == {"safe again": False}

    async def test_after_an_end_that_was_heard_the_next_end_needs_a_beginning(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        for message in (told("near"), told("safe", Part.ENDS)):
            await owe(store, message)
            await mailbox.delivered([Delivered(await row_of(mailbox, message.dedupe_key), "9")], NOW)
        await owe(store, told("near again"))
        await owe(store, told("safe again", Part.ENDS))
        assert await moot(mailbox) == {"safe again": True}

    async def test_the_end_of_what_is_forgotten_here_is_news(self, mailbox: Mailbox, store: Store) -> None:
        await owe(store, told("safe", Part.ENDS))
        assert await moot(mailbox) == {"safe": False}

    async def test_what_waits_is_restated_where_it_stands(self, mailbox: Mailbox, store: Store) -> None:
        await owe(store, told("near", priority=Priority.CRITICAL), samples.message("other"))
        newer = replace(told("now"), reply=samples.reply("as it is now"), expires_at=LATER)
        assert set(await store.waiting(CHAT)) == {TOPIC}
        await store.commit(Changes(restated=(newer, told("of nothing", topic="unknown"))))
        first, _ = await mailbox.due(NOW, limit=10)
        assert first.message == replace(newer, dedupe_key="near")
        assert await store.waiting(CHAT) == {TOPIC: newer.reply}
        await mailbox.delivered([Delivered(await row_of(mailbox, "near"), "9")], NOW)
        assert await store.waiting(CHAT) == {}

    async def test_an_end_is_not_restated(self, mailbox: Mailbox, store: Store) -> None:
        await owe(store, told("safe", Part.ENDS))
        await store.commit(Changes(restated=(replace(told("x"), reply=samples.reply("worse")),)))
        (owed,) = await mailbox.due(NOW, limit=10)
        assert owed.message == told("safe", Part.ENDS)

    async def test_what_is_withdrawn_is_not_delivered(self, mailbox: Mailbox, store: Store) -> None:
        await owe(store, told("near"), told("elsewhere", chat=OTHER), told("other topic", topic="b"))
        await store.commit(Changes(withdrawn=((CHAT, TOPIC),)))
        assert await keys(mailbox) == ["elsewhere", "other topic"]

    async def test_where_and_when_was_written_is_known(self, mailbox: Mailbox, store: Store) -> None:
        await owe(store, samples.message("m1"), samples.message("m2", chat=OTHER), samples.message("m3"))
        for key, at in (("m1", NOW), ("m2", LATER)):
            await mailbox.delivered([Delivered(await row_of(mailbox, key), "9")], at)
        assert await mailbox.sent_since(NOW) == ((CHAT, NOW), (OTHER, LATER))
        assert await mailbox.sent_since(LATER) == ((OTHER, LATER),)

    async def test_who_comes_back_is_told_anew_what_still_holds(self, mailbox: Mailbox, store: Store) -> None:
        await store.commit(samples.PEOPLE)
        episode = replace(samples.episode(), hedge_id=None)
        await store.commit(Changes(episodes=(episode,)))
        await mailbox.receive([samples.request("tg:5")])
        assert await store.active_episodes(USER_ID) == (episode,)
        await mailbox.chat_unreachable(CHAT)
        await mailbox.receive([samples.request("tg:6")])
        assert await store.active_episodes(USER_ID) == ()

    # --- keeping --------------------------------------------------------------------------------

    async def test_a_secret_is_made_once(self, mailbox: Mailbox) -> None:
        buttons, other = await mailbox.secret("buttons"), await mailbox.secret("other")
        assert len(buttons) == len(other) == 32
        assert buttons != other
        assert await mailbox.secret("buttons") == buttons

    async def test_pruning_forgets_what_is_done_and_keeps_what_is_owed(
        self, mailbox: Mailbox, store: Store
    ) -> None:
        await mailbox.receive([samples.request("tg:1"), samples.request("tg:2")])
        await store.commit(Changes(outbox=(samples.message("m1"), samples.message("m2")), handled=("tg:1",)))
        await mailbox.delivered([Delivered(await row_of(mailbox, "m1"), "9")], NOW)
        await store.prune(LATER)
        assert await keys(mailbox) == ["m2"]
        assert [request.id for request in await mailbox.unhandled()] == ["tg:2"]
        await mailbox.receive([samples.request("tg:1")])
        assert len(await mailbox.unhandled()) == 2  # forgotten, hence new
