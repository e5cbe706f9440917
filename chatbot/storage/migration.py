"""Running the migrations. Importing this module imports Alembic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from chatbot.errors import StorageError

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(path: Path, *, target: str = "head", more: Sequence[Path] = ()) -> None:
    """In one transaction: a migration that fails leaves the database as it was. ``more``: further folders."""
    try:
        command.upgrade(config(path, more=more), target)
    except (CommandError, DBAPIError) as error:
        cause = getattr(error, "orig", None) or error
        raise StorageError(
            f"the database {path} could not be upgraded: {cause}; "
            "it is as it was, and a backup lies beside it"
        ) from None


def config(path: Path, *, more: Sequence[Path] = ()) -> Config:
    made = Config()
    made.set_main_option("script_location", _literal(SCRIPTS))
    made.set_main_option("path_separator", "newline")
    made.set_main_option("version_locations", "\n".join(map(_literal, (SCRIPTS / "versions", *more))))
    made.attributes["database"] = path
    return made


def _literal(path: Path) -> str:
    """The configuration expands percent signs."""
    return str(path).replace("%", "%%")
