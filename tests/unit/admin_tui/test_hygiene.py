"""What the dashboard imports, seen in a process of its own."""

import subprocess
import sys

import pytest

from cells.settings import HOME


def imported_by(*modules: str) -> set[str]:
    program = f"import {', '.join(modules)}, sys; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={"PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    return set(found.stdout.split())


def roots(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def sources() -> list[str]:
    found = (HOME / "admin_tui").rglob("*.py")
    return sorted(
        ".".join(path.relative_to(HOME).with_suffix("").parts).removesuffix(".__init__") for path in found
    )


def test_it_imports_no_server_code():
    """Import contracts see imports that are written; this sees those that happen."""
    assert (
        roots(imported_by(*sources())) & {"server", "fixtures", "tests", "litestar", "nats", "piccolo"}
        == set()
    )


def test_what_stays_on_the_screen_needs_no_web_server():
    assert roots(imported_by("admin_tui.app")) & {"aiohttp", "httpx", "nats", "textual_serve"} == set()


def test_a_command_that_is_only_read_imports_no_textual():
    assert (
        roots(imported_by("admin_tui.cli")) & {"textual", "textual_serve", "aiohttp", "websockets"} == set()
    )


@pytest.mark.parametrize(
    "module", ("actions", "commands", "filters", "model", "moments", "picture", "replay", "text", "wire")
)
def test_what_is_pure_imports_no_screen(module):
    assert roots(imported_by(f"admin_tui.{module}")) & {"textual", "httpx", "websockets", "asyncio"} == set()
