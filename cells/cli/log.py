"""`titan log`: reading, verifying and exporting the running cell's log."""

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click
import structlog
from nats.errors import Error as NatsError

from cells.cli import options
from cells.config import CellConfig
from cells.engine.project import Reader
from cells.kernel import envelope
from cells.kernel.clock import rfc3339
from cells.kernel.codec import Registry, UnknownEvent
from cells.log import guard, subjects
from cells.log.chain import Broken, Chain
from cells.log.jetstream import JetStreamLog
from cells.log.port import Log, LogInfo, LogUnavailable, Mark, Stored
from cells.process import resolve
from cells.supervisor.layout import Layout, make_folder
from cells.trouble import EXIT_DONE, EXIT_FAILED, EXIT_NOT_RUNNING, EXIT_USAGE, Trouble

VOCABULARY = "server.store.vocabulary:registries"
PROGRESS_EVERY = 100_000
SECRET_WORDS = ("password", "token", "_hash")

_json = msgspec.json.Encoder(order="deterministic")


class Line(msgspec.Struct, frozen=True):
    """A commit as it is shown and exported. `hash` is the SHA-256 of the stored bytes."""

    position: int
    subject: str
    version: int
    at: str
    hash: str
    events: list[dict[str, Any]]


class Header(msgspec.Struct, frozen=True):
    """The first line of an export."""

    format: str
    cell: str
    epoch: str
    first: int
    last: int


class Verdict(msgspec.Struct, frozen=True):
    """What `titan log verify` found. `damage` is empty for a sound log."""

    sound: bool
    epoch: str
    first: int
    last: int
    messages: int
    aggregates: int
    events: int
    marks: int
    damage: list[str]


@click.group(help="Read, verify and export the log of the running cell.")
def log() -> None:
    """Group of commands."""


