"""Operators on a real cell: its picture over the hub, for as long as their key is good."""

import asyncio
import json
import os

import jsonschema_rs
import pytest

from realtime.asyncapi import document
from realtime.client import CommandRefused, Disconnected, RealtimeClient
from realtime.codes import CloseCode
from server.web.asyncapi import TOLD
from tests.integration.conftest import Cell

CHANNEL = "ops:cell"
LONG = 30.0


def online(cell: Cell, credential: str) -> RealtimeClient:
    async def token() -> str:
        return credential

    return RealtimeClient(cell.config.public_realtime, token=token)


async def end_of(client: RealtimeClient) -> int:
    """The code with which the hub ends it for good."""
    try:
        async with asyncio.timeout(LONG):
            async for _ in client.updates():
                pass
    except Disconnected as ended:
        return ended.code
    raise AssertionError


async def test_a_viewer_sees_the_cell_until_the_key_is_revoked(cell):
    name = f"viewer-{os.urandom(3).hex()}"
    made = cell.titan("operator", "create", name, "--role", "viewer")
    key = next(word for word in made.stdout.split() if word.startswith("tk_"))
    components = document("ws://x/rt", TOLD)["components"]
    valid = jsonschema_rs.validator_for(components["schemas"]["Frame"] | {"components": components})

    async with online(cell, key) as client:
        state = await client.sub(CHANNEL)
        valid.validate(state.snapshot)
        seen = [state.top]
        async with asyncio.timeout(LONG):
            async for update in client.updates():
                valid.validate(json.loads(json.dumps(update.value)))
                if update.t == "ops":
                    seen.append(update.position)
                if len(seen) == 3:
                    break
        assert seen == sorted(set(seen))

        assert (await asyncio.to_thread(cell.titan, "operator", "revoke", name)).returncode == 0
        assert await end_of(client) == CloseCode.UNAUTHENTICATED


async def test_accounts_do_not_see_it(cell, register):
    buyer = await register()
    async with online(cell, buyer.session["access_token"]) as client:
        with pytest.raises(CommandRefused, match="forbidden"):
            await client.sub(CHANNEL)
