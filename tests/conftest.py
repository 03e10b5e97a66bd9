"""What every test leaves behind as it found it."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command that is tested in this process sets up logging for itself, perhaps onto a stream of that test alone."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
