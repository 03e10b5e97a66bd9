"""A log written by hand: `Written().sale("sal_1", drafted(), moved("armed"))`, one commit a call."""

from typing import Any, Self

from cells.kernel import envelope
from cells.kernel.money import Money
from cells.log.port import Stored
from server.chat import model as chat
from server.flash_sale import model as m
from server.ops.board import Board
from server.payments import model as p
from server.store.vocabulary import registries

T0 = 1_800_000_000_000
SALE, MERCHANT, BUYER = "sal_1", "mer_m", "usr_b"
REGISTRIES = registries()


class Written:
    """Commits in the order of the log. `at` is the time of the next one, and goes on by itself only when told to."""

    def __init__(self, first: int = 1) -> None:
        self.log: list[Stored] = []
        self.at = T0
        self._first = first
        self._versions: dict[str, int] = {}

    def commit(self, kind: str, key: str, *events: Any) -> Self:
        subject = f"log.007.{kind}.{key}"
        version = self._versions[subject] = self._versions.get(subject, 0) + 1
        return self.raw(subject, envelope.encode(REGISTRIES[kind], version, self.at, bytes(32), events))

    def raw(self, subject: str, body: bytes) -> Self:
        self.log.append(Stored(self._first + len(self.log), subject, body))
        return self

    def sale(self, *events: Any, key: str = SALE) -> Self:
        return self.commit(m.KIND, key, *events)

    def opened(self, key: str = SALE, stock: int = 10) -> Self:
        """Draft, arm and open a sale."""
        self.sale(drafted(key, stock), key=key)
        return self.sale(moved("armed", at=self.at), moved("open", at=self.at), key=key)

    def pay(self, hold_id: str, *events: Any) -> Self:
        return self.commit(p.KIND, hold_id, *events)

    def room(self, *events: Any, key: str = SALE) -> Self:
        return self.commit(chat.ROOM, key, *events)

    def later(self, milliseconds: int) -> Self:
        self.at += milliseconds
        return self

    def board(self) -> Board:
        board = Board(REGISTRIES)
        board.apply(self.log)
        return board


def drafted(key: str = SALE, stock: int = 10, title: str = "Sneakers") -> m.SaleDrafted:
    return m.SaleDrafted(
        key, MERCHANT, "prd_1", title, Money(4990, "EUR"), None, stock, 5, 60, None, None, T0
    )


def moved(state: m.State, by: str = MERCHANT, reason: str = "", at: int = T0, name: str = "") -> m.SaleMoved:
    return m.SaleMoved(state, by, reason, at, "", name)


def held(hold_id: str, *units: int, at: int = T0, buyer: str = BUYER) -> m.UnitsHeld:
    return m.UnitsHeld(hold_id, buyer, units, b"k" * 16, at + 60_000, at)


def confirmed(hold_id: str, at: int = T0) -> m.HoldConfirmed:
    return m.HoldConfirmed(hold_id, f"ord_{hold_id}", f"pay_{hold_id}", at)


def said(message_id: str, text: str = "hi", at: int = T0, author: str = BUYER) -> chat.MessagePosted:
    return chat.MessagePosted(message_id, author, "Bea", "buyer", text, b"k" * 16, at)
