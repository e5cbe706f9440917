"""What every ``Mailbox`` must do. A subclass per database gives the fixtures ``mailbox`` and ``store``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from chatbot.chat import ChatRef, OutboxMessage, Picture, Platform, Priority
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
