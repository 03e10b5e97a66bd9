"""The launcher alone: a copy of it with an empty lock and a command that says how it was called."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from cells.settings import HOME

COMMAND = "import os, sys; print('called', sys.argv[1:], sys.executable, os.getcwd()); sys.exit(7)"


class Clone:
    """A folder with a launcher."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stamp = root / ".venv" / ".titan-installed"
        (root / "cells" / "cli").mkdir(parents=True)
        (root / "cells" / "cli" / "__main__.py").write_text(COMMAND, encoding="utf-8")
        shutil.copy2(HOME / "titan", root / "titan")
        (root / "requirements.lock").touch()

    def run(
        self, *arguments: str, cwd: Path | None = None, through: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [through or self.root / "titan", *arguments],
            cwd=cwd or self.root,
            env={key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    made = Clone(tmp_path_factory.mktemp("clone"))
    made.run()
    return made


def test_the_command_runs_in_the_environment_that_was_made(clone):
    done = clone.run("status", "--json")

    assert done.stdout.startswith(f"called ['status', '--json'] {clone.root}/.venv/bin/python ")
    assert done.returncode == 7


def test_a_second_run_installs_nothing_and_is_fast(clone):
    before = clone.stamp.stat().st_mtime_ns
    began = time.monotonic()

    done = clone.run()

    assert done.stderr == ""
    assert clone.stamp.stat().st_mtime_ns == before
    assert time.monotonic() - began < 1.0


def test_it_works_from_any_folder_whatever_lies_there(clone, tmp_path):
    """Given modules of the same names in the working directory, ours are the ones that run."""
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "__init__.py").write_text("raise SystemExit('the wrong one')", encoding="utf-8")

    done = clone.run(cwd=tmp_path)

    assert done.returncode == 7
    assert str(tmp_path) in done.stdout


def test_it_works_through_a_link(clone, tmp_path):
    (tmp_path / "titan").symlink_to(clone.root / "titan")

    done = clone.run(through=tmp_path / "titan")

    assert done.returncode == 7


def test_an_install_that_was_cut_short_is_made_whole(clone):
    """Given an environment without its stamp and with a file missing, the next run installs again."""
    clone.stamp.unlink()
    (clone.root / ".venv" / "bin" / "python").unlink()

    done = clone.run()

    assert "installing" in done.stderr
    assert done.returncode == 7
    assert clone.stamp.exists()


def test_a_changed_lock_is_installed(clone):
    (clone.root / "requirements.lock").write_text("# another\n", encoding="utf-8")

    done = clone.run()

    assert "installing" in done.stderr
    assert done.returncode == 7


def test_a_package_that_cannot_be_had_is_an_error_with_its_reason(clone):
    lock = clone.root / "requirements.lock"
    lock.write_text("msgspec==0.22.0 --hash=sha256:" + "0" * 64 + "\n", encoding="utf-8")

    done = clone.run()

    assert done.returncode == 1
    assert "cannot be installed" in done.stderr
    assert not clone.stamp.exists()
