"""Where the cells of a heat map stand: how many in a row, how wide and how high each is. PURE."""

from typing import Final, NamedTuple

CARD: Final = 16
NARROW: Final = 1
# Height of a tile -> its width with the gap, so that tiles are about square.
WIDTHS: Final = {3: 7, 2: 5, 1: 4}
# Numbers of columns that make the number of a cell easy to count off.
ROUND: Final = (100, 50, 40, 30, 25, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2, 1)
HEADER: Final = 1


class Grid(NamedTuple):
    """`cell`: width of a cell with its gap; `pitch`: its height; `label`: width of the row labels, 0 for cards."""

    columns: int
    rows: int
    cell: int
    pitch: int
    label: int

    @property
    def header(self) -> int:
        """Lines above the first row."""
        return HEADER if self.label else 0

    @property
    def is_cards(self) -> bool:
        """Cells carry their name and value."""
        return not self.label

    def index_at(self, x: int, y: int) -> int | None:
        """Return which cell is at a place, given from the first row's first column; None where there is none."""
        column, row = (x - self.label) // self.cell, (y - self.header) // self.pitch
        if x < self.label or y < self.header or not 0 <= column < self.columns or row >= self.rows:
            return None
        return row * self.columns + column


def grid(count: int, width: int, height: int) -> Grid:
    """Return the roomiest grid that shows all cells; where none does, one that has to scroll.

    Few cells are cards with name and value; then tiles as large as there is room for; then one character a cell.
    """
    count = max(1, count)
    cards = min(count, max(1, width // CARD))
    if width >= CARD and -(-count // cards) <= height:
        rows = -(-count // cards)
        cards = -(-count // rows)
        return Grid(cards, rows, min(width // cards, 2 * CARD), min(3, max(1, height // rows)), 0)
    label = len(str(count - 1)) + 1
    room = height - HEADER
    for pitch, cell in (*WIDTHS.items(), (1, NARROW)):
        columns = _columns(count, (width - label) // cell, room // pitch)
        if columns:
            return Grid(columns, -(-count // columns), cell, pitch, label)
    columns = next((each for each in ROUND if each <= width - label), 1)
    return Grid(columns, -(-count // columns), NARROW, 1, label)


def _columns(count: int, most: int, rows: int) -> int:
    """Return the largest round number of columns up to `most` that needs no more than `rows`; 0 for none."""
    return next((each for each in ROUND if each <= most and -(-count // each) <= rows), 0)
