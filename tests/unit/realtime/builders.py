"""Sales, sessions and subscribers for the tests of the realtime package."""

import json
from typing import Any

import msgspec

from cells.kernel.ids import new_id
from realtime.channels import ChannelName
from realtime.effects import Close, Effect, Send, Subscribe, VerifyToken
from realtime.events import Shown
from realtime.packet import Packet
from realtime.session import Limits, Session
from realtime.subscriber import Conflated

SALE = new_id("sal", 7, 1_800_000_000_000, b"0123456789")
OTHER = new_id("sal", 8, 1_800_000_000_000, b"9876543210")
NAME = ChannelName("sale", SALE)
KEY, OTHER_KEY = NAME.key, ChannelName("sale", OTHER).key
LIMITS = Limits()


def sale_shown(position: int, *, available: int = 100, stock: int = 100) -> Shown:
    """A sale as its writer shows it to hubs."""
    tick = {
        "state": "open",
        "available": available,
        "held": stock - available,
        "sold": 0,
        "stock": stock,
        "price": {"amount": 4990, "currency": "EUR"},
    }
    return Shown(position, msgspec.json.encode(tick))


def new_session(now: int = 0, *, jitter: float = 0.5, limits: Limits = LIMITS) -> Session:
    return Session("c1", "hub-1", now, jitter=jitter, limits=limits)


def opened(now: int = 0, *, limits: Limits = LIMITS) -> Session:
    session = new_session(now, limits=limits)
    session.receive(command("hello"), now)
    return session


def command(name: str, d: object = None, i: int = 1, **more: Any) -> str:
    return json.dumps({"i": i, "t": name, "d": {} if d is None else d, **more})


def sent(effects: list[Effect]) -> list[Any]:
    return [json.loads(effect.frame) for effect in effects if isinstance(effect, Send)]


def close_code(effects: list[Effect]) -> int | None:
    return next((effect.code for effect in effects if isinstance(effect, Close)), None)


def asking_token(effects: list[Effect]) -> VerifyToken:
    [asked] = effects
    assert isinstance(asked, VerifyToken)
    return asked


def asking_channels(effects: list[Effect]) -> Subscribe:
    [asked] = effects
    assert isinstance(asked, Subscribe)
    return asked


def payload(frame: bytes) -> Any:
    """Read a text frame as it goes over the wire."""
    size = frame[1]
    return json.loads(frame[2:] if size < 126 else frame[4:])


class RecordingSubscriber:
    """A subscriber that reads everything at once."""

    def __init__(self, user: str | None = None) -> None:
        self.user = user
        self.events: list[Any] = []
        self.signals: list[Any] = []
        self.packets: list[Packet] = []

    def offer(self, channel: Conflated, packet: Packet, now: int) -> None:  # noqa: ARG002 - the port's shape
        self.deliver(packet, now)

    def deliver(self, packet: Packet, now: int) -> None:  # noqa: ARG002 - the port's shape
        read = payload(packet.frame)
        self.packets.append(packet)
        self.events += read if isinstance(read, list) else [read]

    def signal(self, packet: Packet) -> None:
        self.signals.append(payload(packet.frame))


TALK = new_id("cnv", 7, 1_800_000_000_000, b"abcdefghij")
ROOM = f"room:{SALE}"
CHAT = f"chat:{TALK}"
