"""Which orders or holds are wanted, how that is typed, and the sums over those that are shown. PURE."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from admin_tui.answers import HoldRow, OrderRow

Tab = Literal["orders", "holds"]
Traded = OrderRow | HoldRow

TABS: Final[tuple[Tab, ...]] = ("orders", "holds")
# What is said of where a row of each list stands, in the order in which it comes about.
STATE: Final[dict[Tab, str]] = {"orders": "payment", "holds": "status"}
STATES: Final[dict[Tab, tuple[str, ...]]] = {
    "orders": ("started", "authorised", "captured", "voided", "declined"),
    "holds": ("held", "confirmed", "released", "expired"),
}


class BadWanted(ValueError):  # noqa: N818 - what was typed
    """What was typed names no such list; the message says what would."""


class Wanted(msgspec.Struct, frozen=True):
    """A list, and of it only what has this sale, buyer and state; empty ones let everything through."""

    tab: Tab = "orders"
    sale: str = ""
    buyer: str = ""
    state: str = ""

    @property
    def params(self) -> dict[str, str]:
        """What a question to the server has to carry."""
        given = {"sale": self.sale, "buyer": self.buyer, STATE[self.tab]: self.state}
        return {name: value for name, value in given.items() if value}

    @property
    def is_narrowed(self) -> bool:
        """Something is left out."""
        return bool(self.params)

    def has(self, row: Traded) -> bool:
        """Tell whether a row is wanted."""
        return (
            self.sale in ("", row.sale_id)
            and self.buyer in ("", row.buyer_id)
            and self.state in ("", state_of(row))
        )

    def other(self) -> "Wanted":
        """Return the other list, of the same sale and buyer."""
        return Wanted("holds" if self.tab == "orders" else "orders", self.sale, self.buyer)

    def next_state(self) -> "Wanted":
        """Go on to the next state, after the last to all of them."""
        states = ("", *STATES[self.tab])
        return msgspec.structs.replace(self, state=states[(states.index(self.state) + 1) % len(states)])

    def __str__(self) -> str:
        """Return it as it is typed."""
        return " ".join([self.tab, *(word for pair in self.params.items() for word in pair)])


def state_of(row: Traded) -> str:
    """Return where a row stands: the payment of an order, the status of a hold."""
    return row.payment if isinstance(row, OrderRow) else row.status


def read(typed: str) -> tuple[Wanted, str]:
    """Read `orders sale sal_… payment captured rest`; answers the rest too. Raises BadWanted."""
    name, _, rest = typed.strip().partition(" ")
    tab: Tab = "holds" if _one_of(name, "a list", TABS) == "holds" else "orders"
    given: dict[str, str] = {}
    fields = ("sale", "buyer", STATE[tab])
    while (rest := rest.strip()) and (field := rest.split()[0]) in fields:
        _, _, rest = rest.partition(field)
        value, _, rest = rest.strip().partition(" ")
        if not value:
            raise BadWanted(f"Something is missing: :{tab} {field} {'ID' if field != fields[2] else 'STATE'}")
        if field == fields[2]:
            value = _one_of(value, f":{tab} {field}", STATES[tab])
        given["state" if field == fields[2] else field] = value
    return Wanted(tab, **given), rest


def _one_of(given: str, what: str, known: tuple[str, ...]) -> str:
    if given not in known:
        raise BadWanted(f"{what} is one of: {', '.join(known)}")
    return given


class Sums(msgspec.Struct, frozen=True):
    """Over some rows: how many, of how many units, in which states; amounts in minor units by currency."""

    rows: int
    units: int
    amounts: Mapping[str, int]
    states: Mapping[str, int]


def sums(rows: Iterable[Traded]) -> Sums:
    """Return the sums; states in the order in which they come about, others behind them."""
    count = units = 0
    amounts: dict[str, int] = {}
    states = dict.fromkeys((state for each in TABS for state in STATES[each]), 0)
    for row in rows:
        count += 1
        units += row.quantity
        states[state_of(row)] = states.get(state_of(row), 0) + 1
        if isinstance(row, OrderRow):
            amounts[row.amount.currency] = amounts.get(row.amount.currency, 0) + row.amount.amount
    return Sums(count, units, dict(sorted(amounts.items())), {name: n for name, n in states.items() if n})
