"""Statements are SQLAlchemy Core over ``tables.py``, compiled once; what runs is their text.

Compiling costs thirty times what SQLite takes to run the text, and an engine of SQLAlchemy with its cursors
and results as much again at every call, so the text and its parameters go to the driver as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as insert_into

from chatbot.storage.codec import Cell

Row = Sequence[Any]  # cells, as the driver gives them
Params = Mapping[str, Cell]
Construct = sa.Select[Any] | sa.CompoundSelect[Any] | sa.Insert | sa.Update | sa.Delete

SQLITE: sa.Dialect = sqlite.dialect(paramstyle="named")


def compiled(statement: Construct, dialect: sa.Dialect = SQLITE) -> str:
    """Constants are written out, parameters stay parameters."""
    return str(statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}))


class Statement:
    """Compiled when it first runs: start-up pays only for what it uses.

    ``among_many``: it keeps writers from one another, and means nothing where there is only one.
    """

    def __init__(self, construct: Construct, *, among_many: bool = False) -> None:
        self.construct = construct
        self.among_many = among_many

    @cached_property
    def text(self) -> str:
        return compiled(self.construct)


class Step(NamedTuple):
    """One statement of a transaction.

    With ``conflict`` it must write exactly one row and hit no unique constraint; else the whole transaction
    is undone and ``Conflict`` raised with these words.
    """

    statement: Statement
    params: Params
    conflict: str = ""

    @property
    def sql(self) -> str:
        return self.statement.text


def parameter(name: str, kind: type[sa.types.TypeEngine[Any]] | None = None) -> sa.BindParameter[Any]:
    """``kind`` where the statement itself does not tell it."""
    return sa.bindparam(name, required=False, type_=kind)  # given when the text runs, not when it is compiled


def constant(value: str | int) -> sa.BindParameter[Any]:
    """Part of the text. The planner must see it: a partial index serves no parameter."""
    return sa.literal(value, literal_execute=True)


def one_of(column: sa.Column[str], values: Iterable[str]) -> sa.ColumnElement[bool]:
    known: sa.BindParameter[Any] = sa.bindparam(
        None, list(values), unique=True, expanding=True, literal_execute=True
    )
    return column.in_(known)


def members(name: str) -> sa.Select[Any]:
    """The strings of a JSON array as rows, any number of them."""
    return sa.select(sa.func.json_each(parameter(name, sa.Text)).table_valued("value").c.value)


def numbers(name: str) -> sa.Select[Any]:
    """Likewise, of numbers."""
    value = sa.func.json_each(parameter(name, sa.Text)).table_valued("value").c.value
    return sa.select(sa.cast(value, sa.BigInteger))


def equal(table: sa.FromClause, columns: Iterable[str]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == parameter(name) for name in columns]


def columns(table: sa.FromClause, names: Iterable[str]) -> list[sa.ColumnElement[Any]]:
    return [table.c[name] for name in names]


def insert_from(table: sa.Table, names: Sequence[str], found: sa.Select[Any]) -> Insert:
    return insert_into(table).from_select(list(names), found)


def insert(table: sa.Table, names: Iterable[str], **constants: str | int) -> Insert:
    values = {name: parameter(name) for name in names} | {
        name: constant(value) for name, value in constants.items()
    }
    return insert_into(table).values(values).inline()  # inline: no key is asked back


def insert_new(table: sa.Table, names: Iterable[str], **constants: str | int) -> Insert:
    """A row whose key is known already is left alone."""
    return insert(table, names, **constants).on_conflict_do_nothing()


def upsert(table: sa.Table, names: Sequence[str], *, key: Sequence[str]) -> Insert:
    return or_update(insert(table, names), [name for name in names if name not in key], key=key)


def or_update(
    statement: Insert,
    names: Iterable[str],
    *,
    key: Sequence[str],
    where: sa.ColumnElement[bool] | None = None,
) -> Insert:
    """``names`` are what changes in a known row; one for which ``where`` fails is left alone."""
    changes = {name: statement.excluded[name] for name in names}
    return statement.on_conflict_do_update(index_elements=key, set_=changes, where=where)


def update(table: sa.Table, names: Iterable[str], **constants: str | int) -> sa.Update:
    values = {name: parameter(name) for name in names} | {
        name: constant(value) for name, value in constants.items()
    }
    return sa.update(table).values(values)
