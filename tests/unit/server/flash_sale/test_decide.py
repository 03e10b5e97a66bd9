"""The rules of a flash sale, one behaviour at a time."""

import msgspec
import pytest

from cells.kernel.money import Money
from server.flash_sale import decide as rules
from server.flash_sale.evolve import REMEMBERED_MS, evolve
from server.flash_sale.model import (
    EVENTS,
    Command,
    ConfirmHold,
    DraftSale,
    Event,
    FindHold,
    GetSale,
    Granted,
    HoldConfirmed,
    HoldExpired,
    HoldFound,
    HoldReleased,
    HoldStatus,
    HoldUnits,
    MoveSale,
    Refusal,
    ReleaseHold,
    Sale,
    SaleDrafted,
    SaleMoved,
    SaleThrottled,
    State,
    Step,
    ThrottleSale,
    UnitsHeld,
    WriterChanged,
)

T0 = 1_800_000_000_000
PRICE = Money(4990, "EUR")
DRAFTED = SaleDrafted("sal_1", "mer_1", "prd_1", "Drop", PRICE, None, 3, 2, 60, None, None, T0)
ARMED = SaleMoved("armed", "mer_1", "", T0, "a")
OPEN = SaleMoved("open", "mer_1", "", T0, "o")
HELD_A = UnitsHeld("hld_a", "usr_a", (1, 2), b"ka", T0 + 60_000, T0)


class Past:
    """A sale after some events."""

    def __init__(self, *events: Event) -> None:
        self.sale = Sale()
        for version, event in enumerate(events, start=1):
            evolve(self.sale, event, version)

    def when(self, command: Command, now: int = T0) -> "Decided":
        return Decided(*rules.decide(self.sale, command, now))

    def at(self, now: int) -> list[Event]:
        return rules.tick(self.sale, now)


class Decided:
    """What a command led to."""

    def __init__(self, events: list[Event], reply: rules.Reply) -> None:
        self.events, self.reply = events, reply

    def then(self, *events: Event) -> rules.Reply:
        assert self.events == list(events)
        return self.reply

    def refused(self, code: str) -> None:
        assert self.events == []
        assert isinstance(self.reply, Refusal)
        assert self.reply.code == code


def hold(buyer: str, quantity: int, key: bytes = b"k", hold_id: str = "hld_n") -> HoldUnits:
    return HoldUnits("sal_1", hold_id, buyer, quantity, key)


def confirm(hold_id: str = "hld_a", buyer: str = "usr_a", payment: str = "pay_1") -> ConfirmHold:
    return ConfirmHold("sal_1", hold_id, buyer, "ord_1", payment)


def move(step: Step, merchant: str = "mer_1", command: str = "m") -> MoveSale:
    return MoveSale("sal_1", command, step, merchant or "opr_1", merchant, "why")


class TestHolding:
    def test_units_are_numbered_from_one(self) -> None:
        reply = (
            Past(DRAFTED, ARMED, OPEN)
            .when(hold("usr_a", 2))
            .then(UnitsHeld("hld_n", "usr_a", (1, 2), b"k", T0 + 60_000, T0))
        )
        assert reply == Granted("hld_n", "sal_1", (1, 2), PRICE, T0 + 60_000)

    def test_more_than_the_limit_is_refused_over_all_holds(self) -> None:
        Past(DRAFTED, ARMED, OPEN, HELD_A).when(hold("usr_a", 1)).refused("limit_reached")

    def test_what_is_not_there_is_refused(self) -> None:
        Past(DRAFTED, ARMED, OPEN, HELD_A).when(hold("usr_b", 2)).refused("sold_out")

    def test_the_last_unit_is_sold(self) -> None:
        Past(DRAFTED, ARMED, OPEN, HELD_A).when(hold("usr_b", 1)).then(
            UnitsHeld("hld_n", "usr_b", (3,), b"k", T0 + 60_000, T0)
        )

    @pytest.mark.parametrize("state", ("draft", "armed", "paused", "ended", "killed"))
    def test_only_an_open_sale_sells(self, state: State) -> None:
        Past(DRAFTED, SaleMoved(state, "mer_1", "", T0)).when(hold("usr_a", 1)).refused("not_open")

    def test_a_sale_past_its_end_sells_nothing_even_before_the_clock_was_asked(self) -> None:
        drafted = SaleDrafted("sal_1", "mer_1", "prd_1", "Drop", PRICE, None, 3, 2, 60, None, T0 + 10, T0)
        Past(drafted, ARMED, OPEN).when(hold("usr_a", 1), T0 + 10).refused("not_open")

    def test_returned_units_go_out_again_before_fresh_ones(self) -> None:
        past = Past(DRAFTED, ARMED, OPEN, HELD_A, HoldReleased("hld_a", T0))
        past.when(hold("usr_b", 1)).then(UnitsHeld("hld_n", "usr_b", (1,), b"k", T0 + 60_000, T0))

    def test_a_hold_may_mix_returned_and_fresh_units(self) -> None:
        first = UnitsHeld("hld_a", "usr_a", (1,), b"ka", T0 + 60_000, T0)
        past = Past(DRAFTED, ARMED, OPEN, first, HoldReleased("hld_a", T0))
        past.when(hold("usr_b", 2)).then(UnitsHeld("hld_n", "usr_b", (1, 2), b"k", T0 + 60_000, T0))

    def test_an_unknown_sale_is_not_found(self) -> None:
        Past().when(hold("usr_a", 1)).refused("not_found")


