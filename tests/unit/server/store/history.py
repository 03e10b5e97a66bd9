"""A shop's history made of real decisions, seeded: commits of sales and payments as the log would hold them."""

import random
from collections.abc import Iterator, Sequence

import msgspec

from cells.kernel import envelope, ids
from cells.kernel.codec import Registry
from cells.kernel.money import Money
from cells.log import subjects
from cells.log.port import Stored
from server.flash_sale import model as m
from server.flash_sale.decide import decide, tick
from server.flash_sale.evolve import evolve
from server.payments import model as p

SLOT = 7
START = 1_800_000_000_000


class _Aggregate:
    def __init__(self) -> None:
        self.version = 0
        self.hash = envelope.GENESIS
        self.position = 0


class History:
    """Goes on as long as asked. Sales are drafted, opened, bought from, paused and killed; time passes."""

    def __init__(self, seed: int, buyers: int = 12) -> None:
        self._chance = random.Random(seed)
        self._now = START
        self._aggregates: dict[str, _Aggregate] = {}
        self._sales: dict[str, m.Sale] = {}
        self._buyers = [self._id("usr") for _ in range(buyers)]
        self._merchants = [self._id("mer") for _ in range(2)]
        self._orders: list[tuple[str, str]] = []

    def go_on(self, commits: int) -> Iterator[tuple[str, int, bytes]]:
        """Yield subject, expected position and body of the next commits; call `stored` after each."""
        made = 0
        while made < commits:
            for commit in self._turn():
                made += 1
                yield commit

    def stored(self, subject: str, position: int) -> None:
        self._aggregates[subject].position = position

    def in_memory(self, commits: int) -> list[Stored]:
        """Return the next commits as a log that begins with them would give them back."""
        found: list[Stored] = []
        for subject, _, body in self.go_on(commits):
            found.append(Stored(len(found) + 1, subject, body))
        return found

    def counts(self) -> dict[str, tuple[str, int, int]]:
        return {s.id: (s.state, s.held, s.sold) for s in self._sales.values()}

    def holds(self) -> dict[str, m.Hold]:
        return {h.id: h for s in self._sales.values() for h in s.holds.values()}

    def a_buyer_with_an_order(self) -> tuple[str, str]:
        return self._orders[len(self._orders) // 2]

    def _turn(self) -> Iterator[tuple[str, int, bytes]]:
        self._now += self._chance.randrange(400)
        usable = [s for s in self._sales.values() if s.state not in ("ended", "killed")]
        if len(usable) < 3:
            yield from self._begin()
            return
        sale = self._chance.choice(usable)
        kind = self._chance.random()
        if kind < 0.01:
            yield from self._commit(sale, [self._move(sale, "kill")])
        elif kind < 0.04:
            step: m.Step = "pause" if sale.state == "open" else "resume"
            yield from self._commit(sale, [self._move(sale, step)])
        elif kind < 0.05:
            limit = self._chance.choice([None, 5, 50])
            command = self._chance.randbytes(8).hex()
            yield from self._commit(sale, [m.ThrottleSale(sale.id, command, limit, "opr_1", "")])
        elif kind < 0.15:
            events = tick(sale, self._now)
            if events:
                yield self._encode(sale, events)
        else:
            yield from self._trade(sale)

    def _begin(self) -> Iterator[tuple[str, int, bytes]]:
        sale = m.Sale()
        draft = m.DraftSale(
            self._id("sal"),
            self._chance.choice(self._merchants),
            self._id("prd"),
            f"Sale {len(self._sales)} „ü“",
            Money(self._chance.randrange(100, 9999), "EUR"),
            self._chance.choice([None, Money(12_000, "EUR")]),
            self._chance.randrange(50, 500),
            5,
            self._chance.choice([1, 5, 60]),
            None,
            None,
        )
        self._sales[draft.sale_id] = sale
        yield from self._commit(sale, [draft])
        yield from self._commit(sale, [self._move(sale, "arm")])
        yield from self._commit(sale, [self._move(sale, "open")])

    def _trade(self, sale: m.Sale) -> Iterator[tuple[str, int, bytes]]:
        commands: list[m.Command] = []
        for _ in range(self._chance.randrange(1, 6)):
            buyer = self._chance.choice(self._buyers)
            held = [h for h in sale.holds.values() if h.status is m.HoldStatus.HELD]
            if held and self._chance.random() < 0.5:
                hold = self._chance.choice(held)
                if self._chance.random() < 0.3:
                    commands.append(m.ReleaseHold(sale.id, hold.id, hold.buyer_id))
                else:
                    yield from self._pay(hold.id, sale)
                    commands.append(
                        m.ConfirmHold(sale.id, hold.id, hold.buyer_id, self._id("ord"), f"pay-{hold.id}")
                    )
            else:
                key = self._chance.randbytes(m.KEY_BYTES)
                commands.append(
                    m.HoldUnits(sale.id, self._id("hld"), buyer, self._chance.randrange(1, 3), key)
                )
        yield from self._commit(sale, commands)

    def _pay(self, hold_id: str, sale: m.Sale) -> Iterator[tuple[str, int, bytes]]:
        subject = subjects.subject(SLOT, p.KIND, hold_id)
        if subject in self._aggregates:
            return
        started = p.PaymentStarted(
            f"pay-{hold_id}",
            hold_id,
            sale.id,
            "usr",
            sale.merchant_id,
            sale.price,
            1,
            "pm_ok",
            b"k",
            self._now,
        )
        yield self._append(subject, p.EVENTS, [started])
        end = self._chance.choice([p.PaymentCaptured(1, self._now), None])
        events = [p.PaymentAuthorised(1, "ref", self._now), *([end] if end else [])]
        yield self._append(subject, p.EVENTS, events)

    def _commit(self, sale: m.Sale, commands: list[m.Command]) -> Iterator[tuple[str, int, bytes]]:
        events: list[m.Event] = []
        for command in commands:
            decided, _ = decide(sale, command, self._now)
            for event in decided:
                evolve(sale, event, 0)
                if isinstance(event, m.HoldConfirmed):
                    self._orders.append((sale.holds[event.hold_id].buyer_id, event.order_id))
            events += decided
        if events:
            yield self._append(subjects.subject(SLOT, m.KIND, sale.id), m.EVENTS, events)

    def _encode(self, sale: m.Sale, events: list[m.Event]) -> tuple[str, int, bytes]:
        for event in events:
            evolve(sale, event, 0)
        return self._append(subjects.subject(SLOT, m.KIND, sale.id), m.EVENTS, events)

    def _append(
        self, subject: str, registry: Registry, events: Sequence[msgspec.Struct]
    ) -> tuple[str, int, bytes]:
        end = self._aggregates.setdefault(subject, _Aggregate())
        body = envelope.encode(registry, end.version + 1, self._now, end.hash, events)
        end.version, end.hash = end.version + 1, envelope.digest(body)
        return subject, end.position, body

    def _move(self, sale: m.Sale, step: m.Step) -> m.MoveSale:
        return m.MoveSale(
            sale_id=sale.id,
            step=step,
            by=sale.merchant_id,
            merchant_id=sale.merchant_id,
            reason="",
            id=self._chance.randbytes(8).hex(),
        )

    def _id(self, prefix: str) -> str:
        return ids.new_id(prefix, SLOT, self._now, self._chance.randbytes(ids.ENTROPY_BYTES))
