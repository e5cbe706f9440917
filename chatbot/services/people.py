"""Users, their home chats, their paper accounts and what they have chosen."""

from __future__ import annotations

from dataclasses import replace

from chatbot.chat import ChatRef, UserRef
from chatbot.domain.hedge import AccountId, UserId
from chatbot.domain.preferences import Preferences
from chatbot.errors import NotConnected
from chatbot.ports import Account, Changes, Clock, Store, User


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
        paper = Account(AccountId(f"paper:{ref}"), user.id, "paper", "paper", now)
        await self._store.commit(Changes(users=(user,), accounts=(paper,)))
        return user

    async def choose(self, user: User, preferences: Preferences) -> User:
        return await self._save(replace(user, preferences=preferences))

    async def _save(self, user: User) -> User:
        await self._store.commit(Changes(users=(user,)))
        return user

    async def trading_account(self, user: User) -> Account:
        accounts = await self._store.accounts(user.id)
        if not accounts:
            raise NotConnected
        return accounts[0]
