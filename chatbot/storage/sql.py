"""Statements are plain SQL with named parameters, as SQLite and PostgreSQL both take it.

They are text and not Core constructs because a transaction through SQLAlchemy's asyncio layer costs six
times the processor time of this, and importing SQLAlchemy a quarter of a second and 26 MB at each start. The
tables are Core (``tables.py``), and a test prepares every statement against them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from chatbot.storage.codec import Cell

Row = Sequence[Any]  # cells, as the driver gives them


class Step(NamedTuple):
    """One statement of a transaction.

    With ``conflict`` it must write exactly one row and hit no unique constraint; else the whole transaction
    is undone and ``Conflict`` raised with these words.
    """

    sql: str
    params: Mapping[str, Cell]
    conflict: str = ""


# S608 is about values in statements: these are names of tables and columns, written in this package.


def insert(table: str, columns: Iterable[str]) -> str:
    names = tuple(columns)
    places = ", ".join(f":{name}" for name in names)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"  # noqa: S608


def insert_new(table: str, columns: Iterable[str]) -> str:
    """A row whose key is known already is left alone."""
    return f"{insert(table, columns)} ON CONFLICT DO NOTHING"


def upsert(
    table: str, columns: Iterable[str], *, key: Sequence[str], only: Sequence[str] = (), where: str = ""
) -> str:
    """``only`` names the columns that may change; a known row for which ``where`` fails is left alone."""
    names = tuple(columns)
    changing = only or tuple(name for name in names if name not in key)
    changes = ", ".join(f"{name} = excluded.{name}" for name in changing)
    condition = f" WHERE {where}" if where else ""
    return f"{insert(table, names)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}{condition}"


def update(table: str, columns: Iterable[str], where: str) -> str:
    changes = ", ".join(f"{name} = :{name}" for name in columns)
    return f"UPDATE {table} SET {changes} WHERE {where}"  # noqa: S608


def select(table: str, columns: Iterable[str], rest: str = "") -> str:
    return f"SELECT {', '.join(columns)} FROM {table} {rest}"  # noqa: S608


def of(alias: str, columns: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{alias}.{name}" for name in columns)
