"""Alembic environment. ``service.catalog.database.migrate`` hands over the connection and the lock."""

from alembic import context

from service.catalog.tables import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("Run `pertoken migrate`: it takes the lock and hands over the connection.")

context.configure(connection=connection, target_metadata=metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
