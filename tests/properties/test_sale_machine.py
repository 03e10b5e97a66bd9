"""The sale against a small model: the pure rules, and the same rules run by the writer over a faulty log."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from cells.kernel import envelope, ids
from cells.kernel.clock import ManualClock
from cells.log.memory import Fault, MemoryLog
from server.flash_sale import decide as rules
from server.flash_sale.audit import Auditor
from server.flash_sale.evolve import evolve
from server.flash_sale.memory import MemorySales
from server.flash_sale.model import EVENTS, Answer, Command, Event, Refusal, Sale
from server.flash_sale.rules import SaleRules
from tests.properties.sale_actions import SaleMachine, draft, move


class PureSale(SaleMachine):
    """decide and evolve, and nothing else."""

    def begin(self) -> str:
        self.clock = ManualClock()
        self.sale, self.version, self.positions = Sale(), 0, [0]
        self.auditor = Auditor()
        self.run(draft("sal_1"))
        self.run(move("sal_1", "arm", "a"))
        self.run(move("sal_1", "open", "o"))
        return "sal_1"

    def run(self, command: Command) -> Answer:
        self._apply(rules.tick(self.sale, self.clock.now()))
        before = (self.sale.held, self.sale.sold, len(self.sale.holds))
        events, reply = rules.decide(self.sale, command, self.clock.now())
        assert (self.sale.held, self.sale.sold, len(self.sale.holds)) == before, "deciding changes nothing"
        self._apply(events)
        return SaleRules().answer(self.sale, reply, self.version, self.positions)

    def _apply(self, events: list[Event]) -> None:
        self.version += 1
        self.positions.append(self.version)
        for event in events:
            evolve(self.sale, event, self.version)
        self.auditor.read(events, self.version, self.version)

    def advance(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)

    def now(self) -> int:
        return self.clock.now()

    def audit(self) -> Auditor:
        return self.auditor

    @invariant()
    def units_are_conserved(self) -> None:
        sale = self.sale
        free = list(sale.returned) + list(range(sale.fresh_unit, sale.stock + 1))
        assert len(free) == len(set(free)) == sale.available


class WrittenSale(SaleMachine):
    """The writer over a log that loses messages and acknowledgements, restarted at any moment."""

    def begin(self) -> str:
        self.loop = asyncio.new_event_loop()
        self.clock, self.log = ManualClock(), MemoryLog()
        self.term = 1
        self.sales = MemorySales(self.log, self.clock)
        sale_id = ids.new_id("sal", 7, self.clock.now(), bytes(10))
        for command in (draft(sale_id), move(sale_id, "arm", "a"), move(sale_id, "open", "o")):
            assert not isinstance(self._ask(command, sale_id), Refusal)
        return sale_id

    def run(self, command: Command) -> Answer:
        """As a client does it: again, until the outcome is known."""
        for _ in range(10):
            answer = self._ask(command, self.sale_id)
            if not (isinstance(answer, Refusal) and answer.code in ("unavailable", "outcome_unknown")):
                return answer
        raise AssertionError("the writer never gave a definite answer")

    def _ask(self, command: Command, sale_id: str) -> Answer:
        del sale_id
        return self.loop.run_until_complete(asyncio.wait_for(self.sales.ask(command), 5))

    def advance(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)

    def now(self) -> int:
        return self.clock.now()

    def audit(self) -> Auditor:
        auditor = Auditor()
        for stored in self.log.stored("log.*.sale.*"):
            commit = envelope.decode(EVENTS, stored.body)
            auditor.read(commit.events, commit.version, stored.position)
        return auditor

    @rule(faults=st.lists(st.sampled_from([None, *Fault]), min_size=1, max_size=3))
    def the_log_fails(self, faults: list[Fault | None]) -> None:
        self.log.faults.extend(faults)

    @rule()
    def the_writer_is_killed(self) -> None:
        self.term += 1
        self.sales = MemorySales(self.log, self.clock, term=self.term)

    def teardown(self) -> None:
        self.loop.close()


TestPureSale = PureSale.TestCase
TestPureSale.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestWrittenSale = WrittenSale.TestCase
TestWrittenSale.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_of_the_log_never_reaches_the_buyer_as_a_wrong_answer(fault: Fault) -> None:
    """One hold under each fault: a retry gets units, and the log has exactly one hold."""
    machine = WrittenSale()
    machine.log.faults.append(fault)
    machine.hold("usr_a", 2, "k1")
    machine.hold("usr_a", 2, "k1")
    assert machine.audit().audit.holds == 1
    machine.teardown()
