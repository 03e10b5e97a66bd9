"""What `titan status --json` prints."""

import msgspec


class ProcessStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """A process of a cell. `rss` in bytes; for postgres the PSS of its process tree. `cpu`: its share of one core.

    `detail` is what the process says beside its state, or how it ended, and is left out where it is empty.
    """

    name: str
    pid: int
    state: str
    restarts: int
    rss: int
    detail: str = ""
    cpu: float = 0.0


class CellStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cell. `reason` says why it is not serving and is left out where it is."""

    id: str
    state: str  # starting | serving | fenced | degraded | draining
    slots: tuple[tuple[int, int], ...]
    api: str
    realtime: str
    processes: list[ProcessStatus]
    reason: str = ""


class Status(msgspec.Struct, frozen=True):
    """The whole of a running Titan. `ready`: every cell takes orders."""

    ready: bool
    edge: str
    data: str
    fsync: str
    cells: list[CellStatus]
