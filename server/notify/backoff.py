"""When to try again: exponential delays with full jitter, and what the other side asks for."""

LONGEST_ASKED_SECONDS = 3600


def delay_ms(tries: int, first_ms: int, longest_ms: int, chance: float) -> int:
    """Return the delay behind the try number `tries` (from 1). `chance` is from [0, 1): full jitter, 1 ms at least."""
    ceiling = min(longest_ms, first_ms * 2 ** min(tries - 1, 40))
    return max(1, int(ceiling * chance))


def retry_after_ms(header: str | None) -> int:
    """Return what a Retry-After header in seconds asks for, an hour at most; 0 for none or a date."""
    if header is None or not (header.isascii() and header.isdigit()) or len(header) > 9:
        return 0
    return min(int(header), LONGEST_ASKED_SECONDS) * 1000
