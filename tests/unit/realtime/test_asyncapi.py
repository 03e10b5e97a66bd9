"""The AsyncAPI document has every message of the protocol, and what is sent and taken agrees with it."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from realtime import codes, protocol
from realtime.asyncapi import Told, document
from realtime.channels import CHANNELS
from realtime.events import Event as Stored
from realtime.latest import LatestChannel
from realtime.log_channel import entry
from realtime.protocol import (
    ChannelState,
    GoAway,
    Item,
    Items,
    Noted,
    Notice,
    Placed,
    PresenceBody,
    Refreshed,
    Reply,
    ReplyBody,
    Signal,
    TakenOff,
    TypingBody,
    Unsubscribed,
    Welcome,
    encode,
    refusal,
)
from tests.unit.realtime.builders import NAME, sale_shown


class Tick(msgspec.Struct):
    """What a sale tells."""

    state: str


class Said(msgspec.Struct):
    """What a room tells."""

    text: str


TOLD = {"sale": Told({"sale": Tick}, snapshot=Tick), "room": Told({"msg": Said})}
DOCUMENT = document("ws://127.0.0.1:8001/rt", TOLD)
MESSAGES = DOCUMENT["components"]["messages"]

STATE = ChannelState(3, "e1", 9, {"x": 1}, reset=True, here=PresenceBody(2, ("usr_1",)))
BODIES: dict[str, ReplyBody] = {
    "hello": Welcome("c", "hub", 25, 16384, {"room:x": STATE}),
    "refresh": Refreshed(600),
    "sub": STATE,
    "unsub": Unsubscribed(3),
    "msg": Placed(7),
    "history": Items((Item(3, 1, "msg", {"text": "x"}),), more=True),
    "ack": Placed(7),
    "read": Placed(7),
    "typing": Noted(),
}
COMMANDS: dict[str, dict[str, Any]] = {
    "hello": {"token": "t", "resume": [["room:x", "e1", 5], ["me", None, None]]},
    "refresh": {"token": "t"},
    "sub": {"ch": "room:x", "epoch": "e1", "since": 3},
    "unsub": {"n": 3},
    "msg": {"n": 3, "text": "hello"},
    "history": {"n": 3, "before": 9, "limit": 100},
    "ack": {"n": 3, "s": 9},
    "read": {"n": 3, "s": 9},
    "typing": {"n": 3},
}
BAD: dict[str, dict[str, Any]] = {
    "hello": {"token": 7},
    "refresh": {},
    "sub": {"ch": "room:x", "since": -1},
    "unsub": {"n": "3"},
    "msg": {"n": 3, "text": ""},
    "history": {"n": 3, "limit": 101},
    "ack": {"n": 3, "s": 1 << 53},
    "read": {"n": 3},
    "typing": {},
}


def valid(name: str, frame: Any) -> bool:
    schema = {**MESSAGES[name]["payload"], "components": DOCUMENT["components"]}
    return jsonschema_rs.is_valid(schema, frame)


def told(frame) -> Any:
    return json.loads(encode(frame))


@pytest.mark.parametrize("name", protocol.COMMANDS)
def test_every_command_and_its_reply_are_in_the_document_and_validate(name):
    key = {"k": "k1"} if name == "msg" else {}
    operation = DOCUMENT["operations"][name]

    assert valid(f"command.{name}", {"i": 1, "t": name, "d": COMMANDS[name], **key})
    assert not valid(f"command.{name}", {"i": 1, "t": name, "d": BAD[name], **key})
    assert valid(f"reply.{name}", told(Reply(1, BODIES[name])))
    assert {"$ref": f"#/channels/socket/messages/reply.{name}"} in operation["reply"]["messages"]


@pytest.mark.parametrize("code", codes.ERRORS)
def test_every_error_code_is_in_the_document_and_validates(code):
    assert valid("refusal", told(refusal(1, code, 50)))
    assert DOCUMENT["channels"]["socket"]["x-error-codes"][code] == {"temp": codes.ERRORS[code]}


def test_an_error_code_of_nobody_is_refused():
    assert not valid("refusal", {"r": 1, "e": {"code": "tired", "temp": True}})
    assert codes.error("tired").code == "forbidden"


@pytest.mark.parametrize(
    ("name", "frame"),
    (
        ("signal.typing", Signal(3, "typing", TypingBody("usr_1", 5000))),
        ("signal.presence", Signal(3, "presence", PresenceBody(2, ("usr_1", "usr_2")))),
        ("signal.presence", Signal(3, "presence", PresenceBody(2))),
        ("notice.goaway", Notice("goaway", GoAway(1000, 500))),
        ("notice.unsub", Notice("unsub", TakenOff(3, "banned"))),
    ),
)
def test_what_the_server_says_by_itself_validates(name, frame):
    assert valid(name, told(frame))


def test_events_of_both_classes_validate():
    packet = LatestChannel(NAME, 1, "e1", sale_shown(1), 0).advance(2)
    said = json.loads(entry(3, Stored(9, 5, "msg", b'{"text":"x"}')).text)

    assert valid("event.sale.sale", json.loads(packet.payload))
    assert valid("event.room.msg", said)
    assert not valid("event.room.msg", said | {"d": {}})
    assert valid("event", said)
    assert valid("ping", {})


def test_every_table_is_told_whole():
    socket = DOCUMENT["channels"]["socket"]
    told_codes = {int(code) for code in socket["x-close-codes"]}

    assert set(socket["x-channels"]) == set(CHANNELS)
    assert (socket["x-channels"]["room"]["events"], socket["x-channels"]["me"]["events"]) == (["msg"], [])
    assert socket["x-channels"]["ops"]["roles"] == ["admin", "operator", "viewer"]
    assert told_codes == {code for code in vars(codes.CloseCode).values() if isinstance(code, int)}
    assert set(protocol.REPLIES) == set(protocol.COMMANDS) == set(BODIES) == set(COMMANDS)
    assert {f"signal.{name}" for name in protocol.SIGNALS} <= set(MESSAGES)
    assert {f"notice.{name}" for name in protocol.NOTICES} <= set(MESSAGES)


def test_every_reference_leads_somewhere():
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from ([value["$ref"]] if "$ref" in value else [])
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    for reference in references(DOCUMENT):
        place: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
