"""Where a PostgreSQL database is, and how to say so without its password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from chatbot.errors import StorageError

SCHEME: Final = "postgresql+asyncpg://"
_EXAMPLE = "postgresql+asyncpg://hedgerow:PASSWORD@127.0.0.1/hedgerow"


@dataclass(frozen=True, slots=True)
class Place:
    """``address`` holds the password; ``name`` is for people."""

    address: str = field(repr=False)
    name: str

    @classmethod
    def of(cls, url: str) -> Place:
        """Raises ``StorageError``, without repeating the address."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _unreadable() from None
        database = unquote(parts.path.removeprefix("/"))
        if not url.startswith(SCHEME) or not database or "/" in database:
            raise _unreadable()
        options = dict(parse_qsl(parts.query))
        host = options.get("host") or (parts.hostname or "")
        where = f"{host}{f':{port}' if port else ''}"
        return cls(_address(parts.netloc, parts.path, options), f"{database} on {where or 'this machine'}")


def _address(authority: str, path: str, options: dict[str, str]) -> str:
    """As the driver reads it; SQLAlchemy and its users say ``ssl`` for what the driver calls ``sslmode``."""
    if "ssl" in options:
        options["sslmode"] = options.pop("ssl")
    query = urlencode(options)
    return f"postgresql://{authority}{path}{f'?{query}' if query else ''}"


def _unreadable() -> StorageError:
    return StorageError(f"this is no PostgreSQL address; one looks like {_EXAMPLE}")
