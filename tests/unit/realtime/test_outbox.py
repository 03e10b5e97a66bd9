"""The write path: budget, and conflation for a reader that lags."""

from realtime.channels import ChannelName
from realtime.latest import LatestChannel
from realtime.outbox import BUDGET, Outbox
from realtime.packet import Packet
from tests.unit.realtime.builders import OTHER, SALE, payload, sale_shown


class FakeWire:
    """A wire whose kernel takes nothing until told to."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.held = 0

    def write(self, packet: Packet) -> None:
        self.frames.append(packet.frame)

    def buffered(self) -> int:
        return self.held


def channel(sale: str = SALE) -> LatestChannel:
    return LatestChannel(ChannelName("sale", sale), 1, "e1", sale_shown(1), 0)


def advance(target: LatestChannel, position: int) -> Packet:
    target.newest = sale_shown(position)
    return target.advance(position)


def test_events_are_written_at_once_while_the_reader_keeps_up():
    wire, target = FakeWire(), channel()
    outbox = Outbox(wire)
    frame = advance(target, 2)

    assert outbox.offer(target, frame)
    assert wire.frames == [frame.frame]


def test_a_lagging_reader_gets_only_the_newest_and_from_where_it_was():
    wire, target = FakeWire(), channel()
    outbox = Outbox(wire)
    outbox.offer(target, advance(target, 2))
    outbox.stalled(0)
    for position in range(3, 50):
        assert not outbox.offer(target, advance(target, position))
    outbox.drained()

    assert [(event["p"], event["s"]) for event in map(payload, wire.frames)] == [(1, 2), (2, 49)]
    outbox.offer(target, advance(target, 50))
    assert payload(wire.frames[-1])["p"] == 49


def test_nothing_is_owed_for_a_channel_that_was_left_or_told_anew():
    wire, target, other = FakeWire(), channel(), channel(OTHER)
    outbox = Outbox(wire)
    outbox.caught_up(target)
    outbox.stalled(0)
    outbox.offer(target, advance(target, 2))
    outbox.offer(other, advance(other, 3))
    outbox.caught_up(target)
    outbox.drained()

    assert [payload(frame)["s"] for frame in wire.frames] == [3]


def test_viewers_alone_are_not_owed():
    wire, target = FakeWire(), channel()
    outbox = Outbox(wire)
    outbox.stalled(0)
    outbox.offer(target, target.advance(5))
    outbox.drained()

    assert wire.frames == []


def test_paying_stops_when_it_fills_the_wire_again():
    class Filling(FakeWire):
        def write(self, packet: Packet) -> None:
            super().write(packet)
            outbox.stalled(1)

    wire = Filling()
    outbox = Outbox(wire)
    channels = [channel(), channel(OTHER)]
    outbox.stalled(0)
    for each in channels:
        outbox.offer(each, advance(each, 2))
    outbox.drained()

    assert len(wire.frames) == 1
    assert outbox.lagging
    outbox.drained()
    assert len(wire.frames) == 2


def test_replies_are_written_up_to_the_budget():
    wire = FakeWire()
    outbox = Outbox(wire)
    outbox.stalled(0)
    wire.held = BUDGET - 10

    assert outbox.send(Packet(b"x" * 8))
    assert not outbox.send(Packet(b"x" * 9))
    assert len(wire.frames) == 1


def test_a_reader_is_stuck_when_it_has_not_drained_in_time():
    outbox = Outbox(FakeWire())
    before = outbox.stuck_at(10_000)
    outbox.stalled(5_000)
    during = outbox.stuck_at(10_000)
    outbox.drained()

    assert (before, during, outbox.stuck_at(10_000)) == (None, 15_000, None)


def test_a_lagging_reader_gets_no_signals():
    wire = FakeWire()
    outbox = Outbox(wire)
    kept = outbox.signal(Packet(b"1"))
    outbox.stalled(0)

    assert (kept, outbox.signal(Packet(b"2"))) == (True, False)
    assert len(wire.frames) == 1
