"""Which cells are watched, and with whose key."""

import pytest

from admin_tui.addresses import is_loopback
from admin_tui.targets import Target, checked, given, in_the_clear
from cells.trouble import Trouble


def test_one_key_is_for_all_cells():
    found = given(("http://a:1", "http://b:2"), (), {"TITAN_KEY": "tk_1"})

    assert [(each.url, each.key) for each in found] == [("http://a:1", "tk_1"), ("http://b:2", "tk_1")]


def test_each_cell_can_have_its_own_key_and_the_command_line_wins():
    assert [each.key for each in given(("http://a", "http://b"), (), {"TITAN_KEY": "tk_1 tk_2"})] == [
        "tk_1",
        "tk_2",
    ]
    assert [each.key for each in given(("http://a",), ("tk_3",), {"TITAN_KEY": "tk_1"})] == ["tk_3"]


@pytest.mark.parametrize(
    ("urls", "keys", "what"),
    (
        (("http://a",), (), "needs an operator's key"),
        (("http://a", "http://b", "http://c"), ("x", "y"), "3 addresses and 2 keys"),
        (("ftp://a",), ("x",), "no address of a cell"),
        (("a:8000",), ("x",), "no address of a cell"),
        (("http://user:pass@a",), ("x",), "no address of a cell"),
        (("http://a:99999999",), ("x",), "no address of a cell"),
        (("",), ("x",), "no address of a cell"),
    ),
)
def test_what_is_missing_or_wrong_is_explained(urls, keys, what):
    with pytest.raises(Trouble) as raised:
        given(urls, keys, {})
    assert what in raised.value.what
    assert raised.value.why
    assert raised.value.mend


def test_an_address_is_only_where_the_cell_is():
    assert checked("https://titan.example:8443/some/path?q#f") == "https://titan.example:8443"


@pytest.mark.parametrize(
    ("url", "is_so"),
    (
        ("http://10.0.0.1:8000", True),
        ("http://127.0.0.1:8000", False),
        ("http://localhost", False),
        ("http://[::1]:8000", False),
        ("https://titan.example", False),
        ("http://127.0.0.1.evil.example", True),
    ),
)
def test_a_key_that_others_may_read_on_its_way_is_noticed(url, is_so):
    assert in_the_clear(Target(checked(url), "tk_1")) == is_so


@pytest.mark.parametrize("host", ("", "example", "1270.0.0.1", "127.1.evil", "::2", "0.0.0.0"))
def test_other_machines_are_not_this_one(host):
    assert not is_loopback(host)


def test_a_target_keeps_its_key_to_itself():
    assert "tk_secret" not in repr(Target("http://a", "tk_secret"))
