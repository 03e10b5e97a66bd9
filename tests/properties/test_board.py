"""The operators' board: the same however it was folded, and the same as what the rules and an auditor say."""

import asyncio
import bisect
import itertools
import unicodedata
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from cells.kernel import envelope
from cells.kernel.money import MAX_AMOUNT, Money
from cells.log import subjects
from cells.log.port import Stored
from server.flash_sale import model as m
from server.flash_sale.audit import Auditor
from server.flash_sale.evolve import evolve
from server.ops import fold_sales, frame, replay, rows
from server.ops.board import Board
from server.ops.lines import lines_of
from server.ops.replay import History, Replays
from server.ops.state import State
from server.ops.words import Totals
from server.store.vocabulary import registries
from tests.properties.test_sale_machine import PureSale
from tests.unit.server.ops.paced import PacedLog
from tests.unit.server.ops.test_frame import live
from tests.unit.server.ops.written import Written, said
from tests.unit.server.store.history import START
from tests.unit.server.store.history import History as Shop

REGISTRIES = registries()
SHOPS = {seed: Shop(seed).in_memory(600) for seed in range(4)}
SUMMED = ("stock", "available", "held", "sold", "oversold", "duplicate_units", "orders", "holds")


def board_of(commits: list[Stored]) -> Board:
    board = Board(REGISTRIES)
    board.apply(commits)
    return board


def talk(commits: list[Stored]) -> list[Stored]:
    """A shop's log in which people also talk, now and then."""
    written = Written()
    for stored in commits:
        written.raw(stored.subject, stored.body)
        if stored.position % 7 == 0:
            written.at = envelope.peek(stored.body).at
            key = subjects.split(stored.subject)[2]
            written.room(said(f"m{stored.position}", at=written.at), key=f"sal_{key[-1]}")
    return written.log


shops = st.sampled_from(list(SHOPS.values())).map(talk)


# --- one fold, whatever interrupts it ------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(shops, st.lists(st.integers(0, 700), max_size=12), st.sets(st.integers(0, 12)))
def test_batches_and_snapshots_make_no_difference(commits, cuts, restored):
    """Folded in one go, or in pieces with a snapshot taken and restored between some of them."""
    board = Board(REGISTRIES)
    places = sorted({0, *(min(cut, len(commits)) for cut in cuts), len(commits)})
    for number, (low, high) in enumerate(itertools.pairwise(places)):
        board.apply(commits[low:high])
        if number in restored:
            board = Board.restore(REGISTRIES, board.snapshot())

    assert board.snapshot() == board_of(commits).snapshot()


@settings(max_examples=25, deadline=None)
@given(shops, st.lists(st.integers(0, 600), min_size=1, max_size=8), st.integers(1, 200), st.integers(1, 300))
def test_a_replay_is_what_was_live(commits, positions, batch, every):
    """Wherever operators go, forth and back, they see what the live board showed when it was there."""

    async def seek() -> None:
        log = PacedLog(commits, size=batch)
        history = History(log, REGISTRIES)
        shown: dict[int, bytes] = {}

        def changed() -> None:
            shown[history.board.position] = history.board.snapshot()

        following = asyncio.create_task(history.follow(changed))
        async with asyncio.timeout(30):
            while history.board.position < len(commits):  # noqa: ASYNC110 - the log ends there
                await asyncio.sleep(0)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        replays = Replays(log, history, lambda: 0.0)
        for wanted in positions:
            position = min(wanted, len(commits))
            found = (await replays.reach(position, 30)).snapshot()
            assert found == board_of(commits[:position]).snapshot()
            assert shown.get(position, found) == found

    with pytest.MonkeyPatch.context() as dense:
        dense.setattr(replay, "SNAPSHOT_EVENTS", every)
        asyncio.run(seek())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-2_000, 10_000), min_size=1, max_size=600),
    st.integers(-3_000, 11_000),
    st.integers(1, 50),
)
def test_a_time_means_the_last_position_before_anything_later(offsets, offset, every):
    written = Written()
    for each in offsets:
        written.at = START + each
        written.sale(m.HoldReleased("h", written.at))
    latest: list[int] = []
    for each in offsets:
        latest.append(max([START + each, *latest[-1:]]))
    expected = bisect.bisect_right(latest, START + offset)

    async def find() -> int:
        log = PacedLog(written.log, size=every)
        history = History(log, REGISTRIES)
        for stored in written.log:
            history.board.apply([stored])
            if stored.position % every == 0:
                history.timeline.note(stored.position, history.board.at)
        history.complete = True
        return await history.position_at(START + offset)

    assert asyncio.run(find()) == expected


