"""The observer's role in a process of its own on a nats-server of a test; and an operator who asks and listens."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any, Self

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from cells.config import CONFIG_VARIABLE, CellConfig
from cells.log import connection
from cells.settings import HOME
from server.ops import asks

SOON = 20.0


def config(folder: Path, url: str) -> CellConfig:
    """A cell without a supervisor: its folder, and where its log is."""
    data = folder / "cells" / "c1"
    (data / "marks").mkdir(parents=True, exist_ok=True)
    return CellConfig(
        cell="c1",
        data=str(data),
        host="127.0.0.1",
        api_port=8000,
        realtime_port=8001,
        public_api="http://127.0.0.1:8000",
        public_realtime="ws://127.0.0.1:8001/rt",
        nats_url=url,
        redis_url="",
        database_url="",
        fsync="always",
        slots=((0, 4095),),
        rate_limits=False,
        origins=(),
        api_workers=1,
        log_level="info",
    )


class ObserverProcess:
    """Such a process, as an async context."""

    def __init__(self, folder: Path, url: str) -> None:
        self._file = folder / "c1.json"
        self._file.write_bytes(msgspec.json.encode(config(folder, url)))
        self._child: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "cells.process", "observer"),
            env={CONFIG_VARIABLE: str(self._file), "PYTHONPATH": str(HOME)},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        assert self._child is not None
        if self._child.returncode is None:
            self._child.send_signal(number)
        return await asyncio.wait_for(self._child.wait(), SOON)


class Operator:
    """Hears frames and asks questions, as the api and the hub do."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._client = await connection.connect(self._url, "operator")
        await self._client.subscribe(asks.frame_subject("c1"), cb=self._on_frame)
        return self

    async def __aexit__(self, *_: object) -> None:
        await connection.close(self._client)

    async def _on_frame(self, message: Msg) -> None:
        position, raw = msgspec.msgpack.decode(message.data)
        frame = json.loads(raw)
        assert position == frame["position"]
        self._heard.put_nowait(frame)

    async def frame(self, seconds: float = SOON) -> dict[str, Any]:
        """Return the next frame."""
        async with asyncio.timeout(seconds):
            return await self._heard.get()

    async def frame_with(self, met: Any, seconds: float = SOON) -> dict[str, Any]:
        """Return the first frame for which something holds."""
        async with asyncio.timeout(seconds):
            while True:
                frame = await self._heard.get()
                if met(frame):
                    return frame

    @property
    def silent(self) -> bool:
        """Whether nothing was heard since `forget`."""
        return self._heard.empty()

    def forget(self) -> None:
        """Leave all that was heard so far."""
        while not self._heard.empty():
            self._heard.get_nowait()

    async def answer(self, ask: asks.Ask) -> asks.Answer:
        """Ask until somebody answers."""
        async with asyncio.timeout(SOON):
            while True:
                try:
                    message = await self._client.request(
                        asks.ask_subject("c1"), asks.encode_ask(ask), asks.ASK_SECONDS
                    )
                except (NatsError, TimeoutError):
                    await asyncio.sleep(0.1)
                else:
                    answer: asks.Answer = asks.decode_answer(message.data)
                    return answer

    async def ask(self, ask: asks.Ask) -> Any:
        """Return the JSON of an answer."""
        found = await self.answer(ask)
        assert isinstance(found, asks.Answered), found
        return json.loads(found.body)

    async def raw(self, payload: bytes) -> asks.Answer:
        """Send what may be no question."""
        message = await self._client.request(asks.ask_subject("c1"), payload, asks.ASK_SECONDS)
        answer: asks.Answer = asks.decode_answer(message.data)
        return answer
