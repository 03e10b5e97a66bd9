"""The command line behind `:`: what can be typed, what it means, how it is completed."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from admin_tui import trade
from admin_tui.replay import SPEEDS


class BadCommand(ValueError):  # noqa: N818 - what was typed
    """What was typed is no command; the message says what would be."""


class Go(msgspec.Struct, frozen=True, tag=True):
    """Show a mode, and in it what `aim` names; with `filter`, only what it lets through."""

    mode: str
    aim: str = ""
    filter: str = ""


class SelectCell(msgspec.Struct, frozen=True, tag=True):
    """Look at another cell."""

    cell: str


class GoTo(msgspec.Struct, frozen=True, tag=True):
    """Replay from a moment."""

    moment: str


class Live(msgspec.Struct, frozen=True, tag=True):
    """Back to now."""


class Speed(msgspec.Struct, frozen=True, tag=True):
    """Play at so many times the speed of life; 0 stands still."""

    speed: int


class Narrow(msgspec.Struct, frozen=True, tag=True):
    """Filter the screen that is shown."""

    text: str


class Rate(msgspec.Struct, frozen=True, tag=True):
    """Refresh every so many seconds."""

    seconds: float


class SetTheme(msgspec.Struct, frozen=True, tag=True):
    """Other colours."""

    name: str


class Export(msgspec.Struct, frozen=True, tag=True):
    """Write the visible table into a file."""

    form: str
    path: str = ""


class Do(msgspec.Struct, frozen=True, tag=True):
    """Something without an argument: freeze, mono, shot, quit."""

    what: str


Command = Go | SelectCell | GoTo | Live | Speed | Narrow | Rate | SetTheme | Export | Do

# name -> mode; what follows is a filter.
MODES: Final = {
    "overview": "overview",
    "cells": "overview",
    "sales": "sales",
    "orders": "orders",
    "holds": "orders",
    "chat": "chat",
    "rooms": "chat",
    "log": "log",
    "health": "health",
    "help": "help",
}
# name -> mode; what follows is the one to be shown.
ONE: Final = {"sale": "sales", "order": "orders", "hold": "orders", "room": "chat", "event": "log"}
RATES: Final = (0.25, 0.5, 1.0, 5.0)
FORMS: Final = ("csv", "json")
ALIASES: Final = {
    "q": "quit",
    "exit": "quit",
    "?": "help",
    "h": "help",
    "o": "overview",
    "s": "sales",
    "l": "log",
}
# name -> (how it is used, what it does), in the order of the help.
USAGE: Final[dict[str, tuple[str, str]]] = {
    "overview": ("overview [FILTER]", "all cells"),
    "sales": ("sales [FILTER]", "sales; the filter as behind /"),
    "sale": ("sale ID", "one sale"),
    "orders": ("orders [sale ID] [FILTER]", "orders; also: buyer ID, payment STATE"),
    "order": ("order ID", "one order"),
    "holds": ("holds [sale ID] [FILTER]", "holds; also: buyer ID, status STATE"),
    "hold": ("hold ID", "one hold"),
    "chat": ("chat [FILTER]", "rooms"),
    "room": ("room ID", "one room"),
    "log": ("log [SUBJECT]", "the log, by a pattern: sale.> or *.room.*"),
    "event": ("event POSITION", "one commit as JSON"),
    "health": ("health [FILTER]", "what titan doctor knows"),
    "cell": ("cell [ID]", "one cell; other screens about one cell follow"),
    "help": ("help", "keys and commands"),
    "at": ("at MOMENT", "replay as of 14:02:07, -5m or position 4711"),
    "live": ("live", "back to now"),
    "speed": ("speed 0|1|10|60", "play the replay; 0 stands still"),
    "filter": ("filter [FILTER]", "narrow this screen"),
    "rate": ("rate SECONDS", "refresh every 0.25 to 5 s"),
    "freeze": ("freeze", "hold the picture, or let it go on"),
    "theme": ("theme NAME", "other colours"),
    "mono": ("mono", "no colours, or colours again"),
    "export": ("export csv|json [FILE]", "the visible table into a file"),
    "shot": ("shot", "this screen as SVG into a file"),
    "quit": ("quit", "leave"),
}


def parse(typed: str, *, cells: Sequence[str] = (), themes: Sequence[str] = ()) -> Command:
    """Read a command; raises BadCommand. `cells` and `themes` are the names that exist."""
    name, _, rest = typed.strip().removeprefix(":").strip().partition(" ")
    name, rest = ALIASES.get(name.lower(), name.lower()), rest.strip()
    if not name:
        raise BadCommand(f"Type a command: {', '.join(list(USAGE)[:8])} … or :help")
    if name in MODES:
        return _mode(name, rest)
    if name in ONE:
        return Go(ONE[name], aim=_needed(name, rest))
    match name:
        case "cell":
            return _cell(rest, cells)
        case "theme":
            return SetTheme(_one_of(name, rest, themes))
        case "freeze" | "mono" | "shot" | "quit" | "live":
            return _alone(name, rest)
        case _:
            return _valued(name, rest)


def _mode(name: str, rest: str) -> Command:
    if name in trade.TABS:
        return _traded(name, rest)
    mode = MODES[name]
    return Go(mode, aim=rest) if mode == "log" else Go(mode, filter=rest)


def _traded(name: str, rest: str) -> Command:
    try:
        wanted, text = trade.read(f"{name} {rest}")
    except trade.BadWanted as error:
        raise BadCommand(f"{error}.") from None
    return Go(MODES[name], aim=str(wanted), filter=text)


def _alone(name: str, rest: str) -> Command:
    if rest:
        raise BadCommand(f":{name} takes nothing behind it.")
    return Live() if name == "live" else Do(name)


def _valued(name: str, rest: str) -> Command:
    match name:
        case "at":
            return GoTo(_needed(name, rest))
        case "speed":
            return Speed(int(_one_of(name, rest.lstrip("x×"), [str(each) for each in (0, *SPEEDS)])))
        case "filter":
            return Narrow(rest)
        case "rate":
            return Rate(_seconds(rest))
        case "export":
            form, _, path = rest.partition(" ")
            return Export(_one_of(name, form or "csv", FORMS), path.strip())
        case _:
            close = difflib.get_close_matches(name, [*USAGE, *MODES], n=1)
            hint = f"Did you mean :{close[0]} ?" if close else ":help lists the commands."
            raise BadCommand(f"There is no command :{name[:30]}. {hint}")


def _needed(name: str, rest: str) -> str:
    if not rest:
        raise BadCommand(f"Something is missing: :{USAGE[name][0]}")
    return rest


def _one_of(name: str, given: str, known: Sequence[str]) -> str:
    if given not in known:
        raise BadCommand(f":{USAGE[name][0]}, with one of: {', '.join(known)[:120]}")
    return given


def _cell(given: str, cells: Sequence[str]) -> Command:
    if given and given not in cells:
        close = difflib.get_close_matches(given, cells, n=3, cutoff=0.3)
        raise BadCommand(f"There is no cell {given[:30]}. There is: {', '.join(close or list(cells)[:5])}")
    return SelectCell(given)


def _seconds(given: str) -> float:
    try:
        seconds = float(given.removesuffix("s"))
    except ValueError:
        raise BadCommand(f"Something is wrong: :{USAGE['rate'][0]}") from None
    if not RATES[0] <= seconds <= RATES[-1]:
        raise BadCommand(f"The rate is between {RATES[0]:g} and {RATES[-1]:g} seconds.")
    return seconds


def complete(typed: str, words: Mapping[str, Sequence[str]]) -> str | None:
    """Return a command that begins with what was typed; `words` are the arguments by the command's name."""
    name, space, rest = typed.partition(" ")
    if not space:
        return next(
            (each for each in USAGE if typed and each.startswith(typed.lower()) and each != typed), None
        )
    found = next(
        (each for each in words.get(name.lower(), ()) if each.startswith(rest) and each != rest), None
    )
    return None if found is None else f"{name} {found}"
