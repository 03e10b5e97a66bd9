"""The one id of a conversation: a function of who talks about what, so that opening it twice cannot make two."""

import hashlib

from cells.kernel.ids import ENTROPY_BYTES, new_id, slot_in

_NAMED_AT = 0
"""In the place of a time, which these ids do not carry."""


def conversation_id(buyer_id: str, merchant_id: str, subject: str) -> str:
    """Return the id of a buyer's conversation with a merchant about a subject, in the merchant's slot."""
    named = hashlib.blake2b(f"{buyer_id}\0{merchant_id}\0{subject}".encode(), digest_size=ENTROPY_BYTES)
    return new_id("cnv", slot_in(merchant_id), _NAMED_AT, named.digest())
