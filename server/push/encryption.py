"""Message encryption for Web Push (RFC 8291): for one browser alone, in one record of `aes128gcm` (RFC 8188)."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE = ec.SECP256R1()
POINT_BYTES = 65
AUTH_BYTES = 16
SALT_BYTES = 16
RECORD = 4096
MAX_PLAINTEXT = RECORD - 16 - 1 - (SALT_BYTES + 4 + 1 + POINT_BYTES)
"""So that header and record together stay within the 4096 bytes that every push service takes."""

_LAST = b"\x02"


def is_point(raw: bytes) -> bool:
    """Tell whether these bytes are an uncompressed point of the curve."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(CURVE, raw)
    except ValueError:
        return False
    return len(raw) == POINT_BYTES


def encrypt(
    plaintext: bytes, p256dh: bytes, auth: bytes, ours: ec.EllipticCurvePrivateKey, salt: bytes
) -> bytes:
    """Encrypt a message. `ours` and `salt` are made for this message and never used again."""
    if len(plaintext) > MAX_PLAINTEXT:
        raise ValueError(f"a push message has at most {MAX_PLAINTEXT} bytes")
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, p256dh)
    shared = ours.exchange(ec.ECDH(), theirs)
    public = ours.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    secret = _derive(auth, shared, b"WebPush: info\x00" + p256dh + public, 32)
    key = _derive(salt, secret, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _derive(salt, secret, b"Content-Encoding: nonce\x00", 12)
    header = salt + RECORD.to_bytes(4, "big") + bytes([len(public)]) + public
    return header + AESGCM(key).encrypt(nonce, plaintext + _LAST, None)


def _derive(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)
