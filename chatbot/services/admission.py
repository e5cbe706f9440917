"""Who may speak: the list of the settings, and whoever came with an invite."""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256

from chatbot.chat import Platform, UserRef
from chatbot.errors import Busy, Conflict, NotFound
from chatbot.ports import Clock, Invite, Invites

LASTS = timedelta(days=7)
CODE_BYTES = 15  # 20 characters: unguessable, and too short to be taken for a key
MOST_TRIES = 5  # of one stranger, until the program ends
MOST_STRANGERS = 10_000  # remembered


class Admission:
    def __init__(self, invites: Invites, listed: frozenset[UserRef], clock: Clock) -> None:
        self.invites = invites
        self._listed = listed
        self._clock = clock
        self._admitted: frozenset[UserRef] = frozenset()
        self._tries: dict[UserRef, int] = {}

    async def load(self) -> None:
        self._admitted = await self.invites.admitted()

    def allows(self, ref: UserRef) -> bool:
        return ref.platform is Platform.CONSOLE or ref in self._listed or ref in self._admitted

    async def redeem(self, ref: UserRef, code: str) -> None:
        """Raises NotFound, or Busy for who tries too often."""
        if len(self._tries) >= MOST_STRANGERS:
            self._tries.clear()
        tries = self._tries[ref] = self._tries.get(ref, 0) + 1
        if tries > MOST_TRIES:
            raise Busy("That were too many tries. Ask the owner of this bot to add you.")
        try:
            await self.invites.redeem(_digest(code), ref, self._clock.now())
        except Conflict:
            raise NotFound("That invite is not valid: it was used already, or has expired.") from None
        self._admitted |= {ref}
        self._tries.pop(ref, None)


async def new_code(invites: Invites, clock: Clock) -> str:
    """For one person, for seven days."""
    code = secrets.token_urlsafe(CODE_BYTES)
    now = clock.now()
    await invites.issue(Invite(_digest(code), now, now + LASTS))
    return code


def _digest(code: str) -> str:
    return sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
