"""Simulated cells behind the port of a feed: the same for the same seed and clock, and as unwell as they are told to be."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, TypeVar

import msgspec

from admin_tui import simulated_views as views
from admin_tui.answers import Problem
from admin_tui.feed import Heard, Lost, Params, Refused, Regained, Reply, Unreachable
from admin_tui.simulated_log import STEPS, Folded, SimulatedLog
from admin_tui.wire import Frame
from cells.kernel.clock import Clock

T = TypeVar("T")
BY: Final = "opr_0a1064CNW6M0000G0000000000001"
MAX_LIMIT: Final = 100
STATUS: Final = {
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "rate_limited": 429,
    "unavailable": 503,
    "unauthenticated": 401,
}


class SimulatedFeed:
    """One simulated cell. Frames come every `interval` seconds, and whenever `beat` is called.

    It repeats an action under a key it knows by the answer it gave, like the server.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        cell: str = "c1",
        number: int = 1,
        seed: int = 1,
        role: str = "operator",
        pace: float = 6.0,
        past_s: int = 120,
        sales: int = 8,
        interval: float | None = None,
    ) -> None:
        self.cell = cell
        self.url = f"sim://{cell}"
        self.role = role
        self.log = SimulatedLog(
            cell, number, seed=seed, start=clock.now(), pace=pace, past_s=past_s, sales=sales
        )
        self.processes = views.SimulatedProcesses()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.posted: list[tuple[str, Any, str]] = []
        self.fold_at_once = 1 << 60
        self._clock = clock
        self._interval = interval
        self._news = asyncio.Event()
        self._open_gate = asyncio.Event()
        self._open_gate.set()
        self._lost: Lost | None = None
        self._refusals: list[Problem] = []
        self._declined: dict[str, Problem] = {}
        self._failures = 0
        self._answers: dict[str, Reply] = {}
        self._folded: Folded | None = None
        self._closed = False

    # --- what a test does to it ---

    def beat(self) -> None:
        """Send a frame of now."""
        self._news.set()

    def lose(self, why: str = "connection closed", *, final: bool = False) -> None:
        """Be not heard, neither by frames nor by answers."""
        self._lost = Lost(why, final)
        self._news.set()

    def regain(self) -> None:
        """Be heard again."""
        self._lost = None
        self._news.set()

    def refuse(self, code: str, detail: str, times: int = 1) -> None:
        """Refuse the next actions."""
        self._refusals += [Problem(STATUS.get(code, 409), code, code, detail)] * times

    def decline(self, path: str, code: str = "", detail: str = "") -> None:
        """Refuse the questions of a path; without a code, answer them again."""
        self._declined.pop(path, None)
        if code:
            self._declined[path] = Problem(STATUS.get(code, 409), code, code, detail)

    def fail(self, times: int = 1) -> None:
        """Give no answer to the next actions; they are done all the same."""
        self._failures += times

    def hold_answers(self) -> None:
        """Be slow: give no answers until `let_answers`."""
        self._open_gate.clear()

    def let_answers(self) -> None:
        """Give the answers that were held back."""
        self._open_gate.set()

    # --- the port ---

    async def frames(self) -> AsyncGenerator[Heard, None]:
        """Yield a frame at once and then as described at the class."""
        told: Lost | None = None
        while not self._closed:
            if self._lost is not None:
                if told is not self._lost:
                    told = self._lost
                    yield told
                if told.final:
                    return
            else:
                if told is not None:
                    told = None
                    yield Regained()
                yield self.frame()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._news.wait()
            self._news.clear()

    def frame(self) -> Frame:
        """Return the frame of now."""
        now = self._clock.now()
        self.log.grow(now)
        return views.frame(self.log, self.log.state, now, self.processes)

    async def get(self, path: str, params: Params, type_: type[T]) -> T:
        """Answer a question."""
        given = {name: str(value) for name, value in params.items() if value is not None}
        self.asked.append((path, given))
        await self._reached()
        if path in self._declined:
            raise Refused(self._declined[path])
        found = self._answer(path, given)
        if found is None:
            raise Refused(Problem(404, "not_found", "There is no such thing", f"There is no {path}."))
        return msgspec.json.decode(msgspec.json.encode(found), type=type_)

    async def post(self, path: str, body: Any, key: str) -> Reply:
        """Do what is asked, once for each key."""
        self.posted.append((path, body, key))
        await self._reached()
        return self._once(key, lambda: self._act(path.strip("/").split("/"), body))

    async def delete(self, path: str, key: str) -> Reply:
        """End an operator's key."""
        self.posted.append((path, None, key))
        await self._reached()
        return self._once(key, lambda: Reply(204))

    async def close(self) -> None:
        """End `frames`."""
        self._closed = True
        self._news.set()

    async def _reached(self) -> None:
        await self._open_gate.wait()
        if self._lost is not None:
            raise Unreachable(self._lost.why)

    # --- actions ---

    def _once(self, key: str, act: Callable[[], Reply]) -> Reply:
        if self._refusals:
            return _refusal(self._refusals.pop(0))
        if key not in self._answers:
            reply = (
                act() if self.role in {"operator", "admin"} else _no("forbidden", "This key may only read.")
            )
            if reply.problem is not None:
                return reply
            self._answers[key] = reply
        if self._failures:
            self._failures -= 1
            raise Unreachable("no answer within 10 s")
        return self._answers[key]

    def _act(self, path: list[str], body: Any) -> Reply:
        now = self._clock.now()
        self.log.grow(now)
        match path:
            case ["ops", "sales", sale, what] if sale in self.log.state.sales:
                return self._steer(sale, what, body, now)
            case ["ops", "rooms", sale, "moderate"] if sale in self.log.state.rooms:
                data = {"target": None, "seconds": None} | body
                event = self.log.append("moderated", sale, BY, body["action"], data, now)
                return Reply(200, msgspec.json.encode({"position": event.position}))
            case _:
                return _no("not_found", f"There is no /{'/'.join(path)}.")

    def _steer(self, id_: str, what: str, body: Any, now: int) -> Reply:
        sale = self.log.state.sales[id_]
        expected, reason = body.get("expected_revision"), body.get("reason", "")
        if expected is not None and expected != sale.revision:
            return _no("conflict", f"The sale is at revision {sale.revision}, not {expected}.")
        if what == "throttle":
            data = {"per_second": body["per_second"], "reason": reason}
            self.log.append("throttled", id_, BY, f"throttle {body['per_second']}", data, now)
        elif what not in STEPS or sale.state not in STEPS[what][0]:
            return _no("conflict", f"A sale that is {sale.state} cannot do {what}.")
        else:
            self.log.move(id_, what, BY, reason, now)
        after = self.log.state.sales[id_]
        answer = {"state": after.state, "revision": after.revision, "position": self.log.state.position}
        return Reply(200, msgspec.json.encode(answer))

    # --- questions ---

    def _answer(self, path: str, params: dict[str, str]) -> Any:
        self.log.grow(self._clock.now())
        folded, target = self._as_of(params)
        found: Any = None
        match path.strip("/").split("/")[1:]:
            case ["frame"] if target is None:
                found = self.frame()
            case ["frame"] if target is not None:
                shown = views.frame(self.log, folded, folded.at, None)
                found = msgspec.structs.replace(shown, target=target, catching_up=folded.position < target)
            case ["sales", sale] if sale in folded.sales:
                detail = {"sale": folded.sales[sale], "moves": folded.moves[sale]}
                found = detail | {"position": folded.position}
            case ["rooms", sale, "messages"] if sale in folded.rooms:
                found = views.messages(folded, sale, params)
            case ["log"]:
                found = views.lines(self.log, params)
            case ["log", position] if 0 < int(position) <= len(self.log.events):
                found = views.commit(self.log, int(position))
            case ["sales" | "orders" | "holds" | "rooms" as name]:
                found = views.pages(name, folded, params)
                found |= {"position": folded.position, "target": target}
            case [name]:
                found = self._about(name)
        return found

    def _about(self, name: str) -> Any:
        now = self._clock.now()
        match name:
            case "whoami":
                return {"name": "ana", "role": self.role, "cell": self.cell}
            case "cells":
                return {"items": [{"id": self.cell, "state": "serving", "position": self.log.state.position}]}
            case "processes":
                return {"items": self.frame().processes}
            case "health":
                return {"items": views.health(self.processes, now)}
            case "operators" if self.role == "admin":
                return {"items": [{"name": "ana", "id": BY, "role": "admin", "created_at": now}]}
            case "operators":
                raise Refused(Problem(403, "forbidden", "Not allowed", "Only admins see operators."))
        return None

    def _as_of(self, params: dict[str, str]) -> tuple[Folded, int | None]:
        if "at" not in params and "position" not in params:
            return self.log.state, None
        asked = int(params["position"]) if "position" in params else self.log.position_at(int(params["at"]))
        target = max(1, min(asked, len(self.log.events)))
        done = 0 if self._folded is None else self._folded.position
        if self._folded is None or done != target:
            # Like the server: an answer in time, of as far as it has come.
            start = done if done < target else 0
            self._folded = self.log.at(min(target, start + self.fold_at_once))
        return self._folded, target


def _no(code: str, detail: str) -> Reply:
    return _refusal(Problem(STATUS[code], code, code, detail))


def _refusal(problem: Problem) -> Reply:
    return Reply(problem.status, msgspec.json.encode(problem), problem)
