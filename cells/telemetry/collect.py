"""What all processes of a cell tell, in one place."""

import time
from collections.abc import Callable

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from cells.telemetry import exposition, sample
from cells.telemetry.publish import subject
from cells.telemetry.sample import BadSample, Sample
from cells.telemetry.sums import Sums

_log = structlog.get_logger(__name__)

# Full policy: nats-py drops the newest message; every sample has all that the lost ones had.
PENDING_MESSAGES = 1_024


class Collected:
    """Sums over the processes of a cell. A process that is not heard of is not there.

    A key is that of one series (`titan_http_total{class="2xx"}`), or a name, which is all of its series.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` answers seconds that only go forward."""
        self._monotonic = monotonic
        self._sums = Sums(monotonic())
        self._complained = False

    async def start(self, bus: Client, cell: str) -> None:
        """Listen for as long as the connection lasts."""
        await bus.subscribe(subject(cell, "*"), cb=self._on_message, pending_msgs_limit=PENDING_MESSAGES)

    async def _on_message(self, message: Msg) -> None:
        self.take(message.data)

    def take(self, raw: bytes) -> None:
        """Take what came on the wire; what is no sample is dropped and reported once."""
        try:
            self.add(sample.decode(raw))
        except BadSample as error:
            if not self._complained:
                self._complained = True
                _log.warning("not a sample", reason=str(error))

    def add(self, fresh: Sample) -> None:
        """Take a sample, as of this process itself."""
        self._sums.take(fresh, self._monotonic())

    def processes(self) -> list[Sample]:
        """Return the newest sample of every process heard of in the last 5 s, by name and pid."""
        return self._sums.processes(self._monotonic())

    def cpu(self, process: str, pid: int) -> float:
        """Return the share of one core that a process took between its last two samples."""
        return self._sums.cpu(process, pid, self._monotonic())

    def counter(self, key: str) -> int:
        """Return a total, over restarts; 0 where nothing was counted."""
        return self._sums.counter(key)

    def gauge(self, key: str) -> float:
        """Return the sum of the readings; 0 where there is none."""
        return self._sums.gauge(key, self._monotonic())

    def rate(self, key: str) -> float:
        """Return how many were counted in the newest whole second."""
        return self.history(key, 1)[0]

    def history(self, key: str, n: int = 60) -> list[float]:
        """Return one-second points, oldest first: what was counted in each second, or a gauge's readings."""
        return self._sums.history(key, n, self._monotonic())

    def percentile(self, key: str, q: float, window_s: float = 10) -> float | None:
        """Return a quantile (0 to 1) of a histogram's last seconds, right to one bucket; None: no observation."""
        return self._sums.percentile(key, q, window_s, self._monotonic())

    def count(self, key: str, window_s: float = 10) -> int:
        """Return the number of a histogram's observations of the last seconds."""
        return sum(self._sums.recent(key, window_s, self._monotonic()))

    def render(self) -> str:
        """Return all sums as Prometheus text."""
        return exposition.render(*self._sums.totals(self._monotonic()))
