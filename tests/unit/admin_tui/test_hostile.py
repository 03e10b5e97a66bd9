"""What people wrote, on every screen: it moves nothing, hides nothing, runs nothing and breaks no line."""

import unicodedata

import pytest
from rich.cells import cell_len

from admin_tui import simulated_log
from admin_tui.simulated_names import BUYERS, HOSTILE
from tests.unit.admin_tui.watching import FILLED, KEYS, watched

SIZES = ((80, 24), (160, 50))
WORST = (
    *HOSTILE,
    "A" * 10_000,
    "\u202e\u2066\u200f" * 50 + "txt.exe",
    "\u200b\u200c\u200d\ufeff\u2060" * 100,
    "e" + "\u0301" * 500,
    "\x9b31m\x1bP1;2|\x07\x08\x0c\x7f",
    "[/][/b][@click=app.exit()]go[/]",
    "한글" * 3000,
    "",
)
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.fixture(autouse=True)
def hostile_names(monkeypatch):
    """Every title, name and message is one of the worst."""
    states = ("open", "armed", "paused", "draft", "open", "ended")
    titles = tuple((text, states[index % len(states)]) for index, text in enumerate(WORST))
    monkeypatch.setattr(simulated_log, "TITLES", titles)
    monkeypatch.setattr(simulated_log, "CHATTER", WORST)
    monkeypatch.setattr(simulated_log, "BUYERS", tuple((BUYERS[0][0], text) for text in WORST))


def check(run, size):
    """Look at every character, every line and every click on the screen."""
    strips = run.app.screen._compositor.render_strips()
    assert len(strips) == size[1]
    for strip in strips:
        assert cell_len(strip.text) == size[0]
        for character in strip.text:
            assert unicodedata.category(character) not in INVISIBLE, ascii(character)
        for segment in strip:
            action = str((segment.style.meta if segment.style else {}).get("@click", ""))
            assert "exit" not in action
            assert "quit" not in action


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("mode", KEYS)
async def test_every_screen_stands_every_name(mode, size):
    async with watched(size=size) as run:
        await run.beats(2)
        await run.show(mode)
        check(run, size)
        for _ in range(len(WORST)):
            await run.press("down")
            await run.quiet()
            check(run, size)
        if mode in FILLED:
            await run.press("enter")
            await run.quiet()
            check(run, size)


@pytest.mark.parametrize("key", ("t", "e", "K"))
async def test_the_questions_stand_every_title(key):
    async with watched(size=(80, 24)) as run:
        await run.show("sales")
        for _ in range(4):
            await run.press(key)
            await run.pilot.pause()
            check(run, (80, 24))
            await run.press("escape", "down")


async def test_names_that_differ_only_in_what_is_hidden_do_not_look_the_same():
    async with watched() as run:
        await run.show("sales")
        titles = [line for line in run.seen.splitlines() if "·" in line]

        assert titles


async def test_an_alert_and_a_process_stand_what_they_are_called():
    async with watched(cells=2, size=(120, 40)) as run:
        run.feeds[1].processes.kill("api", WORST[1] + WORST[6])
        run.feeds[0].lose(WORST[1] + WORST[7])
        await run.beat()
        for mode in ("overview", "cell", "health"):
            await run.press(KEYS[mode])
            await run.until(lambda: run.screen_is_up)
            await run.pilot.pause()
            check(run, (120, 40))
