"""What is known of all cells, from the frames they sent. Applies samples; asks nobody, and takes time as an argument."""

import heapq
from array import array
from collections.abc import Iterable
from typing import Final

import msgspec

from admin_tui import metrics
from admin_tui.actions import Life, seen
from admin_tui.metrics import METRICS
from admin_tui.picture import CellAlert, CellPicture, Histories, Mover, Picture
from admin_tui.replay import ReplayState
from admin_tui.wire import Alert, Frame, Totals, WhoAmI

POINTS: Final = 60
MOVERS: Final = 8
MOVING: Final = ("load", "p99", "errors", "lag")
MIN_SCORE: Final = 0.25
# Full policy: the oldest finished action is forgotten.
MAX_ACTIONS: Final = 50


class _Track:
    """One cell: the newest live frame, the frame of a replay, and the points of its metrics."""

    def __init__(self, id_: str, url: str) -> None:
        self.id = id_
        self.url = url
        self.frame: Frame | None = None
        self.replayed: Frame | None = None
        self.connected = False
        self.lost_since: int | None = None
        self.why = ""
        self.role = ""
        self.second = 0
        # Not lists: hundreds of cells with the objects of a minute each are more than a processor has at hand.
        self.points: dict[str, array[float]] = {name: array("d") for name in METRICS}
        self.movers: list[Mover] = []
        self.values: dict[str, float] = {}
        self._pictured: CellPicture | None = None
        self._replaying = False

    def take(self, frame: Frame) -> None:
        self.frame, self.connected, self.lost_since, self.why = frame, True, None, ""
        self.values = metrics.values(frame)
        second = frame.at // 1000
        for name, points in self.points.items():
            # What is in pictures does not change: each frame has new points, which are not copied for the picture.
            kept = points[:-1] if second == self.second else points[1 - POINTS :]
            kept.append(self.values[name])
            self.points[name] = kept
        self.second = second
        self.movers = [mover for name in MOVING if (mover := self._mover(name)) is not None]

    def _mover(self, name: str) -> Mover | None:
        points = self.points[name]
        if len(points) < 3:
            return None
        before = sum(points[:-1]) / (len(points) - 1)
        score = abs(points[-1] - before) / (abs(before) + 1.0)
        return Mover(self.id, name, before, points[-1], score, points) if score >= MIN_SCORE else None

    def picture(self, *, replaying: bool) -> CellPicture:
        """Return the cell as it is; the same object for as long as nothing is different."""
        frame = self.replayed if replaying else self.frame
        known = self._pictured
        if (
            known is not None
            and known.frame is frame
            and self._replaying == replaying
            and (known.connected, known.lost_since) == (self.connected, self.lost_since)
            and (known.why, known.role) == (self.why, self.role)
        ):
            return known
        self._pictured, self._replaying = self._drawn(frame, replaying=replaying), replaying
        return self._pictured

    def _drawn(self, frame: Frame | None, *, replaying: bool) -> CellPicture:
        histories = Histories({} if replaying else dict(self.points), () if frame is None else frame.series)
        values: dict[str, float] = {}
        if frame is not None:
            values = self.values if frame is self.frame else metrics.values(frame)
        return CellPicture(
            self.id, self.url, frame, self.connected, self.lost_since, self.why, self.role, histories, values
        )


class Model:
    """All cells. It has one owner, which applies what it hears and takes pictures."""

    def __init__(self, cells: Iterable[tuple[str, str]], *, operate: bool = False) -> None:
        """`cells`: id and URL of each, in the order they are shown in."""
        self._tracks = {id_: _Track(id_, url) for id_, url in cells}
        self._lives: dict[str, Life] = {}
        self._operate = operate
        self.selected = next(iter(self._tracks), "")
        self.replay: ReplayState | None = None

    # --- what is heard ---

    def apply(self, cell: str, frame: Frame, now: int) -> None:
        """Take a live frame in; actions that it shows become effective."""
        self._tracks[cell].take(frame)
        for key, life in self._lives.items():
            if life.stage == "acknowledged" and life.action.cell == cell:
                self._lives[key] = seen(life, msgspec.structs.replace(frame, cell=cell), now)

    def lost(self, cell: str, why: str, now: int) -> None:
        """The cell is not heard any more; its last frame stays."""
        track = self._tracks[cell]
        track.connected, track.why = False, why
        track.lost_since = now if track.lost_since is None else track.lost_since

    def regained(self, cell: str) -> None:
        """The cell is heard again."""
        track = self._tracks[cell]
        track.connected, track.lost_since, track.why = True, None, ""

    def identified(self, cell: str, who: WhoAmI) -> None:
        """Take in what the key may do at a cell."""
        self._tracks[cell].role = who.role

    def replayed(self, cell: str, frame: Frame | None) -> None:
        """Take in the frame of a replay; None forgets it."""
        self._tracks[cell].replayed = frame

    def forget_replay(self) -> None:
        """Go back to what is live."""
        self.replay = None
        for track in self._tracks.values():
            track.replayed = None

    # --- actions ---

    def acted(self, life: Life) -> None:
        """Take in how far an action has come."""
        self._lives[life.action.key] = life
        over = [key for key, each in self._lives.items() if each.stage in {"effective", "refused", "failed"}]
        for key in over[: max(0, len(self._lives) - MAX_ACTIONS)]:
            del self._lives[key]

    def life(self, key: str) -> Life | None:
        """Return an action by its key."""
        return self._lives.get(key)

    # --- what is shown ---

    @property
    def cells(self) -> tuple[str, ...]:
        """The ids of all cells."""
        return tuple(self._tracks)

    def picture(self, now: int) -> Picture:
        """Return everything as of now, or as of the replay."""
        replaying = self.replay is not None
        cells = tuple(track.picture(replaying=replaying) for track in self._tracks.values())
        moving = [] if replaying else [mover for track in self._tracks.values() for mover in track.movers]
        selected = self._tracks.get(self.selected)
        return Picture(
            at=self.replay.at if self.replay is not None else now,
            mode="replay" if replaying else "live",
            cells=cells,
            totals=total(cell.frame.totals for cell in cells if cell.frame is not None),
            movers=tuple(heapq.nlargest(MOVERS, moving, key=lambda mover: mover.score)),
            alerts=tuple(_alerts(cells)),
            selected=self.selected,
            operate=self._operate,
            role=selected.role if selected is not None else "",
            replay=self.replay,
            actions=tuple(reversed(self._lives.values())),
        )


def total(all_: Iterable[Totals]) -> Totals:
    """Return the sums, field by field."""
    columns = zip(*(msgspec.structs.astuple(each) for each in all_), strict=True)
    return Totals(*(sum(column) for column in columns))


def _alerts(cells: Iterable[CellPicture]) -> Iterable[CellAlert]:
    """Yield what cells say themselves, and before it what they cannot say: that they are not heard."""
    for cell in cells:
        if cell.lost_since is not None:
            lost = Alert("lost", "critical", cell.lost_since, f"cell {cell.id} is not heard", cell.why, "")
            yield CellAlert(cell.id, lost)
    for cell in cells:
        if cell.frame is not None:
            yield from (CellAlert(cell.id, alert) for alert in cell.frame.alerts)
