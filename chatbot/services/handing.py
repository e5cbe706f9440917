"""A key that one process was given and another has to try: it goes through the inbox, sealed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from chatbot.chat import Erasure, Request, RequestKind
from chatbot.domain.shards import shard_of
from chatbot.ports import Clock, Credentials, Leases, Sealer, Ticket, User

_PAGE = "key-page:"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Users for whom another process works, and the way to it: ``receive`` is the inbox."""

    leases: Leases
    sealer: Sealer
    receive: Callable[[Sequence[Request]], Awaitable[None]]

    def is_for(self, user: User) -> bool:
        return not self.leases.holds(shard_of(user.id))


def handed_over(
    ticket: Ticket, user: User, credentials: Credentials, sealer: Sealer, clock: Clock
) -> Request:
    """What the one-time page took, for the process that works for the user."""
    bare = Request(
        id=f"{_PAGE}{ticket.reference}",
        kind=RequestKind.SECRET,
        user=user.ref,
        chat=user.home,
        text=Erasure.NONE.value,
        received_at=clock.now(),
    )
    parts = (ticket.venue, credentials.api_key, credentials.secret, credentials.passphrase)
    return sealed(bare, json.dumps(parts), sealer)


def sealed(request: Request, text: str, sealer: Sealer) -> Request:
    return replace(request, sealed=sealer.seal(text, about=_about(request)))


def unsealed(request: Request, sealer: Sealer) -> str:
    return sealer.unseal(request.sealed, about=_about(request))


def key_of_page(request: Request, sealer: Sealer) -> tuple[str, Credentials] | None:
    """The exchange and the key, of what ``handed_over`` made."""
    if not request.id.startswith(_PAGE) or not request.sealed:
        return None
    venue, *parts = json.loads(unsealed(request, sealer))
    return venue, Credentials(*parts)


def _about(request: Request) -> str:
    return f"{request.id} of {request.user} in {request.chat}"
