"""The simulated cell keeps what the real one promises, so that tests over it mean something."""

from typing import Any

import msgspec
import pytest

from admin_tui.answers import Commit, Holds, Lines, Messages, Orders, SaleDetail, Sales
from admin_tui.feed import Refused, Unreachable
from admin_tui.simulated import SimulatedFeed
from admin_tui.text import inert
from admin_tui.wire import Frame
from cells.kernel.clock import ManualClock


def made(**kwargs: Any) -> tuple[ManualClock, SimulatedFeed]:
    clock = ManualClock()
    return clock, SimulatedFeed(clock, **kwargs)


async def frame(feed: SimulatedFeed, **params: int) -> Frame:
    return await feed.get("/ops/frame", params, Frame)


async def test_the_same_seed_and_clock_give_the_same_cell():
    (one, first), (two, second), (_, other) = made(seed=5), made(seed=5), made(seed=6)
    assert first.frame() == second.frame()
    assert first.frame() != other.frame()
    one.advance(30_000)
    two.advance(10_000)
    second.frame()
    two.advance(20_000)
    assert first.frame() == second.frame()


async def test_totals_are_those_of_its_sales():
    clock, feed = made()
    clock.advance(60_000)
    found = await frame(feed)
    for name in ("stock", "available", "held", "sold", "orders", "holds"):
        assert getattr(found.totals, name) == sum(getattr(sale, name) for sale in found.sales)
    for sale in found.sales:
        assert sale.available + sale.held + sale.sold == sale.stock
        assert len(sale.taken) == 60


async def test_the_past_is_what_the_present_was():
    clock, feed = made()
    then = await frame(feed)
    clock.advance(60_000)
    now = await frame(feed)
    assert now.position > then.position
    again = await frame(feed, position=then.position)
    assert again.mode == "replay"
    assert again.totals == msgspec.structs.replace(then.totals, sockets=0)
    assert again.target == again.position == then.position
    by_time = await frame(feed, at=then.at - 1)
    assert by_time.totals == again.totals


async def test_it_may_take_its_time_to_fold():
    _, feed = made()
    feed.fold_at_once = 100
    positions = [(await frame(feed, position=350)).position for _ in range(5)]
    assert positions == [100, 200, 300, 350, 350]


async def test_questions_are_answered_in_the_words_of_the_api():
    _, feed = made()
    sales = await feed.get("/ops/sales", {"state": "open"}, Sales)
    assert {sale.state for sale in sales.items} == {"open"}
    sale = sales.items[0]
    detail = await feed.get(f"/ops/sales/{sale.id}", {}, SaleDetail)
    assert [move.what for move in detail.moves] == ["open"]
    first = await feed.get("/ops/orders", {"limit": 3}, Orders)
    second = await feed.get("/ops/orders", {"limit": 3, "cursor": first.next}, Orders)
    assert not {each.id for each in first.items} & {each.id for each in second.items}
    held = await feed.get("/ops/holds", {"status": "held", "sale": sale.id}, Holds)
    assert all(hold.sale_id == sale.id and hold.settled_at == 0 for hold in held.items)
    said = await feed.get(f"/ops/rooms/{sale.id}/messages", {"limit": 5}, Messages)
    assert [row.s for row in said.items] == sorted((row.s for row in said.items), reverse=True)
    lines = await feed.get("/ops/log", {"limit": 5, "subject": "log.*.room.>"}, Lines)
    assert {line.kind for line in lines.items} == {"room"}
    commit = await feed.get(f"/ops/log/{lines.items[-1].position}", {}, Commit)
    assert commit.events[0].data["at"] == commit.at
    with pytest.raises(Refused):
        await feed.get("/ops/sales/sal_nothing", {}, SaleDetail)


async def test_some_of_its_people_are_hostile():
    _, feed = made()
    titles = [sale.title for sale in feed.frame().sales]
    assert any(title != inert(title) for title in titles)
    assert any("[" in title for title in titles)


async def test_an_action_is_done_once_for_each_key():
    _, feed = made()
    sale = next(sale for sale in feed.frame().sales if sale.state == "open")
    first = await feed.post(
        f"/ops/sales/{sale.id}/pause", {"reason": "", "expected_revision": sale.revision}, "k"
    )
    again = await feed.post(
        f"/ops/sales/{sale.id}/pause", {"reason": "", "expected_revision": sale.revision}, "k"
    )
    assert first == again
    stale = await feed.post(f"/ops/sales/{sale.id}/resume", {"reason": "", "expected_revision": 0}, "k2")
    assert stale.problem is not None
    assert (stale.status, stale.problem.code) == (409, "conflict")


async def test_a_viewers_key_changes_nothing():
    _, feed = made(role="viewer")
    sale = feed.frame().sales[0]
    reply = await feed.post(f"/ops/sales/{sale.id}/kill", {"reason": "r"}, "k")
    assert reply.status == 403
    assert feed.frame().sales[0].state == sale.state


async def test_a_lost_cell_answers_nothing():
    _, feed = made()
    feed.lose("gone")
    with pytest.raises(Unreachable, match="gone"):
        await frame(feed)
    with pytest.raises(Unreachable, match="gone"):
        await feed.post("/ops/sales/x/pause", {}, "k")
