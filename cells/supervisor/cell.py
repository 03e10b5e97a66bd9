"""A cell as a set of processes: started in the order of their needs, watched, drained."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from cells.config import CellConfig
from cells.settings import Settings
from cells.supervisor import assembly, errands, stream, usage
from cells.supervisor.child import Child, Launch
from cells.supervisor.console import Console
from cells.supervisor.engines.external import External
from cells.supervisor.engines.nats import STUCK, Nats
from cells.supervisor.engines.port import Engine
from cells.supervisor.engines.postgres import Postgres
from cells.supervisor.layout import Layout, Sockets, write_private
from cells.supervisor.output import LogFile, Output, printable
from cells.supervisor.plan import Plan
from cells.supervisor.relief import RELIEVED, Relief
from cells.supervisor.status import CellStatus, ProcessStatus
from cells.supervisor.watch import Probes, Reports
from cells.trouble import Trouble

ENGINES = ("nats", "valkey", "postgres")
NEEDED_TO_SELL = ("nats", "writer", "api")
# They look on: the cell starts, serves and is well without them.
ONLOOKERS = ("observer",)
MIGRATION_SECONDS = 120.0
UNSTICK_SECONDS = 10.0  # between restarts of a nats-server whose disk fails
STUCK_SECONDS = 15.0  # without a failed write, until the log counts as writable again
DETAIL_CHARS = 300
PATIENCE_SECONDS = 5.0  # until a start says what it is waiting for
# Seconds from the start of a drain at which whoever is left is killed, in the order in which they are stopped.
DRAIN = (("api", 1.6), ("hub", 2.6), ("writer", 3.4), ("projector", 3.8), ("observer", 4.0), ("engines", 4.6))


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
        self._realtime_port = realtime_port
        self._plan = plan
        self._console = console
        self._changed = asyncio.Event()
        self._children: dict[str, Child] = {}
        self._relief = Relief(self._children, self._successor, self._changed, console)
        self._meter = usage.Meter()
        self._tasks_log = LogFile(layout.logs / f"{layout.cell_name}-tasks.log")
        self._migrated = False
        self._unstuck_at = -UNSTICK_SECONDS
        self._stuck_at = -STUCK_SECONDS
        self._started = False
        self._draining = False
        self._quiet = True
        self._fence = ""
        self.fsync = "unproven"
        self._max_bytes = assembly.log_limit(settings, layout)
        self._engines = assembly.engines(settings, layout, sockets, self._max_bytes)

    @property
    def config(self) -> CellConfig:
        return assembly.config(self._settings, self._layout, self._engines, self._realtime_port, self.fsync)

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
                        gate = asyncio.Event()
                        group.create_task(self._start_role(role, gate))
                        group.create_task(self._after(partial(_open, gate), *needs))
        except* Trouble as troubles:
            raise troubles.exceptions[0] from None
        for role in ONLOOKERS:
            if role in self._plan.roles:
                self._children[role] = self._role_child(role, role)
                self._children[role].begin()
        self._started = True
        self._quiet = False

    async def _after(self, action: Callable[[], Awaitable[None]], *needs: asyncio.Task[None]) -> None:
        for need in needs:
            await asyncio.shield(need)
        await action()

    async def _start_engine(self, name: str) -> None:
        engine = self._engines[name]
        if isinstance(engine, External):
            await engine.require()
            if name == "nats":
                self._fence = await stream.ensure(self._layout, engine.url, self._max_bytes)
            self._console.done(f"{name:<9} external   {engine.address}")
            return
        began = time.monotonic()
        child = self._engine_child(name, engine)
        child.begin()
        await self._until_ready(child)
        self._console.done(f"{name:<9} {engine.version:<9}  {engine.address}", time.monotonic() - began)
        if isinstance(engine, Postgres) and engine.placement.note:
            self._console.warn(engine.placement.note)

    def _engine_child(self, name: str, engine: Engine) -> Child:
        verify = {"nats": self._verify_log, "postgres": self._verify_database}.get(name)
        self._children[name] = Child(
            name,
            label=name,
            start=engine.prepare,
            watch=Probes(engine.probe, verify),
            output=self._output(name, ours=False),
            changed=self._changed.set,
            fell=self._tell_fall,
            give_up=engine.give_up,
            stop_signal=engine.stop_signal,
        )
        return self._children[name]

    def _output(self, key: str, *, ours: bool) -> Output:
        return Output(
            self._layout.logs / f"{self._layout.cell_name}-{key}.log",
            ours=ours,
            show=partial(self._show, key),
            alarm=(STUCK, self._log_is_stuck) if key == "nats" else None,
        )

    def _show(self, name: str, level: str, text: str) -> None:
        # While starting and stopping, processes warn about each other's absence; a failed start says its reason.
        if not self._quiet:
            self._console.from_process(name, level, text)

    def _tell_fall(self, what: str) -> None:
        if not self._quiet:
            self._console.warn(f"{what} It is started again.")

    async def _start_role(self, role: str, gate: asyncio.Event) -> None:
        """Start the role's processes, which load their code while `gate` is closed."""
        began = time.monotonic()
        count = self._settings.api_workers if role == "api" else 1
        keys = [role if number == 1 else f"{role}-{number}" for number in range(1, count + 1)]
        for key in keys:
            self._children[key] = self._role_child(role, key, gate)
            self._children[key].begin()
        for key in keys:
            await self._until_ready(self._children[key])
        workers = f"{count} processes" if count > 1 else ""
        self._console.done(f"{role:<9} {workers}", time.monotonic() - began)

    def _role_child(self, role: str, key: str, gate: asyncio.Event | None = None) -> Child:
        launch = Launch(
            (sys.executable, "-P", "-m", "cells.process", role, self._plan.roles[role]),
            assembly.environment(self._layout),
            str(self._layout.data),
        )

        async def start() -> Launch:
            return launch

        return Child(
            role,
            label=key,
            start=start,
            watch=Reports(gate),
            output=self._output(key, ours=True),
            changed=self._changed.set,
            fell=self._tell_fall,
        )

    def _successor(self, key: str) -> Child:
        return self._role_child(self._children[key].name, key)

    async def _until_ready(self, child: Child) -> None:
        while not child.ready:
            if child.state == "crash-loop":
                if self._fence:
                    return
                raise child.trouble or Trouble(
                    f"{child.name} does not stay up.", "", f"titan logs {child.label}"
                )
            self._changed.clear()
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                self._console.note(f"waiting for {child.name} {child.detail}".rstrip())

    async def _verify_log(self) -> None:
        nats = self._engines["nats"]
        if not isinstance(nats, Nats):
            return
        if not await nats.proves_fsync():
            raise Trouble(
                "nats-server does not sync before it acknowledges, so orders could be lost.",
                "/varz does not say jetstream.config.sync_always = true.",
                "titan doctor",
            )
        self.fsync = "always"
        self._fence = await stream.ensure(self._layout, nats.admin_url, self._max_bytes)

    async def _verify_database(self) -> None:
        """A database that had to be made anew gets its tables back, and those who use it start over."""
        postgres = self._engines["postgres"]
        if isinstance(postgres, Postgres) and postgres.made_anew and self._migrated:
            await self._apply_migrations()
            for child in self._children.values():
                if child.name in {"projector", "api"}:
                    child.restart()

    def _log_is_stuck(self, line: str) -> None:
        """Start nats-server again, now and then, for as long as writes fail; it is verified like at any start."""
        now = time.monotonic()
        self._stuck_at = now
        if now - self._unstuck_at > UNSTICK_SECONDS:
            self._unstuck_at = now
            self._console.warn(f"the log cannot be written, restarting nats: {printable(line)[:200]}")
            self._children["nats"].restart()

    async def _write_config(self) -> None:
        write_private(self._layout.config, msgspec.json.format(msgspec.json.encode(self.config), indent=2))

    async def _migrate(self) -> None:
        if self._plan.migrate:
            began = time.monotonic()
            applied = await self._apply_migrations()
            found = f"{applied} migrations applied" if applied else "up to date"
            self._console.done(f"tables    {found}", time.monotonic() - began)
        self._migrated = True

    async def _apply_migrations(self) -> int:
        environment = assembly.environment(self._layout)
        result = await errands.run(self._plan.migrate, environment, self._tasks_log, MIGRATION_SECONDS)
        return result.number

    async def seed(self) -> list[str]:
        """Fill the shop with the demo's merchants, products and sale; lines to show."""
        environment = assembly.environment(self._layout)
        result = await errands.run(self._plan.seed, environment, self._tasks_log, MIGRATION_SECONDS)
        return result.lines

    # --- how it is -------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        if self._draining:
            return "draining"
        if self._fenced:
            return "fenced"
        if not self._started:
            return "starting"
        needed = [child for child in self._children.values() if child.name not in ONLOOKERS]
        well = not self._stuck and all(child.ready for child in needed)
        return "serving" if well else "degraded"

    @property
    def _stuck(self) -> bool:
        return time.monotonic() - self._stuck_at < STUCK_SECONDS

    @property
    def reason(self) -> str:
        """Why the cell takes no orders, empty where it does."""
        stuck = "the log cannot be written; is the disk full?  titan doctor" if self._stuck else ""
        return self._fenced or stuck

    @property
    def _fenced(self) -> str:
        if self._fence:
            return self._fence
        fenced = (child.detail or child.name for child in self._children.values() if child.state == "fenced")
        return next(fenced, "")

    @property
    def sells(self) -> bool:
        """Whether it takes orders: without Valkey, Postgres or the hub it does, slower."""
        needed = [child for child in self._children.values() if child.name in NEEDED_TO_SELL]
        if self._stuck or self.state not in {"serving", "degraded"}:
            return False
        return all(child.ready for child in needed)

    def status(self) -> CellStatus:
        config = self.config
        self._meter.forget_all_but({child.pid for child in self._children.values()})
        return CellStatus(
            id=config.cell,
            state=self.state,
            slots=config.slots,
            api=config.public_api,
            realtime=config.public_realtime,
            processes=[self._describe(child) for child in self._children.values()],
            reason=self.reason,
        )

    def _describe(self, child: Child) -> ProcessStatus:
        """Shared pages of Postgres are counted once, with the PSS of its process tree."""
        proportional = child.name == "postgres"
        taken = self._meter.of_tree(child.pid, proportional=proportional) if child.pid else usage.Usage()
        return ProcessStatus(
            child.name,
            child.pid,
            child.state,
            child.restarts,
            taken.rss,
            child.detail[:DETAIL_CHARS],
            round(taken.cpu, 4),
        )

    def restart(self, name: str | None) -> str:
        """Restart one process by name, or all roles. Returns what is wrong with the name, else nothing."""
        chosen = [
            key
            for key, child in self._children.items()
            if (name in {key, child.name} if name else child.name not in ENGINES)
        ]
        for key in chosen:
            child = self._children[key]
            if child.name in RELIEVED and child.ready:
                self._relief.replace(key)
            else:
                child.restart()
        return "" if chosen else f"There is no process {name}. There are: {', '.join(self._children)}."

    # --- ending ----------------------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Stop everything within 5 s: those who take requests first, the engines last."""
        self._draining = self._quiet = True
        began = asyncio.get_running_loop().time()
        await self._relief.cancel()
        for stage, seconds in DRAIN:
            members = [
                child
                for child in self._all
                if (child.name in ENGINES if stage == "engines" else child.name == stage)
            ]
            await asyncio.gather(*(child.stop(began + seconds) for child in members))
        others = [child for child in self._all if child.state != "stopped"]
        await asyncio.gather(*(child.stop(began) for child in others))
        for engine in self._engines.values():
            if not isinstance(engine, External):
                engine.remove()
        self._tasks_log.close()
        self._layout.config.unlink(missing_ok=True)

    def kill(self) -> None:
        """End everything at once."""
        for child in self._all:
            child.kill()

    @property
    def _all(self) -> list[Child]:
        return [*self._children.values(), *self._relief.others]


async def _open(gate: asyncio.Event) -> None:
    gate.set()
