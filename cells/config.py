"""What one cell is told by its supervisor: the same frozen value in every process of the cell."""

import os
from pathlib import Path

import msgspec

from cells.trouble import Trouble

CONFIG_VARIABLE = "TITAN_CELL_CONFIG"


class CellConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses and credentials of a cell. Its file has mode 0600, because the URLs carry passwords."""

    cell: str
    data: str  # the cell's own folder, <data>/cells/<cell>
    host: str
    api_port: int
    realtime_port: int
    public_api: str  # "http://127.0.0.1:8000"
    public_realtime: str  # "ws://127.0.0.1:8001/rt"
    nats_url: str  # with the application's credentials, which can neither delete nor purge
    redis_url: str  # "unix://…/valkey.sock?…" or "redis://…"
    database_url: str  # "postgresql://titan:…@/titan?host=<socket folder>" or an external one
    fsync: str  # "always", read back from the running server; "unproven" for an external one
    slots: tuple[tuple[int, int], ...]  # inclusive ranges
    rate_limits: bool
    origins: tuple[str, ...]  # allowed Origin values of browsers, for CORS and the realtime listener
    api_workers: int
    log_level: str
    webhooks_allow_loopback: bool = False  # lets webhooks and push reach this machine, over http too
    push_contact: str = ""  # mailto: or https: address that push services may turn to

    def __repr__(self) -> str:
        return f"CellConfig(cell={self.cell!r}, data={self.data!r}, api_port={self.api_port})"


def load() -> CellConfig:
    """Read the configuration of the cell that this process was started for."""
    path = os.environ.get(CONFIG_VARIABLE)
    if not path:
        raise Trouble(
            f"{CONFIG_VARIABLE} is not set, so this process does not know its cell.",
            "The roles of a cell are started by its supervisor, which sets it.",
            "titan up",
        )
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=CellConfig)
    except (OSError, msgspec.DecodeError) as error:
        raise Trouble(f"The cell's configuration {path} cannot be read.", str(error), "titan up") from error
