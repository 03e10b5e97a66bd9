"""How far a reader of the log has come with work that ends in any order."""

from collections import deque

import msgspec

MOST_BEYOND = 512


class _Commit(msgspec.Struct):
    position: int
    open: int
    began: bool


class Window:
    """Commits that were read and are not all done. `reached` is the last position with nothing open up to it."""

    def __init__(self, reached: int) -> None:
        self.reached = reached
        self._commits: deque[_Commit] = deque()
        self._by_position: dict[int, _Commit] = {}

    def enter(self, position: int, work: int) -> None:
        """Note a commit and how many pieces of work it led to. Positions rise."""
        if not work and not self._commits:
            self.reached = position
            return
        if not work and not self._commits[-1].began:
            self._commits[-1].position = position
            return
        commit = _Commit(position, work, work > 0)
        self._commits.append(commit)
        if work:
            self._by_position[position] = commit

    def done(self, position: int) -> None:
        """Note that one piece of a commit's work is done."""
        self._by_position[position].open -= 1
        while self._commits and not self._commits[0].open:
            self.reached = self._commits.popleft().position
            self._by_position.pop(self.reached, None)

    def __len__(self) -> int:
        """Commits that are kept in mind."""
        return len(self._commits)

    def beyond(self) -> tuple[int, ...]:
        """Return commits beyond `reached` whose work is all done, the first `MOST_BEYOND` of them."""
        done = [c.position for c in self._commits if c.began and not c.open]
        return tuple(done[:MOST_BEYOND])
