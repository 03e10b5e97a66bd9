"""Who is logged in to the served dashboard. Keys stay in memory, and in the environment of the dashboards they run."""

import hashlib
from collections import OrderedDict
from typing import Final

import msgspec

LIFE_MS: Final = 12 * 3_600_000
# Full policy: whoever logged in longest ago is logged out.
MAX_SESSIONS: Final = 64
FAILURES: Final = 5
FAILURES_MS: Final = 60_000


class Session(msgspec.Struct, frozen=True):
    """Somebody who logged in."""

    key: str
    name: str
    role: str
    until: int

    def __repr__(self) -> str:
        return f"Session(name={self.name!r}, role={self.role!r})"


class Sessions:
    """Sessions by the digest of their cookie, so that a look into memory or a timing gives no cookie away."""

    def __init__(self) -> None:
        self._all: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, cookie: str, session: Session) -> None:
        """Keep a new session."""
        self._all[_digest(cookie)] = session
        while len(self._all) > MAX_SESSIONS:
            self._all.popitem(last=False)

    def find(self, cookie: str, now: int) -> Session | None:
        """Return the session of a cookie, where it has one that still lives."""
        found = self._all.get(_digest(cookie))
        if found is not None and found.until <= now:
            self.end(cookie)
            return None
        return found

    def end(self, cookie: str) -> None:
        """Log out."""
        self._all.pop(_digest(cookie), None)


class Attempts:
    """How often a login failed of late. After `FAILURES` in a minute, nobody may try for a while."""

    def __init__(self) -> None:
        self._failed: list[int] = []

    def may(self, now: int) -> bool:
        """Tell whether a login may be tried."""
        self._failed = [at for at in self._failed if now - at < FAILURES_MS]
        return len(self._failed) < FAILURES

    def failed(self, now: int) -> None:
        """Count a failure."""
        self._failed.append(now)


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()
