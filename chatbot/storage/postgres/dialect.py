"""Statements as PostgreSQL takes them: ``$1``, and the names that belong to the numbers."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg, PGDialect_asyncpg
from sqlalchemy.sql.elements import ClauseElement

from chatbot.storage.codec import Cell
from chatbot.storage.sql import Construct, Params, Statement


class _Compiler(PGCompiler_asyncpg):
    """Statements are built of SQLite's words; where PostgreSQL has others, they are said here."""

    def _on_conflict_target(self, clause: Any, **_: Any) -> str:
        names = clause.inferred_target_elements
        return f"({', '.join(self.preparer.quote(name) for name in names)})" if names else ""

    def visit_json_each_func(self, function: sa.Function[Any], **options: Any) -> str:
        (array,) = function.clauses
        return f"json_array_elements_text(CAST({self.process(array, **options)} AS JSON))"


class _Dialect(PGDialect_asyncpg):
    statement_compiler = _Compiler
    supports_statement_cache = False


DIALECT: sa.Dialect = _Dialect()  # type: ignore[no-untyped-call] # as SQLAlchemy has it


class Numbered(NamedTuple):
    text: str
    names: tuple[str, ...]

    def arguments(self, params: Params) -> list[Cell]:
        return [params[name] for name in self.names]


@cache
def numbered(statement: Statement) -> Numbered:
    return numbered_of(statement.construct)


def numbered_of(construct: Construct) -> Numbered:
    made: Any = construct.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
    return Numbered(str(made), tuple(made.positiontup))


def definition(element: ClauseElement) -> str:
    return str(element.compile(dialect=DIALECT))
