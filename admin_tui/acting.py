"""The shell of actions: asks what has to be asked, sends, and hands answers on as messages."""

import uuid
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from textual.message import Message

from admin_tui import actions
from admin_tui.actions import STEPS, Action, Life
from admin_tui.chrome.dialogs import DIALOGS, Decided, Dialog
from admin_tui.feed import Feed, Reply, Unreachable
from admin_tui.model import Model
from admin_tui.text import inert
from admin_tui.wire import SaleRow
from cells.kernel.clock import Clock


class Answered(Message):
    """The answer to an action; None where there was none, and `why`."""

    def __init__(self, key: str, reply: Reply | None, why: str = "") -> None:
        super().__init__()
        self.key = key
        self.reply = reply
        self.why = why


class Host(Protocol):
    """What actions need of the app."""

    model: Model
    feeds: dict[str, Feed]
    clock: Clock

    def ask_operator(self, dialog: Dialog, then: Callable[[Decided | None], None]) -> None: ...

    def run_worker(self, work: Coroutine[Any, Any, None], *, group: str) -> Any: ...

    def post_message(self, message: Message) -> bool: ...

    def tell(self, text: str, *, severity: str = "information") -> None: ...

    def paint(self) -> None: ...


class Actor:
    """Brings actions about. Nothing is sent from a read-only dashboard, by a viewer's key, or out of a replay."""

    def __init__(self, host: Host, new_key: Callable[[], str] | None = None) -> None:
        """`new_key` makes Idempotency-Keys."""
        self._host = host
        self._new_key = new_key or (lambda: f"top-{uuid.uuid4().hex}")

    def steer(self, cell: str, sale: SaleRow, what: str) -> None:
        """Do something to a sale, as it was shown; asks first where that is due."""
        if not self._may(cell):
            return
        if what not in DIALOGS:
            self._send_to_sale(cell, sale, what, {"reason": ""})
            return

        def decided(decision: Decided | None) -> None:
            # What was true when the dialog opened may not be so any more.
            if decision is None or not self._may(cell):
                return
            body: dict[str, Any] = {"reason": decision.reason}
            if what == "throttle":
                body["per_second"] = decision.per_second
            self._send_to_sale(cell, sale, what, body)

        self._host.ask_operator(DIALOGS[what](cell, sale), decided)

    def moderate(self, cell: str, room: str, what: str, body: dict[str, Any]) -> None:
        """Send a moderation to a room."""
        if self._may(cell):
            self._start(Action(cell, what, f"/ops/rooms/{room}/moderate", self._new_key(), body))

    def revoke(self, cell: str, name: str) -> None:
        """End an operator's key."""
        if self._may(cell):
            path = f"/ops/operators/{name}"
            self._start(Action(cell, f"revoke {name}", path, self._new_key(), method="DELETE"))

    def retry(self, key: str) -> None:
        """Send an action again under its key, where that makes sense."""
        life = self._host.model.life(key)
        if life is None or not life.may_retry:
            self._host.tell("There is nothing to try again.", severity="warning")
        elif self._may(life.action.cell):
            self._go(actions.again(life, self._host.clock.now()))

    def retry_newest(self) -> None:
        """Send the newest action that can be, again."""
        now = self._host.clock.now()
        lives = self._host.model.picture(now).actions
        self.retry(next((life.action.key for life in lives if life.may_retry), ""))

    def answered(self, answer: Answered) -> None:
        """Take an answer in."""
        life = self._host.model.life(answer.key)
        if life is None:
            return
        now = self._host.clock.now()
        if answer.reply is None:
            life = actions.failed(life, now, answer.why)
        elif answer.reply.problem is not None:
            problem = answer.reply.problem
            life = actions.refused(life, now, problem.code, problem.detail or problem.title)
        else:
            effect = answer.reply.effect
            life = actions.acknowledged(life, now, effect.revision, effect.position)
        self._host.model.acted(life)
        self._report(life)
        self._host.paint()

    def _may(self, cell: str) -> bool:
        why = self._host.model.picture(self._host.clock.now()).why_not_at(cell)
        if why:
            self._host.tell(why, severity="warning")
        return not why

    def _send_to_sale(self, cell: str, sale: SaleRow, what: str, body: dict[str, Any]) -> None:
        action = Action(
            cell,
            f"{what} {inert(sale.title, 30)}",
            f"/ops/sales/{sale.id}/{what}",
            self._new_key(),
            body | {"expected_revision": sale.revision},
            sale=sale.id,
            state=STEPS.get(what, ""),
            revision=sale.revision,
        )
        self._start(action)

    def _start(self, action: Action) -> None:
        self._go(Life(action, requested_at=self._host.clock.now()))

    def _go(self, life: Life) -> None:
        self._host.model.acted(life)
        self._host.run_worker(self._send(life.action), group="act")
        self._host.paint()

    async def _send(self, action: Action) -> None:
        feed = self._host.feeds[action.cell]
        try:
            if action.method == "DELETE":
                reply = await feed.delete(action.path, action.key)
            else:
                reply = await feed.post(action.path, action.body, action.key)
        except Unreachable as error:
            self._host.post_message(Answered(action.key, None, str(error)))
        else:
            self._host.post_message(Answered(action.key, reply))

    def _report(self, life: Life) -> None:
        again = "  y tries again, under the same key." if life.may_retry else ""
        match life.stage:
            case "refused":
                self._host.tell(f"{life.action.what}: refused. {life.word}{again}", severity="error")
            case "failed":
                self._host.tell(
                    f"{life.action.what}: no answer ({life.word}). It may have been done.{again}",
                    severity="error",
                )
