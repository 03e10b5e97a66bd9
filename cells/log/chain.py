"""Hash chains: every commit of an aggregate carries its number and the hash of the one before."""

import msgspec

from cells.kernel import envelope
from cells.log.port import Stored


class Broken(Exception):  # noqa: N818 - a finding about the log
    """A commit does not follow from the one before it: the log was altered."""


class Chain(msgspec.Struct):
    """The end of one aggregate's chain. Starts before the first commit."""

    version: int = 0
    position: int = 0
    hash: bytes = envelope.GENESIS

    def follow(self, stored: Stored) -> None:
        """Advance over the next commit. Raises `Broken` when it is not the next one of this chain."""
        try:
            header = envelope.peek(stored.body)
        except msgspec.MsgspecError as error:
            msg = f"{stored.subject} at {stored.position}: not a commit ({error})"
            raise Broken(msg) from error
        if header.version != self.version + 1 or header.prev != self.hash:
            msg = (
                f"{stored.subject} at {stored.position}: commit {header.version} does not follow commit "
                f"{self.version} at {self.position}"
            )
            raise Broken(msg)
        self.advance(stored.position, stored.body)

    def advance(self, position: int, body: bytes) -> None:
        """Take a commit that is known to follow."""
        self.version += 1
        self.position = position
        self.hash = envelope.digest(body)
