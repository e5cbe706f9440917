"""Column types that mean the same in both databases. Migrations use them too, so they never change."""

from __future__ import annotations

import sqlalchemy as sa

# Bytewise order, as SQLite's, whatever the locale of the server is and whatever becomes of it.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# 64 bits in both; only under this name is a key of SQLite its row number.
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
