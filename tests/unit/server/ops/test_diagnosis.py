"""What /ops/health finds."""

from typing import Any

import msgspec

from cells.config import CellConfig
from server.ops import diagnosis, frame, words
from server.ops.diagnosis import Diagnosis
from tests.unit.server.ops.test_frame import LOG, STATUS, live, shop
from tests.unit.server.ops.written import REGISTRIES, Written, held


def config(data) -> CellConfig:
    return CellConfig(
        cell="c1",
        data=str(data / "cells" / "c1"),
        host="127.0.0.1",
        api_port=8000,
        realtime_port=8001,
        fsync="always",
        slots=((0, 4095),),
        rate_limits=True,
        origins=(),
        api_workers=1,
        log_level="info",
        public_api="",
        public_realtime="",
        nats_url="",
        redis_url="",
        database_url="",
    )


def levels(shown: words.Frame, status=STATUS) -> dict[str, str]:
    return {each.name: each.state for each in diagnosis.of_cell(shown, status)}


def shown(**changes) -> words.Frame:
    return frame.live(REGISTRIES, shop().board().state, live(**changes))


def test_a_cell_that_is_well():
    serving = msgspec.structs.replace(STATUS, state="serving", reason="")

    assert set(levels(shown(), serving).values()) == {"ok"}


def test_a_cell_that_is_not():
    fenced = msgspec.structs.replace(STATUS, state="fenced", reason="the log is shorter")
    log = msgspec.structs.replace(LOG, state="fenced", fsync="unproven")
    found = {each.name: each for each in diagnosis.of_cell(shown(log=log), fenced)}

    assert (found["cell"].state, found["cell"].detail) == ("fail", "c1 is fenced: the log is shorter")
    assert found["log"].state == "fail"
    assert found["fsync of the log"].state == "warn"
    assert all(each.mend for each in found.values() if each.state == "fail")


def test_units_that_two_have():
    board = Written().opened().sale(held("h1", 1), held("h2", 1)).board().state

    assert levels(frame.live(REGISTRIES, board, live()))["units"] == "fail"


def test_alerts_are_findings_too():
    alert = words.Alert("disk", "critical", 0, "the disk is full", "0 GiB", "titan doctor")
    warning = words.Alert("lag", "warning", 0, "behind", "", "titan logs projector")

    assert list(diagnosis.of_alerts([alert, warning])) == [
        words.Finding("disk", "fail", "the disk is full: 0 GiB", "titan doctor"),
        words.Finding("lag", "warn", "behind", "titan logs projector"),
    ]


async def test_the_machine_is_looked_at_now_and_then(tmp_path, monkeypatch):
    looks: list[str] = []

    def look(settings) -> list[Any]:
        looks.append(settings.data)
        return []

    monkeypatch.setattr(diagnosis, "_look", look)
    seconds = [0.0]
    found = Diagnosis(config(tmp_path), lambda: seconds[-1])
    for each in (0.0, 29.0, 31.0, 32.0):
        seconds.append(each)
        await found.health(shown(), STATUS)

    assert looks == [str(tmp_path)] * 2


async def test_the_machine_is_part_of_the_answer_and_a_check_that_fails_hides_no_other(tmp_path, monkeypatch):
    def broken(_settings):
        raise OSError("no such thing")

    monkeypatch.setattr(diagnosis, "CHECKS", (broken, *diagnosis.CHECKS))
    health = await Diagnosis(config(tmp_path)).health(shown(), STATUS)
    found = {each.name: each for each in health.items}

    assert found["broken"].state == "warn"
    assert "no such thing" in found["broken"].detail
    assert {"python", "platform", "packages", "disk", "clock", "units"} <= set(found)
