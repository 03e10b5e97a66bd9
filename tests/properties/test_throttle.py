"""A throttled sale under any arrivals: never faster than its throttle, never slower than it has to be."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cells.kernel.money import Money
from server.flash_sale.decide import decide
from server.flash_sale.evolve import evolve
from server.flash_sale.model import HoldUnits, Refusal, Sale, SaleDrafted, SaleMoved, SaleThrottled
from tests.properties.sale_actions import assert_paced

T0 = 1_800_000_000_000


def throttled(per_second: int) -> Sale:
    sale = Sale()
    price = Money(4990, "EUR")
    for event in (
        SaleDrafted("sal_1", "mer_1", "prd_1", "Drop", price, None, 100_000, 1_000, 3600, None, None, T0),
        SaleMoved("open", "mer_1", "", T0),
        SaleThrottled(per_second, "opr_1", "", T0),
    ):
        evolve(sale, event, 1)
    return sale


@settings(max_examples=300, deadline=None)
@given(
    per_second=st.integers(1, 50),
    gaps=st.lists(st.one_of(st.just(0), st.integers(0, 40), st.integers(0, 3_000)), max_size=120),
    repeats=st.booleans(),
)
def test_the_bound_holds_in_every_window_and_who_waits_as_told_is_served(
    *, per_second: int, gaps: list[int], repeats: bool
) -> None:
    sale, now, granted = throttled(per_second), T0, []
    for number, gap in enumerate(gaps):
        now += gap
        command = HoldUnits("sal_1", f"hld_{number}", f"usr_{number}", 1 + number % 3, b"%d" % number)
        events, reply = decide(sale, command, now)
        if isinstance(reply, Refusal):
            assert reply.code == "rate_limited"
            wait = reply.retry_after_ms or 0
            assert 0 < wait <= 1000
            assert not decide(sale, command, now + wait - 1)[0]
            assert decide(sale, command, now + wait)[0]
            continue
        for event in events:
            evolve(sale, event, 2)
        granted.append(now)
        if repeats:
            assert not decide(sale, command, now)[0], "a repeat is answered and takes nothing"

    assert_paced(granted, per_second)
    assert sale.held <= sale.stock
