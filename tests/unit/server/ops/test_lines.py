"""Events in short words: every type has some, and whatever people wrote is inert."""

import msgspec
import pytest

from server.chat import model as chat
from server.flash_sale import model as m
from server.ops import lines
from server.ops.lines import lines_of
from tests.unit.server.ops.test_redaction import ALL, IDS, filled
from tests.unit.server.ops.written import REGISTRIES, SALE, T0, Written, confirmed, drafted, held, moved, said

NASTY = "[red]x[/red]\x1b[31m\x07\u202eevil\u2066 a\r\nb\u200b"


def texts(written: Written) -> list[str]:
    return [line.text for stored in written.log for line in lines_of(REGISTRIES, stored)]


@pytest.mark.parametrize(("kind", "event"), ALL, ids=IDS)
def test_every_event_has_words_of_its_own(kind, event):
    _, text = lines.say(kind, event.name, filled(event.type))

    assert text != event.name
    assert text.strip()


def test_an_event_without_words_is_called_by_its_name():
    class Sunk(msgspec.Struct):
        at: int

    assert lines.say("ship", "Sunk", Sunk(1)) == ("", "Sunk")


def test_a_line_says_where_it_stands_and_who_did_it():
    written = (
        Written()
        .sale(drafted())
        .sale(moved("armed", "mer_m"), moved("paused", "opr_1", "too fast", T0, "ada"))
    )
    first, second = lines_of(REGISTRIES, written.log[1])

    assert (first.position, first.index, first.at, first.slot) == (2, 0, T0, 7)
    assert (first.kind, first.key, first.type, first.version) == ("sale", SALE, "SaleMoved", 2)
    assert (second.index, second.by, second.text) == (1, "ada", "sale is paused: “too fast”")


def test_a_sale_in_words():
    written = Written().sale(drafted()).sale(held("h1", 4)).sale(held("h2", 5, 6, 7), held("h3", 1, 9))
    written.sale(confirmed("h1")).sale(m.HoldReleased("h2", T0), m.HoldExpired("h3", T0))
    written.sale(m.SaleThrottled(50, "opr_1", "", T0), m.SaleThrottled(None, "opr_1", "calm", T0))

    assert texts(written) == [
        "drafted “Sneakers”, 10 units at 49.90 EUR",
        "holds unit 4 as h1",
        "holds 3 units (5-7) as h2",
        "holds 2 units (1, 9) as h3",
        "h1 became order ord_h1",
        "h2 given back",
        "h3 ran out",
        "throttled to 50 holds/s",
        "lifted the throttle: “calm”",
    ]


@pytest.mark.parametrize("field", ("title", "text", "reason", "name"))
def test_what_people_write_cannot_move_the_cursor_or_turn_the_line(field):
    by = chat.By("opr_1", "operator", NASTY)
    events = {
        "title": ("sale", drafted(title=NASTY)),
        "text": ("room", said("m1", NASTY)),
        "reason": ("room", chat.RoomLocked(by, T0)),
        "name": ("room", msgspec.structs.replace(said("m1"), author_name=NASTY)),
    }
    kind, event = events[field]
    (line,) = lines_of(REGISTRIES, Written().commit(kind, "sal_1", event).log[0])

    assert line.text.isprintable()
    assert "[red]x[/red][31mevil a b" in line.text


def test_a_line_is_short_whatever_is_in_it():
    written = Written().room(said("m1", "x" * 2_000, author="u" * 5_000), key="k" * 500)
    (line,) = lines_of(REGISTRIES, written.log[0])

    assert len(line.text) <= lines.MAX_TEXT
    assert len(line.by) == len(line.key) == lines.MAX_KEY


def test_what_is_not_understood_is_said_so():
    odd = msgspec.msgpack.encode([3, T0, bytes(32), [["Later\x1b", 4, []], ["HoldExpired", 1, ["h1", T0]]]])
    written = Written().raw("log.007.sale.sal_1", odd).raw("log.007.sale.sal_1", b"\xff").raw("nowhere", odd)

    assert texts(written) == [
        "“Later” version 4, which this release does not know",
        "h1 ran out",
        "bytes that are no commit",
        "“Later” version 4, which this release does not know",
        "“HoldExpired” version 1, which this release does not know",
    ]
