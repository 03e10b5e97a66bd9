"""Operators at a real hub: who is let in with a key, what becomes of it when the key ends, and what only they see."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from realtime.codes import CloseCode
from realtime.desk import DeskSettings
from realtime.events import Holder, Shown
from realtime.keys import RECHECK_SECONDS
from realtime.session import Limits
from realtime.shell_ws import Settings
from tests.integration.hub_cell import SOON, Cell, as_, ask, close_code, dial, greeted, hear, people, say
from tests.integration.nats_process import NatsProcess
from tests.unit.realtime.builders import ROOM

KEY = "tk_001.ada"
TRIES = 3


@pytest.fixture
async def server(tmp_path) -> AsyncIterator[NatsProcess]:
    async with NatsProcess(tmp_path) as process:
        yield process


@pytest.fixture
async def cell(server) -> AsyncIterator[Cell]:
    desk = DeskSettings("hub-1", Limits(rates=False))
    async with Cell(server.url, Settings(frozenset()), desk, people()) as running:
        running.feature.memory.holders[KEY] = Holder("opr_1", "operator", "Ada")
        yield running


async def checks(cell: Cell, count: int) -> None:
    """Wait for so many further questions about keys; a few times as long as the hub takes between two."""
    wanted = cell.feature.memory.key_checks + count
    async with asyncio.timeout(TRIES * count * RECHECK_SECONDS):
        while cell.feature.memory.key_checks < wanted:  # noqa: ASYNC110 - the responder has no event to wait for
            await asyncio.sleep(0.05)


async def test_a_key_lets_its_holder_in_and_speaks_for_it(cell):
    client = await greeted(cell, {"token": KEY})
    n = (await ask(client, "sub", {"ch": ROOM}, 2))["d"]["n"]
    await ask(client, "msg", {"n": n, "text": "calm down"}, 3, k="k")

    [said] = cell.feature.memory.channel(ROOM).events
    assert b"opr_1" in said.d
    assert (await ask(client, "refresh", {"token": KEY}, 4))["d"] == {"expires_in": None}
    await client.close()


async def test_what_is_sent_behind_the_hello_waits_until_the_key_was_looked_up(cell):
    client = await dial(cell)
    await say(client, "hello", {"token": KEY}, 1)
    await say(client, "sub", {"ch": ROOM}, 2)

    assert [(await hear(client))["r"], (await hear(client))["r"]] == [1, 2]
    await client.close()


async def test_a_key_is_looked_up_once_for_many_who_come_together(cell):
    clients = await asyncio.gather(*(greeted(cell, {"token": KEY}) for _ in range(8)))

    assert cell.feature.memory.key_checks == 1
    for client in clients:
        await client.close()


@pytest.mark.parametrize("key", ("tk_nobody", "tk_" + "x" * 1_000))
async def test_a_key_of_nobody_is_refused(cell, key):
    client = await dial(cell)
    await say(client, "hello", {"token": key})

    assert (await hear(client))["e"]["code"] == "unauthenticated"
    assert await close_code(client) == CloseCode.UNAUTHENTICATED


async def test_nobody_becomes_another_by_a_refresh(cell):
    cell.feature.memory.holders["tk_2"] = Holder("opr_2", "admin", "Bob")
    client = await greeted(cell, {"token": KEY})

    assert (await ask(client, "refresh", {"token": "tk_2"}, 2))["e"]["code"] == "forbidden"
    assert (await ask(client, "refresh", {"token": "tk_3"}, 3))["e"]["code"] == "unauthenticated"
    await client.close()


async def test_a_key_that_is_revoked_closes_what_it_opened_and_nothing_else(cell):
    mine, other = await greeted(cell, {"token": KEY}), await greeted(cell, {"token": "ada"})
    del cell.feature.memory.holders[KEY]
    await checks(cell, 1)

    assert await close_code(mine) == CloseCode.UNAUTHENTICATED
    assert "d" in await ask(other, "sub", {"ch": ROOM}, 2)
    await other.close()


async def test_while_nobody_answers_nobody_new_comes_in(cell):
    inside = await greeted(cell, {"token": KEY})
    cell.feature.quiet = True
    client = await dial(cell)
    await say(client, "hello", {"token": "tk_new"})

    assert (await hear(client))["e"] == {"code": "unavailable", "temp": True}
    assert await close_code(client) == CloseCode.INTERNAL
    cell.feature.quiet = False
    assert "d" in await ask(inside, "sub", {"ch": ROOM}, 2)
    await inside.close()


# --- the cell as operators see it ---

CELL = "ops:cell"


async def test_operators_and_nobody_else_follow_the_cell(cell):
    await cell.tell("ops.frame", Shown(7, b'{"totals":{"sales":1}}'))
    cell.feature.memory.holders["tk_v"] = Holder("opr_v", "viewer", "Vera")
    viewer, buyer, nobody = [await greeted(cell, d) for d in ({"token": "tk_v"}, {"token": "ada"}, {})]
    joined = (await ask(viewer, "sub", {"ch": CELL}, 2))["d"]

    assert (joined["epoch"], joined["top"], joined["snapshot"]) == ("e1", 7, {"totals": {"sales": 1}})
    assert (await ask(buyer, "sub", {"ch": CELL}, 2))["e"]["code"] == "forbidden"
    assert (await ask(nobody, "sub", {"ch": CELL}, 2))["e"]["code"] == "unauthenticated"
    assert (await ask(viewer, "sub", {"ch": "ops:other"}, 3))["e"]["code"] == "not_found"
    await cell.tell("ops.frame", Shown(7, b'{"totals":{"sales":2}}'))
    event = await hear(viewer)
    assert event == {"n": joined["n"], "s": 8, "p": 7, "t": "ops", "d": {"totals": {"sales": 2}}}
    for client in (viewer, buyer, nobody):
        await client.close()


async def test_without_a_frame_the_cell_cannot_be_followed_for_now(cell):
    client = await greeted(cell, {"token": KEY})

    assert (await ask(client, "sub", {"ch": CELL}, 2))["e"] == {"code": "unavailable", "temp": True}
    await cell.tell("ops.frame", Shown(7, b'{"x":1}'))
    await client.close()


async def test_frames_are_coalesced_and_the_client_ends_with_the_last(cell):
    async with as_(cell, KEY) as client:
        await cell.tell("ops.frame", Shown(1, b'{"x":0}'))
        await client.sub(CELL)
        for x in range(1, 51):
            await cell.tell("ops.frame", Shown(1, b'{"x":%d}' % x))
        seen = []
        async with asyncio.timeout(SOON):
            async for update in client.updates():
                seen.append(update.value["x"])
                if seen[-1] == 50:
                    break

        assert len(seen) < 10
        assert seen == sorted(seen)
        assert client.gaps == 0
