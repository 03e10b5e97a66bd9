"""How the command line talks to the running supervisor: one JSON line each way over a Unix socket."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Literal

import msgspec

from cells.supervisor.layout import Layout, Sockets, write_private
from cells.supervisor.status import Status

NAME = "titan.sock"
LONGEST = 64 * 1024


class Request(msgspec.Struct, frozen=True):
    """What may be asked. `process` only for `restart`: a process name, None for all roles."""

    do: Literal["status", "down", "restart"]
    process: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """`error` is empty where it was done."""

    error: str = ""
    status: Status | None = None
    pid: int = 0


class Address(msgspec.Struct, frozen=True):
    """Where the socket is: it may lie outside the data folder."""

    socket: str


class ControlServer:
    """Answers requests with `handle`."""

    def __init__(self, layout: Layout, sockets: Sockets, handle: Callable[[Request], Answer]) -> None:
        self._path = sockets.folder(layout.run, NAME) / NAME
        self._layout = layout
        self._handle = handle
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=LONGEST)
        self._path.chmod(0o600)
        write_private(self._layout.control, msgspec.json.encode(Address(str(self._path))))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(2.0):
                line = await reader.readline()
                try:
                    answer = self._handle(msgspec.json.decode(line, type=Request))
                except msgspec.DecodeError as error:
                    answer = Answer(error=str(error))
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
        writer.close()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)
        self._layout.control.unlink(missing_ok=True)


def ask(layout: Layout, request: Request, timeout: float = 3.0) -> Answer | None:
    """The supervisor's answer; None where none runs or it does not answer in time."""
    try:
        address = msgspec.json.decode(layout.control.read_bytes(), type=Address)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(address.socket)
            connection.sendall(msgspec.json.encode(request) + b"\n")
            with connection.makefile("rb") as stream:
                return msgspec.json.decode(stream.readline(LONGEST * 16), type=Answer)
    except (OSError, msgspec.DecodeError):
        return None
