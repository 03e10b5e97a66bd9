"""Projections in Postgres: the rows of a batch and the checkpoints behind it are one transaction."""

from collections.abc import Sequence

from cells.engine.project import Moved, Step
from cells.log.port import Mark
from server.store import engine
from server.store.engine import Connection

_ENTER = """
    INSERT INTO checkpoint (name, epoch, position, hash) SELECT unnest($1::text[]), '', 0, ''
    ON CONFLICT (name) DO NOTHING"""
_PLACES = "SELECT name, epoch, position, hash FROM checkpoint WHERE name = ANY($1::text[])"
_MOVE = """
    UPDATE checkpoint SET epoch = u.epoch, position = u.position, hash = u.hash
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[])
         AS u (name, old_position, old_hash, epoch, position, hash)
    WHERE checkpoint.name = u.name AND checkpoint.position = u.old_position AND checkpoint.hash = u.old_hash"""


class PostgresStore:
    """Keeps the port `cells.engine.project.Store` over the process's pool."""

    async def places(self, names: Sequence[str]) -> dict[str, Mark]:
        """Return every projection's checkpoint; a new projection starts before the first commit."""
        async with engine.connection() as connection:
            await connection.execute(_ENTER, list(names))
            return await places(connection, names)

    async def write(self, steps: Sequence[Step[Connection]]) -> None:
        """Apply all steps and move their checkpoints, or do nothing of it."""
        async with engine.connection() as connection, connection.transaction():
            await move(connection, steps)
            for step in steps:
                if step.batch:
                    await step.projection.apply(connection, step.batch)


async def places(connection: Connection, names: Sequence[str]) -> dict[str, Mark]:
    """Return the checkpoints that exist."""
    rows = await connection.fetch(_PLACES, list(names))
    return {row["name"]: Mark(row["epoch"], row["position"], row["hash"]) for row in rows}


async def move(connection: Connection, steps: Sequence[Step[Connection]]) -> None:
    """Move checkpoints inside a transaction. Raises `Moved` when one of them is not where its step begins."""
    status = await connection.execute(
        _MOVE,
        [s.projection.name for s in steps],
        [s.before.position for s in steps],
        [s.before.hash for s in steps],
        [s.after.epoch for s in steps],
        [s.after.position for s in steps],
        [s.after.hash for s in steps],
    )
    if status != f"UPDATE {len(steps)}":
        names = ", ".join(s.projection.name for s in steps)
        raise Moved(f"{names}: not at {min(s.before.position for s in steps)} any more")
