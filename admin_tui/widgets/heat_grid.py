"""Where the cells of a heat map stand: how many in a row, how wide each is. PURE."""

from typing import Final, NamedTuple

CARD: Final = 20
WIDE: Final = 4
NARROW: Final = 1
# Numbers of columns that make the number of a cell easy to count off.
ROUND: Final = (100, 50, 40, 30, 25, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2, 1)
HEADER: Final = 1


class Grid(NamedTuple):
    """`label`: width of the row labels; 0 where cells carry their names themselves."""

    columns: int
    rows: int
    cell: int
    label: int

    @property
    def header(self) -> int:
        """Lines above the first row."""
        return HEADER if self.label else 0

    def index_at(self, x: int, y: int) -> int | None:
        """Return which cell is at a place, given from the first row's first column; None for a label or a gap."""
        column, row = (x - self.label) // self.cell, y - self.header
        if x < self.label or not 0 <= column < self.columns or not 0 <= row < self.rows:
            return None
        return row * self.columns + column


def grid(count: int, width: int, height: int) -> Grid:
    """Return the roomiest grid that shows all cells; where none does, one that has to scroll.

    Few cells are cards with name and value; then tiles of four columns; then one column a cell.
    """
    count = max(1, count)
    if (cards := min(count, width // CARD)) and -(-count // cards) <= height and count <= 100:
        return Grid(cards, -(-count // cards), width // cards if cards > 1 else min(width, 2 * CARD), 0)
    label = len(str(count - 1)) + 1
    for cell in (WIDE, NARROW):
        fitting = _columns(count, (width - label) // cell, height - HEADER)
        if fitting:
            return Grid(fitting, -(-count // fitting), cell, label)
    fitting = max(1, next((each for each in ROUND if each <= width - label), 1))
    return Grid(fitting, -(-count // fitting), NARROW, label)


def _columns(count: int, most: int, rows: int) -> int:
    """Return the largest round number of columns up to `most` that needs no more than `rows`; 0 for none."""
    return next((each for each in ROUND if each <= most and -(-count // each) <= rows), 0)
