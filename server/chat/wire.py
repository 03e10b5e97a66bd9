"""Commands and answers of chat between `api` and `writer`, and what the hub calls the channels."""

import hashlib

import msgspec

from cells.engine.wire import Request, Wire
from server.chat.commands import Answer, Command
from server.chat.decide import is_conversation
from server.chat.model import KEY_BYTES
from server.chat.rules import refuse

_encode = msgspec.msgpack.Encoder().encode

WIRE: Wire[Command, Answer] = Wire(
    suffix=".chat",
    encode_request=_encode,
    decode_request=msgspec.msgpack.Decoder(Request[Command]).decode,
    encode_answers=_encode,
    decode_answers=msgspec.msgpack.Decoder(list[Answer]).decode,
    refuse=refuse,
)


def key_digest(user: str, key: str) -> bytes:
    """Return what the fold remembers of a person's client key."""
    return hashlib.blake2b(f"{user}\0{key}".encode(), digest_size=KEY_BYTES).digest()


def channel_kind(key: str) -> str:
    """Return the hub's kind of the channel with this key."""
    return "chat" if is_conversation(key) else "room"


def channel_name(key: str) -> str:
    """Return the hub's name of the channel with this key."""
    return f"{channel_kind(key)}:{key}"
