"""One state machine for every way to run a sale: what is done to it, and what must hold afterwards."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule

from cells.kernel.money import Money
from server.flash_sale import wire
from server.flash_sale.audit import Auditor
from server.flash_sale.model import (
    Answer,
    Command,
    ConfirmHold,
    DraftSale,
    Granted,
    HoldUnits,
    MoveSale,
    Refusal,
    ReleaseHold,
    ThrottleSale,
)
from tests.properties.sale_model import ModelSale

BUYERS = ["usr_a", "usr_b", "usr_c"]
KEYS = ["k1", "k2", "k3", "k4", "k5"]
STOCK, LIMIT, HOLD_SECONDS = 7, 4, 30
MERCHANT = "mer_m"


def draft(sale_id: str) -> DraftSale:
    """Describe the sale that the model stands for."""
    return DraftSale(
        sale_id,
        MERCHANT,
        "prd_p",
        "Sneakers",
        Money(4990, "EUR"),
        None,
        STOCK,
        LIMIT,
        HOLD_SECONDS,
        None,
        None,
    )


def move(sale_id: str, step: Any, command_id: str) -> MoveSale:
    """Take a step as the sale's merchant."""
    return MoveSale(sale_id, command_id, step, MERCHANT, MERCHANT, "")


def assert_paced(granted_at: list[int], per_second: int) -> None:
    """In any t seconds, no more than `per_second * (t + 1)`; times are milliseconds, in order."""
    for first, begin in enumerate(granted_at):
        for last, end in enumerate(granted_at[first:], start=first):
            assert (last - first + 1) * 1000 <= per_second * (end - begin + 1000)


class SaleMachine(RuleBasedStateMachine):
    """Subclasses say how a command is run (`run`), how time passes (`advance`) and where the events are (`audit`)."""

    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.sale_id = self.begin()
        self.model = ModelSale(STOCK, LIMIT, HOLD_SECONDS * 1000)
        self.grants: dict[str, tuple[int, ...]] = {}
        self.granted_at: list[int] = []

    def begin(self) -> str:
        raise NotImplementedError

    def run(self, command: Command) -> Answer:
        raise NotImplementedError

    def advance(self, milliseconds: int) -> None:
        raise NotImplementedError

    def now(self) -> int:
        raise NotImplementedError

    def audit(self) -> Auditor:
        raise NotImplementedError

    def hold_id(self, number: int) -> str:
        return f"hld_{number}"

    @rule(target=holds, buyer=st.sampled_from(BUYERS), quantity=st.integers(1, 5), key=st.sampled_from(KEYS))
    def hold(self, buyer: str, quantity: int, key: str) -> Any:
        self.count += 1
        hold_id = self.hold_id(self.count)
        digest = wire.key_digest(buyer, key)
        self.model.pass_time(self.now())
        expected = self.model.hold(hold_id, buyer, quantity, key, self.now())
        answer = self.run(HoldUnits(self.sale_id, hold_id, buyer, quantity, digest))
        if isinstance(answer, Refusal):
            assert answer.code == expected
            return multiple()
        assert isinstance(answer, Granted)
        assert answer.hold_id == expected
        assert len(answer.units) == quantity
        if answer.hold_id not in self.grants:
            self.granted_at.append(self.now())
        assert self.grants.setdefault(answer.hold_id, answer.units) == answer.units, (
            "a replay gives the same units"
        )
        return answer.hold_id

    @rule(hold_id=holds)
    def confirm(self, hold_id: str) -> None:
        self._settle(
            hold_id, "confirmed", lambda b: ConfirmHold(self.sale_id, hold_id, b, f"ord_{hold_id}", "pay_1")
        )

    @rule(hold_id=holds)
    def release(self, hold_id: str) -> None:
        self._settle(hold_id, "released", lambda b: ReleaseHold(self.sale_id, hold_id, b))

    def _settle(self, hold_id: str, status: str, command: Callable[[str], Command]) -> None:
        self.model.pass_time(self.now())
        expected = self.model.settle(hold_id, status)
        answer = self.run(command(str(self.model.holds[hold_id]["buyer"])))
        assert (answer.code if isinstance(answer, Refusal) else "ok") == expected

    @rule(hold_id=holds)
    def someone_else_wants_it(self, hold_id: str) -> None:
        answer = self.run(ReleaseHold(self.sale_id, hold_id, "usr_stranger"))
        assert isinstance(answer, Refusal)
        assert answer.code == "not_found"

    @rule(seconds=st.integers(1, 20))
    def time_passes(self, seconds: int) -> None:
        self.advance(seconds * 1000)

    @rule(milliseconds=st.integers(1, 999))
    def a_moment_passes(self, milliseconds: int) -> None:
        self.advance(milliseconds)

    @rule(per_second=st.sampled_from([None, 1, 2, 3]))
    def throttle(self, per_second: int | None) -> None:
        self.count += 1
        self.model.throttle(per_second, self.now())
        self.granted_at = []
        command = ThrottleSale(self.sale_id, f"t{self.count}", per_second, "opr_o", "")
        assert not isinstance(self.run(command), Refusal)

    @precondition(lambda self: self.model.state in ("open", "paused"))
    @rule()
    def pause_or_resume(self) -> None:
        step, self.model.state = ("pause", "paused") if self.model.state == "open" else ("resume", "open")
        self.count += 1
        assert not isinstance(self.run(move(self.sale_id, step, f"m{self.count}")), Refusal)

    @invariant()
    def a_throttled_sale_is_no_faster_than_that(self) -> None:
        if self.model.per_second is not None:
            assert_paced(self.granted_at, self.model.per_second)

    @invariant()
    def log_agrees_with_the_model(self) -> None:
        audit = self.audit().audit
        assert (audit.oversold, audit.duplicate_units, audit.over_limit) == (0, 0, 0)
        self.model.pass_time(self.now())
        held, sold = self.model.counts()
        assert audit.confirmed == sold
        assert audit.held >= held, "the log may not have expired yet what the clock has"
        assert audit.held + audit.confirmed <= STOCK
