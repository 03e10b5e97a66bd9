"""Names, titles and chatter of simulated cells: some as they should be, some as an attacker would choose them."""

from typing import Final

from cells.kernel.ids import new_id

HOSTILE: Final = (
    "[bold red]FREE[/] [@click=app.quit]click[/]",
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred alert\x1b[0m",
    "invoice\u202efdp.exe\u2069 \u200b\u200bhidden",
    "Z̸̢͇̜̓̈́̓̓a̶̛̘̮͆̈́͝l̷̠̾g̵̩̈o̸͈̔ line\nbreak\ttab\rreturn",
    "']; DROP TABLE sales; -- [/] [[ \\[ {x!r} %s",
    "超限量 スニーカー 👟👨\u200d👩\u200d👧 ﷽ " + "W" * 120,
)
TITLES: Final = (
    ("Sneaker drop: Aurora", "open"),
    ("Vinyl, first pressing", "open"),
    (HOSTILE[0], "open"),
    ("Field jacket", "armed"),
    (HOSTILE[1], "paused"),
    ("Console bundle", "draft"),
    (HOSTILE[2], "open"),
    ("Concert tickets, night 2", "ended"),
    (HOSTILE[5], "armed"),
    ("Espresso machine", "open"),
    (HOSTILE[3], "draft"),
)
CHATTER: Final = (
    "hello from Graz",
    "is size 43 still there?",
    "got one!",
    "queue moves fast today",
    *HOSTILE,
    "thanks, see you at the next one",
)


def ident(prefix: str, number: int, at: int, made: int) -> str:
    """Return a well-formed identifier that is the same for the same arguments."""
    return new_id(prefix, number % 4096, at, made.to_bytes(10, "big"))


BUYERS: Final = tuple(
    (ident("usr", 7, 1_800_000_000_000, index), name)
    for index, name in enumerate(("ana", "björn", "chidi", "divya", "emre", "fatou", *HOSTILE))
)
