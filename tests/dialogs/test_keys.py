"""Connecting accounts in a chat: what is asked, what is refused, and what is left of a key afterwards."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from chatbot.chat import Platform, UserRef
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import PositionMode, PositionSide
from chatbot.domain.quote import CloseQuote, CloseRequest, Quote
from chatbot.errors import BadCredentials, Busy, MissingPermission, VenueUnavailable
from chatbot.ports import Account, KeyReport, Sighting
from chatbot.venues.paper.faults import Late, Unavailable
from tests.dialogs.harness import ANN, BOB, BTC, GROUP, NOON, Card, Dialog, a_dialog, home_of
from tests.exchanges import ScriptedExchanges, key

SECRET = "sEcReT0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3aB4cD5eF6gH7iJ8kL9"
CONSOLE = UserRef(Platform.CONSOLE, "local")


@pytest.fixture
def exchanges() -> ScriptedExchanges:
    return ScriptedExchanges()


async def hands_in(dialog: Dialog, *parts: str, venue: str = "binance", by: UserRef = ANN) -> Card:
    """Key by key in the chat; the last card."""
    await dialog.says(f"/connect {venue}", by=by)
    for part in parts:
        await dialog.says(part, by=by)
    return dialog.latest


async def labels(dialog: Dialog, by: UserRef = ANN) -> list[str]:
    user = await dialog.bot.store.user_by_ref(by)
    assert user is not None
    accounts = await dialog.bot.store.accounts(user.id)
    return sorted((account.label for account in accounts), key=lambda label: (label != "paper", label))


async def exchange_account(dialog: Dialog) -> Account:
    return next(account for account in await dialog.bot.store.accounts() if account.venue != "paper")


# --- the way in -----------------------------------------------------------------------------------


async def test_a_key_is_asked_for_part_by_part_and_tried_at_once(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        (first,) = await dialog.says("/connect binance")
        assert "Now send the API key." in first.text
        assert "withdrawals" in first.text

        (second,) = await dialog.says(key())
        assert second.text.startswith("Taken. Now the secret.")
        (done,) = await dialog.says(SECRET)

        assert done.text.startswith("✅ binance is connected · key …kkkk")
        assert exchanges.asked == [("binance", "kkkk")]
        assert await labels(dialog) == ["paper", "binance"]


async def test_both_parts_may_come_in_one_message(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        card = await hands_in(dialog, f"{key()}\n{SECRET}")
        assert "is connected" in card.text


async def test_a_passphrase_is_asked_for_where_there_is_one(exchanges: ScriptedExchanges) -> None:
    okx = exchanges.knows("9a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")
    async with a_dialog(exchanges=exchanges) as dialog:
        card = await hands_in(dialog, okx, "3F9AD1C07BE24586A0C1E2D3F4051627", venue="okx")
        assert "passphrase of the key" in card.text
        (done,) = await dialog.says("my pass phrase")
        assert "okx is connected" in done.text
        account = await exchange_account(dialog)
        assert (await dialog.bot.keys.vault.open(account)).passphrase == "my pass phrase"


async def test_each_message_with_a_part_is_deleted(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        assert dialog.screen.erased == ["m2", "m3"]


async def test_whoever_has_to_delete_it_himself_is_told(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        dialog.screen.erases = False
        await dialog.says("/connect binance")
        (second,) = await dialog.says(key())
        (done,) = await dialog.says(SECRET)
        for card in (second, done):
            assert "please delete it yourself" in card.text


async def test_whoever_has_to_delete_a_refused_key_himself_is_told(exchanges: ScriptedExchanges) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        dialog.screen.erases = False
        card = await hands_in(dialog, key(), SECRET)
        assert "does not accept this key" in card.text
        assert "please delete it yourself" in card.text


async def test_the_terminal_has_no_messages_to_delete(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        (first,) = await dialog.says("/connect binance", by=CONSOLE)
        assert "What you type is not shown." in first.text


async def test_cancel_ends_the_entry(exchanges: ScriptedExchanges) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key())
        assert await dialog.reads("/cancel") == "Canceled. Nothing was stored."
        assert await dialog.reads("/cancel") == "There is nothing to cancel."
        assert await dialog.reads("hello") == "I listen to commands; /help lists them."
        assert exchanges.asked == []


async def test_other_commands_work_while_a_key_is_entered(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key())
        assert "Nothing is open." in await dialog.reads("/status")
        assert "is connected" in await dialog.reads(SECRET)


async def test_a_secret_may_begin_with_a_slash(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    secret = f"/{SECRET}+/=="
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), secret)
        account = await exchange_account(dialog)
        assert (await dialog.bot.keys.vault.open(account)).secret == secret


async def test_an_entry_expires_and_what_comes_late_is_still_kept_from_the_record(
    exchanges: ScriptedExchanges,
) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key())
        await dialog.clock.advance(301)
        await dialog.bot.keys.forget_stale()

        late = await dialog.reads("short-secret")

        assert "That took too long" in late
        assert "short-secret" not in late
        assert dialog.screen.erased[-1] == "m3"
        assert await labels(dialog) == ["paper"]


async def test_the_entry_of_one_user_is_not_anothers(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await dialog.says("/connect binance", by=ANN)
        assert "looked like a key" in await dialog.reads(key(), by=BOB)
        assert await dialog.reads("hello", by=BOB) == "I listen to commands; /help lists them."


async def test_only_in_a_private_chat(exchanges: ScriptedExchanges) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        for command in ("/connect binance", "/accounts", "/disconnect binance"):
            assert "only in a private chat" in await dialog.reads(command, chat=GROUP)


async def test_without_a_name_the_exchanges_are_offered(exchanges: ScriptedExchanges) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        (card,) = await dialog.says("/connect")
        assert card.labels == ["binance", "bybit", "okx"]
        await dialog.taps(card, "bybit")
        assert "Connect bybit" in dialog.latest.text


async def test_a_bot_on_paper_says_so() -> None:
    async with a_dialog() as dialog:
        assert "trades on paper" in await dialog.reads("/connect")
        assert "trades on paper" in await dialog.reads("/connect binance")
        assert "Connect an exchange" not in (await dialog.says("/start"))[0].labels


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/connect binanse", "Did you mean binance?"),
        ("/connect wazirx", "wazirx has no futures"),
        ("/connect nowhere", "do not know an exchange of that name"),
        ("/connect binance my-key my-secret", "the key comes afterwards, not in the command"),
        ("/connect yes", "do not know an exchange of that name"),
        ("/disconnect", "Which account?"),
        ("/disconnect nothing", "no account of that name. Yours: paper."),
        ("/disconnect paper", "has no key and stays"),
        ("/accounts all", "Nothing is to be said behind that"),
        ("/settings account nothing", "no account of that name"),
    ],
)
async def test_a_mistake_is_one_clear_sentence_and_changes_nothing(
    exchanges: ScriptedExchanges, typed: str, said: str
) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        assert said in await dialog.reads(typed)
        assert await labels(dialog) == ["paper"]


# --- what is refused ------------------------------------------------------------------------------

BYBIT_KEY, BYBIT_SECRET = "aB3dE5fG7hJ9kL1mN2", "qW8eR7tY6uI5oP4aS3dF2gH1jK0lZ9xC8vB7"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"can_move_funds": True}, "the key may withdraw or transfer money"),
        ({"can_trade": False}, "the key may not trade futures"),
        ({"can_read": False}, "the key may not read positions"),
        ({"expires_at": NOON - timedelta(days=1)}, "the key has expired"),
    ],
)
async def test_a_key_with_the_wrong_rights_is_refused_and_nothing_stored(
    exchanges: ScriptedExchanges, changes: dict[str, object], said: str
) -> None:
    exchanges.knows(key(), **changes)
    async with a_dialog(exchanges=exchanges) as dialog:
        card = await hands_in(dialog, key(), SECRET)
        assert said in card.text
        assert "Nothing was stored." in card.text
        assert await labels(dialog) == ["paper"]
        assert await dialog.bot.keys.vault.all_facts() == ()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BadCredentials("Invalid Api-Key"), "binance does not accept this key."),
        (MissingPermission("Enable Futures first"), "does not let this key read and trade futures: Enable"),
        (VenueUnavailable("connection reset"), "binance cannot be reached just now; nothing was stored."),
    ],
)
async def test_what_the_exchange_says_against_a_key_is_one_sentence(
    exchanges: ScriptedExchanges, error: Exception, said: str
) -> None:
    exchanges.reports[key()] = error
    async with a_dialog(exchanges=exchanges) as dialog:
        card = await hands_in(dialog, key(), SECRET)
        assert said in card.text
        assert await labels(dialog) == ["paper"]


async def test_no_text_of_the_exchange_gives_the_key_away(exchanges: ScriptedExchanges) -> None:
    exchanges.reports[key()] = MissingPermission(f"key {key()} with {SECRET} is not enabled")
    async with a_dialog(exchanges=exchanges) as dialog:
        card = await hands_in(dialog, key(), SECRET)
        assert key() not in card.text
        assert SECRET not in card.text


async def test_swapped_parts_are_never_sent_anywhere(exchanges: ScriptedExchanges) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        card = await hands_in(dialog, BYBIT_SECRET, BYBIT_KEY, venue="bybit")
        assert "Key and secret are swapped" in card.text
        assert exchanges.asked == []


async def test_a_key_that_was_cut_off_is_named(exchanges: ScriptedExchanges) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        card = await hands_in(dialog, key()[:60], SECRET)
        assert "The key may have been cut off" in card.text


async def test_the_same_text_twice_is_told(exchanges: ScriptedExchanges) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        assert "one of them was pasted twice" in (await hands_in(dialog, key(), key())).text


async def test_a_key_is_connected_once(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        again = await hands_in(dialog, key(), SECRET)
        assert "connected already, as binance" in again.text
        assert await labels(dialog) == ["paper", "binance"]


async def test_another_users_key_is_refused_without_telling_whose(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET, by=ANN)
        card = await hands_in(dialog, key(), SECRET, by=BOB)
        assert "is connected here already; nothing was stored" in card.text
        assert "Ann" not in card.text
        assert "telegram:1" not in card.text
        assert await labels(dialog, BOB) == ["paper"]


async def test_two_keys_of_one_exchange_account_are_not_two_accounts(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key("a"), owner="uid-1")
    exchanges.knows(key("b"), owner="uid-1")
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key("a"), SECRET, by=ANN)
        other = await hands_in(dialog, key("b"), SECRET, by=BOB)
        assert "connected here already" in other.text
        renewed = await hands_in(dialog, key("b"), SECRET, by=ANN)
        assert renewed.text.startswith("✅ binance has a new key · key …bbbb")
        assert await labels(dialog) == ["paper", "binance"]


async def test_two_accounts_of_one_exchange_are_numbered(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key("a"), owner="uid-1")
    exchanges.knows(key("b"), owner="uid-2")
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key("a"), SECRET)
        assert "binance-2 is connected" in (await hands_in(dialog, key("b"), SECRET)).text


async def test_tries_are_limited_and_the_exchange_is_left_alone_then(exchanges: ScriptedExchanges) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        for _ in range(6):
            await hands_in(dialog, key(), SECRET)
        await dialog.clock.advance(90)

        told = await dialog.reads("/connect binance")

        assert told.startswith("Those were too many tries on binance; nothing was sent. Try again in 9 min")
        assert len(exchanges.asked) == 6
        await dialog.clock.advance(511)
        assert "does not accept" in (await hands_in(dialog, key(), SECRET)).text


async def test_tries_on_one_exchange_are_none_on_another(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key("b"))
    async with a_dialog(exchanges=exchanges) as dialog:
        for _ in range(6):
            await hands_in(dialog, key(), SECRET)
        assert "bybit is connected" in (await hands_in(dialog, key("b"), SECRET, venue="bybit")).text


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((" a b c",), "The API key has a space in it"),
        ((key(), "b c"), "The secret has a space in it"),
        (("ab***cd",), "The API key is masked"),
    ],
)
async def test_what_cannot_be_a_key_is_told_at_once_and_by_its_name(
    exchanges: ScriptedExchanges, parts: tuple[str, ...], said: str
) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        card = await hands_in(dialog, *parts)
        assert card.text.startswith(said)
        assert "Nothing was stored. /connect binance starts again." in card.text
        assert exchanges.asked == []


async def test_a_key_of_letters_alone_is_kept_from_the_record_too(exchanges: ScriptedExchanges) -> None:
    letters = "vmPUZEbmvnSDoVNHkqHlWFsOrzaKEwzvswpMuIgwCIPyhutIcolyRJugDduEhxAt"
    async with a_dialog(exchanges=exchanges) as dialog:
        (card,) = await dialog.says(letters)
        assert "That looked like a key or a secret. I deleted it" in card.text
        assert dialog.screen.erased == ["m1"]


# --- what the exchange cannot tell ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("unknown", "point"),
    [
        ("can_move_funds", "the key cannot withdraw or transfer money"),
        ("can_trade", "it may trade futures"),
        ("ip_restricted", "restricted to this bot's address"),
    ],
)
async def test_what_an_exchange_cannot_tell_is_asked_before_anything_is_stored(
    exchanges: ScriptedExchanges, unknown: str, point: str
) -> None:
    exchanges.knows(key(), **{unknown: None})
    async with a_dialog(exchanges=exchanges) as dialog:
        card = await hands_in(dialog, key(), SECRET)
        assert point in card.text
        assert await dialog.bot.keys.vault.all_facts() == ()

        await dialog.taps(card, "Yes, I checked")

        assert "binance is connected" in card.text
        assert await labels(dialog) == ["paper", "binance"]


async def test_a_no_drops_the_key(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key(), can_move_funds=None)
    async with a_dialog(exchanges=exchanges) as dialog:
        card = await hands_in(dialog, key(), SECRET)
        yes = card.button("Yes, I checked").data
        await dialog.taps(card, "No, drop it")
        assert card.text == "Dropped. Nothing was stored."
        await dialog.clicks(card, yes)
        assert await labels(dialog) == ["paper"]


async def test_a_question_that_nobody_answers_is_dropped(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key(), can_move_funds=None)
    async with a_dialog(exchanges=exchanges) as dialog:
        card = await hands_in(dialog, key(), SECRET)
        await dialog.clock.advance(301)
        await dialog.taps(card, "Yes, I checked")
        assert await labels(dialog) == ["paper"]


# --- living with accounts -------------------------------------------------------------------------


async def test_accounts_show_what_matters_and_no_more_of_a_key_than_its_end(
    exchanges: ScriptedExchanges,
) -> None:
    exchanges.knows(
        key(),
        ip_restricted=False,
        expires_at=NOON + timedelta(days=3),
        position_mode=PositionMode.ONE_WAY,
    )
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        (card,) = await dialog.says("/accounts")
        assert "paper · simulated · orders go here" in card.text
        assert "binance · binance · key …kkkk · one-way mode" in card.text
        assert "works from any address" in card.text
        assert "expires on 5 Mar 2026" in card.text
        assert "one-way mode; hedges need hedge mode" in card.text
        assert key() not in card.text
        assert card.labels == ["Make binance default", "Disconnect binance", "Connect an exchange"]


async def test_accounts_show_the_mode_as_last_seen_and_a_clock_that_differs(
    exchanges: ScriptedExchanges,
) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        (before,) = await dialog.says("/accounts")
        assert "hedge mode" in before.text
        account = await exchange_account(dialog)

        exchanges.sightings[account.id] = Sighting(PositionMode.ONE_WAY, timedelta(seconds=-8))
        (after,) = await dialog.says("/accounts")

        assert "binance · binance · key …kkkk · one-way mode" in after.text
        assert "hedges need hedge mode: /settings mode hedge on binance." in after.text
        assert "The clock of binance is 8 s behind this bot's: live streams may be refused" in after.text


async def test_orders_go_to_paper_until_the_user_says_otherwise(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        card = await hands_in(dialog, key(), SECRET)
        assert "Connected: paper account" in await dialog.reads("/start")

        await dialog.taps(card, "Use binance")

        assert "Orders go to binance from now on." in dialog.latest.text
        assert "Connected: binance on binance." in await dialog.reads("/start")
        assert "key …kkkk · hedge mode · orders go here" in await dialog.reads("/accounts")
        assert "Paper account: equity" in await dialog.reads("/paper")
        assert "from now on" in await dialog.reads("/settings account paper")


async def test_who_turns_to_another_account_is_told_what_stays_open(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        await dialog.does("/open BTC long 0.05 10x")
        one = await dialog.reads("/settings account binance")
        assert "#1 stays where it is; commands and alerts find it by its number." in one
        await dialog.does("/open ETH long 1 10x on paper")
        two = await dialog.reads("/settings account binance")
        assert "#1 and #2 stay where they are; commands and alerts find them by their numbers." in two
        assert "stays" not in await dialog.reads("/settings account paper")
        assert "BTC long 0.05" in await dialog.reads("/status")


async def two_accounts(dialog: Dialog) -> None:
    """#1 on paper, #2 on binance, where orders go from now on."""
    await hands_in(dialog, key(), SECRET)
    await dialog.does("/open BTC long 0.05 10x")
    await dialog.says("/settings account binance")
    await dialog.does("/open BTC long 0.01 10x")


