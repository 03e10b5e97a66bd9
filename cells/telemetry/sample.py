"""What one process says of itself once a second, and how it crosses the wire. PURE."""

import math
import re
from typing import Annotated, Final

import msgspec

from cells.telemetry.instruments import Metrics, bounds_of, name_of

MAX_BYTES: Final = 256 << 10
MAX_SERIES: Final = 1_000

_KEY: Final = re.compile(
    r"[a-z][a-z0-9_]{0,99}(\{[a-z][a-z0-9_]{0,31}=\"[\w .:/-]{0,99}\"(,[a-z][a-z0-9_]{0,31}=\"[\w .:/-]{0,99}\"){0,3}\})?",
    re.ASCII,
)

Natural = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class Distribution(msgspec.Struct, frozen=True):
    """A histogram as counted so far: `counts` by bucket of `bounds_of` its name, and the sum of the values."""

    counts: list[Natural]
    sum: float


class Sample(msgspec.Struct, frozen=True):
    """All that a process has counted since it started.

    `since` and `at` are epoch milliseconds by the process's own clock. `n` numbers the samples of a process, so that
    a late one is told from the newest even when that clock was set back. Series are keyed as `series` writes them.
    """

    process: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,31}\Z")]
    pid: Natural
    since: int
    at: int
    counters: dict[str, Natural]
    gauges: dict[str, float]
    histograms: dict[str, Distribution]
    n: Natural = 0

    @property
    def life(self) -> tuple[str, int, int]:
        """What tells one run of a process from every other one."""
        return self.process, self.pid, self.since


class BadSample(ValueError):  # noqa: N818 - names what was met
    """These bytes are no sample."""


def take(metrics: Metrics, process: str, pid: int, since: int, at: int, n: int) -> Sample:
    """Return what a process has counted so far."""
    readings = {key: float(read()) for key, read in metrics.gauges.items()}
    return Sample(
        process,
        pid,
        since,
        at,
        {key: counter.value for key, counter in metrics.counters.items()},
        {key: value for key, value in readings.items() if math.isfinite(value)},
        {key: Distribution(list(h.counts), h.sum) for key, h in metrics.histograms.items()},
        n,
    )


encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Sample)


def decode(raw: bytes) -> Sample:
    """Return the sample that somebody sent. Raises `BadSample` where its text could not be shown as Prometheus text."""
    if len(raw) > MAX_BYTES:
        raise BadSample(f"{len(raw)} bytes")
    try:
        sample = _decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise BadSample(str(error)) from error
    if len(sample.counters) + len(sample.gauges) + len(sample.histograms) > MAX_SERIES:
        raise BadSample("too many series")
    for kind in (sample.counters, sample.gauges, sample.histograms):
        for key in kind:
            if _KEY.fullmatch(key) is None:
                raise BadSample(f"series {key[:200]!r}")
    _check_values(sample)
    return sample


def _check_values(sample: Sample) -> None:
    for key, reading in sample.gauges.items():
        if not math.isfinite(reading):
            raise BadSample(f"{key}: {reading}")
    for key, histogram in sample.histograms.items():
        if len(histogram.counts) != len(bounds_of(name_of(key))) + 1 or not math.isfinite(histogram.sum):
            raise BadSample(f"{key}: not a distribution")
