"""Commands and answers between `api` and `writer`: MessagePack, one message for all commands of a tick."""

import hashlib
from typing import Any

import msgspec

from server.flash_sale.model import KEY_BYTES, Answer, Command

SALE_OPS_PER_MESSAGE = 512


class Request(msgspec.Struct, frozen=True, array_like=True):
    """Commands that are worthless after `deadline` (epoch milliseconds)."""

    deadline: int
    commands: list[Command]


encode_request = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_answers = msgspec.msgpack.Decoder(list[Answer]).decode

_encoder = msgspec.msgpack.Encoder()


def encode_answers(answers: list[Any]) -> bytes:
    """Encode answers in the order of their commands."""
    return _encoder.encode(answers)


def key_digest(buyer_id: str, key: str) -> bytes:
    """Return what the fold remembers of a buyer's Idempotency-Key."""
    return hashlib.blake2b(f"{buyer_id}\0{key}".encode(), digest_size=KEY_BYTES).digest()


def sale_subject(cell: str, sale_id: str) -> str:
    """Where the writer shows a sale after every durable change."""
    return f"cell.{cell}.sale.{sale_id}"


def sale_get_subject(cell: str) -> str:
    """Where a sale that was not shown yet can be asked for."""
    return f"cell.{cell}.sale-get"
