"""Chat: the rooms of a cell's sales, what is said in one, and the keys of a moderator."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message

from admin_tui import moderation
from admin_tui.answers import MessageRow, Messages, RoomRow, Rooms
from admin_tui.feed import Refused, Unreachable
from admin_tui.picture import Picture
from admin_tui.screens.base import TopScreen
from admin_tui.shell import Table
from admin_tui.text import inert
from admin_tui.widgets import chat_rows
from admin_tui.widgets.chat_rows import MESSAGE_COLUMNS, ROOM_COLUMNS
from admin_tui.widgets.dialogs import AskDialog, Asked, Question
from admin_tui.widgets.drawn import Drawn, entitle
from admin_tui.widgets.figures import BAD, DIM
from admin_tui.widgets.keyed_table import KeyedTable

PAGE: Final = 100
ROOMS: Final = 100
ROOMS_AGAIN_MS: Final = 2000
SAID_AGAIN_MS: Final = 1000


class RoomsHeard(Message):
    """The rooms of a cell, or why there are none."""

    def __init__(self, cell: str, rooms: Rooms | None, why: str = "") -> None:
        super().__init__()
        self.cell = cell
        self.rooms = rooms
        self.why = why


class SaidHeard(Message):
    """What was said in a room: the newest, or with `older` what was said before."""

    def __init__(self, room: str, messages: Messages | None, *, older: bool, why: str = "") -> None:
        super().__init__()
        self.room = room
        self.messages = messages
        self.older = older
        self.why = why


class ChatScreen(TopScreen):
    """Rooms on the left, the room under the cursor on the right, its newest message on top."""

    MODE = "chat"
    TITLE = "chat"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "moderate('delete')", "Delete"),
        Binding("m", "moderate('mute')", "Mute 10 min"),
        Binding("M", "moderate('unmute')", "Unmute", show=False),
        Binding("b", "ban", "Ban"),
        Binding("B", "moderate('unban')", "Unban", show=False),
        Binding("S", "slow", "Slow mode"),
        Binding("L", "lock", "Lock/unlock"),
        Binding("w", "words", "Words"),
        Binding("n", "older", "Older"),
        Binding("g", "sale", "Go to sale"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._cell = ""
        self._rooms: dict[str, RoomRow] = {}
        self._said: dict[int, MessageRow] = {}
        self._room = ""
        self._asked_rooms: tuple[object, int] = ((), 0)
        self._asked_said: tuple[object, int] = ((), 0)
        self._aim = ""
        self._why = ""

    def body(self) -> ComposeResult:
        yield Drawn(id="chat-head")
        with Horizontal(id="chat-body"):
            with Vertical(id="rooms", classes="panel") as rooms:
                rooms.border_title = "rooms"
                yield KeyedTable[RoomRow](ROOM_COLUMNS, chat_rows.draw_room, empty="no rooms", id="room-rows")
            with Vertical(id="said", classes="panel"):
                yield KeyedTable[MessageRow](
                    MESSAGE_COLUMNS,
                    chat_rows.draw_message,
                    empty="nothing was said",
                    follows=True,
                    id="said-rows",
                )

    @property
    def room(self) -> RoomRow | None:
        """The room under the cursor."""
        found: RoomRow | None = self.query_one("#room-rows", KeyedTable).current
        return found

    @property
    def message(self) -> MessageRow | None:
        """The message under the cursor."""
        found: MessageRow | None = self.query_one("#said-rows", KeyedTable).current
        return found

    # --- what is shown ---

    def show(self, picture: Picture) -> None:
        if picture.selected != self._cell:
            self._cell, self._rooms, self._room = picture.selected, {}, ""
            self._said.clear()
        focus = picture.focus
        position = 0 if focus is None or focus.frame is None else focus.frame.position
        moment = (self._cell, position, len([life for life in picture.actions if life.stage == "effective"]))
        if moment != self._asked_rooms[0] and picture.at - self._asked_rooms[1] >= ROOMS_AGAIN_MS:
            self._asked_rooms = (moment, picture.at)
            self._ask_rooms(self._cell)
        self._show_rooms()
        if moment != self._asked_said[0] and picture.at - self._asked_said[1] >= SAID_AGAIN_MS and self._room:
            self._asked_said = (moment, picture.at)
            self._ask_said(self._cell, self._room, None)

    def _show_rooms(self) -> None:
        ordered = sorted(self._rooms.values(), key=lambda room: (-room.rate_60s, -room.last_at, room.id))
        shown = {room.id: room for room in ordered if self.pattern.matches(room.title, room.id)}
        table = self.query_one("#room-rows", KeyedTable)
        table.show(shown)
        if self._aim in shown:
            table.move_to(self._aim)
            self._aim = ""
        entitle(self.query_one("#rooms"), "rooms", f"{len(shown):,}")
        self._show_said()

    def _show_said(self) -> None:
        room = self.room
        panel, head = self.query_one("#said"), self.query_one("#chat-head", Drawn)
        if room is not None and room.id != self._room:
            self._room = room.id
            self._said.clear()
            self._ask_said(self._cell, room.id, None)
        self.query_one("#said-rows", KeyedTable).show(
            {str(s): self._said[s] for s in sorted(self._said, reverse=True)}
        )
        if room is None:
            entitle(panel, "")
            head.show(Content.styled(" " + inert(self._why, 120), BAD) if self._why else Content(""))
            return
        entitle(panel, inert(room.title or room.id, 50), f"{room.messages:,} messages")
        why = Content.styled("   " + inert(self._why, 100), BAD) if self._why else ""
        head.show(Content.assemble((" this room: ", DIM), chat_rows.room_state(room), why))

    def table(self) -> Table:
        """Return what was said in the room."""
        columns = ("s", "at", "user", "name", "role", "deleted", "text")
        rows = [tuple(getattr(self._said[s], name) for name in columns) for s in sorted(self._said)]
        return Table(f"room-{self._room}", columns, rows)

    # --- what is asked for ---

    @work(exclusive=True, group="rooms")
    async def _ask_rooms(self, cell: str) -> None:
        try:
            rooms = await self.top.ask("/ops/rooms", {"limit": ROOMS}, Rooms, cell=cell)
        except (Refused, Unreachable) as error:
            self.post_message(RoomsHeard(cell, None, str(error)))
        else:
            self.post_message(RoomsHeard(cell, rooms))

    @work(exclusive=True, group="said")
    async def _ask_said(self, cell: str, room: str, before: int | None) -> None:
        params = {"limit": PAGE, "before": before}
        try:
            said = await self.top.ask(f"/ops/rooms/{room}/messages", params, Messages, cell=cell)
        except (Refused, Unreachable) as error:
            self.post_message(SaidHeard(room, None, older=before is not None, why=str(error)))
        else:
            self.post_message(SaidHeard(room, said, older=before is not None))

    def on_rooms_heard(self, message: RoomsHeard) -> None:
        if message.cell == self._cell:
            self._why = message.why
            if message.rooms is not None:
                self._rooms = {room.id: room for room in message.rooms.items}
            self._show_rooms()

    def on_said_heard(self, message: SaidHeard) -> None:
        if message.room != self._room:
            return
        self._why = message.why
        if message.messages is not None:
            newest = {each.s: each for each in message.messages.items}
            if not message.older and not newest.keys() & self._said.keys():
                self._said.clear()
            # Full policy: of so many pages the oldest messages are let go.
            kept = sorted(self._said | newest, reverse=True)[: 10 * PAGE]
            self._said = {s: newest.get(s) or self._said[s] for s in kept}
        self._show_said()

    def aim(self, at: str) -> None:
        """Put the cursor on a room, else filter by the word."""
        if at.startswith("sal_"):
            self._aim = at
            self._show_rooms()
        else:
            super().aim(at)

    # --- keys ---

    def _send(self, what: str, body: dict[str, Any]) -> None:
        if self._room:
            self.top.moderate(self._cell, self._room, what, body)

    def _ask(self, question: Question, answered: Callable[[Asked], tuple[str, dict[str, Any]]]) -> None:
        why = self.picture.why_not_at(self._cell)
        if why:
            self.top.tell(why, severity="warning")
            return

        def then(asked: Asked | None) -> None:
            if asked is not None:
                self._send(*answered(asked))

        self.app.push_screen(AskDialog(question), then)

    def action_moderate(self, action: str) -> None:
        """Delete the message under the cursor, or mute or unmute or unban the one who wrote it."""
        if self.message is not None:
            self._send(*moderation.about_message(action, self.message))

    def action_ban(self) -> None:
        """Ban the one who wrote the message under the cursor, once that is confirmed."""
        message = self.message
        if message is not None:
            self._ask(moderation.ask_ban(message), lambda asked: moderation.ban(message, asked))

    def action_slow(self) -> None:
        """Set how long everybody has to wait between two messages."""
        if self.room is not None:
            self._ask(moderation.ask_slow(self.room), moderation.slow)

    def action_words(self) -> None:
        """Replace the words that are refused."""
        if self.room is not None:
            self._ask(moderation.ask_words(self.room), moderation.words)

    def action_lock(self) -> None:
        """Lock the room, or unlock it."""
        if self.room is not None:
            self._send(*moderation.about_lock(self.room))

    def action_older(self) -> None:
        """Show what was said before."""
        if self._said:
            self._ask_said(self._cell, self._room, min(self._said))

    def action_sale(self) -> None:
        """Show the sale of the room."""
        if self._room:
            self.top.go("sales", self._room)

    def on_keyed_table_moved(self, event: KeyedTable.Moved) -> None:
        """Another room is shown."""
        if event.table.id == "room-rows":
            self._show_said()

    def on_keyed_table_chosen(self, event: KeyedTable.Chosen) -> None:
        """Go into the room, where the keys of a moderator work on what was said."""
        if event.table.id == "room-rows":
            self.add_class("-open")
            room = self.room
            self.trail = () if room is None else (room.title or room.id,)
            self.query_one("#said-rows").focus()

    def back(self) -> bool:
        """Leave the room for the list of rooms."""
        if not self.has_class("-open"):
            return False
        self.remove_class("-open")
        self.trail = ()
        self.query_one("#room-rows").focus()
        return True
