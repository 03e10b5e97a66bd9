"""Deliveries to real endpoints that take, fail, hang, redirect and are gone; and a worker that is restarted."""

import asyncio
import hashlib
import hmac

import msgspec
import pytest
import structlog

from server.flash_sale.model import SaleMoved
from server.notify.cursor import KIND as CURSOR
from server.notify.egress import Egress
from server.webhooks import letters, reading
from server.webhooks.model import Redeliver, Remove, Resume, Rotate
from tests.unit.server.notify.receiver import Receiver, Request, hang, receiver, status
from tests.unit.server.notify.shop import Shop, no_names


@pytest.fixture
def shop() -> Shop:
    return Shop()


def holds(there: Receiver) -> list[str]:
    return [msgspec.json.decode(r.body)["data"]["hold_id"] for r in there.requests]


def event_ids(there: Receiver) -> list[str]:
    return [r.headers["titan-event-id"] for r in there.requests]


def genuine(request: Request, secret: str) -> bool:
    """Check a signature as a receiver does, from the contract alone."""
    signed = request.headers["titan-timestamp"].encode() + b"." + request.body
    expected = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(expected, each) for each in request.headers["titan-signature"].split(","))


async def test_what_was_asked_for_is_delivered_signed_and_once(shop):
    async with receiver(status(200)) as there, shop.working():
        endpoint = await shop.add(there.url, "hold.granted")
        granted = await shop.granted(20, per_commit=4)
        await there.until(lambda: len(there.requests) == 20)

    assert sorted(holds(there)) == sorted(granted)
    assert len(set(event_ids(there))) == 20
    secret = shop.secrets.secret(endpoint, 1)
    assert all(genuine(request, secret) for request in there.requests)
    assert not genuine(there.requests[0], shop.secrets.secret(endpoint, 2))
    body = msgspec.json.decode(there.requests[0].body)
    assert list(body) == ["id", "type", "created_at", "data"]
    assert (body["id"], body["type"]) == (event_ids(there)[0], "hold.granted")
    assert there.most_open <= reading.AT_ONCE


async def test_events_before_the_registration_and_of_other_types_are_not_told(shop):
    await shop.granted(3)
    async with receiver(status(200)) as there, shop.working():
        await shop.add(there.url, "hold.granted")
        await shop.commit(SaleMoved("open", "clock", "", 1), SaleMoved("paused", "clock", "", 1))
        (told,) = await shop.granted(1)
        await there.until(lambda: bool(there.requests))

    assert holds(there) == [told]


async def test_what_fails_is_tried_again_with_the_same_bytes(shop):
    async with receiver(status(500)) as there, shop.working():
        endpoint = await shop.add(there.url)
        await shop.granted(1)
        await there.until(lambda: len(there.requests) == 3)
        there.behave = status(204)
        await shop.until(lambda: _empty(shop, endpoint))

    assert len(set(event_ids(there))) == 1
    assert len({request.body for request in there.requests}) == 1


async def _empty(shop: Shop, endpoint: str) -> bool:
    box = await shop.box(endpoint)
    return box.numbered > 0 and not box.letters


@pytest.mark.parametrize(
    "behave",
    (
        pytest.param(hang, id="hangs"),
        pytest.param(status(302, "Location: http://127.0.0.1:1/"), id="redirects"),
        pytest.param(status(429, "Retry-After: 1"), id="asks for time"),
    ),
)
async def test_hanging_redirecting_and_refusing_are_failures(shop, behave):
    async with receiver(behave) as there, shop.working():
        endpoint = await shop.add(there.url)
        await shop.granted(1)
        await shop.until(lambda: _failed(shop, endpoint, 1))

    (letter,) = (await shop.box(endpoint)).waiting
    assert letter.status in {0, 302, 429}
    if letter.status == 429:
        assert letter.next_at - letter.tried_at >= 1000


async def _paused(shop: Shop, endpoint: str) -> bool:
    return bool((await shop.endpoints()).endpoints[endpoint].paused)


async def _failed(shop: Shop, endpoint: str, times: int) -> bool:
    return (await shop.box(endpoint)).failures >= times


async def test_an_endpoint_that_says_gone_is_removed(shop):
    async with receiver(status(410)) as there, shop.working():
        endpoint = await shop.add(there.url)
        await shop.granted(3)

        async def removed():
            return endpoint in (await shop.endpoints()).removed

        await shop.until(removed)
    assert not (await shop.box(endpoint)).letters


