"""Access tokens and the keys of a cell: who signs, who checks, where the keys lie.

An access token is a JWT of type ``at+jwt`` signed with EdDSA over Ed25519. Nothing in a token
chooses how it is checked: the algorithm is fixed, and ``kid`` only selects among the keys the
verifier was built with.
"""

import base64
import contextlib
import hashlib
import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ISSUER: Final = "titan"
AUDIENCE: Final = "titan"
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - a media type (RFC 9068), not a secret
ALGORITHM: Final = "EdDSA"

MAX_TOKEN_CHARS: Final = 4096
CACHE_ENTRIES: Final = 65_536

PRIVATE_KEY_FILE: Final = "signing.pem"
PUBLIC_KEY_GLOB: Final = "*.pub"
_OTHERS_MAY_READ: Final = 0o077

TokenCode = Literal["unauthenticated", "token_expired"]


class TokenInvalid(Exception):  # noqa: N818 - reads as the outcome, like the kernel's Rejected
    """A token that must not be accepted; `code` is what the client is told."""

    def __init__(self, code: TokenCode, detail: str) -> None:
        super().__init__(detail)
        self.code: TokenCode = code
        self.detail = detail


class KeyFolderError(Exception):
    """The key folder cannot be trusted or read; the message names the command that mends it."""


class Claims(msgspec.Struct, frozen=True):
    """What a verified access token says about its bearer. Times are ms since the epoch."""

    sub: str
    role: str
    sid: str
    exp: int
    iat: int
    name: str


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    # Forbidding every other member refuses crit, jku, x5u, x5c and an embedded jwk in one rule.
    alg: Literal["EdDSA"]
    typ: Literal["at+jwt"]
    kid: str


class _Payload(msgspec.Struct, frozen=True):
    sub: str
    role: str
    sid: str
    exp: int
    iat: int
    name: str = ""
    nbf: int | None = None


class Verifier:
    """Checks access tokens against a fixed set of public keys, remembering what it verified.

    Not safe for use from several threads; a process has one per event loop.
    """

    def __init__(self, keys: Mapping[str, Ed25519PublicKey], *, cache_entries: int = CACHE_ENTRIES) -> None:
        self._keys = dict(keys)
        self._cache_entries = cache_entries
        # Full policy: the least recently used entry leaves, and costs one more signature check.
        self._verified: OrderedDict[bytes, Claims] = OrderedDict()

    def verify(self, token: str, now_ms: int) -> Claims:
        """Answer the claims of a token that is genuine and alive at `now_ms`.

        Raises TokenInvalid. Whether the session was revoked is not known here.
        """
        if len(token) > MAX_TOKEN_CHARS:
            raise TokenInvalid("unauthenticated", "the token is too long")
        try:
            digest = hashlib.sha256(token.encode("ascii")).digest()
        except UnicodeEncodeError:
            raise TokenInvalid("unauthenticated", "the token is not a JWT") from None
        claims = self._verified.get(digest)
        if claims is None:
            claims = self._check(token, now_ms)
            self._remember(digest, claims)
        else:
            self._verified.move_to_end(digest)
        if now_ms >= claims.exp:
            del self._verified[digest]
            raise TokenInvalid("token_expired", "the token has expired")
        return claims

    def _check(self, token: str, now_ms: int) -> Claims:
        key = self._keys.get(_read_header(token).kid)
        if key is None:
            raise TokenInvalid("unauthenticated", "the token is signed with an unknown key")
        payload = _read_payload(token, key)
        if payload.nbf is not None and payload.nbf * 1000 > now_ms:
            raise TokenInvalid("unauthenticated", "the token is not valid yet")
        return Claims(
            sub=payload.sub,
            role=payload.role,
            sid=payload.sid,
            exp=payload.exp * 1000,
            iat=payload.iat * 1000,
            name=payload.name,
        )

    def _remember(self, digest: bytes, claims: Claims) -> None:
        self._verified[digest] = claims
        if len(self._verified) > self._cache_entries:
            self._verified.popitem(last=False)


