"""What is seen of the present, and what is said where somebody does not answer."""

import asyncio

import msgspec

from cells.kernel.clock import ManualClock
from cells.log.port import LogInfo, LogUnavailable
from cells.supervisor.control import Answer, ControlServer, Request
from cells.supervisor.layout import Layout, Sockets, write_private
from cells.supervisor.status import CellStatus, ProcessStatus, Status
from cells.telemetry.collect import Collected
from server.ops.present import Present, disk_of
from server.ops.state import State
from tests.unit.server.ops.test_diagnosis import config

SERVING = CellStatus(
    "c1", "serving", ((0, 4095),), "a", "b", [ProcessStatus("api", 1, "running", 0, 5, "on port 8000")]
)


class SomeLog:
    """Answers what it was told to, or is away."""

    def __init__(self) -> None:
        self.fenced: str | None = None
        self.away = False

    async def info(self) -> LogInfo | None:
        if self.away:
            raise LogUnavailable("away")
        return LogInfo(1, 42, 42, "e1")


def present(folder, log: SomeLog) -> Present:
    (folder / "cells" / "c1").mkdir(parents=True)
    return Present(config(folder), log, Collected(), ManualClock())


async def supervised(layout: Layout, statuses: list[CellStatus]) -> ControlServer:
    """A supervisor that answers with the first of these, for as long as there is one."""

    def handle(request: Request) -> Answer:
        assert request.do == "status"
        return Answer(status=Status(True, "e", "d", "always", statuses[:1]))

    layout.make()
    server = ControlServer(layout, Sockets(layout), handle)
    await server.start()
    return server


async def test_processes_are_what_the_supervisor_says(tmp_path):
    folder, log = tmp_path / "data", SomeLog()
    server = await supervised(Layout(folder), [SERVING])
    seen = Present(config(folder), log, Collected(), ManualClock())
    await seen.look(State())
    server.close()
    shown = seen.live()

    assert seen.status == SERVING
    assert (shown.cell, shown.slots, shown.alerts) == ("c1", [(0, 4095)], [])
    assert (shown.log.state, shown.log.last, shown.log.epoch, shown.log.fsync) == (
        "sound",
        42,
        "e1",
        "always",
    )


async def test_without_a_supervisor_processes_are_unknown(tmp_path):
    seen = present(tmp_path, SomeLog())
    await seen.look(State())

    assert seen.status is None
    assert [alert.id for alert in seen.live().alerts] == ["supervisor"]


async def test_a_supervisor_that_says_nonsense_is_as_good_as_none(tmp_path):
    layout = Layout(tmp_path)
    seen = present(tmp_path, SomeLog())
    layout.run.mkdir()
    write_private(layout.control, msgspec.json.encode({"socket": str(tmp_path / "nobody")}))
    await seen.look(State())

    assert seen.status is None


async def test_a_log_that_is_away_or_fenced_is_said_so(tmp_path):
    log = SomeLog()
    seen = present(tmp_path, log)
    log.away = True
    await seen.look(State())
    assert seen.live().log.state == "away"
    assert "log:away" in {alert.id for alert in seen.live().alerts}

    log.away, log.fenced = False, "shorter than its marks"
    await seen.look(State())
    assert seen.live().log.state == "fenced"
    fenced = next(alert for alert in seen.live().alerts if alert.id == "log:fenced")
    assert fenced.why == "shorter than its marks"


async def test_a_change_of_a_process_is_told(tmp_path):
    folder = tmp_path / "data"
    statuses = [SERVING]
    server = await supervised(Layout(folder), statuses)
    seen = Present(config(folder), SomeLog(), Collected(), ManualClock())
    told = asyncio.Event()
    watching = asyncio.create_task(seen.watch(State, told.set))
    async with asyncio.timeout(10):
        await told.wait()
        told.clear()
        statuses[0] = msgspec.structs.replace(
            SERVING, processes=[ProcessStatus("api", 0, "restarting", 1, 0)]
        )
        await told.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    server.close()

    assert "process:api" in {alert.id for alert in seen.live().alerts}


def test_a_disk_that_cannot_be_looked_at_is_unknown(tmp_path):
    assert disk_of(str(tmp_path)) is not None
    assert disk_of(str(tmp_path / "nowhere")) is None
