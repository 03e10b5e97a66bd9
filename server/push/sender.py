"""Sends a notice to one browser, through the push service that the browser chose."""

import os
from typing import Literal

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from cells.kernel.clock import Clock
from server.notify import addresses, backoff
from server.notify.addresses import Forbidden
from server.notify.egress import Egress, Unreachable
from server.push import notices
from server.push.encryption import CURVE, SALT_BYTES, encrypt
from server.push.model import Subscription
from server.push.notices import Notice
from server.push.vapid import Vapid

_log = structlog.get_logger(__name__)

GONE = frozenset({404, 410})
BUSY = 429


class Sent(msgspec.Struct, frozen=True):
    """How it went. `again` may be tried after `retry_after_ms`; `refused` and `gone` are for good."""

    how: Literal["taken", "gone", "again", "refused"]
    retry_after_ms: int = 0


class Sender:
    """The cell towards push services. `allow_loopback` as in `Egress`."""

    def __init__(self, egress: Egress, vapid: Vapid, clock: Clock, *, allow_loopback: bool = False) -> None:
        self._egress = egress
        self._vapid = vapid
        self._clock = clock
        self._allow_loopback = allow_loopback

    async def send(self, to: Subscription, notice: Notice, ttl_seconds: int) -> Sent:
        """Encrypt and send. Raises nothing that the other side can bring about."""
        try:
            target = addresses.parse(to.endpoint, allow_loopback=self._allow_loopback)
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Encoding": "aes128gcm",
                "TTL": str(ttl_seconds),
                "Urgency": notices.urgency(notice),
                "Topic": notices.topic(notice),
                "Authorization": self._vapid.authorization(target.origin, self._clock.now()),
            }
            ours, salt = ec.generate_private_key(CURVE), os.urandom(SALT_BYTES)
            body = encrypt(notices.payload(notice), to.p256dh, to.auth, ours, salt)
            reply = await self._egress.post(to.endpoint, headers, body)
        except Unreachable as error:
            _log.info("push service does not answer", subscription=to.id, reason=str(error))
            return Sent("again")
        except Forbidden as error:
            _log.warning("push endpoint is refused", subscription=to.id, reason=str(error))
            return Sent("refused")
        if reply.accepted:
            return Sent("taken")
        if reply.status in GONE:
            return Sent("gone")
        if reply.status == BUSY or reply.status >= 500:
            return Sent("again", backoff.retry_after_ms(reply.headers.get("retry-after")))
        _log.warning("push service refuses", subscription=to.id, status=reply.status)
        return Sent("refused")
