"""Everything that the features tell on channels is in the AsyncAPI document, and validates against it."""

import json
from typing import Any, get_args

import jsonschema_rs
import msgspec
import pytest
from msgspec import inspect

from cells.kernel.money import Money
from realtime.asyncapi import document
from realtime.channels import CHANNELS, ChannelName, Delivery
from realtime.events import Event as Stored
from realtime.events import Shown
from realtime.latest import LatestChannel
from realtime.log_channel import entry
from server.chat import model as chat
from server.chat.frames import BODIES, body_of
from server.chat.model import INVISIBLE
from server.feed import model as feed
from server.flash_sale.showing import SaleView, shown
from server.ops.words import Frame
from server.web.asyncapi import TOLD

DOCUMENT = document("ws://127.0.0.1:8001/rt", TOLD)
IN_CONVERSATIONS_ONLY = {"opened", "delivered", "read"}
VIEW = SaleView(
    *("sal_1", "mer_1", "prd_1", "Lamp", "open", 10, 7, 2, 1, Money(4990, "EUR"), None, 2, 120, None, None),
    version=3,
    position=9,
)


def errors(name: str, frame: Any) -> list[str]:
    """What is wrong with a frame by a message of the document."""
    schema = {**DOCUMENT["components"]["messages"][name]["payload"], "components": DOCUMENT["components"]}
    return [str(error) for error in jsonschema_rs.validator_for(schema).iter_errors(frame)]


def as_told(t: str, body: msgspec.Struct) -> Any:
    """An event of a log channel as clients get it."""
    return json.loads(entry(3, Stored(9, 5, t, msgspec.json.encode(body))).text)


PLAIN = {
    inspect.BytesType: b"x",
    inspect.BoolType: True,
    inspect.IntType: 1_800_000_000_000,
    inspect.FloatType: 0.5,
    inspect.DictType: {},
    inspect.StrType: "x",
}


def example(kind: Any) -> Any:  # noqa: PLR0911 - one line a kind of type
    """Some value of a type; of what may be left out, nothing is."""
    match kind:
        case inspect.StructType(cls=cls) if cls is Money:
            return Money(4990, "EUR")
        case inspect.StructType(cls=cls, fields=fields):
            return cls(**{field.name: example(field.type) for field in fields})
        case inspect.UnionType(types=types):
            return example(next(each for each in types if not isinstance(each, inspect.NoneType)))
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return (example(item),)
        case inspect.TupleType(item_types=types):
            return tuple(example(each) for each in types)
        case inspect.LiteralType(values=values):
            return values[0]
        case _:
            return PLAIN[type(kind)]  # type: ignore[index]  # the table is keyed by classes of a metaclass


def of(struct: type[msgspec.Struct]) -> Any:
    return example(inspect.type_info(struct))


def test_every_channel_says_what_it_tells():
    assert set(TOLD) == set(CHANNELS)
    for kind, told in TOLD.items():
        assert told.events, kind
        assert (told.snapshot is not None) or CHANNELS[kind].delivery is Delivery.LOG


@pytest.mark.parametrize("event", [each for each in get_args(chat.Event) if each not in INVISIBLE])
def test_every_event_of_chat_is_told_as_documented(event):
    t, body = body_of(of(event))

    assert type(body) is BODIES[t]
    assert errors(f"event.chat.{t}", as_told(t, body)) == []
    assert (t in TOLD["room"].events) is (t not in IN_CONVERSATIONS_ONLY)


def test_no_more_is_documented_of_chat_than_is_told():
    told = {body_of(of(each))[0] for each in get_args(chat.Event) if each not in INVISIBLE}

    assert told == set(BODIES)


@pytest.mark.parametrize("news", get_args(feed.News))
def test_every_news_of_an_account_is_told_as_documented(news):
    t = feed.TYPES[news]

    assert TOLD["me"].events[t] is news
    assert errors(f"event.me.{t}", as_told(t, of(news))) == []


def test_a_sale_is_shown_as_documented():
    told = msgspec.msgpack.decode(shown(VIEW), type=Shown)
    channel = LatestChannel(ChannelName("sale", "sal_1"), 3, "e1", told, 0)
    event = json.loads(channel.advance(0).payload)

    assert errors("event.sale.sale", event) == []
    assert event["d"] == json.loads(bytes(channel.state(None, None).snapshot)) | {"viewers": 0}
    assert (event["s"], event["d"]["available"]) == (9, 7)


def test_a_frame_is_told_as_documented():
    told = Shown(9, msgspec.json.encode(of(Frame)))
    event = json.loads(LatestChannel(ChannelName("ops", "cell"), 3, "e1", told, 0).advance(0).payload)

    assert errors("event.ops.ops", event) == []
    assert "viewers" not in event["d"]
