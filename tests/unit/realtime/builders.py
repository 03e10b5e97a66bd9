"""Sales, sessions and subscribers for the tests of the realtime package."""

import json
from typing import Any

from cells.kernel.ids import new_id
from cells.kernel.money import Money
from realtime.channels import ChannelName
from realtime.effects import Close, Effect, Send, Subscribe, VerifyToken
from realtime.packet import Packet
from realtime.session import Limits, Session
from realtime.subscriber import Conflated
from realtime.views import SaleView

SALE = new_id("sal", 7, 1_800_000_000_000, b"0123456789")
OTHER = new_id("sal", 8, 1_800_000_000_000, b"9876543210")
NAME = ChannelName("sale", SALE)
LIMITS = Limits()


def sale_view(position: int, *, sale: str = SALE, available: int = 100, stock: int = 100) -> SaleView:
    return SaleView(
        id=sale,
        merchant_id="mer_1",
        product_id="prd_1",
        title="Lamp",
        state="open",
        stock=stock,
        available=available,
        held=stock - available,
        sold=0,
        price=Money(4990, "EUR"),
        list_price=None,
        per_buyer_limit=2,
        hold_seconds=120,
        starts_at=None,
        ends_at=None,
        version=position,
        position=position,
    )


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
