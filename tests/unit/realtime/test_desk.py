"""Connections at the desk, on a clock of our own: the silent, the expired, those who do not answer a close."""

import json

import pytest

from cells.telemetry.instruments import Metrics
from cells.tokens import Claims
from realtime.channels import ChannelName
from realtime.codes import CloseCode
from realtime.desk import Desk, DeskSettings
from realtime.feed import MemoryFeed
from realtime.hub import Hub
from realtime.identities import epoch_ms
from realtime.latest import LatestChannel
from realtime.outbox import BUDGET
from realtime.packet import Packet
from realtime.peer import CLOSE_GRACE_MS, Peer
from realtime.session import DEAD_AFTER_MS, MAX_SOCKETS_PER_USER, Limits, Session
from realtime.source import MemorySource
from realtime.tokens import KnownTokens
from realtime.traffic import Traffic
from realtime.wheel import STEP_MS
from tests.unit.realtime.builders import SALE, command, sale_shown


class QuietWire:
    """A wire whose other end is gone: it takes everything and answers nothing."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed_with: int | None = None
        self.was_cut = False
        self.held = 0

    def write(self, packet: Packet) -> None:
        self.frames.append(packet.payload)

    def buffered(self) -> int:
        return self.held

    def place(self, epoch: str, position: int) -> None:
        """Is not looked at."""

    def start_close(self, code: int, retry_ms: int | None) -> None:  # noqa: ARG002 - the port's shape
        self.closed_with = code

    def cut(self) -> None:
        self.was_cut = True


class Stage:
    def __init__(self) -> None:
        self.now = 0
        self.metrics = Metrics()
        today = epoch_ms()
        known = {
            "ada": Claims(sub="usr_1", role="buyer", sid="s1", exp=today + 20_000, iat=today, name="Ada")
        }
        clock = lambda: self.now  # noqa: E731 - a clock that reads what the test sets
        self.desk = Desk(
            DeskSettings("h"),
            Hub(clock),
            MemoryFeed(),
            MemorySource(),
            KnownTokens(known),
            clock,
            traffic=Traffic(self.metrics),
        )

    def counted(self) -> dict[str, int]:
        return {
            key.removeprefix("titan_"): each.value
            for key, each in self.metrics.counters.items()
            if each.value
        }

    def arrive(self, token: str | None = None) -> tuple[Peer, QuietWire]:
        wire = QuietWire()
        session = Session("c", "h", self.now, jitter=0.5, limits=Limits())
        peer = Peer(wire, session, self.desk)
        self.desk.enter(peer)
        peer.perform(session.receive(command("hello", {} if token is None else {"token": token}), self.now))
        return peer, wire

    def pass_(self, ms: int) -> None:
        for _ in range(0, ms, STEP_MS):
            self.now += STEP_MS
            for peer in self.desk.wheel.turn(self.now):
                peer.wake(self.now)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_half_open_connection_is_asked_closed_and_cut(stage):
    _, wire = stage.arrive()
    stage.pass_(DEAD_AFTER_MS - STEP_MS)

    assert (wire.frames[-1], wire.closed_with) == (b"{}", None)
    stage.pass_(2 * STEP_MS)
    assert (wire.closed_with, wire.was_cut) == (CloseCode.NO_PONG, False)
    assert stage.desk.connections == 0
    stage.pass_(CLOSE_GRACE_MS + STEP_MS)
    assert wire.was_cut


def test_a_token_that_runs_out_closes_though_the_client_lives(stage):
    peer, wire = stage.arrive("ada")
    for _ in range(25):
        stage.pass_(1_000)
        peer.heard()

    assert wire.closed_with == CloseCode.TOKEN_EXPIRED


def test_places_of_a_user_are_given_back(stage):
    arrived = [stage.arrive("ada") for _ in range(MAX_SOCKETS_PER_USER + 1)]

    assert [wire.closed_with for _, wire in arrived] == [None] * 8 + [CloseCode.TOO_MANY_SOCKETS]
    arrived[0][0].end()
    assert stage.arrive("ada")[1].closed_with is None


def test_nothing_is_written_after_a_close(stage):
    peer, wire = stage.arrive()
    before = len(wire.frames)
    peer.close(CloseCode.OVERLOADED, 5)
    peer.perform(peer.session.receive(command("dance"), 0))
    peer.perform(peer.session.going_away(1, 1))

    assert len(wire.frames) == before
    assert json.loads(wire.frames[0])["d"]["node"] == "h"


def test_what_goes_out_and_what_is_shed_is_counted(stage):
    peer, wire = stage.arrive()
    channel = LatestChannel(ChannelName("sale", SALE), 1, "e1", sale_shown(1), 0)
    packet = Packet(b"{}")
    peer.offer(channel, packet, 0)
    peer.signal(packet)
    peer.deliver(packet, 0)
    assert stage.counted() == {"deliveries_total": 3}

    peer.stalled()
    peer.signal(packet)
    peer.offer(channel, packet, 0)
    peer.offer(channel, packet, 0)
    peer.deliver(packet, 0)
    shed = {'shed_total{class="signal"}': 1, 'shed_total{class="latest"}': 2}
    assert stage.counted() == {"deliveries_total": 4, **shed}

    channel.newest = sale_shown(2)
    channel.advance(0)
    peer.drained()
    assert stage.counted() == {"deliveries_total": 5, **shed}

    peer.stalled()
    wire.held = BUDGET
    peer.deliver(packet, 0)
    peer.close(CloseCode.DRAINING)
    slow = {'shed_total{class="slow"}': 1, f'closes_total{{code="{CloseCode.SLOW}"}}': 1}
    assert stage.counted() == {"deliveries_total": 5, **shed, **slow}