class TestRepeating:
    def test_the_same_key_gets_the_same_units_and_no_event(self) -> None:
        reply = Past(DRAFTED, ARMED, OPEN, HELD_A).when(hold("usr_a", 2, b"ka", "hld_other")).then()
        assert reply == Granted("hld_a", "sal_1", (1, 2), PRICE, T0 + 60_000, version=4, replayed=True)

    def test_the_same_key_for_another_quantity_is_refused(self) -> None:
        Past(DRAFTED, ARMED, OPEN, HELD_A).when(hold("usr_a", 1, b"ka")).refused("key_reused")

    @pytest.mark.parametrize(
        "after",
        (
            HoldReleased("hld_a", T0),
            HoldExpired("hld_a", T0),
            HoldConfirmed("hld_a", "ord_1", "pay_1", T0),
            SaleMoved("ended", "clock", "", T0),
            SaleMoved("killed", "opr_1", "", T0),
        ),
    )
    def test_the_answer_stays_the_same_whatever_became_of_the_hold(self, after: Event) -> None:
        reply = Past(DRAFTED, ARMED, OPEN, HELD_A, after).when(hold("usr_a", 2, b"ka")).then()
        assert isinstance(reply, Granted)
        assert (reply.hold_id, reply.units, reply.version) == ("hld_a", (1, 2), 4)

    def test_a_settled_hold_is_remembered_for_a_day(self) -> None:
        day = REMEMBERED_MS
        later = UnitsHeld("hld_b", "usr_b", (1,), b"kb", T0 + day, T0 + day)
        past = (DRAFTED, ARMED, OPEN, HELD_A, HoldReleased("hld_a", T0), later)
        assert "hld_a" in Past(*past, HoldReleased("hld_b", T0 + day)).sale.holds
        forgotten = Past(*past, HoldReleased("hld_b", T0 + day + 1)).sale
        assert "hld_a" not in forgotten.holds
        assert b"ka" not in forgotten.keys

    def test_a_step_repeated_with_its_id_changes_nothing(self) -> None:
        Past(DRAFTED, ARMED).when(move("arm", command="a")).then()

    def test_a_draft_repeated_changes_nothing_and_another_under_its_id_is_refused(self) -> None:
        same = DraftSale("sal_1", "mer_1", "prd_1", "Drop", PRICE, None, 3, 2, 60, None, None)
        assert Past(DRAFTED).when(same).then() is None
        other = DraftSale("sal_1", "mer_2", "prd_1", "Drop", PRICE, None, 3, 2, 60, None, None)
        Past(DRAFTED).when(other).refused("conflict")


