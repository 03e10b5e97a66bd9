"""What operators are told to look at, and when it stops."""

import msgspec
import pytest

from cells.supervisor.status import CellStatus, ProcessStatus
from server.ops import alerts
from server.ops.alerts import Alerts, Disk, Situation
from server.ops.words import LogState
from tests.unit.server.ops.written import T0, Written, held

LOG = LogState(1, 100, "e1", 100, "always", "sound", 100, 0.0)
NAMES = ("nats", "valkey", "postgres", "writer", "hub", "projector", "api", "observer")


def status(*changes: ProcessStatus, state: str = "serving") -> CellStatus:
    """A cell in which all is well but for these."""
    changed = {each.name for each in changes}
    well = [ProcessStatus(name, 1, "running", 0, 0) for name in NAMES if name not in changed]
    return CellStatus("c1", state, ((0, 4095),), "http://a", "ws://a", [*well, *changes])


def process(name: str, state: str = "running", restarts: int = 0, detail: str = "") -> ProcessStatus:
    return ProcessStatus(name, 1, state, restarts, 0, detail)


def situation(**changes) -> Situation:
    return msgspec.structs.replace(Situation(status(), LOG), **changes)


def found(situation: Situation) -> dict[str, str]:
    return {each.id: each.severity for each in alerts.judged(situation)}


def log(**changes) -> LogState:
    return msgspec.structs.replace(LOG, **changes)


def test_nothing_is_said_where_all_is_well():
    assert found(situation()) == {}


@pytest.mark.parametrize("state", ("starting", "restarting", "crash-loop", "draining", "fenced", "stopped"))
def test_a_process_that_does_not_serve(state):
    assert found(situation(status=status(process("api", state)))) == {"process:api": "critical"}


@pytest.mark.parametrize(
    ("name", "key", "severity"),
    (
        ("nats", "engine:nats", "critical"),
        ("valkey", "engine:valkey", "warning"),
        ("postgres", "engine:postgres", "warning"),
        ("writer", "process:writer", "critical"),
        ("hub", "process:hub", "warning"),
        ("projector", "process:projector", "warning"),
    ),
)
def test_what_nothing_is_sold_without_is_critical(name, key, severity):
    assert found(situation(status=status(process(name, "restarting")))) == {key: severity}


def test_a_writer_that_stands_by_is_well():
    assert found(situation(status=status(process("writer", "standby")))) == {}


def test_the_second_api_process_has_a_name_of_its_own():
    judged = list(
        alerts.judged(situation(status=status(process("api"), process("api", "restarting", 1, "killed"))))
    )

    assert [(each.id, each.what, each.why, each.mend) for each in judged] == [
        ("process:api-2", "api-2 is restarting", "killed", "titan logs api")
    ]


def test_a_supervisor_that_does_not_answer():
    assert found(situation(status=None)) == {"supervisor": "warning"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    (
        ({"log": log(state="fenced"), "why_fenced": "shorter"}, {"log:fenced": "critical"}),
        ({"log": log(state="away")}, {"log:away": "critical"}),
        ({"log": log(lag_ms=1_000.0)}, {}),
        ({"log": log(lag_ms=1_500.0)}, {"projection:lag": "warning"}),
        ({"log": log(lag_ms=11_000.0)}, {"projection:lag": "critical"}),
        ({"hold_p99_ms": 21.0, "holds": 50}, {"holds:slow": "warning"}),
        ({"hold_p99_ms": 900.0, "holds": 49}, {}),
        ({"hold_p99_ms": 20.0, "holds": 5_000}, {}),
        ({"errors": 1}, {"requests:errors": "warning"}),
        ({"log_bytes": 79, "log_max_bytes": 100}, {}),
        ({"log_bytes": 81, "log_max_bytes": 100}, {"log:full": "warning"}),
        ({"log_bytes": 96, "log_max_bytes": 100}, {"log:full": "critical"}),
        ({"log_bytes": 96, "log_max_bytes": 0}, {}),
        ({"disk": Disk(2**30, 100 * 2**30)}, {"disk": "warning"}),
        ({"disk": Disk(2**28, 2**29)}, {"disk": "critical"}),
        ({"disk": Disk(2**32, 2**33)}, {}),
        ({"disk": Disk(2**40, 2**41)}, {}),
    ),
)
def test_figures_that_are_not_as_they_should_be(changes, expected):
    assert found(situation(**changes)) == expected


