"""The AsyncAPI 3.0 document of the protocol, generated from its structs and tables, and from what channels tell."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from realtime import codes, protocol
from realtime.channels import CHANNELS, ChannelKind

VERSION: Final = "1"

_WHAT: Final = {
    "hello": "Greets; resumes all channels at once.",
    "refresh": "Goes on with a newer access token.",
    "sub": "Follows a channel, or asks again after a gap.",
    "unsub": "Stops following a channel.",
    "msg": "Says something; answered when it is durable. The same `k` is the same message.",
    "history": "Reads events of the past.",
    "ack": "Everything up to `s` has arrived.",
    "read": "Everything up to `s` was read.",
    "typing": "The person is writing.",
}
_REF: Final = "#/components/schemas/{name}"


class Told(msgspec.Struct, frozen=True):
    """What a kind of channel tells: the bodies of its events by type, and what it is for one who comes."""

    events: Mapping[str, type[msgspec.Struct]]
    snapshot: type[msgspec.Struct] | None = None


def document(url: str, told: Mapping[str, Told]) -> dict[str, Any]:
    """Answer the document for a listener at `url`, such as `ws://127.0.0.1:8001/rt`. A fresh value at each call.

    `told` is by kind of channel; the hub knows none of it.
    """
    address = urlsplit(url)
    types = _types(told)
    found, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    schemas["ErrorBody"]["properties"]["code"]["enum"] = list(codes.ERRORS)
    refs: _Refs = dict(zip(types, found, strict=True))
    messages = _messages(refs) | _events(refs, told)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Titan realtime",
            "version": VERSION,
            "description": "Frames are JSON text; an array carries several. `{}` is a ping, and any frame is its pong.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "realtime": {
                "host": address.netloc,
                "pathname": address.path,
                "protocol": address.scheme,
                "description": f"Subprotocol {protocol.SUBPROTOCOL}.",
            }
        },
        "channels": {
            "socket": {
                "address": address.path,
                "servers": [{"$ref": "#/servers/realtime"}],
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "x-channels": {
                    name: _channel(name, kind, refs, told.get(name)) for name, kind in CHANNELS.items()
                },
                "x-close-codes": _close_codes(),
                "x-error-codes": {code: {"temp": temp} for code, temp in codes.ERRORS.items()},
            }
        },
        "operations": _operations(told),
        "components": {"messages": messages, "schemas": dict(schemas)},
    }


def _channel(name: str, kind: ChannelKind, refs: "_Refs", told: Told | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "delivery": kind.delivery.value,
        "anonymous": kind.anonymous,
        "name": name if kind.private else f"{name}:{kind.only or f'<{kind.id_prefix}_…>'}",
        "events": [] if told is None else list(told.events),
    }
    if kind.roles:
        shown["roles"] = sorted(kind.roles)
    if told is not None and told.snapshot is not None:
        shown["snapshot"] = refs[told.snapshot]
    return shown


def _close_codes() -> dict[str, dict[str, str]]:
    named = {code: name.lower() for name, code in vars(codes.CloseCode).items() if isinstance(code, int)}
    return {
        str(code): {"name": name, "client": codes.retry_of(code).value}
        for code, name in sorted(named.items())
    }


def _operations(told: Mapping[str, Told]) -> dict[str, Any]:
    """Commands are received and replied to; events, signals and notices are sent."""
    channel = {"$ref": "#/channels/socket"}
    operations: dict[str, Any] = {}
    for name in protocol.COMMANDS:
        operations[name] = {
            "action": "receive",
            "summary": _WHAT[name],
            "channel": channel,
            "messages": [_message_of(f"command.{name}")],
            "reply": {
                "channel": channel,
                "messages": [_message_of(f"reply.{name}"), _message_of("refusal")],
            },
        }
    said = ["event", *(name for name, _, _ in _told_events(told)), "ping"]
    said += [f"signal.{name}" for name in protocol.SIGNALS] + [f"notice.{name}" for name in protocol.NOTICES]
    operations["tell"] = {
        "action": "send",
        "summary": "What the server says by itself.",
        "channel": channel,
        "messages": [_message_of(name) for name in said],
    }
    return operations


def _message_of(name: str) -> dict[str, str]:
    return {"$ref": f"#/channels/socket/messages/{name.replace('/', '~1')}"}


def _messages(refs: "_Refs") -> dict[str, Any]:
    messages: dict[str, Any] = {}
    for name, kind in protocol.COMMANDS.items():
        envelope: dict[str, Any] = {"i": {"type": "integer"}, "t": {"const": name}, "d": refs[kind.payload]}
        required = ["i", "t"] if name == "hello" else ["i", "t", "d"]
        if name == "msg":
            envelope["k"] = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$"}
            required.append("k")
        messages[f"command.{name}"] = _message(name, envelope, required)
        answered = {"r": {"type": "integer"}, "d": refs[protocol.REPLIES[name]]}
        messages[f"reply.{name}"] = _message(name, answered, ["r", "d"], closed=True)
    messages["refusal"] = {"payload": refs[protocol.Refusal]}
    messages["event"] = {"payload": refs[protocol.Event]}
    for name, signal in protocol.SIGNALS.items():
        shown = {"n": _INT, "t": {"const": name}, "d": refs[signal]}
        messages[f"signal.{name}"] = _message(name, shown, list(shown), closed=True)
    for name, notice in protocol.NOTICES.items():
        noted = {"t": {"const": name}, "d": refs[notice]}
        messages[f"notice.{name}"] = _message(name, noted, list(noted), closed=True)
    messages["ping"] = {"payload": {"type": "object", "maxProperties": 0}}
    return messages


def _told_events(told: Mapping[str, Told]) -> list[tuple[str, str, type[msgspec.Struct]]]:
    """Answer name of the message, type and body of everything that channels tell."""
    return [
        (f"event.{kind}.{name}", name, body) for kind, of in told.items() for name, body in of.events.items()
    ]


def _events(refs: "_Refs", told: Mapping[str, Told]) -> dict[str, Any]:
    messages: dict[str, Any] = {}
    for message, name, body in _told_events(told):
        event = {"n": _INT, "s": _INT, "p": _INT, "t": {"const": name}, "d": refs[body]}
        messages[message] = _message(name, event, list(event), closed=True)
    return messages


_INT: Final = {"type": "integer"}
_Refs = dict[type[msgspec.Struct], dict[str, Any]]


def _message(
    title: str, properties: dict[str, Any], required: list[str], *, closed: bool = False
) -> dict[str, Any]:
    payload: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    if closed:
        payload["additionalProperties"] = False
    return {"title": title, "payload": payload}


def _types(told: Mapping[str, Told]) -> list[type[msgspec.Struct]]:
    structs: list[type[msgspec.Struct]] = [
        *(kind.payload for kind in protocol.COMMANDS.values()),
        *protocol.REPLIES.values(),
        *protocol.SIGNALS.values(),
        *protocol.NOTICES.values(),
        protocol.Refusal,
        protocol.Event,
        codes.CloseReason,
        *(body for of in told.values() for body in of.events.values()),
        *(of.snapshot for of in told.values() if of.snapshot is not None),
    ]
    return list(dict.fromkeys(structs))
