"""The one table of refusals: a stable code, the HTTP status it has at the edge, and whether a retry can help."""

import msgspec


class Code(msgspec.Struct, frozen=True):
    """What a stable error code means to a client."""

    status: int
    title: str
    retryable: bool = False


CODES: dict[str, Code] = {
    "bad_request": Code(400, "The request is malformed"),
    "idempotency_key_required": Code(400, "This call needs an Idempotency-Key header"),
    "unauthenticated": Code(401, "A valid access token is needed"),
    "bad_credentials": Code(401, "E-mail or password is wrong"),
    "token_expired": Code(401, "The access token has expired", retryable=True),
    "payment_declined": Code(402, "The payment was declined"),
    "forbidden": Code(403, "The account's role may not do this"),
    "not_found": Code(404, "There is no such thing, or it is not yours"),
    "method_not_allowed": Code(405, "The path does not know this method"),
    "timeout": Code(408, "The request did not arrive in time", retryable=True),
    "email_taken": Code(409, "The e-mail address has an account already"),
    "banned": Code(403, "The account may not write here any more"),
    "muted": Code(403, "The account may not write here for a while", retryable=True),
    "locked": Code(409, "Nobody may write here at the moment", retryable=True),
    "blocked_words": Code(409, "The text has a word that is blocked here"),
    "wrong_state": Code(409, "The state does not allow this step"),
    "sold_out": Code(409, "No units are left at the moment", retryable=True),
    "limit_reached": Code(409, "The limit per buyer is reached"),
    "not_open": Code(409, "The sale is not open", retryable=True),
    "hold_expired": Code(409, "The hold has expired and its units went back"),
    "hold_released": Code(409, "The hold was released and its units went back"),
    "conflict": Code(409, "Another change came first", retryable=True),
    "too_large": Code(413, "The request is too large"),
    "unsupported_media_type": Code(415, "The content type is not supported"),
    "key_reused": Code(422, "The Idempotency-Key was used with another request"),
    "rate_limited": Code(429, "Too many requests", retryable=True),
    "slow_mode": Code(429, "The room is in slow mode", retryable=True),
    "internal": Code(500, "An internal error", retryable=True),
    "unavailable": Code(503, "The service cannot take this request now", retryable=True),
    "overloaded": Code(503, "The service is at its capacity", retryable=True),
    "fenced": Code(503, "The cell is fenced because its log is damaged", retryable=True),
    "outcome_unknown": Code(
        503, "The outcome is not known; retry with the same Idempotency-Key", retryable=True
    ),
}


class Rejected(Exception):  # noqa: N818 - a refusal is an answer of the rules, not a fault
    """A rule or a boundary said no. Nothing was applied, unless the code is `outcome_unknown`."""

    def __init__(self, code: str, detail: str = "", *, retry_after_ms: int | None = None) -> None:
        super().__init__(detail or CODES[code].title)
        self.code = code
        self.detail = detail or CODES[code].title
        self.retry_after_ms = retry_after_ms

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return CODES[self.code].status

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return CODES[self.code].retryable
