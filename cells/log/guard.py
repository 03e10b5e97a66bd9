"""Comparing a log with what it is known to have been."""

from cells.kernel import envelope
from cells.log.port import Log, LogInfo, Mark


async def damage(log: Log, mark: Mark | None) -> str | None:
    """Say how the log contradicts a mark; None when it does not. Raises `LogUnavailable`."""
    info = await log.info()
    if info is None:
        return "the stream LOG does not exist" + (", but this cell had one" if mark else "")
    if mark is None:
        return None
    return _extent(info, mark) or (await _content(log, mark) if info.first <= mark.position else None)


def _extent(info: LogInfo, mark: Mark) -> str | None:
    if info.epoch != mark.epoch:
        return f"the log was made anew ({info.epoch}); this cell's log is {mark.epoch}"
    if info.last < mark.position:
        return f"the log ends at {info.last}, but had reached {mark.position}"
    return None


async def _content(log: Log, mark: Mark) -> str | None:
    stored = await log.at(mark.position)
    if stored is None:
        return f"the log has no message at {mark.position}"
    if envelope.digest(stored.body).hex() != mark.hash:
        return f"the message at {mark.position} is not the one that was acknowledged there"
    return None