def test_every_alert_says_why_and_what_mends_it():
    wrong = situation(
        status=status(process("nats", "crash-loop", 9, "killed"), process("hub", "restarting", 1, "killed")),
        log=log(state="fenced", lag_ms=99_000.0),
        why_fenced="the log is shorter than its marks",
        hold_p99_ms=99.0,
        holds=1_000,
        errors=5,
        disk=Disk(0, 2**40),
    )
    for each in Alerts().update(wrong, Written().opened(stock=1).sale(held("h", 1, 2)).board().state, T0):
        assert each.what, each
        assert each.why, each
        assert each.mend.startswith("titan "), each


# --- memory --------------------------------------------------------------------------------------------------------


def test_an_alert_keeps_its_time_while_it_lasts_and_gets_another_when_it_comes_again():
    memory, away, well = Alerts(), situation(log=log(state="away")), situation()

    assert [each.since for each in memory.update(away, None, 1_000)] == [1_000]
    assert [each.since for each in memory.update(away, None, 9_000)] == [1_000]
    assert memory.update(well, None, 10_000) == []
    assert [each.since for each in memory.update(away, None, 11_000)] == [11_000]


def test_a_restart_is_told_for_a_minute():
    memory = Alerts()
    memory.update(situation(status=status(process("api", restarts=3))), None, 0)
    assert memory.update(situation(status=status(process("api", restarts=3))), None, 1_000) == []

    again = situation(status=status(process("api", restarts=4)))
    (told,) = memory.update(again, None, 2_000)
    assert (told.id, told.since, told.why) == ("restarted:api", 2_000, "4 times in all")
    assert len(memory.update(again, None, 61_999)) == 1
    assert memory.update(again, None, 62_000) == []


def test_a_process_that_is_away_is_not_also_told_to_have_been_restarted():
    memory = Alerts()
    memory.update(situation(), None, 0)
    gone = situation(status=status(process("api", "restarting", 1)))

    assert [each.id for each in memory.update(gone, None, 1_000)] == ["process:api"]
    back = situation(status=status(process("api", "running", 1)))
    assert [each.id for each in memory.update(back, None, 2_000)] == ["restarted:api"]


def test_a_process_whose_count_was_reset_was_not_restarted():
    memory = Alerts()
    memory.update(situation(status=status(process("api", restarts=5))), None, 0)

    assert memory.update(situation(status=status(process("api", restarts=0))), None, 1_000) == []


def test_the_worst_comes_first_then_the_oldest():
    memory = Alerts()
    memory.update(situation(errors=1), None, 1_000)
    both = situation(errors=1, log=log(state="away", lag_ms=2_000.0))

    assert [each.id for each in memory.update(both, None, 2_000)] == [
        "log:away",
        "requests:errors",
        "projection:lag",
    ]


# --- damage --------------------------------------------------------------------------------------------------------


def test_units_given_twice_are_told_with_the_time_of_the_first_and_the_same_in_a_replay():
    written = (
        Written().opened().sale(held("h1", 1)).sale(held("h2", 1, at=T0 + 5)).sale(held("h3", 1, at=T0 + 9))
    )
    (told,) = Alerts().update(situation(), written.board().state, T0 + 99_000)

    assert (told.id, told.severity, told.since) == ("oversold:sal_1", "critical", T0 + 5)
    assert told.what == "2 units given twice"
    assert alerts.past(written.board().state) == [told]


def test_units_beyond_the_stock():
    written = Written().opened(stock=2).sale(held("h1", 1, 2, 3))

    assert [each.what for each in alerts.past(written.board().state)] == ["1 units oversold"]


def test_holes_and_strangers_in_the_log():
    written = Written().opened().raw("log.007.sale.sal_1", b"\xff").sale(held("h1", 1)).sale(held("h2", 2))
    board = Written().board()
    board.apply([*written.log[:3], *written.log[4:]])

    assert [(each.id, each.severity) for each in alerts.past(board.state)] == [
        ("log:missing", "critical"),
        ("log:unknown", "warning"),
    ]


def test_there_are_never_more_than_a_screenful():
    written = Written()
    for number in range(50):
        written.opened(f"sal_{number}").sale(held(f"h{number}", 1, 1), key=f"sal_{number}")

    assert len(alerts.past(written.board().state)) == alerts.MOST_SALES
