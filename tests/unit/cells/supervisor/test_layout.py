"""Folders, locks, sockets and ports of a data folder."""

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from cells.cli.reset import wipe
from cells.supervisor import ports
from cells.supervisor.layout import SOCKET_PATH_LIMIT, Layout, Sockets, write_private
from cells.supervisor.lock import DataLock, holder
from cells.trouble import Trouble


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path / "data")
    made.make()
    return made


def test_secrets_are_private(layout):
    layout.secret("nats-app")

    assert mode(layout.secrets) == 0o700
    assert mode(layout.secrets / "nats-app") == 0o600


def test_a_secret_is_made_once_and_is_not_another_ones(layout):
    assert layout.secret("a") == Layout(layout.data).secret("a")
    assert layout.secret("a") != layout.secret("b")


def test_an_existing_folder_keeps_its_mode(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o750)
    data.chmod(0o750)

    Layout(data).make()

    assert mode(data) == 0o750


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").touch()

    with pytest.raises(Trouble, match="not a data folder of Titan"):
        Layout(tmp_path).make()

    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_reset_removes_what_titan_made_and_nothing_else(layout):
    (layout.data / "notes.txt").touch()

    wipe(layout)

    assert [path.name for path in layout.data.iterdir()] == ["notes.txt"]


def test_reset_removes_nothing_from_a_folder_without_the_mark(tmp_path):
    (tmp_path / "cells").mkdir()

    assert wipe(Layout(tmp_path)) == []
    assert (tmp_path / "cells").exists()


def test_a_file_is_written_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    write_private(path, b"new")

    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_lock_is_held_by_one(layout):
    first, second = DataLock(layout.lock), DataLock(layout.lock)
    first.acquire()

    with pytest.raises(Trouble, match=rf"pid {os.getpid()}[\s\S]*titan status"):
        second.acquire()

    assert holder(layout.lock) == os.getpid()
    first.release()
    assert holder(layout.lock) is None
    second.acquire()
    second.release()


def test_sockets_stay_in_the_data_folder_where_their_path_fits(layout):
    sockets = Sockets(layout)

    assert sockets.folder(layout.run, "vk.sock") == layout.run


def test_a_path_too_long_for_a_socket_gets_a_short_folder_of_mode_0700(tmp_path):
    """The address of a Unix socket has room for about 100 bytes."""
    layout = Layout(tmp_path / ("d" * SOCKET_PATH_LIMIT))
    layout.make()
    sockets = Sockets(layout)

    folder = sockets.folder(layout.run, "vk.sock")

    assert folder.parent == Path(tempfile.gettempdir())
    assert mode(folder) == 0o700
    sockets.remove()
    assert not folder.exists()


def test_the_next_start_sweeps_what_a_killed_run_left(tmp_path):
    layout = Layout(tmp_path / ("d" * SOCKET_PATH_LIMIT))
    layout.make()
    folder = Sockets(layout).folder(layout.run, "vk.sock")

    Sockets(layout).sweep()

    assert not folder.exists()


def test_a_taken_port_names_its_holder_and_a_free_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(Trouble) as caught:
            ports.require("127.0.0.1", port)

    assert f"pid {os.getpid()} (" in caught.value.why
    assert "titan up --port" in caught.value.mend
    ports.require("127.0.0.1", port)


def test_ports_are_chosen_below_those_of_outgoing_connections():
    """A client that reconnects to a port of that range may connect to itself and take the port."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    assert {ports.choose("127.0.0.1", set()) for _ in range(50)} <= set(range(1024, lowest))
