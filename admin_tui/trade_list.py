"""One of the lists of orders and holds: what is asked for next, and what becomes of the answers. PURE."""

from typing import Final, Literal

import msgspec

from admin_tui.answers import Holds, Orders
from admin_tui.paged import Paged
from admin_tui.trade import Tab, Traded

AGAIN_MS: Final = 2000
Direction = Literal["begin", "newer", "again", "more"]


class Question(msgspec.Struct, frozen=True):
    """A page that is asked for: of which list and search, from which cursor."""

    search: tuple[object, ...]
    tab: Tab
    direction: Direction
    cursor: str | None = None


class TradeList:
    """The rows of a list and how they came. Only one question is on the way at a time.

    `stands`: newer rows came than fit onto these, and somebody reads these. `folding`: a replay is on its way to
    the moment that is wanted. `why`: the last question had no answer.
    """

    def __init__(self) -> None:
        self.paged: Paged[Traded] = Paged()
        self.search: tuple[object, ...] = ()
        self.why = ""
        self.folding = False
        self.stands = False
        self._begun = False
        self._asking = False
        self._asked_at = 0
        self._position = 0

    def look_for(self, search: tuple[object, ...]) -> None:
        """Search for something. The rows stay until there is an answer, unless they are another cell's.

        The first part of a search is the cell.
        """
        if search == self.search:
            return
        if search[:1] != self.search[:1]:
            self.paged = Paged()
        self.search, self.why = search, ""
        self.stands = self.folding = self._begun = self._asking = False

    def due(self, position: int | None, now: int) -> Direction | None:
        """Return what is to be asked for; `position` is that of the cell's log, None where that does not move."""
        if self._asking:
            return None
        if self.folding or not (self._begun or self.why):
            return "begin"
        if position is None or abs(now - self._asked_at) < AGAIN_MS:
            return None
        if self._begun:
            return "newer" if self.why or position > self._position else None
        return "begin"

    def ask(self, tab: Tab, direction: Direction, now: int, cursor: str | None = None) -> Question | None:
        """Note that something is asked for; None where another answer has to be waited for."""
        if self._asking:
            return None
        self._asking, self._asked_at = True, now
        return Question(self.search, tab, direction, cursor)

    def hear(self, question: Question, page: Orders | Holds | None, why: str, *, stand: bool) -> bool:
        """Take in an answer, or why there is none; False where it is none to what is searched for now."""
        if question.search != self.search:
            return False
        self._asking, self.why = False, why
        if page is not None:
            self._take(question, page, stand=stand)
        return True

    def _take(self, question: Question, page: Orders | Holds, *, stand: bool) -> None:
        match question.direction:
            case "begin":
                self.paged.begin(page.items, page.next)
                self._begun = True
                self.folding = page.target is not None and page.position < page.target
                self._position = page.position
            case "newer":
                self.stands = not self.paged.refresh(page.items, page.next, stand=stand)
                self._position = page.position
            case "again":
                self.paged.again(question.cursor or "", page.items)
            case "more":
                self.paged.more(page.items, page.next)
