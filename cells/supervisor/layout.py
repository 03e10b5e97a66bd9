"""Where a data folder keeps what, and how its files are written."""

import contextlib
import hashlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path

import msgspec

from cells.trouble import Trouble

SOCKET_PATH_LIMIT = (
    100  # of 108 bytes in sockaddr_un, the rest being for the kernel's and the engines' suffixes
)
MARKER = "titan.json"


class Marker(msgspec.Struct, frozen=True):
    """Says that a folder is Titan's, so that `reset` never removes anything else."""

    format: int
    data: str


class Layout:
    """Paths of one data folder with one cell in it."""

    def __init__(self, data: Path, cell: str = "c1") -> None:
        self.data = data
        self.cell_name = cell
        self.run = data / "run"
        self.logs = data / "logs"
        self.cell = data / "cells" / cell
        self.secrets = self.cell / "secrets"
        self.keys = self.cell / "keys"
        self.marks = self.cell / "marks"
        self.snapshots = self.cell / "snapshots"
        self.nats = self.cell / "nats"
        self.valkey = self.cell / "valkey"
        self.postgres = self.cell / "pg"
        self.genesis = self.cell / "genesis.json"
        self.config = self.run / f"{cell}.json"
        self.lock = self.run / "titan.lock"
        self.temporary = self.run / "temporary.json"
        self.control = self.run / "control.json"

    @property
    def marker(self) -> Path:
        return self.data / MARKER

    @property
    def digest(self) -> str:
        """Names what is kept outside the data folder on its behalf."""
        return hashlib.sha256(os.fsencode(self.data.resolve())).hexdigest()[:16]

    def is_ours(self) -> bool:
        return self.marker.exists()

    def make(self) -> None:
        """Make the folders that are missing. Modes are set on new folders only, never on one that was there."""
        if self.data.exists() and not self.is_ours() and any(self.data.iterdir()):
            raise Trouble(
                f"{self.data} is not empty and not a data folder of Titan.",
                f"It has no {MARKER}, so its files are somebody else's.",
                "titan up --data <an empty or a new folder>",
            )
        # As root an engine runs as another user, who has to pass through to its own folder but may not list.
        passage = 0o711 if os.geteuid() == 0 else 0o700
        try:
            for folder in (self.data, self.data / "cells", self.cell, self.run):
                make_folder(folder, passage)
            private = (self.logs, self.secrets, self.keys, self.marks, self.snapshots, self.nats, self.valkey)
            for folder in private:
                make_folder(folder, 0o700)
            if not self.marker.exists():
                write_private(self.marker, msgspec.json.encode(Marker(1, str(self.data))))
        except OSError as error:
            raise Trouble(
                f"The data folder {self.data} cannot be written.",
                str(error),
                "titan up --data <another folder>",
            ) from error

    def secret(self, name: str) -> str:
        """The password of that name, made at first use."""
        path = self.secrets / name
        with contextlib.suppress(FileNotFoundError):
            if kept := path.read_text(encoding="ascii").strip():
                return kept
        made = secrets.token_urlsafe(24)
        write_private(path, made.encode("ascii"))
        return made


def make_folder(path: Path, mode: int) -> bool:
    """Make a folder with exactly that mode; False where it exists, which is then left as it is."""
    if path.exists():
        return False
    path.mkdir(parents=True)
    path.chmod(mode)
    return True


def write_private(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, fsynced, readable by its owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Sockets:
    """Folders for Unix sockets: in the data folder, or short ones in the system's temp folder.

    The address of a Unix socket holds about 100 bytes, and a clone may lie deeper than that. Temp folders are
    listed in a file, so that the next start removes what a killed supervisor left.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._made: list[str] = []

    def sweep(self) -> None:
        """Remove the temp folders of a run that could not do it itself."""
        try:
            left = msgspec.json.decode(self._layout.temporary.read_bytes(), type=list[str])
        except (OSError, msgspec.DecodeError):
            return
        for folder in left:
            if Path(folder).name.startswith("titan-") and not Path(folder).is_symlink():
                shutil.rmtree(folder, ignore_errors=True)
        self._layout.temporary.unlink(missing_ok=True)

    def folder(self, preferred: Path, longest_name: str, *, reachable: bool = True) -> Path:
        """`preferred` where a socket of that name fits, else a new folder of mode 0700 under the temp folder."""
        length = len(os.fsencode(preferred)) + 1 + len(longest_name)
        if reachable and length <= SOCKET_PATH_LIMIT:
            make_folder(preferred, 0o700)
            return preferred
        made = tempfile.mkdtemp(prefix="titan-")
        self._made.append(made)
        write_private(self._layout.temporary, msgspec.json.encode(self._made))
        return Path(made)

    def remove(self) -> None:
        for folder in self._made:
            shutil.rmtree(folder, ignore_errors=True)
        self._layout.temporary.unlink(missing_ok=True)
