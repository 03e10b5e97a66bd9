"""What a cell is put together from: its engines, its configuration, the environment of its roles."""

import os
from collections.abc import Callable

from cells.config import CONFIG_VARIABLE, CellConfig
from cells.settings import HOME, Settings
from cells.supervisor import stream
from cells.supervisor.engines.external import External
from cells.supervisor.engines.nats import Nats, free_bytes
from cells.supervisor.engines.port import Engine
from cells.supervisor.engines.postgres import Postgres
from cells.supervisor.engines.valkey import Valkey
from cells.supervisor.layout import Layout, Sockets

SLOTS = ((0, 4095),)
FREE_DISK_SHARE = 0.8
CRASH_TEST = "TITAN_FAILPOINT"
ANYWHERE = frozenset({"0.0.0.0", "::"})

Engines = dict[str, Engine | External]


def log_limit(settings: Settings, layout: Layout) -> int:
    """Most bytes of the log: fixed when it was made, else as set, else a share of the free disk."""
    genesis = stream.read_genesis(layout)
    if genesis is not None:
        return genesis.max_bytes
    return settings.log_max_bytes or int(free_bytes(layout.cell) * FREE_DISK_SHARE)


def engines(settings: Settings, layout: Layout, sockets: Sockets, max_bytes: int) -> Engines:
    """The engines in the order in which they are shown: external where there is an address, else bundled."""
    make: dict[str, tuple[str, Callable[[], Engine]]] = {
        "nats": ("nats_url", lambda: Nats(layout, max_bytes)),
        "valkey": ("redis_url", lambda: Valkey(layout, sockets)),
        "postgres": ("database_url", lambda: Postgres(layout, sockets)),
    }
    return {
        name: External(name, field, url) if (url := getattr(settings, field)) else bundled()
        for name, (field, bundled) in make.items()
    }


def config(settings: Settings, layout: Layout, chosen: Engines, realtime_port: int, fsync: str) -> CellConfig:
    shown = "127.0.0.1" if settings.host in ANYWHERE else settings.host
    api = settings.public_api or f"http://{shown}:{settings.port}"
    own = (api, f"http://127.0.0.1:{settings.port}", f"http://localhost:{settings.port}")
    return CellConfig(
        cell=layout.cell_name,
        data=str(layout.cell),
        host=settings.host,
        api_port=settings.port,
        realtime_port=realtime_port,
        public_api=api,
        public_realtime=settings.public_realtime or f"ws://{shown}:{realtime_port}/rt",
        nats_url=chosen["nats"].url,
        redis_url=chosen["valkey"].url,
        database_url=chosen["postgres"].url,
        fsync=fsync,
        slots=SLOTS,
        rate_limits=settings.rate_limits,
        origins=settings.origins or tuple(dict.fromkeys(own)),
        api_workers=settings.api_workers,
        log_level=settings.log_level,
        webhooks_allow_loopback=settings.webhooks_allow_loopback,
        push_contact=settings.push_contact,
    )


def environment(layout: Layout) -> dict[str, str]:
    """A role's variables. Settings reach it in its configuration alone, so that no two processes differ."""
    path = os.pathsep.join(filter(None, (str(HOME), os.environ.get("PYTHONPATH", ""))))
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith("TITAN_") or key == CRASH_TEST
    }
    return {**kept, "PYTHONPATH": path, CONFIG_VARIABLE: str(layout.config)}
