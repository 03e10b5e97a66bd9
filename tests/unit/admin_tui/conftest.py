"""Every test of the dashboard is in UTC and without animations; `snap` compares the screen with the one of before."""

import re
import time

import pytest
from syrupy.extensions.image import SVGImageSnapshotExtension
from textual.widgets import Input

# Names that Rich makes of the content, and fonts that a viewer would fetch: neither is of the screen.
_ID = re.compile(r"terminal-\d+")
_FONT = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    """Times of day are those of UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def still(monkeypatch):
    """Nothing blinks or glides."""
    monkeypatch.setattr(Input, "cursor_blink", False)
    monkeypatch.setattr("textual.constants.TEXTUAL_ANIMATIONS", "none")


@pytest.fixture
def snap(snapshot):
    """Return a check that the screen of a driven dashboard looks as it did; `--snapshot-update` accepts a new look."""
    stored = snapshot.use_extension(SVGImageSnapshotExtension)

    def check(run):
        picture = run.app.export_screenshot(title="titan top", simplify=True)
        picture = _FONT.sub("", _ID.sub("terminal", picture))
        assert picture == stored

    return check