# --- what it says is so --------------------------------------------------------------------------------------------


def sums(state: State) -> dict[str, int]:
    listed = [rows.sale_row(key, sale, START) for key, sale in state.sales.items()]
    return {name: sum(getattr(row, name) for row in listed) for name in SUMMED}


@settings(max_examples=40, deadline=None)
@given(shops, st.integers(0, 700), st.sampled_from([3, 10, 5_000]))
def test_totals_are_the_sums_of_the_sales(commits, length, most):
    """Also when sales had to leave: what is gone and what is there are together what a large board has."""
    whole = board_of(commits[:length]).state
    totals = rows.totals(whole, 0)
    assert {name: getattr(totals, name) for name in SUMMED} == sums(whole)
    assert totals.sales == len(whole.sales)

    with pytest.MonkeyPatch.context() as narrow:
        narrow.setattr(fold_sales, "MAX_SALES", most)
        small = board_of(commits[:length]).state
    assert rows.totals(small, 0) == totals


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(list(SHOPS.values())), st.integers(0, 600))
def test_a_sale_on_the_board_is_what_the_rules_and_the_auditor_say(commits, length):
    auditors: dict[str, Auditor] = {}
    sales: dict[str, m.Sale] = {}
    for stored in commits[:length]:
        _, kind, key = subjects.split(stored.subject)
        if kind != m.KIND:
            continue
        commit = envelope.decode(m.EVENTS, stored.body)
        auditors.setdefault(key, Auditor()).read(commit.events, commit.version, stored.position)
        for event in commit.events:
            evolve(sales.setdefault(key, m.Sale()), event, commit.version)
    board = board_of(commits[:length])

    assert set(board.state.sales) == set(sales)
    for key, sale in sales.items():
        agrees(board, key, sale, auditors[key])


def agrees(board: Board, key: str, sale: m.Sale, auditor: Auditor) -> None:
    row, audit = rows.sale_row(key, board.state.sales[key], START), auditor.audit
    assert (row.state, row.revision, row.throttle) == (sale.state, sale.revision, sale.throttle)
    assert (row.stock, row.available, row.held, row.sold) == (
        sale.stock,
        sale.available,
        sale.held,
        sale.sold,
    )
    assert (row.held, row.sold) == (audit.held, audit.confirmed)
    assert (row.holds, row.orders) == (audit.holds, audit.orders)
    assert (row.oversold, row.duplicate_units) == (audit.oversold, audit.duplicate_units)
    ended = [h for h in sale.holds.values() if h.status is not m.HoldStatus.HELD]
    assert row.holds - row.orders - row.released - row.expired == len(sale.holds) - len(ended)
    for hold in sale.holds.values():
        known = board.state.holds.get(hold.id)
        if known is not None:
            assert (known.status, known.units) == (hold.status.value, hold.units)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(-1, 6), min_size=1, max_size=3), max_size=12), st.data())
def test_broken_sales_are_found_whenever_the_auditor_finds_them(grants, data):
    """A writer that hands out anything: the board sees that units were given twice, or not there, when he does."""
    events: list[m.Event] = []
    for number, units in enumerate(grants):
        events.append(m.UnitsHeld(f"h{number}", "usr", tuple(units), b"k", START, START))
        if number and data.draw(st.booleans()):
            events.append(m.HoldReleased(f"h{number}", START))
    auditor = Auditor()
    auditor.read([m.SaleDrafted("sal_1", "m", "p", "t", Money(1, "EUR"), None, 5, 9, 9, None, None, 1)], 1, 1)
    auditor.read(events, 2, 2)
    written = Written().sale(
        m.SaleDrafted("sal_1", "m", "p", "t", Money(1, "EUR"), None, 5, 9, 9, None, None, 1)
    )
    row = rows.sale_row("sal_1", written.sale(*events).board().state.sales["sal_1"], START)

    assert row.oversold == auditor.audit.oversold
    assert bool(row.duplicate_units) == bool(auditor.audit.duplicate_units)