class Issuer:
    """Signs access tokens with the cell's own key."""

    def __init__(self, kid: str, key: Ed25519PrivateKey) -> None:
        self._kid = kid
        self._key = key

    def sign(self, *, sub: str, role: str, sid: str, name: str, now_ms: int, life_ms: int) -> str:
        """Answer a token alive from `now_ms` for `life_ms`, both cut down to whole seconds."""
        issued = now_ms // 1000
        payload = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": sub,
            "role": role,
            "sid": sid,
            "name": name,
            "iat": issued,
            "exp": issued + life_ms // 1000,
        }
        headers = {"kid": self._kid, "typ": TOKEN_TYPE}
        return jwt.encode(payload, self._key, algorithm=ALGORITHM, headers=headers)


class Keyring:
    """The signing key of a cell and every public key it accepts, by kid."""

    def __init__(self, signing: Ed25519PrivateKey, accepted: Mapping[str, Ed25519PublicKey]) -> None:
        own = signing.public_key()
        self.kid = thumbprint(own)
        self.public: dict[str, Ed25519PublicKey] = {**accepted, self.kid: own}
        self._signing = signing

    def issuer(self) -> Issuer:
        """Answer a signer with this cell's key."""
        return Issuer(self.kid, self._signing)

    def verifier(self) -> Verifier:
        """Answer a verifier of every accepted key, with a cache of its own."""
        return Verifier(self.public)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Answer the public keys as a JWK Set (RFC 7517), fit to be published."""
        return {
            "keys": [
                {"kty": "OKP", "crv": "Ed25519", "x": _raw(key), "kid": kid, "use": "sig", "alg": ALGORITHM}
                for kid, key in self.public.items()
            ]
        }


def thumbprint(key: Ed25519PublicKey) -> str:
    """Answer the key's JWK thumbprint (RFC 7638, RFC 8037), which is its kid."""
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{_raw(key)}"}}'
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def load_or_create_keys(folder: str | Path) -> Keyring:
    """Answer the keys in `folder`, making the signing key if there is none.

    `signing.pem` signs and verifies; every `*.pub` (PEM, Ed25519) only verifies: a retired key,
    or another cell's. Processes that start at once agree on one signing key.
    Raises KeyFolderError when a file is unreadable, of another kind, or readable by others.
    """
    home = Path(folder)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home / PRIVATE_KEY_FILE
    if not path.exists():
        _create_signing_key(path)
    accepted = [_load_public(each) for each in sorted(home.glob(PUBLIC_KEY_GLOB))]
    return Keyring(_load_private(path), {thumbprint(key): key for key in accepted})


def _create_signing_key(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # A link never replaces: of processes that start at once one wins, the others read its key.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _load_private(path: Path) -> Ed25519PrivateKey:
    if path.stat().st_mode & _OTHERS_MAY_READ:
        raise KeyFolderError(
            f"the signing key {path} is open to other users of this machine, so tokens could be forged; "
            f"run: chmod 600 {path}"
        )
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyFolderError(_unreadable(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFolderError(_unreadable(path))
    return key


def _load_public(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise KeyFolderError(_unreadable(path)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFolderError(_unreadable(path))
    return key


def _unreadable(path: Path) -> str:
    return (
        f"{path} is not a readable Ed25519 key in PEM, so tokens can be neither signed nor checked with it; "
        f"restore it from a backup, or drop it and sign everybody out with: rm {path}"
    )


def _read_header(token: str) -> _Header:
    head = token.partition(".")[0]
    try:
        # Decoded here before PyJWT sees it: its JSON parser recurses on what a stranger wrote.
        return msgspec.json.decode(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)), type=_Header)
    except (ValueError, RecursionError):
        raise TokenInvalid("unauthenticated", "the token's header is not one of ours") from None


def _read_payload(token: str, key: Ed25519PublicKey) -> _Payload:
    try:
        payload = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=AUDIENCE,
            options={
                "require": ["exp", "iat", "sub", "sid"],
                "strict_aud": True,
                # Time is checked against the caller's clock, not PyJWT's.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
        return msgspec.convert(payload, _Payload)
    except (jwt.PyJWTError, msgspec.ValidationError, RecursionError):
        raise TokenInvalid("unauthenticated", "the token is not genuine") from None


def _raw(key: Ed25519PublicKey) -> str:
    return _base64url(key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