@log.command(help="Show commits as they are appended; Ctrl-C ends it.")
@options.data
@click.option(
    "--pattern", default=subjects.EVERYTHING, show_default=True, help="Subjects, as `log.*.sale.*`."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--since", type=click.IntRange(min=0), help="Begin behind this position.  [default: now]")
def tail(*, data: str | None, pattern: str, as_json: bool, since: int | None) -> int:
    async def work(opened: JetStreamLog, _config: CellConfig) -> int:
        registries = vocabulary()
        start = since if since is not None else (await extent(opened)).last
        async for batch in opened.tail(pattern, start):
            for stored in batch:
                line = guarded(described(registries, stored))
                click.echo(_json.encode(line) if as_json else shown(line))
        return EXIT_DONE

    if pattern != subjects.EVERYTHING and not pattern.startswith("log."):
        raise Trouble(
            f"{pattern} is no pattern of the log.", "Subjects are log.<slot>.<kind>.<id>.", code=EXIT_USAGE
        )
    return run(options.layout(data), work)


@log.command(help="Walk through the whole log and check every commit. Exit code 1 on damage.")
@options.data
@click.option("--json", "as_json", is_flag=True, help="The verdict as JSON.")
def verify(*, data: str | None, as_json: bool) -> int:
    layout = options.layout(data)

    async def work(opened: JetStreamLog, _config: CellConfig) -> int:
        def progress(done: int, last: int) -> None:
            click.echo(f"  {done} of {last}", err=True)

        verdict = await verified(opened, vocabulary(), layout.marks, progress)
        click.echo(_json.encode(verdict) if as_json else judged(verdict))
        return EXIT_DONE if verdict.sound else EXIT_FAILED

    return run(layout, work)


@log.command(help="Write the log to FILE, one JSON object a line, and print the file's SHA-256.")
@options.data
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(*, data: str | None, file: Path) -> int:
    async def work(opened: JetStreamLog, config: CellConfig) -> int:
        try:
            count, digest = await exported(opened, config.cell, vocabulary(), file)
        except OSError as error:
            raise Trouble(
                f"{file} cannot be written.", str(error), "titan log export <another file>"
            ) from error
        click.echo(f"{count} commits in {file}\nsha256 {digest}")
        return EXIT_DONE

    return run(options.layout(data), work)


# --- what they do --------------------------------------------------------------------------------------------------


def run(layout: Layout, work: Callable[[JetStreamLog, CellConfig], Coroutine[Any, Any, int]]) -> int:
    """Do some work on the running cell's log. Raises `Trouble`."""
    quieten()
    try:
        config = msgspec.json.decode(layout.config.read_bytes(), type=CellConfig)
    except FileNotFoundError:
        raise Trouble(
            f"Titan is not running on {layout.data}.",
            f"There is no {layout.config}.",
            "titan up",
            code=EXIT_NOT_RUNNING,
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise Trouble(f"{layout.config} cannot be read.", str(error), "titan up") from error

    async def opened() -> int:
        async with reading(config, layout) as log:
            return await work(log, config)

    try:
        return asyncio.run(opened())
    except BrokenPipeError:
        raise
    except (LogUnavailable, NatsError, OSError) as error:
        raise Trouble(
            "The log cannot be read.", str(error) or type(error).__name__, "titan logs nats"
        ) from error


def quieten() -> None:
    """Keep what the libraries log out of a command's output."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@contextlib.asynccontextmanager
async def reading(config: CellConfig, layout: Layout) -> AsyncIterator[JetStreamLog]:
    """Open the log for reading, without leaving a mark of this process."""
    make_folder(layout.marks, 0o700)
    log = await JetStreamLog.open(config.nats_url, layout.marks, f"reader-{os.getpid()}")
    try:
        yield log
    finally:
        await log.close()


def vocabulary() -> Mapping[str, Registry]:
    found: Mapping[str, Registry] = resolve(VOCABULARY)()
    return found


async def extent(log: Log) -> LogInfo:
    info = await log.info()
    if info is None:
        raise Trouble("The cell has no log.", "The stream LOG does not exist.", "titan status")
    return info


async def verified(
    log: Log, registries: Mapping[str, Registry], folder: Path, progress: Callable[[int, int], None]
) -> Verdict:
    """Check positions, chains, events and marks of the log as of now. Raises `LogUnavailable`."""
    info = await extent(log)
    walk = Walk(registries, info.first - 1)
    told = 0
    async for batch in log.read(subjects.EVERYTHING, info.first - 1):
        for stored in batch:
            walk.take(stored)
        if walk.messages - told >= PROGRESS_EVERY:
            told = walk.messages
            progress(batch[-1].position, info.last)
    if walk.position < info.last:
        walk.damage.append(f"the log says it ends at {info.last}, but can be read up to {walk.position} only")
    known = known_marks(folder)
    for name, mark in known.items():
        if (found := await guard.damage(log, mark)) is not None:
            walk.damage.append(f"mark {name}: {found}")
    return Verdict(
        not walk.damage,
        info.epoch,
        info.first,
        info.last,
        walk.messages,
        len(walk.chains),
        walk.events,
        len(known),
        walk.damage,
    )


def known_marks(folder: Path) -> dict[str, Mark]:
    """Return the marks of all processes. A torn file counts as none."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(msgspec.MsgspecError, OSError):
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=Mark)
    return found


class Walk:
    """Goes over the log and collects damage; after a broken commit it goes on with what that one claims."""

    def __init__(self, registries: Mapping[str, Registry], after: int) -> None:
        self._registries = registries
        self._archived = after > 0
        self.position = after
        self.messages = 0
        self.events = 0
        self.chains: dict[str, Chain] = {}
        self.damage: list[str] = []

    def take(self, stored: Stored) -> None:
        """Check the next message."""
        if stored.position != self.position + 1:
            self.damage.append(f"positions {self.position + 1} to {stored.position - 1} are missing")
        self.position = stored.position
        self.messages += 1
        try:
            self._follow(stored)
            _, kind, _ = subjects.split(stored.subject)
            if kind not in self._registries:
                raise UnknownEvent(f"there is no kind {kind!r} here; run a release that knows it")  # noqa: TRY301 - one list of damage
            self.events += len(envelope.decode(self._registries[kind], stored.body).events)
        except Broken as error:
            self.damage.append(str(error))
        except (UnknownEvent, msgspec.MsgspecError, ValueError) as error:
            self.damage.append(f"{stored.subject} at {stored.position}: {error}")

    def _follow(self, stored: Stored) -> None:
        chain = self.chains.get(stored.subject)
        if chain is None:
            chain = self.chains[stored.subject] = self._begun(stored)
        try:
            chain.follow(stored)
        except Broken:
            with contextlib.suppress(msgspec.MsgspecError):
                chain.version = envelope.peek(stored.body).version - 1
            chain.advance(stored.position, stored.body)
            raise

    def _begun(self, stored: Stored) -> Chain:
        # Where the log's beginning was archived, an aggregate's first commit here is not its first one.
        if self._archived:
            with contextlib.suppress(msgspec.MsgspecError):
                header = envelope.peek(stored.body)
                return Chain(header.version - 1, 0, header.prev)
        return Chain()


async def exported(log: Log, cell: str, registries: Mapping[str, Registry], file: Path) -> tuple[int, str]:
    """Write the log as of now and return the number of commits and the SHA-256 of the file.

    The file appears whole or not at all. Raises `LogUnavailable`, and `Trouble` on damage.
    """
    info = await extent(log)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    digest, count = hashlib.sha256(), 0
    reader = Reader({}, info.first - 1)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:

            def write(line: msgspec.Struct) -> None:
                raw = _json.encode(line) + b"\n"
                digest.update(raw)
                out.write(raw)

            write(Header("titan-log-1", cell, info.epoch, info.first, info.last))
            async for batch in log.read(subjects.EVERYTHING, info.first - 1):
                reader.read(batch)
                for stored in batch:
                    write(described(registries, stored))
                count += len(batch)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    except (Broken, UnknownEvent, msgspec.MsgspecError) as error:
        raise Trouble("The log is damaged; nothing was exported.", str(error), "titan log verify") from error
    finally:
        draft.unlink(missing_ok=True)
    return count, digest.hexdigest()


def described(registries: Mapping[str, Registry], stored: Stored) -> Line:
    """Return a commit for people. Events of a kind that is not known here are not shown."""
    _, kind, _ = subjects.split(stored.subject)
    header = envelope.peek(stored.body)
    events = envelope.decode(registries[kind], stored.body).events if kind in registries else []
    return Line(
        stored.position,
        stored.subject,
        header.version,
        rfc3339(header.at),
        envelope.digest(stored.body).hex(),
        [{"event": type(event).__name__, **named(event)} for event in events],
    )


def guarded(line: Line) -> Line:
    """Return the commit without what could be used to get in, for a terminal that others may see."""
    events = [
        {
            field: "***" if any(word in field for word in SECRET_WORDS) else value
            for field, value in event.items()
        }
        for event in line.events
    ]
    return msgspec.structs.replace(line, events=events)


def named(struct: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a struct by name, although it is stored as an array."""
    return {field: _plain(getattr(struct, field)) for field in struct.__struct_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return named(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return msgspec.to_builtins(value)


def shown(line: Line) -> str:
    events = ", ".join(event["event"] for event in line.events)
    return f"{line.position:>10}  {line.at}  {line.subject}  v{line.version}  {events}"


def judged(verdict: Verdict) -> str:
    counts = (
        f"{verdict.messages} commits of {verdict.aggregates} aggregates with {verdict.events} events, "
        f"positions {verdict.first} to {verdict.last}, {verdict.marks} marks, epoch {verdict.epoch}"
    )
    if verdict.sound:
        return f"sound: {counts}"
    return "\n".join([f"damaged: {counts}", *(f"  {finding}" for finding in verdict.damage)])
