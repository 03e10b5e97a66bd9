"""The log: as it grows, narrowed by subject and type, one commit as JSON, one aggregate from event to event."""

from typing import ClassVar, Final, Literal

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message

from admin_tui.answers import Commit, Lines
from admin_tui.feed import Refused, Unreachable
from admin_tui.log_buffer import LogBuffer, subject_of, subject_of_line
from admin_tui.picture import Picture
from admin_tui.replay import Position, Want
from admin_tui.screens.base import TopScreen
from admin_tui.shell import Table
from admin_tui.text import inert
from admin_tui.widgets import log_lines
from admin_tui.widgets.commit_view import commit_view
from admin_tui.widgets.drawn import Drawn, entitle
from admin_tui.widgets.figures import BAD
from admin_tui.widgets.keyed_table import KeyedTable
from admin_tui.wire import Line

PAGE: Final = 100
Direction = Literal["begin", "newer", "older", "one"]


class LinesHeard(Message):
    """A page of the log, or why there is none. `search` tells which question it answers."""

    def __init__(self, search: object, direction: Direction, page: Lines | None, why: str = "") -> None:
        super().__init__()
        self.search = search
        self.direction = direction
        self.page = page
        self.why = why


class CommitHeard(Message):
    """A commit, or why there is none."""

    def __init__(self, position: int, commit: Commit | None, why: str = "") -> None:
        super().__init__()
        self.position = position
        self.commit = commit
        self.why = why


