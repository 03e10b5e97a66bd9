"""Answers operators' questions, now and as of any moment of the log."""

from typing import Final, assert_never

import msgspec
import structlog

from cells.config import CellConfig
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.log.port import Log, LogUnavailable
from server.ops import answers, asks, frame, stretch, words
from server.ops.board import Board
from server.ops.diagnosis import Diagnosis
from server.ops.present import Present
from server.ops.reading import Registries
from server.ops.replay import History, Replays

_log = structlog.get_logger(__name__)

MAX_BODY: Final = 900_000
"""Bytes of an answer: nats-server carries a megabyte."""

RETRY_MS: Final = 500
CATCH_UP_SECONDS: Final = 0.4
"""For as long a question about now waits for what is in the log already."""

Timed = asks.AskSales | asks.AskSale | asks.AskOrders | asks.AskHolds | asks.AskRooms | asks.AskMessages
Timeless = asks.AskCells | asks.AskProcesses | asks.AskLines | asks.AskCommit | asks.AskHealth

_encode = msgspec.json.Encoder().encode


class Desk:
    """Knows where each answer comes from."""

    def __init__(
        self,
        config: CellConfig,
        log: Log,
        registries: Registries,
        history: History,
        replays: Replays,
        present: Present,
        clock: Clock,
    ) -> None:
        self._config = config
        self._log = log
        self._registries = registries
        self._history = history
        self._replays = replays
        self._present = present
        self._clock = clock
        self._diagnosis = Diagnosis(config)

    async def answer(self, raw: bytes) -> asks.Answer:
        """Answer a question as it came. Never fails."""
        try:
            body = await self._answer(asks.decode_ask(raw))
        except Rejected as refusal:
            return asks.Declined(refusal.code, refusal.detail, refusal.retry_after_ms)
        except msgspec.MsgspecError as error:
            return asks.Declined("bad_request", str(error))
        except LogUnavailable as error:
            return asks.Declined("unavailable", f"The log does not answer: {error}", RETRY_MS)
        except Exception:  # noqa: BLE001 - whoever asks is answered, whatever went wrong
            _log.exception("a question failed")
            return asks.Declined("internal")
        if len(body) > MAX_BODY:
            return asks.Declined("too_large", "The answer is too large; ask for fewer rows.")
        return asks.Answered(body)

    def live_frame(self) -> tuple[int, bytes]:
        """Return the picture of the present with its position."""
        shown = self._live()
        return shown.position, frame.encoded(shown)

    def _live(self) -> words.Frame:
        return frame.live(self._registries, self._history.board.state, self._present.live())

    async def _answer(self, ask: asks.Ask) -> bytes:
        if isinstance(ask, asks.AskFrame):
            return await self._frame(ask)
        if isinstance(ask, asks.Moment):
            board, at, target = await self._moment(ask)
            return _encode(_rows(board, ask, at, target))
        return _encode(await self._now(ask))

    async def _now(self, ask: Timeless) -> msgspec.Struct:
        """Answer what is not about a moment."""
        match ask:
            case asks.AskCells():
                return words.Cells([self._cell()])
            case asks.AskProcesses():
                return words.Processes(self._live().processes)
            case asks.AskLines():
                return await stretch.lines(self._log, self._registries, ask)
            case asks.AskCommit(position):
                return await stretch.commit(self._log, self._registries, position)
            case asks.AskHealth():
                return await self._diagnosis.health(self._live(), self._present.status)
            case _:
                assert_never(ask)

    def _cell(self) -> words.CellRow:
        config = self._config
        return frame.cell_row(self._live(), self._present.status, config.public_api, config.public_realtime)

    async def _frame(self, ask: asks.AskFrame) -> bytes:
        if ask.at is None and ask.position is None:
            return self.live_frame()[1]
        board, at, target = await self._moment(ask)
        shown = frame.replayed(self._registries, board.state, self._present.live(), at, target or 0)
        return frame.encoded(shown)

    async def _moment(self, moment: asks.Moment) -> tuple[Board, int, int | None]:
        """Return the board as of a moment, or on its way there, with the time that stands for and the target.

        The board has to be read before anything else is awaited. Raises `Rejected`, `LogUnavailable`.
        """
        live = self._history.board
        if moment.position is None and moment.at is None:
            # Who asks has often just changed something, and looks for it.
            await self._history.catch_up(CATCH_UP_SECONDS)
            return live, self._clock.now(), None
        if moment.position is not None:
            target = await self._existing(moment.position)
        else:
            target = await self._history.position_at(moment.at or 0)
        target = max(target, live.state.first - 1)
        board = live if target == live.position else await self._replays.reach(target)
        at = moment.at if moment.position is None and moment.at is not None else board.at
        return board, at, target

    async def _existing(self, position: int) -> int:
        if position <= max(self._history.board.position, self._present.last):
            return max(0, position)
        info = await self._log.info()
        last = info.last if info else 0
        if position > last:
            raise Rejected("bad_request", f"The log ends at {last}.")
        return position


def _rows(board: Board, ask: Timed, at: int, target: int | None) -> msgspec.Struct:
    state = board.state
    match ask:
        case asks.AskSales():
            return answers.sales(state, ask, at, target)
        case asks.AskSale():
            return answers.sale(state, ask, at, target)
        case asks.AskOrders():
            return answers.orders(state, ask, target)
        case asks.AskHolds():
            return answers.holds(state, ask, target)
        case asks.AskRooms():
            return answers.rooms(state, ask, at, target)
        case asks.AskMessages():
            return answers.messages(state, ask, target)
        case _:
            assert_never(ask)
