"""Lists that are read page by page while new rows come in front."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from admin_tui.paged import MAX_ROWS, Paged


class Row(msgspec.Struct, frozen=True):
    """A row of the list; `word` changes."""

    id: str
    position: int
    word: str = ""


def new_paged() -> Paged[Row]:
    return Paged()


class Server:
    """A list that pages are cut from, by the position that they begin behind."""

    def __init__(self, rows: int = 0, page: int = 5) -> None:
        self.rows: list[Row] = []
        self.page = page
        self.place(rows)

    def place(self, n: int) -> None:
        for _ in range(n):
            position = len(self.rows) + 1
            self.rows.insert(0, Row(f"ord_{position:06}", position))

    def change(self, index: int) -> None:
        self.rows[index] = msgspec.structs.replace(self.rows[index], word=self.rows[index].word + "!")

    def get(self, cursor: str | None = None) -> tuple[list[Row], str | None]:
        behind = [row for row in self.rows if cursor is None or row.position < int(cursor)]
        page = behind[: self.page]
        return page, str(page[-1].position) if len(behind) > self.page else None


def test_pages_become_one_list():
    server, paged = Server(12), new_paged()
    paged.begin(*server.get())
    paged.more(*server.get(paged.next))
    paged.more(*server.get(paged.next))

    assert list(paged.rows.values()) == server.rows
    assert not paged.has_more


def test_newer_rows_come_in_front_and_changed_ones_change():
    server, paged = Server(7), new_paged()
    paged.begin(*server.get())
    server.place(2)
    server.change(3)
    assert paged.refresh(*server.get())

    assert list(paged.rows.values()) == server.rows[:7]


def test_a_row_that_left_the_first_page_is_gone():
    server, paged = Server(7), new_paged()
    paged.begin(*server.get())
    del server.rows[1]
    paged.refresh(*server.get())

    assert list(paged.rows.values()) == server.rows[:5]


def test_after_too_many_new_ones_the_list_begins_anew_unless_somebody_reads_it():
    server, paged = Server(7), new_paged()
    paged.begin(*server.get())
    before = dict(paged.rows)
    server.place(9)

    assert not paged.refresh(*server.get(), stand=True)
    assert paged.rows == before
    assert paged.refresh(*server.get())
    assert list(paged.rows.values()) == server.rows[:5]


def test_a_later_page_is_looked_at_again():
    server, paged = Server(12), new_paged()
    paged.begin(*server.get())
    paged.more(*server.get(paged.next))
    key = server.rows[7].id
    cursor = paged.cursor_of(key)
    assert cursor is not None
    assert paged.cursor_of(server.rows[0].id) is None

    server.change(7)
    del server.rows[6]
    server.place(1)
    paged.again(cursor, server.get(cursor)[0])

    assert paged.rows[key].word == "!"
    assert len(paged.rows) == 10
    assert list(paged.rows.values()) == server.rows[1:11]


def test_a_page_that_is_empty_now_is_gone():
    server, paged = Server(12), new_paged()
    paged.begin(*server.get())
    cursor = paged.next
    paged.more(*server.get(cursor))
    assert cursor is not None
    paged.again(cursor, [])

    assert list(paged.rows.values()) == server.rows[:5]


def test_a_full_list_asks_no_further_and_drops_the_oldest_for_new_ones():
    server, paged = Server(MAX_ROWS + 50, page=100), new_paged()
    paged.begin(*server.get())
    while paged.has_more:
        paged.more(*server.get(paged.next))
    assert paged.is_full

    server.place(30)
    paged.refresh(*server.get())
    assert list(paged.rows.values()) == server.rows[:MAX_ROWS]
    assert not paged.has_more


@given(st.integers(0, 30), st.integers(1, 6))
def test_without_changes_a_refresh_changes_nothing(rows, pages):
    server, paged = Server(rows), new_paged()
    paged.begin(*server.get())
    for _ in range(pages):
        if paged.has_more:
            paged.more(*server.get(paged.next))
    before = dict(paged.rows)
    paged.refresh(*server.get())
    assert paged.rows == before


class Reading(RuleBasedStateMachine):
    """Whatever comes and whatever is read, the list has no gaps and nothing twice."""

    def __init__(self) -> None:
        super().__init__()
        self.server, self.paged = Server(8), new_paged()
        self.paged.begin(*self.server.get())

    @rule(n=st.integers(1, 8))
    def place(self, n):
        self.server.place(n)

    @rule(stand=st.booleans())
    def refresh(self, stand):
        self.paged.refresh(*self.server.get(), stand=stand)

    @precondition(lambda self: self.paged.has_more)
    @rule()
    def more(self):
        self.paged.more(*self.server.get(self.paged.next))

    @rule(data=st.data())
    def again(self, data):
        cursor = self.paged.cursor_of(data.draw(st.sampled_from(list(self.paged.rows))))
        if cursor is not None:
            self.paged.again(cursor, self.server.get(cursor)[0])

    @invariant()
    def is_a_stretch(self):
        positions = [row.position for row in self.paged.rows.values()]
        assert positions == list(range(positions[0], positions[-1] - 1, -1))


TestReading = Reading.TestCase
