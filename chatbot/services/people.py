"""Users, their home chats, their accounts and what they have chosen."""

from __future__ import annotations

from dataclasses import replace

from chatbot.chat import ChatRef, UserRef
from chatbot.domain.hedge import AccountId, UserId
from chatbot.domain.levels import kinds_with_other_levels
from chatbot.domain.preferences import Preferences
from chatbot.errors import NotConnected, NotFound
from chatbot.ports import Account, Changes, Clock, Store, User

PAPER = "paper"


class People:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def meet(self, ref: UserRef, chat: ChatRef, name: str) -> User:
        """The user, known from the first message on; a private chat becomes (again) the home for alerts."""
        known = await self._store.user_by_ref(ref)
        if known is None:
            return await self._welcome(ref, chat, name)
        home = chat if chat.private else known.home
        if home == known.home and known.reachable:
            return known
        return await self._save(replace(known, home=home, reachable=True))

    async def _welcome(self, ref: UserRef, chat: ChatRef, name: str) -> User:
        now = self._clock.now()
        user = User(UserId(str(ref)), ref, chat, name, now)
        paper = Account(AccountId(f"{PAPER}:{ref}"), user.id, PAPER, PAPER, now)
        await self._store.commit(Changes(users=(user,), accounts=(paper,)))
        return user

    async def choose(self, user: User, preferences: Preferences) -> User:
        """An alert whose levels change begins anew: what was told was of another level."""
        changed = kinds_with_other_levels(user.preferences.alerts, preferences.alerts)
        active = await self._store.active_episodes(user.id) if changed else ()
        over = tuple(replace(e, cleared_at=self._clock.now()) for e in active if e.kind in changed)
        chosen = replace(user, preferences=preferences)
        await self._store.commit(Changes(users=(chosen,), episodes=over))
        return chosen

    async def _save(self, user: User) -> User:
        await self._store.commit(Changes(users=(user,)))
        return user

    # --- accounts ---------------------------------------------------------------------------

    async def trading_account(self, user: User, named: str | None = None) -> Account:
        """The one of that name, else the one that the user chose, else paper. Raises NotFound."""
        if named is not None:
            return await self.account_named(user, named)
        accounts = await self._store.accounts(user.id)
        if not accounts:
            raise NotConnected
        chosen = next((each for each in accounts if each.id == user.preferences.default_account), None)
        return chosen or next((each for each in accounts if each.venue == PAPER), accounts[0])

    async def account_named(self, user: User, name: str) -> Account:
        """:raises NotFound: with the names that there are"""
        accounts = await self._store.accounts(user.id)
        found = next((account for account in accounts if account.label == name.lower()), None)
        if found is None:
            labels = ", ".join(f"`{account.label}`" for account in accounts)
            raise NotFound(f"You have no account of that name. Yours: {labels}.")
        return found

    async def account_of(self, user: User, account_id: AccountId) -> Account:
        """:raises NotFound: it is not this user's, or not connected any more"""
        account = await self._store.account(account_id)
        if account is None or account.user_id != user.id or account.disconnected_at is not None:
            raise NotFound("That account is not connected any more. Nothing was sent.")
        return account

    async def choose_account(self, user: User, name: str) -> tuple[User, Account]:
        """Where orders go from now on. Raises NotFound."""
        account = await self.account_named(user, name)
        return await self.choose(user, replace(user.preferences, default_account=account.id)), account

    async def forget_default(self, user: User, account: Account) -> None:
        """Back to paper, if it was this one."""
        if user.preferences.default_account == account.id:
            await self.choose(user, replace(user.preferences, default_account=""))