class TestConfirming:
    def test_a_held_hold_becomes_an_order(self) -> None:
        reply = (
            Past(DRAFTED, ARMED, OPEN, HELD_A)
            .when(confirm())
            .then(HoldConfirmed("hld_a", "ord_1", "pay_1", T0))
        )
        assert isinstance(reply, HoldFound)
        assert (reply.status, reply.order_id) == (HoldStatus.CONFIRMED, "ord_1")

    def test_the_last_millisecond_counts_and_the_next_does_not(self) -> None:
        past = Past(DRAFTED, ARMED, OPEN, HELD_A)
        past.when(confirm(), T0 + 59_999).then(HoldConfirmed("hld_a", "ord_1", "pay_1", T0 + 59_999))
        past.when(confirm(), T0 + 60_000).refused("hold_expired")

    def test_again_is_the_same_order(self) -> None:
        past = Past(DRAFTED, ARMED, OPEN, HELD_A, HoldConfirmed("hld_a", "ord_0", "pay_1", T0))
        reply = past.when(confirm()).then()
        assert isinstance(reply, HoldFound)
        assert (reply.order_id, reply.replayed) == ("ord_0", True)
        past.when(confirm(payment="pay_2")).refused("conflict")

    def test_a_released_or_expired_hold_is_gone(self) -> None:
        Past(DRAFTED, ARMED, OPEN, HELD_A, HoldReleased("hld_a", T0)).when(confirm()).refused("hold_released")
        Past(DRAFTED, ARMED, OPEN, HELD_A, HoldExpired("hld_a", T0)).when(confirm()).refused("hold_expired")

    def test_holds_of_a_paused_or_ended_sale_may_still_be_paid(self) -> None:
        for state in ("paused", "ended"):
            past = Past(DRAFTED, ARMED, OPEN, HELD_A, SaleMoved(state, "mer_1", "", T0))
            past.when(confirm()).then(HoldConfirmed("hld_a", "ord_1", "pay_1", T0))

    def test_killing_releases_every_hold_and_keeps_every_order(self) -> None:
        held_b = UnitsHeld("hld_b", "usr_b", (3,), b"kb", T0 + 60_000, T0)
        paid = HoldConfirmed("hld_a", "ord_1", "pay_1", T0)
        past = Past(DRAFTED, ARMED, OPEN, HELD_A, held_b, paid, SaleMoved("killed", "opr_1", "fraud", T0))
        assert (past.sale.held, past.sale.sold, past.sale.available) == (0, 2, 1)
        past.when(confirm("hld_b", "usr_b")).refused("hold_released")

    @pytest.mark.parametrize(
        "command",
        (confirm(buyer="usr_b"), ReleaseHold("sal_1", "hld_a", "usr_b"), FindHold("sal_1", "hld_a", "usr_b")),
    )
    def test_another_buyers_hold_does_not_exist(self, command: Command) -> None:
        Past(DRAFTED, ARMED, OPEN, HELD_A).when(command).refused("not_found")


class TestReleasing:
    def test_units_and_allowance_come_back(self) -> None:
        past = Past(DRAFTED, ARMED, OPEN, HELD_A)
        past.when(ReleaseHold("sal_1", "hld_a", "usr_a")).then(HoldReleased("hld_a", T0))
        evolve(past.sale, HoldReleased("hld_a", T0), 5)
        assert past.sale.available == 3
        past.when(hold("usr_a", 2)).then(UnitsHeld("hld_n", "usr_a", (1, 2), b"k", T0 + 60_000, T0))

    def test_again_changes_nothing(self) -> None:
        past = Past(DRAFTED, ARMED, OPEN, HELD_A, HoldReleased("hld_a", T0))
        past.when(ReleaseHold("sal_1", "hld_a", "usr_a")).then()

    def test_an_order_is_not_released(self) -> None:
        past = Past(DRAFTED, ARMED, OPEN, HELD_A, HoldConfirmed("hld_a", "ord_1", "pay_1", T0))
        past.when(ReleaseHold("sal_1", "hld_a", "usr_a")).refused("wrong_state")


class TestTheClock:
    def test_holds_run_out(self) -> None:
        past = Past(DRAFTED, ARMED, OPEN, HELD_A)
        assert rules.due(past.sale) == T0 + 60_000
        assert past.at(T0 + 59_999) == []
        assert past.at(T0 + 60_000) == [HoldExpired("hld_a", T0 + 60_000)]

    def test_an_armed_sale_opens_and_ends_by_itself(self) -> None:
        drafted = SaleDrafted("sal_1", "mer_1", "prd_1", "Drop", PRICE, None, 3, 2, 60, T0 + 5, T0 + 10, T0)
        armed = Past(drafted, ARMED)
        assert rules.due(armed.sale) == T0 + 5
        assert armed.at(T0 + 5) == [SaleMoved("open", "clock", "", T0 + 5)]
        assert Past(drafted, ARMED, OPEN).at(T0 + 10) == [SaleMoved("ended", "clock", "", T0 + 10)]
        assert armed.at(T0 + 10) == [SaleMoved("ended", "clock", "", T0 + 10)], "it slept through its window"

    def test_a_sale_that_is_over_is_idle_when_nothing_is_held(self) -> None:
        ended = SaleMoved("ended", "clock", "", T0)
        assert not rules.idle(Past(DRAFTED, ARMED, OPEN, HELD_A, ended).sale)
        assert rules.idle(Past(DRAFTED, ARMED, OPEN, HELD_A, ended, HoldExpired("hld_a", T0)).sale)

    def test_a_thousand_due_holds_are_taken_in_bounded_steps(self) -> None:
        drafted = SaleDrafted("sal_1", "mer_1", "prd_1", "Drop", PRICE, None, 2000, 2, 60, None, None, T0)
        holds = [UnitsHeld(f"hld_{n}", f"usr_{n}", (n,), b"%d" % n, T0 + 1, T0) for n in range(1, 1001)]
        past = Past(drafted, ARMED, OPEN, *holds)
        steps = 0
        while events := past.at(T0 + 1):
            assert len(events) <= rules.TICK_EVENTS
            for event in events:
                evolve(past.sale, event, 9)
            steps += 1
        assert (steps, past.sale.available, rules.due(past.sale)) == (2, 2000, None)


