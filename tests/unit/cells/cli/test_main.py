"""The `titan` command: exit codes, and errors that say what mends them."""

import json
import os
import socket

import pytest

from cells.cli import main
from cells.supervisor.layout import Layout
from cells.supervisor.lock import DataLock

pytestmark = pytest.mark.usefixtures("data")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder that is nobody else's."""
    for variable in [name for name in os.environ if name.startswith("TITAN_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("TITAN_DATA", str(tmp_path / "data"))
    return Layout(tmp_path / "data")


def test_without_a_command_the_commands_are_listed(capsys):
    main.run(["--help"])

    shown = capsys.readouterr().out
    assert [name for name in main.COMMANDS if name not in shown] == []


def test_an_unknown_command_is_wrong_use_and_gets_the_nearest_one(capsys):
    assert main.run(["stauts"]) == 2
    assert "titan status" in capsys.readouterr().err


def test_an_unknown_option_is_wrong_use():
    assert main.run(["up", "--prot", "1"]) == 2


def test_an_unknown_setting_is_wrong_use(monkeypatch, capsys):
    monkeypatch.setenv("TITAN_PROT", "1")

    assert main.run(["config", "show"]) == 2
    assert "TITAN_PORT" in capsys.readouterr().err


@pytest.mark.parametrize("command", (["status"], ["down"], ["restart", "writer"]))
def test_what_needs_a_running_titan_says_so_with_exit_code_3(capsys, command):
    assert main.run(command) == 3

    shown = capsys.readouterr().err
    assert "not running" in shown
    assert "titan up" in shown


def test_several_cells_are_refused_for_now(capsys):
    assert main.run(["up", "--cells", "2"]) == 2
    assert "--data DIR --port N" in capsys.readouterr().err


def test_a_command_that_cannot_be_imported_fails_alone(monkeypatch, capsys):
    monkeypatch.setitem(main.COMMANDS, "demo", ("fixtures.nowhere:demo", ""))

    assert main.run(["demo", "flash-sale", "--buyers", "3"]) == 1
    assert "fixtures.nowhere" in capsys.readouterr().err
    assert main.run(["config", "show"]) == 0


def test_settings_are_shown_with_their_source_and_without_passwords(monkeypatch, capsys):
    monkeypatch.setenv("TITAN_NATS_URL", "nats://app:geheim@127.0.0.1:4222")

    main.run(["config", "show", "--json"])

    shown = json.loads(capsys.readouterr().out)
    assert shown["nats_url"]["value"] == "nats://app:***@127.0.0.1:4222"
    assert shown["nats_url"]["source"] == "environment"
    assert shown["port"] == {
        "value": 8000,
        "source": "default",
        "variable": "TITAN_PORT",
        "meaning": shown["port"]["meaning"],
    }


def test_reset_asks_first(data, monkeypatch):
    data.make()
    monkeypatch.setattr("rich_click.confirm", lambda _question: False)

    assert main.run(["reset"]) == 1
    assert data.is_ours()


def test_reset_removes_everything_when_told_yes(data):
    data.make()

    assert main.run(["reset", "--yes"]) == 0
    assert not data.data.exists()


@pytest.mark.parametrize("command", (["reset", "--yes"], ["up", "--fresh"]))
def test_data_in_use_is_not_removed(data, capsys, command):
    data.make()
    lock = DataLock(data.lock)
    lock.acquire()

    assert main.run(command) == 1
    lock.release()
    assert data.is_ours()
    assert "titan down" in capsys.readouterr().err


def test_logs_of_an_unknown_process_name_those_that_there_are(data, capsys):
    data.make()
    (data.logs / "c1-writer.log").write_text("a line\n", encoding="utf-8")

    assert main.run(["logs", "wirter"]) == 2
    assert "writer" in capsys.readouterr().err
    assert main.run(["logs", "writer"]) == 0
    assert capsys.readouterr().out == "a line\n"


def test_doctor_names_who_holds_the_port(capsys):

    with socket.create_server(("127.0.0.1", 0)) as taken:
        code = main.run(["doctor", "--json", "--port", str(taken.getsockname()[1])])

    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert code == 1
    assert checks["port"]["level"] == "fail"
    assert f"pid {os.getpid()}" in checks["port"]["found"]
    assert {
        "python",
        "packages",
        "nats",
        "valkey",
        "postgres",
        "open files",
        "disk",
        "fsync",
        "clock",
    } <= set(checks)
    assert all(check["mend"] for check in checks.values() if check["level"] == "fail")
