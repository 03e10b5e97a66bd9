"""Laws of the projections: how the log is cut into batches never shows in the tables."""

import hypothesis
from hypothesis import strategies as st

from cells.engine.project import Reader
from server.flash_sale.model import EVENTS, KIND
from server.payments import model as payments
from tests.unit.server.store.history import History
from tests.unit.server.store.tables_in_memory import MemoryTables

REGISTRIES = {KIND: EVENTS, payments.KIND: payments.EVENTS}


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=20),
)
def test_any_batching_gives_the_same_tables(seed, sizes):
    history = History(seed)
    stored = history.in_memory(150)
    whole, cut = MemoryTables(), MemoryTables()
    whole.apply(Reader(REGISTRIES, 0).read(stored))
    reader, start, turn = Reader(REGISTRIES, 0), 0, 0
    while start < len(stored):
        size = sizes[turn % len(sizes)]
        cut.apply(reader.read(stored[start : start + size]))
        start, turn = start + size, turn + 1
    for table in ("sales", "holds", "orders", "payments"):
        assert getattr(whole, table) == getattr(cut, table)


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(seed=st.integers(0, 10_000))
def test_tables_agree_with_the_fold_that_decides(seed):
    history = History(seed)
    tables = MemoryTables()
    tables.apply(Reader(REGISTRIES, 0).read(history.in_memory(200)))
    assert {i: (s.state, s.held, s.sold) for i, s in tables.sales.items()} == history.counts()
    for hold_id, hold in history.holds().items():
        row = tables.holds[hold_id]
        assert (row.units, row.status, row.buyer_id) == (hold.units, hold.status, hold.buyer_id)
