"""Who is pushed what: only what was not seen, nothing lost by a restart, and browsers that are gone."""

import asyncio
import contextlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cells.engine.handle import handle, load
from cells.kernel import envelope
from cells.kernel.money import Money
from cells.log import subjects
from cells.log.memory import MemoryLog
from cells.log.port import Appended
from cells.tasks import end
from server.chat import model as chat
from server.notify.egress import Egress
from server.notify.touched import Touched
from server.payments import model as payments
from server.push import chat as push_chat
from server.push import decide, worker
from server.push.chat import ChatSource
from server.push.model import Subscribe
from server.push.results import ResultSource
from server.push.sender import Sender
from server.push.subscribers import Subscribers
from server.push.vapid import Vapid
from server.push.worker import Pushing, Worker
from tests.unit.server.notify.browser import Browser
from tests.unit.server.notify.receiver import Receiver, receiver, status
from tests.unit.server.notify.shop import CLOCK, SLOT, new_id, no_names

EUR = Money(1000, "EUR")
DELAY_MS = 200


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(push_chat, "DELAY_MS", DELAY_MS)
    monkeypatch.setattr(worker, "FIRST_DELAY_MS", 20)


class Talk:
    """A buyer and a merchant in a conversation, in a log in memory. The merchant's browser is subscribed."""

    def __init__(self) -> None:
        self.log, self.touched = MemoryLog(), Touched()
        self.buyer, self.merchant = new_id("usr"), new_id("mer")
        self.conversation, self.browser = new_id("cnv"), Browser()
        self._chains: dict[str, tuple[int, int, bytes]] = {}

    async def commit(self, kind: str, registry, key: str, *events) -> int:
        version, position, prev = self._chains.get(key, (0, 0, envelope.GENESIS))
        body = envelope.encode(registry, version + 1, CLOCK.now(), prev, events)
        outcome = await self.log.append(subjects.subject(SLOT, kind, key), body, position)
        assert isinstance(outcome, Appended)
        self._chains[key] = (version + 1, outcome.position, envelope.digest(body))
        self.touched.reach(outcome.position)
        return outcome.position

    async def chat(self, *events: chat.Event) -> int:
        return await self.commit(chat.CONVERSATION, chat.EVENTS, self.conversation, *events)

    async def open(self) -> None:
        opened = chat.ConversationOpened(
            self.conversation, self.buyer, self.merchant, "", "Sneaker", "Ann", CLOCK.now()
        )
        await self.chat(opened)

    async def say(self, text: str) -> tuple[int, str]:
        """Say something as the buyer; return its position on the channel and its id."""
        message = new_id("msg")
        posted = chat.MessagePosted(message, self.buyer, "Ann", "buyer", text, b"k", CLOCK.now())
        return await self.chat(posted) * chat.EVENTS_PER_COMMIT, message

    async def seen(self, s: int) -> None:
        await self.chat(chat.Delivered(self.merchant, s, CLOCK.now()))

    async def subscribe(self, account: str, url: str, browser: Browser | None = None) -> None:
        to = browser or self.browser
        command = Subscribe(new_id("psb"), url, to.p256dh, to.auth)
        done = await handle(self.log, decide.DECIDER, SLOT, account, command, CLOCK)
        self.touched.reach(done.position)

    async def subscriptions(self, account: str) -> int:
        return len((await load(self.log, decide.DECIDER, SLOT, account)).state.subscriptions)

    @contextlib.asynccontextmanager
    async def working(self):
        shared = Pushing(
            log=self.log,
            subscribers=Subscribers(self.log, CLOCK),
            sender=Sender(
                Egress(no_names, allow_loopback=True, deadline_seconds=0.5),
                Vapid(ec.generate_private_key(ec.SECP256R1()), "mailto:a@example.com"),
                CLOCK,
                allow_loopback=True,
            ),
            touched=self.touched,
            clock=CLOCK,
            chance=lambda: 0.999,
            save_seconds=0.05,
        )
        sources = (ChatSource(self.log), ResultSource(self.log))
        running = [asyncio.create_task(Worker(shared, source).run()) for source in sources]
        try:
            yield
            for task in running:
                assert not task.done(), task
        finally:
            await end(running)

    def read(self, there: Receiver) -> list[dict[str, object]]:
        return [self.browser.read(request.body) for request in there.requests]


@pytest.fixture
async def talk() -> Talk:
    found = Talk()
    await found.open()
    return found


async def test_a_message_that_nobody_saw_is_pushed_encrypted(talk):
    async with receiver(status(201)) as there, talk.working():
        await talk.subscribe(talk.merchant, there.url)
        _, message = await talk.say("Is it still there?")
        await there.until(lambda: bool(there.requests))

    (notice,) = talk.read(there)
    assert notice == {
        "type": "message",
        "conversation_id": talk.conversation,
        "message_id": message,
        "author": "Ann",
        "text": "Is it still there?",
        "count": 1,
        "title": "Sneaker",
    }
    headers = there.requests[0].headers
    assert headers["content-encoding"] == "aes128gcm"
    assert headers["urgency"] == "high"
    assert 0 < int(headers["ttl"]) <= 24 * 3600
    assert len(headers["topic"]) == 32
    assert headers["authorization"].startswith("vapid t=")


async def test_what_was_seen_in_time_is_not_pushed(talk):
    async with receiver(status(201)) as there, talk.working():
        await talk.subscribe(talk.merchant, there.url)
        s, _ = await talk.say("Seen at once.")
        await talk.seen(s)
        await talk.say("Not seen.")
        await there.until(lambda: bool(there.requests))

    assert [notice["text"] for notice in talk.read(there)] == ["Not seen."]


