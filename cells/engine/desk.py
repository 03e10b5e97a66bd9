"""The writer's side of the wire: takes messages of commands, and sends everything the writer says in one order."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from cells.engine.wire import Wire
from cells.telemetry.instruments import Counter

C = TypeVar("C")
A = TypeVar("A")


class Outbox:
    """All that is said, in one order: a change is shown before the command that made it is answered."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._work = asyncio.Event()

    def put(self, subject: str, payload: bytes) -> None:
        """Send soon. Does not block; what is said while disconnected is lost, and asked for again."""
        self._waiting.append((subject, payload))
        self._work.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            await self.flush()

    async def flush(self) -> None:
        """Hand over to the connection all that waits."""
        while self._waiting:
            subject, payload = self._waiting.popleft()
            with contextlib.suppress(NatsError, OSError):
                await self._client.publish(subject, payload)


class Desk(Generic[C, A]):
    """Takes messages of commands and answers each when all its commands are answered.

    `submit(command, deadline, done)` decides about one; `done` gets its answer exactly once. `taken` counts them.
    """

    def __init__(
        self,
        submit: Callable[[C, int, Callable[[A], None]], None],
        wire: Wire[C, A],
        say: Callable[[str, bytes], None],
        taken: Counter,
    ) -> None:
        self._submit = submit
        self._wire = wire
        self._say = say
        self._taken = taken
        self.closed = False

    async def on_commands(self, message: Msg) -> None:
        """Submit the commands of a message. A closed desk decides nothing and says so with an empty answer."""
        if self.closed:
            self._say(message.reply, self._wire.encode_answers([]))
            return
        request = self._wire.decode_request(message.data)
        answers: list[A | None] = [None] * len(request.commands)
        left = len(answers)
        self._taken.value += left

        def answered(index: int) -> Callable[[A], None]:
            def done(answer: A) -> None:
                nonlocal left
                answers[index] = answer
                left -= 1
                if not left:
                    self._say(message.reply, self._wire.encode_answers([] if self.closed else answers))

            return done

        for index, command in enumerate(request.commands):
            self._submit(command, request.deadline, answered(index))
