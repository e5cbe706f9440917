"""What is asked of the database about keys, tickets to hand one in, and invites."""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

from chatbot.storage.records import INVITE, KEY_FACTS, TICKET
from chatbot.storage.sql import (
    Statement,
    columns,
    constant,
    equal,
    insert,
    insert_new,
    or_update,
    parameter,
    update,
)
from chatbot.storage.tables import ACCOUNTS, ADMITTED, CREDENTIALS, INVITES, TICKETS

# --- keys ---------------------------------------------------------------------------------------

SEALED_COLUMNS = ("master_key_id", "key_nonce", "wrapped_key", "nonce", "ciphertext")
_WRAPPING = ("master_key_id", "key_nonce", "wrapped_key")

PUT_CREDENTIALS = Statement(
    or_update(
        insert(CREDENTIALS, ["account_id", *SEALED_COLUMNS, "fingerprint", "hint"]),
        [*SEALED_COLUMNS, "fingerprint", "hint"],
        key=["account_id"],
    )
)
REWRAP = Statement(
    update(CREDENTIALS, _WRAPPING).where(
        *equal(CREDENTIALS, ["account_id"]), CREDENTIALS.c.master_key_id == parameter("old_key_id")
    )
)
FORGET_CREDENTIALS = Statement(sa.delete(CREDENTIALS).where(*equal(CREDENTIALS, ["account_id"])))
FORGET_ALL_CREDENTIALS = Statement(sa.delete(CREDENTIALS))
DISCONNECT_ALL = Statement(
    update(ACCOUNTS, ["disconnected_at"]).where(
        ACCOUNTS.c.disconnected_at.is_(None),
        ACCOUNTS.c.id.in_(sa.select(CREDENTIALS.c.account_id)),
    )
)
SEALED = Statement(
    sa.select(*columns(CREDENTIALS, SEALED_COLUMNS)).where(*equal(CREDENTIALS, ["account_id"]))
)
WRAPPINGS = Statement(
    sa.select(
        CREDENTIALS.c.account_id, *columns(CREDENTIALS, _WRAPPING), *columns(ACCOUNTS, ["user_id", "venue"])
    )
    .join_from(CREDENTIALS, ACCOUNTS)
    .order_by(CREDENTIALS.c.account_id)
)
MASTER_KEY_IDS = Statement(sa.select(CREDENTIALS.c.master_key_id).distinct())
NOTE_KEY = Statement(update(CREDENTIALS, ["report", "checked_at"]).where(*equal(CREDENTIALS, ["account_id"])))
HOLDER = Statement(sa.select(CREDENTIALS.c.account_id).where(*equal(CREDENTIALS, ["fingerprint"])))


@cache
def key_facts(*by: str) -> Statement:
    found = sa.select(*columns(CREDENTIALS, KEY_FACTS.fields)).where(*equal(CREDENTIALS, by))
    return Statement(found.order_by(CREDENTIALS.c.account_id))


# --- who may hand in a key, who may come in -----------------------------------------------------

_UNUSED = TICKETS.c.used_at.is_(None)

NEW_TICKET = Statement(insert(TICKETS, TICKET.fields))
TICKET_BY_DIGEST = Statement(sa.select(*columns(TICKETS, TICKET.fields)).where(*equal(TICKETS, ["digest"])))
UNUSED_TICKETS = Statement(
    sa.select(*columns(TICKETS, TICKET.fields))
    .where(_UNUSED, *equal(TICKETS, ["kind"]))
    .order_by(TICKETS.c.created_at, TICKETS.c.reference)
)
ATTEMPT = Statement(
    update(TICKETS, ())
    .values(attempts=TICKETS.c.attempts + constant(1))
    .where(
        *equal(TICKETS, ["reference"]),
        _UNUSED,
        TICKETS.c.expires_at > parameter("now"),
        TICKETS.c.attempts < parameter("most"),
    )
)
SPEND_TICKET = Statement(update(TICKETS, ["used_at"]).where(*equal(TICKETS, ["reference"]), _UNUSED))


@cache
def withdraw_tickets(*by: str) -> Statement:
    return Statement(update(TICKETS, ["used_at"]).where(_UNUSED, *equal(TICKETS, by)))


NEW_INVITE = Statement(insert(INVITES, INVITE.fields))
SPEND_INVITE = Statement(
    update(INVITES, ["used_at"]).where(
        *equal(INVITES, ["digest"]), INVITES.c.used_at.is_(None), INVITES.c.expires_at > parameter("used_at")
    )
)
ADMIT = Statement(insert_new(ADMITTED, ["platform", "platform_id", "admitted_at"]))
ALL_ADMITTED = Statement(sa.select(ADMITTED.c.platform, ADMITTED.c.platform_id))

_BEFORE = parameter("before")

PRUNE_ENTRY = (
    Statement(sa.delete(TICKETS).where(TICKETS.c.expires_at < _BEFORE)),
    Statement(sa.delete(INVITES).where(INVITES.c.expires_at < _BEFORE)),
)
