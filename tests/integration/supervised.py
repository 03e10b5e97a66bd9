"""Small real roles for a cell without a shop, and `python -m tests.integration.supervised` to run one.

Each does to the engines what the real role does at its start, and nothing more.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import msgspec
import nats
from redis.asyncio import Redis

from cells import settings
from cells.config import CellConfig
from cells.process import Process
from cells.supervisor.console import Console
from cells.supervisor.plan import Plan
from cells.supervisor.run import Options, Supervisor

HERE = "tests.integration.supervised"
PLAN = Plan(
    roles={role: f"{HERE}:{role}" for role in ("api", "writer", "hub", "projector", "observer")},
    migrate=f"{HERE}:migrate",
    seed=f"{HERE}:seed",
)


async def api(config: CellConfig, process: Process) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nalive")
        writer.close()

    server = await asyncio.start_server(answer, config.host, config.api_port, reuse_port=True)
    process.report("serving")
    await process.stopping.wait()
    server.close()


async def writer(config: CellConfig, process: Process) -> None:
    connection = await nats.connect(config.nats_url, max_reconnect_attempts=-1)
    answer = await connection.request("$JS.API.STREAM.INFO.LOG", b"", timeout=5)
    if b'"error"' in answer.data:
        process.report("fenced", "the log is missing")
    else:
        process.report("serving")
    await process.stopping.wait()
    await connection.close()


async def hub(config: CellConfig, process: Process) -> None:
    client = Redis.from_url(config.redis_url)
    await client.set("c1:hub", "here")
    process.report("serving")
    await process.stopping.wait()
    await client.aclose()


async def projector(config: CellConfig, process: Process) -> None:
    import asyncpg  # noqa: PLC0415 - the others start faster without it

    connection = await asyncpg.connect(config.database_url)
    await connection.execute("INSERT INTO seen DEFAULT VALUES")
    process.report("standby")
    await process.stopping.wait()
    await connection.close()


async def observer(_config: CellConfig, process: Process) -> None:
    process.report("serving")
    await process.stopping.wait()


async def migrate(config: CellConfig) -> int:
    import asyncpg  # noqa: PLC0415 - see projector

    connection = await asyncpg.connect(config.database_url)
    await connection.execute("CREATE TABLE IF NOT EXISTS seen (at timestamptz DEFAULT now())")
    await connection.close()
    return 1


class Summary(msgspec.Struct):
    lines: list[str]


async def seed(config: CellConfig) -> Summary:
    return Summary([f"a shop in {config.cell}"])


async def deaf(_config: CellConfig, process: Process) -> None:
    """Takes no notice of SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    process.report("serving")
    await asyncio.Event().wait()


async def broken(_config: CellConfig, _process: Process) -> None:
    raise RuntimeError("this role is broken")


async def lingering(config: CellConfig, process: Process) -> None:
    """Stays, when it is told to end, until a file `leave` is there; does not start where a file `broken` is."""
    if (Path(config.data) / "broken").exists():
        raise RuntimeError("this role does not start any more")
    process.report("serving")
    await process.stopping.wait()
    while not (Path(config.data) / "leave").exists():  # noqa: ASYNC110 - a file has no event
        await asyncio.sleep(0.05)


async def frozen(_config: CellConfig, process: Process) -> None:
    """Blocks its event loop for good once it is ready."""
    process.report("serving")
    await asyncio.sleep(0)
    time.sleep(3600)  # noqa: ASYNC251 - that is what it is for


def main(arguments: list[str]) -> int:
    """ARGUMENTS: DATA PORT [role=function …] as another choice of roles."""
    data, port, *changes = arguments
    roles = dict(PLAN.roles)
    for change in changes:
        role, _, function = change.partition("=")
        roles[role] = f"{HERE}:{function}"
    resolved = settings.load({"data": data, "port": int(port)}, environment=os.environ)
    plan = Plan(roles=roles, migrate=PLAN.migrate, seed=PLAN.seed)
    supervisor = Supervisor(resolved.settings, plan=plan, console=Console(), options=Options())
    return asyncio.run(supervisor.run())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