class LogScreen(TopScreen):
    """The newest line is on top. While the cursor is on it, the log is followed."""

    MODE = "log"
    TITLE = "log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "walk_this", "This aggregate"),
        Binding("t", "type_this", "This type"),
        Binding("left_square_bracket", "walk('before')", "Older of it", key_display="["),
        Binding("right_square_bracket", "walk('after')", "Newer of it", key_display="]"),
        Binding("b", "older", "Further back"),
        Binding("n", "newest", "Newest"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._buffer = LogBuffer()
        self._subject = ""
        self._type = ""
        self._why = ""
        self._search: tuple[object, ...] = ()
        self._pulling = False
        self._last = 0
        self._aim = 0
        self._commit: Commit | None = None
        self._asked = 0

    def body(self) -> ComposeResult:
        yield Drawn(id="log-head")
        with Horizontal(id="log-body"):
            with Vertical(id="list", classes="panel") as panel:
                panel.border_title = "log"
                yield KeyedTable[Line](
                    log_lines.COLUMNS, log_lines.draw, empty="no such events", follows=True, id="rows"
                )
            with VerticalScroll(id="detail", classes="panel", can_focus=True) as detail:
                detail.border_title = "commit"
                yield Drawn(id="commit")

    @property
    def rows(self) -> KeyedTable[Line]:
        """The list."""
        return self.query_one("#rows", KeyedTable)

    # --- what is shown ---

    def show(self, picture: Picture) -> None:
        bound = None if picture.replay is None else picture.replay.position
        search = (picture.selected, self._subject, self._type, bound)
        focus = picture.focus
        self._last = 0 if focus is None or focus.frame is None else focus.frame.last
        # A replay that is not there yet has no position: what was shown stays.
        if search != self._search and bound != 0:
            self._search, self._pulling = search, False
            self._pull("begin")
        elif bound is None and self._is_following and self._last > self._buffer.end:
            self._pull("newer")
        self._show_lines()

    @property
    def _is_following(self) -> bool:
        keys = self.rows.keys
        return not keys or self.rows.key == keys[0]

    def _show_lines(self) -> None:
        shown = [
            line
            for line in self._buffer.lines
            if self.pattern.matches(line.type, line.kind, line.key, line.text, line.by)
        ]
        table = self.rows
        table.show(log_lines.rows(shown))
        if self._aim:
            key = next((log_lines.key_of(line) for line in shown if line.position == self._aim), "")
            if key:
                self._aim = 0
                table.move_to(key)
        self._show_head(len(shown))

    def _show_head(self, shown: int) -> None:
        replay = self.picture.replay
        head = log_lines.head(
            why=self._why,
            until=None if replay is None else replay.position,
            following=self._is_following,
            subject=self._subject,
            type_=self._type,
            shown=shown,
        )
        self.query_one("#log-head", Drawn).show(head)
        older = "b: further back" if self._buffer.has_older and not self._buffer.is_full else ""
        full = "full: narrow it by subject or type" if self._buffer.is_full else ""
        entitle(self.query_one("#list"), "log", full or older)

    def _show_commit(self) -> None:
        panel, commit = self.query_one("#detail"), self._commit
        if commit is None:
            return
        title = Content.assemble("commit ", (f"{commit.position:,}", "bold"))
        entitle(panel, title, f"{commit.size:,} bytes")
        self.query_one("#commit", Drawn).show(commit_view(commit))

    def table(self) -> Table:
        """Return the lines that are shown."""
        columns = ("position", "index", "at", "slot", "kind", "key", "type", "version", "by", "text")
        rows = [tuple(getattr(line, name) for name in columns) for line in self.rows.rows.values()]
        return Table("log", columns, rows)

    def here(self) -> Want | None:
        """Return the position of the line under the cursor."""
        line = self.rows.current
        return None if line is None else Position(line.position)

    # --- what is asked for ---

    def _pull(self, direction: Direction) -> None:
        if self._pulling:
            return
        self._pulling = True
        params: dict[str, str | int | None] = {"limit": PAGE, "subject": self._subject or None}
        params["type"] = self._type or None
        replay = self.picture.replay
        match direction:
            case "newer":
                params["after"] = self._buffer.end
            case "older":
                params["before"] = self._buffer.start
            case _ if self._aim:
                params["before"] = self._aim + PAGE // 2
            case _ if replay is not None:
                params["before"] = replay.position + 1
        self._ask_lines(self._search, direction, params)

    @work(group="lines")
    async def _ask_lines(
        self, search: object, direction: Direction, params: dict[str, str | int | None]
    ) -> None:
        try:
            page = await self.top.ask("/ops/log", params, Lines)
        except (Refused, Unreachable) as error:
            self.post_message(LinesHeard(search, direction, None, str(error)))
        else:
            self.post_message(LinesHeard(search, direction, page))

    @work(exclusive=True, group="commit")
    async def _ask_commit(self, position: int) -> None:
        try:
            commit = await self.top.ask(f"/ops/log/{position}", {}, Commit)
        except (Refused, Unreachable) as error:
            self.post_message(CommitHeard(position, None, str(error)))
        else:
            self.post_message(CommitHeard(position, commit))

    def on_lines_heard(self, message: LinesHeard) -> None:
        if message.search != self._search:
            return
        self._pulling = False
        self._why = message.why
        page = message.page
        if page is not None:
            self._take(page, message.direction)
        self._show_lines()

    def _take(self, page: Lines, direction: Direction) -> None:
        match direction:
            case "begin":
                self._buffer.begin(page)
            case "newer":
                self._buffer.newer(page)
            case "older":
                self._buffer.older(page)
            case "one":
                if not page.items:
                    self.top.tell("There is no further event of it.")
                for line in page.items[:1]:
                    self._buffer.add(line)
                    self._aim = line.position

    def on_commit_heard(self, message: CommitHeard) -> None:
        if message.position != self._asked:
            return
        self._commit = message.commit
        if message.commit is None:
            self._asked = 0
            self.query_one("#commit", Drawn).show(Content.styled(inert(message.why, 200), BAD))
        else:
            self._show_commit()

    def aim(self, at: str) -> None:
        """Go to a position, or narrow by a pattern of subjects."""
        if at.isascii() and at.isdigit():
            self._subject = self._type = ""
            self._aim = int(at)
            self._search = ()
            self.open_detail()
        else:
            self._subject = subject_of(at)
        self.show(self.picture)

    # --- keys ---

    def action_walk_this(self) -> None:
        """Show only the aggregate under the cursor; again, all of them."""
        line = self.rows.current
        if line is not None:
            subject = subject_of_line(line)
            self._aim = line.position
            self._subject = "" if self._subject == subject else subject
            self.show(self.picture)

    def action_type_this(self) -> None:
        """Show only the type under the cursor; again, all of them."""
        line = self.rows.current
        if line is not None:
            self._aim = line.position
            self._type = "" if self._type == line.type else line.type
            self.show(self.picture)

    def action_walk(self, way: str) -> None:
        """Go to the event before or after this one of the same aggregate."""
        line = self.rows.current
        if line is not None and not self._pulling:
            self._pulling = True
            self._ask_lines(
                self._search, "one", {"limit": 1, "subject": subject_of_line(line), way: line.position}
            )

    def action_older(self) -> None:
        """Look further back."""
        if self._buffer.has_older and not self._buffer.is_full:
            self._pull("older")

    def action_newest(self) -> None:
        """Follow the log again."""
        self._search = ()
        if self.rows.keys:
            self.rows.move_to(self.rows.keys[0])
        self.show(self.picture)

    def on_keyed_table_moved(self, _: KeyedTable.Moved) -> None:
        self._show_head(len(self.rows.keys))
        if self.has_class("-open") or not self.has_class("-narrow"):
            self._look_at_current()

    def on_keyed_table_chosen(self, _: KeyedTable.Chosen) -> None:
        self.open_detail()

    def open_detail(self) -> None:
        """Look at the commit alone."""
        self.add_class("-open")
        self._look_at_current()
        self.query_one("#detail").focus()

    def _look_at_current(self) -> None:
        line = self.rows.current
        if line is None:
            return
        if self.has_class("-open"):
            self.trail = (f"{line.position:,}",)
        if line.position != self._asked:
            self._asked = line.position
            self._ask_commit(line.position)

    def back(self) -> bool:
        """Leave the commit, then the narrowing."""
        if self.has_class("-open"):
            self.remove_class("-open")
            self.trail = ()
            self.rows.focus()
            return True
        if self._subject or self._type:
            self._subject = self._type = ""
            self.show(self.picture)
            return True
        return False
