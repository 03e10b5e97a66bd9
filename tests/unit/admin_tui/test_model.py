"""The model: totals are the sums over cells, whatever was heard in whatever order."""

from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from admin_tui import actions
from admin_tui.actions import Action, Life
from admin_tui.metrics import METRICS
from admin_tui.model import MAX_ACTIONS, POINTS, Model, total
from admin_tui.replay import At, begin
from admin_tui.wire import Alert, Frame, Latency, LogState, ProcessRow, SaleRow, Series, Totals, WhoAmI

CELLS = [(f"c{n}", f"http://c{n}") for n in range(4)]
NOW = 1_800_000_000_000
TOTALS = st.builds(Totals, **{name: st.integers(0, 1 << 40) for name in Totals.__struct_fields__})
FRAMES = st.builds(
    Frame,
    cell=st.sampled_from([name for name, _ in CELLS]),
    at=st.integers(NOW, NOW + 200_000),
    position=st.integers(0, 10_000),
    totals=TOTALS,
    series=st.lists(
        st.builds(Series, st.sampled_from(("holds", "orders")), now=st.floats(0, 1e6)), max_size=2
    ),
    log=st.builds(LogState, lag_ms=st.floats(0, 1e6)),
)
HEARD = st.one_of(
    FRAMES,
    st.tuples(st.just("lost"), st.sampled_from([name for name, _ in CELLS])),
    st.tuples(st.just("regained"), st.sampled_from([name for name, _ in CELLS])),
)


def told(heard: list[Any]) -> tuple[Model, dict[str, Frame]]:
    model = Model(CELLS)
    newest: dict[str, Frame] = {}
    for now, each in enumerate(heard, NOW):
        match each:
            case Frame():
                model.apply(each.cell, each, now)
                newest[each.cell] = each
            case ("lost", cell):
                model.lost(cell, "gone", now)
            case ("regained", cell):
                model.regained(cell)
    return model, newest


@given(st.lists(HEARD, max_size=40))
def test_totals_are_the_sums_of_the_newest_frames(heard):
    model, newest = told(heard)
    picture = model.picture(NOW)

    for name in Totals.__struct_fields__:
        assert getattr(picture.totals, name) == sum(getattr(each.totals, name) for each in newest.values())
    assert picture.totals == total(cell.frame.totals for cell in picture.cells if cell.frame is not None)


@given(st.lists(HEARD, max_size=40))
def test_a_cell_that_is_not_heard_keeps_its_last_frame_and_is_an_alert(heard):
    model, newest = told(heard)
    picture = model.picture(NOW)

    for cell in picture.cells:
        assert cell.frame == newest.get(cell.id)
        assert (cell.state == "down") == (cell.lost_since is not None)
        assert (cell.lost_since is not None) == any(
            each.cell == cell.id and each.alert.id == "lost" for each in picture.alerts
        )


@given(st.lists(FRAMES, max_size=150))
def test_histories_have_a_point_a_second_and_at_most_a_minute_of_them(frames):
    model = Model(CELLS)
    for frame in frames:
        model.apply(frame.cell, frame, NOW)

    for cell in model.picture(NOW).cells:
        for name in METRICS:
            points = cell.histories[name]
            assert len(points) <= POINTS
            assert points[-1:] == ([] if cell.frame is None else [cell.metric(name)])


def test_a_picture_does_not_change_under_a_screen():
    model = Model(CELLS)
    model.apply("c0", Frame("c0", at=NOW, totals=Totals(orders=1)), NOW)
    before = model.picture(NOW)
    kept = msgspec.json.encode(dict(before.cells[0].histories))
    model.apply("c0", Frame("c0", at=NOW + 1000, totals=Totals(orders=2)), NOW)

    assert before.totals.orders == 1
    assert msgspec.json.encode(dict(before.cells[0].histories)) == kept


def test_movers_are_what_changed_most():
    model = Model(CELLS)
    for second in range(10):
        for cell, p99 in (("c0", 10.0), ("c1", 200.0 if second == 9 else 10.0)):
            frame = Frame(cell, at=NOW + 1000 * second, latencies=[Latency("hold", 1, p99, p99, p99)])
            model.apply(cell, frame, NOW)
    (mover,) = model.picture(NOW).movers

    assert (mover.cell, mover.metric, mover.before, mover.now) == ("c1", "p99", 10.0, 200.0)


