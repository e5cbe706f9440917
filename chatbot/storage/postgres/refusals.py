"""What the driver and the server say, in words: never the address, never a statement, never a value."""

from __future__ import annotations

import ssl
from typing import Final

import asyncpg

from chatbot.errors import Conflict, StorageError
from chatbot.storage.postgres.place import Place

# ``ValueError`` for what cannot be encoded, ``OSError`` for the network and for time that ran out.
REFUSALS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    ValueError,
    OverflowError,
)

_UNIQUE = "23505"
_AGAIN = frozenset({"40001", "40P01"})
_DATA = "22"
_GONE_CLASSES = ("08", "57P", "58")

_ADVICE = {
    "28P01": "does not take this user and password; check HEDGEROW_DATABASE_URL",
    "28000": "does not let this user in; check HEDGEROW_DATABASE_URL and the server's pg_hba.conf",
    "3D000": "does not exist; create it first: createdb --owner=USER NAME",
    "3F000": "has no schema to work in; check the user's search_path",
    "42501": "does not give its user enough rights; make that user the owner of the database",
    "53300": "takes no more connections; raise max_connections of the server or stop what holds them",
    "53100": "cannot grow: the disk of the server is full",
    "55P03": "is held up by another program; try again",
    "57014": "did not answer in time; try again",
    "25006": "cannot be written: it is a standby or set to read-only",
    "42704": "does not know a word at the end of HEDGEROW_DATABASE_URL, after the question mark",
}
_BROKEN_VALUE = "takes no broken characters and no number beyond 64 bits"


def code_of(error: BaseException) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def is_gone(error: BaseException) -> bool:
    """The connection is of no more use; whether the last statement was carried out is open."""
    if isinstance(error, OSError):
        return True
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return not isinstance(error, ValueError)
    return code_of(error).startswith(_GONE_CLASSES)


def is_worth_repeating(error: BaseException) -> bool:
    """Two transactions stood in each other's way, and this one was undone."""
    return code_of(error) in _AGAIN


def in_words(error: BaseException, place: Place, conflict: str = "") -> StorageError:
    if code_of(error) == _UNIQUE:
        return Conflict(conflict or None)
    return StorageError(f"the database {place.name} {_advice(error)}")


def _advice(error: BaseException) -> str:
    code = code_of(error)
    if code in _ADVICE:
        return _ADVICE[code]
    if code.startswith(_DATA):
        return _BROKEN_VALUE
    if isinstance(error, TimeoutError):
        return "did not answer in time; try again"
    if isinstance(error, ssl.SSLError):
        return "shows a certificate that is not trusted; check ssl= and sslrootcert= in HEDGEROW_DATABASE_URL"
    if is_gone(error):
        return "cannot be reached just now; check that the server runs and that its address is right"
    if isinstance(error, asyncpg.ClientConfigurationError):
        return "cannot be addressed like that; check HEDGEROW_DATABASE_URL, also ssl= and sslrootcert="
    if isinstance(error, ValueError | OverflowError):
        return _BROKEN_VALUE
    return f"refused a statement: {type(error).__name__} {code}".rstrip()
