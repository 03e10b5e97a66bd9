"""A cell as a set of processes: started in the order of their needs, watched, drained."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec

from cells.config import CONFIG_VARIABLE, CellConfig
from cells.settings import HOME, Settings
from cells.supervisor import errands, memory, stream
from cells.supervisor.child import Child, Launch
from cells.supervisor.console import Console
from cells.supervisor.engines.external import External
from cells.supervisor.engines.nats import Nats, free_bytes
from cells.supervisor.engines.port import Engine
from cells.supervisor.engines.postgres import Postgres
from cells.supervisor.engines.valkey import Valkey
from cells.supervisor.layout import Layout, Sockets, write_private
from cells.supervisor.output import LogFile, Output
from cells.supervisor.plan import Plan
from cells.supervisor.status import CellStatus, ProcessStatus
from cells.trouble import Trouble

SLOTS = ((0, 4095),)
ENGINES = ("nats", "valkey", "postgres")
NEEDED_TO_SELL = ("nats", "writer", "api")
FREE_DISK_SHARE = 0.8
MIGRATION_SECONDS = 120.0
# Seconds from the start of a drain at which whoever is left is killed, in the order in which they are stopped.
DRAIN = (("api", 1.6), ("hub", 2.6), ("writer", 3.4), ("projector", 3.8), ("engines", 4.6))


class Cell:
    """The processes of one cell. `start` once, then `drain` once."""

    def __init__(
        self,
        settings: Settings,
        layout: Layout,
        sockets: Sockets,
        *,
        realtime_port: int,
        plan: Plan,
        console: Console,
    ) -> None:
        self._settings = settings
        self._layout = layout
        self._sockets = sockets
        self._realtime_port = realtime_port
        self._plan = plan
        self._console = console
        self._event = asyncio.Event()
        self._children: dict[str, Child] = {}
        self._tasks_log = LogFile(layout.logs / f"{layout.cell_name}-tasks.log")
        self._migrated = False
        self._started = False
        self._draining = False
        self._quiet = True
        self.fence = ""
        self.fsync = "unproven"
        self._max_bytes = self._log_limit()
        self.engines: dict[str, Engine | External] = self._choose_engines()

    # --- what it is made of ----------------------------------------------------------------------------------------

    def _log_limit(self) -> int:
        genesis = stream.read_genesis(self._layout)
        if genesis is not None:
            return genesis.max_bytes
        return self._settings.log_max_bytes or int(free_bytes(self._layout.cell) * FREE_DISK_SHARE)

    def _choose_engines(self) -> dict[str, Engine | External]:
        settings, layout, sockets = self._settings, self._layout, self._sockets
        make: dict[str, tuple[str, Callable[[], Engine]]] = {
            "nats": ("nats_url", lambda: Nats(layout, self._max_bytes)),
            "valkey": ("redis_url", lambda: Valkey(layout, sockets)),
            "postgres": ("database_url", lambda: Postgres(layout, sockets)),
        }
        return {
            name: External(name, field, url) if (url := getattr(settings, field)) else bundled()
            for name, (field, bundled) in make.items()
        }

    @property
    def config(self) -> CellConfig:
        settings = self._settings
        shown = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host
        api = settings.public_api or f"http://{shown}:{settings.port}"
        own = (api, f"http://127.0.0.1:{settings.port}", f"http://localhost:{settings.port}")
        return CellConfig(
            cell=self._layout.cell_name,
            data=str(self._layout.cell),
            host=settings.host,
            api_port=settings.port,
            realtime_port=self._realtime_port,
            public_api=api,
            public_realtime=settings.public_realtime or f"ws://{shown}:{self._realtime_port}/rt",
            nats_url=self.engines["nats"].url,
            redis_url=self.engines["valkey"].url,
            database_url=self.engines["postgres"].url,
            fsync=self.fsync,
            slots=SLOTS,
            rate_limits=settings.rate_limits,
            origins=settings.origins or tuple(dict.fromkeys(own)),
            api_workers=settings.api_workers,
            log_level=settings.log_level,
        )

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, (str(HOME), os.environ.get("PYTHONPATH", ""))))
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TITAN_")}
        return {**kept, "PYTHONPATH": path, CONFIG_VARIABLE: str(self._layout.config)}

    # --- starting --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Return when every process is ready, or the cell is fenced. Raises Trouble where it cannot be."""
        try:
            async with asyncio.TaskGroup() as group:
                ready = {name: group.create_task(self._start_engine(name)) for name in ENGINES}
                log = group.create_task(self._after(self._write_config, ready["nats"]))
                migrated = group.create_task(self._after(self._migrate, log, ready["postgres"]))
                for role, needs in (
                    ("writer", (log, ready["valkey"])),
                    ("hub", (log, ready["valkey"])),
                    ("projector", (log, migrated)),
                    ("api", (log, ready["valkey"], migrated)),
                ):
                    if role in self._plan.roles:
                        group.create_task(self._after(partial(self._start_role, role), *needs))
        except* Trouble as troubles:
            raise troubles.exceptions[0] from None
        self._started = True
        self._quiet = False

    async def _after(self, action: Callable[[], Awaitable[None]], *needs: asyncio.Task[None]) -> None:
        for need in needs:
            await asyncio.shield(need)
        await action()

    async def _start_engine(self, name: str) -> None:
        engine = self.engines[name]
        if isinstance(engine, External):
            await engine.require()
            if name == "nats":
                await self._verify_external_log(engine)
            self._console.done(f"{name:<9} external   {engine.address}")
            return
        began = time.monotonic()
        child = self._child(
            name,
            name,
            start=engine.prepare,
            probe=engine.probe,
            verify={"nats": self._verify_log, "postgres": self._verify_database}.get(name),
            given_up=engine.give_up,
            ours=False,
            stop_signal=engine.stop_signal,
        )
        child.begin()
        await self._until_ready(child)
        self._console.done(f"{name:<9} {engine.version:<9}  {engine.address}", time.monotonic() - began)
        if isinstance(engine, Postgres) and engine.placement.note:
            self._console.warn(engine.placement.note)

    def _child(self, key: str, name: str, *, ours: bool, **how: object) -> Child:
        label = key
        output = Output(
            self._layout.logs / f"{self._layout.cell_name}-{key}.log",
            ours=ours,
            show=lambda level, text: self._show(label, level, text),
        )
        child = Child(name, label=label, output=output, changed=self._event.set, **how)  # type: ignore[arg-type]
        self._children[key] = child
        return child

    def _show(self, name: str, level: str, text: str) -> None:
        # While starting and stopping, engines warn about each other's absence; a failed start prints its reason.
        if not self._quiet:
            self._console.from_process(name, level, text)

    async def _until_ready(self, child: Child) -> None:
        while not child.ready:
            if child.state == "crash-loop":
                if self.fence:
                    return
                raise child.trouble or Trouble(
                    f"{child.name} does not stay up.", "", f"titan logs {child.label}"
                )
            self._event.clear()
            try:
                async with asyncio.timeout(5.0):
                    await self._event.wait()
            except TimeoutError:
                self._console.note(f"waiting for {child.name} {child.detail}".rstrip())

    async def _verify_log(self) -> None:
        nats = self.engines["nats"]
        assert isinstance(nats, Nats)  # noqa: S101 - only a bundled one is verified this way
        if not await nats.proves_fsync():
            raise Trouble(
                "nats-server does not sync before it acknowledges, so orders could be lost.",
                "/varz does not say jetstream.config.sync_always = true.",
                "titan doctor",
            )
        self.fsync = "always"
        self.fence = await stream.ensure(self._layout, nats.admin_url, self._max_bytes)

    async def _verify_external_log(self, engine: External) -> None:
        self.fence = await stream.ensure(self._layout, engine.url, self._max_bytes)

    async def _verify_database(self) -> None:
        """A database that had to be made anew gets its tables back, and those who use it start over."""
        postgres = self.engines["postgres"]
        if isinstance(postgres, Postgres) and postgres.made_anew and self._migrated:
            await self._apply_migrations()
            for key in ("projector", "api"):
                if key in self._children:
                    self._children[key].restart()

    async def _write_config(self) -> None:
        write_private(self._layout.config, msgspec.json.format(msgspec.json.encode(self.config), indent=2))

    async def _migrate(self) -> None:
        if self._plan.migrate:
            began = time.monotonic()
            applied = await self._apply_migrations()
            self._console.done(
                f"tables    {f'{applied} migrations applied' if applied else 'up to date'}",
                time.monotonic() - began,
            )
        self._migrated = True

    async def _apply_migrations(self) -> int:
        result = await errands.run(
            self._plan.migrate, self._environment(), self._tasks_log, MIGRATION_SECONDS
        )
        return result.number

    async def seed(self) -> list[str]:
        """Fill the shop with the demo's merchants, products and sale; lines to show."""
        result = await errands.run(self._plan.seed, self._environment(), self._tasks_log, MIGRATION_SECONDS)
        return result.lines

    async def _start_role(self, role: str) -> None:
        began = time.monotonic()
        count = self._settings.api_workers if role == "api" else 1
        keys = [role if number == 1 else f"{role}-{number}" for number in range(1, count + 1)]
        launch = Launch(
            (sys.executable, "-P", "-m", "cells.process", role, self._plan.roles[role]),
            self._environment(),
            str(Path(self._layout.data)),
        )

        async def start() -> Launch:
            return launch

        for key in keys:
            self._child(key, role, ours=True, start=start).begin()
        for key in keys:
            await self._until_ready(self._children[key])
        workers = f"{count} processes" if count > 1 else ""
        self._console.done(f"{role:<9} {workers}", time.monotonic() - began)

    # --- how it is -------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        if self._draining:
            return "draining"
        if self.reason:
            return "fenced"
        if not self._started:
            return "starting"
        return "serving" if all(child.ready for child in self._children.values()) else "degraded"

    @property
    def reason(self) -> str:
        """Why the cell is fenced, empty where it is not."""
        if self.fence:
            return self.fence
        return next(
            (child.detail or child.name for child in self._children.values() if child.state == "fenced"), ""
        )

    @property
    def sells(self) -> bool:
        """Whether it takes orders: without Valkey, Postgres or the hub it does, slower."""
        needed = [child for child in self._children.values() if child.name in NEEDED_TO_SELL]
        return self.state in {"serving", "degraded"} and all(child.ready for child in needed)

    def status(self) -> CellStatus:
        config = self.config
        processes = [
            ProcessStatus(
                name=child.name,
                pid=child.pid,
                state=child.state,
                restarts=child.restarts,
                rss=memory.of_tree(child.pid, proportional=child.name == "postgres") if child.pid else 0,
            )
            for child in self._children.values()
        ]
        return CellStatus(
            id=config.cell,
            state=self.state,
            slots=config.slots,
            api=config.public_api,
            realtime=config.public_realtime,
            processes=processes,
            reason=self.reason,
        )

    def restart(self, name: str | None) -> str:
        """Restart one process by name, or all roles. Returns what is wrong with the name, else nothing."""
        chosen = [
            child
            for key, child in self._children.items()
            if (name in {key, child.name} if name else child.name not in ENGINES)
        ]
        for child in chosen:
            child.restart()
        return "" if chosen else f"there is no process {name}; known: {', '.join(self._children)}"

    # --- ending ----------------------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Stop everything within 5 s: those who take requests first, the engines last."""
        self._draining = self._quiet = True
        began = asyncio.get_running_loop().time()
        for stage, seconds in DRAIN:
            members = [
                child
                for child in self._children.values()
                if (child.name in ENGINES if stage == "engines" else child.name == stage)
            ]
            await asyncio.gather(*(child.stop(began + seconds) for child in members))
        others = [child for child in self._children.values() if child.state != "stopped"]
        await asyncio.gather(*(child.stop(began) for child in others))
        for engine in self.engines.values():
            if not isinstance(engine, External):
                engine.remove()
        self._tasks_log.close()
        self._layout.config.unlink(missing_ok=True)

    def kill(self) -> None:
        """End everything at once."""
        for child in self._children.values():
            child.kill()
