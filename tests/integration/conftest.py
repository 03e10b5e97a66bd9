"""A real cell for tests: engines and roles under a real supervisor, started once for all modules of a run."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from cells.config import CellConfig
from cells.supervisor import ports

START_SECONDS = 90
PASSWORD = "correct horse battery"


class Cell(msgspec.Struct, frozen=True):
    """A running cell. `config` is what its processes were told."""

    api: str
    data: Path
    config: CellConfig

    def titan(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a sub-command of `titan` against this cell."""
        return titan(*arguments, "--data", str(self.data))


def titan(*arguments: str, settings: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TITAN_")}
    return subprocess.run(
        [sys.executable, "-m", "cells.cli", *arguments],
        env={**environment, "TITAN_RATE_LIMITS": "off", **(settings or {})},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


@contextlib.contextmanager
def running_cell(settings: Mapping[str, str] | None = None) -> Iterator[Cell]:
    # Not below pytest's own folder, which other users may not enter: as root, Postgres runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="titan-test-"))
    folder.chmod(0o755)
    data = folder / "data"
    port = ports.choose("127.0.0.1", set())
    started = titan("up", "--detach", "--port", str(port), "--data", str(data), settings=settings)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        config = msgspec.json.decode((data / "run" / "c1.json").read_bytes(), type=CellConfig)
        yield Cell(f"http://127.0.0.1:{port}", data, config)
    finally:
        titan("down", "--data", str(data))
        titan("reset", "--yes", "--data", str(data))
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cell() -> Iterator[Cell]:
    with running_cell() as running:
        yield running


class Person:
    """Somebody with an account, and a client that speaks in its name."""

    def __init__(self, api: httpx.AsyncClient, session: dict[str, Any]) -> None:
        self.api = api
        self.session = session
        self.user = session["user"]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.session['access_token']}"}

    async def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        headers = {**self.headers, **how.pop("headers", {})}
        return await self.api.request(method, path, headers=headers, **how)


@pytest.fixture
async def api(cell: Cell) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=cell.api, timeout=10) as client:
        yield client


@pytest.fixture
def register(api: httpx.AsyncClient):
    """Return what opens accounts: await it with a role. No two of them have the same address."""

    async def registered(role: str = "buyer", **fields: str) -> Person:
        body = {
            "email": f"{os.urandom(6).hex()}@example.com",
            "password": PASSWORD,
            "display_name": "Somebody",
            "role": role,
            **fields,
        }
        answer = await api.post("/api/v1/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        return Person(api, answer.json())

    return registered
