"""Secrets of endpoints and signatures of deliveries.

A secret is derived from the cell's key, the endpoint's id and its generation: it is written nowhere, so no log,
table, backup or export of them can give it away, and every process of the cell knows it.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from pathlib import Path

from server.notify.keys import load_or_create

KEY_FILE = "webhooks.key"
KEY_BYTES = 32
PREFIX = "whsec_"


class Secrets:
    """Knows the secret of every endpoint of the cell."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of_cell(cls, data: str | Path) -> "Secrets":
        """Load the key of the cell whose folder this is, or make it. Raises `Trouble`."""
        return cls(load_or_create(Path(data) / "keys" / KEY_FILE, lambda: os.urandom(KEY_BYTES)))

    def secret(self, endpoint_id: str, generation: int) -> str:
        """Return an endpoint's secret: what its merchant was shown."""
        raw = hmac.digest(self._key, f"webhook:{endpoint_id}:{generation}".encode(), hashlib.sha256)
        return PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def sign(self, endpoint_id: str, generations: Sequence[int], timestamp: int, body: bytes) -> str:
        """Return the value of `Titan-Signature`: one signature for each generation, the newest first."""
        return ",".join(
            f"v1={signature(self.secret(endpoint_id, each), timestamp, body)}" for each in generations
        )

    def __repr__(self) -> str:
        return "Secrets()"


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return the hex HMAC-SHA256 under the secret's text of `<timestamp>.<body>`."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
