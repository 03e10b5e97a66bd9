"""The cell's log as a thing that exists: made once, proved at every start, never made a second time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from cells.log import subjects
from cells.supervisor.layout import Layout, write_private
from cells.trouble import Trouble

STREAM = "LOG"
DEADLINE = 10.0
MAX_MESSAGE = 1024 * 1024
_NO_STREAM = 10059


class Genesis(msgspec.Struct, frozen=True):
    """Proof that this cell has had a log: which one, and its limit. Written once."""

    stream: str
    created: str
    max_bytes: int


def configuration(max_bytes: int) -> dict[str, Any]:
    return {
        "name": STREAM,
        "subjects": ["log.>"],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "num_replicas": 1,
        "max_bytes": max_bytes,
        "max_msg_size": MAX_MESSAGE,
        "max_age": 0,
        "max_consumers": -1,
        "max_msgs": -1,
        "duplicate_window": 120_000_000_000,
        "compression": "none",
        "allow_direct": True,
        "deny_delete": True,
        "deny_purge": True,
        "allow_rollup_hdrs": False,
        "republish": {
            "src": subjects.EVERYTHING,
            "dest": subjects.stored(subjects.EVERYTHING),
            "headers_only": True,
        },
    }


# What the guarantees rest on; limits may have been raised by hand.
_ESSENTIAL = (
    "subjects",
    "storage",
    "retention",
    "discard",
    "allow_direct",
    "deny_delete",
    "deny_purge",
    "max_age",
)


def read_genesis(layout: Layout) -> Genesis | None:
    """The genesis of the cell, None for a cell that never had a log. Raises Trouble where it cannot be read."""
    try:
        return msgspec.json.decode(layout.genesis.read_bytes(), type=Genesis)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise Trouble(
            f"{layout.genesis} cannot be read.",
            str(error),
            "restore the file from a backup of the data folder",
        ) from error


def has_marks(layout: Layout) -> bool:
    return layout.marks.is_dir() and any(layout.marks.iterdir())


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    import nats  # noqa: PLC0415 - the command line imports this module and has no use for the client

    async def ignore(_error: Exception) -> None:
        """The error is raised by the call as well."""

    connection = await nats.connect(url, allow_reconnect=False, connect_timeout=3, error_cb=ignore)
    try:
        yield connection
    finally:
        await connection.close()


async def _ask(connection: Any, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    payload = msgspec.json.encode(body) if body is not None else b""
    answer = await connection.request(subject, payload, timeout=DEADLINE)
    return msgspec.json.decode(answer.data, type=dict[str, Any])


async def ensure(layout: Layout, url: str, max_bytes: int) -> str:
    """Make the log on the very first start and prove it on every later one.

    Returns why the cell has to be fenced, empty where it has not. Raises Trouble where nothing can be said.
    """
    genesis = read_genesis(layout)
    try:
        async with asyncio.timeout(DEADLINE * 2), _connected(url) as connection:
            info = await _ask(connection, f"$JS.API.STREAM.INFO.{STREAM}")
            missing = info.get("error", {}).get("err_code") == _NO_STREAM
            if missing and genesis is None and not has_marks(layout):
                info = await _ask(connection, f"$JS.API.STREAM.CREATE.{STREAM}", configuration(max_bytes))
                missing = False
    except Trouble:
        raise
    except Exception as error:
        # nats-py has several unrelated families of errors; all of them mean the same to a person here.
        raise Trouble(
            "The log cannot be asked for.", f"{type(error).__name__}: {error}", "titan logs nats"
        ) from error
    if missing:
        return "the log is missing on a cell that had one; it is never made anew: restore the nats folder"
    if "error" in info:
        raise Trouble(
            "The log cannot be made or read.", str(info["error"].get("description")), "titan logs nats"
        )
    if weak := _weakness(info["config"]):
        return weak
    if genesis is None:
        found = Genesis(STREAM, info["created"], int(info["config"]["max_bytes"]))
        write_private(layout.genesis, msgspec.json.encode(found))
    elif genesis.created != info["created"]:
        return f"the log was made at {info['created']}, but this cell's log was made at {genesis.created}"
    return ""


def _weakness(found: dict[str, Any]) -> str:
    wanted = configuration(0)
    wrong = [key for key in _ESSENTIAL if found.get(key, 0 if key == "max_age" else None) != wanted[key]]
    if wrong:
        return f"the log's configuration is not what the guarantees need: {', '.join(wrong)}"
    return ""
