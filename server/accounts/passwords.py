"""Password hashing: argon2id on two low-priority threads, so that sign-ins cannot slow a sale down."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cells.kernel.errors import Rejected

THREADS = 2
MAX_WAITING = 128
NICENESS = 10


class Passwords:
    """Hashes and checks. Full policy: with `MAX_WAITING` jobs in line the next one is refused (overloaded)."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        # OWASP's minimum for argon2id: 19 MiB, two passes, one lane.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        # On Linux niceness belongs to the thread, so this slows down hashing and nothing else.
        self._pool = ThreadPoolExecutor(THREADS, "argon2", initializer=lambda: os.nice(NICENESS))
        self._max_waiting = max_waiting
        self._waiting = 0
        # Checked against for unknown addresses, so that they take the same time as known ones.
        self._decoy = self._hasher.hash("no account has this password")

    async def hash(self, password: str) -> str:
        """Hash a new password. Raises `Rejected` (overloaded)."""
        return str(await self._run(self._hasher.hash, password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Check a password, in the same time whether there is a hash or not. Raises `Rejected` (overloaded)."""
        return (
            await self._run(self._check, password_hash or self._decoy, password) and password_hash is not None
        )

    async def newer(self, password_hash: str, password: str) -> str | None:
        """Hash a verified password again if its hash has older parameters. Raises `Rejected` (overloaded)."""
        return await self.hash(password) if self._hasher.check_needs_rehash(password_hash) else None

    def close(self) -> None:
        """Let running jobs end, drop the waiting ones."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _check(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, job: Any, *arguments: str) -> Any:
        if self._waiting >= self._max_waiting:
            raise Rejected("overloaded", "Too many sign-ins are waiting.", retry_after_ms=2000)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, job, *arguments)
        finally:
            self._waiting -= 1
