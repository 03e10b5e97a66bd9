"""What a hub counts of what goes out: event frames, and what is not sent to those who do not keep up."""

from cells.telemetry.instruments import Metrics
from realtime.codes import CloseCode


class Traffic:
    """Counters. Those of every frame are added to directly, which is the cheapest way."""

    __slots__ = ("_metrics", "deliveries", "latest_shed", "signals_shed", "slow")

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.deliveries = metrics.counter("titan_deliveries_total")
        self.signals_shed = metrics.counter("titan_shed_total", 'class="signal"')
        self.latest_shed = metrics.counter("titan_shed_total", 'class="latest"')
        self.slow = metrics.counter("titan_shed_total", 'class="slow"')

    def closed(self, code: int) -> None:
        """Count a connection that was closed from here."""
        self._metrics.counter("titan_closes_total", f'code="{code}"').add()
        if code == CloseCode.SLOW:
            self.slow.add()
