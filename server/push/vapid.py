"""Who sends: the cell's key for Web Push (RFC 8292), made at its first start."""

import base64
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from cells.trouble import Trouble
from server.notify.keys import load_or_create
from server.push.encryption import CURVE

KEY_FILE = "vapid.pem"
TOKEN_SECONDS = 12 * 3600
CONTACT = "mailto:postmaster@localhost"


class Vapid:
    """Signs for push services. Browsers subscribe with `public`; a lost key makes every subscription void."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, contact: str) -> None:
        self._key = key
        self._contact = contact
        raw = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    @classmethod
    def of_cell(cls, data: str | Path, contact: str, public_api: str) -> "Vapid":
        """Load the key of the cell whose folder this is, or make it. Raises `Trouble`."""
        path = Path(data) / "keys" / KEY_FILE
        try:
            key = load_pem_private_key(load_or_create(path, _make), password=None)
        except ValueError as error:
            raise Trouble(f"{path} is no key.", str(error), f"restore {path} from a backup") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise Trouble(f"{path} is no P-256 key.", "", f"restore {path} from a backup")
        own = public_api if public_api.startswith("https://") else CONTACT
        return cls(key, contact or own)

    def authorization(self, origin: str, now: int) -> str:
        """Return the Authorization header for a push service. `now` is in epoch milliseconds."""
        claims = {"aud": origin, "exp": now // 1000 + TOKEN_SECONDS, "sub": self._contact}
        token = jwt.encode(claims, self._key, algorithm="ES256")
        return f"vapid t={token}, k={self.public}"

    def __repr__(self) -> str:
        return f"Vapid(public={self.public!r})"


def _make() -> bytes:
    return ec.generate_private_key(CURVE).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