class ObservedSale(PureSale):
    """A sale under every kind of use, with the board beside it."""

    def begin(self) -> str:
        self.board = Board(REGISTRIES)
        return super().begin()

    def _apply(self, events: list[m.Event]) -> None:
        super()._apply(events)
        body = envelope.encode(m.EVENTS, self.version, self.clock.now(), bytes(32), events)
        self.board.apply([Stored(self.version, "log.007.sale.sal_1", body)])

    @invariant()
    def the_board_shows_the_sale(self) -> None:
        agrees(self.board, "sal_1", self.sale, self.auditor)
        (row,) = (rows.sale_row(key, sale, 0) for key, sale in self.board.state.sales.items())
        totals = rows.totals(self.board.state, 0)
        assert {name: getattr(totals, name) for name in SUMMED} == {
            name: getattr(row, name) for name in SUMMED
        }


TestObservedSale = ObservedSale.TestCase
TestObservedSale.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


# --- enemies -------------------------------------------------------------------------------------------------------


TEXT = st.text(max_size=30)
NUMBER = st.one_of(st.integers(-(2**63), 2**64 - 1), st.integers(-2, 12), st.just(START))
KNOWN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.one_of(TEXT, st.sampled_from(["h1", "h2", "sal_1"])),
    int: NUMBER,
    bytes: st.binary(max_size=20),
    bool: st.booleans(),
    Money: st.builds(Money, st.integers(0, MAX_AMOUNT), st.just("EUR")),
    type(None): st.none(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Whatever a field of this type can hold, as it would come back from the log."""
    if hint in KNOWN:
        return KNOWN[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=4).map(tuple)
    if origin is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=2)
    if origin is Literal:
        return st.sampled_from(arguments)
    if arguments:
        return st.one_of([values(each) for each in arguments])
    return events(hint)


def events(kind: Any) -> st.SearchStrategy[Any]:
    return st.tuples(*(values(hint) for hint in get_type_hints(kind).values())).map(lambda all_: kind(*all_))


VOCABULARY = [
    (kind, events(registry._by_name[name].type))
    for kind, registry in REGISTRIES.items()
    for name in registry.names
]
DECODED = st.sampled_from(VOCABULARY).flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.lists(pair[1], max_size=3))
)
KEYS = st.sampled_from(["sal_1", "sal_2", "h1", "h2", "cnv_1"])


@st.composite
def commits_of_enemies(draw: st.DrawFn) -> tuple[str, bytes]:
    """Any events of the vocabulary with any values under any key, events of nobody, and bytes."""
    kind, chosen = draw(DECODED)
    key, at = draw(KEYS), draw(NUMBER)
    form = draw(st.integers(0, 5))
    if form == 0:
        return draw(st.one_of(TEXT, st.just("log.007.sale.sal_1"))), draw(st.binary(max_size=40))
    if form == 1:
        odd = [[draw(TEXT), draw(st.integers(0, 9)), draw(st.lists(NUMBER, max_size=3))]]
        return f"log.007.{kind}.{key}", msgspec.msgpack.encode([1, at, bytes(32), odd])
    return f"log.007.{kind}.{key}", envelope.encode(REGISTRIES[kind], 1, at, bytes(32), chosen)


def inert(text: str) -> bool:
    """Whether a terminal shows a text and does nothing else; joiners of emoji and scripts are part of them."""
    turning = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in turning for c in text)


@settings(max_examples=200, deadline=None)
@given(st.lists(commits_of_enemies(), max_size=25), st.booleans())
def test_nothing_in_the_log_stops_the_board(made, begun):
    written = Written().opened("sal_1") if begun else Written()
    for subject, body in made:
        written.raw(subject, body)
    board = written.board()

    assert board.position == len(written.log)
    again = Board.restore(REGISTRIES, board.snapshot())
    assert again.snapshot() == board.snapshot()
    shown = frame.live(REGISTRIES, board.state, live())
    assert isinstance(shown.totals, Totals)
    assert len(frame.encoded(shown)) <= frame.MAX_BYTES
    for stored in written.log:
        assert all(inert(line.text + line.key + line.by) for line in lines_of(REGISTRIES, stored))
    for key, room in board.state.rooms.items():
        assert msgspec.json.encode(rows.message_rows(key, room, None, 9))
    assert msgspec.json.encode([rows.hold_row(*each) for each in rows.newest_holds(board.state)])
    assert msgspec.json.encode([rows.order_row(*each) for each in rows.newest_orders(board.state)])
    assert msgspec.json.encode(rows.room_rows(board.state, START, 9))