class TestTheLifeCycle:
    @pytest.mark.parametrize(
        ("state", "step", "becomes"),
        (
            ("draft", "arm", "armed"),
            ("armed", "open", "open"),
            ("open", "pause", "paused"),
            ("paused", "resume", "open"),
            ("open", "end", "ended"),
            ("paused", "end", "ended"),
            ("paused", "kill", "killed"),
            ("draft", "open", None),
            ("open", "open", None),
            ("draft", "pause", None),
            ("open", "resume", None),
            ("armed", "end", None),
            ("ended", "kill", None),
            ("ended", "open", None),
            ("killed", "resume", None),
        ),
    )
    def test_steps(self, state: State, step: Step, becomes: State | None) -> None:
        past = Past(DRAFTED, SaleMoved(state, "mer_1", "", T0, "before"))
        if becomes is None:
            past.when(move(step)).refused("wrong_state")
        else:
            past.when(move(step)).then(SaleMoved(becomes, "mer_1", "why", T0, "m"))

    def test_another_merchants_sale_does_not_exist(self) -> None:
        Past(DRAFTED).when(move("arm", merchant="mer_2")).refused("not_found")

    def test_an_operator_takes_any_step_and_its_name_is_kept(self) -> None:
        step = MoveSale("sal_1", "m", "kill", "opr_1", "", "fraud", "ana")
        Past(DRAFTED, ARMED, OPEN).when(step).then(SaleMoved("killed", "opr_1", "fraud", T0, "m", "ana"))
        Past(DRAFTED).when(move("arm", merchant="")).then(SaleMoved("armed", "opr_1", "why", T0, "m"))

    def test_asking_changes_nothing(self) -> None:
        assert Past(DRAFTED).when(GetSale("sal_1")).then() is None

    def test_a_change_of_writer_changes_nothing_else(self) -> None:
        sale = Past(DRAFTED, ARMED, OPEN, HELD_A, WriterChanged(7, "w")).sale
        assert (sale.term, sale.held, sale.state) == (7, 2, "open")


def limit(per_second: int | None, command: str = "t", expected: int | None = None) -> ThrottleSale:
    return ThrottleSale("sal_1", command, per_second, "opr_1", "too fast", "ana", expected)


def throttled(per_second: int | None, at: int = T0, command: str = "t") -> SaleThrottled:
    return SaleThrottled(per_second, "opr_1", "too fast", at, command, "ana")


