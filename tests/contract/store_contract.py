"""What every ``Store`` must do. A subclass per database gives the fixture ``store``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chatbot.chat import ChatRef, Platform, UserRef
from chatbot.domain.hedge import AccountId, HedgeId, HedgeStatus, UserId
from chatbot.domain.intent import IntentStatus, OperationId, Purpose
from chatbot.domain.operation import OperationStatus
from chatbot.domain.quote import QuoteId, QuoteKind
from chatbot.errors import Conflict, StorageError
from chatbot.ports import Changes, Store
from tests.storage import samples
from tests.storage.samples import ACCOUNT_ID, BTC, ETH, HEDGE_ID, LATER, NOW, USER_ID

OPENED = Changes(hedges=(samples.hedge(),), operations=(samples.operation(),))


class StoreContract:
    @pytest.fixture
    async def known(self, store: Store) -> Store:
        """A store that knows a user with an account."""
        await store.commit(samples.PEOPLE)
        return store

    @pytest.fixture
    async def opened(self, known: Store) -> Store:
        """... who has a hedge with an operation on its way."""
        await known.commit(OPENED)
        return known

    # --- people ---------------------------------------------------------------------------------

    async def test_a_user_comes_back_as_stored(self, known: Store) -> None:
        assert await known.user(USER_ID) == samples.user()
        assert await known.user_by_ref(UserRef(Platform.TELEGRAM, "77")) == samples.user()
        assert await known.users() == (samples.user(),)

    async def test_a_stranger_is_nobody(self, known: Store) -> None:
        assert await known.user(UserId("nobody")) is None
        assert await known.user_by_ref(UserRef(Platform.CONSOLE, "77")) is None

    async def test_a_user_may_move_to_another_chat(self, known: Store) -> None:
        moved = replace(
            samples.user(), home=ChatRef(Platform.TELEGRAM, "-100", private=False), reachable=False
        )
        await known.commit(Changes(users=(moved,)))
        assert await known.user(USER_ID) == moved

    async def test_one_person_is_one_user(self, known: Store) -> None:
        with pytest.raises(Conflict):
            await known.commit(Changes(users=(samples.user("u2"),)))

    async def test_accounts_belong_to_users(self, known: Store) -> None:
        other = samples.user("u2", chat=ChatRef(Platform.TELEGRAM, "78"))
        await known.commit(Changes(users=(other,), accounts=(samples.account("a2", user_id="u2"),)))
        assert await known.account(ACCOUNT_ID) == samples.account()
        assert await known.account(AccountId("a9")) is None
        assert await known.accounts(UserId("u2")) == (samples.account("a2", user_id="u2"),)
        assert len(await known.accounts()) == 2

    async def test_an_account_never_moves_to_another_user(self, known: Store) -> None:
        other = samples.user("u2", chat=ChatRef(Platform.TELEGRAM, "78"))
        with pytest.raises(Conflict, match="Paper"):
            await known.commit(Changes(users=(other,), accounts=(samples.account(user_id="u2"),)))
        assert await known.account(ACCOUNT_ID) == samples.account()
        renamed = replace(samples.account(), label="Mine", frozen="")
        await known.commit(Changes(accounts=(renamed,)))
        assert await known.account(ACCOUNT_ID) == renamed

    async def test_a_disconnected_account_is_known_and_no_more_among_the_accounts(self, known: Store) -> None:
        gone = replace(samples.account(), owner="uid-1", disconnected_at=LATER)
        await known.commit(Changes(accounts=(gone,)))
        assert await known.accounts() == await known.accounts(USER_ID) == ()
        assert await known.former_accounts(USER_ID) == (gone,)
        assert await known.former_accounts(UserId("u2")) == ()
        assert await known.account(ACCOUNT_ID) == gone

    async def test_an_account_of_nobody_is_refused(self, store: Store) -> None:
        with pytest.raises(StorageError) as refused:
            await store.commit(Changes(accounts=(samples.account(),)))
        assert not isinstance(refused.value, Conflict)

    # --- hedges ---------------------------------------------------------------------------------

    async def test_a_hedge_comes_back_with_both_legs(self, known: Store) -> None:
        await known.commit(Changes(hedges=(samples.full_hedge(),)))
        stored = replace(samples.full_hedge(), version=1)
        assert await known.hedge(HEDGE_ID) == stored
        assert await known.hedge_by_number(USER_ID, 3) == stored
        assert await known.hedge(HedgeId("h9")) is None
        assert await known.hedge_by_number(UserId("u2"), 3) is None

    async def test_a_hedge_may_have_one_leg_only(self, opened: Store) -> None:
        assert await opened.hedge(HEDGE_ID) == replace(samples.hedge(), version=1)

    async def test_each_write_of_a_hedge_raises_its_version(self, opened: Store) -> None:
        with_offset = replace(samples.full_hedge(), version=1)
        await opened.commit(Changes(hedges=(with_offset,)))
        assert await opened.hedge(HEDGE_ID) == replace(with_offset, version=2)

    async def test_a_leg_may_go_again(self, known: Store) -> None:
        await known.commit(Changes(hedges=(samples.full_hedge(),)))
        await known.commit(Changes(hedges=(replace(samples.full_hedge(), version=1, offset=None),)))
        stored = await known.hedge(HEDGE_ID)
        assert stored is not None
        assert stored.offset is None

    @pytest.mark.parametrize("version", [0, 2, 7])
    async def test_a_hedge_of_another_version_is_a_conflict(self, opened: Store, version: int) -> None:
        with pytest.raises(Conflict, match="#3"):
            await opened.commit(Changes(hedges=(replace(samples.hedge(), version=version, attempt=1),)))
        assert await opened.hedge(HEDGE_ID) == replace(samples.hedge(), version=1)

    async def test_a_hedge_that_was_never_stored_cannot_be_changed(self, known: Store) -> None:
        with pytest.raises(Conflict):
            await known.commit(Changes(hedges=(replace(samples.hedge(), version=1),)))

    async def test_one_live_hedge_per_account_and_symbol(self, opened: Store) -> None:
        with pytest.raises(Conflict):
            await opened.commit(Changes(hedges=(samples.hedge("h2", number=4),)))

    async def test_a_closed_hedge_makes_room_even_in_the_same_transaction(self, opened: Store) -> None:
        closed = replace(samples.hedge(), version=1, status=HedgeStatus.CLOSED)
        await opened.commit(Changes(hedges=(samples.hedge("h2", number=4), closed)))
        assert [hedge.number for hedge in await opened.live_hedges()] == [4]

    async def test_a_number_is_used_once_per_user(self, opened: Store) -> None:
        with pytest.raises(Conflict):
            await opened.commit(Changes(hedges=(samples.hedge("h2", number=3, symbol=BTC),)))

    async def test_numbers_go_on_after_closed_hedges(self, opened: Store) -> None:
        closed = replace(samples.hedge(), version=1, status=HedgeStatus.CLOSED)
        await opened.commit(Changes(hedges=(closed,)))
        assert await opened.next_hedge_number(USER_ID) == 4
        assert await opened.next_hedge_number(UserId("u2")) == 1

    @pytest.mark.parametrize(
        ("purpose", "status", "found"),
        [
            (Purpose.CLOSE_AT_PRICE, IntentStatus.FILLED, [3]),
            (Purpose.CLOSE_AT_PRICE, IntentStatus.OPEN, []),
            (Purpose.STOP_LOSS, IntentStatus.FILLED, []),
        ],
    )
    async def test_a_hedge_has_fired_once_an_order_that_closes_at_a_price_has_filled(
        self, opened: Store, purpose: Purpose, status: IntentStatus, found: list[int]
    ) -> None:
        order = replace(samples.intent(), purpose=purpose, status=status)
        await opened.commit(Changes(intents=(order,)))
        assert [hedge.number for hedge in await opened.fired_hedges()] == found

    async def test_the_newest_hedges_are_one_user_s_live_or_closed(self, opened: Store) -> None:
        closed = replace(samples.hedge(), version=1, status=HedgeStatus.CLOSED)
        new = (samples.hedge("h2", number=4), samples.hedge("h3", number=5, symbol=BTC))
        await opened.commit(Changes(hedges=(closed, *new)))
        newest = [hedge.number for hedge in await opened.newest_hedges(USER_ID, 2)]
        assert newest == [4, 5]
        assert [hedge.number for hedge in await opened.newest_hedges(USER_ID, 9)] == [3, 4, 5]
        assert await opened.newest_hedges(UserId("u2"), 9) == ()

    async def test_live_hedges_ascend_by_number(self, opened: Store) -> None:
        await opened.commit(Changes(hedges=(samples.hedge("h2", number=1, symbol=BTC),)))
        for found in (
            await opened.live_hedges(),
            await opened.live_hedges(account_id=ACCOUNT_ID),
            await opened.live_hedges(user_id=USER_ID),
            await opened.live_hedges(account_id=ACCOUNT_ID, user_id=USER_ID),
        ):
            assert [(hedge.number, hedge.symbol) for hedge in found] == [(1, BTC), (3, ETH)]
        assert await opened.live_hedges(account_id=AccountId("a2")) == ()
        assert await opened.live_hedges(user_id=UserId("u2")) == ()

    async def test_a_frozen_hedge_is_live(self, known: Store) -> None:
        await known.commit(Changes(hedges=(samples.full_hedge(),)))
        assert len(await known.live_hedges()) == 1

    # --- operations and their orders ------------------------------------------------------------

    async def test_an_operation_comes_back_as_stored(self, opened: Store) -> None:
        stored = replace(samples.operation(), version=1)
        assert await opened.operation(stored.id) == stored
        assert await opened.operation_of_quote(QuoteId("q1")) == (stored,)
        assert await opened.operation(OperationId("op9")) is None
        assert await opened.operation_of_quote(QuoteId("q9")) == ()

    async def test_an_operation_of_another_version_is_a_conflict(self, opened: Store) -> None:
        await opened.commit(Changes(operations=(replace(samples.operation(), version=1, stage=2),)))
        for version in (0, 1):
            with pytest.raises(Conflict):
                await opened.commit(Changes(operations=(replace(samples.operation(), version=version),)))
        stored = await opened.operation(OperationId("op1"))
        assert stored is not None
        assert (stored.version, stored.stage) == (2, 2)

    @pytest.mark.parametrize("status", list(OperationStatus))
    async def test_unfinished_operations_are_those_without_a_final_status(
        self, known: Store, status: OperationStatus
    ) -> None:
        operation = replace(samples.operation(), status=status)
        await known.commit(Changes(hedges=(samples.hedge(),), operations=(operation,)))
        expected = () if status.final else (replace(operation, version=1),)
        assert await known.unfinished_operations() == expected
        assert await known.unfinished_operations(ACCOUNT_ID) == expected
        assert await known.unfinished_operations(AccountId("a2")) == ()

    async def test_intents_keep_the_order_of_the_journal(self, opened: Store) -> None:
        both = (samples.intent("HRh1XO2"), samples.intent("HRh1PO1"))
        await opened.commit(Changes(intents=both))
        await opened.commit(Changes(intents=(replace(both[0], status=IntentStatus.OPEN),)))
        expected = (replace(both[0], status=IntentStatus.OPEN), both[1])
        assert await opened.intents(operation_id=OperationId("op1")) == expected
        assert await opened.intents(hedge_id=HEDGE_ID) == expected
        assert await opened.intents(operation_id=OperationId("op1"), hedge_id=HEDGE_ID) == expected
        assert await opened.intents(operation_id=OperationId("op9")) == ()

    async def test_an_intent_comes_back_as_stored(self, opened: Store) -> None:
        await opened.commit(Changes(intents=(samples.intent(),)))
        assert await opened.intent("HRh1XO1") == samples.intent()
        assert await opened.intent("HRh9XO1") is None

    async def test_an_order_id_belongs_to_one_operation(self, opened: Store) -> None:
        second = replace(samples.operation("op2"))
        await opened.commit(Changes(operations=(second,), intents=(samples.intent(),)))
        with pytest.raises(Conflict, match="HRh1XO1"):
            await opened.commit(Changes(intents=(samples.intent(operation_id="op2"),)))

    async def test_a_settled_intent_stays_settled(self, opened: Store) -> None:
        filled = replace(samples.intent(), status=IntentStatus.FILLED)
        await opened.commit(Changes(intents=(filled,)))
        for status in (IntentStatus.JOURNALED, IntentStatus.OPEN, IntentStatus.REJECTED):
            with pytest.raises(Conflict):
                await opened.commit(Changes(intents=(replace(filled, status=status),)))
        await opened.commit(Changes(intents=(replace(filled, fee=samples.D("0.6")),)))
        assert await opened.intent("HRh1XO1") == replace(filled, fee=samples.D("0.6"))

    async def test_an_order_that_was_sent_is_never_unsent_again(self, opened: Store) -> None:
        await opened.commit(Changes(intents=(replace(samples.intent(), status=IntentStatus.UNKNOWN),)))
        with pytest.raises(Conflict):
            await opened.commit(Changes(intents=(samples.intent(),)))

    async def test_an_intent_without_its_operation_is_refused(self, known: Store) -> None:
        await known.commit(Changes(hedges=(samples.hedge(),)))
        with pytest.raises(StorageError):
            await known.commit(Changes(intents=(samples.intent(),)))

    async def test_notes_are_appended_in_order(self, opened: Store) -> None:
        await opened.commit(Changes(intents=(samples.intent(),), notes=(samples.note("sent"),)))
        await opened.commit(Changes(notes=(samples.note("lost"), samples.note("found"))))
        notes = await opened.intent_notes("HRh1XO1")
        assert notes == (samples.note("sent"), samples.note("lost"), samples.note("found"))

    # --- money ----------------------------------------------------------------------------------

    async def test_fills_come_back_by_time(self, opened: Store) -> None:
        late, early = samples.fill("f1", at=LATER), samples.fill("f2", at=NOW)
        await opened.commit(Changes(fills=(late, early)))
        assert await opened.booked_fills(HEDGE_ID) == (early, late)
        assert await opened.booked_fill_keys(AccountId("a1")) == {"f1", "f2"}
        assert await opened.booked_fill_keys(AccountId("a9")) == frozenset()

    async def test_a_fill_is_booked_once(self, opened: Store) -> None:
        await opened.commit(Changes(fills=(samples.fill("f1"),)))
        with pytest.raises(Conflict, match="f1"):
            await opened.commit(Changes(fills=(samples.fill("f2"), samples.fill("f1"))))
        assert await opened.booked_fill_keys(AccountId("a1")) == {"f1"}

    async def test_two_accounts_may_have_fills_of_one_key(self, opened: Store) -> None:
        await opened.commit(Changes(accounts=(samples.account("a2"),), fills=(samples.fill("f1"),)))
        await opened.commit(Changes(fills=(samples.fill("f1", account_id="a2"),)))
        assert len(await opened.booked_fills(HEDGE_ID)) == 2

    async def test_a_funding_payment_is_booked_once(self, opened: Store) -> None:
        await opened.commit(Changes(funding=(samples.funding("p2", at=LATER), samples.funding("p1"))))
        with pytest.raises(Conflict, match="p1"):
            await opened.commit(Changes(funding=(samples.funding("p1"),)))
        booked = await opened.booked_funding(HEDGE_ID)
        assert booked == (samples.funding("p1"), samples.funding("p2", at=LATER))

    # --- quotes ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", list(QuoteKind))
    async def test_a_quote_comes_back_as_offered(self, known: Store, kind: QuoteKind) -> None:
        await known.commit(Changes(quotes=(samples.quote(kind=kind),)))
        assert await known.quote(QuoteId("q1")) == samples.quote(kind=kind)
        assert await known.quote(QuoteId("q9")) is None

    async def test_a_quote_is_spent_once(self, known: Store) -> None:
        await known.commit(Changes(quotes=(samples.quote(),)))
        await known.commit(Changes(spend_quote=(QuoteId("q1"), "tg:9", "offset_first", LATER)))
        with pytest.raises(Conflict):
            await known.commit(Changes(spend_quote=(QuoteId("q1"), "tg:10", "at_once", LATER)))
        spent = replace(samples.quote(), used_at=LATER, used_by="tg:9", choice="offset_first")
        assert await known.quote(QuoteId("q1")) == spent

    async def test_an_unknown_quote_cannot_be_spent(self, known: Store) -> None:
        with pytest.raises(Conflict):
            await known.commit(Changes(spend_quote=(QuoteId("q9"), "tg:9", "", NOW)))

    async def test_a_quote_is_stored_once(self, known: Store) -> None:
        await known.commit(Changes(quotes=(samples.quote(),)))
        with pytest.raises(Conflict):
            await known.commit(Changes(quotes=(samples.quote(),)))

    # --- alerts ---------------------------------------------------------------------------------

    async def test_an_active_episode_follows_its_condition(self, opened: Store) -> None:
        await opened.commit(Changes(episodes=(samples.episode(),)))
        worse = replace(samples.episode(), level=2, told_level=2, told_at=LATER)
        await opened.commit(Changes(episodes=(worse,)))
        assert await opened.active_episodes(USER_ID) == (worse,)
        assert await opened.active_episodes(UserId("u2")) == ()

    async def test_one_active_episode_per_key(self, opened: Store) -> None:
        await opened.commit(Changes(episodes=(samples.episode(),)))
        with pytest.raises(Conflict):
            await opened.commit(Changes(episodes=(samples.episode(since=LATER),)))

    async def test_a_cleared_condition_may_rise_again_in_the_same_transaction(self, opened: Store) -> None:
        await opened.commit(Changes(episodes=(samples.episode(),)))
        again, cleared = samples.episode(since=LATER), replace(samples.episode(), cleared_at=LATER)
        await opened.commit(Changes(episodes=(again, cleared)))
        assert await opened.active_episodes(USER_ID) == (again,)

    # --- transactions ---------------------------------------------------------------------------

    async def test_a_conflict_leaves_nothing_behind(self, opened: Store) -> None:
        everything = Changes(
            users=(samples.user("u2", chat=ChatRef(Platform.TELEGRAM, "78")),),
            hedges=(samples.hedge("h2", number=4, symbol=BTC),),
            intents=(samples.intent(),),
            fills=(samples.fill(),),
            quotes=(samples.quote(),),
            episodes=(samples.episode(),),
            spend_quote=(QuoteId("q9"), "tg:9", "", NOW),
        )
        with pytest.raises(Conflict):
            await opened.commit(everything)
        assert await opened.user(UserId("u2")) is None
        assert await opened.hedge(HedgeId("h2")) is None
        assert await opened.intents() == ()
        assert await opened.booked_fills(HEDGE_ID) == ()
        assert await opened.quote(QuoteId("q1")) is None
        assert await opened.active_episodes(USER_ID) == ()

    async def test_no_changes_are_no_error(self, store: Store) -> None:
        await store.commit(Changes())

    async def test_audit_entries_are_taken(self, known: Store) -> None:
        await known.commit(Changes(audit=(samples.audit(), replace(samples.audit(), user_id=None))))

    async def test_pruning_forgets_old_quotes_but_never_money(self, opened: Store) -> None:
        await opened.commit(
            Changes(
                quotes=(samples.quote("old", expires_at=NOW), samples.quote("new", expires_at=LATER)),
                fills=(samples.fill(),),
                funding=(samples.funding(),),
            )
        )
        await opened.prune(NOW + timedelta(seconds=1))
        assert await opened.quote(QuoteId("old")) is None
        assert await opened.quote(QuoteId("new")) is not None
        assert len(await opened.booked_fills(HEDGE_ID)) == len(await opened.booked_funding(HEDGE_ID)) == 1
        assert await opened.hedge(HEDGE_ID) is not None
