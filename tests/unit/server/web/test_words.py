"""Small words of the web layer: cursors, text, bodies, problems."""

import json

import msgspec
import pytest
from hypothesis import given, strategies
from litestar.exceptions import MethodNotAllowedException, NotFoundException

from cells.kernel.errors import CODES, Rejected
from cells.log.port import LogUnavailable
from server.accounts.model import Email
from server.catalogue.model import Image
from server.web import body, cursors, problem
from server.web.text import Name, Prose


@given(strategies.integers(0, 2**53), strategies.text(max_size=40))
def test_a_cursor_comes_back_as_it_went(position, identifier):
    cursor = cursors.encode("list", (position, identifier))

    assert cursors.decode("list", cursor, tuple[int, str]) == (position, identifier)


@given(strategies.text(max_size=600))
def test_no_text_but_a_cursor_is_a_cursor(text):
    with pytest.raises(Rejected) as caught:
        cursors.decode("list", text, tuple[int, str])

    assert caught.value.code == "bad_request"


def test_a_cursor_of_another_list_is_refused():
    with pytest.raises(Rejected):
        cursors.decode("orders", cursors.encode("products", (1, "a")), tuple[int, str])


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    (
        (
            Name,
            ("Mia", "Ana María", "李雷", "O'Neil", "🦊"),
            ("", " Mia", "Mia ", "M\nia", "Mia\n", "\u202eaiM", "M\u0000", "\u200b", "x" * 65),
        ),
        (Prose, ("", "a\nb\tc", "x" * 10_000), ("\x1b[31m", "\u0000", "a\u2028b", "x" * 10_001)),
        (
            Email,
            ("a@b.cd", "Mia.O'Neil+x@shop.example.com"),
            ("a@b", "@b.cd", "a@b.cd\n", "a b@c.de", "a@-b.cd", "a..b@c.de", "é@b.cd", f"{'a' * 250}@b.cd"),
        ),
        (
            Image,
            ("https://a.example/x.png?w=1", "/img/a.png"),
            (
                "javascript:alert(1)",
                "http://a.example/",
                "//evil.example/x",
                "/a b",
                "data:,x",
                "https://a.example/\n",
            ),
        ),
    ),
)
def test_text_is_what_it_says(kind, good, bad):
    for text in good:
        assert msgspec.convert(text, kind) == text
    for text in bad:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(text, kind)


class Sized(msgspec.Struct, forbid_unknown_fields=True):
    """A body."""

    size: int


@pytest.mark.parametrize(
    "raw",
    (
        b"",
        b"{",
        b'{"size": "5"}',
        b'{"size": 5.5}',
        b'{"size": true}',
        b'{"size": 5, "more": 1}',
        b'{"size": ' + b"9" * 1_000_000 + b"}",
        b"[" * 100_000,
        b'{"size": ' + b"[" * 100_000,
        b"\xff\xfe",
        b'{"size": NaN}',
    ),
)
def test_a_body_is_decoded_strictly(raw):
    with pytest.raises(Rejected) as caught:
        body.parse(msgspec.json.Decoder(Sized), raw)

    assert caught.value.code == "bad_request"


@pytest.mark.parametrize("code", tuple(CODES))
def test_every_refusal_is_a_problem(code):
    refusal = Rejected(code)

    found = json.loads(problem.encode(refusal))
    headers = dict(problem.headers(refusal, "POST"))

    assert found["type"] == f"urn:titan:problem:{code}"
    assert (found["status"], found["retryable"]) == (CODES[code].status, CODES[code].retryable)
    assert (b"titan-outcome" in headers) is (code not in {"internal", "outcome_unknown"})
    assert (b"retry-after" in headers) is (found["status"] in (429, 503))
    assert b"titan-outcome" not in dict(problem.headers(refusal, "GET"))


def test_expected_errors_have_their_codes():
    for error, method, code in (
        (NotFoundException(), "GET", "not_found"),
        (MethodNotAllowedException(), "GET", "method_not_allowed"),
        (LogUnavailable("x"), "GET", "unavailable"),
        (LogUnavailable("x"), "POST", "outcome_unknown"),
    ):
        refusal = problem.translate(error, method)
        assert refusal is not None
        assert refusal.code == code


def test_an_error_that_nobody_expected_has_no_code():
    assert problem.translate(ValueError("x"), "GET") is None