class TestThrottling:
    LARGE = SaleDrafted("sal_1", "mer_1", "prd_1", "Drop", PRICE, None, 1000, 1000, 60, None, None, T0)

    def many(self, *more: Event) -> Past:
        return Past(self.LARGE, ARMED, OPEN, *more)

    def grant(self, past: Past, key: bytes, now: int) -> bool:
        decided = past.when(hold("usr_a", 1, key, f"hld_{key.decode()}"), now)
        for event in decided.events:
            evolve(past.sale, event, 9)
        if not decided.events:
            decided.refused("rate_limited")
        return bool(decided.events)

    def test_it_is_an_event_with_who_and_why(self) -> None:
        assert self.many().when(limit(5)).then(throttled(5)) is None
        assert self.many(throttled(5)).sale.throttle == 5
        assert self.many(throttled(5), throttled(None, command="u")).sale.throttle is None

    def test_a_second_of_holds_is_granted_at_once_and_then_one_at_a_time(self) -> None:
        past = self.many(throttled(2))
        assert [self.grant(past, b"%d" % n, T0) for n in range(3)] == [True, True, False]
        assert [self.grant(past, b"a%d" % n, T0 + 500) for n in range(2)] == [True, False]
        assert [self.grant(past, b"b%d" % n, T0 + 60_000) for n in range(3)] == [True, True, False]

    def test_the_refusal_says_when_to_come_again_and_then_there_is_room(self) -> None:
        past = self.many(throttled(3), HELD_A, UnitsHeld("hld_b", "usr_b", (3,), b"kb", T0 + 60_000, T0))
        assert self.grant(past, b"x", T0)
        reply = past.when(hold("usr_a", 1, b"y"), T0 + 10).reply
        assert isinstance(reply, Refusal)
        assert reply.retry_after_ms == 324, "a third of a second, less the ten milliseconds that passed"
        assert not self.grant(past, b"y", T0 + 10 + 323)
        assert self.grant(past, b"y", T0 + 10 + 324)

    def test_a_repeat_costs_nothing_and_is_not_refused(self) -> None:
        past = self.many(throttled(1), HELD_A)
        reply = past.when(hold("usr_a", 2, b"ka", "hld_other")).then()
        assert isinstance(reply, Granted)
        assert reply.replayed
        assert not self.grant(past, b"x", T0)
        assert self.grant(past, b"x", T0 + 1000)

    def test_paying_and_giving_back_are_not_throttled(self) -> None:
        past = self.many(throttled(1), HELD_A)
        past.when(confirm()).then(HoldConfirmed("hld_a", "ord_1", "pay_1", T0))
        past.when(ReleaseHold("sal_1", "hld_a", "usr_a")).then(HoldReleased("hld_a", T0))

    def test_what_cannot_be_had_is_refused_for_that(self) -> None:
        past = Past(DRAFTED, ARMED, OPEN, throttled(1), HELD_A)
        past.when(hold("usr_b", 2)).refused("sold_out")
        past.when(hold("usr_a", 1)).refused("limit_reached")
        past.when(hold("usr_b", 1)).refused("rate_limited")

    def test_throttling_again_does_not_fill_the_bucket(self) -> None:
        past = self.many(throttled(1), HELD_A, throttled(1, command="u"), throttled(100, command="v"))
        assert not self.grant(past, b"x", T0)
        assert self.grant(past, b"x", T0 + 10)

    def test_a_lower_throttle_holds_at_once(self) -> None:
        past = self.many(throttled(100), throttled(1, command="u"))
        assert [self.grant(past, b"%d" % n, T0) for n in range(2)] == [True, False]

    def test_a_repeated_command_changes_nothing(self) -> None:
        self.many(throttled(5), throttled(None, command="u")).when(limit(5)).then()

    def test_a_sale_that_is_over_is_not_throttled(self) -> None:
        self.many(SaleMoved("ended", "clock", "", T0)).when(limit(5)).refused("wrong_state")


class TestRevisions:
    def test_steps_and_throttles_count_and_holds_do_not(self) -> None:
        assert Past(DRAFTED).sale.revision == 0
        assert Past(DRAFTED, ARMED, OPEN, HELD_A, throttled(5), WriterChanged(7, "w")).sale.revision == 3

    @pytest.mark.parametrize("expected", (None, 2))
    def test_what_was_seen_may_be_acted_on(self, expected: int | None) -> None:
        past = Past(DRAFTED, ARMED, OPEN, HELD_A)
        pause = MoveSale("sal_1", "m", "pause", "opr_1", "", "", "ana", expected)
        past.when(pause).then(SaleMoved("paused", "opr_1", "", T0, "m", "ana"))
        past.when(limit(5, expected=expected)).then(throttled(5))

    @pytest.mark.parametrize("expected", (0, 1, 3))
    def test_another_picture_is_refused(self, expected: int) -> None:
        past = Past(DRAFTED, ARMED, OPEN, HELD_A)
        past.when(MoveSale("sal_1", "m", "pause", "opr_1", "", "", "ana", expected)).refused("conflict")
        past.when(limit(5, expected=expected)).refused("conflict")

    def test_a_repeat_is_known_although_the_revision_went_on(self) -> None:
        past = Past(DRAFTED, ARMED, OPEN, SaleMoved("paused", "opr_1", "", T0, "m", "ana"))
        past.when(MoveSale("sal_1", "m", "pause", "opr_1", "", "", "ana", 2)).then()


def test_steps_of_before_names_were_kept_are_still_read() -> None:
    stored = msgspec.Raw(msgspec.msgpack.encode(["open", "mer_1", "", T0, "o"]))
    assert EVENTS.restore("SaleMoved", 1, stored) == OPEN
