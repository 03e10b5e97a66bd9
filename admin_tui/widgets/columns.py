"""Columns of a table: how wide each is, and a line of cells as segments. PURE."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.content import Content
from textual.style import Style

GAP: Final = 2
MARGIN: Final = 1
Cell = Content | str
Row = tuple[Cell, ...]


class Column(NamedTuple):
    """`width` in cells; 0 takes what the others leave, but `least`. In a narrow table the highest `rank` goes first."""

    key: str
    label: str
    width: int = 0
    align: Literal["left", "right"] = "left"
    rank: int = 0
    least: int = 12


def widths(columns: Sequence[Column], room: int) -> dict[str, int]:
    """Return the width of each column that there is room for."""
    kept = list(columns)
    while (
        len(kept) > 1 and sum(column.width or column.least for column in kept) + GAP * (len(kept) - 1) > room
    ):
        kept.remove(max(reversed(kept), key=lambda column: column.rank))
    fixed = sum(column.width for column in kept) + GAP * (len(kept) - 1)
    open_ones = [column for column in kept if not column.width]
    shares = {column.key: max(1, (room - fixed) // len(open_ones)) for column in open_ones}
    return {column.key: column.width or shares[column.key] for column in kept}


def column_at(columns: Sequence[Column], shown: Mapping[str, int], x: int) -> str:
    """Return the key of the column at a place; empty for none."""
    left = MARGIN
    for column in columns:
        width = shown.get(column.key, 0)
        if width and left <= x < left + width + GAP:
            return column.key
        left += width + GAP if width else 0
    return ""


def head(
    columns: Sequence[Column], shown: Mapping[str, int], by: tuple[str, bool], style: RichStyle
) -> list[Segment]:
    """Return the labels; `by` says by which column the rows are ordered, and whether the largest is first."""
    segments = [Segment(" " * MARGIN, style)]
    for column in columns:
        width = shown.get(column.key, 0)
        if width:
            sign = ("↓" if by[1] else "↑") if by[0] == column.key else ""
            label = column.label[: width - len(sign)] + sign
            text = label.rjust(width) if column.align == "right" else label.ljust(width)
            segments.append(Segment(text + " " * GAP, style))
    return segments


def body(
    columns: Sequence[Column],
    shown: Mapping[str, int],
    cells: Row,
    base: Style,
    parse: Callable[[str | Style], Style],
) -> list[Segment]:
    """Return a row's cells, each cut or filled up to its column; `parse` knows the colours of the theme."""
    segments = [Segment(" " * MARGIN, base.rich_style)]
    gap = Segment(" " * GAP, base.rich_style)
    for column, cell in zip(columns, cells, strict=True):
        width = shown.get(column.key, 0)
        if width:
            content = fitted(cell, width, column.align)
            segments.extend(
                Segment(text, style.rich_style) for text, style in content.render(base, "", parse_style=parse)
            )
            segments.append(gap)
    return segments


def fitted(cell: Cell, width: int, align: str) -> Content:
    """Return a cell that is just so wide."""
    content = (cell if isinstance(cell, Content) else Content(cell)).truncate(width, ellipsis=True)
    missing = width - content.cell_length
    if not missing:
        return content
    return content.pad_left(missing) if align == "right" else content.pad_right(missing)