@pytest.mark.parametrize(
    ("frame", "state"),
    (
        (Frame("c0"), "ok"),
        (Frame("c0", catching_up=True), "catching up"),
        (Frame("c0", log=LogState(state="fenced")), "fenced"),
        (Frame("c0", processes=[ProcessRow("api", state="starting")]), "degraded"),
        (Frame("c0", processes=[ProcessRow("writer", state="standby")]), "ok"),
    ),
)
def test_how_a_cell_is_in_one_word(frame, state):
    model = Model(CELLS)
    assert model.picture(NOW).cells[0].state == "waiting"
    model.apply("c0", frame, NOW)
    assert model.picture(NOW).cells[0].state == state


def test_alerts_of_cells_are_gathered():
    model = Model(CELLS)
    model.apply("c2", Frame("c2", alerts=[Alert("a", what="disk")]), NOW)

    assert [(each.cell, each.alert.what) for each in model.picture(NOW).alerts] == [("c2", "disk")]


def test_a_replay_shows_its_own_frames_and_forgets_them():
    model = Model(CELLS)
    model.apply("c0", Frame("c0", at=NOW, totals=Totals(orders=9)), NOW)
    model.replay = begin(At(NOW - 5000))
    model.replayed("c0", Frame("c0", "replay", NOW - 5000, totals=Totals(orders=4)))
    assert model.picture(NOW).totals.orders == 4
    assert model.picture(NOW).mode == "replay"
    model.apply("c0", Frame("c0", at=NOW, totals=Totals(orders=11)), NOW)
    model.forget_replay()
    assert model.picture(NOW).totals.orders == 11


@pytest.mark.parametrize(
    ("operate", "role", "replaying", "may"),
    (
        (True, "operator", False, True),
        (True, "admin", False, True),
        (True, "viewer", False, False),
        (True, "", False, False),
        (False, "admin", False, False),
        (True, "admin", True, False),
    ),
)
def test_who_may_act_and_when(operate, role, replaying, may):
    model = Model(CELLS, operate=operate)
    model.identified("c0", WhoAmI("ana", role, "c0"))
    if replaying:
        model.replay = begin(At(NOW))

    assert (model.picture(NOW).why_not == "") == may


# --- actions ---


def life(key: str = "k", **changes: Any) -> Life:
    action = Action("c0", "pause", "/x", key, sale="sal_1", state="paused", revision=3)
    return msgspec.structs.replace(Life(action, requested_at=NOW), **changes)


def frame_with(revision: int, state: str, position: int = 0, cell: str = "c0", mode: str = "live") -> Frame:
    return Frame(cell, mode, NOW, position, sales=[SaleRow("sal_1", revision=revision, state=state)])


@pytest.mark.parametrize(
    ("frame", "stage"),
    (
        (frame_with(3, "open"), "acknowledged"),
        (frame_with(4, "paused"), "effective"),
        (frame_with(5, "open"), "effective"),
        (frame_with(4, "paused", mode="replay"), "acknowledged"),
        (frame_with(4, "paused", cell="c1"), "acknowledged"),
        (Frame("c0", position=99), "acknowledged"),
        (Frame("c0", position=100), "effective"),
    ),
)
def test_an_action_is_effective_when_a_later_live_frame_of_its_cell_shows_it(frame, stage):
    acked = actions.acknowledged(life(), NOW, revision=4, position=100)

    assert actions.seen(acked, frame, NOW + 500).stage == stage


def test_what_was_not_acknowledged_is_not_effective():
    for given_ in (life(), actions.refused(life(), NOW, "conflict", "no"), actions.failed(life(), NOW, "no")):
        assert actions.seen(given_, frame_with(9, "paused", 1000), NOW) == given_


def test_only_finished_actions_are_forgotten():
    model = Model(CELLS)
    waiting = [life(f"w{n}") for n in range(5)]
    done = [actions.refused(life(f"d{n}"), NOW, "conflict", "no") for n in range(2 * MAX_ACTIONS)]
    for each in (*waiting, *done):
        model.acted(each)
    kept = [each.action.key for each in model.picture(NOW).actions]

    assert len(kept) == MAX_ACTIONS
    assert {each.action.key for each in waiting} <= set(kept)
    assert kept[0] == done[-1].action.key


def test_a_repeat_is_the_same_action():
    again = actions.again(actions.failed(life(), NOW, "no answer"), NOW + 5)

    assert again.action == life().action
    assert (again.stage, again.tries) == ("requested", 2)