async def test_one_that_seems_away_is_not_flooded_and_catches_up_from_the_log(shop):
    async with receiver(status(503)) as there, shop.working():
        endpoint = await shop.add(there.url)
        granted = await shop.granted(200, per_commit=10)
        await shop.until(lambda: _failed(shop, endpoint, letters.DOUBTFUL_AFTER + 3))

        assert len((await shop.box(endpoint)).letters) <= letters.DOUBTFUL_AFTER + reading.AT_ONCE
        there.behave = status(200)
        await there.until(lambda: set(holds(there)) >= set(granted))
        await shop.until(lambda: _empty(shop, endpoint))


async def test_one_that_fails_for_long_is_paused_and_resumed_without_a_loss(shop):
    async with receiver(status(500)) as there, shop.working(first_delay_ms=1, longest_delay_ms=10):
        endpoint = await shop.add(there.url)
        granted = await shop.granted(30)

        await shop.until(lambda: _paused(shop, endpoint), 30)
        there.behave = status(200)
        await shop.do(Resume(endpoint))
        dead = [letter for letter in (await shop.box(endpoint)).letters.values() if letter.dead]
        assert dead
        await shop.do(Redeliver(endpoint))
        await there.until(lambda: set(holds(there)) >= set(granted))
        await shop.until(lambda: _empty(shop, endpoint))


async def test_a_dead_delivery_comes_again_when_it_is_asked_for(shop, monkeypatch):
    monkeypatch.setattr(letters, "MAX_TRIES", 2)
    async with receiver(status(500)) as there, shop.working():
        endpoint = await shop.add(there.url)
        await shop.granted(1)

        await shop.until(lambda: _paused(shop, endpoint))
        there.behave = status(200)
        await shop.do(Resume(endpoint))
        (event_id,) = (await shop.box(endpoint)).letters
        await shop.do(Redeliver(endpoint, (event_id,)))
        await shop.until(lambda: _empty(shop, endpoint))

    assert set(event_ids(there)) == {event_id}


async def test_a_slow_endpoint_delays_nobody_else(shop):
    async with receiver(hang) as slow, receiver(status(200)) as quick, shop.working():
        await shop.add(slow.url)
        await shop.add(quick.url)
        granted = await shop.granted(50, per_commit=5)
        await quick.until(lambda: len(quick.requests) == 50, 3)

    assert sorted(holds(quick)) == sorted(granted)
    assert slow.most_open <= reading.AT_ONCE


async def test_a_restart_in_the_middle_loses_nothing_and_keeps_the_ids(shop):
    reached = asyncio.Event()

    async def gated(writer, request):
        if len(there.requests) > 15 and not reached.is_set():
            reached.set()
            await hang(writer, request)
        await status(200)(writer, request)

    async with receiver(gated) as there:
        async with shop.working(egress=Egress(no_names, allow_loopback=True, deadline_seconds=30)):
            await shop.add(there.url)
            granted = await shop.granted(40, per_commit=2)
            async with asyncio.timeout(10):
                await reached.wait()
        async with shop.working():
            await there.until(lambda: set(holds(there)) >= set(granted))

    by_hold = dict(zip(holds(there), event_ids(there), strict=True))
    assert set(by_hold) == set(granted)
    assert all(by_hold[hold] == each for hold, each in zip(holds(there), event_ids(there), strict=True))
    assert len(there.requests) <= 40 + 2 * reading.AT_ONCE


async def test_a_second_start_delivers_nothing_again(shop):
    async with receiver(status(200)) as there:
        async with shop.working():
            await shop.add(there.url)
            await shop.granted(10)
            await there.until(lambda: len(there.requests) == 10)

            async def saved():
                return bool(shop.log.stored(f"log.*.{CURSOR}.*"))

            await shop.until(saved)
        async with shop.working():
            (last,) = await shop.granted(1)
            await there.until(lambda: len(there.requests) == 11)

    assert holds(there)[-1] == last


async def test_after_a_rotation_both_secrets_sign_and_no_secret_is_logged(shop):
    with structlog.testing.capture_logs() as lines:
        async with receiver(status(500)) as there, shop.working():
            endpoint = await shop.add(there.url)
            await shop.do(Rotate(endpoint, 1))
            await shop.granted(1)
            await there.until(lambda: bool(there.requests))
            await shop.do(Remove(endpoint, "deleted"))

    old, new = shop.secrets.secret(endpoint, 1), shop.secrets.secret(endpoint, 2)
    assert genuine(there.requests[0], new)
    assert genuine(there.requests[0], old)
    everything = repr(lines) + repr([m.body for m in shop.log.stored("log.>")]) + repr(shop.secrets)
    assert old not in everything
    assert new not in everything
