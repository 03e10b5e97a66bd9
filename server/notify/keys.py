"""Private keys of a cell in files: made once, by whichever process comes first, and readable by nobody else."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from cells.trouble import Trouble

_OTHERS_MAY_READ = 0o077


def load_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return a key file's content, making it if there is none. Processes that start at once agree on one.

    Raises `Trouble` when it cannot be read, or when others may read it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _create(path, make())
    try:
        if path.stat().st_mode & _OTHERS_MAY_READ:
            raise Trouble(
                f"{path} is open to other users of this machine.", "It is a key.", f"chmod 600 {path}"
            )
        return path.read_bytes()
    except OSError as error:
        raise Trouble(f"{path} cannot be read.", str(error), "titan doctor") from error


def _create(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link never replaces: of processes that start at once one wins, the others read its key.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
