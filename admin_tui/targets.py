"""Which cells are watched, and with whose key: addresses and keys that were given, or the local cell and a key made for it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

import httpx
import msgspec

from admin_tui.addresses import is_loopback
from cells.cli.control import answer
from cells.settings import HOME
from cells.supervisor.control import Request
from cells.supervisor.layout import Layout, write_private
from cells.supervisor.status import CellStatus
from cells.trouble import EXIT_NOT_RUNNING, EXIT_USAGE, Trouble

KEY_VARIABLE: Final = "TITAN_KEY"
WHO_SECONDS: Final = 5.0
CREATE_SECONDS: Final = 30.0
Role = Literal["viewer", "operator"]


class Target(msgspec.Struct, frozen=True):
    """A cell to watch. `realtime` and `name` are empty where they are the cell's to tell."""

    url: str
    key: str
    name: str = ""
    realtime: str = ""

    def __repr__(self) -> str:
        return f"Target(url={self.url!r}, name={self.name!r})"


def given(urls: Sequence[str], keys: Sequence[str], environment: Mapping[str, str]) -> list[Target]:
    """Return the cells at these addresses: with a key for each, or one for all. Raises Trouble."""
    found = [*keys] or [key for key in environment.get(KEY_VARIABLE, "").split() if key]
    if not found:
        raise Trouble(
            "A remote cell needs an operator's key.",
            f"Neither --key nor {KEY_VARIABLE} gives one.",
            f"on the cell's machine: titan operator create NAME --role viewer; here: {KEY_VARIABLE}=tk_… titan top --url …",
            code=EXIT_USAGE,
        )
    if len(found) not in {1, len(urls)}:
        raise Trouble(
            f"There are {len(urls)} addresses and {len(found)} keys.",
            "Give one key for all, or one for each, in their order.",
            "titan top --help",
            code=EXIT_USAGE,
        )
    every = found if len(found) == len(urls) else found * len(urls)
    return [Target(checked(url), key) for url, key in zip(urls, every, strict=True)]


def checked(url: str) -> str:
    """Return an address without what does not belong to it. Raises Trouble."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and not parts.username:
            _ = parts.port
            return f"{parts.scheme}://{parts.netloc}"
    raise Trouble(
        f"{url[:80]!r} is no address of a cell.",
        "It looks like http://127.0.0.1:8000 or https://titan.example, without a user or password.",
        "titan status    (shows the address of the local cell)",
        code=EXIT_USAGE,
    )


def in_the_clear(target: Target) -> bool:
    """Tell whether the key would go over a network that others may read."""
    parts = urlsplit(target.url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def addresses(layout: Layout) -> list[CellStatus]:
    """Return the cells that run on a data folder. Raises Trouble where none does."""
    status = answer(layout, Request("status")).status
    if status is None or not status.cells:
        raise Trouble("Titan is starting.", "", "titan status", code=EXIT_NOT_RUNNING)
    return [msgspec.structs.replace(each, api=each.api.rstrip("/")) for each in status.cells]


def local(layout: Layout, role: Role) -> list[Target]:
    """Return the cells that run on a data folder, each with its key. Raises Trouble."""
    return [
        Target(each.api, _local_key(Layout(layout.data, each.id), each.api, role), each.id, each.realtime)
        for each in addresses(layout)
    ]


def _local_key(layout: Layout, url: str, role: Role) -> str:
    """The key in the cell's folder, made anew where it is missing or revoked."""
    path = layout.secrets / f"top-{role}.key"
    with contextlib.suppress(FileNotFoundError):
        kept = path.read_text(encoding="ascii").strip()
        if kept and is_valid(url, kept) is not False:
            return kept
    name = f"top-{role}"
    # A name has one key: where the file was lost, the old key is ended first. Where there is none, that is refused.
    _titan(layout, "operator", "revoke", name)
    made = _titan(layout, "operator", "create", name, "--role", role)
    if made.returncode != 0 or not made.stdout.strip():
        raise Trouble(
            f"A key for the dashboard cannot be made: {made.stderr.strip()[:300] or 'no output'}",
            f"It would be that of the operator {name}, in {path}.",
            f"titan operator create {name} --role {role}, then: {KEY_VARIABLE}=tk_… titan top --url {url}",
        )
    key = made.stdout.strip()
    write_private(path, key.encode("ascii"))
    return key


def is_valid(url: str, key: str) -> bool | None:
    """Tell whether a cell takes a key; None where it does not answer."""
    try:
        asked = httpx.get(
            f"{url}/api/v1/ops/whoami",
            headers={"authorization": f"Bearer {key}"},
            timeout=WHO_SECONDS,
            trust_env=not is_loopback(urlsplit(url).hostname or ""),
        )
    except httpx.HTTPError:
        return None
    return None if asked.status_code not in {200, 401, 403} else asked.status_code == 200


def _titan(layout: Layout, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(HOME), os.environ.get("PYTHONPATH", ""))))
    try:
        return subprocess.run(
            [sys.executable, "-P", "-m", "cells.cli", *arguments, "--data", str(layout.data)],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=CREATE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise Trouble(
            f"titan {' '.join(arguments)} has not ended in {CREATE_SECONDS:.0f} s.",
            "The cell's log may be away.",
            "titan status",
        ) from late
