"""Alembic scripts; ``schema.migrate`` runs them."""