async def test_a_hedge_is_found_by_its_number_on_whatever_account_it_is(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await two_accounts(dialog)

        (offer,) = await dialog.says("/close #1")
        assert offer.text.startswith("On paper:\nClose #1 BTC")
        assert "sell 0.050 (long)" in offer.text
        await dialog.taps(offer, "Close")
        assert "#1 BTC closed" in offer.text

        assert (await dialog.reads("/close #2")).startswith("On binance:\nClose #2 BTC")
        assert "BTC long 0.01" in await dialog.reads("/status")


async def test_one_order_may_go_to_another_account_without_turning_to_it(
    exchanges: ScriptedExchanges,
) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await two_accounts(dialog)

        (offer,) = await dialog.says("/open ETH long 1 on paper")
        assert offer.text.startswith("On paper:\n📈 Long 1 ETH")
        await dialog.taps(offer, "Confirm")
        assert (await dialog.reads("/open ETH long 1")).startswith("On binance:")
        assert "You have no account of that name" in await dialog.reads("/open ETH long 1 on kraken")
        assert "is on another account than you named" in await dialog.reads("/close #2 on paper")


async def test_the_status_shows_every_account_and_says_which(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await two_accounts(dialog)

        cards = [card.text for card in await dialog.says("/status")]

        assert [text.splitlines()[0].rsplit(" · ", 1)[1] for text in cards] == ["binance", "paper"]
        assert "Nothing is open on" not in "".join(cards)
        assert len(await dialog.says("/status on paper")) == 1


async def test_the_simulated_account_is_meant_by_paper_wherever_orders_go(
    exchanges: ScriptedExchanges,
) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await two_accounts(dialog)
        assert "Deposited 500.00 USDT" in await dialog.reads("/paper deposit 500")
        await dialog.says("/paper elsewhere ETH long 1")
        (status, *_) = [c for c in await dialog.says("/status") if "ETH long 1" in c.text]
        assert status.text.splitlines()[0].endswith("· paper")


async def test_what_was_found_on_an_account_is_hedged_there(exchanges: ScriptedExchanges) -> None:
    """The button names the account: the market alone would be looked for where orders go."""
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await dialog.says("/paper elsewhere ETH long 1")
        await hands_in(dialog, key(), SECRET)
        await dialog.says("/settings account binance")

        (card,) = await dialog.says("/status")
        await dialog.taps(card, "Hedge ETH")

        assert dialog.latest.text.startswith("On paper:\n🔒 Lock")


async def test_a_hedge_of_a_disconnected_account_says_how_to_get_back(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        await dialog.says("/settings account binance")
        await dialog.does("/open BTC long 0.05 10x")
        await leaves(dialog, "binance")
        assert "which has no key any more: /connect binance." in await dialog.reads("/close #1")


async def trades_behind(dialog: Dialog, account: Account, quantity: str, *, opens: bool) -> None:
    """The long, in the exchange's own app."""
    await dialog.bot.exchange.trade_elsewhere(
        account.id, BTC, PositionSide.LONG, Decimal(quantity), opens=opens, reference=f"{quantity} {opens}"
    )


async def a_pair_is_left_behind(exchanges: ScriptedExchanges, dialog: Dialog) -> Account:
    """#1, BTC and hedged, on binance, whose key is gone."""
    exchanges.knows(key())
    await hands_in(dialog, key(), SECRET)
    await dialog.says("/settings account binance")
    await dialog.does("/open BTC long 0.05 10x")
    await dialog.price(BTC, 110_000)
    await dialog.does("/hedge BTC")
    account = await exchange_account(dialog)
    await leaves(dialog, "binance")
    return account


async def test_a_new_key_takes_up_the_account_whose_positions_it_holds(exchanges: ScriptedExchanges) -> None:
    """Binance does not tell whose a key is."""
    async with a_dialog(exchanges=exchanges) as dialog:
        account = await a_pair_is_left_behind(exchanges, dialog)
        exchanges.books[exchanges.knows(key("n"))] = account.id

        card = await hands_in(dialog, key("n"), SECRET)

        assert card.text.startswith("✅ binance has a new key · key …nnnn")
        assert "It holds exactly what #1 held, so it is that account again, history and all." in card.text
        assert await labels(dialog) == ["paper", "binance"]
        await dialog.does("/close #1", button="Both at once")
        assert "#1 BTC closed" in dialog.latest.text


async def test_the_very_same_key_brings_its_account_back(exchanges: ScriptedExchanges) -> None:
    """Also with nothing open, and when what was open has changed since."""
    async with a_dialog(exchanges=exchanges) as dialog:
        account = await a_pair_is_left_behind(exchanges, dialog)
        await trades_behind(dialog, account, "0.02", opens=False)

        card = await hands_in(dialog, key(), SECRET)

        assert card.text.startswith("✅ binance has a new key · key …kkkk")
        assert (await exchange_account(dialog)).id == account.id


@pytest.mark.parametrize("changed", ["quantity", "price", "other account"])
async def test_a_key_that_holds_something_else_is_a_new_account_and_says_what_to_do(
    exchanges: ScriptedExchanges, changed: str
) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        account = await a_pair_is_left_behind(exchanges, dialog)
        same = changed != "other account"
        exchanges.books[exchanges.knows(key("n"))] = account.id if same else AccountId("another")
        if same:
            await trades_behind(dialog, account, "0.02", opens=False)
        if changed == "price":
            await dialog.price(BTC, 111_000)
            await trades_behind(dialog, account, "0.02", opens=True)

        card = await hands_in(dialog, key("n"), SECRET)

        assert card.text.startswith("✅ binance-2 is connected · key …nnnn")
        assert "⚠️ #1 on binance waits without a key. binance does not tell whose a key is" in card.text
        assert ("/adopt SYMBOL on binance-2" in card.text) == same
        if same:
            await dialog.taps(card, "Adopt BTC")
            assert "#2 BTC is a hedge of mine from now on" in dialog.latest.text


async def test_an_exchange_that_is_gone_before_the_account_is_recognized_stores_nothing(
    exchanges: ScriptedExchanges,
) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        account = await a_pair_is_left_behind(exchanges, dialog)
        exchanges.books[exchanges.knows(key("n"))] = account.id
        exchanges.door(account.id).faults.on_reads(Unavailable())

        card = await hands_in(dialog, key("n"), SECRET)

        assert "binance cannot be reached just now; nothing was stored" in card.text
        assert await labels(dialog) == ["paper"]


async def test_panic_is_about_every_account(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        await dialog.does("/open BTC long 0.05 10x")
        await dialog.says("/settings account binance")
        await dialog.does("/open ETH long 1 10x")

        here, there = await dialog.says("/panic")
        assert "New openings are paused" in here.text
        assert there.text.startswith("On paper:")
        for card in (there, here):
            await dialog.taps(card, card.labels[0])

        assert await dialog.bot.store.live_hedges() == ()


async def test_panic_says_where_no_way_out_could_be_offered(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        account = await exchange_account(dialog)
        exchanges.door(account.id).faults.on_reads(*[Unavailable()] * 3)
        _, there = await dialog.says("/panic")
        assert "On binance no offer to close could be made" in there.text


async def test_an_offer_is_confirmed_on_the_account_that_it_was_made_for(
    exchanges: ScriptedExchanges,
) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        (offer,) = await dialog.says("/open BTC long 0.05 10x")
        await dialog.says("/settings account binance")

        await dialog.taps(offer, "Confirm")

        (hedge,) = await dialog.bot.store.live_hedges()
        assert hedge.account_id == "paper:telegram:1"


async def test_an_offer_of_a_disconnected_account_sends_nothing(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        await dialog.says("/settings account binance")
        (offer,) = await dialog.says("/open BTC long 0.05 10x")
        await leaves(dialog, "binance")

        assert "not connected any more" in await dialog.taps(offer, "Confirm")
        assert await dialog.bot.store.live_hedges() == ()


async def leaves(dialog: Dialog, label: str) -> Card:
    (card,) = await dialog.says(f"/disconnect {label}")
    await dialog.taps(card, "Yes, disconnect")
    return card


async def test_disconnecting_asks_first_and_then_deletes_the_key(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        (card,) = await dialog.says("/disconnect binance")
        assert "Nothing is open there." in card.text
        assert await labels(dialog) == ["paper", "binance"]

        await dialog.taps(card, "Yes, disconnect")

        assert card.text.startswith("✅ binance is disconnected.")
        assert await labels(dialog) == ["paper"]
        assert await dialog.bot.keys.vault.all_facts() == ()


async def test_the_typed_word_alone_disconnects_nothing(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        assert "One account, please." in await dialog.reads("/disconnect binance yes")
        assert await labels(dialog) == ["paper", "binance"]


async def test_an_open_hedge_is_named_before_its_account_goes(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        await dialog.says("/settings account binance")
        await dialog.does("/open BTC long 0.05 10x")

        (card,) = await dialog.says("/disconnect binance")
        assert "#1 is open there and stays open, unguarded" in card.text
        await dialog.taps(card, "Yes, disconnect")

        assert await labels(dialog) == ["paper"]
        assert "Connected: paper account" in await dialog.reads("/start")
        known = len(dialog.screen.cards)
        await dialog.price(BTC, Decimal(50_000))
        assert dialog.screen.cards[known:] == [], "nobody looks at an account without a key"


async def test_an_account_comes_back_with_its_history(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key("a"), owner="uid-1")
    exchanges.knows(key("b"), owner="uid-1")
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key("a"), SECRET)
        await dialog.says("/settings account binance")
        await dialog.does("/open BTC long 0.05 10x")
        await leaves(dialog, "binance")

        await hands_in(dialog, key("b"), SECRET)
        await dialog.says("/settings account binance")

        assert await labels(dialog) == ["paper", "binance"]
        assert "BTC long 0.05" in await dialog.reads("/status")


def way_of(quote: Quote) -> str:
    assert isinstance(quote.offer, CloseQuote)
    return quote.offer.ways[0].way


async def test_an_account_is_not_taken_away_under_an_order(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        await dialog.says("/settings account binance")
        await dialog.does("/open BTC long 0.05 10x")
        user = await dialog.bot.store.user_by_ref(ANN)
        assert user is not None
        account = await dialog.bot.people.trading_account(user)
        quote = await dialog.bot.hedging.offer_close(user, home_of(ANN), CloseRequest(BTC))
        exchanges.door(account.id).faults.on_orders(Late(5))
        await dialog.bot.hedging.confirm(user, home_of(ANN), quote.id, way_of(quote), request_id="tap")

        for attempt in (dialog.bot.keys.connecting.disconnect, dialog.bot.keys.connecting.holdings):
            with pytest.raises(Busy, match="still being settled there"):
                await attempt(user, "binance")

        assert await labels(dialog) == ["paper", "binance"]
        settled = asyncio.ensure_future(dialog.bot.supervisor.idle())
        while not settled.done():
            await dialog.clock.advance(1)
        await dialog.bot.keys.connecting.disconnect(user, "binance")
        assert await labels(dialog) == ["paper"]


# --- every day ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (KeyReport(True, True, True, True), "the key may withdraw or transfer money"),
        (KeyReport(True, False, False, True), "the key may not trade futures"),
        (BadCredentials("gone"), "the key is not accepted by binance any more"),
        (MissingPermission("no"), "the key may not read and trade futures any more"),
    ],
)
async def test_a_key_that_changed_for_the_worse_freezes_its_account_and_its_owner_is_told(
    exchanges: ScriptedExchanges, now: KeyReport | Exception, why: str
) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        await dialog.says("/settings account binance")
        await dialog.does("/open BTC long 0.05 10x")
        exchanges.reports[key()] = now

        await dialog.bot.keys.watch.recheck_all()
        await dialog.settle()

        assert f"🛑 binance takes no new orders: {why}" in dialog.latest.text
        assert dialog.latest.chat == home_of(ANN)
        assert why in await dialog.reads("/hedge BTC")
        assert why in await dialog.reads("/accounts")
        known = len(dialog.screen.cards)
        await dialog.bot.keys.watch.recheck_all()
        await dialog.settle()
        assert len(dialog.screen.cards) == known, "told once"
        assert "closed" in (await dialog.does("/close BTC", button="Close")).text


async def test_a_key_that_is_in_order_again_thaws_its_account(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        await dialog.says("/settings account binance")
        exchanges.knows(key(), can_move_funds=True)
        await dialog.bot.keys.watch.recheck_all()
        exchanges.knows(key())
        await dialog.bot.keys.watch.recheck_all()
        await dialog.settle()

        assert "binance takes orders again" in dialog.latest.text
        assert "is open" in (await dialog.does("/open BTC long 0.05 10x")).text


async def test_an_exchange_that_is_away_freezes_nobody(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key(), SECRET)
        exchanges.reports[key()] = VenueUnavailable()
        known = len(dialog.screen.cards)
        await dialog.bot.keys.watch.recheck_all()
        await dialog.settle()
        assert len(dialog.screen.cards) == known
        assert "no new orders" not in await dialog.reads("/accounts")


async def test_one_exchange_that_is_away_stops_no_other_check(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key("a"))
    exchanges.knows(key("b"))
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key("a"), SECRET, by=ANN)
        await hands_in(dialog, key("b"), SECRET, by=BOB)
        exchanges.reports[key("a")] = VenueUnavailable()
        exchanges.knows(key("b"), can_move_funds=True)
        await dialog.bot.keys.watch.recheck_all()
        await dialog.settle()
        assert dialog.latest.chat == home_of(BOB)


async def test_a_new_key_thaws_the_account(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key("a"), owner="uid-1")
    exchanges.knows(key("b"), owner="uid-1")
    async with a_dialog(exchanges=exchanges) as dialog:
        await hands_in(dialog, key("a"), SECRET)
        exchanges.knows(key("a"), owner="uid-1", can_move_funds=True)
        await dialog.bot.keys.watch.recheck_all()
        await hands_in(dialog, key("b"), SECRET)
        assert "no new orders" not in await dialog.reads("/accounts")


# --- what looks like a key ------------------------------------------------------------------------


async def test_a_key_that_nobody_asked_for_is_deleted_and_its_owner_advised(
    exchanges: ScriptedExchanges,
) -> None:
    async with a_dialog(exchanges=exchanges) as dialog:
        answer = await dialog.reads(f"my key is {key()} and {SECRET}")
        assert "revoke it at the exchange now" in answer
        assert "I deleted it" in answer
        assert dialog.screen.erased == ["m1"]
        assert key() not in answer


async def test_a_key_in_the_command_is_a_key_that_slipped_out(exchanges: ScriptedExchanges) -> None:
    exchanges.knows(key())
    async with a_dialog(exchanges=exchanges) as dialog:
        assert "revoke it" in await dialog.reads(f"/connect binance {key()} {SECRET}")
        assert exchanges.asked == []


async def test_a_key_in_a_group_is_deleted_for_an_allowed_user_only(exchanges: ScriptedExchanges) -> None:
    eve = UserRef(Platform.TELEGRAM, "666")
    async with a_dialog(exchanges=exchanges) as dialog:
        assert await dialog.reads(key(), by=eve, chat=GROUP) == ""
        assert dialog.screen.erased == []
        assert "revoke it" in await dialog.reads(key(), by=ANN, chat=GROUP)
        assert len(dialog.screen.erased) == 1
