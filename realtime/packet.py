"""Frames made ready once for all their readers."""

from collections.abc import Iterable

from realtime.protocol import MAX_BATCH, MAX_FRAME_BYTES


def text_frame(payload: bytes) -> bytes:
    """Answer a payload as the one unmasked text frame that a server puts on the wire (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81" + bytes((size,)) + payload
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Packet:
    """JSON text with its WebSocket frame. `position` is where a reader is after it; None for what has none."""

    __slots__ = ("frame", "payload", "position")

    def __init__(self, payload: bytes, position: int | None = None) -> None:
        self.payload = payload
        self.frame = text_frame(payload)
        self.position = position


def packed(entries: Iterable[tuple[int, bytes]]) -> list[Packet]:
    """Answer packets of events given as position and JSON text, several to an array where they are small."""
    packets: list[Packet] = []
    texts: list[bytes] = []
    size = last = 0
    for position, text in entries:
        if texts and (len(texts) == MAX_BATCH or size + len(text) >= MAX_FRAME_BYTES):
            packets.append(_array(texts, last))
            texts, size = [], 0
        texts.append(text)
        size += len(text) + 1
        last = position
    if texts:
        packets.append(_array(texts, last))
    return packets


def _array(texts: list[bytes], last: int) -> Packet:
    return Packet(texts[0] if len(texts) == 1 else b"[" + b",".join(texts) + b"]", last)
