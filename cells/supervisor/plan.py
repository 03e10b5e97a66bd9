"""What runs in a cell, by name: the supervisor imports none of it."""

import msgspec

from cells.process import ROLES


class Plan(msgspec.Struct, frozen=True):
    """Targets as `module:function`. Empty `migrate`: there is nothing to migrate."""

    roles: dict[str, str] = msgspec.field(default_factory=lambda: dict(ROLES))
    migrate: str = "server.store.migrate:main"  # async (CellConfig) -> int, how many were applied
    seed: str = "fixtures.seed:seed_demo"  # async (CellConfig) -> has .lines: list[str]
