"""The one HTTP request that the supervisor makes: a small GET to an engine's monitor on loopback."""

import asyncio
from typing import Any

import msgspec

LARGEST = 1024 * 1024


async def get_json(host: str, port: int, path: str, timeout: float = 2.0) -> dict[str, Any]:
    """The JSON object that the server answers. Raises OSError, TimeoutError or EOFError where it answers none."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii"))
            await writer.drain()
            answer = await reader.read(LARGEST)
            while chunk := await reader.read(LARGEST):
                answer += chunk
                if len(answer) > LARGEST:
                    raise ConnectionError(f"{path} answers more than {LARGEST} bytes")
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ConnectionError(f"{path} answered {head[:80]!r}") from error
