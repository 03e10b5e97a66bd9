"""Commands and answers between `api` and `writer`, and where a sale is shown."""

import hashlib

import msgspec

from cells.engine.wire import Request, Wire
from server.flash_sale.model import KEY_BYTES, Answer, Command, Refusal

_encode = msgspec.msgpack.Encoder().encode

WIRE: Wire[Command, Answer] = Wire(
    suffix="",
    encode_request=_encode,
    decode_request=msgspec.msgpack.Decoder(Request[Command]).decode,
    encode_answers=_encode,
    decode_answers=msgspec.msgpack.Decoder(list[Answer]).decode,
    refuse=lambda code, detail: Refusal(code, detail, 1000),
)


def key_digest(buyer_id: str, key: str) -> bytes:
    """Return what the fold remembers of a buyer's Idempotency-Key."""
    return hashlib.blake2b(f"{buyer_id}\0{key}".encode(), digest_size=KEY_BYTES).digest()


def sale_subject(cell: str, sale_id: str) -> str:
    """Where the writer shows a sale after every durable change."""
    return f"cell.{cell}.sale.{sale_id}"


def sale_get_subject(cell: str) -> str:
    """Where a sale that was not shown yet can be asked for."""
    return f"cell.{cell}.sale-get"
