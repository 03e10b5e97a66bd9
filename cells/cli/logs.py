"""`titan logs`."""

import time
from collections.abc import Iterator
from pathlib import Path

import rich_click as click

from cells.cli import options
from cells.supervisor.layout import Layout
from cells.supervisor.output import printable
from cells.trouble import EXIT_DONE, EXIT_USAGE, Trouble

TAIL_BYTES = 256 * 1024
POLL_SECONDS = 0.2


class Follower:
    """Reads the lines that are added to a file, across its rotation."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem.partition("-")[2] or path.stem
        self._path = path
        self._inode = -1
        self._offset = 0
        self._rest = b""

    def last(self, lines: int) -> list[str]:
        """The end of the file; following goes on from there."""
        with self._path.open("rb") as file:
            status = self._path.stat()
            file.seek(max(0, status.st_size - TAIL_BYTES))
            content = file.read()
            self._inode, self._offset = status.st_ino, file.tell()
        return [line.decode(errors="replace") for line in content.splitlines()[-lines:]]

    def added(self) -> Iterator[str]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return
        if status.st_ino != self._inode or status.st_size < self._offset:
            self._inode, self._offset, self._rest = status.st_ino, 0, b""
        if status.st_size == self._offset:
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            chunk = file.read(TAIL_BYTES)
            self._offset += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)


def files(layout: Layout, process: str | None) -> list[Path]:
    found = {path.stem.partition("-")[2] or path.stem: path for path in sorted(layout.logs.glob("*.log"))}
    if process is None:
        return list(found.values())
    chosen = [path for name, path in found.items() if process in {name, name.partition("-")[0]}]
    if not chosen:
        known = f"There are logs of: {', '.join(found)}." if found else "There are no logs yet."
        raise Trouble(f"There is no log of {process} in {layout.logs}.", known, "titan logs", code=EXIT_USAGE)
    return chosen


@click.command(help="Show the last lines of PROCESS, or of every process.")
@options.data
@click.argument("process", required=False)
@click.option("-n", "--lines", default=20, show_default=True, help="How many lines of each.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added.")
def logs(*, data: str | None, process: str | None, lines: int, follow: bool) -> int:
    followers = [Follower(path) for path in files(options.layout(data), process)]
    width = max((len(follower.name) for follower in followers), default=0)

    def show(name: str, line: str) -> None:
        prefix = f"{click.style(f'{name:>{width}}', fg='cyan')} " if len(followers) > 1 else ""
        click.echo(prefix + printable(line))

    for follower in followers:
        for line in follower.last(lines):
            show(follower.name, line)
    while follow:
        for follower in followers:
            for line in follower.added():
                show(follower.name, line)
        time.sleep(POLL_SECONDS)
    return EXIT_DONE
