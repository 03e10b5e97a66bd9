"""Who may the bearer of a token be: the question the realtime listener asks of the world."""

from collections.abc import Mapping
from typing import Protocol

from cells.tokens import Claims, TokenInvalid


class TokenVerifier(Protocol):
    """`cells.tokens.Verifier.verify` has this shape, and so has any callable that answers it."""

    def __call__(self, token: str, now_ms: int, /) -> Claims:
        """Answer the claims of a token alive at `now_ms` (epoch). Raises TokenInvalid. Never blocks."""


class KnownTokens:
    """Accepts exactly the tokens it was given: the verifier of tests and of offline demos."""

    def __init__(self, known: Mapping[str, Claims]) -> None:
        self._known = dict(known)

    def __call__(self, token: str, now_ms: int, /) -> Claims:
        """Answer the claims noted for the token."""
        claims = self._known.get(token)
        if claims is None:
            raise TokenInvalid("unauthenticated", "the token is not known here")
        if now_ms >= claims.exp:
            raise TokenInvalid("token_expired", "the token has expired")
        return claims
