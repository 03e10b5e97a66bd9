"""The sales' writer as `api` and `projector` reach it."""

from nats.aio.client import Client

from cells.engine import client
from cells.kernel.clock import Clock
from server.flash_sale.model import Answer, Command
from server.flash_sale.wire import WIRE


class WriterClient(client.WriterClient[Command, Answer]):
    """`Sales` over NATS."""

    def __init__(self, bus: Client, cell: str, clock: Clock) -> None:
        super().__init__(bus, cell, clock, WIRE)
