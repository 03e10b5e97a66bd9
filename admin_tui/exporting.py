"""A table as a file: CSV for spreadsheets, JSON for programs."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from admin_tui.shell import Table
from admin_tui.text import inert

MIME = {"csv": "text/csv", "json": "application/json", "svg": "image/svg+xml"}
# A spreadsheet takes what begins so for a formula, whoever wrote it.
_FORMULA = ("=", "+", "-", "@")


def written(table: Table, form: str) -> str:
    """Return a table as `csv` or `json`. Text of people is inert in both."""
    if form == "json":
        rows = [dict(zip(table.columns, map(_value, row), strict=True)) for row in table.rows]
        return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([[_cell(value) for value in row] for row in table.rows])
    return out.getvalue()


def _value(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | None) else inert(str(value))


def _cell(value: Any) -> Any:
    shown = _value(value)
    return f"'{shown}" if isinstance(shown, str) and shown.startswith(_FORMULA) else shown


def file_name(what: str, form: str, now: int) -> str:
    """Return a name for a file of now: `titan-sales-20261123T140207Z.csv`."""
    at = datetime.fromtimestamp(now / 1000, UTC)
    return f"titan-{what}-{at:%Y%m%dT%H%M%S}Z.{form}"


def save(folder: Path, name: str, text: str) -> Path:
    """Write a new file and return where it is; never over one that is there. Raises OSError."""
    target = folder / name
    stem, suffix = target.stem, target.suffix
    for number in range(1, 1000):
        try:
            with target.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            target = target.with_name(f"{stem}-{number}{suffix}")
        else:
            return target
    raise FileExistsError(str(target))
