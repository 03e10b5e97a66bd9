"""The dashboard's own themes, beside those of Textual: dark, light, and one of greys only."""

from typing import Final

from textual.theme import BUILTIN_THEMES, Theme

THEMES: Final = (
    Theme(
        name="titan",
        primary="#5fafd7",
        secondary="#8787af",
        accent="#ffaf5f",
        foreground="#d0d4da",
        background="#101418",
        surface="#161c22",
        panel="#1f2830",
        success="#87c38a",
        warning="#f0c060",
        error="#f07070",
        dark=True,
    ),
    Theme(
        name="titan-light",
        primary="#20608a",
        secondary="#5a5a8a",
        accent="#a85a00",
        foreground="#20242a",
        background="#f8f8f6",
        surface="#eeeeea",
        panel="#e0e2e0",
        success="#2a7030",
        warning="#8a6000",
        error="#b02828",
        dark=False,
    ),
    Theme(
        name="titan-grey",
        primary="#c0c0c0",
        secondary="#909090",
        accent="#ffffff",
        foreground="#d8d8d8",
        background="#101010",
        surface="#181818",
        panel="#282828",
        success="#c8c8c8",
        warning="#e8e8e8",
        error="#ffffff",
        dark=True,
    ),
)


def names() -> list[str]:
    """Return the names of all themes, the dashboard's own first."""
    return [*(theme.name for theme in THEMES), *sorted(BUILTIN_THEMES)]
