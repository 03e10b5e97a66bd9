"""Tables as files."""

import csv
import io
import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from admin_tui.exporting import file_name, save, written
from admin_tui.shell import Table

VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text())
TABLES = st.lists(st.tuples(VALUES, VALUES), max_size=5).map(lambda rows: Table("t", ("a", "b"), rows))


@given(TABLES)
def test_a_csv_has_a_line_a_row_and_no_formulas(table):
    rows = list(csv.reader(io.StringIO(written(table, "csv"))))

    assert rows[0] == ["a", "b"]
    assert len(rows) == 1 + len(table.rows)
    for row, given_ in zip(rows[1:], table.rows, strict=True):
        for shown, value in zip(row, given_, strict=True):
            assert not isinstance(value, str) or not shown.startswith(("=", "+", "-", "@"))


@given(TABLES)
def test_json_has_an_object_a_row(table):
    rows = json.loads(written(table, "json"))

    assert [set(row) for row in rows] == [{"a", "b"}] * len(table.rows)


def test_text_of_people_is_inert_in_files_too():
    table = Table("t", ("name",), [("\x1b[31m=HYPERLINK()\u202e",), ("=1+1",)])

    assert "\x1b" not in written(table, "csv") + written(table, "json")
    assert "'=1+1" in written(table, "csv")


def test_nothing_is_written_over(tmp_path):
    first, second = (save(tmp_path, "a.csv", text) for text in ("one", "two"))

    assert (first.name, second.name) == ("a.csv", "a-1.csv")
    assert (first.read_text(), second.read_text()) == ("one", "two")


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        save(tmp_path / "nowhere", "a.csv", "")


def test_a_name_says_what_and_when():
    assert file_name("sales", "csv", 1_800_000_000_000) == "titan-sales-20270115T080000Z.csv"
