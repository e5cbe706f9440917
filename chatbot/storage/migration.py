"""Running the migrations. Importing this module imports Alembic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from chatbot.errors import StorageError


class Server(Protocol):
    """A database that is not a file."""

    @property
    def name(self) -> str: ...

    async def connect(self) -> object:
        """A connection of the driver."""
        ...


SCRIPTS = Path(__file__).parent / "migrations"


def migrate(database: Path | Server, *, target: str = "head", more: Sequence[Path] = ()) -> None:
    """In one transaction: a migration that fails leaves the database as it was. ``more``: further folders."""
    try:
        command.upgrade(config(database, more=more), target)
    except (CommandError, DBAPIError) as error:
        cause = getattr(error, "orig", None) or error
        copy = ", and a backup lies beside it" if isinstance(database, Path) else ""
        name = database if isinstance(database, Path) else database.name
        raise StorageError(
            f"the database {name} could not be upgraded: {cause}; it is as it was{copy}"
        ) from None


def config(database: Path | Server, *, more: Sequence[Path] = ()) -> Config:
    made = Config()
    made.set_main_option("script_location", _literal(SCRIPTS))
    made.set_main_option("path_separator", "newline")
    made.set_main_option("version_locations", "\n".join(map(_literal, (SCRIPTS / "versions", *more))))
    made.attributes["database"] = database
    return made


def _literal(path: Path) -> str:
    """The configuration expands percent signs."""
    return str(path).replace("%", "%%")