async def test_a_cursor_that_is_in_the_log_decides_even_if_nobody_was_woken(talk):
    async with receiver(status(201)) as there, talk.working():
        await talk.subscribe(talk.merchant, there.url)
        first, _ = await talk.say("Seen late, but before the decision.")
        talk.touched.reach = lambda _position: None
        await talk.seen(first)
        del talk.touched.reach
        other = Talk()
        other.log, other.touched, other.browser = talk.log, talk.touched, talk.browser
        await other.open()
        await other.subscribe(other.merchant, there.url + "2")
        await other.say("Not seen.")
        await there.until(lambda: bool(there.requests))

    assert [notice["text"] for notice in talk.read(there)] == ["Not seen."]


async def test_messages_that_come_together_are_one_push(talk):
    async with receiver(status(201)) as there, talk.working():
        await talk.subscribe(talk.merchant, there.url)
        for text in ("one", "two", "three"):
            await talk.say(text)
        await there.until(lambda: bool(there.requests))

    (notice,) = talk.read(there)
    assert (notice["text"], notice["count"]) == ("three", 3)


async def test_a_message_that_was_deleted_is_not_pushed(talk):
    async with receiver(status(201)) as there, talk.working():
        await talk.subscribe(talk.merchant, there.url)
        await talk.subscribe(talk.buyer, there.url + "2")
        _, message = await talk.say("Ooops.")
        await talk.chat(chat.MessageDeleted(message, chat.By("x", "merchant", ""), CLOCK.now()))
        answer = chat.MessagePosted(
            new_id("msg"), talk.merchant, "Bob", "merchant", "Hello", b"k", CLOCK.now()
        )
        await talk.chat(answer)
        await there.until(lambda: bool(there.requests))

    assert [notice["text"] for notice in talk.read(there)] == ["Hello"]


async def test_a_restart_before_the_decision_loses_no_push_and_one_after_it_repeats_none(talk):
    async with receiver(status(201)) as there:
        await talk.subscribe(talk.merchant, there.url)
        async with talk.working():
            await talk.say("one")
        async with talk.working():
            await there.until(lambda: len(there.requests) == 1)
        async with talk.working():
            await talk.say("two")
            await there.until(lambda: len(there.requests) == 2)

    assert [notice["text"] for notice in talk.read(there)] == ["one", "two"]


async def test_what_was_seen_while_nobody_worked_is_not_pushed(talk):
    async with receiver(status(201)) as there:
        await talk.subscribe(talk.merchant, there.url)
        async with talk.working():
            s, _ = await talk.say("one")
        await talk.seen(s)
        async with talk.working():
            await talk.say("two")
            await there.until(lambda: bool(there.requests))

    assert [notice["text"] for notice in talk.read(there)] == ["two"]


@pytest.mark.parametrize("code", (404, 410))
async def test_a_subscription_that_is_gone_is_removed(talk, code):
    async with receiver(status(code)) as there, talk.working():
        await talk.subscribe(talk.merchant, there.url)
        await talk.say("Hello?")
        await there.until(lambda: bool(there.requests))
        async with asyncio.timeout(5):
            async for _ in talk.log.tail("log.*.psh.*", 0):
                if not await talk.subscriptions(talk.merchant):
                    break


async def test_a_busy_push_service_is_asked_again_when_it_says(talk):
    async with receiver(status(429, "Retry-After: 1")) as there, talk.working():
        await talk.subscribe(talk.merchant, there.url)
        await talk.say("Hello?")
        await there.until(lambda: bool(there.requests))
        asked = CLOCK.now()
        there.behave = status(201)
        await there.until(lambda: len(there.requests) == 2)

    assert CLOCK.now() - asked >= 900
    assert talk.read(there)[0] == talk.read(there)[1]


async def test_a_browser_belongs_to_the_account_that_subscribed_it_last(talk):
    async with receiver(status(201)) as there, talk.working():
        await talk.subscribe(talk.merchant, there.url)
        await talk.subscribe(talk.buyer, there.url)
        async with asyncio.timeout(5):
            async for _ in talk.log.tail("log.*.psh.*", 0):
                if not await talk.subscriptions(talk.merchant):
                    break
    assert await talk.subscriptions(talk.buyer) == 1


async def test_results_of_payments_are_pushed_to_the_buyer(talk):
    hold, sale = new_id("hld"), new_id("sal")
    now = CLOCK.now()
    started = payments.PaymentStarted(
        new_id("pay"), hold, sale, talk.buyer, talk.merchant, EUR, 1, "pm_ok", b"k", now
    )
    async with receiver(status(201)) as there, talk.working():
        await talk.subscribe(talk.buyer, there.url)
        now = CLOCK.now()
        await talk.commit(payments.KIND, payments.EVENTS, hold, started)
        declined = payments.PaymentDeclined(1, "no money", now)
        await talk.commit(payments.KIND, payments.EVENTS, hold, declined)
        settled = payments.CheckoutSettled("ord_1", now, 1, now)
        await talk.commit(payments.KIND, payments.EVENTS, hold, payments.PaymentCaptured(2, now), settled)
        await there.until(lambda: len(there.requests) == 2)

    assert {notice["type"] for notice in talk.read(there)} == {"payment", "order"}
    assert len({request.headers["topic"] for request in there.requests}) == 1
