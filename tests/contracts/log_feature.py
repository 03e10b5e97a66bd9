"""The feature behind log channels as a test has it: a memory source, told and asked over NATS."""

import msgspec
from nats.aio.client import Client

from realtime import events as wire
from realtime.channels import keyed
from realtime.events import AccessChanged, Acts, Event, Join, PageRequest, Presence, Signal, TopsRequest
from realtime.source import MemorySource

encode = msgspec.msgpack.encode


class LogFeature:
    """Answers for the channels of `memory`, and publishes what is put there. `quiet`: answers nothing."""

    def __init__(self, client: Client, cell: str = "c1", memory: MemorySource | None = None) -> None:
        self.client = client
        self.memory = memory or MemorySource("e1", step=10)
        self.quiet = False
        self.acts = 0
        self._cell = cell
        self.memory.hears(self)

    async def start(self) -> None:
        for kind in ("room", "me"):
            await self._answer(wire.join_subject(self._cell, kind), Join, self.memory.join)
            await self._answer(wire.page_subject(self._cell, kind), PageRequest, self.memory.page)
            await self._answer(wire.tops_subject(self._cell, kind), TopsRequest, self._tops)
        await self._answer(wire.act_subject(self._cell), Acts, self._act)
        await self.client.subscribe(wire.key_subject(self._cell), queue="feature", cb=self._holder)
        await self.client.flush()

    async def _answer(self, subject, kind, answer) -> None:
        async def asked(message) -> None:
            if self.quiet:
                await message.respond(b"")
                return
            await message.respond(encode(await answer(msgspec.msgpack.decode(message.data, type=kind))))

        await self.client.subscribe(subject, queue="feature", cb=asked)

    async def _holder(self, message) -> None:
        await message.respond(b"" if self.quiet else encode(await self.memory.holder(message.data.decode())))

    async def _tops(self, asked: TopsRequest) -> list[int]:
        return await self.memory.tops(list(asked.channels))

    async def _act(self, asked: Acts) -> list[wire.Outcome]:
        self.acts += len(asked.acts)
        return [await self.memory.act(act) for act in asked.acts]

    # --- what the memory source tells is published ---

    def wants(self, key: str) -> bool:  # noqa: ARG002 - the port's shape
        return True

    def events(self, key: str, events: list[Event]) -> None:
        name = keyed(key)
        if name.kind == "me":
            news = wire.News(name.id, msgspec.Raw(msgspec.msgpack.encode(events)))
            self._publish(wire.news_subject(self._cell), [news])
        else:
            self._publish(wire.live_subject(self._cell, name.kind, name.id), events)

    def access(self, changed: AccessChanged) -> None:
        self._publish(wire.access_subject(self._cell), changed)

    def revoked(self, sid: str, until: int) -> None:
        self._publish(wire.revoked_subject(self._cell), {"sid": sid, "exp": until})

    def signal(self, key: str, signal: Signal) -> None:  # noqa: ARG002 - the port's shape
        raise AssertionError("hubs tell each other")

    def presence(self, presence: Presence) -> None:  # noqa: ARG002 - the port's shape
        raise AssertionError("hubs tell each other")

    def lost_touch(self) -> None:
        raise AssertionError("a feature loses nothing")

    def _publish(self, subject: str, told) -> None:
        # Published in order and without waiting: what nats-py's publish does before its first await.
        publishing = self.client.publish(subject, encode(told))
        try:
            publishing.send(None)
        except StopIteration:
            return
        raise AssertionError("publish waited")
