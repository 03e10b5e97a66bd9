"""What every source file keeps to, and what no single file can show."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cells.cli.main import COMMANDS
from cells.settings import HOME
from cells.supervisor.plan import Plan

LISTED = subprocess.run(
    ["git", "ls-files", "-z"],  # noqa: S607 - whichever git there is
    cwd=HOME,
    capture_output=True,
    text=True,
    check=True,
).stdout
TRACKED = [HOME / name for name in LISTED.split("\0") if name and (HOME / name).is_file()]
TEXTS = [path for path in TRACKED if path.suffix not in {".png", ".ico", ".woff2", ".onnx", ".lock"}]


def python(package: str) -> list[Path]:
    return [path for path in TRACKED if path.suffix == ".py" and path.is_relative_to(HOME / package)]


def imported_by(module: str) -> set[str]:
    """The top-level modules that are loaded after an import, in a process of its own."""
    program = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    found = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={"PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    return set(found.stdout.split())


def test_every_package_has_its_place_among_the_layers():
    """A new folder of sources has to be placed in the import contracts before it can land."""
    contracts = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    placed = {name.strip() for layer in contracts["contracts"][0]["layers"] for name in layer.split("|")}
    packages = {path.relative_to(HOME).parts[0] for path in TRACKED if path.suffix == ".py"}

    assert packages == placed
    assert placed == set(contracts["root_packages"])


def test_cells_starts_the_others_by_name_and_every_name_is_there():
    plan = Plan()
    targets = [*plan.roles.values(), plan.migrate, plan.seed, *(target for target, _ in COMMANDS.values())]

    for target in targets:
        module, _, name = target.partition(":")
        source = HOME / (module.replace(".", "/") + ".py")
        defined = {
            node.name
            for node in ast.parse(source.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in defined, target


@pytest.mark.parametrize("module", ("cells.cli.control", "cells.cli.logs", "cells.cli.config"))
def test_a_small_command_starts_fast_because_it_imports_little(module):
    heavy = {
        "litestar",
        "granian",
        "nats",
        "redis",
        "piccolo",
        "asyncpg",
        "websockets",
        "structlog",
        "uvloop",
    }

    assert imported_by(module) & heavy == set()


def test_the_supervisor_stays_small():
    """It lives as long as the cell and needs no framework to watch its processes."""
    heavy = {"litestar", "granian", "redis", "piccolo", "asyncpg", "websockets"}

    assert imported_by("cells.supervisor.run") & heavy == set()


def test_the_launcher_can_be_parsed_by_an_old_python():
    """An old Python has to get as far as saying that it is too old."""
    ast.parse((HOME / "titan").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_the_launcher_imports_only_the_standard_library():
    tree = ast.parse((HOME / "titan").read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}

    assert names <= sys.stdlib_module_names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


def test_every_locked_package_has_hashes_and_no_address():
    lock = (HOME / "requirements.lock").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", lock.strip())

    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert "://" not in lock
    assert "--index" not in lock
    assert "--find-links" not in lock


def test_every_package_that_is_asked_for_is_locked():
    project = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    locked = set(
        re.findall(r"^([a-z0-9._-]+)==", (HOME / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    )

    for requirement in wanted:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert name is not None
        assert name[0].lower() in locked, requirement


def test_no_source_knows_the_machine_it_was_written_on():
    # Put together here, so that this file does not hold them itself.
    places = ["/" + "work/main", "/" + "root/.", "/tmp/" + "dev/", "pypi" + ".org", "files.python" + "hosted"]
    found = {
        f"{path.relative_to(HOME)}: {place}"
        for path in TEXTS
        for place in places
        if place in path.read_text(encoding="utf-8")
    }

    assert found == set()


@pytest.mark.parametrize("package", ("admin_tui", "cells", "realtime", "server", "fixtures"))
def test_nothing_is_left_to_do_in_the_sources(package):
    mark = re.compile(r"\b(TODO|FIXME|XXX)\b")

    assert [str(path) for path in python(package) if mark.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("package", ("admin_tui", "cells", "realtime", "server", "fixtures"))
def test_no_exception_is_swallowed_whole(package):
    """`except Exception: pass` hides the one error that mattered."""
    swallowed = [
        f"{path}:{node.lineno}"
        for path in python(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and isinstance(node.body[0], ast.Pass)
        and len(node.body) == 1
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
        )
    ]

    assert swallowed == []
