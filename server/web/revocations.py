"""Sessions that were ended while their access tokens still live."""

import structlog

_log = structlog.get_logger(__name__)

MAX_ENTRIES = 200_000


class Revocations:
    """Session ids with the epoch millisecond at which their last access token expires.

    Full policy: the entry that expires first leaves, and it is logged. Password hashing lets a cell end at most
    some 50 sessions a second, so that the entries of one token's life stay far below the limit.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._until: dict[str, int] = {}
        self._max = max_entries

    def __len__(self) -> int:
        return len(self._until)

    def add(self, sid: str, until: int, now: int) -> None:
        """Refuse tokens of this session from now on."""
        self._until[sid] = max(until, self._until.get(sid, 0))
        if len(self._until) > self._max:
            self._prune(now)

    def is_revoked(self, sid: str, now: int) -> bool:
        """Tell whether the session was ended. Forgets what has expired."""
        until = self._until.get(sid)
        if until is None:
            return False
        if until <= now:
            del self._until[sid]
            return False
        return True

    def _prune(self, now: int) -> None:
        self._until = {sid: until for sid, until in self._until.items() if until > now}
        while len(self._until) > self._max:
            first = min(self._until, key=self._until.__getitem__)
            del self._until[first]
            _log.error("too many ended sessions are remembered", dropped=first)
